//! Echo replies (RFC 792, RFC 4443 4.2), made in place from the request.

#[cfg(test)]
mod tests;

use crate::icmp::TTL;
use crate::wire;
use crate::wire::checksum::{Delta, Sum};
use crate::wire::ethernet::{self, Link};
use crate::wire::icmp::{self, Class, IcmpHeader};
use crate::wire::ipv4::{self, Ipv4Header};
use crate::wire::ipv6::{self, Ipv6Header, extensions};
use crate::wire::protocol;

/// Turns an ICMP echo request into its reply, with the way back on the link it came from.
///
/// Returns the length of the reply without padding. `None`, and the frame as it was, for whatever
/// is no whole and valid echo request from one host to one host. IPv4 options are answered by
/// no-operations: none of ours makes sense to copy, and a source route would be reversed.
pub fn reply_v4(frame: &mut [u8]) -> Option<usize> {
    let link = Link::back(frame)?;
    let (header, packet) = ipv4::packet(wire::network(frame, ethernet::IPV4)?)?;
    let l4 = header.header_len();
    let message = packet.get(l4..)?;
    let is_request = header.protocol == protocol::ICMP
        && !header.is_fragment()
        && ipv4::address::may_send(header.source)
        && ipv4::address::may_send(header.destination)
        && icmp::checksum_is_valid(message)
        && wire::at::<IcmpHeader>(message, 0)
            .is_some_and(|icmp| icmp.code == 0 && Class::of_v4(icmp.kind) == Class::EchoRequest);
    if !is_request {
        return None;
    }

    let length = packet.len();
    let l3 = link.write_back(frame)?;
    let packet = frame.get_mut(l3..l3 + length)?;
    packet.get_mut(ipv4::HEADER..l4)?.fill(ipv4::options::NO_OPERATION);
    let header: &mut Ipv4Header = wire::at_mut(packet, 0)?;
    (header.source, header.destination) = (header.destination, header.source);
    header.ttl = TTL;
    header.checksum = 0.into();
    let checksum = Sum::of(packet.get(..l4)?).checksum();
    wire::at_mut::<Ipv4Header>(packet, 0)?.checksum = checksum.into();
    let message = packet.get_mut(l4..)?;
    answer(message, icmp::v4::ECHO_REPLY)?;
    icmp::settle_zero_checksum(message);
    Some(l3 + length)
}

/// Turns an ICMPv6 echo request into its reply, with the way back on the link it came from.
///
/// Returns the length of the reply without padding. `None`, and the frame as it was, for whatever
/// is no whole and valid echo request from one node to one node.
pub fn reply_v6(frame: &mut [u8]) -> Option<usize> {
    let link = Link::back(frame)?;
    let (header, packet) = ipv6::packet(wire::network(frame, ethernet::IPV6)?)?;
    let upper = extensions::upper(packet).ok()?;
    let message = packet.get(upper.offset..)?;
    let is_request = upper.protocol == protocol::ICMPV6
        && upper.fragment.is_none()
        && ipv6::address::may_send(header.source)
        && ipv6::address::may_send(header.destination)
        && ipv6::checksum_is_valid(header, protocol::ICMPV6, message)
        && wire::at::<IcmpHeader>(message, 0)
            .is_some_and(|icmp| icmp.code == 0 && Class::of_v6(icmp.kind) == Class::EchoRequest);
    if !is_request {
        return None;
    }

    let length = packet.len();
    let l3 = link.write_back(frame)?;
    let packet = frame.get_mut(l3..l3 + length)?;
    let header: &mut Ipv6Header = wire::at_mut(packet, 0)?;
    (header.source, header.destination) = (header.destination, header.source);
    header.hop_limit = TTL;
    answer(packet.get_mut(upper.offset..)?, icmp::v6::ECHO_REPLY)?;
    Some(l3 + length)
}

/// Changes the type of a message; swapped addresses leave the pseudo-header's sum as it is.
fn answer(message: &mut [u8], kind: u8) -> Option<()> {
    let header: &mut IcmpHeader = wire::at_mut(message, 0)?;
    let delta = Delta::of_u16(u16::from(header.kind) << 8, u16::from(kind) << 8);
    header.kind = kind;
    header.checksum = delta.apply(header.checksum.get()).into();
    Some(())
}
