//! Sets of packets in a burst, and one value per packet: DPDK's own idiom, a 64-bit mask over 64 slots.

use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, Index, IndexMut, Not};

/// How many packets travel together: one per bit of a [`Mask`].
pub const BURST: usize = 64;

/// One packet's place in a burst.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slot(u8);

impl Slot {
    /// The slot with this number (modulo the burst size).
    #[inline]
    pub fn new(index: usize) -> Self {
        Self((index % BURST) as u8)
    }

    /// The slot's number, below [`BURST`].
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0) % BURST
    }
}

/// A set of slots in a burst.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Mask(u64);

impl Mask {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// The first `n` slots.
    #[inline]
    pub fn first(n: usize) -> Self {
        Self(u64::MAX.checked_shr(64 - n as u32).unwrap_or(0))
    }

    /// Adds a slot.
    #[inline]
    pub fn insert(&mut self, slot: Slot) {
        self.0 |= 1 << (slot.0 % 64);
    }

    /// Adds a slot if `wanted`, without a branch.
    #[inline]
    pub fn insert_if(&mut self, slot: Slot, wanted: bool) {
        self.0 |= u64::from(wanted) << (slot.0 % 64);
    }

    /// Takes a slot out.
    #[inline]
    pub fn remove(&mut self, slot: Slot) {
        self.0 &= !(1 << (slot.0 % 64));
    }

    /// Whether the slot is in the set.
    #[inline]
    pub fn contains(self, slot: Slot) -> bool {
        self.0 >> (slot.0 % 64) & 1 == 1
    }

    /// Whether the set is empty.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many slots are in the set.
    #[inline]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

impl BitAnd for Mask {
    type Output = Self;
    #[inline]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitAndAssign for Mask {
    #[inline]
    fn bitand_assign(&mut self, other: Self) {
        self.0 &= other.0;
    }
}

impl BitOr for Mask {
    type Output = Self;
    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Mask {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl Not for Mask {
    type Output = Self;
    #[inline]
    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl Iterator for Mask {
    type Item = Slot;
    #[inline]
    fn next(&mut self) -> Option<Slot> {
        (self.0 != 0).then(|| {
            let slot = Slot(self.0.trailing_zeros() as u8);
            self.0 &= self.0 - 1;
            slot
        })
    }
}

/// One value per slot. Indexing by [`Slot`] compiles to a plain load: no bounds check.
#[derive(Debug)]
#[repr(align(64))]
pub struct Column<T>(pub(crate) [T; BURST]);

impl<T> Column<T> {
    /// A column whose values `make` makes.
    pub fn from_fn(make: impl FnMut(usize) -> T) -> Self {
        Self(std::array::from_fn(make))
    }
}

impl<T: Default> Default for Column<T> {
    fn default() -> Self {
        Self::from_fn(|_| T::default())
    }
}

impl<T> Index<Slot> for Column<T> {
    type Output = T;
    #[inline]
    fn index(&self, slot: Slot) -> &T {
        &self.0[slot.index()]
    }
}

impl<T> IndexMut<Slot> for Column<T> {
    #[inline]
    fn index_mut(&mut self, slot: Slot) -> &mut T {
        &mut self.0[slot.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_n_slots_come_out_in_order() {
        for n in [0, 1, 5, 63, 64] {
            let slots: Vec<usize> = Mask::first(n).map(Slot::index).collect();
            assert_eq!(slots, (0..n).collect::<Vec<_>>());
            assert_eq!(Mask::first(n).len(), n);
        }
    }

    #[test]
    fn a_removed_slot_is_gone_and_the_rest_stays() {
        let mut mask = Mask::first(3);
        mask.remove(Slot::new(1));
        assert!(!mask.contains(Slot::new(1)));
        assert_eq!(mask.len(), 2);
        mask.insert_if(Slot::new(1), false);
        assert_eq!(mask.len(), 2);
        mask.insert_if(Slot::new(1), true);
        assert_eq!(mask, Mask::first(3));
        assert!((mask & !mask).is_empty());
    }
}
