//! What some methods need to know of single frames: which arrived, and how late those of the second half were.

use crate::latency::Latency;
use crate::transmit::Pacer;

/// Which frames of a trial arrived, by the order in which they were due.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    lanes: Vec<Lane>,
}

#[derive(Clone, Debug)]
struct Lane {
    stream: usize,
    direction: usize,
    pacer: Pacer,
    bits: Vec<u64>,
}

impl Arrivals {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.lanes.clear();
    }

    /// Expects the frames of a schedule.
    pub(super) fn follow(&mut self, stream: usize, direction: usize, pacer: Pacer) {
        let bits = vec![0; (pacer.intended().min(MOST) as usize).div_ceil(64)];
        self.lanes.push(Lane { stream, direction, pacer, bits });
    }

    /// Notes frame `k`.
    pub(super) fn arrive(&mut self, stream: usize, direction: usize, k: u64) {
        let lane =
            self.lanes.iter_mut().find(|lane| (lane.stream, lane.direction) == (stream, direction));
        if let Some(word) = lane.and_then(|lane| lane.bits.get_mut(k as usize / 64)) {
            *word |= 1 << (k % 64);
        }
    }

    /// When the last frame that did not arrive was due, in nanoseconds after the first; none if all arrived.
    pub fn last_lost_ns(&self) -> Option<u64> {
        let last = self.lanes.iter().filter_map(|lane| {
            let lost = (0..lane.frames()).rev().find(|k| !lane.has(*k))?;
            lane.due_ns(lost)
        });
        last.max()
    }

    /// The longest time without any arrival in a direction, in nanoseconds of the schedule.
    pub fn longest_gap_ns(&self) -> u64 {
        self.lanes.iter().map(Lane::longest_gap_ns).max().unwrap_or_default()
    }

    /// When each frame that did not arrive was due, in nanoseconds after the first of its lane; lane by lane.
    pub fn lost_ns(&self) -> impl Iterator<Item = u64> {
        self.lanes.iter().flat_map(|lane| {
            (0..lane.frames()).filter(|k| !lane.has(*k)).filter_map(|k| lane.due_ns(k))
        })
    }

    /// The longest run of frames of one stream and direction of which none arrived.
    pub fn longest_lost_run(&self) -> u64 {
        self.lanes.iter().map(Lane::longest_lost_run).max().unwrap_or_default()
    }
}

impl Lane {
    fn longest_lost_run(&self) -> u64 {
        let (mut longest, mut run) = (0, 0);
        for k in 0..self.frames() {
            run = if self.has(k) { 0 } else { run + 1 };
            longest = longest.max(run);
        }
        longest
    }

    fn frames(&self) -> u64 {
        self.pacer.intended().min(MOST)
    }

    fn has(&self, k: u64) -> bool {
        self.bits[k as usize / 64] >> (k % 64) & 1 == 1
    }

    fn due_ns(&self, k: u64) -> Option<u64> {
        Some(self.pacer.due_time(k)? - self.pacer.due_time(0)?)
    }

    fn longest_gap_ns(&self) -> u64 {
        let (mut longest, mut before) = (0, 0);
        // The end of the schedule ends the last gap.
        for k in (0..self.frames()).filter(|k| self.has(*k)).chain([self.frames()]) {
            let gap = self.due_ns(k).unwrap_or_default() - self.due_ns(before).unwrap_or_default();
            if k - before > 1 {
                longest = longest.max(gap);
            }
            before = k;
        }
        longest
    }
}

/// Latency of the frames of a trial that leave after some time (RFC 8219 section 7.2: the second minute).
#[derive(Clone, Debug)]
pub struct Later {
    /// The first of these frames (RFC 2544 section 26.2: the tagged frame), in nanoseconds.
    pub first: Option<u64>,
    /// All of them.
    pub latency: Latency,
    after: u64,
    from: u64,
}

impl Later {
    /// Frames that leave so many nanoseconds after the first.
    pub fn new(after: u64) -> Self {
        Self { first: None, latency: Latency::new(), after, from: u64::MAX }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.after);
    }

    pub(super) fn follow(&mut self, pacer: &Pacer) {
        self.from = pacer.due_time(0).map_or(u64::MAX, |start| start + self.after);
    }

    pub(super) fn arrive(&mut self, age: u64, now: u64) {
        if now.saturating_sub(age) >= self.from {
            self.first.get_or_insert(age);
            self.latency.record(age);
        }
    }
}

/// A frame each bit: 512 MiB at most.
const MOST: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Rate;

    fn arrivals(lost: &[u64]) -> Arrivals {
        let mut arrivals = Arrivals::default();
        let pacer = Pacer::new(500, 1_000_000_000, Some(Rate::per_second(1000.0)));
        arrivals.follow(0, 0, pacer);
        arrivals.follow(0, 1, pacer);
        (0..1000).for_each(|k| arrivals.arrive(0, 0, k));
        (0..1000).filter(|k| !lost.contains(k)).for_each(|k| arrivals.arrive(0, 1, k));
        arrivals
    }

    #[test]
    fn the_last_lost_frame_and_the_longest_gap_are_found() {
        let found = |lost: &[u64]| {
            let arrivals = arrivals(lost);
            (arrivals.last_lost_ns(), arrivals.longest_gap_ns())
        };
        assert_eq!(found(&[]), (None, 0));
        assert_eq!(found(&[7]), (Some(7_000_000), 2_000_000));
        assert_eq!(found(&[7, 100, 101, 102, 600]), (Some(600_000_000), 4_000_000));
        let tail: Vec<u64> = (900..1000).collect();
        assert_eq!(found(&tail), (Some(999_000_000), 101_000_000));
    }

    #[test]
    fn lost_frames_and_their_longest_run_are_told() {
        let arrivals = arrivals(&[7, 100, 101, 102, 600]);
        let lost: Vec<u64> = arrivals.lost_ns().map(|ns| ns / 1_000_000).collect();
        assert_eq!((lost, arrivals.longest_lost_run()), (vec![7, 100, 101, 102, 600], 3));
    }

    #[test]
    fn only_later_frames_count() {
        let mut later = Later::new(1000);
        later.arrive(10, 5000);
        later.follow(&Pacer::new(500, 1_000_000, Some(Rate::per_second(1e6))));
        for (age, now) in [(10, 1509), (20, 1520), (30, 1600)] {
            later.arrive(age, now);
        }
        assert_eq!((later.first, later.latency.count()), (Some(20), 2));
    }
}
