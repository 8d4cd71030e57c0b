//! Search goals of MLRsearch (RFC 9971 section 4.6) and the usual sets of them.

use serde::{Deserialize, Serialize};

use super::Selection;

/// When a load is good enough, and how exactly the limit is to be found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// What the result is called: `ndr`, `pdr`.
    pub name: String,
    /// Seconds of the first trials.
    pub initial_s: f64,
    /// Seconds of a full-length trial.
    pub final_s: f64,
    /// Seconds of full-length trials after which a load is decided.
    pub sum_s: f64,
    /// Highest loss ratio of a good trial.
    pub loss_ratio: f64,
    /// Share of the trials' time that may be bad.
    pub exceed_ratio: f64,
    /// Relative width of the result: upper bound at most `1 + width` times the lower one.
    pub width: f64,
}

/// A usual set of goals.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Preset {
    /// What FD.io CSIT measures: NDR and PDR, trials of 1 s, 21 s for each load.
    Csit,
    /// NDR and PDR in a minute or so; for a first look.
    Quick,
    /// RFC 2544 section 26.1: one trial of 60 s without any loss, halving.
    Rfc2544,
    /// ETSI GS NFV-TST 009: two trials of 60 s, one of which may lose.
    Tst009,
}

impl Preset {
    /// The goals, that of the lowest loss first.
    pub fn goals(self) -> Vec<Goal> {
        let (lossless, partial) = (("ndr", 0.0), ("pdr", 0.005));
        let of = |(name, loss_ratio): (&str, f64), times: [f64; 3], exceed_ratio, width| {
            let [initial_s, final_s, sum_s] = times;
            let name = name.to_owned();
            Goal { name, initial_s, final_s, sum_s, loss_ratio, exceed_ratio, width }
        };
        match self {
            Self::Csit => vec![
                of(lossless, [1.0, 1.0, 21.0], 0.5, 0.005),
                of(partial, [1.0, 1.0, 21.0], 0.5, 0.005),
            ],
            Self::Quick => vec![
                of(lossless, [0.25, 0.5, 5.0], 0.5, 0.01),
                of(partial, [0.25, 0.5, 5.0], 0.5, 0.01),
            ],
            Self::Rfc2544 => vec![of(("throughput", 0.0), [60.0; 3], 0.0, 0.005)],
            Self::Tst009 => vec![of(lossless, [60.0, 60.0, 120.0], 0.5, 0.005)],
        }
    }

    /// How the next load is chosen.
    pub fn selection(self) -> Selection {
        match self {
            Self::Csit | Self::Quick | Self::Tst009 => Selection::Geometric,
            Self::Rfc2544 => Selection::Halving,
        }
    }
}

impl Goal {
    /// Easier goals on the way to this one, the easiest first and this one last: shorter trials, fewer of
    /// them, and a wider result.
    pub(super) fn stages(&self) -> Vec<Self> {
        let steps = EASIER_STAGES;
        (0..=steps)
            .map(|step| {
                let share = f64::from(step) / f64::from(steps);
                let between = |from: f64, to: f64| from * (to / from).powf(share);
                let final_s = between(self.initial_s, self.final_s);
                Self {
                    final_s,
                    sum_s: between(self.initial_s, self.sum_s).max(final_s),
                    width: (1.0 + self.width).powi(1 << (steps - step)) - 1.0,
                    ..self.clone()
                }
            })
            .collect()
    }
}

const EASIER_STAGES: i32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_end_with_the_goal_itself() {
        for preset in [Preset::Csit, Preset::Quick, Preset::Rfc2544, Preset::Tst009] {
            for goal in preset.goals() {
                let stages = goal.stages();
                let last = stages.last().unwrap();
                assert!((last.width - goal.width).abs() < 1e-12);
                assert_eq!(*last, Goal { width: last.width, ..goal.clone() });
                assert!(stages.is_sorted_by(|a, b| a.width > b.width && a.sum_s <= b.sum_s));
                assert_eq!(stages[0].final_s, goal.initial_s);
            }
        }
    }
}
