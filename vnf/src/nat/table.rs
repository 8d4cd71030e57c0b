//! What the management core decides about translation: the pool, fixed mappings, exemptions, behaviours.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use super::layout::Layout;
use super::ownership::Ownership;
use super::pool_ranges::PoolRanges;
use super::shares::{Share, Shares};
use crate::config::{
    ExemptSettings, Filtering, FilteringByProtocol, ForwardSettings, Mapping, Nat44Settings,
};
use crate::engine::ids::{VrfId, WorkerId};
use crate::engine::meta::FlowKey;

/// An IPv4 endpoint: address and port (or ICMP query identifier) in host order.
pub type Endpoint = (u32, u16);

/// An internal host: the same address in another VRF is another host (RFC 6888 REQ-2).
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, zerocopy::FromZeros,
)]
#[repr(C)]
pub struct Internal {
    /// Its VRF.
    pub vrf: VrfId,
    /// Its address, in host order.
    pub address: u32,
}

/// An internal host with a port (or ICMP query identifier).
pub type InternalEndpoint = (Internal, u16);

impl Internal {
    /// The source of a packet from it.
    #[inline]
    pub fn source_of(key: &FlowKey) -> Self {
        Self { vrf: key.vrf, address: key.source[0] }
    }

    /// The host as a number, of 40 bits.
    #[inline]
    pub fn number(self) -> u64 {
        u64::from(self.address) | u64::from(self.vrf.0) << 32
    }
}

/// The translation rules of one configuration. Never changed in place; without `[nat44]` nothing is translated.
#[derive(Debug)]
pub struct NatTable {
    rules: Option<Rules>,
}

#[derive(Debug)]
struct Rules {
    pool: PoolRanges,
    shares: Shares,
    ports: RangeInclusive<u16>,
    layout: Layout,
    max_blocks_per_host: u16,
    external_vrf: VrfId,
    internal_vrf: VrfId,
    statics_by_external: HashMap<u32, Internal>,
    statics_by_internal: HashMap<Internal, u32>,
    forwards_by_external: HashMap<(u8, Endpoint), InternalEndpoint>,
    forwards_by_internal: HashMap<(u8, InternalEndpoint), Endpoint>,
    exempts: Vec<ExemptSettings>,
    mapping: Mapping,
    filtering: FilteringByProtocol,
    inbound_refresh: bool,
    hairpinning: bool,
    reuse_hold_ms: u32,
    max_held: usize,
    journals: bool,
    tcp_mss_clamp: u16,
}

/// A mapping that the configuration fixes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FixedMapping {
    /// The protocol; `None`: all.
    pub protocol: Option<u8>,
    /// The internal endpoint; port 0 stands for all.
    pub internal: InternalEndpoint,
    /// The external endpoint, likewise.
    pub external: Endpoint,
}

/// What an outbound flow is translated to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OutboundRule {
    /// To an endpoint from the pool.
    Dynamic,
    /// To this endpoint, always.
    Fixed(Endpoint),
    /// Not at all (RFC 6888 REQ-6).
    Untranslated,
}

impl NatTable {
    /// The rules of a configuration, or none, for a number of workers; addresses that are in the table before stay with
    /// their workers.
    pub fn new(settings: Option<&Nat44Settings>, workers: usize, before: Option<&Self>) -> Self {
        let before = before.and_then(|table| table.rules.as_ref());
        Self { rules: settings.map(|settings| Rules::new(settings, workers, before)) }
    }

    /// Whose the pool's address of this number is.
    #[inline]
    pub fn share_of(&self, index: u32) -> Option<Share> {
        self.rules.as_ref()?.shares.of(index)
    }

