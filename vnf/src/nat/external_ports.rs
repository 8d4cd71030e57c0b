//! The external ports of one worker: which are in use, and which one a new mapping gets.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use rand::Rng;
use rand::rngs::SmallRng;

use super::deterministic::Deterministic;
use super::hosts::{Host, Hosts};
use super::layout::Layout;
use super::leases::Leases;
use super::ownership::Ownership;
use super::port_blocks::PortBlocks;
use super::table::{Endpoint, NatTable};
use crate::engine::ids::{Tick, WorkerId};
use crate::table::PortBitmap;
use crate::wire::protocol;

mod leasing;

/// TCP, UDP and ICMP queries have a port space each.
const SPACES: usize = 3;

/// One external address.
struct Address {
    address: u32,
    /// The ports this worker owns, `foreign` ones apart.
    ports: RangeInclusive<u16>,
    used: Box<[PortBitmap; SPACES]>,
    /// Those of `ports` that this worker does not own; always marked as used.
    foreign: Option<PortBitmap>,
    /// How many those are.
    foreign_count: u32,
    /// The worker's blocks of the address.
    blocks: Option<PortBlocks>,
    /// How many of `ports` are in use.
    taken: [u32; SPACES],
    /// How many of those in use only rest.
    resting: u32,
    /// What the journal has, where there is one.
    leases: Option<Box<Leases>>,
}

