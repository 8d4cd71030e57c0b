//! Which endpoints the flows have: a pseudorandom enumeration without repetition (RFC 4814).

use std::net::{Ipv4Addr, SocketAddrV4};

use super::Flow;
use crate::trailer::siphash;

/// The hosts and ports that flows are drawn from.
#[derive(Clone, Debug)]
pub struct Plan {
    flows: u32,
    hosts: Vec<u32>, // ascending
    remotes: Vec<u32>,
    seed: u64,
    step: u64,
    inverse: u64,
}

/// Why there are no such flows.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The prefix has too few addresses.
    #[error(
        "{asked} flows need {asked} host and port pairs, but the prefix of the first port has {room}"
    )]
    TooFewHosts {
        /// Flows asked for.
        asked: u32,
        /// Pairs there are.
        room: u64,
    },
    /// The number of flows is 0 or above 4 million.
    #[error("{0} flows: between 1 and {MAX_FLOWS} are possible")]
    WrongNumber(u32),
}

impl Plan {
    /// Flows from hosts of `prefix`, from `first` upwards but not `gateway`, to the remotes in turn.
    pub fn new(
        flows: u32,
        first: Ipv4Addr,
        prefix: u8,
        gateway: Option<Ipv4Addr>,
        remotes: &[Ipv4Addr],
        seed: u64,
    ) -> Result<Self, PlanError> {
        if flows == 0 || flows > MAX_FLOWS {
            return Err(PlanError::WrongNumber(flows));
        }
        let wanted = flows.div_ceil(FLOWS_PER_HOST) as usize;
        let usable = usable(first, prefix);
        let gateway = gateway.map(Ipv4Addr::to_bits);
        let from_first = (first.to_bits()..=*usable.end()).chain(*usable.start()..first.to_bits());
        let free = from_first.filter(|host| Some(*host) != gateway);
        let mut hosts: Vec<u32> = free.take(wanted).collect();
        hosts.sort_unstable();
        let room = hosts.len() as u64 * PORTS;
        if u64::from(flows) > room {
            return Err(PlanError::TooFewHosts { asked: flows, room });
        }
        let mut step = (siphash(seed, 1) % room) | 1;
        let inverse = loop {
            match inverse(step, room) {
                Some(inverse) => break inverse,
                None => step += 2,
            }
        };
        let remotes = remotes.iter().map(|remote| remote.to_bits()).collect();
        Ok(Self { flows, hosts, remotes, seed, step, inverse })
    }

    /// How many flows.
    pub fn flows(&self) -> u32 {
        self.flows
    }

    /// Whether a flow may come from this address.
    pub fn has_host(&self, address: Ipv4Addr) -> bool {
        self.hosts.binary_search(&address.to_bits()).is_ok()
    }

    /// The hosts that the flows come from, in ascending order.
    pub fn addresses(&self) -> Vec<Ipv4Addr> {
        self.hosts.iter().map(|host| Ipv4Addr::from(*host)).collect()
    }

    /// How many hosts the flows come from.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// The index of the flow from this inside endpoint.
    pub fn index_of(&self, inside: SocketAddrV4) -> Option<u32> {
        let host = self.hosts.binary_search(&inside.ip().to_bits()).ok()? as u64;
        let place = host * PORTS + u64::from(inside.port()).checked_sub(FIRST_PORT)?;
        let index = u128::from(place) * u128::from(self.inverse) % u128::from(self.room());
        (index < u128::from(self.flows)).then_some(index as u32)
    }

    /// The record of a flow, with its checksums still to be filled in.
    pub(super) fn record(&self, index: u32) -> Flow {
        let place = (u128::from(index) * u128::from(self.step) % u128::from(self.room())) as u64;
        let pattern = siphash(self.seed, 2 << 32 | u64::from(index));
        Flow {
            pattern,
            inside_ip: self.hosts[(place / PORTS) as usize],
            outside_ip: self.remotes[index as usize % self.remotes.len()],
            inside_port: (FIRST_PORT + place % PORTS) as u16,
            outside_port: REMOTE_PORT,
            identification: (pattern >> 48) as u16,
            ..Flow::default()
        }
    }

    fn room(&self) -> u64 {
        self.hosts.len() as u64 * PORTS
    }
}

fn usable(address: Ipv4Addr, prefix: u8) -> std::ops::RangeInclusive<u32> {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    let (first, last) = (address.to_bits() & mask, address.to_bits() | !mask);
    // RFC 3021: a /31 has no network and no broadcast address.
    if prefix >= 31 { first..=last } else { first + 1..=last - 1 }
}

/// The inverse of `a` modulo `m`, if there is one (extended Euclid).
fn inverse(a: u64, m: u64) -> Option<u64> {
    let (mut old, mut new) = ((i128::from(a), 1_i128), (i128::from(m), 0_i128));
    while new.0 != 0 {
        let quotient = old.0 / new.0;
        (old, new) = (new, (old.0 - quotient * new.0, old.1 - quotient * new.1));
    }
    (old.0 == 1).then(|| old.1.rem_euclid(i128::from(m)) as u64)
}

/// As many as the flow table may hold.
pub(crate) const MAX_FLOWS: u32 = 4 << 20;
/// So many flows of one host at most: a subscriber, not a second NAT.
const FLOWS_PER_HOST: u32 = 64;
const FIRST_PORT: u64 = 1024;
const PORTS: u64 = 65_536 - FIRST_PORT;
/// The echo port, as in RFC 2544 appendix C.
const REMOTE_PORT: u16 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const REMOTE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

    #[test]
    fn endpoints_are_unique_and_lead_back_to_their_flow() {
        let first = Ipv4Addr::new(10, 0, 0, 2);
        let gateway = Ipv4Addr::new(10, 0, 0, 5);
        let plan = Plan::new(10_000, first, 16, Some(gateway), &[REMOTE], 42).unwrap();
        assert_eq!(plan.hosts(), 157);
        assert!(plan.has_host(first) && !plan.has_host(gateway));
        let mut seen = HashSet::new();
        for index in 0..10_000 {
            let inside = plan.record(index).inside();
            assert!(plan.has_host(*inside.ip()) && inside.port() >= 1024, "{inside}");
            assert_eq!(plan.index_of(inside), Some(index));
            assert!(seen.insert(inside));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_flows() {
        let plan =
            |seed| Plan::new(99, Ipv4Addr::new(10, 0, 0, 2), 24, None, &[REMOTE], seed).unwrap();
        let endpoints = |plan: Plan| (0..99).map(|i| plan.record(i).inside()).collect::<Vec<_>>();
        assert_eq!(endpoints(plan(1)), endpoints(plan(1)));
        assert_ne!(endpoints(plan(1)), endpoints(plan(2)));
    }

    #[test]
    fn hosts_wrap_around_to_the_start_of_the_prefix() {
        let plan = Plan::new(64 * 6, Ipv4Addr::new(10, 0, 0, 4), 29, None, &[REMOTE], 1).unwrap();
        let hosts: Vec<_> =
            (0..=7).filter(|i| plan.has_host(Ipv4Addr::new(10, 0, 0, *i))).collect();
        assert_eq!(hosts, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_prefix_too_small_is_refused() {
        let one = |flows| Plan::new(flows, Ipv4Addr::new(10, 0, 0, 2), 32, None, &[REMOTE], 1);
        assert!(one(64_512).is_ok());
        let refused = one(64_513).unwrap_err();
        assert_eq!(refused, PlanError::TooFewHosts { asked: 64_513, room: 64_512 });
        assert_eq!(one(0).unwrap_err(), PlanError::WrongNumber(0));
    }
}
