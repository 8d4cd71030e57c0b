//! The flows of one worker, in memory reserved at start: lookup by burst, opening, closing, expiry.

use dpdk_bindings::cpu;
use dpdk_bindings::memory::{HugeArray, Source};

use super::{Ledger, NIL, Opening, Rare, Session, Timeouts};
use crate::engine::burst::Burst;
use crate::engine::ids::{SessionId, Tick};
use crate::engine::mask::{Column, Mask, Slot};
use crate::engine::meta::{Direction, Family, FlowKey, Meta};
use crate::table::{Deadlines, FlowTable, Hasher, IdPool, Place};

/// No further session fits; nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full;

/// What a closed session leaves behind for its owner to release.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// The dynamic mapping it went through, or [`NIL`].
    pub mapping: u32,
    /// The host that paid for it, or [`NIL`].
    pub host: u32,
}

/// What a listing tells of a session beyond its first line.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    /// Packets transmitted by [`Direction`].
    pub packets: [u64; 2],
    /// Octets of IP packets transmitted by [`Direction`].
    pub bytes: [u64; 2],
    /// Seconds since the session was opened.
    pub age_s: u32,
    /// The dynamic mapping, or [`NIL`].
    pub mapping: u32,
}

/// The sessions of one worker. A flow table entry is a session's number with the direction in its lowest bit.
pub struct Sessions {
    flows: FlowTable,
    first_lines: HugeArray<Session>,
    ledgers: HugeArray<Ledger>,
    ids: IdPool,
    deadlines: Deadlines,
    hasher: Hasher,
    places: Column<Place>,
    candidates: Column<u32>,
}

impl Sessions {
    /// Room for `capacity` sessions.
    ///
    /// # Errors
    /// When the memory cannot be reserved.
    pub fn with_capacity(
        capacity: usize,
        hasher: Hasher,
        source: Source<'_>,
        now: Tick,
    ) -> dpdk_bindings::Result<Self> {
        Ok(Self {
            flows: FlowTable::with_capacity("flows", capacity * 2, source)?,
            first_lines: HugeArray::zeroed("sessions", capacity, source)?,
            ledgers: HugeArray::zeroed("session ledgers", capacity, source)?,
            ids: IdPool::new("session ids", capacity, source)?,
            deadlines: Deadlines::new("session deadlines", capacity, source, now.0)?,
            hasher,
            places: Column::default(),
            candidates: Column::default(),
        })
    }

    /// Looks up the flow of every live packet; known are afterwards those about which these tables have nothing left to
    /// decide.
    ///
    /// Hashes all keys and prefetches all buckets, then probes all and prefetches all sessions, then compares: the
    /// cache misses of a burst overlap.
    #[inline(never)]
    pub fn find(&mut self, burst: &mut Burst, generation: u32) {
        let Self { flows, first_lines, hasher, places, candidates, .. } = self;
        let live = burst.live();
        for slot in live {
            let hash = hash(hasher, &burst.meta[slot].key);
            places[slot] = flows.prefetch(hash);
        }
        let prefetch = |entry: u32| {
            if let Some(session) = first_lines.get(entry as usize >> 1) {
                cpu::prefetch(session);
            }
        };
        let mut beyond = Mask::EMPTY;
        for slot in live {
            let mut entries = flows.candidates(places[slot]);
            let Some(entry) = entries.next() else {
                candidates[slot] = NIL;
                beyond.insert_if(slot, flows.is_passed(places[slot]));
                continue;
            };
            candidates[slot] = entry;
            prefetch(entry);
            entries.for_each(prefetch);
        }
        for slot in beyond {
            if let Some(entry) = flows.candidate_beyond(places[slot]) {
                candidates[slot] = entry;
                prefetch(entry);
            }
        }
        let mut known = Mask::EMPTY;
        for slot in live {
            let meta = &mut burst.meta[slot];
            let mut entry = candidates[slot];
            let mut session = first_lines.get(entry as usize >> 1);
            if !session.is_some_and(|session| session.matches(&meta.key, direction_of(entry))) {
                // Rare but for new flows: another flow has the same tag, or the entry is not in its home bucket.
                let Some(found) = find(flows, first_lines, places[slot], &meta.key) else {
                    meta.session = SessionId::NONE;
                    continue;
                };
                entry = found;
                session = first_lines.get(entry as usize >> 1);
            }
            let direction = direction_of(entry);
            meta.session = SessionId(entry >> 1);
            meta.direction = direction;
            if let Some(session) = session
                && session.current(direction, meta.ingress, generation)
            {
                meta.next_hop = session.next_hop(direction);
                known.insert(slot);
            }
        }
        burst.known = known;
    }

    /// Looks up the flow of a packet of the burst again, which others of the burst may have opened by now.
    pub fn find_again(&self, slot: Slot, key: &FlowKey) -> Option<(SessionId, Direction)> {
        found(find(&self.flows, &self.first_lines, self.places[slot], key))
    }

