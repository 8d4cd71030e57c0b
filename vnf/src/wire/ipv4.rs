//! IPv4 headers (RFC 791).

pub mod address;
pub mod options;

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::wire;
use crate::wire::checksum::{Delta, Sum};

/// Octets of an IPv4 header without options.
pub const HEADER: usize = size_of::<Ipv4Header>();
/// Octets of the longest header, with 40 of options.
pub const LONGEST_HEADER: usize = 60;
/// The fragment field's "don't fragment" bit.
pub const DONT_FRAGMENT: u16 = 0x4000;
/// The fragment field's "more fragments" bit.
pub const MORE_FRAGMENTS: u16 = 0x2000;
/// The fragment field's offset, in units of 8 octets.
pub const FRAGMENT_OFFSET: u16 = 0x1fff;

/// An IPv4 header without options.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Ipv4Header {
    /// Version (high 4 bits) and header length in 32-bit words.
    pub version_ihl: u8,
    /// DSCP (high 6 bits) and ECN.
    pub traffic_class: u8,
    /// Octets of header and payload.
    pub total_length: U16,
    /// Identification, the same in all fragments of a datagram.
    pub id: U16,
    /// Flags (high 3 bits) and fragment offset in units of 8 octets.
    pub fragment: U16,
    /// Hops left.
    pub ttl: u8,
    /// What follows the header, a number from [`protocol`](super::protocol).
    pub protocol: u8,
    /// Checksum over the header with its options.
    pub checksum: U16,
    /// The sender.
    pub source: [u8; 4],
    /// The receiver.
    pub destination: [u8; 4],
}

impl Ipv4Header {
    /// The version field.
    #[inline]
    pub fn version(&self) -> u8 {
        self.version_ihl >> 4
    }

    /// Octets of the header with options, as its length field says: 0 to 60.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.version_ihl & 0x0f) * 4
    }

    /// Whether routers must not fragment this packet.
    #[inline]
    pub fn dont_fragment(&self) -> bool {
        self.fragment.get() & DONT_FRAGMENT != 0
    }

    /// Whether more fragments of this datagram follow.
    #[inline]
    pub fn more_fragments(&self) -> bool {
        self.fragment.get() & MORE_FRAGMENTS != 0
    }

    /// Where this fragment's payload lies in its datagram, in octets.
    #[inline]
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.fragment.get() & FRAGMENT_OFFSET) * 8
    }

    /// Whether this is a fragment of a larger datagram.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        self.fragment.get() & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0
    }

    /// Takes one hop off and updates the checksum; the TTL is at least 1.
    #[inline]
    pub fn decrement_ttl(&mut self) {
        self.ttl = self.ttl.wrapping_sub(1);
        self.update_checksum(Delta::TTL_DECREMENT);
    }

    /// Updates the checksum for a change of header words.
    #[inline]
    pub fn update_checksum(&mut self, delta: Delta) {
        self.checksum = delta.apply(self.checksum.get()).into();
    }
}

/// The network packet at the start of `bytes` without what follows it, its header with options
/// first.
///
/// `None` unless version, lengths and header checksum are right (RFC 1812 5.2.2).
pub fn packet(bytes: &[u8]) -> Option<(&Ipv4Header, &[u8])> {
    let header: &Ipv4Header = wire::at(bytes, 0)?;
    let packet = bytes.get(..usize::from(header.total_length.get()))?;
    let length = header.header_len();
    (header.version() == 4 && length >= HEADER && checksum_is_valid(packet.get(..length)?))
        .then_some((header, packet))
}

/// Whether the checksum of a header with its options is right.
#[inline]
pub fn checksum_is_valid(header: &[u8]) -> bool {
    Sum::of(header).is_valid()
}

#[cfg(test)]
mod tests {
    use etherparse::{IpFragOffset, IpNumber, Ipv4Header as Oracle};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn etherparse_reads_the_same_fields(
            (payload, ttl, number) in any::<(u8, u8, u8)>(),
            (source, destination) in any::<([u8; 4], [u8; 4])>(),
            (id, offset) in (any::<u16>(), 0..0x2000u16),
            (dont, more) in any::<(bool, bool)>(),
            words in 0..11usize,
        ) {
            let payload = u16::from(payload);
            let mut oracle =
                Oracle::new(payload, ttl, IpNumber(number), source, destination).unwrap();
            oracle.identification = id;
            oracle.fragment_offset = IpFragOffset::try_new(offset).unwrap();
            (oracle.dont_fragment, oracle.more_fragments) = (dont, more);
            oracle.options = vec![1; words * 4].as_slice().try_into().unwrap();
            oracle.total_len = oracle.header_len() as u16 + payload;
            oracle.header_checksum = oracle.calc_header_checksum();
            let mut bytes = oracle.to_bytes().to_vec();
            bytes.resize(usize::from(oracle.total_len) + 3, 0xee);

            let (header, whole) = packet(&bytes).unwrap();
            prop_assert_eq!(whole.len() + 3, bytes.len());
            prop_assert_eq!(header.header_len(), oracle.header_len());
            prop_assert_eq!((header.ttl, header.protocol, header.id.get()), (ttl, number, id));
            prop_assert_eq!((header.source, header.destination), (source, destination));
            prop_assert_eq!((header.dont_fragment(), header.more_fragments()), (dont, more));
            prop_assert_eq!(header.fragment_offset(), usize::from(offset) * 8);
            prop_assert_eq!(header.is_fragment(), oracle.is_fragmenting_payload());

            let length = bytes.len();
            prop_assert!(packet(&bytes[..length - 4]).is_none(), "cut off");
            bytes[8] = bytes[8].wrapping_add(1);
            prop_assert!(packet(&bytes).is_none(), "wrong checksum");
        }

        #[test]
        fn decremented_headers_have_the_right_checksum(ttl in 1..=255u8, address: [u8; 4]) {
            let mut oracle = Oracle::new(0, ttl, IpNumber::UDP, address, address).unwrap();
            oracle.header_checksum = oracle.calc_header_checksum();
            let mut bytes = oracle.to_bytes();
            wire::at_mut::<Ipv4Header>(&mut bytes, 0).unwrap().decrement_ttl();
            oracle.time_to_live -= 1;
            oracle.header_checksum = oracle.calc_header_checksum();
            prop_assert_eq!(bytes, oracle.to_bytes());
        }
    }

    #[test]
    fn impossible_headers_are_no_packets() {
        let fine = Oracle::new(8, 64, IpNumber::UDP, [10, 0, 0, 1], [10, 0, 0, 2]).unwrap();
        let changed = |at: usize, value: u8| {
            let mut bytes = [&fine.to_bytes()[..], &[0; 60]].concat();
            bytes[at] = value;
            bytes[10..12].fill(0);
            let length = usize::from(bytes[0] & 15) * 4;
            let checksum = Sum::of(&bytes[..length]).checksum();
            bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
            packet(&bytes).is_some()
        };
        assert!(changed(0, 0x45) && changed(0, 0x47) && changed(3, 80) && changed(3, 20));
        for (at, value) in [(0, 0x44), (0, 0x65), (0, 0x48), (2, 1), (3, 19), (3, 81)] {
            assert!(!changed(at, value), "{at} {value}");
        }
        assert!(packet(&[0x45; 19]).is_none());
    }
}
