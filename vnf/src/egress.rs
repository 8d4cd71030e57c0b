//! The last stage: writes the new headers, all in one go, and puts each packet on its way to its port.
//!
//! Until here a packet is as it arrived, so whatever an ICMP error quotes is what its sender sent.

mod plain;

use std::collections::VecDeque;

use dpdk_bindings::mbuf::Mbuf;

use crate::engine::burst::Burst;
use crate::engine::counters::Counters;
use crate::engine::ids::{Arrival, NextHopId, Tick};
use crate::engine::mask::{BURST, Slot};
use crate::engine::meta::{Direction, Family, Kind, Meta};
use crate::engine::tables::Tables;
use crate::engine::transmit::Transmit;
use crate::engine::verdict::{DropReason, Verdict};
use crate::icmp::inner;
use crate::neighbor::NextHop;
use crate::session::tcp::{self, TcpState};
use crate::session::{Flows, Session};
use crate::wire::ethernet::{self, HEADER, TAG};
use crate::wire::ipv4::Ipv4Header;
use crate::wire::tcp::mss;
use crate::wire::{self, icmp, protocol, transport};

/// The egress stage.
#[derive(Default)]
pub struct Egress {
    /// Packets translated towards an external endpoint of ours, to enter again from outside.
    hairpins: VecDeque<(Mbuf, Arrival)>,
}

impl Egress {
    /// A stage with room for a burst of hairpinned packets.
    pub fn new() -> Self {
        Self { hairpins: VecDeque::with_capacity(BURST) }
    }

    /// Rewrites every packet and hands it to its port; a burst that leaves as a whole goes there from where it stands.
    #[inline(never)]
    pub fn run(
        &mut self,
        burst: &mut Burst,
        flows: &mut Flows,
        tables: &Tables,
        transmit: &mut Transmit,
        counters: &Counters,
        now: Tick,
    ) {
        if let Some(most) = tables.nat.tcp_mss_clamp() {
            clamp_segment_sizes(burst, flows, most);
        }
        let done = plain::rewrite_all(burst, &mut flows.sessions, tables, now);
        if done.others.is_empty()
            && let Some(port) = done.ports.single()
            && let Some(packets) = burst.take_whole()
        {
            transmit.send(port, packets, done.octets, counters);
            return;
        }
        for slot in burst.live() {
            if done.others.contains(slot) {
                self.forward(burst, slot, flows, tables, transmit, counters, now);
            } else if let Some(next_hop) = tables.neighbors.next_hop(burst.meta[slot].next_hop) {
                transmit.push(next_hop.port, burst.take(slot), counters);
            }
        }
    }

    /// Takes one packet of any kind on its way.
    #[inline(never)]
    #[expect(clippy::too_many_arguments, reason = "one packet with everything it may need")]
    fn forward(
        &mut self,
        burst: &mut Burst,
        slot: Slot,
        flows: &mut Flows,
        tables: &Tables,
        transmit: &mut Transmit,
        counters: &Counters,
        now: Tick,
    ) {
        if let Err(reason) = rewrite(burst, slot, flows, tables, now) {
            burst.drop(slot, reason);
            return;
        }
        let meta = &burst.meta[slot];
        match tables.neighbors.next_hop(meta.next_hop) {
            Some(next_hop) if meta.ip_length <= next_hop.mtu => {
                transmit.push(next_hop.port, burst.take(slot), counters);
            }
            Some(_) => burst.settle(slot, Verdict::Fragment),
            None => self.hairpin(burst, slot),
        }
    }

    fn hairpin(&mut self, burst: &mut Burst, slot: Slot) {
        if self.hairpins.len() == BURST {
            burst.drop(slot, DropReason::TxFull);
            return;
        }
        let key = &burst.meta[slot].key;
        let query = if key.is_query() { key.source_port } else { 0 };
        let arrival = Arrival { hairpin: true, query, ..burst.arrival[slot] };
        self.hairpins.push_back((burst.take(slot), arrival));
    }

    /// The next packet to enter again from outside, in the order they came.
    pub fn next_hairpin(&mut self) -> Option<(Mbuf, Arrival)> {
        self.hairpins.pop_front()
    }

