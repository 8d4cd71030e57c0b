//! NDR, PDR and their relatives: MLRsearch (RFC 9971), then MRR and latency at shares of what was found.

use std::time::Duration;

use super::Stand;
use crate::rate::Rate;
use crate::search::stats::Spread;
use crate::search::{Bounds, Ending, Goal, Search, Selection};
use crate::trials::{DISCARDED, TrialError};

/// What is searched.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The goals, that of the lowest loss first.
    pub goals: Vec<Goal>,
    /// How loads are chosen.
    pub selection: Selection,
    /// Longest time of one search.
    pub max_time: Option<Duration>,
    /// Length of the trials after the search.
    pub after: Duration,
}

impl Stand<'_, '_> {
    /// Searches the bounds of all goals, once.
    pub fn mlr(&mut self, plan: &Plan) -> Result<(), TrialError> {
        let first = self.trials.records.len();
        self.enter("search");
        let shortest = plan.goals.iter().map(|goal| goal.initial_s).fold(f64::INFINITY, f64::min);
        // Ten frames in the shortest trial: with fewer a ratio means nothing.
        let min_load = (10.0 / shortest).max(1.0).min(self.max_load);
        let budget = plan.max_time.map(|time| self.trials.elapsed() + time.as_secs_f64());
        let range = (min_load, self.max_load);
        let mut search = Search::new(plan.goals.clone(), plan.selection, range, budget);
        let found = search.run(self.trials)?;
        for record in self.trials.records[first..].iter_mut() {
            let Some(load) = record.load_pps.filter(|_| !record.purpose.ends_with(DISCARDED))
            else {
                continue;
            };
            let letters = plan
                .goals
                .iter()
                .map(|goal| (goal.name.clone(), search.ledger().classify(load, goal).letter()));
            record.classes = letters.collect();
        }
        for bounds in &found {
            self.note_bounds(bounds);
        }
        self.mrr(plan.after)?;
        if let Some((bounds, rate)) = found.first().and_then(|first| Some((first, first.lower?))) {
            self.latency_profile(&bounds.goal.name.to_uppercase(), rate, plan.after)?;
        }
        self.case.bounds.push(found);
        Ok(())
    }

    fn note_bounds(&mut self, bounds: &Bounds) {
        let name = bounds.goal.name.to_uppercase();
        let Some(lower) = bounds.lower.or((bounds.ending == Ending::MinLoad).then_some(0.0)) else {
            let case = self.case.name();
            self.warn(&format!(
                "{name}, {case}: out of time before any load was found good (--max-time)."
            ));
            return;
        };
        let at_least = bounds.ending == Ending::MaxLoad || bounds.tg_limited;
        let note = match bounds.ending {
            Ending::MaxLoad => "the highest load met the goal: the generator is the limit",
            Ending::MinLoad => "the lowest load did not meet the goal",
            Ending::OutOfTime => "out of time: the bounds are not close enough",
            Ending::Regular if bounds.tg_limited => "above it the generator is the limit",
            Ending::Regular => "",
        };
        self.rate(&name, lower, at_least, note);
        if let Some(throughput) = bounds.conditional_throughput.filter(|found| *found < lower) {
            self.rate(&format!("{name} conditional throughput"), throughput, at_least, "");
        }
    }

    /// The maximum receive rate: what comes through of the highest load.
    fn mrr(&mut self, time: Duration) -> Result<(), TrialError> {
        self.enter("MRR");
        let rate = Rate::per_second(self.max_load);
        let mut rates = Vec::new();
        for _ in 0..MRR_TRIALS {
            let trial = self.trials.measure(Some(rate), time)?;
            rates.push(trial.sum(|way| way.received) as f64 / trial.duration_s);
        }
        let Spread { mean, sigma, .. } = Spread::of(&rates);
        let directions = self.trials.directions().len() as f64;
        let spread = crate::plot::Unit::Pps.format(sigma);
        self.rate("MRR", mean / directions, false, &format!("of {MRR_TRIALS} trials, σ {spread}"));
        Ok(())
    }
}

const MRR_TRIALS: u32 = 10;
