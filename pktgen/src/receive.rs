//! Checks every frame that arrives against what was sent (the counters of [`Defects`]).

mod counters;
mod packet;

use std::net::Ipv4Addr;

pub use counters::{Counters, Defects};
use packet::{Packet, is_echo_request};

use crate::flow::{
    DONT_FRAGMENT, Direction, Flow, Flows, INWARD, Learned, Seen, Shape, TRAFFIC_CLASS, TTL,
    is_filled,
};
use crate::frame::{ETHERNET, Mac};
use crate::latency::Latency;
use crate::prefix::Prefix;
use crate::trailer::{self, Key, Owner, Trailer};
use crate::transmit::Pacer;

/// What the tested path is supposed to do with addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sut {
    /// Nothing: the ports are joined, no hop between them.
    Direct,
    /// Translates the inside endpoint.
    Nat44,
    /// Forwards as it is.
    Router,
}

/// What is known of the path before it is measured.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// What becomes of addresses.
    pub sut: Sut,
    /// By how much TTL shrinks.
    pub hops: u8,
    /// Where translated sources must lie; empty: anywhere.
    pub pool: Vec<Prefix>,
    /// Hardware address at which the frames of each [`Direction`] arrive.
    pub macs: [Mac; 2],
}

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// ARP or ping, for the host behind the port to answer.
    Control,
    /// A frame of ours, whole or damaged.
    Ours,
    /// A stranger's.
    Strange,
}

/// The judge of arriving frames, and its counters for the current phase.
#[derive(Debug)]
pub struct Verifier {
    /// Counters of the current phase.
    pub counters: Counters,
    /// From the stamp just before transmission.
    pub latency: Latency,
    /// From the time at which the frame was due: free of coordinated omission.
    pub intended: Latency,
    expectation: Expectation,
    shape: Shape,
    key: Key,
    earlier: Vec<Key>,
    schedule: [Option<Pacer>; 2],
}

impl Verifier {
    /// Expects frames signed with `key`.
    pub fn new(expectation: Expectation, shape: Shape, key: Key) -> Self {
        Self {
            counters: Counters::default(),
            latency: Latency::new(),
            intended: Latency::new(),
            expectation,
            shape,
            key,
            earlier: Vec::new(),
            schedule: [None; 2],
        }
    }

    /// Begins a phase with its own key; frames of the phases before are late from now on.
    pub fn restart(&mut self, key: Key) {
        self.earlier.push(std::mem::replace(&mut self.key, key));
        self.counters = Counters::default();
        self.latency.clear();
        self.intended.clear();
        self.schedule = [None; 2];
    }

    /// Tells when the frames of a direction are due, if frame `k` belongs to flow `k % flows`.
    pub fn follow(&mut self, direction: Direction, pacer: Pacer) {
        self.schedule[direction as usize] = Some(pacer);
    }

    /// The hardware address of the port where a direction arrives.
    pub fn mac(&self, direction: Direction) -> Mac {
        self.expectation.macs[direction as usize]
    }

    /// Judges one frame at the port where `direction` arrives; `own` tells the port's own addresses.
    pub fn inspect(
        &mut self,
        flows: &mut Flows,
        direction: Direction,
        frame: &[u8],
        now: u64,
        own: impl Fn(Ipv4Addr) -> bool,
    ) -> Arrival {
        self.counters.frames += 1;
        match self.sort(flows, direction, frame, now, own) {
            Arrival::Control => {
                self.counters.control += 1;
                Arrival::Control
            }
            Arrival::Strange => {
                self.counters.defects.foreign += 1;
                Arrival::Strange
            }
            Arrival::Ours => Arrival::Ours,
        }
    }

    fn sort(
        &mut self,
        flows: &mut Flows,
        direction: Direction,
        frame: &[u8],
        now: u64,
        own: impl Fn(Ipv4Addr) -> bool,
    ) -> Arrival {
        let Some((ethernet, ip)) = frame.split_first_chunk::<ETHERNET>() else {
            return Arrival::Strange;
        };
        match [ethernet[12], ethernet[13]] {
            [0x08, 0x06] => return Arrival::Control,
            [0x08, 0x00] if ethernet[..6] == self.mac(direction) => {}
            _ => return Arrival::Strange,
        }
        let Some(packet) = Packet::parse(ip) else {
            return if is_echo_request(ip, own) { Arrival::Control } else { Arrival::Strange };
        };
        let Some(octets) = trailer::locate(packet.datagram) else {
            return self.attribute(flows, direction, &packet);
        };
        let (owner, trailer) = self.key.read(octets);
        match owner {
            Owner::Ours => {
                self.check(flows, direction, &packet, trailer, octets, now);
                Arrival::Ours
            }
            Owner::Nobody => self.attribute(flows, direction, &packet),
            Owner::Other => {
                if self.earlier.iter().any(|key| key.read(octets).0 == Owner::Ours) {
                    self.counters.defects.late += 1;
                } else if packet.is_intact() {
                    self.counters.defects.other_run += 1;
                } else {
                    return self.attribute(flows, direction, &packet);
                }
                Arrival::Ours
            }
        }
    }

