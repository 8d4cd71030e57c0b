//! The Internet checksum: sums over bytes (RFC 1071) and incremental updates (RFC 1624).

use std::ops::Add;

use crate::wire::protocol;

/// A running ones'-complement sum of 16-bit words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64); // in native byte order, folded at the end (RFC 1071 2.B)

impl Sum {
    /// The sum over `bytes`.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        Self::default().bytes(bytes)
    }

    /// The sum over the pseudo-header of TCP and UDP on IPv4, `length` being header and payload.
    #[inline]
    pub fn ipv4_pseudo(source: [u8; 4], destination: [u8; 4], protocol: u8, length: u16) -> Self {
        Self::of(&source).bytes(&destination).word(u16::from(protocol)).word(length)
    }

    /// The sum over the pseudo-header of IPv6 (RFC 8200 8.1).
    #[inline]
    pub fn ipv6_pseudo(source: [u8; 16], destination: [u8; 16], protocol: u8, length: u32) -> Self {
        Self::of(&source).bytes(&destination).word(u16::from(protocol)).bytes(&length.to_be_bytes())
    }

    /// Adds `bytes`, an odd last one padded with zero; they start at an even offset.
    #[inline]
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let (words, tail) = bytes.as_chunks::<4>();
        let mut sum = self.0;
        for word in words {
            sum += u64::from(u32::from_ne_bytes(*word));
        }
        let mut last = [0; 4];
        for (to, from) in last.iter_mut().zip(tail) {
            *to = *from;
        }
        Self(sum + u64::from(u32::from_ne_bytes(last)))
    }

    /// Adds one word.
    #[inline]
    #[must_use]
    pub fn word(self, word: u16) -> Self {
        Self(self.0 + u64::from(word.to_be()))
    }

    /// The sum folded to 16 bits; zero only if every word was zero.
    #[inline]
    pub fn fold(self) -> u16 {
        let sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
        let sum = (sum & 0xffff) + (sum >> 16);
        u16::from_be(((sum & 0xffff) + (sum >> 16)) as u16)
    }

    /// The checksum to write into a header whose checksum field was summed as zero.
    #[inline]
    pub fn checksum(self) -> u16 {
        !self.fold()
    }

    /// The checksum to write into a UDP header: 0x0000 is sent as 0xffff (RFC 768).
    #[inline]
    pub fn udp_checksum(self) -> u16 {
        nonzero(self.checksum())
    }

    /// Whether the sum over a message with its checksum is right.
    #[inline]
    pub fn is_valid(self) -> bool {
        self.fold() == 0xffff
    }
}

/// What a change of header words adds to the complement of a checksum (RFC 1624, equation 3).
///
/// Deltas of several words add up; the default changes nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Delta(u16);

impl Delta {
    /// Taking one off the TTL of an IPv4 header.
    pub const TTL_DECREMENT: Self = Self(!0x0100);

    /// The delta of replacing one word.
    #[inline]
    pub const fn of_u16(old: u16, new: u16) -> Self {
        Self::canonical(add(!old, new))
    }

    /// The delta of replacing two words, such as an IPv4 address.
    #[inline]
    pub const fn of_u32(old: u32, new: u32) -> Self {
        let high = add(!((old >> 16) as u16), (new >> 16) as u16);
        let low = add(!(old as u16), new as u16);
        Self::canonical(add(high, low))
    }

    /// The delta of replacing bytes that start at an even offset.
    #[inline]
    pub fn of_bytes(old: &[u8], new: &[u8]) -> Self {
        Self::canonical(add(!Sum::of(old).fold(), Sum::of(new).fold()))
    }

    /// The delta of both changes together.
    #[inline]
    #[must_use]
    pub const fn combine(self, other: Self) -> Self {
        Self(add(self.0, other.0))
    }

    /// The delta that undoes this one, for the reply direction.
    #[inline]
    #[must_use]
    pub const fn inverse(self) -> Self {
        Self::canonical(!self.0)
    }

    /// Of the two zeros the one that leaves every checksum as it is, 0xffff included.
    #[inline]
    const fn canonical(sum: u16) -> Self {
        Self(if sum == 0xffff { 0 } else { sum })
    }

    /// The delta in the order of octets in which words stand in a packet, for [`adjusted`].
    #[inline]
    pub const fn wire_bits(self) -> u16 {
        self.0.to_be()
    }

    /// A stored delta in the order of [`wire_bits`](Self::wire_bits).
    #[inline]
    pub const fn from_wire_bits(bits: u16) -> Self {
        Self(u16::from_be(bits))
    }

    /// The checksum after the change.
    #[inline]
    #[must_use]
    pub const fn apply(self, checksum: u16) -> u16 {
        !add(!checksum, self.0)
    }

    /// The UDP checksum after the change: none stays none, 0x0000 is sent as 0xffff (RFC 768).
    #[inline]
    #[must_use]
    pub const fn apply_udp(self, checksum: u16) -> u16 {
        if checksum == 0 { 0 } else { nonzero(self.apply(checksum)) }
    }

    /// The checksum of a `protocol` header after the change: UDP's own rule, or the plain one.
    #[inline]
    #[must_use]
    pub const fn apply_to(self, protocol: u8, checksum: u16) -> u16 {
        match protocol {
            protocol::UDP | protocol::UDP_LITE => self.apply_udp(checksum),
            _ => self.apply(checksum),
        }
    }
}

impl Add for Delta {
    type Output = Self;

    #[inline]
    fn add(self, other: Self) -> Self {
        self.combine(other)
    }
}

