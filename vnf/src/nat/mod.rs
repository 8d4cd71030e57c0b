//! Finds or chooses the translation of every packet (RFC 4787). Nothing is written to a packet or taken from the pool
//! here: a new flow is a plan until the ACL has permitted it.

pub mod contacts;
pub mod deterministic;
pub mod external_ports;
pub mod hosts;
pub mod layout;
pub mod leases;
pub mod mappings;
pub mod ownership;
pub mod pool_ranges;
pub mod port_blocks;
mod refusals;
pub mod shares;
pub mod table;
pub mod unsolicited;

use crate::config::{Filtering, NatRole};
use crate::engine::burst::{Burst, Origin};
use crate::engine::counters::CloseCause;
use crate::engine::handover::Lanes;
use crate::engine::ids::{Arrival, InterfaceId, NextHopId, SessionId, Tick, WorkerId};
use crate::engine::mask::{Mask, Slot};
use crate::engine::meta::{Direction, Family, FlowKey, Form, Kind, Meta};
use crate::engine::tables::Tables;
use crate::engine::verdict::{DropReason, Verdict};
use crate::forward;
use crate::session::{Decision, Flows, NIL, Plan};
use crate::wire::protocol;

pub use deterministic::Deterministic;
pub use external_ports::ExternalPorts;
pub use layout::Layout;
pub use ownership::Ownership;
pub use refusals::refusal;
use refusals::{unadmitted, unmapped};
pub use table::{Endpoint, Internal, NatTable, OutboundRule};

/// The NAT stage of one worker.
pub struct Nat {
    worker: WorkerId,
    ownership: Ownership,
}

impl Nat {
    /// The stage of this worker.
    pub fn new(worker: WorkerId, ownership: Ownership) -> Self {
        Self { worker, ownership }
    }

    /// Finds the session of every packet; plans for those that have none, or an outdated one.
    #[inline]
    pub fn run(&mut self, burst: &mut Burst, flows: &mut Flows, tables: &Tables, now: Tick) {
        if !self.ownership.is_sole() {
            self.steer(burst, tables);
        }
        flows.sessions.find(burst, tables.generation);
        self.follow_routes(burst, flows, tables);
        let mut outdated = Mask::EMPTY;
        for slot in burst.undecided() {
            if burst.meta[slot].session.is_some() {
                match self.renew(burst, slot, flows, tables) {
                    Ok(renewed) => outdated.insert_if(slot, !renewed),
                    Err(verdict) => burst.settle(slot, verdict),
                }
            }
        }
        if !outdated.is_empty() {
            close(burst, outdated, flows, now);
        }
        for slot in burst.undecided() {
            if !burst.meta[slot].session.is_some()
                && let Err(verdict) = self.plan(burst, slot, flows, tables)
            {
                burst.settle(slot, verdict);
            }
        }
    }

    /// Routes changed since the sessions of some packets were decided: where those still lead to the same next hops, nothing
    /// else has to be decided again.
    #[inline]
    fn follow_routes(&self, burst: &mut Burst, flows: &mut Flows, tables: &Tables) {
        if tables.interfaces.validate_sources() {
            return; // they may be no longer valid where their packets come in
        }
        for slot in burst.undecided() {
            let meta = &burst.meta[slot];
            let Some(session) = flows.sessions.find_mut(meta.session) else { continue };
            let outdated = session.predates_routes(meta.direction, meta.ingress, tables.generation);
            if outdated
                && forward::still_leads(session, Direction::Outbound, tables)
                && forward::still_leads(session, Direction::Inbound, tables)
            {
                session.generation = tables.generation;
                burst.meta[slot].next_hop = session.next_hop(burst.meta[slot].direction);
                burst.known.insert(slot);
            }
        }
    }

