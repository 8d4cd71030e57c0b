//! Dynamic mappings of one worker: internal endpoint to external endpoint (RFC 4787 section 4), and endpoints at rest
//! after use (RFC 6888 REQ-8).

use dpdk_bindings::cpu::prefetch;
use dpdk_bindings::memory::{HugeArray, Source};

use super::table::{Endpoint, Internal, InternalEndpoint};
use crate::engine::ids::{Tick, VrfId};
use crate::session::NIL;
use crate::table::{FlowTable, Hasher, IdPool, Place};

/// A mapping. Endpoint-independent ones are found from both sides, endpoint-dependent ones from outside only.
#[derive(Debug, zerocopy::FromZeros)]
#[repr(C)]
pub struct Mapping {
    internal: u32,
    external: u32,
    internal_port: u16,
    external_port: u16,
    protocol: u8,
    phase: u8,
    /// Which sides find it.
    found: u8,
    vrf: VrfId,
    sessions: u32,
    host: u32,
    /// In use: sessions that the host has sent through. At rest: since when, low 32 bits of milliseconds.
    kept_by_or_since: u32,
    /// In use: the session that joined last. At rest: the mapping that came to rest after it.
    next: u32,
}

const _: () = assert!(size_of::<Mapping>() == 32);

const FREE: u8 = 0;
const IN_USE: u8 = 1;
const RESTING: u8 = 2;

/// All sessions of the internal endpoint share it.
const FOUND_INSIDE: u8 = 1;
/// Nobody new finds it, from either side.
const HIDDEN: u8 = 2;

impl Mapping {
    /// The internal endpoint.
    pub fn internal(&self) -> InternalEndpoint {
        (Internal { vrf: self.vrf, address: self.internal }, self.internal_port)
    }

    /// The external endpoint.
    pub fn external(&self) -> Endpoint {
        (self.external, self.external_port)
    }

    /// IP protocol number.
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Sessions that go through it.
    pub fn sessions(&self) -> u32 {
        self.sessions
    }

    /// The host that pays for it.
    pub fn host(&self) -> u32 {
        self.host
    }

    /// The session that joined it last; it may have left.
    pub fn latest_session(&self) -> u32 {
        self.next
    }
}

/// What to do with the endpoint of a mapping that ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Afterwards {
    /// It may be used again at once.
    Free,
    /// It rests first.
    Rest,
}

/// What a new mapping is made of.
#[derive(Clone, Copy, Debug)]
pub struct NewMapping {
    /// IP protocol number.
    pub protocol: u8,
    /// The internal endpoint.
    pub internal: InternalEndpoint,
    /// The external endpoint, taken from the pool.
    pub external: Endpoint,
    /// Whether other sessions of the internal endpoint shall find it.
    pub endpoint_independent: bool,
    /// The host that pays for it.
    pub host: u32,
}

/// The mappings of one worker, in memory reserved at start. A table entry is a mapping's number with the side in its
/// lowest bit.
pub struct Mappings {
    endpoints: FlowTable,
    mappings: HugeArray<Mapping>,
    ids: IdPool,
    hasher: Hasher,
    first_resting: u32,
    last_resting: u32,
    resting: usize,
}

impl Mappings {
    /// Room for `capacity` mappings.
    ///
    /// # Errors
    /// When the memory cannot be reserved.
    pub fn with_capacity(
        capacity: usize,
        hasher: Hasher,
        source: Source<'_>,
    ) -> dpdk_bindings::Result<Self> {
        Ok(Self {
            endpoints: FlowTable::with_capacity("endpoints", capacity * 2, source)?,
            mappings: HugeArray::zeroed("mappings", capacity, source)?,
            ids: IdPool::new("mapping ids", capacity, source)?,
            hasher,
            first_resting: NIL,
            last_resting: NIL,
            resting: 0,
        })
    }

    /// Where an internal endpoint is entered; asks the processor for it.
    #[inline]
    pub fn prefetch_internal(&self, protocol: u8, internal: InternalEndpoint) -> Place {
        self.endpoints.prefetch(self.hash(protocol, number(internal), Side::Internal))
    }

