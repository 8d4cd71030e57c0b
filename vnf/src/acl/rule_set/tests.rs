//! The compiled list against a walk along the rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use dpdk_bindings::testing;
use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::acl::Upper;

/// A packet as the rules see it.
#[derive(Clone, Copy, Debug)]
struct Packet {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    upper: Upper,
}

impl Packet {
    fn key(&self) -> AclKey {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                AclKey::ipv4(source.to_bits(), destination.to_bits(), self.protocol, self.upper)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                AclKey::ipv6(source.to_bits(), destination.to_bits(), self.protocol, self.upper)
            }
            _ => panic!("addresses of one family"),
        }
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
    let holds = |prefixes: &[IpNet], address: &IpAddr| {
        prefixes.is_empty() || prefixes.iter().any(|prefix| prefix.contains(address))
    };
    holds(&rule.source, &packet.source)
        && holds(&rule.destination, &packet.destination)
        && rule.protocol.is_none_or(|protocol| protocol == packet.protocol)
        && matches_upper(rule, packet.upper)
}

fn matches_upper(rule: &RuleSettings, upper: Upper) -> bool {
    let no_ports = rule.source_ports.is_empty() && rule.destination_ports.is_empty();
    if no_ports && rule.icmp_type.is_none() {
        return true;
    }
    let holds = |ranges: &[RangeInclusive<u16>], port| {
        ranges.is_empty() || ranges.iter().any(|range| range.contains(&port))
    };
    match upper {
        Upper::None | Upper::Ports { source: 0, destination: 0 } => {
            rule.action != AclAction::Permit
        }
        Upper::Icmp(icmp_type) => rule.icmp_type == Some(icmp_type),
        Upper::Ports { source, destination } => {
            holds(&rule.source_ports, source) && holds(&rule.destination_ports, destination)
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

fn prefixes() -> impl Strategy<Value = Vec<IpNet>> {
    prop_oneof![Just(Vec::new()), prop::collection::vec(prefix(), 1..5)]
}

fn ports() -> impl Strategy<Value = Vec<RangeInclusive<u16>>> {
    let range = (any::<u16>(), any::<u16>()).prop_map(|(a, b)| a.min(b)..=a.max(b));
    let near = prop_oneof![Just(0..=0), Just(0..=1023), Just(0..=65_535), Just(80..=80), range];
    prop_oneof![Just(Vec::new()), prop::collection::vec(near, 1..4)]
}

fn action() -> impl Strategy<Value = AclAction> {
    prop_oneof![Just(AclAction::Deny), Just(AclAction::Permit), Just(AclAction::Reject)]
}

fn rule() -> impl Strategy<Value = RuleSettings> {
    // As the configuration allows: ports with protocols that have them, types with ICMP.
    let upper = prop_oneof![
        Just((None, None, Vec::new(), Vec::new())),
        any::<u8>().prop_map(|protocol| (Some(protocol), None, Vec::new(), Vec::new())),
        (prop_oneof![Just(6), Just(17)], ports(), ports()).prop_map(|(protocol, from, to)| (
            Some(protocol),
            None,
            from,
            to
        )),
        (prop_oneof![Just(1), Just(58)], any::<u8>()).prop_map(|(protocol, kind)| (
            Some(protocol),
            Some(kind),
            Vec::new(),
            Vec::new()
        )),
    ];
    (action(), prefixes(), prefixes(), upper, any::<bool>(), any::<bool>()).prop_map(
        |(action, source, destination, upper, log, state)| RuleSettings {
            action,
            destination,
            destination_ports: upper.3,
            icmp_type: upper.1,
            line: 1,
            log,
            protocol: upper.0,
            source,
            source_ports: upper.2,
            state,
            text: String::new(),
        },
    )
}

fn list() -> impl Strategy<Value = AclSettings> {
    (action(), prop::collection::vec(rule(), 0..40)).prop_map(|(default, rules)| AclSettings {
        default,
        name: "list".into(),
        rules,
    })
}

/// The seeds of a packet: which rule it is aimed at, and how it strays.
type Aim = (Index, [Index; 4], [u128; 2], [u16; 2], u8, u8, bool);

fn aim() -> impl Strategy<Value = Aim> {
    any::<(Index, [Index; 4], [u128; 2], [u16; 2], u8, u8, bool)>()
}

fn packet(settings: &AclSettings, aim: &Aim) -> Packet {
    let (which, picks, bits, strays, protocol, detail, ipv6) = aim;
    let rule = (!settings.rules.is_empty()).then(|| which.get(&settings.rules));
    let lists = rule.map_or([&[][..], &[]], |rule| [&rule.source[..], &rule.destination]);
    let ipv6 = lists
        .iter()
        .find_map(|list| list.first())
        .map_or(*ipv6, |prefix| if detail % 8 == 0 { *ipv6 } else { prefix.addr().is_ipv6() });
    let [source, destination] = std::array::from_fn(|n| inside(lists[n], &picks[n], bits[n], ipv6));
    let protocol = match rule.and_then(|rule| rule.protocol) {
        Some(wanted) if detail % 7 != 0 => wanted,
        _ => [1, 6, 17, 58, *protocol][usize::from(*protocol) % 5],
    };
    let port = |ranges: &[RangeInclusive<u16>], n: usize| match (ranges, strays[n] % 5) {
        ([], _) | (_, 0) => strays[n],
        (ranges, edge) => {
            let range = picks[n + 2].get(ranges);
            match edge {
                1 => *range.start(),
                2 => range.start().wrapping_sub(1),
                3 => *range.end(),
                _ => range.end().wrapping_add(1),
            }
        }
    };
    let upper = match protocol {
        _ if detail % 11 == 0 => Upper::None,
        1 | 58 => Upper::Icmp(rule.and_then(|rule| rule.icmp_type).unwrap_or(*detail)),
        6 | 17 => Upper::Ports {
            source: port(rule.map_or(&[], |rule| &rule.source_ports), 0),
            destination: port(rule.map_or(&[], |rule| &rule.destination_ports), 1),
        },
        _ => Upper::None,
    };
    Packet { source, destination, protocol, upper }
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

proptest! {
    #[test]
    fn compiled_list_decides_as_a_walk_does(
        settings in list(),
        aims in prop::collection::vec(aim(), 1..150),
    ) {
        let set = RuleSet::compile(&testing::eal(), &settings).expect("a small list compiles");
        let packets: Vec<_> = aims.iter().map(|aim| packet(&settings, aim)).collect();
        let keys: Vec<_> = packets.iter().map(Packet::key).collect();
        let mut decisions = vec![UNDECIDED; keys.len()];
        set.classify(&keys, &mut decisions);
        for (packet, decision) in packets.iter().zip(decisions) {
            prop_assert_eq!(decision, walk(&settings, packet), "{:?}", packet);
        }
    }

    /// RFC 1858: what is hidden in later fragments must not pass where the whole packet would not.
    #[test]
    fn unknown_ports_are_never_treated_better_than_known_ones(
        settings in list(),
        aim in aim(),
        ports in any::<[u16; 2]>(),
    ) {
        let whole = packet(&settings, &aim);
        let upper = match whole.protocol {
            1 | 58 => Upper::Icmp(ports[0] as u8),
            _ => Upper::Ports { source: ports[0], destination: ports[1] },
        };
        let unknown = Packet { upper: Upper::None, ..whole };
        let set = RuleSet::compile(&testing::eal(), &settings).expect("a small list compiles");
        let mut decisions = [UNDECIDED; 3];
        set.classify(&[unknown.key(), whole.key(), Packet { upper, ..whole }.key()], &mut decisions);
        if decisions[0].action == AclAction::Permit {
            prop_assert_eq!(decisions[1].action, AclAction::Permit);
            prop_assert_eq!(decisions[2].action, AclAction::Permit);
        }
    }
}

fn permit() -> RuleSettings {
    RuleSettings {
        action: AclAction::Permit,
        destination: Vec::new(),
        destination_ports: Vec::new(),
        icmp_type: None,
        line: 1,
        log: false,
        protocol: None,
        source: Vec::new(),
        source_ports: Vec::new(),
        state: true,
        text: "permit any".into(),
    }
}

fn hosts(count: u32) -> Vec<IpNet> {
    (0..count).map(|n| IpAddr::from(Ipv4Addr::from_bits(2 * n)).into()).collect()
}

fn settings(rules: Vec<RuleSettings>) -> AclSettings {
    AclSettings { default: AclAction::Deny, name: "list".into(), rules }
}

#[test]
fn rule_that_multiplies_out_to_too_much_is_named() {
    let huge = RuleSettings {
        source: hosts(1000),
        destination: hosts(1000),
        text: "permit any from @many to @many".into(),
        ..permit()
    };
    let error = RuleSet::compile(&testing::eal(), &settings(vec![permit(), huge]))
        .expect_err("a million combinations");
    assert_eq!(
        error.to_string(),
        "acl \"list\": with rule 1 (permit any from @many to @many) the list has 1000002 \
         combinations of prefixes, protocols and port ranges, at most 262144 are accepted"
    );
}

#[test]
fn neighbouring_prefixes_and_ports_are_joined() {
    let mut expansion = Expansion::default();
    let rule = RuleSettings {
        source: (0..256u32).map(|n| IpAddr::from(Ipv4Addr::from_bits(n)).into()).collect(),
        destination_ports: vec![80..=81, 82..=90, 85..=86, 91..=91],
        protocol: Some(6),
        ..permit()
    };
    expansion.add(&rule, NonZeroU32::MIN, 1).expect("one entry");
    assert_eq!(expansion.ipv4.len(), 1);
    assert!(expansion.ipv6.is_empty());
}

#[test]
fn list_without_rules_is_its_default() {
    let set = RuleSet::compile(&testing::eal(), &settings(Vec::new())).expect("nothing to compile");
    let mut decisions = [UNDECIDED; 2];
    set.classify(&[AclKey::ipv4(1, 2, 6, Upper::None); 2], &mut decisions);
    assert_eq!(decisions, [Decision::of_default(AclAction::Deny); 2]);
}
