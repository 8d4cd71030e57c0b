//! ARP and neighbour discovery as they arrive: questions about the VNF's addresses are answered on the spot, and what
//! neighbours say of themselves goes to management.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dpdk_bindings::mbuf::Mbuf;

use crate::engine::ids::{InterfaceId, PortId};
use crate::engine::interfaces::Interface;
use crate::engine::message::{Claim, Event, Sighting, Word};
use crate::engine::tables::Tables;
use crate::engine::verdict::DropReason;
use crate::wire::ethernet::{self, Layer2, MacAddr};
use crate::wire::ipv6::address::UNSPECIFIED;
use crate::wire::{self, arp, nd};

/// What an ARP or ND message comes to.
pub struct Outcome {
    /// How the frame ends.
    pub end: End,
    /// What management hears of it.
    pub news: Option<Event>,
}

/// How the frame of an ARP or ND message ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The frame now is the answer.
    Answered,
    /// It is not to be believed.
    Dropped(DropReason),
    /// It asks nothing of us.
    Heard,
    /// Likewise, but the kernel, which asks for itself, wants to hear it too.
    Mirrored(InterfaceId),
}

/// Reads an ARP or ND message and turns a question about one of our addresses into the answer.
pub fn answer(packet: &mut Mbuf, port: PortId, tables: &Tables) -> Outcome {
    let dropped = |reason| Outcome { end: End::Dropped(reason), news: None };
    let length = packet.len();
    let Some(layer2) = packet.contiguous(length).and_then(|frame| Layer2::parse(frame)) else {
        return dropped(DropReason::TooShort);
    };
    let Some(interface) = tables.interfaces.arrival(port, layer2.vlan) else {
        return dropped(DropReason::UnknownEthertype);
    };
    let (invalid, outcome) = match layer2.ether_type {
        ethernet::ARP => (DropReason::ArpInvalid, answer_arp(packet, interface, tables)),
        _ => (DropReason::NdInvalid, answer_nd(packet, interface, tables)),
    };
    outcome.unwrap_or_else(|| dropped(invalid))
}

fn answer_arp(packet: &mut Mbuf, interface: &Interface, tables: &Tables) -> Option<Outcome> {
    let frame = packet.data_mut();
    let message = wire::network(frame, ethernet::ARP).and_then(arp::parse);
    let message = *message?;
    let (sender, target) = (Ipv4Addr::from(message.sender), Ipv4Addr::from(message.target));
    let is_ours = |address: Ipv4Addr| {
        interface.owns(address.into())
            || interface.vrf == tables.nat.external_vrf()
                && interface.on_link(address.into())
                && tables.nat.is_external(u32::from(address))
    };
    if !message.is_probe() && is_ours(sender) {
        return Some(claimed(interface, sender.into(), message.sender_mac, DropReason::ArpInvalid));
    }
    let (ours, is_reply) = (is_ours(target), message.operation.get() == arp::REPLY);
    // RFC 826: an entry is made for whoever talks to us, and only refreshed for others.
    let word = match (ours, is_reply) {
        (true, true) => Some(Word::Told { solicited: true, overrides: true }),
        (true, false) => Some(Word::Asked),
        (false, _) if message.is_gratuitous() => {
            Some(Word::Told { solicited: false, overrides: true })
        }
        (false, _) => None,
    };
    let news =
        word.and_then(|word| sighting(interface, sender.into(), message.sender_mac, word, tables));
    let answered = ours && !is_reply;
    if answered {
        let length = arp::reply(frame, interface.mac)?;
        packet.truncate(length);
    }
    let end = match answered {
        true => End::Answered,
        false if is_reply || message.is_gratuitous() => heard_by_all(interface),
        false => End::Heard,
    };
    Some(Outcome { end, news })
}

