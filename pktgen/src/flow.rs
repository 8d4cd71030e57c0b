//! The flow table: one 64-octet record a flow, what was learned about it, and what arrived of it.

mod plan;
mod record;
mod size;
mod stream;
mod table;
mod track;

pub use plan::{MAX_FLOWS, Plan, PlanError, Pool, hosts};
pub(crate) use record::{
    DATA_OFFSET, DONT_FRAGMENT, ECHO_SEQUENCE, TRAFFIC_CLASS, TTL, WINDOW, echo_type, fill,
    is_filled,
};
pub use record::{Flow, Kind};
pub use size::{SizeError, Sizes};
pub use stream::{Churn, Expect, Protocol, Share, Stream};
pub use table::{Flows, Learned};
pub use track::{Seen, Tally};

/// The way a packet goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the inside port to the outside port.
    Outward,
    /// Back.
    Inward,
}

impl Direction {
    /// Both, outward first.
    pub const BOTH: [Self; 2] = [Self::Outward, Self::Inward];

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inward => "inward",
            Self::Outward => "outward",
        }
    }

    /// The other one.
    #[inline]
    pub fn reversed(self) -> Self {
        match self {
            Self::Inward => Self::Outward,
            Self::Outward => Self::Inward,
        }
    }
}

/// The bit of a trailer's flow word that marks [`Direction::Inward`].
pub(crate) const INWARD: u32 = 1 << 31;
