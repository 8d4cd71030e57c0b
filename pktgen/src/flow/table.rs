//! All flows, with their learned endpoints and what arrived of them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::record::LEARNED;
use super::track::Tracks;
use super::{
    DONT_FRAGMENT, Direction, Expect, Flow, Kind, Protocol, Seen, Sizes, Stream, TRAFFIC_CLASS,
    TTL, Tally,
};
use crate::checksum::Sum;
use crate::endpoint::{Address, Endpoint, Family};
use crate::trailer::siphash;

/// What learning an external endpoint brought to light.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Learned {
    /// Another flow to the same remote endpoint has it.
    Clash,
    /// Nobody had it.
    New,
}

/// The flow table.
#[derive(Debug)]
pub struct Flows {
    streams: Vec<Stream>,
    records: Vec<Flow>,
    born: Vec<u64>, // by stream: flows that have begun in this phase
    tracks: Tracks,
    book: Book,
    owners: HashMap<u64, u32, BuildHasherDefault<Ready>>,
    learned: usize,
    refused: usize, // flows that nobody shall see
    edges: bool,
}

impl Flows {
    /// The flows of all streams, one stream after the other; those that begin inward are known from the start.
    pub fn new(mut streams: Vec<Stream>) -> Self {
        let mut book = Book::default();
        let mut records = Vec::new();
        for (number, stream) in streams.iter_mut().enumerate() {
            stream.first = records.len() as u32;
            records.extend((0..stream.flows()).map(|index| {
                let (inside, outside) = stream.endpoints(index);
                let pattern = stream.plan.pattern(index);
                let is_echo = stream.protocol == Protocol::Icmp;
                let identifier = is_echo.then(|| stream.plan.endpoints(index).0.port);
                Flow {
                    pattern,
                    inside: book.word(inside.address),
                    outside: book.word(outside.address),
                    inside_port: identifier.unwrap_or(inside.port),
                    outside_port: if is_echo { 0 } else { outside.port },
                    stream: number as u16,
                    identification: (pattern >> 48) as u16,
                    ..Flow::default()
                }
            }));
        }
        let tracks = Tracks::new(records.len());
        let owners = HashMap::default();
        let is_refused = |stream: &&Stream| {
            stream.expect == Expect::Drop && stream.initiator == Direction::Outward
        };
        let refused = streams.iter().filter(is_refused).map(|stream| stream.flows() as usize).sum();
        let (learned, edges) = (0, false);
        let born = vec![0; streams.len()];
        let mut flows =
            Self { streams, records, born, tracks, book, owners, learned, refused, edges };
        for index in 0..flows.records.len() as u32 {
            flows.seal(index);
            let stream = flows.stream_of(index);
            if stream.initiator == Direction::Inward {
                let inside = flows.inside(index);
                flows.learn(index, inside);
            }
        }
        flows
    }

    /// How many.
    #[inline]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many have an external endpoint.
    pub fn learned(&self) -> usize {
        self.learned
    }

    /// All streams, in the order of their flows.
    #[inline]
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// The stream of a flow; of a flow that is none, the first.
    #[inline]
    pub fn stream_of(&self, index: u32) -> &Stream {
        let number = self.records.get(index as usize).map_or(0, Flow::stream);
        &self.streams[number]
    }

    /// Gives the packets of all streams other sizes.
    pub fn set_sizes(&mut self, sizes: &Sizes) {
        self.streams.iter_mut().for_each(|stream| stream.set_sizes(sizes.clone()));
    }

    /// Edge mode: L4 checksums take their extreme values, before translation in even flows and after it in odd ones.
    pub fn set_edges(&mut self, edges: bool) {
        self.edges = edges;
        (0..self.records.len() as u32).for_each(|index| self.seal(index));
    }

    /// The flow of this index.
    #[inline]
    pub fn flow(&self, index: u32) -> Option<&Flow> {
        self.records.get(index as usize)
    }

    /// The flow of this index, to change.
    #[inline]
    pub fn flow_mut(&mut self, index: u32) -> Option<&mut Flow> {
        self.records.get_mut(index as usize)
    }

    /// The host behind the translator.
    #[inline]
    pub fn inside(&self, index: u32) -> Endpoint {
        let flow = &self.records[index as usize];
        Endpoint::new(self.address(flow, flow.inside), flow.inside_port)
    }

    /// The remote endpoint.
    #[inline]
    pub fn outside(&self, index: u32) -> Endpoint {
        let flow = &self.records[index as usize];
        Endpoint::new(self.address(flow, flow.outside), flow.outside_port)
    }

    /// The inside endpoint as the remote sees it, once learned.
    #[inline]
    pub fn external(&self, index: u32) -> Option<Endpoint> {
        let flow = &self.records[index as usize];
        let external = || Endpoint::new(self.address(flow, flow.external), flow.external_port);
        flow.is_learned().then(external)
    }

