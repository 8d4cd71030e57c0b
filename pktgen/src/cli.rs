//! The command line (pktgen.md section 4.4): what every command takes; each command has its own file.

mod acl;
mod calibrate;
mod matrix;
mod mlr;
mod nat;
mod output;
mod probe;
mod publish;
mod reconf;
mod replay;
mod report;
mod rfc2544;
mod run;
mod soak;
mod steady;
mod storm;
mod traffic;
mod verify;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::control::{Hook, HookError};
use crate::measure::Unresolved;
use crate::parse;
use crate::port::Spec;
use crate::profile::ProfileError;
use crate::session::SessionError;
use crate::setup::LayoutError;
use crate::trials::TrialError;

/// Traffic generator and measuring instrument that understands NAT.
#[derive(Debug, Parser)]
#[command(name = "pktgen", version)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
struct Global {
    /// A port, given twice: first inside, then outside. tap:name=tg0 | memif:socket=PATH,role=client,id=0 |
    /// af_packet:iface=veth0 |
    /// af_xdp:iface=veth0 | vhost-user:path=PATH | virtio-user:path=PATH | ring:NAME | null | pci:ADDRESS, or a DPDK device such as net_tap0,iface=x; each
    /// with ,ip=10.0.0.2/16 ,gw=10.0.0.1 (both may be repeated: IPv4 and IPv6) ,mac=02::1 ,vlan=100
    #[arg(short = 'p', long = "port", value_name = "SPEC", global = true)]
    ports: Vec<Spec>,
    /// Ports, tested system and streams in a TOML file, in the place of -p and of options on traffic
    #[arg(short, long, value_name = "FILE", global = true, conflicts_with = "ports")]
    config: Option<PathBuf>,
    /// Core of the worker [default: the last one]
    #[arg(long, value_name = "N", global = true)]
    core: Option<usize>,
    /// Ordinary pages, with PCI devices too (virtual devices always use them)
    #[arg(long, global = true)]
    no_huge: bool,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE", global = true)]
    json: Option<PathBuf>,
    /// Write results, trials, latencies and seconds as CSV files into a directory
    #[arg(long, value_name = "DIR", global = true)]
    csv: Option<PathBuf>,
    /// Write the report as one HTML page with plots
    #[arg(long, value_name = "FILE", global = true)]
    html: Option<PathBuf>,
    /// Show one screen, twice a second, instead of a line per second
    #[arg(long, global = true, conflicts_with = "quiet")]
    live: bool,
    /// Write the first 16 frames with a defect as pcapng, the reason as comment
    #[arg(long, value_name = "FILE", global = true)]
    pcap_errors: Option<PathBuf>,
    /// Print the verdict only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Makes flows, patterns and keys; the same seed gives the same packets [default: random]
    #[arg(long, value_name = "N", global = true)]
    seed: Option<u64>,
    /// Command that controls the tested system: flap=CMD, flush=CMD, reload=CMD, stats=CMD, or CMD, which gets the word as its argument
    #[arg(long, value_name = "CMD", global = true)]
    hook: Vec<Hook>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What the generator itself can do, kept for --load 80% and for reports
    Calibrate(calibrate::Calibrate),
    /// Do packet filters decide and count as their rules say?
    Acl(acl::Acl),
    /// Search the highest rates with no and little loss (MLRsearch, RFC 9971)
    Mlr(mlr::Mlr),
    /// Find out what a NAT does, and how well
    Nat(nat::Nat),
    /// Send recorded traffic again, through a translator too
    Replay(replay::Replay),
    /// Render pages from the JSON of earlier measurements, and compare them
    Report(report::Report),
    /// Throughput, latency, loss, back-to-back frames, recovery and reset after RFC 2544
    Rfc2544(rfc2544::Rfc2544),
    /// Delay variation and latency after RFC 8219
    Rfc8219(rfc2544::Rfc8219),
    /// How much does each step of reconfiguration lose?
    Reconf(reconf::Reconf),
    /// Send flows at a rate, verify every packet, measure loss and latency
    Run(run::Run),
    /// Check every packet of many flows at a low rate: correctness only
    Verify(verify::Verify),
    /// A constant load for long, with reloads, flaps and hostile frames meanwhile
    Soak(soak::Soak),
    /// What do attacks do to a good stream?
    Storm(storm::Storm),
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Environment(anyhow::Error),
    #[error("{0}")]
    Usage(String),
}

impl Cli {
    /// Does what was asked; the exit status is that of pktgen.md section 4.4.
    pub fn run(self) -> u8 {
        let done = match &self.command {
            Command::Calibrate(command) => command.run(&self.global),
            Command::Acl(command) => command.run(&self.global),
            Command::Replay(command) => command.run(&self.global),
            Command::Nat(command) => command.run(&self.global),
            Command::Mlr(command) => command.run(&self.global),
            Command::Report(command) => command.run(&self.global),
            Command::Rfc2544(command) => command.run(&self.global),
            Command::Rfc8219(command) => command.run(&self.global),
            Command::Reconf(command) => command.run(&self.global),
            Command::Run(command) => command.run(&self.global),
            Command::Verify(command) => command.run(&self.global),
            Command::Soak(command) => command.run(&self.global),
            Command::Storm(command) => command.run(&self.global),
        };
        done.unwrap_or_else(|failure| {
            eprintln!("pktgen: {failure}");
            failure.code()
        })
    }
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Environment(_) => 3,
            Self::Usage(_) => 2,
        }
    }
}

impl From<LayoutError> for Failure {
    fn from(error: LayoutError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::Environment(error.into())
    }
}

impl From<HookError> for Failure {
    fn from(error: HookError) -> Self {
        match error {
            HookError::Missing(..) => Self::Usage(error.to_string()),
            HookError::Failed { .. } | HookError::NoSessions(_) => Self::Environment(error.into()),
        }
    }
}

impl From<Unresolved> for Failure {
    fn from(error: Unresolved) -> Self {
        Self::Environment(error.into())
    }
}

impl From<TrialError> for Failure {
    fn from(error: TrialError) -> Self {
        Self::Environment(error.into())
    }
}

/// A failure of the machine around.
fn environment(why: &str) -> Failure {
    Failure::Environment(anyhow::anyhow!("{why}"))
}

#[cfg(test)]
mod tests;
