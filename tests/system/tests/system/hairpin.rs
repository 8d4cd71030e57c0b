//! Two hosts inside that know each other by their external endpoints.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::Result;
use system_tests::{Config, SERVER, World, pooled};

#[test]
fn hosts_inside_reach_each_other_through_the_pool() -> Result<()> {
    between_two_hosts(Config::default().pool)
}

#[test]
fn hosts_that_share_an_external_address_reach_each_other() -> Result<()> {
    between_two_hosts("198.51.100.11")
}

fn between_two_hosts(pool: &'static str) -> Result<()> {
    let nat = "filtering = \"endpoint-independent\"";
    let config = Config { pool, nat, ..Config::default() };
    let Some(world) = World::start(&config)? else { return Ok(()) };
    world.more_hosts(3, 1)?;
    let server = world.wan.enter(|| Ok(UdpSocket::bind((SERVER, 3478))?))?;
    let [callee, caller] = ["10.0.0.2:5000", "10.0.0.3:5000"]
        .map(|address| world.lan.enter(|| Ok(UdpSocket::bind(address)?)));
    let (callee, caller) = (callee?, caller?);
    for socket in [&server, &callee, &caller] {
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    }
    let learn = |socket: &UdpSocket| -> Result<SocketAddr> {
        socket.send_to(b"who am I", (SERVER, 3478))?;
        Ok(server.recv_from(&mut [0; 16])?.1)
    };
    let (callee_outside, caller_outside) = (learn(&callee)?, learn(&caller)?);
    caller.send_to(b"hello", callee_outside)?;
    let (_, from) = callee.recv_from(&mut [0; 16])?;
    assert_eq!(from, caller_outside, "RFC 4787 REQ-9a: the external source");
    assert!(pooled(from.ip()));
    callee.send_to(b"hello yourself", from)?;
    assert_eq!(caller.recv_from(&mut [0; 16])?.1, callee_outside);
    Ok(())
}
