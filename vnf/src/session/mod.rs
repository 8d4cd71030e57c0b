//! The one flow record: a flow's endpoints, its translation, its firewall state, and what the stages decided about it.

pub mod decision;
pub mod flows;
pub mod refusals;
pub mod store;
pub mod tcp;
pub mod timeouts;

use crate::engine::ids::{InterfaceId, NextHopId, Tick, VrfId};
use crate::engine::meta::{Direction, Family, FlowKey};
use crate::engine::tables::Tables;
use crate::wire::checksum::Delta;
use tcp::TcpState;

pub use decision::{Decision, Plan};
pub use flows::{Flows, Limits};
pub use store::{Closed, Full, Sessions};
pub use timeouts::Timeouts;

/// Nothing is referred to.
pub const NIL: u32 = u32::MAX;

/// The part of a session that the packet path touches: one cache line, written by the owning worker only.
///
/// *Internal* is the side that opened the session (RFC 4787's internal endpoint where it is translated),
/// *external* what the internal endpoint is translated to (itself where it is not), *remote* the other end.
#[derive(Debug, zerocopy::FromZeros)]
#[repr(C, align(64))]
pub struct Session {
    /// IPv4: internal, remote, external address, checksum deltas, octets out (2 words) and in (2).
    /// IPv6: internal address, remote address. Source and destination of either direction are adjacent.
    words: [u32; 8],
    /// Internal, remote, external port, in the order of `words`.
    ports: [u16; 3],
    protocol: u8,
    /// The TCP state, and flags.
    state: u8,
    /// The tables under which the cached decisions were made.
    pub generation: u32,
    /// Worker time of the last packet that keeps the session alive, in milliseconds, low 32 bits.
    pub last_seen: u32,
    next_hops: [u16; 2],
    packets: [u32; 2],
    /// Family, whether it is translated, and the VRF where packets of either direction arrive.
    kinds: [u8; 2],
    ingress: [u8; 2],
}

const _: () = assert!(size_of::<Session>() == 64, "one cache line per session");

const KIND_IPV6: u8 = Family::Ipv6 as u8;
const KIND_TRANSLATED: u8 = 2;
const KIND_VRF_SHIFT: u8 = 2;
const TCP_STATE: u8 = 7;
const FLAG_OPENED_INBOUND: u8 = 16;
const FLAG_STATELESS: u8 = 32;
const FLAG_KEEPS_MAPPING: u8 = 64;
const FLAG_INBOUND_REFRESH: u8 = 128;

/// The part of a session that only opening, closing and listing touch.
#[derive(Debug, zerocopy::FromZeros)]
#[repr(C)]
pub(super) struct Ledger {
    /// Octets of IPv6 sessions, which have no room in the first line.
    bytes6: [u64; 2],
    /// Worker time of opening in seconds, plus one; zero when not in use.
    opened: u32,
    /// The dynamic mapping the session goes through, or [`NIL`].
    mapping: u32,
    /// The internal host that pays for it, or [`NIL`].
    host: u32,
    /// How often `packets` wrapped.
    packet_wraps: [u16; 2],
}

/// What is rare about a packet that was accounted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rare {
    /// It may change the state of the TCP connection.
    pub turns: bool,
    /// The session's first line cannot count it.
    pub overflows: bool,
}

impl Rare {
    /// Whether there is anything.
    #[inline]
    pub fn any(self) -> bool {
        self.turns | self.overflows
    }
}

/// What a new session is made of.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The key of the first packet, seen from the internal side: source is the internal endpoint.
    pub key: FlowKey,
    /// The VRF in which the other direction arrives.
    pub remote_vrf: VrfId,
    /// The external endpoint, where the flow is translated.
    pub external: Option<(u32, u16)>,
    /// Direction of the first packet.
    pub direction: Direction,
    /// Where the first packet came in.
    pub ingress: InterfaceId,
    /// Where the first packet goes.
    pub next_hop: NextHopId,
    /// The tables under which this was decided.
    pub generation: u32,
    /// Whether replies need a rule of their own.
    pub stateless: bool,
    /// The dynamic mapping, or [`NIL`].
    pub mapping: u32,
    /// The host that pays, or [`NIL`].
    pub host: u32,
}

