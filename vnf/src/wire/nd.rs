//! Neighbor discovery for IPv6 (RFC 4861): solicitations and advertisements read, written and
//! answered.

#[cfg(test)]
mod tests;

use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::wire;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{self, Link, MacAddr};
use crate::wire::icmp::v6;
use crate::wire::ipv6::{self, Ipv6Header, address};
use crate::wire::protocol;

/// A neighbor solicitation or advertisement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message {
    /// Who has the target address?
    Solicitation {
        /// Who asks; `::` while it looks whether somebody else has the target address (RFC 4862).
        source: [u8; 16],
        /// The asker's MAC address, if it says so.
        source_mac: Option<MacAddr>,
        /// The address asked for.
        target: [u8; 16],
    },
    /// The target address is here.
    Advertisement {
        /// The address that is here.
        target: [u8; 16],
        /// Its MAC address; may be left out in the answer to a solicitation by unicast.
        target_mac: Option<MacAddr>,
        /// Whether it is a router.
        router: bool,
        /// Whether it answers a solicitation.
        solicited: bool,
        /// Whether the MAC address replaces one already known.
        overrides: bool,
    },
}

/// Reads an IPv6 packet, validated as RFC 4861 7.1 says; `None` for all that is no such message.
pub fn parse(packet: &[u8]) -> Option<Message> {
    let (header, packet) = ipv6::packet(packet)?;
    let bytes = packet.get(ipv6::HEADER..)?;
    let message: &NeighborMessage = wire::at(bytes, 0)?;
    let is_valid = header.next_header == protocol::ICMPV6 // a fragmented one is ignored (RFC 6980)
        && header.hop_limit == HOP_LIMIT
        && message.code == 0
        && !address::is_multicast(message.target)
        && !address::is_multicast(header.source)
        && ipv6::checksum_is_valid(header, protocol::ICMPV6, bytes);
    if !is_valid {
        return None;
    }
    let to_many = address::is_multicast(header.destination);
    let target = message.target;
    match message.kind {
        v6::NEIGHBOR_SOLICITATION => {
            let source_mac = link_layer_address(bytes, SOURCE_LINK_LAYER)?;
            let anonymous = header.source == address::UNSPECIFIED;
            let to_group = header.destination == address::solicited_node(target);
            if anonymous && (source_mac.is_some() || !to_group) {
                return None;
            }
            Some(Message::Solicitation { source: header.source, source_mac, target })
        }
        v6::NEIGHBOR_ADVERTISEMENT => {
            let target_mac = link_layer_address(bytes, TARGET_LINK_LAYER)?;
            let flags = message.flags.get();
            let solicited = flags & SOLICITED != 0;
            if solicited && to_many || header.source == address::UNSPECIFIED {
                return None;
            }
            Some(Message::Advertisement {
                target,
                target_mac,
                router: flags & ROUTER != 0,
                solicited,
                overrides: flags & OVERRIDE != 0,
            })
        }
        _ => None,
    }
}

/// What hosts and routers say to each other of routers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RouterMessage {
    /// A router tells of itself.
    Advertisement,
    /// A host asks for routers.
    Solicitation,
}

/// Reads an IPv6 packet, validated as RFC 4861 6.1 says; `None` for all that is no such message.
pub fn parse_router(packet: &[u8]) -> Option<RouterMessage> {
    let (header, packet) = ipv6::packet(packet)?;
    let bytes = packet.get(ipv6::HEADER..)?;
    let (message, least) = match *bytes.first()? {
        v6::ROUTER_SOLICITATION => (RouterMessage::Solicitation, 8),
        v6::ROUTER_ADVERTISEMENT => (RouterMessage::Advertisement, 16),
        _ => return None,
    };
    let source_mac = option(bytes.get(least..)?, SOURCE_LINK_LAYER)?;
    let sender = match message {
        RouterMessage::Advertisement => address::is_link_local(header.source),
        RouterMessage::Solicitation if header.source == address::UNSPECIFIED => {
            source_mac.is_none()
        }
        RouterMessage::Solicitation => !address::is_multicast(header.source),
    };
    let is_valid = sender
        && header.next_header == protocol::ICMPV6
        && header.hop_limit == HOP_LIMIT
        && bytes.get(1) == Some(&0)
        && ipv6::checksum_is_valid(header, protocol::ICMPV6, bytes);
    is_valid.then_some(message)
}

/// Writes the solicitation for `target`: to its group, or to the neighbor whose MAC address is
/// known, to see if it lives.
///
/// Returns the length of the frame; `None` when there is no room.
pub fn solicitation(
    (mac, vlan): (MacAddr, u16),
    source: [u8; 16],
    target: [u8; 16],
    neighbor: Option<MacAddr>,
    out: &mut [u8],
) -> Option<usize> {
    let group = address::solicited_node(target);
    let destination = if neighbor.is_some() { target } else { group };
    let link = Link { destination: neighbor.unwrap_or(group_mac(group)), source: mac, vlan };
    let message = Written::new(v6::NEIGHBOR_SOLICITATION, 0, target, mac);
    write(link, source, destination, message, size_of::<Written>(), out)
}

