//! Which of the ids 0, 1, 2 … are in use: a bit each, and levels above that say where one is free.
//!
//! The lowest free id is the next one, so what is in use stays together in memory.

use dpdk_bindings::{
    Result,
    memory::{HugeArray, Source},
};

/// Hands out each id at most once until it is given back.
#[derive(Debug)]
pub struct IdPool {
    /// A set bit of the first level is a free id; of the others, a word of the level below with a set bit. The last level is
    /// one word.
    levels: Vec<HugeArray<u64>>,
    capacity: usize,
    used: usize,
}

impl IdPool {
    /// Reserves a bit for each of `capacity` ids, and a little more.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn new(name: &str, capacity: usize, source: Source<'_>) -> Result<Self> {
        assert!(u32::try_from(capacity).is_ok(), "ids are 32 bits wide");
        let mut levels = Vec::new();
        let mut bits = capacity;
        loop {
            let mut level = HugeArray::<u64>::zeroed(name, bits.div_ceil(64).max(1), source)?;
            level[..bits / 64].fill(!0);
            if !bits.is_multiple_of(64) {
                level[bits / 64] = !(!0 << (bits % 64));
            }
            bits = bits.div_ceil(64);
            levels.push(level);
            if bits <= 1 {
                return Ok(Self { levels, capacity, used: 0 });
            }
        }
    }

    /// Returns the lowest id that is not in use, or `None` when all are.
    #[inline]
    pub fn take(&mut self) -> Option<u32> {
        if self.used == self.capacity {
            return None;
        }
        let down =
            |word: usize, level: &HugeArray<u64>| word * 64 + level[word].trailing_zeros() as usize;
        let id = self.levels.iter().rev().fold(0, down);
        let mut bit = id;
        for level in &mut self.levels {
            let word = &mut level[bit / 64];
            *word &= !(1 << (bit % 64));
            if *word != 0 {
                break;
            }
            bit /= 64;
        }
        self.used += 1;
        Some(id as u32)
    }

    /// Takes back an id that [`take`](Self::take) returned.
    #[inline]
    pub fn give(&mut self, id: u32) {
        let mut bit = id as usize;
        debug_assert!(bit < self.capacity && self.is_taken(bit), "only a taken id comes back");
        for level in &mut self.levels {
            let word = &mut level[bit / 64];
            let before = std::mem::replace(word, *word | 1 << (bit % 64));
            if before != 0 {
                break;
            }
            bit /= 64;
        }
        self.used -= 1;
    }

    /// Some of the ids that are next, not in use: those near the lowest one.
    pub fn upcoming(&self) -> impl Iterator<Item = u32> + '_ {
        let down = |word: usize, level: &HugeArray<u64>| {
            word * 64 + level[word].trailing_zeros() as usize % 64
        };
        let first = self.levels.iter().rev().fold(0, down) / 64;
        let words = self.levels[0].iter().enumerate().skip(first).take(UPCOMING_WORDS);
        words.flat_map(|(word, &bits)| {
            let mut bits = bits;
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros())?;
                bits &= bits - 1;
                Some(word as u32 * 64 + bit)
            })
        })
    }

    fn is_taken(&self, id: usize) -> bool {
        self.levels[0][id / 64] >> (id % 64) & 1 == 0
    }

    /// How many ids are in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// How many ids there are.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many bytes of memory the pool has reserved.
    pub fn bytes(&self) -> usize {
        self.levels.iter().map(|level| size_of_val(&**level)).sum()
    }
}

/// Words in which [`IdPool::upcoming`] looks.
const UPCOMING_WORDS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn the_lowest_free_id_is_the_next_one() {
        let mut pool = IdPool::new("ids", 3, Source::Plain).unwrap();
        assert_eq!([pool.take(), pool.take()], [Some(0), Some(1)]);
        pool.give(0);
        assert_eq!([pool.take(), pool.take(), pool.take()], [Some(0), Some(2), None]);
        assert_eq!((pool.used(), pool.capacity(), pool.bytes()), (3, 3, 8));
    }

    #[test]
    fn ids_of_every_level_come_in_order_and_come_back() {
        let capacity = if cfg!(miri) { 65 } else { 64 * 64 * 64 + 65 };
        let mut pool = IdPool::new("ids", capacity, Source::Plain).unwrap();
        assert!((0..capacity).all(|id| pool.take() == Some(id as u32)));
        assert_eq!(pool.take(), None);
        for id in [capacity - 1, 64, 0] {
            pool.give(id as u32);
        }
        assert_eq!(pool.upcoming().collect::<Vec<_>>(), [0, 64]);
        let taken = [pool.take(), pool.take(), pool.take(), pool.take()];
        assert_eq!(taken, [Some(0), Some(64), Some(capacity as u32 - 1), None]);
        assert!(pool.bytes() < capacity / 7 + 64);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 256 }))]
        #[test]
        fn no_id_is_out_twice_and_all_can_be(capacity in 0_usize..200, steps in prop::collection::vec(any::<Option<u8>>(), 0..400)) {
            let mut pool = IdPool::new("ids", capacity, Source::Plain).unwrap();
            let mut out = Vec::new();
            for step in steps {
                match step {
                    None => match pool.take() {
                        Some(id) => out.push(id),
                        None => prop_assert_eq!(out.len(), capacity),
                    },
                    Some(which) if !out.is_empty() => pool.give(out.swap_remove(usize::from(which) % out.len())),
                    Some(_) => {}
                }
                prop_assert_eq!(pool.used(), out.len());
                prop_assert!(out.iter().all(|&id| (id as usize) < capacity));
                prop_assert_eq!(out.iter().collect::<HashSet<_>>().len(), out.len());
            }
        }
    }
}
