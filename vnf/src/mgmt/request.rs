//! What the API asks of the management core, one closed enum; every question carries the place for its answer.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::metrics::MetricsSnapshot;
use super::view::{
    AclRow, Cleared, Drops, Holder, HostRow, MappingRow, MemoryRow, NeighborRow, PoolRow, PortRow,
    ReloadReport, RouteRow, RoutesChanged, RoutesPatch, RunningConfig, SessionRow, Status, Version,
    WorkerRow,
};

/// A question to the management core.
#[derive(Debug)]
pub enum Request {
    /// The access control lists with their counters.
    Acl(Reply<Vec<AclRow>>),
    /// Sets the counters that people read to zero; those of `/metrics` go on.
    ClearCounters(Reply<()>),
    /// Ends the sessions that the filter admits.
    ClearSessions(Filter, Reply<Cleared>),
    /// The configuration that is running.
    Config(Reply<RunningConfig>),
    /// Dropped packets by reason.
    Drops(Reply<Drops>),
    /// Some of the internal hosts.
    Hosts(Page, Reply<Rows<HostRow>>),
    /// Some of the mappings.
    Mappings(Page, Reply<Rows<MappingRow>>),
    /// Tables and packet buffer pools.
    Memory(Reply<Vec<MemoryRow>>),
    /// Everything that `/metrics` shows.
    Metrics(Reply<MetricsSnapshot>),
    /// The neighbours.
    Neighbors(Reply<Vec<NeighborRow>>),
    /// The external ports in use.
    Pool(Reply<Vec<PoolRow>>),
    /// The ports with their counters.
    Ports(Reply<Vec<PortRow>>),
    /// Applies a configuration as a whole, or tells what that would do.
    Reload(Reload, Reply<ReloadReport>),
    /// Changes routes of the API's.
    PatchRoutes(RoutesPatch, Reply<RoutesChanged>),
    /// Some of the routes.
    Routes(Page, Reply<Rows<RouteRow>>),
    /// Some of the sessions.
    Sessions(Page, Reply<Rows<SessionRow>>),
    /// The summary.
    Status(Reply<Status>),
    /// The versions of this program and of DPDK.
    Version(Reply<Version>),
    /// Who holds an external endpoint.
    Who(WhoQuestion, Reply<WhoAnswer>),
    /// The workers with their counters.
    Workers(Reply<Vec<WorkerRow>>),
}

/// A configuration to apply.
#[derive(Clone, Debug)]
pub struct Reload {
    /// The name of the file, for messages and for `show config`.
    pub file: String,
    /// The text of the file.
    pub text: String,
    /// Change nothing, only tell what would change.
    pub dry_run: bool,
}

/// Who holds an external endpoint?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WhoQuestion {
    /// The external endpoint.
    pub external: SocketAddrV4,
    /// The protocol; `None`: TCP, UDP and ICMP.
    pub protocol: Option<Protocol>,
    /// Whether the question is about the past, for which only the configuration and the log are asked.
    pub past: bool,
}

/// What the management core knows of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WhoAnswer {
    /// Those who hold it, or may not yet be followed by others.
    pub holders: Vec<Holder>,
    /// The log, where there may be one.
    pub log: Option<PathBuf>,
    /// What deterministic mappings are computed from now.
    pub parameters: Option<String>,
}

/// A part of a long list: what to show, from where on, and how much of it at most.
#[derive(Clone, Debug)]
pub struct Page {
    /// Which rows are wanted.
    pub filter: Filter,
    /// Where the last page ended.
    pub from: Cursor,
    /// How many rows at most.
    pub limit: usize,
}

/// A place in a long list, meaningful only to who answers; the default is the beginning.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cursor(pub u64);

/// One page of a long list. A page may be short, even empty, and still have a next one.
#[derive(Clone, Debug)]
pub struct Rows<T> {
    /// The rows of this page.
    pub rows: Vec<T>,
    /// Where the next page begins; none at the end.
    pub next: Option<Cursor>,
}

/// Which sessions, mappings or hosts are meant; what is absent admits everything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// The name of the internal host's VRF.
    pub vrf: Option<String>,
    /// The internal host's address.
    pub host: Option<IpAddr>,
    /// The IP protocol.
    pub protocol: Option<Protocol>,
    /// A port (or ICMP query id) of the internal, the external or the remote endpoint.
    pub port: Option<u16>,
}

impl Filter {
    /// Whether a flow or mapping of this protocol between these endpoints is meant.
    pub fn admits(
        &self,
        protocol: u8,
        internal: SocketAddr,
        external: Option<SocketAddr>,
        remote: Option<SocketAddr>,
    ) -> bool {
        self.host.is_none_or(|host| internal.ip() == host)
            && self.protocol.is_none_or(|wanted| wanted.0 == protocol)
            && self.port.is_none_or(|port| {
                [Some(internal), external, remote].iter().flatten().any(|e| e.port() == port)
            })
    }
}

/// An IP protocol number; written `tcp`, `udp`, `icmp`, `icmpv6` or as a number.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Protocol(pub u8);