impl Opening {
    /// The key of packets that go this way, as they arrive.
    pub fn key_of(&self, direction: Direction) -> FlowKey {
        if direction == Direction::Outbound {
            return self.key;
        }
        let mut key = FlowKey { vrf: self.remote_vrf, ..self.key.reversed() };
        if let Some((address, port)) = self.external {
            (key.destination[0], key.destination_port) = (address, port);
        }
        key
    }
}

impl Session {
    fn opened(opening: &Opening, now: Tick) -> Self {
        let key = &opening.key;
        let ports = [key.source_port, key.destination_port, key.source_port];
        let mut session = Self {
            words: [0; 8],
            ports,
            protocol: key.protocol,
            generation: opening.generation,
            last_seen: now.low(),
            next_hops: [NextHopId::NONE.0; 2],
            packets: [0; 2],
            state: if key.protocol == crate::wire::protocol::TCP {
                TcpState::opened_by(opening.direction) as u8
            } else {
                TcpState::None as u8
            } | if opening.direction == Direction::Inbound {
                FLAG_OPENED_INBOUND
            } else {
                0
            },
            kinds: [key.vrf, opening.remote_vrf].map(|vrf| vrf.0 << KIND_VRF_SHIFT),
            ingress: [InterfaceId::NONE.0; 2],
        };
        session.set_stateless(opening.stateless);
        session.decide(opening.direction, opening.ingress, opening.next_hop, opening.generation);
        match key.family {
            Family::Ipv4 => {
                let (external, external_port) =
                    opening.external.unwrap_or((key.source[0], key.source_port));
                let address = Delta::of_u32(key.source[0], external);
                let port = Delta::of_u16(key.source_port, external_port);
                // ICMP has no pseudo-header: addresses do not count.
                let icmp = key.protocol == crate::wire::protocol::ICMP;
                let transport = if icmp { port } else { address + port };
                session.words[..3].copy_from_slice(&[key.source[0], key.destination[0], external]);
                session.words[3] =
                    u32::from(address.wire_bits()) | u32::from(transport.wire_bits()) << 16;
                session.ports[2] = external_port;
                if opening.external.is_some() {
                    session.kinds.iter_mut().for_each(|kind| *kind |= KIND_TRANSLATED);
                }
            }
            Family::Ipv6 => {
                session.words[..4].copy_from_slice(&key.source);
                session.words[4..].copy_from_slice(&key.destination);
                session.kinds.iter_mut().for_each(|kind| *kind |= KIND_IPV6);
            }
        }
        session
    }

    /// Whether a packet with this key goes this way through the session.
    #[inline]
    pub fn matches(&self, key: &FlowKey, direction: Direction) -> bool {
        let at = direction.index();
        self.ports[at] == key.source_port
            && self.ports[at + 1] == key.destination_port
            && self.protocol == key.protocol
            && self.kinds[at] & !KIND_TRANSLATED == key.family as u8 | key.vrf.0 << KIND_VRF_SHIFT
            && match key.family {
                Family::Ipv4 => {
                    self.words[at] == key.source[0] && self.words[at + 1] == key.destination[0]
                }
                Family::Ipv6 => self.matches_ipv6(key, direction),
            }
    }

    #[inline(never)]
    fn matches_ipv6(&self, key: &FlowKey, direction: Direction) -> bool {
        let (source, destination) = match direction {
            Direction::Outbound => (&self.words[..4], &self.words[4..]),
            Direction::Inbound => (&self.words[4..], &self.words[..4]),
        };
        source == key.source && destination == key.destination
    }

    /// The key of packets that go this way, as they arrive.
    pub fn key(&self, direction: Direction) -> FlowKey {
        let at = direction.index();
        let mut key = FlowKey {
            source_port: self.ports[at],
            destination_port: self.ports[at + 1],
            protocol: self.protocol,
            family: self.family(),
            vrf: self.vrf(direction),
            ..FlowKey::default()
        };
        if self.family() == Family::Ipv4 {
            key.source[0] = self.words[at];
            key.destination[0] = self.words[at + 1];
        } else {
            key.source.copy_from_slice(&self.words[at * 4..at * 4 + 4]);
            key.destination.copy_from_slice(&self.words[4 - at * 4..8 - at * 4]);
        }
        key
    }

