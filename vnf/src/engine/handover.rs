//! Packets on their way from one worker to another: a bounded ring per pair, so that nobody waits and nobody is starved.

use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use dpdk_bindings::mbuf::Mbuf;

use super::counters::Counter;
use super::ids::{Arrival, PortId, WorkerId};
use super::meta::FlowKey;
use super::transmit::Account;

/// A packet for another worker.
pub enum Parcel {
    /// Its flow belongs there: to be taken through the pipeline.
    Flow(Mbuf, Arrival),
    /// No packet: the first one of this flow, which this worker hairpinned, was refused where it came in again.
    Refused(FlowKey),
    /// It is ready, but the port's transmit queue belongs there.
    Ready(Mbuf, PortId, Account),
}

/// One direction between two workers.
pub struct Lane {
    ring: ArrayQueue<Parcel>,
    /// Packets sent; counted by the sender.
    pub sent: Counter,
    /// Packets refused because the ring was full; counted by the sender.
    pub refused: Counter,
}

/// All lanes: `lanes[from][to]`.
#[derive(Clone)]
pub struct Lanes {
    lanes: Arc<Vec<Vec<Lane>>>,
}

impl Lanes {
    /// Lanes between this many workers.
    pub fn new(workers: usize) -> Self {
        let length = if workers == 1 { 1 } else { LENGTH };
        let lane = || Lane {
            ring: ArrayQueue::new(length),
            sent: Counter::default(),
            refused: Counter::default(),
        };
        let row = || (0..workers).map(|_| lane()).collect();
        Self { lanes: Arc::new((0..workers).map(|_| row()).collect()) }
    }

    /// Sends a packet; gives it back when the ring is full.
    ///
    /// # Errors
    /// The packet, when the other worker does not keep up.
    pub fn send(&self, from: WorkerId, to: WorkerId, parcel: Parcel) -> Result<(), Parcel> {
        let lane = &self.lanes[from.index()][to.index()];
        match lane.ring.push(parcel) {
            Ok(()) => {
                lane.sent.add(1);
                Ok(())
            }
            Err(parcel) => {
                lane.refused.add(1);
                Err(parcel)
            }
        }
    }

    /// Tells another worker that what it hairpinned was refused, if there is room.
    pub fn refuse(&self, from: WorkerId, to: WorkerId, key: FlowKey) {
        // Without room the session that came to nothing lives to its timeout.
        let _ = self.lanes[from.index()][to.index()].ring.push(Parcel::Refused(key));
    }

    /// The next packet from one worker to another.
    pub fn take(&self, from: WorkerId, to: WorkerId) -> Option<Parcel> {
        self.lanes[from.index()][to.index()].ring.pop()
    }

    /// Packets on their way at the moment.
    pub fn in_flight(&self) -> usize {
        self.lanes.iter().flatten().map(|lane| lane.ring.len()).sum()
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.lanes.len()
    }

    /// The lane between two workers.
    pub fn lane(&self, from: WorkerId, to: WorkerId) -> &Lane {
        &self.lanes[from.index()][to.index()]
    }
}

/// Packets on their way between two workers at most.
const LENGTH: usize = 1024;
