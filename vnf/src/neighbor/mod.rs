//! Neighbours: next hops, and the packets that wait until one is resolved.

pub mod answer;
pub mod held;
pub mod table;

pub use held::HeldPackets;
pub use table::{NeighborTable, NextHop, PortSet};
