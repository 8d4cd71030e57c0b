//! A server inside that the Internet may reach.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::Result;
use system_tests::{Config, World};

#[test]
fn forwarded_port_reaches_the_server_inside() -> Result<()> {
    let more = r#"[[nat44.forward]]
protocol = "tcp"
external = "198.51.100.10:443"
internal = "10.0.0.2:8443""#;
    let Some(world) = World::start(&Config { more, ..Config::default() })? else { return Ok(()) };
    let listener = world.lan.enter(|| Ok(TcpListener::bind("10.0.0.2:8443")?))?;
    let mut client = world.wan.enter(|| Ok(TcpStream::connect("198.51.100.10:443")?))?;
    let (mut server, peer) = listener.accept()?;
    assert_eq!(peer, client.local_addr()?, "the server sees who really asks");
    client.write_all(b"question")?;
    let mut buffer = [0; 8];
    server.read_exact(&mut buffer)?;
    assert_eq!(&buffer, b"question");
    Ok(())
}