    /// Sends fragments to where all of their datagram meet: later ones have no ports that could tell an owner.
    #[cold]
    pub fn gather(&self, burst: &mut Burst, fragments: Mask, tables: &Tables) {
        if self.ownership.is_sole() || !matches!(burst.origin, Origin::Hairpin | Origin::Port) {
            return;
        }
        for slot in fragments {
            let meta = &burst.meta[slot];
            let owner = match for_pool(meta, tables) {
                true => self.ownership.of_pair(&meta.key),
                false => self.owner(meta, burst.arrival[slot], tables),
            };
            if owner != self.worker {
                burst.settle(slot, Verdict::HandOver(owner));
            }
        }
    }

    /// Gives back what hairpinned packets have cost their senders that came to nothing. What only the other host's
    /// filtering refuses has its use: it lets that host in; so does a query, whosever its identifier is.
    #[inline]
    pub fn take_back(
        &self,
        burst: &Burst,
        flows: &mut Flows,
        tables: &Tables,
        lanes: &Lanes,
        now: Tick,
    ) {
        if matches!(burst.origin, Origin::HandedOver | Origin::Hairpin) {
            for (slot, reason) in burst.refused() {
                let meta = &burst.meta[slot];
                let lets_in = reason == DropReason::NatFiltered
                    || reason == DropReason::NatNoMapping && meta.key.is_query();
                if meta.ingress == InterfaceId::HAIRPIN && meta.kind == Kind::Flow && !lets_in {
                    let key = meta.key.reversed();
                    let sender = (key.destination[0], key.destination_port);
                    match self.ownership.of_external(&tables.nat, key.protocol, sender) {
                        owner if owner == self.worker => flows.take_back(&key, now),
                        owner => lanes.refuse(self.worker, owner, key),
                    }
                }
            }
        }
    }

    /// Sends packets whose flow another worker owns on their way to it.
    fn steer(&self, burst: &mut Burst, tables: &Tables) {
        for slot in burst.live() {
            let meta = &burst.meta[slot];
            let steered = match burst.origin {
                Origin::Hairpin | Origin::Port => true,
                // Fragments that met here; their ports are known now.
                Origin::Fragments | Origin::HandedOver => {
                    meta.form == Form::Fragment && for_pool(meta, tables)
                }
                Origin::Held => false,
            };
            if steered {
                let owner = self.owner(meta, burst.arrival[slot], tables);
                if owner != self.worker {
                    burst.settle(slot, Verdict::HandOver(owner));
                }
            }
        }
    }

    /// The owner of a packet's flow, as far as the packet tells.
    fn owner(&self, meta: &Meta, arrival: Arrival, tables: &Tables) -> WorkerId {
        let key = &meta.key;
        if for_pool(meta, tables) {
            let external = asked_for(key, arrival);
            return self.ownership.of_external(&tables.nat, key.protocol, external);
        }
        let internal = tables.interfaces.role(meta.ingress) == Some(NatRole::Internal);
        if internal && key.family == Family::Ipv4 {
            self.ownership.of_host(Internal::source_of(key))
        } else {
            self.ownership.of_pair(key)
        }
    }