    /// Source and destination of what is sent this way.
    #[inline]
    pub fn sent(&self, index: u32, direction: Direction) -> Option<(Endpoint, Endpoint)> {
        match direction {
            Direction::Inward => Some((self.outside(index), self.external(index)?)),
            Direction::Outward => Some((self.inside(index), self.outside(index))),
        }
    }

    /// Sets or changes the external endpoint of a flow.
    pub fn learn(&mut self, index: u32, external: Endpoint) -> Learned {
        self.give_up(index);
        let word = self.book.word(external.address);
        let flow = &mut self.records[index as usize];
        (flow.external, flow.external_port) = (word, external.port);
        flow.state |= LEARNED;
        self.learned += 1;
        self.seal(index);
        let key = self.key(index, external);
        match *self.owners.entry(key).or_insert(index) {
            owner if owner == index => Learned::New,
            _ => Learned::Clash,
        }
    }

    /// Forgets the external endpoint of a flow and what arrived of it: it begins anew.
    pub fn forget(&mut self, index: u32) {
        self.give_up(index);
        let flow = &mut self.records[index as usize];
        (flow.state, flow.next_seq) = (0, [0; 2]);
        for direction in Direction::BOTH {
            self.tracks.forget(index as usize * 2 + direction as usize);
        }
    }

    /// Flows of a stream that have begun in this phase, besides those that were there.
    pub fn born(&self, stream: usize) -> u64 {
        self.born[stream]
    }

    /// Lets the next flow of a stream begin, of which so many live at a time; whoever had its endpoints before is
    /// forgotten.
    pub fn bear(&mut self, stream: usize, alive: u32) {
        let (first, all) = (self.streams[stream].first, u64::from(self.streams[stream].flows()));
        self.forget(first + ((self.born[stream] + u64::from(alive)) % all) as u32);
        self.born[stream] += 1;
    }

    /// Learns every flow as it is, for paths that do not translate.
    pub fn learn_untranslated(&mut self) {
        for index in 0..self.records.len() as u32 {
            let inside = self.inside(index);
            self.learn(index, inside);
        }
    }

    /// The flow whose packets look like this where they arrive; slow, for damaged packets.
    pub fn by_addresses(
        &self,
        direction: Direction,
        protocol: Protocol,
        source: Endpoint,
        destination: Endpoint,
    ) -> Option<u32> {
        match direction {
            Direction::Inward => self.streams.iter().find_map(|stream| {
                let index = stream.number_of(destination, source)? + stream.first;
                let is_it = stream.protocol == protocol
                    && (self.outside(index), self.inside(index)) == (source, destination);
                is_it.then_some(index)
            }),
            Direction::Outward => self.owners.get(&key(protocol, source, destination)).copied(),
        }
    }

    /// Notes the arrival of a sequence number.
    #[inline]
    pub fn arrive(&mut self, index: u32, direction: Direction, seq: u32) -> Seen {
        self.tracks.arrive(index as usize * 2 + direction as usize, seq)
    }

    /// Notes the latency of an arrival; returns that of the one before it.
    #[inline]
    pub fn delay(&mut self, index: u32, direction: Direction, ns: u64) -> Option<u64> {
        self.tracks.delay(index as usize * 2 + direction as usize, ns)
    }

    /// What arrived of a flow in this phase.
    pub fn tally(&self, index: u32, direction: Direction) -> Tally {
        self.tracks.tally(index as usize * 2 + direction as usize)
    }

    /// Starts every sequence anew, for the next phase.
    pub fn restart(&mut self) {
        self.records.iter_mut().for_each(|flow| flow.next_seq = [0; 2]);
        self.born.fill(0);
        self.tracks.clear();
    }

    /// The flows of a stream without an external endpoint.
    pub fn unlearned(&self, stream: usize) -> Vec<u32> {
        self.indexes(stream, |flow| !flow.is_learned())
    }

    /// The flows of a stream that have an external endpoint.
    pub fn reachable(&self, stream: usize) -> Vec<u32> {
        self.indexes(stream, Flow::is_learned)
    }

    /// Flows that must come through and have not yet.
    pub fn missing(&self) -> usize {
        self.len() - self.learned - self.refused
    }

    /// Whether flows from inside come from this address.
    pub fn has_host(&self, address: Address) -> bool {
        let from_inside =
            self.streams.iter().filter(|stream| stream.initiator == Direction::Outward);
        from_inside.into_iter().any(|stream| stream.inside_hosts().binary_search(&address).is_ok())
    }

