//! The configuration: a TOML file in, typed settings out, or every error at once.

mod problem;
mod settings;

pub use problem::{Errors, Problem};
pub use settings::*;
