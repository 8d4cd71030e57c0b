//! What management and workers say to each other: closed sets of words on bounded rings.

use std::net::IpAddr;
use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use dpdk_bindings::mbuf::Mbuf;

use super::ids::{InterfaceId, PortId, VrfId};
use super::meta::Direction;
use super::record::{RECORDS, Record};
use super::tables::Tables;
use crate::acl::RuleMatch;
use crate::engine::meta::FlowKey;
use crate::nat::ExternalPorts;
use crate::nat::external_ports::AddressUsage;
use crate::nat::leases::Lease;
use crate::nat::table::{Internal, InternalEndpoint};
use crate::session::refusals::{Nearing, Refusal};
use crate::wire::ethernet::MacAddr;

/// What the management core asks of a worker.
pub enum Command {
    /// Use these tables from the next burst on, and these external ports if the pool changed.
    Adopt(Arc<Tables>, Option<Box<ExternalPorts>>),
    /// End the sessions on a page that the page's filter admits.
    Clear(Box<Page<SessionRecord>>),
    /// Tell who holds an external endpoint, or held it until lately.
    Inquire(Box<Inquiry>),
    /// Hand out these ports: the journal has them.
    Lease(Lease),
    /// Fill in the hosts of a page.
    ListHosts(Box<Page<HostRecord>>),
    /// Fill in the mappings of a page.
    ListMappings(Box<Page<MappingRecord>>),
    /// Fill in the sessions of a page.
    ListSessions(Box<Page<SessionRecord>>),
    /// Tell how the tables and external ports are used; into memory that management made.
    Measure(Box<Usage>),
    /// Stop polling.
    Stop,
    /// Fill in the sessions of a page that management itself looks at.
    SurveySessions(Box<Page<SessionRecord>>),
    /// Send a frame that management made.
    Transmit(Mbuf, PortId),
}

/// What a worker tells the management core.
pub enum Event {
    /// Somebody else has one of our addresses.
    AddressClaimed(Claim),
    /// The sessions of a page were ended.
    Cleared(Box<Page<SessionRecord>>),
    /// Who holds an external endpoint, as far as was looked.
    Found(Box<Inquiry>),
    /// A page of hosts.
    Hosts(Box<Page<HostRecord>>),
    /// These ports are to be put on record, or struck off it.
    Lease(Lease),
    /// A page of mappings.
    Mappings(Box<Page<MappingRecord>>),
    /// How the tables are used.
    Measured(Box<Usage>),
    /// A host has a good part of the sessions it may have.
    Nearing(Nearing),
    /// A neighbour said which MAC address it has.
    NeighborSeen(Sighting),
    /// A packet was sent to a neighbour that is stale.
    NeighborUsed(InterfaceId, IpAddr),
    /// A host got no session.
    Refused(Refusal),
    /// What this worker no longer uses, sent home to be freed.
    Retired(Arc<Tables>, Option<Box<ExternalPorts>>),
    /// A rule with `log` decided about a packet.
    RuleMatched(RuleMatch),
    /// A page of sessions.
    Sessions(Box<Page<SessionRecord>>),
    /// The worker polls no more.
    Stopped,
    /// A page of sessions that management itself looks at.
    Surveyed(Box<Page<SessionRecord>>),
    /// A packet waits for this neighbour.
    Unresolved(InterfaceId, IpAddr),
}

/// A neighbour's own word on its MAC address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// Where it is.
    pub interface: InterfaceId,
    /// Its address.
    pub address: IpAddr,
    /// Its MAC address.
    pub mac: MacAddr,
    /// On which occasion it said so.
    pub word: Word,
}

/// How a neighbour came to name its MAC address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Word {
    /// It asked for one of our addresses.
    Asked,
    /// It told.
    Told {
        /// Because it was asked.
        solicited: bool,
        /// Whether this replaces another MAC address that is known (RFC 4861 4.4, override flag).
        overrides: bool,
    },
}

/// Somebody else uses one of our addresses, or is about to (RFC 4862 5.4, RFC 5227 2.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Claim {
    /// Where.
    pub interface: InterfaceId,
    /// Which address.
    pub address: IpAddr,
    /// Whose frame said so.
    pub mac: MacAddr,
}

/// A part of a long list. The worker fills the rows up to their capacity and visits a bounded number of entries.
pub struct Page<R> {
    /// The first entry to visit; afterwards the first one not visited.
    pub from: u32,
    /// Whether entries were left unvisited.
    pub more: bool,
    /// Which rows are wanted.
    pub filter: Filter,
    /// What was found; its capacity is the limit.
    pub rows: Vec<R>,
    /// How many were ended, for [`Command::Clear`].
    pub count: u64,
}

impl<R> Page<R> {
    /// An empty page for at most `rows` rows.
    pub fn new(from: u32, filter: Filter, rows: usize) -> Box<Self> {
        Box::new(Self { from, more: false, filter, rows: Vec::with_capacity(rows), count: 0 })
    }
}

