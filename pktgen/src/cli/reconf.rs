//! `pktgen reconf`: what each step of a reconfiguration costs, in lost frames and blocked time.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::probe::answer;
use super::steady::{Steady, Watched};
use super::{Failure, Global, parse};
use crate::finding::{Finding, row};
use crate::receive::Defects;
use crate::soak::Every;

#[derive(Args, Debug)]
pub(super) struct Reconf {
    #[command(flatten)]
    steady: Steady,
    /// A command that reconfigures the tested system; may be repeated
    #[arg(long, value_name = "CMD", required = true)]
    step: Vec<String>,
    /// How long to send for each step: the command runs after a quarter of it
    #[arg(long, default_value = "8s", value_parser = parse::duration)]
    time: Duration,
}

/// What all steps cost.
#[derive(Debug, Serialize)]
struct Steps {
    load_pps: f64,
    steps: Vec<Step>,
}

/// One trial; the first is without a command.
#[derive(Debug, Serialize)]
struct Step {
    command: Option<String>,
    took_s: Option<f64>,
    error: Option<String>,
    sent: u64,
    lost: u64,
    tx_short: u64,
    /// Lost frames over the rate of all that was sent.
    blocked_ms: f64,
    /// The longest time without an arrival in a direction.
    longest_gap_ms: f64,
    p50_ns: u64,
    p999_ns: u64,
    max_ns: u64,
    defects: Defects,
}

impl Reconf {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let mut warm = self.steady.warm_up(global)?;
        let mut steps = Vec::new();
        for command in std::iter::once(None).chain(self.step.iter().map(Some)) {
            let disturbance = command.map(|command| Every::once(command, self.time / 4));
            let watched = warm.watch(self.time, disturbance.into_iter().collect(), None)?;
            steps.push(Step::new(command, &watched));
        }
        answer(global, &Steps { load_pps: warm.rate.frames_per_second(), steps })
    }
}

impl Step {
    fn new(command: Option<&String>, watched: &Watched) -> Self {
        let Watched { trial, arrivals, events, .. } = watched;
        let event = events.first();
        let (sent, received) = (trial.sum(|way| way.sent), trial.sum(|way| way.received));
        let lost = sent.saturating_sub(received);
        let latency = trial.latency.quantiles();
        Self {
            command: command.cloned(),
            took_s: event.map(|event| event.took_s),
            error: event.and_then(|event| event.error.clone()),
            sent,
            lost,
            tx_short: trial.sum(|way| way.tx_short),
            blocked_ms: lost as f64 / (sent as f64 / trial.duration_s).max(1.0) * 1e3,
            longest_gap_ms: arrivals.longest_gap_ns() as f64 / 1e6,
            p50_ns: latency.p50,
            p999_ns: latency.p999,
            max_ns: latency.max,
            defects: trial.counters.defects,
        }
    }
}

impl Finding for Steps {
    const NAME: &'static str = "reconf";

    fn table(&self) -> Vec<Vec<String>> {
        let heads: [&dyn ToString; 8] =
            [&"step", &"took", &"lost", &"blocked", &"longest gap", &"p50", &"p99.9", &"max"];
        let mut rows = vec![row(heads)];
        for step in &self.steps {
            let us = |ns: u64| format!("{:.1} µs", ns as f64 / 1e3);
            let took = step.took_s.map_or("-".to_owned(), |s| format!("{:.1} ms", s * 1e3));
            rows.push(row([
                &step.command.as_deref().unwrap_or("(none)"),
                &took,
                &step.lost,
                &format!("{:.3} ms", step.blocked_ms),
                &format!("{:.3} ms", step.longest_gap_ms),
                &us(step.p50_ns),
                &us(step.p999_ns),
                &us(step.max_ns),
            ]));
        }
        rows
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for step in &self.steps {
            let name = step.command.as_deref().unwrap_or("without a step");
            faults.extend(step.error.as_ref().map(|error| format!("{name}: {error}")));
            let content = step.defects.of_content();
            let wrong = content.named().into_iter().filter(|(_, count)| *count > 0);
            faults.extend(wrong.map(|(counter, count)| format!("{name}: {counter}: {count}")));
        }
        faults
    }
}
