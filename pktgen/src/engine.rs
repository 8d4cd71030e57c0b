//! The one worker: polls both ports, checks what arrives, sends what is due.

mod clock;
mod lane;
mod live;
mod series;

use std::sync::Arc;

pub use clock::{Clock, Tsc};
use dpdk_bindings::{Mbuf, Mempool, RxQueue, TxQueue};
use lane::{Lane, Tools};
pub use lane::{Order, Sent, Task};
pub use live::{Glance, Live, Stage};
use series::Series;

use crate::endpoint::{Address, Family};
use crate::flow::{Direction, Expect, Flows};
use crate::host::Host;
use crate::latency::Latency;
use crate::receive::{Arrival, Counters, Expectation, Verifier};
use crate::record::Second;
use crate::storm::Storm;
use crate::trailer::Key;
use crate::transmit::{Composer, Route};

/// One port: its queues and the hosts behind it.
#[derive(Debug)]
pub struct Side {
    /// Where frames arrive.
    pub rx: RxQueue,
    /// Where frames leave.
    pub tx: TxQueue,
    /// Who answers there.
    pub host: Host,
}

/// Both ports, all flows, and what is going on between them.
#[derive(Debug)]
pub struct Engine {
    /// All flows.
    pub flows: Flows,
    /// The judge of what arrives.
    pub verifier: Verifier,
    /// How long after it was due each frame left.
    pub send_error: Latency,
    /// Who attacks the tested system meanwhile, if anybody does.
    pub storm: Option<Storm>,
    seed: u64,
    phase: u64,
    sides: [Side; 2], // inside, outside
    lanes: Vec<Lane>,
    composer: Composer,
    pool: Mempool,
    received: Box<[Option<Mbuf>; BURST]>,
    scratch: Vec<u8>,
    last_arrival: u64,
    live: Arc<Live>,
    stage: Stage,
    series: Series,
    flushed: u64,
    window: Option<u64>,
    held_since: Option<u64>,
    given_up: u64,
}

impl Engine {
    /// `sides` are the inside and the outside port; the seed makes the keys that tell phases and runs apart.
    pub fn new(
        sides: [Side; 2],
        flows: Flows,
        expectation: Expectation,
        seed: u64,
        pool: Mempool,
        live: Arc<Live>,
    ) -> Self {
        let key = Key::new(seed, 0);
        let verifier = Verifier::new(expectation, flows.streams().len(), key);
        let composer = Composer::new(routes(&sides), key);
        Self {
            seed,
            phase: 0,
            flows,
            verifier,
            send_error: Latency::new(),
            storm: None,
            sides,
            lanes: Vec::new(),
            composer,
            pool,
            received: Box::new([const { None }; BURST]),
            scratch: Vec::new(),
            last_arrival: 0,
            live,
            stage: Stage::default(),
            series: Series::default(),
            flushed: 0,
            window: None,
            held_since: None,
            given_up: 0,
        }
    }

    /// Begins a phase: its own key, all sequences and counters from 0.
    pub fn begin(&mut self, stage: Stage) {
        self.phase += 1;
        let key = Key::new(self.seed, self.phase);
        self.composer = Composer::new(routes(&self.sides), key);
        self.flows.restart();
        self.verifier.restart(key);
        self.send_error.clear();
        self.lanes.clear();
        self.stage = stage;
        self.series.clear();
        self.flushed = 0;
        self.show();
    }

    /// Adds frames to send.
    pub fn load(&mut self, task: Task) {
        self.lanes.push(Lane::new(task));
    }

    /// Forgets what was sent and what is still to be sent, within the phase.
    pub fn unload(&mut self) {
        self.lanes.clear();
        self.series.unload();
    }

    /// Puts other flows in the place of all there are; the next thing to do is to [`begin`](Self::begin) a phase.
    pub fn set_flows(&mut self, flows: Flows) {
        self.lanes.clear();
        self.verifier.set_streams(flows.streams().len());
        self.flows = flows;
    }

    /// One pass over both ports.
    pub fn turn(&mut self, clock: &impl Clock) {
        for direction in Direction::BOTH {
            self.receive(direction, clock);
        }
        if self.is_held(clock) {
            return;
        }
        for lane in &mut self.lanes {
            lane.send(Tools {
                tx: &mut self.sides[lane.direction as usize].tx,
                flows: &mut self.flows,
                composer: &self.composer,
                pool: &self.pool,
                send_error: &mut self.send_error,
                clock,
            });
        }
        if let Some(storm) = &mut self.storm {
            storm.send(&mut self.sides, &self.pool, clock.now());
        }
    }

    /// Limits the frames that are under way; none is no limit.
    pub fn set_window(&mut self, window: Option<u64>) {
        (self.window, self.held_since, self.given_up) = (window, None, 0);
    }

