//! The generator alone, on each kind of ports that can be joined without a kernel interface.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use system_tests::{cores, pktgen};

#[test]
fn every_kind_of_joined_ports_carries_what_it_is_given() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    let memif = |role: &str| format!("memif:socket={},role={role}", path("memif"));
    for ports in [
        [memif("server"), memif("client")],
        [
            format!("vhost-user:path={}", path("vhost")),
            format!("virtio-user:path={}", path("vhost")),
        ],
        ["ring:a,vlan=100", "ring:b,vlan=100"].map(str::to_owned),
    ] {
        let output = Command::new(pktgen())
            .args(["--core", &cores()[0].to_string(), "--port", &ports[0], "--port", &ports[1]])
            .args([
                "verify",
                "--quiet",
                "--flows",
                "60",
                "--proto",
                "udp,tcp,icmp",
                "--size",
                "imix",
            ])
            .args(["--json", &path("report.json")])
            .output()
            .context("pktgen")?;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = std::fs::read_to_string(path("report.json")).context(words)?;
        let report: Value = serde_json::from_str(&report)?;
        assert_eq!(report["verdict"], "pass", "{ports:?}: {report}");
        assert_eq!(report["rx_packets"], 480, "{ports:?}");
    }
    Ok(())
}
