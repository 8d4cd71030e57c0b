//! Two hosts with a `vnf` between them.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::config::{Config, Third, third_tap};
use crate::namespace::{Namespace, ip};
use crate::vnf::{Vnf, program};

/// The host inside is 10.0.0.2, the far router 198.51.100.254, and behind it is [`SERVER`].
pub struct World {
    /// The running VNF; declared first, so that it ends first.
    pub vnf: Vnf,
    /// Where the VNF runs, if not in the namespace of the tests.
    pub home: Option<Namespace>,
    /// The internal host.
    pub lan: Namespace,
    /// The Internet.
    pub wan: Namespace,
    /// The host behind the third port, if there is one.
    pub third: Option<Namespace>,
    /// The internal host's interface.
    pub lan_tap: String,
    /// The far router's interface.
    pub wan_tap: String,
    third_host: Option<Third>,
    dir: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    /// Starts a world and waits until it carries packets; `None`, having said so, where that is impossible.
    pub fn start(config: &Config) -> Result<Option<Self>> {
        let Some(mut world) = Self::spawn(config)? else { return Ok(None) };
        world.vnf.wait_ready()?;
        world.plug()?;
        world.wan.ip(&["addr", "add", &format!("{SERVER}/32"), "dev", "lo"])?;
        Ok(Some(world))
    }

    /// As `start`, but returns while the VNF is still starting and its taps are not plugged.
    pub fn spawn(config: &Config) -> Result<Option<Self>> {
        if let Some(reason) = obstacle() {
            // Past the harness's capture: a skipped test must be seen.
            writeln!(std::io::stderr(), "skipped: {reason}")?;
            return Ok(None);
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let lan_tap = format!("vt{}l{number}", std::process::id());
        let wan_tap = format!("vt{}w{number}", std::process::id());
        let dir = TempDir::new()?;
        let (lan, wan) = (Namespace::new("lan")?, Namespace::new("wan")?);
        std::fs::write(file(&dir), config.text(&lan_tap, &wan_tap, &socket(&dir)))?;
        let home = config.boxed.then(|| Namespace::new("box")).transpose()?;
        let third = config.third.as_ref().map(|_| Namespace::new("third")).transpose()?;
        for setting in ["all", "default"] {
            let setting = format!("net.ipv6.conf.{setting}.disable_ipv6=0");
            home.iter()
                .try_for_each(|home| home.run("sysctl", &["-q", "-w", &setting]).map(drop))?;
        }
        let log = dir.path().join("vnf.log");
        let vnf = Vnf::spawn(&file(&dir), &socket(&dir), &log, home.as_ref())?;
        Ok(Some(Self {
            vnf,
            home,
            lan,
            wan,
            third,
            lan_tap,
            wan_tap,
            third_host: config.third.clone(),
            dir,
            _turn: turn,
        }))
    }

    /// Gives each host its end of the taps.
    pub fn plug(&self) -> Result<()> {
        let from = self.home.as_ref();
        attach(from, &self.lan, &self.lan_tap, "02:00:00:00:01:02", "10.0.0.2/24")?;
        attach(from, &self.wan, &self.wan_tap, "02:00:00:00:02:fe", "198.51.100.254/24")?;
        self.lan.ip(&["route", "add", "default", "via", "10.0.0.1"])?;
        if let (Some(third), Some(Third { host, gateway, .. })) = (&self.third, &self.third_host) {
            attach(from, third, &third_tap(&self.wan_tap), "02:00:00:00:03:02", host)?;
            third.ip(&["route", "add", "default", "via", gateway])?;
        }
        Ok(())
    }

    /// Gives both hosts addresses of IPv6, fd00:a::2 and fd00:b::2, and a way to each other.
    pub fn enable_ipv6(&self) -> Result<()> {
        for (host, tap, address, gateway) in [
            (&self.lan, &self.lan_tap, "fd00:a::2/64", "fd00:a::1"),
            (&self.wan, &self.wan_tap, "fd00:b::2/64", "fd00:b::1"),
        ] {
            host.run("sysctl", &["-q", "-w", &format!("net.ipv6.conf.{tap}.disable_ipv6=0")])?;
            host.ip(&["addr", "add", address, "dev", tap, "nodad"])?;
            host.ip(&["-6", "route", "add", "default", "via", gateway, "dev", tap])?;
        }
        Ok(())
    }

    /// Starts another VNF in the place of one that ended, and plugs its taps.
    pub fn restart(&mut self) -> Result<()> {
        let log = self.dir.path().join("vnf.log");
        self.vnf = Vnf::spawn(&self.config(), self.vnf.socket(), &log, self.home.as_ref())?;
        self.vnf.wait_ready()?;
        self.plug()
    }

    /// Where the configuration lies.
    pub fn config(&self) -> PathBuf {
        file(&self.dir)
    }

    /// A path beside the configuration.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes another configuration; `vnf reload` makes it count.
    pub fn write(&self, config: &Config) -> Result<()> {
        let text = config.text(&self.lan_tap, &self.wan_tap, self.vnf.socket());
        Ok(std::fs::write(self.config(), text)?)
    }

    /// Runs the program to its end, a minute at most, without a socket of this world: e.g. `vnf check`.
    pub fn program(arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "60"]).arg(program()).args(arguments);
        command.output().context("timeout")
    }

    /// Adds addresses to the internal host: 10.0.0.`first` and the `count - 1` after it.
    pub fn more_hosts(&self, first: u8, count: u8) -> Result<Vec<Ipv4Addr>> {
        (first..first + count)
            .map(|last| {
                let address = Ipv4Addr::new(10, 0, 0, last);
                self.lan.ip(&["addr", "add", &format!("{address}/24"), "dev", &self.lan_tap])?;
                Ok(address)
            })
            .collect()
    }
}

/// Whether an address is one of the pool's.
pub fn pooled(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if matches!(v4.octets(), [198, 51, 100, 10..=13]))
}

fn attach(
    from: Option<&Namespace>,
    to: &Namespace,
    tap: &str,
    mac: &str,
    address: &str,
) -> Result<()> {
    let arguments = ["link", "set", tap, "netns", to.name()];
    match from {
        Some(home) => home.ip(&arguments)?,
        None => ip(&arguments)?,
    };
    to.ip(&["link", "set", tap, "address", mac])?;
    to.ip(&["addr", "add", address, "dev", tap])?;
    to.ip(&["link", "set", tap, "up"])?;
    Ok(())
}

fn obstacle() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        Some("network namespaces need root")
    } else if !Path::new("/dev/net/tun").exists() {
        Some("/dev/net/tun is missing")
    } else {
        None
    }
}

fn file(dir: &TempDir) -> PathBuf {
    dir.path().join("vnf.toml")
}

fn socket(dir: &TempDir) -> PathBuf {
    dir.path().join("vnf.sock")
}

/// An address behind the far router.
pub const SERVER: &str = "203.0.113.7";

// One world at a time: they would share the same few cores.
static TURN: Mutex<()> = Mutex::new(());
static NEXT: AtomicU32 = AtomicU32::new(0);
