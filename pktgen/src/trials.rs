//! Trials for searches on a real engine: each is a job of the worker, and leaves its record.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::control::{self, HookError};
use crate::engine::{Engine, Stage};
use crate::flow::{Direction, Flows};
use crate::latency::Latency;
use crate::measure::{Bench, Drain, Learning, Request, Trial, Unresolved};
use crate::rate::Rate;
use crate::receive::{Arrivals, Counters, Later};
use crate::record::{Activity, Offender, TrialRecord};
use crate::screen::Screen;
use crate::search::{Known, Sample, Subject};
use crate::session::{Session, SessionError};
use crate::transmit::Spacing;

/// How trials are made.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Directions that are sent, each with the load.
    pub directions: Vec<Direction>,
    /// Between two trials.
    pub pause: Duration,
    /// How long to wait for the last frames.
    pub drain: Duration,
    /// How often a trial is made again that lost frames while the kernel had taken the worker's core away.
    pub again: u32,
}

/// A session that makes trials.
pub struct Trials<'a> {
    /// The worker and its ports.
    pub session: &'a mut Session,
    /// Shows what happens.
    pub screen: &'a mut Screen,
    /// Every trial of the case so far.
    pub records: Vec<TrialRecord>,
    manner: Manner,
    purpose: String,
    repetition: u32,
    begun: Instant,
}

