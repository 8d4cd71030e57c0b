//! ICMP (RFC 792, 1812 4.3) and ICMPv6 (RFC 4443) errors about a frame that arrived.

#[cfg(test)]
mod tests;

use zerocopy::IntoBytes;

use crate::icmp::TTL;
use crate::wire;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{self, Link};
use crate::wire::icmp::{self, Class, IcmpHeader};
use crate::wire::ipv4::{self, Ipv4Header};
use crate::wire::ipv6::{self, Ipv6Header, extensions};
use crate::wire::{network, protocol};

/// Type, code and second word of an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Error {
    kind: u8,
    code: u8,
    parameter: u32,
}

impl Error {
    /// ICMP network unreachable: there is no route.
    pub const V4_NO_ROUTE: Self = Self::new(icmp::v4::UNREACHABLE, 0, 0);
    /// ICMP host unreachable: no neighbor answers, or nothing can be mapped (RFC 6888 REQ-11b).
    pub const V4_HOST_UNREACHABLE: Self = Self::new(icmp::v4::UNREACHABLE, 1, 0);
    /// ICMP protocol unreachable: nobody here speaks it.
    pub const V4_PROTOCOL_UNREACHABLE: Self = Self::new(icmp::v4::UNREACHABLE, 2, 0);
    /// ICMP port unreachable: nobody here listens.
    pub const V4_PORT_UNREACHABLE: Self = Self::new(icmp::v4::UNREACHABLE, 3, 0);
    /// ICMP communication administratively prohibited.
    pub const V4_PROHIBITED: Self = Self::new(icmp::v4::UNREACHABLE, 13, 0);
    /// ICMP time to live exceeded in transit.
    pub const V4_TTL_EXCEEDED: Self = Self::new(icmp::v4::TIME_EXCEEDED, 0, 0);
    /// ICMP fragment reassembly time exceeded.
    pub const V4_REASSEMBLY_EXCEEDED: Self = Self::new(icmp::v4::TIME_EXCEEDED, 1, 0);
    /// ICMPv6 no route to destination.
    pub const V6_NO_ROUTE: Self = Self::new(icmp::v6::UNREACHABLE, 0, 0);
    /// ICMPv6 communication administratively prohibited.
    pub const V6_PROHIBITED: Self = Self::new(icmp::v6::UNREACHABLE, 1, 0);
    /// ICMPv6 beyond scope of source address.
    pub const V6_BEYOND_SCOPE: Self = Self::new(icmp::v6::UNREACHABLE, 2, 0);
    /// ICMPv6 address unreachable: no neighbor answers.
    pub const V6_ADDRESS_UNREACHABLE: Self = Self::new(icmp::v6::UNREACHABLE, 3, 0);
    /// ICMPv6 port unreachable: nobody here listens.
    pub const V6_PORT_UNREACHABLE: Self = Self::new(icmp::v6::UNREACHABLE, 4, 0);
    /// ICMPv6 hop limit exceeded in transit.
    pub const V6_HOP_LIMIT_EXCEEDED: Self = Self::new(icmp::v6::TIME_EXCEEDED, 0, 0);
    /// ICMPv6 fragment reassembly time exceeded.
    pub const V6_REASSEMBLY_EXCEEDED: Self = Self::new(icmp::v6::TIME_EXCEEDED, 1, 0);

    /// ICMP fragmentation needed and DF set, with the MTU of the next hop (RFC 1191).
    pub const fn v4_fragmentation_needed(mtu: u16) -> Self {
        Self::new(icmp::v4::UNREACHABLE, 4, mtu as u32)
    }

    /// ICMP parameter problem, `pointer` being the octet at fault.
    pub const fn v4_parameter_problem(pointer: u8) -> Self {
        Self::new(icmp::v4::PARAMETER_PROBLEM, 0, (pointer as u32) << 24)
    }

    /// ICMPv6 packet too big, with the MTU of the next hop.
    pub const fn v6_packet_too_big(mtu: u32) -> Self {
        Self::new(icmp::v6::PACKET_TOO_BIG, 0, mtu)
    }

    /// ICMPv6 parameter problem, `pointer` being the octet at fault.
    pub const fn v6_parameter_problem(code: u8, pointer: u32) -> Self {
        Self::new(icmp::v6::PARAMETER_PROBLEM, code, pointer)
    }

    const fn new(kind: u8, code: u8, parameter: u32) -> Self {
        Self { kind, code, parameter }
    }

    fn header(self) -> IcmpHeader {
        let [a, b, c, d] = self.parameter.to_be_bytes();
        IcmpHeader {
            kind: self.kind,
            code: self.code,
            checksum: 0.into(),
            id: [a, b].into(),
            sequence: [c, d].into(),
        }
    }
}

/// Writes the ICMP error about an IPv4 frame into `out`, with the way back on the link it came
/// from.
///
/// Returns the length of the frame, padded to the shortest one; `None` when there is no room, or
/// when no error may answer the frame (RFC 1812 4.3.2.7): about ICMP errors, later fragments,
/// anything to or from more than one station, and broken packets. Subnet broadcasts are for the
/// caller to know.
pub fn write_v4(frame: &[u8], error: Error, source: [u8; 4], out: &mut [u8]) -> Option<usize> {
    let (header, packet) = answerable_v4(frame)?;
    let quoted = packet.get(..packet.len().min(MOST_V4 - ipv4::HEADER - icmp::HEADER))?;
    let l3 = Link::back(frame)?.write(out, ethernet::IPV4)?;
    let length = ipv4::HEADER + icmp::HEADER + quoted.len();
    let mut answer = Ipv4Header {
        version_ihl: 0x45,
        traffic_class: INTERNETWORK_CONTROL,
        total_length: (length as u16).into(),
        id: 0.into(),
        fragment: ipv4::DONT_FRAGMENT.into(),
        ttl: TTL,
        protocol: protocol::ICMP,
        checksum: 0.into(),
        source,
        destination: header.source,
    };
    answer.checksum = Sum::of(answer.as_bytes()).checksum().into();
    *wire::at_mut(out, l3)? = answer;
    write_message(out.get_mut(l3 + ipv4::HEADER..l3 + length)?, error, quoted, Sum::default())?;
    ethernet::pad(out, l3 + length)
}

