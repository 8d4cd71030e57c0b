//! When the frames of one direction are due.

use crate::rate::Rate;

/// The clock of one direction: frame `k` is due at `start + k / rate`, never earlier.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    start: u64,
    end: u64,
    rate: Option<Rate>,
    total: u64,
    next: u64,
    next_due: u64,
}

impl Pacer {
    /// A trial from `start` for `duration` nanoseconds; no rate is no limit but the port's.
    pub fn new(start: u64, duration: u64, rate: Option<Rate>) -> Self {
        let total = rate.map_or(u64::MAX, |rate| rate.frames_in(duration));
        Self::counted(start, start + duration, rate, total)
    }

    /// As many frames as said, at a rate.
    pub fn frames(start: u64, total: u64, rate: Rate) -> Self {
        Self::counted(start, start + rate.due_ns(total), Some(rate), total)
    }

    fn counted(start: u64, end: u64, rate: Option<Rate>, total: u64) -> Self {
        Self { start, end, rate, total, next: 0, next_due: start }
    }

    /// How many frames are due and not taken yet.
    pub fn due(&self, now: u64) -> u64 {
        if now < self.next_due {
            return 0;
        }
        match self.rate {
            Some(_) if self.next >= self.total => 0,
            Some(rate) => (rate.frames_in(now - self.start) + 1).min(self.total) - self.next,
            None if now < self.end => u64::MAX,
            None => 0,
        }
    }

    /// Takes the next frame and says when it was due; without a rate that is `now`.
    pub fn take(&mut self, now: u64) -> u64 {
        let due = match self.rate {
            Some(_) => self.next_due,
            None => now,
        };
        self.next += 1;
        if let Some(rate) = self.rate {
            self.next_due = self.start + rate.due_ns(self.next);
        }
        due
    }

    /// Due time of frame `k`, to the nanosecond or so: for every arrival, hence without a 128-bit
    /// division; `None` without a rate.
    pub fn due_time(&self, k: u64) -> Option<u64> {
        self.rate.map(|rate| self.start + (k as f64 * rate.period_ns()) as u64)
    }

    /// Whether the last frame was taken or the time is over.
    pub fn is_over(&self, now: u64) -> bool {
        self.next >= self.total || now >= self.end + GRACE_NS
    }

    /// Frames of the schedule; without a rate there is no limit.
    pub fn intended(&self) -> u64 {
        self.total
    }

    /// Whether there is a schedule at all.
    pub fn has_rate(&self) -> bool {
        self.rate.is_some()
    }

    /// When the trial ends.
    pub fn end(&self) -> u64 {
        self.end
    }
}

/// How long a due frame may wait for a port that takes none: 10 µs for each frame of a burst of 32.
pub const GRACE_NS: u64 = 320_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_are_due_on_their_grid_and_never_before() {
        let mut pacer = Pacer::new(1000, 1_000_000_000, Some(Rate::per_second(1000.0)));
        assert_eq!(pacer.due(999), 0);
        assert_eq!(pacer.due(1000), 1);
        assert_eq!(pacer.take(1000), 1000);
        assert_eq!(pacer.due(1_000_999), 0);
        assert_eq!(pacer.due(1_001_000), 1);
        assert_eq!(pacer.due(5_001_000), 5);
        assert_eq!(pacer.take(5_001_000), 1_001_000);
        assert_eq!(pacer.due(5_001_000), 4);
    }

    #[test]
    fn a_trial_ends_after_its_frames_or_its_time() {
        let mut pacer = Pacer::new(0, 1_000_000, Some(Rate::per_second(3000.0)));
        assert_eq!(pacer.intended(), 3);
        (0..3).for_each(|_| _ = pacer.take(0));
        assert!(pacer.is_over(0));
        assert_eq!(pacer.due(10_000_000), 0);
        let late = Pacer::new(0, 1_000_000, Some(Rate::per_second(3000.0)));
        assert!(!late.is_over(1_000_000));
        assert!(late.is_over(1_000_000 + GRACE_NS));
    }

    #[test]
    fn without_a_rate_everything_is_due_until_the_end() {
        let mut pacer = Pacer::new(0, 1000, None);
        assert_eq!(pacer.due(999), u64::MAX);
        assert_eq!(pacer.take(999), 999);
        assert_eq!(pacer.due(1000), 0);
    }

    proptest! {
        #[test]
        fn all_frames_leave_and_none_before_its_time(
            rate in 1.0..20e6, steps in proptest::collection::vec(1..200_000_u64, 1..100),
        ) {
            let duration: u64 = steps.iter().sum();
            let mut pacer = Pacer::new(7, duration, Some(Rate::per_second(rate)));
            let mut now = 7;
            let mut sent = 0;
            for step in steps {
                for _ in 0..pacer.due(now) {
                    prop_assert!(pacer.take(now) <= now);
                    sent += 1;
                }
                prop_assert_eq!(pacer.due(now), 0);
                now += step;
            }
            sent += pacer.due(now);
            prop_assert_eq!(sent, pacer.intended());
            prop_assert!(((sent as f64) - rate * duration as f64 / 1e9).abs() <= 1.001 + duration as f64 / 1e12);
        }
    }
}
