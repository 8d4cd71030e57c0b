//! What becomes of packets that NAT does not take.

use crate::engine::interfaces::Interface;
use crate::engine::meta::{Direction, Form, Kind, Meta};
use crate::engine::tables::Tables;
use crate::engine::verdict::{DropReason, Rejection, Verdict};
use crate::session::tcp;
use crate::wire::protocol;

/// Why a packet to an external endpoint that nobody has is dropped.
pub(super) fn unmapped(number: u8) -> DropReason {
    match number {
        protocol::ICMP | protocol::TCP | protocol::UDP => DropReason::NatNoMapping,
        _ => DropReason::NatUnsupported,
    }
}

/// What becomes of a packet that a mapping's filtering refuses. SYNs are answered, but late (RFC 5382 REQ-4); not those
/// that an ACL might deny (REQ-4a), nor those of internal hosts.
pub(super) fn unadmitted(meta: &Meta, tables: &Tables) -> Verdict {
    const REASON: DropReason = DropReason::NatFiltered;
    let opens = meta.key.protocol == protocol::TCP
        && meta.detail & tcp::CONTROL_AND_ACK == tcp::SYN
        && meta.kind == Kind::Flow
        && meta.form != Form::Fragment;
    let unguarded = |interface: &Interface| interface.acl_in.is_none();
    if opens && tables.interfaces.find(meta.ingress).is_some_and(unguarded) {
        Verdict::Wait(REASON)
    } else {
        Verdict::Drop(REASON)
    }
}

/// What a packet is told that could not be mapped (RFC 6888 REQ-11b).
pub fn refusal(reason: DropReason, direction: Direction) -> Verdict {
    match direction {
        Direction::Outbound => Verdict::Reject(Rejection::HostUnreachable, reason),
        Direction::Inbound => Verdict::Drop(reason),
    }
}
