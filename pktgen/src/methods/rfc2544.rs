//! RFC 2544 section 26: throughput, latency, frame loss rate, back-to-back frames (RFC 9004), recovery, reset.

use std::time::Duration;

use super::Stand;
use crate::plot::Unit;
use crate::rate::Rate;
use crate::search::stats::Spread;
use crate::search::{back_to_back, loss_rates, throughput};
use crate::trials::TrialError;

/// Lengths and numbers of trials.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Length of a trial.
    pub trial: Duration,
    /// How often a trial with loss is repeated before it counts (ETSI GS NFV-TST 009).
    pub verify: u32,
    /// Length of a trial for latency.
    pub latency: Duration,
    /// Trials for latency at the throughput.
    pub latency_trials: u32,
    /// Repetitions of the search for the longest burst.
    pub bursts: u32,
    /// Throughput that is known already, frames per second of each direction.
    pub throughput: Option<f64>,
}

impl Plan {
    /// As the RFC wants it.
    pub fn compliant() -> Self {
        Self {
            trial: Duration::from_secs(60),
            verify: 0,
            latency: Duration::from_secs(120),
            latency_trials: 20,
            bursts: 50,
            throughput: None,
        }
    }

    /// Short trials, and few.
    pub fn quick() -> Self {
        Self {
            trial: Duration::from_secs(10),
            latency: Duration::from_secs(10),
            latency_trials: 3,
            bursts: 5,
            ..Self::compliant()
        }
    }

    /// Whether trials are as long as the RFC wants them.
    pub fn is_compliant(&self) -> bool {
        let rfc = Self::compliant();
        self.trial >= rfc.trial && self.latency >= rfc.latency
    }
}

impl Stand<'_, '_> {
    /// Section 26.1; returns the throughput in frames per second of each direction.
    pub fn throughput(&mut self, plan: &Plan) -> Result<f64, TrialError> {
        if let Some(known) = plan.throughput {
            return Ok(known.min(self.max_load));
        }
        self.enter("throughput");
        let seconds = plan.trial.as_secs_f64();
        let found = throughput(self.trials, self.max_load, seconds, plan.verify)?;
        let note = match (found.lossy, found.tg_limited) {
            (None, _) => "the highest load had no loss: the generator is the limit",
            (Some(_), true) => "above it the generator is the limit",
            (Some(_), false) if found.load == 0.0 => "no load was without loss",
            (Some(_), false) => "",
        };
        let at_least = found.lossy.is_none() || found.tg_limited;
        self.rate("throughput", found.load, at_least, note);
        Ok(found.load)
    }

    /// Section 26.2: one tagged frame after half of each trial; and every frame, at five loads.
    pub fn latency_2544(&mut self, plan: &Plan) -> Result<(), TrialError> {
        let rate = self.throughput(plan)?;
        if !self.has(rate, "latency") {
            return Ok(());
        }
        let (mut tagged, mut medians, mut worst) = (Vec::new(), Vec::new(), Vec::new());
        self.enter("latency at 100 % of throughput");
        for _ in 0..plan.latency_trials {
            let later = self.trials.measure_later(rate, plan.latency)?;
            let found = later.latency.quantiles();
            tagged.extend(later.first.map(|ns| ns as f64));
            medians.push(found.p50 as f64);
            worst.push(found.p999 as f64);
        }
        let note = format!("of {} trials of {} s", plan.latency_trials, plan.latency.as_secs_f64());
        for (name, values) in [
            ("latency, one tagged frame a trial (RFC 2544)", &tagged),
            ("typical latency, median (RFC 8219)", &medians),
            ("worst-case latency, 99.9 % (RFC 8219)", &worst),
        ] {
            let Spread { mean, min, max, .. } = Spread::of(values);
            let value = if name.contains("2544") { mean } else { median(values) };
            let [min, max] = [min, max].map(|ns| Unit::Ns.format(ns));
            let found = self.case.add(name, Unit::Ns, value);
            found.note = format!("{note}, {min} to {max}");
        }
        self.latency_profile("throughput", rate, plan.latency)
    }