    /// A frame without a readable trailer is ours when it lies on the addresses of a flow.
    fn attribute(&mut self, flows: &Flows, direction: Direction, packet: &Packet<'_>) -> Arrival {
        let found = flows.by_addresses(direction, packet.source, packet.destination);
        if found.is_none() {
            return Arrival::Strange;
        }
        self.counters.damaged += 1;
        let expected = (self.shape.total_length(), self.shape.udp_length());
        let defects = &mut self.counters.defects;
        let count = if !packet.header_is_intact() {
            &mut defects.bad_ip_csum
        } else if packet.lengths() != expected || packet.is_cut() {
            &mut defects.bad_len
        } else if !packet.is_intact() {
            &mut defects.bad_l4_csum
        } else {
            &mut defects.bad_payload
        };
        *count += 1;
        Arrival::Ours
    }

    fn check(
        &mut self,
        flows: &mut Flows,
        direction: Direction,
        packet: &Packet<'_>,
        trailer: Trailer,
        octets: &[u8; trailer::LEN],
        now: u64,
    ) {
        let index = trailer.flow & !INWARD;
        let inward = trailer.flow & INWARD != 0;
        let flow = match flows.flow(index) {
            Some(flow) if inward == (direction == Direction::Inward) => *flow,
            _ => {
                self.counters.defects.leak += 1;
                return;
            }
        };
        let header = packet.header_is_intact();
        let body = packet.is_intact();
        if header {
            self.check_header(packet);
            if packet.ip[4..6] != flow.identification.to_be_bytes() {
                self.counters.defects.bad_field += 1;
            }
        } else {
            self.counters.defects.bad_ip_csum += 1;
        }
        if !body {
            self.counters.defects.bad_l4_csum += 1;
        } else if !self.payload_is_whole(&flow, packet, octets) {
            self.counters.defects.bad_payload += 1;
        }
        // Addresses and ports are only worth a look when both checksums vouch for them.
        if header && body {
            match direction {
                Direction::Inward => self.check_inward(&flow, packet),
                Direction::Outward => self.check_outward(flows, index, &flow, packet),
            }
        }
        match flows.arrive(index, direction, trailer.seq) {
            Seen::Again => {
                self.counters.defects.dup += 1;
                return;
            }
            Seen::InOrder => {}
            Seen::Late => self.counters.defects.reorder += 1,
        }
        self.counters.unique[direction as usize] += 1;
        self.latency.record(trailer::age_ns(trailer.ts, now));
        if let Some(pacer) = &self.schedule[direction as usize] {
            let k = u64::from(trailer.seq) * flows.len() as u64 + u64::from(index);
            if let Some(due) = pacer.due_time(k) {
                self.intended.record(now.saturating_sub(due));
            }
        }
    }

    fn check_header(&mut self, packet: &Packet<'_>) {
        let defects = &mut self.counters.defects;
        if packet.lengths() != (self.shape.total_length(), self.shape.udp_length()) {
            defects.bad_len += 1;
        }
        if packet.ip[8] != TTL - self.expectation.hops {
            defects.bad_ttl += 1;
        }
        if packet.options
            || packet.ip[1] != TRAFFIC_CLASS
            || packet.ip[6..8] != DONT_FRAGMENT.to_be_bytes()
        {
            defects.bad_field += 1;
        }
    }

    fn payload_is_whole(
        &self,
        flow: &Flow,
        packet: &Packet<'_>,
        octets: &[u8; trailer::LEN],
    ) -> bool {
        let pattern = packet.datagram.get(8..8 + self.shape.pattern().len());
        trailer::sum_is(octets, flow.constant())
            && pattern.is_some_and(|pattern| is_filled(flow.pattern, pattern))
    }

    fn check_inward(&mut self, flow: &Flow, packet: &Packet<'_>) {
        if packet.source != flow.outside() {
            self.counters.defects.bad_src_pool += 1;
        }
        if packet.destination != flow.inside() {
            self.counters.defects.wrong_flow += 1;
        }
    }

    fn check_outward(&mut self, flows: &mut Flows, index: u32, flow: &Flow, packet: &Packet<'_>) {
        let defects = &mut self.counters.defects;
        if packet.destination != flow.outside() {
            defects.bad_dst += 1;
        }
        let (source, known) = (packet.source, flow.external());
        if self.expectation.sut != Sut::Nat44 {
            if source != flow.inside() {
                defects.bad_src_pool += 1;
            } else if known.is_none() {
                flows.learn(index, source);
            }
            return;
        }
        let pool = &self.expectation.pool;
        let in_pool = pool.is_empty() || pool.iter().any(|prefix| prefix.contains(*source.ip()));
        match known {
            Some(known) if known == source && in_pool => return,
            _ if flows.plan().has_host(*source.ip()) && (pool.is_empty() || !in_pool) => {
                defects.untranslated += 1;
                return;
            }
            Some(_) if in_pool => defects.remap += 1,
            None if in_pool => {}
            Some(_) | None => {
                defects.bad_src_pool += 1;
                if known.is_some() {
                    return;
                }
            }
        }
        if flows.learn(index, source) == Learned::Clash {
            defects.clash += 1;
        }
    }
}

#[cfg(test)]
mod tests;
