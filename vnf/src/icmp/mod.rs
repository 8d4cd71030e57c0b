//! What a router says itself: ICMP errors, echo replies, TCP resets; and the packets that ICMP
//! errors quote.
//!
//! Pure functions on frames: whether and how often to answer is the caller's decision.

pub mod echo;
pub mod error;
pub mod inner;
pub mod limiter;
pub mod local;
pub mod reject;
pub mod reset;

#[cfg(test)]
mod frames;

/// Hops that packets of the VNF's own start with.
pub const TTL: u8 = 64;
