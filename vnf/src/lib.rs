//! Carrier-grade NAT44, stateful firewall and router.
//!
//! Start reading at [`pipeline`].
#![forbid(unsafe_code)]

pub mod acl;
pub mod assembly;
pub mod bench;
pub mod cli;
pub mod config;
pub mod dispatch;
pub mod egress;
pub mod engine;
pub mod forward;
pub mod fragment;
pub mod icmp;
pub mod mgmt;
pub mod nat;
pub mod neighbor;
pub mod parse;
pub mod pipeline;
pub mod session;
pub mod start;
pub mod table;
pub mod wire;
pub mod worker;
