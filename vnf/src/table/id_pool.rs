//! Which of the ids 0, 1, 2 … are in use: a stack of the free ones, the last freed first because its memory is warm.

use dpdk_bindings::{
    Result,
    memory::{HugeArray, Source},
};

/// Hands out each id at most once until it is given back.
#[derive(Debug)]
pub struct IdPool {
    returned: HugeArray<u32>,
    returned_len: usize,
    /// The ids from here on were never handed out.
    fresh: usize,
}

impl IdPool {
    /// Reserves 4 bytes for each of `capacity` ids.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn new(name: &str, capacity: usize, source: Source<'_>) -> Result<Self> {
        assert!(u32::try_from(capacity).is_ok(), "ids are 32 bits wide");
        Ok(Self { returned: HugeArray::zeroed(name, capacity, source)?, returned_len: 0, fresh: 0 })
    }

    /// Returns an id that is not in use, or `None` when all are.
    #[inline]
    pub fn take(&mut self) -> Option<u32> {
        if let Some(last) = self.returned_len.checked_sub(1) {
            self.returned_len = last;
            Some(self.returned[last])
        } else if self.fresh < self.capacity() {
            self.fresh += 1;
            Some(self.fresh as u32 - 1)
        } else {
            None
        }
    }

    /// Takes back an id that [`take`](Self::take) returned.
    #[inline]
    pub fn give(&mut self, id: u32) {
        debug_assert!((id as usize) < self.fresh && self.used() > 0, "only a taken id comes back");
        self.returned[self.returned_len] = id;
        self.returned_len += 1;
    }

    /// How many ids are in use.
    pub fn used(&self) -> usize {
        self.fresh - self.returned_len
    }

    /// How many ids there are.
    pub fn capacity(&self) -> usize {
        self.returned.len()
    }

    /// How many bytes of memory the pool has reserved.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.returned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn the_last_freed_id_is_the_next_one() {
        let mut pool = IdPool::new("ids", 3, Source::Plain).unwrap();
        assert_eq!([pool.take(), pool.take()], [Some(0), Some(1)]);
        pool.give(0);
        assert_eq!([pool.take(), pool.take(), pool.take()], [Some(0), Some(2), None]);
        assert_eq!((pool.used(), pool.capacity(), pool.bytes()), (3, 3, 12));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 256 }))]
        #[test]
        fn no_id_is_out_twice_and_all_can_be(capacity in 0_usize..40, steps in prop::collection::vec(any::<Option<u8>>(), 0..200)) {
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
