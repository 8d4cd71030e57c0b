//! Phase 1 of RFC 9693: every flow is opened, and TCP's connections are established.

use std::collections::HashSet;

use serde::Serialize;

use super::{Bench, SECOND};
use crate::engine::{Clock, Order, Stage, Task};
use crate::flow::{Direction, Expect, Kind, Protocol};
use crate::rate::Rate;
use crate::receive::Counters;
use crate::transmit::Pacer;

/// The phase in which every flow is opened.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Learning {
    /// First packets sent, repetitions included.
    pub sent: u64,
    /// Flows whose very first packet did not arrive.
    pub first_pass_misses: u64,
    /// Flows that never came through.
    pub missing: u64,
    /// Rounds of sending first packets.
    pub rounds: u32,
    /// TCP flows whose handshake was not completed.
    pub unestablished: u64,
    /// What arrived.
    pub counters: Counters,
}

/// One packet of a kind to each of these flows of a stream.
#[derive(Clone, Debug)]
pub struct Knock {
    /// Number of the stream.
    pub stream: usize,
    /// Which way.
    pub direction: Direction,
    /// What the packets are.
    pub kind: Kind,
    /// The flows.
    pub flows: Vec<u32>,
}

impl<C: Clock> Bench<'_, C> {
    /// Opens every flow at a moderate rate, not above `limit` frames per second; what is missing is asked for again.
    pub fn learn(&mut self, limit: Option<Rate>) -> Learning {
        let flows = self.engine.flows.len();
        let moderate = Rate::per_second((flows as f64 / 10.0).max(MODERATE_PPS));
        let rate = limit.map_or(moderate, |limit| limit.min(moderate));
        let mut learning = self.open(rate);
        let has_tcp =
            self.engine.flows.streams().iter().any(|stream| stream.protocol == Protocol::Tcp);
        if has_tcp {
            for (kind, backward) in [(Kind::SynAck, true), (Kind::Ack, false)] {
                let round = self.step(rate, kind, backward);
                learning.unestablished = learning.unestablished.max(round.missing);
                learning.counters.add(&round.counters);
            }
        }
        self.greet(rate);
        learning
    }

    /// Sends one packet back to every inside host, so that the tested system knows where each of them is before a load
    /// comes under which its questions and their answers might be lost.
    fn greet(&mut self, rate: Rate) {
        let mut known = HashSet::new();
        let flows = &self.engine.flows;
        let streams = flows.streams().iter().enumerate();
        let knocks =
            streams.filter(|(_, stream)| stream.protocol != Protocol::Tcp).map(|(number, own)| {
                let mut reachable = flows.reachable(number);
                reachable.retain(|index| {
                    own.initiator == Direction::Outward
                        && known.insert(flows.inside(*index).address)
                });
                Knock {
                    stream: number,
                    direction: Direction::Inward,
                    kind: Kind::Data,
                    flows: reachable,
                }
            });
        let knocks: Vec<Knock> = knocks.filter(|knock| !knock.flows.is_empty()).collect();
        if !knocks.is_empty() {
            self.engine.begin(Stage::Learning);
            self.knock(knocks, rate, LEARNING_QUIET_NS);
        }
    }

    /// Closes the TCP connections of the streams that close theirs, with a FIN from either side.
    pub fn close(&mut self, rate: Rate) {
        for (kind, backward) in [(Kind::Fin, false), (Kind::Fin, true), (Kind::Ack, false)] {
            if self.engine.flows.streams().iter().any(|stream| stream.closes) {
                self.step(rate, kind, backward);
            }
        }
    }

    /// Sends the first packet of every flow.
    fn open(&mut self, rate: Rate) -> Learning {
        self.repeat(rate, |bench, stream| {
            let own = &bench.engine.flows.streams()[stream];
            if own.expect == Expect::Drop {
                return None;
            }
            let (direction, protocol) = (own.initiator, own.protocol);
            let kind = if protocol == Protocol::Tcp { Kind::Syn } else { Kind::Data };
            let flows = match direction {
                Direction::Outward => bench.engine.flows.unlearned(stream),
                Direction::Inward => bench.unseen(stream, direction),
            };
            let alive = own.churn.map_or(own.flows(), |churn| churn.alive());
            let flows = flows.into_iter().filter(|index| index - own.first() < alive).collect();
            Some(Knock { stream, direction, kind, flows })
        })
    }

    /// Sends a further packet of the handshake on every TCP flow that can be reached.
    fn step(&mut self, rate: Rate, kind: Kind, backward: bool) -> Learning {
        self.repeat(rate, |bench, stream| {
            let own = &bench.engine.flows.streams()[stream];
            let is_kept = kind == Kind::Fin && !own.closes;
            if own.protocol != Protocol::Tcp || own.expect == Expect::Drop || is_kept {
                return None;
            }
            let direction = if backward { own.initiator.reversed() } else { own.initiator };
            let mut flows = bench.unseen(stream, direction);
            flows.retain(|index| bench.engine.flows.external(*index).is_some());
            Some(Knock { stream, direction, kind, flows })
        })
    }

    /// Asks for what `missing` tells of each stream, and up to three times again.
    fn repeat(&mut self, rate: Rate, missing: impl Fn(&Self, usize) -> Option<Knock>) -> Learning {
        self.engine.begin(Stage::Learning);
        let mut learning = Learning::default();
        loop {
            let streams = 0..self.engine.flows.streams().len();
            let knocks: Vec<Knock> = streams
                .filter_map(|stream| missing(self, stream))
                .filter(|knock| !knock.flows.is_empty())
                .collect();
            learning.missing = knocks.iter().map(|knock| knock.flows.len() as u64).sum();
            if learning.rounds == 1 {
                learning.first_pass_misses = learning.missing;
            }
            if learning.missing == 0 || learning.rounds > REPETITIONS {
                break;
            }
            learning.sent += self.knock(knocks, rate, LEARNING_QUIET_NS);
            learning.rounds += 1;
        }
        learning.counters = self.engine.verifier.counters;
        learning
    }

    /// Sends one packet to each flow of each list, within the phase, and waits until all have arrived or nothing has for
    /// `quiet` nanoseconds; returns how many the ports took. The rate is that of all lists together.
    pub fn knock(&mut self, knocks: Vec<Knock>, rate: Rate, quiet: u64) -> u64 {
        self.engine.unload();
        let before = self.engine.verifier.counters.received();
        let all: u64 = knocks.iter().map(|knock| knock.flows.len() as u64).sum();
        let start = self.clock.now();
        for Knock { stream, direction, kind, flows } in knocks {
            let part = flows.len() as f64 / all.max(1) as f64;
            let rate = Rate::per_second(rate.frames_per_second() * part);
            let pacer = Pacer::frames(start, flows.len() as u64, rate);
            let order = Order::Listed(flows);
            self.engine.load(Task { stream, direction, kind, pacer, order });
        }
        self.work(|engine, now, ended| {
            engine.verifier.counters.received() - before >= all
                || now - ended.max(engine.last_arrival()) >= quiet
        });
        Direction::BOTH.iter().map(|direction| self.engine.sent(*direction).accepted).sum()
    }

    /// The flows of a stream of which nothing has arrived in this phase.
    pub fn unseen(&self, stream: usize, direction: Direction) -> Vec<u32> {
        let flows = &self.engine.flows;
        let stream = &flows.streams()[stream];
        let all = stream.first()..stream.first() + stream.flows();
        all.filter(|index| flows.tally(*index, direction).received == 0).collect()
    }
}

const MODERATE_PPS: f64 = 10_000.0;
/// Times that missing flows are asked for again.
const REPETITIONS: u32 = 3;
const LEARNING_QUIET_NS: u64 = SECOND / 2;
