//! RFC 9693's searches against a translator whose limits are known.

mod middlebox;

use std::cell::RefCell;
use std::rc::Rc;

use middlebox::Nat;
use middlebox::world::{MACS, World, shared, stream};
use pktgen::control::HookError;
use pktgen::finding::Finding;
use pktgen::flow::{Protocol, Stream};
use pktgen::measure::Bench;
use pktgen::nat::establish::Table;
use pktgen::nat::{capacity, cps, learn, teardown};
use pktgen::rate::Rate;

/// The translator's table, and whether flushing works.
struct Switch(Rc<RefCell<Nat>>, bool);

impl Table for Switch {
    fn flush(&mut self) -> Result<(), HookError> {
        if self.1 {
            self.0.borrow_mut().flush();
        }
        Ok(())
    }

    fn sessions(&mut self) -> Result<Option<u64>, HookError> {
        Ok(Some(self.0.borrow().sessions() as u64))
    }
}

fn measure<T>(
    nat: Nat,
    streams: Vec<Stream>,
    work: impl FnOnce(&mut Bench<'_, World>, &mut Switch) -> T,
) -> T {
    let (nat, path) = shared(nat);
    let (world, mut engine) = World::new(path, streams);
    let mut bench = Bench::new(&mut engine, &world);
    bench.resolve().expect("gateways answer");
    work(&mut bench, &mut Switch(nat, true))
}

fn nat() -> Nat {
    Nat::new(MACS)
}

fn three(flows: u32) -> Vec<Stream> {
    [Protocol::Udp, Protocol::Tcp, Protocol::Icmp].map(|protocol| stream(protocol, flows)).to_vec()
}

const SEARCH: cps::Search =
    cps::Search { flows: 2000, from_pps: 5e3, to_pps: 4e5, width: 0.02, back: 0.5, repeat: 0 };

#[test]
fn the_establishment_rate_is_found_within_the_width() {
    let limited = Nat { per_second: Some(30_000.0), ..nat() };
    let found = measure(limited, vec![stream(Protocol::Udp, 2000)], |bench, table| {
        cps::search(bench, table, SEARCH).unwrap()
    });
    let (rate, failed) = (found.rate_pps.unwrap(), found.failed_pps.unwrap());
    // Eight may come at once: 2000 sessions in a row are possible at 30,121 a second.
    assert!(rate <= 30_121.0 && 30_120.0 <= failed, "{rate} {failed}");
    assert!(failed - rate <= 0.02 * failed && !found.tg_limited);
    assert_eq!(found.faults(), Vec::<String>::new());
    assert!(found.attempts.iter().all(|attempt| attempt.passed == (attempt.rate_pps <= rate)));
}

#[test]
fn what_the_generator_cannot_exceed_is_said_to_be_its_limit() {
    let search = cps::Search { to_pps: 20_000.0, ..SEARCH };
    let found =
        measure(nat(), three(500), |bench, table| cps::search(bench, table, search).unwrap());
    assert_eq!((found.rate_pps, found.failed_pps), (Some(20_000.0), None));
    assert!(found.is_tg_limited());
    assert_eq!(found.attempts.last().unwrap().validated, 1500);
}

#[test]
fn the_capacity_is_found_exactly() {
    let limited = Nat { capacity: 1500, ..nat() };
    let search = capacity::Search { from: 100, to: 3000, error: 1, rate_pps: 50_000.0, back: 1.0 };
    let found = measure(limited, three(1000), |bench, table| {
        let found = capacity::search(bench, table, search).unwrap();
        assert_eq!(table.sessions().unwrap(), Some(0), "left as it was");
        found
    });
    assert_eq!((found.sessions, found.failed, found.most_opened), (1500, Some(1501), 1500));
    let roomy =
        measure(nat(), three(1000), |bench, table| capacity::search(bench, table, search).unwrap());
    assert_eq!((roomy.sessions, roomy.failed), (3000, None));
}

#[test]
fn tear_down_is_timed_and_what_survives_it_is_counted() {
    let rate = Rate::per_second(50_000.0);
    let found = measure(nat(), three(100), |bench, table| {
        teardown::measure(bench, table, 300, rate).unwrap()
    });
    assert_eq!((found.sessions, found.survivors), (Some(300), 0));
    assert!(found.empty_s.is_some() && found.attempt.passed);
    let fin = found.fin.unwrap();
    assert_eq!((fin.connections, fin.outward, fin.inward), (100, 100, 100));
    assert_eq!(found.faults(), Vec::<String>::new());
    let stuck = measure(nat(), vec![stream(Protocol::Udp, 100)], |bench, table| {
        table.1 = false;
        teardown::measure(bench, table, 100, rate).unwrap()
    });
    assert_eq!((stuck.survivors, stuck.empty_s), (100, None));
    assert_eq!(stuck.faults().len(), 2, "{:?}", stuck.faults());
}

#[test]
fn learning_tells_where_the_flows_went() {
    let found = measure(nat(), three(400), |bench, _| learn::learn(bench, None));
    assert_eq!((found.flows, found.of, found.unpaired_hosts), (1200, 1200, 0));
    assert_eq!((found.addresses.len(), found.addresses.values().sum::<u64>()), (2, 1200));
    assert_eq!(found.faults(), Vec::<String>::new());
    let scattered = Nat { paired: false, ..nat() };
    let found = measure(scattered, three(400), |bench, _| learn::learn(bench, None));
    assert_eq!(found.unpaired_hosts, found.hosts);
    let full = Nat { capacity: 1000, ..nat() };
    let found = measure(full, three(400), |bench, _| learn::learn(bench, None));
    assert_eq!((found.flows, found.learning.missing), (1000, 200));
    assert!(!found.faults().is_empty());
}
