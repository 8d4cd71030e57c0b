//! What becomes of packets that leave the pipeline early: dropped, answered, held, or given to another worker. All of it
//! is off the fast path.

mod exception;
mod local;

use crossbeam::queue::ArrayQueue;
use dpdk_bindings::mbuf::Mbuf;
use dpdk_bindings::mempool::Mempool;

use crate::engine::burst::Burst;
use crate::engine::counters::Counters;
use crate::engine::handover::{Lanes, Parcel};
use crate::engine::ids::{InterfaceId, PortId, Tick, WorkerId};
use crate::engine::mask::Slot;
use crate::engine::message::Event;
use crate::engine::meta::Meta;
use crate::engine::tables::Tables;
use crate::engine::transmit::Transmit;
use crate::engine::verdict::{DropReason, Rejection, Verdict};
use crate::fragment::{Reassembly, split};
use crate::icmp::{self, limiter::Limiter, reject};
use crate::nat::unsolicited::Unsolicited;
use crate::neighbor::{HeldPackets, answer, held};
use crate::session::Flows;
use crate::table::Hasher;

/// Everything a worker needs to deal with settled packets.
pub struct Dispatch {
    worker: WorkerId,
    lanes: Lanes,
    pool: Mempool,
    limiter: Limiter,
    /// Packets that wait for a neighbour.
    pub held: HeldPackets,
    /// Fragments of what the VNF itself is asked.
    pub reassembly: Reassembly,
    allowances: exception::Allowances,
    /// SYNs that wait for their connection's other side.
    pub unsolicited: Unsolicited,
}

/// Where a settled packet's consequences go.
pub struct Outlets<'a> {
    /// The ports.
    pub transmit: &'a mut Transmit,
    /// The worker's counters.
    pub counters: &'a Counters,
    /// Packets for services on the box.
    pub exceptions: &'a ArrayQueue<(Mbuf, InterfaceId)>,
    /// Tells management something; counts what finds the ring full.
    pub tell: &'a dyn Fn(Event),
}

impl Dispatch {
    /// With nothing held and full allowances for ICMP errors.
    pub fn new(worker: WorkerId, lanes: Lanes, pool: Mempool, hasher: Hasher) -> Self {
        Self {
            worker,
            lanes,
            pool,
            limiter: Limiter::new(hasher),
            held: HeldPackets::new(),
            reassembly: Reassembly::new(),
            allowances: exception::Allowances::default(),
            unsolicited: Unsolicited::new(),
        }
    }

    /// The ways to other workers.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Packets that are kept for later.
    pub fn kept(&self) -> usize {
        self.held.len() + self.unsolicited.len() + self.reassembly.held()
    }

    /// Whether packets are kept for later.
    #[inline]
    pub fn keeps_something(&self) -> bool {
        !(self.held.is_empty() && self.unsolicited.is_empty() && self.reassembly.is_empty())
    }

