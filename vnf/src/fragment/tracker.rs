//! Gives later fragments the ports of their datagram, whatever the order they come in, so that translation and ACLs
//! treat them as its first one (RFC 4787 REQ-14). Bounded in every direction: nothing is reassembled.

#[cfg(test)]
mod tests;

use dpdk_bindings::mbuf::Mbuf;
use dpdk_bindings::memory::{HugeArray, Source};

use super::aging::Aging;
use super::coverage::{Extent, Refused};
use super::datagram::{Datagram, Key, State};
use super::places::{Chain, Places};
use crate::engine::burst::{Burst, Origin};
use crate::engine::counters::Counters;
use crate::engine::ids::{Arrival, Tick};
use crate::engine::mask::Mask;
use crate::engine::message::TableUsage;
use crate::engine::meta::{Kind, Meta};
use crate::engine::verdict::DropReason;
use crate::table::{FlowTable, Hasher, IdPool};

/// The datagrams of one worker whose fragments are on their way, in memory reserved at start.
pub struct Tracker {
    index: FlowTable,
    datagrams: HugeArray<Datagram>,
    ids: IdPool,
    /// Datagrams whose first fragment has not come.
    waiting: Aging,
    /// All others.
    settled: Aging,
    held: Places,
    /// Fragments whose first one has come, to enter the pipeline again.
    released: Chain,
    budgets: Vec<Budget>,
    hasher: Hasher,
}

/// What the senders with one hash use.
#[derive(Clone, Copy, Debug, Default)]
struct Budget {
    datagrams: u16,
    held: u16,
}

/// What becomes of a fragment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Hold(u32),
    Pass,
}

