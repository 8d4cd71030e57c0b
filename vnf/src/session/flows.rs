//! All flow state of one worker: sessions, the mappings and hosts behind them, and external ports. Opening and closing
//! keep them in step; nothing is half done.

mod ahead;
mod records;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use dpdk_bindings::memory::Source;

use super::{Decision, NIL, Opening, Plan, Sessions, Timeouts};
use crate::engine::counters::CloseCause;
use crate::engine::ids::{NextHopId, SessionId, Tick};
use crate::engine::mask::{Column, Slot};
use crate::engine::meta::{Direction, FlowKey, Meta};
use crate::engine::record::{Recorded, Recorder};
use crate::engine::tables::Tables;
use crate::engine::verdict::DropReason;
use crate::nat::contacts::Contacts;
use crate::nat::external_ports::ExternalPorts;
use crate::nat::hosts::Hosts;
use crate::nat::leases::Lease;
use crate::nat::mappings::{Afterwards, Mapping, Mappings, NewMapping};
use crate::nat::table::{Endpoint, Internal, InternalEndpoint};
use crate::session::refusals::Refusals;
use crate::session::tcp::TcpState;
use crate::table::Hasher;
use ahead::Ahead;

/// Limits on what one internal host may use (RFC 6888 REQ-4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Sessions.
    pub sessions_per_host: u32,
    /// New sessions per second; 0 for no limit.
    pub new_sessions_per_host: u32,
}

/// What a worker counts of its flows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turnover {
    /// Sessions opened.
    pub opened: u64,
    /// Sessions closed, by [`CloseCause`].
    pub closed: [u64; CloseCause::ALL.len()],
}

/// The flow state of one worker.
pub struct Flows {
    /// The sessions.
    pub sessions: Sessions,
    /// The dynamic mappings.
    pub mappings: Mappings,
    /// The internal hosts with translated sessions.
    pub hosts: Hosts,
    /// The external ports the worker owns.
    pub ports: ExternalPorts,
    /// Whom mappings have sent to; kept where address-dependent filtering asks for it.
    pub contacts: Option<Contacts>,
    /// What was decided so far about the undecided packets of the burst.
    pub decisions: Column<Decision>,
    /// Sessions opened and closed since start.
    pub turnover: Turnover,
    /// Puts translated sessions on record.
    pub recorder: Recorder,
    /// Hosts that got no session.
    pub refusals: Refusals,
    random: SmallRng,
    /// What is known ahead of the burst's new flows.
    ahead: Column<Ahead>,
}

impl Flows {
    /// Room for `capacity` sessions and mappings, and an eighth as many hosts (at least 4,096).
    ///
    /// # Errors
    /// When the memory cannot be reserved.
    pub fn with_capacity(
        capacity: usize,
        hasher: &Hasher,
        ports: ExternalPorts,
        contacts: bool,
        source: Source<'_>,
        now: Tick,
    ) -> dpdk_bindings::Result<Self> {
        let hosts = (capacity / 8).max(4096).min(capacity);
        Ok(Self {
            sessions: Sessions::with_capacity(capacity, hasher.clone(), source, now)?,
            mappings: Mappings::with_capacity(capacity, hasher.clone(), source)?,
            hosts: Hosts::with_capacity(hosts, hasher.clone(), source)?,
            ports,
            contacts: contacts
                .then(|| Contacts::with_capacity(capacity, hasher.clone(), source))
                .transpose()?,
            decisions: Column::default(),
            turnover: Turnover::default(),
            recorder: Recorder::default(),
            refusals: Refusals::default(),
            random: SmallRng::from_rng(&mut rand::rng()),
            ahead: Column::default(),
        })
    }

