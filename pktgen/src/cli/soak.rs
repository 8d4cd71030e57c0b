//! `pktgen soak`: a constant load for long, and what happened in each second of it.

use std::time::Duration;

use clap::Args;

use super::probe::answer;
use super::steady::{Steady, Watched};
use super::{Failure, Global, environment, parse};
use crate::control::Action;
use crate::rate::Rate;
use crate::soak::{self, Every};
use crate::storm::{Attack, Storm, Targets};

#[derive(Args, Debug)]
pub(super) struct Soak {
    #[command(flatten)]
    steady: Steady,
    /// How long to send: 10m, 8h
    #[arg(long, default_value = "10m", value_parser = parse::duration)]
    time: Duration,
    /// Run the reload hook every so often
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    reload_every: Option<Duration>,
    /// Run the flap hook every so often
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    flap_every: Option<Duration>,
    /// Send so many hostile frames besides, in percent of the load of both directions
    #[arg(long, value_name = "PERCENT", value_parser = parse::percent)]
    hostile: Option<f64>,
}

impl Soak {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let hooks = global.hooks()?;
        let mut disturbances = Vec::new();
        for (action, period) in
            [(Action::Reload, self.reload_every), (Action::Flap, self.flap_every)]
        {
            if let Some(period) = period {
                hooks.need(action)?;
                disturbances.push(Every::hook(&hooks, action, period));
            }
        }
        let mut warm = self.steady.warm_up(global)?;
        let load_pps = warm.rate.frames_per_second();
        let storm = self.hostile.map(|percent| {
            let rate = Rate::per_second(2.0 * load_pps * percent / 100.0);
            let flows = &warm.session.engine.flows;
            let targets = Targets::of(flows).ok_or_else(no_targets)?;
            Ok::<_, Failure>(Storm::new(
                Attack::ALL.to_vec(),
                targets,
                rate,
                warm.session.layout.seed,
            ))
        });
        let watched = warm.watch(self.time, disturbances, storm.transpose()?)?;
        let Watched { trial, arrivals, seconds, events, hostile } = watched;
        let found = soak::Soak::new(&trial, &arrivals, &seconds, events, load_pps, hostile);
        answer(global, &found)
    }
}

pub(super) fn no_targets() -> Failure {
    environment("attacks need IPv4 flows that came through")
}
