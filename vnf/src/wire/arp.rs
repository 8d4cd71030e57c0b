//! ARP for IPv4 over Ethernet (RFC 826).

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::wire::ethernet::MacAddr;

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
    /// The sender's IPv4 address.
    pub sender: [u8; 4],
    /// The target's MAC address; without meaning in a request.
    pub target_mac: MacAddr,
    /// The target's IPv4 address.
    pub target: [u8; 4],
}
