use super::*;
use crate::search::simulated::Simulated;
use crate::search::{Preset, throughput};
use proptest::prelude::*;

const MAX: f64 = 10e6;

fn search(preset: Preset, path: &mut Simulated) -> Vec<Bounds> {
    let mut search = Search::new(preset.goals(), preset.selection(), (100.0, MAX), None);
    search.run(path).unwrap()
}

/// So many trials are enough for any path: the loads of three stages for each goal, and the trials that
/// decide each of them.
fn limit(preset: Preset) -> usize {
    let decide = |goal: &Goal| (goal.sum_s / goal.final_s).ceil() as usize + 1;
    let loads = |goal: &Goal| ((MAX / 100.0).ln() / goal.width.ln_1p()).log2() as usize * 2 + 6;
    preset.goals().iter().map(|goal| 3 * loads(goal) * decide(goal)).sum()
}

fn is_regular(bounds: &Bounds) -> bool {
    let (Some(lower), Some(upper)) = (bounds.lower, bounds.upper) else { return false };
    bounds.ending == Ending::Regular && lower < upper && upper <= lower * (1.0 + bounds.goal.width)
}

#[test]
fn the_first_loads_are_the_maximum_and_what_came_through() {
    let mut path = Simulated::sharp(4e6);
    search(Preset::Quick, &mut path);
    assert_eq!(path.trials[0].load, MAX);
    assert!((path.trials[1].load - 4e6).abs() < 10.0, "{}", path.trials[1].load);
    assert_eq!(path.trials[0].duration_s, 0.25);
}

#[test]
fn a_maximum_without_loss_is_irregular_and_cheap() {
    let mut path = Simulated::sharp(2.0 * MAX);
    for bounds in search(Preset::Csit, &mut path) {
        assert_eq!((bounds.ending, bounds.lower, bounds.upper), (Ending::MaxLoad, Some(MAX), None));
        assert_eq!(bounds.conditional_throughput, Some(MAX));
    }
    assert!(path.trials.len() <= 22, "shared by both goals: {}", path.trials.len());
}

#[test]
fn a_dead_path_is_irregular() {
    for preset in [Preset::Csit, Preset::Rfc2544] {
        for bounds in search(preset, &mut Simulated::sharp(0.0)) {
            assert_eq!((bounds.ending, bounds.lower), (Ending::MinLoad, None));
            assert_eq!(bounds.conditional_throughput, None);
        }
    }
}

#[test]
fn the_time_limit_ends_a_search_and_the_result_says_so() {
    let mut path = Simulated::sharp(4e6);
    let mut search =
        Search::new(Preset::Csit.goals(), Selection::Geometric, (100.0, MAX), Some(12.0));
    let found = search.run(&mut path).unwrap();
    assert!(path.elapsed_s() <= 13.0);
    assert_eq!(found[0].ending, Ending::OutOfTime);
}

