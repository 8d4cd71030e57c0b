//! `[sets]` and `[[acl]]`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::IpNet;

use crate::config::reader::{Node, Reader, quoted};
use crate::config::report::{Found, Place};
use crate::config::settings::{
    AclAction, AclSettings, AddressGroup, Addresses, RuleSettings, TcpFlags,
};
use crate::config::values::{self, A_NAME};

/// The sets by name; `None`: unreadable, and reported.
pub(in crate::config) type Sets = BTreeMap<String, Option<Arc<[IpNet]>>>;

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

fn members(node: Node<'_>) -> Option<Arc<[IpNet]>> {
    let (report, whole) = (node.report(), node.found(()));
    let nodes = node.one_or_many();
    if nodes.is_empty() {
        whole.reject(report, "at least one prefix or address");
        return None;
    }
    let expected = "a prefix or an address";
    let nets = nodes.iter().map(|node| Some(node.string(expected, values::net)?.value));
    nets.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>().map(Arc::from)
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
    let source = written(rule.optional("source"), sets);
    let destination = written(rule.optional("destination"), sets);
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
    let (icmp_type, icmp_code) = icmp(&rule, protocol);
    let tcp_flags = rule.optional("tcp_flags").and_then(|node| {
        if protocol.is_some_and(|protocol| protocol != Some(TCP)) {
            node.reject("no flags, or the protocol \"tcp\"");
        }
        tcp_flags(node)
    });
    let vlans = rule.optional("vlan").map_or_else(Vec::new, vlans);
    if let (Some(protocol), Some(source), Some(destination)) = (protocol, &source, &destination) {
        check_families(&rule, protocol, source, destination);
    }
    let addresses = |list: &Option<Written>| {
        list.as_ref().map_or_else(Addresses::default, |list| list.addresses.clone())
    };
    let mut settings = RuleSettings {
        action: action.unwrap_or(AclAction::Deny),
        destination: addresses(&destination),
        destination_ports: ports(destination_port),
        icmp_code,
        icmp_type,
        line: rule.place().line,
        log: rule.optional("log").and_then(|node| node.boolean()).unwrap_or(false),
        protocol: protocol.flatten(),
        source: addresses(&source),
        source_ports: ports(source_port),
        state: rule.optional("state").and_then(|node| node.boolean()).unwrap_or(true),
        tcp_flags,
        text: String::new(),
        vlans,
    };
    let written =
        |list: &Option<Written>| list.as_ref().map_or_else(String::new, |l| l.text.clone());
    settings.text = text(&settings, &written(&source), &written(&destination));
    rule.finish();
    settings
}

/// The type and code of ICMP, of which the second needs the first.
fn icmp(rule: &Reader<'_>, protocol: Option<Option<u8>>) -> (Option<u8>, Option<u8>) {
    let icmp_type = rule.optional("icmp_type");
    let icmp_type = icmp_type.and_then(|node| node.integer::<u8>(0..=255));
    if let (Some(found), Some(protocol)) = (&icmp_type, protocol)
        && !protocol.is_some_and(|number| [ICMP, ICMPV6].contains(&number))
    {
        found.reject(rule.report(), "no type, or the protocol \"icmp\" or \"icmpv6\"");
    }
    let icmp_code = rule.optional("icmp_code").and_then(|node| node.integer::<u8>(0..=255));
    if let (Some(found), None) = (&icmp_code, &icmp_type) {
        found.reject(rule.report(), "no code, or an icmp_type that it belongs to");
    }
    (icmp_type.map(|found| found.value), icmp_code.map(|found| found.value))
}

/// `"syn"` or `["syn", "!ack"]`.
fn tcp_flags(node: Node<'_>) -> Option<TcpFlags> {
    let (report, whole) = (node.report(), node.found(()));
    let nodes = node.one_or_many();
    if nodes.is_empty() {
        whole.reject(report, FLAGS);
        return None;
    }
    let mut flags = TcpFlags { mask: 0, value: 0 };
    for node in nodes {
        let found = node.string(FLAGS, |text| {
            let (name, set) = text.strip_prefix('!').map_or((text, true), |name| (name, false));
            let known = TCP_FLAGS.iter().find(|(known, _)| *known == name);
            known.map(|(_, bit)| (*bit, set)).ok_or(None)
        })?;
        let (bit, set) = found.value;
        if flags.mask & bit != 0 {
            node.reject("each flag once");
            return None;
        }
        flags.mask |= bit;
        flags.value |= if set { bit } else { 0 };
    }
    Some(flags)
}

