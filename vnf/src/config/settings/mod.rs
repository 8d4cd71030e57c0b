//! The typed configuration: every name resolved to an index, every default filled in.
//!
//! What is here has passed every check; readers need none of their own.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::problem::Problem;

mod nat44;
mod vrfs;

pub use nat44::{
    Allocation, DeterministicSettings, ExemptSettings, Filtering, FilteringByProtocol,
    ForwardSettings, Mapping, Nat44Settings, NatLog, StaticSettings,
};
pub use vrfs::VrfNames;

/// A whole configuration file.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `[[acl]]`, in the order of the file.
    pub acls: Vec<AclSettings>,
    /// `[dpdk]`.
    pub dpdk: DpdkSettings,
    /// Ports first, at the same index as in `ports`, then VLANs; at most 250.
    pub interfaces: Vec<InterfaceSettings>,
    /// `[management]`.
    pub management: ManagementSettings,
    /// `[nat44]`; without it nothing is translated.
    pub nat44: Option<Nat44Settings>,
    /// `[[neighbor]]`.
    pub neighbors: Vec<NeighborSettings>,
    /// `[[port]]`: the devices.
    pub ports: Vec<PortSettings>,
    /// `[[route]]`; the subnets of the interfaces are not among them.
    pub routes: Vec<RouteSettings>,
    /// The session table and its timeouts: from `[nat44]`, or their defaults without it.
    pub sessions: SessionSettings,
    /// `[sets]`, by name; rules share their addresses.
    pub sets: BTreeMap<String, Arc<[IpNet]>>,
    /// The virtual routing tables, in the order in which the interfaces name them.
    pub vrfs: VrfNames,
    /// What is accepted, but worth a word.
    pub warnings: Vec<Problem>,
    /// `[workers]`.
    pub workers: WorkerSettings,
}

/// `[dpdk]`: what the EAL is started with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DpdkSettings {
    /// Passed to `rte_eal_init` as they are.
    pub eal_args: Vec<String>,
    /// What to do about hugepages.
    pub hugepages: Hugepages,
    /// The management core.
    pub main_core: usize,
    /// Memory asked of DPDK, in MiB.
    pub memory_mib: u32,
    /// Packet buffers; `None`: enough for every queue to be full.
    pub packet_buffers: Option<u32>,
    /// One worker on each, 1 to 64; a core named twice is shared.
    pub worker_cores: Vec<usize>,
}

/// `dpdk.hugepages`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hugepages {
    /// Ordinary pages, with a warning, where there are no hugepages.
    Auto,
    /// Ordinary pages.
    Never,
    /// No start without hugepages.
    Required,
}

/// `[workers]`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WorkerSettings {
    /// What a worker does when there is nothing to do.
    pub idle: Idle,
}

/// `workers.idle`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Idle {
    /// Poll, then pause, then sleep.
    Adaptive,
    /// Poll without end.
    Poll,
}

/// `[management]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManagementSettings {
    /// Where the read-only HTTP listener binds; `None`: no TCP listener.
    pub http: Option<SocketAddr>,
    /// The Unix socket of the API.
    pub socket: PathBuf,
}

/// `[[port]]`: the device; its addresses and roles are in the interface of the same index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortSettings {
    /// A DPDK virtual device string, or a PCI address.
    pub device: String,
    /// The MAC address to set; `None`: the device's own.
    pub mac: Option<[u8; 6]>,
    /// The MTU to set, without Ethernet and VLAN headers.
    pub mtu: u16,
    /// The unique name, shared with VLANs.
    pub name: String,
}

/// A port or a VLAN: where packets enter and leave, with addresses of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InterfaceSettings {
    /// Index into `Settings::acls`, asked of packets entering here.
    pub acl_in: Option<usize>,
    /// Index into `Settings::acls`, asked of packets leaving here.
    pub acl_out: Option<usize>,
    /// Own addresses with their subnets, host bits kept.
    pub addresses: Vec<IpNet>,
    /// The Linux tap through which services on the box are reached; `None`: there are none.
    pub linux: Option<String>,
    /// The own MAC address; `None`: the port's.
    pub mac: Option<[u8; 6]>,
    /// The MTU; a VLAN's is its port's unless given.
    pub mtu: u16,
    /// The unique name.
    pub name: String,
    /// What becomes of IPv4 packets with options that enter here.
    pub ipv4_options: Ipv4Options,
    /// The side of the NAT; `None`: never translated.
    pub nat: Option<NatRole>,
    /// Index into `Settings::ports`.
    pub port: usize,
    /// Which sources packets that enter here may have.
    pub source_validation: SourceValidation,
    /// The 802.1Q identifier, 1 to 4094; `None`: the port's untagged traffic.
    pub vlan: Option<u16>,
    /// Index into `Settings::vrfs`.
    pub vrf: usize,
}

/// `port.nat`: the side of the NAT an interface is on (RFC 4787).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NatRole {
    /// The Internet side.
    External,
    /// The subscribers' side.
    Internal,
}

/// `port.ipv4_options` (RFC 7126). Malformed ones and source routes are always dropped.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Ipv4Options {
    /// No packet with options passes.
    Drop,
    /// Options are passed on as they are.
    #[default]
    Pass,
}

/// `port.source_validation` (RFC 3704).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SourceValidation {
    /// There must be a route to the source.
    Loose,
    /// Any source will do, but for those that no host has.
    #[default]
    Off,
    /// The route to the source must lead back to where the packet came in.
    Strict,
}

