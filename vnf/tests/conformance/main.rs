//! Clauses of the standards, each test named after its own. docs/conformance-clauses lists which test shows which clause.

#[path = "../common/mod.rs"]
mod common;

mod allocation;
mod behaviour;
mod protocols;
mod segment_size;
mod tcp;
mod timers;
mod unsolicited;
