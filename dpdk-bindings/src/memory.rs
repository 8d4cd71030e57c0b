//! Memory for tables: one zeroed array, on hugepages where DPDK has them.

use std::{
    ffi::c_void,
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
    slice,
};

use zerocopy::FromZeros;

use crate::{
    Eal,
    eal::c_string,
    error::{Error, Result},
    mempool::free_memory,
};

/// Where the memory of a table comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// DPDK's hugepages; ordinary pages where DPDK runs without any.
    Dpdk(&'a Eal),
    /// Ordinary pages, transparent hugepages where the kernel gives them.
    Plain,
}

/// A zero-initialised array of fixed length, aligned to cache lines.
pub struct HugeArray<T> {
    start: NonNull<T>,
    len: usize,
    owner: Owner,
    _elements: PhantomData<T>,
}

enum Owner {
    Dpdk { _eal: Eal },
    Mapping { start: *mut c_void, octets: usize },
    Nobody,
}

// SAFETY: owns its elements, as a `Vec` does.
unsafe impl<T: Send> Send for HugeArray<T> {}
// SAFETY: `&HugeArray` only gives `&T`.
unsafe impl<T: Sync> Sync for HugeArray<T> {}

impl<T: FromZeros> HugeArray<T> {
    /// Reserves `len` elements, all zero; `name` is for error messages.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, with what was asked and what there is.
    pub fn zeroed(name: &str, len: usize, source: Source<'_>) -> Result<Self> {
        const { assert!(align_of::<T>() <= CACHE_LINE && !std::mem::needs_drop::<T>()) };
        let octets =
            len.checked_mul(size_of::<T>()).filter(|octets| *octets <= isize::MAX as usize);
        let Some(octets) = octets else {
            let why = format!("{name}: {len} times {} octets", size_of::<T>());
            return Err(Error::new("HugeArray::zeroed", libc::ENOMEM, why));
        };
        let (start, owner) = match source {
            _ if octets == 0 => (NonNull::<CacheLine>::dangling().cast(), Owner::Nobody),
            Source::Dpdk(eal) if eal.hugepages().in_use => reserve(eal, name, octets)?,
            Source::Dpdk(_) | Source::Plain => map(name, octets)?,
        };
        Ok(Self { start: start.cast(), len, owner, _elements: PhantomData })
    }
}

impl<T> Deref for HugeArray<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `len` elements from `start` are ours, aligned, and valid: zeroed at first (`FromZeros`).
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for HugeArray<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; exclusive by `&mut self`.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T> Drop for HugeArray<T> {
    fn drop(&mut self) {
        match self.owner {
            // SAFETY: came from rte_zmalloc and is freed once; `_eal` is dropped after this.
            Owner::Dpdk { .. } => unsafe { dpdk_sys::rte_free(self.start.as_ptr().cast()) },
            Owner::Mapping { start, octets } => {
                // SAFETY: the whole mapping, unmapped once.
                unsafe { libc::munmap(start, octets) };
            }
            Owner::Nobody => {}
        }
    }
}

impl<T> fmt::Debug for HugeArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HugeArray({} times {} octets)", self.len, size_of::<T>())
    }
}

fn reserve(eal: &Eal, name: &str, octets: usize) -> Result<(NonNull<c_void>, Owner)> {
    let c_name = c_string(name)?;
    // SAFETY: the EAL is initialised (token); the name lives for the call.
    let start = unsafe { dpdk_sys::rte_zmalloc(c_name.as_ptr(), octets, CACHE_LINE as u32) };
    NonNull::new(start).map(|start| (start, Owner::Dpdk { _eal: eal.clone() })).ok_or_else(|| {
        let why = format!("{name}: {octets} octets asked; {}", free_memory(eal));
        Error::new("rte_zmalloc", libc::ENOMEM, why)
    })
}

/// Maps zeroed pages; a large mapping starts at a hugepage's boundary, so that the kernel can use one there.
fn map(name: &str, octets: usize) -> Result<(NonNull<c_void>, Owner)> {
    let align = if octets >= HUGEPAGE { HUGEPAGE } else { 0 };
    let mapped = octets.saturating_add(align);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh anonymous mapping, at an address of the kernel's choice.
    let base = unsafe {
        libc::mmap(ptr::null_mut(), mapped, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
    };
    if base == libc::MAP_FAILED {
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::ENOMEM);
        return Err(Error::new("mmap", errno, format!("{name}: {octets} octets asked")));
    }
    let skip = if align == 0 { 0 } else { base.align_offset(align) };
    // SAFETY: `skip` < `align`, so that `octets` from there lie within the mapping.
    let start = unsafe { base.byte_add(skip) };
    if align > 0 {
        // SAFETY: advice about a part of our own mapping; a kernel without transparent hugepages refuses, harmlessly.
        unsafe { libc::madvise(start, octets, libc::MADV_HUGEPAGE) };
    }
    let start = NonNull::new(start).expect("a mapping does not start at 0");
    Ok((start, Owner::Mapping { start: base, octets: mapped }))
}

#[repr(align(64))]
struct CacheLine;

const CACHE_LINE: usize = align_of::<CacheLine>();
const HUGEPAGE: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_array_is_zeroed_aligned_and_writable() {
        for len in [1, 1000, 3 << 20] {
            let mut array = HugeArray::<u64>::zeroed("test", len, Source::Plain).unwrap();
            assert_eq!(array.as_ptr() as usize % 64, 0);
            assert_eq!(array.len(), len);
            assert!(array.iter().all(|element| *element == 0));
            array[len - 1] = 7;
            assert_eq!(array.last(), Some(&7));
        }
    }

    #[test]
    fn an_empty_array_needs_no_memory() {
        assert!(HugeArray::<u64>::zeroed("test", 0, Source::Plain).unwrap().is_empty());
    }

    #[test]
    fn more_than_there_is_says_what_was_asked() {
        let error = HugeArray::<u64>::zeroed("sessions", usize::MAX, Source::Plain).unwrap_err();
        assert_eq!(error.errno.0, libc::ENOMEM);
        assert!(error.to_string().contains("sessions"), "{error}");
        let error = HugeArray::<u64>::zeroed("sessions", 1 << 50, Source::Plain).unwrap_err();
        assert!(error.to_string().contains("9007199254740992 octets"), "{error}");
    }
}
