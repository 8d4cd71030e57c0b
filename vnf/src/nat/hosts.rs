//! The internal hosts of one worker: the external address each is paired with (RFC 6888 REQ-2), and what it uses.

use std::ops::RangeInclusive;

use dpdk_bindings::cpu::prefetch;
use dpdk_bindings::memory::{HugeArray, Source};

use super::table::Internal;
use crate::session::NIL;
use crate::table::{FlowTable, Hasher, IdPool, Place, TokenBucket};

/// An internal host with at least one session or port block.
#[derive(Debug, zerocopy::FromZeros)]
#[repr(C)]
pub struct Host {
    /// Who it is.
    pub internal: Internal,
    /// The external address it is paired with, zero while it has none.
    pub external: u32,
    /// Its translated sessions.
    pub sessions: u32,
    /// Its dynamic mappings.
    pub mappings: u32,
    /// Its port blocks.
    pub blocks: u32,
    /// The number of the latest of them among its external address's.
    pub first_block: u32,
    /// Its allowance of new sessions.
    pub allowance: TokenBucket,
}

/// The hosts of one worker, in memory reserved at start.
pub struct Hosts {
    by_address: FlowTable,
    hosts: HugeArray<Host>,
    ids: IdPool,
    hasher: Hasher,
    changes: Vec<BlockChange>,
    changes_lost: u64,
}

/// A port block that a host got or gave back: what a block log records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlockChange {
    /// Whether the host got it.
    pub opened: bool,
    /// The internal host.
    pub host: Internal,
    /// The external address.
    pub address: u32,
    /// Its first and its last port.
    pub ports: (u16, u16),
}

impl Hosts {
    /// Room for `capacity` hosts.
    ///
    /// # Errors
    /// When the memory cannot be reserved.
    pub fn with_capacity(
        capacity: usize,
        hasher: Hasher,
        source: Source<'_>,
    ) -> dpdk_bindings::Result<Self> {
        Ok(Self {
            by_address: FlowTable::with_capacity("host addresses", capacity, source)?,
            hosts: HugeArray::zeroed("hosts", capacity, source)?,
            ids: IdPool::new("host ids", capacity, source)?,
            hasher,
            changes: Vec::with_capacity(CHANGES),
            changes_lost: 0,
        })
    }

    /// Asks the processor for where a host is entered.
    #[inline]
    pub fn prefetch_entry(&self, host: Internal) -> Place {
        self.by_address.prefetch(self.hasher.hash2(host.number(), 0))
    }

    /// The host that is probably entered there; asks the processor for it.
    #[inline]
    pub fn prefetch_candidate(&self, place: Place) -> Option<u32> {
        let id = self.by_address.candidates(place).next()?;
        prefetch(self.hosts.get(id as usize)?);
        Some(id)
    }

    /// Asks the processor for a host.
    #[inline]
    pub fn prefetch(&self, id: u32) {
        if let Some(host) = self.hosts.get(id as usize) {
            prefetch(host);
        }
    }

    /// The entry of a host.
    pub fn find(&self, host: Internal) -> Option<u32> {
        let hash = self.hasher.hash2(host.number(), 0);
        self.by_address.find(hash, |id| self.hosts[id as usize].internal == host)
    }

    /// The entry of a host, a new one if need be; `None` when there is no room.
    pub fn find_or_open(&mut self, host: Internal) -> Option<u32> {
        if let Some(id) = self.find(host) {
            return Some(id);
        }
        let id = self.ids.take()?;
        if self.by_address.insert(self.hasher.hash2(host.number(), 0), id).is_err() {
            self.ids.give(id);
            return None;
        }
        let allowance = TokenBucket::default();
        self.hosts[id as usize] = Host {
            internal: host,
            external: 0,
            sessions: 0,
            mappings: 0,
            blocks: 0,
            first_block: NIL,
            allowance,
        };
        Some(id)
    }

    /// An entry in use.
    pub fn host(&self, id: u32) -> &Host {
        &self.hosts[id as usize]
    }

    /// An entry in use.
    pub fn host_mut(&mut self, id: u32) -> &mut Host {
        &mut self.hosts[id as usize]
    }

    /// The host of this number, if it has a session or a port block.
    pub fn in_use(&self, id: u32) -> Option<&Host> {
        self.hosts.get(id as usize).filter(|host| host.sessions > 0 || host.blocks > 0)
    }

    /// A host gets a block of its external address; it becomes its first one.
    pub fn open_block(&mut self, id: u32, block: u32, address: u32, ports: RangeInclusive<u16>) {
        let host = &mut self.hosts[id as usize];
        (host.external, host.first_block) = (address, block);
        host.blocks += 1;
        let (host, ports) = (host.internal, (*ports.start(), *ports.end()));
        self.note_block(BlockChange { opened: true, host, address, ports });
    }

    /// A host loses a block; `first` is its first one from here on.
    pub fn close_block(&mut self, id: u32, first: u32, address: u32, ports: RangeInclusive<u16>) {
        let host = &mut self.hosts[id as usize];
        host.first_block = first;
        host.blocks -= 1;
        let (host, ports) = (host.internal, (*ports.start(), *ports.end()));
        self.note_block(BlockChange { opened: false, host, address, ports });
    }

    /// The one place that every change of a block passes. What nobody takes in time is counted as lost.
    fn note_block(&mut self, change: BlockChange) {
        if self.changes.len() < CHANGES {
            self.changes.push(change);
        } else {
            self.changes_lost += 1;
        }
    }

    /// The changes of blocks since the last time, in order, and how many more there were.
    pub fn take_block_changes(&mut self) -> (impl Iterator<Item = BlockChange> + '_, u64) {
        let lost = std::mem::take(&mut self.changes_lost);
        (self.changes.drain(..), lost)
    }

    /// Forgets a host that uses nothing any more.
    pub fn close_if_idle(&mut self, id: u32) {
        let host = &self.hosts[id as usize];
        if host.sessions == 0 && host.mappings == 0 && host.blocks == 0 {
            self.by_address.remove(self.hasher.hash2(host.internal.number(), 0), id);
            self.ids.give(id);
        }
    }

    /// Hosts in use.
    pub fn len(&self) -> usize {
        self.ids.used()
    }

    /// Whether no host is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many fit.
    pub fn capacity(&self) -> usize {
        self.hosts.len()
    }

    /// Memory reserved, in octets.
    pub fn bytes(&self) -> usize {
        self.by_address.bytes() + self.hosts.len() * size_of::<Host>() + self.ids.bytes()
    }
}

/// Changes of blocks kept: more than one turn makes of its packets and expiries.
const CHANGES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ids::WorkerId;
    use crate::nat::ownership::Ownership;

    #[test]
    fn the_hosts_of_one_worker_fill_its_table() {
        let hasher = Hasher::random();
        let ownership = Ownership::new(hasher.clone(), 8);
        let mut hosts = Hosts::with_capacity(2_000, hasher, Source::Plain).expect("plain memory");
        let owned = (0x0a00_0000u32..)
            .map(Internal::from)
            .filter(|&host| ownership.of_host(host) == WorkerId(0));
        assert!(owned.take(2_000).all(|host| hosts.find_or_open(host).is_some()));
        assert_eq!(hosts.len(), hosts.capacity());
    }
}
