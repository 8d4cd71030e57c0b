//! From octets to keys: what each frame is, whether it may be that (RFC 1812 5.2.2), and where it belongs.

mod ipv4;
mod ipv6;
pub(crate) mod plain;

use dpdk_bindings::mbuf::Mbuf;

use crate::engine::burst::Burst;
use crate::engine::ids::{Arrival, InterfaceId, PortId};
use crate::engine::interfaces::Interface;
use crate::engine::mask::Mask;
use crate::engine::meta::{Direction, Family, FlowKey, Form, Kind, Meta};
use crate::engine::tables::Tables;
use crate::engine::verdict::{DropReason, Verdict};
use crate::wire::ethernet::{self, EthernetHeader, Layer2, MacAddr};
use crate::wire::{self, ipv4 as ipv4_wire, ipv6 as ipv6_wire, protocol};
use plain::Plain;

/// The parsing stage.
#[derive(Debug, Default)]
pub struct Parse;

impl Parse {
    /// Reads the headers of every packet; settles what is not for this router, or is not what it says.
    ///
    /// Returns the fragments among the live packets.
    #[inline]
    pub fn run(&mut self, burst: &mut Burst, tables: &Tables) -> Mask {
        let mut fragments = Mask::EMPTY;
        let others = match Plain::of(burst, tables) {
            Some(plain) => plain.read_all(burst),
            None => burst.live(),
        };
        for slot in others {
            let arrival = burst.arrival[slot];
            let (packet, meta) = burst.packet_mut(slot);
            match frame(packet, meta, arrival, tables) {
                Ok(()) => fragments.insert_if(slot, meta.form == Form::Fragment),
                Err(verdict) => burst.settle(slot, verdict),
            }
        }
        fragments
    }
}

/// Reads one frame that was read before, outside a burst.
///
/// # Errors
/// What would become of it now.
pub fn again(
    packet: &mut Mbuf,
    meta: &mut Meta,
    arrival: Arrival,
    tables: &Tables,
) -> Result<(), Verdict> {
    frame(packet, meta, arrival, tables)
}

/// Reads one frame.
#[inline]
fn frame(
    packet: &mut Mbuf,
    meta: &mut Meta,
    arrival: Arrival,
    tables: &Tables,
) -> Result<(), Verdict> {
    if packet.segment_count() > 1 {
        gather_headers(packet)?;
    }
    let frame = packet.data();
    let header: &EthernetHeader = wire::at(frame, 0).ok_or(TOO_SHORT)?;
    let (interface, layer2) = match header.ether_type.get() {
        ethernet::IPV4 | ethernet::IPV6 | ethernet::ARP => {
            let untagged =
                Layer2 { ether_type: header.ether_type.get(), vlan: 0, l3: ethernet::HEADER };
            (tables.interfaces.arrival(arrival.port, 0), untagged)
        }
        _ => tagged(frame, arrival.port, tables)?,
    };
    let interface = interface.ok_or(UNKNOWN_ETHERTYPE)?;
    if !header.source.is_unicast() || header.source == interface.mac {
        return Err(Verdict::Drop(DropReason::EthernetBadSource));
    }
    meta.key.vrf = if arrival.hairpin { tables.nat.external_vrf() } else { interface.vrf };
    meta.ingress = if arrival.hairpin { InterfaceId::HAIRPIN } else { interface.id };
    if header.destination != interface.mac && !arrival.hairpin {
        let packet = frame.get(layer2.l3..).unwrap_or(&[]);
        accept_group(header.destination, layer2.ether_type, interface, packet)?;
    }
    meta.l3 = layer2.l3 as u8;
    meta.kind = Kind::Flow;
    meta.form = Form::Whole;
    meta.direction = Direction::Outbound;
    match layer2.ether_type {
        ethernet::IPV4 => ipv4::read(packet, meta, interface, tables),
        ethernet::IPV6 => ipv6::read(packet, meta, interface),
        ethernet::ARP => Err(Verdict::Neighbor),
        _ => Err(UNKNOWN_ETHERTYPE),
    }
}

/// Makes the headers of a packet in several segments contiguous.
#[cold]
fn gather_headers(packet: &mut Mbuf) -> Result<(), Verdict> {
    let wanted = packet.len().min(HEADERS);
    packet.contiguous(wanted).map(|_| ()).ok_or(TOO_SHORT)
}

#[cold]
fn tagged<'t>(
    frame: &[u8],
    port: PortId,
    tables: &'t Tables,
) -> Result<(Option<&'t Interface>, Layer2), Verdict> {
    let layer2 = Layer2::parse(frame).ok_or(TOO_SHORT)?;
    Ok((tables.interfaces.arrival(port, layer2.vlan), layer2))
}

