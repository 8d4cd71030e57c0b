//! Raw bindings to the DPDK installed on this machine: an allow-list of its functions and types, and the shim.
//! Only `dpdk-bindings` uses them.
#![allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    clippy::all,
    reason = "generated from C headers"
)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
