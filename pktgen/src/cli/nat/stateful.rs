//! The `nat` commands that open many sessions.

use std::time::Duration;

use clap::Args;

use super::super::probe::answer;
use super::super::run::Run;
use super::super::traffic::{Traffic, Way};
use super::super::{Failure, Global, parse};
use crate::control::{Action, HookError, Hooks};
use crate::engine::Tsc;
use crate::finding::Finding;
use crate::measure::{Bench, Unresolved};
use crate::nat::{capacity, cps, learn, teardown};
use crate::rate::{Load, Rate};
use crate::screen::{Mode, Screen};

#[derive(Args, Debug)]
pub(super) struct Learn {
    #[command(flatten)]
    traffic: Traffic,
    /// First packets per second at most [default: all flows in ten seconds, at least 10kpps]
    #[arg(long)]
    load: Option<Load>,
}

#[derive(Args, Debug)]
pub(super) struct Verify {
    #[command(flatten)]
    traffic: Traffic,
    /// Rate of each direction [default: ten packets of each flow in --time, at least 1kpps]
    #[arg(long)]
    load: Option<Load>,
    /// How long to send
    #[arg(long, default_value = "10s", value_parser = parse::duration)]
    time: Duration,
}

#[derive(Args, Debug)]
pub(super) struct Cps {
    /// Flows of each attempt: at most 0.8 of the table's size
    #[command(flatten)]
    traffic: Traffic,
    /// The first rate tried
    #[arg(long, default_value = "10kpps")]
    from: Load,
    /// The highest rate tried
    #[arg(long, default_value = "2Mpps")]
    to: Load,
    /// Where to stop: the bounds differ by this part, in percent
    #[arg(long, default_value_t = 2.0, value_parser = parse::percent)]
    width: f64,
    /// Rate of the packets back, as a part of the rate (α of RFC 9693)
    #[arg(long, default_value_t = 0.5, value_parser = parse::part)]
    back: f64,
    /// Times that a failed attempt is repeated
    #[arg(long, default_value_t = 1)]
    repeat: u32,
}

#[derive(Args, Debug)]
pub(super) struct Capacity {
    /// Flows of the largest attempt
    #[command(flatten)]
    traffic: Traffic,
    /// The first number of sessions tried
    #[arg(long, default_value = "1k", value_parser = parse::flows)]
    from: u32,
    /// Where to stop: the bounds differ by this part of --flows, in percent
    #[arg(long, default_value_t = 1.0, value_parser = parse::percent)]
    error: f64,
    /// First packets per second: a fifth of what `nat cps` finds (β of RFC 9693)
    #[arg(long, default_value = "20kpps")]
    load: Load,
}

#[derive(Args, Debug)]
pub(super) struct Teardown {
    #[command(flatten)]
    traffic: Traffic,
    /// First packets per second
    #[arg(long, default_value = "20kpps")]
    load: Load,
}

impl Learn {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let limit = self.load.as_ref().map(|load| rate(load, "--load")).transpose()?;
        with_bench(global, &self.traffic, |bench| Ok(learn::learn(bench, limit)))
    }
}

impl Verify {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let load = match &self.load {
            Some(load) => *load,
            None => {
                let pps = 10.0 * f64::from(self.traffic.flows) / self.time.as_secs_f64();
                let text = format!("{}pps", pps.max(1000.0).round());
                text.parse().map_err(|error| Failure::Usage(format!("--time: {error}")))?
            }
        };
        let traffic = self.traffic.clone();
        Run { traffic, load, max_load: None, time: self.time, ramp: None, dir: Way::Both }
            .run(global)
    }
}

impl Cps {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let search = cps::Search {
            flows: u64::from(self.traffic.flows),
            from_pps: rate(&self.from, "--from")?.frames_per_second(),
            to_pps: rate(&self.to, "--to")?.frames_per_second(),
            width: self.width / 100.0,
            back: self.back,
            repeat: self.repeat,
        };
        let hooks = flushing(global)?;
        with_bench(global, &self.traffic, |bench| cps::search(bench, &mut &hooks, search))
    }
}

impl Capacity {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let to = u64::from(self.traffic.flows);
        let search = capacity::Search {
            from: u64::from(self.from),
            to,
            error: ((to as f64 * self.error / 100.0) as u64).max(1),
            rate_pps: rate(&self.load, "--load")?.frames_per_second(),
            back: 1.0,
        };
        let hooks = flushing(global)?;
        with_bench(global, &self.traffic, |bench| capacity::search(bench, &mut &hooks, search))
    }
}

impl Teardown {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let (flows, rate) = (u64::from(self.traffic.flows), rate(&self.load, "--load")?);
        let hooks = flushing(global)?;
        with_bench(global, &self.traffic, |bench| {
            teardown::measure(bench, &mut &hooks, flows, rate)
        })
    }
}

/// Opens the ports, finds the gateways, and lets `work` measure.
fn with_bench<F: Finding + Send>(
    global: &Global,
    traffic: &Traffic,
    work: impl FnOnce(&mut Bench<'_, Tsc>) -> Result<F, HookError> + Send,
) -> Result<u8, Failure> {
    let mut session = global.open(traffic.layout(global)?)?;
    let mode = if global.quiet { Mode::Quiet } else { Mode::Lines };
    let mut screen = Screen::new(mode, "");
    let found = session.run(
        |tick| screen.tick(tick),
        |bench| {
            bench.resolve()?;
            Ok::<_, Unresolved>(work(bench))
        },
    )??;
    answer(global, &found?)
}

/// The hooks, with one to flush among them.
fn flushing(global: &Global) -> Result<Hooks, Failure> {
    let hooks = global.hooks()?;
    hooks.need(Action::Flush)?;
    Ok(hooks)
}

fn rate(load: &Load, option: &str) -> Result<Rate, Failure> {
    let none = || Failure::Usage(format!("{option}: new sessions need a rate, e.g. 20kpps"));
    load.rate(64.0, None).ok_or_else(none)
}