    /// Whether packets are to enter again.
    pub fn has_hairpins(&self) -> bool {
        !self.hairpins.is_empty()
    }
}

/// Lowers the segment sizes that translated SYNs announce, in both directions.
fn clamp_segment_sizes(burst: &mut Burst, flows: &Flows, most: u16) {
    for slot in burst.live() {
        let meta = &burst.meta[slot];
        if meta.key.protocol == protocol::TCP
            && meta.detail & tcp::SYN != 0
            && meta.kind == Kind::Flow
            && meta.session.is_some()
            && flows.sessions.session(meta.session).translated()
        {
            let (packet, meta) = burst.packet_mut(slot);
            if let Some(segment) = packet.data_mut().get_mut(usize::from(meta.l4)..) {
                mss::clamp(segment, most);
            }
        }
    }
}

/// Writes a packet's new headers and accounts it to its session.
#[inline]
fn rewrite(
    burst: &mut Burst,
    slot: Slot,
    flows: &mut Flows,
    tables: &Tables,
    now: Tick,
) -> Result<(), DropReason> {
    let (packet, meta) = burst.packet_mut(slot);
    if let Some(next_hop) = tables.neighbors.next_hop(meta.next_hop) {
        link(packet, meta, next_hop)?;
    }
    let l3 = usize::from(meta.l3);
    if meta.session.is_some() {
        let session = flows.sessions.session_mut(meta.session);
        if meta.kind == Kind::IcmpError {
            quoted(packet, meta, session)?;
        } else {
            if session.translated() {
                translate(packet.data_mut(), meta, session)?;
            }
            let flags = (session.tcp_state() != TcpState::None && meta.kind == Kind::Flow)
                .then_some(meta.detail);
            let rare = session.account(meta.direction, meta.ip_length, flags, now);
            if rare.any() {
                flows.sessions.settle(meta.session, meta, rare, &tables.timeouts, now);
            }
        }
    }
    // The pass back to the inside is part of the same hop.
    if meta.next_hop == NextHopId::HAIRPIN {
        return Ok(());
    }
    match meta.key.family {
        Family::Ipv4 => {
            let header: &mut Ipv4Header =
                wire::at_mut(packet.data_mut(), l3).ok_or(DropReason::TooShort)?;
            header.decrement_ttl();
        }
        Family::Ipv6 => {
            let hop_limit = packet.data_mut().get_mut(l3 + 7).ok_or(DropReason::TooShort)?;
            *hop_limit -= 1;
        }
    }
    Ok(())
}

/// Writes the Ethernet header, with or without a tag.
#[inline]
fn link(packet: &mut Mbuf, meta: &mut Meta, next_hop: &NextHop) -> Result<(), DropReason> {
    let wanted = if next_hop.vlan == 0 { HEADER } else { HEADER + TAG };
    if usize::from(meta.l3) != wanted {
        move_network_header(packet, meta, wanted)?;
    }
    let ether_type = match meta.key.family {
        Family::Ipv4 => ethernet::IPV4,
        Family::Ipv6 => ethernet::IPV6,
    };
    let frame = packet.data_mut();
    let head = frame.first_chunk_mut::<HEADER>().ok_or(DropReason::TooShort)?;
    head[..12].copy_from_slice(&next_hop.ethernet);
    if next_hop.vlan == 0 {
        head[12..].copy_from_slice(&ether_type.to_be_bytes());
        return Ok(());
    }
    head[12..].copy_from_slice(&ethernet::VLAN.to_be_bytes());
    let tag = frame.get_mut(HEADER..HEADER + TAG).ok_or(DropReason::TooShort)?;
    tag[..2].copy_from_slice(&next_hop.vlan.to_be_bytes());
    tag[2..].copy_from_slice(&ether_type.to_be_bytes());
    Ok(())
}

#[cold]
fn move_network_header(
    packet: &mut Mbuf,
    meta: &mut Meta,
    wanted: usize,
) -> Result<(), DropReason> {
    let present = usize::from(meta.l3);
    if present > wanted {
        packet.trim_front(present - wanted);
    } else {
        packet.prepend(wanted - present).ok_or(DropReason::TooShort)?;
    }
    meta.l3 = wanted as u8;
    meta.l4 = (usize::from(meta.l4) + wanted - present) as u8;
    Ok(())
}

