//! From settings to an engine: DPDK, its ports, the flows.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dpdk_bindings::port::Config;
use dpdk_bindings::{Eal, Mempool, Port, eal};

use crate::arp::Host;
use crate::engine::{Engine, Live, Side, Stage};
use crate::flow::{Flows, Plan, PlanError, Shape};
use crate::measure::Course;
use crate::port::Spec;
use crate::prefix::Prefix;
use crate::receive::{Expectation, Sut, Verifier};

/// Everything about the ports and the path between them.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Inside and outside port.
    pub specs: [Spec; 2],
    /// What the path does with addresses.
    pub sut: Sut,
    /// Where translated sources must lie.
    pub pool: Vec<Prefix>,
    /// Which flows there are.
    pub plan: Plan,
    /// What their frames look like.
    pub shape: Shape,
}

/// Open ports; dropped after the engine that has their queues.
#[derive(Debug)]
pub struct Ports {
    /// The ports, inside first.
    pub ports: [Port; 2],
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// DPDK refuses.
    #[error(transparent)]
    Dpdk(#[from] dpdk_bindings::Error),
    /// A port without a peer.
    #[error("{0}: no link after {LINK_WAIT_S} s: is the other side up?")]
    NoLink(String),
}

/// What is wrong with the addresses of two ports.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// Only one port has a gateway.
    #[error(
        "gw= is given for one port only: give it for both, or for neither where the ports are joined directly"
    )]
    HalfAGateway,
    /// A system to test that nobody leads to.
    #[error("--sut and --pool need gw= on both ports: without it the ports are joined directly")]
    NoGateway,
    /// A gateway without an address to ask from.
    #[error("gw= needs ip= on the same port")]
    NoAddress,
    /// Too many or too few flows.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl Layout {
    /// Works out the flows; without `ip=` the addresses of RFC 2544 are used.
    pub fn new(
        specs: [Spec; 2],
        sut: Option<Sut>,
        pool: Vec<Prefix>,
        flows: u32,
        shape: Shape,
        seed: u64,
    ) -> Result<Self, LayoutError> {
        let gateways = specs.iter().filter(|spec| spec.gateway.is_some()).count();
        let sut = match (gateways, sut) {
            (0, None) if pool.is_empty() => Sut::Direct,
            (0, _) => return Err(LayoutError::NoGateway),
            (2, sut) => sut.unwrap_or(Sut::Nat44),
            _ => return Err(LayoutError::HalfAGateway),
        };
        if specs.iter().any(|spec| spec.gateway.is_some() && spec.address().is_none()) {
            return Err(LayoutError::NoAddress);
        }
        let [inside, outside] = &specs;
        let first = inside.address().unwrap_or(DEFAULT_INSIDE);
        let mut remotes: Vec<Ipv4Addr> = outside.addresses.iter().map(|p| p.address).collect();
        if remotes.is_empty() {
            remotes.push(DEFAULT_OUTSIDE);
        }
        let plan = Plan::new(flows, first.address, first.len, inside.gateway, &remotes, seed)?;
        Ok(Self { specs, sut, pool, plan, shape })
    }

    /// Initialises DPDK; without hugepages unless a PCI device needs them.
    pub fn init(&self, main_core: usize, no_huge: bool) -> Result<Eal, SetupError> {
        let pci: Vec<String> = self.specs.iter().filter_map(Spec::pci).map(str::to_owned).collect();
        let hugepages = if no_huge || pci.is_empty() {
            eal::Hugepages::Never
        } else {
            eal::Hugepages::Required
        };
        let buffer = u32::from(self.data_room()) + BUFFER_OVERHEAD;
        let memory_mib = ((BUFFERS * buffer) >> 20) * 3 / 2 + RINGS_MIB;
        let program = "pktgen".to_owned();
        let main_core = Some(main_core);
        let extra = Vec::new();
        Ok(Eal::init(&eal::Options { program, main_core, memory_mib, hugepages, pci, extra })?)
    }

    /// Opens both ports, waits for their links, and puts an engine on them.
    pub fn open(
        &self,
        eal: &Eal,
        course: &Course,
        live: Arc<Live>,
    ) -> Result<(Ports, Engine), SetupError> {
        let pool = Mempool::new(eal, "pktgen", BUFFERS, 256, self.data_room())?;
        let mut ports = Vec::new();
        let mut sides = Vec::new();
        for (index, spec) in self.specs.iter().enumerate() {
            let mut port = Port::open(eal, &spec.device(index))?;
            let payload = self.shape.size() - 18; // Ethernet header and FCS
            let config = Config {
                mac: spec.mac,
                mtu: (payload > 1500).then_some(payload as u16),
                fast_free: true,
                ..Config::default()
            };
            let (rx, tx) = port.configure(config, &pool)?;
            port.start()?;
            let hosts = if index == 0 { self.plan.addresses() } else { Vec::new() };
            let own = spec.addresses.iter().map(|prefix| prefix.address);
            let addresses = own.chain(hosts).collect();
            let host = Host::new(port.mac(), addresses, spec.gateway);
            sides.extend(rx.into_iter().zip(tx).map(|(rx, tx)| Side {
                rx,
                tx,
                host: host.clone(),
            }));
            ports.push(port);
        }
        let ports: [Port; 2] = ports.try_into().expect("two specifications, two ports");
        let sides: [Side; 2] = sides.try_into().expect("one queue pair for each port");
        for port in &ports {
            wait_for_link(port)?;
        }
        let [inside, outside] = sides.each_ref().map(|side| side.host.mac());
        let expectation = Expectation {
            sut: self.sut,
            hops: if self.sut == Sut::Direct { 0 } else { 1 },
            pool: self.pool.clone(),
            macs: [outside, inside],
        };
        let key = course.key(Stage::Resolving);
        let flows = Flows::new(self.plan.clone(), self.shape);
        let verifier = Verifier::new(expectation, self.shape, key);
        let engine = Engine::new(sides, flows, verifier, key, pool, live);
        Ok((Ports { ports }, engine))
    }

    fn data_room(&self) -> u16 {
        (self.shape.buffer_len() as u16).max(2048)
    }
}

