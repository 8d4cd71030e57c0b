//! MLRsearch (RFC 9971): several goals from shared trials. The order of the loads is free in the RFC: here
//! the maximum, what came through of it, then each goal in stages of growing exactness.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::ledger::rounded;
use super::{Class, Goal, Known, Ledger, Sample, Subject};

/// How the next load between two bounds is chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Selection {
    /// The geometric mean, after coarser stages.
    Geometric,
    /// The middle, from 0 and the maximum, as RFC 2544 does.
    Halving,
}

/// How a search for one goal ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The maximal load is a lower bound (RFC 9971: irregular).
    MaxLoad,
    /// The minimal load is an upper bound (RFC 9971: irregular).
    MinLoad,
    /// The time was over before the bounds were close enough.
    OutOfTime,
    /// Both bounds, close enough.
    Regular,
}

/// What was found for one goal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// The goal.
    pub goal: Goal,
    /// Highest load that meets it, below all that do not; frames per second of each direction.
    pub lower: Option<f64>,
    /// Lowest load that does not.
    pub upper: Option<f64>,
    /// Conditional throughput at the lower bound.
    pub conditional_throughput: Option<f64>,
    /// Why the search ended.
    pub ending: Ending,
    /// The loss at the upper bound was the generator's: the path can do more.
    pub tg_limited: bool,
}

/// A search in progress.
#[derive(Debug)]
pub struct Search {
    goals: Vec<Goal>,
    selection: Selection,
    min_load: f64,
    max_load: f64,
    budget_s: Option<f64>,
    ledger: Ledger,
}

impl Search {
    /// Between two loads, in frames per second of each direction; ends early after `budget_s` seconds.
    pub fn new(
        goals: Vec<Goal>,
        selection: Selection,
        (min_load, max_load): (f64, f64),
        budget_s: Option<f64>,
    ) -> Self {
        let (min_load, max_load) = (rounded(min_load), rounded(max_load));
        Self { goals, selection, min_load, max_load, budget_s, ledger: Ledger::default() }
    }

    /// All trials so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Tries loads until every goal has its bounds.
    pub fn run<S: Subject>(&mut self, subject: &mut S) -> Result<Vec<Bounds>, S::Error> {
        let goals = self.goals.clone();
        match self.selection {
            Selection::Geometric => self.narrow(subject, &goals)?,
            Selection::Halving => {
                for goal in &goals {
                    self.halve(subject, goal)?;
                }
            }
        }
        Ok(goals.into_iter().map(|goal| self.found(goal)).collect())
    }

    fn narrow<S: Subject>(&mut self, subject: &mut S, goals: &[Goal]) -> Result<(), S::Error> {
        let shortest = goals.iter().map(|goal| goal.initial_s).fold(f64::INFINITY, f64::min);
        let at_max = self.try_load(subject, self.max_load, shortest)?;
        let through = rounded(at_max.forwarding_rate()).clamp(self.min_load, self.max_load);
        if through < self.max_load {
            self.try_load(subject, through, shortest)?;
        }
        let mut hints: HashMap<usize, (Option<f64>, Option<f64>)> = HashMap::new();
        let stages: Vec<Vec<Goal>> = goals.iter().map(Goal::stages).collect();
        for stage in 0..stages.first().map_or(0, Vec::len) {
            for (index, stages) in stages.iter().enumerate() {
                let hint = hints.get(&index).copied().unwrap_or((Some(through), None));
                self.settle(subject, &stages[stage], hint)?;
                hints.insert(index, self.ledger.bounds(&stages[stage]));
            }
        }
        Ok(())
    }

    /// Tries loads until a goal's bounds are close enough; the hint is where they were in the stage before.
    fn settle<S: Subject>(
        &mut self,
        subject: &mut S,
        goal: &Goal,
        hint: (Option<f64>, Option<f64>),
    ) -> Result<(), S::Error> {
        let mut stride = 1.0;
        while let Some(load) = self.next_load(goal, hint, &mut stride) {
            while self.ledger.classify(load, goal) == Class::Undecided {
                if self.is_over(subject) {
                    return Ok(());
                }
                self.try_load(subject, load, goal.final_s)?;
            }
        }
        Ok(())
    }

