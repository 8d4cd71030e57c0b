//! A rate limit in eight bytes, exact to the millisecond.

use zerocopy::FromZeros;

/// Allows `rate` events a second and `burst` at once; both are the caller's, so that a new configuration holds at once.
///
/// Zeroed memory is a full bucket.
#[derive(Clone, Copy, Debug, Default, FromZeros)]
pub struct TokenBucket {
    /// Thousandths of tokens that are missing from a full bucket.
    missing: u32,
    /// Milliseconds, modulo 2^32: after 49 idle days a bucket may count as less full than it is.
    updated: u32,
}

impl TokenBucket {
    /// Takes a token if there is one; `now_ms` never goes back.
    ///
    /// A `burst` beyond four million counts as four million.
    #[inline]
    pub fn take(&mut self, now_ms: u64, rate: u32, burst: u32) -> bool {
        let now = now_ms as u32;
        // A thousandth of `rate` per millisecond is `rate` thousandths.
        let gained = u64::from(now.wrapping_sub(self.updated)) * u64::from(rate);
        let missing = u64::from(self.missing).saturating_sub(gained);
        let taken = missing + TOKEN;
        let granted = taken <= (u64::from(burst) * TOKEN).min(u64::from(u32::MAX));
        self.missing = if granted { taken } else { missing } as u32;
        self.updated = now;
        granted
    }
}

/// One token, in thousandths.
const TOKEN: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bucket_gives_its_burst_then_its_rate() {
        let mut bucket = TokenBucket::default();
        let granted =
            |bucket: &mut TokenBucket, now| (0..100).filter(|_| bucket.take(now, 10, 5)).count();
        assert_eq!(granted(&mut bucket, 1_000), 5);
        assert_eq!(granted(&mut bucket, 1_099), 0);
        assert_eq!(granted(&mut bucket, 1_100), 1);
        assert_eq!(granted(&mut bucket, 1_300), 2);
        assert_eq!(granted(&mut bucket, 99_000), 5);
    }

    #[test]
    fn polling_often_loses_no_fraction() {
        let mut bucket = TokenBucket::default();
        let granted = (0..=10_000).filter(|&now| bucket.take(now, 7, 1)).count();
        assert_eq!(
            granted,
            1 + 70 - 1,
            "one at once, then one in 142.857 ms, rounded up to a whole one each time"
        );
    }

    #[test]
    fn a_smaller_burst_holds_at_once() {
        let mut bucket = TokenBucket::default();
        assert!((0..100).all(|_| bucket.take(0, 1, 100)));
        assert!(!bucket.take(10_000, 1, 10), "ninety are still missing");
        assert!(bucket.take(91_000, 1, 10));
    }

    #[test]
    fn nothing_passes_a_burst_of_zero_and_no_number_overflows() {
        assert!(!TokenBucket::default().take(u64::MAX, u32::MAX, 0));
        let mut bucket = TokenBucket::default();
        assert!((0..4_294_967).all(|_| bucket.take(0, 0, u32::MAX)));
        assert!(!bucket.take(0, 0, u32::MAX));
        assert!(bucket.take(u64::from(u32::MAX), u32::MAX, u32::MAX));
    }

    #[test]
    fn the_clock_may_wrap() {
        let mut bucket = TokenBucket::default();
        let wrap = 1_u64 << 32;
        assert!(bucket.take(wrap - 500, 1, 1));
        assert!(!bucket.take(wrap + 499, 1, 1));
        assert!(bucket.take(wrap + 500, 1, 1));
    }
}
