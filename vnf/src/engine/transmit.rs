//! Frames on their way to the ports, collected by port so that each burst costs one call.

use dpdk_bindings::batch::Batch;
use dpdk_bindings::mbuf::Mbuf;
use dpdk_bindings::queue::TxQueue;

use super::counters::Counters;
use super::handover::{Lanes, Parcel};
use super::ids::{PortId, WorkerId};
use super::mask::{Mask, Slot};
use super::verdict::DropReason;

/// How a worker reaches a port.
pub enum TxPath {
    /// Through a queue of its own.
    Queue(TxQueue),
    /// Through another worker, where the port has fewer queues than there are workers.
    Through(WorkerId),
}

struct Outgoing {
    path: TxPath,
    frames: Batch,
    octets: u64,
    /// Which of the frames are the VNF's own.
    originated: Mask,
}

/// The ports as one worker transmits to them.
pub struct Transmit {
    ports: Vec<Outgoing>,
    worker: WorkerId,
    lanes: Lanes,
}

/// What a frame counts as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Account {
    /// A packet that was received.
    Received,
    /// A frame of the VNF's own.
    Originated,
}

impl Transmit {
    /// The ports in order, each with the way to it.
    pub fn new(paths: Vec<TxPath>, worker: WorkerId, lanes: Lanes) -> Self {
        let ports = paths
            .into_iter()
            .map(|path| Outgoing { path, frames: Batch::new(), octets: 0, originated: Mask::EMPTY })
            .collect();
        Self { ports, worker, lanes }
    }

    /// Puts a received packet on its way; it is counted as transmitted unless the port refuses it.
    #[inline]
    pub fn push(&mut self, port: PortId, frame: Mbuf, counters: &Counters) {
        let outgoing = &mut self.ports[port.index()];
        outgoing.octets += frame.len() as u64;
        if let Err(frame) = outgoing.frames.push(frame) {
            outgoing.octets -= frame.len() as u64;
            outgoing.flush(port, self.worker, &self.lanes, counters);
            self.push(port, frame, counters);
        }
    }

    /// Sends packets that were received and go to one port; what it refuses is dropped as `tx-full`.
    pub fn send(
        &mut self,
        port: PortId,
        packets: &mut [Option<Mbuf>],
        octets: usize,
        counters: &Counters,
    ) {
        let outgoing = &mut self.ports[port.index()];
        if !outgoing.frames.is_empty() {
            outgoing.flush(port, self.worker, &self.lanes, counters);
        }
        let TxPath::Queue(queue) = &mut outgoing.path else {
            for packet in packets.iter_mut().filter_map(Option::take) {
                self.push(port, packet, counters);
            }
            return;
        };
        let sent = queue.transmit(packets);
        let refused = &mut packets[sent..];
        let lost: usize = refused.iter().flatten().map(Mbuf::len).sum();
        counters.transmitted.add(sent as u64);
        counters.ports[port.index()][2].add(sent as u64);
        counters.ports[port.index()][3].add((octets - lost) as u64);
        if !refused.is_empty() {
            counters.drops[DropReason::TxFull as usize].add(refused.len() as u64);
            Mbuf::free_bulk(refused);
        }
    }

    /// Sends what was collected; what a port refuses is dropped as `tx-full`.
    #[inline]
    pub fn flush(&mut self, counters: &Counters) {
        for (index, outgoing) in self.ports.iter_mut().enumerate() {
            if !outgoing.frames.is_empty() {
                outgoing.flush(PortId(index as u8), self.worker, &self.lanes, counters);
            }
        }
    }

    /// Puts a frame of the VNF's own on its way, behind those before it; it is lost if the port
    /// refuses it, as any frame may be.
    pub fn originate(&mut self, port: PortId, frame: Mbuf, counters: &Counters) {
        counters.originated.add(1);
        self.push_as(Account::Originated, port, frame, counters);
    }

    /// Puts a frame on its way that is accounted for so far.
    pub fn push_as(&mut self, account: Account, port: PortId, frame: Mbuf, counters: &Counters) {
        self.push(port, frame, counters);
        let outgoing = &mut self.ports[port.index()];
        let slot = Slot::new(outgoing.frames.len() - 1);
        outgoing.originated.insert_if(slot, account == Account::Originated);
    }
}

impl Outgoing {
    fn flush(&mut self, port: PortId, worker: WorkerId, lanes: &Lanes, counters: &Counters) {
        let count = self.frames.len();
        let octets = std::mem::take(&mut self.octets);
        let originated = std::mem::take(&mut self.originated);
        match &mut self.path {
            TxPath::Queue(queue) => {
                let sent = queue.transmit_batch(&mut self.frames);
                let own = (Mask::first(sent) & originated).len();
                let port = &counters.ports[port.index()];
                counters.transmitted.add((sent - own) as u64);
                port[2].add(sent as u64);
                port[3].add(octets);
                if sent < count {
                    let lost: usize = self.frames.packets().iter().map(Mbuf::len).sum();
                    let received = count - sent - (originated.len() - own);
                    port[3].add((lost as u64).wrapping_neg());
                    counters.drops[DropReason::TxFull as usize].add(received as u64);
                    self.frames.clear();
                }
            }
            TxPath::Through(owner) => {
                let mut slots = Mask::first(count);
                self.frames.take_all(|frame| {
                    let own = slots.next().is_some_and(|slot| originated.contains(slot));
                    let account = if own { Account::Originated } else { Account::Received };
                    match lanes.send(worker, *owner, Parcel::Ready(frame, port, account)) {
                        _ if own => {}
                        Ok(()) => counters.handed_over.add(1),
                        Err(_) => counters.dropped(DropReason::HandoverFull),
                    }
                });
            }
        }
    }
}
