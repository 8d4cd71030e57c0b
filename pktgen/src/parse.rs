//! Values of options and profiles.

use std::time::Duration;

use crate::flow::Sizes;

/// Numbers with units `h`, `m`, `s` or `ms`, one after the other.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no duration: write e.g. 10s, 500ms or 1m30s");
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let ms: u64 = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "ms" => 1,
            "s" => 1000,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        total += Duration::from_millis(number.checked_mul(ms).ok_or_else(wrong)?);
        rest = tail;
    }
    if total.is_zero() || total > LONGEST { Err(wrong()) } else { Ok(total) }
}

/// A number of flows, with `k` or `M` for thousands and millions.
pub(crate) fn flows(text: &str) -> Result<u32, String> {
    let (digits, factor) = match text.strip_suffix(['k', 'M']) {
        Some(digits) if text.ends_with('k') => (digits, 1000),
        Some(digits) => (digits, 1_000_000),
        None => (text, 1),
    };
    let number = digits.replace('_', "").parse::<u32>().ok();
    let number = number.and_then(|number| number.checked_mul(factor));
    number.ok_or_else(|| format!("'{text}' is no number of flows: write e.g. 500, 64k or 1M"))
}

/// Sizes that are a default, hence well written.
pub(crate) fn sizes(list: &str) -> Vec<Sizes> {
    list.split(',').filter_map(|size| size.parse().ok()).collect()
}

/// A percentage, with or without its sign.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let value = text.trim_end_matches('%').parse::<f64>().ok();
    let wrong = || format!("'{text}' is no percentage above 0 and up to 100");
    value.filter(|value| *value > 0.0 && *value <= 100.0).ok_or_else(wrong)
}

/// A part of one.
pub(super) fn part(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok();
    let wrong = || format!("'{text}' is no number above 0 and up to 1");
    value.filter(|value| *value > 0.0 && *value <= 1.0).ok_or_else(wrong)
}

/// A year: nanoseconds stay far from the end of 64 bits.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, ms) in [("10s", 10_000), ("500ms", 500), ("1m30s", 90_000), ("2h", 7_200_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in
            ["", "10", "s", "0s", "1x", "-1s", "99999999999999999999s", "18446744073709551s"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn percentages_and_parts_are_read() {
        assert_eq!((percent("5%"), percent("0.5"), part("0.5")), (Ok(5.0), Ok(0.5), Ok(0.5)));
        for text in ["", "%", "0", "101%", "nan"] {
            assert!(percent(text).is_err() && part(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_of_flows_are_read() {
        for (text, number) in [("1", 1), ("64k", 64_000), ("1M", 1_000_000), ("10_000", 10_000)] {
            assert_eq!(flows(text), Ok(number), "{text}");
        }
        for text in ["", "k", "-1", "1G", "5000M", "1.5k"] {
            assert!(flows(text).is_err(), "{text}");
        }
    }
}
