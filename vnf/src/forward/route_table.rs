//! The routing table: the longest prefix decides where a packet goes (RFC 1812 5.2.4.3).

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

mod trie;

#[cfg(test)]
mod tests;

use trie::{Entry, Trie};

/// Where the packets of a route go.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum RouteTarget {
    /// The destination is a neighbour on this interface.
    Connected {
        /// Index into `Settings::interfaces`.
        interface: u8,
    },
    /// Dropped.
    Discard,
    /// To one of these neighbours, chosen by flow; never empty.
    Gateways(Vec<Gateway>),
    /// An address of the VNF itself.
    Local {
        /// Index into `Settings::interfaces`.
        interface: u8,
    },
}

/// A neighbour that forwards for us.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Gateway {
    /// Its address.
    pub address: IpAddr,
    /// Where it is, an index into `Settings::interfaces`.
    pub interface: u8,
}

/// A target of the table. Routes that lead to the same place share one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(transparent)]
pub struct RouteId(u16);

impl RouteId {
    /// No route.
    pub const NONE: Self = Self(0);

    /// Whether there is a route.
    #[inline]
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }

    /// The target's place in [`RouteTable::targets`]; `None`: no route.
    #[inline]
    pub fn index(self) -> Option<usize> {
        usize::from(self.0).checked_sub(1)
    }
}

/// More different targets than [`RouteId`] can tell apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("routes lead to more than {} different targets", RouteTable::MAX_TARGETS)]
pub struct TooManyTargets;

/// An immutable routing table for IPv4 and IPv6.
#[derive(Debug)]
pub struct RouteTable {
    ipv4: Option<Trie>,
    ipv6: Option<Trie>,
    targets: Vec<RouteTarget>,
}

impl RouteTable {
    /// How many different targets a table holds.
    pub const MAX_TARGETS: usize = u16::MAX as usize;

    /// Builds the table. Of several routes for one prefix the first counts, so the caller names own addresses
    /// first, then connected subnets, then the rest.
    pub fn build(
        routes: impl IntoIterator<Item = (IpNet, RouteTarget)>,
    ) -> Result<Self, TooManyTargets> {
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        let mut targets = Targets::default();
        for (prefix, target) in routes {
            let value = targets.number(target)?;
            let length = prefix.prefix_len();
            match prefix.network() {
                IpAddr::V4(address) => {
                    let address = u128::from(address.to_bits()) << 96;
                    ipv4.push(Entry { address, length, value });
                }
                IpAddr::V6(address) => {
                    ipv6.push(Entry { address: address.to_bits(), length, value });
                }
            }
        }
        let trie = |entries: Vec<Entry>| (!entries.is_empty()).then(|| Trie::build(entries));
        Ok(Self { ipv4: trie(ipv4), ipv6: trie(ipv6), targets: targets.list })
    }

    /// Looks up IPv4 destinations in host byte order; writes as many ids as there are addresses, or as fit.
    #[inline]
    pub fn lookup4(&self, addresses: &[u32], ids: &mut [RouteId]) {
        find_all(self.ipv4.as_ref(), addresses, ids);
    }

    /// Looks up IPv6 destinations as numbers; writes as many ids as there are addresses, or as fit.
    #[inline]
    pub fn lookup6(&self, addresses: &[u128], ids: &mut [RouteId]) {
        find_all(self.ipv6.as_ref(), addresses, ids);
    }

    /// Looks up one destination.
    pub fn lookup(&self, address: IpAddr) -> RouteId {
        let found = match address {
            IpAddr::V4(address) => self.ipv4.as_ref().map(|trie| trie.find(address.to_bits())),
            IpAddr::V6(address) => self.ipv6.as_ref().map(|trie| trie.find(address.to_bits())),
        };
        RouteId(found.unwrap_or(0))
    }

    /// Where a route leads; `None`: no route.
    #[inline]
    pub fn target(&self, id: RouteId) -> Option<&RouteTarget> {
        self.targets.get(id.index()?)
    }

    /// All targets, in the order of their ids.
    pub fn targets(&self) -> &[RouteTarget] {
        &self.targets
    }

    /// The memory the table takes, in bytes.
    pub fn bytes(&self) -> usize {
        let tries = [&self.ipv4, &self.ipv6];
        size_of_val(&self.targets[..])
            + tries.into_iter().flatten().map(|trie| trie.bytes()).sum::<usize>()
    }
}

#[inline]
fn find_all<A: trie::Address>(trie: Option<&Trie>, addresses: &[A], ids: &mut [RouteId]) {
    match trie {
        Some(trie) => {
            for (address, id) in addresses.iter().zip(ids) {
                *id = RouteId(trie.find(*address));
            }
        }
        None => ids.iter_mut().take(addresses.len()).for_each(|id| *id = RouteId::NONE),
    }
}

/// Numbers targets from 1 on, equal ones alike.
#[derive(Default)]
struct Targets {
    list: Vec<RouteTarget>,
    numbers: HashMap<RouteTarget, u16>,
}

impl Targets {
    fn number(&mut self, target: RouteTarget) -> Result<u16, TooManyTargets> {
        if let Some(number) = self.numbers.get(&target) {
            return Ok(*number);
        }
        let number = u16::try_from(self.list.len() + 1).map_err(|_| TooManyTargets)?;
        self.list.push(target.clone());
        self.numbers.insert(target, number);
        Ok(number)
    }
}
