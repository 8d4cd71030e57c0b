//! Address resolution: who has been asked for, who has answered, and who is asked again (RFC 826, RFC 1122 2.3.2,
//! RFC 4861 7).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Control;
use crate::assembly::tables::next_hop;
use crate::engine::ids::{InterfaceId, WorkerId};
use crate::engine::interfaces::Interface;
use crate::engine::message::{Command, Sighting};
use crate::engine::tables::Tables;
use crate::neighbor::NeighborTable;
use crate::wire::ethernet::{Link, MacAddr};
use crate::wire::{arp, nd};

type Key = (InterfaceId, IpAddr);

/// What is known of one neighbour.
#[derive(Clone, Copy, Debug)]
struct Neighbor {
    mac: Option<MacAddr>,
    state: State,
    /// When it was last confirmed, or last asked.
    since: Instant,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Asked so many times, not heard yet.
    Incomplete(u8),
    /// Confirmed a while ago, and asked again so many times.
    Probe(u8),
    /// Confirmed.
    Reachable,
    /// From the configuration.
    Static,
}

/// A neighbour as `show neighbors` has it.
pub(super) struct Entry {
    pub interface: InterfaceId,
    pub address: IpAddr,
    pub mac: Option<MacAddr>,
    pub state: &'static str,
}

/// All neighbours.
pub(super) struct Neighbors {
    known: HashMap<Key, Neighbor>,
    /// What the workers do not know yet: a MAC address, or that there is none any more.
    news: Vec<(Key, Option<MacAddr>)>,
    due: Instant,
}

impl Neighbors {
    pub(super) fn new(configured: &NeighborTable, now: Instant) -> Self {
        let known = configured.iter().map(|(_, next_hop)| {
            let neighbor = Neighbor { mac: Some(next_hop.mac()), state: State::Static, since: now };
            ((next_hop.interface, next_hop.address), neighbor)
        });
        Self { known: known.collect(), news: Vec::new(), due: now }
    }

    /// Takes over the configured neighbours of new tables; learned ones stay where the tables kept them.
    pub(super) fn reconfigure(
        &mut self,
        configured: impl Fn(InterfaceId, IpAddr) -> bool,
        table: &NeighborTable,
        now: Instant,
    ) {
        let old = std::mem::take(&mut self.known);
        for (_, next_hop) in table.iter() {
            let key = (next_hop.interface, next_hop.address);
            let state = match (configured(key.0, key.1), old.get(&key)) {
                (true, _) => State::Static,
                (false, Some(before)) if before.state != State::Static => before.state,
                (false, _) => State::Reachable,
            };
            let neighbor = Neighbor { mac: Some(next_hop.mac()), state, since: now };
            self.known.insert(key, neighbor);
        }
    }

    /// A packet waits for this neighbour.
    pub(super) fn wanted(&mut self, interface: InterfaceId, address: IpAddr, now: Instant) {
        if self.known.len() < CAPACITY {
            let asked_never = now.checked_sub(INTERVAL).unwrap_or(now);
            let fresh = Neighbor { mac: None, state: State::Incomplete(0), since: asked_never };
            self.known.entry((interface, address)).or_insert(fresh);
            self.due = now;
        }
    }

    /// A neighbour has named its MAC address.
    pub(super) fn seen(&mut self, sighting: Sighting, now: Instant) {
        let key = (sighting.interface, sighting.address);
        let full = self.known.len() >= CAPACITY;
        match self.known.get_mut(&key) {
            Some(known) if known.state == State::Static => {}
            Some(known) => {
                if known.mac != Some(sighting.mac) {
                    known.mac = Some(sighting.mac);
                    self.news.push((key, Some(sighting.mac)));
                }
                (known.state, known.since) = (State::Reachable, now);
            }
            None if full => {}
            None => {
                let mac = Some(sighting.mac);
                self.known.insert(key, Neighbor { mac, state: State::Reachable, since: now });
                self.news.push((key, mac));
            }
        }
    }