    /// Where an external endpoint is entered; asks the processor for it.
    #[inline]
    pub fn prefetch_external(&self, protocol: u8, external: Endpoint) -> Place {
        self.endpoints.prefetch(self.hash(protocol, outer_number(external), Side::External))
    }

    /// Asks the processor for what so many new mappings will write.
    pub fn prefetch_free(&self, count: usize) {
        self.ids.upcoming().take(count).for_each(|id| self.prefetch(id));
    }

    /// Asks the processor for a mapping.
    #[inline]
    pub fn prefetch(&self, id: u32) {
        if let Some(mapping) = self.mappings.get(id as usize) {
            prefetch(mapping);
        }
    }

    /// The mapping that all sessions of an internal endpoint share.
    pub fn of_internal(&self, protocol: u8, internal: InternalEndpoint) -> Option<u32> {
        let place = self.endpoints.place(self.hash(protocol, number(internal), Side::Internal));
        self.of_internal_at(place, protocol, internal)
    }

    /// The same, where the place of the endpoint is known.
    pub fn of_internal_at(
        &self,
        place: Place,
        protocol: u8,
        internal: InternalEndpoint,
    ) -> Option<u32> {
        self.find(place, protocol, number(internal), Side::Internal)
    }

    /// The mapping that owns an external endpoint.
    pub fn of_external(&self, protocol: u8, external: Endpoint) -> Option<u32> {
        let place =
            self.endpoints.place(self.hash(protocol, outer_number(external), Side::External));
        self.find(place, protocol, outer_number(external), Side::External)
    }

    /// A mapping in use.
    pub fn mapping(&self, id: u32) -> &Mapping {
        &self.mappings[id as usize]
    }

    /// The mapping of this number, if it is in use.
    pub fn in_use(&self, id: u32) -> Option<&Mapping> {
        self.mappings.get(id as usize).filter(|mapping| mapping.phase == IN_USE)
    }

    /// The mapping of this number, if its endpoint rests, and for how many milliseconds it has.
    pub fn at_rest(&self, id: u32, now: Tick) -> Option<(&Mapping, u32)> {
        let mapping = self.mappings.get(id as usize).filter(|m| m.phase == RESTING)?;
        Some((mapping, now.low().wrapping_sub(mapping.kept_by_or_since)))
    }

    /// Stores a new mapping without sessions; `None` when there is no room.
    pub fn open(&mut self, new: &NewMapping) -> Option<u32> {
        let inside =
            self.endpoints.place(self.hash(new.protocol, number(new.internal), Side::Internal));
        let outside = self.endpoints.place(self.hash(
            new.protocol,
            outer_number(new.external),
            Side::External,
        ));
        self.open_at([inside, outside], new)
    }

    /// The same, where the places of the internal and the external endpoint are known.
    pub fn open_at(&mut self, [inside, outside]: [Place; 2], new: &NewMapping) -> Option<u32> {
        let id = self.ids.take()?;
        if self.endpoints.insert_at(outside, id << 1 | 1).is_err() {
            self.ids.give(id);
            return None;
        }
        if new.endpoint_independent && self.endpoints.insert_at(inside, id << 1).is_err() {
            self.endpoints.remove_at(outside, id << 1 | 1);
            self.ids.give(id);
            return None;
        }
        self.mappings[id as usize] = Mapping {
            internal: new.internal.0.address,
            external: new.external.0,
            internal_port: new.internal.1,
            external_port: new.external.1,
            protocol: new.protocol,
            phase: IN_USE,
            found: if new.endpoint_independent { FOUND_INSIDE } else { 0 },
            vrf: new.internal.0.vrf,
            sessions: 0,
            host: new.host,
            kept_by_or_since: 0,
            next: NIL,
        };
        Some(id)
    }

    /// One more of its sessions is one that the host has sent through: what keeps a mapping (RFC 4787 REQ-6).
    pub fn keep(&mut self, id: u32) {
        let mapping = &mut self.mappings[id as usize];
        mapping.kept_by_or_since += 1;
        if mapping.found & HIDDEN == 0 {
            return;
        }
        mapping.found &= !HIDDEN;
        // Without room it stays hidden from that side, and ends with its sessions.
        let _ = self.endpoints.insert(self.hash_of(id, Side::External), id << 1 | 1);
        if self.mappings[id as usize].found & FOUND_INSIDE != 0 {
            let _ = self.endpoints.insert(self.hash_of(id, Side::Internal), id << 1);
        }
    }