    /// Spends what a permitted first packet needs: host entry, port, mapping, session.
    ///
    /// # Errors
    /// The reason to drop the packet; everything is as before then.
    pub fn open(
        &mut self,
        slot: Slot,
        decision: &Decision,
        meta: &Meta,
        tables: &Tables,
        now: Tick,
    ) -> Result<SessionId, DropReason> {
        let mut opening = Opening {
            key: decision.real,
            remote_vrf: tables.vrf(meta.egress),
            external: None,
            direction: Direction::Outbound,
            ingress: meta.ingress,
            next_hop: meta.next_hop,
            generation: tables.generation,
            stateless: decision.is_stateless(),
            mapping: NIL,
            host: NIL,
        };
        if decision.plan.translates() {
            self.translate(slot, decision.plan, meta, tables, &mut opening, now)?;
        }
        let places = self.places_of(slot, &opening, decision.plan);
        match self.sessions.open_at(places, &opening, &tables.timeouts, now) {
            Ok(session) => {
                let inbound_refresh = tables.nat.inbound_refresh();
                self.sessions.session_mut(session).set_inbound_refresh(inbound_refresh);
                if opening.mapping != NIL {
                    self.mappings.join(opening.mapping, session.0);
                    self.keep_mapping(session, opening.direction);
                    if let Some(contacts) = &mut self.contacts
                        && opening.direction == Direction::Outbound
                    {
                        // A session more than contacts is impossible: they have as many places.
                        contacts.join(opening.mapping, opening.key.destination[0]);
                    }
                }
                if opening.host != NIL {
                    let host = self.hosts.host_mut(opening.host);
                    host.sessions += 1;
                    let limit = tables.limits.sessions_per_host;
                    self.refusals.watch(host.internal, host.sessions, limit, now);
                }
                self.turnover.opened += 1;
                if self.recorder.sessions() {
                    self.record(session, Recorded::Opened, now);
                }
                Ok(session)
            }
            Err(_) => {
                self.give_up(&opening, now);
                Err(DropReason::NatSessionLimit)
            }
        }
    }

    /// Completes the opening of a translated session: who pays, and through which endpoint it goes.
    fn translate(
        &mut self,
        slot: Slot,
        plan: Plan,
        meta: &Meta,
        tables: &Tables,
        opening: &mut Opening,
        now: Tick,
    ) -> Result<(), DropReason> {
        if let Plan::Admit(mapping) = plan {
            opening.key = opening.key.reversed();
            opening.remote_vrf = meta.key.vrf;
            opening.direction = Direction::Inbound;
            opening.mapping = mapping;
            opening.external = Some((meta.key.destination[0], meta.key.destination_port));
        }
        let internal = (Internal::source_of(&opening.key), opening.key.source_port);
        opening.host = self.admit_host(internal.0, tables, now)?;
        match plan {
            Plan::TranslateFixed(address, port) => opening.external = Some((address, port)),
            Plan::TranslateDynamic => {
                let mapping = self.mapping_for(slot, internal, opening, tables, now);
                opening.mapping =
                    mapping.inspect_err(|_| self.hosts.close_if_idle(opening.host))?;
                opening.external = Some(self.mappings.mapping(opening.mapping).external());
            }
            _ => {}
        }
        Ok(())
    }

    /// The host's entry, if it may have one more session.
    fn admit_host(
        &mut self,
        internal: Internal,
        tables: &Tables,
        now: Tick,
    ) -> Result<u32, DropReason> {
        let limits = &tables.limits;
        let id = self.hosts.find_or_open(internal).ok_or(DropReason::NatSessionLimit)?;
        let host = self.hosts.host_mut(id);
        let rate = limits.new_sessions_per_host;
        if host.sessions >= limits.sessions_per_host
            || (rate > 0 && !host.allowance.take(now.0, rate, rate))
        {
            self.hosts.close_if_idle(id);
            return Err(DropReason::NatHostLimit);
        }
        Ok(id)
    }

    /// The mapping of an internal endpoint, a new one if need be (RFC 4787 REQ-1, RFC 6888 REQ-2).
    fn mapping_for(
        &mut self,
        slot: Slot,
        internal: InternalEndpoint,
        opening: &Opening,
        tables: &Tables,
        now: Tick,
    ) -> Result<u32, DropReason> {
        let protocol = opening.key.protocol;
        let endpoint_independent = tables.nat.endpoint_independent_mapping();
        let ahead = self.ahead[slot];
        if endpoint_independent
            && let Some(id) = self.mappings.of_internal_at(ahead.inside, protocol, internal)
        {
            if self.may_keep(protocol, self.mappings.mapping(id).external(), tables) {
                return Ok(id);
            }
            // Its sessions end one by one; the endpoint's next ones share the mapping opened here.
            self.mappings.hide(id);
        }
        let allocated = self.ports.allocate(
            &tables.nat,
            &mut self.hosts,
            opening.host,
            protocol,
            ahead.draw,
            &mut self.random,
        );
        let external = allocated.ok_or(DropReason::NatPortsExhausted)?;
        let host = opening.host;
        let new = NewMapping { protocol, internal, external, endpoint_independent, host };
        let outside = if ahead.external == Some(external) {
            ahead.outside
        } else {
            self.mappings.prefetch_external(protocol, external)
        };
        let places = [ahead.inside, outside];
        let id = self.mappings.open_at(places, &new).or_else(|| {
            // A live host goes before an endpoint that rests.
            self.free_rested(0, now).then(|| self.mappings.open_at(places, &new))?
        });
        let Some(id) = id else {
            self.ports.give(&mut self.hosts, protocol, external);
            return Err(DropReason::NatSessionLimit);
        };
        self.hosts.host_mut(host).mappings += 1;
        Ok(id)
    }

