//! IPv4 fragments: split at egress. Fragments of both families: given their datagram's ports on the way through.

mod aging;
mod coverage;
mod datagram;
mod places;
pub mod split;
pub mod tracker;

pub use tracker::Tracker;
