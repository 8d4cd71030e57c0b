//! What is known of each neighbour, and when it is asked: the state machine of RFC 4861 7.3, which serves ARP too (RFC 1122
//! 2.3.2). Bounded, so that nobody is forgotten because somebody scans a link (RFC 6583).

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::engine::ids::InterfaceId;
use crate::engine::message::{Sighting, Word};
use crate::neighbor::NeighborTable;
use crate::wire::ethernet::MacAddr;

/// Where a neighbour is, and its address.
pub(in crate::mgmt::control) type Key = (InterfaceId, IpAddr);

/// A neighbour whose MAC address is known.
#[derive(Clone, Copy, Debug)]
struct Neighbor {
    mac: MacAddr,
    state: State,
    /// When the state began, or the last question of `Probe` was sent.
    since: Instant,
}

/// The states of RFC 4861 7.3.2; `Incomplete` is a map of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Used after it was confirmed too long ago: asked if nothing confirms it soon.
    Delay,
    /// Being asked, so many times so far.
    Probe(u8),
    /// Confirmed.
    Reachable,
    /// Not confirmed of late, and not used.
    Stale,
    /// From the configuration.
    Static,
}

/// A neighbour that packets wait for.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    asked: u8,
    since: Instant,
}

/// A question to be sent: to everybody, or to the MAC address that the neighbour had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::mgmt::control) struct Question {
    pub(in crate::mgmt::control) key: Key,
    pub(in crate::mgmt::control) mac: Option<MacAddr>,
}

/// What the workers are to know of a neighbour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::mgmt::control) struct News {
    /// Its MAC address; `None`: it is gone.
    pub(in crate::mgmt::control) mac: Option<MacAddr>,
    /// Whether they shall tell when they use it.
    pub(in crate::mgmt::control) stale: bool,
}

/// A neighbour as `show neighbors` has it.
pub(in crate::mgmt::control) struct Entry {
    pub(in crate::mgmt::control) key: Key,
    pub(in crate::mgmt::control) mac: Option<MacAddr>,
    pub(in crate::mgmt::control) state: &'static str,
}

/// All neighbours.
pub(in crate::mgmt::control) struct Cache {
    known: HashMap<Key, Neighbor>,
    wanted: HashMap<Key, Wanted>,
    /// Those of `wanted` that nobody has been asked about, the latest last.
    fresh: VecDeque<Key>,
    news: HashMap<Key, News>,
    urgent: bool,
    due: Instant,
    /// Questions that may still be sent, and since when.
    allowance: (f64, Instant),
    refused: u64,
}

impl Cache {
    /// The neighbours of the configuration.
    pub(in crate::mgmt::control) fn new(configured: &NeighborTable, now: Instant) -> Self {
        let mut cache = Self {
            known: HashMap::new(),
            wanted: HashMap::new(),
            fresh: VecDeque::new(),
            news: HashMap::new(),
            urgent: false,
            due: now,
            allowance: (QUESTIONS_PER_SECOND, now),
            refused: 0,
        };
        cache.reconfigure(|_| true, configured, now);
        cache
    }

    /// Takes over the configured neighbours of new tables; learned ones stay where the tables kept them.
    pub(in crate::mgmt::control) fn reconfigure(
        &mut self,
        configured: impl Fn(Key) -> bool,
        table: &NeighborTable,
        now: Instant,
    ) {
        let old = std::mem::take(&mut self.known);
        for (_, next_hop) in table.iter().filter(|(_, next_hop)| next_hop.resolved) {
            let key = (next_hop.interface, next_hop.address);
            let before = old.get(&key).filter(|before| before.state != State::Static);
            let (state, since) = match (configured(key), before) {
                (true, _) => (State::Static, now),
                (false, Some(before)) => (before.state, before.since),
                (false, None) => (State::Delay, now),
            };
            self.known.insert(key, Neighbor { mac: next_hop.mac(), state, since });
        }
        self.wanted.clear();
        self.fresh.clear();
        self.news.clear();
    }

    /// A packet waits for this neighbour.
    pub(in crate::mgmt::control) fn wanted(&mut self, key: Key, now: Instant) {
        if let Some(known) = self.known.get(&key) {
            // The worker had older tables, or these did not take the neighbour in.
            self.news.insert(key, News { mac: Some(known.mac), stale: false });
            self.urgent = true;
            return;
        }
        if self.wanted.contains_key(&key) {
            return;
        }
        if self.wanted.len() >= WANTED {
            self.forget_wanted();
        }
        self.wanted.insert(key, Wanted { asked: 0, since: now });
        self.fresh.push_back(key);
    }

    /// A packet was sent to a neighbour that was stale.
    pub(in crate::mgmt::control) fn used(&mut self, key: Key, now: Instant) {
        if let Some(known) = self.known.get_mut(&key)
            && known.state == State::Stale
        {
            (known.state, known.since) = (State::Delay, now);
            self.news.insert(key, News { mac: Some(known.mac), stale: false });
        }
    }

