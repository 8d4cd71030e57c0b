//! Long lists, a page at a time: what a worker tells of its flows without stopping for longer than a burst.

use std::net::Ipv4Addr;

use super::Worker;
use crate::engine::counters::CloseCause;
use crate::engine::ids::{SessionId, Tick};
use crate::engine::message::{
    BLOCKS, Command, Event, Filter, HostRecord, MappingRecord, Page, SessionRecord, TableUsage,
    Usage,
};
use crate::engine::meta::{Direction, Family, FlowKey};
use crate::forward;
use crate::nat::Internal;
use crate::pipeline::Pipeline;
use crate::session::tcp::TcpState;
use crate::session::timeouts::Timeouts;
use crate::session::{Flows, NIL};

impl Worker {
    /// Fills in what a listing command asks for and sends it back.
    pub(super) fn list(&mut self, command: Command, now: Tick) {
        match command {
            Command::Clear(mut page) => {
                self.clear(&mut page, now);
                self.tell(Event::Cleared(page));
            }
            Command::Inquire(mut inquiry) => {
                self.inquire(&mut inquiry, now);
                self.tell(Event::Found(inquiry));
            }
            Command::ListHosts(mut page) => {
                let (flows, nat) = (&self.pipeline.flows, &self.tables.nat);
                let hosts = &flows.hosts;
                visit(&mut page, hosts.capacity(), |id| {
                    let host = hosts.in_use(id)?;
                    let mut blocks = [(0, 0); BLOCKS];
                    let mut block_count = 0;
                    if host.external != 0 {
                        for ports in flows.ports.blocks_of(nat, host) {
                            if let Some(block) = blocks.get_mut(block_count as usize) {
                                *block = (*ports.start(), *ports.end());
                            }
                            block_count += 1;
                        }
                    }
                    Some(HostRecord {
                        internal: host.internal,
                        external: match host.external {
                            0 => nat.static_external(host.internal).unwrap_or(0),
                            paired => paired,
                        },
                        sessions: host.sessions,
                        mappings: host.mappings,
                        blocks,
                        block_count,
                    })
                });
                self.tell(Event::Hosts(page));
            }
            Command::ListMappings(mut page) => {
                let flows = &self.pipeline.flows;
                let (mappings, timeouts) = (&flows.mappings, &self.tables.timeouts);
                visit(&mut page, mappings.capacity(), |id| {
                    let mapping = mappings.in_use(id)?;
                    Some(MappingRecord {
                        protocol: mapping.protocol(),
                        internal: mapping.internal(),
                        external: mapping.external(),
                        sessions: mapping.sessions(),
                        expires_ms: flows.expiry_of(mapping, id, timeouts, now),
                    })
                });
                self.tell(Event::Mappings(page));
            }
            Command::ListSessions(mut page) => {
                self.list_sessions(&mut page, now);
                self.tell(Event::Sessions(page));
            }
            Command::SurveySessions(mut page) => {
                self.list_sessions(&mut page, now);
                self.tell(Event::Surveyed(page));
            }
            Command::Measure(mut usage) => {
                self.measure(&mut usage);
                self.tell(Event::Measured(usage));
            }
            // Obeyed elsewhere.
            Command::Adopt(..) | Command::Lease(..) | Command::Stop | Command::Transmit(..) => {}
        }
    }

    fn list_sessions(&self, page: &mut Page<SessionRecord>, now: Tick) {
        let (flows, timeouts) = (&self.pipeline.flows, &self.tables.timeouts);
        let capacity = flows.sessions.capacity();
        visit(page, capacity, |id| record(flows, SessionId(id), timeouts, now));
    }

    fn clear(&mut self, page: &mut Page<SessionRecord>, now: Tick) {
        let flows = &mut self.pipeline.flows;
        let (timeouts, filter) = (self.tables.timeouts, page.filter);
        let end = flows.sessions.capacity() as u32;
        let mut cleared = 0;
        while page.from < end && cleared < CLEARED_PER_COMMAND {
            let id = SessionId(page.from);
            page.from += 1;
            let record = record(flows, id, &timeouts, now);
            if record.is_some_and(|record| record.admitted_by(&filter)) {
                flows.close(id, CloseCause::Cleared, now);
                cleared += 1;
            }
            if page.from.is_multiple_of(VISITS) {
                break;
            }
        }
        page.count += u64::from(cleared);
        page.more = page.from < end;
    }

