//! Long lists out of the workers: which of them are under way, and whom to answer when a page comes back.
//!
//! A worker answers a page after visiting a bounded number of entries, found or not; a page for the API is asked for again
//! until it is full or the worker has no more. Workers answer in the order in which they were asked.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::request::{Cursor, Failure, Filter, Page, Protocol, Reply, Rows};
use super::view::{Cleared, HostRow, MappingKind, MappingRow, SessionRow};
use crate::config::VrfNames;
use crate::engine::ids::{VrfId, WorkerId};
use crate::engine::message::{self, Command, HostRecord, MappingRecord, Rings, SessionRecord};
use crate::forward;

/// One kind of list. `R` is what workers tell, `T` what the API shows.
pub struct List<R, T> {
    command: fn(Box<message::Page<R>>) -> Command,
    row: fn(WorkerId, &R, &VrfNames) -> T,
    vrfs: VrfNames,
    /// Lists under way at each worker, the oldest question first.
    waiting: Vec<VecDeque<Waiting<T>>>,
}

struct Waiting<T> {
    rows: Vec<T>,
    /// The row where the worker has none.
    otherwise: Option<T>,
    limit: usize,
    reply: Reply<Rows<T>>,
}

impl<R, T> List<R, T> {
    fn new(
        workers: usize,
        command: fn(Box<message::Page<R>>) -> Command,
        row: fn(WorkerId, &R, &VrfNames) -> T,
        vrfs: &VrfNames,
    ) -> Self {
        let vrfs = vrfs.clone();
        Self { command, row, vrfs, waiting: (0..workers).map(|_| VecDeque::new()).collect() }
    }

    /// Whether a worker was asked that has not answered.
    pub fn is_busy(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.is_empty())
    }

    /// Begins a page of the list at the worker that its cursor names.
    pub fn begin(&mut self, rings: &[Arc<Rings>], page: Page, reply: Reply<Rows<T>>) {
        self.begin_after(Vec::new(), rings, page, reply);
    }

    /// Begins a page of the list behind rows that are known already.
    pub fn begin_after(
        &mut self,
        rows: Vec<T>,
        rings: &[Arc<Rings>],
        page: Page,
        reply: Reply<Rows<T>>,
    ) {
        let waiting = Waiting { rows, otherwise: None, limit: page.limit, reply };
        self.start(rings, page, waiting);
    }

    /// Begins a page of the list; `otherwise` is its row where the worker has none.
    pub fn begin_or(
        &mut self,
        otherwise: Option<T>,
        rings: &[Arc<Rings>],
        page: Page,
        reply: Reply<Rows<T>>,
    ) {
        let waiting = Waiting { rows: Vec::new(), otherwise, limit: page.limit, reply };
        self.start(rings, page, waiting);
    }

    fn start(&mut self, rings: &[Arc<Rings>], page: Page, waiting: Waiting<T>) {
        let (worker, from) = place(page.from);
        if worker.index() >= rings.len() {
            return waiting.reply.send(Rows { rows: waiting.rows, next: None });
        }
        let filter = match filter(&page.filter, &self.vrfs) {
            Ok(filter) => filter,
            Err(failure) => return waiting.reply.settle(Err(failure)),
        };
        self.ask(rings, worker, from, filter, waiting);
    }

    /// Takes what a worker found, and asks on or answers.
    pub fn found(&mut self, rings: &[Arc<Rings>], worker: WorkerId, page: &message::Page<R>) {
        let queue = self.waiting.get_mut(worker.index());
        let Some(mut waiting) = queue.and_then(VecDeque::pop_front) else { return };
        waiting.rows.extend(page.rows.iter().map(|record| (self.row)(worker, record, &self.vrfs)));
        if page.more && waiting.rows.len() < waiting.limit {
            return self.ask(rings, worker, page.from, page.filter, waiting);
        }
        if !page.more && waiting.rows.is_empty() {
            waiting.rows.extend(waiting.otherwise.take());
        }
        let next = match page.more {
            true => Some(cursor(worker, page.from)),
            false if worker.index() + 1 < rings.len() => Some(cursor(WorkerId(worker.0 + 1), 0)),
            false => None,
        };
        waiting.reply.send(Rows { rows: waiting.rows, next });
    }

    fn ask(
        &mut self,
        rings: &[Arc<Rings>],
        worker: WorkerId,
        from: u32,
        filter: message::Filter,
        waiting: Waiting<T>,
    ) {
        let room = waiting.limit.saturating_sub(waiting.rows.len()).min(ROWS);
        let page = message::Page::new(from, filter, room);
        match rings[worker.index()].commands.push((self.command)(page)) {
            Ok(()) => self.waiting[worker.index()].push_back(waiting),
            Err(_) => waiting.reply.settle(Err(busy(worker))),
        }
    }
}

