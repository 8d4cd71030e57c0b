use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn wheel(ids: usize, start_ms: u64) -> TimerWheel {
    TimerWheel::new("timers", ids, Source::Plain, start_ms).unwrap()
}

/// Everything due at `now_ms`, in as many calls as it takes.
fn drain(wheel: &mut TimerWheel, now_ms: u64) -> Vec<u32> {
    let mut ids = [0; 1_000];
    (0..=SLOTS as u64 / SKIP_LIMIT)
        .flat_map(|_| {
            let due = wheel.due(now_ms, &mut ids);
            ids[..due].to_vec()
        })
        .collect()
}

#[test]
fn an_id_wakes_within_a_tick_after_its_deadline_and_once() {
    let mut wheel = wheel(2, 1_000);
    wheel.arm(0, 5_000);
    wheel.arm(1, 5_120);
    assert!(drain(&mut wheel, 4_999).is_empty());
    assert!(drain(&mut wheel, 5_119).is_empty(), "5 s is inside the tick that ends at 5.12 s");
    assert_eq!(drain(&mut wheel, 5_120), [0, 1]);
    assert!(drain(&mut wheel, 1_000_000).is_empty());
}

#[test]
fn rearming_moves_and_disarming_forgets() {
    let mut wheel = wheel(3, 0);
    wheel.disarm(0);
    wheel.arm(0, 1_000);
    wheel.arm(1, 1_000);
    wheel.arm(2, 1_000);
    wheel.arm(0, 9_000);
    wheel.disarm(1);
    wheel.disarm(1);
    assert_eq!(drain(&mut wheel, 2_000), [2]);
    assert_eq!(drain(&mut wheel, 9_999), [0]);
}

#[test]
fn what_is_due_comes_in_bursts_and_leaves_the_wheel() {
    let mut wheel = wheel(5, 0);
    (0..5).for_each(|id| wheel.arm(id, 100 * u64::from(id)));
    let mut ids = [0; 2];
    assert_eq!((wheel.due(256, &mut ids), ids), (2, [0, 1]));
    wheel.arm(0, 300);
    wheel.disarm(1);
    assert_eq!((wheel.due(256, &mut ids), ids[0]), (1, 2));
    assert_eq!(wheel.due(511, &mut ids), 0);
    assert_eq!((wheel.due(512, &mut ids), ids), (2, [4, 3]), "lanes take turns");
    assert_eq!((wheel.due(512, &mut ids), ids[0]), (1, 0));
    assert_eq!(wheel.due(u64::MAX, &mut ids), 0);
}

#[test]
fn a_crowded_slot_is_visited_in_portions() {
    let mut wheel = wheel(1_000, 0);
    (0..1_000).for_each(|id| wheel.arm(id, 700));
    let mut woken = Vec::new();
    for _ in 0..10 {
        let mut ids = [0; 100];
        assert_eq!(wheel.due(800, &mut ids), 100);
        // Half of them live on, while the rest of the slot still waits.
        ids.iter().filter(|&id| id % 2 == 0).for_each(|&id| wheel.arm(id, 5_000));
        woken.extend(ids);
    }
    assert_eq!(wheel.due(800, &mut [0; 100]), 0);
    assert_eq!(woken, (0..1_000).collect::<Vec<_>>());
    assert_eq!(drain(&mut wheel, 5_120).len(), 500);
}

#[test]
fn a_deadline_in_the_past_is_due_in_the_next_tick() {
    let mut wheel = wheel(1, 0);
    assert!(drain(&mut wheel, 10_000).is_empty());
    wheel.arm(0, 0);
    assert!(drain(&mut wheel, 10_239).is_empty());
    assert_eq!(drain(&mut wheel, 10_240), [0]);
}

#[test]
fn a_deadline_beyond_the_horizon_wakes_at_the_horizon_to_be_armed_again() {
    let mut wheel = wheel(1, 0);
    let deadline = TimerWheel::HORIZON_MS + 1_000_000;
    wheel.arm(0, deadline);
    assert!(drain(&mut wheel, TimerWheel::HORIZON_MS - 1).is_empty());
    assert_eq!(drain(&mut wheel, TimerWheel::HORIZON_MS), [0]);
    wheel.arm(0, deadline);
    assert!(drain(&mut wheel, deadline - 1).is_empty());
    assert_eq!(drain(&mut wheel, deadline + 256), [0]);
}

#[test]
fn after_any_sleep_a_call_stays_short_and_nothing_is_lost() {
    for sleep_ms in [100_000, TimerWheel::HORIZON_MS, 10 * TimerWheel::HORIZON_MS, u64::MAX / 2] {
        let mut wheel = wheel(20, 0);
        (0..20).for_each(|id| wheel.arm(id, u64::from(id) * 400_000));
        let due = (0..20_u64).filter(|id| id * 400_000 <= sleep_ms).count();
        let before = wheel.tick;
        assert_eq!(wheel.due(sleep_ms, &mut [0]), 1);
        let jumped = (sleep_ms >> TICK_SHIFT).saturating_sub(SLOTS as u64 - 1).max(before);
        assert!(wheel.tick <= jumped + SKIP_LIMIT);
        let woken = drain(&mut wheel, sleep_ms).len();
        assert_eq!(woken + 1, due, "the first call took one");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 128 }))]

    #[test]
    fn the_wheel_is_an_ordered_map_of_deadlines(
        start in 0_u64..1 << 40,
        steps in prop::collection::vec((0_u8..4, 0_u32..20, 0_u64..100_000), 1..if cfg!(miri) { 30 } else { 200 }),
    ) {
        let mut wheel = wheel(20, start);
        let mut model = BTreeMap::new();
        let mut now = start;
        for (step, id, ms) in steps {
            match step {
                0 => {
                    wheel.disarm(id);
                    model.remove(&id);
                }
                1 => {
                    now += ms;
                    for id in drain(&mut wheel, now) {
                        let deadline = model.remove(&id).expect("only armed ids wake");
                        prop_assert!(deadline <= now, "{id} woke {} ms early", deadline - now);
                        // Some live on.
                        if id % 5 == 0 {
                            wheel.arm(id, now + 7_000);
                            model.insert(id, now + 7_000);
                        }
                    }
                    let late = model.values().filter(|&&deadline| deadline + 256 <= now).count();
                    prop_assert_eq!(late, 0);
                }
                _ => {
                    wheel.arm(id, now + ms);
                    model.insert(id, now + ms);
                }
            }
        }
    }
}
