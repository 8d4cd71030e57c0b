//! Longest-prefix match for IPv4 in steps of 16, 8 and 8 bits (Gupta, Lin and McKeown, INFOCOM 1998, with a smaller
//! first step): 256 KiB, and 512 bytes for each /16 and each /24 that holds longer prefixes. A change writes the /16s that
//! it concerns anew; copies share the rest.

use super::RouteId;
use super::chunked::Chunked;

/// An address in host byte order, a prefix length, and what they map to.
#[derive(Clone, Copy, Debug)]
pub(in crate::forward) struct Entry {
    pub(in crate::forward) address: u32,
    pub(in crate::forward) length: u8,
    pub(in crate::forward) id: RouteId,
}

/// A map from prefixes to ids below [`LIMIT`].
#[derive(Clone, Debug)]
pub(in crate::forward) struct Table {
    /// By the first 16 bits: an id with [`LEAF`] set, or a group in `second`.
    first: Chunked<u32>,
    /// Groups of 256, by the next 8 bits: an id, or [`DEEPER`] and which of the groups in `third`.
    second: Chunked<u16>,
    /// For each group in `second`, its first group in `third`; the others follow.
    base: Chunked<u32>,
    /// Groups of 256, by the last 8 bits: an id.
    third: Chunked<u16>,
    /// Groups of `second` that no /16 uses.
    free: Vec<u32>,
    seconds: u32,
    thirds: u32,
    /// Groups of `third` that no /24 uses.
    wasted: u32,
}

impl Table {
    /// Builds the map; of two entries for one prefix, the first counts.
    pub(in crate::forward) fn build(mut entries: Vec<Entry>) -> Self {
        let mut table = Self {
            first: Chunked::filled(1 << 16, LEAF),
            second: Chunked::default(),
            base: Chunked::default(),
            third: Chunked::default(),
            free: Vec::new(),
            seconds: 0,
            thirds: 0,
            wasted: 0,
        };
        entries.sort_by_key(|e| (e.address, e.length));
        entries.dedup_by_key(|e| (e.address, e.length));
        let (mut short, long): (Vec<_>, Vec<_>) = entries.into_iter().partition(|e| e.length <= 16);
        short.sort_by_key(|e| e.length);
        for Entry { address, length, id } in short {
            let high = (address >> 16) as usize;
            for at in high..high + (1 << (16 - length)) {
                table.first.set(at, LEAF | u32::from(id.0));
            }
        }
        for block in long.chunk_by(|a, b| a.address >> 16 == b.address >> 16) {
            let high = (block[0].address >> 16) as u16;
            let outside = table.first.get(high.into()).unwrap_or(LEAF);
            table.write(high, RouteId(outside as u16), &mut block.to_vec());
        }
        table
    }

    /// Writes one /16 anew: what the prefixes up to its length say of it, and the longer ones in it, each once.
    pub(in crate::forward) fn write(&mut self, high: u16, outside: RouteId, inside: &mut [Entry]) {
        let at = usize::from(high);
        let before = self.first.get(at).filter(|entry| entry & LEAF == 0);
        if inside.is_empty() {
            if let Some(group) = before {
                self.wasted += self.thirds_of(group);
                self.free.push(group);
            }
            self.first.set(at, LEAF | u32::from(outside.0));
            return;
        }
        inside.sort_by_key(|e| e.length);
        let group = before.unwrap_or_else(|| self.open_second());
        let had = before.map_or(0, |group| self.thirds_of(group));
        let split = inside.partition_point(|e| e.length <= 24);
        let (middle, long) = inside.split_at(split);
        let second = self.second.group_mut(group as usize);
        second.fill(outside.0);
        for entry in middle {
            let from = (entry.address >> 8 & 255) as usize;
            second[from..from + (1 << (24 - entry.length))].fill(entry.id.0);
        }
        let mut deeper = [false; 256];
        long.iter().for_each(|e| deeper[(e.address >> 8 & 255) as usize] = true);
        let needed = deeper.iter().filter(|deeper| **deeper).count() as u32;
        let base = if needed <= had {
            self.wasted += had - needed;
            self.base.get(group as usize).unwrap_or(0)
        } else {
            self.wasted += had;
            let base = self.thirds;
            self.thirds += needed;
            self.third.grow(self.thirds as usize * 256, 0);
            base
        };
        self.base.set(group as usize, base);
        let second = self.second.group_mut(group as usize);
        let places = (0..256).filter(|at| deeper[*at]);
        for (number, place) in places.enumerate() {
            let third = self.third.group_mut(base as usize + number);
            third.fill(second[place]);
            second[place] = DEEPER | number as u16;
        }
        for entry in long {
            let number = second[(entry.address >> 8 & 255) as usize] & !DEEPER;
            let third = self.third.group_mut(base as usize + usize::from(number));
            let from = (entry.address & 255) as usize;
            third[from..from + (1 << (32 - entry.length))].fill(entry.id.0);
        }
        self.first.set(at, group);
    }

