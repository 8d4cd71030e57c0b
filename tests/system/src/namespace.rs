//! A network namespace that lives as long as its guard, and code that runs inside it.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

/// A named network namespace, deleted on drop.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace without IPv6 chatter and with `lo` up; names carry this process's id.
    pub fn new(label: &str) -> Result<Self> {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        let namespace = Self { name: format!("{PREFIX}{}-{label}", std::process::id()) };
        ip(&["netns", "add", &namespace.name])?;
        for setting in ["net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"]
        {
            // A kernel without IPv6 has no such setting, and needs none.
            namespace.command("sysctl").args(["-q", "-w", setting]).output()?;
        }
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// The name under which `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` with these arguments inside.
    pub fn ip(&self, arguments: &[&str]) -> Result<String> {
        ip(&[&["-n", &self.name], arguments].concat())
    }

    /// A command that will run inside and die with the test.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "setpriv", "--pdeathsig", "KILL", program]);
        command
    }

    /// Runs a command inside to its end.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        self.command(program).args(arguments).output().with_context(|| program.to_owned())
    }

    /// Runs `work` on a thread inside: sockets that it opens belong to this namespace for ever.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let door = File::open(self.path())?;
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(door.as_fd(), Some(LinkNameSpaceType::Network))?;
                work()
            });
            inside.join().expect("the thread inside the namespace does not panic")
        })
    }

    /// Starts to count IPv4 packets that arrive here and match an nftables expression.
    pub fn watch(&self, name: &str, expression: &str) -> Result<()> {
        let chain = "{ type filter hook prerouting priority -300; }";
        for words in [
            "add table ip oracle".to_owned(),
            format!("add counter ip oracle {name}"),
            format!("add chain ip oracle seen {chain}"),
            format!("add rule ip oracle seen {expression} counter name {name}"),
        ] {
            let output = self.run("nft", &[&words])?;
            ensure!(output.status.success(), "nft {words}: {}", text(&output.stderr));
        }
        Ok(())
    }

    /// How many packets a counter of `watch` has seen.
    pub fn watched(&self, name: &str) -> Result<u64> {
        let output = self.run("nft", &["-j", "list", "counter", "ip", "oracle", name])?;
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        let items = answer["nftables"].as_array().context("nft answers with a list")?;
        let packets = items.iter().find_map(|item| item["counter"]["packets"].as_u64());
        packets.with_context(|| format!("no counter named {name}"))
    }

    /// Pings `count` times and returns how many answers came.
    pub fn ping(&self, target: &str, count: u32) -> Result<u32> {
        let count = count.to_string();
        let output =
            self.run("ping", &["-n", "-q", "-i", "0.1", "-W", "2", "-c", &count, target])?;
        let words = text(&output.stdout);
        let received = words.split(", ").find_map(|part| part.strip_suffix(" received"));
        Ok(received.with_context(|| format!("ping: {words}{}", text(&output.stderr)))?.parse()?)
    }

    fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nothing to do about a failure here; the next run sweeps.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

/// Runs `ip` in the namespace of the tests.
pub(crate) fn ip(arguments: &[&str]) -> Result<String> {
    let output = Command::new("ip").args(arguments).output().context("ip")?;
    if !output.status.success() {
        bail!("ip {}: {}", arguments.join(" "), text(&output.stderr));
    }
    Ok(text(&output.stdout))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

// Deletes what test processes left that were killed.
fn sweep() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            let _ = ip(&["netns", "del", &name]);
        }
    }
}

const PREFIX: &str = "vnf-test-";
