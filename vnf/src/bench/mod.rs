//! `vnf bench`: what one worker costs per packet, on real frames, in one process, between two `net_null` ports.

mod measure;
mod order;
mod report;
mod rig;
mod routes;
mod scenario;
mod traffic;

use std::time::Duration;

use anyhow::ensure;

use crate::config::Settings;
use rig::Rig;
use scenario::Scenario;
use traffic::Traffic;

pub use order::Order;
pub use report::{Report, StageCycles};

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// A configuration; without one NAT between two ports with [`Self::rules`] rules and [`Self::routes`] routes.
    pub config: Option<Settings>,
    /// Established flows.
    pub flows: u32,
    /// Length of a frame on the wire in octets, checksum included.
    pub size: u16,
    /// How long the established flows are measured.
    pub duration: Duration,
    /// How many packets of established flows are sent instead, and every flow opened twice: the same work in every run, for
    /// counting instructions.
    pub packets: Option<u64>,
    /// In which order the packets of the flows come.
    pub order: Order,
    /// How many packets in a hundred open a flow.
    pub new_flows: u8,
    /// Rules of the ACL, where no configuration is given.
    pub rules: u32,
    /// IPv4 routes, where no configuration is given; of many there are some for IPv6 too.
    pub routes: u32,
}

/// Measures; it takes two seconds or so longer than [`Options::duration`].
///
/// # Errors
/// When there is no memory, or the configuration lets the flows not pass.
pub fn run(options: &Options) -> anyhow::Result<Report> {
    ensure!(options.flows > 0, "--flows 0: at least one flow is needed");
    let sizes = SMALLEST..=LARGEST;
    ensure!(sizes.contains(&options.size), "--size {}: {sizes:?} octets", options.size);
    ensure!(options.new_flows <= 50, "--new-flows {}: at most 50 percent", options.new_flows);
    let scenario = Scenario::new(options)?;
    let mut rig = Rig::new(&scenario, options.size)?;
    let mut traffic = Traffic::new(&scenario, &rig, options)?;
    measure::measure(&mut rig, &mut traffic, options)
}

/// Frames on the wire, checksum included.
const SMALLEST: u16 = 64;
const LARGEST: u16 = 1518;
