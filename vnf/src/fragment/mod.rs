//! IPv4 fragments: split at egress, and given their datagram's ports on the way through.

pub mod split;
pub mod tracker;

pub use tracker::Tracker;
