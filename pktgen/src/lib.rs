//! Traffic generator and measuring instrument that understands NAT.
//!
//! An oracle: it shares no code with the network function it measures.
#![forbid(unsafe_code)]

pub mod checksum;
pub mod frame;
pub mod trailer;
