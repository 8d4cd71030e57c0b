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
