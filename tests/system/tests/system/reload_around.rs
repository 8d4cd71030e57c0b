//! A TCP connection through NAT while everything around it is configured anew.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Result, ensure};
use system_tests::{Config, SERVER, World};

const RULES: &str = r#"[[acl.rule]]
action = "deny"
protocol = "udp"
destination_port = 53"#;

const MORE: &str = r#"[[route]]
prefix = "192.0.2.0/24"
discard = true
[[neighbor]]
port = "wan"
address = "198.51.100.77"
mac = "02:00:00:00:00:77"
[sets]
some = ["10.0.0.80"]
[[nat44.forward]]
protocol = "tcp"
external = "198.51.100.13:8080"
internal = "10.0.0.9:80""#;

#[test]
fn a_connection_survives_a_reload_of_everything_around_it() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    let listener = world.wan.enter(|| Ok(TcpListener::bind((SERVER, 80))?))?;
    let client = world.lan.enter(|| Ok(TcpStream::connect((SERVER, 80))?))?;
    let (server, peer) = listener.accept()?;
    let nat = "log = \"none\"\nmax_sessions_per_host = 100\n[nat44.timeouts]\nudp = \"200s\"";
    let plain = Config::default();
    for config in [
        Config { rules: RULES, ..plain.clone() },
        Config { more: MORE, rules: RULES, ..plain.clone() },
        Config { nat, ..plain.clone() },
        Config { pool: "198.51.100.10-198.51.100.20", ..plain.clone() },
        plain,
    ] {
        world.write(&config)?;
        let output = world.vnf.reload()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        echo(&client, &server)?;
    }
    let sessions = world.vnf.list(&["show", "sessions", "--protocol", "tcp"])?;
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert_eq!(sessions[0]["external"], peer.to_string(), "it is the same one");
    Ok(())
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
