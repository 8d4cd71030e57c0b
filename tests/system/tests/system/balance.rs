//! No packet gets lost without a name.

use std::net::UdpSocket;

use anyhow::Result;
use serde_json::Value;
use system_tests::{Config, SERVER, World, eventually};

#[test]
fn sums_balance_and_buffers_come_home() -> Result<()> {
    let config = Config { workers: 2, ..Config::default() };
    let Some(world) = World::start(&config)? else { return Ok(()) };
    assert_eq!(world.lan.ping(SERVER, 10)?, 10);
    let stranger = world.wan.enter(|| Ok(UdpSocket::bind("198.51.100.254:0")?))?;
    for port in 1..=500_u16 {
        stranger.send_to(b"knock", ("198.51.100.11", port))?;
    }
    eventually("received = transmitted + dropped + punted", || {
        let workers = world.vnf.list(&["show", "workers"]).unwrap_or_default();
        let sum = |key: &str| workers.iter().filter_map(|worker| worker[key].as_u64()).sum::<u64>();
        let received = sum("rx_packets");
        received > 520 && received == sum("tx_packets") + sum("dropped") + sum("punted")
    });
    let drops = world.vnf.json(&["show", "drops"])?;
    let named: u64 =
        drops.as_object().into_iter().flat_map(|all| all.values()).filter_map(Value::as_u64).sum();
    assert!(named >= 500, "{drops}");
    Ok(())
}
