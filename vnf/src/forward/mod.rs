//! Where packets go next: the route of a first packet, and what every packet must pass before it leaves.

pub mod rib;
pub mod route_table;
mod stale_use;
pub mod vrfs;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::SourceValidation;
use crate::engine::burst::Burst;
use crate::engine::counters::CloseCause;
use crate::engine::ids::{InterfaceId, NextHopId, Tick};
use crate::engine::mask::Slot;
use crate::engine::meta::{Direction, Family, FlowKey, Form, Kind, Meta};
use crate::engine::tables::Tables;
use crate::engine::verdict::{DropReason, Rejection, Verdict};
use crate::nat;
use crate::session::{Flows, Plan, Session, tcp};
use crate::wire::protocol;

pub use route_table::{Gateway, RouteTable, RouteTarget};
use stale_use::StaleUse;
pub use vrfs::Vrfs;

/// The forwarding stage.
#[derive(Debug, Default)]
pub struct Forward {
    stale: StaleUse,
}

impl Forward {
    /// The stage, with nothing to tell.
    pub fn new() -> Self {
        Self { stale: StaleUse::new() }
    }

    /// Begins with new tables.
    pub fn adopt(&mut self) {
        self.stale.forget();
    }

    /// A stale neighbour that was sent something, told once for each under the same tables.
    pub fn next_used(&mut self) -> Option<NextHopId> {
        self.stale.next()
    }

    /// Checks hop limit, next hop and size of every packet, and opens the sessions of permitted first packets.
    #[inline(never)]
    pub fn run(&mut self, burst: &mut Burst, flows: &mut Flows, tables: &Tables, now: Tick) {
        for slot in burst.live() & burst.known {
            let meta = &mut burst.meta[slot];
            if leaves_plainly(meta, tables) {
                continue;
            }
            meta.form = unplain(meta.form);
            match check(meta, tables) {
                Ok(()) => self.stale.note(meta.next_hop, tables),
                Err(verdict) => burst.settle(slot, verdict),
            }
        }
        if burst.undecided().is_empty() {
            return;
        }
        flows.prepare(burst, tables);
        for slot in burst.undecided() {
            match admit(burst, slot, flows, tables, now) {
                Ok(()) => self.stale.note(burst.meta[slot].next_hop, tables),
                Err(verdict) => burst.settle(slot, verdict),
            }
        }
    }
}

/// Whether a packet is plain, may leave, and is plain then too: what [`check`] says, in one comparison.
#[inline]
fn leaves_plainly(meta: &Meta, tables: &Tables) -> bool {
    let most = tables.neighbors.link(meta.next_hop).map_or(0, |link| link.most);
    (meta.form == Form::Plain) & (meta.ttl > 1) & (meta.ip_length <= most)
}

/// The form of a packet that gets a tag, or is too large for one frame.
#[cold]
fn unplain(form: Form) -> Form {
    if form == Form::Plain { Form::Whole } else { form }
}

/// Whether a packet that is to leave may: hop limit, neighbour, size (RFC 1812 5.3.1, 5.2.7).
#[inline]
fn check(meta: &Meta, tables: &Tables) -> Result<(), Verdict> {
    if meta.ttl <= 1 {
        return Err(expired(meta));
    }
    match tables.neighbors.next_hop(meta.next_hop) {
        Some(next_hop) if next_hop.resolved && meta.ip_length <= next_hop.mtu => Ok(()),
        Some(next_hop) if next_hop.resolved => oversize(meta, next_hop.mtu),
        Some(_) => Err(Verdict::Hold),
        None if meta.next_hop == NextHopId::HAIRPIN => Ok(()),
        None => Err(Verdict::Hold),
    }
}

#[cold]
fn expired(meta: &Meta) -> Verdict {
    let reason = match meta.key.family {
        Family::Ipv4 => DropReason::TtlExpired,
        Family::Ipv6 => DropReason::HopLimitExpired,
    };
    Verdict::Reject(Rejection::TimeExceeded, reason)
}

#[cold]
fn oversize(meta: &Meta, mtu: u16) -> Result<(), Verdict> {
    if meta.dont_fragment {
        return Err(Verdict::Reject(Rejection::FragmentationNeeded(mtu), DropReason::MtuExceeded));
    }
    Ok(()) // egress fragments it
}

