//! The compiled list against a walk along the rules.

mod size;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use dpdk_bindings::testing;
use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::acl::Upper;
use crate::config::{AddressGroup, Addresses, TcpFlags};

/// A packet as the rules see it.
#[derive(Clone, Copy, Debug)]
struct Packet {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    upper: Upper,
    vlan: u16,
}

impl Packet {
    fn key(&self) -> AclKey {
        let key = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                AclKey::ipv4(source.to_bits(), destination.to_bits(), self.protocol, self.upper)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                AclKey::ipv6(source.to_bits(), destination.to_bits(), self.protocol, self.upper)
            }
            _ => panic!("addresses of one family"),
        };
        key.by_vlan(self.vlan)
    }
}

/// What the list must say: the first rule that matches.
fn walk(settings: &AclSettings, packet: &Packet) -> Decision {
    settings
        .rules
        .iter()
        .zip(0..)
        .find(|(rule, _)| matches(rule, packet))
        .map_or(Decision::of_default(settings.default), |(rule, n)| Decision::of_rule(rule, n))
}

fn matches(rule: &RuleSettings, packet: &Packet) -> bool {
    let holds = |addresses: &Addresses, address: &IpAddr| {
        addresses.is_any() || addresses.nets().any(|prefix| prefix.contains(address))
    };
    holds(&rule.source, &packet.source)
        && holds(&rule.destination, &packet.destination)
        && rule.protocol.is_none_or(|protocol| protocol == packet.protocol)
        && within(&rule.vlans, packet.vlan)
        && matches_upper(rule, packet.upper)
}

fn within(ranges: &[RangeInclusive<u16>], value: u16) -> bool {
    ranges.is_empty() || ranges.iter().any(|range| range.contains(&value))
}

fn matches_upper(rule: &RuleSettings, upper: Upper) -> bool {
    // What is not known is never to the sender's advantage.
    let unknown = rule.action != AclAction::Permit;
    let any_port = rule.source_ports.is_empty() && rule.destination_ports.is_empty();
    let ports = |source, destination| match (source, destination) {
        _ if any_port => true,
        (0, 0) => unknown,
        _ => within(&rule.source_ports, source) && within(&rule.destination_ports, destination),
    };
    match upper {
        Upper::None => any_port && rule.icmp_type.is_none() && rule.tcp_flags.is_none() || unknown,
        Upper::Icmp { kind, code } => {
            any_port
                && rule.tcp_flags.is_none_or(|_| unknown)
                && rule.icmp_type.is_none_or(|wanted| wanted == kind)
                && rule.icmp_code.is_none_or(|wanted| wanted == code)
        }
        Upper::Ports { source, destination } => {
            ports(source, destination)
                && rule.icmp_type.is_none()
                && rule.tcp_flags.is_none_or(|_| unknown)
        }
        Upper::Tcp { source, destination, flags } => {
            ports(source, destination)
                && rule.icmp_type.is_none()
                && rule.tcp_flags.is_none_or(|wanted| wanted.admits(flags))
        }
    }
}

/// Prefixes of every length, crowded into a few places so that rules overlap.
fn prefix() -> impl Strategy<Value = IpNet> {
    let ipv4 = (any::<u32>(), 0..=32u8).prop_map(|(address, length)| {
        let address = Ipv4Addr::from_bits(address & 0x0101_0303 | 0x0a00_0000);
        IpNet::new(address.into(), length).expect("length in range").trunc()
    });
    let ipv6 = (any::<u128>(), 0..=128u8).prop_map(|(address, length)| {
        let mask = 0x0000_0101_0000_0003_0000_0000_0100_0103;
        let address = Ipv6Addr::from_bits(address & mask | 0x2001_0db8 << 96);
        IpNet::new(address.into(), length).expect("length in range").trunc()
    });
    prop_oneof![ipv4, ipv6]
}

/// Sets that rules share.
fn sets() -> impl Strategy<Value = Vec<Arc<[IpNet]>>> {
    let set = prop::collection::vec(prefix(), 1..6).prop_map(Arc::from);
    prop::collection::vec(set, 3)
}

