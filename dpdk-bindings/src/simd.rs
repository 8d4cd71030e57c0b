//! What the compiler does not turn into vector instructions by itself.

/// The word and three zeros, to be written with one store.
#[inline]
pub fn first_lane(word: u32) -> [u32; 4] {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{__m128i, _mm_cvtsi32_si128};
        // SAFETY: SSE2 is part of x86-64; both types are sixteen octets without padding.
        unsafe { std::mem::transmute::<__m128i, [u32; 4]>(_mm_cvtsi32_si128(word.cast_signed())) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        [word, 0, 0, 0]
    }
}

/// Returns a bit for each of the sixteen octets that equals `value`, the lowest for the first.
#[inline]
pub fn equal_octets(octets: &[u8; 16], value: u8) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{
            _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8,
        };
        // SAFETY: SSE2 is part of x86-64; the load is an unaligned one of the whole array.
        let mask = unsafe {
            let wanted = _mm_set1_epi8(value.cast_signed());
            _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(octets.as_ptr().cast()), wanted))
        };
        mask as u32
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        octets.iter().rev().fold(0, |mask, &octet| mask << 1 | u32::from(octet == value))
    }
}

#[cfg(test)]
mod tests {
    use super::{equal_octets, first_lane};

    #[test]
    fn the_first_lane_is_the_word() {
        assert_eq!(first_lane(0x8000_0001), [0x8000_0001, 0, 0, 0]);
    }

    #[test]
    fn each_equal_octet_is_one_bit() {
        let octets = [7, 8, 7, 9, 0, 0, 0, 7, 7, 0, 0x70, 7, 1, 2, 3, 7];
        assert_eq!(equal_octets(&octets, 7), 0b1000_1001_1000_0101);
        assert_eq!(equal_octets(&[0x80; 16], 0x80), 0xffff);
        assert_eq!(equal_octets(&[0; 16], 0), 0xffff);
        assert_eq!(equal_octets(&[0; 16], 1), 0);
        for at in 0..16 {
            let mut octets = [3; 16];
            octets[at] = 0xff;
            assert_eq!(equal_octets(&octets, 0xff), 1 << at);
        }
    }
}
