//! What the documentation shows is accepted. Needs neither root nor a running VNF.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use system_tests::World;

#[test]
fn configurations_in_the_documentation_are_valid() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dir = tempfile::tempdir()?;
    let mut files = deployed(&root.join("deploy"))?;
    let readme = std::fs::read_to_string(root.join("README.md"))?;
    for (number, block) in readme.split("```toml\n").skip(1).enumerate() {
        let text = block.split("```").next().context("the block ends")?;
        let path = dir.path().join(format!("readme-{number}.toml"));
        std::fs::write(&path, text)?;
        files.push(path);
    }
    ensure!(!files.is_empty(), "no example found");
    for file in files {
        let output = World::program(&["check", "-c", &file.display().to_string()])?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(0), "{}: {words}", file.display());
    }
    Ok(())
}

fn deployed(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(deployed(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(files)
}
