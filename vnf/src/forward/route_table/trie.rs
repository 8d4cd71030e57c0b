//! Longest-prefix match for IPv4 and IPv6: a 64-way trie with bitmaps in place of pointers, after "Poptrie" (Asai
//! and Ohara, SIGCOMM 2015). Built once from ranges, which also joins neighbours of equal value; 0 is "no route".

/// Which key bits an address has; IPv4 is an address of 32 bits, IPv6 one of 128.
pub(super) trait Address: Copy {
    /// `bits` bits after the first `offset`, as an index.
    fn chunk(self, offset: u32, bits: u32) -> usize;
}

impl Address for u32 {
    #[inline]
    fn chunk(self, offset: u32, bits: u32) -> usize {
        ((self << offset) >> (Self::BITS - bits)) as usize
    }
}

impl Address for u128 {
    #[inline]
    fn chunk(self, offset: u32, bits: u32) -> usize {
        ((self << offset) >> (Self::BITS - bits)) as usize
    }
}

/// A prefix and what it maps to; IPv4 addresses stand in the most significant bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) address: u128,
    pub(super) length: u8,
    pub(super) value: u16,
}

/// An immutable map from prefixes to non-zero numbers.
#[derive(Debug)]
pub(super) struct Trie {
    /// One entry per combination of the first `direct_bits` bits: a value with [`LEAF`] set, or a node.
    direct: Vec<u32>,
    direct_bits: u32,
    leaves: Vec<u16>,
    nodes: Vec<Node>,
}

impl Trie {
    /// Builds the map; of two entries for one prefix, the first counts.
    pub(super) fn build(entries: Vec<Entry>) -> Self {
        let direct_bits = direct_bits(entries.len());
        let points = Sweep::run(entries);
        let mut trie = Self {
            direct: vec![LEAF; 1 << direct_bits],
            direct_bits,
            leaves: Vec::new(),
            nodes: Vec::new(),
        };
        let mut cursor = Cursor { points: &points, value: 0 };
        for slot in 0..trie.direct.len() {
            let block = Block::ROOT.child(slot, direct_bits);
            let (value, inside) = cursor.advance(block);
            trie.direct[slot] = if inside.is_empty() {
                LEAF | u32::from(value)
            } else {
                let index = trie.nodes.len();
                trie.nodes.push(Node::default());
                trie.fill(index, block, Cursor { points: inside, value });
                index as u32
            };
        }
        trie.leaves.shrink_to_fit();
        trie.nodes.shrink_to_fit();
        trie
    }

    /// The value of the longest prefix that holds `address`, 0 if none does.
    #[inline]
    pub(super) fn find(&self, address: impl Address) -> u16 {
        let mut offset = self.direct_bits;
        let mut index = self.direct.get(address.chunk(0, offset)).copied().unwrap_or(LEAF);
        while index & LEAF == 0 {
            let Some(node) = self.nodes.get(index as usize) else { return 0 };
            let slot = address.chunk(offset, STRIDE);
            let upto = u64::MAX >> (63 - slot);
            if node.children >> slot & 1 == 0 {
                let leaf = node.first_leaf + (node.leaves & upto).count_ones() - 1;
                return self.leaves.get(leaf as usize).copied().unwrap_or(0);
            }
            index = node.first_child + (node.children & upto).count_ones() - 1;
            offset += STRIDE;
        }
        index as u16
    }

    /// The memory the map takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.direct[..]) + size_of_val(&self.leaves[..]) + size_of_val(&self.nodes[..])
    }

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
            let (value, inside) = cursor.advance(child);
            if !inside.is_empty() {
                node.children |= 1 << slot;
                children.push((child, Cursor { points: inside, value }));
            } else if last_leaf != Some(value) {
                // A run of equal leaves is stored once; children in between do not end it.
                node.leaves |= 1 << slot;
                self.leaves.push(value);
                last_leaf = Some(value);
            }
        }
        self.nodes[index] = node;
        self.nodes.resize(self.nodes.len() + children.len(), Node::default());
        for (next, (child, cursor)) in children.into_iter().enumerate() {
            self.fill(node.first_child as usize + next, child, cursor);
        }
    }
}

/// Six bits of an address: for each of 64 slots a child or a value.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// Slots that have a child; the others have a leaf.
    children: u64,
    /// Slots where a run of equal leaves starts.
    leaves: u64,
    first_child: u32,
    first_leaf: u32,
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

/// From this address on, the value is this one.
#[derive(Clone, Copy)]
struct Point {
    start: u128,
    value: u16,
}

/// A walk along points in ascending order.
struct Cursor<'a> {
    points: &'a [Point],
    value: u16,
}

impl<'a> Cursor<'a> {
    /// The value at the start of the block, and the points behind its start.
    fn advance(&mut self, block: Block) -> (u16, &'a [Point]) {
        while let Some((first, rest)) = self.points.split_first()
            && first.start <= block.start
        {
            self.value = first.value;
            self.points = rest;
        }
        let last = block.last();
        let (inside, rest) =
            self.points.split_at(self.points.iter().take_while(|p| p.start <= last).count());
        let value = self.value;
        self.value = inside.last().map_or(value, |p| p.value);
        self.points = rest;
        (value, inside)
    }
}

/// Turns nested prefixes into the points where the value changes.
#[derive(Default)]
struct Sweep {
    points: Vec<Point>,
    /// The prefixes around the current address with their last addresses, the longest prefix last.
    open: Vec<(u128, u16)>,
}

impl Sweep {
    fn run(mut entries: Vec<Entry>) -> Vec<Point> {
        entries.sort_by_key(|e| (e.address, e.length));
        entries.dedup_by_key(|e| (e.address, e.length));
        let mut sweep = Self { points: Vec::with_capacity(2 * entries.len()), ..Self::default() };
        for Entry { address, length, value } in entries {
            sweep.close(|last| last < address);
            sweep.open.push((Block { start: address, length: length.into() }.last(), value));
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
        let value = self.open.last().map_or(0, |(_, value)| *value);
        self.points.pop_if(|point| point.start == start);
        if self.points.last().map_or(0, |point| point.value) != value {
            self.points.push(Point { start, value });
        }
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

const LEAF: u32 = 1 << 31;
const STRIDE: u32 = 6;
