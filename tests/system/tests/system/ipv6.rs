//! IPv6 is routed, with neighbour discovery on both sides.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::Result;
use system_tests::{Config, World};

#[test]
fn ipv6_is_routed_between_neighbours_that_discover_each_other() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    world.enable_ipv6()?;
    assert_eq!(world.lan.ping("fd00:a::1", 3)?, 3, "the VNF's own address");
    assert_eq!(world.lan.ping("fd00:b::2", 3)?, 3, "the host beyond");
    let listener = world.wan.enter(|| Ok(TcpListener::bind("[fd00:b::2]:80")?))?;
    let mut client = world.lan.enter(|| Ok(TcpStream::connect("[fd00:b::2]:80")?))?;
    let (mut server, peer) = listener.accept()?;
    assert_eq!(peer.ip().to_string(), "fd00:a::2", "IPv6 is not translated");
    server.write_all(b"hello")?;
    let mut buffer = [0; 5];
    client.read_exact(&mut buffer)?;
    assert_eq!(&buffer, b"hello");
    Ok(())
}
