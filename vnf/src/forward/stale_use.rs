//! Which stale neighbours packets were sent to: management then sees whether they still live (RFC 4861 7.3.3).

use crate::engine::ids::NextHopId;
use crate::engine::tables::Tables;
use crate::neighbor::table::CAPACITY;

/// Stale next hops in use, each noted once under the same tables.
#[derive(Debug, Default)]
pub(super) struct StaleUse {
    /// A bit for each next hop.
    noted: Vec<u64>,
    any: bool,
    waiting: Vec<NextHopId>,
}

impl StaleUse {
    /// Nothing noted, room reserved.
    pub(super) fn new() -> Self {
        let waiting = Vec::with_capacity(WAITING);
        Self { noted: vec![0; CAPACITY.div_ceil(64)], any: false, waiting }
    }

    /// Notes a packet that leaves by this next hop, if that is stale.
    #[inline]
    pub(super) fn note(&mut self, id: NextHopId, tables: &Tables) {
        if tables.neighbors.next_hop(id).is_some_and(|next_hop| next_hop.stale) {
            self.note_stale(id);
        }
    }

    #[cold]
    fn note_stale(&mut self, id: NextHopId) {
        let Some(word) = self.noted.get_mut(id.index() / 64) else { return };
        let bit = 1 << (id.index() % 64);
        if *word & bit == 0 && self.waiting.len() < WAITING {
            *word |= bit;
            self.any = true;
            self.waiting.push(id);
        }
    }

    /// The next one to tell of.
    #[inline]
    pub(super) fn next(&mut self) -> Option<NextHopId> {
        self.waiting.pop()
    }

    /// Notes everything anew.
    pub(super) fn forget(&mut self) {
        if self.any {
            self.noted.fill(0);
            self.any = false;
        }
        self.waiting.clear();
    }
}

/// Next hops told of in one burst.
const WAITING: usize = 64;
