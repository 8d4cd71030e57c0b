//! What the packet tests share: a VNF on ring ports, and packets made by an independent library.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test program uses its own part of it"
)]

mod config;
mod counters;
mod frame;
mod harness;
mod management;
mod packet;

pub use config::Config;
pub use frame::{Frame, mac_of};
pub use harness::{Harness, endpoint, for_workers, seconds};
pub use packet::{
    Checksum, Endpoint, Packet, Upper, address, arp, arp_request, icmp_error, icmp_error_from_vnf,
    ip, ping, tcp, udp, v6,
};
