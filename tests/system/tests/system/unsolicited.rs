//! Strangers on the far side.

use std::net::UdpSocket;

use anyhow::Result;
use system_tests::{Config, World, eventually};

#[test]
fn unsolicited_packet_never_reaches_the_inside() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    world.lan.watch("strangers", "ip saddr 198.51.100.254")?;
    let before = world.vnf.drops("nat-no-mapping")?;
    let stranger = world.wan.enter(|| Ok(UdpSocket::bind("198.51.100.254:4000")?))?;
    for port in 1..=400_u16 {
        stranger.send_to(b"knock", (format!("198.51.100.{}", 10 + port % 4), port))?;
    }
    eventually("every one is counted", || {
        world.vnf.drops("nat-no-mapping").is_ok_and(|now| now - before == 400)
    });
    assert_eq!(world.lan.watched("strangers")?, 0);
    assert!(world.vnf.list(&["show", "sessions"])?.is_empty());
    Ok(())
}

#[test]
fn outside_cannot_reach_an_internal_address_directly() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    world.lan.watch("strangers", "ip saddr 198.51.100.254")?;
    world.wan.ip(&["route", "add", "10.0.0.0/24", "via", "198.51.100.1"])?;
    assert_eq!(world.wan.ping("10.0.0.2", 3)?, 0);
    assert_eq!(world.lan.watched("strangers")?, 0);
    eventually("the drops are counted", || world.vnf.drops("nat-bypass").is_ok_and(|n| n == 3));
    Ok(())
}
