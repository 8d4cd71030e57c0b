//! UDP headers (RFC 768).

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Octets of a UDP header.
pub const HEADER: usize = size_of::<UdpHeader>();
/// Offset of the checksum in a UDP header.
pub const CHECKSUM: usize = 6;

/// A UDP header.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct UdpHeader {
    /// The sender's port.
    pub source: U16,
    /// The receiver's port.
    pub destination: U16,
    /// Octets of header and payload.
    pub length: U16,
    /// The checksum; 0 for none.
    pub checksum: U16,
}

impl UdpHeader {
    /// Whether the length field fits a datagram with `available` octets of header and payload.
    #[inline]
    pub fn length_is_valid(&self, available: usize) -> bool {
        (HEADER..=available).contains(&usize::from(self.length.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_covers_the_header_and_fits_the_packet() {
        let valid = |length: u16, available| {
            let header = UdpHeader {
                source: 1.into(),
                destination: 2.into(),
                length: length.into(),
                checksum: 0.into(),
            };
            header.length_is_valid(available)
        };
        assert!(valid(8, 8) && valid(8, 20) && valid(20, 20));
        assert!(!valid(0, 20) && !valid(7, 20) && !valid(21, 20) && !valid(8, 7));
    }
}