/// Writes the ICMPv6 error about an IPv6 frame into `out`, with the way back on the link it came
/// from.
///
/// Returns the length of the frame; `None` when there is no room, or when no error may answer the
/// frame (RFC 4443 2.4 e): about ICMPv6 errors, redirects, anything to or from more than one node,
/// and broken packets.
pub fn write_v6(frame: &[u8], error: Error, source: [u8; 16], out: &mut [u8]) -> Option<usize> {
    let (header, packet) = answerable_v6(frame)?;
    let quoted = packet.get(..packet.len().min(ipv6::MIN_MTU - ipv6::HEADER - icmp::HEADER))?;
    let l3 = Link::back(frame)?.write(out, ethernet::IPV6)?;
    let length = icmp::HEADER + quoted.len();
    *wire::at_mut(out, l3)? = Ipv6Header {
        version_class_label: (6 << 28).into(),
        payload_length: (length as u16).into(),
        next_header: protocol::ICMPV6,
        hop_limit: TTL,
        source,
        destination: header.source,
    };
    let pseudo = Sum::ipv6_pseudo(source, header.source, protocol::ICMPV6, length as u32);
    let l4 = l3 + ipv6::HEADER;
    write_message(out.get_mut(l4..l4 + length)?, error, quoted, pseudo)?;
    Some(l4 + length)
}

/// Whether an ICMP error may answer this frame; what [`write_v4`] asks too.
pub fn may_answer_v4(frame: &[u8]) -> bool {
    Link::back(frame).is_some() && answerable_v4(frame).is_some()
}

/// Whether an ICMPv6 error may answer this frame; what [`write_v6`] asks too.
pub fn may_answer_v6(frame: &[u8]) -> bool {
    Link::back(frame).is_some() && answerable_v6(frame).is_some()
}

fn answerable_v4(frame: &[u8]) -> Option<(&Ipv4Header, &[u8])> {
    let (header, packet) = front_v4(network(frame, ethernet::IPV4)?)?;
    let kind = packet.get(header.header_len());
    let answerable = ipv4::address::may_send(header.source)
        && ipv4::address::may_send(header.destination)
        && header.fragment_offset() == 0
        && (header.protocol != protocol::ICMP || kind.is_some_and(|kind| is_query(*kind)));
    answerable.then_some((header, packet))
}

fn answerable_v6(frame: &[u8]) -> Option<(&Ipv6Header, &[u8])> {
    let (header, packet) = front_v6(network(frame, ethernet::IPV6)?)?;
    // A chain of headers that cannot be walked is no error message: nobody could read it.
    let quiet = extensions::upper(packet).is_ok_and(|upper| {
        let later = upper.fragment.is_some_and(|fragment| fragment.offset != 0);
        let kind = packet.get(upper.offset).copied().unwrap_or(icmp::v6::REDIRECT);
        let silent = later || kind == icmp::v6::REDIRECT || Class::of_v6(kind) == Class::Error;
        upper.protocol == protocol::ICMPV6 && silent
    });
    let answerable = ipv6::address::may_send(header.source)
        && !ipv6::address::is_multicast(header.destination)
        && !quiet;
    answerable.then_some((header, packet))
}

/// A valid IPv4 header and its packet without what follows it, as far as the octets go: of a packet in many segments the
/// caller has only the beginning.
fn front_v4(octets: &[u8]) -> Option<(&Ipv4Header, &[u8])> {
    let header: &Ipv4Header = wire::at(octets, 0)?;
    let packet = octets.get(..usize::from(header.total_length.get())).unwrap_or(octets);
    let length = header.header_len();
    let is_valid = header.version() == 4
        && length >= ipv4::HEADER
        && ipv4::checksum_is_valid(packet.get(..length)?);
    is_valid.then_some((header, packet))
}

/// The same of an IPv6 packet.
fn front_v6(octets: &[u8]) -> Option<(&Ipv6Header, &[u8])> {
    let header: &Ipv6Header = wire::at(octets, 0)?;
    let length = ipv6::HEADER + usize::from(header.payload_length.get());
    let packet = octets.get(..length).unwrap_or(octets);
    (header.version() == 6).then_some((header, packet))
}

/// The ICMP types that ask or answer (RFC 792, 950, 8335); all others may be errors.
fn is_query(kind: u8) -> bool {
    matches!(kind, icmp::v4::ECHO_REPLY | icmp::v4::ECHO_REQUEST | 13..=18 | 42 | 43)
}

/// Writes the message itself: header, quoted packet, checksum.
fn write_message(message: &mut [u8], error: Error, quoted: &[u8], pseudo: Sum) -> Option<()> {
    *wire::at_mut(message, 0)? = error.header();
    message.get_mut(icmp::HEADER..)?.copy_from_slice(quoted);
    let checksum = pseudo.bytes(message).checksum();
    wire::at_mut::<IcmpHeader>(message, 0)?.checksum = checksum.into();
    Some(())
}

/// Octets of the largest ICMP error (RFC 1812 4.3.2.3).
const MOST_V4: usize = 576;
/// The DSCP that stands for precedence 6 (RFC 1812 4.3.2.5), without ECN.
const INTERNETWORK_CONTROL: u8 = 0xc0;
