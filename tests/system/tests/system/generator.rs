//! Two of our own programs, two processes, shared memory between them.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use system_tests::{Config, Vnf, cores, pktgen};

#[test]
fn generator_finds_every_packet_translated_right() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name);
    let device = |number: u8, name: &str| {
        let socket = path(name).display().to_string();
        format!("net_memif{number},role=server,socket-abstract=no,socket={socket}")
    };
    let text = Config::default()
        .text("TAP", "TAP", &path("vnf.sock"))
        .replace("net_tap0,iface=TAP", &device(0, "lan.sock"))
        .replace("net_tap1,iface=TAP", &device(1, "wan.sock"));
    std::fs::write(path("vnf.toml"), text)?;
    let mut vnf = Vnf::spawn(&path("vnf.toml"), &path("vnf.sock"), &path("vnf.log"))?;
    vnf.wait_answering()?;
    let port = |name: &str, addresses: &str| {
        format!("memif:socket={},role=client,id=0,{addresses}", path(name).display())
    };
    let output = Command::new(pktgen())
        .args(["--core", &cores()[0].to_string()])
        .args(["run", "--quiet", "--load", "2kpps", "--time", "3s", "--flows", "200"])
        .args(["--pool", "198.51.100.8/29", "--json"])
        .arg(path("report.json"))
        .args(["--port", &port("lan.sock", "ip=10.0.0.2/24,gw=10.0.0.1")])
        .args(["--port", &port("wan.sock", "ip=198.51.100.254/24,gw=198.51.100.1")])
        .output()
        .context("pktgen")?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = std::fs::read_to_string(path("report.json")).context(words)?;
    let report: Value = serde_json::from_str(&report)?;
    let number = |key: &str| report[key].as_u64().with_context(|| key.to_owned());
    assert!(number("tx_packets")? > 0);
    // Of what it sent: on a busy machine it may not come to send all it meant to.
    assert_eq!(number("rx_packets")?, number("tx_packets")?, "{report}");
    for defect in ["duplicated", "corrupted", "mistranslated"] {
        assert_eq!(number(defect)?, 0, "{report}");
    }
    let sessions = vnf.json(&["status"])?["sessions"].as_u64();
    assert!(sessions >= Some(200), "{sessions:?}");
    Ok(())
}
