//! The routing table: the longest prefix decides where a packet goes (RFC 1812 5.2.4.3).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::engine::ids::VrfId;

mod chunked;
pub(in crate::forward) mod ipv4;
pub(in crate::forward) mod ipv6;

#[cfg(test)]
mod tests;

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
    /// Dropped, and the sender is told.
    Unreachable,
    /// Where the destination's packets go from this VRF.
    Vrf(VrfId),
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

    /// The id of a target by its place; `None` when there are too many.
    pub(in crate::forward) fn of(place: usize) -> Option<Self> {
        (place < RouteTable::MAX_TARGETS).then_some(Self(place as u16 + 1))
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

/// A routing table for IPv4 and IPv6. A copy shares all that is not changed afterwards.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    pub(super) ipv4: Option<ipv4::Table>,
    pub(super) ipv6: Option<ipv6::Trie>,
    pub(super) targets: Arc<[RouteTarget]>,
}

impl RouteTable {
    /// How many different targets a table holds.
    pub const MAX_TARGETS: usize = ipv4::LIMIT as usize - 1;

    /// Builds the table. Of several routes for one prefix the first counts, so the caller names own addresses
    /// first, then connected subnets, then the rest.
    pub fn build(
        routes: impl IntoIterator<Item = (IpNet, RouteTarget)>,
    ) -> Result<Self, TooManyTargets> {
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        let mut targets = Targets::default();
        for (prefix, target) in routes {
            let id = targets.id(target)?;
            let length = prefix.prefix_len();
            match prefix.network() {
                IpAddr::V4(address) => {
                    ipv4.push(ipv4::Entry { address: address.to_bits(), length, id });
                }
                IpAddr::V6(address) => {
                    ipv6.push(ipv6::Entry { address: address.to_bits(), length, id });
                }
            }
        }
        Ok(Self {
            ipv4: (!ipv4.is_empty()).then(|| ipv4::Table::build(ipv4)),
            ipv6: (!ipv6.is_empty()).then(|| ipv6::Trie::build(ipv6)),
            targets: targets.list.into(),
        })
    }

    /// Looks up IPv4 destinations in host byte order; writes as many ids as there are addresses, or as fit.
    #[inline]
    pub fn lookup4(&self, addresses: &[u32], ids: &mut [RouteId]) {
        match &self.ipv4 {
            Some(table) => table.find(addresses, ids),
            None => ids.iter_mut().take(addresses.len()).for_each(|id| *id = RouteId::NONE),
        }
    }

    /// Looks up IPv6 destinations as ids; writes as many ids as there are addresses, or as fit.
    #[inline]
    pub fn lookup6(&self, addresses: &[u128], ids: &mut [RouteId]) {
        match &self.ipv6 {
            Some(trie) => trie.find(addresses, ids),
            None => ids.iter_mut().take(addresses.len()).for_each(|id| *id = RouteId::NONE),
        }
    }

    /// Looks up one destination.
    pub fn lookup(&self, address: IpAddr) -> RouteId {
        match address {
            IpAddr::V4(address) => {
                self.ipv4.as_ref().map_or(RouteId::NONE, |table| table.find_one(address.to_bits()))
            }
            IpAddr::V6(address) => {
                let mut id = [RouteId::NONE];
                self.lookup6(&[address.to_bits()], &mut id);
                id[0]
            }
        }
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
        size_of_val(&self.targets[..])
            + self.ipv4.as_ref().map_or(0, ipv4::Table::bytes)
            + self.ipv6.as_ref().map_or(0, ipv6::Trie::bytes)
    }
}

/// Gives ids to targets from 1 on, equal ones alike.
#[derive(Default)]
struct Targets {
    list: Vec<RouteTarget>,
    ids: HashMap<RouteTarget, RouteId>,
}

impl Targets {
    fn id(&mut self, target: RouteTarget) -> Result<RouteId, TooManyTargets> {
        if let Some(id) = self.ids.get(&target) {
            return Ok(*id);
        }
        let id = RouteId::of(self.list.len()).ok_or(TooManyTargets)?;
        self.list.push(target.clone());
        self.ids.insert(target, id);
        Ok(id)
    }
}
