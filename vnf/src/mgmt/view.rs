//! The rows that the API and `--json` show; field names are the contract with users' tools.
//!
//! Written by the management core, read back by the client commands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Whether the workers poll.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Every worker polls.
    Running,
    /// Ports and workers are being set up.
    Starting,
    /// The workers were told to stop.
    Stopping,
}

/// The one-screen summary: `vnf status`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Status {
    /// Whether the workers poll.
    pub state: State,
    /// Whole seconds since the start.
    pub uptime_s: u64,
    /// The version of this program.
    pub version: String,
    /// The version of the DPDK libraries in use.
    pub dpdk_version: String,
    /// How many workers there are.
    pub workers: usize,
    /// How many ports there are, VLAN sub-interfaces not counted.
    pub ports: usize,
    /// Live sessions of all workers.
    pub sessions: u64,
    /// Live mappings of all workers, static ones included.
    pub mappings: u64,
    /// Packets received in the last second.
    pub rx_pps: u64,
    /// Packets transmitted in the last second.
    pub tx_pps: u64,
    /// Packets dropped in the last second.
    pub drop_pps: u64,
}

/// Whether a port has a carrier.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// No carrier.
    Down,
    /// Packets can pass.
    Up,
}

/// One port: a row of `vnf show ports`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PortRow {
    /// The name in the configuration.
    pub name: String,
    /// The DPDK device string.
    pub device: String,
    /// The DPDK driver.
    pub driver: String,
    /// The MAC address, `02:00:00:00:00:01`.
    pub mac: String,
    /// The largest IP packet in bytes.
    pub mtu: u16,
    /// Whether there is a carrier.
    pub link: Link,
    /// The VNF's own addresses with their prefix lengths.
    pub addresses: Vec<String>,
    /// Packets received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets transmitted.
    pub tx_packets: u64,
    /// Bytes transmitted.
    pub tx_bytes: u64,
    /// Packets that the device had no room for.
    pub rx_missed: u64,
    /// Packets that the device received broken.
    pub rx_errors: u64,
    /// Packets that the device failed to transmit.
    pub tx_errors: u64,
    /// The VRF that it belongs to.
    pub vrf: String,
}

/// One worker: a row of `vnf show workers`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct WorkerRow {
    /// The worker's number, from 0.
    pub worker: usize,
    /// The core it is pinned to.
    pub core: usize,
    /// The ports it polls.
    pub ports: Vec<String>,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets transmitted.
    pub tx_packets: u64,
    /// Packets dropped, for all reasons.
    pub dropped: u64,
    /// Packets given to the management core.
    pub punted: u64,
    /// Packets given to the worker that owns their flow.
    pub handed_over: u64,
    /// The share of its time that went into packets, 0 to 1.
    pub busy_ratio: f64,
    /// Cycles per packet in all stages together.
    pub cycles_per_packet: f64,
    /// Packets per burst that was not empty.
    pub burst_mean: f64,
    /// What each stage costs, in the order of the packet path.
    pub stages: Vec<StageRow>,
    /// How long packets stay in the VNF.
    pub latency_ns: Latency,
}

/// One stage of one worker.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct StageRow {
    /// The stage's name.
    pub name: String,
    /// Packets that entered the stage.
    pub packets: u64,
    /// Cycles per packet that entered the stage.
    pub cycles_per_packet: f64,
}

/// Percentiles of the time from receive to transmit, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: u64,
    /// 99 of 100 packets are at most this late.
    pub p99: u64,
    /// 999 of 1,000 packets are at most this late.
    pub p999: u64,
    /// The latest of all.
    pub max: u64,
}

