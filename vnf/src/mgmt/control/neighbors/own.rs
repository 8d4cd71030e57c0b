//! The VNF's own addresses on their links: whether somebody else has them (RFC 4862 5.4, RFC 5227 2.4), and telling the
//! neighbours where they are (RFC 5227 2.3, RFC 4861 7.2.6).

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{error, warn};

use super::{Control, Key};
use crate::engine::ids::InterfaceId;
use crate::engine::interfaces::InterfaceTable;
use crate::engine::message::Claim;
use crate::engine::tables::Tables;
use crate::wire::{arp, nd};

/// What is going on about own addresses.
#[derive(Default)]
pub(in crate::mgmt::control) struct OwnAddresses {
    /// Addresses that were told of, or will be.
    known: HashSet<Key>,
    /// IPv6 addresses that are not used before their time, unless somebody claims them.
    tentative: HashMap<Key, Instant>,
    /// IPv6 addresses that somebody else has.
    duplicates: HashSet<Key>,
    /// When the neighbours will be told, and how often still.
    announcements: VecDeque<(Instant, Key, u8)>,
    defended: HashMap<Key, Instant>,
    conflicts: u64,
}

impl OwnAddresses {
    /// How often somebody else claimed one of our addresses.
    pub(in crate::mgmt::control) fn conflicts(&self) -> u64 {
        self.conflicts
    }

    /// Learns of new tables: addresses that were not there before are checked and told of.
    ///
    /// Returns the interfaces with those addresses marked that must not be used.
    fn adopt(&mut self, tables: &Tables, now: Instant) -> InterfaceTable {
        let own = tables.interfaces.iter().flat_map(|interface| {
            let addresses = interface.addresses.iter().map(|net| net.addr());
            let pool = tables.nat.pool().addresses().map(|address| Ipv4Addr::from(address).into());
            let there = interface.vrf == tables.nat.external_vrf();
            let proxied =
                pool.filter(move |address| there && interface.on_link(*address)).take(PROXIED);
            addresses.chain(proxied).map(|address| (interface.id, address))
        });
        let present: HashSet<Key> = own.collect();
        for key in present.difference(&self.known) {
            match key.1 {
                IpAddr::V4(_) => self.announcements.push_back((now, *key, TIMES)),
                IpAddr::V6(_) => {
                    self.tentative.insert(*key, now + DETECTION);
                }
            }
        }
        self.tentative.retain(|key, _| present.contains(key));
        self.duplicates.retain(|key| present.contains(key));
        self.defended.retain(|key, _| present.contains(key));
        self.announcements.retain(|(_, key, _)| present.contains(key));
        self.known = present;
        self.mark(&tables.interfaces)
    }

    /// These interfaces, with the addresses marked that must not be used.
    fn mark(&self, interfaces: &InterfaceTable) -> InterfaceTable {
        let mut interfaces = interfaces.clone();
        for interface in interfaces.iter_mut() {
            let of_interface = |key: &&Key| key.0 == interface.id;
            let unusable = self.tentative.keys().chain(&self.duplicates).filter(of_interface);
            interface.unusable = unusable.map(|key| key.1).collect();
        }
        interfaces
    }

    /// Hears that somebody else has an address; returns whether it was one that must not be used from now on.
    fn claimed(&mut self, key: Key) -> bool {
        self.conflicts += 1;
        self.tentative.remove(&key).is_some() && self.duplicates.insert(key)
    }

    /// Whether an address in use may be defended once more (RFC 5227 2.4 b: not more often than every ten seconds).
    fn may_defend(&mut self, key: Key, now: Instant) -> bool {
        let last = self.defended.get(&key);
        let may = last.is_none_or(|last| now.saturating_duration_since(*last) >= DEFENDED_EVERY);
        if may {
            self.defended.insert(key, now);
        }
        may
    }

    /// Addresses that nobody claimed in time: they are used from now on, and told of.
    fn settle(&mut self, now: Instant) -> bool {
        let done = self.tentative.extract_if(|_, until| *until <= now);
        let before = self.announcements.len();
        self.announcements.extend(done.map(|(key, _)| (now, key, TIMES)));
        self.announcements.len() > before
    }