fn answer_nd(packet: &mut Mbuf, interface: &Interface, tables: &Tables) -> Option<Outcome> {
    let heard = |news| Some(Outcome { end: End::Heard, news });
    let mirrored = |news| Some(Outcome { end: heard_by_all(interface), news });
    let octets = wire::network(packet.data(), ethernet::IPV6)?;
    match nd::parse_router(octets) {
        // A daemon on the box may answer; other routers' words are for hosts.
        Some(nd::RouterMessage::Solicitation) => return mirrored(None),
        Some(nd::RouterMessage::Advertisement) => return heard(None),
        None => {}
    }
    match nd::parse(octets)? {
        nd::Message::Solicitation { source, source_mac, target } => {
            let own = IpAddr::from(Ipv6Addr::from(target));
            if !interface.owns(own) {
                return mirrored(None); // it may be for an address of the kernel's own
            }
            if !interface.may_use(own) {
                // RFC 4862 5.4.3: who asks without an address wants this one too.
                let rival = sender_of(packet.data()).filter(|_| source == UNSPECIFIED);
                let claim = rival.map(|mac| claim(interface, own, mac));
                return heard(claim);
            }
            let mut reply = [0; 128];
            let length = nd::answer(packet.data(), interface.mac, &mut reply)?;
            let missing = length.saturating_sub(packet.len());
            if missing > 0 {
                packet.extend(missing)?;
            }
            packet.truncate(length);
            packet.contiguous(length)?.copy_from_slice(&reply[..length]);
            let source = IpAddr::from(Ipv6Addr::from(source));
            let news =
                source_mac.and_then(|mac| sighting(interface, source, mac, Word::Asked, tables));
            Some(Outcome { end: End::Answered, news })
        }
        nd::Message::Advertisement { target, target_mac, solicited, overrides, .. } => {
            let target = IpAddr::from(Ipv6Addr::from(target));
            if interface.owns(target) {
                let mac = target_mac.or_else(|| sender_of(packet.data()))?;
                return Some(claimed(interface, target, mac, DropReason::NdInvalid));
            }
            // Who was asked by unicast need not say again where it is (RFC 4861 4.4).
            let known = tables.neighbors.find(interface.id, target);
            let known = known.and_then(|id| tables.neighbors.next_hop(id)).map(|hop| hop.mac());
            let word = Word::Told { solicited, overrides };
            let mac = target_mac.or(known.filter(|_| solicited));
            mirrored(mac.and_then(|mac| sighting(interface, target, mac, word, tables)))
        }
    }
}

/// The end of what the kernel wants to hear too, if it has a tap here.
fn heard_by_all(interface: &Interface) -> End {
    if interface.linux.is_some() { End::Mirrored(interface.id) } else { End::Heard }
}

/// A frame that somebody else sent in the name of one of our addresses.
fn claimed(interface: &Interface, address: IpAddr, mac: MacAddr, reason: DropReason) -> Outcome {
    Outcome { end: End::Dropped(reason), news: Some(claim(interface, address, mac)) }
}

fn claim(interface: &Interface, address: IpAddr, mac: MacAddr) -> Event {
    Event::AddressClaimed(Claim { interface: interface.id, address, mac })
}

fn sender_of(frame: &[u8]) -> Option<MacAddr> {
    wire::at::<ethernet::EthernetHeader>(frame, 0).map(|header| header.source)
}

/// What is learned when a neighbour names itself: nothing for addresses off the link or ours, impossible MAC addresses, and
/// what is known and needs no confirmation.
fn sighting(
    interface: &Interface,
    address: IpAddr,
    mac: MacAddr,
    word: Word,
    tables: &Tables,
) -> Option<Event> {
    let plausible = interface.on_link(address) && !interface.owns(address) && mac.is_unicast();
    let known = tables.neighbors.find(interface.id, address);
    let known = known.and_then(|id| tables.neighbors.next_hop(id));
    let old = known.is_some_and(|known| known.resolved && known.mac() == mac)
        && !matches!(word, Word::Told { solicited: true, .. });
    let sighting = Sighting { interface: interface.id, address, mac, word };
    (plausible && !old).then_some(Event::NeighborSeen(sighting))
}
