//! Which sequence numbers of each flow arrived lately: a ring of bits below the highest one.

/// How an arriving sequence number relates to those before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    /// Seen before, or too old to tell (RFC 5560: a duplicate).
    Again,
    /// Higher than all before.
    InOrder,
    /// The first time, but after a higher one (RFC 4737: reordered).
    Late,
}

/// One ring of bits for each flow and direction.
#[derive(Debug)]
pub(super) struct Windows {
    bits: Vec<u64>,
    words: usize,
}

impl Windows {
    /// The fewer the flows, the longer the window of each: 64 numbers at least, a million at most.
    pub(super) fn new(flows: usize) -> Self {
        let words = (TOTAL_WORDS / flows.max(1)).max(1).next_power_of_two();
        Self { bits: vec![0; words * flows * 2], words }
    }

    /// Notes a number in a ring whose next expected number is `top`.
    pub(super) fn arrive(&mut self, ring: usize, top: &mut u32, seq: u32) -> Seen {
        let ring = &mut self.bits[ring * self.words..][..self.words];
        let (word, bit) = place(self.words, seq);
        if seq >= *top {
            let skipped = seq - *top;
            if skipped as usize >= self.words * 64 {
                ring.fill(0);
            } else {
                for missing in *top..=seq {
                    let (word, bit) = place(self.words, missing);
                    ring[word] &= !bit;
                }
            }
            ring[word] |= bit;
            *top = seq + 1;
            return Seen::InOrder;
        }
        if (*top - seq) as usize > self.words * 64 || ring[word] & bit != 0 {
            return Seen::Again;
        }
        ring[word] |= bit;
        Seen::Late
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.bits.fill(0);
    }
}

fn place(words: usize, seq: u32) -> (usize, u64) {
    ((seq as usize / 64) & (words - 1), 1 << (seq % 64))
}

/// Shared among the flows: a million bits.
const TOTAL_WORDS: usize = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn order_duplicates_and_reordering_are_told_apart() {
        let mut windows = Windows::new(1 << 20);
        let mut top = 0;
        let mut arrive = |seq| windows.arrive(0, &mut top, seq);
        assert_eq!([0, 1, 3].map(&mut arrive), [Seen::InOrder; 3]);
        assert_eq!(arrive(2), Seen::Late);
        assert_eq!([2, 3, 0].map(&mut arrive), [Seen::Again; 3]);
        assert_eq!(arrive(500), Seen::InOrder);
        assert_eq!(arrive(437), Seen::Late);
        assert_eq!(arrive(436), Seen::Again, "below the window");
    }

    #[test]
    fn few_flows_have_long_windows() {
        let mut windows = Windows::new(1);
        let mut top = 0;
        windows.arrive(0, &mut top, 1_000_000);
        assert_eq!(windows.arrive(0, &mut top, 1), Seen::Late);
        assert_eq!(windows.arrive(0, &mut top, 1), Seen::Again);
        assert_eq!(windows.arrive(1, &mut 0, 1), Seen::InOrder, "the other direction");
    }

    proptest! {
        #[test]
        fn within_the_window_it_agrees_with_a_set(seqs in proptest::collection::vec(0..64_u32, 0..200)) {
            let (mut windows, mut top, mut seen) = (Windows::new(1 << 20), 0, HashSet::new());
            let mut highest = None;
            for seq in seqs {
                let expected = match (seen.insert(seq), highest) {
                    (false, _) => Seen::Again,
                    (true, Some(highest)) if seq < highest => Seen::Late,
                    (true, _) => Seen::InOrder,
                };
                highest = highest.max(Some(seq));
                prop_assert_eq!(windows.arrive(4, &mut top, seq), expected);
            }
        }
    }
}
