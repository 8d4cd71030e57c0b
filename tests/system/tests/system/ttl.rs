//! A router shows itself to traceroute.

use anyhow::Result;
use system_tests::{Config, SERVER, World};

#[test]
fn packet_that_dies_here_is_answered_time_exceeded() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    world.wan.watch("echo", "icmp type echo-request")?;
    let output = world.lan.run("ping", &["-n", "-c", "1", "-W", "5", "-t", "1", SERVER])?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(words.contains("From 10.0.0.1 icmp_seq=1 Time to live exceeded"), "{words}");
    assert_eq!(world.wan.watched("echo")?, 0, "a dead packet was forwarded");
    Ok(())
}

#[test]
fn time_exceeded_from_beyond_finds_its_way_back_through_nat() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    // No such address behind the far router: it forwards back to us until the TTL is used up.
    world.wan.run("sysctl", &["-q", "-w", "net.ipv4.ip_forward=1"])?;
    world.wan.ip(&["route", "add", "192.0.2.0/24", "via", "198.51.100.1"])?;
    let output = world.lan.run("ping", &["-n", "-c", "1", "-W", "5", "-t", "2", "192.0.2.9"])?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(words.contains("From 198.51.100.254 icmp_seq=1 Time to live exceeded"), "{words}");
    Ok(())
}
