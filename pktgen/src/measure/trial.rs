//! One trial: a load for a while, and what became of it.

use serde::Serialize;

use super::Bench;
use crate::engine::{Clock, Order, Stage, Task};
use crate::flow::{Direction, Expect, Kind, Share, Stream};
use crate::latency::{Latency, Quantiles};
use crate::rate::Rate;
use crate::receive::Counters;
use crate::transmit::{Pacer, Spacing};

/// What to send.
#[derive(Clone, Debug)]
pub struct Request {
    /// Frames per second of each direction; `None`: as many as the ports take.
    pub rate: Option<Rate>,
    /// How they are spread; a ramp comes before `duration`.
    pub spacing: Spacing,
    /// Nanoseconds of sending.
    pub duration: u64,
    /// Which directions are sent.
    pub directions: Vec<Direction>,
    /// What the live line says meanwhile.
    pub stage: Stage,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The directions that were sent.
    pub ways: Vec<Way>,
    /// Each stream.
    pub streams: Vec<StreamResult>,
    /// Seconds of sending, without the ramp.
    pub duration_s: f64,
    /// What arrived.
    pub counters: Counters,
    /// From the stamp to the arrival.
    pub latency: Latency,
    /// From the due time to the arrival; none without a schedule, or with a random one.
    pub intended_latency: Option<Quantiles>,
    /// How much longer or shorter frames took than the one before of their flow; while it is measured.
    pub variation: Option<[Latency; 2]>,
    /// From the due time to the transmission.
    pub send_error: Latency,
    /// Times that the kernel took the worker's core away.
    pub involuntary_switches: u64,
    /// Whether that was more often than ten times a second.
    pub disturbed: bool,
}

/// Frames of one direction, without those that the path must refuse.
#[derive(Clone, Copy, Debug, Default, Serialize)]
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
    /// Frames that arrived after a later one of their flow.
    pub reordered: u64,
    /// Frames that arrived again.
    pub duplicated: u64,
    /// Octets of the frames sent, untagged and with FCS.
    pub tx_octets: u64,
    /// Octets of the frames received.
    pub rx_octets: u64,
}

/// Frames of one stream, both directions.
#[derive(Clone, Debug, Serialize)]
pub struct StreamResult {
    /// Its name.
    pub name: String,
    /// Flows it has.
    pub flows: u32,
    /// Whether the path must refuse it.
    pub refused: bool,
    /// Frames that were to be sent: outward, inward.
    pub intended: [u64; 2],
    /// Frames that the port took.
    pub sent: [u64; 2],
    /// Different frames that arrived.
    pub received: [u64; 2],
}

