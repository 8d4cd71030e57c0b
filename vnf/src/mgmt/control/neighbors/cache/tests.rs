//! The state machine with a clock of its own.

use super::*;
use crate::engine::ids::PortId;
use crate::neighbor::NextHop;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 10]);
const ANSWER: Word = Word::Told { solicited: true, overrides: true };
const BY_THE_WAY: Word = Word::Told { solicited: false, overrides: true };

struct World {
    cache: Cache,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self { cache: Cache::new(&NeighborTable::default(), now), now }
    }

    /// Lets time pass, and returns how many questions were asked to nobody in particular and to one neighbour.
    fn pass(&mut self, ms: u64) -> [usize; 2] {
        let end = self.now + Duration::from_millis(ms);
        let mut asked = [0, 0];
        while self.now < end {
            self.now += Duration::from_millis(50).min(end - self.now);
            for question in self.cache.questions(self.now) {
                asked[usize::from(question.mac.is_some())] += 1;
            }
        }
        asked
    }

    fn wanted(&mut self, last: u8) {
        self.cache.wanted(key(last), self.now);
    }

    fn seen(&mut self, last: u8, mac: MacAddr, word: Word) {
        let (interface, address) = key(last);
        self.cache.seen(Sighting { interface, address, mac, word }, self.now);
    }

    fn used(&mut self, last: u8) {
        self.cache.used(key(last), self.now);
    }

    fn state(&self, last: u8) -> Option<&'static str> {
        self.cache.entries().find(|entry| entry.key == key(last)).map(|entry| entry.state)
    }

    fn news(&mut self, last: u8) -> Option<News> {
        self.cache.take_news().remove(&key(last))
    }
}

fn key(last: u8) -> Key {
    (InterfaceId(0), IpAddr::from([10, 0, 0, last]))
}

fn numbered(number: u32) -> Key {
    (InterfaceId(0), IpAddr::from(number.to_be_bytes()))
}

#[test]
fn a_wanted_neighbour_is_asked_once_a_second_three_times() {
    let mut world = World::new();
    for _ in 0..10 {
        world.wanted(9);
    }
    assert_eq!(world.pass(900), [1, 0]);
    world.wanted(9);
    assert_eq!(world.pass(1000), [1, 0]);
    assert_eq!(world.pass(1000), [1, 0]);
    assert_eq!(world.state(9), Some("incomplete"));
    assert_eq!(world.pass(2000), [0, 0]);
    assert_eq!(world.state(9), None, "it does not exist");
}

#[test]
fn an_answer_makes_it_reachable_for_a_while() {
    let mut world = World::new();
    world.wanted(9);
    world.pass(100);
    world.seen(9, MAC, ANSWER);
    assert!(world.cache.has_news(true));
    assert_eq!(world.news(9), Some(News { mac: Some(MAC), stale: false }));
    assert_eq!(world.state(9), Some("reachable"));
    world.pass(14_000);
    assert_eq!(world.state(9), Some("reachable"));
    assert_eq!(world.pass(31_500), [0, 0]);
    assert_eq!(world.state(9), Some("stale"));
    assert_eq!(world.news(9), Some(News { mac: Some(MAC), stale: true }));
}

#[test]
fn a_stale_neighbour_is_asked_by_unicast_once_it_is_used() {
    let mut world = World::new();
    world.seen(9, MAC, Word::Asked);
    assert_eq!(world.state(9), Some("stale"));
    assert_eq!(world.pass(60_000), [0, 0], "nobody needs it");
    world.news(9);
    world.used(9);
    assert_eq!(world.state(9), Some("delay"));
    assert_eq!(world.news(9), Some(News { mac: Some(MAC), stale: false }));
    assert_eq!(world.pass(4900), [0, 0]);
    assert_eq!(world.pass(300), [0, 1]);
    assert_eq!(world.state(9), Some("probe"));
    world.seen(9, MAC, ANSWER);
    assert_eq!(world.state(9), Some("reachable"));
    assert_eq!(world.news(9), None);
}

