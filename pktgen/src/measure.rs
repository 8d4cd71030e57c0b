//! The course of a run: resolve, learn, warm up, measure, drain (pktgen.md section 3.1).

use std::net::Ipv4Addr;

use serde::Serialize;

use crate::engine::{Clock, Engine, Order, Stage};
use crate::flow::Direction;
use crate::latency::{Latency, Quantiles};
use crate::rate::Rate;
use crate::receive::Counters;
use crate::trailer::Key;
use crate::transmit::Pacer;

/// What shall be done.
#[derive(Clone, Debug)]
pub struct Course {
    /// Frames per second of each direction; `None`: as many as the ports take.
    pub rate: Option<Rate>,
    /// Nanoseconds of sending.
    pub duration: u64,
    /// Which directions are measured.
    pub directions: Vec<Direction>,
    /// Makes flows, patterns and keys.
    pub seed: u64,
    /// False where nothing can come back: nothing is learned, every flow counts as untranslated.
    pub learn: bool,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first packet of every flow.
    pub learning: Option<Learning>,
    /// Counters of the warm-up; its loss and its latency are discarded, its defects are not.
    pub warm_up: Option<Counters>,
    /// The trial; none when no flow came through.
    pub trial: Option<Trial>,
}

/// The phase in which every flow is opened.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Learning {
    /// First packets sent, repetitions included.
    pub sent: u64,
    /// Flows whose very first packet did not arrive.
    pub first_pass_misses: u64,
    /// Flows that never came through.
    pub missing: u64,
    /// Rounds of sending.
    pub rounds: u32,
    /// What arrived.
    pub counters: Counters,
}

/// One trial.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The directions that were sent.
    pub ways: Vec<Way>,
    /// Seconds of sending.
    pub duration_s: f64,
    /// What arrived.
    pub counters: Counters,
    /// From the stamp to the arrival.
    pub latency: Latency,
    /// From the due time to the arrival; none without a schedule.
    pub intended_latency: Option<Quantiles>,
    /// From the due time to the transmission.
    pub send_error: Quantiles,
}

/// Frames of one direction.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Way {
    /// `outward` or `inward`.
    pub direction: &'static str,
    /// Frames that were to be sent.
    pub intended: u64,
    /// Frames that the port took.
    pub sent: u64,
    /// Different frames that arrived.
    pub received: u64,
    /// Intended and not received.
    pub lost: u64,
    /// Intended and not sent.
    pub tx_short: u64,
}

/// A gateway that does not answer ARP.
#[derive(Debug, thiserror::Error)]
#[error("gateway {0} does not answer ARP: is the tested system up, and is this its address?")]
pub struct Unresolved(pub Ipv4Addr);

impl Course {
    /// The key of a phase.
    pub fn key(&self, stage: Stage) -> Key {
        Key::new(self.seed, stage as u64)
    }

    /// Goes the whole way.
    pub fn run(&self, engine: &mut Engine, clock: &impl Clock) -> Result<Outcome, Unresolved> {
        resolve(engine, clock)?;
        let learning = if self.learn {
            Some(self.learn(engine, clock))
        } else {
            engine.flows.learn_untranslated();
            None
        };
        if engine.flows.learned() == 0 {
            return Ok(Outcome { learning, warm_up: None, trial: None });
        }
        let warm_up = self.trial(engine, clock, Stage::WarmUp, self.duration.min(WARM_UP_NS));
        let trial = self.trial(engine, clock, Stage::Measuring, self.duration);
        Ok(Outcome { learning, warm_up: Some(warm_up.counters), trial: Some(trial) })
    }

