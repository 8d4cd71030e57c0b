//! `pktgen run`: a load for a while, every packet verified.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::publish::{Begun, write_pages};
use super::traffic::{Traffic, Way};
use super::{Failure, Global, output, parse};
use crate::calibration;
use crate::measure::{Course, Outcome};
use crate::plot::Unit;
use crate::rate::{Amount, Load, Rate};
use crate::record::{Case, Record, TrialRecord};
use crate::report::{Report, Settings, table};
use crate::screen::Screen;
use crate::session::Session;
use crate::setup::Layout;
use crate::transmit::Spacing;
use crate::trials::describe;

#[derive(Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) traffic: Traffic,
    /// Rate of each direction: 100kpps, 1.5Mpps, 1Gbps (L2, FCS included), 80% (of --max-load), poisson:50kpps (random
    /// gaps) or max
    #[arg(long, default_value = "10kpps")]
    pub(super) load: Load,
    /// What 100 % of --load is: a rate of each direction [default: what `pktgen calibrate` found]
    #[arg(long, value_name = "RATE")]
    pub(super) max_load: Option<Load>,
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
        let begun = Begun::new(global, &session, &course.directions);
        let mut screen = Screen::new(global.mode(), &begun.command());
        session.interval = screen.interval();
        let outcome = session.run(|tick| screen.tick(tick), |bench| course.run(bench))??;
        let settings = self.settings(&session, &course);
        let flows = u64::from(session.layout.flows());
        let report = Report::new(&outcome, settings, flows, absorbing);
        screen.finish();
        let record = begun.end(self.cases(&session, &outcome, &course));
        output::offenders(global, &session)?;
        publish(&RunRecord { report: &report, record: &record }, global)?;
        Ok(report.verdict.exit_code())
    }

    fn course(&self, layout: &Layout) -> Result<Course, Failure> {
        let duration = self.time.as_nanos() as u64;
        let rate = self.load.rate(layout.mean_size(), self.maximum(layout)?);
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

    /// The record of the trial, if there was one.
    fn cases(&self, session: &Session, outcome: &Outcome, course: &Course) -> Vec<Case> {
        let Some(trial) = &outcome.trial else { return Vec::new() };
        let described = TrialRecord {
            purpose: "run".to_owned(),
            load_pps: course.rate.map(Rate::frames_per_second),
            ..describe(&session.engine, trial, &course.directions)
        };
        let layout = &session.layout;
        let mut case = Case {
            size: layout.sizes(),
            mean_size: layout.mean_size(),
            flows: layout.flows().into(),
            ..Case::default()
        };
        let latency = described.latency_ns;
        case.add("received", Unit::Pps, described.received as f64 / described.duration_s);
        case.add("loss", Unit::Ratio, described.loss_ratio);
        case.add("latency p50", Unit::Ns, latency.p50 as f64);
        case.add("latency p99", Unit::Ns, latency.p99 as f64);
        case.add("latency p99.9", Unit::Ns, latency.p999 as f64);
        case.trials.push(described);
        vec![case]
    }

    /// What percents of the load are of; nothing where there are none.
    fn maximum(&self, layout: &Layout) -> Result<Option<Rate>, Failure> {
        if !matches!(self.load.amount, Amount::Percent(_)) {
            return Ok(None);
        }
        let given = match self.max_load {
            Some(load) => load.rate(layout.mean_size(), None),
            None => calibration::stored(&layout.drivers(), &layout.sizes())
                .map(|found| Rate::per_second(found.ceiling_pps)),
        };
        let why = "a load in percent needs --max-load RATE, or a run of `pktgen calibrate` before";
        given.map(Some).ok_or_else(|| Failure::Usage(why.to_owned()))
    }

    fn settings(&self, session: &Session, course: &Course) -> Settings {
        let layout = &session.layout;
        Settings {
            ports: session.devices(),
            load: self.load.to_string(),
            size: layout.sizes(),
            streams: layout.streams.iter().map(|stream| stream.name.clone()).collect(),
            directions: course.directions.iter().map(|direction| direction.name()).collect(),
            sut: layout.sut.name(),
            hosts: layout.hosts().len(),
            seed: layout.seed,
            core: session.core(),
        }
    }
}

/// The JSON of a run: the figures of the trial, beside the full record.
#[derive(Serialize)]
struct RunRecord<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(flatten)]
    record: &'a Record,
}

fn publish(run: &RunRecord<'_>, global: &Global) -> Result<(), Failure> {
    output::json(global, run)?;
    write_pages(run.record, global)?;
    let text = table(run.report);
    if global.quiet {
        let verdict = text.lines().skip_while(|line| !line.starts_with("verdict"));
        verdict.for_each(|line| println!("{line}"));
    } else {
        print!("{text}");
    }
    Ok(())
}
