//! Frames and time steps, made from any bytes, through whole VNFs on ring ports: no panic, every packet is accounted
//! for, and when all has timed out no buffer, session or mapping is left.
#![no_main]

#[path = "../../vnf/tests/common/mod.rs"]
mod common;

use std::cell::RefCell;
use std::time::Duration;

use common::{Checksum, Config, Frame, Harness, Packet, icmp_error, ip, ping, tcp, udp};
use libfuzzer_sys::fuzz_target;
use vnf::engine::message::{Command, Filter, Page};

fuzz_target!(|bytes: &[u8]| {
    // Kept for ever: their ports go with the process.
    thread_local!(static WORLDS: RefCell<&'static mut [World; 2]> =
        RefCell::new(Box::leak(Box::new([World::plain(), World::strict()]))));
    let Some((choice, bytes)) = bytes.split_first() else { return };
    WORLDS.with_borrow_mut(|worlds| worlds[usize::from(choice & 1)].run(Input(bytes)));
});

/// A VNF, and the last frames seen.
struct World {
    vnf: Harness,
    /// The last one that was sent, and its port.
    sent: (Vec<u8>, usize),
    /// The last one that left by each port.
    left: [Vec<u8>; 2],
}

impl World {
    /// One worker, inbound packets from anybody, a narrow link inside.
    fn plain() -> Self {
        let nat = "filtering = \"endpoint-independent\"\nreuse_hold = \"1s\"\ntcp_mss_clamp = 1200";
        let config = dual_stack().nat44(nat).interface("lan", "mtu = 1400");
        Self::new(Harness::new(config, 1))
    }

    /// Two workers that share queues, port blocks, rules in both directions.
    fn strict() -> Self {
        let nat = "allocation = \"port-blocks\"\nport_block_size = 64\nmax_sessions_per_host = 32";
        let config = dual_stack()
            .nat44(&format!("{nat}\nfiltering = \"address-dependent\"\nreuse_hold = \"1s\""))
            .interface("lan", "acl_in = \"from-lan\"")
            .interface("wan", "acl_in = \"from-wan\"")
            .more(RULES);
        Self::new(Harness::with_single_queues(config, 2))
    }

    fn new(vnf: Harness) -> Self {
        Self { vnf, sent: (Vec::new(), 0), left: Default::default() }
    }

    fn run(&mut self, mut input: Input<'_>) {
        self.sent = (Vec::new(), 0);
        self.left = Default::default();
        for _ in 0..MOST_STEPS {
            let Some(step) = input.byte() else { break };
            self.step(step, &mut input);
            self.collect();
        }
        self.forget();
    }

    fn step(&mut self, step: u8, input: &mut Input<'_>) {
        let port = usize::from(step >> 7);
        match step & 7 {
            0 => self.vnf.advance(Duration::from_millis(u64::from(input.word()) * 4)),
            1 => {
                let length = usize::from(input.word() % 2000) + 1;
                self.send(port, input.bytes(length).to_vec(), step, input);
            }
            2..=4 => {
                let packet = packet(input);
                let frame = self.vnf.frame_of(PORTS[port], &packet);
                self.send(port, frame, step, input);
            }
            5 => {
                let mut frame = self.left[port].clone();
                turn_around(&mut frame);
                self.send(port, frame, step, input);
            }
            6 => {
                let (frame, port) = self.sent.clone();
                self.send(port, frame, step, input);
            }
            _ => self.error(port, step, input),
        }
    }

    /// A router on the way complains about the last packet that left by this port.
    fn error(&mut self, port: usize, step: u8, input: &mut Input<'_>) {
        let Some(quoted) = self.left[port].get(14..) else { return };
        let source = HOSTS[usize::from(input.byte().unwrap_or(0)) % HOSTS.len()];
        let about = udp("10.0.0.2:1", "198.51.100.7:1");
        let (kind, code) = (input.byte().unwrap_or(3), input.byte().unwrap_or(4));
        let length = quoted.len().min(usize::from(input.byte().unwrap_or(28)));
        let quoted = quoted[..length].to_vec();
        let Some(sender) = quoted.get(12..16) else { return };
        let sender = format!("{}.{}.{}.{}", sender[0], sender[1], sender[2], sender[3]);
        if !source.contains('.') {
            return;
        }
        let error = icmp_error(source, kind, code, &about).to(sender.as_str()).payload(&quoted);
        let frame = self.vnf.frame_of(PORTS[port], &error);
        self.send(port, frame, step, input);
    }