    /// Plans a packet whose session was decided under other tables, or for another interface; returns whether the session
    /// may go on as it is.
    fn renew(
        &self,
        burst: &mut Burst,
        slot: Slot,
        flows: &mut Flows,
        tables: &Tables,
    ) -> Result<bool, Verdict> {
        let mut meta = burst.meta[slot];
        let session = flows.sessions.session(meta.session);
        let real = session.real_key(meta.direction);
        let translated = session.translated();
        // Reconfigured, if its packets came in here before; else somebody makes them up.
        if translated
            && tables.interfaces.role(meta.ingress) != Some(side(meta.direction))
            && !session.came_in_by(meta.direction, meta.ingress)
        {
            return Err(Verdict::Drop(DropReason::Martian));
        }
        if meta.kind == Kind::Flow && !forward::source_is_valid(&meta.key, meta.ingress, tables) {
            return Err(Verdict::Drop(DropReason::SourceValidation));
        }
        let hairpins = translated
            && meta.direction == Direction::Outbound
            && tables.nat.hairpinning()
            && forward::reaches_nat(&real, tables);
        let neighbor = if hairpins {
            (meta.next_hop, meta.egress) = (NextHopId::HAIRPIN, InterfaceId::HAIRPIN);
            None
        } else {
            forward::route(&mut meta, &real, tables)?
        };
        let expected = self.translation_expected(meta.ingress, meta.egress, &real, tables);
        // Replies are looked for in the VRF where packets leave.
        let session = flows.sessions.session(meta.session);
        let same_vrf = translated && meta.direction == Direction::Inbound
            || meta.next_hop == NextHopId::LOCAL
            || session.vrf(meta.direction.reversed()) == tables.vrf(meta.egress);
        if expected == translated && same_vrf && flows.still_valid(meta.session, tables) {
            flows.decisions[slot] =
                Decision { real, plan: Plan::Renew, neighbor, ..Decision::default() };
            burst.meta[slot] = meta;
            return Ok(true);
        }
        Ok(false)
    }

    /// Plans a first packet: its route, its translation, and what the ACLs shall see.
    fn plan(
        &self,
        burst: &mut Burst,
        slot: Slot,
        flows: &mut Flows,
        tables: &Tables,
    ) -> Result<(), Verdict> {
        let mut meta = burst.meta[slot];
        let decision = self.plan_new(burst, slot, &mut meta, flows, tables)?;
        if burst.meta[slot].kind == Kind::IcmpError {
            flows.sessions.move_key(slot, &meta.key);
        }
        flows.decisions[slot] = decision;
        burst.meta[slot] = meta;
        Ok(())
    }

    fn plan_new(
        &self,
        burst: &Burst,
        slot: Slot,
        meta: &mut Meta,
        flows: &Flows,
        tables: &Tables,
    ) -> Result<Decision, Verdict> {
        let role = tables.interfaces.role(meta.ingress);
        // No session: it is about nothing NAT knows. Where nothing is translated it is a packet like any other.
        let unmatched_error = meta.kind == Kind::IcmpError;
        const UNMATCHED: Result<Decision, Verdict> =
            Err(Verdict::Drop(DropReason::IcmpErrorUnmatched));
        if unmatched_error {
            meta.key = crate::parse::outer_key(burst.packet(slot).data(), meta);
            meta.kind = Kind::Flow;
        }
        let key = meta.key;
        if meta.ingress != InterfaceId::HAIRPIN && forward::is_own_source(&key, tables) {
            return Err(Verdict::Drop(DropReason::Martian));
        }
        if !forward::source_is_valid(&key, meta.ingress, tables) {
            return Err(Verdict::Drop(DropReason::SourceValidation));
        }
        if forward::reaches_nat(&key, tables) {
            match role {
                Some(_) if unmatched_error && !forward::is_local(&key, tables) => {
                    return UNMATCHED;
                }
                Some(NatRole::External) => {
                    if let Some(decision) = self.admit(meta, burst.arrival[slot], flows, tables)? {
                        return Ok(decision);
                    }
                }
                Some(NatRole::Internal) if self.hairpins(&key, flows, tables) => {
                    meta.next_hop = NextHopId::HAIRPIN;
                    meta.egress = InterfaceId::HAIRPIN;
                    return self.translate(meta, tables);
                }
                _ => {}
            }
        }
        let neighbor = forward::route(meta, &key, tables)?;
        if meta.next_hop != NextHopId::LOCAL && forward::is_from_link_local(&key) {
            return Err(Verdict::Drop(DropReason::Martian)); // RFC 4291 2.5.6
        }
        if key.family == Family::Ipv4 && role == Some(NatRole::External) {
            let straight = tables.interfaces.role(meta.egress) == Some(NatRole::Internal)
                && meta.next_hop != NextHopId::LOCAL;
            let internal = Internal { vrf: tables.vrf(meta.egress), address: key.destination[0] };
            if straight && !tables.nat.exempts(internal, key.source[0]) {
                return Err(Verdict::Drop(DropReason::NatBypass));
            }
        }
        if self.translation_expected(meta.ingress, meta.egress, &key, tables) {
            if unmatched_error {
                return UNMATCHED;
            }
            return Ok(Decision { neighbor, ..self.translate(meta, tables)? });
        }
        let owner = self.ownership.of_pair(&key);
        if !self.ownership.is_sole() && owner != self.worker && meta.next_hop != NextHopId::LOCAL {
            return Err(Verdict::HandOver(owner));
        }
        let plan = if meta.next_hop == NextHopId::LOCAL { Plan::Local } else { Plan::Plain };
        Ok(Decision { real: key, plan, neighbor, ..Decision::default() })
    }