/// All lists of an instance.
pub struct Lists {
    /// `show hosts`.
    pub hosts: List<HostRecord, HostRow>,
    /// `show mappings`, the dynamic ones.
    pub mappings: List<MappingRecord, MappingRow>,
    /// `show sessions`.
    pub sessions: List<SessionRecord, SessionRow>,
    /// `clear sessions`.
    pub clears: Clears,
}

impl Lists {
    /// Nothing under way at this many workers.
    pub fn new(workers: usize, vrfs: &VrfNames) -> Self {
        Self {
            hosts: List::new(workers, Command::ListHosts, host_row, vrfs),
            mappings: List::new(workers, Command::ListMappings, mapping_row, vrfs),
            sessions: List::new(workers, Command::ListSessions, session_row, vrfs),
            clears: Clears { vrfs: vrfs.clone(), waiting: VecDeque::new() },
        }
    }

    /// Whether a worker was asked that has not answered, so that its answer is worth a quick look.
    pub fn is_busy(&self) -> bool {
        self.hosts.is_busy()
            || self.mappings.is_busy()
            || self.sessions.is_busy()
            || self.clears.is_busy()
    }
}

/// The `clear sessions` under way: one after the other, and each at one worker after the other.
pub struct Clears {
    vrfs: VrfNames,
    waiting: VecDeque<Clear>,
}

struct Clear {
    filter: message::Filter,
    ended: u64,
    reply: Reply<Cleared>,
}

