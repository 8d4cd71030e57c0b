//! The `pktgen` command.
#![forbid(unsafe_code)]
fn main() {}
