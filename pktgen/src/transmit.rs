//! Writing frames, and when.

mod composer;
mod pacer;

pub use composer::Composer;
pub use pacer::{GRACE_NS, Pacer};