/// One flow: a row of `vnf show sessions`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SessionRow {
    /// `tcp`, `udp`, `icmp`, `icmpv6` or a number.
    pub protocol: String,
    /// The internal endpoint, `10.0.0.2:5000`; an ICMP query's id stands in the port's place.
    pub internal: String,
    /// The external endpoint; none where the flow is not translated.
    pub external: Option<String>,
    /// The true remote endpoint.
    pub remote: String,
    /// The state of the connection, as the firewall sees it.
    pub state: String,
    /// Seconds since the first packet.
    pub age_s: u64,
    /// Seconds since the last packet.
    pub idle_s: u64,
    /// Seconds until the session ends if no packet comes.
    pub expires_s: u64,
    /// Packets from the internal side.
    pub packets_out: u64,
    /// Bytes from the internal side.
    pub bytes_out: u64,
    /// Packets to the internal side.
    pub packets_in: u64,
    /// Bytes to the internal side.
    pub bytes_in: u64,
    /// The worker that owns the session.
    pub worker: usize,
    /// The VRF of the internal side.
    pub vrf: String,
}

/// Where a mapping comes from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MappingKind {
    /// Made by a packet, ends with its sessions.
    Dynamic,
    /// Written in the configuration.
    Static,
}

/// An internal endpoint bound to an external one: a row of `vnf show mappings`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MappingRow {
    /// `tcp`, `udp`, `icmp`, a number, or `any` for a static mapping of all protocols.
    pub protocol: String,
    /// The internal endpoint.
    pub internal: String,
    /// The external endpoint.
    pub external: String,
    /// Where the mapping comes from.
    pub kind: MappingKind,
    /// Live sessions through this mapping.
    pub sessions: u64,
    /// Seconds until the mapping ends if no packet comes; none for a static one.
    pub expires_s: Option<u64>,
    /// The worker that owns the mapping.
    pub worker: usize,
    /// The VRF of the internal side.
    pub vrf: String,
}

/// One internal host with translated traffic: a row of `vnf show hosts`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HostRow {
    /// The internal address.
    pub internal: String,
    /// The pool address that all of the host's mappings use.
    pub external: String,
    /// Live sessions.
    pub sessions: u64,
    /// Live mappings.
    pub mappings: u64,
    /// The ports set apart for the host, `1024-1535`; empty where none are.
    pub blocks: Vec<String>,
    /// Its VRF.
    pub vrf: String,
}

/// One pool address, or one worker's slice of it: a row of `vnf show pool`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PoolRow {
    /// The external address.
    pub address: String,
    /// The worker that owns these ports.
    pub worker: usize,
    /// External ports in use.
    pub ports_used: u64,
    /// Freed ports that still rest before they are used again.
    pub ports_held: u64,
    /// External ports there are.
    pub ports_total: u64,
}

/// Who holds or held an external endpoint: `vnf who`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Who {
    /// The external endpoint.
    pub external: String,
    /// The time asked about; none for now.
    pub at: Option<String>,
    /// The holders, one for each protocol at most.
    pub holders: Vec<Holder>,
}

/// An internal endpoint that holds or held an external one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Holder {
    /// `tcp`, `udp`, `icmp`, a number, or `any` for a static mapping of all protocols.
    pub protocol: String,
    /// The internal endpoint.
    pub internal: String,
    /// How this is known.
    pub kind: HolderKind,
    /// When the log last says so.
    pub since: Option<String>,
    /// Until when nobody else gets it, for one who holds it no more.
    pub until: Option<String>,
    /// Whether records are missing after the last one, so that another may have followed.
    pub uncertain: bool,
    /// The VRF of the internal side.
    pub vrf: String,
}

/// How a holder is known.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HolderKind {
    /// The port belongs to it by arithmetic (RFC 7422), used or not.
    Deterministic,
    /// It has a mapping.
    Dynamic,
    /// Its mapping has ended, and the endpoint rests.
    Held,
    /// The log says so.
    Logged,
    /// The configuration says so.
    Static,
}

/// One access control list: a row of `vnf show acl`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AclRow {
    /// The name in the configuration.
    pub name: String,
    /// The rules in the order in which they are tried.
    pub rules: Vec<AclRuleRow>,
    /// What happens to a packet that no rule matches.
    pub default: String,
    /// How many packets no rule matched.
    pub default_packets: u64,
}

