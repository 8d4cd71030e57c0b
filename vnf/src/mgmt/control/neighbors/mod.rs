//! Address resolution as the management core does it: it asks, learns, and tells the workers (RFC 826, RFC 4861 7).

pub(super) mod cache;
mod own;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Control;
use crate::assembly::tables::next_hop;
use crate::engine::ids::WorkerId;
use crate::engine::interfaces::Interface;
use crate::engine::message::Command;
use crate::engine::tables::Tables;
use crate::neighbor::{NeighborTable, NextHop};
use crate::wire::ethernet::{Link, MacAddr};
use crate::wire::{arp, nd};
pub(super) use cache::{Cache, Key};
pub(super) use own::OwnAddresses;

/// What the management core knows about the links.
pub(super) struct Neighbors {
    pub(super) cache: Cache,
    pub(super) own: OwnAddresses,
    /// Not before then are new tables made: copying a large one shall not be all that management does.
    publish_due: Instant,
}

impl Neighbors {
    /// The configured neighbours, and own addresses that nobody has been told about.
    pub(super) fn new(configured: &NeighborTable, now: Instant) -> Self {
        let cache = Cache::new(configured, now);
        Self { cache, own: OwnAddresses::default(), publish_due: now }
    }
}

impl Control {
    /// Asks for neighbours, speaks of own addresses, and tells the workers what was learned.
    pub(super) fn resolve(&mut self) {
        let now = Instant::now();
        for question in self.neighbors.cache.questions(now) {
            self.ask(question.key, question.mac);
        }
        self.care_for_own_addresses(now);
        let due = self.neighbors.publish_due;
        let urgent = now < due + FLAGS_WAIT;
        if now < due || !self.neighbors.cache.has_news(urgent) {
            return;
        }
        let tables = self.with_news();
        self.publish(Arc::new(tables));
        self.neighbors.publish_due = Instant::now() + now.elapsed() * 9;
    }

    /// Tables that hold what was learned.
    fn with_news(&mut self) -> Tables {
        let before = &self.parts.tables;
        let mut table = NeighborTable::clone(&before.neighbors);
        let mut fits = true;
        for ((interface, address), news) in self.neighbors.cache.take_news() {
            match (news.mac, before.interfaces.find(interface)) {
                (Some(mac), Some(interface)) => {
                    let known = NextHop { stale: news.stale, ..next_hop(interface, address, mac) };
                    fits &= table.set(known).is_some();
                }
                _ => {
                    if let Some(id) = table.find(interface, address) {
                        table.unresolve(id);
                    }
                }
            }
        }
        if fits {
            return Tables { neighbors: Arc::new(table), ..Tables::clone(before) };
        }
        // No number is left: those of neighbours that are gone are given out anew, and sessions look theirs up again.
        let mut table = NeighborTable::default();
        for ((interface, address), mac, stale) in self.neighbors.cache.resolved() {
            if let Some(interface) = before.interfaces.find(interface) {
                table.set(NextHop { stale, ..next_hop(interface, address, mac) });
            }
        }
        let generation = Tables::after_reload(before.generation);
        Tables { generation, neighbors: Arc::new(table), ..Tables::clone(before) }
    }

    /// Gives the workers new tables.
    pub(super) fn publish(&mut self, tables: Arc<Tables>) {
        for worker in self.workers() {
            self.command(worker, Command::Adopt(Arc::clone(&tables), None));
        }
        self.parts.tables = tables;
    }

    fn ask(&self, (interface, address): Key, mac: Option<MacAddr>) {
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

    fn originate(&self, interface: &Interface, write: impl FnOnce(&mut [u8]) -> Option<usize>) {
        let Some(mut frame) = self.parts.pool.alloc() else { return };
        let Some(length) = frame.extend(LARGEST).and_then(write) else { return };
        frame.truncate(length);
        self.command(WorkerId(0), Command::Transmit(frame, interface.port));
    }
}

/// How long news may wait that no packet waits for.
const FLAGS_WAIT: Duration = Duration::from_millis(100);
/// The largest frame made here.
const LARGEST: usize = 128;
