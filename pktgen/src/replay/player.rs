//! Sends a capture through both ports and checks what arrives.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use dpdk_bindings::Mbuf;

use super::{Capture, Recorded, Replayed};
use crate::checksum::Sum;
use crate::endpoint::Family;
use crate::engine::{Clock, Engine, Side};
use crate::frame::{ETHERNET, IPV4};
use crate::latency::Latency;
use crate::measure::Bench;
use crate::probe::Protocol;
use crate::probe::addresses;

/// When packets leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As in the file, this many times as fast.
    Times(f64),
    /// One after the other as the port takes them.
    Top,
}

/// A capture on its way.
#[derive(Debug)]
pub struct Player<'e, C> {
    engine: &'e mut Engine,
    clock: &'e C,
    capture: &'e Capture,
    translated: bool,
    hops: u8,
    ends: Vec<Ends>,
    outstanding: HashMap<(usize, u16), Outstanding>, // by direction and identification
    arrived: HashSet<(usize, u16)>,
    received: Box<[Option<Mbuf>; 64]>,
    latency: Latency,
    found: Replayed,
}

/// The endpoints of a conversation here.
#[derive(Clone, Copy, Debug)]
struct Ends {
    inside: SocketAddrV4,
    outside: SocketAddrV4,
    external: Option<SocketAddrV4>,
}

/// A packet that was sent and has not arrived yet.
#[derive(Clone, Copy, Debug)]
struct Outstanding {
    packet: usize,
    sent_at: u64,
}

impl<'e, C: Clock> Player<'e, C> {
    /// Conversations between these hosts, dealt out by the addresses of the file; `translated` says whether the path
    /// rewrites the inside endpoint. The gateways are known already.
    pub fn new(
        bench: Bench<'e, C>,
        capture: &'e Capture,
        hosts: &[Ipv4Addr],
        remotes: &[Ipv4Addr],
        translated: bool,
        hops: u8,
    ) -> Self {
        let Bench { engine, clock, .. } = bench;
        let (mut clients, mut servers) = (HashMap::new(), HashMap::new());
        let ends = capture.conversations.iter().map(|conversation| {
            let place = clients.len();
            let client = *clients.entry(*conversation.client.ip()).or_insert(place);
            let place = servers.len();
            let server = *servers.entry(*conversation.server.ip()).or_insert(place);
            let inside = SocketAddrV4::new(hosts[client % hosts.len()], conversation.client.port());
            let outside =
                SocketAddrV4::new(remotes[server % remotes.len()], conversation.server.port());
            Ends { inside, outside, external: (!translated).then_some(inside) }
        });
        let found = Replayed {
            conversations: capture.conversations.len() as u64,
            packets: capture.packets.len() as u64,
            skipped: capture.skipped.clone(),
            ..Replayed::default()
        };
        Self {
            engine,
            clock,
            capture,
            translated,
            hops,
            ends: ends.collect(),
            outstanding: HashMap::new(),
            arrived: HashSet::new(),
            received: Box::new([const { None }; 64]),
            latency: Latency::new(),
            found,
        }
    }

    /// How many hosts of either side the conversations of a file need, inside and outside.
    pub fn hosts_of(capture: &Capture) -> [usize; 2] {
        let clients: HashSet<_> = capture.conversations.iter().map(|c| c.client.ip()).collect();
        let servers: HashSet<_> = capture.conversations.iter().map(|c| c.server.ip()).collect();
        [clients.len(), servers.len()]
    }

    /// Sends the file so many times.
    pub fn play(mut self, pace: Pace, loops: u32) -> Replayed {
        let mut error = Latency::new();
        let begin = self.clock.now();
        let mut identification = 0_u16;
        for _ in 0..loops {
            let start = self.clock.now();
            for (number, packet) in self.capture.packets.iter().enumerate() {
                if let Pace::Times(times) = pace {
                    let due = start + (packet.time as f64 / times) as u64;
                    self.work_until(due);
                    error.record(self.clock.now().saturating_sub(due));
                } else {
                    self.look();
                }
                self.send(number, packet, identification);
                identification = identification.wrapping_add(1);
            }
            self.found.loops += 1;
        }
        let ended = self.clock.now();
        self.found.duration_s = (ended - begin) as f64 / 1e9;
        while !self.outstanding.is_empty() && self.clock.now() - ended < DRAIN_NS {
            self.look();
        }
        self.found.latency_ns = self.latency.quantiles();
        self.found.send_error_ns = error.quantiles();
        self.found
    }

