//! The plots of a record.

use super::{Case, Record, TrialRecord};
use crate::plot::{Axis, Mark, Plot, Scale, Series, Shape, Unit};

impl Case {
    /// Load and loss of all trials with a rate, and the bounds of the last repetition.
    pub(super) fn loss_plot(&self) -> Option<Plot> {
        let (mut counted, mut limited) = (Vec::new(), Vec::new());
        for trial in &self.trials {
            let Some(load) = trial.load_pps else { continue };
            let points = if trial.tg_limited { &mut limited } else { &mut counted };
            points.push((load, trial.loss_ratio));
        }
        if counted.len() + limited.len() < 2 {
            return None;
        }
        let mut series =
            vec![Series { name: "trial".to_owned(), shape: Shape::Dots, points: counted }];
        if !limited.is_empty() {
            let name = "limited by the generator".to_owned();
            series.push(Series { name, shape: Shape::Crosses, points: limited });
        }
        let bounds = self.bounds.last().into_iter().flatten();
        let marks = bounds.flat_map(|bounds| {
            let name = bounds.goal.name.to_uppercase();
            let written = |load: f64| Unit::Pps.format(load);
            let label = match (bounds.lower, bounds.upper) {
                (Some(lower), Some(upper)) => {
                    format!("{name} {} to {}", written(lower), written(upper))
                }
                (Some(lower), None) => format!("{name} ≥ {}", written(lower)),
                (None, upper) => format!("{name} < {}", written(upper.unwrap_or_default())),
            };
            let labels = std::iter::once(label).chain(std::iter::once(String::new()));
            let both = [bounds.lower, bounds.upper].into_iter().flatten();
            both.zip(labels).map(|(x, label)| Mark { x, label }).collect::<Vec<_>>()
        });
        Some(Plot {
            title: format!("Load and loss: {}", self.name()),
            x: Axis {
                label: "load of each direction".to_owned(),
                unit: Unit::Pps,
                ..Axis::default()
            },
            y: Axis {
                label: "loss".to_owned(),
                scale: Scale::Log,
                unit: Unit::Ratio,
                ..Axis::default()
            },
            series,
            marks: marks.collect(),
        })
    }

    /// Latency by percentile, at five loads at most.
    pub(super) fn latency_plot(&self) -> Option<Plot> {
        let trials = self.latency_trials();
        if trials.is_empty() {
            return None;
        }
        let series = trials.into_iter().map(|trial| Series {
            name: trial.load_pps.map_or("max".to_owned(), |load| Unit::Pps.format(load)),
            shape: Shape::Line,
            points: percentiles(&trial.latency_histogram),
        });
        Some(Plot {
            title: format!("Latency: {}", self.name()),
            x: Axis {
                label: "share of the frames".to_owned(),
                scale: Scale::Quantile,
                ..Axis::default()
            },
            y: Axis {
                label: "latency".to_owned(),
                scale: Scale::Log,
                unit: Unit::Ns,
                ..Axis::default()
            },
            series: series.collect(),
            marks: Vec::new(),
        })
    }

    /// Trials that were made for their latency, else the ones with the least loss, at different loads.
    fn latency_trials(&self) -> Vec<&TrialRecord> {
        let all = || self.trials.iter().filter(|trial| !trial.latency_histogram.is_empty());
        let asked: Vec<&TrialRecord> =
            all().filter(|trial| trial.purpose.starts_with("latency")).collect();
        let mut found = if asked.is_empty() { all().collect() } else { asked };
        let load = |trial: &TrialRecord| trial.load_pps.unwrap_or(f64::INFINITY);
        found.sort_by(|a, b| {
            load(a).total_cmp(&load(b)).then(b.duration_s.total_cmp(&a.duration_s))
        });
        found.dedup_by_key(|trial| trial.load_pps.map(f64::to_bits));
        let count = found.len();
        let every = count.div_ceil(SERIES).max(1);
        found.into_iter().rev().step_by(every).collect::<Vec<_>>().into_iter().rev().collect()
    }

    /// Rates and latency over time, of the longest trial.
    pub(super) fn time_plots(&self) -> Vec<Plot> {
        let longest = self.trials.iter().max_by_key(|trial| trial.seconds.len());
        let Some(trial) = longest.filter(|trial| trial.seconds.len() > 2) else {
            return Vec::new();
        };
        let x = || Axis { label: "time".to_owned(), unit: Unit::S, ..Axis::default() };
        let length = |index: usize| {
            let before = index.checked_sub(1).map_or(0.0, |before| trial.seconds[before].at_s);
            (trial.seconds[index].at_s - before).max(1e-3)
        };
        let series = |name: &str, of: &dyn Fn(usize) -> f64| Series {
            name: name.to_owned(),
            shape: Shape::Line,
            points: (0..trial.seconds.len())
                .map(|index| (trial.seconds[index].at_s, of(index)))
                .collect(),
        };
        let second = |index: usize| &trial.seconds[index];
        let rate = |count: u64, index| count as f64 / length(index);
        let rates = Plot {
            title: format!("Rate over time: {}", self.name()),
            x: x(),
            y: Axis {
                label: "rate, all directions".to_owned(),
                unit: Unit::Pps,
                from_zero: true,
                ..Axis::default()
            },
            series: vec![
                series("sent", &|index| rate(second(index).sent, index)),
                series("received", &|index| rate(second(index).received, index)),
                series("missing", &|index| {
                    let second = second(index);
                    rate(second.sent.saturating_sub(second.received), index)
                }),
            ],
            marks: Vec::new(),
        };
        let latency = Plot {
            title: format!("Latency over time: {}", self.name()),
            x: x(),
            y: Axis {
                label: "latency".to_owned(),
                scale: Scale::Log,
                unit: Unit::Ns,
                ..Axis::default()
            },
            series: vec![
                series("median", &|index| second(index).p50_ns as f64),
                series("99 %", &|index| second(index).p99_ns as f64),
                series("99.9 %", &|index| second(index).p999_ns as f64),
            ],
            marks: Vec::new(),
        };
        vec![rates, latency]
    }
}

impl Record {
    /// Plots of all cases.
    pub(super) fn plots(&self, of: impl Fn(&Case) -> Option<Plot>) -> Vec<Plot> {
        self.cases.iter().filter_map(of).collect()
    }
}

/// Points of share and value; thinned where they would lie on each other.
fn percentiles(histogram: &[(u64, u64)]) -> Vec<(f64, f64)> {
    let total: u64 = histogram.iter().map(|pair| pair.1).sum();
    let mut points: Vec<(f64, f64)> = Vec::new();
    let (mut below, mut shown) = (0, f64::NEG_INFINITY);
    for (value, count) in histogram {
        below += count;
        let share = (below - 1) as f64 / total as f64;
        let nines = -(1.0 - share).log10();
        let first = points.is_empty();
        if first {
            points.push((0.0, *value as f64));
        }
        if nines - shown >= 0.01 || below == total {
            points.push((share, *value as f64));
            shown = nines;
        }
    }
    points
}

const SERIES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_end_at_the_greatest_value() {
        let points = percentiles(&[(100, 900), (200, 99), (5000, 1)]);
        assert_eq!(points[0], (0.0, 100.0));
        assert_eq!(points.last(), Some(&(0.999, 5000.0)));
        assert!(points.contains(&(0.998, 200.0)), "{points:?}");
        assert_eq!(percentiles(&[]), []);
    }
}
