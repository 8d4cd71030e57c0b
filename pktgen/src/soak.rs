//! A constant load for a long time, while the tested system is disturbed now and then; and single disturbances, one by
//! one (pktgen.md section 3.9).

mod disturbance;

use serde::Serialize;

pub use disturbance::{Disturbances, Event, Every, What};

use crate::finding::{Finding, row};
use crate::latency::Quantiles;
use crate::measure::Trial;
use crate::nat::ports::upper_tail;
use crate::rate::Si;
use crate::receive::{Arrivals, Defects};
use crate::record::Second;

/// What a soak found.
#[derive(Clone, Debug, Serialize)]
pub struct Soak {
    /// Frames per second of each direction.
    pub load_pps: f64,
    /// Seconds of sending.
    pub duration_s: f64,
    /// Frames that were to be sent.
    pub intended: u64,
    /// Frames that the ports took.
    pub sent: u64,
    /// Different frames that arrived.
    pub received: u64,
    /// Intended and not received.
    pub lost: u64,
    /// Intended and not sent; part of `lost`.
    pub tx_short: u64,
    /// Of those sent, the part that did not arrive.
    pub loss_ratio: f64,
    /// With 95 % confidence the loss ratio is not above this.
    pub loss_ratio_95: f64,
    /// Most frames of one stream and direction lost in a row.
    pub longest_lost_run: u64,
    /// Lost frames that were due around a disturbance.
    pub lost_at_events: u64,
    /// Lost frames that were not.
    pub lost_elsewhere: u64,
    /// Latency of all frames.
    pub latency_ns: Quantiles,
    /// The worst second's 99.9 %.
    pub worst_p999_ns: u64,
    /// When that was.
    pub worst_p999_at_s: f64,
    /// Growth of the seconds' median latency, nanoseconds per hour.
    pub drift_ns_per_h: f64,
    /// Whether the kernel took the worker's core away more than ten times a second.
    pub disturbed: bool,
    /// How often it did.
    pub involuntary_switches: u64,
    /// Broken invariants.
    pub defects: Defects,
    /// What was done to the tested system, and when.
    pub events: Vec<Event>,
    /// Hostile frames sent besides.
    pub hostile: u64,
    /// Frames lost in each second, by when they were due.
    pub lost_in_second: Vec<u64>,
    /// Each second.
    pub seconds: Vec<Second>,
    tg_limited: bool,
}

impl Soak {
    /// Draws the conclusions from a trial.
    pub fn new(
        trial: &Trial,
        arrivals: &Arrivals,
        seconds: &[Second],
        events: Vec<Event>,
        load_pps: f64,
        hostile: u64,
    ) -> Self {
        let [intended, sent, received, lost, tx_short] = [
            trial.sum(|way| way.intended),
            trial.sum(|way| way.sent),
            trial.sum(|way| way.received),
            trial.sum(|way| way.lost),
            trial.sum(|way| way.tx_short),
        ];
        let missing = sent.saturating_sub(received);
        let mut lost_in_second = vec![0; trial.duration_s.ceil() as usize];
        let mut lost_at_events = 0;
        for due in arrivals.lost_ns() {
            let at_s = due as f64 / 1e9;
            if let Some(count) = lost_in_second.get_mut(at_s as usize) {
                *count += 1;
            }
            lost_at_events += u64::from(events.iter().any(|event| event.explains(at_s)));
        }
        let worst = seconds.iter().max_by_key(|second| second.p999_ns).copied();
        let worst = worst.unwrap_or_default();
        Self {
            load_pps,
            duration_s: trial.duration_s,
            intended,
            sent,
            received,
            lost,
            tx_short,
            loss_ratio: ratio(missing as f64, sent),
            loss_ratio_95: ratio(upper_95(missing), sent),
            longest_lost_run: arrivals.longest_lost_run(),
            lost_at_events,
            lost_elsewhere: lost_in_second.iter().sum::<u64>().saturating_sub(lost_at_events),
            latency_ns: trial.latency.quantiles(),
            worst_p999_ns: worst.p999_ns,
            worst_p999_at_s: worst.at_s,
            drift_ns_per_h: slope(seconds) * 3600.0,
            disturbed: trial.disturbed,
            involuntary_switches: trial.involuntary_switches,
            defects: trial.counters.defects,
            events,
            hostile,
            lost_in_second,
            seconds: seconds.to_vec(),
            tg_limited: trial.is_tg_limited(),
        }
    }
}

fn ratio(part: f64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part / of as f64 }
}

