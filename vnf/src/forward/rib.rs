//! The routes of one VRF by where they come from, and the table that workers look them up in. Management keeps it: a
//! change costs what it concerns, and the tables of before and after share the rest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

use ipnet::IpNet;

use super::Vrfs;
use super::route_table::{RouteId, RouteTable, RouteTarget, TooManyTargets, ipv4, ipv6};
use crate::engine::ids::VrfId;

/// Where a route comes from; of several for one prefix the first counts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Origin {
    /// An address of the VNF itself.
    Local,
    /// The subnet of an interface.
    Connected,
    /// The configuration.
    Static,
    /// The API.
    Api,
    /// The kernel's routing table.
    Kernel,
}

impl Origin {
    /// All, in order of precedence.
    pub const ALL: [Self; 5] =
        [Self::Local, Self::Connected, Self::Static, Self::Api, Self::Kernel];

    /// Its name in lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Connected => "connected",
            Self::Static => "static",
            Self::Api => "api",
            Self::Kernel => "kernel",
        }
    }
}

/// The routes of one VRF.
#[derive(Debug, Default)]
pub struct Rib {
    origins: [Prefixes; Origin::ALL.len()],
    targets: Targets,
    table: Arc<RouteTable>,
    /// Prefixes about which the table does not know the latest.
    changed: Vec<IpNet>,
}

#[derive(Debug, Default)]
struct Prefixes {
    v4: BTreeMap<(u32, u8), RouteId>,
    v6: BTreeMap<(u128, u8), RouteId>,
}

impl Rib {
    /// Sets where the packets to a prefix go; returns whether that is new.
    ///
    /// # Errors
    /// When there are too many different targets; nothing was changed then.
    pub fn set(
        &mut self,
        origin: Origin,
        prefix: IpNet,
        target: RouteTarget,
    ) -> Result<bool, TooManyTargets> {
        let id = self.targets.take(target)?;
        let before = self.origins[origin as usize].insert(prefix, id);
        if let Some(before) = before {
            self.targets.give(before);
        }
        if before != Some(id) {
            self.changed.push(prefix);
        }
        Ok(before != Some(id))
    }

    /// Forgets a route; returns whether there was one.
    pub fn remove(&mut self, origin: Origin, prefix: IpNet) -> bool {
        let Some(id) = self.origins[origin as usize].remove(prefix) else { return false };
        self.targets.give(id);
        self.changed.push(prefix);
        true
    }

    /// Where a route leads.
    pub fn find(&self, origin: Origin, prefix: IpNet) -> Option<&RouteTarget> {
        self.targets.target(self.origins[origin as usize].find(prefix)?)
    }

