//! Multiplies rules out into what the classifier knows: one prefix, protocol and port range at a time.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use dpdk_bindings::acl::{Criterion, MAX_PRIORITY, Rule};
use ipnet::IpNet;

use super::layout;
use crate::acl::key::icmp_port;
use crate::config::{AclAction, Addresses, RuleSettings};

/// The entries of a list.
#[derive(Default)]
pub(super) struct Expansion {
    pub(super) ipv4: Vec<Rule<7>>,
    pub(super) ipv6: Vec<Rule<13>>,
}

impl Expansion {
    /// The entries of a list; `None` where there are more than `most` of either family.
    pub(super) fn of(rules: &[RuleSettings], most: usize) -> Option<Self> {
        let mut expansion = Self::default();
        for (rule, id) in rules.iter().zip(1..) {
            let id = NonZeroU32::new(id)?;
            expansion.add(rule, id, most)?;
        }
        Some(expansion)
    }

    fn add(&mut self, rule: &RuleSettings, id: NonZeroU32, most: usize) -> Option<()> {
        // A set that is much too large is not worth joining its neighbours.
        if [&rule.source, &rule.destination].iter().any(|list| list.nets().count() > 4 * most) {
            return None;
        }
        let source = Prefixes::of(&rule.source);
        let destination = Prefixes::of(&rule.destination);
        let upper = uppers(rule);
        let fits = |entries: usize, source: &[Prefix], destination: &[Prefix]| {
            let pairs = source.len().saturating_mul(destination.len());
            pairs.saturating_mul(upper.len()).saturating_add(entries) <= most
        };
        if !fits(self.ipv4.len(), &source.ipv4, &destination.ipv4)
            || !fits(self.ipv6.len(), &source.ipv6, &destination.ipv6)
        {
            return None;
        }
        // The first rule has the highest priority.
        let priority = MAX_PRIORITY.saturating_sub(id.get());
        let protocol = layout::of_protocol(rule.protocol);
        for [source_port, destination_port, flags, vlan] in upper {
            for (from, to) in
                source.ipv4.iter().flat_map(|s| destination.ipv4.iter().map(move |d| (s, d)))
            {
                let ([from], [to]) = (from.words(), to.words());
                let criteria = [protocol, from, to, source_port, destination_port, flags, vlan];
                self.ipv4.push(Rule { criteria, id, priority });
            }
            for (from, to) in
                source.ipv6.iter().flat_map(|s| destination.ipv6.iter().map(move |d| (s, d)))
            {
                let ([a, b, c, d], [e, f, g, h]) = (from.words(), to.words());
                let criteria =
                    [protocol, a, b, c, d, e, f, g, h, source_port, destination_port, flags, vlan];
                self.ipv6.push(Rule { criteria, id, priority });
            }
        }
        Some(())
    }
}

/// What the entries of a rule say of ports, TCP flags and VLAN.
fn uppers(rule: &RuleSettings) -> Vec<[Criterion; 4]> {
    // What is not known of a segment's flags is never to its sender's advantage, as with ports.
    let flags = match rule.tcp_flags {
        None => vec![layout::ANY],
        Some(flags) if rule.action == AclAction::Permit => vec![layout::of_flags(flags)],
        Some(flags) => vec![layout::of_flags(flags), layout::UNKNOWN_FLAGS],
    };
    let vlans = if rule.vlans.is_empty() { vec![ANY] } else { joined(&rule.vlans) };
    let mut uppers = Vec::new();
    for [source, destination] in rectangles(rule) {
        for vlan in &vlans {
            let [source, destination, vlan] = [&source, &destination, vlan].map(layout::of_range);
            uppers.extend(flags.iter().map(|flags| [source, destination, *flags, vlan]));
        }
    }
    uppers
}

/// The prefixes of a rule's source or destination by family, neighbours joined.
struct Prefixes {
    ipv4: Vec<Prefix>,
    ipv6: Vec<Prefix>,
}

/// A prefix; the address's first bit is the number's.
#[derive(Clone, Copy)]
struct Prefix {
    address: u128,
    length: u8,
}

impl Prefixes {
    fn of(addresses: &Addresses) -> Self {
        if addresses.is_any() {
            let any = vec![Prefix { address: 0, length: 0 }];
            return Self { ipv4: any.clone(), ipv6: any };
        }
        let mut found = Self { ipv4: Vec::new(), ipv6: Vec::new() };
        for prefix in IpNet::aggregate(&addresses.nets().copied().collect()) {
            let length = prefix.prefix_len();
            match prefix {
                IpNet::V4(prefix) => found
                    .ipv4
                    .push(Prefix { address: u128::from(prefix.network().to_bits()) << 96, length }),
                IpNet::V6(prefix) => {
                    found.ipv6.push(Prefix { address: prefix.network().to_bits(), length });
                }
            }
        }
        found
    }
}

impl Prefix {
    fn words<const WORDS: usize>(self) -> [dpdk_bindings::acl::Criterion; WORDS] {
        layout::of_prefix(self.address, self.length)
    }
}

type Ports = RangeInclusive<u16>;

/// The source and destination ports a rule asks for, or what stands for an ICMP type and code in their place.
pub(super) fn ports_of(rule: &RuleSettings) -> [Option<Vec<Ports>>; 2] {
    let icmp = |number| vec![icmp_port(number)..=icmp_port(number)];
    let ports = |ranges: &[Ports]| (!ranges.is_empty()).then(|| joined(ranges));
    match rule.icmp_type {
        Some(kind) => [Some(icmp(kind)), rule.icmp_code.map(icmp)],
        None => [ports(&rule.source_ports), ports(&rule.destination_ports)],
    }
}

/// The source and destination ports a rule matches, each pair of ranges once.
///
/// Both ports zero stand for "unknown". A rule that does not ask for ports matches that too; one that does leaves it
/// out if it permits, and takes it in if it denies or rejects.
fn rectangles(rule: &RuleSettings) -> Vec<[Ports; 2]> {
    let (source, destination) = match ports_of(rule) {
        [None, None] => return vec![[ANY, ANY]],
        [source, destination] => {
            (source.unwrap_or_else(|| vec![ANY]), destination.unwrap_or_else(|| vec![ANY]))
        }
    };
    let mut pairs = Vec::new();
    let mut unknown = false;
    for source in source {
        for destination in &destination {
            let holds_unknown = *source.start() == 0 && *destination.start() == 0;
            unknown |= holds_unknown;
            if holds_unknown && rule.action == AclAction::Permit {
                pairs.push([1..=*source.end(), destination.clone()]);
                pairs.push([0..=0, 1..=*destination.end()]);
            } else {
                pairs.push([source.clone(), destination.clone()]);
            }
        }
    }
    if !unknown && rule.action != AclAction::Permit {
        pairs.push([0..=0, 0..=0]);
    }
    pairs.retain(|pair| pair.iter().all(|ports| !ports.is_empty()));
    pairs
}

/// Sorted ranges, those that overlap or touch joined.
fn joined(ranges: &[Ports]) -> Vec<Ports> {
    let mut sorted: Vec<_> = ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
    sorted.sort_by_key(|range| *range.start());
    let mut joined: Vec<Ports> = Vec::new();
    for range in sorted {
        match joined.last_mut() {
            Some(last) if u32::from(*range.start()) <= u32::from(*last.end()) + 1 => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => joined.push(range),
        }
    }
    joined
}

const ANY: Ports = 0..=u16::MAX;
