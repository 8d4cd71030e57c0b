//! The configuration that is measured, and who speaks with whom in it.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, ensure};
use ipnet::{IpNet, Ipv4Net};

use super::Options;
use crate::config::{
    self, AclAction, InterfaceSettings, NatRole, NeighborSettings, RuleSettings, Settings,
};
use crate::wire::protocol;

/// What is measured.
pub(super) struct Scenario {
    /// The configuration, for one worker.
    pub(super) settings: Settings,
    /// The interface of the internal hosts, an index into the settings'.
    pub(super) internal: usize,
    /// The interface of the remote hosts.
    pub(super) external: usize,
    /// The first internal host; the others follow.
    pub(super) first_host: Ipv4Addr,
    /// A host has two to the power of this flows.
    pub(super) flows_shift: u32,
    /// The port of all remote endpoints.
    pub(super) remote_port: u16,
}

impl Scenario {
    /// What the options ask for.
    pub(super) fn new(options: &Options) -> anyhow::Result<Self> {
        let mut settings = match &options.config {
            Some(settings) => settings.clone(),
            None => built_in(options)?,
        };
        settings.dpdk.worker_cores.truncate(1);
        let most = settings.sessions.max_sessions;
        ensure!(
            options.flows <= most,
            "--flows {}: max_sessions is {most} in this configuration",
            options.flows
        );
        let internal = with_role(&settings, NatRole::Internal)?;
        let external = with_role(&settings, NatRole::External)?;
        let (first_host, hosts) = internal_hosts(&settings, internal)?;
        let flows_shift = flows_shift(options.flows, hosts)?;
        resolve_neighbors(&mut settings, internal, first_host, options.flows >> flows_shift);
        let remote_port = permitted_port(&settings, internal);
        Ok(Self { settings, internal, external, first_host, flows_shift, remote_port })
    }

    /// Prefixes that are reached by the external interface.
    pub(super) fn remote_prefixes(&self) -> Vec<Ipv4Net> {
        let external = self.settings.routes.iter().filter(|route| {
            let mut hops = route.next_hops.iter();
            hops.any(|hop| self.settings.interfaces[hop.interface].nat == Some(NatRole::External))
        });
        external.filter_map(|route| ipv4(route.prefix)).collect()
    }
}

/// NAT between two ports, hosts behind a router, as many rules and routes as asked; the last rule permits the flows.
fn built_in(options: &Options) -> anyhow::Result<Settings> {
    let sessions = room_for(options);
    let pool_bits = (sessions / 32_768).max(1).next_power_of_two().ilog2();
    let mut text = format!(
        r#"
[[port]]
name = "lan"
device = "net_null0"
addresses = ["172.16.0.1/24"]
nat = "internal"
{acl}
[[port]]
name = "wan"
device = "net_null1"
addresses = ["198.18.0.1/24"]
nat = "external"
[[neighbor]]
port = "lan"
address = "172.16.0.2"
mac = "02:00:00:00:01:02"
[[route]]
prefix = "10.0.0.0/8"
next_hops = ["172.16.0.2"]
[nat44]
pool = ["198.19.0.0/{prefix}"]
max_sessions = {sessions}
"#,
        acl = if options.rules > 0 { "acl_in = \"from-lan\"" } else { "" },
        prefix = 32 - pool_bits,
    );
    for gateway in GATEWAYS {
        let mac = format!("02:00:00:00:02:{gateway:02x}");
        write!(
            text,
            "[[neighbor]]\nport = \"wan\"\naddress = \"198.18.0.{gateway}\"\nmac = \"{mac}\"\n"
        )?;
    }
    let listed = if options.routes < MANY { options.routes } else { 10 };
    for route in 0..listed - 1 {
        // Apart from each other, so that none is covered by its neighbours.
        let (high, low) = (20 + route / 250, route % 250);
        let gateway = *GATEWAYS.start() + (route % GATEWAYS.count() as u32) as u8;
        write!(
            text,
            "[[route]]\nprefix = \"{high}.{low}.0.0/16\"\nnext_hops = [\"198.18.0.{gateway}\"]\n"
        )?;
    }
    if options.rules > 0 {
        text += "[[acl]]\nname = \"from-lan\"\ndefault = \"deny\"\n";
    }
    for rule in 1..options.rules {
        // Prefixes of many lengths within each other, and port ranges that overlap.
        let (high, low, first) = (rule / 256 % 256, rule % 256, 1024 + rule % 30_000);
        let (last, length) = (first + rule % 3 * 500, 20 + rule % 5);
        let low = low >> (24 - length) << (24 - length);
        let (action, protocol) = if rule % 2 == 0 { ("deny", "udp") } else { ("permit", "tcp") };
        write!(
            text,
            "[[acl.rule]]\naction = \"{action}\"\nprotocol = \"{protocol}\"\n\
             source = \"10.{low}.0.0/16\"\ndestination = \"100.{high}.{low}.0/{length}\"\n\
             destination_port = \"{first}-{last}\"\n"
        )?;
    }
    if options.rules > 0 {
        text += "[[acl.rule]]\naction = \"permit\"\nprotocol = \"udp\"\nsource = \"10.0.0.0/8\"\n";
    }
    let settings = config::parse("the built-in configuration", &text);
    let mut settings = settings.context("the built-in configuration")?;
    if options.routes >= MANY {
        settings.routes.extend(super::routes::internet(options.routes, &settings.routes));
    }
    Ok(settings)
}

