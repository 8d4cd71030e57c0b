//! The identity of a packet: 18 octets at the end of its L4 payload, where no translator writes.
//!
//! `tag flow seq ts fix`, big endian. Half of the tag is keyed by the program and half by the phase, so that
//! a frame of another run is told from a stranger's; `fix` keeps the L4 checksum of a flow constant.

use crate::checksum::Sum;

/// Octets of the compact trailer.
pub const LEN: usize = 18;
/// Nanoseconds in one unit of [`Trailer::ts`].
pub const TICK_NS: u64 = 16;

/// What a trailer says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trailer {
    /// Index in the flow table; the top bit is set on the way from outside to inside.
    pub flow: u32,
    /// Number within the flow and direction.
    pub seq: u32,
    /// Transmit time in units of 16 ns; wraps after 68 s.
    pub ts: u32,
}

/// Whose trailer it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Owner {
    /// No trailer, or a damaged one.
    Nobody,
    /// A pktgen frame of another phase or another run.
    Other,
    /// Written with this key.
    Ours,
}

/// The secret of one phase of one run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key(u64);

impl Key {
    /// The key of a phase; other seeds and phases have other keys.
    pub fn new(seed: u64, phase: u64) -> Self {
        Self(siphash(seed, phase) | 1)
    }

    /// Writes the trailer so that its 16-bit ones'-complement sum is that of `constant`.
    #[inline]
    pub fn write(self, trailer: Trailer, constant: u16, into: &mut [u8; LEN]) {
        into[0..4].copy_from_slice(&self.tag(trailer).to_be_bytes());
        into[4..8].copy_from_slice(&trailer.flow.to_be_bytes());
        into[8..12].copy_from_slice(&trailer.seq.to_be_bytes());
        into[12..16].copy_from_slice(&trailer.ts.to_be_bytes());
        // constant - sum in ones' complement; 0 and 0xffff are the same number there.
        let sum = Sum::default().bytes(&into[..16]).folded();
        let fix = Sum::default().word(constant).word(!sum).folded();
        into[16..18].copy_from_slice(&fix.to_be_bytes());
    }

    /// Reads a trailer and says whose it is.
    #[inline]
    pub fn read(self, from: &[u8; LEN]) -> (Owner, Trailer) {
        let word =
            |at: usize| u32::from_be_bytes([from[at], from[at + 1], from[at + 2], from[at + 3]]);
        let (tag, trailer) = (word(0), Trailer { flow: word(4), seq: word(8), ts: word(12) });
        let difference = tag ^ self.tag(trailer);
        let owner = match (difference >> 16, difference & 0xffff) {
            (0, 0) => Owner::Ours,
            (0, _) => Owner::Other,
            _ => Owner::Nobody,
        };
        (owner, trailer)
    }

    /// High half: keyed by the program. Low half: keyed by the phase too.
    #[inline]
    fn tag(self, trailer: Trailer) -> u32 {
        let identity = u64::from(trailer.flow) << 32 | u64::from(trailer.seq);
        let hash = folded(identity ^ SECRET[0], u64::from(trailer.ts) ^ SECRET[1]);
        let program = folded(hash ^ SECRET[2], SECRET[3]);
        let phase = folded(hash ^ self.0, SECRET[4]);
        (program >> 48 << 16) as u32 | (phase >> 48) as u32
    }
}

/// A 64-bit product of which no half is lost: two of them scatter every input bit over every output bit.
#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

const SECRET: [u64; 5] = [
    0x2d35_8dcc_aa6c_78a5,
    0x8bb8_4b93_962e_acc9,
    0x4b33_a62e_d433_d4a3,
    0x4d5a_2da5_1de1_aa47,
    0xa076_1d64_78bd_642f,
];

/// A time in nanoseconds as trailers carry it.
pub fn ticks(ns: u64) -> u32 {
    (ns / TICK_NS) as u32
}

