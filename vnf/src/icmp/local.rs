//! Packets for the VNF's own addresses: echo requests are answered, everything else is for services on the box, or told that
//! nobody listens.

use dpdk_bindings::mbuf::Mbuf;

use super::echo;
use crate::engine::meta::{Family, Form, Kind, Meta};
use crate::engine::verdict::{DropReason, Rejection, Verdict};
use crate::fragment::reassembly::Datagram;
use crate::wire::{icmp, protocol};

/// What becomes of a packet for one of the VNF's own addresses; `linux`: the interface that it came in by has a tap, where
/// services may listen.
pub fn answer(meta: &Meta, linux: bool) -> Verdict {
    let request = match meta.key.family {
        Family::Ipv4 => (protocol::ICMP, icmp::v4::ECHO_REQUEST),
        Family::Ipv6 => (protocol::ICMPV6, icmp::v6::ECHO_REQUEST),
    };
    let is_request = (meta.key.protocol, meta.detail) == request;
    if meta.form == Form::Fragment && is_request {
        return Verdict::Reassemble;
    }
    if linux && !(is_request && meta.kind == Kind::Flow) {
        return Verdict::Exception;
    }
    if meta.kind != Kind::Flow || meta.form == Form::Fragment {
        return Verdict::Drop(DropReason::NoLocalService);
    }
    match meta.key.protocol {
        _ if is_request => Verdict::Answer,
        protocol::ICMP | protocol::ICMPV6 => Verdict::Drop(DropReason::NoLocalService),
        protocol::TCP | protocol::UDP => {
            Verdict::Reject(Rejection::PortUnreachable, DropReason::NoLocalService)
        }
        _ => Verdict::Reject(Rejection::ProtocolUnreachable, DropReason::NoLocalService),
    }
}

/// Turns an echo request that came in fragments into its reply; `None` when it is not a valid request.
pub fn reply_to_datagram(datagram: &mut Datagram) -> Option<&[u8]> {
    let family = datagram.meta.key.family;
    let frame = datagram.whole()?;
    let length = match family {
        Family::Ipv4 => echo::reply_v4(frame)?,
        Family::Ipv6 => echo::reply_v6(frame)?,
    };
    frame.get(..length)
}

/// Turns an echo request into its reply, in place; `None` when it is not a valid request.
pub fn reply_in_place(packet: &mut Mbuf, family: Family) -> Option<()> {
    let length = packet.len();
    let frame = packet.contiguous(length)?;
    let length = match family {
        Family::Ipv4 => echo::reply_v4(frame)?,
        Family::Ipv6 => echo::reply_v6(frame)?,
    };
    packet.truncate(length);
    Some(())
}