/// Why there are no trials.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The first packet of no flow arrived.
    #[error("no flow came through: is the tested system up, and does it forward these flows?")]
    NothingCame,
    /// The command that resets the tested system failed.
    #[error(transparent)]
    Reset(#[from] HookError),
    /// The worker or its ports.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A gateway is silent.
    #[error(transparent)]
    Unresolved(#[from] Unresolved),
}

impl<'a> Trials<'a> {
    /// No trials yet.
    pub fn new(session: &'a mut Session, screen: &'a mut Screen, manner: Manner) -> Self {
        Self {
            session,
            screen,
            records: Vec::new(),
            manner,
            purpose: String::new(),
            repetition: 1,
            begun: Instant::now(),
        }
    }

    /// Says what the next trials are for.
    pub fn enter(&mut self, purpose: &str, repetition: u32) {
        purpose.clone_into(&mut self.purpose);
        self.repetition = repetition;
        self.screen.purpose(purpose, repetition);
    }

    /// Puts other flows in place, finds the gateways, opens every flow, and sends for a second at `load` or as much
    /// as the ports take; returns that, in frames per second of each direction.
    pub fn prepare(&mut self, flows: Flows, load: Option<f64>) -> Result<f64, TrialError> {
        self.session.engine.set_flows(flows);
        let learnable = !self.session.absorbs();
        let learn = move |bench: &mut Bench<'_, _>| -> Result<Option<Learning>, Unresolved> {
            bench.resolve()?;
            if learnable {
                return Ok(Some(bench.learn(None)));
            }
            bench.engine.flows.learn_untranslated();
            Ok(None)
        };
        let screen = &mut *self.screen;
        let learning = self.session.run(|tick| screen.tick(tick), learn)??;
        if self.session.engine.flows.learned() == 0 {
            return Err(TrialError::NothingCame);
        }
        if let Some(learning) = learning.filter(|learning| learning.missing > 0) {
            self.screen.say(&format!("{} flows never came through", learning.missing));
        }
        let directions = self.manner.directions.len() as f64;
        let mut most = load.unwrap_or_default();
        // What the ports take differs from second to second on a busy machine: the best of some.
        for _ in 0..if load.is_some() { 1 } else { PORT_TRIALS } {
            let (warm_up, _) = self.send(load.map(Rate::per_second), WARM_UP, Stage::WarmUp)?;
            let accepted = warm_up.sum(|way| way.sent) as f64 / directions / warm_up.duration_s;
            most = if load.is_some() { most } else { most.max(accepted) };
        }
        Ok(most)
    }

    /// Directions that each have the load.
    pub fn directions(&self) -> &[Direction] {
        &self.manner.directions
    }

    /// One trial with its record; without a rate as much as the ports take.
    pub fn measure(&mut self, rate: Option<Rate>, duration: Duration) -> Result<Trial, TrialError> {
        let (trial, activity) = self.send(rate, duration, Stage::Measuring)?;
        let mut record = self.record(&trial, rate);
        record.steal_s = activity.steal_s;
        self.screen.trial(&record);
        self.records.push(record);
        Ok(trial)
    }

    /// One trial with its record.
    pub fn measure_at(&mut self, load: f64, duration: Duration) -> Result<Trial, TrialError> {
        self.measure(Some(Rate::per_second(load)), duration)
    }

    /// One trial with its record; the latency of the frames that leave in its second half.
    pub fn measure_later(&mut self, load: f64, duration: Duration) -> Result<Later, TrialError> {
        let half = Later::new(duration.as_nanos() as u64 / 2);
        self.session.engine.verifier.later = Some(half.clone());
        let done = self.measure_at(load, duration);
        let later = self.session.engine.verifier.later.take();
        done.map(|_| later.unwrap_or(half))
    }

    /// One trial with its record; by how much longer, and by how much shorter, frames took than the one before of their flow.
    pub fn measure_variation(
        &mut self,
        load: f64,
        duration: Duration,
    ) -> Result<[Latency; 2], TrialError> {
        self.session.engine.verifier.measure_variation = true;
        let done = self.measure_at(load, duration);
        self.session.engine.verifier.measure_variation = false;
        Ok(done?.variation.unwrap_or_default())
    }

    /// Overload for a while, then half of it for as long without a pause: how long after the change the last frame
    /// was due that did not arrive, in nanoseconds; none if all arrived.
    pub fn recover(
        &mut self,
        overload: f64,
        duration: Duration,
    ) -> Result<Option<u64>, TrialError> {
        let loads = [overload, overload / 2.0].map(Rate::per_second);
        let [before, after] =
            loads.map(|rate| self.request(Some(rate), duration, Stage::Measuring));
        let (pause, drain) = (self.manner.pause.as_nanos() as u64, self.drain());
        let screen = &mut *self.screen;
        let trials = self.session.run(
            |tick| screen.tick(tick),
            move |bench| {
                bench.idle(pause);
                bench.drain = Drain { least: 0, quiet: 0 };
                let overloaded = bench.trial(&before);
                bench.drain = drain;
                bench.engine.verifier.arrivals = Some(Arrivals::default());
                [overloaded, bench.trial(&after)]
            },
        )?;
        let arrivals = self.session.engine.verifier.arrivals.take();
        for (trial, rate) in trials.iter().zip(loads) {
            let record = self.record(trial, Some(rate));
            self.screen.trial(&record);
            self.records.push(record);
        }
        Ok(arrivals.and_then(|arrivals| arrivals.last_lost_ns()))
    }

    /// One trial, after a quarter of which `reset` is started: the longest time without an arrival, in nanoseconds.
    pub fn reset(
        &mut self,
        rate: Rate,
        duration: Duration,
        reset: &str,
    ) -> Result<u64, TrialError> {
        self.session.engine.verifier.arrivals = Some(Arrivals::default());
        let (stop, stopped) = mpsc::channel::<()>();
        let done = thread::scope(|scope| {
            let delay = self.manner.pause + duration / 4;
            let command = scope.spawn(move || match stopped.recv_timeout(delay) {
                Err(mpsc::RecvTimeoutError::Timeout) => control::shell(reset, None).map(|_| ()),
                _ => Ok(()),
            });
            let done = self.measure(Some(rate), duration);
            drop(stop);
            let reset = command.join().map_err(|_| SessionError::Panicked)?;
            done.and_then(|_| Ok(reset?))
        });
        let arrivals = self.session.engine.verifier.arrivals.take();
        done.map(|()| arrivals.map_or(0, |arrivals| arrivals.longest_gap_ns()))
    }

    /// Seconds since there have been trials.
    pub fn elapsed(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    fn send(
        &mut self,
        rate: Option<Rate>,
        duration: Duration,
        stage: Stage,
    ) -> Result<(Trial, Activity), TrialError> {
        let request = self.request(rate, duration, stage);
        let (pause, drain) = (self.manner.pause.as_nanos() as u64, self.drain());
        let screen = &mut *self.screen;
        let core = self.session.core();
        let done = self.session.run(
            |tick| screen.tick(tick),
            move |bench| {
                bench.drain = drain;
                bench.idle(pause);
                let before = Activity::now(core);
                let trial = bench.trial(&request);
                (trial, Activity::now(core).since(before))
            },
        )?;
        Ok(done)
    }

    fn request(&self, rate: Option<Rate>, duration: Duration, stage: Stage) -> Request {
        let directions = self.manner.directions.clone();
        let duration = duration.as_nanos() as u64;
        Request { rate, spacing: Spacing::Even, duration, directions, stage }
    }

    fn drain(&self) -> Drain {
        Drain { least: self.manner.drain.as_nanos() as u64, ..Drain::default() }
    }

    fn record(&self, trial: &Trial, rate: Option<Rate>) -> TrialRecord {
        TrialRecord {
            number: self.records.len() as u64 + 1,
            repetition: self.repetition,
            purpose: self.purpose.clone(),
            load_pps: rate.map(Rate::frames_per_second),
            ..describe(&self.session.engine, trial, &self.manner.directions)
        }
    }
}

/// The record of the trial that an engine has just made.
pub fn describe(engine: &Engine, trial: &Trial, directions: &[Direction]) -> TrialRecord {
    let lost = trial.sum(|way| way.lost);
    let offenders = if lost > 0 { offenders(&engine.flows, directions) } else { Vec::new() };
    TrialRecord {
        number: 1,
        repetition: 1,
        duration_s: trial.duration_s,
        intended: trial.sum(|way| way.intended),
        sent: trial.sum(|way| way.sent),
        received: trial.sum(|way| way.received),
        lost,
        tx_short: trial.sum(|way| way.tx_short),
        loss_ratio: trial.loss_ratio(),
        tg_limited: trial.is_tg_limited(),
        disturbed: trial.disturbed,
        context_switches: trial.involuntary_switches,
        defects: named(&trial.counters),
        latency_ns: trial.latency.quantiles(),
        intended_latency_ns: trial.intended_latency,
        send_error_ns: trial.send_error.quantiles(),
        latency_histogram: trial.latency.pairs(),
        seconds: engine.seconds().to_vec(),
        offenders,
        ..TrialRecord::default()
    }
}

impl Subject for Trials<'_> {
    type Error = TrialError;

    fn trial(&mut self, load: f64, duration_s: f64) -> Result<Sample, TrialError> {
        let duration = Duration::from_secs_f64(duration_s);
        let mut tries = 0;
        loop {
            let trial = self.measure(Some(Rate::per_second(load)), duration)?;
            let Some(record) = self.records.last_mut() else { continue };
            if tries < self.manner.again && trial.disturbed && record.lost > 0 {
                record.purpose.push_str(DISCARDED);
                tries += 1;
                continue;
            }
            return Ok(Sample { load, ..record.sample() });
        }
    }

    fn elapsed_s(&self) -> f64 {
        self.elapsed()
    }

    fn progress(&mut self, bounds: &[Known]) {
        self.screen.bounds(bounds);
    }
}

