//! Random traces against a reference NAT made of hash maps: endpoint-independent mapping, paired pooling, filtering by
//! address and port, timeouts that only outbound packets restart.

mod common;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use common::*;
use proptest::prelude::*;
use vnf::engine::message::{Command, Filter, Page};

/// One step of a trace; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Clear {
        host: u8,
    },
    Inbound {
        session: usize,
    },
    Outbound {
        flow: Flow,
    },
    Unsolicited {
        port: u16,
        remote: u8,
    },
    /// In units of nine seconds, so that no idle time meets a timeout.
    Wait {
        units: u64,
    },
}

/// An internal endpoint and whom it speaks to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Flow {
    udp: bool,
    host: u8,
    port: u16,
    remote: u8,
}

impl Flow {
    fn internal(&self) -> (bool, SocketAddr) {
        let host = IpAddr::from([10, 0, 0, 2 + self.host]);
        (self.udp, SocketAddr::new(host, 5000 + self.port))
    }

    fn packet(&self) -> Packet {
        let remote = format!("203.0.113.{}", 1 + self.remote);
        let source = self.internal().1;
        if self.udp { udp(source, &format!("{remote}:53")[..]) } else { ping(source, &remote) }
    }

    fn timeout_s(&self) -> u64 {
        if self.udp { 300 } else { 60 }
    }
}

/// The reference: what a NAT after RFC 4787 knows, as plainly as it can be written.
#[derive(Default)]
struct Reference {
    /// External endpoint of each internal one.
    mappings: HashMap<(bool, SocketAddr), SocketAddr>,
    /// When each flow was last seen going out.
    sessions: HashMap<Flow, u64>,
    now_s: u64,
}

impl Reference {
    fn wait(&mut self, seconds: u64) {
        self.now_s += seconds;
        let now = self.now_s;
        self.sessions.retain(|flow, seen| now - *seen < flow.timeout_s());
        self.forget_mappings();
    }

    fn clear(&mut self, host: u8) {
        self.sessions.retain(|flow, _| flow.host != host);
        self.forget_mappings();
    }

    fn forget_mappings(&mut self) {
        let sessions = &self.sessions;
        self.mappings
            .retain(|internal, _| sessions.keys().any(|flow| flow.internal() == *internal));
    }

    /// Takes a packet that left as `external`; says what is wrong with that.
    fn outbound(&mut self, flow: Flow, external: SocketAddr) -> Result<(), String> {
        let (udp, internal) = flow.internal();
        match self.mappings.get(&(udp, internal)) {
            Some(known) if *known != external => {
                return Err(format!("{internal} was {known} and is {external}"));
            }
            Some(_) => {}
            None => {
                let mut others = self.mappings.iter();
                if let Some((owner, _)) = others.find(|(key, e)| key.0 == udp && **e == external) {
                    return Err(format!("{external} is of {owner:?} and of {internal}"));
                }
                let mut of_host =
                    self.mappings.iter().filter(|(key, _)| key.1.ip() == internal.ip());
                if let Some((_, other)) = of_host.find(|(_, other)| other.ip() != external.ip()) {
                    return Err(format!("{internal} is {external}, another of its host {other}"));
                }
                self.mappings.insert((udp, internal), external);
            }
        }
        self.sessions.insert(flow, self.now_s);
        Ok(())
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let flow = (any::<bool>(), 0..4u8, 0..6u16, 0..3u8)
        .prop_map(|(udp, host, port, remote)| Flow { udp, host, port, remote });
    let step = prop_oneof![
        8 => flow.prop_map(|flow| Step::Outbound { flow }),
        6 => any::<usize>().prop_map(|session| Step::Inbound { session }),
        2 => (2000..2064u16, 0..3u8).prop_map(|(port, remote)| Step::Unsolicited { port, remote }),
        3 => (1..36u64).prop_map(|units| Step::Wait { units }),
        1 => (0..4u8).prop_map(|host| Step::Clear { host }),
    ];
    proptest::collection::vec(step, 1..80)
}

fn follow(vnf: &mut Harness, reference: &mut Reference, step: &Step) -> Result<(), TestCaseError> {
    match step {
        Step::Clear { host } => {
            reference.clear(*host);
            let host = Some(IpAddr::from([10, 0, 0, 2 + host]));
            vnf.command(|| Command::Clear(Page::new(0, Filter { host, ..Filter::default() }, 0)));
        }
        Step::Inbound { session } => {
            let mut live: Vec<Flow> = reference.sessions.keys().copied().collect();
            live.sort_by_key(|flow| (flow.internal(), flow.remote));
            let Some(flow) = (!live.is_empty()).then(|| live[session % live.len()]) else {
                return Ok(());
            };
            let external = reference.mappings[&flow.internal()];
            vnf.send("wan", &flow.packet().from(external).reply());
            let frame = vnf.try_take("lan").map(|frame| frame.destination());
            prop_assert_eq!(frame, Some(flow.internal().1), "a live session of {:?}", flow);
        }
        Step::Outbound { flow } => {
            vnf.send("lan", &flow.packet());
            let Some(frame) = vnf.try_take("wan") else {
                return Err(TestCaseError::fail(format!("{flow:?} did not leave")));
            };
            reference.outbound(*flow, frame.source()).map_err(TestCaseError::fail)?;
        }
        Step::Unsolicited { port, remote } => {
            for address in [10, 11] {
                let external = SocketAddr::new([198, 51, 100, address].into(), *port);
                // Nobody speaks to this port of the remotes.
                let stranger = format!("203.0.113.{}:54", 1 + remote);
                vnf.send("wan", &udp(&stranger[..], external));
                prop_assert!(vnf.try_take("lan").is_none(), "a stranger came in by {}", external);
            }
        }
        Step::Wait { units } => {
            reference.wait(units * 9);
            vnf.advance(seconds(units * 9));
        }
    }
    prop_assert_eq!(vnf.sessions(), reference.sessions.len());
    prop_assert_eq!(vnf.mappings(), reference.mappings.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_trace_goes_as_the_reference_says_and_drains(steps in steps(), workers in 1..4usize) {
        let config = Config::new("nat44.toml")
            .replace("[\"198.51.100.10\"]", "[\"198.51.100.10-198.51.100.11\"]")
            .nat44("port_range = \"2000-2999\"");
        let mut vnf = Harness::new(config, workers);
        let mut reference = Reference::default();
        for step in &steps {
            follow(&mut vnf, &mut reference, step)?;
        }
        vnf.discard();
        vnf.advance(seconds(310));
        prop_assert_eq!((vnf.sessions(), vnf.mappings(), vnf.hosts()), (0, 0, 0));
        vnf.advance(seconds(130));
        prop_assert_eq!((vnf.resting(), vnf.ports_taken()), (0, 0));
    }
}