    /// One less. Once there is none, sessions from outside live to their own ends, but nobody new finds the mapping:
    /// from outside it is not kept.
    pub fn unkeep(&mut self, id: u32) {
        let mapping = &mut self.mappings[id as usize];
        mapping.kept_by_or_since -= 1;
        if mapping.kept_by_or_since == 0 && mapping.sessions > 0 {
            mapping.found |= HIDDEN;
            self.unlist(id);
        }
    }

    fn unlist(&mut self, id: u32) {
        self.endpoints.remove(self.hash_of(id, Side::External), id << 1 | 1);
        if self.mappings[id as usize].found & FOUND_INSIDE != 0 {
            self.endpoints.remove(self.hash_of(id, Side::Internal), id << 1);
        }
    }

    fn hash_of(&self, id: u32, side: Side) -> u64 {
        let mapping = &self.mappings[id as usize];
        self.hash(mapping.protocol, mapping.number(side), side)
    }

    /// Keeps further sessions of the internal endpoint from finding the mapping.
    pub fn hide(&mut self, id: u32) {
        self.endpoints.remove(self.hash_of(id, Side::Internal), id << 1);
        self.mappings[id as usize].found &= !FOUND_INSIDE;
    }

    /// One more session goes through the mapping.
    pub fn join(&mut self, id: u32, session: u32) {
        let mapping = &mut self.mappings[id as usize];
        mapping.sessions += 1;
        mapping.next = session;
    }

    /// One session less; returns whether that was the last one, so that [`Self::close`] is due.
    pub fn leave(&mut self, id: u32) -> bool {
        let mapping = &mut self.mappings[id as usize];
        mapping.sessions -= 1;
        mapping.sessions == 0
    }

    /// Ends a mapping. Its number stays taken while its endpoint rests.
    pub fn close(&mut self, id: u32, afterwards: Afterwards, now: Tick) {
        self.unlist(id);
        match afterwards {
            Afterwards::Free => self.free(id),
            Afterwards::Rest => self.rest(id, now),
        }
    }

    fn free(&mut self, id: u32) {
        self.mappings[id as usize].phase = FREE;
        self.ids.give(id);
    }

    fn rest(&mut self, id: u32, now: Tick) {
        let mapping = &mut self.mappings[id as usize];
        (mapping.phase, mapping.kept_by_or_since, mapping.next) = (RESTING, now.low(), NIL);
        match self.last_resting {
            NIL => self.first_resting = id,
            last => self.mappings[last as usize].next = id,
        }
        self.last_resting = id;
        self.resting += 1;
    }

    /// The protocol and endpoint that have rested for `hold_ms`, the longest first; free from here on.
    pub fn rested(&mut self, hold_ms: u32, now: Tick) -> Option<(u8, Endpoint)> {
        let id = self.first_resting;
        if id == NIL {
            return None;
        }
        let mapping = &self.mappings[id as usize];
        if now.low().wrapping_sub(mapping.kept_by_or_since) < hold_ms {
            return None;
        }
        let rested = (mapping.protocol, mapping.external());
        self.first_resting = mapping.next;
        if self.first_resting == NIL {
            self.last_resting = NIL;
        }
        self.resting -= 1;
        self.prefetch(self.first_resting);
        self.free(id);
        Some(rested)
    }

    /// Mappings in use.
    pub fn len(&self) -> usize {
        self.ids.used() - self.resting
    }

    /// Whether no mapping is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Endpoints at rest.
    pub fn resting(&self) -> usize {
        self.resting
    }

    /// How many fit.
    pub fn capacity(&self) -> usize {
        self.mappings.len()
    }

    /// Memory reserved, in octets.
    pub fn bytes(&self) -> usize {
        self.endpoints.bytes() + self.mappings.len() * size_of::<Mapping>() + self.ids.bytes()
    }

