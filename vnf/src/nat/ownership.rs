//! Which worker owns a flow: told by arithmetic from the packet alone, the same for both directions.
//!
//! A host's worker owns all its mappings and sessions. External endpoints are divided among the workers as
//! [`Shares`](super::shares::Shares) says: whole addresses, or equal slices of an address's ports. With deterministic allocation a host's
//! share is its worker's, and slices divide only what is kept for overflow.

use std::ops::RangeInclusive;

use super::layout::Layout;
use super::shares::Share;
use super::table::{Endpoint, Internal, NatTable};
use crate::engine::ids::WorkerId;
use crate::engine::meta::{Family, FlowKey};
use crate::table::Hasher;

/// How flows are divided among the workers.
#[derive(Clone, Debug)]
pub struct Ownership {
    hasher: Hasher,
    workers: u32,
}

impl Ownership {
    /// Divides flows among this many workers, all of which use the same hash.
    pub fn new(hasher: Hasher, workers: usize) -> Self {
        Self { hasher, workers: workers as u32 }
    }

    /// Whether one worker owns everything.
    #[inline]
    pub fn is_sole(&self) -> bool {
        self.workers == 1
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers as usize
    }

    /// The owner of an internal host's translated flows.
    pub fn of_host(&self, internal: Internal) -> WorkerId {
        self.pick(self.hasher.hash2(internal.number(), 0))
    }

    /// The owner of an untranslated flow: a symmetric hash of both addresses.
    pub fn of_pair(&self, key: &FlowKey) -> WorkerId {
        if key.family == Family::Ipv4 {
            let (a, b) = (key.source[0], key.destination[0]);
            return self.pick(self.hasher.hash2(a.min(b).into(), u64::from(a.max(b)) | 1 << 32));
        }
        let (a, b) = (key.source.min(key.destination), key.source.max(key.destination));
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let words = [pair(a[0], a[1]), pair(a[2], a[3]), pair(b[0], b[1]), pair(b[2], b[3]), 0];
        self.pick(self.hasher.hash5(&words))
    }

    /// The owner of an external endpoint.
    pub fn of_external(&self, table: &NatTable, protocol: u8, external: Endpoint) -> WorkerId {
        if let Some(internal) = table.fixed_internal(protocol, external) {
            return self.of_host(internal.0);
        }
        let Some(index) = table.pool().index_of(external.0) else { return WorkerId(0) };
        if let Layout::Deterministic(functions) = table.layout() {
            if let Some(internal) = functions.reverse(external) {
                return self.of_host(table.only_host(internal));
            }
        } else if let Some(Share::Whole(worker)) = table.share_of(index) {
            return worker;
        }
        let (ports, unit) = divisible(table);
        let units = ports.len().div_ceil(unit) as u32;
        let port = external.1.clamp(*ports.start(), *ports.end()) - ports.start();
        WorkerId((u32::from(port) / unit as u32 * self.workers / units) as u8)
    }

    /// The ports of the pool's `index`-th address that a worker owns; `None` when it owns none of them. With deterministic
    /// allocation: those of the ports kept for overflow.
    pub fn ports_of(
        &self,
        table: &NatTable,
        index: u32,
        worker: WorkerId,
    ) -> Option<RangeInclusive<u16>> {
        let (ports, unit) = divisible(table);
        if !matches!(table.layout(), Layout::Deterministic(_))
            && let Share::Whole(owner) = table.share_of(index)?
        {
            return (owner == worker).then_some(ports);
        }
        let units = ports.len().div_ceil(unit) as u32;
        let slice = |worker: u8| {
            let first_unit = (u32::from(worker) * units).div_ceil(self.workers);
            u32::from(*ports.start()) + first_unit * unit as u32
        };
        let end = (slice(worker.0 + 1) - 1).min((*ports.end()).into());
        (slice(worker.0) <= end).then(|| slice(worker.0) as u16..=end as u16)
    }

    #[inline]
    fn pick(&self, hash: u64) -> WorkerId {
        // The lower half: a flow table takes its buckets from the upper one, and a worker's own flows shall fill them all.
        WorkerId(((u64::from(hash as u32) * u64::from(self.workers)) >> 32) as u8)
    }
}

/// The ports of an address that are divided among workers, and how many of them stay together.
fn divisible(table: &NatTable) -> (RangeInclusive<u16>, usize) {
    match table.layout() {
        Layout::Deterministic(functions) => match functions.overflow() {
            Some((ports, block)) => (ports, block.into()),
            None => (table.ports(), 1),
        },
        Layout::Dynamic => (table.ports(), 1),
        Layout::PortBlocks(ports, size) => (ports.clone(), (*size).into()),
    }
}
