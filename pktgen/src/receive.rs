//! Checks every frame that arrives against what was sent (the counters of [`Defects`]).

mod check;
mod counters;
mod offenders;
mod packet;
mod witness;

use std::collections::VecDeque;

pub use counters::{Counters, Defects};
use counters::{Defect, Found};
pub use offenders::{Offender, Offenders};
use packet::Packet;
pub use witness::{Arrivals, Later};

use crate::endpoint::{Address, Family};
use crate::flow::{Direction, Flows, Protocol};
use crate::frame::{ETHERNET, Mac};
use crate::latency::{Latency, Recent};
use crate::prefix::Prefix;
use crate::trailer::{Key, Owner};
use crate::transmit::Pacer;

/// What the tested path is supposed to do with addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sut {
    /// Nothing: the ports are joined, no hop between them.
    Direct,
    /// Translates the inside endpoint of IPv4.
    Nat44,
    /// Forwards as it is.
    Router,
}

impl Sut {
    /// As users write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nat44 => "nat44",
            Self::Router => "router",
        }
    }
}

/// What is known of the path before it is measured.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// By how much TTL shrinks.
    pub hops: u8,
    /// Where translated sources must lie; empty: anywhere.
    pub pool: Vec<Prefix>,
    /// Hardware address at which the frames of each [`Direction`] arrive.
    pub macs: [Mac; 2],
    /// VLAN in which they arrive.
    pub vlans: [Option<u16>; 2],
}

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// ARP, ND or ping, for the host behind the port to answer.
    Control,
    /// A frame of ours, whole or damaged.
    Ours,
    /// A stranger's.
    Strange,
}

/// The judge of arriving frames, and its counters for the current phase.
#[derive(Debug)]
pub struct Verifier {
    /// Counters of the current phase.
    pub counters: Counters,
    /// First arrivals of each stream and direction.
    pub unique: Vec<[u64; 2]>,
    /// From the stamp just before transmission.
    pub latency: Latency,
    /// The same, coarsely, since somebody cleared it.
    pub recent: Recent,
    /// From the time at which the frame was due: free of coordinated omission.
    pub intended: Latency,
    /// How much longer or shorter frames took than the one before of their flow (RFC 5481's IPDV): increases,
    /// decreases. Only while [`measure_variation`](Self::measure_variation) is on.
    pub variation: [Latency; 2],
    /// Whether delay variation is recorded.
    pub measure_variation: bool,
    /// Which frames arrived, while somebody wants to know.
    pub arrivals: Option<Arrivals>,
    /// Latency of the frames that leave late in a trial, while somebody wants to know.
    pub later: Option<Later>,
    /// The first frames with a defect, of all phases.
    pub offenders: Offenders,
    expectation: Expectation,
    key: Key,
    earlier: VecDeque<Key>,
    schedule: Vec<[Option<Pacer>; 2]>, // by stream
}

impl Verifier {
    /// Expects frames signed with `key` in so many streams.
    pub fn new(expectation: Expectation, streams: usize, key: Key) -> Self {
        Self {
            counters: Counters::default(),
            unique: vec![[0; 2]; streams],
            latency: Latency::new(),
            recent: Recent::default(),
            intended: Latency::new(),
            variation: [Latency::new(), Latency::new()],
            measure_variation: false,
            arrivals: None,
            later: None,
            offenders: Offenders::default(),
            expectation,
            key,
            earlier: VecDeque::new(),
            schedule: vec![[None; 2]; streams],
        }
    }

    /// Begins a phase with its own key; frames of the phases before are late from now on.
    pub fn restart(&mut self, key: Key) {
        self.earlier.truncate(REMEMBERED - 1);
        self.earlier.push_front(std::mem::replace(&mut self.key, key));
        self.counters = Counters::default();
        self.unique.fill([0; 2]);
        self.latency.clear();
        self.recent.clear();
        self.intended.clear();
        self.variation.iter_mut().for_each(Latency::clear);
        self.schedule.fill([None; 2]);
        self.arrivals.iter_mut().for_each(Arrivals::clear);
        self.later.iter_mut().for_each(Later::clear);
    }

    /// Expects other streams.
    pub fn set_streams(&mut self, streams: usize) {
        self.unique = vec![[0; 2]; streams];
        self.schedule = vec![[None; 2]; streams];
    }

