//! Clauses of the standards, each test named after its own. docs/conformance-clauses lists which test shows which clause.

#[path = "../common/mod.rs"]
mod common;

mod segment_size;
mod unsolicited;
