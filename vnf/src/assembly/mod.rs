//! From settings to running parts: tables for the workers, and workers on their ports. Used by `vnf run`, `vnf bench` and
//! the tests alike.

pub mod tables;
pub mod workers;

pub use tables::{BuildError, Builder};
pub use workers::{Assembled, PortQueues, assemble};
