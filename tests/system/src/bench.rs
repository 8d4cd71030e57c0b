//! A `vnf` with a generator on both sides: two of our own programs, two processes, shared memory between them.

use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Config, Vnf, config::cores, vnf::pktgen};

/// A running VNF on two memif ports, and a place for the reports.
pub struct Bench {
    /// The running VNF; declared first, so that it ends first.
    pub vnf: Vnf,
    dir: TempDir,
}

impl Bench {
    /// Starts a VNF and waits until it answers.
    pub fn start(config: &Config) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let path = |name: &str| dir.path().join(name);
        let device = |number: u8, name: &str| {
            let socket = path(name).display().to_string();
            format!("net_memif{number},role=server,socket-abstract=no,socket={socket}")
        };
        let text = config
            .text("TAP", "TAP", &path("vnf.sock"))
            .replace("net_tap0,iface=TAP", &device(0, "lan.sock"))
            .replace("net_tap1,iface=TAP", &device(1, "wan.sock"));
        std::fs::write(path("vnf.toml"), text)?;
        let mut vnf = Vnf::spawn(&path("vnf.toml"), &path("vnf.sock"), &path("vnf.log"), None)?;
        vnf.wait_answering()?;
        Ok(Self { vnf, dir })
    }

    /// Runs the generator to its end, as the hosts 10.0.0.2 and 198.51.100.254, with hooks for this VNF; gives its report
    /// and what it printed.
    pub fn pktgen(&self, arguments: &[&str]) -> Result<(Value, Output)> {
        let port = |name: &str, addresses: &str| {
            format!("memif:socket={},role=client,id=0,{addresses}", self.path(name).display())
        };
        let output = Command::new(pktgen())
            .args(["--core", &cores()[0].to_string()])
            .args(arguments)
            .args(["--json", &self.path("report.json").display().to_string()])
            .args(["--port", &port("lan.sock", "ip=10.0.0.2/24,gw=10.0.0.1")])
            .args(["--port", &port("wan.sock", "ip=198.51.100.254/24,gw=198.51.100.1")])
            .env("VNF_SOCKET", self.vnf.socket())
            .output()
            .context("pktgen")?;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = std::fs::read_to_string(self.path("report.json")).context(words)?;
        Ok((serde_json::from_str(&report)?, output))
    }

    /// A path in the bench's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}