/// The external ports one worker owns. Made by the management core, kept by the worker.
#[derive(Default)]
pub struct ExternalPorts {
    /// Sorted by address.
    addresses: Vec<Address>,
    /// Addresses that have left the pool while some of their ports are in use: they may come back before those are free.
    former: Vec<Address>,
    /// Endpoints of forwards: never given to a dynamic mapping.
    reserved: HashSet<(u8, Endpoint)>,
    /// The address to be looked after next, and one that needs it most.
    next_tended: usize,
    hungry: Option<usize>,
    /// Until when rests what was in use before a crash.
    rests_until: Tick,
    /// Units of ports used before the journal had them.
    forced: u64,
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
    /// Ports in use by protocol: TCP, UDP, ICMP.
    pub taken_by_protocol: [u32; SPACES],
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
            if table.is_static(address) {
                continue;
            }
            let divided = ownership.ports_of(table, index as u32, worker);
            let blocks =
                table.layout().blocks().and_then(|(_, size)| Some((divided.clone()?, size)));
            let (ports, foreign) = match (table.layout(), divided) {
                (Layout::Deterministic(functions), _) => {
                    let own = |host| ownership.of_host(table.only_host(host)) == worker;
                    let kept = blocks.as_ref().map(|(ports, _)| ports.clone());
                    let foreign = foreign(table.ports(), functions, address, kept, own);
                    (table.ports(), Some(foreign))
                }
                (_, Some(ports)) => (ports, None),
                (_, None) => continue,
            };
            let used = foreign.clone().unwrap_or_default();
            addresses.push(Address {
                address,
                foreign_count: foreign.as_ref().map_or(0, |f| f.used(ports.clone())) as u32,
                used: Box::new(std::array::from_fn(|_| used.clone())),
                foreign,
                leases: leasing::leases(table, blocks.as_ref(), &ports),
                ports,
                blocks: blocks.map(|(ports, size)| PortBlocks::new(ports, size)),
                taken: [0; SPACES],
                resting: 0,
            });
        }
        addresses.iter_mut().for_each(Address::close_all);
        let fixed = table.fixed().filter_map(|f| f.protocol.map(|protocol| (protocol, f.external)));
        let mut ports = Self { addresses, reserved: fixed.collect(), ..Self::default() };
        ports.take_reserved();
        ports
    }

    /// Takes over what is in use of the addresses that `old` has too, which has the same layout. What belonged to others
    /// is given back by their hosts.
    /// A forward's endpoint may belong to a mapping that is older than the forward: `is_mapped` tells.
    pub fn take_over(
        &mut self,
        old: &mut Self,
        hosts: &mut Hosts,
        is_mapped: impl Fn(u8, Endpoint) -> bool,
    ) {
        for entry in &mut self.addresses {
            let Some(before) = old.known(entry.address) else { continue };
            std::mem::swap(&mut entry.used, &mut before.used);
            std::mem::swap(&mut entry.blocks, &mut before.blocks);
            std::mem::swap(&mut entry.leases, &mut before.leases);
            entry.follow_leases();
            entry.resting = before.resting;
            before.taken = [0; SPACES];
            for (protocol, endpoint) in &old.reserved {
                if endpoint.0 == entry.address
                    && let Some(space) = space_of(*protocol)
                    && !entry.is_foreign(endpoint.1)
                    && !entry.is_closed(endpoint.1)
                    && !is_mapped(*protocol, *endpoint)
                {
                    entry.used[space].give(endpoint.1);
                }
            }
            for space in 0..SPACES {
                let used = entry.used[space].used(entry.ports.clone()) as u32;
                entry.taken[space] = used - entry.foreign_count - entry.closed_count();
            }
        }
        (self.rests_until, self.forced) = (old.rests_until, old.forced);
        for entry in &mut old.addresses {
            if let Some(blocks) = &mut entry.blocks {
                blocks.close_all(entry.address, hosts);
            }
        }
        for left in [&mut old.addresses, &mut old.former] {
            let in_use = |entry: &mut Address| entry.blocks.is_none() && entry.taken != [0; SPACES];
            self.former.extend(left.extract_if(.., in_use));
        }
        self.take_reserved();
    }

    /// An address of the pool, or one that was.
    fn known(&mut self, address: u32) -> Option<&mut Address> {
        match self.position(address) {
            Some(at) => self.addresses.get_mut(at),
            None => self.former.iter_mut().find(|entry| entry.address == address),
        }
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

    /// Whether an endpoint is one of the worker's.
    pub fn owns(&self, (address, port): Endpoint) -> bool {
        let entry = self.position(address).map(|at| &self.addresses[at]);
        entry.is_some_and(|entry| entry.ports.contains(&port) && !entry.is_foreign(port))
    }

    /// Takes an endpoint for a new mapping of a host: of the address that it is paired with, if it has one (RFC 6888
    /// REQ-2), unguessably (RFC 6056), of the ports that the layout lets it have. Where they are all the same, `draw` chooses.
    #[inline]
    pub fn allocate(
        &mut self,
        table: &NatTable,
        hosts: &mut Hosts,
        id: u32,
        protocol: u8,
        draw: u64,
        random: &mut SmallRng,
    ) -> Option<Endpoint> {
        let space = space_of(protocol)?;
        let host = hosts.host_mut(id);
        match table.layout() {
            Layout::Dynamic => {
                let at = match self.position(host.external) {
                    Some(at) => at,
                    None => self.choose(random.next_u64(), |entry| entry.has_room(space))?,
                };
                let entry = &mut self.addresses[at];
                host.external = entry.address;
                let port = entry.take(space, entry.ports.clone(), draw);
                let port = port.or_else(|| self.take_forced(at, space, random))?;
                self.note_hunger(at);
                Some((self.addresses[at].address, port))
            }
            Layout::Deterministic(functions) => {
                let share = functions.forward(host.internal.address)?;
                let at = self.position(share.address)?;
                let entry = &mut self.addresses[at];
                host.external = share.address;
                let port = entry.take(space, share.ports, random.next_u64());
                let port =
                    port.or_else(|| self.take_of_blocks(at, space, (hosts, id), table, random))?;
                Some((share.address, port))
            }
            Layout::PortBlocks(..) => {
                let paired = self.position(host.external);
                // A host without mappings may as well be paired anew where its address has no block left.
                let bound = host.blocks > 0 || host.mappings > 0;
                let at = match paired.filter(|at| bound || self.addresses[*at].has_block()) {
                    Some(at) => at,
                    None => self.choose(random.next_u64(), Address::has_block)?,
                };
                let port = self.take_of_blocks(at, space, (hosts, id), table, random)?;
                Some((self.addresses[at].address, port))
            }
        }
    }

    /// The endpoint that [`allocate`](Self::allocate) would take for a paired host where all ports are the same: what
    /// becomes of it can be asked for ahead.
    #[inline]
    pub fn preview(
        &self,
        table: &NatTable,
        host: &Host,
        protocol: u8,
        draw: u64,
    ) -> Option<Endpoint> {
        let space = space_of(protocol)?;
        let at = self.position(host.external).filter(|_| *table.layout() == Layout::Dynamic)?;
        let entry = &self.addresses[at];
        Some((entry.address, entry.used[space].peek(entry.ports.clone(), draw)?))
    }

    /// An address for a host that has none yet, spread by `random`: one with room if there is any.
    fn choose(&self, random: u64, has_room: impl Fn(&Address) -> bool) -> Option<usize> {
        let count = self.addresses.len();
        let start = ((u128::from(random) * count as u128) >> 64) as usize;
        let mut by_turn = (0..count).map(|step| (start + step) % count);
        by_turn.find(|at| has_room(&self.addresses[*at]))
    }

    /// Gives a port back. What is reserved by now stays taken. Returns the host that has lost a block with it.
    pub fn give(&mut self, hosts: &mut Hosts, protocol: u8, endpoint: Endpoint) -> Option<u32> {
        let space = space_of(protocol)?;
        let reserved = self.reserved.contains(&(protocol, endpoint));
        let entry = self.known(endpoint.0)?;
        let blocks = entry.blocks.as_mut();
        let loser = blocks.and_then(|blocks| blocks.give(endpoint.0, endpoint.1, hosts));
        if !reserved && entry.used[space].give(endpoint.1) && entry.ports.contains(&endpoint.1) {
            entry.taken[space] -= 1;
        }
        loser
    }

    /// Notes that a port only rests from now on (RFC 6888 REQ-8).
    pub fn rest(&mut self, address: u32) {
        if let Some(entry) = self.known(address) {
            entry.resting += 1;
        }
    }

    /// Gives a port back that has rested, likewise.
    pub fn give_rested(
        &mut self,
        hosts: &mut Hosts,
        protocol: u8,
        endpoint: Endpoint,
    ) -> Option<u32> {
        if let Some(entry) = self.known(endpoint.0) {
            entry.resting = entry.resting.saturating_sub(1);
        }
        self.give(hosts, protocol, endpoint)
    }

    /// How every address is used, all protocols together.
    pub fn usage(&self) -> impl Iterator<Item = AddressUsage> + '_ {
        self.addresses.iter().map(|entry| {
            // Since before a crash; in all three spaces.
            let rests = entry.leases.as_ref().map_or(0, |leases| leases.resting_ports());
            AddressUsage {
                address: entry.address,
                taken: entry.taken.iter().sum::<u32>() + rests * SPACES as u32,
                resting: entry.resting + rests * SPACES as u32,
                taken_by_protocol: entry.taken.map(|taken| taken + rests),
                total: (entry.ports.len() as u32 - entry.foreign_count) * SPACES as u32,
            }
        })
    }

    /// The ports that a host may use: what is computed for it, then its blocks, the newest first.
    pub fn blocks_of<'a>(
        &'a self,
        table: &NatTable,
        host: &Host,
    ) -> impl Iterator<Item = RangeInclusive<u16>> + 'a {
        let share = match table.layout() {
            Layout::Deterministic(functions) => functions.forward(host.internal.address),
            Layout::Dynamic | Layout::PortBlocks(..) => None,
        };
        let blocks = self.position(host.external).and_then(|at| self.addresses[at].blocks.as_ref());
        let first = host.first_block;
        let blocks = blocks.into_iter().flat_map(move |blocks| blocks.of_host(first));
        share.map(|share| share.ports).into_iter().chain(blocks)
    }

    /// Memory used, in octets.
    pub fn bytes(&self) -> usize {
        let address = |entry: &Address| {
            let maps = SPACES + usize::from(entry.foreign.is_some());
            let blocks = entry.blocks.as_ref().map_or(0, PortBlocks::bytes);
            let leases = entry.leases.as_ref().map_or(0, |_| size_of::<Leases>());
            size_of::<Address>() + maps * PortBitmap::bytes() + blocks + leases
        };
        self.addresses.iter().chain(&self.former).map(address).sum()
    }

    fn position(&self, address: u32) -> Option<usize> {
        self.addresses.binary_search_by_key(&address, |entry| entry.address).ok()
    }
}

