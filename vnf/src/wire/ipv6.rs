//! IPv6 headers (RFC 8200).

pub mod address;
pub mod extensions;

use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::wire;
use crate::wire::checksum::Sum;

/// Octets of an IPv6 header.
pub const HEADER: usize = size_of::<Ipv6Header>();
/// The smallest MTU of an IPv6 link.
pub const MIN_MTU: usize = 1280;

/// An IPv6 header.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Ipv6Header {
    /// Version (high 4 bits), traffic class (8), flow label (20).
    pub version_class_label: U32,
    /// Octets after this header, extension headers included.
    pub payload_length: U16,
    /// What follows, a number from [`protocol`](super::protocol).
    pub next_header: u8,
    /// Hops left.
    pub hop_limit: u8,
    /// The sender.
    pub source: [u8; 16],
    /// The receiver.
    pub destination: [u8; 16],
}

impl Ipv6Header {
    /// The version field.
    #[inline]
    pub fn version(&self) -> u8 {
        self.version_class_label.as_bytes()[0] >> 4
    }
}

/// The packet at the start of `bytes` without what follows it, its header first.
///
/// `None` unless version and length are right.
pub fn packet(bytes: &[u8]) -> Option<(&Ipv6Header, &[u8])> {
    let header: &Ipv6Header = wire::at(bytes, 0)?;
    let packet = bytes.get(..HEADER + usize::from(header.payload_length.get()))?;
    (header.version() == 6).then_some((header, packet))
}

/// Whether the checksum of a whole upper-layer message, taken over the pseudo-header too, is right.
pub fn checksum_is_valid(header: &Ipv6Header, protocol: u8, message: &[u8]) -> bool {
    let length = message.len() as u32;
    Sum::ipv6_pseudo(header.source, header.destination, protocol, length).bytes(message).is_valid()
}
