//! The `vnf` command.
#![forbid(unsafe_code)]
fn main() {}
