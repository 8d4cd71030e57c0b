//! ARP and neighbour discovery as they arrive: questions about the VNF's addresses are answered on the spot, and what
//! neighbours say of themselves goes to management.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dpdk_bindings::mbuf::Mbuf;

use crate::engine::ids::PortId;
use crate::engine::interfaces::Interface;
use crate::engine::message::Sighting;
use crate::engine::tables::Tables;
use crate::engine::verdict::DropReason;
use crate::wire::ethernet::{self, Layer2, MacAddr};
use crate::wire::{self, arp, nd};

/// What an ARP or ND message comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The frame now is the answer.
    pub answered: bool,
    /// What was learned of a neighbour.
    pub sighting: Option<Sighting>,
}

/// Reads an ARP or ND message and turns a question about one of our addresses into the answer.
///
/// # Errors
/// The reason why it is dropped.
pub fn answer(packet: &mut Mbuf, port: PortId, tables: &Tables) -> Result<Outcome, DropReason> {
    let length = packet.len();
    let frame = packet.contiguous(length).ok_or(DropReason::TooShort)?;
    let layer2 = Layer2::parse(frame).ok_or(DropReason::TooShort)?;
    let interface = tables.interfaces.arrival(port, layer2.vlan);
    let interface = interface.ok_or(DropReason::UnknownEthertype)?;
    match layer2.ether_type {
        ethernet::ARP => answer_arp(packet, interface, tables),
        _ => answer_nd(packet, interface),
    }
}

fn answer_arp(
    packet: &mut Mbuf,
    interface: &Interface,
    tables: &Tables,
) -> Result<Outcome, DropReason> {
    let frame = packet.data_mut();
    let message = wire::network(frame, ethernet::ARP).and_then(arp::parse);
    let message = *message.ok_or(DropReason::ArpInvalid)?;
    let (sender, target) = (Ipv4Addr::from(message.sender), Ipv4Addr::from(message.target));
    let is_reply = message.operation.get() == arp::REPLY;
    let sighting = sighting(interface, sender.into(), message.sender_mac, is_reply);
    if !message.is_probe() && interface.owns(sender.into()) {
        return Err(DropReason::ArpInvalid); // somebody else claims our address
    }
    let ours = interface.owns(target.into())
        || interface.on_link(target.into()) && tables.nat.is_external(u32::from(target));
    let answered = ours
        && !is_reply
        && match arp::reply(frame, interface.mac) {
            Some(length) => {
                packet.truncate(length);
                true
            }
            None => false,
        };
    // RFC 826: an entry is made for whoever talks to us, and only refreshed for others.
    let sighting = sighting.filter(|_| ours || message.is_gratuitous());
    Ok(Outcome { answered, sighting })
}

fn answer_nd(packet: &mut Mbuf, interface: &Interface) -> Result<Outcome, DropReason> {
    let message = wire::network(packet.data(), ethernet::IPV6).and_then(nd::parse);
    match message.ok_or(DropReason::NdInvalid)? {
        nd::Message::Solicitation { source, source_mac, target } => {
            let source = IpAddr::from(Ipv6Addr::from(source));
            let seen = source_mac.and_then(|mac| sighting(interface, source, mac, false));
            if !interface.owns(Ipv6Addr::from(target).into()) {
                return Ok(Outcome { answered: false, sighting: None });
            }
            let mut reply = [0; 128];
            let length = nd::answer(packet.data(), interface.mac, &mut reply);
            let length = length.ok_or(DropReason::NdInvalid)?;
            let missing = length.saturating_sub(packet.len());
            if missing > 0 {
                packet.extend(missing).ok_or(DropReason::NdInvalid)?;
            }
            packet.truncate(length);
            let frame = packet.contiguous(length).ok_or(DropReason::NdInvalid)?;
            frame.copy_from_slice(&reply[..length]);
            Ok(Outcome { answered: true, sighting: seen })
        }
        nd::Message::Advertisement { target, target_mac, solicited, .. } => {
            let target = IpAddr::from(Ipv6Addr::from(target));
            if interface.owns(target) {
                return Err(DropReason::NdInvalid);
            }
            let seen = target_mac.and_then(|mac| sighting(interface, target, mac, solicited));
            Ok(Outcome { answered: false, sighting: seen })
        }
    }
}

/// What is learned when a neighbour names itself: nothing for addresses off the link or ours, or impossible MACs.
fn sighting(
    interface: &Interface,
    address: IpAddr,
    mac: MacAddr,
    solicited: bool,
) -> Option<Sighting> {
    let plausible = interface.on_link(address) && !interface.owns(address) && mac.is_unicast();
    plausible.then_some(Sighting { interface: interface.id, address, mac, solicited })
}