/// A checksum after a change, both as they stand in the packet: ones'-complement sums are the same in either order of octets
/// (RFC 1071 1.B). `delta` is the sum of at most two deltas in that order.
#[inline(always)]
pub fn adjusted(checksum: [u8; 2], delta: u32) -> [u8; 2] {
    let sum = u32::from(!u16::from_ne_bytes(checksum)) + delta;
    let sum = (sum & 0xffff) + (sum >> 16);
    (!(sum + (sum >> 16)) as u16).to_ne_bytes()
}

/// Ones'-complement addition.
#[inline]
const fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + carry as u16
}

#[inline]
const fn nonzero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 1071's definition, as plainly as it can be written.
    fn plain(bytes: &[u8]) -> u16 {
        let mut sum = 0u64;
        for pair in bytes.chunks(2) {
            sum += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn sum_of_rfc_1071_example() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::of(&bytes).fold(), 0xddf2);
        assert_eq!(Sum::of(&bytes).checksum(), 0x220d);
    }

    #[test]
    fn update_of_rfc_1624_example() {
        assert_eq!(Delta::of_u16(0x5555, 0x3285).apply(0xdd2f), 0x0000);
    }

    #[test]
    fn every_word_and_delta_matches_recompute() {
        // A fixed word stands for the rest of the packet: a protocol number keeps it from being
        // zero.
        for rest in [0x0001u16, 0x0006, 0x8000, 0xfffe, 0xffff] {
            for new in [0x0000u16, 0x0001, 0x00ff, 0x7fff, 0x8000, 0xaaaa, 0xfffe, 0xffff] {
                for old in 0..=u16::MAX {
                    let before = Sum::default().word(rest).word(old).checksum();
                    let after = Sum::default().word(rest).word(new).checksum();
                    let delta = Delta::of_u16(old, new);
                    assert_eq!(delta.apply(before), after, "{rest:x} {old:x} {new:x}");
                    assert_eq!(delta.inverse().apply(after), before, "{rest:x} {old:x} {new:x}");
                }
            }
        }
    }

    #[test]
    fn every_checksum_keeps_its_error() {
        // A wrong checksum stays wrong by the same amount: equal modulo 0xffff, in which 0 is
        // 0xffff.
        for (old, new) in [(0, 1), (1, 0), (0, 0xffff), (0xffff, 0), (0x0a00, 0xc633), (7, 7)] {
            for checksum in 0..=u16::MAX {
                let after = Delta::of_u16(old, new).apply(checksum);
                let wanted = (u32::from(checksum) + u32::from(old) + u32::from(!new)) % 0xffff;
                assert_eq!(u32::from(after) % 0xffff, wanted, "{checksum:x} {old:x} {new:x}");
            }
        }
    }

    #[test]
    fn every_udp_checksum_stays_present_or_absent() {
        for (old, new) in [(0, 1), (1, 0), (0, 0xffff), (0x1234, 0xedcb), (9, 9)] {
            let delta = Delta::of_u16(old, new);
            assert_eq!(delta.apply_udp(0), 0);
            for checksum in 1..=u16::MAX {
                let after = delta.apply_udp(checksum);
                assert_ne!(after, 0, "{checksum:x} {old:x} {new:x}");
                assert_eq!(after % 0xffff, delta.apply(checksum) % 0xffff);
            }
        }
    }

    #[test]
    fn no_change_leaves_every_checksum() {
        for word in 0..=u16::MAX {
            assert_eq!(Delta::of_u16(word, word), Delta::default());
            assert_eq!(Delta::default().apply(word), word);
        }
        assert_eq!(Delta::of_bytes(&[1, 2, 3], &[1, 2, 3]).inverse(), Delta::default());
    }

    #[test]
    fn ttl_decrement_is_the_delta_of_any_ttl() {
        for ttl in 1..=0xff_u16 {
            let word = ttl << 8 | 17;
            assert_eq!(Delta::of_u16(word, word - 0x100), Delta::TTL_DECREMENT);
        }
    }

    #[test]
    fn octets_adjusted_in_place_match_the_delta() {
        for (old, new) in [(0, 1), (1, 0), (0x1234, 0xedcb), (0xffff, 0), (9, 9)] {
            let delta = Delta::of_u16(old, new);
            let both = u32::from(delta.wire_bits()) + u32::from(Delta::TTL_DECREMENT.wire_bits());
            for checksum in 0..=u16::MAX {
                let octets = checksum.to_be_bytes();
                let wire = u32::from(delta.wire_bits());
                assert_eq!(adjusted(octets, wire), delta.apply(checksum).to_be_bytes());
                let expected = Delta::TTL_DECREMENT.apply(delta.apply(checksum));
                assert_eq!(adjusted(octets, both), expected.to_be_bytes());
            }
        }
    }

    proptest! {
        #[test]
        fn sum_matches_the_plain_one(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(Sum::of(&bytes).fold(), plain(&bytes));
        }

        #[test]
        fn deltas_match_recompute(
            mut bytes in prop::collection::vec(any::<u8>(), 40..60),
            address: u32, port: u16, wide: [u8; 16],
        ) {
            bytes[0] = 0x45;
            let before = Sum::of(&bytes).checksum();
            let old_address = u32::from_be_bytes(bytes[12..16].try_into().unwrap());
            let old_port = u16::from_be_bytes(bytes[20..22].try_into().unwrap());
            let delta = Delta::of_u32(old_address, address)
                + Delta::of_u16(old_port, port)
                + Delta::of_bytes(&bytes[22..38], &wide);
            bytes[12..16].copy_from_slice(&address.to_be_bytes());
            bytes[20..22].copy_from_slice(&port.to_be_bytes());
            bytes[22..38].copy_from_slice(&wide);
            prop_assert_eq!(delta.apply(before), Sum::of(&bytes).checksum());
            prop_assert_eq!(delta.inverse().apply(Sum::of(&bytes).checksum()), before);
        }
    }
}
