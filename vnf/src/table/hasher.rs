//! Hashes of flow keys that nobody outside can steer.
//!
//! Folded multiplication under random keys. A CRC would be cheaper and is no defence: it is linear, so keys that collide
//! under one seed collide under every seed, and anyone can compute such keys beforehand.

use std::hash::{BuildHasher, Hasher as Hashing};

/// A keyed hash; another secret at every start. A `HashMap` that uses it costs a tenth of one that uses its own.
#[derive(Clone, Debug)]
pub struct Hasher {
    secret: [u64; 6],
}

impl Hasher {
    /// Draws a new secret.
    pub fn random() -> Self {
        Self { secret: rand::random() }
    }

    /// Hashes what fits in two words, as an IPv4 5-tuple does.
    #[inline]
    pub fn hash2(&self, a: u64, b: u64) -> u64 {
        let [k0, k1, k2, k3, ..] = self.secret;
        // Both halves of the first product go on, so nothing is lost before the second round.
        let (low, high) = multiply(a ^ k0, b ^ k1);
        fold(low ^ k2, high ^ k3)
    }

    /// Hashes five words, as an IPv6 5-tuple needs.
    #[inline]
    pub fn hash5(&self, key: &[u64; 5]) -> u64 {
        let [k0, k1, k2, k3, k4, k5] = self.secret;
        let [a, b, c, d, e] = *key;
        let (low, high) = multiply(a ^ k0, b ^ k1);
        let (low, high) = multiply(low ^ c ^ k2, high ^ d ^ k3);
        fold(low ^ e ^ k4, high ^ k5)
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::random()
    }
}

impl BuildHasher for Hasher {
    type Hasher = Words;

    #[inline]
    fn build_hasher(&self) -> Words {
        Words { state: self.secret[0], secret: self.secret[1] }
    }
}

/// Folds one word after the other.
#[derive(Clone, Debug)]
pub struct Words {
    state: u64,
    secret: u64,
}

impl Hashing for Words {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().rev().fold(0, |word, &octet| word << 8 | u64::from(octet));
            self.write_u64(word);
        }
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.state = fold(self.state ^ number, self.secret).wrapping_add(self.secret);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.state
    }
}

#[inline]
fn multiply(a: u64, b: u64) -> (u64, u64) {
    let product = u128::from(a) * u128::from(b);
    (product as u64, (product >> 64) as u64)
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let (low, high) = multiply(a, b);
    low ^ high
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(seed: u64) -> Hasher {
        Hasher {
            secret: [1, 2, 3, 4, 5, 6]
                .map(|k: u64| (k * seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d),
        }
    }

    /// Share of output bits that flip when one input bit does, least and greatest over all pairs of bits.
    fn avalanche(words: usize, hash: impl Fn(&[u64; 5]) -> u64) -> (f64, f64) {
        let samples = if cfg!(miri) { 1 } else { 2_000 };
        let mut flips = vec![[0_u32; 64]; words * 64];
        for sample in 0..samples {
            // Keys as flows have them: few bits differ from one to the next.
            let key = [0x0a00_0001_cb00_7107, 0x1100_0000_1388_0035, sample, sample << 16, 7]
                .map(|word| word ^ sample);
            for (bit, flips) in flips.iter_mut().enumerate() {
                let mut other = key;
                other[bit / 64] ^= 1 << (bit % 64);
                let changed = hash(&key) ^ hash(&other);
                (0..64).for_each(|out| flips[out] += (changed >> out & 1) as u32);
            }
        }
        let shares = flips.iter().flatten().map(|&n| f64::from(n) / samples as f64);
        shares.fold((1.0, 0.0), |(low, high): (f64, f64), share| (low.min(share), high.max(share)))
    }

    #[test]
    #[cfg_attr(miri, ignore = "too many multiplications")]
    fn every_input_bit_reaches_every_output_bit() {
        let hasher = fixed(1);
        for (words, (low, high)) in [
            (2, avalanche(2, |key| hasher.hash2(key[0], key[1]))),
            (5, avalanche(5, |key| hasher.hash5(key))),
        ] {
            assert!(low > 0.3 && high < 0.7, "{words} words: {low} to {high}");
        }
    }

    #[test]
    fn as_a_map_s_hasher_it_tells_keys_apart() {
        use std::net::{IpAddr, Ipv4Addr};
        let hasher = Hasher::random();
        let keys = (0..1000_u32).map(|at| (at as u8 % 2, IpAddr::V4(Ipv4Addr::from(at / 2))));
        let hashes: std::collections::HashSet<u64> = keys.map(|key| hasher.hash_one(key)).collect();
        assert_eq!(hashes.len(), 1000);
    }

    #[test]
    fn another_secret_is_another_hash() {
        let (one, other) = (Hasher::random(), Hasher::random());
        assert_ne!(one.hash2(1, 2), other.hash2(1, 2));
        assert_ne!(one.hash5(&[1, 2, 3, 4, 5]), other.hash5(&[1, 2, 3, 4, 5]));
    }

    #[test]
    fn keys_that_collide_under_one_secret_do_not_under_another() {
        let (one, other) = (fixed(1), fixed(7));
        // With the secret a collision is easy: a zero factor swallows the other word.
        let keys = (0..100).map(|b| (one.secret[0], b));
        assert!(keys.clone().all(|(a, b)| one.hash2(a, b) == one.hash2(a, 0)));
        let mut hashes: Vec<_> = keys.map(|(a, b)| other.hash2(a, b)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 100);
    }

    #[test]
    fn sequential_flows_spread_evenly_over_buckets() {
        let hasher = fixed(1);
        let (buckets, flows) = if cfg!(miri) { (16, 256_u64) } else { (1_000, 64_000) };
        let mut load = vec![0_u32; buckets];
        for flow in 0..flows {
            let hash =
                hasher.hash2(0x0a00_0000_cb00_7107 + (flow << 32), 0x11_0035_0400 + flow % 7);
            load[(((hash >> 32) * buckets as u64) >> 32) as usize] += 1;
        }
        let mean = flows as f64 / buckets as f64;
        let chi: f64 = load.iter().map(|&n| (f64::from(n) - mean).powi(2) / mean).sum();
        let freedom = buckets as f64 - 1.0;
        assert!(
            (chi - freedom).abs() < 6.0 * (2.0 * freedom).sqrt(),
            "chi² {chi} for {freedom} degrees of freedom"
        );
    }
}
