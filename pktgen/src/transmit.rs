//! Writing frames, and when.

mod composer;
mod pacer;

pub use composer::{Composer, Route};
pub use pacer::{GRACE_NS, Pacer, Spacing};
