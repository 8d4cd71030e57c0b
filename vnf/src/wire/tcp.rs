//! TCP headers (RFC 9293).

pub mod mss;

use std::ops::BitOr;

use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Octets of a TCP header without options.
pub const HEADER: usize = size_of::<TcpHeader>();
/// Offset of the checksum in a TCP header.
pub const CHECKSUM: usize = 16;

/// A TCP header without options.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct TcpHeader {
    /// The sender's port.
    pub source: U16,
    /// The receiver's port.
    pub destination: U16,
    /// Sequence number.
    pub sequence: U32,
    /// Acknowledgment number.
    pub acknowledgment: U32,
    /// Data offset in 32-bit words (high 4 bits), reserved bits.
    pub data_offset: u8,
    /// Control bits.
    pub flags: Flags,
    /// Receive window.
    pub window: U16,
    /// Checksum over pseudo-header, header and payload.
    pub checksum: U16,
    /// Urgent pointer.
    pub urgent: U16,
}

impl TcpHeader {
    /// Octets of the header with options, as the data offset says: 0 to 60.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.data_offset >> 4) * 4
    }

    /// Whether the data offset fits a segment of `available` octets.
    #[inline]
    pub fn offset_is_valid(&self, available: usize) -> bool {
        (HEADER..=available).contains(&self.header_len())
    }
}

/// The control bits of a segment.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Eq,
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
    PartialEq,
    Unaligned,
)]
#[repr(transparent)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment number is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x20);
    /// ECN-echo (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);

    /// Whether all of `flags` are set.
    #[inline]
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether any of `flags` is set.
    #[inline]
    pub const fn intersects(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }

    /// Whether this opens a connection: SYN without ACK, RST and FIN.
    #[inline]
    pub const fn opens(self) -> bool {
        self.0 & 0x17 == Self::SYN.0
    }

    /// Whether a conforming TCP ever sends this combination; PSH and the ECN bits do not matter.
    #[inline]
    pub const fn is_valid(self) -> bool {
        // One bit for each combination of FIN SYN RST ACK URG that RFC 9293 3.10 can produce.
        let combination = self.0 & 0x07 | self.0 >> 1 & 0x18;
        VALID >> combination & 1 != 0
    }
}

impl BitOr for Flags {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Indexed by FIN (1), SYN (2), RST (4), ACK (8), URG (16).
const VALID: u32 = 1 << 2 // SYN
    | 1 << (2 | 16) // SYN URG
    | 1 << (2 | 8) // SYN ACK
    | 1 << 4 // RST
    | 1 << (4 | 8) // RST ACK
    | 1 << 8 // ACK
    | 1 << (8 | 16) // ACK URG
    | 1 << (8 | 1) // ACK FIN
    | 1 << (8 | 1 | 16); // ACK FIN URG

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_combination_is_judged() {
        for bits in 0..=u8::MAX {
            let flags = Flags(bits);
            let [fin, syn, rst, ack, urg] =
                [Flags::FIN, Flags::SYN, Flags::RST, Flags::ACK, Flags::URG]
                    .map(|f| flags.contains(f));
            let kinds = [fin, syn, rst].iter().filter(|set| **set).count();
            let wanted = kinds <= 1
                && (ack || syn || rst) // FIN, URG or nothing alone
                && !(urg && (rst || syn && ack));
            assert_eq!(flags.is_valid(), wanted, "{bits:#04x}");
        }
    }

    #[test]
    fn only_a_plain_syn_opens() {
        assert!(Flags::SYN.opens());
        assert!((Flags::SYN | Flags::ECE | Flags::CWR).opens());
        for other in [Flags::ACK, Flags::RST, Flags::FIN] {
            assert!(!(Flags::SYN | other).opens());
        }
        assert!(!Flags::ACK.opens());
    }
}
