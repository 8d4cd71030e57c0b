//! Single packets, sent and looked for one by one: for questions about a path that a load cannot answer.

mod packet;

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use dpdk_bindings::Mbuf;
pub(crate) use packet::addresses;
pub use packet::{Arrived, IcmpError, Packet, Protocol};
use serde::Serialize;

use crate::endpoint::Family;
use crate::engine::{Clock, Engine, Side};
use crate::frame::{ACK, Frame, SYN};
use crate::host::Host;
use crate::measure::Bench;
use crate::trailer::siphash;

/// One of the two ports.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The first port, with the translated hosts.
    Inside,
    /// The second port, with the remote hosts.
    Outside,
}

impl Place {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Inside => Self::Outside,
            Self::Outside => Self::Inside,
        }
    }
}

/// Both ports of an engine, and what arrived there and was not asked for yet.
#[derive(Debug)]
pub struct Prober<'e, C> {
    engine: &'e mut Engine,
    clock: &'e C,
    mark: u64,
    next: u32,
    received: Box<[Option<Mbuf>; 64]>,
    arrived: Vec<Arrived>,
}

impl<'e, C: Clock> Prober<'e, C> {
    /// Probes from the ports of a bench whose gateways are known; they are marked with a word made of `seed`.
    pub fn new(bench: Bench<'e, C>, seed: u64) -> Self {
        let Bench { engine, clock, .. } = bench;
        Self {
            engine,
            clock,
            mark: siphash(seed, u64::MAX),
            next: 0,
            received: Box::new([const { None }; 64]),
            arrived: Vec::new(),
        }
    }

    /// The IPv4 gateway of a port.
    pub fn gateway(&mut self, at: Place) -> Option<Ipv4Addr> {
        let (sides, _) = self.engine.ports();
        let gateway = sides[at as usize].host.gateway(Family::V4)?;
        Some(Ipv4Addr::from_bits(gateway.low()))
    }

    /// The time now, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// A probe with its mark and a number of its own, not sent yet; returns both.
    pub fn compose(&mut self, kind: Kind, from: SocketAddrV4, to: SocketAddrV4) -> (u32, Frame) {
        let number = self.next;
        self.next += 1;
        let mut frame = kind.frame(from, to, number);
        frame.identification = number as u16;
        let mut payload = [0; 16];
        payload[..8].copy_from_slice(&self.mark.to_be_bytes());
        payload[8..12].copy_from_slice(&number.to_be_bytes());
        payload[12..].copy_from_slice(&(!number).to_be_bytes());
        (number, frame.payload(&payload))
    }

    /// Sends one probe from a port; returns its number.
    pub fn probe(&mut self, at: Place, kind: Kind, from: SocketAddrV4, to: SocketAddrV4) -> u32 {
        let (number, frame) = self.compose(kind, from, to);
        self.send(at, &frame);
        number
    }

    /// Sends a frame through the gateway of a port, or to the other port where there is none.
    pub fn send(&mut self, at: Place, frame: &Frame) {
        let octets = frame.build();
        self.send_octets(at, octets);
    }

    /// As [`send`](Self::send), a whole untagged Ethernet frame whose hardware addresses are put in here.
    pub fn send_octets(&mut self, at: Place, mut octets: Vec<u8>) {
        let (sides, pool) = self.engine.ports();
        let [own, other] = [at, at.other()].map(|place| &sides[place as usize].host);
        let to = own.gateway_mac(Family::V4).unwrap_or(other.mac());
        octets[..6].copy_from_slice(&to);
        octets[6..12].copy_from_slice(&own.mac());
        let frame = pool.frame(&own.tagged(octets));
        sides[at as usize].tx.transmit(&mut [frame]);
    }

    /// Sends a probe up to three times until it arrives at the other port.
    pub fn ask(
        &mut self,
        at: Place,
        kind: Kind,
        from: SocketAddrV4,
        to: SocketAddrV4,
    ) -> Option<Packet> {
        self.ask_for(at, at.other(), kind, from, to)
    }

    /// As [`ask`](Self::ask), with the port where it shall arrive.
    pub fn ask_for(
        &mut self,
        at: Place,
        place: Place,
        kind: Kind,
        from: SocketAddrV4,
        to: SocketAddrV4,
    ) -> Option<Packet> {
        self.deliver(at, place, kind, from, to).map(|(_, packet)| packet)
    }

    /// As [`ask_for`](Self::ask_for); gives the frame as sent, too.
    pub fn deliver(
        &mut self,
        at: Place,
        place: Place,
        kind: Kind,
        from: SocketAddrV4,
        to: SocketAddrV4,
    ) -> Option<(Frame, Packet)> {
        (0..TRIES).find_map(|_| {
            let (number, frame) = self.compose(kind, from, to);
            self.send(at, &frame);
            let packet = self.wait_for(place, number, PATIENCE_NS)?;
            Some((frame, packet))
        })
    }

    /// The probe of this number, once it arrives at `place`; `None` when `ns` nanoseconds are over.
    pub fn wait_for(&mut self, place: Place, number: u32, ns: u64) -> Option<Packet> {
        self.wait(ns, |arrived| match arrived {
            Arrived::Probe(packet) if packet.place == place && packet.number == number => {
                Some(packet.clone())
            }
            _ => None,
        })
    }

