//! IPv6: validity after RFC 8200, extension headers, then the transport header.

use dpdk_bindings::mbuf::Mbuf;

use super::{TOO_SHORT, transport, trim, words};
use crate::engine::interfaces::Interface;
use crate::engine::meta::{Family, FlowKey, Form, Kind, Meta};
use crate::engine::verdict::{DropReason, Rejection, Verdict};
use crate::icmp::inner;
use crate::wire::icmp::{Class, IcmpHeader, v6};
use crate::wire::ipv6::{self, Ipv6Header, address, extensions};
use crate::wire::transport::has_ports;
use crate::wire::{self, protocol};

/// Reads an IPv6 packet.
pub(super) fn read(
    packet: &mut Mbuf,
    meta: &mut Meta,
    interface: &Interface,
) -> Result<(), Verdict> {
    let (length, frame) = (packet.len(), packet.data());
    let l3 = usize::from(meta.l3);
    let header: &Ipv6Header = wire::at(frame, l3).ok_or(TOO_SHORT)?;
    let total = ipv6::HEADER + usize::from(header.payload_length.get());
    if header.version() != 6 || l3 + total > length || total > usize::from(u16::MAX) {
        return Err(BAD_HEADER);
    }
    let octets = frame.get(l3..(l3 + total).min(frame.len())).ok_or(TOO_SHORT)?;
    let upper = extensions::upper(octets).map_err(|refused| problem(refused, header, meta))?;
    meta.key = FlowKey {
        source: words(&header.source),
        destination: words(&header.destination),
        source_port: 0,
        destination_port: 0,
        protocol: upper.protocol,
        family: Family::Ipv6,
        vrf: meta.key.vrf,
    };
    meta.ip_length = total as u16;
    meta.ttl = header.hop_limit;
    meta.dont_fragment = true;
    meta.l4 = (l3 + upper.offset).min(usize::from(u8::MAX)) as u8;
    let l4 = octets.get(upper.offset..).ok_or(TOO_SHORT)?;
    let begins = upper.fragment.is_none_or(|fragment| fragment.offset == 0);
    let neighbor_discovery = begins
        && upper.protocol == protocol::ICMPV6
        && l4.first().is_some_and(|kind| matches!(*kind, v6::ROUTER_SOLICITATION..=v6::REDIRECT));
    if neighbor_discovery {
        return Err(Verdict::Neighbor);
    }
    if address::is_multicast(header.destination) {
        let of_link = header.destination[1] & 0x0f == LINK_SCOPE;
        return Err(match interface.linux.is_some() && of_link {
            true => Verdict::Exception,
            false => Verdict::Drop(DropReason::L2Group),
        });
    }
    let own_link_local = address::is_link_local(header.destination)
        && interface.owns(std::net::Ipv6Addr::from(header.destination).into());
    if address::is_link_local(header.destination) && !own_link_local && interface.linux.is_some() {
        return Err(Verdict::Exception); // the kernel has an address of its own there
    }
    if !address::may_send(header.source)
        || !(address::may_be_forwarded(header.destination) || own_link_local)
        || header.source == header.destination
    {
        return Err(Verdict::Drop(DropReason::Martian));
    }
    if let Some(fragment) = upper.fragment.filter(|fragment| !fragment.is_atomic()) {
        let payload = total - (fragment.header + extensions::FRAGMENT_HEADER);
        if payload == 0 {
            return Err(FRAGMENT_INVALID);
        }
        meta.form = Form::Fragment;
        meta.fragment_id = fragment.id;
        meta.fragment_at = payload as u16;
        if fragment.offset > 0 {
            meta.fragment_at = fragment.offset as u16 | u16::from(fragment.more);
            meta.kind = Kind::LaterFragment;
            trim(packet, meta);
            return Ok(());
        }
    }
    match upper.protocol {
        number if has_ports(number) => {
            let payload = if meta.form == Form::Fragment {
                usize::from(u16::MAX)
            } else {
                total - upper.offset
            };
            transport(l4, payload, upper.protocol, &mut meta.key, &mut meta.detail)?;
        }
        protocol::ICMPV6 => icmpv6(l4, meta)?,
        _ => {}
    }
    trim(packet, meta);
    Ok(())
}

/// What becomes of a packet whose extension headers are refused; some senders are told (RFC 8200 4, RFC 4443 3.4).
#[cold]
fn problem(refused: extensions::Refused, header: &Ipv6Header, meta: &mut Meta) -> Verdict {
    let Some((code, pointer)) = refused.problem else { return BAD_HEADER };
    meta.key.source = words(&header.source);
    (meta.key.protocol, meta.key.family) = (header.next_header, Family::Ipv6);
    Verdict::Reject(Rejection::ParameterProblem(code, pointer), DropReason::Ipv6BadHeader)
}

/// Reads an ICMPv6 message: a query by its identifier, an error by the flow it is about.
fn icmpv6(message: &[u8], meta: &mut Meta) -> Result<(), Verdict> {
    let header: &IcmpHeader = wire::at(message, 0).ok_or(TOO_SHORT)?;
    meta.detail = header.kind;
    match Class::of_v6(header.kind) {
        Class::EchoRequest => meta.key.source_port = header.id.get(),
        Class::EchoReply => meta.key.destination_port = header.id.get(),
        // Errors are never that long (RFC 4443 2.4 c).
        Class::Error if meta.form == Form::Fragment => return Err(FRAGMENT_INVALID),
        Class::Error => {
            // It is for whom the quoted packet came from, or it is made up to carry something else past the ACLs.
            if let Ok(quoted) = inner::parse_v6(message)
                && words(&quoted.source) == meta.key.destination
            {
                let reply = message.get(quoted.l4) == Some(&v6::ECHO_REPLY);
                meta.kind = Kind::IcmpError;
                meta.key = FlowKey { vrf: meta.key.vrf, ..about(&quoted, reply) };
            }
        }
        Class::Other => {}
    }
    Ok(())
}

/// The key that the next packet of the quoted flow would have, coming from where the error comes from.
fn about(quoted: &inner::Inner<[u8; 16]>, reply: bool) -> FlowKey {
    let mut key = FlowKey {
        source: words(&quoted.destination),
        destination: words(&quoted.source),
        source_port: quoted.destination_port,
        destination_port: quoted.source_port,
        protocol: quoted.protocol,
        family: Family::Ipv6,
        ..FlowKey::default()
    };
    if quoted.protocol == protocol::ICMPV6 {
        let other = if reply { &mut key.destination_port } else { &mut key.source_port };
        *other = 0;
    }
    key
}

const BAD_HEADER: Verdict = Verdict::Drop(DropReason::Ipv6BadHeader);
/// The scope of groups of a link (RFC 4291 2.7).
const LINK_SCOPE: u8 = 2;
const FRAGMENT_INVALID: Verdict = Verdict::Drop(DropReason::FragmentInvalid);
