//! IPv6 is routed, with neighbour discovery on both sides.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::Result;
use system_tests::{Config, Namespace, World};

#[test]
fn ipv6_is_routed_between_neighbours_that_discover_each_other() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    enable(&world.lan, &world.lan_tap, "fd00:a::2/64", "fd00:a::1")?;
    enable(&world.wan, &world.wan_tap, "fd00:b::2/64", "fd00:b::1")?;
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

fn enable(namespace: &Namespace, tap: &str, address: &str, gateway: &str) -> Result<()> {
    let setting = format!("net.ipv6.conf.{tap}.disable_ipv6=0");
    namespace.run("sysctl", &["-q", "-w", &setting])?;
    namespace.ip(&["addr", "add", address, "dev", tap, "nodad"])?;
    namespace.ip(&["-6", "route", "add", "default", "via", gateway, "dev", tap])?;
    Ok(())
}
