//! The effective configuration as JSON: the contract's keys, every default spelled out.

use std::ops::RangeInclusive;
use std::path::Path;

use ipnet::{IpNet, Ipv4Net};
use serde_json::{Map, Value, json};

use super::section::acl::{show_action, show_protocol, show_tcp_flags};
use super::settings::{
    AclSettings, Addresses, Allocation, Filtering, FilteringByProtocol, Hugepages, Idle,
    InterfaceSettings, Ipv4Options, Mapping, Nat44Settings, NatLog, NatRole, RuleSettings,
    Settings, SourceValidation,
};
use super::values::{show_duration, show_mac, show_net, show_ports, show_range};

impl Settings {
    /// The effective configuration, as `show config` prints it.
    pub fn to_json(&self) -> Value {
        let (ports, vlans) = self.interfaces.split_at(self.ports.len());
        let port = |(index, port): (usize, &InterfaceSettings)| {
            self.interface(port, json!({ "device": self.ports[index].device }))
        };
        let vlan = |vlan: &InterfaceSettings| {
            self.interface(vlan, json!({ "port": self.ports[vlan.port].name, "id": vlan.vlan }))
        };
        let mut settings = json!({
            "dpdk": {
                "main_core": self.dpdk.main_core,
                "worker_cores": self.dpdk.worker_cores,
                "memory": format!("{}MiB", self.dpdk.memory_mib),
                "hugepages": match self.dpdk.hugepages {
                    Hugepages::Auto => "auto",
                    Hugepages::Never => "never",
                    Hugepages::Required => "required",
                },
                "eal_args": self.dpdk.eal_args,
            },
            "workers": { "idle": match self.workers.idle {
                Idle::Adaptive => "adaptive",
                Idle::Poll => "poll",
            } },
            "management": { "socket": self.management.socket },
            "port": ports.iter().enumerate().map(port).collect::<Vec<_>>(),
            "vlan": vlans.iter().map(vlan).collect::<Vec<_>>(),
            "route": self.routes.iter().map(|route| self.in_vrf(route.vrf, route.next_hop_vrf, json!({
                "prefix": route.prefix,
                "next_hops": route.next_hops.iter().map(|hop| hop.address).collect::<Vec<_>>(),
                "discard": route.next_hops.is_empty()
                    && route.next_hop_vrf.is_none()
                    && !route.unreachable,
                "unreachable": route.unreachable,
            }))).collect::<Vec<_>>(),
            "neighbor": self.neighbors.iter().map(|neighbor| json!({
                "port": self.interfaces[neighbor.interface].name,
                "address": neighbor.address,
                "mac": show_mac(neighbor.mac),
            })).collect::<Vec<_>>(),
            "sets": self.sets.iter()
                .map(|(name, nets)| (name.clone(), nets.iter().map(show_net).collect()))
                .collect::<Map<_, _>>(),
            "acl": self.acls.iter().map(acl).collect::<Vec<_>>(),
        });
        if let Some(buffers) = self.dpdk.packet_buffers {
            settings["dpdk"]["packet_buffers"] = json!(buffers);
        }
        if let Some(http) = self.management.http {
            settings["management"]["http"] = json!(http);
        }
        if let Some(settings_nat) = &self.nat44 {
            settings["nat44"] = self.nat44(settings_nat);
        }
        settings
    }

    /// The same as a configuration file.
    pub fn to_toml(&self) -> String {
        toml_edit::ser::to_string_pretty(&self.to_json()).expect("JSON without null is TOML")
    }

    /// What ports and VLANs have in common, added to `own`; what is absent stays absent.
    fn interface(&self, interface: &InterfaceSettings, mut own: Value) -> Value {
        own["name"] = json!(interface.name);
        own["addresses"] = json!(interface.addresses);
        own["mtu"] = json!(interface.mtu);
        own["ipv4_options"] = json!(match interface.ipv4_options {
            Ipv4Options::Drop => "drop",
            Ipv4Options::Pass => "pass",
        });
        own["source_validation"] = json!(match interface.source_validation {
            SourceValidation::Loose => "loose",
            SourceValidation::Off => "off",
            SourceValidation::Strict => "strict",
        });
        if let Some(mac) = interface.mac {
            own["mac"] = json!(show_mac(mac));
        }
        if let Some(linux) = &interface.linux {
            own["linux"] = json!(linux);
        }
        if let Some(nat) = interface.nat {
            own["nat"] = json!(match nat {
                NatRole::External => "external",
                NatRole::Internal => "internal",
            });
        }
        own = self.in_vrf(interface.vrf, None, own);
        for (key, acl) in [("acl_in", interface.acl_in), ("acl_out", interface.acl_out)] {
            if let Some(acl) = acl {
                own[key] = json!(self.acls[acl].name);
            }
        }
        own
    }

    /// Names the VRFs of a table; the default one stays absent.
    fn in_vrf(&self, vrf: usize, next_hop_vrf: Option<usize>, mut own: Value) -> Value {
        for (key, vrf) in
            [("vrf", Some(vrf).filter(|vrf| *vrf != 0)), ("next_hop_vrf", next_hop_vrf)]
        {
            if let Some(vrf) = vrf {
                own[key] = json!(self.vrfs.name(vrf));
            }
        }
        own
    }

