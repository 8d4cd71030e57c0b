//! The link of a tap: up at start, up in another namespace, down once deleted.

use anyhow::Result;
use system_tests::{Config, World};

#[test]
fn tap_is_up_wherever_it_is_until_it_is_deleted() -> Result<()> {
    let Some(mut world) = World::spawn(&Config::default())? else { return Ok(()) };
    world.vnf.wait_ready()?;
    assert_eq!(links(&world)?, ["up", "up"], "both taps are still here");
    world.plug()?;
    assert_eq!(links(&world)?, ["up", "up"], "both taps are elsewhere");
    world.vnf.json(&["status", "--wait", "10"])?;
    world.lan.ip(&["link", "del", &world.lan_tap])?;
    assert_eq!(links(&world)?, ["down", "up"], "one tap is deleted");
    Ok(())
}

fn links(world: &World) -> Result<Vec<String>> {
    let ports = world.vnf.list(&["show", "ports"])?;
    Ok(ports.iter().filter_map(|port| port["link"].as_str().map(str::to_owned)).collect())
}