/// Takes a first packet, or one whose session was decided again, through to its session.
fn admit(
    burst: &mut Burst,
    slot: Slot,
    flows: &mut Flows,
    tables: &Tables,
    now: Tick,
) -> Result<(), Verdict> {
    let meta = &mut burst.meta[slot];
    let decision = flows.decisions[slot];
    if decision.plan == Plan::Local {
        let ingress = tables.interfaces.find(meta.ingress);
        let linux = ingress.is_some_and(|interface| interface.linux.is_some());
        return Err(crate::icmp::local::answer(meta, linux));
    }
    check(meta, tables)?;
    if !leaves_plainly(meta, tables) {
        meta.form = unplain(meta.form);
    }
    if decision.plan == Plan::Renew {
        flows.renew(meta, meta.next_hop, tables);
        flows.judge(meta, &decision);
        return Ok(());
    }
    if !decision.wants_session() {
        return Ok(());
    }
    // Another packet of the same burst may have opened the session by now.
    if let Some((session, direction)) = flows.sessions.find_again(slot, &meta.key) {
        (meta.session, meta.direction) = (session, direction);
        flows.renew(meta, meta.next_hop, tables);
        return Ok(());
    }
    // Two forwards to one server: its answers could not be told apart.
    if matches!(decision.plan, Plan::Admit(_))
        && let Some((other, _)) = flows.sessions.find_one(&decision.real.reversed())
    {
        if flows.still_valid(other, tables) {
            return Err(Verdict::Drop(DropReason::NatFiltered));
        }
        // Its own next packet would have ended it.
        flows.close(other, CloseCause::Reconfigured, now);
    }
    if meta.kind == Kind::LaterFragment {
        // Its first fragment opened no session, so it was refused.
        return Err(Verdict::Drop(DropReason::FragmentLimit));
    }
    if meta.key.protocol == protocol::TCP && meta.detail & tcp::CONTROL_AND_ACK != tcp::SYN {
        return Err(Verdict::Drop(DropReason::TcpNotSyn));
    }
    meta.direction = match decision.plan {
        Plan::Admit(_) => Direction::Inbound,
        _ => Direction::Outbound,
    };
    match flows.open(slot, &decision, meta, tables, now) {
        Ok(session) => {
            meta.session = session;
            Ok(())
        }
        Err(reason) => {
            let real = decision.real;
            let inbound = meta.direction == Direction::Inbound;
            flows.refused(reason, &if inbound { real.reversed() } else { real }, now);
            Err(nat::refusal(reason, meta.direction))
        }
    }
}

/// Finds where a packet goes from its key's VRF: sets its next hop and egress, and returns the neighbour's address where the neighbour has
/// no number yet.
///
/// # Errors
/// The verdict about a packet that goes nowhere.
pub fn route(meta: &mut Meta, key: &FlowKey, tables: &Tables) -> Result<Option<IpAddr>, Verdict> {
    let destination = destination(key);
    let (interface, address) = match tables.routes.find(key.vrf, destination) {
        Some(RouteTarget::Local { .. }) => {
            (meta.next_hop, meta.egress) = (NextHopId::LOCAL, InterfaceId::NONE);
            return Ok(None);
        }
        Some(RouteTarget::Connected { interface }) => {
            if is_broadcast(InterfaceId(*interface), destination, tables) {
                return Err(Verdict::Drop(DropReason::Martian)); // RFC 2644
            }
            (*interface, destination)
        }
        Some(RouteTarget::Gateways(gateways)) => {
            let gateway = gateway_of(gateways, key);
            (gateway.interface, gateway.address)
        }
        Some(RouteTarget::Unreachable) => {
            return Err(Verdict::Reject(Rejection::HostUnreachable, DropReason::NoRoute));
        }
        Some(RouteTarget::Discard | RouteTarget::Vrf(_)) => {
            return Err(Verdict::Drop(DropReason::NoRoute));
        }
        None => return Err(Verdict::Reject(Rejection::NetworkUnreachable, DropReason::NoRoute)),
    };
    meta.egress = InterfaceId(interface);
    let known = tables.neighbors.find(meta.egress, address);
    meta.next_hop = known.unwrap_or(NextHopId::NONE);
    Ok(known.is_none().then_some(address))
}

fn is_broadcast(interface: InterfaceId, destination: IpAddr, tables: &Tables) -> bool {
    let IpAddr::V4(destination) = destination else { return false };
    tables.interfaces.find(interface).is_some_and(|interface| interface.is_broadcast(destination))
}

