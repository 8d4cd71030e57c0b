//! The capacity of the session table (RFC 9693), by doubling and bisection.

use serde::Serialize;

use super::establish::{Attempt, Table, attempt, start_over};
use crate::control::HookError;
use crate::engine::Clock;
use crate::finding::{Finding, row};
use crate::measure::Bench;
use crate::rate::Rate;

/// How to search.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Search {
    /// The first number of sessions.
    pub from: u64,
    /// No more than this.
    pub to: u64,
    /// Where to stop: the bounds differ by so many.
    pub error: u64,
    /// First packets per second: a rate that the tested system can do (β of RFC 9693 times its maximum).
    pub rate_pps: f64,
    /// Packets back, as a part of the rate.
    pub back: f64,
}

/// The capacity found.
#[derive(Clone, Debug, Serialize)]
pub struct Capacity {
    /// How it was searched for.
    pub search: Search,
    /// Most sessions that were all established.
    pub sessions: u64,
    /// Fewest that were not; `None`: there was always room.
    pub failed: Option<u64>,
    /// Most sessions that came through in an attempt that failed.
    pub most_opened: u64,
    /// Whether the generator was the limit.
    pub tg_limited: bool,
    /// In their order.
    pub attempts: Vec<Attempt>,
}

/// Searches; the table is emptied before each attempt.
pub fn search<C: Clock>(
    bench: &mut Bench<'_, C>,
    table: &mut impl Table,
    search: Search,
) -> Result<Capacity, HookError> {
    let rate = Rate::per_second(search.rate_pps);
    let (sessions, attempts) = (0, Vec::new());
    let mut found =
        Capacity { search, sessions, failed: None, most_opened: 0, tg_limited: false, attempts };
    let mut next = search.from.clamp(1, search.to);
    loop {
        start_over(bench, table)?;
        let attempt = attempt(bench, next, rate, search.back);
        found.attempts.push(attempt);
        if attempt.passed {
            found.sessions = next;
        } else {
            found.failed = Some(next);
            found.most_opened = found.most_opened.max(attempt.opened.min(attempt.validated));
            found.tg_limited = attempt.tx_short > 0;
        }
        next = match found.failed {
            None if found.sessions >= search.to => break,
            None => (found.sessions * 2).min(search.to),
            Some(failed) if failed - found.sessions <= search.error.max(1) => break,
            Some(failed) => found.sessions + (failed - found.sessions) / 2,
        };
    }
    start_over(bench, table)?;
    Ok(found)
}

impl Finding for Capacity {
    const NAME: &'static str = "nat-capacity";

    fn table(&self) -> Vec<Vec<String>> {
        let mut rows =
            vec![row([&"rate", &"sessions", &"opened", &"back", &"not sent", &"result"])];
        rows.extend(self.attempts.iter().map(Attempt::row));
        let least = if self.failed.is_none() || self.tg_limited { "at least " } else { "" };
        rows.push(vec![format!("capacity {least}{} sessions", self.sessions)]);
        rows
    }

    fn faults(&self) -> Vec<String> {
        let none = self.sessions == 0;
        none.then(|| "no number of sessions all came through".to_owned()).into_iter().collect()
    }

    fn is_tg_limited(&self) -> bool {
        self.tg_limited
    }
}