    /// Section 26.3.
    pub fn loss_rate(&mut self, plan: &Plan) -> Result<(), TrialError> {
        self.enter("frame loss rate");
        let samples = loss_rates(self.trials, self.max_load, plan.trial.as_secs_f64())?;
        for sample in samples {
            let percent = (sample.load / self.max_load * 100.0).round();
            let name = format!("loss at {percent} % of the highest load");
            let found = self.case.add(&name, Unit::Ratio, sample.loss_ratio());
            if sample.is_tg_limited() {
                "limited by the generator".clone_into(&mut found.note);
            }
        }
        Ok(())
    }

    /// RFC 9004: only where the throughput is below the highest load.
    pub fn back_to_back(&mut self, plan: &Plan) -> Result<(), TrialError> {
        let rate = self.throughput(plan)?;
        if rate >= self.max_load {
            self.warn("Back-to-back frames were left out where the throughput is the highest load: no burst fills a buffer (RFC 9004 section 5).");
            return Ok(());
        }
        self.enter("back-to-back frames");
        let longest = (self.max_load * LONGEST_BURST_S) as u64;
        let found = back_to_back(self.trials, self.max_load, rate, longest.max(2), plan.bursts)?;
        let Spread { count, mean, sigma, min, max } = found.frames;
        let burst = self.case.add("longest burst without loss, frames", Unit::Count, mean);
        burst.at_least |= found.unlimited;
        burst.note = format!("of {count} searches, σ {sigma:.1}, {min} to {max}");
        self.case.add("buffer time, implied", Unit::S, found.implied_buffer_s);
        self.case.add("buffer time, corrected", Unit::S, found.corrected_buffer_s);
        Ok(())
    }

    /// Section 26.5: from overload to half of it; the time until the last loss.
    pub fn recovery(&mut self, plan: &Plan) -> Result<(), TrialError> {
        let rate = self.throughput(plan)?;
        if !self.has(rate, "recovery") {
            return Ok(());
        }
        let overload = (rate * 1.1).min(self.max_load);
        self.enter("system recovery");
        let lost = self.trials.recover(overload, plan.trial)?;
        let found = self.case.add("system recovery", Unit::Ns, lost.unwrap_or_default() as f64);
        found.note = match lost {
            None => "nothing was lost after the load was halved".to_owned(),
            Some(_) => format!("after {} in each direction", Unit::Pps.format(overload)),
        };
        Ok(())
    }

    /// Section 26.6 and RFC 6201: the longest gap in what arrives while `reset` runs, a quarter of the trial after its start.
    pub fn reset(&mut self, plan: &Plan, reset: &str) -> Result<(), TrialError> {
        let rate = self.throughput(plan)?;
        if !self.has(rate, "reset") {
            return Ok(());
        }
        self.enter("reset");
        let gap = self.trials.reset(Rate::per_second(rate), plan.trial, reset)?;
        let found = self.case.add("reset, longest gap", Unit::Ns, gap as f64);
        found.note = format!("by '{reset}'");
        Ok(())
    }

    /// Whether there is a throughput to go on with.
    fn has(&mut self, rate: f64, what: &str) -> bool {
        if rate < super::LEAST_LOAD {
            self.warn(&format!("No load was without loss: {what} was not measured."));
        }
        rate >= super::LEAST_LOAD
    }
}

/// Of some values; 0 without any.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => sorted[count / 2 - 1].midpoint(sorted[count / 2]),
    }
}

/// As long as the shortest trial that RFC 2544 section 26.4 allows.
const LONGEST_BURST_S: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn short_trials_are_not_compliant() {
        assert!(Plan::compliant().is_compliant());
        assert!(!Plan::quick().is_compliant());
    }
}
