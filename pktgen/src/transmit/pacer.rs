//! When the frames of one stream and direction are due.

use crate::rate::Rate;

/// How frames are spread over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spacing {
    /// Frame `k` at `k / rate`.
    Even,
    /// Exponentially distributed gaps from this seed: a Poisson process.
    Poisson(u64),
    /// As `Even` after a time, in nanoseconds, in which the rate grows from 0 to its full height.
    Ramp(u64),
}

/// The clock of one stream and direction: no frame leaves before it is due.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    start: u64,
    end: u64,
    rate: Option<Rate>,
    spacing: Spacing,
    total: u64,
    next: u64,
    next_due: u64,
    gap: f64, // what the whole nanoseconds of `next_due` leave of random gaps
}

impl Pacer {
    /// A trial from `start` for `duration` nanoseconds; no rate is no limit but the port's.
    pub fn new(start: u64, duration: u64, rate: Option<Rate>) -> Self {
        Self::spaced(start, duration, rate, Spacing::Even)
    }

    /// The same with another spacing; a ramp comes before `duration`, and its frames are counted too.
    pub fn spaced(start: u64, duration: u64, rate: Option<Rate>, spacing: Spacing) -> Self {
        let (whole, half) = match spacing {
            Spacing::Ramp(ramp) => (duration + ramp, duration + ramp / 2),
            Spacing::Even | Spacing::Poisson(_) => (duration, duration),
        };
        let total = rate.map_or(u64::MAX, |rate| rate.frames_in(half));
        Self { spacing, ..Self::counted(start, start + whole, rate, total) }
    }

    /// As many frames as said, at a rate.
    pub fn frames(start: u64, total: u64, rate: Rate) -> Self {
        Self::counted(start, start + rate.due_ns(total), Some(rate), total)
    }

    /// The same without an end before the last frame is taken.
    pub fn patient(self) -> Self {
        let end = if self.rate.is_some() { FOR_EVER } else { self.end };
        Self { end, ..self }
    }

    fn counted(start: u64, end: u64, rate: Option<Rate>, total: u64) -> Self {
        let spacing = Spacing::Even;
        Self { start, end, rate, spacing, total, next: 0, next_due: start, gap: 0.0 }
    }

    /// How many frames are due and not taken yet, up to `most`.
    #[inline]
    pub fn due(&self, now: u64, most: u64) -> u64 {
        if now < self.next_due {
            return 0;
        }
        let due = match (self.rate, self.spacing) {
            (Some(_), _) if self.next >= self.total => 0,
            (Some(rate), Spacing::Even) => {
                (rate.frames_in(now - self.start) + 1).min(self.total) - self.next
            }
            (Some(_), Spacing::Poisson(_) | Spacing::Ramp(_)) => {
                let mut ahead = *self;
                while ahead.next - self.next < most
                    && ahead.next < self.total
                    && ahead.next_due <= now
                {
                    ahead.take(now);
                }
                ahead.next - self.next
            }
            (None, _) if now < self.end => u64::MAX,
            (None, _) => 0,
        };
        due.min(most)
    }

    /// Takes the next frame and says when it was due; without a rate that is `now`.
    #[inline]
    pub fn take(&mut self, now: u64) -> u64 {
        let due = match self.rate {
            Some(_) => self.next_due,
            None => now,
        };
        self.next += 1;
        let Some(rate) = self.rate else { return due };
        self.next_due = match &mut self.spacing {
            Spacing::Even => self.start + rate.due_ns(self.next),
            Spacing::Poisson(state) => {
                let gap = -uniform(state).ln() * rate.period_ns() + self.gap;
                self.gap = gap.fract();
                self.next_due + gap as u64
            }
            Spacing::Ramp(ramp) => self.start + ramp_due(self.next, rate, *ramp),
        };
        due
    }

    /// Due time of frame `k`, to the nanosecond or so: for every arrival, hence without a 128-bit
    /// division; `None` without a rate or with random gaps.
    #[inline]
    pub fn due_time(&self, k: u64) -> Option<u64> {
        let rate = self.rate?;
        match self.spacing {
            Spacing::Even => Some(self.start + (k as f64 * rate.period_ns()) as u64),
            Spacing::Poisson(_) => None,
            Spacing::Ramp(ramp) => Some(self.start + ramp_due(k, rate, ramp)),
        }
    }

    /// Whether the last frame was taken or the time is over.
    pub fn is_over(&self, now: u64) -> bool {
        let grace = match self.spacing {
            // Random gaps may well end after the time; a thousand standard deviations are not waited for.
            Spacing::Poisson(_) => GRACE_NS + (self.end - self.start) / 10,
            Spacing::Even | Spacing::Ramp(_) => GRACE_NS,
        };
        self.next >= self.total || now >= self.end + grace
    }

    /// Frames of the schedule; without a rate there is no limit.
    pub fn intended(&self) -> u64 {
        self.total
    }

    /// Whether there is a schedule at all.
    pub fn has_rate(&self) -> bool {
        self.rate.is_some()
    }