    /// Takes back what an opening spent that came to nothing.
    fn give_up(&mut self, opening: &Opening, now: Tick) {
        if opening.mapping != NIL && self.mappings.mapping(opening.mapping).sessions() == 0 {
            self.end_mapping(opening.mapping, Afterwards::Free, now);
        }
        if opening.host != NIL {
            self.hosts.close_if_idle(opening.host);
        }
    }

    /// Ends a session and whatever lived for it alone.
    pub fn close(&mut self, id: SessionId, cause: CloseCause, now: Tick) {
        if self.recorder.sessions() {
            self.record(id, Recorded::Closed, now);
        }
        // RFC 6888 REQ-8: an endpoint rests unless TCP's own state machine says that its connection is over.
        let session = self.sessions.session(id);
        let (state, opened_by) = (session.tcp_state(), session.opened_by());
        let remote = session.key(Direction::Outbound).destination[0];
        let clean = cause == CloseCause::TimedOut && state == TcpState::Closing
            || cause == CloseCause::Refused; // nobody has seen it
        let keeps_mapping = session.keeps_mapping();
        let closed = self.sessions.close(id);
        if closed.mapping != NIL
            && opened_by == Direction::Outbound
            && let Some(contacts) = &mut self.contacts
        {
            contacts.leave(closed.mapping, remote);
        }
        let last = closed.mapping != NIL && self.mappings.leave(closed.mapping);
        if closed.mapping != NIL && keeps_mapping {
            self.mappings.unkeep(closed.mapping);
        }
        if last {
            let afterwards = if clean { Afterwards::Free } else { Afterwards::Rest };
            self.end_mapping(closed.mapping, afterwards, now);
        }
        if closed.host != NIL {
            self.hosts.host_mut(closed.host).sessions -= 1;
            self.hosts.close_if_idle(closed.host);
        }
        self.turnover.closed[cause as usize] += 1;
    }

    /// Ends a session that was opened just now and has come to nothing; answers to it would have this key.
    #[cold]
    pub fn take_back(&mut self, answer: &FlowKey, now: Tick) {
        if let Some((id, Direction::Inbound)) = self.sessions.find_one(answer)
            && self.sessions.tally(id, now).is_some_and(|t| t.age_s == 0 && t.packets[1] == 0)
        {
            self.close(id, CloseCause::Refused, now);
        }
    }

    fn end_mapping(&mut self, id: u32, afterwards: Afterwards, now: Tick) {
        let mapping = self.mappings.mapping(id);
        let (protocol, external, host) = (mapping.protocol(), mapping.external(), mapping.host());
        self.mappings.close(id, afterwards, now);
        self.hosts.host_mut(host).mappings -= 1;
        match afterwards {
            // The host itself is looked at by whoever ended its mapping.
            Afterwards::Free => {
                self.ports.give(&mut self.hosts, protocol, external);
            }
            Afterwards::Rest => self.ports.rest(external.0),
        }
    }

    /// Ends what has timed out and frees what has rested long enough: a bounded number of each per call.
    pub fn expire(&mut self, tables: &Tables, now: Tick) {
        let expired = self.sessions.expired::<EXPIRIES>(&tables.timeouts, now);
        for id in expired.clone() {
            self.sessions.prefetch_closing(id);
        }
        for id in expired.clone() {
            self.mappings.prefetch(self.sessions.mapping_of(id));
            self.hosts.prefetch(self.sessions.host_of(id));
        }
        for id in expired.clone() {
            if let Some(mapping) = self.mappings.in_use(self.sessions.mapping_of(id)) {
                self.mappings.prefetch_internal(mapping.protocol(), mapping.internal());
                self.mappings.prefetch_external(mapping.protocol(), mapping.external());
            }
        }
        for id in expired {
            self.close(id, CloseCause::TimedOut, now);
        }
        for _ in 0..EXPIRIES {
            let crowded = self.mappings.resting() > tables.nat.max_held();
            if !self.free_rested(if crowded { 0 } else { tables.nat.reuse_hold_ms() }, now) {
                break;
            }
        }
    }

