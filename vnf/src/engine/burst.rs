//! Up to 64 packets on their way through the pipeline.

use dpdk_bindings::cpu;
use dpdk_bindings::mbuf::Mbuf;
use dpdk_bindings::queue::RxQueue;

use super::ids::{Arrival, PortId};
use super::mask::{BURST, Column, Mask, Slot};
use super::meta::Meta;
use super::verdict::{DropReason, Verdict};

/// Where the packets of a burst come from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Origin {
    /// This worker held them back until their datagram's first fragment came: only `parse` has seen them.
    Fragments,
    /// Another worker, which found that this one owns their flows.
    HandedOver,
    /// This worker held them back: they went through the pipeline before, up to their next hop.
    Held,
    /// This worker translated them back to the inside (RFC 4787 REQ-9).
    Hairpin,
    /// A port.
    #[default]
    Port,
}

/// A burst: packets, what is known of each, and what became of those that left early.
pub struct Burst {
    packets: Column<Option<Mbuf>>,
    /// How each packet came in.
    pub arrival: Column<Arrival>,
    /// What the stages know.
    pub meta: Column<Meta>,
    verdicts: Column<Verdict>,
    live: Mask,
    settled: Mask,
    /// Packets whose session is known and current: nothing is left to decide.
    pub known: Mask,
    /// Where the packets come from.
    pub origin: Origin,
    /// The octets of all frames together, as they were received.
    pub octets: usize,
}

impl Burst {
    /// An empty burst.
    pub fn new() -> Self {
        Self {
            packets: Column::default(),
            arrival: Column::default(),
            meta: Column::default(),
            verdicts: Column::from_fn(|_| Verdict::Drop(DropReason::TooShort)),
            live: Mask::EMPTY,
            settled: Mask::EMPTY,
            known: Mask::EMPTY,
            origin: Origin::Port,
            octets: 0,
        }
    }

    /// Takes what the queue has; returns how many packets arrived.
    #[inline]
    pub fn receive(&mut self, queue: &mut RxQueue, port: PortId) -> usize {
        let count = queue.receive(&mut self.packets.0);
        self.arrival.0 = [Arrival { port, hairpin: false, query: 0 }; BURST];
        self.octets = 0;
        for packet in self.packets.0[..count].iter().flatten() {
            self.octets += packet.len();
            cpu::prefetch(packet.data());
        }
        self.start(count, Origin::Port);
        count
    }

    /// Puts packets from another source in; returns how many there were.
    pub fn fill(
        &mut self,
        origin: Origin,
        mut next: impl FnMut() -> Option<(Mbuf, Arrival)>,
    ) -> usize {
        let mut count = 0;
        while count < BURST {
            let Some((packet, arrival)) = next() else { break };
            self.packets.0[count] = Some(packet);
            self.arrival.0[count] = arrival;
            count += 1;
        }
        self.start(count, origin);
        count
    }

    #[inline]
    fn start(&mut self, count: usize, origin: Origin) {
        self.origin = origin;
        self.live = Mask::first(count);
        self.settled = Mask::EMPTY;
        self.known = Mask::EMPTY;
    }

    /// The packets still in the pipeline.
    #[inline]
    pub fn live(&self) -> Mask {
        self.live
    }

    /// The packets in the pipeline about which something is still to be decided.
    #[inline]
    pub fn undecided(&self) -> Mask {
        self.live & !self.known
    }

    /// Takes a packet out of the pipeline; no later stage sees it.
    #[inline]
    pub fn settle(&mut self, slot: Slot, verdict: Verdict) {
        self.verdicts[slot] = verdict;
        self.live.remove(slot);
        self.settled.insert(slot);
    }

    /// Drops a packet.
    #[inline]
    pub fn drop(&mut self, slot: Slot, reason: DropReason) {
        self.settle(slot, Verdict::Drop(reason));
    }

    /// A packet of the burst with what is known of it.
    #[inline]
    pub fn packet_mut(&mut self, slot: Slot) -> (&mut Mbuf, &mut Meta) {
        let packet = self.packets[slot].as_mut().expect("a live slot holds a packet");
        (packet, &mut self.meta[slot])
    }

    /// A packet of the burst.
    #[inline]
    pub fn packet(&self, slot: Slot) -> &Mbuf {
        self.packets[slot].as_ref().expect("a live slot holds a packet")
    }

    /// Takes a live packet out, to be transmitted or kept.
    #[inline]
    pub fn take(&mut self, slot: Slot) -> Mbuf {
        self.live.remove(slot);
        self.packets[slot].take().expect("a live slot holds a packet")
    }

    /// All packets, to be taken out, if none was settled before.
    #[inline]
    pub fn take_whole(&mut self) -> Option<&mut [Option<Mbuf>]> {
        let count = self.live.len();
        (self.live == Mask::first(count) && self.settled.is_empty()).then(|| {
            self.live = Mask::EMPTY;
            &mut self.packets.0[..count]
        })
    }

    /// Takes the next settled packet out, with its verdict.
    #[inline]
    pub fn next_settled(&mut self) -> Option<(Mbuf, Verdict, Slot)> {
        let slot = self.settled.next()?;
        let packet = self.packets[slot].take().expect("a settled slot holds a packet");
        Some((packet, self.verdicts[slot], slot))
    }

    /// The settled packets that are dropped, answered or not, with the reason.
    pub fn refused(&self) -> impl Iterator<Item = (Slot, DropReason)> + '_ {
        self.settled.into_iter().filter_map(|slot| match self.verdicts[slot] {
            Verdict::Drop(reason) | Verdict::Reject(_, reason) => Some((slot, reason)),
            _ => None,
        })
    }

    /// Where all packets came in, if it is the same way for all of them.
    pub fn common_arrival(&self) -> Option<Arrival> {
        let [first, others @ ..] = &self.arrival.0[..self.live.len()] else { return None };
        let common = self.origin == Origin::Port || others.iter().all(|other| other == first);
        common.then_some(*first)
    }

    /// The frames as they were received, for a measuring instrument to write into.
    pub fn frames_mut(&mut self) -> impl Iterator<Item = &mut Mbuf> {
        self.packets.0.iter_mut().flatten()
    }
}

impl Default for Burst {
    fn default() -> Self {
        Self::new()
    }
}
