//! The worked example of MLRsearch, classified by the rules of RFC 9971, not by the table of its draft 15.

use super::*;

const LOAD: f64 = 1e6;

/// Final duration, duration sum, loss ratio and exceed ratio.
fn goal(final_s: f64, sum_s: f64, loss_ratio: f64, exceed_ratio: f64) -> Goal {
    Goal {
        name: String::new(),
        initial_s: final_s,
        final_s,
        sum_s,
        loss_ratio,
        exceed_ratio,
        width: 0.005,
    }
}

fn goals() -> [Goal; 4] {
    [
        goal(60.0, 60.0, 0.0, 0.0),
        goal(60.0, 120.0, 0.0, 0.5),
        goal(1.0, 120.0, 0.005, 0.5),
        goal(60.0, 60.0, 0.005, 0.2),
    ]
}

fn add(ledger: &mut Ledger, count: usize, duration_s: f64, loss_ratio: f64) {
    let intended = (LOAD * duration_s) as u64;
    let lost = (intended as f64 * loss_ratio).round() as u64;
    for _ in 0..count {
        ledger.add(Sample { load: LOAD, duration_s, intended, lost, tx_short: 0 });
    }
}

fn letters(ledger: &Ledger) -> String {
    goals().iter().map(|goal| ledger.classify(LOAD, goal).letter()).collect()
}

#[test]
fn loads_are_classified_as_in_the_worked_example() {
    let mut ledger = Ledger::default();
    assert_eq!(letters(&ledger), "????");
    for (count, duration, loss, expected) in [
        (59, 1.0, 0.0, "????"),
        (1, 1.0, 0.01, "U???"),
        (59, 1.0, 0.01, "U??U"),
        (1, 1.0, 0.0, "U?LU"),
        (1, 60.0, 0.001, "U?LU"),
        (1, 60.0, 0.0, "ULLU"),
    ] {
        add(&mut ledger, count, duration, loss);
        assert_eq!(letters(&ledger), expected, "after {count} trials of {duration} s with {loss}");
    }
    let throughput = goals().map(|goal| ledger.conditional_throughput(LOAD, &goal).round());
    assert_eq!(throughput[1..], [1e6, 1e6, 999_000.0]);
}

#[test]
fn without_a_full_length_trial_nothing_is_throughput() {
    let mut ledger = Ledger::default();
    let [_, b, ..] = goals();
    assert_eq!(ledger.conditional_throughput(LOAD, &b), 0.0);
    add(&mut ledger, 1, 60.0, 0.0);
    assert_eq!(ledger.conditional_throughput(LOAD, &b), LOAD, "half of the sum is enough");
    add(&mut ledger, 5, 1.0, 1.0);
    assert_eq!(ledger.conditional_throughput(LOAD, &b), LOAD, "short trials do not count");
}

#[test]
fn a_lower_bound_above_the_smallest_upper_bound_is_not_relevant() {
    let mut ledger = Ledger::default();
    let goal = goal(1.0, 1.0, 0.0, 0.0);
    for (load, lost) in [(100.0, 0), (200.0, 1), (300.0, 0), (400.0, 2)] {
        ledger.add(Sample { load, duration_s: 1.0, intended: 400, lost, tx_short: 0 });
    }
    assert_eq!(ledger.bounds(&goal), (Some(100.0), Some(200.0)));
}

#[test]
fn a_load_is_limited_by_the_generator_when_most_of_its_bad_trials_are() {
    let mut ledger = Ledger::default();
    let goal = goal(1.0, 1.0, 0.0, 0.5);
    let mut add = |lost, tx_short| {
        ledger.add(Sample { load: 9.0, duration_s: 1.0, intended: 1000, lost, tx_short });
        ledger.is_tg_limited(9.0, &goal)
    };
    assert!(!add(0, 0), "no bad trial");
    assert!(!add(5, 1), "one in a thousand is not over the limit");
    assert!(!add(5, 2), "half of them");
    assert!(add(5, 5));
}
