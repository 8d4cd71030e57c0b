//! Loads as users write them: `100kpps`, `1.5Mpps`, `1Gbps` (L2 octets, FCS included), `80%`, `poisson:50kpps` or `max`.

use std::fmt;
use std::str::FromStr;

/// What one direction is asked to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// How much.
    pub amount: Amount,
    /// Whether the gaps between frames are random (a Poisson process).
    pub poisson: bool,
}

/// How much to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// Bits per second of L2 frames, FCS included.
    Bits(f64),
    /// As fast as the port takes frames.
    Max,
    /// Frames per second.
    Packets(f64),
    /// Percent of the maximum load.
    Percent(f64),
}

/// A load that is none.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no load: write e.g. 100kpps, 1.5Mpps, 1Gbps, 80%, poisson:50kpps or max")]
pub struct LoadError(String);

impl Load {
    /// The rate for frames of `size` octets on average, FCS included; `None` for no limit, and for percents where the
    /// maximum is not known.
    pub fn rate(self, size: f64, maximum: Option<Rate>) -> Option<Rate> {
        match self.amount {
            Amount::Bits(bits) => Some(Rate::per_second(bits / (size * 8.0))),
            Amount::Max => None,
            Amount::Packets(packets) => Some(Rate::per_second(packets)),
            Amount::Percent(percent) => {
                Some(Rate::per_second(maximum?.frames_per_second() * percent / 100.0))
            }
        }
    }
}

impl FromStr for Load {
    type Err = LoadError;

    fn from_str(text: &str) -> Result<Self, LoadError> {
        let (rest, poisson) = match text.strip_prefix("poisson:") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        match Amount::read(rest) {
            Some(Amount::Max) if poisson => Err(LoadError(text.to_owned())),
            Some(amount) => Ok(Self { amount, poisson }),
            None => Err(LoadError(text.to_owned())),
        }
    }
}

impl Amount {
    fn read(text: &str) -> Option<Self> {
        if text == "max" {
            return Some(Self::Max);
        }
        if let Some(percent) = text.strip_suffix('%') {
            let percent =
                percent.parse().ok().filter(|percent| *percent > 0.0 && *percent <= 1000.0);
            return percent.map(Self::Percent);
        }
        let (rest, packets) = match text.strip_suffix("pps") {
            Some(rest) => (rest, true),
            None => (text.strip_suffix("bps")?, false),
        };
        let (digits, factor) = match rest.strip_suffix(['k', 'M', 'G']) {
            Some(digits) if rest.ends_with('k') => (digits, 1e3),
            Some(digits) if rest.ends_with('M') => (digits, 1e6),
            Some(digits) => (digits, 1e9),
            None => (rest, 1.0),
        };
        let value = digits.parse::<f64>().ok()? * factor;
        if !(1.0..=1e12).contains(&value) {
            return None;
        }
        Some(if packets { Self::Packets(value) } else { Self::Bits(value) })
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.poisson {
            f.write_str("poisson:")?;
        }
        match self.amount {
            Amount::Bits(bits) => write!(f, "{}bps", Si(bits)),
            Amount::Max => f.write_str("max"),
            Amount::Packets(packets) => write!(f, "{}pps", Si(packets)),
            Amount::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// Frames per second in steps of a thousandth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    milli: u64,
}

impl Rate {
    /// A rate; at least a thousandth of a frame per second.
    pub fn per_second(frames: f64) -> Self {
        Self { milli: ((frames * 1e3).round() as u64).max(1) }
    }

    /// Frames in a second.
    pub fn frames_per_second(self) -> f64 {
        self.milli as f64 / 1e3
    }

    /// The smaller of two rates.
    pub fn min(self, other: Self) -> Self {
        Self { milli: self.milli.min(other.milli) }
    }

    /// Frames of a trial of this many nanoseconds: the floor of rate times duration.
    pub fn frames_in(self, ns: u64) -> u64 {
        (u128::from(ns) * u128::from(self.milli) / NS_MILLI) as u64
    }

    /// Nanoseconds between two frames.
    pub fn period_ns(self) -> f64 {
        NS_MILLI as f64 / self.milli as f64
    }

    /// When frame `k` is due, in nanoseconds after the first, rounded up.
    pub fn due_ns(self, k: u64) -> u64 {
        (u128::from(k) * NS_MILLI).div_ceil(u128::from(self.milli)) as u64
    }
}

/// A number with an SI prefix and four digits at most.
pub struct Si(pub f64);

impl fmt::Display for Si {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, prefix) = match self.0 {
            value if value >= 1e9 => (value / 1e9, "G"),
            value if value >= 1e6 => (value / 1e6, "M"),
            value if value >= 1e3 => (value / 1e3, "k"),
            value => (value, ""),
        };
        let digits = match value {
            value if value >= 100.0 => 1,
            value if value >= 10.0 => 2,
            _ => 3,
        };
        let text = format!("{value:.digits$}");
        write!(f, "{}{prefix}", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Nanoseconds in a second, times the thousandths of [`Rate`].
const NS_MILLI: u128 = 1_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_read_with_their_units() {
        for (text, amount) in [
            ("1pps", Amount::Packets(1.0)),
            ("100kpps", Amount::Packets(1e5)),
            ("1.5Mpps", Amount::Packets(1.5e6)),
            ("1Gbps", Amount::Bits(1e9)),
            ("80%", Amount::Percent(80.0)),
            ("max", Amount::Max),
        ] {
            let load = text.parse::<Load>().unwrap();
            assert_eq!(load, Load { amount, poisson: false }, "{text}");
            assert_eq!(load.to_string(), text);
        }
        let random: Load = "poisson:50kpps".parse().unwrap();
        assert_eq!(random, Load { amount: Amount::Packets(5e4), poisson: true });
        assert_eq!(random.to_string(), "poisson:50kpps");
        for text in [
            "",
            "100",
            "kpps",
            "-1pps",
            "0pps",
            "nanpps",
            "infpps",
            "0%",
            "nan%",
            "1Tpps",
            "max ",
            "poisson:",
            "poisson:max",
        ] {
            assert!(text.parse::<Load>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bit_rate_counts_the_frame_with_its_fcs_and_a_percentage_needs_a_maximum() {
        let rate = |text: &str, maximum| text.parse::<Load>().unwrap().rate(64.0, maximum);
        assert_eq!(rate("512kbps", None), Some(Rate::per_second(1000.0)));
        assert_eq!(rate("max", None), None);
        assert_eq!(rate("80%", None), None);
        assert_eq!(rate("80%", Some(Rate::per_second(1e6))), Some(Rate::per_second(8e5)));
    }

    #[test]
    fn a_trial_has_the_floor_of_rate_times_duration() {
        assert_eq!(Rate::per_second(3.0).frames_in(1_999_999_999), 5);
        assert_eq!(Rate::per_second(1e6).frames_in(10_000_000_000), 10_000_000);
        assert_eq!(Rate::per_second(3.0).due_ns(1), 333_333_334);
    }
}