    /// A neighbour has named its MAC address (RFC 4861 7.2.3, 7.2.5, appendix C).
    pub(in crate::mgmt::control) fn seen(&mut self, sighting: Sighting, now: Instant) {
        let key = (sighting.interface, sighting.address);
        let confirms = matches!(sighting.word, Word::Told { solicited: true, .. });
        let fresh = if confirms { State::Reachable } else { State::Stale };
        if self.wanted.remove(&key).is_some() {
            self.learn(key, sighting.mac, fresh, now);
            return;
        }
        let Some(known) = self.known.get_mut(&key) else {
            // Who tells without being asked is nobody that packets go to (RFC 4861 7.2.5).
            if sighting.word == Word::Asked {
                self.learn(key, sighting.mac, State::Stale, now);
            }
            return;
        };
        let other = known.mac != sighting.mac;
        let keeps = matches!(sighting.word, Word::Told { overrides: false, .. });
        match (known.state, other) {
            (State::Static, _) => return,
            (State::Reachable, true) if keeps => {
                (known.state, known.since) = (State::Stale, now);
            }
            (_, true) if keeps => return,
            (_, true) => {
                (known.mac, known.state, known.since) = (sighting.mac, fresh, now);
                self.urgent = true;
            }
            (_, false) if confirms => {
                let known_since = (known.state, known.since);
                (known.state, known.since) = (State::Reachable, now);
                if known_since.0 != State::Stale {
                    return; // the workers know it like this
                }
            }
            (_, false) => return,
        }
        let news = News { mac: Some(known.mac), stale: known.state == State::Stale };
        self.news.insert(key, news);
    }

    fn learn(&mut self, key: Key, mac: MacAddr, state: State, now: Instant) {
        if self.known.len() >= CAPACITY && !self.forget_stale() {
            self.refused += 1;
            return;
        }
        self.known.insert(key, Neighbor { mac, state, since: now });
        self.news.insert(key, News { mac: Some(mac), stale: state == State::Stale });
        self.urgent = true;
    }

    /// Makes room by forgetting those unused for longest, some at once so that a flood of newcomers costs little each.
    fn forget_stale(&mut self) -> bool {
        let stale = self.known.iter().filter(|(_, known)| known.state == State::Stale);
        let mut stale: Vec<(Instant, Key)> =
            stale.map(|(key, known)| (known.since, *key)).collect();
        stale.sort_unstable_by_key(|(since, _)| *since);
        stale.truncate(CAPACITY / 64);
        for (_, key) in &stale {
            self.known.remove(key);
            self.news.insert(*key, GONE);
        }
        !stale.is_empty()
    }

    /// Makes room among those that do not answer: who was asked longest ago goes.
    fn forget_wanted(&mut self) {
        let mut oldest: Vec<(Instant, Key)> =
            self.wanted.iter().map(|(key, wanted)| (wanted.since, *key)).collect();
        oldest.sort_unstable_by_key(|(since, _)| *since);
        for (_, key) in &oldest[..WANTED / 8] {
            self.wanted.remove(key);
        }
        self.refused += (WANTED / 8) as u64;
        self.fresh.retain(|key| self.wanted.contains_key(key));
    }

    /// Whom to ask now. Those that packets go to come before those that may not exist.
    pub(in crate::mgmt::control) fn questions(&mut self, now: Instant) -> Vec<Question> {
        let mut questions = Vec::new();
        self.refill(now);
        if now >= self.due {
            self.due = now + TICK;
            self.age(now, &mut questions);
            self.ask_again(now, &mut questions);
        }
        while self.allowance.0 >= 1.0
            && let Some(key) = self.fresh.pop_back()
        {
            if let Some(wanted) = self.wanted.get_mut(&key) {
                *wanted = Wanted { asked: 1, since: now };
                self.allowance.0 -= 1.0;
                questions.push(Question { key, mac: None });
            }
        }
        questions
    }

    fn refill(&mut self, now: Instant) {
        let (left, since) = self.allowance;
        let gained = now.saturating_duration_since(since).as_secs_f64() * QUESTIONS_PER_SECOND;
        self.allowance = ((left + gained).min(QUESTIONS_AT_ONCE), now);
    }

    /// Moves known neighbours on as time passes, and asks those that are to be confirmed.
    fn age(&mut self, now: Instant, questions: &mut Vec<Question>) {
        let (news, allowance) = (&mut self.news, &mut self.allowance.0);
        self.known.retain(|key, known| {
            let waited = now.saturating_duration_since(known.since);
            let asked = match known.state {
                State::Reachable if waited >= reachable_time(key, known) => {
                    (known.state, known.since) = (State::Stale, now);
                    news.insert(*key, News { mac: Some(known.mac), stale: true });
                    return true;
                }
                State::Stale if waited >= FORGOTTEN => {
                    news.insert(*key, GONE);
                    return false;
                }
                State::Delay if waited >= DELAY => 0,
                State::Probe(ATTEMPTS) if waited >= INTERVAL => {
                    news.insert(*key, GONE);
                    return false;
                }
                State::Probe(asked) if waited >= INTERVAL => asked,
                _ => return true,
            };
            if *allowance >= 1.0 {
                *allowance -= 1.0;
                (known.state, known.since) = (State::Probe(asked + 1), now);
                questions.push(Question { key: *key, mac: Some(known.mac) });
            }
            true
        });
    }