    /// Says that a packet of the burst has another key now.
    pub fn move_key(&mut self, slot: Slot, key: &FlowKey) {
        self.places[slot] = self.flows.place(hash(&self.hasher, key));
    }

    /// Looks up one flow.
    pub fn find_one(&self, key: &FlowKey) -> Option<(SessionId, Direction)> {
        let place = self.flows.place(hash(&self.hasher, key));
        found(find(&self.flows, &self.first_lines, place, key))
    }

    /// A session's first line.
    #[inline]
    pub fn session(&self, id: SessionId) -> &Session {
        &self.first_lines[id.index()]
    }

    /// A session's first line.
    #[inline]
    pub fn session_mut(&mut self, id: SessionId) -> &mut Session {
        &mut self.first_lines[id.index()]
    }

    /// A session's first line, if this names one.
    #[inline]
    pub fn find_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.first_lines.get_mut(id.index())
    }

    /// Asks the processor for what so many openings will write.
    pub fn prefetch_free(&self, count: usize) {
        for id in self.ids.upcoming().take(count) {
            cpu::prefetch(&self.first_lines[id as usize]);
            cpu::prefetch(&self.ledgers[id as usize]);
            self.deadlines.prefetch(id);
        }
    }

    /// Where the key of a flow is entered; asks the processor for it.
    #[inline]
    pub fn prefetch_entry(&self, key: &FlowKey) -> Place {
        self.flows.prefetch(hash(&self.hasher, key))
    }

    /// Where the key of a packet of the burst is entered.
    #[inline]
    pub fn place(&self, slot: Slot) -> Place {
        self.places[slot]
    }

    /// Stores a new flow under the keys of both its directions.
    ///
    /// # Errors
    /// [`Full`] when there is no room; nothing was changed then.
    pub fn open(
        &mut self,
        opening: &Opening,
        timeouts: &Timeouts,
        now: Tick,
    ) -> Result<SessionId, Full> {
        let places = [Direction::Outbound, Direction::Inbound]
            .map(|direction| self.prefetch_entry(&opening.key_of(direction)));
        self.open_at(places, opening, timeouts, now)
    }

    /// The same, where the places of both directions' keys are known.
    ///
    /// # Errors
    /// Likewise.
    pub fn open_at(
        &mut self,
        [outbound, inbound]: [Place; 2],
        opening: &Opening,
        timeouts: &Timeouts,
        now: Tick,
    ) -> Result<SessionId, Full> {
        let id = self.ids.take().ok_or(Full)?;
        let session = Session::opened(opening, now);
        if self.flows.insert_at(outbound, id << 1).is_err() {
            self.ids.give(id);
            return Err(Full);
        }
        if self.flows.insert_at(inbound, id << 1 | 1).is_err() {
            self.flows.remove_at(outbound, id << 1);
            self.ids.give(id);
            return Err(Full);
        }
        self.deadlines.arm(id, now.0 + u64::from(timeouts.of(&session)));
        self.first_lines[id as usize] = session;
        self.ledgers[id as usize] = Ledger {
            bytes6: [0; 2],
            opened: now.seconds() + 1,
            mapping: opening.mapping,
            host: opening.host,
            packet_wraps: [0; 2],
        };
        Ok(SessionId(id))
    }

    #[inline]
    fn places_of(&self, session: &Session) -> [Place; 2] {
        [Direction::Outbound, Direction::Inbound]
            .map(|direction| self.flows.place(hash(&self.hasher, &session.key(direction))))
    }

    /// Asks the processor for what closing a session will write.
    pub fn prefetch_closing(&self, id: SessionId) {
        let session = &self.first_lines[id.index()];
        for direction in [Direction::Outbound, Direction::Inbound] {
            self.prefetch_entry(&session.key(direction));
        }
        cpu::prefetch(&self.ledgers[id.index()]);
    }

    /// Forgets a flow.
    pub fn close(&mut self, id: SessionId) -> Closed {
        let [outbound, inbound] = self.places_of(&self.first_lines[id.index()]);
        self.flows.remove_at(outbound, id.0 << 1);
        self.flows.remove_at(inbound, id.0 << 1 | 1);
        self.deadlines.disarm(id.0);
        self.first_lines[id.index()].generation = 0;
        let ledger = &mut self.ledgers[id.index()];
        ledger.opened = CLOSED;
        let closed = Closed { mapping: ledger.mapping, host: ledger.host };
        self.ids.give(id.0);
        closed
    }

    /// Does what [`Session::account`] left over of a packet.
    #[cold]
    pub fn settle(
        &mut self,
        id: SessionId,
        meta: &Meta,
        rare: Rare,
        timeouts: &Timeouts,
        now: Tick,
    ) {
        if rare.turns && self.session_mut(id).follow(meta.direction, meta.detail) {
            self.rearm(id, timeouts, now);
        }
        if rare.overflows {
            self.count_beyond_first_line(id, meta.direction, meta.ip_length);
        }
    }

    fn count_beyond_first_line(&mut self, id: SessionId, direction: Direction, octets: u16) {
        let session = &self.first_lines[id.index()];
        let ledger = &mut self.ledgers[id.index()];
        if session.packets[direction.index()] == 0 {
            let wraps = &mut ledger.packet_wraps[direction.index()];
            *wraps = wraps.wrapping_add(1);
        }
        if session.family() == Family::Ipv6 {
            ledger.bytes6[direction.index()] += u64::from(octets);
        }
    }

    /// Moves a session's end to what its timeout now says; needed when the timeout became shorter.
    pub fn rearm(&mut self, id: SessionId, timeouts: &Timeouts, now: Tick) {
        let session = &self.first_lines[id.index()];
        self.deadlines.arm(id.0, now.0 + u64::from(timeouts.of(session)));
    }

    /// Finds up to `N` sessions whose timeout has passed; the caller closes them.
    pub fn expired<const N: usize>(
        &mut self,
        timeouts: &Timeouts,
        now: Tick,
    ) -> impl Iterator<Item = SessionId> + Clone + use<N> {
        let mut ids = [NIL; N];
        let due = self.deadlines.due(now.0, &mut ids);
        for &id in &ids[..due] {
            cpu::prefetch(&self.first_lines[id as usize]);
        }
        let mut count = 0;
        for at in 0..due {
            let id = ids[at];
            let session = &self.first_lines[id as usize];
            let (idle, timeout) = (session.idle_ms(now), timeouts.of(session));
            if idle < timeout {
                self.deadlines.arm(id, now.0 + u64::from(timeout - idle));
            } else {
                ids[count] = id;
                count += 1;
            }
        }
        ids.into_iter().take(count).map(SessionId)
    }

    /// What a listing tells of a session; `None` when the number is not in use.
    pub fn tally(&self, id: SessionId, now: Tick) -> Option<Tally> {
        let ledger = self.ledgers.get(id.index())?;
        if ledger.opened == CLOSED {
            return None;
        }
        let session = &self.first_lines[id.index()];
        let bytes = match session.family() {
            Family::Ipv4 => std::array::from_fn(|at| {
                u64::from(session.words[4 + 2 * at]) | u64::from(session.words[5 + 2 * at]) << 32
            }),
            Family::Ipv6 => ledger.bytes6,
        };
        Some(Tally {
            packets: std::array::from_fn(|at| {
                u64::from(session.packets[at]) | u64::from(ledger.packet_wraps[at]) << 32
            }),
            bytes,
            age_s: (now.seconds() + 1).saturating_sub(ledger.opened),
            mapping: ledger.mapping,
        })
    }

    /// The host that pays for a session, or [`NIL`].
    pub fn host_of(&self, id: SessionId) -> u32 {
        self.ledgers[id.index()].host
    }

    /// The dynamic mapping a session goes through, or [`NIL`].
    pub fn mapping_of(&self, id: SessionId) -> u32 {
        self.ledgers[id.index()].mapping
    }

    /// Sessions in use.
    pub fn len(&self) -> usize {
        self.ids.used()
    }

    /// Whether no session is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many sessions fit.
    pub fn capacity(&self) -> usize {
        self.first_lines.len()
    }

    /// Memory reserved, in octets.
    pub fn bytes(&self) -> usize {
        self.flows.bytes()
            + self.first_lines.len() * size_of::<Session>()
            + self.ledgers.len() * size_of::<Ledger>()
            + self.ids.bytes()
            + self.deadlines.bytes()
    }
}

