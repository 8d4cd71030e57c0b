//! What `show neighbors` tells of the resolution of each neighbour.

use anyhow::Result;
use system_tests::{Config, SERVER, World, eventually};

#[test]
fn a_neighbour_that_answered_is_reachable_and_one_that_is_absent_incomplete() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    assert_eq!(world.lan.ping(SERVER, 2)?, 2);
    assert_eq!(state(&world, "198.51.100.254")?.as_deref(), Some("reachable"));
    let absent = world.lan.command("ping").args(["-c", "1", "-W", "5", "198.51.100.99"]).spawn();
    let mut absent = absent?;
    eventually("the absent one is asked for", || {
        state(&world, "198.51.100.99").is_ok_and(|state| state.as_deref() == Some("incomplete"))
    });
    absent.wait()?;
    eventually("it is given up", || state(&world, "198.51.100.99").is_ok_and(|s| s.is_none()));
    Ok(())
}

fn state(world: &World, address: &str) -> Result<Option<String>> {
    let rows = world.vnf.list(&["show", "neighbors"])?;
    let found = rows.iter().find(|row| row["address"] == address);
    Ok(found.and_then(|row| row["state"].as_str()).map(str::to_owned))
}
