//! All trials by load, and what they say about a goal (RFC 9971 appendices A and B).

use std::collections::BTreeMap;

use super::{Goal, Sample};

/// What the trials at one load say about a goal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// The goal is met.
    Lower,
    /// More trials could turn it either way.
    Undecided,
    /// The goal is not met.
    Upper,
}

impl Class {
    /// `L`, `U` or `?`.
    pub fn letter(self) -> char {
        match self {
            Self::Lower => 'L',
            Self::Undecided => '?',
            Self::Upper => 'U',
        }
    }

    /// Classifies a load after the trials at it.
    pub fn of(samples: &[Sample], goal: &Goal) -> Self {
        let sums = Sums::new(samples, goal);
        let balancing = sums.short_low * goal.exceed_ratio / (1.0 - goal.exceed_ratio);
        let excess = (sums.short_high - balancing).max(0.0);
        let high = sums.full_high + excess;
        let whole = (sums.full_low + high).max(goal.sum_s);
        let tolerated = whole * goal.exceed_ratio;
        // Pessimistic: all time that is still missing goes badly. Optimistic: all of it goes well.
        match (whole - sums.full_low <= tolerated, high <= tolerated) {
            (true, true) => Self::Lower,
            (false, false) => Self::Upper,
            (true, false) | (false, true) => Self::Undecided,
        }
    }
}

/// Seconds of trials at one load, by length and loss.
#[derive(Default)]
struct Sums {
    full_high: f64,
    full_low: f64,
    short_high: f64,
    short_low: f64,
}

impl Sums {
    fn new(samples: &[Sample], goal: &Goal) -> Self {
        let mut sums = Self::default();
        for sample in samples {
            let sum = match (is_full(sample, goal), sample.loss_ratio() > goal.loss_ratio) {
                (true, true) => &mut sums.full_high,
                (true, false) => &mut sums.full_low,
                (false, true) => &mut sums.short_high,
                (false, false) => &mut sums.short_low,
            };
            *sum += sample.duration_s;
        }
        sums
    }
}

/// Every trial of a search; all goals share them.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    trials: BTreeMap<u64, Vec<Sample>>, // by thousandths of a frame per second
}

impl Ledger {
    /// Notes a trial.
    pub fn add(&mut self, sample: Sample) {
        self.trials.entry(key(sample.load)).or_default().push(sample);
    }

    /// The trials at a load.
    pub fn at(&self, load: f64) -> &[Sample] {
        self.trials.get(&key(load)).map_or(&[], Vec::as_slice)
    }

    /// What is known about a load.
    pub fn classify(&self, load: f64, goal: &Goal) -> Class {
        Class::of(self.at(load), goal)
    }

    /// The relevant bounds: the smallest upper bound, and the largest lower bound below it.
    pub fn bounds(&self, goal: &Goal) -> (Option<f64>, Option<f64>) {
        let mut lower = None;
        for (key, samples) in &self.trials {
            match Class::of(samples, goal) {
                Class::Lower => lower = Some(load(*key)),
                Class::Undecided => {}
                Class::Upper => return (lower, Some(load(*key))),
            }
        }
        (lower, None)
    }

    /// The load times what is not lost in the worst trial that the goal does not forgive (RFC 9971:
    /// conditional throughput).
    pub fn conditional_throughput(&self, load: f64, goal: &Goal) -> f64 {
        let mut full: Vec<&Sample> =
            self.at(load).iter().filter(|sample| is_full(sample, goal)).collect();
        full.sort_by(|a, b| a.loss_ratio().total_cmp(&b.loss_ratio()));
        let sum: f64 = full.iter().map(|sample| sample.duration_s).sum();
        let mut remaining = sum.max(goal.sum_s) * (1.0 - goal.exceed_ratio);
        let mut loss = 1.0;
        for (index, sample) in full.iter().enumerate() {
            if index > 0 && remaining <= 0.0 {
                break;
            }
            loss = sample.loss_ratio();
            remaining -= sample.duration_s;
        }
        load * (1.0 - if remaining > 0.0 { 1.0 } else { loss })
    }

    /// Whether the trials that a goal counts as bad at a load were bad because of the generator.
    pub fn is_tg_limited(&self, load: f64, goal: &Goal) -> bool {
        let bad = |sample: &&Sample| sample.loss_ratio() > goal.loss_ratio;
        let (mut limited, mut all) = (0, 0);
        for sample in self.at(load).iter().filter(bad) {
            all += 1;
            limited += usize::from(sample.is_tg_limited());
        }
        all > 0 && limited * 2 > all
    }
}

/// A load as the ledger knows it: in thousandths of a frame per second.
pub(super) fn rounded(value: f64) -> f64 {
    load(key(value))
}

fn key(load: f64) -> u64 {
    (load * 1e3).round() as u64
}

fn load(key: u64) -> f64 {
    key as f64 / 1e3
}

fn is_full(sample: &Sample, goal: &Goal) -> bool {
    // A trial asked for in full may be a rounding error short of it.
    sample.duration_s >= goal.final_s * (1.0 - 1e-9)
}

#[cfg(test)]
mod tests;
