//! Whole runs over net_ring ports against a small translator in plain Rust, in virtual time: every look at the
//! clock is five microseconds, in which the path carries what it has.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use dpdk_bindings::Mempool;
use dpdk_bindings::testing::{self, FarEnd, RingPort};
use pktgen::checksum::Sum;
use pktgen::endpoint::{Address, Family};
use pktgen::engine::{Clock, Engine, Live, Side};
use pktgen::flow::{Direction, Flows, Plan, Pool, Protocol, Sizes, Stream};
use pktgen::host::Host;
use pktgen::measure::{Bench, Course, Outcome};
use pktgen::port::Spec;
use pktgen::rate::Rate;
use pktgen::receive::{Expectation, Sut};
use pktgen::report::{Report, Settings, Verdict};
use pktgen::transmit::Spacing;

const FLOWS: u32 = 100;
const PPS: u64 = 20_000;
const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 0x11], [2, 0, 0, 0, 0, 0x12]];

/// What the path makes of a frame on its way: nothing, one or more.
type Path = Box<dyn FnMut(Direction, Vec<u8>) -> Vec<Vec<u8>>>;

/// Time, and the path that works while it passes.
struct World {
    now: Cell<u64>,
    ends: [FarEnd; 2],
    path: RefCell<Path>,
    pool: Mempool,
    _ports: [RingPort; 2],
}

impl Clock for World {
    fn now(&self) -> u64 {
        self.now.set(self.now.get() + 5000);
        for direction in Direction::BOTH {
            let (from, to) = (direction as usize, direction.reversed() as usize);
            while let Some(packet) = self.ends[from].collect() {
                for frame in self.path.borrow_mut()(direction, packet.data().to_vec()) {
                    // An ARP answer goes back where the question came from.
                    let to = if frame[12..14] == [8, 6] { from } else { to };
                    let packet = self.pool.frame(&frame).expect("a buffer");
                    self.ends[to].inject(packet).expect("room in the ring");
                }
            }
        }
        self.now.get()
    }
}

fn world(sut: Sut, path: Path) -> (World, Engine, Course) {
    let pool = testing::pool(8191);
    let ends = [(); 2].map(|()| RingPort::open(&pool, 1).expect("a ring port"));
    let far = ends.each_ref().map(|port| port.far.clone());
    let mut ends = ends;
    let course = Course {
        rate: Some(Rate::per_second(PPS as f64)),
        duration: 1_000_000_000,
        directions: Direction::BOTH.to_vec(),
        spacing: Spacing::Even,
        learn: true,
    };
    let gateways = match sut {
        Sut::Direct => [vec![], vec![]],
        _ => [[10, 0, 0, 1], [198, 51, 100, 1]].map(|gateway| vec![Ipv4Addr::from(gateway).into()]),
    };
    let outside: Address = Ipv4Addr::new(198, 51, 100, 2).into();
    let prefix = "10.0.0.2/24".parse().unwrap();
    let from = Pool::for_flows(FLOWS, prefix, gateways[0].first().copied(), &[outside]);
    let plan = Plan::new(FLOWS, from, 7).unwrap();
    let hosts = [plan.hosts().to_vec(), vec![outside]];
    let sizes = Sizes::one(64).unwrap();
    let translated = sut == Sut::Nat44;
    let stream = Stream::new("udp", Protocol::Udp, Family::V4, sizes, plan, translated);
    let mut side = |index: usize| Side {
        rx: ends[index].receive.remove(0),
        tx: ends[index].transmit.remove(0),
        host: Host::new(MACS[index], None, hosts[index].clone(), &gateways[index]),
    };
    let sides = [side(0), side(1)];
    let expectation = Expectation {
        hops: u8::from(sut != Sut::Direct),
        pool: vec![],
        macs: [MACS[1], MACS[0]],
        vlans: [None; 2],
    };
    let live = Arc::new(Live::default());
    let flows = Flows::new(vec![stream]);
    let engine = Engine::new(sides, flows, expectation, 7, pool.clone(), live);
    (
        World { now: Cell::new(0), ends: far, path: RefCell::new(path), pool, _ports: ends },
        engine,
        course,
    )
}

fn run(sut: Sut, path: Path) -> Outcome {
    let (world, mut engine, course) = world(sut, path);
    course.run(&mut Bench::new(&mut engine, &world)).expect("gateways answer")
}

fn report(outcome: &Outcome) -> Report {
    let settings = Settings {
        ports: vec![],
        load: "20kpps".to_owned(),
        size: "64".to_owned(),
        streams: vec![],
        directions: vec![],
        sut: "nat44",
        hosts: 1,
        seed: 7,
        core: 0,
    };
    Report::new(outcome, settings, u64::from(FLOWS), false)
}