    /// Phase 1 of RFC 9693: opens every flow at a moderate rate, asking again for what is missing.
    fn learn(&self, engine: &mut Engine, clock: &impl Clock) -> Learning {
        engine.begin(self.key(Stage::Learning), Stage::Learning);
        let flows = engine.flows.len();
        let moderate = Rate::per_second((flows as f64 / 10.0).max(MODERATE_PPS));
        let rate = self.rate.map_or(moderate, |rate| rate.min(moderate));
        let (mut sent, mut rounds, mut first_pass_misses) = (0, 0, 0);
        let mut missing = engine.flows.unlearned();
        while !missing.is_empty() && rounds <= REPETITIONS {
            let pacer = Pacer::frames(clock.now(), missing.len() as u64, rate);
            engine.load(Direction::Outward, pacer, Order::Listed(missing));
            drain(engine, clock, |engine, now, ended| {
                engine.flows.learned() == flows
                    || now - ended.max(engine.last_arrival()) >= LEARNING_QUIET_NS
            });
            sent += engine.sent(Direction::Outward).1;
            missing = engine.flows.unlearned();
            if rounds == 0 {
                first_pass_misses = missing.len() as u64;
            }
            rounds += 1;
        }
        let missing = missing.len() as u64;
        Learning { sent, first_pass_misses, missing, rounds, counters: engine.verifier.counters }
    }

    /// Sends for a while, waits until nothing arrives any more, then reads the counters.
    fn trial(&self, engine: &mut Engine, clock: &impl Clock, stage: Stage, duration: u64) -> Trial {
        engine.begin(self.key(stage), stage);
        let complete = engine.flows.learned() == engine.flows.len();
        let start = clock.now();
        for direction in &self.directions {
            let pacer = Pacer::new(start, duration, self.rate);
            let order = match direction {
                Direction::Inward if !complete => Order::Listed(engine.flows.reachable()),
                Direction::Inward | Direction::Outward => {
                    engine.verifier.follow(*direction, pacer);
                    Order::All
                }
            };
            engine.load(*direction, pacer, order);
        }
        drain(engine, clock, |engine, now, ended| {
            now - ended >= DRAIN_NS && now - engine.last_arrival() >= QUIET_NS
        });
        let counters = engine.verifier.counters;
        let ways = self.directions.iter().map(|direction| {
            let (intended, sent) = engine.sent(*direction);
            let received = counters.unique[*direction as usize];
            Way {
                direction: direction.name(),
                intended,
                sent,
                received,
                lost: intended.saturating_sub(received),
                tx_short: intended - sent,
            }
        });
        Trial {
            ways: ways.collect(),
            duration_s: duration as f64 / 1e9,
            counters,
            latency: engine.verifier.latency.clone(),
            intended_latency: self.rate.map(|_| engine.verifier.intended.quantiles()),
            send_error: engine.send_error.quantiles(),
        }
    }
}

impl Trial {
    /// A sum over the directions.
    pub fn sum(&self, of: impl Fn(&Way) -> u64) -> u64 {
        self.ways.iter().map(of).sum()
    }
}

/// Waits for the gateways' hardware addresses.
fn resolve(engine: &mut Engine, clock: &impl Clock) -> Result<(), Unresolved> {
    let start = clock.now();
    let mut asked = None;
    while let Some(gateway) = engine.silent_gateway() {
        let now = clock.now();
        if now - start > RESOLVE_NS {
            return Err(Unresolved(gateway));
        }
        if asked.is_none_or(|asked| now - asked >= ASK_AGAIN_NS) {
            engine.ask_gateways();
            asked = Some(now);
        }
        engine.turn(clock);
    }
    Ok(())
}

/// Works until all is sent, and then until `done(engine, now, end of sending)` or the limit.
fn drain(engine: &mut Engine, clock: &impl Clock, done: impl Fn(&Engine, u64, u64) -> bool) {
    let mut now = clock.now();
    while engine.is_sending(now) {
        engine.turn(clock);
        now = clock.now();
    }
    let ended = now;
    while !done(engine, now, ended) && now - ended < DRAIN_LIMIT_NS {
        engine.turn(clock);
        now = clock.now();
    }
    engine.show();
}

const MODERATE_PPS: f64 = 10_000.0;
/// Times that missing flows are asked for again.
const REPETITIONS: u32 = 3;
const SECOND: u64 = 1_000_000_000;
const ASK_AGAIN_NS: u64 = SECOND / 5;
const RESOLVE_NS: u64 = 5 * SECOND;
const LEARNING_QUIET_NS: u64 = SECOND / 2;
const WARM_UP_NS: u64 = SECOND;
const DRAIN_NS: u64 = SECOND;
const QUIET_NS: u64 = SECOND / 5;
/// A path that never falls silent is left after this.
const DRAIN_LIMIT_NS: u64 = 10 * SECOND;
