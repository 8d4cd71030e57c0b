//! What the machine is, and what it did to the worker.

use std::fs;

use serde::{Deserialize, Serialize};

/// The machine of a measurement, as the kernel describes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Processor model.
    pub cpu: String,
    /// Processors online.
    pub cores: usize,
    /// Processors kept free of other work (`isolcpus=`), as the kernel lists them.
    pub isolated: String,
    /// Frequency governor of the worker's core.
    pub governor: String,
    /// A hypervisor is below.
    pub virtual_machine: bool,
    /// Kernel release.
    pub kernel: String,
    /// DPDK version.
    pub dpdk: String,
    /// Whether DPDK's memory is hugepages.
    pub hugepages: bool,
    /// pktgen's version.
    pub pktgen: String,
    /// The commit that it was built from.
    pub git: String,
    /// Load average over a minute at the start.
    pub load_average: f64,
    /// Seconds that the hypervisor took from the worker's core.
    pub steal_s: f64,
    /// Involuntary context switches of the worker.
    pub context_switches: u64,
}

impl Host {
    /// Reads what the kernel tells about itself and the worker's core.
    pub fn read(core: usize, hugepages: bool) -> Self {
        let cpus = read("/proc/cpuinfo");
        let field = |name| cpus.lines().find_map(|line| line.strip_prefix(name));
        let governor = format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
        let average = read("/proc/loadavg");
        Self {
            cpu: field("model name")
                .unwrap_or_default()
                .trim_start_matches(['\t', ' ', ':'])
                .into(),
            cores: cpus.lines().filter(|line| line.starts_with("processor")).count(),
            isolated: read("/sys/devices/system/cpu/isolated"),
            governor: read(&governor),
            virtual_machine: field("flags").is_some_and(|flags| flags.contains(" hypervisor")),
            kernel: read("/proc/sys/kernel/osrelease"),
            dpdk: dpdk_bindings::eal::version().to_owned(),
            hugepages,
            pktgen: env!("CARGO_PKG_VERSION").to_owned(),
            git: env!("PKTGEN_COMMIT").to_owned(),
            load_average: average
                .split(' ')
                .next()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0.0),
            ..Self::default()
        }
    }
}

/// What the calling thread and its core have suffered so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Activity {
    /// Involuntary context switches.
    pub context_switches: u64,
    /// Seconds that the hypervisor took.
    pub steal_s: f64,
}

impl Activity {
    /// Of the calling thread on this core.
    pub fn now(core: usize) -> Self {
        let status = read("/proc/thread-self/status");
        let switches =
            status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
        let stat = read("/proc/stat");
        let name = format!("cpu{core} ");
        let ticks = stat.lines().find_map(|line| line.strip_prefix(&name));
        let steal = ticks.and_then(|ticks| ticks.split_whitespace().nth(STEAL));
        Self {
            context_switches: switches.and_then(|text| text.trim().parse().ok()).unwrap_or(0),
            steal_s: steal.and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / TICKS,
        }
    }

    /// What came since an earlier look.
    pub fn since(self, before: Self) -> Self {
        Self {
            context_switches: self.context_switches.saturating_sub(before.context_switches),
            steal_s: (self.steal_s - before.steal_s).max(0.0),
        }
    }
}

/// A small file of the kernel's, without the end of its line; empty if there is none.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim_end().to_owned()
}

/// Place of steal time in a line of /proc/stat, and its unit (proc(5)).
const STEAL: usize = 7;
const TICKS: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_about_this_machine() {
        let host = Host::read(0, false);
        assert!(host.cores > 0 && !host.kernel.is_empty() && !host.git.is_empty(), "{host:?}");
        let activity = Activity::now(0);
        assert_eq!(activity.since(activity).context_switches, 0);
        assert!(activity.steal_s >= 0.0);
    }
}
