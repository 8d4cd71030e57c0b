//! ARP for IPv4 over Ethernet (RFC 826): packets read, written and answered.

#[cfg(test)]
mod tests;

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::wire;
use crate::wire::ethernet::{self, Link, MacAddr};
use crate::wire::ipv4;

/// Octets of an ARP packet for IPv4 over Ethernet.
pub const LENGTH: usize = size_of::<ArpPacket>();
/// Who has the target address?
pub const REQUEST: u16 = 1;
/// The sender has its address.
pub const REPLY: u16 = 2;

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ArpPacket {
    /// Hardware type: 1 for Ethernet.
    pub hardware: U16,
    /// Protocol type: the EtherType of IPv4.
    pub protocol: U16,
    /// Octets of a hardware address: 6.
    pub hardware_len: u8,
    /// Octets of a protocol address: 4.
    pub protocol_len: u8,
    /// [`REQUEST`] or [`REPLY`].
    pub operation: U16,
    /// The sender's MAC address.
    pub sender_mac: MacAddr,
    /// The sender's IPv4 address; 0.0.0.0 in a probe (RFC 5227).
    pub sender: [u8; 4],
    /// The target's MAC address; without meaning in a request.
    pub target_mac: MacAddr,
    /// The target's IPv4 address.
    pub target: [u8; 4],
}

impl ArpPacket {
    /// A packet of ours.
    fn new(operation: u16, sender: (MacAddr, [u8; 4]), target: (MacAddr, [u8; 4])) -> Self {
        Self {
            hardware: ETHERNET.into(),
            protocol: ethernet::IPV4.into(),
            hardware_len: 6,
            protocol_len: 4,
            operation: operation.into(),
            sender_mac: sender.0,
            sender: sender.1,
            target_mac: target.0,
            target: target.1,
        }
    }

    /// Whether this announces the sender's own address.
    pub fn is_gratuitous(&self) -> bool {
        self.sender == self.target
    }

    /// Whether this only asks if somebody uses the target address; it has no sender to learn.
    pub fn is_probe(&self) -> bool {
        self.sender == [0; 4]
    }

    fn is_valid(&self) -> bool {
        let operation = self.operation.get();
        self.hardware.get() == ETHERNET
            && self.protocol.get() == ethernet::IPV4
            && (self.hardware_len, self.protocol_len) == (6, 4)
            && (operation == REQUEST || operation == REPLY)
            && self.sender_mac.is_unicast()
            && (ipv4::address::may_send(self.sender) || self.is_probe() && operation == REQUEST)
            && (ipv4::address::may_send(self.target) || operation == REPLY)
    }
}

/// Reads what follows the Ethernet header of an ARP frame.
///
/// `None` for what is no request or reply for IPv4 over Ethernet, and for senders and wanted
/// targets that no one host can be.
pub fn parse(payload: &[u8]) -> Option<&ArpPacket> {
    wire::at::<ArpPacket>(payload, 0).filter(|packet| packet.is_valid())
}

/// Writes the request for `target` to `link.destination`: the broadcast address, or a neighbor to
/// see if it lives.
///
/// Returns the length of the frame; `None` when there is no room.
pub fn request(link: Link, sender: [u8; 4], target: [u8; 4], out: &mut [u8]) -> Option<usize> {
    let l3 = link.write(out, ethernet::ARP)?;
    let packet = ArpPacket::new(REQUEST, (link.source, sender), (MacAddr::ZERO, target));
    *wire::at_mut(out, l3)? = packet;
    ethernet::pad(out, l3 + LENGTH)
}

/// Writes the announcement of an address of ours (RFC 5227 3), a request for itself, to everybody
/// on the link.
///
/// Returns the length of the frame; `None` when there is no room.
pub fn announcement(source: MacAddr, vlan: u16, address: [u8; 4], out: &mut [u8]) -> Option<usize> {
    request(Link { destination: MacAddr::BROADCAST, source, vlan }, address, address, out)
}

/// Turns a request into the reply that `mac` has the target address.
///
/// Returns the length of the reply without padding; `None`, and the frame as it was, if it is no
/// request.
pub fn reply(frame: &mut [u8], mac: MacAddr) -> Option<usize> {
    let request = *parse(wire::network(frame, ethernet::ARP)?)?;
    if request.operation.get() != REQUEST {
        return None;
    }
    let link = Link { destination: request.sender_mac, source: mac, vlan: 0 };
    let l3 = link.write_back(frame)?;
    let sender = (mac, request.target);
    *wire::at_mut(frame, l3)? = ArpPacket::new(REPLY, sender, (request.sender_mac, request.sender));
    Some(l3 + LENGTH)
}

/// The hardware type of Ethernet.
const ETHERNET: u16 = 1;
