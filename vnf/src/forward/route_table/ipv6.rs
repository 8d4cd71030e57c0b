//! Longest-prefix match for IPv6: a 64-way trie with bitmaps in place of pointers, after "Poptrie" (Asai
//! and Ohara, SIGCOMM 2015). Built from ranges, which also joins neighbours of equal value. A
//! change builds the branches that it concerns anew; copies share the rest.

use std::sync::Arc;

use super::RouteId;
use super::chunked::Chunked;

/// An address as a number, a prefix length, and what they map to.
#[derive(Clone, Copy, Debug)]
pub(in crate::forward) struct Entry {
    pub(in crate::forward) address: u128,
    pub(in crate::forward) length: u8,
    pub(in crate::forward) id: RouteId,
}

/// A map from prefixes to ids.
#[derive(Clone, Debug)]
pub(in crate::forward) struct Trie {
    /// One entry per combination of the first `direct_bits` bits: an id with [`LEAF`] set, or a branch.
    direct: Chunked<u32>,
    direct_bits: u32,
    /// What is behind the first bits; copies share those that do not change.
    branches: Vec<Arc<Branch>>,
    /// Branches in no use.
    free: Vec<u32>,
}

/// The trie behind one combination of the first bits.
#[derive(Debug, Default)]
struct Branch {
    leaves: Vec<RouteId>,
    nodes: Vec<Node>,
}

impl Trie {
    /// Builds the map; of two entries for one prefix, the first counts.
    pub(in crate::forward) fn build(mut entries: Vec<Entry>) -> Self {
        let direct_bits = direct_bits(entries.len());
        let mut trie = Self {
            direct: Chunked::filled(1 << direct_bits, LEAF),
            direct_bits,
            branches: Vec::new(),
            free: Vec::new(),
        };
        entries.sort_by_key(|e| (e.address, e.length));
        entries.dedup_by_key(|e| (e.address, e.length));
        let (mut short, long): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|e| u32::from(e.length) <= direct_bits);
        short.sort_by_key(|e| e.length);
        for Entry { address, length, id } in short {
            let from = trie.slot(address);
            for at in from..from + (1 << (direct_bits - u32::from(length))) {
                trie.direct.set(at, LEAF | u32::from(id.0));
            }
        }
        let slot = |entry: &Entry| bits(entry.address, 0, direct_bits);
        for block in long.chunk_by(|a, b| slot(a) == slot(b)) {
            let slot = slot(&block[0]);
            let outside = trie.direct.get(slot).unwrap_or(LEAF);
            trie.write(slot, RouteId(outside as u16), block.to_vec());
        }
        trie
    }

    /// Whether a map of so many entries has as many slots.
    pub(in crate::forward) fn suits(&self, entries: usize) -> bool {
        direct_bits(entries) <= self.direct_bits
    }

    /// The bits that tell slots apart.
    pub(in crate::forward) fn slot_bits(&self) -> u32 {
        self.direct_bits
    }

    /// The slot of an address.
    pub(in crate::forward) fn slot(&self, address: u128) -> usize {
        bits(address, 0, self.direct_bits)
    }

    /// Writes one slot anew: what the prefixes that hold all of it say, and the longer ones in it, each once.
    pub(in crate::forward) fn write(
        &mut self,
        slot: usize,
        outside: RouteId,
        mut inside: Vec<Entry>,
    ) {
        let before = self.direct.get(slot).filter(|entry| entry & LEAF == 0);
        if inside.is_empty() {
            self.free.extend(before);
            before.into_iter().for_each(|at| self.branches[at as usize] = Arc::default());
            self.direct.set(slot, LEAF | u32::from(outside.0));
            return;
        }
        let block = Block::ROOT.child(slot, self.direct_bits);
        let length = self.direct_bits as u8;
        inside.push(Entry { address: block.start, length, id: outside });
        let points = Sweep::run(inside);
        let mut cursor = Cursor { points: &points, id: RouteId::NONE };
        let (id, points) = cursor.advance(block);
        let mut branch = Branch { nodes: vec![Node::default()], ..Branch::default() };
        branch.fill(0, block, Cursor { points, id });
        branch.leaves.shrink_to_fit();
        branch.nodes.shrink_to_fit();
        let branch = Arc::new(branch);
        let at = match before.or_else(|| self.free.pop()) {
            Some(at) => {
                self.branches[at as usize] = branch;
                at
            }
            None => {
                self.branches.push(branch);
                self.branches.len() as u32 - 1
            }
        };
        self.direct.set(slot, at);
    }

    /// Writes the id of the longest prefix that holds each address; as many as there are addresses, or
    /// as fit.
    pub(in crate::forward) fn find(&self, addresses: &[u128], ids: &mut [RouteId]) {
        for (addresses, ids) in addresses.chunks(BULK).zip(ids.chunks_mut(BULK)) {
            self.find_bulk(addresses, ids);
        }
    }

    /// Goes down level by level with all addresses at once: their cache misses overlap, and no branch depends on an
    /// address.
    #[inline]
    fn find_bulk(&self, addresses: &[u128], ids: &mut [RouteId]) {
        // The addresses that are not at a leaf, and their branches and nodes.
        let mut open = [(0, 0, 0); BULK];
        let mut count = 0;
        for (place, (address, id)) in addresses.iter().zip(&mut *ids).enumerate() {
            let slot = bits(*address, 0, self.direct_bits);
            let entry = self.direct.get(slot).unwrap_or(LEAF);
            *id = RouteId(entry as u16);
            open[count % BULK] = (place, entry, 0);
            count += usize::from(entry & LEAF == 0);
        }
        let mut offset = self.direct_bits;
        while count > 0 {
            let mut deeper = 0;
            for at in 0..count {
                let (place, branch, index) = open[at % BULK];
                let Some((address, id)) = addresses.get(place).zip(ids.get_mut(place)) else {
                    return;
                };
                let Some(nodes) = self.branches.get(branch as usize) else { return };
                let Some(node) = nodes.nodes.get(index as usize) else { return };
                let (child, next) = node.step(bits(*address, offset, STRIDE));
                *id = nodes
                    .leaves
                    .get(next as usize * usize::from(!child))
                    .copied()
                    .unwrap_or_default();
                open[deeper % BULK] = (place, branch, next);
                deeper += usize::from(child);
            }
            count = deeper;
            offset += STRIDE;
        }
    }

    /// The memory the map takes, in bytes.
    pub(in crate::forward) fn bytes(&self) -> usize {
        let branch = |branch: &Arc<Branch>| {
            size_of_val(&**branch)
                + size_of_val(&branch.leaves[..])
                + size_of_val(&branch.nodes[..])
        };
        self.direct.bytes()
            + size_of_val(&self.branches[..])
            + self.branches.iter().map(branch).sum::<usize>()
    }
}

