//! What a NAT does, found out from outside (RFC 4787, 5382, 5508 for behaviour, RFC 9693 for performance).

pub mod capacity;
pub mod cps;
pub mod errors;
pub mod establish;
pub mod hairpin;
pub mod learn;
pub mod mapping;
pub mod ports;
pub mod teardown;
pub mod timeouts;

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::endpoint::Family;
use crate::prefix::Prefix;

/// Who takes part: at least two inside hosts and two remote ones, and inside ports not used before.
#[derive(Clone, Debug)]
pub struct Ground {
    hosts: Vec<Ipv4Addr>,
    remotes: Vec<Ipv4Addr>,
    next_port: u16,
}

impl Ground {
    /// Hosts and remotes, two of each at least; `None` where there are fewer.
    pub fn new(hosts: Vec<Ipv4Addr>, remotes: Vec<Ipv4Addr>) -> Option<Self> {
        let enough = hosts.len() >= 2 && remotes.len() >= 2;
        enough.then_some(Self { hosts, remotes, next_port: FIRST_PORT })
    }

    /// An inside host.
    pub fn host(&self, index: usize) -> Ipv4Addr {
        self.hosts[index % self.hosts.len()]
    }

    /// How many inside hosts there are.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// A remote host's endpoint.
    pub fn remote(&self, index: usize, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.remotes[index % self.remotes.len()], port)
    }

    /// An endpoint of an inside host that nobody has used.
    pub fn fresh(&mut self, host: usize) -> SocketAddrV4 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
        SocketAddrV4::new(self.host(host), port)
    }
}

/// `count` IPv4 addresses of a port: those given, and as many more of the first one's prefix as it takes, from the first
/// one upwards and around, but none that `taken` says somebody else has.
pub fn neighbours(
    given: &[Prefix],
    count: usize,
    taken: impl Fn(Ipv4Addr) -> bool,
) -> Vec<Ipv4Addr> {
    let given = given.iter().filter(|prefix| prefix.family() == Family::V4);
    let mut found: Vec<Ipv4Addr> =
        given.clone().map(|prefix| Ipv4Addr::from_bits(prefix.address.low())).collect();
    let Some(prefix) = given.into_iter().next() else { return found };
    let (first, last) = prefix.hosts();
    let (first, last) = (u64::from(first.low()), u64::from(last.low()));
    let (start, size) = (u64::from(prefix.address.low()) - first.min(last), last - first + 1);
    for step in 1..size {
        if found.len() >= count {
            break;
        }
        let address = Ipv4Addr::from_bits((first + (start + step) % size) as u32);
        if !taken(address) && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

const FIRST_PORT: u16 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_of_the_prefix_and_nobody_elses() {
        let prefix: Prefix = "198.51.100.254/24".parse().unwrap();
        let taken = |address: Ipv4Addr| matches!(address.octets()[3], 1 | 10..=13);
        let found = neighbours(&[prefix], 11, taken);
        let last: Vec<u8> = found.iter().map(|address| address.octets()[3]).collect();
        assert_eq!(last, [254, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15]);
        let alone: Prefix = "10.0.0.1/32".parse().unwrap();
        assert_eq!(neighbours(&[alone], 2, |_| false), [Ipv4Addr::new(10, 0, 0, 1)]);
    }
}
