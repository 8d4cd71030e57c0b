//! Which worker owns a flow: told by arithmetic from the packet alone, the same for both directions.
//!
//! A host's worker owns all its mappings and sessions. External endpoints are divided among the workers: whole addresses
//! where there are enough of them, else equal slices of every address's ports.

use std::ops::RangeInclusive;

use super::table::{Endpoint, NatTable};
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
    pub fn of_host(&self, internal: u32) -> WorkerId {
        self.pick(self.hasher.hash2(internal.into(), 0))
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
        if self.owns_addresses(table) {
            return WorkerId((index % self.workers) as u8);
        }
        let (first, last) = (*table.ports().start(), *table.ports().end());
        let at = external.1.clamp(first, last) - first;
        WorkerId((u32::from(at) / self.slice_length(table)) as u8)
    }

    /// The ports of the pool's `index`-th address that a worker owns; `None` when it owns none of them.
    pub fn ports_of(
        &self,
        table: &NatTable,
        index: u32,
        worker: WorkerId,
    ) -> Option<RangeInclusive<u16>> {
        let ports = table.ports();
        if self.owns_addresses(table) {
            return (index % self.workers == u32::from(worker.0)).then_some(ports);
        }
        let start = u32::from(*ports.start()) + u32::from(worker.0) * self.slice_length(table);
        let end = (start + self.slice_length(table) - 1).min((*ports.end()).into());
        (start <= end).then_some(start as u16..=end as u16)
    }

    fn owns_addresses(&self, table: &NatTable) -> bool {
        table.pool().len() >= self.workers as usize
    }

    fn slice_length(&self, table: &NatTable) -> u32 {
        (table.ports().len() as u32).div_ceil(self.workers).max(1)
    }

    #[inline]
    fn pick(&self, hash: u64) -> WorkerId {
        // The lower half: a flow table takes its buckets from the upper one, and a worker's own flows shall fill them all.
        WorkerId(((u64::from(hash as u32) * u64::from(self.workers)) >> 32) as u8)
    }
}