/// Which sessions, mappings or hosts are meant; what is absent admits everything.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// The internal host's VRF.
    pub vrf: Option<VrfId>,
    /// The internal host's address.
    pub host: Option<IpAddr>,
    /// The IP protocol.
    pub protocol: Option<u8>,
    /// A port (or query identifier) of any endpoint.
    pub port: Option<u16>,
}

/// One session, as a list tells of it.
#[derive(Clone, Copy, Debug)]
pub struct SessionRecord {
    /// The flow from its internal side, untranslated.
    pub key: FlowKey,
    /// The external endpoint where it is translated.
    pub external: Option<(u32, u16)>,
    /// The name of its state.
    pub state: &'static str,
    /// Seconds since it was opened.
    pub age_s: u32,
    /// Milliseconds since the last packet that kept it alive.
    pub idle_ms: u32,
    /// Milliseconds until it ends if nothing comes.
    pub expires_ms: u32,
    /// Packets by [`Direction`].
    pub packets: [u64; 2],
    /// Octets of IP packets by [`Direction`].
    pub bytes: [u64; 2],
    /// Which way it was opened.
    pub opened_by: Direction,
}

/// One dynamic mapping, as a list tells of it.
#[derive(Clone, Copy, Debug)]
pub struct MappingRecord {
    /// IP protocol number.
    pub protocol: u8,
    /// The internal endpoint.
    pub internal: InternalEndpoint,
    /// The external endpoint.
    pub external: (u32, u16),
    /// Sessions through it.
    pub sessions: u32,
    /// Milliseconds until it ends if nothing comes, as far as its latest session tells.
    pub expires_ms: u32,
}

/// One internal host, as a list tells of it.
#[derive(Clone, Copy, Debug)]
pub struct HostRecord {
    /// Who it is.
    pub internal: Internal,
    /// The external address it is paired with; zero without dynamic mappings.
    pub external: u32,
    /// Its translated sessions.
    pub sessions: u32,
    /// Its dynamic mappings.
    pub mappings: u32,
    /// The first and the last port of what is set apart for it, as far as there is room.
    pub blocks: [(u16, u16); BLOCKS],
    /// How many such blocks there are.
    pub block_count: u32,
}

/// How one table is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TableUsage {
    /// Its name.
    pub name: &'static str,
    /// Octets reserved.
    pub bytes: usize,
    /// Entries in use.
    pub used: usize,
    /// Entries there are.
    pub capacity: usize,
}

/// How a worker's tables are used. The vectors have room made by management.
#[derive(Default)]
pub struct Usage {
    /// The tables.
    pub tables: Vec<TableUsage>,
    /// The external addresses.
    pub ports: Vec<AddressUsage>,
    /// Whether more addresses exist than the vector had room for.
    pub truncated: bool,
}

/// Who holds an external endpoint? The worker fills in what it finds, and visits a bounded number of entries.
pub struct Inquiry {
    /// Which question this belongs to.
    pub number: u64,
    /// The endpoint.
    pub external: (u32, u16),
    /// The protocols of interest.
    pub protocols: Vec<u8>,
    /// The first entry to visit; afterwards the first one not visited.
    pub from: u32,
    /// Whether entries were left unvisited.
    pub more: bool,
    /// The holders; its capacity is that of `protocols` at least.
    pub holders: Vec<HolderRecord>,
}

/// Who holds an external endpoint, or held it until lately.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HolderRecord {
    /// IP protocol number.
    pub protocol: u8,
    /// The internal endpoint.
    pub internal: InternalEndpoint,
    /// Milliseconds for which the endpoint still rests; `None`: the mapping is in use.
    pub rests_ms: Option<u32>,
}

/// The rings between management and one worker.
pub struct Rings {
    /// Management writes, the worker reads.
    pub commands: ArrayQueue<Command>,
    /// The worker writes, management reads.
    pub events: ArrayQueue<Event>,
    /// Packets for services on the box: the worker writes, the exception path reads.
    pub exceptions: ArrayQueue<(Mbuf, InterfaceId)>,
    /// Frames from services on the box: the exception path writes, the worker reads.
    pub injections: ArrayQueue<(Mbuf, PortId)>,
    /// The worker writes, the log of translations reads.
    pub records: ArrayQueue<Record>,
}

impl Rings {
    /// Empty rings.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            commands: ArrayQueue::new(COMMANDS),
            events: ArrayQueue::new(EVENTS),
            exceptions: ArrayQueue::new(EXCEPTIONS),
            injections: ArrayQueue::new(EXCEPTIONS),
            records: ArrayQueue::new(RECORDS),
        })
    }
}

/// Blocks that the record of a host has room for.
pub const BLOCKS: usize = 16;
const COMMANDS: usize = 1024;
const EVENTS: usize = 4096;
/// Packets on their way to services on the box, and from them.
pub const EXCEPTIONS: usize = 512;
