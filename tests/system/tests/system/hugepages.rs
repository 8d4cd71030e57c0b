//! With and without hugepages.

use anyhow::Result;
use system_tests::{Config, SERVER, World};

#[test]
fn works_without_hugepages() -> Result<()> {
    let config = Config { hugepages: "never", ..Config::default() };
    let Some(world) = World::start(&config)? else { return Ok(()) };
    assert_eq!(world.lan.ping(SERVER, 3)?, 3);
    Ok(())
}

#[test]
fn more_memory_than_there_is_is_refused_with_the_remedy() -> Result<()> {
    let Some(mut world) = World::spawn(&Config::default())? else { return Ok(()) };
    world.vnf.wait_ready()?;
    let path = world.path("greedy.toml");
    let text = Config { hugepages: "required", ..Config::default() }
        .text("vt-greedy-l", "vt-greedy-w", &world.path("greedy.sock"))
        .replace("256MiB", "512GiB");
    std::fs::write(&path, text)?;
    let output = World::program(&["run", "-c", &path.display().to_string()])?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("hugepages"), "{words}");
    Ok(())
}