impl std::str::FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        match NAMES.iter().find(|(name, _)| *name == text) {
            Some((_, number)) => Ok(Self(*number)),
            None => text.parse().map(Self).map_err(|_| UnknownProtocol(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Protocol {
    type Error = UnknownProtocol;

    fn try_from(text: String) -> Result<Self, UnknownProtocol> {
        text.parse()
    }
}

impl From<Protocol> for String {
    fn from(protocol: Protocol) -> Self {
        protocol.to_string()
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A protocol that is neither a known name nor a number up to 255.
#[derive(Debug, Error, Eq, PartialEq)]
#[error("unknown protocol `{0}`: tcp, udp, icmp, icmpv6 or a number from 0 to 255")]
pub struct UnknownProtocol(String);

/// Why the management core did not do what it was asked.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
pub enum Failure {
    /// The configuration is wrong; one line for each error.
    #[error("{0}")]
    Invalid(String),
    /// The change needs a restart; nothing was changed.
    #[error("{0}")]
    NeedsRestart(String),
    /// There is no answer to be had now.
    #[error("{0}")]
    Unavailable(String),
}

/// Where the answer goes. Dropping it tells the asker that none will come.
#[derive(Debug)]
pub struct Reply<T>(oneshot::Sender<Result<T, Failure>>);

impl<T> Reply<T> {
    /// A place for an answer, and where the answer then is.
    pub fn pair() -> (Self, oneshot::Receiver<Result<T, Failure>>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Answers. An asker who has gone away is no error.
    pub fn send(self, answer: T) {
        self.settle(Ok(answer));
    }

    /// Answers, or says why not.
    pub fn settle(self, outcome: Result<T, Failure>) {
        let _ = self.0.send(outcome);
    }
}

/// A handle to ask the management core with; cheap to clone.
#[derive(Clone, Debug)]
pub struct Asker(mpsc::Sender<Request>);

impl Asker {
    /// Asks, and waits for the answer at most [`PATIENCE`].
    pub async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, Failure> {
        let (reply, outcome) = Reply::pair();
        let answer = async {
            let stopping = || Failure::Unavailable("the VNF is stopping".to_owned());
            self.0.send(request(reply)).await.map_err(|_| stopping())?;
            outcome.await.map_err(|_| stopping())?
        };
        tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| {
            let what = "the management core did not answer in time; try again";
            Err(Failure::Unavailable(what.to_owned()))
        })
    }
}

/// A bounded queue of requests: one end asks, the other is the management core's.
pub fn channel() -> (Asker, mpsc::Receiver<Request>) {
    let (sender, receiver) = mpsc::channel(REQUESTS);
    (Asker(sender), receiver)
}

/// How long an asker waits; a reload compiles rule sets meanwhile.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Requests that wait at most; more askers wait for a place.
const REQUESTS: usize = 64;

const NAMES: [(&str, u8); 4] = [("icmp", 1), ("icmpv6", 58), ("tcp", 6), ("udp", 17)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_names_or_numbers() {
        assert_eq!("tcp".parse(), Ok(Protocol(6)));
        assert_eq!("47".parse(), Ok(Protocol(47)));
        assert_eq!(Protocol(58).to_string(), "icmpv6");
        assert_eq!(Protocol(47).to_string(), "47");
        for wrong in ["", "256", "-1", "TCP ", "tcp\0"] {
            assert_eq!(wrong.parse::<Protocol>(), Err(UnknownProtocol(wrong.to_owned())));
        }
    }

    #[test]
    fn a_filter_asks_for_the_internal_host_and_for_any_port() {
        let endpoint = |text: &str| text.parse::<SocketAddr>().expect("an endpoint");
        let internal = endpoint("10.0.0.2:5000");
        let external = Some(endpoint("198.51.100.10:1024"));
        let remote = Some(endpoint("203.0.113.7:53"));
        let admits = |filter: Filter| filter.admits(17, internal, external, remote);
        assert!(admits(Filter::default()));
        assert!(admits(Filter { host: Some(internal.ip()), ..Filter::default() }));
        assert!(!admits(Filter { host: remote.map(|r| r.ip()), ..Filter::default() }));
        for port in [5000, 1024, 53] {
            assert!(admits(Filter { port: Some(port), ..Filter::default() }));
        }
        assert!(!admits(Filter { port: Some(54), ..Filter::default() }));
        assert!(!admits(Filter { protocol: Some(Protocol(6)), ..Filter::default() }));
    }

    #[tokio::test]
    async fn an_asker_learns_that_no_answer_will_come() {
        let (asker, mut requests) = channel();
        let asked = tokio::spawn(async move { asker.ask(Request::Ports).await });
        drop(requests.recv().await);
        let answer = asked.await.expect("the asker ran");
        assert_eq!(answer, Err(Failure::Unavailable("the VNF is stopping".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn an_asker_does_not_wait_for_ever() {
        let (asker, _requests) = channel();
        let answer = asker.ask(Request::Ports).await;
        assert!(matches!(answer, Err(Failure::Unavailable(why)) if why.contains("in time")));
    }
}
