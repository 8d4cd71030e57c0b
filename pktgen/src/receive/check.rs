//! The checks of one packet that is ours.

use super::{Arrival, Defect, Found, Packet, Verifier, is_echo_to};
use crate::endpoint::{Address, Endpoint, Family};
use crate::flow::{
    DATA_OFFSET, DONT_FRAGMENT, Direction, ECHO_SEQUENCE, Expect, Flow, Flows, INWARD, Kind,
    Learned, Protocol, Seen, Stream, TRAFFIC_CLASS, TTL, WINDOW, echo_type, is_filled,
};
use crate::trailer::{self, Trailer};

/// What a trailer says, the pattern before it, and its octets.
pub(super) type Payload<'a> = (Trailer, &'a [u8], &'a [u8; trailer::LEN]);

impl Verifier {
    /// A frame without a readable trailer is ours when it lies on the addresses of a flow.
    #[cold]
    pub(super) fn attribute(
        &mut self,
        flows: &Flows,
        direction: Direction,
        packet: &Packet<'_>,
        own: impl Fn(Address) -> bool,
        found: &mut Found,
    ) -> Arrival {
        let (source, destination) = (packet.source, packet.destination);
        let Some(index) = flows.by_addresses(direction, packet.protocol, source, destination)
        else {
            return if is_echo_to(packet, own) { Arrival::Control } else { Arrival::Strange };
        };
        self.counters.damaged += 1;
        let expected = packet.length().is_some_and(|len| flows.stream_of(index).has_length(len));
        found.note(if !packet.header_is_intact() {
            Defect::BadIpCsum
        } else if !expected || packet.is_cut() {
            Defect::BadLen
        } else if !packet.is_intact() {
            Defect::BadL4Csum
        } else {
            Defect::BadPayload
        });
        Arrival::Ours
    }

    #[inline]
    pub(super) fn check(
        &mut self,
        flows: &mut Flows,
        direction: Direction,
        packet: &Packet<'_>,
        payload: Payload<'_>,
        now: u64,
        found: &mut Found,
    ) {
        let (trailer, ..) = payload;
        let index = trailer.flow & !INWARD;
        let inward = trailer.flow & INWARD != 0;
        let flow = match flows.flow(index) {
            Some(flow) if inward == (direction == Direction::Inward) => *flow,
            _ => return found.note(Defect::Leak),
        };
        let stream = flows.stream_of(index);
        if stream.expect == Expect::Drop {
            return found.note(Defect::Leak);
        }
        let length = stream.length(index, trailer.seq);
        let is_whole = self.check_content(&flow, stream, direction, packet, payload, found);
        if is_whole {
            match direction {
                Direction::Inward => check_inward(flows, index, packet, found),
                Direction::Outward => self.check_outward(flows, index, packet, found),
            }
        }
        match flows.arrive(index, direction, trailer.seq) {
            Seen::Again => {
                self.counters.duplicated[direction as usize] += 1;
                return found.note(Defect::Dup);
            }
            Seen::InOrder => {}
            Seen::Late(extent) => {
                self.counters.reordered[direction as usize] += 1;
                self.counters.reorder_extent = self.counters.reorder_extent.max(extent);
                found.note(Defect::Reorder);
            }
        }
        self.counters.unique[direction as usize] += 1;
        self.counters.octets[direction as usize] += u64::from(length) + L2;
        self.unique[flow.stream()][direction as usize] += 1;
        let age = trailer::age_ns(trailer.ts, now);
        self.latency.record(age);
        self.recent.record(age);
        if let Some(later) = &mut self.later {
            later.arrive(age, now);
        }
        let before = flows.delay(index, direction, age);
        if let Some(before) = before.filter(|_| self.measure_variation) {
            match age.checked_sub(before) {
                Some(longer) => self.variation[0].record(longer),
                None => self.variation[1].record(before - age),
            }
        }
        if let Some(pacer) = &self.schedule[flow.stream()][direction as usize] {
            let stream = flows.stream_of(index);
            let k = u64::from(trailer.seq) * u64::from(stream.flows())
                + u64::from(index - stream.first());
            if let Some(due) = pacer.due_time(k) {
                self.intended.record(now.saturating_sub(due));
            }
            if let Some(arrivals) = &mut self.arrivals {
                arrivals.arrive(flow.stream(), direction as usize, k);
            }
        }
    }

