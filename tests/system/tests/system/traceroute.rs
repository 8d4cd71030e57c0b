//! Every hop shows itself to traceroute and mtr, in both families.

use anyhow::Result;
use system_tests::{Config, SERVER, World};

#[test]
fn traceroute_through_nat_shows_the_vnf_and_the_server() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    let hops = hops(&world, &["traceroute", "-n", "-w", "3", "-q", "1", SERVER])?;
    assert_eq!(hops, ["10.0.0.1", SERVER]);
    Ok(())
}

#[test]
fn traceroute_of_ipv6_shows_the_vnf_and_the_server() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    world.enable_ipv6()?;
    assert_eq!(world.lan.ping("fd00:b::2", 1)?, 1);
    let hops = hops(&world, &["traceroute", "-6", "-n", "-w", "3", "-q", "1", "fd00:b::2"])?;
    assert_eq!(hops, ["fd00:a::1", "fd00:b::2"]);
    Ok(())
}

#[test]
fn mtr_shows_every_hop_without_loss() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    assert_eq!(world.lan.ping(SERVER, 1)?, 1);
    let output = world.lan.run("mtr", &["-n", "-r", "-c", "3", "-i", "0.3", SERVER])?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    for (number, hop) in [("1.|--", "10.0.0.1"), ("2.|--", SERVER)] {
        let line = words.lines().find(|line| line.contains(number)).unwrap_or_default();
        assert!(line.contains(hop) && line.contains(" 0.0%"), "{words}");
    }
    Ok(())
}

/// The second word of every line that begins with a number.
fn hops(world: &World, command: &[&str]) -> Result<Vec<String>> {
    let output = world.lan.run(command[0], &command[1..])?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    let hop = |line: &str| {
        let mut words = line.split_whitespace();
        words.next()?.parse::<u8>().ok()?;
        words.next().map(str::to_owned)
    };
    Ok(words.lines().filter_map(hop).collect())
}