    /// Sends a frame, maybe with an octet changed, maybe cut into segments.
    fn send(&mut self, port: usize, mut frame: Vec<u8>, step: u8, input: &mut Input<'_>) {
        if step & 8 != 0 {
            let (at, value) = (usize::from(input.word()), input.byte().unwrap_or(0));
            if let Some(octet) = frame.get_mut(at % 128) {
                *octet = value;
            }
        }
        if step & 16 != 0 {
            frame.truncate(usize::from(input.word()));
        }
        if frame.is_empty() {
            return;
        }
        let cut = usize::from(input.byte().unwrap_or(0));
        let segments: &[usize] =
            if step & 32 != 0 && 0 < cut && cut < frame.len() { &[cut] } else { &[] };
        self.sent = (frame.clone(), port);
        self.vnf.inject(PORTS[port], &frame, segments);
        if step & 64 == 0 {
            self.vnf.settle();
        }
    }

    fn collect(&mut self) {
        for (last, port) in self.left.iter_mut().zip(PORTS) {
            if let Some(Frame(frame)) = self.vnf.transmitted(port).pop() {
                *last = frame;
            }
        }
        self.vnf.events.clear();
    }

    /// Ends every session, waits until nothing is held, and sees that nothing is left.
    fn forget(&mut self) {
        self.vnf.settle();
        while self.vnf.sessions() > 0 {
            let before = self.vnf.sessions();
            self.vnf.command(|| Command::Clear(Page::new(0, Filter::default(), 0)));
            self.vnf.events.clear();
            assert!(self.vnf.sessions() < before, "sessions that cannot be cleared");
        }
        self.vnf.advance(Duration::from_secs(125));
        self.collect();
        assert_eq!(self.vnf.sessions(), 0, "sessions left");
        assert_eq!(self.vnf.mappings(), 0, "mappings left");
        assert_eq!(self.vnf.hosts(), 0, "hosts left");
        assert_eq!(self.vnf.ports_taken(), 0, "external ports left");
        assert_eq!(self.vnf.buffers_in_use(), 0, "buffers left");
    }
}

/// The NAT of the packet tests, with IPv6 beside it and a VLAN.
fn dual_stack() -> Config {
    Config::new("nat44.toml")
        .replace("\"10.0.0.1/24\"", "\"10.0.0.1/24\", \"fd00:a::1/64\"")
        .replace("\"198.51.100.1/24\"", "\"198.51.100.1/24\", \"fd00:b::1/64\"")
        .neighbors("lan", ["fd00:a::2".to_owned()])
        .neighbors("wan", ["fd00:b::2".to_owned(), "198.51.100.7".to_owned()])
        .more("[[vlan]]\nname = \"guests\"\nport = \"lan\"\nid = 100\naddresses = [\"10.0.100.1/24\"]")
}

