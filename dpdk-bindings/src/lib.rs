//! Safe DPDK.

pub mod error;

pub use error::{Errno, Error, Result};
