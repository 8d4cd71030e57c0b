//! How the external ports of an address are laid out: one by one, in blocks, or computed.

use std::ops::RangeInclusive;

use super::deterministic::Deterministic;
use crate::config::{Allocation, Nat44Settings};

/// Which ports a host may get, and in what units ports are dealt out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Layout {
    /// Those computed from the host's address, and blocks from what is kept for overflow (RFC 7422).
    Deterministic(Deterministic),
    /// Any.
    Dynamic,
    /// Whole blocks, in this part of the port range.
    PortBlocks(RangeInclusive<u16>, u16),
}

impl Layout {
    /// The layout that settings ask for.
    pub fn new(settings: &Nat44Settings) -> Self {
        match (settings.allocation, Deterministic::new(settings)) {
            (Allocation::Deterministic, Some(functions)) => Self::Deterministic(functions),
            (Allocation::PortBlocks, _) => {
                let (range, size) = (&settings.port_range, settings.port_block_size);
                let whole = (range.len() / usize::from(size) * usize::from(size)) as u16;
                Self::PortBlocks(*range.start()..=range.start() + (whole - 1), size)
            }
            _ => Self::Dynamic,
        }
    }

    /// The ports of an address that blocks are made of, and how many make a block; `None` without blocks.
    pub fn blocks(&self) -> Option<(RangeInclusive<u16>, u16)> {
        match self {
            Self::Deterministic(functions) => functions.overflow(),
            Self::Dynamic => None,
            Self::PortBlocks(ports, size) => Some((ports.clone(), *size)),
        }
    }
}
