//! One attempt to establish so many sessions at such a rate, as RFC 9693 section 4.4 has it: first packets outward, then
//! one packet back through every learned endpoint.

use serde::Serialize;

use crate::control::{Action, HookError, Hooks};
use crate::engine::{Clock, Stage};
use crate::flow::{Direction, Kind, Protocol};
use crate::measure::{Bench, Knock};
use crate::rate::Rate;
use crate::receive::Defects;

/// The tables of the tested system, as far as they can be controlled.
pub trait Table {
    /// Makes it forget all sessions.
    fn flush(&mut self) -> Result<(), HookError>;

    /// How many sessions it has; `None` where it cannot be asked.
    fn sessions(&mut self) -> Result<Option<u64>, HookError>;
}

impl Table for &Hooks {
    fn flush(&mut self) -> Result<(), HookError> {
        self.run(Action::Flush).map(|_| ())
    }

    fn sessions(&mut self) -> Result<Option<u64>, HookError> {
        if !self.have(Action::Stats) {
            return Ok(None);
        }
        Hooks::sessions(self).map(Some)
    }
}

/// What came of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Attempt {
    /// Sessions to establish.
    pub flows: u64,
    /// First packets per second.
    pub rate_pps: f64,
    /// First packets that arrived.
    pub opened: u64,
    /// Packets back that arrived at their own inside endpoints.
    pub validated: u64,
    /// Whether all did, and nothing was translated wrongly.
    pub passed: bool,
    /// Packets that the port did not take: the generator was the limit, not the tested system.
    pub tx_short: u64,
    /// What was wrong with what arrived.
    pub defects: Defects,
}

/// Empties the table, waiting until it is where that can be known, and forgets what was learned.
pub fn start_over<C: Clock>(
    bench: &mut Bench<'_, C>,
    table: &mut impl Table,
) -> Result<(), HookError> {
    table.flush()?;
    let start = bench.clock.now();
    while table.sessions()?.is_some_and(|sessions| sessions > 0)
        && bench.clock.now() - start < EMPTY_NS
    {
        bench.clock.sleep(POLL_NS);
    }
    (0..bench.engine.flows.len() as u32).for_each(|index| bench.engine.flows.forget(index));
    Ok(())
}

/// Opens the first flows of each stream, `flows` in all, with one packet each; then sends one packet back to each at
/// `back` times the rate.
pub fn attempt<C: Clock>(bench: &mut Bench<'_, C>, flows: u64, rate: Rate, back: f64) -> Attempt {
    bench.engine.begin(Stage::Learning);
    let chosen = choose(bench, flows);
    let taken = bench.knock(knocks(bench, &chosen, Direction::Outward), rate, QUIET_NS);
    let mut defects = bench.engine.verifier.counters.defects;
    let opened = bench.engine.verifier.counters.unique[Direction::Outward as usize];
    bench.engine.begin(Stage::Measuring);
    let slower = Rate::per_second(rate.frames_per_second() * back);
    let knocks = knocks(bench, &chosen, Direction::Inward);
    let returning: u64 = knocks.iter().map(|knock| knock.flows.len() as u64).sum();
    let taken_back = bench.knock(knocks, slower, QUIET_NS);
    let counters = bench.engine.verifier.counters;
    defects.add(&counters.defects);
    let validated = counters.unique[Direction::Inward as usize];
    let flows = chosen.iter().map(|flows| flows.len() as u64).sum();
    Attempt {
        flows,
        rate_pps: rate.frames_per_second(),
        opened,
        validated,
        passed: opened == flows
            && validated == flows
            && defects.mistranslated() + defects.corrupted() == 0,
        tx_short: (flows - taken) + returning.saturating_sub(taken_back),
        defects,
    }
}

/// The first flows of each stream, in proportion.
fn choose<C: Clock>(bench: &Bench<'_, C>, flows: u64) -> Vec<Vec<u32>> {
    let all = bench.engine.flows.len() as u64;
    let mut left = flows.min(all);
    let mut after = all;
    let streams = bench.engine.flows.streams().iter().map(|stream| {
        let own = u64::from(stream.flows());
        // What is left is dealt out among what is left of the streams, so that it comes out even.
        let part = (left * own).div_ceil(after.max(1)).min(own);
        (left, after) = (left - part, after - own);
        (stream.first()..stream.first() + part as u32).collect()
    });
    streams.collect()
}

fn knocks<C: Clock>(bench: &Bench<'_, C>, chosen: &[Vec<u32>], direction: Direction) -> Vec<Knock> {
    let flows = &bench.engine.flows;
    let knock = |(stream, list): (usize, &Vec<u32>)| {
        let kind = match (flows.streams()[stream].protocol, direction) {
            (Protocol::Tcp, Direction::Outward) => Kind::Syn,
            (Protocol::Tcp, Direction::Inward) => Kind::SynAck,
            (Protocol::Icmp | Protocol::Udp, _) => Kind::Data,
        };
        let mut list = list.clone();
        if direction == Direction::Inward {
            list.retain(|index| flows.external(*index).is_some());
        }
        Knock { stream, direction, kind, flows: list }
    };
    let knocks = chosen.iter().enumerate().map(knock);
    knocks.filter(|knock| !knock.flows.is_empty()).collect()
}

/// Silence after which nothing more is expected.
const QUIET_NS: u64 = 300_000_000;
/// How long a table may take to become empty, and how often it is asked.
const EMPTY_NS: u64 = 10_000_000_000;
const POLL_NS: u64 = 20_000_000;
