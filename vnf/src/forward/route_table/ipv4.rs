//! Longest-prefix match for IPv4 in steps of 16, 8 and 8 bits (Gupta, Lin and McKeown, INFOCOM 1998, with a smaller
//! first step): 256 KiB, and 512 bytes for each /16 and each /24 that holds longer prefixes.

use super::RouteId;

/// An address in host byte order, a prefix length, and what they map to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) address: u32,
    pub(super) length: u8,
    pub(super) id: RouteId,
}

/// An immutable map from prefixes to ids below [`LIMIT`].
#[derive(Debug)]
pub(super) struct Table {
    /// By the first 16 bits: an id with [`LEAF`] set, or a group in `second`.
    first: Vec<u32>,
    /// Groups of 256, by the next 8 bits: an id, or [`DEEPER`] and which of the groups in `third`.
    second: Vec<u16>,
    /// For each group in `second`, its first group in `third`; the others follow.
    base: Vec<u32>,
    /// Groups of 256, by the last 8 bits: an id.
    third: Vec<u16>,
}

impl Table {
    /// Builds the map; of two entries for one prefix, the first counts.
    pub(super) fn build(mut entries: Vec<Entry>) -> Self {
        let mut table = Self {
            first: vec![LEAF; 1 << 16],
            second: Vec::new(),
            base: Vec::new(),
            third: Vec::new(),
        };
        entries.sort_by_key(|e| (e.address, e.length));
        entries.dedup_by_key(|e| (e.address, e.length));
        // Longer prefixes overwrite shorter ones. Behind 24 bits the order of addresses counts first: it keeps the
        // groups of one /16 together.
        entries.sort_by_key(|e| {
            (e.length.min(25), if e.length > 24 { e.address >> 8 } else { 0 }, e.length)
        });
        for entry in entries {
            table.insert(entry);
        }
        table.second.shrink_to_fit();
        table.base.shrink_to_fit();
        table.third.shrink_to_fit();
        table
    }

    /// Writes the id of the longest prefix that holds each address; as many as there are addresses, or as fit.
    pub(super) fn find(&self, addresses: &[u32], ids: &mut [RouteId]) {
        for (addresses, ids) in addresses.chunks(BULK).zip(ids.chunks_mut(BULK)) {
            self.find_bulk(addresses, ids);
        }
    }

    /// The id of the longest prefix that holds an address.
    #[inline]
    pub(super) fn find_one(&self, address: u32) -> RouteId {
        let entry = self.first.get((address >> 16) as usize).copied().unwrap_or(LEAF);
        if entry & LEAF != 0 {
            return RouteId(entry as u16);
        }
        let second = self.second.get(slot(entry, address >> 8)).copied().unwrap_or(0);
        if second & DEEPER == 0 {
            return RouteId(second);
        }
        let base = self.base.get(entry as usize).copied().unwrap_or(0);
        let group = base + u32::from(second & !DEEPER);
        RouteId(self.third.get(slot(group, address)).copied().unwrap_or(0))
    }

    /// The memory the map takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.first[..])
            + size_of_val(&self.second[..])
            + size_of_val(&self.base[..])
            + size_of_val(&self.third[..])
    }

    /// Takes all addresses through one step before the next: cache misses overlap, and no branch depends on an address.
    #[inline]
    fn find_bulk(&self, addresses: &[u32], ids: &mut [RouteId]) {
        // The addresses that need the next step, and their groups.
        let mut open = [(0, 0); BULK];
        let mut count = 0;
        for (place, (address, id)) in addresses.iter().zip(&mut *ids).enumerate() {
            let entry = self.first.get((address >> 16) as usize).copied().unwrap_or(LEAF);
            *id = RouteId(entry as u16);
            open[count % BULK] = (place as u32, entry);
            count += usize::from(entry & LEAF == 0);
        }
        let mut deeper = 0;
        for at in 0..count {
            let (place, group) = open[at % BULK];
            let place = place as usize;
            let Some((address, id)) = addresses.get(place).zip(ids.get_mut(place)) else { return };
            let entry = self.second.get(slot(group, address >> 8)).copied().unwrap_or(0);
            *id = RouteId(entry);
            open[deeper % BULK] = (place as u32, group);
            deeper += usize::from(entry & DEEPER != 0);
        }
        for at in 0..deeper {
            let (place, group) = open[at % BULK];
            let place = place as usize;
            let Some((address, id)) = addresses.get(place).zip(ids.get_mut(place)) else { return };
            let base = self.base.get(group as usize).copied().unwrap_or(0);
            let group = base + u32::from(id.0 & !DEEPER);
            *id = RouteId(self.third.get(slot(group, *address)).copied().unwrap_or(0));
        }
    }

    fn insert(&mut self, Entry { address, length, id }: Entry) {
        let high = (address >> 16) as usize;
        if length <= 16 {
            self.first[high..high + (1 << (16 - length))].fill(LEAF | u32::from(id.0));
            return;
        }
        let group = self.first[high];
        let group = if group & LEAF == 0 { group } else { self.open_second(high) };
        let at = slot(group, address >> 8);
        if length <= 24 {
            self.second[at..at + (1 << (24 - length))].fill(id.0);
            return;
        }
        let entry = self.second[at];
        let deeper = if entry & DEEPER != 0 { entry & !DEEPER } else { self.open_third(group, at) };
        let at = slot(self.base[group as usize] + u32::from(deeper), address);
        self.third[at..at + (1 << (32 - length))].fill(id.0);
    }

    /// Puts a group behind an id of `first`.
    fn open_second(&mut self, high: usize) -> u32 {
        let group = self.base.len() as u32;
        self.second.resize(self.second.len() + 256, self.first[high] as u16);
        self.base.push(0);
        self.first[high] = group;
        group
    }

    /// Puts a group behind an id of `second`.
    fn open_third(&mut self, group: u32, at: usize) -> u16 {
        let groups = (self.third.len() / 256) as u32;
        let range = slot(group, 0)..slot(group + 1, 0);
        if self.second[range].iter().all(|entry| entry & DEEPER == 0) {
            self.base[group as usize] = groups;
        }
        let deeper = (groups - self.base[group as usize]) as u16;
        self.third.resize(self.third.len() + 256, self.second[at]);
        self.second[at] = DEEPER | deeper;
        deeper
    }
}

/// Where a group has the entry for the low 8 bits.
#[inline]
fn slot(group: u32, bits: u32) -> usize {
    group as usize * 256 + (bits & 255) as usize
}

/// Addresses looked up at once.
const BULK: usize = 64;
const DEEPER: u16 = 1 << 15;
const LEAF: u32 = 1 << 31;
/// Ids must be lower.
pub(super) const LIMIT: u16 = DEEPER;
