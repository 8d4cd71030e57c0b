//! `pktgen run`: a load for a while, every packet verified.

use std::time::Duration;

use clap::Args;

use super::traffic::{Traffic, Way};
use super::{Failure, Global, output, parse};
use crate::measure::Course;
use crate::rate::{Load, Rate};
use crate::report::{Machine, Report, Settings, table};
use crate::screen::{Mode, Screen};
use crate::session::Session;
use crate::setup::Layout;
use crate::transmit::Spacing;

#[derive(Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) traffic: Traffic,
    /// Rate of each direction: 100kpps, 1.5Mpps, 1Gbps (L2, FCS included), poisson:50kpps (random gaps) or max
    #[arg(long, default_value = "10kpps")]
    pub(super) load: Load,
    /// How long to send: 10s, 500ms, 1m30s
    #[arg(long, default_value = "10s", value_parser = parse::duration)]
    pub(super) time: Duration,
    /// Before that, let the rate grow for so long
    #[arg(long, value_parser = parse::duration)]
    pub(super) ramp: Option<Duration>,
    /// Which way to send
    #[arg(long, value_enum, default_value_t = Way::Both)]
    pub(super) dir: Way,
}

impl Run {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let layout = self.traffic.layout(global)?;
        let mut course = self.course(&layout)?;
        let mut session = global.open(layout)?;
        session.engine.flows.set_edges(self.traffic.edge_checksums);
        let absorbing = session.absorbs();
        course.learn = !absorbing;
        let mode = if global.quiet { Mode::Quiet } else { Mode::Lines };
        let mut screen = Screen::new(mode, "");
        let outcome = session.run(|tick| screen.tick(tick), |bench| course.run(bench))??;
        let settings = self.settings(&session, &course);
        let host = Machine::read(session.uses_hugepages());
        let flows = u64::from(session.layout.flows());
        let report = Report::new(&outcome, settings, flows, absorbing, host);
        publish(&report, global)?;
        Ok(report.verdict.exit_code())
    }

    fn course(&self, layout: &Layout) -> Result<Course, Failure> {
        let duration = self.time.as_nanos() as u64;
        let rate: Option<Rate> = self.load.rate(layout.mean_size(), None);
        if rate.is_some_and(|rate| rate.frames_in(duration) == 0) {
            let (load, time) = (self.load, self.time);
            return Err(Failure::Usage(format!("{load} for {time:?} is not a single frame")));
        }
        let spacing = match (self.load.poisson, self.ramp) {
            (true, Some(_)) => {
                let why = "a poisson load has no ramp: leave --ramp out";
                return Err(Failure::Usage(why.to_owned()));
            }
            (true, None) => Spacing::Poisson(layout.seed),
            (false, Some(ramp)) => Spacing::Ramp(ramp.as_nanos() as u64),
            (false, None) => Spacing::Even,
        };
        Ok(Course { rate, spacing, duration, directions: self.dir.directions(), learn: true })
    }

    fn settings(&self, session: &Session, course: &Course) -> Settings {
        let layout = &session.layout;
        Settings {
            ports: session.devices(),
            load: self.load.to_string(),
            size: self.traffic.size.to_string(),
            streams: layout.streams.iter().map(|stream| stream.name.clone()).collect(),
            directions: course.directions.iter().map(|direction| direction.name()).collect(),
            sut: layout.sut.name(),
            hosts: layout.hosts().len(),
            seed: layout.seed,
            core: session.core(),
        }
    }
}

fn publish(report: &Report, global: &Global) -> Result<(), Failure> {
    output::json(global, report)?;
    let text = table(report);
    if global.quiet {
        let verdict = text.lines().skip_while(|line| !line.starts_with("verdict"));
        verdict.for_each(|line| println!("{line}"));
    } else {
        print!("{text}");
    }
    Ok(())
}