/// Decides about a frame that is not sent to the interface's own address.
#[cold]
fn accept_group(
    destination: MacAddr,
    ether_type: u16,
    interface: &Interface,
    packet: &[u8],
) -> Result<(), Verdict> {
    match ether_type {
        // Routing protocols speak to groups of the link, 224.0.0/24, which no router forwards.
        ethernet::IPV4
            if interface.linux.is_some()
                && destination.0[..5] == [1, 0, 0x5e, 0, 0]
                && packet.get(16..19) == Some(&[224, 0, 0]) =>
        {
            Err(Verdict::Exception)
        }
        ethernet::ARP if destination == MacAddr::BROADCAST => Ok(()),
        // Neighbour discovery is multicast; the IPv6 destination is looked at later.
        ethernet::IPV6 if destination.0[..2] == [0x33, 0x33] => Ok(()),
        ethernet::ARP | ethernet::IPV4 | ethernet::IPV6 if destination.is_multicast() => {
            Err(Verdict::Drop(DropReason::L2Group))
        }
        ethernet::ARP | ethernet::IPV4 | ethernet::IPV6 => Err(Verdict::Drop(DropReason::NotForUs)),
        _ => Err(UNKNOWN_ETHERTYPE),
    }
}

/// The addresses and protocol of a packet as they stand in its IP header, without ports: what an ICMP error is to a
/// router that knows no session for what it quotes.
pub fn outer_key(frame: &[u8], meta: &Meta) -> FlowKey {
    let at = usize::from(meta.l3);
    let mut key = FlowKey { family: meta.key.family, vrf: meta.key.vrf, ..FlowKey::default() };
    match meta.key.family {
        Family::Ipv4 => {
            if let Some(header) = wire::at::<ipv4_wire::Ipv4Header>(frame, at) {
                key.source[0] = u32::from_be_bytes(header.source);
                key.destination[0] = u32::from_be_bytes(header.destination);
                key.protocol = protocol::ICMP;
            }
        }
        Family::Ipv6 => {
            if let Some(header) = wire::at::<ipv6_wire::Ipv6Header>(frame, at) {
                key.source = words(&header.source);
                key.destination = words(&header.destination);
                key.protocol = protocol::ICMPV6;
            }
        }
    }
    key
}

/// An IPv6 address as words.
#[inline]
fn words(address: &[u8; 16]) -> [u32; 4] {
    std::array::from_fn(|at| {
        u32::from_be_bytes([
            address[4 * at],
            address[4 * at + 1],
            address[4 * at + 2],
            address[4 * at + 3],
        ])
    })
}

/// Cuts off what follows the IP packet: padding is never passed on.
#[inline]
fn trim(packet: &mut Mbuf, meta: &Meta) {
    let end = usize::from(meta.l3) + usize::from(meta.ip_length);
    if packet.len() > end {
        packet.truncate(end);
    }
}

/// Reads the ports of a packet that has some, and checks the header of a TCP segment or UDP datagram against the octets
/// that follow the IP header.
#[inline]
fn transport(
    l4: &[u8],
    payload: usize,
    protocol: u8,
    key: &mut FlowKey,
    detail: &mut u8,
) -> Result<(), Verdict> {
    let head = l4.first_chunk::<4>().ok_or(TOO_SHORT)?;
    key.source_port = u16::from_be_bytes([head[0], head[1]]);
    key.destination_port = u16::from_be_bytes([head[2], head[3]]);
    if protocol == protocol::UDP {
        let datagram = l4.first_chunk::<8>().ok_or(TOO_SHORT)?;
        let length = usize::from(u16::from_be_bytes([datagram[4], datagram[5]]));
        if length < 8 || length > payload {
            return Err(Verdict::Drop(DropReason::TransportBadHeader));
        }
        return Ok(());
    }
    if protocol != protocol::TCP {
        return Ok(());
    }
    let segment = l4.first_chunk::<20>().ok_or(TOO_SHORT)?;
    let data_offset = usize::from(segment[12] >> 4) * 4;
    if data_offset < 20 || data_offset > payload {
        return Err(Verdict::Drop(DropReason::TransportBadHeader));
    }
    *detail = segment[13];
    if !crate::session::tcp::flags_valid(segment[13]) {
        return Err(Verdict::Drop(DropReason::TcpBadFlags));
    }
    Ok(())
}

/// Octets that hold the headers of any packet: Ethernet, a tag, IPv4 or IPv6 with options, TCP with options.
const HEADERS: usize = 192;

const TOO_SHORT: Verdict = Verdict::Drop(DropReason::TooShort);
const UNKNOWN_ETHERTYPE: Verdict = Verdict::Drop(DropReason::UnknownEthertype);