/// A NAT44 with endpoint-independent mapping that answers ARP for every address; `damage` sees each translated
/// frame with its number.
fn nat44(mut damage: impl FnMut(u64, Vec<u8>) -> Vec<Vec<u8>> + 'static) -> Path {
    let mut mappings: HashMap<[u8; 6], u16> = HashMap::new();
    let mut owners: HashMap<[u8; 2], [u8; 6]> = HashMap::new();
    let mut number = 0;
    Box::new(move |direction, mut frame| {
        if frame[12..14] == [8, 6] {
            return vec![arp_answer(&frame)];
        }
        let port_at = if direction == Direction::Outward { 34 } else { 36 };
        let address_at = if direction == Direction::Outward { 26 } else { 30 };
        if direction == Direction::Outward {
            let inside = [&frame[26..30], &frame[34..36]].concat().try_into().unwrap();
            let next = 40_000 + mappings.len() as u16;
            let port = *mappings.entry(inside).or_insert(next);
            owners.insert(port.to_be_bytes(), inside);
            frame[address_at..address_at + 4].copy_from_slice(&[203, 0, 113, 1]);
            frame[port_at..port_at + 2].copy_from_slice(&port.to_be_bytes());
        } else {
            let Some(inside) = owners.get(&frame[36..38]) else { return vec![] };
            frame[address_at..address_at + 4].copy_from_slice(&inside[..4]);
            frame[port_at..port_at + 2].copy_from_slice(&inside[4..]);
        }
        frame[..6].copy_from_slice(&MACS[direction.reversed() as usize]);
        frame[22] -= 1;
        frame[24..26].fill(0);
        let sum = Sum::default().bytes(&frame[14..34]).checksum();
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame[40..42].fill(0);
        let sum = Sum::default().pseudo_header_v4(&frame[26..34], 17, 26).bytes(&frame[34..60]);
        frame[40..42].copy_from_slice(&sum.udp_checksum().to_be_bytes());
        number += 1;
        damage(number, frame)
    })
}

fn arp_answer(question: &[u8]) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[..6].copy_from_slice(&question[6..12]);
    answer[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 0x99]);
    answer[21] = 2;
    answer[22..28].copy_from_slice(&[2, 0, 0, 0, 0, 0x99]);
    answer[28..32].copy_from_slice(&question[38..42]);
    answer[32..42].copy_from_slice(&question[22..32]);
    answer
}

/// Frames of learning and warm-up that come before those of the trial.
const BEFORE: u64 = FLOWS as u64 + 2 * PPS;

#[test]
fn a_loop_loses_repeats_and_reorders_nothing_and_every_frame_is_in_the_histogram() {
    let outcome = run(Sut::Direct, Box::new(|_, frame| vec![frame]));
    let trial = outcome.trial.as_ref().unwrap();
    for way in &trial.ways {
        assert_eq!((way.intended, way.sent, way.received), (PPS, PPS, PPS), "{}", way.direction);
    }
    assert_eq!(trial.latency.count(), 2 * PPS);
    assert_eq!(trial.counters.frames, 2 * PPS);
    let report = report(&outcome);
    assert_eq!((report.verdict, report.lost), (Verdict::Pass, 0), "{:?}", report.reasons);
    assert_eq!(report.latency_histogram.iter().map(|pair| pair.1).sum::<u64>(), 2 * PPS);
    assert!(report.send_error_ns.max <= 100_000, "virtual time: {:?}", report.send_error_ns);
}

#[test]
fn both_directions_pass_a_translator_whose_endpoints_were_learned() {
    let outcome = run(Sut::Nat44, nat44(|_, frame| vec![frame]));
    let learning = outcome.learning.unwrap();
    assert_eq!((learning.sent, learning.first_pass_misses, learning.rounds), (100, 0, 1));
    let report = report(&outcome);
    assert_eq!(
        (report.verdict, report.rx_packets),
        (Verdict::Pass, 2 * PPS),
        "{:?}",
        report.reasons
    );
}

#[test]
fn one_lost_frame_in_a_thousand_is_found_exactly_and_the_sums_balance() {
    let path = nat44(|number, frame| match number {
        number if number > BEFORE && number % 1000 == 0 => vec![],
        _ => vec![frame],
    });
    let outcome = run(Sut::Nat44, path);
    let trial = outcome.trial.as_ref().unwrap();
    assert_eq!(trial.sum(|way| way.lost), 2 * PPS / 1000);
    assert_eq!(trial.sum(|way| way.intended), trial.sum(|way| way.received + way.lost));
    assert!(trial.counters.balance(), "{:?}", trial.counters);
    let report = report(&outcome);
    assert_eq!((report.verdict, report.loss_ratio), (Verdict::Fail, 0.001));
    assert!(report.defects.are_none(), "{:?}", report.defects);
}

#[test]
fn duplicates_and_damage_are_counted_while_nothing_is_lost() {
    let path = nat44(|number, mut frame| match number {
        number if number <= BEFORE || number % 1000 != 0 => vec![frame],
        number if number % 2000 == 0 => vec![frame.clone(), frame],
        _ => {
            frame[41] ^= 1;
            vec![frame]
        }
    });
    let report = report(&run(Sut::Nat44, path));
    assert_eq!((report.lost, report.duplicated, report.corrupted), (0, 20, 20));
    assert_eq!(report.defects.bad_l4_csum, 20);
    assert_eq!(report.rx_packets, 2 * PPS);
}

