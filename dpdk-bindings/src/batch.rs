//! Packets that leave together.

use std::{fmt, mem::MaybeUninit, ptr, slice};

use crate::Mbuf;
use crate::queue::BURST;

/// Up to [`BURST`] packets in order, of which none is missing: adding one is two stores, and nothing is looked through
/// before they are sent.
pub struct Batch {
    packets: [MaybeUninit<Mbuf>; BURST],
    /// The first so many are initialised.
    len: usize,
}

impl Batch {
    /// An empty batch.
    pub const fn new() -> Self {
        Self { packets: [const { MaybeUninit::uninit() }; BURST], len: 0 }
    }

    /// Adds a packet behind the others; gives it back where the batch is full.
    #[inline]
    pub fn push(&mut self, packet: Mbuf) -> Result<(), Mbuf> {
        let Some(place) = self.packets.get_mut(self.len) else { return Err(packet) };
        place.write(packet);
        self.len += 1;
        Ok(())
    }

    /// How many packets there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no further one fits.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == BURST
    }

    /// The packets.
    #[inline]
    pub fn packets(&self) -> &[Mbuf] {
        // SAFETY: the first `len` places are initialised.
        unsafe { slice::from_raw_parts(self.packets.as_ptr().cast(), self.len) }
    }

    /// Takes the packets out, in order.
    pub fn take_all(&mut self, mut each: impl FnMut(Mbuf)) {
        let count = std::mem::take(&mut self.len);
        for place in &self.packets[..count] {
            // SAFETY: one of the first `count` places, forgotten by the line above and read once.
            each(unsafe { place.assume_init_read() });
        }
    }

    /// Frees all packets.
    pub fn clear(&mut self) {
        let count = std::mem::take(&mut self.len);
        // SAFETY: they are valid packets, forgotten by the line above and freed once here.
        unsafe { dpdk_sys::rte_pktmbuf_free_bulk(self.packets.as_mut_ptr().cast(), count as u32) }
    }

    /// Where the packets stand, as C sees them: `len` pointers.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut *mut dpdk_sys::rte_mbuf {
        self.packets.as_mut_ptr().cast()
    }

    /// Forgets the first packets, which somebody else owns now; the others move up.
    ///
    /// # Safety
    ///
    /// `count` is at most `len`.
    pub(crate) unsafe fn forget_first(&mut self, count: usize) {
        let rest = self.len - count;
        self.len = rest;
        if rest > 0 {
            let start = self.packets.as_mut_ptr();
            // SAFETY: both ranges lie within the array; what is overwritten is not ours any more.
            unsafe { ptr::copy(start.add(count), start, rest) };
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} packets)", self.len)
    }
}