    fn work_until(&mut self, time: u64) {
        loop {
            self.look();
            let now = self.clock.now();
            if now >= time {
                return;
            }
            if time - now > DOZE_NS {
                self.clock.sleep(DOZE_NS / 2);
            }
        }
    }

    fn send(&mut self, number: usize, packet: &Recorded, identification: u16) {
        if !packet.outward {
            let asked = self.clock.now();
            while self.ends[packet.conversation].external.is_none()
                && self.clock.now() - asked < LEARN_NS
            {
                self.look();
            }
        }
        let ends = self.ends[packet.conversation];
        let (from, to, direction) = match (packet.outward, ends.external) {
            (true, _) => (ends.inside, ends.outside, 0),
            (false, Some(external)) => (ends.outside, external, 1),
            (false, None) => {
                self.found.unlearned += 1;
                return;
            }
        };
        let protocol = self.capture.conversations[packet.conversation].protocol;
        let mut octets = packet.octets.clone();
        octets[4..6].copy_from_slice(&identification.to_be_bytes());
        octets[8] = TTL;
        rewrite(&mut octets, protocol, from, to);
        let (sides, pool) = self.engine.ports();
        let [own, other] = [&sides[direction].host, &sides[1 - direction].host];
        let to = own.gateway_mac(Family::V4).unwrap_or(other.mac());
        let mut frame = [&to[..], &own.mac()[..], &[8, 0], &octets[..]].concat();
        frame.resize(frame.len().max(60), 0);
        let frame = pool.frame(&own.tagged(frame));
        let sent_at = self.clock.now();
        if sides[direction].tx.transmit(&mut [frame]) == 0 {
            self.found.tx_short += 1;
            return;
        }
        self.found.sent[direction] += 1;
        self.arrived.remove(&(direction, identification));
        self.outstanding
            .insert((direction, identification), Outstanding { packet: number, sent_at });
    }

    fn look(&mut self) {
        for place in [0, 1] {
            let (sides, pool) = self.engine.ports();
            let Side { rx, tx, host } = &mut sides[place];
            let count = rx.receive(&mut self.received);
            let now = self.clock.now();
            let mut packets = Vec::new();
            for packet in self.received[..count].iter().flatten() {
                let mut octets = vec![0; packet.len()];
                packet.copy_to(&mut octets);
                if host.vlan().is_some() && octets.len() >= 16 {
                    octets.drain(12..16);
                }
                let is_ip =
                    octets.get(..6) == Some(&host.mac()) && octets.get(12..14) == Some(&[8, 0]);
                match is_ip {
                    true => packets.push(octets),
                    false => {
                        if let Some(answer) = host.answer(&octets) {
                            tx.transmit(&mut [pool.frame(&answer)]);
                        }
                    }
                }
            }
            Mbuf::free_bulk(&mut self.received[..count]);
            // What arrives outside went outward.
            packets.iter().for_each(|frame| self.arrive(1 - place, &frame[ETHERNET..], now));
        }
    }

    fn arrive(&mut self, direction: usize, ip: &[u8], now: u64) {
        let Some(octets) = whole(ip) else {
            self.found.foreign += 1;
            return;
        };
        let key = (direction, u16::from_be_bytes([octets[4], octets[5]]));
        let Some(outstanding) = self.outstanding.get(&key).copied() else {
            let again = self.arrived.contains(&key);
            *(if again { &mut self.found.duplicated } else { &mut self.found.foreign }) += 1;
            return;
        };
        let packet = &self.capture.packets[outstanding.packet];
        let protocol = self.capture.conversations[packet.conversation].protocol;
        let (ends, found) = (&mut self.ends[packet.conversation], &mut self.found);
        let Some((source, destination)) = endpoints(octets, protocol) else {
            found.foreign += 1;
            return;
        };
        let query = protocol == Protocol::Icmp;
        let same = |a: SocketAddrV4, b: SocketAddrV4| a == b || query && a.ip() == b.ip();
        let remote = if direction == 0 { destination } else { source };
        if !same(remote, ends.outside) {
            // Whoever this is from, its identification is not worth a look.
            found.foreign += 1;
            return;
        }
        self.outstanding.remove(&key);
        self.arrived.insert(key);
        found.received[direction] += 1;
        self.latency.record(now - outstanding.sent_at);
        found.bad_checksum += u64::from(!is_intact(octets, protocol));
        found.bad_ttl += u64::from(octets[8] != TTL - self.hops);
        let body = payload_at(octets, protocol);
        let recorded = payload_at(&packet.octets, protocol);
        found.bad_payload += u64::from(octets.get(body..) != packet.octets.get(recorded..));
        if direction == 1 {
            found.bad_endpoints += u64::from(destination != ends.inside);
            return;
        }
        match ends.external {
            Some(external) if external == source => {}
            Some(_) if self.translated => {
                found.remapped += 1;
                ends.external = Some(source);
            }
            None => ends.external = Some(source),
            Some(_) => found.bad_endpoints += 1,
        }
    }
}

