//! Random traces through the VNF and through a NAT made of hash maps: the same packets pass, no external endpoint has two
//! owners, no live session is lost, and in the end everything drains.

#[path = "../common/mod.rs"]
mod common;
mod reference;

use std::net::{Ipv4Addr, SocketAddr};

use common::*;
use proptest::prelude::*;
use reference::{Behaviour, Filtering, Flow, Reference};
use vnf::engine::message::{Command, Filter, Page};

/// One step of a trace. Numbers choose among what there is at the time.
#[derive(Clone, Debug)]
enum Step {
    /// A host sends: protocol, host, port, remote address, remote port.
    Out(u8, u32, u16, u32, u16),
    /// The remote end of a session answers.
    Answer(usize),
    /// Somebody sends to the external endpoint of a session.
    Stray(usize, u32, u16),
    /// Somebody sends to a port of the pool.
    Unsolicited(u8, u16),
    /// Time passes, in seconds.
    Wait(u64),
    /// `clear sessions --host`.
    Clear(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let protocol = || prop_oneof![Just(1u8), Just(6), Just(17)];
    prop_oneof![
        10 => (protocol(), 2..6u32, 0..5u16, 0..3u32, 0..2u16)
            .prop_map(|(p, h, port, r, rp)| Step::Out(p, h, port, r, rp)),
        5 => any::<usize>().prop_map(Step::Answer),
        3 => (any::<usize>(), 0..4u32, 0..3u16).prop_map(|(at, r, rp)| Step::Stray(at, r, rp)),
        1 => (protocol(), 0..40u16).prop_map(|(p, port)| Step::Unsolicited(p, port)),
        3 => (0..90u64).prop_map(Step::Wait),
        1 => (2..6u32).prop_map(Step::Clear),
    ]
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    let filtering =
        prop_oneof![Just(Filtering::Address), Just(Filtering::Endpoint), Just(Filtering::None)];
    (any::<bool>(), filtering).prop_map(|(endpoint_independent, filtering)| Behaviour {
        endpoint_independent,
        filtering,
        // Half seconds: the steps are whole ones, so that nothing ends just when it is asked for.
        udp: 130_500,
        half_open: 60_500,
        established: 400_500,
        icmp: 61_500,
        hold: 120_500,
    })
}

fn config(behaviour: &Behaviour, addresses: u8, allocation: &str) -> Config {
    let filtering = match behaviour.filtering {
        Filtering::Address => "address-dependent",
        Filtering::Endpoint => "address-and-port-dependent",
        Filtering::None => "endpoint-independent",
    };
    let mapping = if behaviour.endpoint_independent {
        "endpoint-independent"
    } else {
        "address-and-port-dependent"
    };
    let Behaviour { udp, half_open, established, icmp, hold, .. } = behaviour;
    let hosts = if allocation == "deterministic" {
        "[nat44.deterministic]\ninternal = [\"10.0.0.0/29\"]\noverflow_factor = 2"
    } else {
        ""
    };
    Config::new("nat44.toml")
        .more(hosts)
        .replace(
            "[\"198.51.100.10\"]",
            &format!("[\"198.51.100.10-198.51.100.{}\"]", 9 + addresses),
        )
        .replace("max_sessions = 1024", "max_sessions = 192")
        .nat44(&format!(
            "filtering = \"{filtering}\"\nmapping = \"{mapping}\"\nreuse_hold = \"{hold}ms\"\n\
             port_range = \"2000-2039\"\nmax_sessions_per_host = {HOST_LIMIT}\n\
             allocation = \"{allocation}\"\nport_block_size = 8\nmax_blocks_per_host = 2"
        ))
        .more(&format!(
            "[nat44.timeouts]\nudp = \"{udp}ms\"\ntcp_transitory = \"{half_open}ms\"\n\
             tcp_established = \"{established}ms\"\nicmp = \"{icmp}ms\""
        ))
}

const HOST_LIMIT: usize = 20;

/// The VNF and the reference, side by side.
struct Pair {
    vnf: Harness,
    reference: Reference,
    workers: usize,
    /// Whether one worker may give every port to any host.
    whole: bool,
    now: u64,
}

impl Pair {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Out(protocol, host, port, remote, remote_port) => {
                let internal = (0x0a00_0000 + host, 5000 + port);
                let remote_port = if protocol == 1 { 0 } else { 53 + remote_port };
                self.out((protocol, internal, (0xcb00_7107 + remote, remote_port)));
            }
            Step::Answer(at) => {
                let mut flows: Vec<Flow> = self.reference.sessions.keys().copied().collect();
                flows.sort_unstable();
                if !flows.is_empty() {
                    let flow = flows[at % flows.len()];
                    let external = self.reference.sessions[&flow].external;
                    self.inbound(flow.0, flow.2, external);
                }
            }
            Step::Stray(at, remote, remote_port) => {
                let mut externals: Vec<_> =
                    self.reference.sessions.iter().map(|(f, s)| (f.0, s.external)).collect();
                externals.sort_unstable();
                if !externals.is_empty() {
                    let (protocol, external) = externals[at % externals.len()];
                    let remote_port = if protocol == 1 { 0 } else { 53 + remote_port };
                    self.inbound(protocol, (0xcb00_7107 + remote, remote_port), external);
                }
            }
            Step::Unsolicited(protocol, port) => {
                let remote_port = if protocol == 1 { 0 } else { 99 };
                self.inbound(protocol, (0xcb00_7199, remote_port), (0xc633_640a, 2000 + port));
            }
            Step::Wait(time) => {
                self.vnf.advance(seconds(time));
                self.now += time * 1000;
                self.reference.expire(self.now);
            }
            Step::Clear(host) => {
                let host = 0x0a00_0000 + host;
                let filter =
                    Filter { host: Some(Ipv4Addr::from(host).into()), ..Filter::default() };
                self.vnf.command(|| Command::Clear(Page::new(0, filter, 0)));
                self.reference.clear(host, self.now);
            }
        }
        self.vnf.discard();
        self.vnf.events.clear();
        assert_eq!(self.vnf.sessions(), self.reference.sessions.len(), "live sessions");
    }

    fn out(&mut self, flow: Flow) {
        let (protocol, internal, remote) = flow;
        let packet = packet(protocol, internal, remote);
        self.vnf.send("lan", &packet);
        let known = self.reference.sessions.get(&flow).map(|session| session.external);
        let Some(frame) = self.vnf.try_take("wan") else {
            assert_eq!(known, None, "a packet of a live session passes");
            return self.check_refusal(&flow);
        };
        let external = endpoint_of(frame.source());
        self.vnf.forget_counts();
        let expected = packet.from(external).frame((mac_of(GATEWAY.into()), WAN), 63);
        assert!(frame.is(&expected), "{frame:?} instead of {packet:?} from {external:?}");
        match (known, self.reference.must_use(&flow)) {
            (Some(known), _) => assert_eq!(external, known, "a session keeps its endpoint"),
            (None, Some(shared)) => {
                assert!(shared.contains(&external), "{external:?} instead of {shared:?}");
            }
            (None, None) => {
                assert!(
                    self.reference.is_free(protocol, external, self.now),
                    "{external:?} is free"
                );
                assert!((2000..2040).contains(&external.1));
                if let Some(paired) = self.reference.paired(internal.0) {
                    assert_eq!(external.0, paired, "all mappings of a host have one address");
                }
            }
        }
        self.reference.pass(flow, external, 0, self.now);
    }

    /// A refusal has its reason: the host is at its limit, or ports or sessions have run out where it is at home.
    fn check_refusal(&mut self, flow: &Flow) {
        let reasons = ["nat-host-limit", "nat-ports-exhausted", "nat-session-limit"];
        let given: Vec<&str> =
            reasons.into_iter().filter(|reason| self.vnf.count_of(reason) == 1).collect();
        self.vnf.forget_counts();
        let at_limit = self.reference.sessions_of(flow.1.0) >= HOST_LIMIT;
        match given[..] {
            ["nat-host-limit"] => assert!(at_limit, "the host has had its share"),
            ["nat-ports-exhausted"] => {
                assert!(self.reference.must_use(flow).is_none(), "no port is needed");
                let paired = self.reference.paired(flow.1.0).filter(|_| self.whole);
                let is_free =
                    |address, port| self.reference.is_free(flow.0, (address, port), self.now);
                let free = paired.is_some_and(|a| (2000..2040).any(|port| is_free(a, port)));
                assert!(!free, "the ports of the paired address have run out");
            }
            ["nat-session-limit"] => {
                let share = 192 / self.workers;
                assert!(self.reference.sessions.len() + self.vnf.resting() >= share);
            }
            _ => panic!("refused for {given:?}, of {flow:?}"),
        }
    }

    fn inbound(&mut self, protocol: u8, remote: (u32, u16), external: (u32, u16)) {
        let to = self.reference.inbound(protocol, remote, external);
        let known =
            to.is_some_and(|to| self.reference.sessions.contains_key(&(protocol, to, remote)));
        let reply = packet(protocol, external, remote).reply();
        let reply = if known || protocol != 6 { reply } else { reply.flags("S") };
        self.vnf.send("wan", &reply);
        let delivered = self.vnf.try_take("lan");
        let host_limit =
            self.vnf.count_of("nat-host-limit") + self.vnf.count_of("nat-session-limit");
        self.vnf.forget_counts();
        // An echo reply belongs to a query; nobody opens a session by one.
        match (to, delivered) {
            (Some(to), Some(frame)) => {
                let inside = reply.to(to);
                let expected = inside.frame((mac_of(inside.destination), LAN), 63);
                assert!(frame.is(&expected), "{frame:?} instead of {inside:?}");
                self.reference.pass((protocol, to, remote), external, 1, self.now);
            }
            (Some(_), None) => assert!(
                !known && host_limit == 1,
                "an admitted packet passes: {protocol} {to:?}, {:?}",
                self.vnf.changes()
            ),
            (None, Some(frame)) => panic!("nobody expects {frame:?}"),
            (None, None) => {}
        }
    }

    /// After the longest time everything is as it was at the start.
    fn drain(&mut self) {
        self.vnf.advance(seconds(600));
        self.vnf.discard();
        let vnf = &self.vnf;
        let left = (vnf.sessions(), vnf.mappings(), vnf.hosts(), vnf.resting(), vnf.ports_taken());
        assert_eq!(left, (0, 0, 0, 0, 0), "sessions, mappings, hosts, endpoints at rest, ports");
        for worker in &vnf.workers {
            assert!(
                worker.pipeline.flows.contacts.as_ref().is_none_or(|contacts| contacts.is_empty())
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_vnf_does_what_the_reference_does(
        behaviour in behaviour(),
        workers in 1..4usize,
        addresses in 1..5u8,
        allocation in prop_oneof![Just("deterministic"), Just("dynamic"), Just("port-blocks")],
        trace in prop::collection::vec(step(), 1..150),
    ) {
        let vnf = Harness::new(config(&behaviour, addresses, allocation), workers);
        let whole = workers == 1 && allocation == "dynamic";
        let mut pair = Pair { vnf, reference: Reference::new(behaviour), workers, whole, now: 0 };
        for step in &trace {
            pair.take(step);
        }
        pair.drain();
    }
}

/// How many traces: `VNF_MODEL_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("VNF_MODEL_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(150)
}

/// A packet of a flow, from the inside.
fn packet(protocol: u8, source: (u32, u16), destination: (u32, u16)) -> Packet {
    match protocol {
        1 => ping(source, &Ipv4Addr::from(destination.0).to_string()),
        6 => tcp(source, destination, "S"),
        _ => udp(source, destination),
    }
}

fn endpoint_of(address: SocketAddr) -> (u32, u16) {
    let SocketAddr::V4(address) = address else { panic!("{address} is not IPv4") };
    ((*address.ip()).into(), address.port())
}

const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);
const LAN: [u8; 6] = [2, 0, 0, 0, 0, 1];
const WAN: [u8; 6] = [2, 0, 0, 0, 0, 2];
