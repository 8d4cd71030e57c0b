//! `rte_fib` and `rte_fib6`: longest-prefix match for many addresses at once, immutable once built.

use std::{
    ffi::CString,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use dpdk_sys as sys;

use crate::{Error, Result, eal::Eal, error::check};

/// IPv4 prefixes in a table of 2^24 numbers (32 MiB) and groups of 256 behind it (DIR-24-8).
#[derive(Debug)]
pub struct Fib4 {
    fib: NonNull<sys::rte_fib>,
    _eal: Eal,
}

/// IPv6 prefixes in a table of 2^24 numbers (32 MiB) and groups of 256 behind it, one for each further octet.
#[derive(Debug)]
pub struct Fib6 {
    fib: NonNull<sys::rte_fib6>,
    _eal: Eal,
}

impl Fib4 {
    /// Builds the table from addresses in host byte order, prefix lengths, and what they map to: 1 to 32,767.
    /// Of two routes for one prefix the last counts. Fails with `ENOSPC` where more than `groups` are needed.
    pub fn build(eal: &Eal, routes: &[(u32, u8, u16)], groups: u32) -> Result<Self> {
        let name = unique_name();
        let dir24_8 = sys::rte_fib_conf__bindgen_ty_1__bindgen_ty_1 {
            nh_sz: sys::RTE_FIB_DIR24_8_2B,
            num_tbl8: groups,
        };
        let mut config = sys::rte_fib_conf {
            type_: sys::RTE_FIB_DIR24_8,
            max_routes: capacity(routes.len()),
            __bindgen_anon_1: sys::rte_fib_conf__bindgen_ty_1 { dir24_8 },
            ..Default::default()
        };
        // SAFETY: the EAL is initialised (`eal`); name and configuration live through the call, which copies them.
        let fib =
            unsafe { sys::rte_fib_create(name.as_ptr(), sys::SHIM_SOCKET_ANY, &raw mut config) };
        let fib = NonNull::new(fib).ok_or_else(|| Error::last("rte_fib_create"))?;
        let table = Self { fib, _eal: eal.clone() };
        for (address, length, value) in routes {
            // SAFETY: nobody else has the table yet.
            let answer =
                unsafe { sys::rte_fib_add(fib.as_ptr(), *address, *length, (*value).into()) };
            check("rte_fib_add", answer)?;
        }
        Ok(table)
    }

    /// Writes what the longest prefix of each address maps to, 0 without one; as many as there are addresses, or as fit.
    #[inline]
    pub fn lookup(&self, addresses: &[u32], values: &mut [u64]) {
        let count = addresses.len().min(values.len()) as i32;
        // SAFETY: the table is not changed after `build`; `count` addresses are read and as many values written.
        unsafe {
            let addresses = addresses.as_ptr().cast_mut();
            sys::rte_fib_lookup_bulk(self.fib.as_ptr(), addresses, values.as_mut_ptr(), count);
        }
    }
}

impl Fib6 {
    /// Builds the table as [`Fib4::build`] does, addresses in network order.
    pub fn build(eal: &Eal, routes: &[([u8; 16], u8, u16)], groups: u32) -> Result<Self> {
        let name = unique_name();
        let trie = sys::rte_fib6_conf__bindgen_ty_1__bindgen_ty_1 {
            nh_sz: sys::RTE_FIB6_TRIE_2B,
            num_tbl8: groups,
        };
        let mut config = sys::rte_fib6_conf {
            type_: sys::RTE_FIB6_TRIE,
            max_routes: capacity(routes.len()),
            __bindgen_anon_1: sys::rte_fib6_conf__bindgen_ty_1 { trie },
            ..Default::default()
        };
        // SAFETY: the EAL is initialised (`eal`); name and configuration live through the call, which copies them.
        let fib =
            unsafe { sys::rte_fib6_create(name.as_ptr(), sys::SHIM_SOCKET_ANY, &raw mut config) };
        let fib = NonNull::new(fib).ok_or_else(|| Error::last("rte_fib6_create"))?;
        let table = Self { fib, _eal: eal.clone() };
        for (address, length, value) in routes {
            // SAFETY: nobody else has the table yet; the address has 16 octets.
            let answer = unsafe {
                sys::rte_fib6_add(fib.as_ptr(), address.as_ptr(), *length, (*value).into())
            };
            check("rte_fib6_add", answer)?;
        }
        Ok(table)
    }

    /// Writes what the longest prefix of each address maps to, 0 without one; as many as there are addresses, or as fit.
    #[inline]
    pub fn lookup(&self, addresses: &[[u8; 16]], values: &mut [u64]) {
        let count = addresses.len().min(values.len()) as i32;
        // SAFETY: the table is not changed after `build`; `count` addresses are read and as many values written.
        unsafe {
            let addresses = addresses.as_ptr().cast_mut();
            sys::rte_fib6_lookup_bulk(self.fib.as_ptr(), addresses, values.as_mut_ptr(), count);
        }
    }
}

impl Drop for Fib4 {
    fn drop(&mut self) {
        // SAFETY: the table is ours and nobody uses it any more.
        unsafe { sys::rte_fib_free(self.fib.as_ptr()) }
    }
}

impl Drop for Fib6 {
    fn drop(&mut self) {
        // SAFETY: the table is ours and nobody uses it any more.
        unsafe { sys::rte_fib6_free(self.fib.as_ptr()) }
    }
}

// SAFETY: a table is not bound to the thread that made it; freeing takes DPDK's own locks.
unsafe impl Send for Fib4 {}
// SAFETY: a shared table is only read.
unsafe impl Sync for Fib4 {}
// SAFETY: a table is not bound to the thread that made it; freeing takes DPDK's own locks.
unsafe impl Send for Fib6 {}
// SAFETY: a shared table is only read.
unsafe impl Sync for Fib6 {}

/// Room for so many routes: their internal tree needs up to two nodes for each.
fn capacity(routes: usize) -> i32 {
    i32::try_from(routes.saturating_mul(2).max(1)).unwrap_or(i32::MAX)
}

fn unique_name() -> CString {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let name = format!("fib-{}", SERIAL.fetch_add(1, Ordering::Relaxed));
    CString::new(name).expect("no NUL in letters and digits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn longest_ipv4_prefix_counts() {
        let routes = [(0, 0, 1), (0x0a00_0000, 8, 2), (0x0a01_0203, 32, 3)];
        let table = Fib4::build(&testing::eal(), &routes, 16).expect("it fits");
        let mut values = [9; 4];
        table.lookup(&[0x0b00_0000, 0x0a00_0001, 0x0a01_0203, 0x0a01_0204], &mut values);
        assert_eq!(values, [1, 2, 3, 2]);
    }

    #[test]
    fn longest_ipv6_prefix_counts() {
        let address = |text: &str| -> [u8; 16] {
            text.parse::<std::net::Ipv6Addr>().expect("an address").octets()
        };
        let routes = [(address("2001:db8::"), 32, 1), (address("2001:db8::1"), 128, 2)];
        let table = Fib6::build(&testing::eal(), &routes, 64).expect("it fits");
        let mut values = [9; 3];
        table.lookup(&["2001:db8::1", "2001:db8::2", "2001:db9::"].map(address), &mut values);
        assert_eq!(values, [2, 1, 0]);
    }

    #[test]
    fn routes_that_need_more_groups_are_refused() {
        let routes: Vec<_> = (0..200).map(|n| (n << 24 | 1, 32, 1)).collect();
        let error = Fib4::build(&testing::eal(), &routes, 4).expect_err("200 groups are needed");
        assert_eq!((error.call, error.errno.0), ("rte_fib_add", libc::ENOSPC));
    }
}
