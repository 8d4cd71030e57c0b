use super::*;

fn labels(axis: &Axis, values: &[f64]) -> Vec<String> {
    Placed::new(axis, values.iter().copied()).ticks(6).into_iter().map(|tick| tick.1).collect()
}

#[test]
fn values_are_written_with_si_prefixes() {
    for (unit, value, text) in [
        (Unit::Pps, 1.5e6, "1.5 Mpps"),
        (Unit::Pps, 200.0, "200 pps"),
        (Unit::Bps, 12.3e9, "12.3 Gbit/s"),
        (Unit::Ns, 950.0, "950 ns"),
        (Unit::Ns, 1250.0, "1.25 µs"),
        (Unit::S, 0.0034, "3.4 ms"),
        (Unit::S, 12.0, "12 s"),
        (Unit::Ratio, 0.0, "0 %"),
        (Unit::Ratio, 0.005, "0.5 %"),
        (Unit::Ratio, 1.0, "100 %"),
        (Unit::Ratio, 2e-6, "2 ppm"),
        (Unit::Count, 65_536.0, "65536"),
        (Unit::Count, 1e6, "1M"),
    ] {
        assert_eq!(unit.format(value), text);
    }
}

#[test]
fn linear_ticks_are_round_and_inside() {
    let axis = Axis { unit: Unit::Pps, from_zero: true, ..Axis::default() };
    assert_eq!(
        labels(&axis, &[3.2e6, 9.7e6]),
        ["0 pps", "2 Mpps", "4 Mpps", "6 Mpps", "8 Mpps", "10 Mpps"]
    );
    assert_eq!(labels(&axis, &[]).len(), 6, "an empty plot has an axis");
    assert!(labels(&Axis::default(), &[5.0]).len() > 1, "and so has a single value");
}

#[test]
fn a_logarithmic_axis_has_a_place_for_zero() {
    let axis = Axis { scale: Scale::Log, unit: Unit::Ratio, ..Axis::default() };
    let placed = Placed::new(&axis, [0.0, 1e-4, 1.0].into_iter());
    assert_eq!(placed.place(0.0), 0.0);
    assert!(placed.place(1e-4) > 0.1 && placed.place(1e-4) < placed.place(1e-3));
    assert_eq!(labels(&axis, &[0.0, 1e-4, 1.0])[..2], ["0", "0.01 %"]);
    for values in [&[0.0][..], &[0.0, 0.9]] {
        let labels = labels(&axis, values);
        assert_eq!((labels[0].as_str(), labels.last().unwrap().as_str()), ("0", "100 %"));
    }
}

#[test]
fn quantiles_are_spaced_by_their_nines() {
    let axis = Axis { scale: Scale::Quantile, ..Axis::default() };
    let placed = Placed::new(&axis, [0.0, 0.999].into_iter());
    assert!((placed.place(0.9) - 1.0 / 3.0).abs() < 1e-9);
    assert_eq!(labels(&axis, &[0.5, 0.9999]), ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
}