impl Address {
    fn has_room(&self, space: usize) -> bool {
        let rests = self.leases.as_ref().map_or(0, |leases| leases.resting_ports());
        ((self.taken[space] + rests) as usize) < self.ports.len()
    }

    fn has_block(&self) -> bool {
        let rests = self.leases.as_ref().map_or(0, |leases| leases.resting_ports());
        self.blocks.as_ref().is_some_and(|blocks| blocks.has_free_beside(rests))
    }

    fn is_foreign(&self, port: u16) -> bool {
        self.foreign.as_ref().is_some_and(|foreign| foreign.is_used(port))
    }

    #[inline]
    fn take(&mut self, space: usize, ports: RangeInclusive<u16>, draw: u64) -> Option<u16> {
        let port = self.used[space].take(ports, draw)?;
        self.taken[space] += 1;
        Some(port)
    }

    fn take_of_blocks(
        &mut self,
        space: usize,
        hosts: &mut Hosts,
        id: u32,
        table: &NatTable,
        random: &mut SmallRng,
    ) -> Option<u16> {
        let blocks = self.blocks.as_mut()?;
        let limit = table.max_blocks_per_host();
        let (choice, used) = (random.next_u64(), &mut self.used[space]);
        let take = |ports| used.take(ports, random.next_u64());
        let port = blocks.take(self.address, (hosts, id), limit, choice, take)?;
        self.taken[space] += 1;
        Some(port)
    }

    fn take_exact(&mut self, space: usize, port: u16) {
        if self.used[space].take_exact(port) && self.ports.contains(&port) {
            self.taken[space] += 1;
        }
    }
}

/// The ports of an address that are neither of one of this worker's hosts nor among those it keeps for overflow.
fn foreign(
    all: RangeInclusive<u16>,
    functions: &Deterministic,
    address: u32,
    kept: Option<RangeInclusive<u16>>,
    own: impl Fn(u32) -> bool,
) -> PortBitmap {
    let mut foreign = PortBitmap::new();
    for port in all {
        foreign.take_exact(port);
    }
    let shares = functions.hosts_of(address).filter(|(host, _)| own(*host)).map(|(_, ports)| ports);
    for port in shares.chain(kept).flatten().filter(|port| !functions.is_reserved(*port)) {
        foreign.give(port);
    }
    foreign
}

#[cfg(test)]
mod figures;
#[cfg(test)]
mod tests;
