//! The frames of one stream and direction: which flow is next, when it is due, and what the port has not taken yet.

use dpdk_bindings::{Mbuf, Mempool, TxQueue};

use super::Clock;
use crate::flow::{Churn, Direction, Flow, Flows, Kind};
use crate::latency::Latency;
use crate::transmit::{Composer, GRACE_NS, Pacer};

/// What a lane shall send.
#[derive(Clone, Debug)]
pub struct Task {
    /// Number of the stream.
    pub stream: usize,
    /// Which way.
    pub direction: Direction,
    /// What the packets are for.
    pub kind: Kind,
    /// When they are due.
    pub pacer: Pacer,
    /// Which flows take their turns, over and over.
    pub order: Order,
}

/// In which order the flows take their turns, over and over.
#[derive(Clone, Debug)]
pub enum Order {
    /// Every flow of the stream: frame `k` is of its flow `k % flows`.
    All,
    /// These flows, by their index in the table.
    Listed(Vec<u32>),
    /// Those flows of the stream that live at the time, counted from `start`.
    Living {
        /// How they come and go.
        churn: Churn,
        /// Nanoseconds of the clock.
        start: u64,
    },
}

/// What a lane has sent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sent {
    /// Frames that were to be sent.
    pub intended: u64,
    /// Frames that the port took.
    pub accepted: u64,
    /// Octets of these, untagged and with FCS.
    pub octets: u64,
}

impl Sent {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            intended: self.intended + other.intended,
            accepted: self.accepted + other.accepted,
            octets: self.octets + other.octets,
        }
    }
}

/// What a lane works with.
pub(super) struct Tools<'a, C> {
    pub(super) tx: &'a mut TxQueue,
    pub(super) flows: &'a mut Flows,
    pub(super) composer: &'a Composer,
    pub(super) pool: &'a Mempool,
    pub(super) send_error: &'a mut Latency,
    pub(super) clock: &'a C,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) stream: usize,
    pub(super) direction: Direction,
    kind: Kind,
    pacer: Pacer,
    order: Order,
    position: usize,
    born: u64,
    pending: [Option<Mbuf>; BURST],
    waiting: usize,
    refused_at: u64,
    accepted: u64,
    octets: u64,
}

impl Lane {
    pub(super) fn new(task: Task) -> Self {
        let Task { stream, direction, kind, pacer, order } = task;
        Self {
            stream,
            direction,
            kind,
            pacer,
            order,
            position: 0,
            born: 0,
            pending: [const { None }; BURST],
            waiting: 0,
            refused_at: 0,
            accepted: 0,
            octets: 0,
        }
    }

    pub(super) fn sent(&self) -> Sent {
        let (accepted, octets) = (self.accepted, self.octets);
        let intended = if self.pacer.has_rate() { self.pacer.intended() } else { accepted };
        Sent { intended, accepted, octets }
    }

    pub(super) fn is_sending(&self, now: u64) -> bool {
        self.waiting > 0 || !self.pacer.is_over(now)
    }

    /// Offers the port what is due, or what it has not taken before.
    pub(super) fn send<C: Clock>(&mut self, mut tools: Tools<'_, C>) {
        let now = tools.clock.now();
        self.renew(tools.flows, now);
        if self.waiting > 0 {
            return self.offer_again(&mut tools, now);
        }
        let due = self.pacer.due(now, BURST as u64) as usize;
        if due == 0 || !tools.pool.alloc_bulk(&mut self.pending[..due]) {
            return;
        }
        let mut written = 0;
        for place in 0..due {
            let index = self.next(tools.flows);
            tools.send_error.record(now - self.pacer.take(now));
            let Some(packet) = &mut self.pending[place] else { continue };
            let len = tools.composer.frame_len(tools.flows, index, self.direction);
            let is_written = packet.extend(len).is_some_and(|frame| {
                tools.composer.write(tools.flows, index, self.direction, self.kind, now, frame)
            });
            if is_written {
                self.pending.swap(written, place);
                written += 1;
            }
        }
        // A flow that nobody can be reached by: its frame was due and is not sent.
        Mbuf::free_bulk(&mut self.pending[written..due]);
        self.waiting = written;
        self.refused_at = now;
        self.offer(tools.tx, tools.composer, now);
    }

    /// The flow whose turn it is.
    #[inline]
    fn next(&mut self, flows: &Flows) -> u32 {
        let stream = &flows.streams()[self.stream];
        let (first, all) = (stream.first(), stream.flows());
        let (index, total) = match &self.order {
            Order::All => (first + self.position as u32, all as usize),
            Order::Listed(list) => (list[self.position], list.len()),
            Order::Living { churn, .. } => {
                let at = |position| first + ((self.born + position) % u64::from(all)) as u32;
                let alive = churn.alive().min(all) as usize;
                let mut index = at(self.position as u64);
                if self.direction != stream.initiator {
                    // Who has just begun may not be known yet.
                    for _ in 0..alive.min(TRIES) {
                        if flows.flow(index).is_some_and(Flow::is_learned) {
                            break;
                        }
                        self.position = (self.position + 1) % alive;
                        index = at(self.position as u64);
                    }
                }
                (index, alive)
            }
        };
        self.position = if self.position + 1 >= total { 0 } else { self.position + 1 };
        index
    }

    /// Lets flows begin whose time has come; those who answer follow, so that nothing is sent back to a flow before
    /// it is forgotten.
    fn renew(&mut self, flows: &mut Flows, now: u64) {
        let Order::Living { churn, start } = &self.order else { return };
        if self.direction == flows.streams()[self.stream].initiator {
            let born = churn.born(now.saturating_sub(*start));
            while flows.born(self.stream) < born {
                flows.bear(self.stream, churn.alive());
            }
        }
        self.born = flows.born(self.stream);
    }

    #[cold]
    fn offer_again<C: Clock>(&mut self, tools: &mut Tools<'_, C>, now: u64) {
        let patience = self.pacer.patience(self.refused_at);
        if now > patience + GRACE_NS {
            Mbuf::free_bulk(&mut self.pending[..self.waiting]);
            self.waiting = 0;
            return;
        }
        // The stamp says when the port took the frame, not when it was first asked.
        for packet in self.pending[..self.waiting].iter_mut().flatten() {
            tools.composer.restamp(tools.flows, now, packet.data_mut());
        }
        self.offer(tools.tx, tools.composer, now);
    }

    fn offer(&mut self, tx: &mut TxQueue, composer: &Composer, now: u64) {
        let lengths = self.pending.each_ref().map(|packet| packet.as_ref().map_or(0, Mbuf::len));
        let sent = tx.transmit(&mut self.pending[..self.waiting]);
        if sent > 0 {
            let extra = composer.overhead(self.direction);
            self.octets += lengths[..sent].iter().map(|len| (len + extra) as u64).sum::<u64>();
            self.pending[..self.waiting].rotate_left(sent);
            self.waiting -= sent;
            self.accepted += sent as u64;
            self.refused_at = now;
        }
    }
}

const BURST: usize = 32;
/// Flows that are passed over at most because nobody can be reached by them.
const TRIES: usize = 64;
