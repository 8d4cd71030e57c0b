//! What a run found, for programs (JSON, contract.md section 7) and for people.

mod table;

use serde::Serialize;

use crate::latency::Quantiles;
use crate::measure::{Learning, Outcome, StreamResult, Way};
use crate::receive::{Counters, Defects};
pub use table::table;

/// The verdict of a run, in order of weight.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything arrived and nothing was wrong.
    Pass,
    /// Something was lost or wrong.
    Fail,
    /// The generator could not send what was asked, so loss says nothing about the path.
    TgLimited,
    /// The ports send nothing back: only transmission was measured.
    TxOnly,
}

impl Verdict {
    /// Exit status of pktgen.md section 4.4.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass | Self::TxOnly => 0,
            Self::Fail => 1,
            Self::TgLimited => 4,
        }
    }
}

/// The record of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Frames that the ports took, both directions.
    pub tx_packets: u64,
    /// Different frames that arrived.
    pub rx_packets: u64,
    /// Frames intended and not received.
    pub lost: u64,
    /// `lost` of those intended.
    pub loss_ratio: f64,
    /// Frames that arrived after a later one of their flow.
    pub reordered: u64,
    /// Frames that arrived again.
    pub duplicated: u64,
    /// Broken integrity, in all phases.
    pub corrupted: u64,
    /// Broken translation and delivery, in all phases.
    pub mistranslated: u64,
    /// Frames per second sent.
    pub tx_pps: f64,
    /// Frames per second received.
    pub rx_pps: f64,
    /// L2 bits per second sent, FCS included.
    pub tx_bps: f64,
    /// L2 bits per second received.
    pub rx_bps: f64,
    /// From just before transmission to just after reception.
    pub latency_ns: Quantiles,
    /// Seconds of sending.
    pub duration_s: f64,
    /// Flows in the table.
    pub flows: u64,
    /// The end of it.
    pub verdict: Verdict,
    /// Why the verdict is not "pass".
    pub reasons: Vec<String>,
    /// Frames intended.
    pub intended_packets: u64,
    /// Frames intended and not sent.
    pub tx_short: u64,
    /// L1 bits per second sent: with preamble and gap.
    pub tx_l1_bps: f64,
    /// L1 bits per second received.
    pub rx_l1_bps: f64,
    /// Latency from the time at which a frame was due.
    pub intended_latency_ns: Option<Quantiles>,
    /// How long after they were due frames left.
    pub send_error_ns: Quantiles,
    /// Whether the kernel took the worker's core away more than ten times a second.
    pub disturbed: bool,
    /// How often it did.
    pub involuntary_switches: u64,
    /// Each direction.
    pub directions: Vec<Way>,
    /// Each stream.
    pub streams: Vec<StreamResult>,
    /// Counters of the trial.
    pub counters: Counters,
    /// Broken invariants: of content in all phases, of delivery in the trial.
    pub defects: Defects,
    /// The first packets of all flows.
    pub learning: Option<Learning>,
    /// Pairs of latency and count, for every value that occurred.
    pub latency_histogram: Vec<(u64, u64)>,
    /// How the run was asked for.
    pub settings: Settings,
}

/// The settings of a run, as resolved.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// Device strings, inside first.
    pub ports: Vec<String>,
    /// Load of each direction as written.
    pub load: String,
    /// Frame sizes as written.
    pub size: String,
    /// Streams of flows.
    pub streams: Vec<String>,
    /// Directions sent.
    pub directions: Vec<&'static str>,
    /// What the path does with addresses: direct, nat44 or router.
    pub sut: &'static str,
    /// Inside hosts.
    pub hosts: usize,
    /// What the pseudorandom choices came from.
    pub seed: u64,
    /// The worker's core.
    pub core: usize,
}

/// The machine a run was on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processor model.
    pub cpu: String,
    /// Kernel release.
    pub kernel: String,
    /// DPDK version.
    pub dpdk: String,
    /// Whether DPDK's memory is hugepages.
    pub hugepages: bool,
    /// pktgen's version.
    pub pktgen: &'static str,
}