    /// The first arrival that `wanted` makes something of, within `ns` nanoseconds.
    pub fn wait<T>(&mut self, ns: u64, wanted: impl Fn(&Arrived) -> Option<T>) -> Option<T> {
        let end = self.clock.now() + ns;
        loop {
            self.look();
            let found = self.arrived.iter().position(|arrived| wanted(arrived).is_some());
            if let Some(found) = found {
                return wanted(&self.arrived.swap_remove(found));
            }
            if self.clock.now() >= end {
                return None;
            }
            self.clock.sleep(LOOK_NS);
        }
    }

    /// Everything that arrived since the last look, and within the next `ns` nanoseconds.
    pub fn listen(&mut self, ns: u64) -> Vec<Arrived> {
        let end = self.clock.now() + ns;
        self.rest_until(end);
        std::mem::take(&mut self.arrived)
    }

    /// Lets time pass, answering ARP meanwhile.
    pub fn rest_until(&mut self, time: u64) {
        loop {
            self.look();
            let now = self.clock.now();
            if now >= time {
                return;
            }
            self.clock.sleep((time - now).min(REST_NS));
        }
    }

    /// Opens a mapping for each pair of inside and remote endpoint and tells the external endpoints; what does not
    /// come through is asked for again, as often as [`ask`](Self::ask) does.
    pub fn open(
        &mut self,
        kind: Kind,
        pairs: &[(SocketAddrV4, SocketAddrV4)],
        gap_ns: u64,
    ) -> Vec<Option<SocketAddrV4>> {
        let mut found = vec![None; pairs.len()];
        for _ in 0..TRIES {
            let missing: Vec<usize> = (0..pairs.len()).filter(|i| found[*i].is_none()).collect();
            if missing.is_empty() {
                break;
            }
            let first = self.next;
            for index in &missing {
                let (inside, remote) = pairs[*index];
                self.probe(Place::Inside, kind, inside, remote);
                let next = self.clock.now() + gap_ns;
                self.rest_until(next);
            }
            let mut outstanding = missing.len();
            let end = self.clock.now() + PATIENCE_NS;
            while outstanding > 0 && self.clock.now() < end {
                for arrived in self.listen(LOOK_NS) {
                    let Arrived::Probe(packet) = arrived else { continue };
                    let place = packet.number.checked_sub(first).map(|place| place as usize);
                    let Some(index) = place.and_then(|place| missing.get(place)) else { continue };
                    if packet.place == Place::Outside && found[*index].is_none() {
                        found[*index] = Some(packet.source);
                        outstanding -= 1;
                    }
                }
            }
        }
        found
    }

    fn look(&mut self) {
        let (sides, pool) = self.engine.ports();
        for place in [Place::Inside, Place::Outside] {
            let Side { rx, tx, host } = &mut sides[place as usize];
            let count = rx.receive(&mut self.received);
            let now = self.clock.now();
            for packet in self.received[..count].iter().flatten() {
                let mut octets = vec![0; packet.len()];
                packet.copy_to(&mut octets);
                // Before the hosts get to see it: they would answer a probe that is an echo request.
                match self::arrival(host, place, &octets, self.mark, now) {
                    Some(arrived) => self.arrived.push(arrived),
                    None => {
                        if let Some(answer) = host.answer(&octets) {
                            tx.transmit(&mut [pool.frame(&answer)]);
                        }
                    }
                }
            }
            Mbuf::free_bulk(&mut self.received[..count]);
        }
    }
}

/// A probe or an error in a frame to this port.
fn arrival(host: &Host, place: Place, octets: &[u8], mark: u64, now: u64) -> Option<Arrived> {
    let is_ours = octets.get(..6)? == host.mac();
    match host.vlan() {
        _ if !is_ours => None,
        None => Arrived::parse(place, octets, mark, now),
        Some(_) => {
            let untagged = [&octets[..12], octets.get(16..)?].concat();
            Arrived::parse(place, &untagged, mark, now)
        }
    }
}

/// What a probe is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// An echo request; the source's port is the query identifier.
    Echo,
    /// An echo reply; the destination's port is the query identifier.
    EchoReply,
    /// A TCP segment with these flags.
    Tcp(u8),
    /// A UDP datagram.
    Udp,
}

impl Kind {
    /// What opens a session of this protocol from inside.
    pub fn opening(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Icmp => Self::Echo,
            Protocol::Tcp => Self::Tcp(SYN),
            Protocol::Udp => Self::Udp,
        }
    }

    /// What answers it.
    pub fn reply(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Icmp => Self::EchoReply,
            Protocol::Tcp => Self::Tcp(SYN | ACK),
            Protocol::Udp => Self::Udp,
        }
    }

    fn frame(self, from: SocketAddrV4, to: SocketAddrV4, number: u32) -> Frame {
        let (source, destination): (IpAddr, IpAddr) = ((*from.ip()).into(), (*to.ip()).into());
        let sequence = number as u16;
        match self {
            Self::Echo => Frame::echo(source, destination, from.port(), sequence),
            Self::EchoReply => Frame::echo_reply(source, destination, to.port(), sequence),
            Self::Tcp(flags) => Frame::tcp(from.into(), to.into(), flags),
            Self::Udp => Frame::udp(from.into(), to.into()),
        }
    }
}

/// How long a probe may take.
pub const PATIENCE_NS: u64 = 200_000_000;
/// How often something is asked before silence is an answer.
pub const TRIES: usize = 3;
const LOOK_NS: u64 = 50_000;
const REST_NS: u64 = 1_000_000;
