//! Lists against workers that are only rings: the test takes their commands and answers in their place.

use tokio::sync::oneshot;

use super::*;
use crate::engine::message::BLOCKS;
use crate::engine::meta::{Direction, Family, FlowKey};

fn rings(workers: usize) -> Vec<Arc<Rings>> {
    (0..workers).map(|_| Rings::new()).collect()
}

fn ask(limit: usize, from: Cursor) -> Page {
    let filter = Filter { port: Some(53), ..Filter::default() };
    Page { filter, from, limit }
}

fn listed(rings: &Rings) -> Option<Box<message::Page<HostRecord>>> {
    match rings.commands.pop()? {
        Command::ListHosts(page) => Some(page),
        _ => panic!("no other command was given"),
    }
}

fn cleared(rings: &Rings) -> Option<Box<message::Page<SessionRecord>>> {
    match rings.commands.pop()? {
        Command::Clear(page) => Some(page),
        _ => panic!("no other command was given"),
    }
}

fn host(last: u8) -> HostRecord {
    let internal = u32::from_be_bytes([10, 0, 0, last]);
    HostRecord {
        internal: internal.into(),
        external: 0,
        sessions: 1,
        mappings: 1,
        blocks: [(0, 0); BLOCKS],
        block_count: 0,
    }
}

fn internals(answer: &Rows<HostRow>) -> Vec<&str> {
    answer.rows.iter().map(|row| row.internal.as_str()).collect()
}

type Outcome<T> = oneshot::Receiver<Result<T, Failure>>;

fn answer<T>(outcome: &mut Outcome<T>) -> T {
    outcome.try_recv().expect("it was answered").unwrap_or_else(|_| panic!("it was refused"))
}

#[test]
fn a_page_is_asked_for_until_it_is_full_and_goes_on_at_the_next_worker() {
    let rings = rings(2);
    let mut lists = Lists::new(2, &VrfNames::default());
    let (reply, mut outcome) = Reply::pair();
    lists.hosts.begin(&rings, ask(3, Cursor::default()), reply);
    assert!(lists.is_busy());

    let mut page = listed(&rings[0]).expect("the first worker is asked first");
    assert_eq!((page.from, page.filter.port, page.rows.capacity()), (0, Some(53), 3));
    (page.from, page.more) = (512, true);
    page.rows.push(host(2));
    lists.hosts.found(&rings, WorkerId(0), &page);

    let mut page = listed(&rings[0]).expect("the page is not full");
    assert_eq!((page.from, page.rows.capacity()), (512, 2));
    (page.from, page.more) = (700, true);
    page.rows.extend([host(3), host(4)]);
    lists.hosts.found(&rings, WorkerId(0), &page);

    let first = answer(&mut outcome);
    assert_eq!(internals(&first), ["10.0.0.2", "10.0.0.3", "10.0.0.4"]);

    let (reply, mut outcome) = Reply::pair();
    lists.hosts.begin(&rings, ask(3, first.next.expect("there is more")), reply);
    let mut page = listed(&rings[0]).expect("it goes on where it stopped");
    assert_eq!(page.from, 700);
    page.more = false;
    lists.hosts.found(&rings, WorkerId(0), &page);
    let second = answer(&mut outcome);
    assert!(second.rows.is_empty());

    let (reply, mut outcome) = Reply::pair();
    lists.hosts.begin(&rings, ask(3, second.next.expect("another worker")), reply);
    let page = listed(&rings[1]).expect("the second worker comes second");
    assert_eq!(page.from, 0);
    lists.hosts.found(&rings, WorkerId(1), &page);
    assert_eq!(answer(&mut outcome).next, None);
    assert!(!lists.is_busy());
}

#[test]
fn two_askers_at_one_worker_get_their_own_rows() {
    let rings = rings(1);
    let mut lists = Lists::new(1, &VrfNames::default());
    let [(first, mut first_outcome), (second, mut second_outcome)] = [Reply::pair(), Reply::pair()];
    lists.hosts.begin(&rings, ask(10, Cursor::default()), first);
    lists.hosts.begin(&rings, ask(10, Cursor::default()), second);
    for (last, more) in [(2, true), (3, false), (4, false)] {
        let mut page = listed(&rings[0]).expect("asked");
        page.more = more;
        page.rows.push(host(last));
        lists.hosts.found(&rings, WorkerId(0), &page);
    }
    assert_eq!(internals(&answer(&mut second_outcome)), ["10.0.0.3"]);
    assert_eq!(internals(&answer(&mut first_outcome)), ["10.0.0.2", "10.0.0.4"]);
}

