//! IPv4: validity in the order of RFC 1812 5.2.2, then the transport header.

use dpdk_bindings::mbuf::{Checksum, Mbuf};

use super::{TOO_SHORT, transport, trim};
use crate::config::Ipv4Options;
use crate::engine::ids::InterfaceId;
use crate::engine::interfaces::Interface;
use crate::engine::meta::{Family, FlowKey, Form, Kind, Meta};
use crate::engine::tables::Tables;
use crate::engine::verdict::{DropReason, Rejection, Verdict};
use crate::icmp::inner;
use crate::wire::icmp::{self, Class, IcmpHeader};
use crate::wire::ipv4::{self, Ipv4Header, address, options};
use crate::wire::transport::has_ports;
use crate::wire::{self, protocol};

/// Reads an IPv4 packet.
#[inline]
pub(super) fn read(
    packet: &mut Mbuf,
    meta: &mut Meta,
    interface: &Interface,
    tables: &Tables,
) -> Result<(), Verdict> {
    let checksum = packet.ip_checksum();
    let (length, frame) = (packet.len(), packet.data());
    let l3 = usize::from(meta.l3);
    let header: &Ipv4Header = wire::at(frame, l3).ok_or(TOO_SHORT)?;
    let total = usize::from(header.total_length.get());
    let header_length = header.header_len();
    if header.version_ihl != 0x45 {
        with_options(frame, l3, header, interface, &mut meta.key)?;
    }
    if total < header_length || l3 + total > length {
        return Err(BAD_HEADER);
    }
    let valid = match checksum {
        Checksum::Good => true,
        Checksum::Bad => false,
        Checksum::Unknown => {
            let octets = frame.get(l3..l3 + header_length).ok_or(BAD_HEADER)?;
            ipv4::checksum_is_valid(octets)
        }
    };
    if !valid {
        return Err(Verdict::Drop(DropReason::Ipv4BadChecksum));
    }
    if !address::may_send(header.source)
        || !address::may_be_forwarded_to(header.destination)
        || header.source == header.destination && meta.ingress != InterfaceId::HAIRPIN
    {
        return Err(Verdict::Drop(DropReason::Martian));
    }
    meta.key = FlowKey {
        source: [u32::from_be_bytes(header.source), 0, 0, 0],
        destination: [u32::from_be_bytes(header.destination), 0, 0, 0],
        source_port: 0,
        destination_port: 0,
        protocol: header.protocol,
        family: Family::Ipv4,
        vrf: meta.key.vrf,
    };
    meta.ip_length = total as u16;
    meta.ttl = header.ttl;
    meta.dont_fragment = header.dont_fragment();
    let l4 = l3 + header_length;
    meta.l4 = l4 as u8;
    let payload = total - header_length;
    if header.is_fragment() {
        fragment(header, payload, frame.get(l4..).unwrap_or(&[]), meta)?;
        trim(packet, meta);
        return Ok(());
    }
    let l4_octets = frame.get(l4..(l3 + total).min(frame.len())).ok_or(TOO_SHORT)?;
    match header.protocol {
        number if has_ports(number) => {
            transport(l4_octets, payload, header.protocol, &mut meta.key, &mut meta.detail)?;
        }
        protocol::ICMP => {
            let verified = interface.nat.is_some() && tables.nat.is_active();
            let gathered;
            let message = if l4_octets.len() < payload {
                // A long message in several segments: its checksum covers them all.
                gathered = gather(packet, l4, payload);
                &gathered[..]
            } else {
                l4_octets
            };
            icmp_message(message, meta, verified)?;
        }
        _ => {}
    }
    trim(packet, meta);
    Ok(())
}

/// Checks what the fixed header length does not hold for.
#[cold]
fn with_options(
    frame: &[u8],
    l3: usize,
    header: &Ipv4Header,
    interface: &Interface,
    key: &mut FlowKey,
) -> Result<(), Verdict> {
    let length = header.header_len();
    if header.version() != 4 || length < ipv4::HEADER {
        return Err(BAD_HEADER);
    }
    let octets = frame.get(l3 + ipv4::HEADER..l3 + length).ok_or(BAD_HEADER)?;
    match options::walk(octets) {
        options::Options::Fine if interface.ipv4_options == Ipv4Options::Pass => Ok(()),
        options::Options::Fine => Err(Verdict::Drop(DropReason::Ipv4Options)),
        options::Options::Malformed(at) => {
            // Who is told: the rest of the key is nobody's business.
            key.source = [u32::from_be_bytes(header.source), 0, 0, 0];
            (key.protocol, key.family) = (header.protocol, Family::Ipv4);
            let told = Rejection::ParameterProblem(0, ipv4::HEADER as u32 + u32::from(at));
            Err(Verdict::Reject(told, DropReason::Ipv4Options))
        }
        options::Options::SourceRoute => Err(Verdict::Drop(DropReason::Ipv4Options)),
    }
}

