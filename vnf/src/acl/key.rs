//! What the packet filter sees of a packet.

use zerocopy::{Immutable, IntoBytes};

use crate::engine::meta::{Family, FlowKey};

/// What a packet carries above IP, as far as rules can ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Upper {
    /// An ICMP or ICMPv6 message.
    Icmp {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
    },
    /// Nothing that rules ask for: a protocol without ports, or a later fragment of an unknown datagram.
    None,
    /// The ports of a UDP, SCTP, DCCP or UDP-Lite packet.
    Ports {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// A TCP segment.
    Tcp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// Its flags, as in the header.
        flags: u8,
    },
}

/// The addresses, protocol, ports, ICMP type and code, TCP flags and VLAN of a packet, laid out for the classifier to read
/// in place.
#[derive(Clone, Copy, Debug, Eq, Immutable, IntoBytes, PartialEq)]
#[repr(C)]
pub struct AclKey {
    pub(super) protocol: u8,
    pub(super) version: u8,
    unused: [u8; 2],
    /// Network order; an IPv4 address stands in the first four octets.
    pub(super) source: [u8; 16],
    pub(super) destination: [u8; 16],
    /// Network order. An ICMP message has its type plus one in place of the source port and its code plus one in that of
    /// the destination; both zero: unknown.
    pub(super) source_port: [u8; 2],
    pub(super) destination_port: [u8; 2],
    /// [`FLAGS_KNOWN`] and the flags, or zero.
    pub(super) tcp_flags: [u8; 2],
    /// Network order; zero: untagged.
    pub(super) vlan: [u8; 2],
}

impl AclKey {
    /// The key of a packet of this flow that came in by this VLAN; 0: untagged.
    pub fn of(key: &FlowKey, upper: Upper, vlan: u16) -> Self {
        let (source, destination) = (&key.source, &key.destination);
        let number = |words: &[u32; 4]| words.iter().fold(0, |n, word| n << 32 | u128::from(*word));
        let untagged = match key.family {
            Family::Ipv4 => Self::ipv4(source[0], destination[0], key.protocol, upper),
            Family::Ipv6 => Self::ipv6(number(source), number(destination), key.protocol, upper),
        };
        untagged.by_vlan(vlan)
    }

    /// The key of an untagged IPv4 packet; addresses in host order.
    #[inline]
    pub fn ipv4(source: u32, destination: u32, protocol: u8, upper: Upper) -> Self {
        let octets = |address: u32| u128::from(address).rotate_right(32).to_be_bytes();
        Self::new(4, octets(source), octets(destination), protocol, upper)
    }

    /// The key of an untagged IPv6 packet; addresses as numbers.
    #[inline]
    pub fn ipv6(source: u128, destination: u128, protocol: u8, upper: Upper) -> Self {
        Self::new(6, source.to_be_bytes(), destination.to_be_bytes(), protocol, upper)
    }

    /// The key of the same packet, come in by this VLAN; 0: untagged.
    #[inline]
    #[must_use]
    pub fn by_vlan(self, vlan: u16) -> Self {
        Self { vlan: vlan.to_be_bytes(), ..self }
    }

    #[inline]
    fn new(
        version: u8,
        source: [u8; 16],
        destination: [u8; 16],
        protocol: u8,
        upper: Upper,
    ) -> Self {
        let mut tcp_flags = 0;
        let (source_port, destination_port) = match upper {
            Upper::Icmp { kind, code } => (icmp_port(kind), icmp_port(code)),
            Upper::None => (0, 0),
            Upper::Ports { source, destination } => (source, destination),
            Upper::Tcp { source, destination, flags } => {
                tcp_flags = FLAGS_KNOWN | u16::from(flags);
                (source, destination)
            }
        };
        Self {
            protocol,
            version,
            unused: [0; 2],
            source,
            destination,
            source_port: source_port.to_be_bytes(),
            destination_port: destination_port.to_be_bytes(),
            tcp_flags: tcp_flags.to_be_bytes(),
            vlan: [0; 2],
        }
    }
}

/// What stands for an ICMP type or code in place of a port.
#[inline]
pub(super) fn icmp_port(number: u8) -> u16 {
    u16::from(number) + 1
}

/// Set where the flags of a TCP segment are known.
pub(super) const FLAGS_KNOWN: u16 = 0x0100;