/// Whether the route to a packet's source leads back to where the packet came in, as far as that interface asks (RFC 3704).
pub fn source_is_valid(key: &FlowKey, ingress: InterfaceId, tables: &Tables) -> bool {
    let asks = tables.interfaces.find(ingress).map(|interface| interface.source_validation);
    let strict = match asks {
        None | Some(SourceValidation::Off) => return true,
        Some(SourceValidation::Loose) => false,
        Some(SourceValidation::Strict) => true,
    };
    if is_from_link_local(key) {
        return true; // every link has such neighbours
    }
    match tables.routes.find(key.vrf, address(key.family, &key.source)) {
        None | Some(RouteTarget::Discard | RouteTarget::Unreachable | RouteTarget::Vrf(_)) => false,
        Some(_) if !strict => true,
        Some(RouteTarget::Connected { interface } | RouteTarget::Local { interface }) => {
            *interface == ingress.0
        }
        Some(RouteTarget::Gateways(gateways)) => {
            gateways.iter().any(|gateway| gateway.interface == ingress.0)
        }
    }
}

/// Whether packets that go this way through a session still go to the next hop that was decided: false too where that
/// takes more to tell.
pub fn still_leads(session: &Session, direction: Direction, tables: &Tables) -> bool {
    let id = session.next_hop(direction);
    if id == NextHopId::NONE {
        return true; // nothing was decided
    }
    let Some(hop) = tables.neighbors.next_hop(id) else { return false };
    let key = session.real_key(direction);
    let destination = destination(&key);
    match tables.routes.find(key.vrf, destination) {
        Some(RouteTarget::Connected { interface }) => {
            hop.interface.0 == *interface && hop.address == destination
        }
        Some(RouteTarget::Gateways(gateways)) => {
            let gateway = gateway_of(gateways, &key);
            hop.interface.0 == gateway.interface && hop.address == gateway.address
        }
        _ => false,
    }
}

/// The gateway of a flow: always the same one, so that its packets stay in order.
fn gateway_of<'g>(gateways: &'g [Gateway], key: &FlowKey) -> &'g Gateway {
    let at = (u64::from(flow_hash(key)) * gateways.len() as u64) >> 32;
    &gateways[at as usize]
}

/// Whether an address can only stand in the source of a packet that was made up: one of the VNF's own, or the NAT's.
pub fn is_own_source(key: &FlowKey, tables: &Tables) -> bool {
    is_local(&key.reversed(), tables)
        || key.family == Family::Ipv4
            && tables.nat.is_external(key.source[0])
            && key.vrf == tables.nat.external_vrf()
}

/// Whether a packet is for an address of the NAT: the same address may be another host's in a VRF that does not lead to the
/// external one.
pub fn reaches_nat(key: &FlowKey, tables: &Tables) -> bool {
    if key.family != Family::Ipv4 || !tables.nat.is_external(key.destination[0]) {
        return false;
    }
    let external = tables.nat.external_vrf();
    key.vrf == external
        || match tables.routes.find(key.vrf, destination(key)) {
            Some(RouteTarget::Local { interface } | RouteTarget::Connected { interface }) => {
                tables.vrf(InterfaceId(*interface)) == external
            }
            Some(RouteTarget::Gateways(gateways)) => gateways
                .first()
                .is_some_and(|gateway| tables.vrf(InterfaceId(gateway.interface)) == external),
            Some(RouteTarget::Discard | RouteTarget::Unreachable | RouteTarget::Vrf(_)) | None => {
                false
            }
        }
}

/// Whether a packet comes from an address that is valid on its link only (RFC 4291 2.5.6).
pub fn is_from_link_local(key: &FlowKey) -> bool {
    key.family == Family::Ipv6 && key.source[0] >> 22 == 0xfe80 >> 6
}

/// Whether a packet is for one of the VNF's own addresses.
pub fn is_local(key: &FlowKey, tables: &Tables) -> bool {
    let target = tables.routes.find(key.vrf, destination(key));
    matches!(target, Some(RouteTarget::Local { .. }))
}

/// The destination of a key as an address.
pub fn destination(key: &FlowKey) -> IpAddr {
    address(key.family, &key.destination)
}

/// The words of a key as an address.
pub fn address(family: Family, words: &[u32; 4]) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::from(words[0]).into(),
        Family::Ipv6 => {
            let number = words.iter().fold(0u128, |n, word| n << 32 | u128::from(*word));
            Ipv6Addr::from(number).into()
        }
    }
}

/// A hash that keeps a flow on one of several next hops.
fn flow_hash(key: &FlowKey) -> u32 {
    let ports = u32::from(key.source_port) << 16 | u32::from(key.destination_port);
    let words = key.source.iter().chain(&key.destination).chain([&ports]);
    let mixed = words.fold(u64::from(key.protocol), |hash, word| {
        (hash ^ u64::from(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    });
    // Neighbouring ports and addresses differ in few bits: two more rounds spread them over all.
    let mixed =
        (0..2).fold(mixed, |hash, _| (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93));
    (mixed >> 32) as u32
}
