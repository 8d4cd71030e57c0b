//! Axes: where a value lies, which values get a tick, and how they are written.

use serde::{Deserialize, Serialize};

use crate::rate::Si;

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By decades; 0 and less lie at the low end, a decade below the least value, marked "0".
    Log,
    /// Quantiles from 0 to 1 by the nines: 0 %, 90 %, 99 % and so on are evenly spaced.
    Quantile,
}

/// What values are, and so how they are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bits per second.
    Bps,
    /// A plain number.
    #[default]
    Count,
    /// Nanoseconds.
    Ns,
    /// Packets per second.
    Pps,
    /// A share of 1, written in percent.
    Ratio,
    /// Seconds.
    S,
}

impl Unit {
    /// The value with its unit and an SI prefix.
    pub fn format(self, value: f64) -> String {
        match self {
            Self::Bps => format!("{}bit/s", spaced(value)),
            Self::Count if value.fract() == 0.0 && value.abs() < 1e5 => format!("{value}"),
            Self::Count => format!("{}", Si(value)),
            Self::Ns => time(value),
            Self::Pps => format!("{}pps", spaced(value)),
            Self::Ratio => percent(value),
            Self::S => time(value * 1e9),
        }
    }
}

/// One axis of a plot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Axis {
    /// What is shown along it.
    pub label: String,
    /// How values are spread.
    pub scale: Scale,
    /// What values are.
    pub unit: Unit,
    /// Whether 0 is shown even if no value is near it (linear axes).
    pub from_zero: bool,
}

/// An axis with its range: from values to the unit interval.
pub(super) struct Placed<'a> {
    axis: &'a Axis,
    low: f64, // transformed
    high: f64,
    zero: Option<f64>, // on a logarithmic axis: where 0 lies
}

impl<'a> Placed<'a> {
    /// An axis that shows all of these values.
    pub(super) fn new(axis: &'a Axis, values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
        let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match axis.scale {
            Scale::Linear => {
                let mut low = least(&mut values.iter().copied());
                if values.is_empty() {
                    return Self { axis, low: 0.0, high: 1.0, zero: None };
                }
                if axis.from_zero {
                    low = low.min(0.0);
                }
                let high = greatest;
                let room = if high > low { (high - low) * 0.04 } else { high.abs().max(1.0) * 0.5 };
                let low = if low >= 0.0 { (low - room).max(0.0) } else { low - room };
                Self { axis, low, high: high + room, zero: None }
            }
            Scale::Log => {
                let least = least(&mut values.iter().copied().filter(|value| *value > 0.0));
                if !least.is_finite() {
                    return Self { axis, low: -4.0, high: 0.0, zero: Some(-4.0) };
                }
                let zero = values.iter().any(|value| *value <= 0.0);
                let (mut low, mut high) = (least.log10(), greatest.log10());
                if high - low < 0.5 {
                    (low, high) = (low - 0.25, high + 0.25);
                }
                if zero {
                    low = low.floor() - 1.0;
                }
                high += 0.02 * (high - low);
                if axis.unit == Unit::Ratio && greatest <= 1.0 {
                    high = high.min(0.0).max(low + 0.5);
                }
                Self { axis, low, high, zero: zero.then_some(low) }
            }
            Scale::Quantile => {
                let most = values.iter().copied().filter(|q| *q < 1.0).fold(0.0, f64::max);
                Self { axis, low: 0.0, high: nines(most).clamp(1.0, 9.0), zero: None }
            }
        }
    }

    /// Where a value lies, from 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let at = match (self.axis.scale, self.zero) {
            (Scale::Linear, _) => value,
            (Scale::Log, Some(zero)) if value <= 0.0 => zero,
            (Scale::Log, _) => value.max(f64::MIN_POSITIVE).log10(),
            (Scale::Quantile, _) => nines(value),
        };
        ((at - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Values to mark, with their text.
    pub(super) fn ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        match self.axis.scale {
            Scale::Linear => {
                let step = round_step((self.high - self.low) / wanted.max(1) as f64);
                let first = (self.low / step).ceil() as i64;
                let last = (self.high / step).floor() as i64;
                let values = (first..=last).map(|index| index as f64 * step);
                values.map(|value| (value, self.axis.unit.format(tidy(value, step)))).collect()
            }
            Scale::Log => self.decades(wanted),
            Scale::Quantile => {
                let text = |nines: i32| match nines {
                    0 => "0 %".to_owned(),
                    1 => "90 %".to_owned(),
                    2 => "99 %".to_owned(),
                    more => format!("99.{} %", "9".repeat(more as usize - 2)),
                };
                let shown = 0..=self.high.floor() as i32;
                shown.map(|nines| (1.0 - 10_f64.powi(-nines), text(nines))).collect()
            }
        }
    }

    fn decades(&self, wanted: usize) -> Vec<(f64, String)> {
        let mut ticks = Vec::new();
        if self.zero.is_some() {
            ticks.push((0.0, "0".to_owned()));
        }
        let (first, last) = (self.low.floor() as i32, self.high.ceil() as i32);
        let every = ((last - first) as usize).div_ceil(wanted.max(1)).max(1) as i32;
        let within: &[f64] = match self.high - self.low {
            span if span < 1.5 => &[1.0, 2.0, 3.0, 5.0, 7.0],
            span if span < 3.0 => &[1.0, 3.0],
            _ => &[1.0],
        };
        for decade in (first..=last).filter(|decade| (decade - first) % every == 0) {
            for factor in within {
                let value = factor * 10_f64.powi(decade);
                let at = value.log10();
                let low = self.low + if self.zero.is_some() { 0.5 } else { -1e-9 };
                if at >= low && at <= self.high {
                    ticks.push((value, self.axis.unit.format(value)));
                }
            }
        }
        ticks
    }
}

fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-9).log10()
}

/// 1, 2 or 5 times a power of ten, not below `raw`.
fn round_step(raw: f64) -> f64 {
    let power = 10_f64.powf(raw.max(f64::MIN_POSITIVE).log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= raw * 0.999);
    factor.unwrap_or(10.0) * power
}

/// Without the noise of binary fractions.
fn tidy(value: f64, step: f64) -> f64 {
    let digits = (2.0 - step.log10().floor()).clamp(0.0, 12.0);
    let factor = 10_f64.powf(digits);
    (value * factor).round() / factor + 0.0
}

/// With a space before the prefix: `1.5 M`, `200 `.
fn spaced(value: f64) -> String {
    let text = Si(value).to_string();
    match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => format!("{} {}", &text[..at], &text[at..]),
        None => format!("{text} "),
    }
}

fn time(ns: f64) -> String {
    let (value, unit) = match ns.abs() {
        ns if ns >= 1e9 => (1e-9, "s"),
        ns if ns >= 1e6 => (1e-6, "ms"),
        ns if ns >= 1e3 => (1e-3, "µs"),
        _ => (1.0, "ns"),
    };
    format!("{} {unit}", Si(ns * value))
}

fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    match percent.abs() {
        0.0 => "0 %".to_owned(),
        size if size >= 0.01 => format!("{} %", Si(percent)),
        _ => format!("{} ppm", Si(ratio * 1e6)),
    }
}

#[cfg(test)]
mod tests;