    /// The routes of an origin behind a prefix, IPv4 first, in order.
    pub fn routes(
        &self,
        origin: Origin,
        after: Option<IpNet>,
    ) -> impl Iterator<Item = (IpNet, &RouteTarget)> {
        let prefixes = self.origins[origin as usize].after(after);
        prefixes.filter_map(|(prefix, id)| Some((prefix, self.targets.target(id)?)))
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.origins.iter().map(|prefixes| prefixes.v4.len() + prefixes.v6.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory of the routes themselves, in octets, as far as their number tells.
    pub fn bytes(&self) -> usize {
        let of = |prefixes: &Prefixes| {
            prefixes.v4.len() * size_of::<((u32, u8), RouteId)>()
                + prefixes.v6.len() * size_of::<((u128, u8), RouteId)>()
        };
        // Nodes of such trees are three quarters full.
        self.origins.iter().map(of).sum::<usize>() * 4 / 3
    }

    /// Whether the table does not know the latest.
    pub fn is_outdated(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The table with all changes.
    pub fn publish(&mut self) -> Arc<RouteTable> {
        if self.changed.is_empty() {
            return Arc::clone(&self.table);
        }
        let changed = std::mem::take(&mut self.changed);
        let mut table = RouteTable::clone(&self.table);
        table.targets = self.targets.list.clone().into();
        let (v4, v6): (Vec<_>, Vec<_>) =
            changed.into_iter().partition(|prefix| prefix.addr().is_ipv4());
        self.renew4(&mut table, &v4);
        self.renew6(&mut table, &v6);
        self.table = Arc::new(table);
        Arc::clone(&self.table)
    }

    fn renew4(&self, table: &mut RouteTable, changed: &[IpNet]) {
        let blocks = |prefix: &IpNet| {
            let IpAddr::V4(address) = prefix.network() else { return 0..=0 };
            let first = address.to_bits() >> 16;
            first..=first + ((1u32 << 16u8.saturating_sub(prefix.prefix_len())) - 1)
        };
        let count: usize = changed.iter().map(|prefix| blocks(prefix).count()).sum();
        let Some(trie) = table.ipv4.as_mut().filter(|old| count <= FEW && !old.is_wasteful())
        else {
            if count > 0 {
                table.ipv4 = Some(ipv4::Table::build(self.entries4(0, u32::MAX)));
            }
            return;
        };
        for block in changed.iter().flat_map(blocks).collect::<BTreeSet<u32>>() {
            let first = block << 16;
            let mut inside = self.entries4(first, first | 0xffff);
            inside.retain(|entry| entry.length > 16);
            inside.sort_by_key(|entry| (entry.address, entry.length));
            inside.dedup_by_key(|entry| (entry.address, entry.length));
            let prefix =
                |length: u8| first & (u32::MAX.checked_shl(32 - u32::from(length))).unwrap_or(0);
            let outside = (0..=16).rev().find_map(|length| {
                let key = (prefix(length), length);
                self.origins.iter().find_map(|prefixes| prefixes.v4.get(&key).copied())
            });
            trie.write(block as u16, outside.unwrap_or_default(), &mut inside);
        }
    }

    fn renew6(&self, table: &mut RouteTable, changed: &[IpNet]) {
        if changed.is_empty() {
            return;
        }
        let total = self.origins.iter().map(|prefixes| prefixes.v6.len()).sum();
        let bits = table.ipv6.as_ref().filter(|trie| trie.suits(total)).map(ipv6::Trie::slot_bits);
        let slots = |prefix: &IpNet, bits: u32| {
            let IpAddr::V6(address) = prefix.network() else { return 0..=0 };
            let first = (address.to_bits() >> (128 - bits)) as usize;
            first..=first + ((1 << bits.saturating_sub(prefix.prefix_len().into())) - 1)
        };
        let count = bits.map(|bits| changed.iter().map(|p| slots(p, bits).count()).sum::<usize>());
        let (Some(bits), Some(trie), Some(0..=FEW)) = (bits, &mut table.ipv6, count) else {
            table.ipv6 = Some(ipv6::Trie::build(self.entries6(0, u128::MAX)));
            return;
        };
        for slot in changed.iter().flat_map(|prefix| slots(prefix, bits)).collect::<BTreeSet<_>>() {
            let first = (slot as u128) << (128 - bits);
            let mut inside = self.entries6(first, first | u128::MAX >> bits);
            inside.retain(|entry| u32::from(entry.length) > bits);
            inside.sort_by_key(|entry| (entry.address, entry.length));
            inside.dedup_by_key(|entry| (entry.address, entry.length));
            let prefix = |length: u32| first & u128::MAX.checked_shl(128 - length).unwrap_or(0);
            let outside = (0..=bits).rev().find_map(|length| {
                let key = (prefix(length), length as u8);
                self.origins.iter().find_map(|prefixes| prefixes.v6.get(&key).copied())
            });
            trie.write(slot, outside.unwrap_or_default(), inside);
        }
    }

    /// The routes to addresses of a range, those that count first.
    fn entries4(&self, first: u32, last: u32) -> Vec<ipv4::Entry> {
        let range = (first, 0)..=(last, u8::MAX);
        let all = self.origins.iter().flat_map(|prefixes| prefixes.v4.range(range.clone()));
        all.map(|((address, length), id)| ipv4::Entry {
            address: *address,
            length: *length,
            id: *id,
        })
        .collect()
    }

    fn entries6(&self, first: u128, last: u128) -> Vec<ipv6::Entry> {
        let range = (first, 0)..=(last, u8::MAX);
        let all = self.origins.iter().flat_map(|prefixes| prefixes.v6.range(range.clone()));
        all.map(|((address, length), id)| ipv6::Entry {
            address: *address,
            length: *length,
            id: *id,
        })
        .collect()
    }
}

impl Prefixes {
    fn insert(&mut self, prefix: IpNet, id: RouteId) -> Option<RouteId> {
        match prefix {
            IpNet::V4(net) => self.v4.insert((net.network().to_bits(), net.prefix_len()), id),
            IpNet::V6(net) => self.v6.insert((net.network().to_bits(), net.prefix_len()), id),
        }
    }

    fn remove(&mut self, prefix: IpNet) -> Option<RouteId> {
        match prefix {
            IpNet::V4(net) => self.v4.remove(&(net.network().to_bits(), net.prefix_len())),
            IpNet::V6(net) => self.v6.remove(&(net.network().to_bits(), net.prefix_len())),
        }
    }

    fn find(&self, prefix: IpNet) -> Option<RouteId> {
        match prefix {
            IpNet::V4(net) => self.v4.get(&(net.network().to_bits(), net.prefix_len())),
            IpNet::V6(net) => self.v6.get(&(net.network().to_bits(), net.prefix_len())),
        }
        .copied()
    }

    fn after(&self, prefix: Option<IpNet>) -> impl Iterator<Item = (IpNet, RouteId)> + '_ {
        use std::net::{Ipv4Addr, Ipv6Addr};
        let (from4, from6) = match prefix {
            None => (Some(Bound::Unbounded), Bound::Unbounded),
            Some(IpNet::V4(net)) => {
                let key = (net.network().to_bits(), net.prefix_len());
                (Some(Bound::Excluded(key)), Bound::Unbounded)
            }
            Some(IpNet::V6(net)) => {
                (None, Bound::Excluded((net.network().to_bits(), net.prefix_len())))
            }
        };
        let v4 = from4.into_iter().flat_map(|from| self.v4.range((from, Bound::Unbounded)));
        let v4 = v4.filter_map(|((address, length), id)| {
            Some((IpNet::new(Ipv4Addr::from_bits(*address).into(), *length).ok()?, *id))
        });
        let v6 = self.v6.range((from6, Bound::Unbounded)).filter_map(|((address, length), id)| {
            Some((IpNet::new(Ipv6Addr::from_bits(*address).into(), *length).ok()?, *id))
        });
        v4.chain(v6)
    }
}

/// The routes of all VRFs.
#[derive(Debug, Default)]
pub struct Ribs(Vec<Rib>);

impl Ribs {
    /// So many VRFs without routes.
    pub fn new(vrfs: usize) -> Self {
        Self((0..vrfs).map(|_| Rib::default()).collect())
    }

    /// The routes of a VRF.
    pub fn rib(&self, vrf: VrfId) -> Option<&Rib> {
        self.0.get(vrf.index())
    }

    /// The same, to be changed.
    pub fn rib_mut(&mut self, vrf: VrfId) -> Option<&mut Rib> {
        self.0.get_mut(vrf.index())
    }

    /// Whether some table does not know the latest.
    pub fn is_outdated(&self) -> bool {
        self.0.iter().any(Rib::is_outdated)
    }

    /// The tables with all changes.
    pub fn publish(&mut self) -> Vrfs {
        Vrfs::new(self.0.iter_mut().map(Rib::publish).collect())
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(Rib::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory of the routes themselves, in octets, as far as their number tells.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(Rib::bytes).sum()
    }
}

/// Gives ids to targets, equal ones alike, and takes them back.
#[derive(Debug, Default)]
struct Targets {
    list: Vec<RouteTarget>,
    uses: Vec<u32>,
    ids: HashMap<RouteTarget, RouteId>,
    free: Vec<RouteId>,
}

impl Targets {
    fn take(&mut self, target: RouteTarget) -> Result<RouteId, TooManyTargets> {
        let id = match self.ids.get(&target) {
            Some(id) => *id,
            None => {
                let id = self.free.pop().or_else(|| RouteId::of(self.list.len()));
                let id = id.ok_or(TooManyTargets)?;
                let at = id.index().unwrap_or_default();
                if at == self.list.len() {
                    self.list.push(target.clone());
                    self.uses.push(0);
                } else {
                    self.list[at] = target.clone();
                }
                self.ids.insert(target, id);
                id
            }
        };
        self.uses[id.index().unwrap_or_default()] += 1;
        Ok(id)
    }

    fn give(&mut self, id: RouteId) {
        let at = id.index().unwrap_or_default();
        self.uses[at] -= 1;
        if self.uses[at] == 0 {
            self.ids.remove(&self.list[at]);
            self.free.push(id);
        }
    }

    fn target(&self, id: RouteId) -> Option<&RouteTarget> {
        self.list.get(id.index()?)
    }
}

/// Blocks of a table that are written one by one; more, and it is built anew.
const FEW: usize = 4096;

#[cfg(test)]
mod tests;