    /// Whom to ask now, with the MAC address to ask at where there is one.
    fn questions(&mut self, now: Instant) -> Vec<(Key, Option<MacAddr>)> {
        let mut questions = Vec::new();
        if now < self.due {
            return questions;
        }
        self.due = now + INTERVAL / 10;
        let news = &mut self.news;
        self.known.retain(|key, neighbor| {
            let waited = now.duration_since(neighbor.since);
            let ask = |state| (Some(state), true);
            let (state, asked) = match neighbor.state {
                State::Incomplete(asked) | State::Probe(asked)
                    if waited < INTERVAL && asked > 0 =>
                {
                    (Some(neighbor.state), false)
                }
                State::Incomplete(ATTEMPTS) | State::Probe(ATTEMPTS) => (None, false),
                State::Incomplete(asked) => ask(State::Incomplete(asked + 1)),
                State::Probe(asked) => ask(State::Probe(asked + 1)),
                State::Reachable if waited >= REACHABLE => ask(State::Probe(1)),
                state => (Some(state), false),
            };
            if asked && questions.len() < QUESTIONS {
                neighbor.since = now;
                questions.push((*key, neighbor.mac));
            } else if asked {
                return true; // later
            }
            match state {
                Some(state) => {
                    neighbor.state = state;
                    true
                }
                None => {
                    news.push((*key, None));
                    false
                }
            }
        });
        questions
    }

    /// Everything known, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.known.iter().map(|((interface, address), neighbor)| Entry {
            interface: *interface,
            address: *address,
            mac: neighbor.mac,
            state: match neighbor.state {
                State::Incomplete(_) => "incomplete",
                State::Probe(_) => "probe",
                State::Reachable => "reachable",
                State::Static => "static",
            },
        })
    }
}

impl Control {
    /// Asks for neighbours that are wanted, and tells the workers what was learned.
    pub(super) fn resolve(&mut self) {
        for ((interface, address), mac) in self.neighbors.questions(Instant::now()) {
            self.ask(interface, address, mac);
        }
        if self.neighbors.news.is_empty() {
            return;
        }
        let mut table = NeighborTable::clone(&self.parts.tables.neighbors);
        for ((interface, address), mac) in std::mem::take(&mut self.neighbors.news) {
            match (mac, self.parts.tables.interfaces.find(interface)) {
                (Some(mac), Some(interface)) => {
                    table.set(next_hop(interface, address, mac));
                }
                _ => {
                    if let Some(id) = table.find(interface, address) {
                        table.unresolve(id);
                    }
                }
            }
        }
        let tables = Tables { neighbors: Arc::new(table), ..Tables::clone(&self.parts.tables) };
        self.publish(Arc::new(tables));
    }

    /// Gives the workers new tables.
    pub(super) fn publish(&mut self, tables: Arc<Tables>) {
        for worker in self.workers() {
            self.command(worker, Command::Adopt(Arc::clone(&tables), None));
        }
        self.parts.tables = tables;
    }

    fn ask(&self, interface: InterfaceId, address: IpAddr, mac: Option<MacAddr>) {
        let Some(interface) = self.parts.tables.interfaces.find(interface) else { return };
        self.originate(interface, |out| match address {
            IpAddr::V4(target) => {
                let source = interface.source_for4(target)?;
                let destination = mac.unwrap_or(MacAddr::BROADCAST);
                let link = Link { destination, source: interface.mac, vlan: interface.vlan };
                arp::request(link, source.octets(), target.octets(), out)
            }
            IpAddr::V6(target) => {
                let source = interface.source_for6(target)?.octets();
                let own = (interface.mac, interface.vlan);
                nd::solicitation(own, source, target.octets(), mac, out)
            }
        });
    }

    /// Tells the neighbours of all own addresses where they are (RFC 5227 3, RFC 4861 7.2.6).
    pub(super) fn announce(&mut self) {
        let interfaces = Arc::clone(&self.parts.tables.interfaces);
        for interface in interfaces.iter() {
            for address in &interface.addresses {
                let (mac, vlan) = (interface.mac, interface.vlan);
                self.originate(interface, |out| match address.addr() {
                    IpAddr::V4(own) => arp::announcement(mac, vlan, own.octets(), out),
                    IpAddr::V6(own) => nd::announcement((mac, vlan), own.octets(), out),
                });
            }
        }
    }

    fn originate(&self, interface: &Interface, write: impl FnOnce(&mut [u8]) -> Option<usize>) {
        let Some(mut frame) = self.parts.pool.alloc() else { return };
        let Some(length) = frame.extend(LARGEST).and_then(write) else { return };
        frame.truncate(length);
        self.command(WorkerId(0), Command::Transmit(frame, interface.port));
    }
}

/// How many neighbours are kept at most.
const CAPACITY: usize = crate::neighbor::table::CAPACITY;
/// Between two requests for the same neighbour (RFC 1122 2.3.2.1: at most one a second).
const INTERVAL: Duration = Duration::from_secs(1);
/// Requests without an answer until a neighbour counts as absent.
const ATTEMPTS: u8 = 3;
/// How long an answer is believed before it is asked for again.
const REACHABLE: Duration = Duration::from_secs(60);
/// Requests sent in one turn at most.
const QUESTIONS: usize = 64;
/// The largest frame made here.
const LARGEST: usize = 128;
