//! What people read of the workers' counters: since the last `clear counters`, in the last second, since the start.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::view::{Drops, Latency, StageRow, WorkerRow};
use crate::engine::counters::{
    CloseCause, Counter, Counters, LATENCY_BUCKETS, STAGES, latency_bucket_top,
};
use crate::engine::verdict::DropReason;

/// The counters of all workers, and what they were at the moments that matter.
pub struct Statistics {
    workers: Vec<Worker>,
    /// Cycles per second.
    tsc_hz: u64,
    /// When the present second began.
    second_began: Instant,
    rates: Rates,
}

/// Packets per second, of all workers together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rates {
    /// Received.
    pub rx_pps: u64,
    /// Transmitted.
    pub tx_pps: u64,
    /// Dropped.
    pub drop_pps: u64,
}

/// Whether the figures start at the last `clear counters`, or at the start of the process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Since {
    /// For people.
    Clear,
    /// For Prometheus, whose counters must never shrink.
    Start,
}

struct Worker {
    core: usize,
    ports: Vec<String>,
    counters: Arc<Counters>,
    /// At the last `clear counters`.
    cleared: Snapshot,
    /// At the beginning of the present second.
    second: Snapshot,
    busy_ratio: f64,
    /// The longest gap between two polls of each of the last seconds, in cycles.
    gaps: VecDeque<u64>,
}

impl Statistics {
    /// Starts counting: core, polled ports and counters of each worker.
    pub fn new(
        workers: impl IntoIterator<Item = (usize, Vec<String>, Arc<Counters>)>,
        tsc_hz: u64,
        now: Instant,
    ) -> Self {
        let worker = |(core, ports, counters): (usize, Vec<String>, Arc<Counters>)| {
            let second = Snapshot::of(&counters);
            let (cleared, gaps) = (Snapshot::default(), VecDeque::from([0]));
            Worker { core, ports, counters, cleared, second, busy_ratio: 0.0, gaps }
        };
        let workers = workers.into_iter().map(worker).collect();
        Self { workers, tsc_hz: tsc_hz.max(1), second_began: now, rates: Rates::default() }
    }

    /// Works the rates out once a second has passed; to be called more often than that.
    pub fn tick(&mut self, now: Instant) {
        let passed = now.duration_since(self.second_began);
        if passed < SECOND {
            return;
        }
        self.second_began = now;
        let mut sums = [0; 3];
        for worker in &mut self.workers {
            let snapshot = Snapshot::of(&worker.counters);
            let news = snapshot.since(&worker.second);
            worker.second = snapshot;
            worker.busy_ratio = ratio(news.busy_cycles, news.total_cycles).min(1.0);
            if worker.gaps.len() == GAP_SECONDS {
                worker.gaps.pop_front();
            }
            worker.gaps.push_back(worker.counters.poll_gap.take());
            for (sum, count) in
                sums.iter_mut().zip([news.received, news.transmitted, news.dropped()])
            {
                *sum += count;
            }
        }
        let per_second = |count: u64| (count as f64 / passed.as_secs_f64()).round() as u64;
        let [rx_pps, tx_pps, drop_pps] = sums.map(per_second);
        self.rates = Rates { rx_pps, tx_pps, drop_pps };
    }

    /// Lets the figures for people start again at zero.
    pub fn clear(&mut self) {
        for worker in &mut self.workers {
            worker.cleared = Snapshot::of(&worker.counters);
        }
    }

    /// The rates of the last whole second.
    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// One row for each worker.
    pub fn workers(&self, since: Since) -> Vec<WorkerRow> {
        self.workers
            .iter()
            .enumerate()
            .map(|(number, worker)| worker.row(number, since, self.tsc_hz))
            .collect()
    }

    /// Dropped packets of all workers by reason.
    pub fn drops(&self, since: Since) -> Drops {
        let snapshots: Vec<Snapshot> = self.workers.iter().map(|w| w.figures(since)).collect();
        let sum = |reason: DropReason| snapshots.iter().map(|s| s.drops[reason as usize]).sum();
        DropReason::ALL.iter().map(|&reason| (reason.name().to_owned(), sum(reason))).collect()
    }

    /// The longest gap between two polls of each worker in the last minute, in seconds.
    pub fn poll_gaps_s(&self) -> Vec<f64> {
        let longest = |worker: &Worker| worker.gaps.iter().copied().max().unwrap_or_default();
        self.workers.iter().map(|worker| longest(worker) as f64 / self.tsc_hz as f64).collect()
    }

    /// Sessions closed since the start, by cause.
    pub fn sessions_closed(&self) -> BTreeMap<String, u64> {
        let sum = |cause: CloseCause| self.sum(|c| &c.sessions_closed[cause as usize]);
        CloseCause::ALL.iter().map(|&cause| (cause.name().to_owned(), sum(cause))).collect()
    }

    /// Sessions opened since the start.
    pub fn sessions_opened(&self) -> u64 {
        self.sum(|counters| &counters.sessions_opened)
    }

    /// Records of translations that never reached their log.
    pub fn records_lost(&self) -> u64 {
        self.sum(|counters| &counters.records_lost)
    }

    /// Live sessions.
    pub fn sessions(&self) -> u64 {
        self.sum(|counters| &counters.sessions)
    }

    /// Units of external ports used before the journal had them.
    pub fn leases_forced(&self) -> u64 {
        self.sum(|counters| &counters.leases_forced)
    }

