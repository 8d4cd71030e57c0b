//! The external addresses as sorted ranges that number them.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

/// Non-contiguous ranges of addresses (RFC 6888 REQ-3), each address with a number.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PoolRanges {
    ranges: Vec<Range>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Range {
    start: u32,
    end: u32,
    first_index: u32,
}

impl PoolRanges {
    /// No address at all.
    pub const EMPTY: Self = Self { ranges: Vec::new() };

    /// A pool of these ranges, none of which overlaps another.
    pub fn new(ranges: &[RangeInclusive<Ipv4Addr>]) -> Self {
        let mut sorted: Vec<(u32, u32)> =
            ranges.iter().map(|r| (u32::from(*r.start()), u32::from(*r.end()))).collect();
        sorted.sort_unstable();
        let mut first_index = 0;
        let mut numbered = Vec::with_capacity(sorted.len());
        for (start, end) in sorted {
            numbered.push(Range { start, end, first_index });
            first_index += end - start + 1;
        }
        Self { ranges: numbered }
    }

    /// The number of an address in the pool.
    #[inline]
    pub fn index_of(&self, address: u32) -> Option<u32> {
        let after = self.ranges.partition_point(|range| range.start <= address);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        (address <= range.end).then(|| range.first_index + address - range.start)
    }

    /// Every address, by number.
    pub fn addresses(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|range| range.start..=range.end)
    }

    /// How many addresses there are.
    pub fn len(&self) -> usize {
        self.ranges.last().map_or(0, |r| (r.first_index + r.end - r.start) as usize + 1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbered_across_gaps() {
        let range = |a: [u8; 4], b: [u8; 4]| Ipv4Addr::from(a)..=Ipv4Addr::from(b);
        let pool = PoolRanges::new(&[
            range([203, 0, 113, 0], [203, 0, 113, 15]),
            range([198, 51, 100, 10], [198, 51, 100, 13]),
        ]);
        assert_eq!(pool.len(), 20);
        for (index, address) in pool.addresses().enumerate() {
            assert_eq!(pool.index_of(address), Some(index as u32));
        }
        for outside in [[198, 51, 100, 9], [198, 51, 100, 14], [203, 0, 113, 16], [0, 0, 0, 0]] {
            assert_eq!(pool.index_of(u32::from(Ipv4Addr::from(outside))), None);
        }
    }
}