    /// Whether a packet from inside to an address of the NAT goes back to the inside: not what the VNF answers itself,
    /// where the address is its own too.
    fn hairpins(&self, key: &FlowKey, flows: &Flows, tables: &Tables) -> bool {
        if !tables.nat.hairpinning() {
            return false;
        }
        let external = (key.destination[0], key.destination_port);
        if !forward::is_local(key, tables)
            || tables.nat.fixed_internal(key.protocol, external).is_some()
        {
            return true;
        }
        let owner = self.ownership.of_external(&tables.nat, key.protocol, external);
        tables.nat.allows_dynamic(key.protocol, external)
            && match owner == self.worker {
                true => flows.mappings.of_external(key.protocol, external).is_some(),
                false => matches!(key.protocol, protocol::TCP | protocol::UDP), // the owner knows
            }
    }

    /// Whether packets between these interfaces are translated (a pool destination apart).
    fn translation_expected(
        &self,
        ingress: InterfaceId,
        egress: InterfaceId,
        real: &FlowKey,
        tables: &Tables,
    ) -> bool {
        if real.family != Family::Ipv4 {
            return false;
        }
        let role = |interface| {
            if interface == InterfaceId::HAIRPIN {
                Some(NatRole::External)
            } else {
                tables.interfaces.role(interface)
            }
        };
        match (role(ingress), role(egress)) {
            (Some(NatRole::Internal), Some(NatRole::External)) => {
                !tables.nat.exempts(Internal::source_of(real), real.destination[0])
            }
            (Some(NatRole::External), Some(NatRole::Internal)) => {
                let internal = Internal { vrf: tables.vrf(egress), address: real.destination[0] };
                !tables.nat.exempts(internal, real.source[0])
            }
            _ => false,
        }
    }

    /// Plans an outbound flow.
    fn translate(&self, meta: &Meta, tables: &Tables) -> Result<Decision, Verdict> {
        let key = meta.key;
        let internal = (Internal::source_of(&key), key.source_port);
        let plan = match tables.nat.outbound(key.protocol, internal, key.destination[0]) {
            OutboundRule::Fixed((address, port)) => Plan::TranslateFixed(address, port),
            OutboundRule::Untranslated => Plan::Plain,
            OutboundRule::Dynamic => match key.protocol {
                protocol::ICMP if !is_query(meta) => {
                    return Err(Verdict::Drop(DropReason::IcmpUnsupported));
                }
                protocol::ICMP | protocol::TCP | protocol::UDP => Plan::TranslateDynamic,
                _ => return Err(Verdict::Drop(DropReason::NatUnsupported)),
            },
        };
        Ok(Decision { real: key, plan, ..Decision::default() })
    }