fn vlans(node: Node<'_>) -> Vec<RangeInclusive<u16>> {
    let (report, whole) = (node.report(), node.found(()));
    let nodes = node.one_or_many();
    if nodes.is_empty() {
        whole.reject(report, VLANS);
    }
    let ranges = nodes.iter().filter_map(|node| {
        let found = node.ports(VLANS)?;
        if *found.value.end() > LAST_VLAN {
            node.reject(VLANS);
            return None;
        }
        Some(found.value)
    });
    ranges.collect()
}

/// Source or destination of a rule, and how it is written.
struct Written {
    addresses: Addresses,
    text: String,
}

/// `None`: unreadable, and reported.
fn written(node: Option<Node<'_>>, sets: &Sets) -> Option<Written> {
    let any = Written { addresses: Addresses::default(), text: "any".to_owned() };
    let Some(node) = node.filter(|node| node.as_str() != Some("any")) else { return Some(any) };
    let (report, whole) = (node.report(), node.found(()));
    let nodes = node.one_or_many();
    if nodes.is_empty() {
        whole.reject(report, format!("\"any\" or at least {AN_ADDRESS}"));
        return None;
    }
    let mut own = Some(Vec::new());
    let mut groups = Vec::new();
    let mut texts = Vec::new();
    for node in nodes {
        match node.as_str().and_then(|text| text.strip_prefix('@')) {
            Some(name) => match member_of(&node, name, sets) {
                Some(nets) => {
                    groups.push(AddressGroup { nets, set: Some(name.to_owned()) });
                    texts.push(format!("@{name}"));
                }
                None => own = None,
            },
            None => match (node.string(AN_ADDRESS, values::net), &mut own) {
                (Some(net), Some(own)) => {
                    texts.push(values::show_net(&net.value));
                    own.push(net.value);
                }
                (None, _) => own = None,
                (_, None) => {}
            },
        }
    }
    let mut addresses: Addresses = own?.into_iter().collect();
    addresses.groups.extend(groups);
    Some(Written { addresses, text: texts.join(",") })
}

fn member_of(node: &Node<'_>, name: &str, sets: &Sets) -> Option<Arc<[IpNet]>> {
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
    source: &Written,
    destination: &Written,
) {
    let of = |list: &Written, v6: bool| {
        let mut nets = list.addresses.nets();
        list.addresses.is_any() || nets.any(|net| matches!(net, IpNet::V6(_)) == v6)
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
    let number = |name: &str, number: Option<u8>| {
        number.map_or_else(String::new, |number| format!(" {name} {number}"))
    };
    let icmp = number("icmp-type", rule.icmp_type) + &number("icmp-code", rule.icmp_code);
    let flags = rule
        .tcp_flags
        .map_or_else(String::new, |flags| format!(" flags {}", show_tcp_flags(flags).join(",")));
    let vlan = match &rule.vlans[..] {
        [] => String::new(),
        vlans => {
            format!(" vlan {}", vlans.iter().map(values::show_ports).collect::<Vec<_>>().join(","))
        }
    };
    let state = if rule.state { "" } else { " stateless" };
    let log = if rule.log { " log" } else { "" };
    format!(
        "{action} {protocol} from {source}{from} to {destination}{to}{icmp}{flags}{vlan}{state}{log}"
    )
}

/// The flags of a rule as the file says them.
pub(in crate::config) fn show_tcp_flags(flags: TcpFlags) -> Vec<String> {
    let counts = TCP_FLAGS.iter().filter(|(_, bit)| flags.mask & bit != 0);
    let not = |bit| if flags.value & bit == 0 { "!" } else { "" };
    counts.map(|(name, bit)| format!("{}{name}", not(bit))).collect()
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
const FLAGS: &str = "\"fin\", \"syn\", \"rst\", \"psh\", \"ack\", \"urg\", \"ece\" or \"cwr\", \
                     one with \"!\" before it where it must be clear, or a list of these";
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const LAST_VLAN: u16 = 4094;
const PORTS: &str = "\"any\", a port, a range such as \"1024-65535\", or a list of these";
const PROTOCOLS: [(&str, u8); 4] = [("tcp", 6), ("udp", 17), ("icmp", ICMP), ("icmpv6", ICMPV6)];
const TCP: u8 = 6;
/// In the order of their bits.
const TCP_FLAGS: [(&str, u8); 8] = [
    ("fin", 0x01),
    ("syn", 0x02),
    ("rst", 0x04),
    ("psh", 0x08),
    ("ack", 0x10),
    ("urg", 0x20),
    ("ece", 0x40),
    ("cwr", 0x80),
];
const VLANS: &str =
    "a VLAN from 0 (untagged) to 4094, a range such as \"100-199\", or a list of these";
/// TCP, UDP, DCCP and SCTP.
const WITH_PORTS: [u8; 4] = [6, 17, 33, 132];
