//! The record of a measurement: everything that was asked, found and known, as JSON of a versioned schema.
//! Pages, tables and CSV files are made from it alone, so that they can be made again.

mod compare;
mod csv;
mod figures;
mod host;
mod page;

use std::collections::BTreeMap;

pub use compare::comparison;
pub use csv::csv_files;
pub use host::{Activity, Host};
pub use page::{page, results, sections};
use serde::{Deserialize, Serialize};

use crate::latency::Quantiles;
use crate::plot::Unit;
use crate::search::stats::Spread;
use crate::search::{Bounds, Sample};

/// A whole measurement.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Version of this record: [`SCHEMA`].
    pub schema: String,
    /// The command line.
    pub command: Vec<String>,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it took.
    pub elapsed_s: f64,
    /// What lies between the ports, and what is sent.
    pub setup: Setup,
    /// The profile file as read.
    pub profile: Option<String>,
    /// Where it ran.
    pub host: Host,
    /// What the generator can do by itself.
    pub calibration: Option<serde_json::Value>,
    /// One for each size and number of flows.
    pub cases: Vec<Case>,
    /// What a reader must know.
    pub warnings: Vec<String>,
}

/// Ports, path and traffic.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Setup {
    /// Device strings, inside first.
    pub ports: Vec<String>,
    /// What the path does with addresses.
    pub sut: String,
    /// Directions sent.
    pub directions: Vec<String>,
    /// Protocols of the flows.
    pub protocols: String,
    /// What the pseudorandom choices came from.
    pub seed: u64,
    /// The worker's core.
    pub core: usize,
    /// Highest load tried, frames per second of each direction.
    pub max_load_pps: f64,
}

/// All trials with one size and one number of flows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Case {
    /// Octets of a frame, FCS included, or the mixture.
    pub size: String,
    /// Octets on average.
    pub mean_size: f64,
    /// Flows in the table.
    pub flows: u64,
    /// What came out.
    pub findings: Vec<Finding>,
    /// Bounds of each goal, for each repetition.
    pub bounds: Vec<Vec<Bounds>>,
    /// In the order in which they were made.
    pub trials: Vec<TrialRecord>,
}

/// One quantity, measured once or several times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Finding {
    /// What it is.
    pub name: String,
    /// What its values are; rates are sums over the directions.
    pub unit: Unit,
    /// The value of each repetition.
    pub runs: Vec<f64>,
    /// Their spread.
    pub spread: Spread,
    /// The generator was the limit: the true value is at least this.
    pub at_least: bool,
    /// What restricts it.
    pub note: String,
}

/// One trial.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrialRecord {
    /// From 1, in a case.
    pub number: u64,
    /// From 1.
    pub repetition: u32,
    /// What it was for.
    pub purpose: String,
    /// Frames per second of each direction; none without a limit.
    pub load_pps: Option<f64>,
    /// Seconds of sending.
    pub duration_s: f64,
    /// Frames that were to be sent, all directions.
    pub intended: u64,
    /// Frames that the ports took.
    pub sent: u64,
    /// Different frames that arrived.
    pub received: u64,
    /// Intended and not received.
    pub lost: u64,
    /// Intended and not sent; part of `lost`.
    pub tx_short: u64,
    /// `lost` of `intended`.
    pub loss_ratio: f64,
    /// So much was not sent that the loss says nothing about the path.
    pub tg_limited: bool,
    /// The worker lost its core more than ten times a second.
    pub disturbed: bool,
    /// Involuntary context switches of the worker.
    pub context_switches: u64,
    /// Seconds that the hypervisor took from the worker's core.
    pub steal_s: f64,
    /// Counters of broken invariants.
    pub defects: BTreeMap<String, u64>,
    /// `L`, `U` or `?` for each goal of the search.
    pub classes: BTreeMap<String, char>,
    /// From just before transmission to just after reception.
    pub latency_ns: Quantiles,
    /// From the time at which frames were due.
    pub intended_latency_ns: Option<Quantiles>,
    /// How long after they were due frames left.
    pub send_error_ns: Quantiles,
    /// Every latency that occurred in nanoseconds, with its count.
    pub latency_histogram: Vec<(u64, u64)>,
    /// Each second of it.
    pub seconds: Vec<Second>,
    /// The flows that lost most.
    pub offenders: Vec<Offender>,
}

/// What happened in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Second {
    /// Its end, after the start of the trial.
    pub at_s: f64,
    /// Frames sent in it, all directions.
    pub sent: u64,
    /// Frames received in it.
    pub received: u64,
    /// Broken invariants since the start.
    pub defects: u64,
    /// Median latency in it, within 3 %.
    pub p50_ns: u64,
    /// 99 % in it.
    pub p99_ns: u64,
    /// 99.9 % in it.
    pub p999_ns: u64,
}

/// A flow that lost frames.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offender {
    /// Its index in the flow table.
    pub flow: u32,
    /// The way of its frames.
    pub direction: String,
    /// Its inside and outside endpoint.
    pub endpoints: String,
    /// Frames sent.
    pub sent: u64,
    /// Frames that did not arrive.
    pub lost: u64,
}

impl Case {
    /// How a case is called where there are several.
    pub fn name(&self) -> String {
        format!("{} octets, {} flows", self.size, Unit::Count.format(self.flows as f64))
    }

    /// Adds the value of one repetition to a quantity.
    pub fn add(&mut self, name: &str, unit: Unit, value: f64) -> &mut Finding {
        let known = self.findings.iter().position(|found| found.name == name);
        let index = known.unwrap_or_else(|| {
            self.findings.push(Finding::new(name, unit, Vec::new()));
            self.findings.len() - 1
        });
        let found = &mut self.findings[index];
        found.runs.push(value);
        found.spread = Spread::of(&found.runs);
        found
    }
}

impl Finding {
    /// A quantity with the value of each repetition.
    pub fn new(name: &str, unit: Unit, runs: Vec<f64>) -> Self {
        let spread = Spread::of(&runs);
        Self { name: name.to_owned(), unit, runs, spread, ..Self::default() }
    }

    /// The mean, with "≥" where the generator was the limit.
    pub fn value(&self) -> String {
        let sign = if self.at_least { "≥ " } else { "" };
        format!("{sign}{}", self.unit.format(self.spread.mean))
    }
}

impl TrialRecord {
    /// What a search needs to know of it.
    pub fn sample(&self) -> Sample {
        Sample {
            load: self.load_pps.unwrap_or_default(),
            duration_s: self.duration_s,
            intended: self.intended,
            lost: self.lost,
            tx_short: self.tx_short,
        }
    }
}

/// Name and version of the record; a reader must refuse other versions.
pub const SCHEMA: &str = "pktgen/1";

#[cfg(test)]
pub(crate) mod tests;
