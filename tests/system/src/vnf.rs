//! A running `vnf`, killed when its guard goes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::namespace::Namespace;

/// A `vnf run` process and a client for its socket.
pub struct Vnf {
    child: Child,
    config: PathBuf,
    log: PathBuf,
    socket: PathBuf,
}

impl Vnf {
    /// Starts a process with this configuration, in a namespace if one is given; it is not ready yet.
    pub fn spawn(
        config: &Path,
        socket: &Path,
        log: &Path,
        home: Option<&Namespace>,
    ) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        let mut command = match home {
            Some(home) => home.command(&program().display().to_string()),
            None => {
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "KILL"]).arg(program());
                command
            }
        };
        let child = command
            .args(["run", "-c"])
            .arg(config)
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("setpriv")?;
        let (config, log, socket) = (config.to_owned(), log.to_owned(), socket.to_owned());
        Ok(Self { child, config, log, socket })
    }

    /// Waits until the workers poll and the ports are up.
    pub fn wait_ready(&mut self) -> Result<()> {
        self.wait_for(&["status", "--wait", "20"])
    }

    /// Waits until it answers, whatever its ports are.
    pub fn wait_answering(&mut self) -> Result<()> {
        self.wait_for(&["status"])
    }

    fn wait_for(&mut self, command: &[&str]) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let output = self.client(command)?;
            if output.status.success() {
                return Ok(());
            }
            let over = self.child.try_wait()?.is_some() || Instant::now() > end;
            ensure!(!over, "vnf did not get ready: {}{}", stderr(&output), self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs a client command.
    pub fn client(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(program());
        command.args(arguments).env("VNF_SOCKET", &self.socket);
        command.output().context("vnf")
    }

    /// Runs a client command with `--json` and parses its answer.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.client(&[arguments, &["--json"]].concat())?;
        ensure!(output.status.success(), "vnf {}: {}", arguments.join(" "), stderr(&output));
        serde_json::from_slice(&output.stdout).context("the answer is JSON")
    }

    /// Runs a client command that answers with a list.
    pub fn list(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let answer = self.json(arguments)?;
        Ok(answer.as_array().with_context(|| format!("not a list: {answer}"))?.clone())
    }

    /// Packets dropped for this reason.
    pub fn drops(&self, reason: &str) -> Result<u64> {
        let drops = self.json(&["show", "drops"])?;
        drops[reason].as_u64().with_context(|| format!("no reason {reason} in {drops}"))
    }

    /// `vnf reload`.
    pub fn reload(&self) -> Result<Output> {
        let config = self.config.display().to_string();
        self.client(&["reload", "-c", &config])
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.child.id().try_into()?).context("a process has a number")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits for the end, at most this long.
    pub fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < end, "vnf did not end within {limit:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where its socket is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Vnf {
    fn drop(&mut self) {
        // It may have ended by itself: nothing to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the log of vnf:\n{}", self.log());
        }
    }
}

/// The program under test: `VNF_BIN`, or the one beside these tests in the target directory.
pub fn program() -> PathBuf {
    built("VNF_BIN", "vnf")
}

/// The generator: `PKTGEN_BIN`, or the one beside these tests in the target directory.
pub fn pktgen() -> PathBuf {
    built("PKTGEN_BIN", "pktgen")
}

fn built(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let tests = std::env::current_exe().expect("a running program has a path");
    tests.ancestors().nth(2).expect("tests lie in target/PROFILE/deps").join(name)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