    fn find(&self, place: Place, protocol: u8, endpoint: u64, side: Side) -> Option<u32> {
        let entry = self.endpoints.find_at(place, |entry| {
            let mapping = &self.mappings[entry as usize >> 1];
            entry & 1 == side as u32
                && mapping.protocol == protocol
                && mapping.number(side) == endpoint
        })?;
        Some(entry >> 1)
    }

    fn hash(&self, protocol: u8, endpoint: u64, side: Side) -> u64 {
        self.hasher.hash2(endpoint, u64::from(protocol) | (side as u64) << 8)
    }
}

impl Mapping {
    fn number(&self, side: Side) -> u64 {
        if side == Side::Internal { number(self.internal()) } else { outer_number(self.external()) }
    }
}

/// An internal endpoint as a number: address, port, VRF.
fn number((host, port): InternalEndpoint) -> u64 {
    outer_number((host.address, port)) | u64::from(host.vrf.0) << 48
}

/// An external endpoint likewise; all are in one VRF.
fn outer_number((address, port): Endpoint) -> u64 {
    u64::from(address) | u64::from(port) << 32
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Side {
    Internal = 0,
    External = 1,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mappings(capacity: usize) -> Mappings {
        Mappings::with_capacity(capacity, Hasher::random(), Source::Plain).expect("plain memory")
    }

    fn inside((address, port): Endpoint) -> InternalEndpoint {
        (address.into(), port)
    }

    fn new(internal: Endpoint, external: Endpoint) -> NewMapping {
        let internal = inside(internal);
        NewMapping { protocol: 17, internal, external, endpoint_independent: true, host: 0 }
    }

    #[test]
    fn a_mapping_is_found_from_both_sides_until_it_is_closed() {
        let mut table = mappings(4);
        let id = table.open(&new((1, 10), (2, 20))).unwrap();
        assert_eq!(table.of_internal(17, inside((1, 10))), Some(id));
        assert_eq!(table.of_external(17, (2, 20)), Some(id));
        assert_eq!(table.of_internal(6, inside((1, 10))), None);
        assert_eq!(table.of_internal(17, inside((2, 20))), None);
        table.join(id, 0);
        table.join(id, 1);
        assert!(!table.leave(id));
        assert!(table.leave(id));
        table.close(id, Afterwards::Free, Tick(0));
        assert_eq!(table.of_internal(17, inside((1, 10))), None);
        assert_eq!(table.of_external(17, (2, 20)), None);
        assert!(table.is_empty() && table.in_use(id).is_none());
    }

    #[test]
    fn endpoints_rest_in_turn_for_the_hold_time() {
        let mut table = mappings(3);
        for at in 0..3u16 {
            let id = table.open(&new((1, at), (2, at))).unwrap();
            table.close(id, Afterwards::Rest, Tick(u64::from(at) * 1000));
        }
        assert_eq!((table.len(), table.resting()), (0, 3));
        assert_eq!(table.open(&new((9, 9), (9, 9))), None, "the numbers are taken");
        assert_eq!(table.rested(120_000, Tick(119_999)), None);
        assert_eq!(table.rested(120_000, Tick(121_000)), Some((17, (2, 0))));
        assert_eq!(table.rested(120_000, Tick(121_000)), Some((17, (2, 1))));
        assert_eq!(table.rested(120_000, Tick(121_000)), None);
        assert_eq!(table.rested(0, Tick(121_000)), Some((17, (2, 2))));
        assert_eq!((table.rested(0, Tick(121_000)), table.resting()), (None, 0));
    }

    #[test]
    fn an_internal_endpoint_of_another_vrf_is_another_one() {
        let mut table = mappings(2);
        let mut both = [0, 1].map(|vrf| {
            let internal = (Internal { vrf: VrfId(vrf), address: 1 }, 10);
            (internal, NewMapping { internal, ..new((1, 10), (2, 20 + u16::from(vrf))) })
        });
        let ids = both.each_mut().map(|(_, new)| table.open(new).unwrap());
        for (id, (internal, new)) in ids.into_iter().zip(both) {
            assert_eq!(table.of_internal(17, internal), Some(id));
            assert_eq!(table.of_external(17, new.external), Some(id));
            assert_eq!(table.mapping(id).internal(), internal);
        }
    }
}