    /// Asks again, a second after the last time (RFC 1122 2.3.2.1), for those that packets wait for.
    fn ask_again(&mut self, now: Instant, questions: &mut Vec<Question>) {
        let allowance = &mut self.allowance.0;
        self.wanted.retain(|key, wanted| {
            let is_due = now.saturating_duration_since(wanted.since) >= INTERVAL;
            if wanted.asked == 0 || !is_due {
                return true;
            }
            if wanted.asked == ATTEMPTS {
                return false;
            }
            if *allowance >= 1.0 {
                *allowance -= 1.0;
                *wanted = Wanted { asked: wanted.asked + 1, since: now };
                questions.push(Question { key: *key, mac: None });
            }
            true
        });
    }

    /// Whether the workers should be told something; `urgent` alone: a packet may wait for it.
    pub(in crate::mgmt::control) fn has_news(&self, urgent: bool) -> bool {
        !self.news.is_empty() && (self.urgent || !urgent)
    }

    /// What the workers do not know yet.
    pub(in crate::mgmt::control) fn take_news(&mut self) -> HashMap<Key, News> {
        self.urgent = false;
        std::mem::take(&mut self.news)
    }

    /// The neighbours with a MAC address, and whether they are stale.
    pub(in crate::mgmt::control) fn resolved(
        &self,
    ) -> impl Iterator<Item = (Key, MacAddr, bool)> + '_ {
        self.known.iter().map(|(key, known)| (*key, known.mac, known.state == State::Stale))
    }

    /// Everything known, in no order.
    pub(in crate::mgmt::control) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let incomplete =
            self.wanted.keys().map(|key| Entry { key: *key, mac: None, state: "incomplete" });
        let known = self.known.iter().map(|(key, known)| Entry {
            key: *key,
            mac: Some(known.mac),
            state: match known.state {
                State::Delay => "delay",
                State::Probe(_) => "probe",
                State::Reachable => "reachable",
                State::Stale => "stale",
                State::Static => "static",
            },
        });
        known.chain(incomplete)
    }

    /// How many there are in each state.
    pub(in crate::mgmt::control) fn by_state(&self) -> BTreeMap<String, u64> {
        let states = ["delay", "incomplete", "probe", "reachable", "stale", "static"];
        let mut counts: BTreeMap<String, u64> = states.map(|state| (state.to_owned(), 0)).into();
        for entry in self.entries() {
            if let Some(count) = counts.get_mut(entry.state) {
                *count += 1;
            }
        }
        counts
    }

    /// Neighbours that were not taken in, or not waited for to the end, because there were too many.
    pub(in crate::mgmt::control) fn refused(&self) -> u64 {
        self.refused
    }

    /// How many have a MAC address, and how many are waited for.
    pub(in crate::mgmt::control) fn used_entries(&self) -> [usize; 2] {
        [self.known.len(), self.wanted.len()]
    }
}

/// How long an answer is believed: 15 to 45 s, so that not all neighbours are asked at once (RFC 4861 6.3.2).
fn reachable_time(key: &Key, known: &Neighbor) -> Duration {
    let MacAddr([.., a, b]) = known.mac;
    let spread = u32::from(a ^ key.0.0) << 8 | u32::from(b);
    REACHABLE / 2 + REACHABLE * (spread % 1024) / 1024
}

const GONE: News = News { mac: None, stale: false };
/// Neighbours with a MAC address that are kept at most.
pub(in crate::mgmt::control) const CAPACITY: usize = 50_000;
/// Neighbours that packets wait for at most.
pub(in crate::mgmt::control) const WANTED: usize = 4096;
/// Between two requests for the same neighbour (RFC 1122 2.3.2.1: at most one a second).
const INTERVAL: Duration = Duration::from_secs(1);
/// Requests without an answer until a neighbour counts as absent.
const ATTEMPTS: u8 = 3;
/// How long an answer is believed on average (RFC 4861 10, REACHABLE_TIME).
const REACHABLE: Duration = Duration::from_secs(30);
/// How long a neighbour in use may be confirmed by itself (RFC 4861 10, DELAY_FIRST_PROBE_TIME).
const DELAY: Duration = Duration::from_secs(5);
/// How long one that nobody uses is remembered.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Between two looks at all of them.
const TICK: Duration = Duration::from_millis(100);
/// Requests in a second, whoever causes them (RFC 6583 7.1).
const QUESTIONS_PER_SECOND: f64 = 2000.0;
/// Requests without a pause.
const QUESTIONS_AT_ONCE: f64 = 200.0;
