//! The upper tail of the χ² distribution: the regularised incomplete gamma function Q(k/2, x/2), by its series or its
//! continued fraction (Abramowitz and Stegun 6.5.29 and 6.5.31).

/// The probability that a χ² variable with so many degrees of freedom is at least `statistic`.
pub fn upper_tail(freedom: u32, statistic: f64) -> f64 {
    let (a, x) = (f64::from(freedom) / 2.0, statistic / 2.0);
    if x <= 0.0 || freedom == 0 {
        return 1.0;
    }
    let scale = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 { 1.0 - scale * series(a, x) } else { scale * fraction(a, x) }
}

fn series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
    while term > sum * PRECISION {
        n += 1.0;
        term *= x / n;
        sum += term;
    }
    sum
}

/// Lentz's method.
fn fraction(a: f64, x: f64) -> f64 {
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut value = d;
    for i in 1..1000 {
        let i = f64::from(i);
        let step = -i * (i - a);
        b += 2.0;
        d = 1.0 / away(step * d + b);
        c = away(b + step / c);
        value *= c * d;
        if (c * d - 1.0).abs() < PRECISION {
            break;
        }
    }
    value
}

fn away(value: f64) -> f64 {
    if value.abs() < TINY { TINY } else { value }
}

/// ln Γ(a) for a = n/2: from Γ(1/2) = √π or Γ(1) = 1 upwards.
fn ln_gamma(a: f64) -> f64 {
    let mut value = if a.fract() == 0.0 { 0.0 } else { std::f64::consts::PI.sqrt().ln() };
    let mut at = if a.fract() == 0.0 { 1.0 } else { 0.5 };
    while at < a {
        value += f64::ln(at);
        at += 1.0;
    }
    value
}

const PRECISION: f64 = 1e-12;
const TINY: f64 = 1e-300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_that_of_the_tables() {
        // Upper critical values, as in every table of the distribution.
        for (freedom, statistic, tail) in [
            (1, 3.841_458_8, 0.05),
            (1, 6.634_896_6, 0.01),
            (2, 5.991_464_5, 0.05),
            (10, 18.307_038, 0.05),
            (10, 3.940_299, 0.95),
            (63, 82.528_727, 0.05),
            (100, 140.169_47, 0.005),
        ] {
            let found = upper_tail(freedom, statistic);
            assert!((found - tail).abs() < 1e-6, "{freedom} {statistic}: {found}");
        }
        assert_eq!(upper_tail(5, 0.0), 1.0);
        assert!(upper_tail(63, 1e5) < 1e-100);
    }
}
