//! Pools of packet buffers.

use std::{
    fmt,
    ptr::{self, NonNull},
    sync::Arc,
};

use crate::{
    Eal, Mbuf,
    eal::c_string,
    error::{Error, Result},
};

/// A pool of packet buffers; clones share it.
///
/// The buffers are returned by dropping them. A pool dropped before its last buffer stays in memory for ever.
#[derive(Clone)]
pub struct Mempool(Arc<Inner>);

struct Inner {
    pool: NonNull<dpdk_sys::rte_mempool>,
    name: String,
    capacity: u32,
    data_room: u16,
    eal: Eal,
}

// SAFETY: a mempool is made for use by many threads (22.11 rte_mempool.h, "thread safety"): its common part is a
// multi-producer multi-consumer ring, its caches belong to one registered thread each.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Mempool {
    /// A pool of `buffers` buffers with `data_room` octets each for packet data, besides the headroom.
    ///
    /// Every registered thread keeps up to `cache` (at most 512) of them at hand.
    pub fn new(eal: &Eal, name: &str, buffers: u32, cache: u32, data_room: u16) -> Result<Self> {
        let c_name = c_string(name)?;
        let cache = cache.min(CACHE_MAX).min(buffers / 2);
        let room = data_room.saturating_add(HEADROOM);
        // SAFETY: the EAL is initialised (token); the name lives for the call, which copies it.
        let pool = unsafe {
            dpdk_sys::rte_pktmbuf_pool_create(
                c_name.as_ptr(),
                buffers,
                cache,
                0,
                room,
                dpdk_sys::SHIM_SOCKET_ANY,
            )
        };
        let Some(pool) = NonNull::new(pool) else {
            let error = Error::last("rte_pktmbuf_pool_create");
            let octets = u64::from(buffers) * (u64::from(room) + 192);
            let why = format!(
                "pool {name:?}: {buffers} buffers, about {octets} octets; {}",
                free_memory(eal)
            );
            return Err(error.with_detail(why));
        };
        let inner =
            Inner { pool, name: name.to_owned(), capacity: buffers, data_room, eal: eal.clone() };
        Ok(Self(Arc::new(inner)))
    }

    /// Takes one empty buffer.
    pub fn alloc(&self) -> Option<Mbuf> {
        let mut one = [const { None }];
        self.alloc_bulk(&mut one);
        let [packet] = one;
        packet
    }

    /// Fills all of `into` with empty buffers, or none of it; what it held is freed first.
    pub fn alloc_bulk(&self, into: &mut [Option<Mbuf>]) -> bool {
        into.fill_with(|| None);
        // SAFETY: `Option<Mbuf>` has the layout of a pointer, null for `None` (asserted in mbuf.rs); the call writes
        // `into.len()` owned buffers or nothing.
        let answer = unsafe {
            dpdk_sys::shim_pktmbuf_alloc_bulk(
                self.as_ptr(),
                into.as_mut_ptr().cast(),
                into.len() as u32,
            )
        };
        answer == 0
    }

    /// A packet of these octets, in as many segments as it takes; `None` where the pool is empty.
    pub fn frame(&self, octets: &[u8]) -> Option<Mbuf> {
        let room = usize::from(self.data_room()).max(1);
        let mut segments = octets.chunks(room);
        let mut packet = self.segment(segments.next().unwrap_or_default())?;
        for octets in segments {
            packet.append(self.segment(octets)?).ok()?;
        }
        Some(packet)
    }

    /// The name given at creation.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// All buffers, used or not.
    pub fn capacity(&self) -> usize {
        self.0.capacity as usize
    }

    /// Buffers that somebody holds: packets under way, drivers, rings.
    pub fn in_use(&self) -> usize {
        // SAFETY: the pool is alive as long as `self`.
        unsafe { dpdk_sys::rte_mempool_in_use_count(self.as_ptr()) as usize }
    }

    /// Octets of packet data that one buffer holds, besides the headroom.
    pub fn data_room(&self) -> u16 {
        self.0.data_room
    }

    pub(crate) fn eal(&self) -> &Eal {
        &self.0.eal
    }

    pub(crate) fn as_ptr(&self) -> *mut dpdk_sys::rte_mempool {
        self.0.pool.as_ptr()
    }

    fn segment(&self, octets: &[u8]) -> Option<Mbuf> {
        let mut segment = self.alloc()?;
        segment.extend(octets.len())?.copy_from_slice(octets);
        Some(segment)
    }
}

impl fmt::Debug for Mempool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mempool({:?}, {} of {} in use)", self.name(), self.in_use(), self.capacity())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: the pool is alive until the call below.
        let in_use = unsafe { dpdk_sys::rte_mempool_in_use_count(self.pool.as_ptr()) };
        if in_use > 0 {
            // Somebody's `Mbuf` still points into it: never free its memory.
            log::warn!("pool {:?} is kept: {in_use} of its buffers are still in use", self.name);
            self.eal.keep_for_ever();
            return;
        }
        // SAFETY: no buffer is out, and no handle is left to take another.
        unsafe { dpdk_sys::rte_mempool_free(self.pool.as_ptr()) };
    }
}

/// A sentence on what DPDK's memory has left.
pub(crate) fn free_memory(_eal: &Eal) -> String {
    let mut stats = dpdk_sys::rte_malloc_socket_stats::default();
    // SAFETY: the EAL is initialised (token); `stats` is writable.
    let answer = unsafe { dpdk_sys::rte_malloc_get_socket_stats(0, ptr::from_mut(&mut stats)) };
    if answer < 0 {
        return "what is free is unknown".to_owned();
    }
    let (free, largest) = (stats.heap_freesz_bytes, stats.greatest_free_size);
    format!("{free} octets are free, {largest} of them in one piece; give [dpdk] memory more")
}

const CACHE_MAX: u32 = 512;
const HEADROOM: u16 = 128; // RTE_PKTMBUF_HEADROOM
