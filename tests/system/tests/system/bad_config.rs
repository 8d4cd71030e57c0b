//! `vnf check`: wrong files are refused with line and key. Needs neither root nor a running VNF.

use anyhow::Result;
use system_tests::{Config, World};

#[test]
fn every_error_is_reported_with_its_line_and_exit_status_2() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("wrong.toml");
    let text =
        Config { more: "[[route]]\nprefix = \"10.0.0.0/33\"\ncolour = 3", ..Config::default() }
            .text("vt-l", "vt-w", &dir.path().join("vnf.sock"));
    let line = |key: &str| text.lines().position(|line| line.starts_with(key)).map_or(0, |n| n + 1);
    std::fs::write(&path, &text)?;
    let output = World::program(&["check", "-c", &path.display().to_string()])?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{words}");
    for (key, value) in [("prefix = \"10.0.0.0/33\"", "10.0.0.0/33"), ("colour", "colour")] {
        let mut found = words.lines().filter(|message| message.contains(value));
        let place = format!("wrong.toml:{}", line(key));
        assert!(found.any(|message| message.contains(&place)), "{place} is not in:\n{words}");
    }
    Ok(())
}

#[test]
fn good_file_passes() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("good.toml");
    std::fs::write(&path, Config::default().text("vt-l", "vt-w", &dir.path().join("vnf.sock")))?;
    let output = World::program(&["check", "-c", &path.display().to_string()])?;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
