//! The one worker: polls both ports, checks what arrives, sends what is due.

mod clock;
mod lane;
mod live;

use std::net::Ipv4Addr;
use std::sync::Arc;

pub use clock::{Clock, Tsc};
use dpdk_bindings::{Mbuf, Mempool, RxQueue, TxQueue};
use lane::Lane;
pub use lane::Order;
pub use live::{Glance, Live, Stage};

use crate::arp::Host;
use crate::flow::{Direction, Flows};
use crate::latency::Latency;
use crate::receive::{Arrival, Verifier};
use crate::trailer::Key;
use crate::transmit::{Composer, Pacer};

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
    sides: [Side; 2], // inside, outside
    lanes: [Lane; 2], // by direction
    composer: Composer,
    pool: Mempool,
    received: Box<[Option<Mbuf>; BURST]>,
    scratch: Vec<u8>,
    last_arrival: u64,
    live: Arc<Live>,
    flushed: u64,
}

impl Engine {
    /// `sides` are the inside and the outside port; frames are signed with `key` until the next phase.
    pub fn new(
        sides: [Side; 2],
        flows: Flows,
        verifier: Verifier,
        key: Key,
        pool: Mempool,
        live: Arc<Live>,
    ) -> Self {
        let composer = Composer::new(routes(&sides), flows.shape(), key);
        Self {
            flows,
            verifier,
            send_error: Latency::new(),
            sides,
            lanes: [Lane::default(), Lane::default()],
            composer,
            pool,
            received: Box::new([const { None }; BURST]),
            scratch: Vec::new(),
            last_arrival: 0,
            live,
            flushed: 0,
        }
    }

    /// Begins a phase: its own key, all sequences and counters from 0.
    pub fn begin(&mut self, key: Key, stage: Stage) {
        self.composer = Composer::new(routes(&self.sides), self.flows.shape(), key);
        self.flows.restart();
        self.verifier.restart(key);
        self.send_error.clear();
        self.lanes = [Lane::default(), Lane::default()];
        self.live.enter(stage);
    }

    /// Gives a direction its frames to send.
    pub fn load(&mut self, direction: Direction, pacer: Pacer, order: Order) {
        self.lanes[direction as usize].load(pacer, order);
    }

    /// One pass over both ports.
    pub fn turn(&mut self, clock: &impl Clock) {
        for direction in Direction::BOTH {
            self.receive(direction, clock);
        }
        for direction in Direction::BOTH {
            self.lanes[direction as usize].send(
                direction,
                &mut self.sides[direction as usize].tx,
                &mut self.flows,
                &self.composer,
                &self.pool,
                &mut self.send_error,
                clock,
            );
        }
    }

    /// Whether frames are still to be sent.
    pub fn is_sending(&mut self, now: u64) -> bool {
        if now - self.flushed >= FLUSH_NS {
            self.flushed = now;
            self.show();
        }
        self.lanes.iter().any(|lane| lane.is_sending(now))
    }

    /// Lets the control thread see the counters.
    pub fn show(&self) {
        let sent = self.lanes.each_ref().map(|lane| lane.sent().1);
        self.live.show(sent, &self.verifier.counters);
    }

    /// When a frame of ours arrived last.
    pub fn last_arrival(&self) -> u64 {
        self.last_arrival
    }

    /// Frames of a direction that were to be sent, and that the port took.
    pub fn sent(&self, direction: Direction) -> (u64, u64) {
        self.lanes[direction as usize].sent()
    }

    /// Asks every gateway that has not answered yet for its hardware address.
    pub fn ask_gateways(&mut self) {
        for side in &mut self.sides {
            if let Some(question) = side.host.question() {
                transmit(&mut side.tx, &self.pool, &question);
            }
        }
    }

    /// A gateway that has not answered.
    pub fn silent_gateway(&self) -> Option<Ipv4Addr> {
        self.sides.iter().find_map(|side| side.host.silent_gateway())
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

/// Source and destination hardware address of each direction; without a gateway the other port's.
fn routes(sides: &[Side; 2]) -> [([u8; 6], [u8; 6]); 2] {
    let [inside, outside] = sides.each_ref().map(|side| &side.host);
    [
        (inside.mac(), inside.gateway_mac().unwrap_or(outside.mac())),
        (outside.mac(), outside.gateway_mac().unwrap_or(inside.mac())),
    ]
}

/// Sends one frame of the hosts themselves; where there is no room it is lost, as on any wire.
fn transmit(tx: &mut TxQueue, pool: &Mempool, frame: &[u8]) {
    tx.transmit(&mut [pool.frame(frame)]);
}

const BURST: usize = 64;
/// How often the worker shows its counters.
const FLUSH_NS: u64 = 100_000_000;