/// Sessions for the flows, and for those that come and go where flows are opened all the time.
fn room_for(options: &Options) -> u32 {
    let lifetime = super::measure::packets_per_lifetime(options.flows);
    // Half as long again for the endpoints at rest and for what is being expired.
    let passing = lifetime * u64::from(options.new_flows) / 100 * 3 / 2;
    u32::try_from(u64::from(options.flows) + passing).unwrap_or(u32::MAX).max(LEAST_SESSIONS)
}

fn with_role(settings: &Settings, role: NatRole) -> anyhow::Result<usize> {
    let fits = |interface: &InterfaceSettings| {
        interface.nat == Some(role)
            && interface.vlan.is_none()
            && interface.addresses.iter().any(|net| ipv4(*net).is_some())
    };
    let found = settings.interfaces.iter().position(fits);
    found.with_context(|| format!("no untagged port with nat = \"{role:?}\" and an IPv4 address"))
}

/// The first internal host and how many follow: in the largest prefix behind an internal router, else on the link.
fn internal_hosts(settings: &Settings, internal: usize) -> anyhow::Result<(Ipv4Addr, u32)> {
    let behind = settings
        .routes
        .iter()
        .filter(|route| route.next_hops.iter().any(|hop| hop.interface == internal));
    let largest = behind.filter_map(|route| ipv4(route.prefix)).min_by_key(Ipv4Net::prefix_len);
    if let Some(net) = largest.filter(|net| net.prefix_len() > 0) {
        return Ok((net.network(), u32::from(net.broadcast()) - u32::from(net.network())));
    }
    let subnet = settings.interfaces[internal].addresses.iter().find_map(|net| ipv4(*net));
    let subnet = subnet.context("the internal port has no IPv4 subnet")?;
    let (own, last) = (u32::from(subnet.addr()), u32::from(subnet.broadcast()));
    ensure!(own + 2 <= last, "{subnet}: no address above the port's own is free for a host");
    Ok(((own + 1).into(), last - own - 1))
}

fn flows_shift(flows: u32, hosts: u32) -> anyhow::Result<u32> {
    let mut shift = USUAL_FLOWS_SHIFT;
    while (flows >> shift) >= hosts {
        shift += 1;
        ensure!(shift < 16, "--flows {flows}: too many for {hosts} internal hosts");
    }
    Ok(shift)
}

/// Gives every gateway, and every internal host on the link, a MAC address.
fn resolve_neighbors(settings: &mut Settings, internal: usize, first_host: Ipv4Addr, hosts: u32) {
    let mut wanted: Vec<(IpAddr, usize)> = Vec::new();
    for hop in settings.routes.iter().flat_map(|route| &route.next_hops) {
        wanted.push((hop.address, hop.interface));
    }
    let subnets = &settings.interfaces[internal].addresses;
    let on_link = subnets.iter().any(|net| net.contains(&IpAddr::from(first_host)));
    if on_link {
        let first = u32::from(first_host);
        wanted.extend((0..=hosts).map(|at| (Ipv4Addr::from(first + at).into(), internal)));
    }
    let known: std::collections::HashSet<_> =
        settings.neighbors.iter().map(|n| (n.address, n.interface)).collect();
    wanted.retain(|neighbor| !known.contains(neighbor));
    wanted.sort_unstable();
    wanted.dedup();
    let neighbors = wanted.into_iter().map(|(address, interface)| NeighborSettings {
        address,
        interface,
        mac: PEER_MAC,
    });
    settings.neighbors.extend(neighbors);
}

/// A destination port that the internal interface's ACL seems to permit; whether it does, the first packets show.
fn permitted_port(settings: &Settings, internal: usize) -> u16 {
    let udp = |rule: &&RuleSettings| {
        rule.action == AclAction::Permit && rule.protocol.is_none_or(|p| p == protocol::UDP)
    };
    let acl = settings.interfaces[internal].acl_in.map(|acl| &settings.acls[acl]);
    let rule = acl.and_then(|acl| acl.rules.iter().find(udp));
    rule.and_then(|rule| rule.destination_ports.first()).map_or(USUAL_PORT, |ports| *ports.start())
}

fn ipv4(net: IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    }
}

/// From so many on, routes are made as the Internet's are.
const MANY: u32 = 10_000;
/// Host parts of its external gateways.
const GATEWAYS: std::ops::RangeInclusive<u8> = 2..=9;
/// Fewer make no sense of the bytes per session.
const LEAST_SESSIONS: u32 = 65_536;
/// 64 flows of a host.
const USUAL_FLOWS_SHIFT: u32 = 6;
const USUAL_PORT: u16 = 443;
/// The MAC address of every neighbour that the configuration does not name.
pub(super) const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 9, 9];
