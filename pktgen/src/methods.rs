//! The methods of RFC 2544, 8219, 9004 and 9971, and MRR, on a session: what is tried, and what is found.

pub mod mlr;
pub mod rfc2544;
pub mod rfc8219;

use std::time::Duration;

use crate::plot::Unit;
use crate::record::Case;
use crate::trials::{TrialError, Trials};

/// One size and number of flows on a session that is warm.
pub struct Stand<'a, 's> {
    /// Makes the trials.
    pub trials: &'a mut Trials<'s>,
    /// Gets the findings.
    pub case: &'a mut Case,
    /// What a reader must know.
    pub warnings: &'a mut Vec<String>,
    /// Frames per second of each direction.
    pub max_load: f64,
    /// From 1.
    pub repetition: u32,
}

impl Stand<'_, '_> {
    /// Notes a rate, given for one direction, as a sum over the directions.
    fn rate(&mut self, name: &str, load: f64, at_least: bool, note: &str) {
        let sum = load * self.trials.directions().len() as f64;
        let found = self.case.add(name, Unit::Pps, sum);
        found.at_least |= at_least;
        note.clone_into(&mut found.note);
    }

    /// Notes a time in nanoseconds.
    fn time(&mut self, name: &str, ns: f64) {
        self.case.add(name, Unit::Ns, ns);
    }

    /// Notes something that a reader must know, once.
    fn warn(&mut self, text: &str) {
        if !self.warnings.iter().any(|warning| warning == text) {
            self.warnings.push(text.to_owned());
        }
    }

    fn enter(&mut self, purpose: &str) {
        self.trials.enter(purpose, self.repetition);
    }

    /// The loads of a latency measurement: hardly any, and shares of a rate.
    fn latency_loads(&self, rate: f64) -> Vec<(&'static str, f64)> {
        let shares = [("10 %", 0.1), ("50 %", 0.5), ("90 %", 0.9), ("100 %", 1.0)];
        let loads = shares.map(|(name, share)| (name, rate * share));
        let idle = [("no load", NO_LOAD.min(rate))];
        idle.into_iter().chain(loads).filter(|(_, load)| *load >= LEAST_LOAD).collect()
    }

    /// One trial for its latency at each load, with median and 99 % noted.
    fn latency_profile(&mut self, of: &str, rate: f64, time: Duration) -> Result<(), TrialError> {
        for (share, load) in self.latency_loads(rate) {
            let name = match share {
                "no load" => share.to_owned(),
                share => format!("{share} of {of}"),
            };
            self.enter(&format!("latency at {name}"));
            let trial = self.trials.measure_at(load, time)?;
            let found = trial.latency.quantiles();
            self.time(&format!("latency p50 at {name}"), found.p50 as f64);
            self.time(&format!("latency p99 at {name}"), found.p99 as f64);
        }
        Ok(())
    }
}

/// Frames per second at which nothing waits.
const NO_LOAD: f64 = 1000.0;
/// Slower than this, a trial has no latencies to speak of.
const LEAST_LOAD: f64 = 1.0;