#[test]
fn partial_drop_lies_above_no_drop_and_shares_its_trials() {
    let mut path = Simulated { softness: 0.05, ..Simulated::sharp(4e6) };
    let [ndr, pdr] = &search(Preset::Csit, &mut path)[..] else { panic!("two goals") };
    assert!(ndr.lower < pdr.lower, "{ndr:?} {pdr:?}");
    // At the partial drop rate up to half a percent is lost, and conditional throughput is without it.
    assert!(pdr.conditional_throughput < pdr.lower);
    assert!(pdr.conditional_throughput.unwrap() >= pdr.lower.unwrap() * 0.995);
    assert_eq!(ndr.conditional_throughput, ndr.lower);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_bounds_hold_a_sharp_limit_between_them(capacity in 1e3..9.9e6_f64) {
        for preset in [Preset::Csit, Preset::Quick, Preset::Tst009] {
            let mut path = Simulated::sharp(capacity);
            for bounds in search(preset, &mut path) {
                prop_assert!(is_regular(&bounds), "{:?}", bounds);
                // Less than a frame a trial above the capacity is not to be seen.
                let lower = bounds.lower.unwrap();
                let tolerated = capacity / (1.0 - bounds.goal.loss_ratio) + 5.0;
                prop_assert!(lower <= tolerated, "{} above {}", lower, capacity);
                prop_assert!(bounds.upper.unwrap() >= capacity);
                prop_assert!(!bounds.tg_limited);
            }
            prop_assert!(path.trials.len() <= limit(preset), "{} trials", path.trials.len());
        }
    }

    #[test]
    fn a_soft_limit_is_found_where_the_loss_crosses_the_goal(
        capacity in 1e5..8e6_f64,
        softness in 0.01..0.2_f64,
    ) {
        let mut path = Simulated { softness, ..Simulated::sharp(capacity) };
        let found = search(Preset::Csit, &mut path);
        let pdr = &found[1];
        prop_assert!(is_regular(pdr), "{:?}", pdr);
        prop_assert!(path.loss_ratio(pdr.lower.unwrap()) <= 0.005 + 1e-5);
        prop_assert!(path.loss_ratio(pdr.upper.unwrap()) >= 0.005 - 1e-5);
    }

    #[test]
    fn chance_loss_in_a_fifth_of_the_trials_is_forgiven(
        capacity in 1e5..9e6_f64,
        seed in any::<u64>(),
    ) {
        let mut path = Simulated { spurious: 0.2, ..Simulated::sharp(capacity) }.seeded(seed);
        let mut search =
            Search::new(Preset::Csit.goals(), Selection::Geometric, (100.0, MAX), None);
        let found = search.run(&mut path).unwrap();
        prop_assert!(path.trials.len() <= limit(Preset::Csit), "{} trials", path.trials.len());
        for bounds in &found {
            prop_assert!(is_regular(bounds), "{:?}", bounds);
        }
        let pdr = &found[1];
        prop_assert!(pdr.lower.unwrap() <= capacity / 0.995 + 5.0 && pdr.upper.unwrap() >= capacity);
        prop_assert!(found[0].lower.unwrap() <= capacity + 5.0);
    }

    #[test]
    fn loss_at_lower_loads_makes_the_result_cautious(
        start in 0.2..0.8_f64,
        width in 0.001..0.5_f64,
    ) {
        let capacity = 5e6;
        let hole = start * capacity..start * capacity * (1.0 + width);
        let mut path = Simulated { hole: Some(hole), ..Simulated::sharp(capacity) };
        let mut search =
            Search::new(Preset::Csit.goals(), Selection::Geometric, (100.0, MAX), None);
        let found = search.run(&mut path).unwrap();
        prop_assert!(path.trials.len() <= limit(Preset::Csit));
        for bounds in found {
            prop_assert!(is_regular(&bounds), "{:?}", bounds);
            let lower = bounds.lower.unwrap();
            let lossy_below = path.trials.iter().any(|trial| {
                trial.load < lower && search.ledger().classify(trial.load, &bounds.goal) == Class::Upper
            });
            prop_assert!(!lossy_below, "an upper bound below {}", lower);
        }
    }

    #[test]
    fn a_generator_slower_than_the_path_is_named(limit in 1e5..4e6_f64) {
        let mut path = Simulated { tg_limit: limit, ..Simulated::sharp(5e6) };
        for bounds in search(Preset::Csit, &mut path) {
            prop_assert!(is_regular(&bounds), "{:?}", bounds);
            let just_above = bounds.upper.unwrap() <= limit * 1.001;
            prop_assert!(bounds.tg_limited || just_above, "{:?}", bounds);
        }
    }

    #[test]
    fn the_rfc_2544_preset_is_the_plain_binary_search(
        capacity in 0.0..12e6_f64,
        spurious in prop_oneof![Just(0.0), Just(0.3)],
        seed in any::<u64>(),
    ) {
        let path = || Simulated { spurious, ..Simulated::sharp(capacity) }.seeded(seed);
        let (mut plain, mut mlr) = (path(), path());
        let expected = throughput(&mut plain, MAX, 60.0, 0).unwrap();
        let found = search(Preset::Rfc2544, &mut mlr);
        prop_assert_eq!(&plain.trials, &mlr.trials);
        prop_assert_eq!(found[0].lower.unwrap_or(0.0), expected.load);
        prop_assert_eq!(found[0].upper, expected.lossy);
    }
}
