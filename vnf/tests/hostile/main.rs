//! Whatever comes in by a port: the process lives, every packet is counted under a reason, no buffer is lost, and the
//! flows of others go on. The harness sees to the last three at every step and at the end.

#[path = "../common/mod.rs"]
mod common;

mod broken;
mod nat;
mod random;
mod samples;
mod segments;
