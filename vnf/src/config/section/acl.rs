//! `[sets]` and `[[acl]]`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use crate::config::reader::{Node, Reader, quoted};
use crate::config::report::{Found, Place};
use crate::config::settings::{AclAction, AclSettings, RuleSettings};
use crate::config::values::{self, A_NAME};

/// The sets by name; `None`: unreadable, and reported.
pub(in crate::config) type Sets = BTreeMap<String, Option<Vec<IpNet>>>;

/// Reads `[sets]`.
pub(in crate::config) fn sets(sets: &Reader<'_>) -> Sets {
    let mut read = Sets::new();
    for (name, node) in sets.entries() {
        if values::name(name).is_err() {
            let message = format!("found a set named {name:?}, expected {A_NAME}");
            node.report().error(node.place(), message);
        }
        read.insert(name.to_owned(), members(node));
    }
    read
}

fn members(node: Node<'_>) -> Option<Vec<IpNet>> {
    let (report, whole) = (node.report(), node.found(()));
    let nodes = node.one_or_many();
    if nodes.is_empty() {
        whole.reject(report, "at least one prefix or address");
        return None;
    }
    let expected = "a prefix or an address";
    let nets = nodes.iter().map(|node| Some(node.string(expected, values::net)?.value));
    nets.collect::<Vec<_>>().into_iter().collect()
}

/// An ACL with the place of its name, for the checks that need the whole file.
pub(in crate::config) struct Acl {
    pub(in crate::config) name: Option<Found<String>>,
    pub(in crate::config) settings: AclSettings,
}

/// Reads an `[[acl]]`.
pub(in crate::config) fn acl(acl: Reader<'_>, sets: &Sets) -> Acl {
    let name = acl.required("name", A_NAME);
    let name = name.and_then(|node| node.string(A_NAME, values::name));
    let default = acl.required("default", quoted(&ACTIONS.map(|(action, _)| action)));
    let default = default.and_then(|node| node.choice(&ACTIONS));
    let rules = acl.tables("rule", None).into_iter().map(|table| rule(table, sets)).collect();
    acl.finish();
    let settings = AclSettings {
        default: default.unwrap_or(AclAction::Deny),
        name: name.as_ref().map_or_else(String::new, |name| name.value.clone()),
        rules,
    };
    Acl { name, settings }
}

fn rule(rule: Reader<'_>, sets: &Sets) -> RuleSettings {
    let action = rule.required("action", quoted(&ACTIONS.map(|(action, _)| action)));
    let action = action.and_then(|node| node.choice(&ACTIONS));
    let protocol = match rule.optional("protocol") {
        None => Some(None),
        Some(node) => protocol(&node),
    };
    let source = addresses(rule.optional("source"), sets);
    let destination = addresses(rule.optional("destination"), sets);
    let source_port = rule.optional("source_port");
    let destination_port = rule.optional("destination_port");
    if let Some(protocol) = protocol
        && !protocol.is_some_and(|number| WITH_PORTS.contains(&number))
    {
        for node in [&source_port, &destination_port].into_iter().flatten() {
            if node.as_str() != Some("any") {
                node.reject("no ports, or a protocol that has them: \"tcp\", \"udp\", 33 or 132");
            }
        }
    }
    let icmp_type = rule.optional("icmp_type");
    let icmp_type = icmp_type.and_then(|node| node.integer::<u8>(0..=255));
    if let (Some(found), Some(protocol)) = (&icmp_type, protocol)
        && !protocol.is_some_and(|number| [ICMP, ICMPV6].contains(&number))
    {
        found.reject(rule.report(), "no type, or the protocol \"icmp\" or \"icmpv6\"");
    }
    if let (Some(protocol), Some(source), Some(destination)) = (protocol, &source, &destination) {
        check_families(&rule, protocol, source, destination);
    }
    let mut settings = RuleSettings {
        action: action.unwrap_or(AclAction::Deny),
        destination: destination.as_ref().map_or_else(Vec::new, |list| list.nets.clone()),
        destination_ports: ports(destination_port),
        icmp_type: icmp_type.map(|found| found.value),
        line: rule.place().line,
        log: rule.optional("log").and_then(|node| node.boolean()).unwrap_or(false),
        protocol: protocol.flatten(),
        source: source.as_ref().map_or_else(Vec::new, |list| list.nets.clone()),
        source_ports: ports(source_port),
        state: rule.optional("state").and_then(|node| node.boolean()).unwrap_or(true),
        text: String::new(),
    };
    let written =
        |list: &Option<Addresses>| list.as_ref().map_or_else(String::new, |l| l.text.clone());
    settings.text = text(&settings, &written(&source), &written(&destination));
    rule.finish();
    settings
}

/// Source or destination of a rule; no nets: any.
struct Addresses {
    nets: Vec<IpNet>,
    text: String,
}

