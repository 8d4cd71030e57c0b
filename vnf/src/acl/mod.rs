//! The packet filter.

pub mod key;
pub mod rule_set;

pub use key::{AclKey, Upper};
pub use rule_set::{CompileError, Decision, RuleSet};
