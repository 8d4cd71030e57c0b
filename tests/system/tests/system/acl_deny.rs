//! A denied port stays closed, and silently so.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Result;
use system_tests::{Config, SERVER, World, eventually};

#[test]
fn denied_port_stays_closed_and_is_counted() -> Result<()> {
    let rules = r#"[[acl.rule]]
action = "deny"
protocol = "tcp"
destination_port = 23"#;
    let config = Config { rules, ..Config::default() };
    let Some(world) = World::start(&config)? else { return Ok(()) };
    let listeners = world
        .wan
        .enter(|| Ok([TcpListener::bind((SERVER, 23))?, TcpListener::bind((SERVER, 80))?]))?;
    world.wan.watch("telnet", "tcp dport 23")?;
    let target = (SERVER.parse::<std::net::IpAddr>()?, 23).into();
    let attempt =
        world.lan.enter(|| Ok(TcpStream::connect_timeout(&target, Duration::from_secs(2))))?;
    assert_eq!(attempt.map_err(|error| error.kind()).err(), Some(ErrorKind::TimedOut));
    assert_eq!(world.wan.watched("telnet")?, 0, "a denied packet left");
    eventually("the drop is counted", || world.vnf.drops("acl-denied").is_ok_and(|n| n > 0));
    let sessions = world.vnf.list(&["show", "sessions", "--port", "23"])?;
    assert!(sessions.is_empty(), "a refused packet cost a session: {sessions:?}");
    world.lan.enter(|| Ok(TcpStream::connect((SERVER, 80))?))?;
    drop(listeners);
    Ok(())
}
