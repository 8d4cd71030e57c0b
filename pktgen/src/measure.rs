//! Trials on an open engine (pktgen.md section 3.1): resolve, learn, send at a load, drain, read the counters.

mod handshake;
mod trial;

pub use handshake::{Knock, Learning};
pub use trial::{Request, StreamResult, Trial, Way};

use crate::endpoint::{Address, Family};
use crate::engine::{Clock, Engine, Stage};
use crate::flow::Direction;
use crate::rate::Rate;
use crate::receive::Counters;
use crate::transmit::Spacing;

/// An engine at work: everything that measures is built from its functions.
#[derive(Debug)]
pub struct Bench<'a, C> {
    /// Ports, flows, verifier.
    pub engine: &'a mut Engine,
    /// Its time.
    pub clock: &'a C,
    /// How long to wait for the last frames.
    pub drain: Drain,
    /// Frames under way at most: sending waits while so many have left and not arrived, up to a fifth of a second.
    /// Every frame is sent then, however long it takes: right for verifying, wrong for measuring.
    pub window: Option<u64>,
}

/// When a phase is over: nothing has arrived for `quiet`, and at least `least` has passed since the last frame left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Drain {
    /// Nanoseconds after the end of sending.
    pub least: u64,
    /// Nanoseconds without an arrival.
    pub quiet: u64,
}

/// What `pktgen run` does: the usual course from resolving to the trial.
#[derive(Clone, Debug)]
pub struct Course {
    /// Frames per second of each direction; `None`: as many as the ports take.
    pub rate: Option<Rate>,
    /// How they are spread.
    pub spacing: Spacing,
    /// Nanoseconds of sending.
    pub duration: u64,
    /// Which directions are measured.
    pub directions: Vec<Direction>,
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

/// A gateway that does not answer.
#[derive(Debug, thiserror::Error)]
#[error(
    "gateway {0} does not answer {protocol}: is the tested system up, and is this its address?",
    protocol = match self.0.family() { Family::V4 => "ARP", Family::V6 => "neighbour discovery" }
)]
pub struct Unresolved(pub Address);

impl<'a, C: Clock> Bench<'a, C> {
    /// With the usual drain.
    pub fn new(engine: &'a mut Engine, clock: &'a C) -> Self {
        Self { engine, clock, drain: Drain::default(), window: None }
    }

    /// Waits for the gateways' hardware addresses.
    pub fn resolve(&mut self) -> Result<(), Unresolved> {
        let start = self.clock.now();
        let mut asked = None;
        while let Some(gateway) = self.engine.silent_gateway() {
            let now = self.clock.now();
            if now - start > RESOLVE_NS {
                return Err(Unresolved(gateway));
            }
            if asked.is_none_or(|asked| now - asked >= ASK_AGAIN_NS) {
                self.engine.ask_gateways();
                asked = Some(now);
            }
            self.engine.turn(self.clock);
        }
        Ok(())
    }

    /// Works until all is sent, and then until `done(engine, now, end of sending)` or ten seconds.
    pub fn work(&mut self, done: impl Fn(&Engine, u64, u64) -> bool) {
        let mut now = self.clock.now();
        while self.engine.is_sending(now) {
            self.engine.turn(self.clock);
            now = self.clock.now();
        }
        let ended = now;
        while !done(self.engine, now, ended) && now - ended < DRAIN_LIMIT_NS {
            self.engine.turn(self.clock);
            now = self.clock.now();
        }
        self.engine.show();
    }

    /// Sends nothing for so many nanoseconds, but answers whoever asks.
    pub fn idle(&mut self, ns: u64) {
        let start = self.clock.now();
        while self.clock.now() - start < ns {
            self.engine.turn(self.clock);
        }
    }

    /// Works until all is sent and nothing arrives any more.
    pub fn work_and_drain(&mut self) {
        let drain = self.drain;
        self.work(|engine, now, ended| {
            now - ended >= drain.least && now - engine.last_arrival() >= drain.quiet
        });
    }
}

impl Course {
    /// Goes the whole way.
    pub fn run(&self, bench: &mut Bench<'_, impl Clock>) -> Result<Outcome, Unresolved> {
        bench.resolve()?;
        let learning = if self.learn {
            Some(bench.learn(self.rate))
        } else {
            bench.engine.flows.learn_untranslated();
            None
        };
        if bench.engine.flows.learned() == 0 {
            return Ok(Outcome { learning, warm_up: None, trial: None });
        }
        let request = Request {
            rate: self.rate,
            spacing: self.spacing,
            duration: self.duration,
            directions: self.directions.clone(),
            stage: Stage::Measuring,
        };
        let duration = self.duration.min(WARM_UP_NS);
        let warm_up =
            Request { duration, stage: Stage::WarmUp, spacing: Spacing::Even, ..request.clone() };
        let warm_up = bench.trial(&warm_up);
        let trial = bench.trial(&request);
        bench.close(Rate::per_second(bench.engine.flows.len() as f64));
        Ok(Outcome { learning, warm_up: Some(warm_up.counters), trial: Some(trial) })
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self { least: SECOND, quiet: SECOND / 5 }
    }
}

const SECOND: u64 = 1_000_000_000;
const ASK_AGAIN_NS: u64 = SECOND / 5;
const RESOLVE_NS: u64 = 5 * SECOND;
const WARM_UP_NS: u64 = SECOND;
/// A path that never falls silent is left after this.
const DRAIN_LIMIT_NS: u64 = 10 * SECOND;
