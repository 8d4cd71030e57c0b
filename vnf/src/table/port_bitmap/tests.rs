use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A fixed sequence that looks random (Vigna's SplitMix64).
struct Sequence(u64);

impl Sequence {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

#[test]
fn the_last_free_port_is_found_wherever_it_is() {
    let mut map = PortBitmap::new();
    assert!((0..=u16::MAX).all(|port| map.take_exact(port)));
    assert_eq!(map.take(0..=u16::MAX, 1), None);
    let mut sequence = Sequence(1);
    for port in [0, 1, 63, 64, 4095, 4096, 1024, 40_000, 65_472, 65_535] {
        assert!(map.give(port));
        for _ in 0..if cfg!(miri) { 3 } else { 100 } {
            assert_eq!(map.take(0..=u16::MAX, sequence.draw()), Some(port));
            assert!(map.give(port));
            assert_eq!(map.take(port..=port, sequence.draw()), Some(port));
            assert_eq!(map.take(port..=port, sequence.draw()), None);
            assert!(map.give(port));
        }
        assert!(map.take_exact(port));
    }
}

#[test]
fn a_whole_range_is_handed_out_once() {
    let range = if cfg!(miri) { 1_020..=1_200 } else { 1_020..=20_001 };
    let mut map = PortBitmap::new();
    let mut sequence = Sequence(2);
    let mut seen = BTreeSet::new();
    while let Some(port) = map.take(range.clone(), sequence.draw()) {
        assert!(range.contains(&port) && seen.insert(port));
    }
    assert_eq!(seen.len(), range.len());
    assert_eq!(map.used(0..=u16::MAX), range.len());
    assert_eq!(map.used(1_019..=1_021), 2);
}

/// Pearson's statistic for `rounds` ports drawn from `range` of a map on which `crowd` ports are taken already.
fn chi_squared(range: RangeInclusive<u16>, crowd: usize, rounds: usize) -> (f64, f64) {
    let mut sequence = Sequence(3);
    let mut counts = vec![0_u32; range.len()];
    for _ in 0..rounds / 100 {
        let mut map = PortBitmap::new();
        for _ in 0..crowd {
            map.take(range.clone(), sequence.draw()).unwrap();
        }
        for _ in 0..100 {
            let port = map.take(range.clone(), sequence.draw()).unwrap();
            counts[usize::from(port - range.start())] += 1;
            map.give(port);
        }
    }
    let mean = rounds as f64 / counts.len() as f64;
    (counts.iter().map(|&n| (f64::from(n) - mean).powi(2) / mean).sum(), counts.len() as f64 - 1.0)
}

#[test]
#[cfg_attr(miri, ignore = "too many draws")]
fn ports_of_an_empty_map_are_uniform() {
    // The ends of the range lie inside words, where a choice by word would show.
    let (chi, freedom) = chi_squared(1_024..=2_100, 0, 200_000);
    assert!((chi - freedom).abs() < 6.0 * (2.0 * freedom).sqrt(), "chi² {chi} for {freedom}");
}

#[test]
#[cfg_attr(miri, ignore = "too many draws")]
fn ports_of_a_crowded_map_are_nearly_uniform() {
    let (chi, freedom) = chi_squared(1_024..=2_047, 900, 200_000);
    // The same 124 free ports serve a hundred draws, which alone multiplies the statistic by about nine.
    assert!(chi < 20.0 * freedom, "chi² {chi} for {freedom}");
}

#[test]
fn giving_and_taking_tell_what_was() {
    let mut map = PortBitmap::default();
    assert!(map.take_exact(80));
    assert!(!map.take_exact(80));
    assert!(map.is_used(80) && !map.is_used(81));
    assert!(map.give(80));
    assert!(!map.give(80));
    assert_eq!(map.used(0..=u16::MAX), 0);
    #[expect(clippy::reversed_empty_ranges, reason = "an empty range has no port")]
    let nothing = 5..=4;
    assert_eq!((map.take(nothing.clone(), 0), map.used(nothing)), (None, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]

    #[test]
    fn the_map_is_a_set(
        // Blocks of ports taken beforehand, so that words and groups are full.
        blocks in prop::collection::vec((any::<u16>(), 0_u16..9_000), 0..6),
        steps in prop::collection::vec((0_u8..4, any::<u16>(), any::<u16>(), any::<u64>()), 0..60),
    ) {
        let mut map = PortBitmap::new();
        let mut model = BTreeSet::new();
        for (first, len) in blocks {
            for port in first..=first.saturating_add(if cfg!(miri) { len / 50 } else { len }) {
                prop_assert_eq!(map.take_exact(port), model.insert(port));
            }
        }
        for (step, port, other, random) in steps {
            let range = port.min(other)..=port.max(other);
            match step {
                0 => prop_assert_eq!(map.give(port), model.remove(&port)),
                1 => prop_assert_eq!(map.take_exact(port), model.insert(port)),
                _ => match map.take(range.clone(), random) {
                    Some(port) => prop_assert!(range.contains(&port) && model.insert(port)),
                    None => prop_assert_eq!(model.range(range.clone()).count(), range.len()),
                },
            }
            prop_assert_eq!(map.is_used(port), model.contains(&port));
            prop_assert_eq!(map.used(range.clone()), model.range(range).count());
        }
    }
}

proptest! {
    #[test]
    fn ranges_are_taken_and_given_back_as_if_port_by_port(
        ranges in proptest::collection::vec((any::<u16>(), any::<u16>(), any::<bool>()), 1..12),
        random: u64,
    ) {
        let (mut whole, mut single) = (PortBitmap::new(), PortBitmap::new());
        for (first, last, take) in ranges {
            if take {
                whole.take_all(first..=last);
            } else {
                whole.give_all(first..=last);
            }
            for port in first..=last {
                if take { single.take_exact(port) } else { single.give(port) };
            }
            prop_assert_eq!(whole.used(0..=u16::MAX), single.used(0..=u16::MAX));
            let (mut a, mut b) = (whole.clone(), single.clone());
            prop_assert_eq!(a.take(0..=u16::MAX, random), b.take(0..=u16::MAX, random));
            prop_assert_eq!(a.take(first..=last, random), b.take(first..=last, random));
        }
    }
}
