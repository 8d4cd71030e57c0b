//! A management core for tests: it answers with one sample of each row, and remembers what it was asked.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::api::Api;
use super::client::Client;
use super::metrics::{LinuxRow, MetricsSnapshot};
use super::request::{
    self, Cursor, Failure, Filter, Page, Reload, Reply, Request, Rows, WhoAnswer,
};
use super::socket;
use super::view::{
    Cleared, Drops, Link, ReloadReport, RoutesChanged, RunningConfig, State, Version, samples,
};

/// What the fake was asked, and how it answers.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) filters: Vec<Filter>,
    pub(crate) limits: Vec<usize>,
    pub(crate) reloads: Vec<Reload>,
    pub(crate) counters_cleared: usize,
    pub(crate) starting: bool,
    pub(crate) port_down: bool,
    /// The second page of sessions fails.
    pub(crate) broken_list: bool,
    /// The log of translations.
    pub(crate) log: Option<PathBuf>,
}

/// A fake instance on a socket in a directory of its own.
pub(crate) struct Fake {
    pub(crate) directory: TempDir,
    pub(crate) memory: Arc<Mutex<Memory>>,
    pub(crate) api: Api,
    _claim: socket::Claim,
}

impl Fake {
    /// Starts serving on the runtime of the caller.
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let memory = Arc::new(Mutex::new(Memory::default()));
        let (asker, mut requests) = request::channel();
        let remembered = Arc::clone(&memory);
        tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                answer(&mut remembered.lock().expect("no test panicked with it"), request);
            }
        });
        let api = Api::new(asker, directory.path().join("vnf.toml"));
        let path = directory.path().join("vnf.sock");
        let (claim, listener) = socket::claim(&path).await.expect("a free place");
        tokio::spawn(socket::serve(listener, api.clone().private()));
        Self { directory, memory, api, _claim: claim }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("vnf.sock")
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.socket())
    }
}

fn answer(memory: &mut Memory, request: Request) {
    match request {
        Request::Acl(reply) => reply.send(vec![samples::acl()]),
        Request::ClearCounters(reply) => {
            memory.counters_cleared += 1;
            reply.send(());
        }
        Request::ClearSessions(filter, reply) => {
            memory.filters.push(filter);
            reply.send(Cleared { sessions_ended: 2 });
        }
        Request::Config(reply) => {
            let (file, text) = ("vnf.toml".to_owned(), "[dpdk]\nmain_core = 0\n".to_owned());
            let effective = serde_json::json!({"dpdk": {"main_core": 0}});
            reply.send(RunningConfig { file, text, effective });
        }
        Request::Drops(reply) => reply.send(drops()),
        Request::Hosts(page, reply) => list(memory, page, reply, samples::host),
        Request::Mappings(page, reply) => list(memory, page, reply, samples::mapping),
        Request::Memory(reply) => reply.send(vec![samples::memory()]),
        Request::Metrics(reply) => reply.send(metrics()),
        Request::Neighbors(reply) => reply.send(vec![samples::neighbor()]),
        Request::Pool(reply) => reply.send(vec![samples::pool()]),
        Request::Ports(reply) => {
            let link = if memory.port_down { Link::Down } else { Link::Up };
            reply.send(vec![super::view::PortRow { link, ..samples::port() }]);
        }
        Request::Reload(reload, reply) => {
            let failure = match reload.text.as_str() {
                "wrong" => Some(Failure::Invalid("a:1: x: wrong\na:2: y: wrong".to_owned())),
                "restart" => Some(Failure::NeedsRestart("dpdk.memory: needs a restart".to_owned())),
                _ => None,
            };
            memory.reloads.push(reload);
            let report = ReloadReport {
                sessions_ended: 2,
                changes: vec!["route 10.1.0.0/16 added".to_owned()],
            };
            reply.settle(failure.map_or(Ok(report), Err));
        }
        Request::PatchRoutes(patch, reply) => {
            let (added, removed) = (patch.add.len() as u64, patch.remove.len() as u64);
            reply.send(RoutesChanged { added, removed, ..RoutesChanged::default() });
        }
        Request::Routes(page, reply) => {
            let rows = vec![samples::route()];
            reply.send(Rows { rows: rows.into_iter().take(page.limit).collect(), next: None });
        }
        Request::Sessions(page, reply) if memory.broken_list && page.from != Cursor::default() => {
            reply.settle(Err(Failure::Unavailable("a worker does not answer".to_owned())));
        }
        Request::Sessions(page, reply) => list(memory, page, reply, samples::session),
        Request::Status(reply) => {
            let state = if memory.starting { State::Starting } else { State::Running };
            reply.send(super::view::Status { state, ..samples::status() });
        }
        Request::Version(reply) => reply.send(version()),
        Request::Who(question, reply) => {
            let known = !question.past && question.external.port() == 1024;
            let holders = if known { vec![samples::holder()] } else { Vec::new() };
            reply.send(WhoAnswer { holders, log: memory.log.clone(), parameters: None });
        }
        Request::Workers(reply) => reply.send(vec![samples::worker()]),
    }
}

/// Four rows on three pages, the second of them empty.
fn list<T>(memory: &mut Memory, page: Page, reply: Reply<Rows<T>>, row: fn() -> T) {
    memory.filters.push(page.filter);
    memory.limits.push(page.limit);
    let (count, next) = match page.from.0 {
        0 => (1, Some(Cursor(7))),
        7 => (0, Some(Cursor(9))),
        _ => (3, None),
    };
    reply.send(Rows { rows: (0..count.min(page.limit)).map(|_| row()).collect(), next });
}

fn drops() -> Drops {
    Drops::from([("acl-denied".to_owned(), 7), ("no-route".to_owned(), 0)])
}

fn version() -> Version {
    samples::version()
}

/// A snapshot with one of everything.
pub(crate) fn metrics() -> MetricsSnapshot {
    MetricsSnapshot {
        version: version(),
        ports: vec![samples::port()],
        drops: drops(),
        workers: vec![samples::worker()],
        poll_gaps_s: vec![0.000_25],
        sessions: 3,
        session_limit: 1000,
        sessions_opened: 12,
        sessions_closed: [("timeout".to_owned(), 9)].into(),
        pool: vec![samples::pool(), samples::pool()],
        handovers: vec![super::metrics::Handover { from: 0, to: 1, sent: 77, refused: 3 }],
        memory: vec![samples::memory()],
        neighbors: [("stale".to_owned(), 2)].into(),
        neighbors_refused: 6,
        address_conflicts: 1,
        linux: vec![LinuxRow { port: "lan".to_owned(), to_kernel: 4, from_kernel: 3, lost: 1 }],
        acl: vec![samples::acl()],
        log_records: 40,
        log_records_lost: 4,
        leases_forced: 5,
        journal_errors: 6,
        log_errors: 1,
        reloads_applied: 2,
        reloads_refused: 1,
    }
}