    fn measure(&self, usage: &mut Usage) {
        let flows = &self.pipeline.flows;
        let (sessions, mappings, hosts) = (&flows.sessions, &flows.mappings, &flows.hosts);
        let row = |name, bytes, used, capacity| TableUsage { name, bytes, used, capacity };
        let mappings_used = mappings.len() + mappings.resting();
        usage.tables.clear();
        let rows = [
            row("sessions", sessions.bytes(), sessions.len(), sessions.capacity()),
            row("mappings", mappings.bytes(), mappings_used, mappings.capacity()),
            row("hosts", hosts.bytes(), hosts.len(), hosts.capacity()),
        ];
        let Pipeline { fragments, dispatch, .. } = &self.pipeline;
        let fragments = fragments.usage().into_iter().chain([dispatch.reassembly.usage()]);
        for row in rows.into_iter().chain(fragments) {
            if usage.tables.len() < usage.tables.capacity() {
                usage.tables.push(row);
            }
        }
        usage.ports.clear();
        for row in flows.ports.usage() {
            if usage.ports.len() == usage.ports.capacity() {
                usage.truncated = true;
                break;
            }
            usage.ports.push(row);
        }
    }
}

/// Visits a bounded number of entries and keeps what is there and wanted.
fn visit<R: Row>(page: &mut Page<R>, entries: usize, entry: impl Fn(u32) -> Option<R>) {
    let end = entries as u32;
    let stop = end.min(page.from.saturating_add(VISITS));
    while page.from < stop && page.rows.len() < page.rows.capacity() {
        let row = entry(page.from);
        page.from += 1;
        if let Some(row) = row.filter(|row| row.admitted_by(&page.filter)) {
            page.rows.push(row);
        }
    }
    page.more = page.from < end;
}

/// A row of a list.
trait Row {
    /// Whether the filter wants it.
    fn admitted_by(&self, filter: &Filter) -> bool;
}

impl Row for SessionRecord {
    fn admitted_by(&self, filter: &Filter) -> bool {
        let key = &self.key;
        let internal = forward::address(key.family, &key.source);
        let ports = [Some(key.source_port), Some(key.destination_port), self.external.map(|e| e.1)];
        filter.vrf.is_none_or(|vrf| vrf == key.vrf)
            && filter.host.is_none_or(|host| host == internal)
            && filter.protocol.is_none_or(|protocol| protocol == key.protocol)
            && filter.port.is_none_or(|port| ports.contains(&Some(port)))
    }
}

impl Row for MappingRecord {
    fn admitted_by(&self, filter: &Filter) -> bool {
        let internal = self.internal.0;
        filter.vrf.is_none_or(|vrf| vrf == internal.vrf)
            && filter.host.is_none_or(|host| host == Ipv4Addr::from(internal.address))
            && filter.protocol.is_none_or(|protocol| protocol == self.protocol)
            && filter.port.is_none_or(|port| port == self.internal.1 || port == self.external.1)
    }
}

impl Row for HostRecord {
    fn admitted_by(&self, filter: &Filter) -> bool {
        let mut blocks = self.blocks.iter().take(self.block_count as usize);
        let Internal { vrf, address } = self.internal;
        filter.vrf.is_none_or(|wanted| wanted == vrf)
            && filter.host.is_none_or(|host| host == Ipv4Addr::from(address))
            && filter.port.is_none_or(|p| blocks.any(|(first, last)| (*first..=*last).contains(&p)))
    }
}

fn record(flows: &Flows, id: SessionId, timeouts: &Timeouts, now: Tick) -> Option<SessionRecord> {
    let tally = flows.sessions.tally(id, now)?;
    let session = flows.sessions.session(id);
    let key: FlowKey = session.real_key(Direction::Outbound);
    let external = match tally.mapping {
        NIL => session.external().filter(|_| key.family == Family::Ipv4),
        // A query from outside has an identifier of its own.
        mapping => Some(flows.mappings.mapping(mapping).external()),
    };
    let state = match session.tcp_state() {
        TcpState::None => "active",
        state => state.name(),
    };
    let idle_ms = session.idle_ms(now);
    Some(SessionRecord {
        key,
        external,
        state,
        age_s: tally.age_s,
        idle_ms,
        expires_ms: timeouts.of(session).saturating_sub(idle_ms),
        packets: tally.packets,
        bytes: tally.bytes,
        opened_by: session.opened_by(),
    })
}

/// Entries visited for one command: a few microseconds.
const VISITS: u32 = 512;
/// Sessions ended for one command.
const CLEARED_PER_COMMAND: u32 = 64;