    /// Whether anything is translated.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.rules.is_some()
    }

    /// Which endpoint an internal endpoint shows to this destination.
    pub fn outbound(
        &self,
        protocol: u8,
        internal: InternalEndpoint,
        destination: u32,
    ) -> OutboundRule {
        let Some(rules) = &self.rules else { return OutboundRule::Untranslated };
        if rules.exempts(internal.0, destination) {
            return OutboundRule::Untranslated;
        }
        match rules.fixed_external(protocol, internal) {
            Some(external) => OutboundRule::Fixed(external),
            None => OutboundRule::Dynamic,
        }
    }

    /// Whether the configuration fixes what an internal endpoint is translated to.
    pub fn fixes(&self, protocol: u8, internal: InternalEndpoint) -> bool {
        self.rules.as_ref().is_some_and(|rules| rules.fixed_external(protocol, internal).is_some())
    }

    /// Whether packets between an internal and a remote host are exempt, whichever way they go.
    pub fn exempts(&self, internal: Internal, remote: u32) -> bool {
        self.rules.as_ref().is_some_and(|rules| rules.exempts(internal, remote))
    }

    /// The internal endpoint that the configuration gives to an external one.
    pub fn fixed_internal(&self, protocol: u8, external: Endpoint) -> Option<InternalEndpoint> {
        let rules = self.rules.as_ref()?;
        if let Some(internal) = rules.statics_by_external.get(&external.0) {
            return Some((*internal, external.1));
        }
        rules.forwards_by_external.get(&(protocol, external)).copied()
    }

    /// The VRF of the external side, to which the pool belongs.
    #[inline]
    pub fn external_vrf(&self) -> VrfId {
        self.rules.as_ref().map_or(VrfId::DEFAULT, |rules| rules.external_vrf)
    }

    /// An internal host by its address alone, where all of them are in one VRF: with deterministic allocation.
    pub fn only_host(&self, address: u32) -> Internal {
        let vrf = self.rules.as_ref().map_or(VrfId::DEFAULT, |rules| rules.internal_vrf);
        Internal { vrf, address }
    }

    /// Whether an address belongs to the NAT: a pool address or a static mapping's.
    #[inline]
    pub fn is_external(&self, address: u32) -> bool {
        self.rules.as_ref().is_some_and(|rules| {
            rules.pool.index_of(address).is_some()
                || rules.statics_by_external.contains_key(&address)
        })
    }

    /// Whether an endpoint that a dynamic mapping holds may go on being used under these rules.
    pub fn allows_dynamic(&self, protocol: u8, external: Endpoint) -> bool {
        self.rules.as_ref().is_some_and(|rules| {
            rules.ports.contains(&external.1)
                && rules.pool.index_of(external.0).is_some()
                && self.fixed_internal(protocol, external).is_none()
        })
    }

    /// The external addresses; none without `[nat44]`.
    pub fn pool(&self) -> &PoolRanges {
        const NONE: &PoolRanges = &PoolRanges::EMPTY;
        self.rules.as_ref().map_or(NONE, |rules| &rules.pool)
    }

    /// The ports of every pool address that dynamic mappings may use.
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.rules.as_ref().map_or(ANY_PORT, |rules| rules.ports.clone())
    }

    /// Which of these ports a host may get.
    #[inline]
    pub fn layout(&self) -> &Layout {
        self.rules.as_ref().map_or(&Layout::Dynamic, |rules| &rules.layout)
    }

    /// Whether sessions under these rules may go on under others: the same ports belong to the same hosts and workers.
    pub fn keeps_ports(&self, next: &Self, ownership: &Ownership) -> bool {
        if !self.is_active() || !next.is_active() {
            return true;
        }
        let divided = |table: &Self, address: u32, worker: WorkerId| {
            ownership.ports_of(table, table.pool().index_of(address)?, worker)
        };
        let moves = |address: u32| {
            let mut workers = (0..ownership.workers()).map(|at| WorkerId(at as u8));
            workers.any(|w| divided(self, address, w) != divided(next, address, w))
        };
        let both = |address: &u32| next.pool().index_of(*address).is_some();
        self.layout() == next.layout()
            && (self.layout() == &Layout::Dynamic
                || !self.pool().addresses().filter(both).any(moves))
    }

    /// How many port blocks a host may have.
    pub fn max_blocks_per_host(&self) -> u16 {
        self.rules.as_ref().map_or(0, |rules| rules.max_blocks_per_host)
    }

    /// The external address of a static mapping's host.
    pub fn static_external(&self, internal: Internal) -> Option<u32> {
        self.rules.as_ref()?.statics_by_internal.get(&internal).copied()
    }

    /// Whether a static mapping owns a whole external address.
    pub fn is_static(&self, external: u32) -> bool {
        self.rules.as_ref().is_some_and(|r| r.statics_by_external.contains_key(&external))
    }

    /// Every external address that static mappings own.
    pub fn static_addresses(&self) -> impl Iterator<Item = u32> + '_ {
        self.rules.iter().flat_map(|rules| rules.statics_by_external.keys().copied())
    }

    /// Every mapping that the configuration fixes.
    pub fn fixed(&self) -> impl Iterator<Item = FixedMapping> + '_ {
        self.rules.iter().flat_map(|rules| {
            let statics = rules.statics_by_external.iter().map(|(external, internal)| {
                FixedMapping { protocol: None, internal: (*internal, 0), external: (*external, 0) }
            });
            let forwards =
                rules.forwards_by_external.iter().map(|((protocol, external), internal)| {
                    FixedMapping {
                        protocol: Some(*protocol),
                        internal: *internal,
                        external: *external,
                    }
                });
            statics.chain(forwards)
        })
    }

    /// Whether all sessions of an internal endpoint share one external endpoint (RFC 4787 REQ-1).
    pub fn endpoint_independent_mapping(&self) -> bool {
        self.rules.as_ref().is_some_and(|r| r.mapping == Mapping::EndpointIndependent)
    }

    /// Which remote endpoints may open a session through a mapping (RFC 4787 REQ-8).
    pub fn filtering(&self, protocol: u8) -> Filtering {
        let of = |rules: &Rules| rules.filtering.of(protocol);
        self.rules.as_ref().map_or(Filtering::AddressAndPortDependent, of)
    }

    /// Whether filtering asks for any protocol which remote addresses were sent to.
    pub fn filters_by_address(&self) -> bool {
        self.rules.as_ref().is_some_and(|r| r.filtering.any(Filtering::AddressDependent))
    }

    /// Whether packets from outside keep mappings of UDP and ICMP queries alive (RFC 4787 REQ-6a).
    pub fn inbound_refresh(&self) -> bool {
        self.rules.as_ref().is_some_and(|r| r.inbound_refresh)
    }

    /// Whether internal hosts reach each other through external endpoints (RFC 4787 REQ-9).
    pub fn hairpinning(&self) -> bool {
        self.rules.as_ref().is_some_and(|r| r.hairpinning)
    }

    /// How long a freed external endpoint rests, in milliseconds (RFC 6888 REQ-8).
    pub fn reuse_hold_ms(&self) -> u32 {
        self.rules.as_ref().map_or(0, |r| r.reuse_hold_ms)
    }

    /// How many freed external endpoints may rest at one worker (RFC 6888 REQ-8).
    pub fn max_held(&self) -> usize {
        self.rules.as_ref().map_or(usize::MAX, |r| r.max_held)
    }

    /// Whether ports are put on record before they are handed out, so that they rest after a crash too.
    pub fn journals(&self) -> bool {
        self.rules.as_ref().is_some_and(|r| r.journals)
    }

    /// The largest segment size that translated SYNs may announce; `None` leaves it to their senders.
    pub fn tcp_mss_clamp(&self) -> Option<u16> {
        self.rules.as_ref().map(|r| r.tcp_mss_clamp).filter(|most| *most > 0)
    }
}

