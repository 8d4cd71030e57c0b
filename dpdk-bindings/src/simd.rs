//! Comparisons that the compiler does not turn into vector instructions by itself.

/// Returns a bit for each of the twelve lanes that equals `value`, the lowest for the first.
///
/// Four instructions and two loads where LLVM's own version of the loop takes forty.
#[inline]
pub fn equal_lanes(lanes: &[u16; 12], value: u16) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{
            _mm_cmpeq_epi16, _mm_loadl_epi64, _mm_loadu_si128, _mm_movemask_epi8, _mm_packs_epi16,
            _mm_set1_epi16,
        };
        // SAFETY: SSE2 is part of x86-64; the loads are unaligned ones of lanes 0 to 7 and 8 to 11, inside the array.
        let mask = unsafe {
            let wanted = _mm_set1_epi16(value.cast_signed());
            let low = _mm_cmpeq_epi16(_mm_loadu_si128(lanes.as_ptr().cast()), wanted);
            let high = _mm_cmpeq_epi16(_mm_loadl_epi64(lanes.as_ptr().add(8).cast()), wanted);
            _mm_movemask_epi8(_mm_packs_epi16(low, high))
        };
        // The upper half of `high` is no lane.
        mask as u32 & 0xfff
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        lanes.iter().rev().fold(0, |mask, &lane| mask << 1 | u32::from(lane == value))
    }
}

#[cfg(test)]
mod tests {
    use super::equal_lanes;

    #[test]
    fn each_equal_lane_is_one_bit() {
        assert_eq!(equal_lanes(&[7, 8, 7, 9, 0, 0, 0, 7, 7, 0, 0x0700, 7], 7), 0b1001_1000_0101);
        assert_eq!(equal_lanes(&[0x8000; 12], 0x8000), 0xfff);
        assert_eq!(equal_lanes(&[0; 12], 0), 0xfff);
        assert_eq!(equal_lanes(&[0; 12], 1), 0);
        for lane in 0..12 {
            let mut lanes = [3; 12];
            lanes[lane] = 0xffff;
            assert_eq!(equal_lanes(&lanes, 0xffff), 1 << lane);
        }
    }
}
