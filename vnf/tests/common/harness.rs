//! A whole VNF on ring ports: frames in, frames out, virtual time, every counter watched.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dpdk_bindings::testing::{self, FarEnd, RingPort};
use dpdk_bindings::{Mbuf, Mempool, Port};
use vnf::assembly::{self, Builder, PortQueues};
use vnf::config::{self, NatRole, Settings};
use vnf::engine::handover::Lanes;
use vnf::engine::ids::Tick;
use vnf::engine::message::{Command, Event, Sighting};
use vnf::engine::tables::Tables;
use vnf::nat::{ExternalPorts, Ownership};
use vnf::wire::ethernet::MacAddr;
use vnf::worker::Worker;

use super::config::Config;
use super::counters::{Snapshot, check_balance, expected};
use super::frame::{Frame, mac_of};
use super::packet::{Endpoint, Packet, address};

/// The VNF under test.
pub struct Harness {
    pub workers: Vec<Worker>,
    pub settings: Settings,
    pub tables: Arc<Tables>,
    /// What workers told management and no test has asked about yet.
    pub events: VecDeque<Event>,
    pub(super) builder: Builder,
    pub(super) ownership: Ownership,
    lanes: Option<Lanes>,
    ports: Vec<End>,
    pool: Mempool,
    now: Tick,
    counted: Snapshot,
    injected: usize,
}

/// One port as a test has it.
struct End {
    name: String,
    far: FarEnd,
    queues: usize,
    transmitted: VecDeque<Frame>,
    /// Frames and octets, in and out.
    totals: [u64; 4],
    port: Option<Port>,
}

impl Harness {
    /// A VNF with one queue per port and worker.
    pub fn new(config: impl Into<Config>, workers: usize) -> Self {
        Self::build(&config.into(), workers, workers as u16, START)
    }

    /// A VNF whose ports have one queue, so that workers send through each other.
    pub fn with_single_queues(config: impl Into<Config>, workers: usize) -> Self {
        Self::build(&config.into(), workers, 1, START)
    }

    /// A VNF whose virtual clock shows this many milliseconds at first.
    pub fn starting_at(config: impl Into<Config>, workers: usize, ms: u64) -> Self {
        Self::build(&config.into(), workers, workers as u16, Tick(ms))
    }

    fn build(config: &Config, workers: usize, queues: u16, now: Tick) -> Self {
        let _guard = serialized();
        let eal = testing::eal();
        let settings = settings(config, workers);
        let pool = testing::pool(POOL);
        let mut ends = Vec::new();
        let mut queue_sets = Vec::new();
        for settings in &settings.ports {
            let RingPort { port, receive, transmit, far } =
                RingPort::open(&pool, queues).expect("a port made of rings");
            queue_sets.push(PortQueues { receive, transmit });
            ends.push(End {
                name: settings.name.clone(),
                far,
                queues: queues.into(),
                transmitted: VecDeque::new(),
                totals: [0; 4],
                port: Some(port),
            });
        }
        let port_macs = settings.ports.iter().map(|port| MacAddr(port.mac.unwrap_or(OWN)));
        let port_macs = port_macs.collect();
        let builder = Builder { eal: eal.clone(), port_macs, workers };
        let tables = Arc::new(builder.build(&settings, 1, None).expect("tables"));
        let assembled = assembly::assemble(&settings, &tables, queue_sets, &pool, &eal, now);
        let assembled = assembled.expect("memory for a small VNF");
        Self {
            workers: assembled.workers,
            settings,
            tables,
            events: VecDeque::new(),
            builder,
            ownership: assembled.ownership,
            lanes: Some(assembled.lanes),
            ports: ends,
            pool,
            now,
            counted: Snapshot::default(),
            injected: 0,
        }
    }

    /// Lets a packet arrive, and the workers run until nothing moves.
    pub fn send(&mut self, port: &str, packet: &Packet) {
        let frame = packet.frame(self.link_to_vnf(port, packet), 64);
        self.send_frame(port, &frame);
    }

    /// Lets a frame arrive as it is, likewise.
    pub fn send_frame(&mut self, port: &str, frame: &[u8]) {
        self.inject(port, frame, &[]);
        self.settle();
    }