/// Writes the question whether somebody else has an address that is to become ours (RFC 4862 5.4.2).
///
/// Returns the length of the frame; `None` when there is no room.
pub fn probe((mac, vlan): (MacAddr, u16), target: [u8; 16], out: &mut [u8]) -> Option<usize> {
    let group = address::solicited_node(target);
    let link = Link { destination: group_mac(group), source: mac, vlan };
    let message = Written::new(v6::NEIGHBOR_SOLICITATION, 0, target, mac);
    // Without the option that would tell where to answer.
    write(link, address::UNSPECIFIED, group, message, size_of::<NeighborMessage>(), out)
}

/// Writes the unsolicited advertisement of an address of ours to all nodes on the link.
///
/// Returns the length of the frame; `None` when there is no room.
pub fn announcement(
    (mac, vlan): (MacAddr, u16),
    target: [u8; 16],
    out: &mut [u8],
) -> Option<usize> {
    let link = Link { destination: group_mac(address::ALL_NODES), source: mac, vlan };
    let flags = ROUTER | OVERRIDE;
    let message = Written::new(v6::NEIGHBOR_ADVERTISEMENT, flags, target, mac);
    write(link, target, address::ALL_NODES, message, size_of::<Written>(), out)
}

/// Writes the advertisement that answers a frame with a solicitation: `mac` has its target.
///
/// Not in place, because the answer may be longer than the question. Returns the length of the
/// frame; `None` when there is no room, or if the frame is no solicitation.
pub fn answer(frame: &[u8], mac: MacAddr, out: &mut [u8]) -> Option<usize> {
    let packet = wire::network(frame, ethernet::IPV6)?;
    let Some(Message::Solicitation { source, source_mac, target }) = parse(packet) else {
        return None;
    };
    let asker: &ethernet::EthernetHeader = wire::at(frame, 0)?;
    let vlan = ethernet::Layer2::parse(frame)?.vlan;
    // RFC 4861 7.2.4: whoever asks without an address hears the answer with all others.
    let (destination, to, solicited) = if source == address::UNSPECIFIED {
        (address::ALL_NODES, group_mac(address::ALL_NODES), 0)
    } else {
        let mac = source_mac.unwrap_or(asker.source);
        (source, Some(mac).filter(|mac| mac.is_unicast())?, SOLICITED)
    };
    let link = Link { destination: to, source: mac, vlan };
    let flags = ROUTER | OVERRIDE | solicited;
    let message = Written::new(v6::NEIGHBOR_ADVERTISEMENT, flags, target, mac);
    write(link, target, destination, message, size_of::<Written>(), out)
}

/// The MAC address of an IPv6 group (RFC 2464 7).
pub const fn group_mac(group: [u8; 16]) -> MacAddr {
    let [.., a, b, c, d] = group;
    MacAddr([0x33, 0x33, a, b, c, d])
}

/// A solicitation or advertisement without options.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct NeighborMessage {
    kind: u8,
    code: u8,
    checksum: U16,
    flags: U32,
    target: [u8; 16],
}

/// One of ours, with the one option that it has.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Written {
    message: NeighborMessage,
    option: u8,
    option_words: u8,
    mac: MacAddr,
}

impl Written {
    fn new(kind: u8, flags: u32, target: [u8; 16], mac: MacAddr) -> Self {
        let option = match kind {
            v6::NEIGHBOR_SOLICITATION => SOURCE_LINK_LAYER,
            _ => TARGET_LINK_LAYER,
        };
        let message =
            NeighborMessage { kind, code: 0, checksum: 0.into(), flags: flags.into(), target };
        Self { message, option, option_words: 1, mac }
    }
}

fn write(
    link: Link,
    source: [u8; 16],
    destination: [u8; 16],
    mut message: Written,
    length: usize,
    out: &mut [u8],
) -> Option<usize> {
    let pseudo = Sum::ipv6_pseudo(source, destination, protocol::ICMPV6, length as u32);
    let checksum = pseudo.bytes(message.as_bytes().get(..length)?).checksum();
    message.message.checksum = checksum.into();
    let l3 = link.write(out, ethernet::IPV6)?;
    *wire::at_mut(out, l3)? = Ipv6Header {
        version_class_label: (6 << 28).into(),
        payload_length: (length as u16).into(),
        next_header: protocol::ICMPV6,
        hop_limit: HOP_LIMIT,
        source,
        destination,
    };
    let l4 = l3 + ipv6::HEADER;
    out.get_mut(l4..l4 + length)?.copy_from_slice(message.as_bytes().get(..length)?);
    Some(l4 + length)
}

/// The address in the option of this kind; the outer `None` if any option has an impossible length,
/// or if a group or no address is given (RFC 4861 4.6).
fn link_layer_address(bytes: &[u8], wanted: u8) -> Option<Option<MacAddr>> {
    option(bytes.get(size_of::<NeighborMessage>()..)?, wanted)
}

/// The same among these options.
fn option(mut options: &[u8], wanted: u8) -> Option<Option<MacAddr>> {
    let mut found = None;
    while let Some((&kind, rest)) = options.split_first() {
        let length = usize::from(*rest.first()?) * 8;
        if length == 0 {
            return None;
        }
        let (octets, rest) = options.split_at_checked(length)?;
        if kind == wanted && found.is_none() {
            found = Some(*wire::at::<MacAddr>(octets, 2)?).filter(|mac| mac.is_unicast());
            found?;
        }
        options = rest;
    }
    Some(found)
}

/// What says that no router has passed the message on.
const HOP_LIMIT: u8 = 255;

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

const ROUTER: u32 = 1 << 31;
const SOLICITED: u32 = 1 << 30;
const OVERRIDE: u32 = 1 << 29;