/// One rule of an access control list.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AclRuleRow {
    /// The rule's place in its list, from 0.
    pub index: usize,
    /// `permit`, `deny` or `reject`.
    pub action: String,
    /// What the rule matches, in words.
    pub text: String,
    /// Packets that it decided: of a stateful flow the first one, and the first after each reload.
    pub packets: u64,
    /// Bytes of these packets.
    pub bytes: u64,
}

/// One route: a row of `vnf show routes`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RouteRow {
    /// The destination prefix.
    pub prefix: String,
    /// The next hops; empty for a connected prefix, a blackhole, or a route to another VRF.
    pub next_hops: Vec<String>,
    /// The port that leads there; none for a blackhole.
    pub port: Option<String>,
    /// `local`, `connected`, `static`, `api` or `kernel`.
    pub origin: String,
    /// The VRF whose packets it routes.
    pub vrf: String,
    /// The VRF that packets are led to, where it is another one.
    pub next_hop_vrf: Option<String>,
    /// `local`, `connected`, `next-hops`, `vrf`, `discard` or `unreachable`.
    pub kind: String,
}

/// A route as the API takes it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RouteEntry {
    /// The destination, host bits zero.
    pub prefix: ipnet::IpNet,
    /// The neighbours to send to, several for ECMP by flow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next_hops: Vec<std::net::IpAddr>,
    /// Whether packets are dropped in silence.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discard: bool,
    /// Whether packets are dropped and their senders told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreachable: bool,
    /// The VRF whose packets it routes; the default one where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vrf: Option<String>,
    /// The VRF of the next hops, where it is another one; without next hops, where the destination is looked up again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop_vrf: Option<String>,
}

/// A change of routes, all of it or nothing.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RoutesPatch {
    /// Routes to add, or to put in the place of others for the same prefixes.
    #[serde(default)]
    pub add: Vec<RouteEntry>,
    /// Routes to remove, by prefix and VRF.
    #[serde(default)]
    pub remove: Vec<RouteEntry>,
}

/// What a change of routes did.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct RoutesChanged {
    /// Routes for prefixes that had none of this origin.
    pub added: u64,
    /// Routes that lead elsewhere now.
    pub replaced: u64,
    /// Routes that are gone.
    pub removed: u64,
    /// Routes that were so already, or were not there.
    pub unchanged: u64,
}

/// One neighbour: a row of `vnf show neighbors`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NeighborRow {
    /// The neighbour's IP address.
    pub address: String,
    /// Its MAC address, once known.
    pub mac: Option<String>,
    /// The port behind which it is.
    pub port: String,
    /// The state of the resolution.
    pub state: String,
    /// The VRF of its port.
    pub vrf: String,
}

/// Dropped packets by reason; every reason is there.
pub type Drops = BTreeMap<String, u64>;

/// One table or packet buffer pool: a row of `vnf show memory`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MemoryRow {
    /// The name of the table or pool.
    pub pool: String,
    /// The bytes reserved for it.
    pub bytes: u64,
    /// Entries in use.
    pub used: u64,
    /// Entries there are.
    pub capacity: u64,
}

/// The configuration that is running: `vnf show config`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RunningConfig {
    /// The file that it was read from.
    pub file: String,
    /// The file's text when it was read.
    pub text: String,
    /// The file's keys with every default spelled out.
    pub effective: serde_json::Value,
}

/// What a reload did, or would do.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReloadReport {
    /// How many live sessions end.
    pub sessions_ended: u64,
    /// What changes, one sentence each; empty when nothing does.
    pub changes: Vec<String>,
}

/// How many sessions `vnf clear sessions` ended.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Cleared {
    /// Sessions that ended.
    pub sessions_ended: u64,
}

/// What is running.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Version {
    /// The version of this program.
    pub version: String,
    /// The version of the DPDK libraries in use.
    pub dpdk_version: String,
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
