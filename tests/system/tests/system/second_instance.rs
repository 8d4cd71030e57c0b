//! One VNF to a socket.

use anyhow::Result;
use system_tests::{Config, SERVER, World};

#[test]
fn second_instance_on_the_same_socket_is_refused() -> Result<()> {
    let Some(mut world) = World::start(&Config::default())? else { return Ok(()) };
    let path = world.path("second.toml");
    let text = Config::default().text("vt-second-l", "vt-second-w", world.vnf.socket());
    std::fs::write(&path, text)?;
    let output = World::program(&["run", "-c", &path.display().to_string()])?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains(&world.vnf.socket().display().to_string()), "{words}");
    assert!(world.vnf.runs()?);
    assert_eq!(world.lan.ping(SERVER, 2)?, 2, "the first one suffered");
    world.vnf.json(&["status"])?;
    Ok(())
}
