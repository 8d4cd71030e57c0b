//! Figures of repeated measurements, and the comparison of two sets of them.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// Mean and spread of some values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many.
    pub count: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation of the sample; 0 for a single value.
    pub sigma: f64,
    /// Least.
    pub min: f64,
    /// Greatest.
    pub max: f64,
}

impl Spread {
    /// Of these values; all 0 without any.
    pub fn of(values: &[f64]) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let sigma = if count > 1 { (squares / (count - 1) as f64).sqrt() } else { 0.0 };
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { count, mean, sigma, min, max }
    }
}

/// The ratio of two means with its bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Mean of the second set by mean of the first.
    pub ratio: f64,
    /// 2.5th percentile of the resampled ratios.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

impl Ratio {
    /// Compares `b` with `a`; none with fewer than two values in either, since one run has no spread.
    pub fn of(a: &[f64], b: &[f64]) -> Option<Self> {
        if a.len() < 2 || b.len() < 2 || mean(a) <= 0.0 {
            return None;
        }
        // A fixed seed: the same reports give the same interval.
        let mut rng = SmallRng::seed_from_u64(RESAMPLES as u64);
        let mut resampled = |values: &[f64]| {
            let pick = || values[rng.random_range(0..values.len())];
            std::iter::repeat_with(pick).take(values.len()).sum::<f64>() / values.len() as f64
        };
        let mut ratios: Vec<f64> = (0..RESAMPLES).map(|_| resampled(b) / resampled(a)).collect();
        ratios.sort_by(f64::total_cmp);
        let at = |q: f64| ratios[(q * (RESAMPLES - 1) as f64).round() as usize];
        Some(Self { ratio: mean(b) / mean(a), low: at(0.025), high: at(0.975) })
    }

    /// Whether the interval excludes 1: the two differ.
    pub fn is_significant(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

const RESAMPLES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_mean_and_sample_deviation() {
        let spread = Spread::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!((spread.count, spread.mean, spread.min, spread.max), (8, 5.0, 2.0, 9.0));
        assert!((spread.sigma - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of(&[3.0]).sigma, 0.0);
        assert_eq!(Spread::of(&[]), Spread::default());
    }

    #[test]
    fn the_interval_of_the_ratio_holds_it_and_tells_noise_from_a_difference() {
        let a = [100.0, 101.0, 99.0, 100.5, 99.5];
        let same = Ratio::of(&a, &[100.2, 99.1, 100.9, 99.7, 100.4]).unwrap();
        assert!(!same.is_significant(), "{same:?}");
        let faster = Ratio::of(&a, &[110.0, 111.0, 109.0, 110.5, 109.5]).unwrap();
        assert!(faster.is_significant() && faster.low <= 1.1 && 1.1 <= faster.high, "{faster:?}");
        assert_eq!(Ratio::of(&a, &a), Ratio::of(&a, &a), "repeatable");
    }

    #[test]
    fn a_single_run_is_not_compared() {
        assert_eq!(Ratio::of(&[100.0], &[90.0, 91.0]), None);
        assert_eq!(Ratio::of(&[100.0, 99.0], &[90.0]), None);
    }
}
