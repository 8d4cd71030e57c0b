use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

fn table(entries: usize) -> FlowTable {
    FlowTable::with_capacity("flows", entries, Source::Plain).unwrap()
}

/// A hash whose home is `bucket` of `homes`.
fn hash_at(homes: usize, bucket: usize, tag: u8) -> u64 {
    (((bucket as u64) << 32).div_ceil(homes as u64) << 32) | u64::from(tag)
}

fn candidates(table: &FlowTable, hash: u64) -> Vec<u32> {
    table.candidates(table.prefetch(hash)).collect()
}

fn assert_pristine(table: &FlowTable) {
    assert!(table.is_empty());
    for bucket in &*table.buckets {
        assert_eq!(bucket.lanes, [0; 16], "no tag and no count stays behind");
    }
}

#[test]
fn an_entry_is_found_until_it_is_removed() {
    let mut table = table(100);
    assert_eq!(table.find(42, |_| true), None);
    table.insert(42, 7).unwrap();
    table.insert(42, 8).unwrap();
    table.prefetch(42);
    assert_eq!(candidates(&table, 42), [7, 8]);
    assert_eq!(table.find(42, |id| id == 8), Some(8));
    assert_eq!(table.find(42, |id| id == 9), None);
    assert_eq!(table.find(43, |_| true), None);
    assert!(table.remove(42, 7));
    assert!(!table.remove(42, 7));
    assert_eq!(candidates(&table, 42), [8]);
    assert!(table.remove(42, 8));
    assert_pristine(&table);
}

#[test]
fn a_hash_of_zeros_is_no_free_place() {
    let mut table = table(10);
    assert_eq!(table.find(0, |_| true), None);
    table.insert(0, 3).unwrap();
    assert_eq!(table.find(0, |_| true), Some(3));
    assert!(table.remove(0, 3));
    assert_pristine(&table);
}

#[test]
fn a_crowded_home_overflows_into_its_reach_and_drains_without_a_trace() {
    let mut table = table(4_000);
    let (homes, home) = (table.homes, table.homes / 2);
    let room = (ENTRIES * REACH) as u32;
    let hash = |id: u32| hash_at(homes, home, if id.is_multiple_of(2) { 5 } else { id as u8 });
    for id in 0..room {
        table.insert(hash(id), id).unwrap();
    }
    assert_eq!(table.insert(hash(room), room), Err(Full));
    assert_eq!(table.len(), room as usize);
    assert!((0..room).all(|id| table.find(hash(id), |found| found == id) == Some(id)));
    assert!(table.is_passed(table.place(hash(0))));
    let beyond = table.candidate_beyond(table.place(hash(0)));
    assert_eq!(beyond, Some(ENTRIES as u32), "the first that found the home bucket full");
    // Another home in the same reach still finds its place and its way.
    let neighbour = hash_at(homes, home + 1, 77);
    assert_eq!((table.home(hash(0)), table.home(neighbour)), (home, home + 1));
    table.insert(neighbour, room).unwrap();
    assert_eq!(table.find(neighbour, |id| id == room), Some(room));
    assert!(table.remove(neighbour, room));
    // Every third goes, then the rest, in an order unlike that of their arrival.
    for id in (0..room).step_by(3).chain((0..room).rev().filter(|id| id % 3 != 0)) {
        assert!(table.remove(hash(id), id));
        assert_eq!(table.find(hash(id), |found| found == id), None);
    }
    assert_pristine(&table);
}

#[test]
fn the_last_home_has_a_whole_reach_too() {
    let mut table = table(50);
    let hash = u64::MAX;
    assert_eq!(table.home(hash), table.homes - 1);
    assert!((0..50).all(|id| table.insert(hash, id).is_ok()));
    assert_eq!(table.insert(hash, 50), Err(Full), "capacity is reached");
    assert!((0..50).all(|id| table.remove(hash, id)));
    assert_pristine(&table);
}

#[test]
fn a_random_fill_reaches_capacity_and_stays_near_home() {
    let entries = if cfg!(miri) { 500 } else { 200_000 };
    let mut table = table(entries);
    // The step of Vigna's SplitMix64.
    let hash = |id: u32| {
        let mixed = (u64::from(id) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    };
    assert!((0..entries as u32).all(|id| table.insert(hash(id), id).is_ok()));
    assert_eq!(table.insert(1, 1), Err(Full));
    let away =
        (0..entries as u32).filter(|&id| candidates(&table, hash(id)).first() != Some(&id)).count();
    assert!(away * 15 < entries, "{away} of {entries} are not the first candidate at home");
    let suggested = |id: u32| {
        let place = table.place(hash(id));
        let beyond = table.is_passed(place).then(|| table.candidate_beyond(place)).flatten();
        table.candidates(place).chain(beyond).any(|found| found == id)
    };
    let missed = (0..entries as u32).filter(|&id| !suggested(id)).count();
    assert!(
        missed * 200 < entries,
        "{missed} of {entries} are neither at home nor the first beyond"
    );
    assert!(table.bytes() <= entries * 64 / 9 + 64 * (REACH + 1));
    assert!((0..entries as u32).all(|id| table.remove(hash(id), id)));
    assert_pristine(&table);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]

    /// Few homes and few tags: nearly every entry collides with others.
    #[test]
    fn the_table_is_a_map(
        steps in prop::collection::vec((0_u8..3, 0_u64..3, 1_u64..4, 0_u32..60), 0..300),
    ) {
        let mut table = table(40);
        let mut model = HashMap::<u32, u64>::new();
        for (step, home, tag, id) in steps {
            let hash = ((home * (u64::MAX / 3)) & !0xffff) | tag;
            match (step, model.get(&id).copied()) {
                (0, Some(hash)) => {
                    prop_assert!(table.remove(hash, id));
                    model.remove(&id);
                }
                (0, None) => prop_assert!(!table.remove(hash, id)),
                (_, None) => match table.insert(hash, id) {
                    Ok(()) => prop_assert_eq!(model.insert(id, hash), None),
                    Err(Full) => prop_assert_eq!(model.len(), table.capacity()),
                },
                (_, Some(_)) => {}
            }
            prop_assert_eq!(table.len(), model.len());
            for id in 0..60 {
                let stored = table.find(model.get(&id).copied().unwrap_or(hash), |found| found == id);
                prop_assert_eq!(stored, model.contains_key(&id).then_some(id));
            }
        }
        for (id, hash) in model {
            prop_assert!(table.remove(hash, id));
        }
        assert_pristine(&table);
    }
}
