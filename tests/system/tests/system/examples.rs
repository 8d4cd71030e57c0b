//! What the documentation shows is accepted. Needs neither root nor a running VNF.

use std::path::Path;

use anyhow::{Result, ensure};
use system_tests::World;

#[test]
fn configurations_in_the_documentation_are_valid() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut examples = deployed(&root.join("deploy"))?;
    let readme = std::fs::read_to_string(root.join("README.md"))?;
    let blocks = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    examples.extend(blocks.map(|block| ("README.md".to_owned(), block.to_owned())));
    ensure!(examples.len() > 3, "no examples found");
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("vnf.toml");
    for (name, text) in examples {
        std::fs::write(&path, text)?;
        let output = World::program(&["check", "-c", &path.display().to_string()])?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(0), "{name}: {words}");
    }
    Ok(())
}

/// Names and texts of the TOML files below a directory, those inside Kubernetes manifests included.
fn deployed(dir: &Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(deployed(&path)?);
            continue;
        }
        let (name, text) = (path.display().to_string(), std::fs::read_to_string(&path)?);
        if name.ends_with(".toml") {
            found.push((name, text));
        } else if let Some((_, block)) = text.split_once("vnf.toml: |\n") {
            let lines =
                block.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
            found.push((name, lines.map(|line| line.trim_start().to_owned() + "\n").collect()));
        }
    }
    Ok(found)
}