impl Machine {
    /// Reads what the kernel tells.
    pub fn read(hugepages: bool) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let cpus = read("/proc/cpuinfo");
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name"));
        Self {
            cpu: model.unwrap_or_default().trim_start_matches(['\t', ' ', ':']).to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            dpdk: dpdk_bindings::eal::version().to_owned(),
            hugepages,
            pktgen: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl Report {
    /// Judges an outcome; `absorbing` ports never send anything back.
    pub fn new(outcome: &Outcome, settings: Settings, flows: u64, absorbing: bool) -> Self {
        let mut defects = Defects::default();
        let learning = outcome.learning;
        let phases = [learning.map(|learning| learning.counters), outcome.warm_up];
        phases.iter().flatten().for_each(|counters| defects.add(&counters.defects.of_content()));
        let trial = outcome.trial.as_ref();
        if let Some(trial) = trial {
            defects.add(&trial.counters.defects);
        }
        let sum = |of: fn(&Way) -> u64| trial.map_or(0, |trial| trial.sum(of));
        let (intended, sent) = (sum(|way| way.intended), sum(|way| way.sent));
        let (received, lost, short) =
            (sum(|way| way.received), sum(|way| way.lost), sum(|way| way.tx_short));
        let counters = trial.map(|trial| trial.counters).unwrap_or_default();
        let duration_s = trial.map_or(0.0, |trial| trial.duration_s);
        let per_second =
            |count: u64| if duration_s > 0.0 { count as f64 / duration_s } else { 0.0 };
        let (tx_pps, rx_pps) = (per_second(sent), per_second(received));
        let octets = [sum(|way| way.tx_octets), sum(|way| way.rx_octets)];
        let [tx_bps, rx_bps] = octets.map(|octets| per_second(octets) * 8.0);
        let mut report = Self {
            tx_packets: sent,
            rx_packets: received,
            lost,
            loss_ratio: if intended > 0 { lost as f64 / intended as f64 } else { 0.0 },
            reordered: counters.defects.reorder,
            duplicated: counters.defects.dup,
            corrupted: defects.corrupted(),
            mistranslated: defects.mistranslated(),
            tx_pps,
            rx_pps,
            tx_bps,
            rx_bps,
            latency_ns: trial.map(|trial| trial.latency.quantiles()).unwrap_or_default(),
            duration_s,
            flows,
            verdict: Verdict::Pass,
            reasons: Vec::new(),
            intended_packets: intended,
            tx_short: short,
            tx_l1_bps: tx_bps + tx_pps * GAP_BITS,
            rx_l1_bps: rx_bps + rx_pps * GAP_BITS,
            intended_latency_ns: trial.and_then(|trial| trial.intended_latency),
            send_error_ns: trial.map(|trial| trial.send_error.quantiles()).unwrap_or_default(),
            disturbed: trial.is_some_and(|trial| trial.disturbed),
            involuntary_switches: trial.map_or(0, |trial| trial.involuntary_switches),
            directions: trial.map(|trial| trial.ways.clone()).unwrap_or_default(),
            streams: trial.map(|trial| trial.streams.clone()).unwrap_or_default(),
            counters,
            defects,
            learning,
            latency_histogram: trial.map(|trial| trial.latency.pairs()).unwrap_or_default(),
            settings,
        };
        report.judge(absorbing, trial.is_some());
        report
    }

    fn judge(&mut self, absorbing: bool, measured: bool) {
        let reasons = &mut self.reasons;
        if absorbing {
            reasons.push(
                "null ports send nothing back: this is the ceiling of transmission".to_owned(),
            );
            self.verdict = Verdict::TxOnly;
            return;
        }
        if !measured {
            reasons.push("no flow came through: nothing was measured".to_owned());
        } else if let Some(learning) = self.learning.filter(|learning| learning.missing > 0) {
            reasons
                .push(format!("{} of {} flows never came through", learning.missing, self.flows));
        } else if let Some(learning) = self.learning.filter(|learning| learning.unestablished > 0) {
            reasons.push(format!("{} TCP handshakes were not completed", learning.unestablished));
        }
        for (name, count) in self.defects.named() {
            if count > 0 && !matches!(name, "foreign" | "other_run") {
                reasons.push(format!("{name}: {count}"));
            }
        }
        let broken = !reasons.is_empty();
        let limited = self.tx_short as f64 > self.intended_packets as f64 * TG_LIMIT;
        if limited {
            let (short, of) = (self.tx_short, self.intended_packets);
            reasons.push(format!("the generator could not send {short} of {of} frames"));
        }
        if self.disturbed {
            let times = self.involuntary_switches;
            reasons
                .push(format!("disturbed: the kernel took the worker's core away {times} times"));
        }
        if self.lost > 0 {
            reasons.push(format!("{} of {} frames lost", self.lost, self.intended_packets));
        }
        self.verdict = match (broken, limited, self.lost) {
            (true, ..) => Verdict::Fail,
            (false, true, _) => Verdict::TgLimited,
            (false, false, 0) => Verdict::Pass,
            (false, false, _) => Verdict::Fail,
        };
    }
}

/// Preamble and least gap between two frames, in bits.
const GAP_BITS: f64 = 20.0 * 8.0;
/// More unsent frames than this and a trial says nothing about the path (pktgen.md section 3.1).
const TG_LIMIT: f64 = 0.001;

#[cfg(test)]
mod tests;