impl<C: Clock> Bench<'_, C> {
    /// Sends for a while, waits until nothing arrives any more, then reads the counters.
    pub fn trial(&mut self, request: &Request) -> Trial {
        let switches = involuntary_switches();
        self.engine.begin(request.stage);
        let start = self.clock.now();
        let streams = self.engine.flows.streams();
        let shares: f64 = streams.iter().map(Stream::share_of_load).sum();
        let mut tasks = Vec::new();
        for (number, stream) in streams.iter().enumerate() {
            for direction in &request.directions {
                let part = match request.directions.len() {
                    1 => 1.0,
                    _ => stream.part(*direction),
                };
                let both = request.directions.len() as f64;
                let rate = match (stream.share, request.rate) {
                    (Share::Fixed(pps), _) => Some(pps * part),
                    (Share::OfLoad(share), Some(rate)) => {
                        Some(rate.frames_per_second() * both * share / shares * part)
                    }
                    (Share::OfLoad(_), None) => None,
                };
                let never = stream.expect == Expect::Drop && *direction != stream.initiator;
                if rate.is_some_and(|rate| rate < LEAST_PPS) || part == 0.0 || never {
                    continue;
                }
                tasks.push((number, *direction, rate.map(Rate::per_second)));
            }
        }
        for (index, (stream, direction, rate)) in tasks.into_iter().enumerate() {
            let spacing = match request.spacing {
                Spacing::Poisson(seed) => Spacing::Poisson(seed.wrapping_add(index as u64)),
                other => other,
            };
            let mut pacer = Pacer::spaced(start, request.duration, rate, spacing);
            if self.window.is_some() {
                pacer = pacer.patient();
            }
            let Some(order) = self.order(stream, direction, start) else { continue };
            if matches!(order, Order::All) {
                self.engine.verifier.follow(stream, direction, pacer);
            }
            self.engine.load(Task { stream, direction, kind: Kind::Data, pacer, order });
        }
        self.engine.set_window(self.window);
        self.work_and_drain();
        self.engine.set_window(None);
        self.read(request, start, involuntary_switches() - switches)
    }

    /// Whose turn it is: backward, only flows that can be reached; `None` where there is none.
    fn order(&self, stream: usize, direction: Direction, start: u64) -> Option<Order> {
        let flows = &self.engine.flows;
        if let Some(churn) = flows.streams()[stream].churn {
            return Some(Order::Living { churn, start });
        }
        let complete = flows.unlearned(stream).is_empty();
        if direction == flows.streams()[stream].initiator || complete {
            return Some(Order::All);
        }
        let reachable = flows.reachable(stream);
        (!reachable.is_empty()).then_some(Order::Listed(reachable))
    }

    fn read(&self, request: &Request, start: u64, switches: u64) -> Trial {
        let seconds = (self.clock.now() - start) as f64 / 1e9;
        let engine = &*self.engine;
        let counters = engine.verifier.counters;
        let ways = request.directions.iter().map(|direction| {
            let sent = engine.sent(*direction);
            let at = *direction as usize;
            Way {
                direction: direction.name(),
                intended: sent.intended,
                sent: sent.accepted,
                received: counters.unique[at],
                lost: sent.intended.saturating_sub(counters.unique[at]),
                tx_short: sent.intended - sent.accepted,
                reordered: counters.reordered[at],
                duplicated: counters.duplicated[at],
                tx_octets: sent.octets,
                rx_octets: counters.octets[at],
            }
        });
        let streams = engine.flows.streams().iter().enumerate().map(|(number, stream)| {
            let sent = Direction::BOTH.map(|direction| engine.sent_of(number, direction));
            StreamResult {
                name: stream.name.clone(),
                flows: stream.flows(),
                refused: stream.expect == Expect::Drop,
                intended: sent.map(|sent| sent.intended),
                sent: sent.map(|sent| sent.accepted),
                received: engine.verifier.unique[number],
            }
        });
        let verifier = &engine.verifier;
        let is_due = request.rate.is_some() && verifier.intended.count() > 0;
        Trial {
            ways: ways.collect(),
            streams: streams.collect(),
            duration_s: request.duration as f64 / 1e9,
            counters,
            latency: verifier.latency.clone(),
            intended_latency: is_due.then(|| verifier.intended.quantiles()),
            variation: verifier.measure_variation.then(|| verifier.variation.clone()),
            send_error: engine.send_error.clone(),
            involuntary_switches: switches,
            disturbed: switches as f64 > DISTURBED_PER_S * seconds,
        }
    }
}

impl Trial {
    /// A sum over the directions.
    pub fn sum(&self, of: impl Fn(&Way) -> u64) -> u64 {
        self.ways.iter().map(of).sum()
    }

    /// Frames lost of those intended, over all directions.
    pub fn loss_ratio(&self) -> f64 {
        let intended = self.sum(|way| way.intended);
        if intended == 0 { 0.0 } else { self.sum(|way| way.lost) as f64 / intended as f64 }
    }

    /// Whether so much was not sent that loss says nothing about the path (pktgen.md section 3.1).
    pub fn is_tg_limited(&self) -> bool {
        self.sum(|way| way.tx_short) as f64 > self.sum(|way| way.intended) as f64 * TG_LIMIT
    }
}

/// Involuntary context switches of the calling thread until now.
fn involuntary_switches() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}

/// Involuntary context switches per second above which a trial is disturbed (pktgen.md section 4.3).
const DISTURBED_PER_S: f64 = 10.0;
/// A stream slower than this in a direction has none of it.
const LEAST_PPS: f64 = 1e-3;
/// More unsent frames than this and the generator is the limit.
const TG_LIMIT: f64 = 0.001;