    /// The key that the ACLs see: internal and remote endpoints, never the translated one. A packet to an internal endpoint
    /// is routed in that endpoint's VRF, one that is not translated in the VRF where it arrived.
    pub fn real_key(&self, direction: Direction) -> FlowKey {
        let outbound = self.key(Direction::Outbound);
        match direction {
            Direction::Outbound => outbound,
            Direction::Inbound if self.translated() => outbound.reversed(),
            Direction::Inbound => self.key(Direction::Inbound),
        }
    }

    /// The VRF in which packets of a direction arrive.
    #[inline]
    pub fn vrf(&self, direction: Direction) -> VrfId {
        VrfId(self.kinds[direction.index()] >> KIND_VRF_SHIFT)
    }

    /// The address family.
    #[inline]
    pub fn family(&self) -> Family {
        if self.kinds[0] & KIND_IPV6 == 0 { Family::Ipv4 } else { Family::Ipv6 }
    }

    /// IP protocol number.
    #[inline]
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Whether packets are rewritten.
    #[inline]
    pub fn translated(&self) -> bool {
        self.kinds[0] & KIND_TRANSLATED != 0
    }

    /// The external endpoint of a translated session.
    pub fn external(&self) -> Option<(u32, u16)> {
        self.translated().then_some((self.words[2], self.ports[2]))
    }

    /// What a packet going this way gets: the new address and port (source if outbound, destination if inbound).
    #[inline]
    pub fn rewrite(&self, direction: Direction) -> (u32, u16) {
        let at = 2 - 2 * direction.index();
        (self.words[at], self.ports[at])
    }

    /// The checksum deltas of that: of the address alone, and of address and port (RFC 1624).
    #[inline]
    pub fn deltas(&self, direction: Direction) -> (Delta, Delta) {
        let [address, transport] = self.wire_deltas(direction);
        (Delta::from_wire_bits(address as u16), Delta::from_wire_bits(transport as u16))
    }

    /// The same in the order of octets in which they stand in the packet (see [`Delta::wire_bits`]).
    #[inline]
    pub fn wire_deltas(&self, direction: Direction) -> [u32; 2] {
        let word = self.words[3];
        // The way back subtracts what the way out added: in ones' complement, the inverted word.
        let word = if direction == Direction::Outbound { word } else { !word };
        [word & 0xffff, word >> 16]
    }

    /// Where packets going this way go next.
    #[inline]
    pub fn next_hop(&self, direction: Direction) -> NextHopId {
        NextHopId(self.next_hops[direction.index()])
    }

    /// Whether the stages have decided about packets that go this way and came in here, under these tables.
    #[inline]
    pub fn current(&self, direction: Direction, ingress: InterfaceId, generation: u32) -> bool {
        let at = direction.index();
        self.generation == generation
            && self.ingress[at] == ingress.0
            && self.next_hops[at] != NextHopId::NONE.0
    }

    /// Whether the decision about packets that go this way and came in here is older than the routes, but not than the rest
    /// of the tables.
    #[inline]
    pub fn predates_routes(
        &self,
        direction: Direction,
        ingress: InterfaceId,
        generation: u32,
    ) -> bool {
        let at = direction.index();
        Tables::differ_in_routes(self.generation, generation)
            && self.ingress[at] == ingress.0
            && self.next_hops[at] != NextHopId::NONE.0
    }

    /// Whether packets that go this way were last seen to come in here.
    pub fn came_in_by(&self, direction: Direction, ingress: InterfaceId) -> bool {
        self.ingress[direction.index()] == ingress.0
    }

    /// Remembers what was decided. A new generation forgets what was decided about the other direction.
    pub fn decide(
        &mut self,
        direction: Direction,
        ingress: InterfaceId,
        next_hop: NextHopId,
        generation: u32,
    ) {
        let at = direction.index();
        if self.generation != generation {
            self.next_hops[1 - at] = NextHopId::NONE.0;
            self.generation = generation;
        }
        self.next_hops[at] = next_hop.0;
        self.ingress[at] = ingress.0;
    }

    /// Accounts a transmitted packet of so many IP octets; `tcp_flags` of a segment whose header is at hand.
    ///
    /// What is rare about it is left to [`Sessions::settle`].
    #[inline(always)]
    pub fn account(
        &mut self,
        direction: Direction,
        octets: u16,
        tcp_flags: Option<u8>,
        now: Tick,
    ) -> Rare {
        if self.kinds[0] & KIND_IPV6 == 0 {
            return self.account_ipv4(direction, octets, tcp_flags, now);
        }
        self.refresh(direction, now);
        let turns = tcp_flags.is_some_and(|flags| self.turns(flags));
        let at = direction.index();
        self.packets[at] = self.packets[at].wrapping_add(1);
        Rare { turns, overflows: true }
    }

