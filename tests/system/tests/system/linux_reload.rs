//! Taps of services on the box: what a reload changes about them, and what is refused at start.

use std::time::Duration;

use anyhow::{Result, ensure};
use system_tests::{Config, World, eventually};

#[test]
fn addresses_on_the_tap_follow_a_reload() -> Result<()> {
    let Some(world) = World::start(&Config::boxed())? else { return Ok(()) };
    let home = world.home.as_ref().expect("a box of its own");
    let text = std::fs::read_to_string(world.config())?;
    let other = text.replace("\"fd00:a::1/64\"", "\"fd00:c::1/64\", \"10.9.0.1/24\"");
    std::fs::write(world.config(), other)?;
    let output = world.vnf.reload()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    eventually("the tap has the new addresses, and the old one no more", || {
        home.ip(&["addr", "show", "dev", "xlan"]).is_ok_and(|addresses| {
            let has = |net: &str| addresses.contains(net);
            has("10.0.0.1/24") && has("10.9.0.1/24") && has("fd00:c::1/64") && !has("fd00:a::1/64")
        })
    });
    Ok(())
}

#[test]
fn a_pool_address_of_the_box_needs_ports_of_its_own() -> Result<()> {
    let shared = Config { pool: "198.51.100.1", ..Config::boxed() };
    let Some(mut world) = World::spawn(&shared)? else { return Ok(()) };
    let status = world.vnf.wait_exit(Duration::from_secs(20))?;
    ensure!(status.code() == Some(1), "{status}: {}", world.vnf.log());
    ensure!(world.vnf.log().contains("set nat44.port_range = \"1024-"), "{}", world.vnf.log());
    drop(world);
    let apart = Config { nat: "port_range = \"1024-20000\"", ..shared };
    let Some(world) = World::start(&apart)? else { return Ok(()) };
    assert_eq!(world.wan.ping("198.51.100.1", 2)?, 2);
    Ok(())
}