    /// Lets packets arrive together, so that they share a burst.
    pub fn send_burst<'p>(&mut self, port: &str, packets: impl IntoIterator<Item = &'p Packet>) {
        let queue = self.injected;
        for packet in packets {
            let frame = packet.frame(self.link_to_vnf(port, packet), 64);
            self.injected = queue;
            self.inject(port, &frame, &[]);
        }
        self.settle();
    }

    /// Puts a frame into a receive queue, each time into the next one, in segments of these lengths and a rest.
    pub fn inject(&mut self, port: &str, frame: &[u8], segments: &[usize]) {
        let queue = self.injected;
        self.injected += 1;
        let mbuf = testing::segmented(&self.pool, frame, segments).expect("a free buffer");
        let end = self.end(port);
        end.totals[0] += 1;
        end.totals[1] += frame.len() as u64;
        let into = queue % end.queues;
        assert!(end.far.inject_into(into, mbuf).is_ok(), "the receive queue is full");
    }

    /// The frame of a packet as its sender on this port would put it on the wire.
    pub fn frame_of(&self, port: &str, packet: &Packet) -> Vec<u8> {
        packet.frame(self.link_to_vnf(port, packet), 64)
    }

    /// The next frame that left by this port is this packet, one hop on.
    #[track_caller]
    pub fn expect(&mut self, port: &str, packet: &Packet) {
        let expected = packet.frame(self.link_from_vnf(port, packet), 63);
        self.expect_frame(port, &expected);
    }

    /// The next frame that left by this port is this one.
    #[track_caller]
    pub fn expect_frame(&mut self, port: &str, expected: &[u8]) {
        let Some(frame) = self.end(port).transmitted.pop_front() else {
            let changes = self.changes();
            let expected = Frame(expected.to_vec());
            panic!("nothing left by {port}, counted {changes:?}; expected {expected:?}");
        };
        assert!(
            frame.is(expected),
            "what left by {port} is not what was expected\n  left: {frame:?}\n  expected: {:?}",
            Frame(expected.to_vec())
        );
    }

    /// The next frame that left by this port is this packet from some endpoint of the pool, which is returned.
    #[track_caller]
    pub fn expect_translated(&mut self, port: &str, packet: &Packet) -> SocketAddr {
        let external = self.peek(port).source();
        let nat = self.settings.nat44.as_ref().expect("a configuration with NAT");
        let IpAddr::V4(address) = external.ip() else { panic!("{external} is not IPv4") };
        assert!(
            nat.pool.iter().any(|range| range.contains(&address)),
            "{external}: not of the pool"
        );
        assert!(nat.port_range.contains(&external.port()), "{external}: not of the port range");
        self.expect(port, &packet.from(external));
        external
    }

    /// The next frame that left by this port, taken off.
    #[track_caller]
    pub fn take(&mut self, port: &str) -> Frame {
        let frame = self.end(port).transmitted.pop_front();
        frame.unwrap_or_else(|| panic!("nothing left by {port}, counted {:?}", self.changes()))
    }

    /// The next frame that left by this port, taken off, if there is one.
    pub fn try_take(&mut self, port: &str) -> Option<Frame> {
        self.end(port).transmitted.pop_front()
    }

    /// The next frame that left by this port.
    #[track_caller]
    pub fn peek(&mut self, port: &str) -> &Frame {
        if self.end(port).transmitted.is_empty() {
            panic!("nothing left by {port}, counted {:?}", self.changes());
        }
        &self.end(port).transmitted[0]
    }

    /// Nothing else has left by any port.
    #[track_caller]
    pub fn expect_nothing(&self) {
        for end in &self.ports {
            assert!(end.transmitted.is_empty(), "left by {}: {:?}", end.name, end.transmitted);
        }
    }

    /// Throws away what has left; returns how much that was.
    pub fn discard(&mut self) -> usize {
        self.ports.iter_mut().map(|end| end.transmitted.drain(..).count()).sum()
    }

    /// Exactly these counters have changed since the last time, by one or by the number before the name.
    #[track_caller]
    pub fn counted<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let changes = self.changes();
        assert_eq!(changes, expected(names), "counted on the left, expected on the right");
        self.counted = self.snapshot();
    }

    /// Takes whatever was counted since the last time as given.
    pub fn forget_counts(&mut self) {
        self.counted = self.snapshot();
    }

    /// What was counted under this name since the last time.
    pub fn count_of(&self, name: &str) -> i64 {
        self.changes().get(name).copied().unwrap_or(0)
    }

    /// What has changed since the last time.
    pub fn changes(&self) -> std::collections::BTreeMap<String, i64> {
        self.snapshot().since(&self.counted)
    }

    fn snapshot(&self) -> Snapshot {
        let ports: Vec<String> = self.ports.iter().map(|end| end.name.clone()).collect();
        Snapshot::of(&self.workers, &ports)
    }

    /// Lets time pass, with turns every few seconds as an idle worker takes them.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now.0 + time.as_millis() as u64;
        while self.now.0 < end {
            self.now = Tick(end.min(self.now.0 + 30_000));
            self.settle();
        }
        let sessions = self.sessions() + self.resting();
        for _ in 0..sessions / 32 + 2 {
            self.settle();
        }
    }

    /// What has left by a port, taken off.
    pub fn transmitted(&mut self, port: &str) -> Vec<Frame> {
        self.end(port).transmitted.drain(..).collect()
    }

    /// Packet buffers that are not in their pool.
    pub fn buffers_in_use(&self) -> usize {
        self.pool.in_use()
    }

    /// A buffer with this frame.
    pub fn buffer(&self, frame: &[u8]) -> Mbuf {
        self.pool.frame(frame).expect("a free buffer")
    }

    /// The virtual time.
    pub fn now(&self) -> Tick {
        self.now
    }

    /// Sessions of all workers.
    pub fn sessions(&self) -> usize {
        self.workers.iter().map(|w| w.pipeline.flows.sessions.len()).sum()
    }

    /// Dynamic mappings of all workers.
    pub fn mappings(&self) -> usize {
        self.workers.iter().map(|w| w.pipeline.flows.mappings.len()).sum()
    }

    /// Internal hosts of all workers.
    pub fn hosts(&self) -> usize {
        self.workers.iter().map(|w| w.pipeline.flows.hosts.len()).sum()
    }

    /// External endpoints at rest, of all workers.
    pub fn resting(&self) -> usize {
        self.workers.iter().map(|w| w.pipeline.flows.mappings.resting()).sum()
    }

    /// External ports in use or at rest, of all workers.
    pub fn ports_taken(&self) -> u32 {
        let usage = self.workers.iter().flat_map(|w| w.pipeline.flows.ports.usage());
        usage.map(|usage| usage.taken).sum()
    }

    /// Lets the workers run until nothing moves.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut moved = 0;
            for worker in &mut self.workers {
                assert!(worker.obey(self.now).is_continue(), "nobody stops the workers");
                moved += worker.turn(self.now);
                while let Some(event) = worker.rings.events.pop() {
                    if !matches!(event, Event::Retired(..)) {
                        self.events.push_back(event);
                    }
                }
            }
            self.collect();
            if moved == 0 && self.lanes.as_ref().is_none_or(|lanes| lanes.in_flight() == 0) {
                check_balance(&self.workers);
                return;
            }
        }
        panic!("the workers do not come to rest");
    }

    /// Lets the workers run until nothing moves, while nobody takes off what they transmit.
    pub fn turn_without_collecting(&mut self) {
        while self.workers.iter_mut().map(|worker| worker.turn(self.now)).sum::<usize>() > 0 {}
    }

    fn collect(&mut self) {
        for end in &mut self.ports {
            while let Some(mbuf) = end.far.collect() {
                let mut octets = vec![0; mbuf.len()];
                mbuf.copy_to(&mut octets);
                end.totals[2] += 1;
                end.totals[3] += octets.len() as u64;
                end.transmitted.push_back(Frame(octets));
            }
        }
    }

    fn end(&mut self, port: &str) -> &mut End {
        let found = self.ports.iter_mut().find(|end| end.name == port);
        found.unwrap_or_else(|| panic!("no port is named {port}"))
    }

    fn link_to_vnf(&self, port: &str, packet: &Packet) -> ([u8; 6], [u8; 6]) {
        let (own, on_link, gateway) = self.link(port, packet.vlan, packet.source);
        (own, mac_of(if on_link { packet.source } else { gateway.unwrap_or(packet.source) }))
    }

    fn link_from_vnf(&self, port: &str, packet: &Packet) -> ([u8; 6], [u8; 6]) {
        let (own, on_link, gateway) = self.link(port, packet.vlan, packet.destination);
        let next = if on_link { packet.destination } else { gateway.unwrap_or(packet.destination) };
        (mac_of(next), own)
    }

    /// The VNF's MAC address on an interface, whether a host is on its link, and the first gateway there.
    fn link(&self, port: &str, vlan: Option<u16>, host: IpAddr) -> ([u8; 6], bool, Option<IpAddr>) {
        let port = self.settings.ports.iter().position(|settings| settings.name == port);
        let port = port.expect("the name of a port");
        let mut interfaces = self.settings.interfaces.iter().enumerate();
        let found = interfaces.find(|(_, found)| found.port == port && found.vlan == vlan);
        let own = self.settings.ports[port].mac.unwrap_or(OWN);
        let Some((at, interface)) = found else { return (own, true, None) };
        let on_link = interface.addresses.iter().any(|net| net.contains(&host));
        let hops = self.settings.routes.iter().flat_map(|route| &route.next_hops);
        let mut gateways = hops.filter(|hop| hop.interface == at).map(|hop| hop.address);
        let gateway = gateways.find(|gateway| gateway.is_ipv4() == host.is_ipv4());
        (interface.mac.unwrap_or(own), on_link, gateway)
    }

    /// The side of the NAT that a port is on.
    pub fn role(&self, port: &str) -> Option<NatRole> {
        self.settings.interfaces.iter().find(|found| found.name == port)?.nat
    }

    fn check_port_counters(&self) {
        for (at, end) in self.ports.iter().enumerate() {
            let sum = |of: usize| {
                self.workers.iter().map(|worker| worker.counters.ports[at][of].read()).sum::<u64>()
            };
            let counted = [sum(0), sum(1), sum(2), sum(3)];
            assert_eq!(
                counted, end.totals,
                "{}: frames and octets received, then transmitted; counted on the left",
                end.name
            );
        }
    }
}

