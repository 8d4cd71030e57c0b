//! Deterministic allocation (RFC 7422): which external address and ports belong to an internal host, and the other way
//! round, by arithmetic alone. Hosts in order fill the addresses in order ("sequential", algorithm 0 of section 2.1).

use std::ops::RangeInclusive;

use ipnet::Ipv4Net;

use super::pool_ranges::PoolRanges;
use super::table::Endpoint;
use crate::config::Nat44Settings;

/// The two mapping functions of one configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deterministic {
    internal: Vec<Prefix>,
    /// The external addresses, ascending; those of static mappings are not among them.
    addresses: Vec<u32>,
    /// The ports of every address that are not reserved, ascending.
    runs: Vec<Run>,
    /// C, the hosts of one address.
    hosts_per_address: u64,
    /// Ports of one host.
    share: u32,
    /// Ports of a block for a host whose share is used up; 0 where D is 0.
    overflow_block: u16,
}

/// What belongs to one internal host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Share {
    /// The external address.
    pub address: u32,
    /// Its first to its last port; reserved ports in between belong to nobody.
    pub ports: RangeInclusive<u16>,
}

/// The hosts of one internal prefix, numbered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Prefix {
    first: u32,
    last: u32,
    first_number: u64,
}

/// Ports without a reserved one between them, numbered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Run {
    first: u16,
    last: u16,
    first_number: u32,
}

impl Deterministic {
    /// The functions of these settings; `None` without `[nat44.deterministic]`.
    pub fn new(settings: &Nat44Settings) -> Option<Self> {
        let parameters = settings.deterministic.as_ref()?;
        let (internal, hosts) = number_hosts(&parameters.internal);
        let pool = PoolRanges::new(&settings.pool);
        let is_static = |address: u32| {
            settings.statics.iter().any(|fixed| u32::from(fixed.external) == address)
        };
        let addresses: Vec<u32> = pool.addresses().filter(|a| !is_static(*a)).collect();
        let (runs, ports) = number_ports(&settings.port_range, &parameters.reserved_ports);
        let hosts_per_address = hosts.div_ceil((addresses.len() as u64).max(1)).max(1);
        let shares = hosts_per_address + u64::from(parameters.overflow_factor);
        let share = (u64::from(ports) / shares) as u32;
        let overflow_block = match parameters.overflow_factor {
            0 => 0,
            _ => share.min(settings.port_block_size.into()) as u16,
        };
        Some(Self { internal, addresses, runs, hosts_per_address, share, overflow_block })
    }

    /// The external address and ports of an internal host; `None` outside the internal prefixes.
    pub fn forward(&self, internal: u32) -> Option<Share> {
        let prefix = self.internal.iter().find(|p| (p.first..=p.last).contains(&internal))?;
        let number = prefix.first_number + u64::from(internal - prefix.first);
        let address = *self.addresses.get((number / self.hosts_per_address) as usize)?;
        let slot = (number % self.hosts_per_address) as u32;
        let last = ((slot + 1) * self.share).checked_sub(1)?;
        Some(Share { address, ports: self.port(slot * self.share)?..=self.port(last)? })
    }

    /// The internal host that an external endpoint belongs to; `None` for ports that are reserved, left over or kept for
    /// overflow.
    pub fn reverse(&self, external: Endpoint) -> Option<u32> {
        let address = self.addresses.binary_search(&external.0).ok()? as u64;
        let slot = u64::from(self.number_of(external.1)?.checked_div(self.share)?);
        (slot < self.hosts_per_address).then_some(())?;
        self.host(address * self.hosts_per_address + slot)
    }

    /// The ports of every address that hosts whose share is used up take blocks of, those that the division left over
    /// included, and how many make a block; `None` unless D is above 0.
    pub fn overflow(&self) -> Option<(RangeInclusive<u16>, u16)> {
        (self.overflow_block > 0).then_some(())?;
        let first = u32::try_from(self.hosts_per_address * u64::from(self.share)).ok()?;
        Some((self.port(first)?..=self.runs.last()?.last, self.overflow_block))
    }

    /// The hosts of an external address, and their ports.
    pub fn hosts_of(&self, address: u32) -> impl Iterator<Item = (u32, RangeInclusive<u16>)> + '_ {
        let at = self.addresses.binary_search(&address).ok();
        let numbers = at.map(|at| at as u64 * self.hosts_per_address).into_iter();
        numbers.flat_map(|first| first..first + self.hosts_per_address).filter_map(|number| {
            let host = self.host(number)?;
            Some((host, self.forward(host)?.ports))
        })
    }

    /// C, how many hosts share an address.
    pub fn hosts_per_address(&self) -> u64 {
        self.hosts_per_address
    }

    /// How many ports a host has.
    pub fn share_length(&self) -> u32 {
        self.share
    }

    /// Whether a port is never used.
    pub fn is_reserved(&self, port: u16) -> bool {
        self.number_of(port).is_none()
    }

    fn host(&self, number: u64) -> Option<u32> {
        let prefix = self.internal.iter().rfind(|prefix| prefix.first_number <= number)?;
        let host = u64::from(prefix.first) + (number - prefix.first_number);
        u32::try_from(host).ok().filter(|host| *host <= prefix.last)
    }

    fn port(&self, number: u32) -> Option<u16> {
        let run = self.runs.iter().rfind(|run| run.first_number <= number)?;
        let port = u32::from(run.first) + (number - run.first_number);
        u16::try_from(port).ok().filter(|port| *port <= run.last)
    }

    fn number_of(&self, port: u16) -> Option<u32> {
        let run = self.runs.iter().find(|run| (run.first..=run.last).contains(&port))?;
        Some(run.first_number + u32::from(port - run.first))
    }
}

/// The addresses of a prefix that hosts may have: not the network's own and not the broadcast address, as RFC 7422
/// counts in section 2's example.
fn host_range(net: &Ipv4Net) -> (u32, u32) {
    let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
    if net.prefix_len() < 31 { (first + 1, last - 1) } else { (first, last) }
}

fn number_hosts(nets: &[Ipv4Net]) -> (Vec<Prefix>, u64) {
    let mut next = 0;
    let mut prefixes = Vec::with_capacity(nets.len());
    for (first, last) in nets.iter().map(host_range) {
        prefixes.push(Prefix { first, last, first_number: next });
        next += u64::from(last - first) + 1;
    }
    (prefixes, next)
}

fn number_ports(range: &RangeInclusive<u16>, reserved: &[RangeInclusive<u16>]) -> (Vec<Run>, u32) {
    let mut runs: Vec<Run> = Vec::new();
    let mut next = 0;
    let is_free = |port: &u16| !reserved.iter().any(|reserved| reserved.contains(port));
    for port in range.clone().filter(is_free) {
        match runs.last_mut().filter(|run| run.last + 1 == port) {
            Some(run) => run.last = port,
            None => runs.push(Run { first: port, last: port, first_number: next }),
        }
        next += 1;
    }
    (runs, next)
}

#[cfg(test)]
mod tests;