impl Branch {
    /// Writes the node at `index` and all below it.
    fn fill(&mut self, index: usize, block: Block, mut cursor: Cursor) {
        let mut node = Node {
            first_child: self.nodes.len() as u32,
            first_leaf: self.leaves.len() as u32,
            ..Node::default()
        };
        let mut children = Vec::new();
        let mut last_leaf = None;
        for slot in 0..1 << STRIDE {
            let child = block.child(slot, STRIDE);
            let (id, inside) = cursor.advance(child);
            if !inside.is_empty() {
                node.children |= 1 << slot;
                children.push((child, Cursor { points: inside, id }));
            } else if last_leaf != Some(id) {
                // A run of equal leaves is stored once; children in between do not end it.
                node.leaves |= 1 << slot;
                self.leaves.push(id);
                last_leaf = Some(id);
            }
        }
        self.nodes[index] = node;
        self.nodes.resize(self.nodes.len() + children.len(), Node::default());
        for (next, (child, cursor)) in children.into_iter().enumerate() {
            self.fill(node.first_child as usize + next, child, cursor);
        }
    }
}

/// Six bits of an address: for each of 64 slots a child or a id.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// Slots that have a child; the others have a leaf.
    children: u64,
    /// Slots where a run of equal leaves starts.
    leaves: u64,
    first_child: u32,
    first_leaf: u32,
}