/// The flows that lost most, worst first.
fn offenders(flows: &Flows, directions: &[Direction]) -> Vec<Offender> {
    let mut worst: Vec<(u32, u32, Direction)> = Vec::new();
    for index in 0..flows.len() as u32 {
        let Some(flow) = flows.flow(index) else { continue };
        for direction in directions {
            let lost =
                flow.made(*direction).saturating_sub(flows.tally(index, *direction).received);
            let least = if worst.len() < OFFENDERS { 0 } else { worst[OFFENDERS - 1].0 };
            if lost > least {
                worst.truncate(OFFENDERS - 1);
                let place = worst.partition_point(|other| other.0 >= lost);
                worst.insert(place, (lost, index, *direction));
            }
        }
    }
    let offender = |(lost, index, direction): (u32, u32, Direction)| Offender {
        flow: index,
        direction: direction.name().to_owned(),
        endpoints: format!("{} ↔ {}", flows.inside(index), flows.outside(index)),
        sent: flows.flow(index).map_or(0, |flow| flow.made(direction).into()),
        lost: lost.into(),
    };
    worst.into_iter().map(offender).collect()
}

/// Counters of broken invariants by name.
fn named(counters: &Counters) -> BTreeMap<String, u64> {
    counters.defects.named().into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

/// Added to the purpose of a trial that was made again.
pub const DISCARDED: &str = ", disturbed and repeated";
const OFFENDERS: usize = 10;
const PORT_TRIALS: u32 = 3;
const WARM_UP: Duration = Duration::from_secs(1);
