//! How long the tested system takes to forget its sessions (RFC 9693's tear-down), told to do so or by TCP's FINs.

use serde::Serialize;

use super::establish::{Attempt, Table, attempt, start_over};
use crate::control::HookError;
use crate::engine::{Clock, Stage};
use crate::finding::{Finding, row};
use crate::flow::{Direction, Kind, Protocol};
use crate::measure::{Bench, Knock};
use crate::rate::{Rate, Si};

/// The tear-down of all sessions at once.
#[derive(Clone, Debug, Serialize)]
pub struct Teardown {
    /// How they were established.
    pub attempt: Attempt,
    /// Sessions that the tested system said it had; `None` where it cannot be asked.
    pub sessions: Option<u64>,
    /// Seconds that the command took.
    pub command_s: f64,
    /// Seconds from the command's start until the tested system said that it had none.
    pub empty_s: Option<f64>,
    /// Sessions torn down per second.
    pub rate_per_s: f64,
    /// Packets into torn-down mappings that arrived nevertheless.
    pub survivors: u64,
    /// FIN exchanges of TCP connections, where there were any.
    pub fin: Option<Fin>,
}

/// Connections closed by their ends.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Fin {
    /// Connections with a whole handshake.
    pub connections: u64,
    /// FINs per second of each direction.
    pub rate_pps: f64,
    /// FINs outward that arrived.
    pub outward: u64,
    /// FINs back that arrived.
    pub inward: u64,
}

/// Establishes sessions at a rate, closes the TCP connections among them by FINs, then has all torn down.
pub fn measure<C: Clock>(
    bench: &mut Bench<'_, C>,
    table: &mut impl Table,
    flows: u64,
    rate: Rate,
) -> Result<Teardown, HookError> {
    start_over(bench, table)?;
    let attempt = attempt(bench, flows, rate, 1.0);
    let sessions = table.sessions()?;
    let fin = close(bench, rate);
    let start = bench.clock.now();
    table.flush()?;
    let command_s = seconds(bench.clock.now() - start);
    let mut empty_s = None;
    while bench.clock.now() - start < LIMIT_NS {
        match table.sessions()? {
            Some(0) => {
                empty_s = Some(seconds(bench.clock.now() - start));
                break;
            }
            Some(_) => bench.clock.sleep(POLL_NS),
            None => break,
        }
    }
    bench.engine.begin(Stage::Measuring);
    let back = reachable(bench, Direction::Inward, |_| Some(Kind::Data));
    bench.knock(back, rate, QUIET_NS);
    let survivors = bench.engine.verifier.counters.unique[Direction::Inward as usize];
    let took = empty_s.unwrap_or(command_s);
    let rate_per_s = if took > 0.0 { attempt.flows as f64 / took } else { 0.0 };
    Ok(Teardown { attempt, sessions, command_s, empty_s, rate_per_s, survivors, fin })
}

/// The rest of the handshake and a FIN each way, on every TCP flow.
fn close<C: Clock>(bench: &mut Bench<'_, C>, rate: Rate) -> Option<Fin> {
    let only = |wanted: Kind| move |protocol| (protocol == Protocol::Tcp).then_some(wanted);
    let mut step = |direction, kind| {
        bench.engine.begin(Stage::Learning);
        let knocks = reachable(bench, direction, only(kind));
        bench.knock(knocks, rate, QUIET_NS);
        bench.engine.verifier.counters.unique[direction as usize]
    };
    // SYN and SYN-ACK were the attempt's.
    let connections = step(Direction::Outward, Kind::Ack);
    let outward = step(Direction::Outward, Kind::Fin);
    let inward = step(Direction::Inward, Kind::Fin);
    step(Direction::Outward, Kind::Ack);
    let rate_pps = rate.frames_per_second();
    (connections > 0).then_some(Fin { connections, rate_pps, outward, inward })
}

fn reachable<C: Clock>(
    bench: &Bench<'_, C>,
    direction: Direction,
    kind: impl Fn(Protocol) -> Option<Kind>,
) -> Vec<Knock> {
    let flows = &bench.engine.flows;
    let knocks = flows.streams().iter().enumerate().filter_map(|(stream, own)| {
        let kind = kind(own.protocol)?;
        let flows = flows.reachable(stream);
        (!flows.is_empty()).then_some(Knock { stream, direction, kind, flows })
    });
    knocks.collect()
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

impl Finding for Teardown {
    const NAME: &'static str = "nat-teardown";

    fn table(&self) -> Vec<Vec<String>> {
        let count = |count: Option<u64>| count.map_or("not known".to_owned(), |n| n.to_string());
        let empty = self.empty_s.map_or("not known".to_owned(), |s| format!("{:.1} ms", s * 1e3));
        let mut rows = vec![
            row([&"established", &format!("{} of {}", self.attempt.opened, self.attempt.flows)]),
            row([&"sessions told", &count(self.sessions)]),
        ];
        if let Some(fin) = self.fin {
            let Fin { connections, outward, inward, rate_pps } = fin;
            let rate = Si(rate_pps);
            let text =
                format!("{outward} out, {inward} back of {connections} connections, {rate}/s");
            rows.push(row([&"closed by FIN", &text]));
        }
        rows.extend([
            row([&"command took", &format!("{:.1} ms", self.command_s * 1e3)]),
            row([&"empty after", &empty]),
            row([&"torn down", &format!("{}/s", Si(self.rate_per_s))]),
            row([&"still translated", &self.survivors]),
        ]);
        rows
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.attempt.passed {
            faults.push("not all sessions were established".to_owned());
        }
        if self.sessions.is_some() && self.empty_s.is_none() {
            faults.push("the table did not become empty".to_owned());
        }
        if self.survivors > 0 {
            faults.push(format!("{} mappings were translated after the flush", self.survivors));
        }
        if let Some(fin) = self.fin.filter(|fin| fin.outward.min(fin.inward) < fin.connections) {
            let lost = 2 * fin.connections - fin.outward - fin.inward;
            faults.push(format!("{lost} FINs were lost"));
        }
        faults
    }

    fn is_tg_limited(&self) -> bool {
        self.attempt.tx_short > 0
    }
}

const QUIET_NS: u64 = 300_000_000;
const LIMIT_NS: u64 = 60_000_000_000;
const POLL_NS: u64 = 1_000_000;
