//! A rejected packet is answered: TCP with a reset, the rest with ICMP.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::Result;
use system_tests::{Config, SERVER, World};

const RULES: &str = r#"[[acl.rule]]
action = "reject"
destination = "203.0.113.0/24""#;

#[test]
fn rejected_tcp_is_reset() -> Result<()> {
    let config = Config { rules: RULES, ..Config::default() };
    let Some(world) = World::start(&config)? else { return Ok(()) };
    let listener = world.wan.enter(|| Ok(TcpListener::bind((SERVER, 80))?))?;
    let attempt = world.lan.enter(|| Ok(TcpStream::connect((SERVER, 80))))?;
    assert_eq!(attempt.map_err(|error| error.kind()).err(), Some(ErrorKind::ConnectionRefused));
    assert_eq!(world.vnf.drops("acl-denied")?, 1);
    drop(listener);
    Ok(())
}

#[test]
fn rejected_udp_is_answered_administratively_prohibited() -> Result<()> {
    let config = Config { rules: RULES, ..Config::default() };
    let Some(world) = World::start(&config)? else { return Ok(()) };
    world.lan.watch("prohibited", "ip saddr 10.0.0.1 icmp type 3 icmp code 13")?;
    let socket = world.lan.enter(|| Ok(UdpSocket::bind("10.0.0.2:0")?))?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    socket.connect((SERVER, 53))?;
    socket.send(b"question")?;
    // Linux turns ICMP 3/13 into "no route to host" on the socket that caused it.
    let answer = socket.recv(&mut [0; 16]);
    assert_eq!(answer.map_err(|error| error.kind()).err(), Some(ErrorKind::HostUnreachable));
    assert_eq!(world.lan.watched("prohibited")?, 1);
    Ok(())
}
