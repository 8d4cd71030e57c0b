//! Interfaces that go down, come back, or vanish.

use anyhow::Result;
use system_tests::{Config, SERVER, World};

#[test]
fn traffic_and_sessions_survive_a_link_that_goes_down_and_up() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    assert_eq!(world.lan.ping(SERVER, 2)?, 2);
    let before = world.vnf.list(&["show", "sessions"])?.len();
    world.lan.ip(&["link", "set", &world.lan_tap, "down"])?;
    assert_ne!(world.lan.run("ping", &["-c", "1", "-W", "1", SERVER])?.status.code(), Some(0));
    world.lan.ip(&["link", "set", &world.lan_tap, "up"])?;
    world.lan.ip(&["route", "replace", "default", "via", "10.0.0.1"])?;
    assert_eq!(world.lan.ping(SERVER, 2)?, 2);
    assert!(world.vnf.list(&["show", "sessions"])?.len() >= before, "sessions were lost");
    Ok(())
}

#[test]
fn deleted_interface_does_not_end_the_vnf() -> Result<()> {
    let Some(mut world) = World::start(&Config::default())? else { return Ok(()) };
    assert_eq!(world.lan.ping(SERVER, 2)?, 2);
    world.lan.ip(&["link", "del", &world.lan_tap])?;
    assert_eq!(world.wan.ping("198.51.100.1", 5)?, 5, "the other port suffers");
    assert!(world.vnf.runs()?, "{}", world.vnf.log());
    world.vnf.json(&["show", "ports"])?;
    Ok(())
}