/// What `opened` says of a session that is closed or never was: memory starts zeroed.
const CLOSED: u32 = 0;

/// The hash under which a flow's key is stored.
#[inline]
fn hash(hasher: &Hasher, key: &FlowKey) -> u64 {
    let ports = u64::from(key.source_port)
        | u64::from(key.destination_port) << 16
        | u64::from(key.protocol) << 32
        | u64::from(key.vrf.0) << 40;
    if key.family == Family::Ipv4 {
        let addresses = u64::from(key.source[0]) | u64::from(key.destination[0]) << 32;
        return hasher.hash2(addresses, ports);
    }
    let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    let ([a, b, c, d], [e, f, g, h]) = (key.source, key.destination);
    hasher.hash5(&[pair(a, b), pair(c, d), pair(e, f), pair(g, h), ports])
}

#[inline]
fn find(
    flows: &FlowTable,
    sessions: &HugeArray<Session>,
    place: Place,
    key: &FlowKey,
) -> Option<u32> {
    flows.find_at(place, |entry| {
        let session = sessions.get(entry as usize >> 1);
        session.is_some_and(|session| session.matches(key, direction_of(entry)))
    })
}

fn found(entry: Option<u32>) -> Option<(SessionId, Direction)> {
    entry.map(|entry| (SessionId(entry >> 1), direction_of(entry)))
}

#[inline]
fn direction_of(entry: u32) -> Direction {
    if entry & 1 == 0 { Direction::Outbound } else { Direction::Inbound }
}