/// Writes the translation of an IPv4 packet over it, checksums by difference (RFC 1624).
#[inline]
fn translate(frame: &mut [u8], meta: &Meta, session: &Session) -> Result<(), DropReason> {
    let (address, port) = session.rewrite(meta.direction);
    let (address_delta, transport_delta) = session.deltas(meta.direction);
    let header: &mut Ipv4Header =
        wire::at_mut(frame, usize::from(meta.l3)).ok_or(DropReason::TooShort)?;
    let field = match meta.direction {
        Direction::Outbound => &mut header.source,
        Direction::Inbound => &mut header.destination,
    };
    *field = address.to_be_bytes();
    header.update_checksum(address_delta);
    if meta.kind == Kind::LaterFragment {
        return Ok(()); // RFC 3022 4.3: ports and checksum are in the first fragment
    }
    let l4 = frame.get_mut(usize::from(meta.l4)..).ok_or(DropReason::TooShort)?;
    let (at, checksum_at) = match meta.key.protocol {
        // Only who asks from inside has an identifier that stands for a port; others pass a static mapping as they are.
        protocol::ICMP if !is_query_of_inside(meta) => return Ok(()),
        protocol::ICMP => (icmp::ID, icmp::CHECKSUM),
        number => {
            let at = if meta.direction == Direction::Outbound { 0 } else { 2 };
            match transport::checksum_offset(number) {
                Some(offset) => (at, offset),
                None => return Ok(()), // another protocol through a static mapping: addresses only
            }
        }
    };
    write(l4, at, port)?;
    let checksum = l4.get(checksum_at..checksum_at + 2).ok_or(DropReason::TooShort)?;
    let checksum = u16::from_be_bytes([checksum[0], checksum[1]]);
    write(l4, checksum_at, transport_delta.apply_to(meta.key.protocol, checksum))?;
    if meta.key.protocol == protocol::ICMP {
        icmp::settle_zero_checksum(l4);
    }
    Ok(())
}

/// Whether an ICMP packet asks from inside or answers to there.
fn is_query_of_inside(meta: &Meta) -> bool {
    let kind = if meta.direction == Direction::Outbound {
        icmp::v4::ECHO_REQUEST
    } else {
        icmp::v4::ECHO_REPLY
    };
    meta.detail == kind
}

#[inline]
fn write(octets: &mut [u8], at: usize, word: u16) -> Result<(), DropReason> {
    let field = octets.get_mut(at..at + 2).ok_or(DropReason::TooShort)?;
    field.copy_from_slice(&word.to_be_bytes());
    Ok(())
}

/// Translates an ICMP error together with the packet it quotes (RFC 5508 REQ-4, REQ-5). Not a packet of the flow: it
/// neither refreshes nor ends the session (REQ-6).
#[cold]
fn quoted(packet: &mut Mbuf, meta: &Meta, session: &Session) -> Result<(), DropReason> {
    if !session.translated() {
        return Ok(());
    }
    let length = packet.len();
    let octets = packet.contiguous(length).ok_or(DropReason::IcmpErrorUnmatched)?;
    let octets = octets.get_mut(usize::from(meta.l3)..).ok_or(DropReason::TooShort)?;
    let (address, mut port) = session.rewrite(meta.direction);
    if session.protocol() == protocol::ICMP && session.opened_by() == Direction::Inbound {
        port = session.key(Direction::Outbound).destination_port; // the identifier of who asks stays
    }
    let endpoint = inner::Endpoint { address: address.to_be_bytes(), port };
    let rewrite = match meta.direction {
        Direction::Inbound => inner::Rewrite {
            destination: Some(endpoint.address),
            inner_source: Some(endpoint),
            ..inner::Rewrite::default()
        },
        Direction::Outbound => inner::Rewrite {
            source: Some(endpoint.address),
            inner_destination: Some(endpoint),
            ..inner::Rewrite::default()
        },
    };
    inner::translate(octets, &rewrite).map_err(|_| DropReason::IcmpErrorUnmatched)
}
