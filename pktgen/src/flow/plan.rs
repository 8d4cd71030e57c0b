//! Which endpoints the flows of a stream have: a pseudorandom enumeration without repetition (RFC 4814).

use std::ops::RangeInclusive;

use crate::endpoint::{Address, Endpoint};
use crate::prefix::Prefix;
use crate::trailer::siphash;

/// What flows are drawn from.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The inside hosts, ascending.
    pub hosts: Vec<Address>,
    /// Their ports, or identifiers of ICMP queries.
    pub ports: RangeInclusive<u16>,
    /// The remote hosts, taken in turn.
    pub remotes: Vec<Address>,
    /// The port of all remote hosts.
    pub remote_port: u16,
}

/// The endpoints of a stream's flows.
#[derive(Clone, Debug)]
pub struct Plan {
    flows: u32,
    pool: Pool,
    seed: u64,
    step: u64,
    inverse: u64,
}

/// Why there are no such flows.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// There are too few addresses.
    #[error("{asked} flows need {asked} pairs of host and port, but there are only {room}")]
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

impl Pool {
    /// As many hosts of a prefix as so many flows want, from its address upwards but not `gateway`, with any port
    /// from 1024, to the echo port of the remotes.
    pub fn for_flows(
        flows: u32,
        prefix: Prefix,
        gateway: Option<Address>,
        remotes: &[Address],
    ) -> Self {
        let wanted = flows.div_ceil(FLOWS_PER_HOST) as usize;
        Self {
            hosts: hosts(prefix, gateway, wanted),
            ports: FIRST_PORT..=u16::MAX,
            remotes: remotes.to_vec(),
            remote_port: REMOTE_PORT,
        }
    }
}

/// Hosts of a prefix, from its address upwards and then from its start, but not `gateway`; ascending.
pub fn hosts(prefix: Prefix, gateway: Option<Address>, wanted: usize) -> Vec<Address> {
    let (first, last) = prefix.hosts();
    let start = prefix.address.number();
    let around = (start..=last.number()).chain(first.number()..start);
    let free = around.map(Address::from_number).filter(|host| Some(*host) != gateway);
    let mut hosts: Vec<Address> = free.take(wanted).collect();
    hosts.sort_unstable();
    hosts
}

impl Plan {
    /// So many flows out of a pool.
    pub fn new(flows: u32, pool: Pool, seed: u64) -> Result<Self, PlanError> {
        if flows == 0 || flows > MAX_FLOWS {
            return Err(PlanError::WrongNumber(flows));
        }
        let room = pool.hosts.len() as u64 * pool.ports.len() as u64;
        if u64::from(flows) > room || pool.remotes.is_empty() {
            return Err(PlanError::TooFewHosts { asked: flows, room });
        }
        let mut step = (siphash(seed, 1) % room) | 1;
        let inverse = loop {
            match inverse(step, room) {
                Some(inverse) => break inverse,
                None => step += 2,
            }
        };
        Ok(Self { flows, pool, seed, step, inverse })
    }

    /// How many flows.
    pub fn flows(&self) -> u32 {
        self.flows
    }

    /// Whether a flow may come from this address.
    pub fn has_host(&self, address: Address) -> bool {
        self.pool.hosts.binary_search(&address).is_ok()
    }

    /// The hosts that the flows come from, in ascending order.
    pub fn hosts(&self) -> &[Address] {
        &self.pool.hosts
    }

    /// The hosts that the flows go to.
    pub fn remotes(&self) -> &[Address] {
        &self.pool.remotes
    }

    /// The index of the flow from this inside endpoint.
    pub fn index_of(&self, inside: Endpoint) -> Option<u32> {
        let host = self.pool.hosts.binary_search(&inside.address).ok()? as u64;
        let port = u64::from(inside.port).checked_sub(u64::from(*self.pool.ports.start()))?;
        let ports = self.pool.ports.len() as u64;
        let place = host * ports + Some(port).filter(|port| *port < ports)?;
        let index = u128::from(place) * u128::from(self.inverse) % u128::from(self.room());
        (index < u128::from(self.flows)).then_some(index as u32)
    }

    /// Inside and remote endpoint of a flow.
    pub fn endpoints(&self, index: u32) -> (Endpoint, Endpoint) {
        let place = (u128::from(index) * u128::from(self.step) % u128::from(self.room())) as u64;
        let ports = self.pool.ports.len() as u64;
        let host = self.pool.hosts[(place / ports) as usize];
        let port = *self.pool.ports.start() + (place % ports) as u16;
        let remote = self.pool.remotes[index as usize % self.pool.remotes.len()];
        (Endpoint::new(host, port), Endpoint::new(remote, self.pool.remote_port))
    }

    /// 64 pseudorandom bits of a flow.
    pub fn pattern(&self, index: u32) -> u64 {
        siphash(self.seed, 2 << 32 | u64::from(index))
    }

    fn room(&self) -> u64 {
        self.pool.hosts.len() as u64 * self.pool.ports.len() as u64
    }
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
pub const MAX_FLOWS: u32 = 4 << 20;
/// So many flows of one host at most: a subscriber, not a second NAT.
const FLOWS_PER_HOST: u32 = 64;
const FIRST_PORT: u16 = 1024;
/// The echo port, as in RFC 2544 appendix C.
const REMOTE_PORT: u16 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::net::IpAddr;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn plan(flows: u32, prefix: &str, gateway: &str, seed: u64) -> Result<Plan, PlanError> {
        let remotes = [address("198.51.100.2")];
        let gateway = Some(address(gateway));
        let pool = Pool::for_flows(flows, prefix.parse().unwrap(), gateway, &remotes);
        Plan::new(flows, pool, seed)
    }

    #[test]
    fn endpoints_are_unique_and_lead_back_to_their_flow() {
        for (prefix, gateway) in [("10.0.0.2/16", "10.0.0.5"), ("2001:db8::2/64", "2001:db8::5")] {
            let plan = plan(10_000, prefix, gateway, 42).unwrap();
            assert_eq!(plan.hosts().len(), 157);
            assert!(!plan.has_host(address(gateway)));
            let mut seen = HashSet::new();
            for index in 0..10_000 {
                let (inside, _) = plan.endpoints(index);
                assert!(plan.has_host(inside.address) && inside.port >= 1024, "{inside}");
                assert_eq!(plan.index_of(inside), Some(index));
                assert!(seen.insert(inside));
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_flows() {
        let endpoints = |seed| {
            let plan = plan(99, "10.0.0.2/24", "10.0.0.1", seed).unwrap();
            (0..99).map(|index| plan.endpoints(index)).collect::<Vec<_>>()
        };
        assert_eq!(endpoints(1), endpoints(1));
        assert_ne!(endpoints(1), endpoints(2));
    }

    #[test]
    fn hosts_wrap_around_to_the_start_of_the_prefix() {
        let found = hosts("10.0.0.4/29".parse().unwrap(), None, 99);
        let expected: Vec<Address> = (1..=6).map(|i| address(&format!("10.0.0.{i}"))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_prefix_too_small_is_refused() {
        let one = |flows| plan(flows, "10.0.0.2/32", "10.0.0.1", 1);
        assert!(one(64_512).is_ok());
        let refused = one(64_513).unwrap_err();
        assert_eq!(refused, PlanError::TooFewHosts { asked: 64_513, room: 64_512 });
        assert_eq!(one(0).unwrap_err(), PlanError::WrongNumber(0));
    }
}