/// Checks a fragment on its own: RFC 791, and RFC 1858 and 3128 on those made to slip past filters.
#[cold]
fn fragment(
    header: &Ipv4Header,
    payload: usize,
    l4: &[u8],
    meta: &mut Meta,
) -> Result<(), Verdict> {
    const INVALID: Verdict = Verdict::Drop(DropReason::FragmentInvalid);
    let offset = header.fragment_offset();
    meta.form = Form::Fragment;
    meta.fragment_id = header.id.get().into();
    if payload == 0
        || header.more_fragments() && !payload.is_multiple_of(8)
        || offset + payload + header.header_len() > usize::from(u16::MAX)
    {
        return Err(INVALID);
    }
    if offset > 0 {
        let hides_header = header.protocol == protocol::TCP && offset < 20
            || header.protocol == protocol::UDP && offset < 8;
        meta.kind = Kind::LaterFragment;
        meta.fragment_at = offset as u16 | u16::from(header.more_fragments());
        return if hides_header { Err(INVALID) } else { Ok(()) };
    }
    meta.fragment_at = payload as u16;
    match header.protocol {
        number if has_ports(number) => {
            // The length of a fragmented UDP datagram is beyond this fragment.
            let datagram = usize::from(u16::MAX);
            match transport(l4, datagram, header.protocol, &mut meta.key, &mut meta.detail) {
                Err(Verdict::Drop(DropReason::TooShort)) => Err(INVALID),
                other => other,
            }
        }
        protocol::ICMP => {
            let message: &IcmpHeader = wire::at(l4, 0).ok_or(INVALID)?;
            meta.detail = message.kind;
            match Class::of_v4(message.kind) {
                Class::EchoRequest => meta.key.source_port = message.id.get(),
                Class::EchoReply => meta.key.destination_port = message.id.get(),
                Class::Error => return Err(INVALID), // errors are never that long (RFC 1812 4.3.2.3)
                Class::Other => {}
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cold]
fn gather(packet: &Mbuf, from: usize, length: usize) -> Vec<u8> {
    let octets = packet.segments().flatten().copied();
    octets.skip(from).take(length).collect()
}

/// Reads an ICMP message: a query by its identifier, an error by the flow it is about (RFC 5508).
fn icmp_message(message: &[u8], meta: &mut Meta, verified: bool) -> Result<(), Verdict> {
    let header: &IcmpHeader = wire::at(message, 0).ok_or(TOO_SHORT)?;
    meta.detail = header.kind;
    if verified && !icmp::checksum_is_valid(message) {
        return Err(Verdict::Drop(DropReason::IcmpBadChecksum));
    }
    match Class::of_v4(header.kind) {
        Class::EchoRequest => meta.key.source_port = header.id.get(),
        Class::EchoReply => meta.key.destination_port = header.id.get(),
        Class::Error => match inner::parse_v4(message) {
            // It is for whom the quoted packet came from, or it is made up to carry something else past NAT and ACL.
            Ok(quoted) if u32::from_be_bytes(quoted.source) != meta.key.destination[0] => {
                if verified {
                    return Err(Verdict::Drop(DropReason::IcmpErrorUnmatched));
                }
            }
            Ok(quoted) => {
                let quoted_type = message.get(quoted.l4).copied();
                meta.kind = Kind::IcmpError;
                meta.key = FlowKey {
                    vrf: meta.key.vrf,
                    ..about(&quoted, quoted_type == Some(icmp::v4::ECHO_REPLY))
                };
            }
            Err(inner::Refused::BadChecksum) if verified => {
                return Err(Verdict::Drop(DropReason::IcmpBadChecksum));
            }
            Err(_) if verified => return Err(Verdict::Drop(DropReason::IcmpErrorUnmatched)),
            Err(_) => {}
        },
        Class::Other => {}
    }
    Ok(())
}

/// The key that the next packet of the quoted flow would have, coming from where the error comes from.
fn about(quoted: &inner::Inner<[u8; 4]>, reply: bool) -> FlowKey {
    let mut key = FlowKey {
        source: [u32::from_be_bytes(quoted.destination), 0, 0, 0],
        destination: [u32::from_be_bytes(quoted.source), 0, 0, 0],
        source_port: quoted.destination_port,
        destination_port: quoted.source_port,
        protocol: quoted.protocol,
        family: Family::Ipv4,
        ..FlowKey::default()
    };
    if quoted.protocol == protocol::ICMP {
        // A query identifier belongs to the side that asked.
        let other = if reply { &mut key.destination_port } else { &mut key.source_port };
        *other = 0;
    }
    key
}

const BAD_HEADER: Verdict = Verdict::Drop(DropReason::Ipv4BadHeader);
