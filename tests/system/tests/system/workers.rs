//! Two workers share the flows and one core.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Result, ensure};
use system_tests::{Config, SERVER, World, pooled};

#[test]
fn two_workers_share_the_hosts_and_lose_nothing() -> Result<()> {
    let config = Config { workers: 2, ..Config::default() };
    let Some(world) = World::start(&config)? else { return Ok(()) };
    let server = world.wan.enter(|| Ok(UdpSocket::bind((SERVER, 7))?))?;
    server.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut buffer = [0; 64];
    for host in world.more_hosts(10, 32)? {
        let client = world.lan.enter(|| Ok(UdpSocket::bind((host, 6000))?))?;
        client.set_read_timeout(Some(Duration::from_secs(10)))?;
        client.connect((SERVER, 7))?;
        client.send(&host.octets())?;
        let (length, peer) = server.recv_from(&mut buffer)?;
        ensure!(pooled(peer.ip()) && buffer[..length] == host.octets(), "{peer}");
        server.send_to(&host.octets(), peer)?;
        ensure!(client.recv(&mut buffer)? == 4 && buffer[..4] == host.octets());
    }
    let sessions = world.vnf.list(&["show", "sessions", "--protocol", "udp"])?;
    assert_eq!(sessions.len(), 32);
    for worker in [0, 1] {
        let owned = sessions.iter().filter(|session| session["worker"] == worker).count();
        assert!(owned > 0, "worker {worker} owns none of 32 hosts");
    }
    Ok(())
}
