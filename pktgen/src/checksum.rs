//! The Internet checksum (RFC 1071), written for the generator alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A ones'-complement sum in the making; words are big endian.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// Adds a block of bytes that starts at an even offset; an odd last byte is the high half of a word.
    #[inline]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            self.0 += u64::from(u32::from_be_bytes(*word));
        }
        let (pairs, last) = rest.as_chunks::<2>();
        for pair in pairs {
            self.0 += u64::from(u16::from_be_bytes(*pair));
        }
        if let [byte] = last {
            self.0 += u64::from(*byte) << 8;
        }
        self
    }

    /// Adds one 16-bit word.
    #[inline]
    pub fn word(self, word: u16) -> Self {
        Self(self.0 + u64::from(word))
    }

    /// Adds another sum so many times.
    #[inline]
    pub fn times(self, other: Self, n: usize) -> Self {
        Self(self.0 + u64::from(other.folded()) * n as u64)
    }

    /// Adds the pseudo-header of RFC 768 or RFC 8200 section 8.1; mixed families add what each has.
    pub fn pseudo_header(
        self,
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        len: usize,
    ) -> Self {
        self.address(source)
            .address(destination)
            .bytes(&(len as u32).to_be_bytes())
            .word(u16::from(protocol))
    }

    /// The pseudo-header of IPv4, addresses as they lie in the header.
    pub fn pseudo_header_v4(self, addresses: &[u8], protocol: u8, len: u16) -> Self {
        self.bytes(addresses).word(len).word(u16::from(protocol))
    }

    /// The sum folded to 16 bits: 0 only when every word was 0.
    #[inline]
    pub fn folded(self) -> u16 {
        // No loop: four folds bring any 64 bits below 2^16.
        let mut sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        sum as u16
    }

    /// The value of a checksum field that was 0 while summing.
    #[inline]
    pub fn checksum(self) -> u16 {
        !self.folded()
    }

    /// As [`checksum`](Self::checksum), with 0 sent as 0xffff (RFC 768: 0 means that there is none).
    pub fn udp_checksum(self) -> u16 {
        match self.checksum() {
            0 => 0xffff,
            sum => sum,
        }
    }

    /// Whether a block that contains its checksum is intact.
    #[inline]
    pub fn is_intact(self) -> bool {
        self.folded() == 0xffff
    }

    fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.bytes(&Ipv4Addr::octets(&address)),
            IpAddr::V6(address) => self.bytes(&Ipv6Addr::octets(&address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1071_sums_to_ddf2() {
        let sum = Sum::default().bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.folded(), 0xddf2);
        assert_eq!(sum.checksum(), 0x220d);
    }

    #[test]
    fn a_udp_checksum_of_zero_is_sent_as_ones() {
        assert_eq!(Sum::default().bytes(&[0xff, 0xff]).udp_checksum(), 0xffff);
        assert_eq!(Sum::default().bytes(&[0xff, 0xff]).checksum(), 0);
        assert_eq!(Sum::default().bytes(&[0xff, 0xfe]).udp_checksum(), 1);
    }

    proptest! {
        #[test]
        fn folding_keeps_the_value_modulo_ffff(value: u64) {
            prop_assert_eq!(u64::from(Sum(value).folded()) % 0xffff, value % 0xffff);
            prop_assert_eq!(Sum(value).folded() == 0, value == 0);
        }

        #[test]
        fn a_block_with_its_checksum_is_intact_and_a_damaged_one_is_not(
            mut block in proptest::collection::vec(any::<u8>(), 3..200), at in any::<usize>(), bit in 0..8_u32,
        ) {
            block[..2].fill(0);
            block[2] |= 1;
            let checksum = Sum::default().bytes(&block).checksum();
            block[..2].copy_from_slice(&checksum.to_be_bytes());
            prop_assert!(Sum::default().bytes(&block).is_intact());
            let at = at % block.len();
            block[at] ^= 1_u8 << bit;
            prop_assert!(!Sum::default().bytes(&block).is_intact());
        }
    }
}
