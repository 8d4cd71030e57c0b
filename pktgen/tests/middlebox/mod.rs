//! A small NAT44 for tests, with every behaviour of RFC 4787 and every fault that pktgen shall notice, between two
//! net_ring ports and in virtual time.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part of it")]

pub mod packet;
pub mod world;

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use packet::{Headers, arp_answer};
use pktgen::probe::Place;

/// What a mapping or a filter depends on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Depends {
    Address,
    AddressAndPort,
    Nothing,
}

/// How the external port is chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Choice {
    Counter,
    Preserved,
    Random,
}

/// What becomes of ICMP errors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Errors {
    Dropped,
    InnerChecksumsOld,
    InnerUntranslated,
    Right,
}

/// The translator.
#[derive(Clone, Debug)]
pub struct Nat {
    pub mapping: Depends,
    pub filtering: Depends,
    pub choice: Choice,
    pub errors: Errors,
    pub hairpin: bool,
    /// Source of hairpinned packets: the external endpoint, or the inside one.
    pub hairpin_external: bool,
    pub pool: Vec<Ipv4Addr>,
    /// Whether all mappings of a host share an address.
    pub paired: bool,
    /// Mappings at most.
    pub capacity: usize,
    /// New mappings per second at most.
    pub per_second: Option<f64>,
    /// Nanoseconds: UDP, ICMP, TCP before and after its handshake.
    pub timeouts: [u64; 4],
    pub macs: [[u8; 6]; 2],
    /// The state; a new translator has none.
    pub state: State,
}

/// What it remembers.
#[derive(Clone, Debug, Default)]
pub struct State {
    mappings: HashMap<Key, Mapping>,
    owners: HashMap<(u8, SocketAddrV4), Key>,
    counter: u32,
    tokens: (f64, u64),
}

type Key = (u8, SocketAddrV4, Option<Ipv4Addr>, Option<u16>);

#[derive(Clone, Debug)]
struct Mapping {
    external: SocketAddrV4,
    contacts: HashSet<SocketAddrV4>,
    last: u64,
    established: bool,
}

impl Nat {
    pub fn new(macs: [[u8; 6]; 2]) -> Self {
        Self {
            mapping: Depends::Nothing,
            filtering: Depends::AddressAndPort,
            choice: Choice::Random,
            errors: Errors::Right,
            hairpin: true,
            hairpin_external: true,
            pool: vec![Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(203, 0, 113, 2)],
            paired: true,
            capacity: usize::MAX,
            per_second: None,
            timeouts: [300, 60, 240, 7440].map(|seconds| seconds * 1_000_000_000),
            macs,
            state: State::default(),
        }
    }

    /// Mappings that live.
    pub fn sessions(&self) -> usize {
        self.state.mappings.len()
    }

    /// Forgets all mappings.
    pub fn flush(&mut self) {
        self.state.mappings.clear();
        self.state.owners.clear();
    }

    /// What leaves for a frame that enters.
    pub fn carry(&mut self, now: u64, at: Place, mut frame: Vec<u8>) -> Vec<(Place, Vec<u8>)> {
        if frame[12..14] == [8, 6] {
            return arp_answer(&frame).map(|answer| (at, answer)).into_iter().collect();
        }
        let Some(headers) = Headers::read(&frame) else { return vec![] };
        frame[22] -= 1;
        let to = match (at, headers.is_error) {
            (Place::Inside, true) => self.error_out(&mut frame),
            (Place::Outside, true) => self.error_in(&mut frame),
            (Place::Outside, false) => self.inward(now, &mut frame, headers),
            (Place::Inside, false) if self.pool.contains(headers.destination.ip()) => {
                self.turn(now, &mut frame, headers)
            }
            (Place::Inside, false) => {
                self.outward(now, &mut frame, headers).map(|_| Place::Outside)
            }
        };
        let Some(to) = to else { return vec![] };
        frame[..6].copy_from_slice(&self.macs[to as usize]);
        vec![(to, frame)]
    }

    fn outward(&mut self, now: u64, frame: &mut [u8], headers: Headers) -> Option<SocketAddrV4> {
        let remote = headers.destination;
        let (address, port) = match self.mapping {
            Depends::Address => (Some(*remote.ip()), None),
            Depends::AddressAndPort => (Some(*remote.ip()), Some(remote.port())),
            Depends::Nothing => (None, None),
        };
        let key = (headers.protocol, headers.source, address, port);
        self.expire(now, key);
        if !self.state.mappings.contains_key(&key) {
            if self.state.mappings.len() >= self.capacity || !self.take_token(now) {
                return None;
            }
            let external = self.choose(headers.protocol, headers.source)?;
            self.state.owners.insert((headers.protocol, external), key);
            let contacts = HashSet::new();
            let mapping = Mapping { external, contacts, last: now, established: false };
            self.state.mappings.insert(key, mapping);
        }
        let mapping = self.state.mappings.get_mut(&key)?;
        mapping.contacts.insert(remote);
        mapping.last = now;
        packet::set_source(frame, mapping.external);
        packet::seal(frame);
        Some(mapping.external)
    }