    /// Takes every settled packet out of the burst and does what its verdict says.
    #[inline]
    pub fn run(
        &mut self,
        burst: &mut Burst,
        flows: &Flows,
        tables: &Tables,
        outlets: &mut Outlets<'_>,
        now: Tick,
    ) {
        while let Some((packet, verdict, slot)) = burst.next_settled() {
            self.settle(packet, verdict, slot, burst, flows, tables, outlets, now);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one packet with everything it may need")]
    fn settle(
        &mut self,
        mut packet: Mbuf,
        verdict: Verdict,
        slot: Slot,
        burst: &Burst,
        flows: &Flows,
        tables: &Tables,
        outlets: &mut Outlets<'_>,
        now: Tick,
    ) {
        let (meta, arrival) = (&burst.meta[slot], burst.arrival[slot]);
        let port = arrival.port;
        let counters = outlets.counters;
        match verdict {
            Verdict::Answer => match icmp::local::reply_in_place(&mut packet, meta.key.family) {
                Some(()) => outlets.transmit.push(port, packet, counters),
                None => counters.dropped(DropReason::NoLocalService),
            },
            Verdict::Drop(reason) => counters.dropped(reason),
            Verdict::Exception => self.except(packet, meta.ingress, outlets, now),
            Verdict::Fragment => self.fragment(packet, meta, tables, outlets),
            Verdict::HandOver(owner) => {
                match self.lanes.send(self.worker, owner, Parcel::Flow(packet, arrival)) {
                    Ok(()) => counters.handed_over.add(1),
                    Err(_) => counters.dropped(DropReason::HandoverFull),
                }
            }
            Verdict::Hold => {
                let known = tables.neighbors.next_hop(meta.next_hop).map(|n| n.address);
                let neighbor = known.or(flows.decisions[slot].neighbor);
                let Some(neighbor) = neighbor else {
                    counters.dropped(DropReason::NeighborUnresolved);
                    return;
                };
                match self.held.hold(packet, arrival, meta.egress_of(tables), neighbor, now) {
                    held::Outcome::First => {
                        (outlets.tell)(Event::Unresolved(meta.egress_of(tables), neighbor));
                    }
                    held::Outcome::Joined => {}
                    held::Outcome::Refused(_, awaited) => {
                        counters.dropped(DropReason::NeighborUnresolved);
                        if !awaited {
                            // Others fill the room; this one is asked for all the same.
                            (outlets.tell)(Event::Unresolved(meta.egress_of(tables), neighbor));
                        }
                    }
                }
            }
            Verdict::Neighbor => self.neighbor(packet, port, tables, outlets, now),
            Verdict::Reassemble => {
                self.reassemble(&packet, meta, arrival, tables, outlets, now);
            }
            Verdict::Reject(rejection, reason) => {
                counters.dropped(reason);
                self.reject(&mut packet, rejection, meta, port, tables, outlets, now);
            }
            Verdict::Wait(reason) => {
                let dropped = self.unsolicited.keep(packet, arrival, meta.key, reason, now);
                dropped.into_iter().for_each(|reason| counters.dropped(reason));
            }
        }
    }

    fn neighbor(
        &mut self,
        mut packet: Mbuf,
        port: PortId,
        tables: &Tables,
        outlets: &mut Outlets<'_>,
        now: Tick,
    ) {
        let answer::Outcome { end, news } = answer::answer(&mut packet, port, tables);
        if let Some(news) = news {
            (outlets.tell)(news);
        }
        match end {
            answer::End::Answered => outlets.transmit.push(port, packet, outlets.counters),
            answer::End::Dropped(reason) => outlets.counters.dropped(reason),
            answer::End::Heard => outlets.counters.punted.add(1),
            answer::End::Mirrored(interface) => self.mirror(packet, interface, outlets, now),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one packet with everything it may need")]
    fn reject(
        &mut self,
        packet: &mut Mbuf,
        rejection: Rejection,
        meta: &Meta,
        port: PortId,
        tables: &Tables,
        outlets: &mut Outlets<'_>,
        now: Tick,
    ) {
        let Some(interface) = tables.interfaces.find(meta.ingress) else { return };
        if !self.limiter.allows(&meta.key.source, now) {
            return;
        }
        let l3 = usize::from(meta.l3);
        let (protocol, family) = (meta.key.protocol, meta.key.family);
        let answer = reject::build(packet, rejection, protocol, family, l3, interface, &self.pool);
        if let Some(answer) = answer {
            outlets.transmit.originate(port, answer, outlets.counters);
        }
    }

    fn fragment(&mut self, packet: Mbuf, meta: &Meta, tables: &Tables, outlets: &mut Outlets<'_>) {
        let Outlets { transmit, counters, .. } = outlets;
        let mut made = 0;
        if let Some(next_hop) = tables.neighbors.next_hop(meta.next_hop) {
            split::split(packet, usize::from(meta.l3), next_hop.mtu, &self.pool, |part| {
                // The first one is the packet that was received, the others are new.
                match made {
                    0 => transmit.push(next_hop.port, part, counters),
                    _ => transmit.originate(next_hop.port, part, counters),
                }
                made += 1;
            });
        }
        if made == 0 {
            counters.dropped(DropReason::MtuExceeded);
        }
    }

    /// Drops SYNs that nobody asked for in time, and tells their senders unless their connection has come to be meanwhile
    /// (RFC 5382 REQ-4).
    pub fn answer_unsolicited(
        &mut self,
        flows: &Flows,
        tables: &Tables,
        outlets: &mut Outlets<'_>,
        now: Tick,
    ) {
        while let Some(mut waiting) = self.unsolicited.take_overdue(now) {
            outlets.counters.dropped(waiting.reason);
            if flows.sessions.find_one(&waiting.key).is_some() {
                continue;
            }
            let (packet, arrival) = (&mut waiting.packet, waiting.arrival);
            let mut meta = Meta::default();
            if crate::parse::again(packet, &mut meta, arrival, tables).is_ok() {
                let told = Rejection::UnsolicitedSyn;
                self.reject(packet, told, &meta, arrival.port, tables, outlets, now);
            }
        }
    }

    /// Drops packets whose neighbour did not answer, or whose other fragments did not come, and tells their senders
    /// (RFC 1812 4.3.3.1).
    pub fn give_up_waiting(&mut self, tables: &Tables, outlets: &mut Outlets<'_>, now: Tick) {
        self.give_up_reassembly(tables, outlets, now);
        while let Some((mut packet, arrival)) = self.held.take_overdue(now) {
            outlets.counters.dropped(DropReason::NeighborUnresolved);
            let mut meta = Meta::default();
            if crate::parse::again(&mut packet, &mut meta, arrival, tables).is_ok() {
                let told = Rejection::HostUnreachable;
                self.reject(&mut packet, told, &meta, arrival.port, tables, outlets, now);
            }
        }
    }
}

impl Meta {
    /// The interface by which the packet was to leave.
    fn egress_of(&self, tables: &Tables) -> crate::engine::ids::InterfaceId {
        tables.neighbors.next_hop(self.next_hop).map_or(self.egress, |next_hop| next_hop.interface)
    }
}
