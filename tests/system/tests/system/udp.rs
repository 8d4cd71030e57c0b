//! Datagrams out and back.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Result, ensure};
use system_tests::{Config, SERVER, World, pooled};

#[test]
fn udp_reply_reaches_the_host_that_asked() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    let server = world.wan.enter(|| Ok(UdpSocket::bind((SERVER, 53))?))?;
    let client = world.lan.enter(|| Ok(UdpSocket::bind("10.0.0.2:5000")?))?;
    client.connect((SERVER, 53))?;
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    }
    let mut buffer = [0; 2048];
    let mut seen = None;
    for size in [0, 1, 17, 512, 1472] {
        client.send(&vec![7; size])?;
        let (length, peer) = server.recv_from(&mut buffer)?;
        ensure!(length == size && pooled(peer.ip()), "{length} bytes from {peer}");
        ensure!(*seen.get_or_insert(peer) == peer, "the mapping changed: {seen:?}, then {peer}");
        server.send_to(&buffer[..length], peer)?;
        ensure!(client.recv(&mut buffer)? == size);
    }
    let mappings = world.vnf.list(&["show", "mappings", "--protocol", "udp"])?;
    assert_eq!(mappings.len(), 1, "{mappings:?}");
    assert_eq!(mappings[0]["internal"], "10.0.0.2:5000");
    assert_eq!(mappings[0]["external"].as_str(), seen.map(|peer| peer.to_string()).as_deref());
    Ok(())
}