/// Prefixes of a rule's own, and which of the sets it names.
fn addresses() -> impl Strategy<Value = (Vec<IpNet>, Vec<usize>)> {
    let own = prop::collection::vec(prefix(), 0..4);
    let some = (own, prop::collection::vec(0..3usize, 0..2));
    prop_oneof![Just((Vec::new(), Vec::new())), some]
}

fn resolve((own, named): (Vec<IpNet>, Vec<usize>), sets: &[Arc<[IpNet]>]) -> Addresses {
    let mut addresses: Addresses = own.into_iter().collect();
    addresses.groups.extend(
        named
            .into_iter()
            .map(|n| AddressGroup { nets: Arc::clone(&sets[n]), set: Some(format!("set-{n}")) }),
    );
    addresses
}

fn ports() -> impl Strategy<Value = Vec<RangeInclusive<u16>>> {
    let range = (any::<u16>(), any::<u16>()).prop_map(|(a, b)| a.min(b)..=a.max(b));
    let near = prop_oneof![Just(0..=0), Just(0..=1023), Just(0..=65_535), Just(80..=80), range];
    prop_oneof![Just(Vec::new()), prop::collection::vec(near, 1..4)]
}

fn action() -> impl Strategy<Value = AclAction> {
    prop_oneof![Just(AclAction::Deny), Just(AclAction::Permit), Just(AclAction::Reject)]
}

/// What a rule says of protocol, ports, ICMP and TCP flags.
type AboveIp =
    (Option<u8>, [Vec<RangeInclusive<u16>>; 2], (Option<u8>, Option<u8>), Option<TcpFlags>);

/// As the configuration allows: ports with protocols that have them, flags with TCP, types with ICMP.
fn above_ip() -> impl Strategy<Value = AboveIp> {
    let plain = |protocol| (protocol, [Vec::new(), Vec::new()], (None, None), None);
    let flags = (any::<u8>(), any::<u8>(), any::<bool>())
        .prop_map(|(mask, value, any)| (!any).then_some(TcpFlags { mask, value: value & mask }));
    prop_oneof![
        Just(plain(None)),
        any::<u8>().prop_map(move |protocol| plain(Some(protocol))),
        (ports(), ports()).prop_map(|(from, to)| (Some(17), [from, to], (None, None), None)),
        (ports(), ports(), flags).prop_map(|(from, to, flags)| (
            Some(6),
            [from, to],
            (None, None),
            flags
        )),
        (prop_oneof![Just(1), Just(58)], 0..6u8, prop::option::of(0..4u8)).prop_map(
            |(protocol, kind, code)| {
                (Some(protocol), [Vec::new(), Vec::new()], (Some(kind), code), None)
            }
        ),
    ]
}

fn vlans() -> impl Strategy<Value = Vec<RangeInclusive<u16>>> {
    let some = (0..6u16, 0..6u16).prop_map(|(a, b)| vec![a.min(b)..=a.max(b), 4094..=4094]);
    prop_oneof![3 => Just(Vec::new()), 1 => some]
}

fn list() -> impl Strategy<Value = AclSettings> {
    let rule = (action(), [addresses(), addresses()], above_ip(), vlans(), any::<[bool; 2]>());
    (action(), sets(), prop::collection::vec(rule, 0..40)).prop_map(|(default, sets, rules)| {
        let rules = rules.into_iter().map(|(action, addresses, above, vlans, [log, state])| {
            let [source, destination] = addresses;
            let (protocol, [source_ports, destination_ports], icmp, tcp_flags): AboveIp = above;
            RuleSettings {
                action,
                destination: resolve(destination, &sets),
                destination_ports,
                icmp_code: icmp.1,
                icmp_type: icmp.0,
                line: 1,
                log,
                protocol,
                source: resolve(source, &sets),
                source_ports,
                state,
                tcp_flags,
                text: String::new(),
                vlans,
            }
        });
        AclSettings { default, name: "list".into(), rules: rules.collect() }
    })
}

/// The seeds of a packet: which rule it is aimed at, and how it strays.
type Aim = (Index, [Index; 4], [u128; 2], [u16; 3], [u8; 4], bool);

fn aim() -> impl Strategy<Value = Aim> {
    any::<Aim>()
}

