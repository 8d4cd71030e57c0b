//! `pktgen storm`: a good stream before, during and after an attack.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::probe::answer;
use super::soak::no_targets;
use super::steady::{Steady, Watched};
use super::{Failure, Global, parse};
use crate::finding::{Finding, row};
use crate::rate::{Load, Si};
use crate::receive::Defects;
use crate::storm::{self, Attack, Targets};

#[derive(Args, Debug)]
pub(super) struct Storm {
    /// The attack; several take turns
    #[arg(value_enum, value_delimiter = ',', required = true)]
    attack: Vec<Attack>,
    #[command(flatten)]
    steady: Steady,
    /// Rate of the hostile frames
    #[arg(long, default_value = "10kpps")]
    rate: Load,
    /// How long to send before, during and after the attack, each
    #[arg(long, default_value = "5s", value_parser = parse::duration)]
    time: Duration,
}

/// The good stream in three trials.
#[derive(Debug, Serialize)]
struct Stormed {
    attack: Vec<Attack>,
    load_pps: f64,
    hostile_pps: f64,
    parts: [Part; 3],
}

#[derive(Debug, Serialize)]
struct Part {
    name: &'static str,
    /// Hostile frames sent.
    hostile: u64,
    sent: u64,
    lost: u64,
    tx_short: u64,
    p50_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
    defects: Defects,
}

impl Storm {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let rate = self.rate.rate(64.0, None);
        let rate = rate.ok_or_else(|| Failure::Usage("--rate must be a rate".to_owned()))?;
        let mut warm = self.steady.warm_up(global)?;
        let targets = Targets::of(&warm.session.engine.flows).ok_or_else(no_targets)?;
        let seed = warm.session.layout.seed;
        let storm = storm::Storm::new(self.attack.clone(), targets, rate, seed);
        let mut part = |name, storm| {
            let watched = warm.watch(self.time, Vec::new(), storm)?;
            Ok::<_, Failure>(Part::new(name, &watched))
        };
        let parts = [part("before", None)?, part("during", Some(storm))?, part("after", None)?];
        let found = Stormed {
            attack: self.attack.clone(),
            load_pps: warm.rate.frames_per_second(),
            hostile_pps: rate.frames_per_second(),
            parts,
        };
        answer(global, &found)
    }
}

impl Part {
    fn new(name: &'static str, watched: &Watched) -> Self {
        let Watched { trial, hostile, .. } = watched;
        let latency = trial.latency.quantiles();
        let sent = trial.sum(|way| way.sent);
        Self {
            name,
            hostile: *hostile,
            sent,
            lost: sent.saturating_sub(trial.sum(|way| way.received)),
            tx_short: trial.sum(|way| way.tx_short),
            p50_ns: latency.p50,
            p99_ns: latency.p99,
            p999_ns: latency.p999,
            defects: trial.counters.defects,
        }
    }
}

impl Finding for Stormed {
    const NAME: &'static str = "storm";

    fn table(&self) -> Vec<Vec<String>> {
        let heads: [&dyn ToString; 8] =
            [&"attack", &"hostile", &"sent", &"lost", &"not sent", &"p50", &"p99", &"p99.9"];
        let mut rows = vec![row(heads)];
        for part in &self.parts {
            let us = |ns: u64| format!("{:.1} µs", ns as f64 / 1e3);
            rows.push(row([
                &part.name,
                &part.hostile,
                &part.sent,
                &part.lost,
                &part.tx_short,
                &us(part.p50_ns),
                &us(part.p99_ns),
                &us(part.p999_ns),
            ]));
        }
        let (load, hostile) = (Si(self.load_pps), Si(self.hostile_pps));
        rows.push(vec![format!("good stream {load}pps each way, hostile {hostile}pps")]);
        rows
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for part in &self.parts {
            if part.lost > 0 {
                faults.push(format!(
                    "{}: {} of {} good frames lost",
                    part.name, part.lost, part.sent
                ));
            }
            let content = part.defects.of_content();
            let wrong = content.named().into_iter().filter(|(_, count)| *count > 0);
            faults
                .extend(wrong.map(|(counter, count)| format!("{}: {counter}: {count}", part.name)));
        }
        faults
    }
}