    /// Whether so many frames are under way that sending waits: until some arrive, or are given up for lost.
    fn is_held(&mut self, clock: &impl Clock) -> bool {
        let Some(window) = self.window else { return false };
        let sent: u64 = Direction::BOTH.iter().map(|way| self.sent(*way).accepted).sum();
        let arrived = self.verifier.counters.received() + self.given_up;
        if sent - arrived.min(sent) < window {
            self.held_since = None;
            return false;
        }
        let now = clock.now();
        let since = *self.held_since.get_or_insert(now);
        if now - since.max(self.last_arrival) < PATIENCE_NS {
            return true;
        }
        self.given_up = sent - self.verifier.counters.received().min(sent);
        self.held_since = None;
        false
    }

    /// Whether frames are still to be sent.
    pub fn is_sending(&mut self, now: u64) -> bool {
        let is_sending = self.lanes.iter().any(|lane| lane.is_sending(now));
        if now - self.flushed >= FLUSH_NS || !is_sending {
            self.flushed = now;
            let sent = Direction::BOTH.map(|direction| self.sent(direction).accepted);
            let Counters { unique, defects, .. } = &self.verifier.counters;
            let sums = [sent.iter().sum(), unique.iter().sum(), defects.of_path()];
            self.series.roll(now, !is_sending, sums, &mut self.verifier.recent);
            self.show();
        }
        is_sending
    }

    /// Lets the control thread see the counters.
    pub fn show(&self) {
        let sent = Direction::BOTH.map(|direction| self.sent(direction).accepted);
        let counters = &self.verifier.counters;
        self.live.show(Glance {
            stage: self.stage,
            phase: self.phase,
            sent,
            received: counters.unique,
            defects: counters.defects,
            latency_ns: self.series.latency_ns(),
        });
    }

    /// Each second of sending in this phase.
    pub fn seconds(&self) -> &[Second] {
        self.series.seconds()
    }

    /// When a frame of ours arrived last.
    pub fn last_arrival(&self) -> u64 {
        self.last_arrival
    }

    /// What was sent in a direction since the phase began, without streams that the path must refuse.
    pub fn sent(&self, direction: Direction) -> Sent {
        let streams = self.flows.streams();
        let wanted = self.lanes.iter().filter(|lane| {
            lane.direction == direction && streams[lane.stream].expect == Expect::Arrive
        });
        wanted.map(Lane::sent).fold(Sent::default(), Sent::plus)
    }

    /// What was sent of a stream in a direction since the phase began.
    pub fn sent_of(&self, stream: usize, direction: Direction) -> Sent {
        let wanted =
            self.lanes.iter().filter(|lane| (lane.stream, lane.direction) == (stream, direction));
        wanted.map(Lane::sent).fold(Sent::default(), Sent::plus)
    }

    /// Asks every gateway that has not answered yet for its hardware address.
    pub fn ask_gateways(&mut self) {
        for side in &mut self.sides {
            for question in side.host.questions() {
                transmit(&mut side.tx, &self.pool, &question);
            }
        }
    }

    /// A gateway that has not answered.
    pub fn silent_gateway(&self) -> Option<Address> {
        self.sides.iter().find_map(|side| side.host.silent_gateway())
    }

    /// The ports and the buffers, for who sends and receives by himself.
    pub(crate) fn ports(&mut self) -> (&mut [Side; 2], &Mempool) {
        (&mut self.sides, &self.pool)
    }

    fn receive(&mut self, direction: Direction, clock: &impl Clock) {
        // What goes outward arrives at the outside port.
        let Side { rx, tx, host } = &mut self.sides[direction.reversed() as usize];
        let count = rx.receive(&mut self.received);
        if count == 0 {
            return;
        }
        let now = clock.now();
        for packet in self.received[..count].iter().flatten() {
            let frame = if packet.segment_count() == 1 {
                packet.data()
            } else {
                self.scratch.resize(packet.len(), 0);
                packet.copy_to(&mut self.scratch);
                &self.scratch
            };
            let own = |address| host.owns(address);
            match self.verifier.inspect(&mut self.flows, direction, frame, now, own) {
                Arrival::Control => {
                    if let Some(answer) = host.answer(frame) {
                        transmit(tx, &self.pool, &answer);
                    }
                }
                Arrival::Ours => self.last_arrival = now,
                Arrival::Strange => {}
            }
        }
        Mbuf::free_bulk(&mut self.received[..count]);
    }
}

/// How each direction is addressed; without a gateway the other port is the next hop.
fn routes(sides: &[Side; 2]) -> [Route; 2] {
    let hosts = sides.each_ref().map(|side| &side.host);
    let route = |from: usize| {
        let next_hop = |family| hosts[from].gateway_mac(family).unwrap_or(hosts[1 - from].mac());
        Route {
            source: hosts[from].mac(),
            next_hops: [Family::V4, Family::V6].map(next_hop),
            vlan: hosts[from].vlan(),
        }
    };
    [route(0), route(1)]
}

/// Sends one frame of the hosts themselves; where there is no room it is lost, as on any wire.
fn transmit(tx: &mut TxQueue, pool: &Mempool, frame: &[u8]) {
    tx.transmit(&mut [pool.frame(frame)]);
}

const BURST: usize = 64;
/// How long a full window waits for an arrival.
const PATIENCE_NS: u64 = 200_000_000;
/// How often the worker shows its counters.
const FLUSH_NS: u64 = 100_000_000;
