//! Tells pktgen which commit it was built from, for its reports.

use std::process::Command;

fn main() {
    let described = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let commit = described.ok().filter(|output| output.status.success());
    let commit = commit.and_then(|output| String::from_utf8(output.stdout).ok());
    println!("cargo::rustc-env=PKTGEN_COMMIT={}", commit.as_deref().map_or("unknown", str::trim));
}