    /// Whether so much is unused that the map had better be built anew.
    pub(in crate::forward) fn is_wasteful(&self) -> bool {
        self.wasted > 1024 && self.wasted > self.thirds / 2
    }

    /// Writes the id of the longest prefix that holds each address; as many as there are addresses, or as fit.
    pub(in crate::forward) fn find(&self, addresses: &[u32], ids: &mut [RouteId]) {
        for (addresses, ids) in addresses.chunks(BULK).zip(ids.chunks_mut(BULK)) {
            self.find_bulk(addresses, ids);
        }
    }

    /// The id of the longest prefix that holds an address.
    #[inline]
    pub(in crate::forward) fn find_one(&self, address: u32) -> RouteId {
        let entry = self.first.get((address >> 16) as usize).unwrap_or(LEAF);
        if entry & LEAF != 0 {
            return RouteId(entry as u16);
        }
        let second = self.second.get(slot(entry, address >> 8)).unwrap_or(0);
        if second & DEEPER == 0 {
            return RouteId(second);
        }
        let base = self.base.get(entry as usize).unwrap_or(0);
        let group = base + u32::from(second & !DEEPER);
        RouteId(self.third.get(slot(group, address)).unwrap_or(0))
    }

    /// The memory the map takes, in bytes.
    pub(in crate::forward) fn bytes(&self) -> usize {
        self.first.bytes() + self.second.bytes() + self.base.bytes() + self.third.bytes()
    }

    /// Takes all addresses through one step before the next: cache misses overlap, and no branch depends on an address.
    #[inline]
    fn find_bulk(&self, addresses: &[u32], ids: &mut [RouteId]) {
        // The addresses that need the next step, and their groups.
        let mut open = [(0, 0); BULK];
        let mut count = 0;
        for (place, (address, id)) in addresses.iter().zip(&mut *ids).enumerate() {
            let entry = self.first.get((address >> 16) as usize).unwrap_or(LEAF);
            *id = RouteId(entry as u16);
            open[count % BULK] = (place as u32, entry);
            count += usize::from(entry & LEAF == 0);
        }
        let mut deeper = 0;
        for at in 0..count {
            let (place, group) = open[at % BULK];
            let place = place as usize;
            let Some((address, id)) = addresses.get(place).zip(ids.get_mut(place)) else { return };
            let entry = self.second.get(slot(group, address >> 8)).unwrap_or(0);
            *id = RouteId(entry);
            open[deeper % BULK] = (place as u32, group);
            deeper += usize::from(entry & DEEPER != 0);
        }
        for at in 0..deeper {
            let (place, group) = open[at % BULK];
            let place = place as usize;
            let Some((address, id)) = addresses.get(place).zip(ids.get_mut(place)) else { return };
            let base = self.base.get(group as usize).unwrap_or(0);
            let group = base + u32::from(id.0 & !DEEPER);
            *id = RouteId(self.third.get(slot(group, *address)).unwrap_or(0));
        }
    }

    /// A group of `second`.
    fn open_second(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.seconds += 1;
            self.second.grow(self.seconds as usize * 256, 0);
            self.base.grow(self.seconds as usize, 0);
            self.seconds - 1
        })
    }

    /// How many groups of `third` are behind a group of `second`.
    fn thirds_of(&self, group: u32) -> u32 {
        let second = self.second.group(group as usize);
        second.iter().filter(|entry| **entry & DEEPER != 0).count() as u32
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
pub(in crate::forward) const LIMIT: u16 = DEEPER;