fn packet(settings: &AclSettings, aim: &Aim) -> Packet {
    let (which, picks, bits, strays, octets, ipv6) = aim;
    let [protocol, detail, code, flags] = *octets;
    let rule = (!settings.rules.is_empty()).then(|| which.get(&settings.rules));
    let lists = rule.map_or([const { Vec::new() }; 2], |rule| {
        [&rule.source, &rule.destination].map(|addresses| addresses.nets().copied().collect())
    });
    let ipv6 = lists
        .iter()
        .find_map(|list| list.first())
        .map_or(*ipv6, |prefix| if detail % 8 == 0 { *ipv6 } else { prefix.addr().is_ipv6() });
    let [source, destination] =
        std::array::from_fn(|n| inside(&lists[n], &picks[n], bits[n], ipv6));
    let protocol = match rule.and_then(|rule| rule.protocol) {
        Some(wanted) if detail % 7 != 0 => wanted,
        _ => [1, 6, 17, 58, protocol][usize::from(protocol) % 5],
    };
    let edge = |ranges: &[RangeInclusive<u16>], n: usize| match (ranges, strays[n] % 5) {
        ([], _) | (_, 0) => strays[n],
        (ranges, edge) => {
            let range = picks[n + 1].get(ranges);
            match edge {
                1 => *range.start(),
                2 => range.start().wrapping_sub(1),
                3 => *range.end(),
                _ => range.end().wrapping_add(1),
            }
        }
    };
    let source_port = edge(rule.map_or(&[], |rule| &rule.source_ports), 0);
    let destination_port = edge(rule.map_or(&[], |rule| &rule.destination_ports), 1);
    let vlan = edge(rule.map_or(&[], |rule| &rule.vlans), 2) % 4096;
    let flags = match rule.and_then(|rule| rule.tcp_flags) {
        // As the rule wants it, but for one flag now and then.
        Some(wanted) if flags % 3 != 0 => {
            let astray = if flags % 3 == 1 { 1 << (code % 8) } else { 0 };
            wanted.value | !wanted.mask & flags ^ astray
        }
        _ => flags,
    };
    let upper = match protocol {
        _ if detail % 11 == 0 => Upper::None,
        1 | 58 => Upper::Icmp {
            kind: rule.and_then(|rule| rule.icmp_type).filter(|_| code % 4 > 0).unwrap_or(detail),
            code: code % 5,
        },
        6 => Upper::Tcp { source: source_port, destination: destination_port, flags },
        17 => Upper::Ports { source: source_port, destination: destination_port },
        _ => Upper::None,
    };
    Packet { source, destination, protocol, upper, vlan: if code % 3 == 0 { 0 } else { vlan } }
}

/// An address in one of the prefixes, if one has the family.
fn inside(prefixes: &[IpNet], pick: &Index, bits: u128, ipv6: bool) -> IpAddr {
    let fit: Vec<_> = prefixes.iter().filter(|prefix| prefix.addr().is_ipv6() == ipv6).collect();
    match fit.get(pick.index(fit.len().max(1))) {
        Some(IpNet::V4(prefix)) => {
            let bits = bits as u32 & prefix.hostmask().to_bits();
            Ipv4Addr::from_bits(prefix.network().to_bits() | bits).into()
        }
        Some(IpNet::V6(prefix)) => {
            let bits = bits & prefix.hostmask().to_bits();
            Ipv6Addr::from_bits(prefix.network().to_bits() | bits).into()
        }
        None if ipv6 => Ipv6Addr::from_bits(bits).into(),
        None => Ipv4Addr::from_bits(bits as u32).into(),
    }
}

const UNDECIDED: Decision =
    Decision { action: AclAction::Reject, log: true, rule: 12_345, stateful: false };

/// The list in both engines: `rte_acl` and the index. The third is what a configuration gets.
fn compiled(settings: &AclSettings) -> [RuleSet; 3] {
    [8192, 0, SHORT].map(|short| {
        let set = RuleSet::compile_within(&testing::eal(), settings, short, RuleSet::MAX_BYTES);
        set.expect("a small list compiles")
    })
}

