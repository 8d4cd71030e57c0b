//! Tells the sender of a rejected packet why, in a frame of the VNF's own.

use std::net::{Ipv4Addr, Ipv6Addr};

use dpdk_bindings::mbuf::Mbuf;
use dpdk_bindings::mempool::Mempool;

use super::error::{self, Error};
use super::reset;
use crate::engine::interfaces::Interface;
use crate::engine::meta::Family;
use crate::engine::verdict::Rejection;
use crate::wire::ipv4::Ipv4Header;
use crate::wire::ipv6::Ipv6Header;
use crate::wire::{self, protocol};

/// Builds the answer to a rejected packet, as it came in on `interface`; `None` when none may be sent, or no buffer is
/// free. It goes back where the packet came from.
pub fn build(
    packet: &mut Mbuf,
    rejection: Rejection,
    protocol_number: u8,
    family: Family,
    l3: usize,
    interface: &Interface,
    pool: &Mempool,
) -> Option<Mbuf> {
    let whole = packet.len();
    let quotable = if packet.contiguous(whole).is_some() { whole } else { whole.min(QUOTED) };
    let frame = packet.contiguous(quotable)?;
    let mut answer = pool.alloc()?;
    let room = answer.extend(ROOM)?;
    let resets =
        matches!(rejection, Rejection::AdministrativelyProhibited | Rejection::PortUnreachable)
            && protocol_number == protocol::TCP;
    let length = match family {
        Family::Ipv4 if resets => reset::write_v4(frame, room),
        Family::Ipv6 if resets => reset::write_v6(frame, room),
        Family::Ipv4 => {
            let header = wire::at::<Ipv4Header>(frame, l3)?;
            let (sender, to) = (Ipv4Addr::from(header.source), Ipv4Addr::from(header.destination));
            if interface.is_broadcast(sender) || interface.is_broadcast(to) {
                return None; // RFC 1812 4.3.2.7
            }
            let source = interface.source_for4(sender)?.octets();
            error::write_v4(frame, v4(rejection), source, room)
        }
        Family::Ipv6 => {
            let sender = Ipv6Addr::from(wire::at::<Ipv6Header>(frame, l3)?.source);
            let source = interface.source_for6(sender)?.octets();
            error::write_v6(frame, v6(rejection), source, room)
        }
    }?;
    answer.truncate(length);
    Some(answer)
}

fn v4(rejection: Rejection) -> Error {
    match rejection {
        Rejection::AdministrativelyProhibited => Error::V4_PROHIBITED,
        Rejection::FragmentationNeeded(mtu) => Error::v4_fragmentation_needed(mtu),
        Rejection::HostUnreachable => Error::V4_HOST_UNREACHABLE,
        Rejection::NetworkUnreachable => Error::V4_NO_ROUTE,
        Rejection::ParameterProblem(_, pointer) => Error::v4_parameter_problem(pointer as u8),
        Rejection::PortUnreachable => Error::V4_PORT_UNREACHABLE,
        Rejection::ProtocolUnreachable => Error::V4_PROTOCOL_UNREACHABLE,
        Rejection::ReassemblyTimeExceeded => Error::V4_REASSEMBLY_EXCEEDED,
        Rejection::TimeExceeded => Error::V4_TTL_EXCEEDED,
        Rejection::UnsolicitedSyn => Error::V4_PORT_UNREACHABLE,
    }
}

fn v6(rejection: Rejection) -> Error {
    match rejection {
        Rejection::AdministrativelyProhibited => Error::V6_PROHIBITED,
        Rejection::FragmentationNeeded(mtu) => Error::v6_packet_too_big(mtu.into()),
        Rejection::HostUnreachable => Error::V6_ADDRESS_UNREACHABLE,
        Rejection::NetworkUnreachable => Error::V6_NO_ROUTE,
        Rejection::ParameterProblem(code, pointer) => Error::v6_parameter_problem(code, pointer),
        Rejection::PortUnreachable => Error::V6_PORT_UNREACHABLE,
        // RFC 4443 3.4: unrecognized next header, at the field that names it.
        Rejection::ProtocolUnreachable => Error::v6_parameter_problem(1, 6),
        Rejection::ReassemblyTimeExceeded => Error::V6_REASSEMBLY_EXCEEDED,
        Rejection::TimeExceeded => Error::V6_HOP_LIMIT_EXCEEDED,
        Rejection::UnsolicitedSyn => Error::V6_PORT_UNREACHABLE,
    }
}

/// Octets of a frame in many segments that an error can need: the largest ICMPv6 error quotes 1,232, IPv4 errors 548.
const QUOTED: usize = 1400;
/// The largest answer: an ICMPv6 error of 1,280 octets with Ethernet and a tag.
const ROOM: usize = 1298;