impl Rules {
    fn new(settings: &Nat44Settings, workers: usize, before: Option<&Self>) -> Self {
        let pool = PoolRanges::new(&settings.pool);
        let mut rules = Self {
            shares: Shares::deal(&pool, workers, before.map(|old| (&old.pool, &old.shares))),
            pool,
            ports: settings.port_range.clone(),
            layout: Layout::new(settings),
            max_blocks_per_host: settings.max_blocks_per_host,
            statics_by_external: HashMap::new(),
            statics_by_internal: HashMap::new(),
            forwards_by_external: HashMap::new(),
            forwards_by_internal: HashMap::new(),
            external_vrf: VrfId(settings.external_vrf as u8),
            internal_vrf: VrfId(settings.internal_vrf as u8),
            exempts: settings.exempts.clone(),
            mapping: settings.mapping,
            filtering: settings.filtering,
            inbound_refresh: settings.inbound_refresh,
            hairpinning: settings.hairpinning,
            reuse_hold_ms: settings.reuse_hold.as_millis().try_into().unwrap_or(u32::MAX),
            max_held: match settings.max_held_ports {
                0 => usize::MAX,
                most => (most as usize).div_ceil(workers),
            },
            journals: settings.journal.is_some(),
            tcp_mss_clamp: settings.tcp_mss_clamp,
        };
        for fixed in &settings.statics {
            let internal = internal(fixed.vrf, fixed.internal);
            rules.statics_by_external.insert(fixed.external.into(), internal);
            rules.statics_by_internal.insert(internal, fixed.external.into());
        }
        for forward in &settings.forwards {
            rules.add_forward(forward);
        }
        rules
    }

    fn add_forward(&mut self, forward: &ForwardSettings) {
        let pairs = forward.external_ports.clone().zip(forward.internal_ports.clone());
        for (external_port, internal_port) in pairs {
            let external = (u32::from(forward.external), external_port);
            let internal = (internal(forward.vrf, forward.internal), internal_port);
            self.forwards_by_external.insert((forward.protocol, external), internal);
            // An internal endpoint behind several forwards speaks through the first.
            self.forwards_by_internal.entry((forward.protocol, internal)).or_insert(external);
        }
    }

    fn fixed_external(&self, protocol: u8, internal: InternalEndpoint) -> Option<Endpoint> {
        if let Some(external) = self.statics_by_internal.get(&internal.0) {
            return Some((*external, internal.1));
        }
        if self.forwards_by_internal.is_empty() {
            return None;
        }
        self.forwards_by_internal.get(&(protocol, internal)).copied()
    }

    fn exempts(&self, internal: Internal, remote: u32) -> bool {
        let within = |nets: &[ipnet::Ipv4Net], address: u32| {
            nets.is_empty() || nets.iter().any(|net| net.contains(&Ipv4Addr::from(address)))
        };
        self.exempts.iter().any(|exempt| {
            exempt.vrf == internal.vrf.index()
                && within(&exempt.source, internal.address)
                && within(&exempt.destination, remote)
        })
    }
}

impl From<u32> for Internal {
    /// A host of the default VRF.
    fn from(address: u32) -> Self {
        Self { vrf: VrfId::DEFAULT, address }
    }
}

impl From<Internal> for Ipv4Addr {
    fn from(host: Internal) -> Self {
        host.address.into()
    }
}

fn internal(vrf: usize, address: Ipv4Addr) -> Internal {
    Internal { vrf: VrfId(vrf as u8), address: address.into() }
}

/// What the ports of no pool at all are said to be.
const ANY_PORT: RangeInclusive<u16> = 1..=u16::MAX;
