//! Paths with known limits, to test searches on.

use std::convert::Infallible;
use std::ops::Range;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{Sample, Subject};

/// A path whose loss is a function of the load, and of chance.
pub(crate) struct Simulated {
    /// Frames per second that it can do.
    pub(crate) capacity: f64,
    /// Width of the logistic transition, as a share of the capacity; 0 is a sharp limit.
    pub(crate) softness: f64,
    /// Share of the trials below the capacity that lose a frame for no reason.
    pub(crate) spurious: f64,
    /// A range of loads below the capacity in which a hundredth is lost.
    pub(crate) hole: Option<Range<f64>>,
    /// Frames that wait rather than being lost.
    pub(crate) buffer: f64,
    /// What the generator can send.
    pub(crate) tg_limit: f64,
    /// Every trial.
    pub(crate) trials: Vec<Sample>,
    /// Where chance comes from.
    pub(crate) rng: SmallRng,
}

impl Simulated {
    /// Loses exactly what is above the capacity.
    pub(crate) fn sharp(capacity: f64) -> Self {
        Self {
            capacity,
            softness: 0.0,
            spurious: 0.0,
            hole: None,
            buffer: 0.0,
            tg_limit: f64::INFINITY,
            trials: Vec::new(),
            rng: SmallRng::seed_from_u64(1),
        }
    }

    /// Chance from another seed.
    pub(crate) fn seeded(self, seed: u64) -> Self {
        Self { rng: SmallRng::seed_from_u64(seed), ..self }
    }

    /// The share that is lost at a load in the long run, without chance.
    pub(crate) fn loss_ratio(&self, load: f64) -> f64 {
        let above = (1.0 - self.capacity / load).max(0.0);
        let soft = match self.softness {
            0.0 => 0.0,
            softness => 0.01 / (1.0 + ((self.capacity - load) / (softness * self.capacity)).exp()),
        };
        let hole =
            if self.hole.as_ref().is_some_and(|hole| hole.contains(&load)) { 0.01 } else { 0.0 };
        above.max(soft).max(hole)
    }
}

impl Subject for Simulated {
    type Error = Infallible;

    fn trial(&mut self, load: f64, duration_s: f64) -> Result<Sample, Infallible> {
        let intended = (load * duration_s) as u64;
        let sendable = (self.tg_limit * duration_s).min(intended as f64) as u64;
        let through = load.min(self.tg_limit);
        let mut lost = (self.loss_ratio(through) * sendable as f64 - self.buffer).max(0.0) as u64;
        if self.rng.random_bool(self.spurious) {
            lost = lost.max(1);
        }
        let tx_short = intended - sendable;
        let lost = (lost + tx_short).min(intended);
        let sample = Sample { load, duration_s, intended, lost, tx_short };
        self.trials.push(sample);
        Ok(sample)
    }

    fn elapsed_s(&self) -> f64 {
        self.trials.iter().map(|trial| trial.duration_s).sum()
    }
}
