use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn deadlines(ids: usize, start_ms: u64) -> Deadlines {
    Deadlines::new("deadlines", ids, Source::Plain, start_ms).unwrap()
}

/// Everything due at `now_ms`, in as many calls as it takes.
fn drain(deadlines: &mut Deadlines, now_ms: u64) -> Vec<u32> {
    let mut ids = [0; 100];
    let calls = deadlines.lines.len() + 1;
    (0..calls)
        .flat_map(|_| {
            let due = deadlines.due(now_ms, &mut ids);
            ids[..due].to_vec()
        })
        .collect()
}

#[test]
fn an_id_wakes_within_two_ticks_after_its_deadline_and_once() {
    let mut deadlines = deadlines(2, 1_000);
    deadlines.arm(0, 5_000);
    deadlines.arm(1, 5_120);
    assert!(drain(&mut deadlines, 4_999).is_empty());
    assert!(drain(&mut deadlines, 5_119).is_empty(), "the tick of 5 s ends at 5.12 s");
    assert_eq!(drain(&mut deadlines, 5_256), [0, 1]);
    assert!(drain(&mut deadlines, 1_000_000).is_empty());
}

#[test]
fn arming_again_moves_and_disarming_forgets() {
    let mut deadlines = deadlines(3, 0);
    deadlines.disarm(0);
    deadlines.arm(0, 1_000);
    deadlines.arm(1, 1_000);
    deadlines.arm(2, 1_000);
    deadlines.arm(0, 9_000);
    deadlines.disarm(1);
    deadlines.disarm(1);
    assert_eq!(drain(&mut deadlines, 2_000), [2]);
    assert_eq!(drain(&mut deadlines, 9_999), [0]);
}

#[test]
fn what_is_due_comes_in_portions_while_others_live_on() {
    let mut deadlines = deadlines(1_000, 0);
    (0..1_000).for_each(|id| deadlines.arm(id, 700));
    let mut woken = Vec::<u32>::new();
    let mut ids = [0; 100];
    while woken.len() < 1_000 {
        let due = deadlines.due(900, &mut ids);
        assert!((1..=96).contains(&due), "whole lines, as many as fit");
        // Half of them live on, while the rest still waits.
        ids[..due].iter().filter(|&id| id % 2 == 0).for_each(|&id| deadlines.arm(id, 5_000));
        woken.extend(&ids[..due]);
    }
    assert_eq!(woken, (0..1_000).collect::<Vec<_>>());
    assert_eq!(deadlines.due(900, &mut ids), 0);
    assert_eq!(drain(&mut deadlines, 5_248).len(), 500);
}

#[test]
fn the_hand_takes_a_round_for_all_ids_and_no_call_goes_far() {
    let ids = 100_000;
    let mut deadlines = deadlines(ids, 0);
    (0..ids as u32).for_each(|id| deadlines.arm(id, 10_000));
    let mut into = [0; 64];
    assert_eq!(deadlines.due(5_000, &mut into), 0);
    assert_eq!(deadlines.hand, LINES_PER_CALL);
    while deadlines.behind >= ROUND_MS {
        assert_eq!(deadlines.due(5_000, &mut into), 0);
    }
    let hand = deadlines.hand;
    assert_eq!(deadlines.due(5_001, &mut into), 0);
    let lines = ids.div_ceil(IDS);
    assert!((deadlines.hand + lines - hand) % lines <= lines / ROUND_MS as usize + 1);
    let mut woken = Vec::<u32>::new();
    for now in 5_001..10_400 {
        loop {
            let due = deadlines.due(now, &mut into);
            if due == 0 {
                break;
            }
            woken.extend(&into[..due]);
        }
        assert!(woken.is_empty() || now >= 10_000, "nothing is early");
    }
    woken.sort_unstable();
    assert_eq!(woken, (0..ids as u32).collect::<Vec<_>>());
}

#[test]
fn a_deadline_in_the_past_is_due_in_the_next_tick() {
    let mut deadlines = deadlines(1, 0);
    assert!(drain(&mut deadlines, 10_000).is_empty());
    deadlines.arm(0, 0);
    assert!(drain(&mut deadlines, 10_001).is_empty());
    assert_eq!(drain(&mut deadlines, 10_256), [0]);
}

#[test]
fn a_deadline_beyond_the_horizon_wakes_at_the_horizon_to_be_armed_again() {
    let mut deadlines = deadlines(1, 0);
    let deadline = Deadlines::HORIZON_MS + 1_000_000;
    deadlines.arm(0, deadline);
    for now in (0..Deadlines::HORIZON_MS - 1).step_by(100_000) {
        assert!(drain(&mut deadlines, now).is_empty());
    }
    assert_eq!(drain(&mut deadlines, Deadlines::HORIZON_MS + 256), [0]);
    deadlines.arm(0, deadline);
    for now in (Deadlines::HORIZON_MS + 256..deadline).step_by(100_000) {
        assert!(drain(&mut deadlines, now).is_empty());
    }
    assert_eq!(drain(&mut deadlines, deadline + 256), [0]);
}

#[test]
fn after_a_long_sleep_everything_wakes_because_the_past_cannot_be_told_from_the_future() {
    for sleep_ms in [LATE_MS, Deadlines::HORIZON_MS, 10 * Deadlines::HORIZON_MS, u64::MAX / 2] {
        let mut deadlines = deadlines(100, 0);
        (0..99).for_each(|id| deadlines.arm(id, u64::from(id) * 80_000 + 1));
        assert_eq!(drain(&mut deadlines, sleep_ms), (0..99).collect::<Vec<_>>());
        assert!(drain(&mut deadlines, sleep_ms + 256).is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 128 }))]

    #[test]
    fn deadlines_are_an_ordered_map(
        start in 0_u64..1 << 40,
        steps in prop::collection::vec((0_u8..4, 0_u32..200, 0_u64..100_000), 1..if cfg!(miri) { 30 } else { 200 }),
    ) {
        let mut deadlines = deadlines(200, start);
        let mut model = BTreeMap::new();
        let mut now = start;
        for (step, id, ms) in steps {
            match step {
                0 => {
                    deadlines.disarm(id);
                    model.remove(&id);
                }
                1 => {
                    now += ms;
                    for id in drain(&mut deadlines, now) {
                        let deadline = model.remove(&id).expect("only armed ids wake");
                        prop_assert!(deadline <= now, "{id} woke {} ms early", deadline - now);
                        // Some live on.
                        if id % 5 == 0 {
                            deadlines.arm(id, now + 7_000);
                            model.insert(id, now + 7_000);
                        }
                    }
                    // Rounded up to a tick, or to the one behind where the number means none; then at most a round.
                    let late = model.values().filter(|&&deadline| deadline + 384 <= now).count();
                    prop_assert_eq!(late, 0);
                }
                _ => {
                    deadlines.arm(id, now + ms);
                    model.insert(id, now + ms);
                }
            }
        }
    }
}