    /// The checksum of TCP, UDP or ICMP for a packet of this kind.
    pub fn l4_checksum(&self, index: u32, direction: Direction, kind: Kind) -> u16 {
        let flow = &self.records[index as usize];
        let Some(endpoints) = self.sent(index, direction) else { return 0 };
        let sum = self.header_sum(index, endpoints, direction, kind).word(flow.constant);
        match self.stream_of(index).protocol {
            Protocol::Udp => sum.udp_checksum(),
            Protocol::Icmp | Protocol::Tcp => sum.checksum(),
        }
    }

    fn give_up(&mut self, index: u32) {
        if let Some(old) = self.external(index) {
            self.learned -= 1;
            let key = self.key(index, old);
            if self.owners.get(&key) == Some(&index) {
                self.owners.remove(&key);
            }
        }
    }

    /// Works out what is the same in every packet of a flow.
    fn seal(&mut self, index: u32) {
        self.records[index as usize].constant = self.constant(index);
        for direction in Direction::BOTH {
            let Some((source, destination)) = self.sent(index, direction) else { continue };
            let checksum = self.l4_checksum(index, direction, Kind::Data);
            let stream = self.stream_of(index);
            let (protocol, family) = (stream.protocol, stream.family);
            let flow = &mut self.records[index as usize];
            flow.l4_checksum[direction as usize] = checksum;
            if family == Family::V4 {
                let sum = Sum::default()
                    .bytes(&[0x45, TRAFFIC_CLASS, TTL, protocol.number(family)])
                    .word(flow.identification)
                    .word(DONT_FRAGMENT)
                    .bytes(&source.address.low().to_be_bytes())
                    .bytes(&destination.address.low().to_be_bytes());
                flow.ip_sum[direction as usize] = sum.folded();
            }
        }
    }

    /// The sum of lengths, pattern and trailer of each packet of a flow.
    fn constant(&self, index: u32) -> u16 {
        let flow = &self.records[index as usize];
        if !self.edges {
            return !flow.identification;
        }
        // 0000, ffff, 0001, fffe, ... : what checksum arithmetic gets wrong first.
        let number = (index / 2) as u16;
        let checksum = if number.is_multiple_of(2) { number / 2 } else { !(number / 2) };
        let translated = (index % 2 == 1).then(|| self.external(index)).flatten();
        let source = translated.unwrap_or_else(|| self.inside(index));
        let endpoints = (source, self.outside(index));
        let sum = self.header_sum(index, endpoints, Direction::Outward, Kind::Data);
        Sum::default().word(!checksum).word(!sum.folded()).folded()
    }

    fn header_sum(
        &self,
        index: u32,
        endpoints: (Endpoint, Endpoint),
        direction: Direction,
        kind: Kind,
    ) -> Sum {
        let stream = self.stream_of(index);
        let (protocol, family, initiator) = (stream.protocol, stream.family, stream.initiator);
        let flow = &self.records[index as usize];
        flow.header_sum(protocol, family, endpoints, direction, initiator, kind)
    }

    #[inline]
    fn address(&self, flow: &Flow, word: u32) -> Address {
        match self.streams[flow.stream()].family {
            Family::V4 => Address::v4(word),
            Family::V6 => self.book.v6[word as usize],
        }
    }

    fn key(&self, index: u32, external: Endpoint) -> u64 {
        key(self.stream_of(index).protocol, external, self.outside(index))
    }

    fn indexes(&self, stream: usize, wanted: impl Fn(&Flow) -> bool) -> Vec<u32> {
        let stream = &self.streams[stream];
        let range = stream.first..stream.first + stream.flows();
        range.filter(|index| wanted(&self.records[*index as usize])).collect()
    }
}

/// Addresses in 32 bits: those of IPv4 themselves, those of IPv6 by their place here.
#[derive(Debug, Default)]
struct Book {
    v6: Vec<Address>,
    places: HashMap<Address, u32>,
}

impl Book {
    fn word(&mut self, address: Address) -> u32 {
        match address.family() {
            Family::V4 => address.low(),
            Family::V6 => *self.places.entry(address).or_insert_with(|| {
                self.v6.push(address);
                self.v6.len() as u32 - 1
            }),
        }
    }
}

/// 64 bits of a tuple; two of 4 million tuples share them with a chance of one in a million.
fn key(protocol: Protocol, external: Endpoint, remote: Endpoint) -> u64 {
    let half = |endpoint: Endpoint, salt: u64| {
        let number = endpoint.address.number();
        let port = u64::from(endpoint.port);
        siphash((number >> 64) as u64 ^ salt, number as u64 ^ port << 48)
    };
    let first = half(external, protocol as u64);
    siphash(first, half(remote, 0))
}

/// Takes a key that is a hash already.
#[derive(Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        octets.iter().for_each(|octet| self.0 = self.0.rotate_left(8) ^ u64::from(*octet));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests;
