//! The tables of the packet path: fixed in size, reserved at start, never rehashed, never allocating.
//!
//! They know hashes, ids and milliseconds, not packets; one worker owns each and nothing here is shared.

mod deadlines;
mod flow_table;
mod hasher;
mod id_pool;
mod port_bitmap;
mod token_bucket;

pub use deadlines::Deadlines;
pub use flow_table::{FlowTable, Full, Place};
pub use hasher::Hasher;
pub use id_pool::IdPool;
pub use port_bitmap::PortBitmap;
pub use token_bucket::TokenBucket;
