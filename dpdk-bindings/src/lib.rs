//! Safe DPDK: the only crate of this workspace with `unsafe` code.
//!
//! The invariants it relies on:
//!
//! - An [`Eal`] exists only after `rte_eal_init` succeeded; whatever uses DPDK holds one, so clean-up comes last.
//! - An [`Mbuf`] is owned by one holder. Its memory outlives it: a [`Mempool`] is freed only when none of its buffers is out.
//! - A device queue has one owner ([`RxQueue`], [`TxQueue`]: not `Clone`, not `Sync`), and a port is closed after its queues.
//! - `data_off` and `data_len` of an mbuf stay within its buffer; a buffer's memory is initialised (the kernel zeroes it).

pub mod acl;
pub mod batch;
pub mod cpu;
pub mod eal;
pub mod error;
pub mod fib;
pub mod mbuf;
pub mod memory;
pub mod mempool;
pub mod port;
pub mod queue;
pub mod simd;
pub mod tap;
pub mod testing;

pub use batch::Batch;
pub use eal::Eal;
pub use error::{Errno, Error, Result};
pub use mbuf::{Checksum, Mbuf};
pub use mempool::Mempool;
pub use port::Port;
pub use queue::{RxQueue, TxQueue};
