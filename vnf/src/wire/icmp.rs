//! ICMP (RFC 792) and ICMPv6 (RFC 4443) headers and types.

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::wire::checksum::Sum;

/// Octets of an ICMP header, its second word included.
pub const HEADER: usize = size_of::<IcmpHeader>();
/// Offset of the checksum in an ICMP header.
pub const CHECKSUM: usize = 2;
/// Offset of the query id in an ICMP header.
pub const ID: usize = 4;

/// The header of an ICMP or ICMPv6 message.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct IcmpHeader {
    /// What kind of message.
    pub kind: u8,
    /// Which one of its kind.
    pub code: u8,
    /// Checksum over the message; with ICMPv6 over a pseudo-header too.
    pub checksum: U16,
    /// Queries: the id. Errors: unused, or the first half of a field.
    pub id: U16,
    /// Queries: the sequence number. Errors: the MTU of 3/4.
    pub sequence: U16,
}

/// ICMP types.
pub mod v4 {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Source quench (deprecated by RFC 6633).
    pub const SOURCE_QUENCH: u8 = 4;
    /// Redirect.
    pub const REDIRECT: u8 = 5;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// Router advertisement (RFC 1256).
    pub const ROUTER_ADVERTISEMENT: u8 = 9;
    /// Router solicitation (RFC 1256).
    pub const ROUTER_SOLICITATION: u8 = 10;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 12;
    /// Timestamp request.
    pub const TIMESTAMP_REQUEST: u8 = 13;
    /// Timestamp reply.
    pub const TIMESTAMP_REPLY: u8 = 14;
}

/// ICMPv6 types.
pub mod v6 {
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 1;
    /// Packet too big.
    pub const PACKET_TOO_BIG: u8 = 2;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 3;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 128;
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 129;
    /// Router solicitation (RFC 4861).
    pub const ROUTER_SOLICITATION: u8 = 133;
    /// Router advertisement (RFC 4861).
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    /// Neighbor solicitation (RFC 4861).
    pub const NEIGHBOR_SOLICITATION: u8 = 135;
    /// Neighbor advertisement (RFC 4861).
    pub const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    /// Redirect (RFC 4861).
    pub const REDIRECT: u8 = 137;
}

/// What a message is to a router and a NAT (RFC 5508).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// An error about the packet it quotes.
    Error,
    /// An echo reply, to be told apart by its id.
    EchoReply,
    /// An echo request, to be told apart by its id.
    EchoRequest,
    /// Anything else: redirects, router discovery, timestamps, neighbour discovery.
    Other,
}

impl Class {
    /// The class of an ICMP type; source quench and redirect are not passed on, so they are
    /// [`Class::Other`].
    #[inline]
    pub const fn of_v4(kind: u8) -> Self {
        match kind {
            v4::ECHO_REPLY => Self::EchoReply,
            v4::ECHO_REQUEST => Self::EchoRequest,
            v4::UNREACHABLE | v4::TIME_EXCEEDED | v4::PARAMETER_PROBLEM => Self::Error,
            _ => Self::Other,
        }
    }

    /// The class of an ICMPv6 type; every type below 128 is an error (RFC 4443 2.1).
    #[inline]
    pub const fn of_v6(kind: u8) -> Self {
        match kind {
            v6::ECHO_REPLY => Self::EchoReply,
            v6::ECHO_REQUEST => Self::EchoRequest,
            0..128 => Self::Error,
            _ => Self::Other,
        }
    }
}

/// Whether the checksum of an ICMP (not ICMPv6) message is right.
#[inline]
pub fn checksum_is_valid(message: &[u8]) -> bool {
    Sum::of(message).is_valid()
}

/// Writes the other zero after an incremental update of an ICMP checksum, where only that is right.
///
/// A message of nothing but zeros (an echo reply with id, sequence and data zero) has the checksum
/// 0xffff; an incremental update cannot tell it from one whose words add up to 0xffff and have the
/// checksum 0x0000.
#[inline]
pub fn settle_zero_checksum(message: &mut [u8]) {
    if message.iter().all(|byte| *byte == 0)
        && let Some(field) = message.get_mut(CHECKSUM..CHECKSUM + 2)
    {
        field.fill(0xff);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::checksum::Delta;

    #[test]
    fn only_a_message_of_zeros_gets_the_other_zero() {
        let mut empty = [0, 0, 0xff, 0xfa, 0, 5, 0, 0];
        assert!(checksum_is_valid(&empty));
        empty[2..4].copy_from_slice(&Delta::of_u16(5, 0).apply(0xfffa).to_be_bytes());
        empty[5] = 0;
        assert!(!checksum_is_valid(&empty));
        settle_zero_checksum(&mut empty);
        assert!(checksum_is_valid(&empty));

        let mut full = [8, 0, 0, 0, 0xf7, 0xff, 0, 0];
        assert!(checksum_is_valid(&full));
        settle_zero_checksum(&mut full);
        assert_eq!(full[2..4], [0, 0]);
        settle_zero_checksum(&mut []);
        settle_zero_checksum(&mut [0, 0, 0]);
    }

    #[test]
    fn errors_and_queries_are_told_apart() {
        assert_eq!(
            [0, 3, 4, 5, 8, 11, 12, 13].map(Class::of_v4),
            [
                Class::EchoReply,
                Class::Error,
                Class::Other,
                Class::Other,
                Class::EchoRequest,
                Class::Error,
                Class::Error,
                Class::Other,
            ]
        );
        assert_eq!(
            [1, 4, 127, 128, 129, 135].map(Class::of_v6),
            [
                Class::Error,
                Class::Error,
                Class::Error,
                Class::EchoRequest,
                Class::EchoReply,
                Class::Other,
            ]
        );
    }
}
