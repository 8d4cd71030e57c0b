//! What is due when: a wheel of 32,768 slots of 256 ms, each of them four doubly linked lists of ids.

use dpdk_bindings::{
    Result,
    memory::{HugeArray, Source},
};
use zerocopy::FromZeros;

/// Wakes ids at their deadlines, never early, a bounded number per call.
///
/// Deadlines beyond [`HORIZON_MS`](Self::HORIZON_MS) are woken at the horizon; as the owner decides on waking whether the id
/// is really due, that costs one visit more.
#[derive(Debug)]
pub struct TimerWheel {
    /// One sentinel per slot and lane from node 1 on, then one node per id; lists are circular.
    nodes: HugeArray<Node>,
    /// The tick whose slot is visited next; what is left of it if a call stopped halfway.
    tick: u64,
}

impl TimerWheel {
    /// How far ahead a deadline is kept exactly: 2 h 19 min.
    pub const HORIZON_MS: u64 = ((SLOTS - 1) as u64) << TICK_SHIFT;

    /// Reserves 8 bytes for each of the ids from 0 to `ids - 1`, and 1 MiB; time starts at `start_ms`.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn new(name: &str, ids: usize, source: Source, start_ms: u64) -> Result<Self> {
        assert!(u32::try_from(FIRST_ID + ids).is_ok(), "nodes are numbered with 32 bits");
        let mut nodes = HugeArray::<Node>::zeroed(name, FIRST_ID + ids, source)?;
        for (slot, node) in nodes.iter_mut().enumerate().take(FIRST_ID).skip(1) {
            *node = Node { next: slot as u32, previous: slot as u32 };
        }
        Ok(Self { nodes, tick: start_ms >> TICK_SHIFT })
    }

    /// Wakes `id` at `deadline_ms`, and no longer at the deadline it may have had.
    #[inline]
    pub fn arm(&mut self, id: u32, deadline_ms: u64) {
        self.disarm(id);
        self.link(id, deadline_ms);
    }

    /// Forgets the deadline of `id`, if it has one.
    #[inline]
    pub fn disarm(&mut self, id: u32) {
        let node = &mut self.nodes[FIRST_ID + id as usize];
        let Node { next, previous } = std::mem::replace(node, UNARMED);
        if next != UNARMED.next {
            self.nodes[previous as usize].next = next;
            self.nodes[next as usize].previous = previous;
        }
    }

    /// Takes what is due at `now_ms` out of the wheel, as many ids as fit `into`, and returns how many.
    ///
    /// The caller decides which of them to [`arm`](Self::arm) again, and may prefetch what they stand for before.
    /// A call that leaves something over continues there the next time; empty slots are skipped a bounded number per
    /// call too, which matters after a long sleep only.
    pub fn due(&mut self, now_ms: u64, into: &mut [u32]) -> usize {
        let now = now_ms >> TICK_SHIFT;
        // After more than a whole round every slot is due, and once is enough.
        self.tick = self.tick.max((now + 1).saturating_sub(SLOTS as u64));
        let last_tick = now.min(self.tick + SKIP_LIMIT - 1);
        let mut taken = 0;
        while self.tick <= last_tick && taken < into.len() {
            let slot = sentinel(self.tick, 0);
            let mut heads: [_; LANES] =
                std::array::from_fn(|lane| self.nodes[slot + lane].next as usize);
            // One of each lane in turn, so that their cache misses overlap.
            let mut before = usize::MAX;
            while before != taken {
                before = taken;
                for head in &mut heads {
                    if *head >= FIRST_ID && taken < into.len() {
                        into[taken] = (*head - FIRST_ID) as u32;
                        taken += 1;
                        *head = std::mem::replace(&mut self.nodes[*head], UNARMED).next as usize;
                    }
                }
            }
            for (lane, &head) in heads.iter().enumerate() {
                self.nodes[slot + lane].next = head as u32;
                self.nodes[head].previous = (slot + lane) as u32;
            }
            if heads.iter().all(|&head| head < FIRST_ID) {
                self.tick += 1;
            }
        }
        taken
    }

    /// How many bytes of memory the wheel has reserved.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.nodes)
    }

    #[inline]
    fn link(&mut self, id: u32, deadline_ms: u64) {
        let tick = deadline_ms.div_ceil(1 << TICK_SHIFT);
        let tick = tick.clamp(self.tick, self.tick + SLOTS as u64 - 1);
        let slot = sentinel(tick, id as usize % LANES) as u32;
        let node = FIRST_ID as u32 + id;
        let previous = std::mem::replace(&mut self.nodes[slot as usize].previous, node);
        self.nodes[previous as usize].next = node;
        self.nodes[node as usize] = Node { next: slot, previous };
    }
}

#[derive(Clone, Copy, Debug, FromZeros)]
#[repr(C)]
struct Node {
    next: u32,
    previous: u32,
}

/// What zeroed memory says: in no list. Node 0 stands for nothing, so no link is 0.
const UNARMED: Node = Node { next: 0, previous: 0 };

/// The sentinel of a lane of the slot that `tick` falls into.
#[inline]
fn sentinel(tick: u64, lane: usize) -> usize {
    1 + (tick % SLOTS as u64) as usize * LANES + lane
}

/// A tick is 2^8 ms.
const TICK_SHIFT: u32 = 8;

const SLOTS: usize = 32_768;

/// The node of id 0.
const FIRST_ID: usize = 1 + SLOTS * LANES;

/// Lists per slot: a list is one dependent cache miss per id, and four in turn took 105 cycles per id where one took 360
/// (a million ids, visited and armed again, on an EPYC at 2.6 GHz).
const LANES: usize = 4;

/// Empty slots passed per call: about a microsecond, and 65 s of the past.
const SKIP_LIMIT: u64 = 256;

#[cfg(test)]
mod tests;