    /// Live dynamic mappings.
    pub fn mappings(&self) -> u64 {
        self.sum(|counters| &counters.mappings)
    }

    fn sum(&self, counter: impl Fn(&Counters) -> &Counter) -> u64 {
        self.workers.iter().map(|worker| counter(&worker.counters).read()).sum()
    }
}

impl Worker {
    fn figures(&self, since: Since) -> Snapshot {
        let now = Snapshot::of(&self.counters);
        match since {
            Since::Clear => now.since(&self.cleared),
            Since::Start => now,
        }
    }

    fn row(&self, worker: usize, since: Since, tsc_hz: u64) -> WorkerRow {
        let figures = self.figures(since);
        let stage = |(name, [packets, cycles]): (&&str, &[u64; 2])| StageRow {
            name: (*name).to_owned(),
            packets: *packets,
            cycles_per_packet: ratio(*cycles, *packets),
        };
        let cycles = figures.stages.iter().map(|[_, cycles]| cycles).sum();
        WorkerRow {
            worker,
            core: self.core,
            ports: self.ports.clone(),
            rx_packets: figures.received,
            tx_packets: figures.transmitted,
            dropped: figures.dropped(),
            punted: figures.punted,
            handed_over: figures.handed_over,
            busy_ratio: self.busy_ratio,
            cycles_per_packet: ratio(cycles, figures.stages[0][0]),
            burst_mean: ratio(figures.received + figures.taken_over, figures.bursts),
            stages: STAGES.iter().zip(&figures.stages).map(stage).collect(),
            latency_ns: figures.latency(tsc_hz),
        }
    }
}

/// A worker's counters at one moment, or what came between two.
#[derive(Clone)]
struct Snapshot {
    received: u64,
    transmitted: u64,
    punted: u64,
    handed_over: u64,
    taken_over: u64,
    bursts: u64,
    busy_cycles: u64,
    total_cycles: u64,
    drops: [u64; DropReason::COUNT],
    /// Packets and cycles.
    stages: [[u64; 2]; STAGES.len()],
    latency: [u64; LATENCY_BUCKETS],
}

impl Snapshot {
    fn of(counters: &Counters) -> Self {
        Self {
            received: counters.received.read(),
            transmitted: counters.transmitted.read(),
            punted: counters.punted.read(),
            handed_over: counters.handed_over.read(),
            taken_over: counters.taken_over.read(),
            bursts: counters.bursts.read(),
            busy_cycles: counters.busy_cycles.read(),
            total_cycles: counters.total_cycles.read(),
            drops: std::array::from_fn(|reason| counters.drops[reason].read()),
            stages: std::array::from_fn(|stage| {
                [&counters.stages[stage].packets, &counters.stages[stage].cycles].map(Counter::read)
            }),
            latency: std::array::from_fn(|bucket| counters.latency[bucket].read()),
        }
    }

    fn since(&self, earlier: &Self) -> Self {
        let less = |now: u64, then: u64| now.saturating_sub(then);
        Self {
            received: less(self.received, earlier.received),
            transmitted: less(self.transmitted, earlier.transmitted),
            punted: less(self.punted, earlier.punted),
            handed_over: less(self.handed_over, earlier.handed_over),
            taken_over: less(self.taken_over, earlier.taken_over),
            bursts: less(self.bursts, earlier.bursts),
            busy_cycles: less(self.busy_cycles, earlier.busy_cycles),
            total_cycles: less(self.total_cycles, earlier.total_cycles),
            drops: std::array::from_fn(|n| less(self.drops[n], earlier.drops[n])),
            stages: std::array::from_fn(|n| {
                std::array::from_fn(|what| less(self.stages[n][what], earlier.stages[n][what]))
            }),
            latency: std::array::from_fn(|n| less(self.latency[n], earlier.latency[n])),
        }
    }

    fn dropped(&self) -> u64 {
        self.drops.iter().sum()
    }

    fn latency(&self, tsc_hz: u64) -> Latency {
        let all: u64 = self.latency.iter().sum();
        // The first bucket that leaves at most `rest` of a thousand packets behind it.
        let reach = |rest: u64| {
            let wanted = all - (u128::from(all) * u128::from(rest) / 1000) as u64;
            let mut seen = 0;
            let reached = self.latency.iter().position(|count| {
                seen += count;
                seen >= wanted
            });
            let cycles = reached.filter(|_| all > 0).map_or(0, latency_bucket_top);
            (u128::from(cycles) * 1_000_000_000 / u128::from(tsc_hz)) as u64
        };
        Latency { p50: reach(500), p99: reach(10), p999: reach(1), max: reach(0) }
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            received: 0,
            transmitted: 0,
            punted: 0,
            handed_over: 0,
            taken_over: 0,
            bursts: 0,
            busy_cycles: 0,
            total_cycles: 0,
            drops: [0; DropReason::COUNT],
            stages: [[0; 2]; STAGES.len()],
            latency: [0; LATENCY_BUCKETS],
        }
    }
}

/// A quotient; 0 where there is nothing to divide by.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

const SECOND: Duration = Duration::from_secs(1);

/// For how many seconds a long gap between two polls stays in sight: longer than Prometheus takes to look again.
const GAP_SECONDS: usize = 60;

#[cfg(test)]
mod tests;
