//! Virtual time, and the path that works while it passes: a look at the clock takes five microseconds.

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;

use dpdk_bindings::Mempool;
use dpdk_bindings::testing::{self, FarEnd, RingPort};
use pktgen::endpoint::Family;
use pktgen::engine::{Clock, Engine, Live, Side};
use pktgen::flow::{Flows, Plan, Pool, Protocol, Sizes, Stream};
use pktgen::host::Host;
use pktgen::measure::Bench;
use pktgen::nat::Ground;
use pktgen::probe::{Place, Prober};
use pktgen::receive::Expectation;

use super::Nat;

/// What the path makes of a frame that enters at a port at some time: frames, the port each leaves by, and when.
pub type Path = Box<dyn FnMut(u64, Place, Vec<u8>) -> Vec<(u64, Place, Vec<u8>)>>;

/// Both far ends of a path.
pub struct World {
    now: Cell<u64>,
    ends: [FarEnd; 2],
    path: RefCell<Path>,
    delayed: RefCell<Vec<(u64, Place, Vec<u8>)>>,
    pool: Mempool,
    _ports: [RingPort; 2],
}

impl World {
    /// A path between two ports of an engine with these streams of flows.
    pub fn new(path: Path, streams: Vec<Stream>) -> (Self, Engine) {
        Self::watched(path, streams, Arc::new(Live::default()))
    }

    /// The same; the engine shows what it does.
    pub fn watched(path: Path, streams: Vec<Stream>, live: Arc<Live>) -> (Self, Engine) {
        let pool = testing::pool(8191);
        let mut ports = [(); 2].map(|()| RingPort::open(&pool, 1).expect("a ring port"));
        let ends = ports.each_ref().map(|port| port.far.clone());
        let of = |hosts: fn(&Stream) -> Vec<_>| streams.iter().flat_map(hosts);
        let inside = of(|stream| stream.plan.hosts().to_vec());
        let outside = of(|stream| stream.plan.remotes().to_vec());
        let mut hosts = [
            inside.chain(hosts().into_iter().map(Into::into)).collect(),
            outside.chain(remotes().into_iter().map(Into::into)).collect(),
        ];
        let mut side = |index: usize| Side {
            rx: ports[index].receive.remove(0),
            tx: ports[index].transmit.remove(0),
            host: Host::new(
                MACS[index],
                None,
                std::mem::take(&mut hosts[index]),
                &[GATEWAYS[index].into()],
            ),
        };
        let sides = [side(0), side(1)];
        let expectation = Expectation {
            hops: 1,
            pool: vec!["203.0.113.0/28".parse().expect("a prefix")],
            macs: [MACS[1], MACS[0]],
            vlans: [None; 2],
        };
        let flows = Flows::new(streams);
        let engine = Engine::new(sides, flows, expectation, 7, pool.clone(), live);
        let world = Self {
            now: Cell::new(0),
            ends,
            path: RefCell::new(path),
            delayed: RefCell::default(),
            pool,
            _ports: ports,
        };
        (world, engine)
    }

    fn pass(&self, ns: u64) -> u64 {
        let now = self.now.get() + ns;
        self.now.set(now);
        let mut delayed = self.delayed.borrow_mut();
        for place in [Place::Inside, Place::Outside] {
            while let Some(packet) = self.ends[place as usize].collect() {
                let made = self.path.borrow_mut()(now, place, packet.data().to_vec());
                delayed.extend(made);
            }
        }
        delayed.retain(|(due, place, frame)| {
            if *due > now {
                return true;
            }
            let packet = self.pool.frame(frame).expect("a buffer");
            self.ends[*place as usize].inject(packet).expect("room in the ring");
            false
        });
        now
    }
}

impl Clock for World {
    fn now(&self) -> u64 {
        self.pass(5000)
    }

    fn sleep(&self, ns: u64) {
        self.pass(ns);
    }
}

/// A translator whose state a test may look at while it works.
pub fn shared(nat: Nat) -> (Rc<RefCell<Nat>>, Path) {
    let nat = Rc::new(RefCell::new(nat));
    let path = nat.clone();
    let path: Path = Box::new(move |now, at, frame| {
        let made = path.borrow_mut().carry(now, at, frame);
        made.into_iter().map(|(to, frame)| (now, to, frame)).collect()
    });
    (nat, path)
}

/// Probes a translator.
pub fn probe<T>(nat: Nat, ask: impl FnOnce(&mut Prober<'_, World>, &mut Ground) -> T) -> T {
    let (_, path) = shared(nat);
    let (world, mut engine) = World::new(path, vec![stream(Protocol::Udp, 1)]);
    let mut bench = Bench::new(&mut engine, &world);
    bench.resolve().expect("gateways answer");
    let mut ground = Ground::new(hosts(), remotes()).expect("enough hosts");
    ask(&mut Prober::new(bench, 7), &mut ground)
}

/// A stream of translated flows of 80 octets between the first host and the first remote.
pub fn stream(protocol: Protocol, flows: u32) -> Stream {
    let inside = "10.0.0.2/24".parse().expect("a prefix");
    let remotes = [remotes()[0].into()];
    let pool = Pool::for_flows(flows, inside, Some(GATEWAYS[0].into()), &remotes);
    let plan = Plan::new(flows, pool, 7).expect("a plan");
    let sizes = Sizes::one(80).expect("a size");
    Stream::new(protocol.name(), protocol, Family::V4, sizes, plan, true)
}

pub fn hosts() -> Vec<Ipv4Addr> {
    (2..6).map(|last| Ipv4Addr::new(10, 0, 0, last)).collect()
}

pub fn remotes() -> Vec<Ipv4Addr> {
    (2..4).map(|last| Ipv4Addr::new(198, 51, 100, last)).collect()
}

/// Hardware addresses of the generator's ports.
pub const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 0x11], [2, 0, 0, 0, 0, 0x12]];
/// The path's own addresses.
pub const GATEWAYS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(198, 51, 100, 1)];