    /// The same of a session that is known to be IPv4's.
    #[inline(always)]
    pub fn account_ipv4(
        &mut self,
        direction: Direction,
        octets: u16,
        tcp_flags: Option<u8>,
        now: Tick,
    ) -> Rare {
        self.refresh(direction, now);
        let turns = tcp_flags.is_some_and(|flags| self.turns(flags));
        let at = direction.index();
        // Read and written as one word each: both halves are adjacent.
        let before = u64::from(self.words[4 + 2 * at]) | u64::from(self.words[5 + 2 * at]) << 32;
        let after = before.wrapping_add(octets.into());
        (self.words[4 + 2 * at], self.words[5 + 2 * at]) = (after as u32, (after >> 32) as u32);
        let packets = self.packets[at].wrapping_add(1);
        self.packets[at] = packets;
        Rare { turns, overflows: packets == 0 }
    }

    /// The TCP state ([`TcpState::None`] for other protocols).
    #[inline]
    pub fn tcp_state(&self) -> TcpState {
        TcpState::from_u8(self.state & TCP_STATE)
    }

    /// Whether a TCP segment may change the state.
    #[inline]
    fn turns(&self, tcp_flags: u8) -> bool {
        self.state & TCP_STATE != TcpState::Established as u8 || tcp_flags & tcp::CONTROL != 0
    }

    /// Follows a TCP segment; returns whether the timeout is another one now.
    pub fn follow(&mut self, direction: Direction, tcp_flags: u8) -> bool {
        let before = self.tcp_state();
        let after = before.after(direction, tcp_flags);
        self.state = self.state & !TCP_STATE | after as u8;
        before.transitory() != after.transitory()
    }

    /// Which way the packet went that opened the session.
    pub fn opened_by(&self) -> Direction {
        if self.state & FLAG_OPENED_INBOUND == 0 { Direction::Outbound } else { Direction::Inbound }
    }

    /// Whether replies need a rule of their own.
    pub fn stateless(&self) -> bool {
        self.state & FLAG_STATELESS != 0
    }

    /// Notes whether replies need a rule of their own.
    pub fn set_stateless(&mut self, stateless: bool) {
        self.state =
            if stateless { self.state | FLAG_STATELESS } else { self.state & !FLAG_STATELESS };
    }

    /// Whether the host has sent through the session.
    pub fn keeps_mapping(&self) -> bool {
        self.state & FLAG_KEEPS_MAPPING != 0
    }

    /// Notes that the host has; returns whether that is new.
    pub fn keep_mapping(&mut self) -> bool {
        let before = self.state;
        self.state |= FLAG_KEEPS_MAPPING;
        self.state != before
    }

    /// Whether packets from outside keep it alive, and the mapping with it.
    pub fn inbound_refresh(&self) -> bool {
        self.state & FLAG_INBOUND_REFRESH != 0
    }

    /// Notes whether the configuration wants that; never of TCP, which has its own rule.
    pub fn set_inbound_refresh(&mut self, wanted: bool) {
        let wanted = wanted && self.protocol != crate::wire::protocol::TCP;
        self.state =
            self.state & !FLAG_INBOUND_REFRESH | if wanted { FLAG_INBOUND_REFRESH } else { 0 };
    }

    /// Notes a packet: what counts as a refresh restarts the timeout (RFC 4787 REQ-6: outbound always does; from outside
    /// only what belongs to a connection that both ends have opened, unless the configuration wants more).
    #[inline]
    pub fn refresh(&mut self, direction: Direction, now: Tick) {
        if direction == Direction::Outbound
            || !self.translated()
            || self.state & TCP_STATE > TcpState::SynInbound as u8
            || self.inbound_refresh()
        {
            self.last_seen = now.low();
        }
    }

    /// Milliseconds since the last packet that kept it alive.
    pub fn idle_ms(&self, now: Tick) -> u32 {
        now.low().wrapping_sub(self.last_seen)
    }
}

#[cfg(test)]
mod tests;
