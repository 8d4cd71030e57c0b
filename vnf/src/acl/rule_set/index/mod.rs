//! Finds the first of many rules: each field of a packet gives a set of rules, and the first that all sets have in
//! common decides.
//!
//! Time and memory to build are proportional to what the rules say, whichever way ranges and prefixes cross; a set of
//! addresses counts once, however many rules name it. A lookup is bounded by the number of rules alone.

mod bits;
mod dimension;

use dpdk_bindings::Eal;
use ipnet::IpNet;

use super::expand;
use crate::acl::key::{AclKey, FLAGS_KNOWN};
use crate::config::{AclAction, AclSettings, Addresses, RuleSettings};
use bits::{EMPTY, Frozen, MOST_SETS, SetId, Sets, TooLarge};
use dimension::{Demands, Dimension, Interval};

/// An address as it stands in a key, as a number.
pub(super) trait Address: Copy + PartialOrd {
    /// The IP version.
    const VERSION: u8;
    /// The last address.
    const LAST: u128;
    /// From a number that is one.
    fn from_number(number: u128) -> Self;
    /// From the octets of a key.
    fn from_octets(octets: &[u8; 16]) -> Self;
    /// The first and the last address of a prefix of this version.
    fn interval(net: &IpNet) -> Option<Interval>;
}

impl Address for u32 {
    const VERSION: u8 = 4;
    const LAST: u128 = Self::MAX as u128;

    fn from_number(number: u128) -> Self {
        number as Self
    }

    #[inline]
    fn from_octets(octets: &[u8; 16]) -> Self {
        Self::from_be_bytes([octets[0], octets[1], octets[2], octets[3]])
    }

    fn interval(net: &IpNet) -> Option<Interval> {
        let IpNet::V4(net) = net else { return None };
        Some((net.network().to_bits().into(), net.broadcast().to_bits().into()))
    }
}

impl Address for u128 {
    const VERSION: u8 = 6;
    const LAST: u128 = Self::MAX;

    fn from_number(number: u128) -> Self {
        number
    }

    #[inline]
    fn from_octets(octets: &[u8; 16]) -> Self {
        Self::from_be_bytes(*octets)
    }

    fn interval(net: &IpNet) -> Option<Interval> {
        let IpNet::V6(net) = net else { return None };
        Some((net.network().to_bits(), net.broadcast().to_bits()))
    }
}

/// Why no index was built.
#[derive(Debug)]
pub(super) enum Refused {
    /// It would take more than it may.
    TooLarge,
    /// DPDK has not so much memory.
    NoMemory(dpdk_bindings::Error),
}

/// The rules of a list that concern packets of one IP version.
#[derive(Debug)]
pub(super) struct Index<A> {
    /// Their place in the list.
    rules: Vec<u32>,
    addresses: [Option<Dimension<A>>; 2],
    numbers: [Option<Dimension<u32>>; NUMBERS],
    sets: Frozen,
}

impl<A: Address> Index<A> {
    /// Builds the index; `None` where no rule concerns this version.
    pub(super) fn build(
        eal: &Eal,
        settings: &AclSettings,
        most_bytes: usize,
    ) -> Result<Option<Self>, Refused> {
        let concerns = |addresses: &Addresses| {
            addresses.is_any() || addresses.nets().any(|net| A::interval(net).is_some())
        };
        let rules: Vec<u32> = (0..)
            .zip(&settings.rules)
            .filter(|(_, rule)| concerns(&rule.source) && concerns(&rule.destination))
            .map(|(place, _)| place)
            .collect();
        if rules.is_empty() {
            return Ok(None);
        }
        let mut addresses = [Demands::new(rules.len()), Demands::new(rules.len())];
        let mut numbers = std::array::from_fn(|_| Demands::new(rules.len()));
        for (place, rule) in rules.iter().zip(0..) {
            let settings = &settings.rules[*place as usize];
            for (demands, wanted) in
                addresses.iter_mut().zip([&settings.source, &settings.destination])
            {
                ask_addresses::<A>(demands, rule, wanted);
            }
            ask_numbers(&mut numbers, rule, settings);
        }
        let mut sets = Sets::of_rules(rules.len(), most_bytes);
        let addresses = resolve(addresses, &mut sets, A::LAST, A::from_number)?;
        let mut numbers = resolve(numbers, &mut sets, u32::LAST, |number| number as u32)?;
        if addresses.iter().all(Option::is_none) && numbers.iter().all(Option::is_none) {
            // Every rule matches everything; something must say so.
            let mut any = Demands::<()>::new(rules.len());
            (0..rules.len() as u32).for_each(|rule| any.any(rule));
            numbers[0] = Some(any.resolve(&mut sets, u32::LAST, |number| number as u32)?);
        }
        let sets = sets.freeze(eal).map_err(Refused::NoMemory)?;
        Ok(Some(Self { rules, addresses, numbers, sets }))
    }

    /// Writes the places of the rules that decide about these keys, plus one; nothing where none does.
    #[inline]
    pub(super) fn find(&self, keys: &[&AclKey], found: &mut [u32]) {
        let keys = &keys[..keys.len().min(BULK)];
        let mut sets = [[EMPTY; MOST_SETS]; BULK];
        let mut asked = 0;
        for (dimension, of) in self.addresses.iter().zip([source, destination]) {
            let Some(dimension) = dimension else { continue };
            let mut values = [A::from_number(0); BULK];
            values.iter_mut().zip(keys).for_each(|(value, key)| *value = A::from_octets(of(key)));
            write(dimension, &values[..keys.len()], &mut sets, asked);
            asked += 1;
        }
        for (dimension, of) in self.numbers.iter().zip(FIELDS) {
            let Some(dimension) = dimension else { continue };
            let mut values = [0; BULK];
            values.iter_mut().zip(keys).for_each(|(value, key)| *value = of(key));
            write(dimension, &values[..keys.len()], &mut sets, asked);
            asked += 1;
        }
        for (sets, found) in sets[..keys.len()].iter().zip(found) {
            if let Some(rule) = self.sets.first_common(&sets[..asked.min(MOST_SETS)]) {
                *found = self.rules[rule as usize] + 1;
            }
        }
    }