#[test]
fn a_worker_without_room_for_a_question_is_no_end_of_the_list() {
    let rings = rings(1);
    while rings[0].commands.push(Command::Stop).is_ok() {}
    let mut lists = Lists::new(1, &VrfNames::default());
    let (reply, mut outcome) = Reply::pair();
    lists.hosts.begin(&rings, ask(3, Cursor::default()), reply);
    let refused = outcome.try_recv().expect("it was answered");
    assert!(matches!(refused, Err(Failure::Unavailable(_))));
    let (reply, mut outcome) = Reply::pair();
    lists.clears.begin(&rings, Filter::default(), reply);
    let refused = outcome.try_recv().expect("it was answered");
    assert!(matches!(refused, Err(Failure::Unavailable(_))));
    assert!(!lists.is_busy());
}

#[test]
fn an_unknown_cursor_is_the_end() {
    let rings = rings(1);
    let mut lists = Lists::new(1, &VrfNames::default());
    let (reply, mut outcome) = Reply::pair();
    lists.hosts.begin(&rings, ask(3, Cursor(u64::MAX)), reply);
    assert_eq!(answer(&mut outcome).next, None);
}

#[test]
fn clearing_visits_every_worker_to_its_end_and_sums_up() {
    let rings = rings(2);
    let mut lists = Lists::new(2, &VrfNames::default());
    let (first, mut first_outcome) = Reply::pair();
    let (second, mut second_outcome) = Reply::pair();
    lists.clears.begin(&rings, Filter { port: Some(1), ..Filter::default() }, first);
    lists.clears.begin(&rings, Filter { port: Some(2), ..Filter::default() }, second);
    let mut visits = Vec::new();
    for (worker, more) in [(0, true), (0, false), (1, false), (0, false), (1, false)] {
        let mut page = cleared(&rings[worker]).expect("asked");
        visits.push((worker, page.filter.port, page.from));
        page.count += 5;
        page.from += 64;
        page.more = more;
        lists.clears.found(&rings, WorkerId(worker as u8), page);
    }
    let (one, two) = (Some(1), Some(2));
    assert_eq!(visits, [(0, one, 0), (0, one, 64), (1, one, 0), (0, two, 0), (1, two, 0)]);
    assert_eq!(answer(&mut first_outcome).sessions_ended, 15);
    assert_eq!(answer(&mut second_outcome).sessions_ended, 10);
    assert!(!lists.is_busy());
}

#[test]
fn a_session_is_shown_from_its_internal_side() {
    let key = FlowKey {
        source: [0x0a00_0002, 0, 0, 0],
        destination: [0xcb00_7107, 0, 0, 0],
        source_port: 5000,
        destination_port: 53,
        protocol: 17,
        family: Family::Ipv4,
        vrf: VrfId::DEFAULT,
    };
    let record = SessionRecord {
        key,
        external: Some((0xc633_640a, 1024)),
        state: "active",
        age_s: 5,
        idle_ms: 1999,
        expires_ms: 298_001,
        packets: [2, 1],
        bytes: [120, 200],
        opened_by: Direction::Outbound,
    };
    let row = session_row(WorkerId(1), &record, &VrfNames::default());
    let endpoints = (row.internal.as_str(), row.external.as_deref(), row.remote.as_str());
    assert_eq!(endpoints, ("10.0.0.2:5000", Some("198.51.100.10:1024"), "203.0.113.7:53"));
    assert_eq!((row.protocol.as_str(), row.idle_s, row.expires_s), ("udp", 1, 299));
    assert_eq!((row.packets_out, row.packets_in, row.bytes_out, row.bytes_in), (2, 1, 120, 200));

    let source = [0xfd00_000a, 0, 0, 2];
    let key = FlowKey { source, family: Family::Ipv6, ..key };
    let row = session_row(
        WorkerId(0),
        &SessionRecord { key, external: None, ..record },
        &VrfNames::default(),
    );
    assert_eq!((row.internal.as_str(), row.external), ("[fd00:a::2]:5000", None));
}

#[test]
fn a_row_that_is_known_without_the_workers_stands_in_for_one_that_they_lack() {
    let rings = rings(1);
    let mut lists = Lists::new(1, &VrfNames::default());
    for has_it in [true, false] {
        let (reply, mut outcome) = Reply::pair();
        let known = host_row(WorkerId(0), &host(9), &VrfNames::default());
        lists.hosts.begin_or(Some(known), &rings, ask(3, Cursor::first(WorkerId(0))), reply);
        let mut page = listed(&rings[0]).expect("the worker is asked");
        page.rows.extend(has_it.then(|| host(2)));
        lists.hosts.found(&rings, WorkerId(0), &page);
        let expected = if has_it { "10.0.0.2" } else { "10.0.0.9" };
        assert_eq!(internals(&answer(&mut outcome)), [expected]);
    }
}