    fn inward(&mut self, now: u64, frame: &mut [u8], headers: Headers) -> Option<Place> {
        let key = *self.state.owners.get(&(headers.protocol, headers.destination))?;
        self.expire(now, key);
        let filtering = self.filtering;
        let mapping = self.state.mappings.get_mut(&key)?;
        let passes = match filtering {
            Depends::Address => {
                mapping.contacts.iter().any(|contact| contact.ip() == headers.source.ip())
            }
            Depends::AddressAndPort => mapping.contacts.contains(&headers.source),
            Depends::Nothing => true,
        };
        if !passes {
            return None;
        }
        mapping.last = now;
        mapping.established |= headers.flags & 0x12 == 0x12;
        packet::set_destination(frame, key.1);
        packet::seal(frame);
        Some(Place::Inside)
    }

    fn turn(&mut self, now: u64, frame: &mut [u8], headers: Headers) -> Option<Place> {
        if !self.hairpin {
            return None;
        }
        let inside = headers.source;
        self.outward(now, frame, headers)?;
        let turned = Headers::read(frame)?;
        self.inward(now, frame, turned)?;
        if !self.hairpin_external {
            packet::set_source(frame, inside);
            packet::seal(frame);
        }
        Some(Place::Inside)
    }

    /// An error from outside quotes what an inside host sent.
    fn error_in(&mut self, frame: &mut [u8]) -> Option<Place> {
        let quoted = Headers::read_quote(frame)?;
        let key = *self.state.owners.get(&(quoted.protocol, quoted.source))?;
        packet::set_destination_address(frame, *key.1.ip());
        self.rewrite_quote(frame, |frame| packet::set_source(frame, key.1))?;
        Some(Place::Inside)
    }

    /// An error from inside quotes what an inside host received.
    fn error_out(&mut self, frame: &mut [u8]) -> Option<Place> {
        let quoted = Headers::read_quote(frame)?;
        let mut found = self.state.mappings.iter().filter(|(key, mapping)| {
            (key.0, key.1) == (quoted.protocol, quoted.destination)
                && mapping.contacts.contains(&quoted.source)
        });
        let external = found.next()?.1.external;
        packet::set_source_address(frame, *external.ip());
        self.rewrite_quote(frame, |frame| packet::set_destination(frame, external))?;
        let turned = self.pool.contains(Headers::read(frame)?.destination.ip());
        if turned { self.error_in(frame) } else { Some(Place::Outside) }
    }

    fn rewrite_quote(&self, frame: &mut [u8], rewrite: impl Fn(&mut [u8])) -> Option<()> {
        if !packet::error_is_intact(frame) {
            return None;
        }
        match self.errors {
            Errors::Dropped => return None,
            Errors::InnerUntranslated => {}
            Errors::InnerChecksumsOld => packet::change_quote(frame, |quote| {
                let before = packet::checksums(quote);
                rewrite(quote);
                packet::set_checksums(quote, before);
            }),
            Errors::Right => packet::change_quote(frame, |quote| packet::adjusted(quote, &rewrite)),
        }
        packet::seal_error(frame);
        Some(())
    }

    fn expire(&mut self, now: u64, key: Key) {
        let Some(mapping) = self.state.mappings.get(&key) else { return };
        let timeout = match (key.0, mapping.established) {
            (1, _) => self.timeouts[1],
            (6, false) => self.timeouts[2],
            (6, true) => self.timeouts[3],
            _ => self.timeouts[0],
        };
        if now - mapping.last >= timeout {
            self.state.owners.remove(&(key.0, mapping.external));
            self.state.mappings.remove(&key);
        }
    }

    fn choose(&mut self, protocol: u8, inside: SocketAddrV4) -> Option<SocketAddrV4> {
        (0..100_000).find_map(|_| {
            self.state.counter += 1;
            let host = if self.paired { inside.ip().to_bits() } else { self.state.counter };
            let address = self.pool[host as usize % self.pool.len()];
            let port = match self.choice {
                Choice::Counter => 1024 + (self.state.counter % 64_512) as u16,
                Choice::Preserved => inside.port(),
                Choice::Random => 1024 + (scatter(u64::from(self.state.counter)) % 64_512) as u16,
            };
            let external = SocketAddrV4::new(address, port);
            (!self.state.owners.contains_key(&(protocol, external))).then_some(external)
        })
    }

    fn take_token(&mut self, now: u64) -> bool {
        let Some(rate) = self.per_second else { return true };
        let (tokens, since) = self.state.tokens;
        let tokens = (tokens + (now - since) as f64 * rate / 1e9).min(BUCKET);
        self.state.tokens = (tokens, now);
        if tokens < 1.0 {
            return false;
        }
        self.state.tokens.0 -= 1.0;
        true
    }
}

/// The finaliser of SplitMix64.
fn scatter(value: u64) -> u64 {
    let value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// New mappings that may come at once.
const BUCKET: f64 = 8.0;
