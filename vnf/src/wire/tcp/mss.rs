//! Clamps the maximum segment size that a SYN announces (RFC 9293 3.7.1), for paths that lose large packets.

use crate::wire::checksum::{Delta, Sum};
use crate::wire::tcp::{self, Flags, TcpHeader};
use crate::wire::{at, at_mut};

/// Lowers the segment size that a SYN announces to `most`, and updates the checksum.
///
/// Returns whether anything was written. Never raises it, adds no option, and leaves all alone from the first
/// option with an impossible length on.
pub fn clamp(segment: &mut [u8], most: u16) -> bool {
    let Some(header) = at::<TcpHeader>(segment, 0) else { return false };
    if !header.flags.contains(Flags::SYN) || !header.offset_is_valid(segment.len()) {
        return false;
    }
    let Some(options) = segment.get_mut(tcp::HEADER..header.header_len()) else { return false };
    // The option may lie at an odd offset, so the sum is taken over all of them, which start at an even one.
    let before = Sum::of(options).fold();
    if !clamp_options(options, most) {
        return false;
    }
    let delta = Delta::of_u16(before, Sum::of(options).fold());
    if let Some(header) = at_mut::<TcpHeader>(segment, 0) {
        header.checksum = delta.apply(header.checksum.get()).into();
    }
    true
}

fn clamp_options(mut options: &mut [u8], most: u16) -> bool {
    let mut clamped = false;
    loop {
        let length = match options {
            [] | [END, ..] => return clamped,
            [NO_OPERATION, ..] => 1,
            [MAXIMUM_SEGMENT_SIZE, 4, high, low, ..] => {
                if u16::from_be_bytes([*high, *low]) > most {
                    [*high, *low] = most.to_be_bytes();
                    clamped = true;
                }
                4
            }
            [_, length, ..] if *length >= 2 => usize::from(*length),
            _ => return clamped,
        };
        let Some((_, rest)) = options.split_at_mut_checked(length) else { return clamped };
        options = rest;
    }
}

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MAXIMUM_SEGMENT_SIZE: u8 = 2;

#[cfg(test)]
mod tests {
    use etherparse::{TcpHeader as Oracle, TcpSlice};
    use proptest::prelude::*;

    use super::*;

    const FROM: [u8; 4] = [10, 0, 0, 2];
    const TO: [u8; 4] = [203, 0, 113, 7];

    fn segment(syn: bool, options: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut header = Oracle::new(5000, 443, 1, 1000);
        header.syn = syn;
        header.set_options_raw(options).unwrap();
        header.checksum = header.calc_checksum_ipv4_raw(FROM, TO, payload).unwrap();
        [&header.to_bytes()[..], payload].concat()
    }

    #[test]
    fn only_larger_sizes_of_syns_are_clamped() {
        for (syn, options, wanted) in [
            (true, &[2, 4, 5, 180][..], Some(&[2, 4, 4, 176][..])),
            (true, &[1, 2, 4, 5, 180, 0, 0, 0], Some(&[1, 2, 4, 4, 176, 0, 0, 0])),
            (true, &[4, 2, 2, 4, 255, 255, 0, 0], Some(&[4, 2, 2, 4, 4, 176, 0, 0])),
            (true, &[2, 4, 4, 176], None),
            (true, &[2, 4, 0, 0], None),
            (true, &[2, 3, 5, 1], None),
            (true, &[8, 0, 2, 4, 5, 180, 0, 0], None),
            (true, &[8, 1, 2, 4, 5, 180, 0, 0], None),
            (true, &[8, 9, 2, 4, 5, 180, 0, 0], None),
            (true, &[0, 2, 4, 5, 180, 0, 0, 0], None),
            (true, &[1, 1, 1, 2], None),
            (true, &[], None),
            (false, &[2, 4, 5, 180], None),
        ] {
            let mut clamped = segment(syn, options, &[2, 4, 5, 180]);
            let before = clamped.clone();
            assert_eq!(clamp(&mut clamped, 1200), wanted.is_some(), "{options:?}");
            let wanted = wanted.map_or(before, |options| segment(syn, options, &[2, 4, 5, 180]));
            assert_eq!(clamped, wanted, "{options:?}");
        }
    }

    #[test]
    fn a_size_beyond_the_segment_is_not_written() {
        let mut cut = segment(true, &[2, 4, 5, 180], &[]);
        cut.truncate(23);
        assert!(!clamp(&mut cut, 1200));
        let mut lying = segment(true, &[2, 4, 5, 180], &[]);
        lying[12] = 0xf0;
        assert!(!clamp(&mut lying, 1200));
    }

    proptest! {
        #[test]
        fn any_options_keep_the_checksum_right(words in prop::collection::vec(any::<[u8; 4]>(), 0..11), most: u16) {
            let options = words.concat();
            let options = [&[2, 4, 255, 255][..], &options[..options.len().min(36)]].concat();
            let mut clamped = segment(true, &options, &[1, 2, 3]);
            clamp(&mut clamped, most);
            let read = TcpSlice::from_slice(&clamped).unwrap();
            prop_assert_eq!(read.checksum(), read.calc_checksum_ipv4(FROM, TO).unwrap());
            prop_assert_eq!(u16::from_be_bytes([clamped[22], clamped[23]]), most);
        }
    }
}