    /// Plans a flow from outside to an address of the NAT; `None` when the address is the VNF's own too and the packet
    /// is for the VNF.
    fn admit(
        &self,
        meta: &mut Meta,
        arrival: Arrival,
        flows: &Flows,
        tables: &Tables,
    ) -> Result<Option<Decision>, Verdict> {
        let key = meta.key;
        let external = (key.destination[0], key.destination_port);
        let asks = is_query(meta);
        let (internal, mapping) = match tables.nat.fixed_internal(key.protocol, external) {
            Some(internal) => (internal, NIL),
            // Whoever asks an own address asks the VNF, whoever else has the identifier.
            None if asks && forward::is_local(&key, tables) => return Ok(None),
            None => match flows.mappings.of_external(key.protocol, asked_for(&key, arrival)) {
                // The identifier stays that of who asks.
                Some(id) if asks => ((flows.mappings.mapping(id).internal().0, 0), id),
                Some(id) => (flows.mappings.mapping(id).internal(), id),
                None if forward::is_local(&key, tables) => return Ok(None),
                None => return Err(Verdict::Drop(unmapped(key.protocol))),
            },
        };
        if mapping != NIL {
            let mapped = flows.mappings.mapping(mapping).internal();
            if tables.nat.fixes(key.protocol, mapped) {
                return Err(Verdict::Drop(unmapped(key.protocol))); // it is older than that
            }
            let remote = key.source[0];
            let admitted = match tables.nat.filtering(key.protocol) {
                Filtering::EndpointIndependent => true,
                Filtering::AddressDependent => flows.has_contact(mapping, remote),
                // Queries have no port to depend on: the host has asked that address with the identifier asked for.
                Filtering::AddressAndPortDependent if asks => {
                    let identifier = asked_for(&key, arrival).1;
                    let answer = FlowKey { source_port: 0, destination_port: identifier, ..key };
                    flows.sessions.find_one(&answer).is_some()
                }
                Filtering::AddressAndPortDependent => false,
            };
            if !admitted {
                return Err(unadmitted(meta, tables));
            }
        }
        let mut real = key;
        (real.vrf, real.destination[0]) = (internal.0.vrf, internal.0.address);
        real.destination_port = internal.1;
        let neighbor = forward::route(meta, &real, tables)?;
        Ok(Some(Decision { real, plan: Plan::Admit(mapping), neighbor, ..Decision::default() }))
    }
}

/// Ends the sessions of these packets before anything is planned: no plan of the burst relies on what went with them, and
/// their other packets are first ones now.
#[cold]
fn close(burst: &mut Burst, outdated: Mask, flows: &mut Flows, now: Tick) {
    for slot in outdated {
        let session = std::mem::take(&mut burst.meta[slot].session);
        if !session.is_some() {
            continue;
        }
        flows.close(session, CloseCause::Reconfigured, now);
        for other in burst.live() {
            if burst.meta[other].session == session {
                burst.meta[other].session = SessionId::NONE;
                burst.known.remove(other);
            }
        }
    }
}

/// The side of the NAT that packets of a translated session come from.
fn side(direction: Direction) -> NatRole {
    match direction {
        Direction::Outbound => NatRole::Internal,
        Direction::Inbound => NatRole::External,
    }
}

/// Whether a packet came from outside to an address of the NAT.
fn for_pool(meta: &Meta, tables: &Tables) -> bool {
    meta.key.family == Family::Ipv4
        && tables.nat.is_external(meta.key.destination[0])
        && tables.interfaces.role(meta.ingress) == Some(NatRole::External)
}

/// The external endpoint that a packet is for; of an ICMP query the one that has its identifier (RFC 7857 section 12).
fn asked_for(key: &FlowKey, arrival: Arrival) -> Endpoint {
    let port = match (key.is_query(), arrival.hairpin) {
        (true, true) => arrival.query,
        (true, false) => key.source_port,
        (false, _) => key.destination_port,
    };
    (key.destination[0], port)
}

/// Whether an ICMP message asks something that NAT can carry (RFC 5508 REQ-1).
fn is_query(meta: &Meta) -> bool {
    meta.key.protocol == protocol::ICMP && meta.detail == crate::wire::icmp::v4::ECHO_REQUEST
}