impl Tracker {
    /// Nothing on its way, room reserved.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn new(hasher: Hasher, source: Source<'_>) -> dpdk_bindings::Result<Self> {
        Ok(Self {
            index: FlowTable::with_capacity("fragment index", DATAGRAMS, source)?,
            datagrams: HugeArray::zeroed("fragmented datagrams", DATAGRAMS, source)?,
            ids: IdPool::new("fragmented datagram ids", DATAGRAMS, source)?,
            waiting: Aging::new("fragments waiting", DATAGRAMS, source)?,
            settled: Aging::new("fragments settled", DATAGRAMS, source)?,
            held: Places::new(HELD),
            released: Chain::default(),
            budgets: vec![Budget::default(); BUDGETS],
            hasher,
        })
    }

    /// Completes the keys of later fragments; keeps those whose first one has not come, drops what no datagram is made of.
    #[cold]
    pub fn run(&mut self, burst: &mut Burst, fragments: Mask, counters: &Counters, now: Tick) {
        for slot in fragments {
            let origin = burst.origin;
            match self.track(&mut burst.meta[slot], origin, counters, now) {
                Ok(Fate::Pass) => {}
                Ok(Fate::Hold(id)) => {
                    let arrival = burst.arrival[slot];
                    self.hold(id, (burst.take(slot), arrival));
                }
                Err(reason) => burst.drop(slot, reason),
            }
        }
    }

    fn track(
        &mut self,
        meta: &mut Meta,
        origin: Origin,
        counters: &Counters,
        now: Tick,
    ) -> Result<Fate, DropReason> {
        let key = Key::of(meta);
        let hash = key.hash(&self.hasher);
        let first = meta.kind != Kind::LaterFragment;
        // Elsewhere the first fragment went ahead, if it was not dropped.
        let may_wait = !matches!(origin, Origin::Fragments | Origin::Held);
        let known = self.index.find(hash, |id| self.datagrams[id as usize].key == key);
        let current = known.filter(|id| {
            let overdue = self.datagrams[*id as usize].is_overdue(now);
            if overdue {
                self.close(*id, counters);
            }
            !overdue
        });
        let id = match current {
            Some(id) => id,
            None if first || may_wait => self.open(key, hash, counters)?,
            None => return Err(DropReason::FragmentLimit),
        };
        self.note(id, meta, origin, counters)?;
        self.touch(id, now);
        let datagram = &mut self.datagrams[id as usize];
        if first && datagram.state == State::Waiting {
            self.waiting.remove(id);
            self.settled.push(id);
            datagram.learn(meta);
            self.budgets[usize::from(datagram.budget)].held -= datagram.pending;
            self.held.append(&mut self.released, &mut datagram.held);
        } else if datagram.state == State::Waiting {
            if !may_wait {
                return Err(DropReason::FragmentLimit);
            }
            return self.make_room(id, counters).map(|()| Fate::Hold(id));
        } else if !first {
            datagram.tell(meta);
        }
        if datagram.is_done() {
            self.close(id, counters);
        }
        Ok(Fate::Pass)
    }

    /// Notes which octets have come.
    fn note(
        &mut self,
        id: u32,
        meta: &Meta,
        origin: Origin,
        counters: &Counters,
    ) -> Result<(), DropReason> {
        let datagram = &mut self.datagrams[id as usize];
        if datagram.state == State::Poisoned {
            return Err(DropReason::FragmentInvalid);
        }
        if origin == Origin::Fragments {
            datagram.pending = datagram.pending.saturating_sub(1);
            return Ok(()); // noted when it came
        }
        match datagram.coverage.add(Extent::of(meta)) {
            Ok(()) => Ok(()),
            Err(Refused::Repeated) if origin == Origin::Held => Ok(()),
            Err(Refused::Overlapping) => {
                self.poison(id, counters);
                Err(DropReason::FragmentInvalid)
            }
            Err(Refused::Repeated) => Err(DropReason::FragmentInvalid),
            Err(Refused::TooMany) => Err(DropReason::FragmentLimit),
        }
    }

    /// A new datagram, in the place of the oldest one if need be.
    fn open(&mut self, key: Key, hash: u64, counters: &Counters) -> Result<u32, DropReason> {
        let budget = key.source_hash(&self.hasher) as usize % BUDGETS;
        if self.budgets[budget].datagrams == DATAGRAMS_PER_SOURCE {
            return Err(DropReason::FragmentLimit);
        }
        if self.ids.used() == DATAGRAMS
            && let Some(oldest) = self.oldest()
        {
            self.close(oldest, counters);
        }
        let id = self.ids.take().ok_or(DropReason::FragmentLimit)?;
        if self.index.insert(hash, id).is_err() {
            self.ids.give(id);
            return Err(DropReason::FragmentLimit);
        }
        self.budgets[budget].datagrams += 1;
        self.datagrams[id as usize].open(key, budget);
        self.waiting.push(id);
        Ok(id)
    }

    /// Forgets a datagram; fragments that wait for its first one are dropped.
    fn close(&mut self, id: u32, counters: &Counters) {
        self.drop_held(id, DropReason::FragmentLimit, counters);
        let datagram = &self.datagrams[id as usize];
        self.budgets[usize::from(datagram.budget)].datagrams -= 1;
        self.index.remove(datagram.key.hash(&self.hasher), id);
        let list =
            if datagram.state == State::Waiting { &mut self.waiting } else { &mut self.settled };
        list.remove(id);
        self.ids.give(id);
    }

    fn poison(&mut self, id: u32, counters: &Counters) {
        self.drop_held(id, DropReason::FragmentInvalid, counters);
        let datagram = &mut self.datagrams[id as usize];
        if datagram.state == State::Waiting {
            self.waiting.remove(id);
            self.settled.push(id);
        }
        datagram.state = State::Poisoned;
    }

    fn drop_held(&mut self, id: u32, reason: DropReason, counters: &Counters) {
        let datagram = &mut self.datagrams[id as usize];
        if datagram.state == State::Waiting {
            self.budgets[usize::from(datagram.budget)].held -= datagram.pending;
            datagram.pending = 0;
        }
        while self.held.pop(&mut datagram.held).is_some() {
            counters.dropped(reason);
        }
    }

    /// Sees that one more fragment may wait for this datagram's first one.
    fn make_room(&mut self, id: u32, counters: &Counters) -> Result<(), DropReason> {
        let datagram = &self.datagrams[id as usize];
        let budget = &self.budgets[usize::from(datagram.budget)];
        let may = datagram.pending < HELD_PER_DATAGRAM && budget.held < HELD_PER_SOURCE;
        let nothing_waits = datagram.pending == 0;
        if may
            && self.held.used() == HELD
            && let Some(oldest) = self.waiting.oldest().filter(|oldest| *oldest != id)
        {
            self.close(oldest, counters);
        }
        if may && self.held.used() < HELD {
            return Ok(());
        }
        if nothing_waits {
            self.close(id, counters); // so that closing the oldest always makes room
        }
        Err(DropReason::FragmentLimit)
    }

    /// Keeps a fragment until its datagram's first one comes.
    fn hold(&mut self, id: u32, packet: (Mbuf, Arrival)) {
        let datagram = &mut self.datagrams[id as usize];
        self.held.push(&mut datagram.held, packet).expect("room was made");
        datagram.pending += 1;
        self.budgets[usize::from(datagram.budget)].held += 1;
    }

    fn touch(&mut self, id: u32, now: Tick) {
        let datagram = &mut self.datagrams[id as usize];
        datagram.last_seen = now.low();
        let list =
            if datagram.state == State::Waiting { &mut self.waiting } else { &mut self.settled };
        list.remove(id);
        list.push(id);
    }

    /// The datagram of which nothing has come for longest.
    fn oldest(&self) -> Option<u32> {
        let age = |id: &u32| self.datagrams[*id as usize].last_seen;
        match (self.waiting.oldest(), self.settled.oldest()) {
            (Some(a), Some(b)) => {
                Some(if age(&a).wrapping_sub(age(&b)) as i32 <= 0 { a } else { b })
            }
            (a, b) => a.or(b),
        }
    }

    /// The next fragment whose datagram's first one has come.
    pub fn next_released(&mut self) -> Option<(Mbuf, Arrival)> {
        self.held.pop(&mut self.released)
    }

    /// Whether fragments are to enter the pipeline again.
    #[inline]
    pub fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// Forgets datagrams that are overdue, a bounded number per call.
    #[inline]
    pub fn expire(&mut self, counters: &Counters, now: Tick) {
        for _ in 0..EXPIRIES {
            let overdue = |id: &u32| self.datagrams[*id as usize].is_overdue(now);
            let Some(id) = self.oldest().filter(overdue) else { break };
            self.close(id, counters);
        }
    }

    /// Fragments that wait for their datagram's first one.
    #[inline]
    pub fn held(&self) -> usize {
        self.held.used()
    }

    /// How the memory is used.
    pub fn usage(&self) -> [TableUsage; 2] {
        let datagrams = self.index.bytes()
            + size_of_val(&*self.datagrams)
            + self.ids.bytes()
            + self.waiting.bytes()
            + self.settled.bytes();
        let (used, capacity) = (self.held.used(), self.held.capacity());
        [
            TableUsage {
                name: "fragmented datagrams",
                bytes: datagrams,
                used: self.ids.used(),
                capacity: DATAGRAMS,
            },
            TableUsage { name: "fragments held", bytes: self.held.bytes(), used, capacity },
        ]
    }
}

/// Datagrams of one worker that are followed at the same time.
const DATAGRAMS: usize = 4096;
/// Of these, those from one source: others keep three quarters.
const DATAGRAMS_PER_SOURCE: u16 = 1024;
/// Fragments of one worker that wait for their first one.
const HELD: usize = 512;
/// Of these, those from one source: two of the largest datagrams, last fragment first.
const HELD_PER_SOURCE: u16 = 128;
/// Fragments of one datagram that wait: 65,535 octets on Ethernet are 45.
const HELD_PER_DATAGRAM: u16 = 64;
/// Budgets that the sources share by their hash.
const BUDGETS: usize = 1024;
/// Datagrams forgotten in one turn.
const EXPIRIES: usize = 16;
