//! A prefix behind two routers: flows spread over both, and each stays with its own.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use system_tests::{Config, SERVER, Third, World, eventually};

// Half of 4,000 fair coins is 2,000 ± 32: the tenth that is allowed is more than six sigma.
const FLOWS: u16 = 4_000;
const AT_ONCE: usize = 100;

#[test]
fn flows_spread_over_two_next_hops_and_each_stays_with_one() -> Result<()> {
    let third = Third {
        keys: "addresses = [\"192.0.2.1/24\"]\nnat = \"external\"",
        host: "192.0.2.254/24",
        gateway: "192.0.2.1",
    };
    let more = r#"[[route]]
prefix = "203.0.113.0/24"
next_hops = ["198.51.100.254", "192.0.2.254"]"#;
    let config = Config { third: Some(third), more, ..Config::default() };
    let Some(world) = World::start(&config)? else { return Ok(()) };
    let third = world.third.as_ref().context("a third host")?;
    third.ip(&["addr", "add", &format!("{SERVER}/32"), "dev", "lo"])?;
    for router in ["198.51.100.254", "192.0.2.254"] {
        assert_eq!(world.lan.ping(router, 1)?, 1, "{router}");
    }
    let serve = || Ok(UdpSocket::bind((SERVER, 9000))?);
    let servers = [world.wan.enter(serve)?, third.enter(serve)?];
    servers.iter().try_for_each(|server| server.set_nonblocking(true))?;
    let before = ways(&world, &servers)?;
    let first = before.iter().filter(|way| **way == 0).count();
    assert!((1_800..=2_200).contains(&first), "{first} of {FLOWS} flows by the first next hop");
    // Sessions remember their next hops; after this each asks the routes again.
    ensure!(world.vnf.reload()?.status.success(), "reload");
    assert!(ways(&world, &servers)? == before, "flows went over to the other next hop");
    Ok(())
}

/// Sends a packet of every flow and waits for its answer; tells which server each came to.
fn ways(world: &World, servers: &[UdpSocket; 2]) -> Result<Vec<usize>> {
    let ports: Vec<u16> = (20_000..20_000 + FLOWS).collect();
    let mut all = Vec::new();
    for ports in ports.chunks(AT_ONCE) {
        let bind = |port: &u16| Ok(UdpSocket::bind(("10.0.0.2", *port))?);
        let clients: Vec<_> = world.lan.enter(|| ports.iter().map(bind).collect::<Result<_>>())?;
        for (number, client) in (0_u8..).zip(&clients) {
            client.set_read_timeout(Some(Duration::from_secs(10)))?;
            client.send_to(&[number], (SERVER, 9000))?;
        }
        let mut ways = vec![None; clients.len()];
        let mut number = [0];
        eventually("a packet of every flow has come", || {
            for (way, server) in servers.iter().enumerate() {
                while let Ok((_, peer)) = server.recv_from(&mut number) {
                    ways[usize::from(number[0])] = Some(way);
                    server.send_to(&number, peer).expect("an answer leaves");
                }
            }
            ways.iter().all(Option::is_some)
        });
        clients.iter().try_for_each(|client| client.recv(&mut number).map(drop))?;
        all.extend(ways.into_iter().flatten());
    }
    Ok(all)
}
