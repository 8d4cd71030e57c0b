//! What the stages know about one packet: a cache line.

use super::ids::{InterfaceId, NextHopId, SessionId, VrfId};
use crate::wire::protocol;

/// The address family of a packet.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Family {
    /// IPv4.
    #[default]
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// The 5-tuple of a packet. IPv4 addresses stand in the first word; ICMP query identifiers stand in the port of
/// the side that asked, zero in the other (RFC 5508 3.1).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(C)]
pub struct FlowKey {
    /// Source address, as host-order words from the most significant on.
    pub source: [u32; 4],
    /// Destination address, likewise.
    pub destination: [u32; 4],
    /// Source port or query identifier.
    pub source_port: u16,
    /// Destination port or query identifier.
    pub destination_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Address family.
    pub family: Family,
    /// The VRF in which the addresses mean something.
    pub vrf: VrfId,
}

impl FlowKey {
    /// Whether this is an ICMP query on IPv4, which asks nobody's identifier but its own.
    pub fn is_query(&self) -> bool {
        self.protocol == protocol::ICMP && self.destination_port == 0
    }

    /// The key of the packets that answer this one, in the same VRF.
    pub fn reversed(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            ..*self
        }
    }
}

/// Which way a packet goes through its session.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Direction {
    /// From the side that opened the session, or from the internal side of a mapping.
    #[default]
    Outbound,
    /// Towards it.
    Inbound,
}

impl Direction {
    /// The direction as an index.
    #[inline]
    pub fn index(self) -> usize {
        self as usize & 1
    }

    /// The other direction.
    pub fn reversed(self) -> Self {
        if self == Self::Outbound { Self::Inbound } else { Self::Outbound }
    }
}

/// What a packet is beyond its key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Kind {
    /// TCP, UDP, an ICMP query, or another protocol: translated by its key.
    #[default]
    Flow,
    /// An ICMP error: the key is that of the flow it is about, as the flow's *next* packet would have it.
    IcmpError,
    /// A fragment without a transport header; the ports of its key are those of its datagram.
    LaterFragment,
}

/// How a packet stands in its frame.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Form {
    /// A part of it: the packet is a fragment of its datagram.
    Fragment,
    /// TCP or UDP on IPv4 without options, untagged and in one segment: every field at its usual place.
    Plain,
    /// The whole of it, in any other way.
    #[default]
    Whole,
}

/// What `parse` learned about a packet, and what later stages add.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub struct Meta {
    /// The packet's 5-tuple.
    pub key: FlowKey,
    /// Where it goes.
    pub next_hop: NextHopId,
    /// Of a first fragment: the octets of its datagram's payload that it carries. Of a later one: its offset in octets,
    /// plus one if more follow.
    pub fragment_at: u16,
    /// Its session.
    pub session: SessionId,
    /// Length of the IP packet in octets.
    pub ip_length: u16,
    /// Offset of the IP header in the frame.
    pub l3: u8,
    /// Offset of the transport header in the frame.
    pub l4: u8,
    /// Which way it goes through its session.
    pub direction: Direction,
    /// Flow, error, or later fragment.
    pub kind: Kind,
    /// How it stands in its frame.
    pub form: Form,
    /// Where it came in.
    pub ingress: InterfaceId,
    /// Where it goes out.
    pub egress: InterfaceId,
    /// TCP flags, or the ICMP type.
    pub detail: u8,
    /// Time to live or hop limit as it arrived.
    pub ttl: u8,
    /// IPv4 "don't fragment", or any IPv6 packet.
    pub dont_fragment: bool,
    /// Of a fragment: the identification that all of its datagram have.
    pub fragment_id: u32,
}

const _: () = assert!(size_of::<Meta>() == 64, "one cache line per packet");
