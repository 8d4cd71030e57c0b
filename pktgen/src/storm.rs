//! What hostile hosts send beside a good stream: frames that cost the tested system more than others.

use std::net::Ipv4Addr;

use dpdk_bindings::{Mempool, TxQueue};
use serde::Serialize;

use crate::checksum::Sum;
use crate::endpoint::Family;
use crate::engine::Side;
use crate::flow::{Direction, Flows};
use crate::frame::{ETHERNET, Frame, IPV4, SYN};
use crate::rate::Rate;
use crate::trailer::siphash;
use crate::transmit::Pacer;

/// A kind of attack.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Attack {
    /// UDP from inside whose addresses and ports add up, and xor, to the same words, so that weak hashes collide
    Collide,
    /// First fragments of datagrams from inside that are never completed
    Frag,
    /// Echo requests and ICMP errors from outside about sessions that do not exist
    Icmp,
    /// TCP and UDP from outside to all ports of the external addresses
    Scan,
    /// TCP SYNs from inside, each from another endpoint
    Syn,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Collide, Self::Frag, Self::Icmp, Self::Scan, Self::Syn];

    /// Which way its frames go.
    pub fn direction(self) -> Direction {
        match self {
            Self::Collide | Self::Frag | Self::Syn => Direction::Outward,
            Self::Icmp | Self::Scan => Direction::Inward,
        }
    }
}

/// Who is attacked, from where.
#[derive(Clone, Debug)]
pub struct Targets {
    inside: Vec<Ipv4Addr>,
    remotes: Vec<Ipv4Addr>,
    external: Vec<Ipv4Addr>,
}

impl Targets {
    /// The hosts of the good flows, and their external addresses as far as they are learned; `None` without IPv4.
    pub fn of(flows: &Flows) -> Option<Self> {
        let mut targets = Self { inside: vec![], remotes: vec![], external: vec![] };
        let note = |list: &mut Vec<Ipv4Addr>, address: crate::endpoint::Address| {
            if address.family() == Family::V4 {
                list.push(Ipv4Addr::from_bits(address.low()));
            }
        };
        for index in 0..flows.len() as u32 {
            note(&mut targets.inside, flows.inside(index).address);
            note(&mut targets.remotes, flows.outside(index).address);
            if let Some(external) = flows.external(index) {
                note(&mut targets.external, external.address);
            }
        }
        for list in [&mut targets.inside, &mut targets.remotes, &mut targets.external] {
            list.sort_unstable();
            list.dedup();
        }
        let lists = [&targets.inside, &targets.remotes, &targets.external];
        let is_complete = lists.iter().all(|list| !list.is_empty());
        is_complete.then_some(targets)
    }
}

/// Attacks at a rate, in turns.
#[derive(Clone, Debug)]
pub struct Storm {
    attacks: Vec<Attack>,
    targets: Targets,
    rate: Rate,
    pacer: Option<Pacer>,
    seed: u64,
    number: u64,
    refused: u64,
}

impl Storm {
    /// Ready to [`begin`](Self::begin).
    pub fn new(attacks: Vec<Attack>, targets: Targets, rate: Rate, seed: u64) -> Self {
        Self { attacks, targets, rate, pacer: None, seed, number: 0, refused: 0 }
    }

    /// Begins now and goes on for so many nanoseconds.
    pub fn begin(&mut self, now: u64, duration: u64) {
        self.pacer = Some(Pacer::new(now, duration, Some(self.rate)));
        (self.number, self.refused) = (0, 0);
    }

    /// Frames that the ports took.
    pub fn sent(&self) -> u64 {
        self.number - self.refused
    }

    /// Sends what is due.
    pub(crate) fn send(&mut self, sides: &mut [Side; 2], pool: &Mempool, now: u64) {
        let Some(pacer) = &mut self.pacer else { return };
        let due = pacer.due(now, BURST);
        (0..due).for_each(|_| _ = pacer.take(now));
        for _ in 0..due {
            let attack = self.attacks[self.number as usize % self.attacks.len()];
            let mut frame = self.frame(attack);
            let from = attack.direction() as usize;
            let [own, other] = [&sides[from].host, &sides[1 - from].host];
            frame[..6].copy_from_slice(&own.gateway_mac(Family::V4).unwrap_or(other.mac()));
            frame[6..12].copy_from_slice(&own.mac());
            let frame = own.tagged(frame);
            self.number += 1;
            self.refused += 1 - transmit(&mut sides[from].tx, pool, &frame);
        }
    }

