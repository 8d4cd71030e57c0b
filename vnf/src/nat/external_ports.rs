//! The external ports of one worker: which are in use, and which one a new mapping gets.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use super::ownership::Ownership;
use super::table::{Endpoint, NatTable};
use crate::engine::ids::WorkerId;
use crate::table::PortBitmap;
use crate::wire::protocol;

/// TCP, UDP and ICMP queries have a port space each.
const SPACES: usize = 3;

/// One external address.
struct Address {
    address: u32,
    /// The ports this worker owns.
    ports: RangeInclusive<u16>,
    used: Box<[PortBitmap; SPACES]>,
    /// How many of `ports` are in use.
    taken: [u32; SPACES],
    /// How many of those in use only rest.
    resting: u32,
}

/// The external ports one worker owns. Made by the management core, kept by the worker.
#[derive(Default)]
pub struct ExternalPorts {
    /// Sorted by address.
    addresses: Vec<Address>,
    /// Endpoints of forwards: never given to a dynamic mapping.
    reserved: HashSet<(u8, Endpoint)>,
}

/// How one worker uses one external address, TCP, UDP and ICMP together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AddressUsage {
    /// The address.
    pub address: u32,
    /// Ports in use, those at rest among them.
    pub taken: u32,
    /// Ports at rest.
    pub resting: u32,
    /// Ports there are.
    pub total: u32,
}

/// Which port space a protocol uses; `None` for protocols that a shared address cannot carry.
fn space_of(protocol: u8) -> Option<usize> {
    match protocol {
        protocol::TCP => Some(0),
        protocol::UDP => Some(1),
        protocol::ICMP => Some(2),
        _ => None,
    }
}

impl ExternalPorts {
    /// What a worker owns under these rules, nothing of it in use but the endpoints of forwards.
    pub fn new(table: &NatTable, ownership: &Ownership, worker: WorkerId) -> Self {
        let mut addresses = Vec::new();
        for (index, address) in table.pool().addresses().enumerate() {
            let ports = ownership.ports_of(table, index as u32, worker);
            let Some(ports) = ports.filter(|_| !table.is_static(address)) else { continue };
            let used = Box::new(std::array::from_fn(|_| PortBitmap::new()));
            addresses.push(Address { address, ports, used, taken: [0; SPACES], resting: 0 });
        }
        let fixed = table.fixed().filter_map(|f| f.protocol.map(|protocol| (protocol, f.external)));
        let mut ports = Self { addresses, reserved: fixed.collect() };
        ports.take_reserved();
        ports
    }

    /// Takes over what is in use of the addresses that `old` has too.
    pub fn take_over(&mut self, old: &mut Self) {
        for entry in &mut self.addresses {
            let Some(at) = old.position(entry.address) else { continue };
            std::mem::swap(&mut entry.used, &mut old.addresses[at].used);
            entry.resting = old.addresses[at].resting;
            for (protocol, endpoint) in &old.reserved {
                if endpoint.0 == entry.address
                    && let Some(space) = space_of(*protocol)
                {
                    entry.used[space].give(endpoint.1);
                }
            }
            for space in 0..SPACES {
                entry.taken[space] = entry.used[space].used(entry.ports.clone()) as u32;
            }
        }
        self.take_reserved();
    }

    fn take_reserved(&mut self) {
        for (protocol, (address, port)) in &self.reserved {
            let at = self.addresses.binary_search_by_key(address, |entry| entry.address);
            if let (Some(space), Ok(at)) = (space_of(*protocol), at) {
                self.addresses[at].take_exact(space, *port);
            }
        }
    }

    /// How many addresses the worker has ports of.
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether the worker has no ports.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Whether the worker has ports of this address.
    pub fn has(&self, address: u32) -> bool {
        self.position(address).is_some()
    }

    /// Whether an endpoint is one of the worker's.
    pub fn owns(&self, (address, port): Endpoint) -> bool {
        self.position(address).is_some_and(|at| self.addresses[at].ports.contains(&port))
    }

    /// An address for a host that has none yet, spread by `random`: one with a free port if there is any.
    pub fn choose(&self, protocol: u8, random: u64) -> Option<u32> {
        let space = space_of(protocol)?;
        let count = self.addresses.len();
        let start = ((u128::from(random) * count as u128) >> 64) as usize;
        let mut by_turn = (0..count).map(|step| &self.addresses[(start + step) % count]);
        by_turn.find(|entry| entry.has_room(space)).map(|entry| entry.address)
    }

    /// Takes a port of an address: any one of the free ones, unguessably (RFC 6056), as long as there is one.
    pub fn take(&mut self, protocol: u8, address: u32, random: u64) -> Option<u16> {
        let space = space_of(protocol)?;
        let position = self.position(address)?;
        let entry = &mut self.addresses[position];
        let port = entry.used[space].take(entry.ports.clone(), random)?;
        entry.taken[space] += 1;
        Some(port)
    }

    /// Gives a port back. What is reserved by now stays taken, and what no longer belongs to the pool is forgotten.
    pub fn give(&mut self, protocol: u8, endpoint: Endpoint) {
        let (Some(space), Some(position)) = (space_of(protocol), self.position(endpoint.0)) else {
            return;
        };
        if self.reserved.contains(&(protocol, endpoint)) {
            return;
        }
        let entry = &mut self.addresses[position];
        if entry.used[space].give(endpoint.1) && entry.ports.contains(&endpoint.1) {
            entry.taken[space] -= 1;
        }
    }

    /// Notes that a port only rests from now on (RFC 6888 REQ-8).
    pub fn rest(&mut self, address: u32) {
        if let Some(position) = self.position(address) {
            self.addresses[position].resting += 1;
        }
    }

    /// Gives a port back that has rested.
    pub fn give_rested(&mut self, protocol: u8, endpoint: Endpoint) {
        if let Some(position) = self.position(endpoint.0) {
            let resting = &mut self.addresses[position].resting;
            *resting = resting.saturating_sub(1);
        }
        self.give(protocol, endpoint);
    }

    /// How every address is used, all protocols together.
    pub fn usage(&self) -> impl Iterator<Item = AddressUsage> + '_ {
        self.addresses.iter().map(|entry| AddressUsage {
            address: entry.address,
            taken: entry.taken.iter().sum(),
            resting: entry.resting,
            total: (entry.ports.len() * SPACES) as u32,
        })
    }

    /// Memory used, in octets.
    pub fn bytes(&self) -> usize {
        self.addresses.len() * (size_of::<Address>() + size_of::<[PortBitmap; SPACES]>())
    }

    fn position(&self, address: u32) -> Option<usize> {
        self.addresses.binary_search_by_key(&address, |entry| entry.address).ok()
    }
}

impl Address {
    fn has_room(&self, space: usize) -> bool {
        (self.taken[space] as usize) < self.ports.len()
    }

    fn take_exact(&mut self, space: usize, port: u16) {
        if self.used[space].take_exact(port) && self.ports.contains(&port) {
            self.taken[space] += 1;
        }
    }
}