impl Clears {
    fn is_busy(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Ends what the filter admits, once those who asked before have been served.
    pub fn begin(&mut self, rings: &[Arc<Rings>], admits: Filter, reply: Reply<Cleared>) {
        let filter = match filter(&admits, &self.vrfs) {
            Ok(filter) => filter,
            Err(failure) => return reply.settle(Err(failure)),
        };
        self.waiting.push_back(Clear { filter, ended: 0, reply });
        if self.waiting.len() == 1 {
            self.start(rings);
        }
    }

    /// Takes what a worker ended, and asks on or answers.
    pub fn found(
        &mut self,
        rings: &[Arc<Rings>],
        worker: WorkerId,
        mut page: Box<message::Page<SessionRecord>>,
    ) {
        let Some(clear) = self.waiting.front_mut() else { return };
        clear.ended += std::mem::take(&mut page.count);
        if page.more {
            return self.ask(rings, worker, page);
        }
        let next = WorkerId(worker.0 + 1);
        if next.index() < rings.len() {
            let page = message::Page::new(0, page.filter, 0);
            return self.ask(rings, next, page);
        }
        if let Some(done) = self.waiting.pop_front() {
            done.reply.send(Cleared { sessions_ended: done.ended });
        }
        self.start(rings);
    }

    fn start(&mut self, rings: &[Arc<Rings>]) {
        if let Some(clear) = self.waiting.front() {
            let page = message::Page::new(0, clear.filter, 0);
            self.ask(rings, WorkerId(0), page);
        }
    }

    fn ask(
        &mut self,
        rings: &[Arc<Rings>],
        worker: WorkerId,
        page: Box<message::Page<SessionRecord>>,
    ) {
        if rings[worker.index()].commands.push(Command::Clear(page)).is_err() {
            if let Some(clear) = self.waiting.pop_front() {
                clear.reply.settle(Err(busy(worker)));
            }
            self.start(rings);
        }
    }
}

fn busy(worker: WorkerId) -> Failure {
    Failure::Unavailable(format!("worker {} has too much to do; try again", worker.0))
}

impl Cursor {
    /// Where a worker's entries begin.
    pub fn first(worker: WorkerId) -> Self {
        cursor(worker, 0)
    }
}

/// A worker and the entry to go on with, as one number for the asker to keep.
fn cursor(worker: WorkerId, from: u32) -> Cursor {
    Cursor(u64::from(worker.0) << 32 | u64::from(from))
}

fn place(cursor: Cursor) -> (WorkerId, u32) {
    (WorkerId((cursor.0 >> 32) as u8), cursor.0 as u32)
}

/// The same with numbers for names.
fn filter(filter: &Filter, vrfs: &VrfNames) -> Result<message::Filter, Failure> {
    let Filter { vrf, host, protocol, port } = filter;
    let find = |name: &String| {
        let found = vrfs.find(name).map(|vrf| VrfId(vrf as u8));
        found.ok_or_else(|| {
            let known = vrfs.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            Failure::Invalid(format!("vrf: no VRF `{name}`; there are: {known}"))
        })
    };
    let vrf = vrf.as_ref().map(find).transpose()?;
    Ok(message::Filter { vrf, host: *host, protocol: protocol.map(|p| p.0), port: *port })
}

fn session_row(worker: WorkerId, record: &SessionRecord, vrfs: &VrfNames) -> SessionRow {
    let key = &record.key;
    let endpoint =
        |words, port| SocketAddr::new(forward::address(key.family, words), port).to_string();
    let [packets_out, packets_in] = record.packets;
    let [bytes_out, bytes_in] = record.bytes;
    SessionRow {
        protocol: Protocol(key.protocol).to_string(),
        internal: endpoint(&key.source, key.source_port),
        external: record.external.map(ipv4),
        remote: endpoint(&key.destination, key.destination_port),
        state: record.state.to_owned(),
        age_s: record.age_s.into(),
        idle_s: (record.idle_ms / 1000).into(),
        expires_s: record.expires_ms.div_ceil(1000).into(),
        packets_out,
        bytes_out,
        packets_in,
        bytes_in,
        worker: worker.index(),
        vrf: vrfs.name(key.vrf.index()).to_owned(),
    }
}

fn mapping_row(worker: WorkerId, record: &MappingRecord, vrfs: &VrfNames) -> MappingRow {
    let (internal, port) = record.internal;
    MappingRow {
        protocol: Protocol(record.protocol).to_string(),
        internal: ipv4((internal.address, port)),
        external: ipv4(record.external),
        kind: MappingKind::Dynamic,
        sessions: record.sessions.into(),
        expires_s: Some(record.expires_ms.div_ceil(1000).into()),
        worker: worker.index(),
        vrf: vrfs.name(internal.vrf.index()).to_owned(),
    }
}

fn host_row(_: WorkerId, record: &HostRecord, vrfs: &VrfNames) -> HostRow {
    let count = record.block_count as usize;
    let known = record.blocks.iter().take(count).map(|(first, last)| format!("{first}-{last}"));
    let more = count.checked_sub(record.blocks.len()).filter(|more| *more > 0);
    HostRow {
        internal: Ipv4Addr::from(record.internal.address).to_string(),
        external: Ipv4Addr::from(record.external).to_string(),
        sessions: record.sessions.into(),
        mappings: record.mappings.into(),
        blocks: known.chain(more.map(|more| format!("and {more} more"))).collect(),
        vrf: vrfs.name(record.internal.vrf.index()).to_owned(),
    }
}

fn ipv4((address, port): (u32, u16)) -> String {
    SocketAddr::new(IpAddr::V4(address.into()), port).to_string()
}

/// Rows for which a worker is given room at once.
const ROWS: usize = 512;

#[cfg(test)]
mod tests;
