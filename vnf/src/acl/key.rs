//! What the packet filter sees of a packet.

use zerocopy::{Immutable, IntoBytes};

/// What a packet carries above IP, as far as rules can ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Upper {
    /// The type of an ICMP or ICMPv6 message.
    Icmp(u8),
    /// Nothing that rules ask for: a protocol without ports, or a later fragment of an unknown datagram.
    None,
    /// The ports of a TCP, UDP, SCTP, DCCP or UDP-Lite packet.
    Ports {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
}

/// The addresses, protocol, ports and ICMP type of a packet, laid out for the classifier to read in place.
#[derive(Clone, Copy, Debug, Eq, Immutable, IntoBytes, PartialEq)]
#[repr(C)]
pub struct AclKey {
    pub(super) protocol: u8,
    pub(super) version: u8,
    unused: [u8; 2],
    /// Network order; an IPv4 address stands in the first four octets.
    pub(super) source: [u8; 16],
    pub(super) destination: [u8; 16],
    /// Network order. An ICMP message has its type plus one in place of the source port and zero in that of the
    /// destination; both zero: unknown.
    pub(super) source_port: [u8; 2],
    pub(super) destination_port: [u8; 2],
}

impl AclKey {
    /// The key of an IPv4 packet; addresses in host order.
    #[inline]
    pub fn ipv4(source: u32, destination: u32, protocol: u8, upper: Upper) -> Self {
        let octets = |address: u32| u128::from(address).rotate_right(32).to_be_bytes();
        Self::new(4, octets(source), octets(destination), protocol, upper)
    }

    /// The key of an IPv6 packet; addresses as numbers.
    #[inline]
    pub fn ipv6(source: u128, destination: u128, protocol: u8, upper: Upper) -> Self {
        Self::new(6, source.to_be_bytes(), destination.to_be_bytes(), protocol, upper)
    }

    #[inline]
    fn new(
        version: u8,
        source: [u8; 16],
        destination: [u8; 16],
        protocol: u8,
        upper: Upper,
    ) -> Self {
        let (source_port, destination_port) = match upper {
            Upper::Icmp(icmp_type) => (icmp_port(icmp_type), 0),
            Upper::None => (0, 0),
            Upper::Ports { source, destination } => (source, destination),
        };
        Self {
            protocol,
            version,
            unused: [0; 2],
            source,
            destination,
            source_port: source_port.to_be_bytes(),
            destination_port: destination_port.to_be_bytes(),
        }
    }
}

/// What stands for an ICMP type in place of the source port.
#[inline]
pub(super) fn icmp_port(icmp_type: u8) -> u16 {
    u16::from(icmp_type) + 1
}
