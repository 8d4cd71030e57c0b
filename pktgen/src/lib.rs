//! Traffic generator.
#![forbid(unsafe_code)]