    /// A load that is not decided, or none if the bounds are close enough.
    fn next_load(
        &self,
        goal: &Goal,
        (low_hint, high_hint): (Option<f64>, Option<f64>),
        stride: &mut f64,
    ) -> Option<f64> {
        let (lower, upper) = self.ledger.bounds(goal);
        if lower == Some(self.max_load) || upper == Some(self.min_load) {
            return None;
        }
        if let (Some(lower), Some(upper)) = (lower, upper)
            && upper <= lower * (1.0 + goal.width)
        {
            return None;
        }
        let is_open = |load: &f64| {
            lower.is_none_or(|lower| *load > lower)
                && upper.is_none_or(|upper| *load < upper)
                && self.ledger.classify(*load, goal) == Class::Undecided
        };
        if let Some(load) = [low_hint, high_hint].into_iter().flatten().find(is_open) {
            return Some(load);
        }
        let mut outside = |from: f64, sign: f64| {
            let load = from * (1.0 + goal.width).powf(sign * *stride);
            *stride *= 2.0;
            load
        };
        let load = match (lower, upper) {
            (Some(lower), Some(upper)) => {
                let middle = rounded((lower * upper).sqrt());
                // Bounds a thousandth of a frame per second apart are as close as they get.
                return is_open(&middle).then_some(middle);
            }
            (Some(lower), None) => outside(lower, 1.0),
            (None, Some(upper)) => outside(upper, -1.0),
            (None, None) => self.max_load,
        };
        Some(rounded(load).clamp(self.min_load, self.max_load))
    }

    /// RFC 2544 section 26.1, with the goal's own rule for what a good load is.
    fn halve<S: Subject>(&mut self, subject: &mut S, goal: &Goal) -> Result<(), S::Error> {
        let mut load = self.max_load;
        loop {
            while self.ledger.classify(load, goal) == Class::Undecided {
                if self.is_over(subject) {
                    return Ok(());
                }
                self.try_load(subject, load, goal.final_s)?;
            }
            let (lower, upper) = self.ledger.bounds(goal);
            let (lo, Some(hi)) = (lower.unwrap_or(0.0), upper) else { return Ok(()) };
            if super::halving::is_close(lo, hi, goal.width) {
                return Ok(());
            }
            load = super::halving::middle(lo, hi);
        }
    }

    fn is_over<S: Subject>(&self, subject: &S) -> bool {
        self.budget_s.is_some_and(|budget| subject.elapsed_s() >= budget)
    }

    fn try_load<S: Subject>(
        &mut self,
        subject: &mut S,
        load: f64,
        duration_s: f64,
    ) -> Result<Sample, S::Error> {
        let sample = Sample { load, ..subject.trial(load, duration_s)? };
        self.ledger.add(sample);
        let known = self.goals.iter().map(|goal| {
            let (lower, upper) = self.ledger.bounds(goal);
            Known { goal: goal.name.clone(), lower, upper }
        });
        subject.progress(&known.collect::<Vec<_>>());
        Ok(sample)
    }

    fn found(&self, goal: Goal) -> Bounds {
        let (lower, upper) = self.ledger.bounds(&goal);
        let close = |lower: f64, upper: f64| match self.selection {
            Selection::Geometric => upper <= lower * (1.0 + goal.width) || upper - lower < 0.002,
            Selection::Halving => super::halving::is_close(lower, upper, goal.width),
        };
        let ending = match (lower, upper) {
            (Some(lower), None) if lower == self.max_load => Ending::MaxLoad,
            (Some(lower), Some(upper)) if close(lower, upper) => Ending::Regular,
            (None, Some(upper)) if upper <= self.min_load || close(0.0, upper) => Ending::MinLoad,
            _ => Ending::OutOfTime,
        };
        Bounds {
            lower,
            upper,
            conditional_throughput: lower
                .map(|lower| self.ledger.conditional_throughput(lower, &goal)),
            ending,
            tg_limited: upper.is_some_and(|upper| self.ledger.is_tg_limited(upper, &goal)),
            goal,
        }
    }
}

#[cfg(test)]
mod tests;