    /// Addresses to tell of now.
    fn due(&mut self, now: Instant) -> Vec<Key> {
        let mut due = Vec::new();
        while due.len() < ANNOUNCED_AT_ONCE
            && let Some(&(at, key, times)) = self.announcements.front()
            && at <= now
        {
            due.push(key);
            self.announcements.pop_front();
            if times > 1 {
                self.announcements.push_back((now + ANNOUNCED_EVERY, key, times - 1));
            }
        }
        due
    }
}

impl Control {
    /// New tables as the workers may have them: with those own addresses marked that must not be used (yet).
    pub(in crate::mgmt::control) fn with_checked_addresses(&mut self, tables: &Tables) -> Tables {
        let interfaces = Arc::new(self.neighbors.own.adopt(tables, Instant::now()));
        Tables { interfaces, ..tables.clone() }
    }

    /// Asks whether somebody else has the new addresses; once the workers have the tables that know what to make of an answer.
    pub(in crate::mgmt::control) fn probe_new_addresses(&self) {
        for (id, address) in self.neighbors.own.tentative.keys() {
            let (Some(interface), IpAddr::V6(target)) =
                (self.parts.tables.interfaces.find(*id), address)
            else {
                continue;
            };
            self.originate(interface, |out| {
                nd::probe((interface.mac, interface.vlan), target.octets(), out)
            });
        }
    }

    /// Takes addresses into use that nobody claimed, and tells the neighbours of those whose time has come.
    pub(super) fn care_for_own_addresses(&mut self, now: Instant) {
        if self.neighbors.own.settle(now) {
            self.publish_usable();
        }
        for key in self.neighbors.own.due(now) {
            self.announce(key);
        }
    }

    /// Hears that somebody else has one of our addresses.
    pub(in crate::mgmt::control) fn address_claimed(&mut self, claim: Claim) {
        let Claim { interface: id, address, mac } = claim;
        let key = (id, address);
        let Some(interface) = self.parts.tables.interfaces.find(id) else { return };
        let name = interface.name.clone();
        if self.neighbors.own.claimed(key) {
            error!(
                "port {name}: {mac} has {address} already; the address is not used until the next \
                 start (RFC 4862). Give one of the two another address"
            );
            self.publish_usable();
        } else if self.neighbors.own.may_defend(key, Instant::now()) {
            warn!("port {name}: {mac} claims {address}, which is ours; it was told so (RFC 5227)");
            self.announce(key);
        }
    }

    fn publish_usable(&mut self) {
        let interfaces = Arc::new(self.neighbors.own.mark(&self.parts.tables.interfaces));
        let tables = Tables { interfaces, ..Tables::clone(&self.parts.tables) };
        self.publish(Arc::new(tables));
    }

    fn announce(&self, (id, address): (InterfaceId, IpAddr)) {
        let Some(interface) = self.parts.tables.interfaces.find(id) else { return };
        let (mac, vlan) = (interface.mac, interface.vlan);
        self.originate(interface, |out| match address {
            IpAddr::V4(own) => arp::announcement(mac, vlan, own.octets(), out),
            IpAddr::V6(own) => nd::announcement((mac, vlan), Ipv6Addr::octets(&own), out),
        });
    }
}

/// How long somebody has to claim an address: one probe of one second (RFC 4862 5.1, RFC 4861 10).
const DETECTION: Duration = Duration::from_secs(1);
/// How often an address is told of, and how long after each other (RFC 5227 1.1).
const TIMES: u8 = 2;
const ANNOUNCED_EVERY: Duration = Duration::from_secs(2);
/// Announcements in one turn at most.
const ANNOUNCED_AT_ONCE: usize = 16;
/// Pool addresses on one link that are told of; of others the neighbours learn when they ask.
const PROXIED: usize = 1024;
/// Between two defences of an address (RFC 5227 1.1, DEFEND_INTERVAL).
const DEFENDED_EVERY: Duration = Duration::from_secs(10);
