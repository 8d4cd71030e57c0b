//! The plain binary search of RFC 2544 section 26.1, and its loss verification after ETSI GS NFV-TST 009.

use serde::{Deserialize, Serialize};

use super::Subject;
use super::ledger::rounded;

/// What a binary search found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Throughput {
    /// Highest load without loss, in frames per second of each direction; 0 if there was none.
    pub load: f64,
    /// Lowest load with loss; none if the maximal load had none.
    pub lossy: Option<f64>,
    /// The loss at `lossy` was the generator's.
    pub tg_limited: bool,
}

/// Halves between 0 and `max_load` with trials of so many seconds, until the rest is at most 0.5 % or one
/// frame per second; a trial with loss is repeated up to `verify` times, and one without loss is enough.
pub fn throughput<S: Subject>(
    subject: &mut S,
    max_load: f64,
    duration_s: f64,
    verify: u32,
) -> Result<Throughput, S::Error> {
    let mut found = Throughput { load: 0.0, lossy: None, tg_limited: false };
    let mut load = rounded(max_load);
    loop {
        let mut sample = subject.trial(load, duration_s)?;
        for _ in 0..verify {
            if sample.is_lossless() {
                break;
            }
            sample = subject.trial(load, duration_s)?;
        }
        if sample.is_lossless() {
            found.load = load;
        } else {
            (found.lossy, found.tg_limited) = (Some(load), sample.is_tg_limited());
        }
        match found.lossy {
            Some(lossy) if !is_close(found.load, lossy, WIDTH) => load = middle(found.load, lossy),
            Some(_) | None => return Ok(found),
        }
    }
}

/// Whether bounds are so close that halving ends.
pub(super) fn is_close(lo: f64, hi: f64, width: f64) -> bool {
    hi - lo <= (hi * width).max(1.0)
}

/// The load between.
pub(super) fn middle(lo: f64, hi: f64) -> f64 {
    rounded(lo.midpoint(hi))
}

/// Relative to the upper bound.
const WIDTH: f64 = 0.005;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::simulated::Simulated;

    #[test]
    fn the_loads_are_the_middles_between_loss_and_no_loss() {
        let mut path = Simulated::sharp(640.0);
        let found = throughput(&mut path, 1000.0, 60.0, 0).unwrap();
        let loads: Vec<f64> = path.trials.iter().map(|trial| trial.load).collect();
        assert_eq!(loads[..6], [1000.0, 500.0, 750.0, 625.0, 687.5, 656.25]);
        assert!(found.load <= 640.0 && found.lossy.unwrap() > 640.0);
        assert!(found.lossy.unwrap() - found.load <= 0.005 * found.lossy.unwrap());
    }

    #[test]
    fn a_path_faster_than_the_maximum_needs_one_trial() {
        let mut path = Simulated::sharp(2000.0);
        let found = throughput(&mut path, 1000.0, 1.0, 0).unwrap();
        assert_eq!(found, Throughput { load: 1000.0, lossy: None, tg_limited: false });
        assert_eq!(path.trials.len(), 1);
    }

    #[test]
    fn a_path_that_carries_nothing_has_a_throughput_of_0() {
        let mut path = Simulated::sharp(0.0);
        let found = throughput(&mut path, 1000.0, 1.0, 0).unwrap();
        assert_eq!((found.load, found.lossy.is_some_and(|lossy| lossy <= 1.0)), (0.0, true));
    }

    #[test]
    fn loss_is_verified_as_often_as_asked() {
        let mut path = Simulated { spurious: 1.0, ..Simulated::sharp(2000.0) };
        throughput(&mut path, 8.0, 1.0, 2).unwrap();
        let at_max = path.trials.iter().filter(|trial| trial.load == 8.0).count();
        assert_eq!(at_max, 3);
    }
}