/// What is left of the input.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        self.0.split_off_first().copied()
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte().unwrap_or(0), self.byte().unwrap_or(0)])
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// A packet between two of a few hosts and ports, right but for what the input wants otherwise.
fn packet(input: &mut Input<'_>) -> Packet {
    let [hosts, ports, kind, shape] = [(); 4].map(|()| input.byte().unwrap_or(0));
    let mut source = HOSTS[usize::from(hosts >> 4) % HOSTS.len()];
    let destination = HOSTS[usize::from(hosts & 15) % HOSTS.len()];
    if source.contains(':') != destination.contains(':') {
        source = if source.contains(':') { "10.0.0.2" } else { "fd00:a::2" };
    }
    let endpoint = |host: &str, port: u16| match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    let source_port = PORT_NUMBERS[usize::from(ports >> 4) % PORT_NUMBERS.len()];
    let destination_port = PORT_NUMBERS[usize::from(ports & 15) % PORT_NUMBERS.len()];
    let (from, to) = (endpoint(source, source_port), endpoint(destination, destination_port));
    let payload = vec![shape; [0, 8, 24, 600, 1372, 1480][usize::from(shape & 15) % 6]];
    let packet = match kind & 7 {
        0 | 1 => udp(from, to).payload(&payload),
        2..=4 => tcp(from, to, FLAGS[usize::from(kind >> 3) % FLAGS.len()]).payload(&payload),
        5 => ping(from, destination).payload(&payload),
        6 => ip(source, destination, input.byte().unwrap_or(0), &payload),
        _ => ip(source, destination, 17, &payload), // a later fragment
    };
    shaped(packet, shape, input)
}

/// With unusual header fields.
fn shaped(mut packet: Packet, shape: u8, input: &mut Input<'_>) -> Packet {
    if shape & 0x10 != 0 {
        packet.ttl = input.byte();
    }
    if shape & 0x20 != 0 {
        let field = input.word();
        packet.fragment_offset = (field & 0x1fff) % 512;
        packet.more_fragments = field & 0x2000 != 0;
        packet.dont_fragment = field & 0x4000 != 0;
    }
    if shape & 0x40 != 0 {
        let words = usize::from(input.byte().unwrap_or(0) % 11);
        packet.options = input.bytes(words * 4).to_vec();
        packet.options.resize(words * 4, 1);
    }
    if shape & 0x80 != 0 {
        packet.checksum = match input.byte() {
            Some(0) => Checksum::Zero,
            Some(delta) => Checksum::WrongBy(delta.into()),
            None => Checksum::Right,
        };
    }
    packet
}

/// Swaps MAC addresses, IPv4 addresses and ports, which leaves every checksum as it is.
fn turn_around(frame: &mut [u8]) {
    if frame.len() < 38 || frame[12..14] != [8, 0] {
        return;
    }
    let swap = |frame: &mut [u8], at: usize, length: usize| {
        if let Some(both) = frame.get_mut(at..at + 2 * length) {
            both.rotate_left(length);
        }
    };
    swap(frame, 0, 6);
    swap(frame, 26, 4);
    if matches!(frame[23], 6 | 17) && frame[14] == 0x45 {
        swap(frame, 34, 2);
    }
}

const PORTS: [&str; 2] = ["lan", "wan"];
const HOSTS: [&str; 16] = [
    "10.0.0.2",
    "10.0.0.3",
    "10.0.0.77",     // nobody there
    "10.0.0.1",      // the VNF
    "198.51.100.10", // the pool
    "198.51.100.1",  // the VNF
    "198.51.100.7",
    "198.51.100.254",
    "203.0.113.7",
    "203.0.113.8",
    "255.255.255.255",
    "224.0.0.1",
    "fd00:a::2",
    "fd00:a::1",
    "fd00:b::2",
    "ff02::1",
];
const PORT_NUMBERS: [u16; 8] = [0, 53, 80, 1024, 1025, 5000, 40_000, 65_535];
const FLAGS: [&str; 12] = ["S", "SA", "A", "F", "FA", "R", "RA", "PA", "SF", "SR", "", "SAFRPU"];
/// Steps that one input may take.
const MOST_STEPS: usize = 64;

const RULES: &str = r#"
[[acl]]
name = "from-lan"
default = "permit"

[[acl.rule]]
action = "reject"
protocol = "tcp"
destination_port = 80

[[acl.rule]]
action = "reject"
protocol = "udp"
source = "10.0.0.3"
destination_port = 53
log = true

[[acl]]
name = "from-wan"
default = "deny"

[[acl.rule]]
action = "permit"
protocol = "icmp"

[[acl.rule]]
action = "permit"
protocol = "tcp"
destination_port = "1024-40000"
"#;