/// `None`: unreadable, and reported.
fn addresses(node: Option<Node<'_>>, sets: &Sets) -> Option<Addresses> {
    let any = Addresses { nets: Vec::new(), text: "any".to_owned() };
    let Some(node) = node.filter(|node| node.as_str() != Some("any")) else { return Some(any) };
    let (report, whole) = (node.report(), node.found(()));
    let nodes = node.one_or_many();
    if nodes.is_empty() {
        whole.reject(report, format!("\"any\" or at least {AN_ADDRESS}"));
        return None;
    }
    let mut read = Some(Addresses { nets: Vec::new(), text: String::new() });
    for node in nodes {
        let nets = match node.as_str().and_then(|text| text.strip_prefix('@')) {
            Some(name) => member_of(&node, name, sets),
            None => node.string(AN_ADDRESS, values::net).map(|net| vec![net.value]),
        };
        read = read.zip(nets).map(|(mut read, nets)| {
            let comma = if read.text.is_empty() { "" } else { "," };
            let set = node.as_str().filter(|text| text.starts_with('@')).map(str::to_owned);
            read.text += comma;
            read.text += &set.unwrap_or_else(|| nets.iter().map(values::show_net).collect());
            read.nets.extend(nets);
            read
        });
    }
    read
}

fn member_of(node: &Node<'_>, name: &str, sets: &Sets) -> Option<Vec<IpNet>> {
    let set = sets.get(name);
    if set.is_none() {
        let names = sets.keys().map(|name| format!("@{name}")).collect::<Vec<_>>();
        node.reject(match names.is_empty() {
            true => "the name of a set, and there is none in [sets]".to_owned(),
            false => format!("a set of [sets]: {}", quoted(&names)),
        });
    }
    set?.clone()
}

/// `None`: unreadable, and reported; `Some(None)`: any.
fn protocol(node: &Node<'_>) -> Option<Option<u8>> {
    if let Some(word) = node.as_str() {
        if word == "any" {
            return Some(None);
        }
        if let Some((_, number)) = PROTOCOLS.iter().find(|(name, _)| *name == word) {
            return Some(Some(*number));
        }
    }
    let number = node.as_integer().and_then(|number| u8::try_from(number).ok());
    if number.is_none() {
        let names = PROTOCOLS.map(|(name, _)| format!("\"{name}\"")).join(", ");
        node.reject(format!("{names}, \"any\" or a number from 0 to 255"));
    }
    number.map(Some)
}

fn ports(node: Option<Node<'_>>) -> Vec<RangeInclusive<u16>> {
    let Some(node) = node.filter(|node| node.as_str() != Some("any")) else { return Vec::new() };
    let (report, whole) = (node.report(), node.found(()));
    let nodes = node.one_or_many();
    if nodes.is_empty() {
        whole.reject(report, PORTS);
    }
    nodes.iter().filter_map(|node| Some(node.ports(PORTS)?.value)).collect()
}

/// A rule whose protocol, source and destination share no address family matches nothing.
fn check_families(
    rule: &Reader<'_>,
    protocol: Option<u8>,
    source: &Addresses,
    destination: &Addresses,
) {
    let of = |list: &Addresses, v6: bool| {
        list.nets.is_empty() || list.nets.iter().any(|net| matches!(net, IpNet::V6(_)) == v6)
    };
    let possible = |v6: bool| {
        let spoken = protocol != Some(if v6 { ICMP } else { ICMPV6 });
        spoken && of(source, v6) && of(destination, v6)
    };
    if !possible(false) && !possible(true) {
        let place = Place { key: rule.place().key.clone(), line: rule.place().line };
        let protocol = show_protocol(protocol);
        rule.report().error(&place, format!(
            "found {protocol} from {} to {}, expected one address family in protocol, source and destination",
            source.text, destination.text
        ));
    }
}

/// `permit tcp from 10.0.0.0/24 to any port 80,443`.
fn text(rule: &RuleSettings, source: &str, destination: &str) -> String {
    let ports = |ports: &[RangeInclusive<u16>]| match ports {
        [] => String::new(),
        ports => {
            format!(" port {}", ports.iter().map(values::show_ports).collect::<Vec<_>>().join(","))
        }
    };
    let action = show_action(rule.action);
    let protocol = show_protocol(rule.protocol);
    let from = ports(&rule.source_ports);
    let to = ports(&rule.destination_ports);
    let icmp_type =
        rule.icmp_type.map_or_else(String::new, |number| format!(" icmp-type {number}"));
    let state = if rule.state { "" } else { " stateless" };
    let log = if rule.log { " log" } else { "" };
    format!("{action} {protocol} from {source}{from} to {destination}{to}{icmp_type}{state}{log}")
}

/// An action as the file says it.
pub(in crate::config) fn show_action(action: AclAction) -> &'static str {
    match action {
        AclAction::Deny => "deny",
        AclAction::Permit => "permit",
        AclAction::Reject => "reject",
    }
}

/// A protocol as the file says it: by name where it has one.
pub(in crate::config) fn show_protocol(protocol: Option<u8>) -> String {
    let Some(number) = protocol else { return "any".to_owned() };
    let named = PROTOCOLS.iter().find(|(_, known)| *known == number);
    named.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

const ACTIONS: [(&str, AclAction); 3] =
    [("permit", AclAction::Permit), ("deny", AclAction::Deny), ("reject", AclAction::Reject)];
const AN_ADDRESS: &str = "a prefix, an address or \"@set\"";
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const PORTS: &str = "\"any\", a port, a range such as \"1024-65535\", or a list of these";
const PROTOCOLS: [(&str, u8); 4] = [("tcp", 6), ("udp", 17), ("icmp", ICMP), ("icmpv6", ICMPV6)];
/// TCP, UDP, DCCP and SCTP.
const WITH_PORTS: [u8; 4] = [6, 17, 33, 132];
