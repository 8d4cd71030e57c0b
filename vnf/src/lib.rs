//! Carrier-grade NAT44, stateful firewall and router.
#![forbid(unsafe_code)]

pub mod acl;
pub mod cli;
pub mod config;
pub mod forward;
pub mod icmp;
pub mod mgmt;
pub mod table;
pub mod wire;
