//! What TCP, UDP, SCTP and DCCP have in common: ports in the first four octets.

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::wire::{icmp, protocol, tcp, udp};

/// The ports at the start of a transport header.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Ports {
    /// The sender's port.
    pub source: U16,
    /// The receiver's port.
    pub destination: U16,
}

/// Whether the header of this protocol starts with ports.
#[inline]
pub const fn has_ports(protocol: u8) -> bool {
    matches!(
        protocol,
        protocol::TCP | protocol::UDP | protocol::DCCP | protocol::SCTP | protocol::UDP_LITE
    )
}

/// Where the Internet checksum lies in a transport header; `None` where there is none.
#[inline]
pub const fn checksum_offset(protocol: u8) -> Option<usize> {
    match protocol {
        protocol::ICMP | protocol::ICMPV6 => Some(icmp::CHECKSUM),
        protocol::TCP => Some(tcp::CHECKSUM),
        // DCCP and UDP-Lite keep it where UDP does, and always cover pseudo-header and header.
        protocol::UDP | protocol::DCCP | protocol::UDP_LITE => Some(udp::CHECKSUM),
        _ => None,
    }
}
