//! Latency of every packet, in nanoseconds, as an HDR histogram.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// One histogram, exact to three digits up to the 68 s that a stamp spans.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

/// The figures of contract.md section 7.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Least.
    pub min: u64,
    /// Median.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
    /// Greatest.
    pub max: u64,
}

impl Latency {
    /// An empty histogram.
    pub fn new() -> Self {
        Self(Histogram::new_with_bounds(1, HIGHEST_NS, 3).expect("valid bounds"))
    }

    /// Notes one value; above the highest, the highest.
    pub fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The usual quantiles; all 0 when empty.
    pub fn quantiles(&self) -> Quantiles {
        let at = |q| self.0.value_at_quantile(q);
        Quantiles {
            min: self.0.min(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: self.0.max(),
        }
    }

    /// The value so far up in ascending order, from 1; 0 when empty.
    pub fn at_rank(&self, rank: u64) -> u64 {
        let share = rank as f64 / self.0.len().max(1) as f64;
        self.0.value_at_quantile(share.min(1.0))
    }

    /// Arithmetic mean; 0 when empty.
    pub fn mean(&self) -> f64 {
        self.0.mean()
    }

    /// Every value that occurred, with how often.
    pub fn pairs(&self) -> Vec<(u64, u64)> {
        self.0
            .iter_recorded()
            .map(|step| (step.value_iterated_to(), step.count_at_value()))
            .collect()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.reset();
    }
}

/// Latency of the last moments, coarse and quick: within 2 %, and one small table.
#[derive(Clone, Debug)]
pub struct Recent {
    counts: Box<[u32; STEPS * POWERS]>,
    total: u64,
}

impl Recent {
    /// Notes one value; above 68 s, 68 s.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        let ns = ns.min(HIGHEST_NS);
        // Values below 2 · STEPS each have their place; above, each power of two has STEPS.
        let power = (ns | STEPS as u64).ilog2() - STEPS.ilog2();
        let place = (power as usize * STEPS) + (ns >> power) as usize;
        self.counts[place] += 1;
        self.total += 1;
    }

    /// The values at some quantiles, in ascending order; all 0 when empty.
    pub fn quantiles<const N: usize>(&self, quantiles: [f64; N]) -> [u64; N] {
        let mut found = [0; N];
        let (mut below, mut next) = (0, 0);
        for (place, count) in self.counts.iter().enumerate() {
            below += u64::from(*count);
            while next < N && below > 0 && below as f64 >= quantiles[next] * self.total as f64 {
                let power = (place / STEPS).saturating_sub(1);
                let low = ((place - power * STEPS) as u64) << power;
                found[next] = low + (1 << power) / 2;
                next += 1;
            }
        }
        found
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self { counts: Box::new([0; STEPS * POWERS]), total: 0 }
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

const HIGHEST_NS: u64 = 16 << 32;
/// Steps of [`Recent`] in each power of two, and powers up to [`HIGHEST_NS`].
const STEPS: usize = 32;
const POWERS: usize = HIGHEST_NS.ilog2() as usize - STEPS.ilog2() as usize + 2;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_histogram_has_zeros() {
        assert_eq!(Latency::new().quantiles(), Quantiles::default());
    }

    proptest! {
        #[test]
        fn quantiles_are_within_a_thousandth_of_the_sorted_list(
            mut values in proptest::collection::vec(1..1_000_000_000_u64, 1..2000),
        ) {
            let mut latency = Latency::new();
            values.iter().for_each(|value| latency.record(*value));
            values.sort_unstable();
            let found = latency.quantiles();
            for (q, value) in [(0.5, found.p50), (0.9, found.p90), (0.99, found.p99), (0.999, found.p999)] {
                let rank = ((q * values.len() as f64).ceil() as usize).max(1) - 1;
                let error = (value as f64 - values[rank] as f64).abs() / values[rank] as f64;
                prop_assert!(error <= 0.001, "q {} is {}, not {}", q, value, values[rank]);
            }
            prop_assert_eq!(latency.pairs().iter().map(|pair| pair.1).sum::<u64>(), latency.count());
        }

        #[test]
        fn recent_quantiles_are_within_two_percent(
            mut values in proptest::collection::vec(1..1_000_000_000_000_u64, 1..500),
        ) {
            let mut recent = Recent::default();
            values.iter().for_each(|value| recent.record(*value));
            values.iter_mut().for_each(|value| *value = (*value).min(HIGHEST_NS));
            values.sort_unstable();
            for (q, value) in [0.5, 0.99].into_iter().zip(recent.quantiles([0.5, 0.99])) {
                let rank = ((q * values.len() as f64).ceil() as usize).max(1) - 1;
                let error = value.abs_diff(values[rank]) as f64 / values[rank] as f64;
                prop_assert!(error <= 0.02, "q {} is {}, not {}", q, value, values[rank]);
            }
            recent.clear();
            prop_assert_eq!(recent.quantiles([0.5]), [0]);
        }
    }
}