impl Node {
    /// Whether the slot has a child, and the number of that child or else of the leaf.
    #[inline]
    fn step(&self, slot: usize) -> (bool, u32) {
        let child = self.children >> slot & 1 != 0;
        let (bits, first) =
            if child { (self.children, self.first_child) } else { (self.leaves, self.first_leaf) };
        // Of a leaf slot, the run it belongs to started at or before it: at least one bit counts.
        (child, first + (bits << (63 - slot)).count_ones() - 1)
    }
}

/// All addresses that start with the same bits.
#[derive(Clone, Copy)]
struct Block {
    start: u128,
    length: u32,
}

impl Block {
    const ROOT: Self = Self { start: 0, length: 0 };

    fn child(self, slot: usize, bits: u32) -> Self {
        let length = self.length + bits;
        Self { start: self.start | (slot as u128) << (128 - length), length }
    }

    fn last(self) -> u128 {
        self.start | u128::MAX.checked_shr(self.length).unwrap_or(0)
    }
}

/// From this address on, the id is this one.
#[derive(Clone, Copy)]
struct Point {
    start: u128,
    id: RouteId,
}

/// A walk along points in ascending order.
struct Cursor<'a> {
    points: &'a [Point],
    id: RouteId,
}

impl<'a> Cursor<'a> {
    /// The id at the start of the block, and the points behind its start.
    fn advance(&mut self, block: Block) -> (RouteId, &'a [Point]) {
        while let Some((first, rest)) = self.points.split_first()
            && first.start <= block.start
        {
            self.id = first.id;
            self.points = rest;
        }
        let last = block.last();
        let (inside, rest) =
            self.points.split_at(self.points.iter().take_while(|p| p.start <= last).count());
        let id = self.id;
        self.id = inside.last().map_or(id, |p| p.id);
        self.points = rest;
        (id, inside)
    }
}

/// Turns nested prefixes into the points where the id changes.
#[derive(Default)]
struct Sweep {
    points: Vec<Point>,
    /// The prefixes around the current address with their last addresses, the longest prefix last.
    open: Vec<(u128, RouteId)>,
}

impl Sweep {
    fn run(mut entries: Vec<Entry>) -> Vec<Point> {
        entries.sort_by_key(|e| (e.address, e.length));
        entries.dedup_by_key(|e| (e.address, e.length));
        let mut sweep = Self { points: Vec::with_capacity(2 * entries.len()), ..Self::default() };
        for Entry { address, length, id } in entries {
            sweep.close(|last| last < address);
            sweep.open.push((Block { start: address, length: length.into() }.last(), id));
            sweep.change(address);
        }
        sweep.close(|_| true);
        sweep.points
    }

    /// Leaves the prefixes that have ended.
    fn close(&mut self, ended: impl Fn(u128) -> bool) {
        while let Some((last, _)) = self.open.pop_if(|(last, _)| ended(*last)) {
            if let Some(next) = last.checked_add(1) {
                self.change(next);
            }
        }
    }

    /// From `start` on, the longest open prefix counts.
    fn change(&mut self, start: u128) {
        let id = self.open.last().map_or(RouteId::NONE, |(_, id)| *id);
        self.points.pop_if(|point| point.start == start);
        if self.points.last().map_or(RouteId::NONE, |point| point.id) != id {
            self.points.push(Point { start, id });
        }
    }
}

/// So many bits after the first `offset`, as an index.
#[inline]
fn bits(address: u128, offset: u32, count: u32) -> usize {
    if offset + count <= 64 {
        // Most prefixes end in the first half, where one shift does.
        (((address >> 64) as u64) << offset >> (64 - count)) as usize
    } else {
        (address << offset >> (128 - count)) as usize
    }
}

/// How many bits the first step takes. With these, steps of six end at 32 and at 128 bits alike; the more entries,
/// the larger the first step, from 1 KiB to 4 MiB.
fn direct_bits(entries: usize) -> u32 {
    match entries {
        0..64 => 8,
        64..16_384 => 14,
        _ => 20,
    }
}

/// Addresses looked up at once.
const BULK: usize = 64;
const LEAF: u32 = 1 << 31;
const STRIDE: u32 = 6;