/// Nanoseconds from a trailer's stamp until `now`, right up to 68 s.
pub fn age_ns(ts: u32, now: u64) -> u64 {
    u64::from(ticks(now).wrapping_sub(ts)) * TICK_NS
}

/// Whether the sum of a trailer is that of `constant`, as [`Key::write`] left it.
pub fn sum_is(trailer: &[u8; LEN], constant: u16) -> bool {
    let difference = Sum::default().bytes(trailer).word(!constant).folded();
    difference == 0 || difference == 0xffff
}

/// SipHash-1-3 of two words under the program's fixed key.
pub(crate) fn siphash(first: u64, second: u64) -> u64 {
    const KEY: (u64, u64) = (0x706b_7467_656e_2d74, 0x7261_696c_6572_2d31);
    let mut v = [
        KEY.0 ^ 0x736f_6d65_7073_6575,
        KEY.1 ^ 0x646f_7261_6e64_6f6d,
        KEY.0 ^ 0x6c79_6765_6e65_7261,
        KEY.1 ^ 0x7465_6462_7974_6573,
    ];
    for word in [first, second, 16 << 56] {
        v[3] ^= word;
        sip_round(&mut v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for _ in 0..3 {
        sip_round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

#[inline(always)]
fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_and_its_sum_is_the_constant(
            seed: u64, flow: u32, seq: u32, ts: u32, constant: u16,
        ) {
            let (key, trailer) = (Key::new(seed, 3), Trailer { flow, seq, ts });
            let mut octets = [0; LEN];
            key.write(trailer, constant, &mut octets);
            prop_assert_eq!(key.read(&octets), (Owner::Ours, trailer));
            prop_assert!(sum_is(&octets, constant));
            prop_assert!(!sum_is(&octets, constant ^ 1));
        }

        #[test]
        fn a_damaged_trailer_is_never_ours(
            flow: u32, seq: u32, ts: u32, at in 0..16_usize, bit in 0..8_u32,
        ) {
            let key = Key::new(1, 1);
            let mut octets = [0; LEN];
            key.write(Trailer { flow, seq, ts }, 77, &mut octets);
            octets[at] ^= 1_u8 << bit;
            prop_assert_ne!(key.read(&octets).0, Owner::Ours);
        }

        #[test]
        fn random_bytes_are_nobodys(bytes: [u8; LEN]) {
            prop_assert_ne!(Key::new(9, 9).read(&bytes).0, Owner::Ours);
        }
    }

    #[test]
    fn another_phase_and_another_run_are_told_from_strangers() {
        let trailer = Trailer { flow: 1, seq: 2, ts: 3 };
        let mut octets = [0; LEN];
        Key::new(1, 0).write(trailer, 0, &mut octets);
        assert_eq!(Key::new(1, 1).read(&octets).0, Owner::Other);
        assert_eq!(Key::new(2, 0).read(&octets).0, Owner::Other);
        assert_eq!(Key::new(1, 0).read(&[0; LEN]).0, Owner::Nobody);
    }

    #[test]
    fn tags_of_neighbouring_packets_differ_as_random_ones_do() {
        let key = Key::new(5, 5);
        let tags =
            (0..100_000_u32).map(|i| key.tag(Trailer { flow: i % 10, seq: i / 10, ts: i / 3 }));
        // Of 100,000 random numbers of 32 bits about one is there twice.
        assert!(tags.collect::<std::collections::HashSet<_>>().len() > 99_990);
    }

    #[test]
    fn the_hash_scatters_neighbouring_words() {
        let low = (0..1000).map(|i| siphash(i, 0) & 0xffff_ffff);
        let high = (1..=1000).map(|i| siphash(0, i) & 0xffff_ffff);
        assert_eq!(low.chain(high).collect::<std::collections::HashSet<_>>().len(), 2000);
    }

    #[test]
    fn ages_are_right_across_the_wrap_of_the_stamp() {
        let sent = u64::from(u32::MAX) * TICK_NS + 5;
        assert_eq!(age_ns(ticks(sent), sent + 1600), 1600);
    }
}
