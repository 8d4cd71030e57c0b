//! Multiplies rules out into what the classifier knows: one prefix, protocol and port range at a time.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use dpdk_bindings::acl::{MAX_PRIORITY, Rule};
use ipnet::IpNet;

use super::layout;
use crate::acl::key::icmp_port;
use crate::config::{AclAction, RuleSettings};

/// The entries of a list.
#[derive(Default)]
pub(super) struct Expansion {
    pub(super) ipv4: Vec<Rule<5>>,
    pub(super) ipv6: Vec<Rule<11>>,
}

impl Expansion {
    /// Adds a rule; if the list then had more than `limit` entries, adds nothing and answers how many.
    pub(super) fn add(
        &mut self,
        rule: &RuleSettings,
        id: NonZeroU32,
        limit: usize,
    ) -> Result<(), usize> {
        let source = Prefixes::of(&rule.source);
        let destination = Prefixes::of(&rule.destination);
        let ports = rectangles(rule);
        let pairs = source
            .ipv4
            .len()
            .saturating_mul(destination.ipv4.len())
            .saturating_add(source.ipv6.len().saturating_mul(destination.ipv6.len()));
        let entries =
            pairs.saturating_mul(ports.len()).saturating_add(self.ipv4.len() + self.ipv6.len());
        if entries > limit {
            return Err(entries);
        }
        // The first rule has the highest priority.
        let priority = MAX_PRIORITY.saturating_sub(id.get());
        let protocol = layout::of_protocol(rule.protocol);
        for [source_ports, destination_ports] in &ports {
            let source_ports = layout::of_ports(source_ports);
            let destination_ports = layout::of_ports(destination_ports);
            for (from, to) in
                source.ipv4.iter().flat_map(|s| destination.ipv4.iter().map(move |d| (s, d)))
            {
                let ([from], [to]) = (from.words(), to.words());
                let criteria = [protocol, from, to, source_ports, destination_ports];
                self.ipv4.push(Rule { criteria, id, priority });
            }
            for (from, to) in
                source.ipv6.iter().flat_map(|s| destination.ipv6.iter().map(move |d| (s, d)))
            {
                let ([a, b, c, d], [e, f, g, h]) = (from.words(), to.words());
                let criteria = [protocol, a, b, c, d, e, f, g, h, source_ports, destination_ports];
                self.ipv6.push(Rule { criteria, id, priority });
            }
        }
        Ok(())
    }
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
    fn of(prefixes: &[IpNet]) -> Self {
        if prefixes.is_empty() {
            let any = vec![Prefix { address: 0, length: 0 }];
            return Self { ipv4: any.clone(), ipv6: any };
        }
        let mut found = Self { ipv4: Vec::new(), ipv6: Vec::new() };
        for prefix in IpNet::aggregate(&prefixes.to_vec()) {
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

/// The source and destination ports a rule matches, each pair of ranges once.
///
/// Both ports zero stand for "unknown". A rule that does not ask for ports matches that too; one that does leaves it
/// out if it permits, and takes it in if it denies or rejects.
fn rectangles(rule: &RuleSettings) -> Vec<[Ports; 2]> {
    let (source, destination) = match rule.icmp_type {
        Some(icmp_type) => (vec![icmp_port(icmp_type)..=icmp_port(icmp_type)], vec![ANY]),
        None if rule.source_ports.is_empty() && rule.destination_ports.is_empty() => {
            return vec![[ANY, ANY]];
        }
        None => (joined(&rule.source_ports), joined(&rule.destination_ports)),
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

/// Sorted ranges, those that overlap or touch joined; none given: any port.
fn joined(ranges: &[Ports]) -> Vec<Ports> {
    if ranges.is_empty() {
        return vec![ANY];
    }
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
