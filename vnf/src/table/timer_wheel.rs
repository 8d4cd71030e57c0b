//! What is due when: a wheel of 32,768 slots of 256 ms, each a doubly linked list of ids.

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
    /// One sentinel per slot from node 1 on, then one node per id; lists are circular.
    nodes: HugeArray<Node>,
    /// The tick whose slot is visited next; what is left of it if a call stopped halfway.
    tick: u64,
}

impl TimerWheel {
    /// How far ahead a deadline is kept exactly: 2 h 19 min.
    pub const HORIZON_MS: u64 = ((SLOTS - 1) as u64) << TICK_SHIFT;

    /// Reserves 8 bytes for each of the ids from 0 to `ids - 1`, and 256 KiB; time starts at `start_ms`.
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
        self.link(id, deadline_ms.div_ceil(1 << TICK_SHIFT));
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

    /// Visits what is due at `now_ms`, at most `limit` ids, and returns how many it visited.
    ///
    /// `wake` returns the new deadline of an id that is to live on. A call that leaves something over continues there the
    /// next time; empty slots are skipped a bounded number per call too, which matters after a long sleep only.
    pub fn expire(
        &mut self,
        now_ms: u64,
        limit: usize,
        mut wake: impl FnMut(u32) -> Option<u64>,
    ) -> usize {
        let now = now_ms >> TICK_SHIFT;
        // After more than a whole round every slot is due, and once is enough.
        self.tick = self.tick.max((now + 1).saturating_sub(SLOTS as u64));
        let mut visited = 0;
        let mut skipped = 0;
        while self.tick <= now && visited < limit && skipped < SKIP_LIMIT {
            let first = self.nodes[slot(self.tick)].next as usize;
            if let Some(id) = first.checked_sub(FIRST_ID) {
                let id = id as u32;
                visited += 1;
                self.disarm(id);
                if let Some(deadline_ms) = wake(id) {
                    self.link(id, deadline_ms.div_ceil(1 << TICK_SHIFT).max(now + 1));
                }
            } else {
                self.tick += 1;
                skipped += 1;
            }
        }
        visited
    }

    /// How many bytes of memory the wheel has reserved.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.nodes)
    }

    #[inline]
    fn link(&mut self, id: u32, tick: u64) {
        let slot = slot(tick.clamp(self.tick, self.tick + SLOTS as u64 - 1)) as u32;
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

/// The sentinel of the slot that `tick` falls into.
#[inline]
fn slot(tick: u64) -> usize {
    1 + (tick % SLOTS as u64) as usize
}

/// A tick is 2^8 ms.
const TICK_SHIFT: u32 = 8;

const SLOTS: usize = 32_768;

/// The node of id 0.
const FIRST_ID: usize = 1 + SLOTS;

/// Empty slots passed per call: about a microsecond, and 65 s of the past.
const SKIP_LIMIT: usize = 256;

#[cfg(test)]
mod tests;