/// The packet without padding, where it has room for its headers.
fn whole(ip: &[u8]) -> Option<&[u8]> {
    let header = ip.first_chunk::<IPV4>()?;
    let octets = ip.get(..usize::from(u16::from_be_bytes([header[2], header[3]])))?;
    (header[0] == 0x45 && octets.len() >= IPV4 + 8).then_some(octets)
}

fn endpoints(octets: &[u8], protocol: Protocol) -> Option<(SocketAddrV4, SocketAddrV4)> {
    let number = match protocol {
        Protocol::Icmp => 1,
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    };
    let [source, destination] = addresses(octets.first_chunk()?);
    let word = |at: usize| u16::from_be_bytes([octets[at], octets[at + 1]]);
    let ports = match (protocol, octets[IPV4]) {
        (Protocol::Icmp, 8) => (word(IPV4 + 4), 0),
        (Protocol::Icmp, 0) => (0, word(IPV4 + 4)),
        (Protocol::Icmp, _) => return None,
        (Protocol::Tcp | Protocol::Udp, _) => (word(IPV4), word(IPV4 + 2)),
    };
    let found = (SocketAddrV4::new(source, ports.0), SocketAddrV4::new(destination, ports.1));
    (octets[9] == number).then_some(found)
}

/// Other endpoints, and both checksums anew; a UDP checksum that was absent stays so.
fn rewrite(octets: &mut [u8], protocol: Protocol, from: SocketAddrV4, to: SocketAddrV4) {
    octets[12..16].copy_from_slice(&from.ip().octets());
    octets[16..20].copy_from_slice(&to.ip().octets());
    octets[10..12].fill(0);
    let sum = Sum::default().bytes(&octets[..IPV4]).checksum();
    octets[10..12].copy_from_slice(&sum.to_be_bytes());
    match protocol {
        Protocol::Icmp => {
            let identifier = if octets[IPV4] == 8 { from.port() } else { to.port() };
            octets[IPV4 + 4..IPV4 + 6].copy_from_slice(&identifier.to_be_bytes());
        }
        Protocol::Tcp | Protocol::Udp => {
            octets[IPV4..IPV4 + 2].copy_from_slice(&from.port().to_be_bytes());
            octets[IPV4 + 2..IPV4 + 4].copy_from_slice(&to.port().to_be_bytes());
        }
    }
    let at = checksum_at(protocol);
    if protocol == Protocol::Udp && octets[at..at + 2] == [0, 0] {
        return;
    }
    octets[at..at + 2].fill(0);
    let sum = transport_sum(octets, protocol);
    let sum = if protocol == Protocol::Udp { sum.udp_checksum() } else { sum.checksum() };
    octets[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

fn is_intact(octets: &[u8], protocol: Protocol) -> bool {
    let at = checksum_at(protocol);
    let absent = protocol == Protocol::Udp && octets.get(at..at + 2) == Some(&[0, 0]);
    Sum::default().bytes(&octets[..IPV4]).is_intact()
        && (absent || transport_sum(octets, protocol).is_intact())
}

fn transport_sum(octets: &[u8], protocol: Protocol) -> Sum {
    let sum = Sum::default().bytes(&octets[IPV4..]);
    match protocol {
        Protocol::Icmp => sum,
        Protocol::Tcp | Protocol::Udp => {
            sum.pseudo_header_v4(&octets[12..20], octets[9], (octets.len() - IPV4) as u16)
        }
    }
}

fn checksum_at(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Icmp => IPV4 + 2,
        Protocol::Tcp => IPV4 + 16,
        Protocol::Udp => IPV4 + 6,
    }
}

/// Where what no translator touches begins.
fn payload_at(octets: &[u8], protocol: Protocol) -> usize {
    match protocol {
        // The sequence number of a query.
        Protocol::Icmp => IPV4 + 6,
        Protocol::Tcp => IPV4 + usize::from(octets.get(IPV4 + 12).map_or(5, |word| word >> 4)) * 4,
        Protocol::Udp => IPV4 + 8,
    }
}

const TTL: u8 = 64;
/// How long packets may still arrive after the last one left.
const DRAIN_NS: u64 = 1_000_000_000;
/// How long a packet inward waits for the first one of its conversation outward.
const LEARN_NS: u64 = 200_000_000;
/// A longer wait than this is slept.
const DOZE_NS: u64 = 1_000_000;
