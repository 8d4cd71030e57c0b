//! The seconds of a phase, one after the other.

use crate::latency::Recent;
use crate::record::Second;

/// What happened in each second of sending.
#[derive(Debug, Default)]
pub(super) struct Series {
    seconds: Vec<Second>,
    began: Option<u64>, // of the phase
    since: u64,
    sent: u64,
    received: u64,
}

impl Series {
    /// Begins a phase.
    pub(super) fn clear(&mut self) {
        *self = Self { seconds: std::mem::take(&mut self.seconds), ..Self::default() };
        self.seconds.clear();
    }

    /// What was sent counts from 0 again, within the phase.
    pub(super) fn unload(&mut self) {
        self.sent = 0;
    }

    /// All whole seconds so far, and the last part of the phase once it is over.
    pub(super) fn seconds(&self) -> &[Second] {
        &self.seconds
    }

    /// Median, 99 % and 99.9 % of latency in the last of them.
    pub(super) fn latency_ns(&self) -> [u64; 3] {
        self.seconds.last().map_or([0; 3], |second| [second.p50_ns, second.p99_ns, second.p999_ns])
    }

    /// Ends a second when it is over; at the end of sending, what is left of it.
    pub(super) fn roll(
        &mut self,
        now: u64,
        is_last: bool,
        [sent, received, defects]: [u64; 3],
        recent: &mut Recent,
    ) {
        let Some(began) = self.began else {
            (self.began, self.since) = (Some(now), now);
            return;
        };
        if now - self.since < if is_last { LEAST_NS } else { SECOND_NS } {
            return;
        }
        let [p50_ns, p99_ns, p999_ns] = recent.quantiles([0.5, 0.99, 0.999]);
        self.seconds.push(Second {
            at_s: (now - began) as f64 / 1e9,
            sent: sent - self.sent,
            received: received - self.received,
            defects,
            p50_ns,
            p99_ns,
            p999_ns,
        });
        recent.clear();
        (self.since, self.sent, self.received) = (now, sent, received);
    }
}

const SECOND_NS: u64 = 1_000_000_000;
/// A shorter rest at the end of a phase is left out: its rates would be noise.
const LEAST_NS: u64 = SECOND_NS / 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_closed_on_time_and_the_rest_at_the_end() {
        let (mut series, mut recent) = (Series::default(), Recent::default());
        for tenth in 0..=25 {
            recent.record(1000 * (tenth + 1));
            series.roll(
                7 + tenth * SECOND_NS / 10,
                tenth == 25,
                [tenth * 10, tenth * 9, 0],
                &mut recent,
            );
        }
        let found: Vec<_> = series.seconds().iter().map(|s| (s.at_s, s.sent, s.received)).collect();
        assert_eq!(found, [(1.0, 100, 90), (2.0, 100, 90), (2.5, 50, 45)]);
        assert!(series.latency_ns()[0] > 20_000, "of the last part only");
        series.unload();
        series.roll(7 + 4 * SECOND_NS, false, [5, 300, 0], &mut recent);
        assert_eq!(series.seconds().last().map(|second| second.sent), Some(5));
        series.clear();
        assert!(series.seconds().is_empty());
    }
}
