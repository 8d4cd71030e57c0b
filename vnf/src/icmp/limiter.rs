//! How many ICMP errors and resets a worker sends: to one destination, and in all (RFC 1812 4.3.2.8).

use crate::engine::ids::Tick;
use crate::table::{Hasher, TokenBucket};

/// A limit per destination and one for all. Destinations share buckets by hash, so memory is fixed and one destination
/// cannot use up another's allowance on purpose.
pub struct Limiter {
    all: TokenBucket,
    by_destination: Box<[TokenBucket; BUCKETS]>,
    hasher: Hasher,
}

impl Limiter {
    /// Full allowances.
    pub fn new(hasher: Hasher) -> Self {
        let by_destination = Box::new([TokenBucket::default(); BUCKETS]);
        Self { all: TokenBucket::default(), by_destination, hasher }
    }

    /// Whether one more may be sent to this address.
    pub fn allows(&mut self, destination: &[u32; 4], now: Tick) -> bool {
        let [a, b, c, d] = destination.map(u64::from);
        let hash = self.hasher.hash2(a << 32 | b, c << 32 | d);
        let bucket = &mut self.by_destination[hash as usize % BUCKETS];
        bucket.take(now.0, PER_DESTINATION, PER_DESTINATION) && self.all.take(now.0, ALL, ALL)
    }
}

const BUCKETS: usize = 4096;
/// A second, to one destination.
const PER_DESTINATION: u32 = 100;
/// A second, in all.
const ALL: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_destination_gets_a_hundred_a_second_and_all_a_thousand() {
        let mut limiter = Limiter::new(Hasher::random());
        let sent = (0..1000).filter(|_| limiter.allows(&[1, 0, 0, 0], Tick(0))).count();
        assert_eq!(sent, 100);
        let others = (2..20_000).filter(|n| limiter.allows(&[*n, 0, 0, 0], Tick(0))).count();
        assert_eq!(others, 900);
        assert!(limiter.allows(&[1, 0, 0, 0], Tick(1000)));
    }
}