#[test]
fn flows_whose_first_packet_is_lost_are_asked_for_again() {
    let path = nat44(|number, frame| if number <= u64::from(FLOWS) { vec![] } else { vec![frame] });
    let outcome = run(Sut::Nat44, path);
    let learning = outcome.learning.unwrap();
    assert_eq!((learning.sent, learning.first_pass_misses, learning.missing), (200, 100, 0));
    assert_eq!(learning.rounds, 2);
    assert_eq!(report(&outcome).verdict, Verdict::Pass);
}

#[test]
fn flows_that_never_come_through_are_missing_and_get_nothing_back() {
    // The external port tells the flow: every tenth one is swallowed outward.
    let path = nat44(|_, frame| match u16::from_be_bytes([frame[34], frame[35]]) {
        port @ 40_000.. if port % 10 == 0 => vec![],
        _ => vec![frame],
    });
    let outcome = run(Sut::Nat44, path);
    let learning = outcome.learning.unwrap();
    assert_eq!((learning.missing, learning.rounds), (10, 4));
    let [outward, inward] = outcome.trial.as_ref().unwrap().ways[..] else { panic!("two ways") };
    assert_eq!((outward.lost, inward.lost, inward.received), (PPS / 10, 0, PPS));
    assert_eq!(report(&outcome).verdict, Verdict::Fail);
}

#[test]
fn a_path_that_carries_nothing_ends_after_learning() {
    let outcome = run(Sut::Direct, Box::new(|_, _| vec![]));
    assert!(outcome.trial.is_none());
    assert_eq!(outcome.learning.unwrap().missing, u64::from(FLOWS));
    assert_eq!(report(&outcome).verdict, Verdict::Fail);
}

#[test]
fn a_silent_gateway_is_named() {
    let (world, mut engine, course) = world(Sut::Nat44, Box::new(|_, _| vec![]));
    let error = course.run(&mut Bench::new(&mut engine, &world)).unwrap_err();
    assert_eq!(error.0, Ipv4Addr::new(10, 0, 0, 1).into());
}

#[test]
fn frames_that_the_port_never_takes_are_short_and_the_verdict_says_so() {
    let (mut world, mut engine, mut course) = world(Sut::Direct, Box::new(|_, frame| vec![frame]));
    course.learn = false;
    // Far ends that nobody empties: the rings fill up.
    let unread = testing::pool(64);
    let spare = [(); 2].map(|()| RingPort::open(&unread, 1).expect("a ring port"));
    world.ends = spare.each_ref().map(|port| port.far.clone());
    let outcome = course.run(&mut Bench::new(&mut engine, &world)).unwrap();
    let trial = outcome.trial.as_ref().unwrap();
    assert_eq!(trial.sum(|way| way.intended), 2 * PPS);
    assert_eq!(trial.sum(|way| way.sent + way.tx_short), 2 * PPS);
    assert!(trial.sum(|way| way.tx_short) > PPS, "{:?}", trial.ways);
    assert_eq!(report(&outcome).verdict, Verdict::TgLimited);
}

#[test]
fn without_a_rate_nothing_is_short_and_nothing_is_lost() {
    let (world, mut engine, mut course) = world(Sut::Nat44, nat44(|_, frame| vec![frame]));
    course.rate = None;
    course.duration = 5_000_000;
    let outcome = course.run(&mut Bench::new(&mut engine, &world)).unwrap();
    let trial = outcome.trial.as_ref().unwrap();
    assert!(trial.sum(|way| way.sent) > 1000, "{:?}", trial.ways);
    assert_eq!(trial.sum(|way| way.lost + way.tx_short), 0);
    assert_eq!(report(&outcome).verdict, Verdict::Pass);
}

#[test]
fn the_same_seed_gives_the_same_packets() {
    use std::hash::{DefaultHasher, Hash, Hasher};
    use std::rc::Rc;
    let hash = || {
        let seen = Rc::new(RefCell::new((DefaultHasher::new(), 0_u64)));
        let noted = seen.clone();
        run(
            Sut::Direct,
            Box::new(move |direction, frame| {
                let (hasher, count) = &mut *noted.borrow_mut();
                (direction as u8, &frame).hash(hasher);
                *count += 1;
                vec![frame]
            }),
        );
        let (hasher, count) = &*seen.borrow();
        (hasher.finish(), *count)
    };
    let (first, second) = (hash(), hash());
    assert_eq!(first, second);
    assert!(first.1 > BEFORE, "{} packets", first.1);
}

#[test]
fn a_ring_specification_opens_a_port() {
    let spec: Spec = "ring:course".parse().unwrap();
    let port = dpdk_bindings::Port::open(&testing::eal(), &spec.device(0)).unwrap();
    assert_eq!(port.driver(), "net_ring");
}
