//! Packets larger than the links.

use anyhow::Result;
use system_tests::{Config, SERVER, World};

#[test]
fn fragments_pass_in_both_directions() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    for size in ["1473", "4000", "8000"] {
        let arguments = ["-n", "-q", "-c", "3", "-i", "0.1", "-W", "5", "-s", size, SERVER];
        let output = world.lan.run("ping", &arguments)?;
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(words.contains("3 received"), "{size} bytes: {words}");
    }
    Ok(())
}