    /// Until when a frame may wait that was refused at a time.
    pub fn patience(&self, refused_at: u64) -> u64 {
        if self.rate.is_some() && self.end < FOR_EVER { refused_at } else { self.end }
    }
}

/// When frame `k` is due on a ramp of `ramp` nanoseconds and after it, in nanoseconds after the start, rounded up.
fn ramp_due(k: u64, rate: Rate, ramp: u64) -> u64 {
    let (k, period, ramp) = (k as f64, rate.period_ns(), ramp as f64);
    let on_ramp = ramp / period / 2.0;
    let due = if k < on_ramp { (2.0 * k * period * ramp).sqrt() } else { ramp / 2.0 + k * period };
    due.ceil() as u64
}

/// A pseudorandom number above 0 and up to 1 (SplitMix64).
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (((z ^ z >> 31) >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

const FOR_EVER: u64 = u64::MAX / 2;
/// How long a due frame may wait for a port that takes none: 10 µs for each frame of a burst of 32.
pub const GRACE_NS: u64 = 320_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: u64 = u64::MAX;

    #[test]
    fn frames_are_due_on_their_grid_and_never_before() {
        let mut pacer = Pacer::new(1000, 1_000_000_000, Some(Rate::per_second(1000.0)));
        assert_eq!(pacer.due(999, ALL), 0);
        assert_eq!(pacer.due(1000, ALL), 1);
        assert_eq!(pacer.take(1000), 1000);
        assert_eq!(pacer.due(1_000_999, ALL), 0);
        assert_eq!(pacer.due(1_001_000, ALL), 1);
        assert_eq!(pacer.due(5_001_000, ALL), 5);
        assert_eq!(pacer.take(5_001_000), 1_001_000);
        assert_eq!((pacer.due(5_001_000, ALL), pacer.due(5_001_000, 3)), (4, 3));
    }

    #[test]
    fn a_trial_ends_after_its_frames_or_its_time() {
        let mut pacer = Pacer::new(0, 1_000_000, Some(Rate::per_second(3000.0)));
        assert_eq!(pacer.intended(), 3);
        (0..3).for_each(|_| _ = pacer.take(0));
        assert!(pacer.is_over(0));
        assert_eq!(pacer.due(10_000_000, ALL), 0);
        let late = Pacer::new(0, 1_000_000, Some(Rate::per_second(3000.0)));
        assert!(!late.is_over(1_000_000));
        assert!(late.is_over(1_000_000 + GRACE_NS));
    }

    #[test]
    fn without_a_rate_everything_is_due_until_the_end() {
        let mut pacer = Pacer::new(0, 1000, None);
        assert_eq!(pacer.due(999, 32), 32);
        assert_eq!(pacer.take(999), 999);
        assert_eq!(pacer.due(1000, 32), 0);
    }

    #[test]
    fn a_ramp_grows_to_the_full_rate() {
        let (second, rate) = (1_000_000_000, Rate::per_second(1e6));
        let pacer = Pacer::spaced(0, 2 * second, Some(rate), Spacing::Ramp(second));
        assert_eq!((pacer.intended(), pacer.end), (2_500_000, 3 * second));
        let half = pacer.due_time(125_000).unwrap();
        assert!(
            half.abs_diff(second / 2) < 10,
            "a quarter of the frames by half of the time: {half}"
        );
        assert_eq!(pacer.due_time(500_000), Some(second));
        assert_eq!(pacer.due_time(600_000), Some(second + second / 10));
    }

    #[test]
    fn random_gaps_have_the_mean_and_the_spread_of_a_poisson_process() {
        let rate = Some(Rate::per_second(1e6));
        let mut pacer = Pacer::spaced(0, 100_000_000, rate, Spacing::Poisson(42));
        let due: Vec<u64> = (0..100_000).map(|_| pacer.take(0)).collect();
        let gaps: Vec<f64> = due.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean - 1000.0).abs() < 15.0, "mean {mean}");
        assert!((variance.sqrt() - 1000.0).abs() < 30.0, "deviation {}", variance.sqrt());
        assert_eq!(pacer.due_time(5), None);
    }

    proptest! {
        #[test]
        fn all_frames_leave_and_none_before_its_time(
            rate in 1.0..20e6, ramp: bool, steps in proptest::collection::vec(1..200_000_u64, 1..100),
        ) {
            let duration: u64 = steps.iter().sum();
            let spacing = if ramp { Spacing::Ramp(1000) } else { Spacing::Even };
            let mut pacer = Pacer::spaced(7, duration, Some(Rate::per_second(rate)), spacing);
            let mut now = 7;
            let mut sent = 0;
            for step in steps {
                for _ in 0..pacer.due(now, ALL) {
                    prop_assert!(pacer.take(now) <= now);
                    sent += 1;
                }
                prop_assert_eq!(pacer.due(now, ALL), 0);
                now += step;
            }
            sent += pacer.due(now + 1000, ALL);
            prop_assert_eq!(sent, pacer.intended());
            prop_assert!(((sent as f64) - rate * duration as f64 / 1e9).abs()
                <= 1.001 + duration as f64 / 1e12 + rate * 1e-6);
        }
    }
}
