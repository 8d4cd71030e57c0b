//! A `kill -9` leaves nothing that stops the next start.

use std::time::Duration;

use anyhow::Result;
use system_tests::{Config, SERVER, Signal, World};

#[test]
fn killed_vnf_starts_again_at_once() -> Result<()> {
    let Some(mut world) = World::start(&Config::default())? else { return Ok(()) };
    for _ in 0..5 {
        assert_eq!(world.lan.ping(SERVER, 2)?, 2);
        world.vnf.signal(Signal::KILL)?;
        world.vnf.wait_exit(Duration::from_secs(10))?;
        assert!(world.vnf.socket().exists(), "the case to survive is a socket left behind");
        world.restart()?;
    }
    assert_eq!(world.lan.ping(SERVER, 2)?, 2);
    Ok(())
}
