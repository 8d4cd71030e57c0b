//! What the packet path asks of the processor: time, prefetch, CRC, and a place among DPDK's threads.

use std::{
    arch::asm,
    arch::x86_64::{_MM_HINT_T0, _mm_prefetch, _rdtsc},
    marker::PhantomData,
    ptr,
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::{
    Eal,
    error::{Error, Result},
};

/// The time-stamp counter.
#[inline]
pub fn tsc() -> u64 {
    // SAFETY: an instruction of every x86-64.
    unsafe { _rdtsc() }
}

/// Ticks of the time-stamp counter in a second, as DPDK measured it, or measured here where DPDK is not initialised.
pub fn tsc_hz() -> u64 {
    static HZ: OnceLock<u64> = OnceLock::new();
    *HZ.get_or_init(|| {
        // SAFETY: reads a variable: 0 before EAL initialisation.
        match unsafe { dpdk_sys::rte_get_tsc_hz() } {
            0 => measure_tsc_hz(),
            hz => hz,
        }
    })
}

/// Asks for the cache line at the start of `value`, into the first-level cache.
#[inline]
pub fn prefetch<T: ?Sized>(value: &T) {
    // SAFETY: prefetching changes no state of the program, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(ptr::from_ref(value).cast()) }
}

/// The CRC-32C (RFC 3720, without the final complement) of eight more octets, in the order of memory.
///
/// One instruction of x86-64-v2, the oldest machine that DPDK's own build runs on.
#[inline]
pub fn crc32c(crc: u32, octets: u64) -> u32 {
    let mut crc = u64::from(crc);
    // SAFETY: computes on registers only.
    unsafe {
        asm!("crc32 {0}, {1}", inout(reg) crc, in(reg) octets, options(pure, nomem, nostack, preserves_flags))
    };
    crc as u32
}

/// The processor time that the calling thread has used.
pub fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Makes the calling thread one of DPDK's, with its own cache in every mempool, until the guard is dropped.
pub fn register_thread(eal: &Eal) -> Result<Registered> {
    // SAFETY: the EAL is initialised (token).
    if unsafe { dpdk_sys::rte_thread_register() } < 0 {
        return Err(Error::last("rte_thread_register"));
    }
    Ok(Registered { _eal: eal.clone(), _of_this_thread: PhantomData })
}

/// A thread's registration with DPDK; it stays on its thread.
#[derive(Debug)]
#[must_use = "dropping it ends the registration"]
pub struct Registered {
    _eal: Eal,
    _of_this_thread: PhantomData<*const ()>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: this thread was registered by `register_thread`: the guard is not `Send`.
        unsafe { dpdk_sys::rte_thread_unregister() }
    }
}

fn measure_tsc_hz() -> u64 {
    let (time, ticks) = (Instant::now(), tsc());
    std::thread::sleep(Duration::from_millis(50));
    let (elapsed, ticks) = (time.elapsed(), tsc() - ticks);
    (u128::from(ticks) * 1_000_000_000 / elapsed.as_nanos().max(1)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_of_the_examples_of_rfc_3720() {
        let crc = |octets: [u8; 32]| {
            let words =
                octets.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
            !words.fold(u32::MAX, crc32c)
        };
        assert_eq!(crc([0; 32]), 0x8a91_36aa);
        assert_eq!(crc([0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc(std::array::from_fn(|n| n as u8)), 0x46dd_794e);
    }

    #[test]
    fn clocks_advance() {
        let (ticks, used) = (tsc(), thread_cpu_time());
        let mut work = 0;
        while thread_cpu_time() == used {
            work = crc32c(work, 1);
        }
        prefetch(&work);
        assert!(tsc() > ticks);
        assert!((100_000_000..20_000_000_000).contains(&tsc_hz()));
    }
}
