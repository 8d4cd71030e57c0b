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

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

const HIGHEST_NS: u64 = 16 << 32;

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
    }
}