    /// The next frame, with no hardware addresses yet.
    fn frame(&self, attack: Attack) -> Vec<u8> {
        let random = siphash(self.seed, self.number);
        let turn = self.number / self.attacks.len() as u64;
        let pick = |list: &[Ipv4Addr], number: u64| list[(number % list.len() as u64) as usize];
        let Targets { inside, remotes, external } = &self.targets;
        let port = |number: u64| 1024 + (number % 64_512) as u16;
        let (host, remote) = (pick(inside, random), pick(remotes, random >> 8));
        let victim = pick(external, random >> 16);
        match attack {
            Attack::Collide => {
                // What one word gains the other loses: every sum and every xor of both is the same for all.
                let step = turn as u16;
                let source = (host, 0x8000 ^ step).into();
                let destination = (remote, 0x4000 ^ step).into();
                Frame::udp(source, destination).sized(64).build()
            }
            Attack::Frag => {
                let mut frame =
                    Frame::udp((host, port(random)).into(), (remote, 9).into()).sized(64).build();
                frame[18..20].copy_from_slice(&(random as u16).to_be_bytes());
                // "More fragments", at offset 0; no other ever follows.
                frame[20..22].copy_from_slice(&[0x20, 0]);
                seal_header(&mut frame);
                frame
            }
            Attack::Icmp if turn.is_multiple_of(2) => {
                Frame::echo(remote.into(), victim.into(), random as u16, turn as u16).build()
            }
            Attack::Icmp => {
                let source = (victim, port(random >> 24)).into();
                let quoted = Frame::udp(source, (remote, 9).into()).build();
                let quote = &quoted[ETHERNET..ETHERNET + IPV4 + 8];
                crate::nat::errors::message(remote, victim, (3, 3), quote)
            }
            Attack::Scan => {
                let (source, destination) =
                    ((remote, port(random >> 24)).into(), (victim, port(turn)).into());
                match turn.is_multiple_of(2) {
                    true => Frame::tcp(source, destination, SYN).build(),
                    false => Frame::udp(source, destination).build(),
                }
            }
            Attack::Syn => {
                let (source, destination) =
                    ((host, port(turn)).into(), (remote, port(random >> 24)).into());
                Frame::tcp(source, destination, SYN).build()
            }
        }
    }
}

fn transmit(tx: &mut TxQueue, pool: &Mempool, frame: &[u8]) -> u64 {
    tx.transmit(&mut [pool.frame(frame)]) as u64
}

fn seal_header(frame: &mut [u8]) {
    let header = &mut frame[ETHERNET..ETHERNET + IPV4];
    header[10..12].fill(0);
    let sum = Sum::default().bytes(header).checksum();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

const BURST: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn storm(attack: Attack) -> Storm {
        let targets = Targets {
            inside: vec![[10, 0, 0, 2].into(), [10, 0, 0, 3].into()],
            remotes: vec![[198, 51, 100, 2].into()],
            external: vec![[203, 0, 113, 1].into()],
        };
        Storm::new(vec![attack], targets, Rate::per_second(1000.0), 7)
    }

    #[test]
    fn every_attack_is_what_it_says_with_a_right_header() {
        for attack in Attack::ALL {
            let mut storm = storm(attack);
            let mut frames = HashSet::new();
            for number in 0..1000 {
                storm.number = number;
                let frame = storm.frame(attack);
                assert!(Sum::default().bytes(&frame[14..34]).is_intact(), "{attack:?}");
                let inside = frame[26] == 10;
                assert_eq!(inside, attack.direction() == Direction::Outward, "{attack:?}");
                frames.insert(frame);
            }
            assert!(frames.len() >= 900, "{attack:?}: {}", frames.len());
        }
    }

    #[test]
    fn colliding_endpoints_have_one_xor_of_their_ports() {
        let mut storm = storm(Attack::Collide);
        let xor = |frame: Vec<u8>| [frame[34] ^ frame[36], frame[35] ^ frame[37]];
        let words: HashSet<[u8; 2]> = (0..1000)
            .map(|number| {
                storm.number = number;
                xor(storm.frame(Attack::Collide))
            })
            .collect();
        assert_eq!(words.len(), 1);
    }
}