    fn nat44(&self, nat44: &Nat44Settings) -> Value {
        let sessions = &self.sessions;
        let timeouts = &sessions.timeouts;
        let mut settings = json!({
            "pool": nat44.pool.iter().map(show_range).collect::<Vec<_>>(),
            "port_range": show_ports(&nat44.port_range),
            "mapping": match nat44.mapping {
                Mapping::AddressAndPortDependent => "address-and-port-dependent",
                Mapping::EndpointIndependent => "endpoint-independent",
            },
            "filtering": match nat44.filtering {
                same if same == FilteringByProtocol::all(same.tcp) => json!(filtering(same.tcp)),
                FilteringByProtocol { icmp, tcp, udp } => json!({
                    "icmp": filtering(icmp), "tcp": filtering(tcp), "udp": filtering(udp),
                }),
            },
            "allocation": match nat44.allocation {
                Allocation::Deterministic => "deterministic",
                Allocation::Dynamic => "dynamic",
                Allocation::PortBlocks => "port-blocks",
            },
            "port_block_size": nat44.port_block_size,
            "max_blocks_per_host": nat44.max_blocks_per_host,
            "hairpinning": nat44.hairpinning,
            "inbound_refresh": nat44.inbound_refresh,
            "reuse_hold": show_duration(nat44.reuse_hold),
            "max_held_ports": nat44.max_held_ports,
            "max_sessions": sessions.max_sessions,
            "max_sessions_per_host": sessions.max_sessions_per_host,
            "new_sessions_per_host": sessions.new_sessions_per_host,
            "tcp_mss_clamp": nat44.tcp_mss_clamp,
            "log": match nat44.log {
                NatLog::Blocks => "blocks",
                NatLog::None => "none",
                NatLog::Sessions => "sessions",
            },
            "log_file": nat44.log_file,
            "journal": nat44.journal.as_deref().unwrap_or(Path::new("none")),
            "timeouts": {
                "udp": show_duration(timeouts.udp),
                "tcp_established": show_duration(timeouts.tcp_established),
                "tcp_transitory": show_duration(timeouts.tcp_transitory),
                "icmp": show_duration(timeouts.icmp),
            },
            "static": nat44.statics.iter().map(|one| self.in_vrf(one.vrf, None, json!({
                "external": one.external,
                "internal": one.internal,
            }))).collect::<Vec<_>>(),
            "forward": nat44.forwards.iter().map(|forward| self.in_vrf(forward.vrf, None, json!({
                "protocol": show_protocol(Some(forward.protocol)),
                "external": format!("{}:{}", forward.external, show_ports(&forward.external_ports)),
                "internal": format!("{}:{}", forward.internal, show_ports(&forward.internal_ports)),
            }))).collect::<Vec<_>>(),
            "exempt": nat44.exempts.iter().map(|exempt| self.in_vrf(exempt.vrf, None, json!({
                "source": ipv4_nets(&exempt.source),
                "destination": ipv4_nets(&exempt.destination),
            }))).collect::<Vec<_>>(),
        });
        if let Some(deterministic) = &nat44.deterministic {
            settings["deterministic"] = json!({
                "internal": deterministic.internal,
                "overflow_factor": deterministic.overflow_factor,
                "reserved_ports": deterministic.reserved_ports.iter().map(show_ports).collect::<Vec<_>>(),
            });
        }
        settings
    }
}

fn filtering(filtering: Filtering) -> &'static str {
    match filtering {
        Filtering::AddressAndPortDependent => "address-and-port-dependent",
        Filtering::AddressDependent => "address-dependent",
        Filtering::EndpointIndependent => "endpoint-independent",
    }
}

fn acl(acl: &AclSettings) -> Value {
    json!({
        "name": acl.name,
        "default": show_action(acl.default),
        "rule": acl.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}

fn rule(rule: &RuleSettings) -> Value {
    let protocol = show_protocol(rule.protocol);
    let mut settings = json!({
        "action": show_action(rule.action),
        "state": rule.state,
        "protocol": protocol.parse::<u8>().map_or_else(|_| json!(protocol), |number| json!(number)),
        "source": addresses(&rule.source),
        "destination": addresses(&rule.destination),
        "source_port": ports(&rule.source_ports),
        "destination_port": ports(&rule.destination_ports),
        "log": rule.log,
    });
    if let Some(icmp_type) = rule.icmp_type {
        settings["icmp_type"] = json!(icmp_type);
    }
    if let Some(icmp_code) = rule.icmp_code {
        settings["icmp_code"] = json!(icmp_code);
    }
    if let Some(tcp_flags) = rule.tcp_flags {
        settings["tcp_flags"] = json!(show_tcp_flags(tcp_flags));
    }
    if !rule.vlans.is_empty() {
        settings["vlan"] = ports(&rule.vlans);
    }
    settings
}

/// Sets by their names.
fn addresses(addresses: &Addresses) -> Value {
    let texts = addresses.groups.iter().flat_map(|group| match &group.set {
        Some(name) => vec![format!("@{name}")],
        None => group.nets.iter().map(show_net).collect(),
    });
    any_or(texts.collect())
}

fn ports(ports: &[RangeInclusive<u16>]) -> Value {
    any_or(ports.iter().map(show_ports).collect())
}

fn ipv4_nets(nets: &[Ipv4Net]) -> Value {
    any_or(nets.iter().map(|net| show_net(&IpNet::V4(*net))).collect())
}

/// No restriction is `"any"`.
fn any_or(list: Vec<String>) -> Value {
    if list.is_empty() { json!("any") } else { json!(list) }
}
