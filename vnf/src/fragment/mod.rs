//! IPv4 fragments: split at egress. Fragments of both families: given their datagram's ports on the way through, and put together where the VNF itself is meant.

mod aging;
mod coverage;
mod datagram;
mod places;
pub mod reassembly;
pub mod split;
pub mod tracker;

pub use reassembly::Reassembly;
pub use tracker::Tracker;
