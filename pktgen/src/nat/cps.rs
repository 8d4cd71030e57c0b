//! The maximum connection establishment rate of RFC 9693, by doubling and bisection.

use serde::Serialize;

use super::establish::{Attempt, Table, attempt, start_over};
use crate::control::HookError;
use crate::engine::Clock;
use crate::finding::{Finding, row};
use crate::measure::Bench;
use crate::rate::{Rate, Si};

/// How to search.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Search {
    /// Sessions of each attempt.
    pub flows: u64,
    /// The first rate, per second.
    pub from_pps: f64,
    /// No higher rate than this.
    pub to_pps: f64,
    /// Where to stop: the bounds differ by this part of the upper one.
    pub width: f64,
    /// Packets back, as a part of the rate (α of RFC 9693).
    pub back: f64,
    /// Times that a failed attempt is repeated.
    pub repeat: u32,
}

/// The rate found.
#[derive(Clone, Debug, Serialize)]
pub struct Establishment {
    /// How it was searched for.
    pub search: Search,
    /// The highest rate at which all sessions were established; `None`: at none.
    pub rate_pps: Option<f64>,
    /// The lowest at which some were not; `None`: at none.
    pub failed_pps: Option<f64>,
    /// Whether the generator was the limit: the tested system can do at least that.
    pub tg_limited: bool,
    /// In their order.
    pub attempts: Vec<Attempt>,
}

/// Searches; the table is emptied before each attempt.
pub fn search<C: Clock>(
    bench: &mut Bench<'_, C>,
    table: &mut impl Table,
    search: Search,
) -> Result<Establishment, HookError> {
    let mut found = Establishment {
        search,
        rate_pps: None,
        failed_pps: None,
        tg_limited: false,
        attempts: Vec::new(),
    };
    let mut next = search.from_pps.min(search.to_pps);
    loop {
        let attempt = repeated(bench, table, search, next, &mut found.attempts)?;
        if attempt.passed {
            found.rate_pps = Some(next);
        } else {
            // A generator that cannot keep the rate says nothing about the tested system, but higher rates are no use.
            found.tg_limited = attempt.tx_short > 0;
            found.failed_pps = Some(next);
        }
        next = match (found.rate_pps, found.failed_pps) {
            (Some(low), Some(high)) if high - low <= search.width * high => break,
            (Some(low), Some(high)) => (low + high) / 2.0,
            (Some(low), None) if low >= search.to_pps => break,
            (Some(low), None) => (low * 2.0).min(search.to_pps),
            (None, Some(high)) if high < LEAST_PPS => break,
            (None, _) => next / 4.0,
        };
    }
    found.tg_limited |= found.failed_pps.is_none();
    Ok(found)
}

fn repeated<C: Clock>(
    bench: &mut Bench<'_, C>,
    table: &mut impl Table,
    search: Search,
    rate_pps: f64,
    attempts: &mut Vec<Attempt>,
) -> Result<Attempt, HookError> {
    let rate = Rate::per_second(rate_pps);
    let mut repetitions = 0;
    loop {
        start_over(bench, table)?;
        let attempt = attempt(bench, search.flows, rate, search.back);
        attempts.push(attempt);
        if attempt.passed || repetitions == search.repeat {
            return Ok(attempt);
        }
        repetitions += 1;
    }
}

impl Finding for Establishment {
    const NAME: &'static str = "nat-cps";

    fn table(&self) -> Vec<Vec<String>> {
        let mut rows =
            vec![row([&"rate", &"sessions", &"opened", &"back", &"not sent", &"result"])];
        rows.extend(self.attempts.iter().map(Attempt::row));
        let rate = self.rate_pps.map_or("none".to_owned(), |rate| format!("{}/s", Si(rate)));
        let limit = if self.tg_limited { "at least " } else { "" };
        rows.push(vec![format!("established {limit}{rate}")]);
        rows
    }

    fn faults(&self) -> Vec<String> {
        let none = self.rate_pps.is_none();
        none.then(|| "not all sessions came through at any rate".to_owned()).into_iter().collect()
    }

    fn is_tg_limited(&self) -> bool {
        self.tg_limited
    }
}

impl Attempt {
    /// Its row in a table of attempts.
    pub(super) fn row(&self) -> Vec<String> {
        let defects = self.defects.corrupted() + self.defects.mistranslated();
        let result = match (self.passed, self.tx_short, defects) {
            (true, ..) => "pass".to_owned(),
            (false, 0, 0) => "fail".to_owned(),
            (false, 0, defects) => format!("fail, {defects} defects"),
            (false, ..) => "generator limited".to_owned(),
        };
        let rate = format!("{}/s", Si(self.rate_pps));
        row([&rate, &self.flows, &self.opened, &self.validated, &self.tx_short, &result])
    }
}

/// A rate at which giving up is no mistake.
const LEAST_PPS: f64 = 100.0;
