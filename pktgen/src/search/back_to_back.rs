//! Back-to-back frames and the buffer time that follows from them (RFC 9004).

use serde::{Deserialize, Serialize};

use super::Subject;
use super::stats::Spread;

/// The longest bursts without loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackToBack {
    /// Frames of the longest burst, over all repetitions.
    pub frames: Spread,
    /// Average burst divided by the maximal frame rate, in seconds.
    pub implied_buffer_s: f64,
    /// The same without what the path forwards during the burst.
    pub corrected_buffer_s: f64,
    /// The burst was never lossy: its length is the longest tried.
    pub unlimited: bool,
}

/// Searches the longest burst at `max_load` up to `longest` frames, so many times; `throughput` is in the unit of `max_load`.
pub fn back_to_back<S: Subject>(
    subject: &mut S,
    max_load: f64,
    throughput: f64,
    longest: u64,
    repetitions: u32,
) -> Result<BackToBack, S::Error> {
    let mut found = Vec::new();
    for _ in 0..repetitions.max(1) {
        found.push(longest_burst(subject, max_load, longest)? as f64);
    }
    let frames = Spread::of(&found);
    let implied_buffer_s = frames.mean / max_load;
    let corrected_buffer_s = implied_buffer_s * (1.0 - (throughput / max_load).min(1.0));
    let unlimited = frames.min >= longest as f64;
    Ok(BackToBack { frames, implied_buffer_s, corrected_buffer_s, unlimited })
}

fn longest_burst<S: Subject>(
    subject: &mut S,
    max_load: f64,
    longest: u64,
) -> Result<u64, S::Error> {
    let (mut good, mut burst) = (0, longest);
    let mut bad = longest + 1;
    while bad - good > 1 {
        // Half a frame more than the burst lasts: the floor of rate times duration is the burst.
        let sample = subject.trial(max_load, (burst as f64 + 0.5) / max_load)?;
        if sample.is_lossless() {
            good = burst;
        } else {
            bad = burst;
        }
        burst = u64::midpoint(good, bad);
    }
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::simulated::Simulated;

    #[test]
    fn the_burst_is_what_the_buffer_and_the_path_take_meanwhile() {
        // At twice the capacity a buffer of 100 frames is full after 200.
        let mut path = Simulated { buffer: 100.0, ..Simulated::sharp(500.0) };
        let found = back_to_back(&mut path, 1000.0, 500.0, 2000, 3).unwrap();
        assert!((199.0..=202.0).contains(&found.frames.mean), "{found:?}");
        assert_eq!((found.frames.count, found.frames.sigma), (3, 0.0));
        assert!((found.implied_buffer_s - found.frames.mean / 1000.0).abs() < 1e-12);
        assert!((found.corrected_buffer_s - found.implied_buffer_s / 2.0).abs() < 1e-12);
        assert!(!found.unlimited);
    }

    #[test]
    fn a_path_without_loss_takes_the_longest_burst_at_once() {
        let mut path = Simulated::sharp(5000.0);
        let found = back_to_back(&mut path, 1000.0, 1000.0, 64, 1).unwrap();
        assert_eq!((found.frames.max, found.unlimited), (64.0, true));
        assert_eq!(path.trials.len(), 1);
    }
}
