//! From settings to an engine: DPDK, its ports, the flows.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dpdk_bindings::port::Config;
use dpdk_bindings::{Eal, Mempool, Port, eal};

use crate::endpoint::{Address, Family};
use crate::engine::{Engine, Live, Side};
use crate::flow::{Flows, Plan, PlanError, Pool, Protocol, Sizes, Stream};
use crate::host::Host;
use crate::port::Spec;
use crate::prefix::Prefix;
use crate::receive::{Expectation, Sut};

/// Everything about the ports, the path between them, and the flows.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Inside and outside port.
    pub specs: [Spec; 2],
    /// What the path does with addresses.
    pub sut: Sut,
    /// Where translated sources must lie.
    pub pool: Vec<Prefix>,
    /// By how much TTL shrinks.
    pub hops: u8,
    /// The flows.
    pub streams: Vec<Stream>,
    /// Octets of the largest frame that is ever sent, untagged and with FCS.
    pub largest: usize,
    /// What keys come from.
    pub seed: u64,
}

/// The traffic of a run without a profile.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// Flows of all protocols and families together.
    pub flows: u32,
    /// Protocols, each with as many flows.
    pub protocols: Vec<Protocol>,
    /// Frame sizes.
    pub sizes: Sizes,
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
    #[error("gw= needs ip= of the same family on the same port")]
    NoAddress,
    /// No family for flows.
    #[error(
        "the ports have no addresses of the same family: give both ip= of IPv4, of IPv6 or of both"
    )]
    NoFamily,
    /// More kinds of flows than flows.
    #[error("{flows} flows cannot be of {kinds} kinds: give --flows at least that")]
    TooFewFlows {
        /// Flows asked for.
        flows: u32,
        /// Protocols times families.
        kinds: usize,
    },
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
        traffic: &Traffic,
        seed: u64,
    ) -> Result<Self, LayoutError> {
        let (sut, families) = path(&specs, sut, !pool.is_empty())?;
        let kinds: Vec<_> = families
            .iter()
            .flat_map(|family| traffic.protocols.iter().map(|protocol| (*protocol, *family)))
            .collect();
        if (traffic.flows as usize) < kinds.len() {
            let (flows, kinds) = (traffic.flows, kinds.len());
            return Err(LayoutError::TooFewFlows { flows, kinds });
        }
        let (each, more) =
            (traffic.flows / kinds.len() as u32, traffic.flows as usize % kinds.len());
        let mut streams = Vec::new();
        for (number, (protocol, family)) in kinds.into_iter().enumerate() {
            let flows = each + u32::from(number < more);
            let from = Pool::for_flows(
                flows,
                specs[0]
                    .address(family)
                    .unwrap_or(Prefix { address: DEFAULT_INSIDE.into(), len: 16 }),
                specs[0].gateway(family),
                &remotes(&specs[1], family),
            );
            // Plans that differ in protocol only may well have the same endpoints.
            let plan = Plan::new(flows, from, seed.wrapping_add(number as u64))?;
            let name = format!("{}-{}", protocol.name(), family.name());
            let translated = sut == Sut::Nat44 && family == Family::V4;
            let sizes = traffic.sizes.clone();
            streams.push(Stream::new(&name, protocol, family, sizes, plan, translated));
        }
        Ok(Self::of_streams(specs, sut, pool, streams, seed))
    }

    /// The same for streams that are described already.
    pub fn of_streams(
        specs: [Spec; 2],
        sut: Sut,
        pool: Vec<Prefix>,
        streams: Vec<Stream>,
        seed: u64,
    ) -> Self {
        let hops = if sut == Sut::Direct { 0 } else { 1 };
        let largest = streams.iter().map(|stream| stream.longest() + L2).max().unwrap_or_default();
        Self { specs, sut, pool, hops, streams, largest, seed }
    }

    /// Makes room for sizes that come later.
    pub fn with_room_for(mut self, sizes: &Sizes) -> Self {
        self.largest = self.largest.max(sizes.largest());
        self
    }

    /// The sizes as written, of all streams.
    pub fn sizes(&self) -> String {
        let mut sizes: Vec<String> =
            self.streams.iter().map(|stream| stream.sizes.to_string()).collect();
        sizes.dedup();
        sizes.join(" ")
    }

    /// The drivers of the ports, inside first, as far as their device strings tell.
    pub fn drivers(&self) -> Vec<String> {
        let drivers = self.specs.iter().enumerate().map(|(index, spec)| {
            let device = spec.device(index);
            let name = device.split(',').next().unwrap_or_default();
            match name.strip_prefix("net_ring") {
                Some(_) => "net_ring".to_owned(),
                None => name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned(),
            }
        });
        drivers.collect()
    }

    /// How many flows.
    pub fn flows(&self) -> u32 {
        self.streams.iter().map(Stream::flows).sum()
    }

    /// The hosts behind the inside port.
    pub fn hosts(&self) -> Vec<Address> {
        let own = &self.specs[0].addresses;
        let is_here =
            |host: &Address| own.is_empty() || own.iter().any(|prefix| prefix.contains(*host));
        let hosts = self.streams.iter().flat_map(Stream::inside_hosts).copied();
        let mut hosts: Vec<Address> = hosts.filter(is_here).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    /// Octets of a frame on average, untagged and with FCS.
    pub fn mean_size(&self) -> f64 {
        let shares: f64 = self.streams.iter().map(Stream::share_of_load).sum();
        let part = |stream: &Stream| stream.share_of_load() / shares;
        self.streams.iter().map(|stream| part(stream) * stream.mean_size()).sum()
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
    pub fn open(&self, eal: &Eal, live: Arc<Live>) -> Result<(Ports, Engine), SetupError> {
        let pool = Mempool::new(eal, "pktgen", BUFFERS, 256, self.data_room())?;
        let mut ports = Vec::new();
        let mut sides = Vec::new();
        for (index, spec) in self.specs.iter().enumerate() {
            let mut port = Port::open(eal, &spec.device(index))?;
            let payload = self.largest - L2;
            let config = Config {
                mac: spec.mac,
                mtu: (payload > 1500).then_some(payload as u16),
                fast_free: true,
                ..Config::default()
            };
            let (rx, tx) = port.configure(config, &pool)?;
            port.start()?;
            let hosts = if index == 0 { self.hosts() } else { self.remotes() };
            let own = spec.addresses.iter().map(|prefix| prefix.address);
            let addresses = own.chain(hosts).collect();
            let host = Host::new(port.mac(), spec.vlan, addresses, &spec.gateways);
            sides.extend(rx.into_iter().zip(tx).map(|(rx, tx)| Side {
                rx,
                tx,
                host: host.clone(),
            }));
            ports.push(port);
        }
        let ports: [Port; 2] = ports.try_into().expect("two specifications, two ports");
        let mut sides: [Side; 2] = sides.try_into().expect("one queue pair for each port");
        if ports.iter().all(|port| port.driver() == "net_ring") {
            // A ring gives back what it is given: what goes into one arrives at the other port this way.
            let [inside, outside] = &mut sides;
            std::mem::swap(&mut inside.rx, &mut outside.rx);
        }
        for port in &ports {
            wait_for_link(port)?;
        }
        let [inside, outside] = sides.each_ref().map(|side| &side.host);
        let expectation = Expectation {
            hops: self.hops,
            pool: self.pool.clone(),
            macs: [outside.mac(), inside.mac()],
            vlans: [outside.vlan(), inside.vlan()],
        };
        let flows = Flows::new(self.streams.clone());
        let engine = Engine::new(sides, flows, expectation, self.seed, pool, live);
        Ok((Ports { ports }, engine))
    }

    fn remotes(&self) -> Vec<Address> {
        self.streams.iter().flat_map(Stream::remote_hosts).copied().collect()
    }

    fn data_room(&self) -> u16 {
        (self.largest as u16 + TAG).max(2048)
    }
}

impl Ports {
    /// Whether nothing can ever arrive.
    pub fn absorb(&self) -> bool {
        self.ports.iter().all(|port| port.driver() == "net_null")
    }
}

/// What lies between two ports, and which families of IP go there.
pub fn path(
    specs: &[Spec; 2],
    sut: Option<Sut>,
    has_pool: bool,
) -> Result<(Sut, Vec<Family>), LayoutError> {
    for spec in specs {
        let lonely = |gateway: &Address| spec.address(gateway.family()).is_none();
        if spec.gateways.iter().any(lonely) {
            return Err(LayoutError::NoAddress);
        }
    }
    let mut families = Vec::new();
    let mut has_gateway = false;
    for family in [Family::V4, Family::V6] {
        let has = |of: fn(&Spec, Family) -> bool| specs.each_ref().map(|spec| of(spec, family));
        match has(|spec, family| spec.gateway(family).is_some()) {
            [true, true] => has_gateway = true,
            [false, false] => {}
            _ => return Err(LayoutError::HalfAGateway),
        }
        if has(|spec, family| spec.address(family).is_some()) == [true, true] {
            families.push(family);
        }
    }
    if has_gateway {
        families.retain(|family| specs[0].gateway(*family).is_some());
    }
    if families.is_empty() {
        if specs.iter().all(|spec| !spec.addresses.is_empty()) {
            return Err(LayoutError::NoFamily);
        }
        families.push(Family::V4);
    }
    let sut = match (has_gateway, sut) {
        (false, None) if !has_pool => Sut::Direct,
        (false, _) => return Err(LayoutError::NoGateway),
        (true, sut) => sut.unwrap_or(Sut::Nat44),
    };
    Ok((sut, families))
}

fn remotes(spec: &Spec, family: Family) -> Vec<Address> {
    let own = spec.addresses.iter().filter(|prefix| prefix.family() == family);
    let remotes: Vec<Address> = own.map(|prefix| prefix.address).collect();
    if remotes.is_empty() { vec![DEFAULT_OUTSIDE.into()] } else { remotes }
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
const DEFAULT_INSIDE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const DEFAULT_OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 2);
const BUFFERS: u32 = 16_383;
/// Headroom, mbuf and mempool headers of one buffer, in octets.
const BUFFER_OVERHEAD: u32 = 384;
/// What ports and rings need besides, in MiB.
const RINGS_MIB: u32 = 64;
const LINK_WAIT_S: u64 = 10;
/// Ethernet header and FCS.
const L2: usize = 18;
const TAG: u16 = 4;

#[cfg(test)]
mod tests;
