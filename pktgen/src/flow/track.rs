//! What arrived of each flow and direction: which numbers, how many, how late.

use serde::Serialize;

/// How an arriving sequence number relates to those before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    /// Seen before, or too old to tell (RFC 5560: a duplicate).
    Again,
    /// Higher than all before.
    InOrder,
    /// The first time, but after a higher one, by so many numbers (RFC 4737: reordered, with its extent).
    Late(u32),
}

/// One direction of one flow: a cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
struct Track {
    top: u32, // the next number expected
    received: u32,
    reordered: u32,
    duplicated: u32,
    latency_sum: u64,
    latency_max: u32,
    latency_last: u32,
    bits: [u64; WORDS],
}
const _: () = assert!(size_of::<Track>() == 64, "one cache line");

/// What a flow shows in one direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Tally {
    /// Different frames that arrived.
    pub received: u32,
    /// Of these after a later one.
    pub reordered: u32,
    /// Frames that arrived again.
    pub duplicated: u32,
    /// Mean latency in nanoseconds.
    pub latency_mean_ns: u64,
    /// Highest latency in nanoseconds, up to 4.2 s.
    pub latency_max_ns: u32,
}

/// A track for each flow and direction.
#[derive(Debug)]
pub(super) struct Tracks {
    tracks: Vec<Track>,
    long: Vec<u64>, // instead of the tracks' own bits, where flows are few
    words: usize,
}

impl Tracks {
    /// The fewer the flows, the longer the window of each: 128 numbers at least, a million at most.
    pub(super) fn new(flows: usize) -> Self {
        let words = (TOTAL_WORDS / flows.max(1)).next_power_of_two();
        let (words, long) = if words > WORDS { (words, words * flows * 2) } else { (WORDS, 0) };
        Self { tracks: vec![Track::default(); flows * 2], long: vec![0; long], words }
    }

    /// Notes a number.
    #[inline]
    pub(super) fn arrive(&mut self, track: usize, seq: u32) -> Seen {
        let Track { top, received, reordered, duplicated, bits, .. } = &mut self.tracks[track];
        let bits: &mut [u64] = match self.long.is_empty() {
            true => bits,
            false => &mut self.long[track * self.words..][..self.words],
        };
        let window = self.words * 64;
        let (word, bit) = place(self.words, seq);
        if seq >= *top {
            let skipped = seq - *top;
            if skipped as usize >= window {
                bits.fill(0);
            } else {
                for missing in *top..seq {
                    let (word, bit) = place(self.words, missing);
                    bits[word] &= !bit;
                }
            }
            bits[word] |= bit;
            *top = seq.saturating_add(1);
            *received += 1;
            return Seen::InOrder;
        }
        if (*top - seq) as usize > window || bits[word] & bit != 0 {
            *duplicated += 1;
            return Seen::Again;
        }
        bits[word] |= bit;
        *received += 1;
        *reordered += 1;
        Seen::Late(*top - seq)
    }

    /// Notes how long a frame was on its way; returns the latency of the one before it, if there was one.
    #[inline]
    pub(super) fn delay(&mut self, track: usize, ns: u64) -> Option<u64> {
        let track = &mut self.tracks[track];
        let short = ns.min(u64::from(u32::MAX)) as u32;
        track.latency_sum += ns;
        track.latency_max = track.latency_max.max(short);
        let before = std::mem::replace(&mut track.latency_last, short);
        (track.received > 1).then_some(u64::from(before))
    }

    pub(super) fn tally(&self, track: usize) -> Tally {
        let track = &self.tracks[track];
        Tally {
            received: track.received,
            reordered: track.reordered,
            duplicated: track.duplicated,
            latency_mean_ns: track.latency_sum / u64::from(track.received.max(1)),
            latency_max_ns: track.latency_max,
        }
    }

    /// Forgets everything of one track.
    pub(super) fn forget(&mut self, track: usize) {
        self.tracks[track] = Track::default();
        if !self.long.is_empty() {
            self.long[track * self.words..][..self.words].fill(0);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.tracks.fill(Track::default());
        self.long.fill(0);
    }
}

#[inline]
fn place(words: usize, seq: u32) -> (usize, u64) {
    ((seq as usize / 64) & (words - 1), 1 << (seq % 64))
}

/// Shared among the flows: a million bits.
const TOTAL_WORDS: usize = 1 << 14;
/// 64-bit words of the shortest window.
const WORDS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn order_duplicates_and_reordering_are_told_apart() {
        let mut tracks = Tracks::new(1 << 16);
        let mut arrive = |seq| tracks.arrive(0, seq);
        assert_eq!([0, 1, 3].map(&mut arrive), [Seen::InOrder; 3]);
        assert_eq!(arrive(2), Seen::Late(2));
        assert_eq!([2, 3, 0].map(&mut arrive), [Seen::Again; 3]);
        assert_eq!(arrive(500), Seen::InOrder);
        assert_eq!(arrive(245), Seen::Late(256));
        assert_eq!(arrive(244), Seen::Again, "below the window");
        let tally = tracks.tally(0);
        assert_eq!((tally.received, tally.reordered, tally.duplicated), (6, 2, 4));
    }

    #[test]
    fn few_flows_have_long_windows() {
        let mut tracks = Tracks::new(1);
        tracks.arrive(0, 1_000_000);
        assert_eq!(tracks.arrive(0, 1), Seen::Late(1_000_000));
        assert_eq!(tracks.arrive(0, 1), Seen::Again);
        assert_eq!(tracks.arrive(1, 1), Seen::InOrder, "the other direction");
    }

    #[test]
    fn latency_is_kept_for_each_flow() {
        let mut tracks = Tracks::new(4);
        for (seq, ns, before) in [(0, 100, None), (1, 300, Some(100)), (2, 200, Some(300))] {
            tracks.arrive(6, seq);
            assert_eq!(tracks.delay(6, ns), before);
        }
        let tally = tracks.tally(6);
        assert_eq!((tally.latency_mean_ns, tally.latency_max_ns), (200, 300));
        tracks.forget(6);
        assert_eq!(tracks.tally(6), Tally::default());
    }

    proptest! {
        #[test]
        fn within_the_window_it_agrees_with_a_set(seqs in proptest::collection::vec(0..128_u32, 0..200)) {
            let (mut tracks, mut seen) = (Tracks::new(1 << 16), HashSet::new());
            let mut highest = None;
            for seq in seqs {
                let expected = match (seen.insert(seq), highest) {
                    (false, _) => Seen::Again,
                    (true, Some(highest)) if seq < highest => Seen::Late(highest + 1 - seq),
                    (true, _) => Seen::InOrder,
                };
                highest = highest.max(Some(seq));
                prop_assert_eq!(tracks.arrive(4, seq), expected);
            }
        }
    }
}