    /// Tells when the frames of a stream and direction are due, if frame `k` is of its flow `k % flows`.
    pub fn follow(&mut self, stream: usize, direction: Direction, pacer: Pacer) {
        self.schedule[stream][direction as usize] = Some(pacer);
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.follow(stream, direction as usize, pacer);
        }
        if let Some(later) = &mut self.later {
            later.follow(&pacer);
        }
    }

    /// Judges one frame at the port where `direction` arrives; `own` tells the port's own addresses.
    #[inline]
    pub fn inspect(
        &mut self,
        flows: &mut Flows,
        direction: Direction,
        frame: &[u8],
        now: u64,
        own: impl Fn(Address) -> bool,
    ) -> Arrival {
        self.counters.frames += 1;
        let mut found = Found::default();
        let arrival = self.sort(flows, direction, frame, now, own, &mut found);
        match arrival {
            Arrival::Control => self.counters.control += 1,
            Arrival::Strange => {
                found.note(Defect::Foreign);
                self.counters.defects.count(found);
            }
            Arrival::Ours if found.is_empty() => {}
            Arrival::Ours => {
                self.counters.defects.count(found);
                self.offenders.keep(|| Offender {
                    direction,
                    time: now,
                    reasons: found.names(),
                    frame: frame.to_vec(),
                });
            }
        }
        arrival
    }

    #[inline]
    fn sort(
        &mut self,
        flows: &mut Flows,
        direction: Direction,
        frame: &[u8],
        now: u64,
        own: impl Fn(Address) -> bool,
        found: &mut Found,
    ) -> Arrival {
        let Some((ethertype, ip)) = untag(frame, self.expectation.vlans[direction as usize]) else {
            return Arrival::Strange;
        };
        let family = match ethertype {
            0x0806 => return Arrival::Control,
            0x0800 => Family::V4,
            0x86dd => Family::V6,
            _ => return Arrival::Strange,
        };
        if frame[..6] != self.expectation.macs[direction as usize] {
            return if is_control(family, ip, &own) { Arrival::Control } else { Arrival::Strange };
        }
        let Some(packet) = Packet::parse(family, ip, direction) else {
            return if is_control(family, ip, &own) { Arrival::Control } else { Arrival::Strange };
        };
        let Some((pattern, octets)) = packet.payload() else {
            return self.attribute(flows, direction, &packet, own, found);
        };
        let (owner, trailer) = self.key.read(octets);
        match owner {
            Owner::Ours => {
                self.check(flows, direction, &packet, (trailer, pattern, octets), now, found);
                Arrival::Ours
            }
            Owner::Nobody => self.attribute(flows, direction, &packet, own, found),
            Owner::Other => {
                if self.earlier.iter().any(|key| key.read(octets).0 == Owner::Ours) {
                    found.note(Defect::Late);
                } else if packet.is_intact() {
                    found.note(Defect::OtherRun);
                } else {
                    return self.attribute(flows, direction, &packet, own, found);
                }
                Arrival::Ours
            }
        }
    }
}

/// Ethertype and packet of a frame in the port's VLAN.
#[inline]
fn untag(frame: &[u8], vlan: Option<u16>) -> Option<(u16, &[u8])> {
    let (ethernet, rest) = frame.split_first_chunk::<ETHERNET>()?;
    let ethertype = u16::from_be_bytes([ethernet[12], ethernet[13]]);
    match vlan {
        None => Some((ethertype, rest)),
        Some(vlan) => {
            let (tag, rest) = rest.split_first_chunk::<4>()?;
            let id = u16::from_be_bytes([tag[0], tag[1]]) & 0x0fff;
            (ethertype == 0x8100 && id == vlan)
                .then_some((u16::from_be_bytes([tag[2], tag[3]]), rest))
        }
    }
}

/// Whether this is for the hosts behind the port themselves: a ping, or neighbour discovery.
fn is_control(family: Family, ip: &[u8], own: impl Fn(Address) -> bool) -> bool {
    let own_v6 = |octets: &[u8]| octets.try_into().is_ok_and(|octets| own(Address::v6(octets)));
    match (family, ip) {
        (Family::V4, [0x45, _, _, _, _, _, _, _, _, 1, _, _, _, _, _, _, a, b, c, d, 8, ..]) => {
            own(Address::v4(u32::from_be_bytes([*a, *b, *c, *d])))
        }
        (Family::V6, [_, _, _, _, _, _, 58, ..]) => match ip.get(40) {
            Some(128) => own_v6(&ip[24..40]),
            // Router and neighbour discovery, multicast listeners: nobody's defect.
            Some(130..=137 | 143) => true,
            _ => false,
        },
        // Hop-by-hop options before a multicast listener report (RFC 3810).
        (Family::V6, [_, _, _, _, _, _, 0, ..]) => ip.get(40) == Some(&58),
        _ => false,
    }
}

/// Whether a packet that belongs to no flow is a ping to one of our own addresses.
fn is_echo_to(packet: &Packet<'_>, own: impl Fn(Address) -> bool) -> bool {
    let request = matches!(
        (packet.family, packet.l4.first()),
        (Family::V4, Some(8)) | (Family::V6, Some(128))
    );
    packet.protocol == Protocol::Icmp && request && own(packet.destination.address)
}

/// Phases whose late frames are told from another run's.
const REMEMBERED: usize = 16;

#[cfg(test)]
mod tests;