/// The mean of a Poisson distribution that yields so many or fewer with a chance of 5 %: 3.0 for none.
fn upper_95(count: u64) -> f64 {
    let count_f = count as f64;
    if count > 1000 {
        return count_f + 1.645 * count_f.sqrt() + 1.0;
    }
    let (mut low, mut high) = (count_f, count_f + 10.0 * (count_f + 1.0).sqrt());
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        // At most `count` events of a mean m: the upper tail of χ² with 2·count + 2 degrees beyond 2·m.
        if upper_tail(2 * count as u32 + 2, 2.0 * middle) > 0.05 {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Least squares through the median latency of the seconds, per second.
fn slope(seconds: &[Second]) -> f64 {
    let count = seconds.len() as f64;
    if seconds.len() < 2 {
        return 0.0;
    }
    let mean = |of: fn(&Second) -> f64| seconds.iter().map(of).sum::<f64>() / count;
    let (at, p50) = (mean(|second| second.at_s), mean(|second| second.p50_ns as f64));
    let products = seconds.iter().map(|s| (s.at_s - at) * (s.p50_ns as f64 - p50)).sum::<f64>();
    let squares = seconds.iter().map(|second| (second.at_s - at).powi(2)).sum::<f64>();
    if squares > 0.0 { products / squares } else { 0.0 }
}

impl Finding for Soak {
    const NAME: &'static str = "soak";

    fn table(&self) -> Vec<Vec<String>> {
        let us = |ns: u64| format!("{:.1} µs", ns as f64 / 1e3);
        let done = self.events.iter().filter(|event| event.error.is_none()).count();
        let latency = &self.latency_ns;
        let mut rows = vec![
            row([&"load", &format!("{}pps each way, {} s", Si(self.load_pps), self.duration_s)]),
            row([&"frames", &format!("{} sent, {} received", self.sent, self.received)]),
            row([&"not sent", &self.tx_short]),
            row([&"lost", &(self.sent.saturating_sub(self.received))]),
            row([
                &"loss ratio",
                &format!("{:.2e}, with 95 % ≤ {:.2e}", self.loss_ratio, self.loss_ratio_95),
            ]),
            row([&"longest lost run", &format!("{} frames", self.longest_lost_run)]),
            row([&"disturbances", &format!("{done} of {} done", self.events.len())]),
            row([&"lost or unsent then", &self.lost_at_events]),
            row([&"and at other times", &self.lost_elsewhere]),
            row([&"latency p50, p99.9", &format!("{}, {}", us(latency.p50), us(latency.p999))]),
            row([
                &"worst second p99.9",
                &format!("{} at {:.0} s", us(self.worst_p999_ns), self.worst_p999_at_s),
            ]),
            row([&"drift of p50", &format!("{:.0} ns/h", self.drift_ns_per_h)]),
            row([&"lost the core", &format!("{} times", self.involuntary_switches)]),
        ];
        if self.hostile > 0 {
            rows.push(row([&"hostile frames", &self.hostile]));
        }
        let defects = self.defects.named().into_iter().filter(|(_, count)| *count > 0);
        rows.extend(defects.map(|(name, count)| row([&name, &count])));
        rows
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let missing = self.sent.saturating_sub(self.received);
        if missing > 0 {
            faults.push(format!("{missing} of {} frames lost", self.sent));
        }
        let wrong = self
            .defects
            .named()
            .into_iter()
            .filter(|(name, count)| *count > 0 && !matches!(*name, "foreign" | "other_run"));
        faults.extend(wrong.map(|(name, count)| format!("{name}: {count}")));
        let failed = self.events.iter().filter_map(|event| {
            event.error.as_ref().map(|error| format!("at {:.1} s: {error}", event.at_s))
        });
        faults.extend(failed);
        faults
    }

    fn is_tg_limited(&self) -> bool {
        self.tg_limited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_bound_is_that_of_the_tables() {
        // Exact 95 % upper limits of a Poisson mean.
        for (count, bound) in [(0, 2.996), (1, 4.744), (5, 10.513), (10, 16.962), (100, 118.079)] {
            assert!((upper_95(count) - bound).abs() < 2e-3, "{count}: {}", upper_95(count));
        }
        let (below, above) = (upper_95(1000), upper_95(1001));
        assert!((above - below - 1.0).abs() < 1.5, "{below} {above}");
    }

    #[test]
    fn the_slope_is_that_of_a_line() {
        let second =
            |at: u64| Second { at_s: at as f64, p50_ns: 5000 + 3 * at, ..Second::default() };
        let seconds: Vec<Second> = (1..=100).map(second).collect();
        assert!((slope(&seconds) - 3.0).abs() < 1e-9);
        assert_eq!(slope(&seconds[..1]), 0.0);
    }
}