    /// Frees the endpoint that has rested longest, if that is so many milliseconds; returns whether there was one.
    fn free_rested(&mut self, hold_ms: u32, now: Tick) -> bool {
        let Some((protocol, external)) = self.mappings.rested(hold_ms, now) else { return false };
        if let Some(host) = self.ports.give_rested(&mut self.hosts, protocol, external) {
            self.hosts.close_if_idle(host);
        }
        true
    }

    /// Asks the journal for what will be needed.
    #[inline]
    pub fn tend_ports(&mut self, now: Tick, tell: impl FnMut(Lease)) {
        if self.ports.leases_ports() {
            self.ports.tend(&mut self.random, now, tell);
        }
    }

    /// Installs the ports of a new configuration: endpoints in use or at rest stay taken where they still belong to it.
    /// The old ones are in `ports` afterwards, to be freed elsewhere.
    pub fn adopt_ports(&mut self, ports: &mut ExternalPorts) {
        let mappings = &self.mappings;
        let is_mapped = |protocol, endpoint| mappings.of_external(protocol, endpoint).is_some();
        ports.take_over(&mut self.ports, &mut self.hosts, is_mapped);
        std::mem::swap(&mut self.ports, ports);
    }

    /// Whether a session may go on under these tables as it is translated now.
    pub fn still_valid(&self, id: SessionId, tables: &Tables) -> bool {
        let session = self.sessions.session(id);
        let Some(external) = session.external() else { return true };
        let key = session.real_key(Direction::Outbound);
        let internal = (Internal::source_of(&key), key.source_port);
        if session.vrf(Direction::Inbound) != tables.nat.external_vrf() {
            return false;
        }
        match self.sessions.mapping_of(id) {
            NIL => tables.nat.fixed_internal(key.protocol, external) == Some(internal),
            mapping => {
                let mapping = self.mappings.mapping(mapping);
                !tables.nat.fixes(key.protocol, mapping.internal())
                    && self.may_keep(key.protocol, mapping.external(), tables)
            }
        }
    }

    /// Whether a dynamic mapping may keep its external endpoint: it is the pool's, and this worker's.
    fn may_keep(&self, protocol: u8, external: Endpoint, tables: &Tables) -> bool {
        tables.nat.allows_dynamic(protocol, external) && self.ports.owns(external)
    }

    /// Milliseconds until a mapping ends if nothing comes: those of its latest session.
    pub fn expiry_of(&self, mapping: &Mapping, id: u32, timeouts: &Timeouts, now: Tick) -> u32 {
        let latest = SessionId(mapping.latest_session());
        if latest.index() >= self.sessions.capacity() || self.sessions.mapping_of(latest) != id {
            return 0;
        }
        let session = self.sessions.session(latest);
        timeouts.of(session).saturating_sub(session.idle_ms(now))
    }

    /// Whether a mapping's host has a session of its own to this remote address.
    pub fn has_contact(&self, mapping: u32, remote: u32) -> bool {
        self.contacts.as_ref().is_some_and(|contacts| contacts.contains(mapping, remote))
    }

    /// Memory reserved for all of it, in octets.
    pub fn bytes(&self) -> usize {
        let contacts = self.contacts.as_ref().map_or(0, Contacts::bytes);
        self.sessions.bytes()
            + self.mappings.bytes()
            + self.hosts.bytes()
            + self.ports.bytes()
            + contacts
    }

    /// Remembers whether the rule that permits a flow as it was opened lets replies pass too.
    pub fn judge(&mut self, meta: &Meta, decision: &Decision) {
        let session = self.sessions.session_mut(meta.session);
        if session.opened_by() == meta.direction {
            session.set_stateless(decision.is_stateless());
        }
    }

    /// Remembers a decision in the session.
    pub fn renew(&mut self, meta: &Meta, next_hop: NextHopId, tables: &Tables) {
        let session = self.sessions.session_mut(meta.session);
        session.decide(meta.direction, meta.ingress, next_hop, tables.generation);
        session.set_inbound_refresh(tables.nat.inbound_refresh());
        self.keep_mapping(meta.session, meta.direction);
    }

    /// Notes the first packet through a session that keeps its mapping.
    fn keep_mapping(&mut self, id: SessionId, direction: Direction) {
        let mapping = self.sessions.mapping_of(id);
        let session = self.sessions.session_mut(id);
        if mapping != NIL
            && (direction == Direction::Outbound || session.inbound_refresh())
            && session.keep_mapping()
        {
            self.mappings.keep(mapping);
        }
    }
}

/// Sessions that end, and endpoints that are freed, in one turn at most.
const EXPIRIES: usize = 63;
