//! What the system tests share: two hosts in network namespaces, a `vnf` between them, the kernel as the oracle.
//!
//! They need root and `/dev/net/tun`; without, each test says that it is skipped.
#![forbid(unsafe_code)]

mod bench;
mod config;
mod namespace;
mod vnf;
mod world;

use std::time::{Duration, Instant};

pub use bench::Bench;
pub use config::{Config, Third, cores};
pub use namespace::Namespace;
pub use vnf::{Vnf, pktgen, program};
pub use world::{SERVER, World, pooled};

/// The signals that tests send.
pub use rustix::process::Signal;

/// Polls until `condition` holds, and panics with `what` after twenty seconds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "still not so after 20 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
