//! Traffic generator and measuring instrument that understands NAT.
//!
//! An oracle: it shares no code with the network function it measures.
#![forbid(unsafe_code)]

pub mod acl;
pub mod calibration;
pub mod checksum;
pub mod cli;
pub mod control;
pub mod endpoint;
pub mod engine;
pub mod finding;
pub mod flow;
pub mod frame;
pub mod host;
pub mod latency;
pub mod measure;
pub mod methods;
pub mod nat;
pub mod offence;
pub mod page;
mod parse;
pub mod plot;
pub mod port;
pub mod prefix;
pub mod probe;
pub mod profile;
pub mod rate;
pub mod receive;
pub mod record;
pub mod replay;
pub mod report;
pub mod screen;
pub mod search;
pub mod session;
pub mod setup;
pub mod soak;
pub mod storm;
pub mod trailer;
pub mod transmit;
pub mod trials;