/// `[[route]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteSettings {
    /// The VRF of the next hops where it is another one; without next hops, where the destination is looked up again.
    pub next_hop_vrf: Option<usize>,
    /// Where to, several for ECMP by flow; empty, and no other VRF: packets are discarded.
    pub next_hops: Vec<NextHopSettings>,
    /// The destination, host bits zero.
    pub prefix: IpNet,
    /// Whether senders are told that there is no way, where packets are discarded.
    pub unreachable: bool,
    /// The VRF whose packets it routes, an index into `Settings::vrfs`.
    pub vrf: usize,
}

/// One of `route.next_hops`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NextHopSettings {
    /// The neighbour's address, in a subnet of `interface`.
    pub address: IpAddr,
    /// Index into `Settings::interfaces`.
    pub interface: usize,
}

/// `[[neighbor]]`: a static ARP or ND entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NeighborSettings {
    /// The neighbour's address, in a subnet of `interface`.
    pub address: IpAddr,
    /// Index into `Settings::interfaces`.
    pub interface: usize,
    /// Its MAC address.
    pub mac: [u8; 6],
}

/// Limits and timeouts of all sessions, translated or not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionSettings {
    /// Sessions of all workers together, 1 to 200,000,000.
    pub max_sessions: u32,
    /// Sessions of one internal host.
    pub max_sessions_per_host: u32,
    /// New sessions of one internal host per second; 0: no limit.
    pub new_sessions_per_host: u32,
    /// How long an idle session lives.
    pub timeouts: Timeouts,
}

/// `[nat44.timeouts]`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// ICMP queries (RFC 5508 REQ-2), and every protocol without ports.
    pub icmp: Duration,
    /// Established TCP connections (RFC 5382 REQ-5).
    pub tcp_established: Duration,
    /// TCP connections opening or closing (RFC 5382 REQ-5).
    pub tcp_transitory: Duration,
    /// UDP (RFC 4787 REQ-5).
    pub udp: Duration,
}

/// `[[acl]]`: rules tried in order, the first match decides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AclSettings {
    /// What becomes of a packet no rule matches.
    pub default: AclAction,
    /// The unique name.
    pub name: String,
    /// In the order of the file.
    pub rules: Vec<RuleSettings>,
}

impl AclSettings {
    /// Whether the lists have the same name and decide alike, wherever they stand in the file.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let alike = |(a, b): (&RuleSettings, &RuleSettings)| {
            a.line == b.line && a == b || *a == RuleSettings { line: a.line, ..b.clone() }
        };
        self.name == other.name
            && self.default == other.default
            && self.rules.len() == other.rules.len()
            && self.rules.iter().zip(&other.rules).all(alike)
    }
}

/// `acl.rule.action` and `acl.default`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AclAction {
    /// Drop silently.
    Deny,
    /// Let pass.
    Permit,
    /// Drop, and answer with a TCP RST or ICMP administratively prohibited.
    Reject,
}

/// `[[acl.rule]]`; an empty list matches anything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleSettings {
    /// What becomes of a matching packet.
    pub action: AclAction,
    /// Destination addresses.
    pub destination: Addresses,
    /// Destination ports.
    pub destination_ports: Vec<RangeInclusive<u16>>,
    /// The code that goes with the ICMP or ICMPv6 type; `None`: any.
    pub icmp_code: Option<u8>,
    /// The ICMP or ICMPv6 type.
    pub icmp_type: Option<u8>,
    /// Where the rule starts in the file, from 1.
    pub line: usize,
    /// Whether matches are logged.
    pub log: bool,
    /// The IP protocol number; `None`: any.
    pub protocol: Option<u8>,
    /// Source addresses.
    pub source: Addresses,
    /// Source ports.
    pub source_ports: Vec<RangeInclusive<u16>>,
    /// Whether replies of a permitted flow pass without a rule of their own.
    pub state: bool,
    /// Which TCP flags must be set and which clear; `None`: any.
    pub tcp_flags: Option<TcpFlags>,
    /// The rule on one line, as `show acl` prints it; sets by their names.
    pub text: String,
    /// The VLANs by which the packet may have come in, 0 for none.
    pub vlans: Vec<RangeInclusive<u16>>,
}

/// `acl.rule.source` and `acl.rule.destination`; no groups: any address.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Addresses {
    /// The prefixes that the rule names itself, and the sets. A set is one allocation however many rules name it.
    pub groups: Vec<AddressGroup>,
}

/// Some of a rule's addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddressGroup {
    /// The prefixes, in the order of the file.
    pub nets: Arc<[IpNet]>,
    /// The name of the set, where it is one.
    pub set: Option<String>,
}

impl Addresses {
    /// Whether any address is meant.
    pub fn is_any(&self) -> bool {
        self.groups.is_empty()
    }

    /// All prefixes.
    pub fn nets(&self) -> impl Iterator<Item = &IpNet> {
        self.groups.iter().flat_map(|group| group.nets.iter())
    }
}

impl FromIterator<IpNet> for Addresses {
    fn from_iter<I: IntoIterator<Item = IpNet>>(nets: I) -> Self {
        let nets: Arc<[IpNet]> = nets.into_iter().collect();
        let group = (!nets.is_empty()).then_some(AddressGroup { nets, set: None });
        Self { groups: group.into_iter().collect() }
    }
}

/// `acl.rule.tcp_flags`: bits as in the TCP header's octet of flags (RFC 9293 3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TcpFlags {
    /// The flags that count.
    pub mask: u8,
    /// Those of them that must be set.
    pub value: u8,
}

impl TcpFlags {
    /// Whether a segment with these flags is meant.
    pub fn admits(self, flags: u8) -> bool {
        flags & self.mask == self.value
    }
}