impl Drop for Harness {
    /// At the end every frame was expected, every packet is accounted for, and every buffer is back.
    fn drop(&mut self) {
        let _guard = serialized();
        if !std::thread::panicking() {
            self.expect_nothing();
            check_balance(&self.workers);
            self.check_port_counters();
        }
        self.workers.clear();
        self.events.clear();
        self.lanes = None;
        if !std::thread::panicking() {
            assert_eq!(self.pool.in_use(), 0, "buffers not returned to the pool");
        }
        for end in &mut self.ports {
            end.port = None;
        }
    }
}

/// Runs a test with one worker and with three.
pub fn for_workers(test: impl Fn(usize)) {
    for workers in [1, 3] {
        test(workers);
    }
}

/// Seconds, for [`Harness::advance`].
pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// An endpoint of these parts.
pub fn endpoint(text: &str) -> SocketAddr {
    text.endpoint()
}

pub(super) fn settings(config: &Config, workers: usize) -> Settings {
    let mut settings = config::parse("test.toml", config.text())
        .unwrap_or_else(|errors| panic!("{errors}\n{}", config.text()));
    settings.dpdk.worker_cores = vec![0; workers];
    settings
}

/// Ports are made and removed one at a time: DPDK's own registry of them is not for several threads.
fn serialized() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The MAC address of ports that the configuration gives none.
const OWN: [u8; 6] = [2, 0, 0, 0, 0, 0xff];
/// Buffers of one VNF.
const POOL: u32 = 2047;
/// What the virtual clock shows at first, in milliseconds.
const START: Tick = Tick(5_000);