    /// Everything but addresses and ports; whether both checksums vouch for these.
    #[inline]
    fn check_content(
        &self,
        flow: &Flow,
        stream: &Stream,
        direction: Direction,
        packet: &Packet<'_>,
        (trailer, pattern, octets): Payload<'_>,
        found: &mut Found,
    ) -> bool {
        if (packet.family, packet.protocol) != (stream.family, stream.protocol) {
            found.note(Defect::BadField);
            return false;
        }
        let header = packet.header_is_intact();
        let body = packet.is_intact();
        if header {
            let length = usize::from(stream.length(trailer.flow & !INWARD, trailer.seq));
            found.note_if(packet.length() != Some(length), Defect::BadLen);
            found.note_if(packet.ttl() != TTL - self.expectation.hops, Defect::BadTtl);
            found.note_if(!network_is_kept(flow, packet), Defect::BadField);
        } else {
            found.note(Defect::BadIpCsum);
        }
        if body {
            let l4 = (pattern.len() + trailer::LEN + stream.protocol.header_len()) as u16;
            let sum = flow.trailer_sum(stream.protocol, stream.family, pattern.len(), l4);
            let kept = trailer::sum_is(octets, sum) && is_filled(flow.pattern, pattern);
            found.note_if(!kept, Defect::BadPayload);
            found.note_if(!transport_is_kept(flow, stream, direction, packet), Defect::BadField);
        } else {
            found.note(Defect::BadL4Csum);
        }
        header && body
    }

    #[inline]
    fn check_outward(&self, flows: &mut Flows, index: u32, packet: &Packet<'_>, found: &mut Found) {
        found.note_if(packet.destination != flows.outside(index), Defect::BadDst);
        let (source, known) = (packet.source, flows.external(index));
        if !flows.stream_of(index).translated {
            if source != flows.inside(index) {
                found.note(Defect::BadSrcPool);
            } else if known.is_none() {
                flows.learn(index, source);
            }
            return;
        }
        let pool = &self.expectation.pool;
        let in_pool = pool.is_empty() || pool.iter().any(|prefix| prefix.contains(source.address));
        if known == Some(source) && in_pool {
            return;
        }
        self.check_new_source(flows, index, (source, known), in_pool, found);
    }

    /// A source that the flow did not have before.
    fn check_new_source(
        &self,
        flows: &mut Flows,
        index: u32,
        (source, known): (Endpoint, Option<Endpoint>),
        in_pool: bool,
        found: &mut Found,
    ) {
        let anywhere = self.expectation.pool.is_empty();
        if flows.has_host(source.address) && (anywhere || !in_pool) {
            return found.note(Defect::Untranslated);
        }
        match known {
            Some(_) if in_pool => found.note(Defect::Remap),
            None if in_pool => {}
            Some(_) => return found.note(Defect::BadSrcPool),
            None => found.note(Defect::BadSrcPool),
        }
        if flows.learn(index, source) == Learned::Clash {
            found.note(Defect::Clash);
        }
    }
}

#[inline]
fn check_inward(flows: &Flows, index: u32, packet: &Packet<'_>, found: &mut Found) {
    found.note_if(packet.source != flows.outside(index), Defect::BadSrcPool);
    found.note_if(packet.destination != flows.inside(index), Defect::WrongFlow);
}

/// Whether the IP header says what it said when it was sent, lengths and TTL aside.
#[inline]
fn network_is_kept(flow: &Flow, packet: &Packet<'_>) -> bool {
    match packet.family {
        Family::V4 => {
            !packet.options
                && packet.ip[1] == TRAFFIC_CLASS
                && packet.ip[4..6] == flow.identification.to_be_bytes()
                && packet.ip[6..8] == DONT_FRAGMENT.to_be_bytes()
        }
        Family::V6 => {
            let first = 6 << 28 | u32::from(TRAFFIC_CLASS) << 20 | u32::from(flow.identification);
            packet.ip[0..4] == first.to_be_bytes()
        }
    }
}

/// Whether the transport header says what it said, ports and checksum aside.
#[inline]
fn transport_is_kept(
    flow: &Flow,
    stream: &Stream,
    direction: Direction,
    packet: &Packet<'_>,
) -> bool {
    match stream.protocol {
        Protocol::Icmp => {
            let expected = echo_type(stream.family, direction == stream.initiator);
            packet.l4[..2] == [expected, 0] && packet.l4[6..8] == ECHO_SEQUENCE.to_be_bytes()
        }
        Protocol::Tcp => packet.l4.first_chunk::<20>().is_some_and(|header| {
            let Some(kind) = Kind::of_flags(header[13]) else { return false };
            let (flags, seq, ack) = flow.tcp(direction, kind);
            header[4..8] == seq.to_be_bytes()
                && header[8..12] == ack.to_be_bytes()
                && header[12..14] == (DATA_OFFSET | u16::from(flags)).to_be_bytes()
                && header[14..16] == WINDOW.to_be_bytes()
                && header[18..20] == [0, 0]
        }),
        Protocol::Udp => true,
    }
}

/// Ethernet header and FCS of an untagged frame.
const L2: u64 = 18;