#[test]
fn one_that_answers_no_probe_is_forgotten_and_asked_for_anew() {
    let mut world = World::new();
    world.seen(9, MAC, Word::Asked);
    world.used(9);
    assert_eq!(world.pass(7900), [0, 3]);
    assert_eq!(world.pass(500), [0, 0]);
    assert_eq!(world.state(9), None);
    assert_eq!(world.news(9), Some(GONE));
    world.wanted(9);
    assert_eq!(world.pass(100), [1, 0]);
}

#[test]
fn an_unused_neighbour_is_forgotten_after_ten_minutes() {
    let mut world = World::new();
    world.seen(9, MAC, Word::Asked);
    world.pass(599_000);
    assert_eq!(world.state(9), Some("stale"));
    world.pass(2000);
    assert_eq!(world.state(9), None);
    assert_eq!(world.news(9), Some(GONE));
}

#[test]
fn what_is_told_unasked_changes_the_known_and_adds_nobody() {
    let mut world = World::new();
    world.seen(9, MAC, BY_THE_WAY);
    assert_eq!(world.state(9), None);
    world.wanted(9);
    world.seen(9, MAC, ANSWER);
    world.news(9);
    world.seen(9, OTHER, Word::Told { solicited: false, overrides: false });
    assert_eq!(world.state(9), Some("stale"), "it does not replace, but raises doubt");
    assert_eq!(world.news(9), Some(News { mac: Some(MAC), stale: true }));
    world.seen(9, OTHER, BY_THE_WAY);
    assert_eq!(world.news(9), Some(News { mac: Some(OTHER), stale: true }));
}

#[test]
fn configured_neighbours_stay_as_they_are() {
    let mut world = World::new();
    let (interface, address) = key(9);
    let mut table = NeighborTable::default();
    let mut ethernet = [0; 12];
    ethernet[..6].copy_from_slice(&MAC.0);
    table.set(NextHop {
        ethernet,
        port: PortId(0),
        interface,
        vlan: 0,
        mtu: 1500,
        resolved: true,
        stale: false,
        address,
    });
    world.cache = Cache::new(&table, world.now);
    world.seen(9, OTHER, BY_THE_WAY);
    world.used(9);
    assert_eq!(world.pass(700_000), [0, 0]);
    assert_eq!((world.state(9), world.news(9)), (Some("static"), None));
}

#[test]
fn a_scan_takes_a_bounded_number_of_entries_and_questions() {
    let mut world = World::new();
    world.wanted(9);
    world.pass(100);
    world.seen(9, MAC, ANSWER);
    let mut asked = 0;
    for second in 0..3u32 {
        for host in 0..10_000 {
            world.cache.wanted(numbered(0x0a01_0000 + second * 10_000 + host), world.now);
        }
        asked += world.pass(1000)[0];
    }
    assert!(asked <= 3 * QUESTIONS_PER_SECOND as usize + QUESTIONS_AT_ONCE as usize, "{asked}");
    assert!(world.cache.used_entries()[1] <= WANTED);
    assert!(world.cache.refused() > 0);
    // One that answers at once is found all the same.
    world.wanted(77);
    let questions = world.cache.questions(world.now + Duration::from_millis(10));
    assert!(questions.iter().any(|question| question.key == key(77)));
    world.seen(77, MAC, ANSWER);
    assert_eq!(world.state(77), Some("reachable"));
    assert_eq!(world.state(9), Some("reachable"), "who is there stays");
}

#[test]
fn in_a_full_table_the_unused_make_room_and_the_confirmed_do_not() {
    let mut world = World::new();
    for number in 0..CAPACITY as u32 / 2 {
        world.cache.wanted(numbered(0x0a01_0000 + number), world.now);
        let (interface, address) = numbered(0x0a01_0000 + number);
        world.cache.seen(Sighting { interface, address, mac: MAC, word: ANSWER }, world.now);
    }
    for number in 0..CAPACITY as u32 {
        world.now += Duration::from_micros(10);
        let (interface, address) = numbered(0x0b01_0000 + number);
        world.cache.seen(Sighting { interface, address, mac: MAC, word: Word::Asked }, world.now);
    }
    let [known, _] = world.cache.used_entries();
    assert!(known <= CAPACITY);
    assert_eq!(world.cache.by_state()["reachable"], CAPACITY as u64 / 2);
    assert_eq!(world.cache.refused(), 0);
}
