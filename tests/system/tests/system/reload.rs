//! A new configuration while traffic flows.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Result, ensure};
use system_tests::{Config, SERVER, Signal, World, eventually};

const BLACKHOLE: &str = r#"[[route]]
prefix = "192.0.2.0/24"
discard = true"#;

#[test]
fn reload_keeps_a_connection_alive() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    let listener = world.wan.enter(|| Ok(TcpListener::bind((SERVER, 80))?))?;
    let client = world.lan.enter(|| Ok(TcpStream::connect((SERVER, 80))?))?;
    let (server, _) = listener.accept()?;
    echo(&client, &server)?;
    world.write(&Config { more: BLACKHOLE, ..Config::default() })?;
    let output = world.vnf.reload()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    echo(&client, &server)?;
    assert!(routes(&world)?.contains(&"192.0.2.0/24".to_owned()));
    Ok(())
}

#[test]
fn sighup_reloads() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    world.write(&Config { more: BLACKHOLE, ..Config::default() })?;
    world.vnf.signal(Signal::HUP)?;
    eventually("the new route is there", || {
        routes(&world).is_ok_and(|routes| routes.contains(&"192.0.2.0/24".to_owned()))
    });
    assert_eq!(world.lan.ping(SERVER, 2)?, 2);
    Ok(())
}

#[test]
fn broken_file_changes_nothing() -> Result<()> {
    let Some(mut world) = World::start(&Config::default())? else { return Ok(()) };
    let before = world.vnf.json(&["show", "config"])?;
    let broken = Config { more: "[[route]]\nprefix = \"10.0.0.0/33\"", ..Config::default() };
    world.write(&Config { more: BLACKHOLE, ..broken.clone() })?;
    std::fs::OpenOptions::new()
        .append(true)
        .open(world.config())?
        .write_all(broken.more.as_bytes())?;
    let output = world.vnf.reload()?;
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(world.vnf.json(&["show", "config"])?, before);
    assert!(!routes(&world)?.contains(&"192.0.2.0/24".to_owned()), "half a file was taken");
    assert!(world.vnf.runs()?);
    assert_eq!(world.lan.ping(SERVER, 2)?, 2);
    Ok(())
}

fn routes(world: &World) -> Result<Vec<String>> {
    let routes = world.vnf.list(&["show", "routes"])?;
    Ok(routes.iter().filter_map(|route| route["prefix"].as_str().map(str::to_owned)).collect())
}

fn echo(client: &TcpStream, server: &TcpStream) -> Result<()> {
    let mut buffer = [0; 4];
    for (mut from, mut to) in [(client, server), (server, client)] {
        from.write_all(b"ping")?;
        to.read_exact(&mut buffer)?;
        ensure!(&buffer == b"ping");
    }
    Ok(())
}
