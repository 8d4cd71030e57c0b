//! TCP resets that answer rejected segments (RFC 9293 3.10.7.1).

#[cfg(test)]
mod tests;

use zerocopy::IntoBytes;

use crate::icmp::TTL;
use crate::wire;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{self, Link};
use crate::wire::ipv4::{self, Ipv4Header};
use crate::wire::ipv6::{self, Ipv6Header, extensions};
use crate::wire::protocol;
use crate::wire::tcp::{Flags, TcpHeader};

/// Writes the reset that answers an IPv4 frame into `out`, as if its receiver had sent it.
///
/// Returns the length of the frame, padded to the shortest one; `None` when there is no room, or
/// for whatever is no whole and valid TCP segment from one host to one host, and for resets, which
/// nobody answers.
pub fn write_v4(frame: &[u8], out: &mut [u8]) -> Option<usize> {
    let (header, packet) = ipv4::packet(wire::network(frame, ethernet::IPV4)?)?;
    let segment = packet.get(header.header_len()..)?;
    let addresses_are_fine =
        ipv4::address::may_send(header.source) && ipv4::address::may_send(header.destination);
    if header.protocol != protocol::TCP || header.is_fragment() || !addresses_are_fine {
        return None;
    }
    let pseudo = |length| {
        // Both ways the same: the sum does not depend on the order.
        Sum::ipv4_pseudo(header.source, header.destination, protocol::TCP, length)
    };
    if !pseudo(segment.len() as u16).bytes(segment).is_valid() {
        return None;
    }
    let reset = answer(segment, pseudo(RESET as u16))?;

    let l3 = Link::back(frame)?.write(out, ethernet::IPV4)?;
    let mut network = Ipv4Header {
        version_ihl: 0x45,
        traffic_class: 0,
        total_length: ((ipv4::HEADER + RESET) as u16).into(),
        id: 0.into(),
        fragment: ipv4::DONT_FRAGMENT.into(),
        ttl: TTL,
        protocol: protocol::TCP,
        checksum: 0.into(),
        source: header.destination,
        destination: header.source,
    };
    network.checksum = Sum::of(network.as_bytes()).checksum().into();
    *wire::at_mut(out, l3)? = network;
    *wire::at_mut(out, l3 + ipv4::HEADER)? = reset;
    ethernet::pad(out, l3 + ipv4::HEADER + RESET)
}

/// Writes the reset that answers an IPv6 frame into `out`, as if its receiver had sent it.
///
/// Returns the length of the frame; `None` as for [`write_v4`].
pub fn write_v6(frame: &[u8], out: &mut [u8]) -> Option<usize> {
    let (header, packet) = ipv6::packet(wire::network(frame, ethernet::IPV6)?)?;
    let upper = extensions::upper(packet).ok()?;
    let segment = packet.get(upper.offset..)?;
    let is_segment = upper.protocol == protocol::TCP
        && upper.fragment.is_none()
        && ipv6::address::may_send(header.source)
        && ipv6::address::may_send(header.destination)
        && ipv6::checksum_is_valid(header, protocol::TCP, segment);
    if !is_segment {
        return None;
    }
    let (source, destination) = (header.destination, header.source);
    let pseudo = Sum::ipv6_pseudo(source, destination, protocol::TCP, RESET as u32);
    let reset = answer(segment, pseudo)?;

    let l3 = Link::back(frame)?.write(out, ethernet::IPV6)?;
    *wire::at_mut(out, l3)? = Ipv6Header {
        version_class_label: (6 << 28).into(),
        payload_length: (RESET as u16).into(),
        next_header: protocol::TCP,
        hop_limit: TTL,
        source,
        destination,
    };
    *wire::at_mut(out, l3 + ipv6::HEADER)? = reset;
    Some(l3 + ipv6::HEADER + RESET)
}

/// The reset for a segment that belongs to no connection.
fn answer(segment: &[u8], pseudo: Sum) -> Option<TcpHeader> {
    let header: &TcpHeader = wire::at(segment, 0)?;
    if header.flags.contains(Flags::RST) || !header.offset_is_valid(segment.len()) {
        return None;
    }
    let (sequence, acknowledgment, flags) = if header.flags.contains(Flags::ACK) {
        (header.acknowledgment, 0.into(), Flags::RST)
    } else {
        let length = segment.len() - header.header_len()
            + usize::from(header.flags.contains(Flags::SYN))
            + usize::from(header.flags.contains(Flags::FIN));
        let next = header.sequence.get().wrapping_add(length as u32);
        (0.into(), next.into(), Flags::RST | Flags::ACK)
    };
    let mut reset = TcpHeader {
        source: header.destination,
        destination: header.source,
        sequence,
        acknowledgment,
        data_offset: (RESET as u8 / 4) << 4,
        flags,
        window: 0.into(),
        checksum: 0.into(),
        urgent: 0.into(),
    };
    reset.checksum = pseudo.bytes(reset.as_bytes()).checksum().into();
    Some(reset)
}

/// Octets of a reset: a TCP header.
const RESET: usize = size_of::<TcpHeader>();