    /// Memory, in octets.
    pub(super) fn bytes(&self) -> usize {
        let addresses = self.addresses.iter().flatten().map(Dimension::bytes);
        let numbers = self.numbers.iter().flatten().map(Dimension::bytes);
        size_of_val(&self.rules[..]) + addresses.chain(numbers).sum::<usize>() + self.sets.bytes()
    }
}

#[inline]
fn write<T: Copy + PartialOrd>(
    dimension: &Dimension<T>,
    values: &[T],
    sets: &mut [[SetId; MOST_SETS]; BULK],
    at: usize,
) {
    let places = sets.iter_mut().map(|sets| &mut sets[at % MOST_SETS]);
    dimension.find(values, places.map(|place| |set| *place = set));
}

fn resolve<K: Eq + std::hash::Hash, T, const N: usize>(
    demands: [Demands<K>; N],
    sets: &mut Sets,
    most: u128,
    value: impl Fn(u128) -> T + Copy,
) -> Result<[Option<Dimension<T>>; N], TooLarge> {
    let mut dimensions = std::array::from_fn(|_| None);
    for (dimension, demands) in dimensions.iter_mut().zip(demands) {
        if !demands.is_trivial() {
            *dimension = Some(demands.resolve(sets, most, value)?);
        }
    }
    Ok(dimensions)
}

/// What names a group of addresses: a set's place in memory, or the prefixes themselves.
#[derive(Eq, Hash, PartialEq)]
enum GroupName<'s> {
    Own(&'s [IpNet]),
    Set(*const IpNet),
}

fn ask_addresses<'s, A: Address>(
    demands: &mut Demands<GroupName<'s>>,
    rule: u32,
    wanted: &'s Addresses,
) {
    if wanted.is_any() {
        demands.any(rule);
    }
    for group in &wanted.groups {
        let name = match group.set {
            Some(_) => GroupName::Set(group.nets.as_ptr()),
            None => GroupName::Own(&group.nets),
        };
        demands.some(rule, name, || group.nets.iter().filter_map(A::interval).collect());
    }
}

/// Asks for the numbers, in the order of [`FIELDS`].
fn ask_numbers(demands: &mut [Demands<Vec<Interval>>; NUMBERS], rule: u32, wanted: &RuleSettings) {
    let [source, destination] = expand::ports_of(wanted);
    let flags = wanted.tcp_flags.map(|flags| {
        let admitted = (0..=u8::MAX).filter(|octet| flags.admits(*octet));
        admitted.map(|octet| octet.into()..=octet.into()).collect()
    });
    let ranges = [
        wanted.protocol.map(|protocol| vec![protocol.into()..=protocol.into()]),
        destination,
        source,
        flags,
        (!wanted.vlans.is_empty()).then(|| wanted.vlans.clone()),
    ];
    for ((demands, ranges), unknown) in demands.iter_mut().zip(ranges).zip(UNKNOWN) {
        let Some(ranges) = ranges else {
            demands.any(rule);
            continue;
        };
        let interval = |range: &std::ops::RangeInclusive<u16>| {
            (u128::from(*range.start()), u128::from(*range.end()))
        };
        let mut intervals: Vec<_> = ranges.iter().map(interval).collect();
        if wanted.action != AclAction::Permit {
            intervals.extend(unknown.map(|unknown| (unknown.into(), unknown.into())));
        }
        demands.some(rule, intervals.clone(), || intervals);
    }
}

impl From<TooLarge> for Refused {
    fn from(_: TooLarge) -> Self {
        Self::TooLarge
    }
}

fn source(key: &AclKey) -> &[u8; 16] {
    &key.source
}

fn destination(key: &AclKey) -> &[u8; 16] {
    &key.destination
}

/// A port, or that it is not known.
#[inline]
fn port(key: &AclKey, port: [u8; 2]) -> u32 {
    let known = key.source_port != [0; 2] || key.destination_port != [0; 2];
    if known { u16::from_be_bytes(port).into() } else { UNKNOWN_PORT }
}

#[inline]
fn flags(key: &AclKey) -> u32 {
    let flags = u16::from_be_bytes(key.tcp_flags);
    if flags & FLAGS_KNOWN != 0 { (flags & 0xff).into() } else { UNKNOWN_FLAGS }
}

/// The fields that are numbers.
const FIELDS: [fn(&AclKey) -> u32; NUMBERS] = [
    |key| key.protocol.into(),
    |key| port(key, key.destination_port),
    |key| port(key, key.source_port),
    flags,
    |key| u16::from_be_bytes(key.vlan).into(),
];
/// What stands for a field of which nothing is known, where that happens.
const UNKNOWN: [Option<u32>; NUMBERS] =
    [None, Some(UNKNOWN_PORT), Some(UNKNOWN_PORT), Some(UNKNOWN_FLAGS), None];
const UNKNOWN_PORT: u32 = 0x1_0000;
const UNKNOWN_FLAGS: u32 = 0x100;
const NUMBERS: usize = 5;
/// Keys asked at once.
pub(super) const BULK: usize = 64;
