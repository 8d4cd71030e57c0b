//! How long an idle mapping lives, by asking from outside whether it still does.
//!
//! Each question may refresh its mapping, so each mapping is asked once. Many are opened at a time and asked after
//! different times: a pass takes no longer than the time-out itself and leaves 1/64 of the interval, where bisection
//! would leave half.

use std::fmt;
use std::net::SocketAddrV4;

use serde::Serialize;

use super::Ground;
use crate::engine::Clock;
use crate::finding::{Finding, row};
use crate::frame::{ACK, SYN};
use crate::probe::{Kind, Place, Prober};

/// A state of a session that has a time-out of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// An ICMP query.
    Icmp,
    /// TCP after its handshake.
    TcpEstablished,
    /// TCP after a SYN.
    TcpTransitory,
    /// UDP.
    Udp,
}

impl State {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Udp, Self::Icmp, Self::TcpTransitory, Self::TcpEstablished];

    /// The least that an RFC asks for, in seconds, and where.
    pub fn minimum(self) -> (u32, &'static str) {
        match self {
            Self::Icmp => (60, "RFC 5508 REQ-2"),
            Self::TcpEstablished => (7440, "RFC 5382 REQ-5"),
            Self::TcpTransitory => (240, "RFC 5382 REQ-5"),
            Self::Udp => (120, "RFC 4787 REQ-5"),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Icmp => "icmp",
            Self::TcpEstablished => "tcp established",
            Self::TcpTransitory => "tcp transitory",
            Self::Udp => "udp",
        })
    }
}

/// The time-outs found.
#[derive(Clone, Debug, Serialize)]
pub struct Timeouts {
    /// One for each state asked about.
    pub states: Vec<Timeout>,
}

/// The time-out of one state: between the longest idle time survived and the shortest not survived.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Timeout {
    /// The state.
    pub state: State,
    /// Seconds of idleness after which a mapping still lived; `None`: none could be opened.
    pub alive_s: Option<f64>,
    /// Seconds after which one was gone; `None`: none was within the limit.
    pub expired_s: Option<f64>,
    /// Times that mappings were opened and waited for.
    pub passes: u32,
    /// The least that an RFC asks for, in seconds.
    pub rfc_minimum_s: u32,
}

/// Measures one state, up to `limit` nanoseconds and to `resolution`.
pub fn measure<C: Clock>(
    prober: &mut Prober<'_, C>,
    ground: &mut Ground,
    state: State,
    limit: u64,
    resolution: u64,
) -> Timeout {
    let (mut alive, mut expired, mut bound, mut passes) = (0, None, limit, 0);
    let mut opened = true;
    while expired.is_none_or(|expired| expired - alive > resolution) && alive < limit {
        passes += 1;
        let width = bound - alive;
        let count = width.div_ceil(resolution).clamp(1, PROBES);
        let mut mappings = Vec::new();
        for _ in 0..count {
            mappings.extend(Mapping::open(prober, ground, state));
        }
        if mappings.is_empty() {
            opened = false;
            break;
        }
        let count = mappings.len() as u64;
        let times: Vec<u64> = (1..=count).map(|i| alive + width * i / count).collect();
        let mut found = false;
        for (mapping, idle) in mappings.iter().zip(times) {
            prober.rest_until(mapping.opened + idle);
            if mapping.lives(prober, state) {
                alive = idle;
            } else {
                (expired, bound, found) = (Some(idle), idle, true);
                break;
            }
        }
        // What was gone before lives now: the time-out varies by more than was asked for.
        if !found && expired.is_some() {
            break;
        }
    }
    let seconds = |ns: u64| ns as f64 / 1e9;
    Timeout {
        state,
        alive_s: opened.then(|| seconds(alive)),
        expired_s: expired.map(seconds),
        passes,
        rfc_minimum_s: state.minimum().0,
    }
}

struct Mapping {
    inside: SocketAddrV4,
    external: SocketAddrV4,
    remote: SocketAddrV4,
    opened: u64,
}

impl Mapping {
    fn open<C: Clock>(
        prober: &mut Prober<'_, C>,
        ground: &mut Ground,
        state: State,
    ) -> Option<Self> {
        let (inside, remote) = (ground.fresh(0), ground.remote(0, 7));
        let kind = match state {
            State::Icmp => Kind::Echo,
            State::TcpEstablished | State::TcpTransitory => Kind::Tcp(SYN),
            State::Udp => Kind::Udp,
        };
        let mut opened = prober.now();
        let external = prober.ask(Place::Inside, kind, inside, remote)?.source;
        if state == State::TcpEstablished {
            prober.ask(Place::Outside, Kind::Tcp(SYN | ACK), remote, external)?;
            opened = prober.now();
            prober.ask(Place::Inside, Kind::Tcp(ACK), inside, remote)?;
        }
        Some(Self { inside, external, remote, opened })
    }

    fn lives<C: Clock>(&self, prober: &mut Prober<'_, C>, state: State) -> bool {
        let kind = match state {
            State::Icmp => Kind::EchoReply,
            State::TcpEstablished => Kind::Tcp(ACK),
            State::TcpTransitory => Kind::Tcp(SYN | ACK),
            State::Udp => Kind::Udp,
        };
        let packet = prober.ask(Place::Outside, kind, self.remote, self.external);
        packet.is_some_and(|packet| packet.destination == self.inside)
    }
}

impl Finding for Timeouts {
    const NAME: &'static str = "nat-timeouts";

    fn table(&self) -> Vec<Vec<String>> {
        let mut rows =
            vec![row([&"state", &"lives after", &"gone after", &"passes", &"RFC minimum"])];
        for timeout in &self.states {
            let time = |time: Option<f64>, none: &str| {
                time.map_or(none.to_owned(), |seconds| format!("{seconds:.3} s"))
            };
            let (minimum, rfc) = timeout.state.minimum();
            let below = timeout.expired_s.is_some_and(|expired| expired < f64::from(minimum));
            let note = if below { ", below" } else { "" };
            rows.push(row([
                &timeout.state,
                &time(timeout.alive_s, "no answer"),
                &time(timeout.expired_s, "never within the limit"),
                &timeout.passes,
                &format!("{minimum} s ({rfc}){note}"),
            ]));
        }
        rows
    }

    fn faults(&self) -> Vec<String> {
        // A short time-out is configured, not broken: the table says so.
        let silent = self.states.iter().filter(|timeout| timeout.alive_s.is_none());
        silent.map(|timeout| format!("{}: no mapping could be opened", timeout.state)).collect()
    }
}

/// Mappings of one pass.
const PROBES: u64 = 64;
