//! What the Internet sees of the inside.

use std::net::UdpSocket;

use anyhow::Result;
use system_tests::{Config, SERVER, World};

#[test]
fn far_side_sees_pool_addresses_only() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    world.wan.watch("leaked", "ip saddr 10.0.0.0/8")?;
    world.wan.watch("translated", "ip saddr 198.51.100.10-198.51.100.13")?;
    let server = world.wan.enter(|| Ok(UdpSocket::bind((SERVER, 9))?))?;
    for host in world.more_hosts(3, 20)? {
        let client = world.lan.enter(|| Ok(UdpSocket::bind((host, 0))?))?;
        client.send_to(b"hello", (SERVER, 9))?;
        server.recv_from(&mut [0; 16])?;
    }
    assert_eq!(world.lan.ping(SERVER, 3)?, 3);
    assert_eq!(world.wan.watched("translated")?, 23);
    assert_eq!(world.wan.watched("leaked")?, 0);
    Ok(())
}
