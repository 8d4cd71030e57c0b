use proptest::prelude::*;
use zerocopy::FromZeros;

use super::*;

fn part(from: u16, to: u16) -> Extent {
    Extent { from, to, last: false }
}

fn last(from: u16, to: u16) -> Extent {
    Extent { from, to, last: true }
}

fn answers(parts: &[Extent]) -> (Vec<Result<(), Refused>>, bool) {
    let mut coverage = Coverage::new_zeroed();
    let answers = parts.iter().map(|part| coverage.add(*part)).collect();
    (answers, coverage.is_complete())
}

#[test]
fn three_fragments_complete_a_datagram_in_any_order() {
    let parts = [part(0, 1480), part(1480, 2960), last(2960, 3001)];
    for [a, b, c] in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut coverage = Coverage::new_zeroed();
        for at in [a, b] {
            coverage.add(parts[at]).unwrap();
            assert!(!coverage.is_complete());
        }
        coverage.add(parts[c]).unwrap();
        assert!(coverage.is_complete());
    }
}

#[test]
fn overlaps_are_told_from_repetitions() {
    use Refused::{Overlapping, Repeated};
    let seen = [part(24, 48), last(80, 90)];
    for (next, expected) in [
        (part(24, 48), Err(Repeated)),
        (last(80, 90), Err(Repeated)),
        (part(0, 24), Ok(())),
        (part(48, 80), Ok(())),
        (part(0, 32), Err(Overlapping)),
        (part(32, 40), Err(Overlapping)), // teardrop: inside another
        (part(40, 56), Err(Overlapping)),
        (part(16, 56), Err(Overlapping)),
        (part(24, 40), Err(Overlapping)),
        (part(48, 88), Err(Overlapping)),
        (part(80, 88), Err(Overlapping)),
        (part(88, 96), Err(Overlapping)), // beyond the end
        (last(80, 91), Err(Overlapping)),
        (last(48, 64), Err(Overlapping)), // another end
    ] {
        let mut coverage = Coverage::new_zeroed();
        seen.iter().for_each(|part| coverage.add(*part).unwrap());
        assert_eq!(coverage.add(next), expected, "{next:?}");
    }
}

#[test]
fn an_end_before_what_has_come_is_an_overlap() {
    let parts = [part(160, 168), last(80, 88)];
    assert_eq!(answers(&parts), (vec![Ok(()), Err(Refused::Overlapping)], false));
}

#[test]
fn the_number_of_fragments_is_bounded() {
    let parts: Vec<Extent> = (0..200).map(|at| part(at * 8, at * 8 + 8)).collect();
    let (answers, _) = answers(&parts);
    assert!(answers[..MOST].iter().all(Result::is_ok));
    assert!(answers[MOST..].iter().all(|answer| *answer == Err(Refused::TooMany)));
}

#[test]
fn the_largest_datagram_is_covered() {
    let mut parts: Vec<Extent> = (0..118).map(|at| part(at * 552, at * 552 + 552)).collect();
    parts.push(last(118 * 552, 65_515));
    assert!(answers(&parts).1);
}

proptest! {
    #[test]
    fn a_map_of_octets_agrees(parts in prop::collection::vec((0_u16..12, 1_u16..40, any::<bool>()), 1..12)) {
        let mut coverage = Coverage::new_zeroed();
        let mut accepted: Vec<Extent> = Vec::new();
        for (unit, length, is_last) in parts {
            let length = if is_last { length } else { length.next_multiple_of(8) };
            let next = Extent { from: unit * 8, to: unit * 8 + length, last: is_last };
            // The last fragment fills up its last unit: nothing may follow in it.
            let end = |part: &Extent| part.to.next_multiple_of(8);
            let expected = if accepted.contains(&next) {
                Err(Refused::Repeated)
            } else if accepted.iter().any(|other| {
                other.from < end(&next) && next.from < end(other)
                    || other.last && (next.last || next.from >= other.to)
                    || next.last && other.from >= next.to
            }) {
                Err(Refused::Overlapping)
            } else {
                accepted.push(next);
                Ok(())
            };
            prop_assert_eq!(coverage.add(next), expected, "{:?} after {:?}", next, &accepted);
            let end = accepted.iter().find(|part| part.last).map(|part| part.to);
            let complete = end.is_some_and(|end| {
                (0..end).all(|at| accepted.iter().any(|part| part.from <= at && at < part.to))
            });
            prop_assert_eq!(coverage.is_complete(), complete);
        }
    }
}