impl Ports {
    /// Whether nothing can ever arrive.
    pub fn absorb(&self) -> bool {
        self.ports.iter().all(|port| port.driver() == "net_null")
    }
}

fn wait_for_link(port: &Port) -> Result<(), SetupError> {
    let start = Instant::now();
    while !port.link_up() {
        if start.elapsed() > Duration::from_secs(LINK_WAIT_S) {
            return Err(SetupError::NoLink(port.device().to_owned()));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// RFC 2544's benchmarking addresses (RFC 6890).
const DEFAULT_INSIDE: Prefix = Prefix { address: Ipv4Addr::new(198, 18, 0, 2), len: 16 };
const DEFAULT_OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 2);
const BUFFERS: u32 = 16_383;
/// Headroom, mbuf and mempool headers of one buffer, in octets.
const BUFFER_OVERHEAD: u32 = 384;
/// What ports and rings need besides, in MiB.
const RINGS_MIB: u32 = 64;
const LINK_WAIT_S: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(inside: &str, outside: &str, sut: Option<Sut>) -> Result<Layout, LayoutError> {
        let specs = [inside.parse().unwrap(), outside.parse().unwrap()];
        Layout::new(specs, sut, Vec::new(), 100, Shape::new(64).unwrap(), 1)
    }

    #[test]
    fn gateways_decide_what_lies_between_the_ports() {
        let (a, b) = ("null,ip=10.0.0.2/16,gw=10.0.0.1", "null,ip=198.51.100.2/24,gw=198.51.100.1");
        assert_eq!(layout(a, b, None).unwrap().sut, Sut::Nat44);
        assert_eq!(layout(a, b, Some(Sut::Router)).unwrap().sut, Sut::Router);
        assert_eq!(layout("null", "null", None).unwrap().sut, Sut::Direct);
        assert!(matches!(layout("null", "null", Some(Sut::Nat44)), Err(LayoutError::NoGateway)));
        assert!(matches!(layout(a, "null", None), Err(LayoutError::HalfAGateway)));
        assert!(matches!(layout("null,gw=10.0.0.1", b, None), Err(LayoutError::NoAddress)));
    }

    #[test]
    fn the_gateway_is_no_host_and_the_port_has_all_hosts() {
        let layout = layout("null,ip=10.0.0.1/24", "null,ip=198.51.100.2/24", None).unwrap();
        assert_eq!(layout.plan.addresses(), [[10, 0, 0, 1], [10, 0, 0, 2]].map(Ipv4Addr::from));
    }
}