/// So many random cases, or as many as `VNF_ACL_CASES` says: a longer run.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("VNF_ACL_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(usual), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn compiled_list_decides_as_a_walk_does(
        settings in list(),
        aims in prop::collection::vec(aim(), 1..150),
    ) {
        let packets: Vec<_> = aims.iter().map(|aim| packet(&settings, aim)).collect();
        let keys: Vec<_> = packets.iter().map(Packet::key).collect();
        for set in compiled(&settings) {
            let mut decisions = vec![UNDECIDED; keys.len()];
            set.classify(&keys, &mut decisions);
            for (packet, decision) in packets.iter().zip(decisions) {
                prop_assert_eq!(decision, walk(&settings, packet), "{:?} {:?}", packet, set.ipv4);
            }
        }
    }

    /// RFC 1858: what is hidden in later fragments must not pass where the whole packet would not.
    #[test]
    fn what_is_unknown_is_never_treated_better_than_what_is_known(
        settings in list(),
        aim in aim(),
        ports in any::<[u16; 2]>(),
    ) {
        let whole = packet(&settings, &aim);
        let [source, destination] = ports;
        let upper = match whole.protocol {
            1 | 58 => Upper::Icmp { kind: source as u8, code: destination as u8 },
            6 => Upper::Tcp { source, destination, flags: source as u8 },
            _ => Upper::Ports { source, destination },
        };
        let unknown = Packet { upper: Upper::None, ..whole };
        for set in compiled(&settings) {
            let mut decisions = [UNDECIDED; 3];
            let keys = [unknown, whole, Packet { upper, ..whole }].map(|packet| packet.key());
            set.classify(&keys, &mut decisions);
            if decisions[0].action == AclAction::Permit {
                prop_assert_eq!(decisions[1].action, AclAction::Permit);
                prop_assert_eq!(decisions[2].action, AclAction::Permit);
            }
        }
    }

}

proptest! {
    #![proptest_config(cases(24))]

    /// More rules than one line of bits has, and than one branch of the tree.
    #[test]
    fn long_list_decides_as_a_walk_does(
        parts in prop::collection::vec(list(), 1..12),
        copies in prop_oneof![Just(1usize), Just(4), Just(40)],
        aims in prop::collection::vec(aim(), 1..40),
    ) {
        let mut settings = parts[0].clone();
        // Rules that match nothing keep what matters apart.
        let idle = RuleSettings { source_ports: vec![9..=9], protocol: Some(132), ..permit() };
        settings.rules = parts.into_iter().flat_map(|part| {
            part.rules.into_iter().flat_map(|rule| {
                std::iter::repeat_n(idle.clone(), copies - 1).chain([rule])
            })
        }).collect();
        let set = RuleSet::compile_within(&testing::eal(), &settings, 0, RuleSet::MAX_BYTES)
            .expect("it compiles");
        for aim in &aims {
            let packet = packet(&settings, aim);
            let mut decisions = [UNDECIDED];
            set.classify(&[packet.key()], &mut decisions);
            prop_assert_eq!(decisions[0], walk(&settings, &packet), "{:?}", packet);
        }
    }
}

fn permit() -> RuleSettings {
    RuleSettings {
        action: AclAction::Permit,
        destination: Addresses::default(),
        destination_ports: Vec::new(),
        icmp_code: None,
        icmp_type: None,
        line: 1,
        log: false,
        protocol: None,
        source: Addresses::default(),
        source_ports: Vec::new(),
        state: true,
        tcp_flags: None,
        text: "permit any".into(),
        vlans: Vec::new(),
    }
}

fn settings(rules: Vec<RuleSettings>) -> AclSettings {
    AclSettings { default: AclAction::Deny, name: "list".into(), rules }
}

#[test]
fn neighbouring_prefixes_and_ports_are_joined() {
    let rule = RuleSettings {
        source: (0..256u32).map(|n| IpAddr::from(Ipv4Addr::from_bits(n)).into()).collect(),
        destination_ports: vec![80..=81, 82..=90, 85..=86, 91..=91],
        protocol: Some(6),
        ..permit()
    };
    let expansion = Expansion::of(&[rule], SHORT).expect("one entry");
    assert_eq!(expansion.ipv4.len(), 1);
    assert!(expansion.ipv6.is_empty());
}
