//! What commands share that send single packets.

use std::net::Ipv4Addr;

use serde::Serialize;

use super::output::write_json;
use super::{Failure, Global};
use crate::endpoint::{Address, Family};
use crate::engine::Tsc;
use crate::finding::{Finding, align};
use crate::flow::{self, Sizes};
use crate::measure::{Bench, Unresolved};
use crate::nat::{Ground, neighbours};
use crate::port::Spec;
use crate::prefix::Prefix;
use crate::probe::Prober;
use crate::receive::Sut;
use crate::report::{Machine, Verdict};
use crate::setup::{Layout, Traffic};

/// Hosts at both ports, besides those that the user gave.
pub(super) struct Hosts {
    pub(super) inside: Vec<Ipv4Addr>,
    pub(super) remotes: Vec<Ipv4Addr>,
    /// By how much TTL shrinks on the way.
    pub(super) hops: u8,
}

/// The addresses that hosts at a port may have.
pub(super) struct Subnet {
    prefix: Prefix,
    gateway: Option<Address>,
    pool: Vec<Prefix>,
}

/// Opens the ports and lets `work` probe with so many inside hosts; both gateways have answered.
pub(super) fn with_prober<T: Send>(
    global: &Global,
    pool: &[Prefix],
    hosts: usize,
    work: impl FnOnce(&mut Prober<'_, Tsc>, &mut Ground) -> T + Send,
) -> Result<T, Failure> {
    let seed = global.seed.unwrap_or_else(rand::random);
    let few = "two addresses at each port are needed: give ip= twice, or a longer prefix";
    let found = with_hosts(global, pool, [hosts, 2], |bench, Hosts { inside, remotes, .. }| {
        let mut ground = Ground::new(inside, remotes)?;
        Some(work(&mut Prober::new(bench, seed), &mut ground))
    })?;
    found.ok_or_else(|| Failure::Usage(few.to_owned()))
}

/// Opens the ports with so many hosts at each, inside and outside.
pub(super) fn with_hosts<T: Send>(
    global: &Global,
    pool: &[Prefix],
    counts: [usize; 2],
    work: impl FnOnce(Bench<'_, Tsc>, Hosts) -> T + Send,
) -> Result<T, Failure> {
    let subnets = own_subnets(global, pool)?;
    let specs = global.two_ports()?;
    let find = |at: usize| {
        neighbours(&specs[at].addresses, counts[at], |address| !subnets[at].may(address))
    };
    let hosts = [find(0), find(1)];
    with_addresses(global, pool, hosts.clone(), |bench| {
        let [inside, remotes] = hosts;
        work(bench, Hosts { inside, remotes, hops: 1 })
    })
}

/// Opens the ports with these hosts at them; both gateways have answered.
pub(super) fn with_addresses<T: Send>(
    global: &Global,
    pool: &[Prefix],
    addresses: [Vec<Ipv4Addr>; 2],
    work: impl FnOnce(Bench<'_, Tsc>) -> T + Send,
) -> Result<T, Failure> {
    let mut specs = global.two_ports()?;
    for (spec, more) in specs.iter_mut().zip(addresses) {
        // They answer ARP as if the user had given them.
        let more = more.into_iter().map(|address| Prefix { address: address.into(), len: 32 });
        spec.addresses.extend(more);
    }
    let seed = global.seed.unwrap_or_else(rand::random);
    let sizes = Sizes::one(64).expect("a size that exists");
    let traffic = Traffic { flows: 2, protocols: vec![flow::Protocol::Udp], sizes };
    let layout = Layout::new(specs, Some(Sut::Nat44), pool.to_vec(), &traffic, seed)?;
    let mut session = global.open(layout.with_room_for(&jumbo()))?;
    let found = session.run(
        |_| (),
        |bench| {
            bench.resolve()?;
            Ok::<_, Unresolved>(work(Bench::new(bench.engine, bench.clock)))
        },
    )?;
    Ok(found?)
}

/// The subnets of both ports.
pub(super) fn own_subnets(global: &Global, pool: &[Prefix]) -> Result<[Subnet; 2], Failure> {
    let specs = global.two_ports()?;
    let subnet = |spec: &Spec| {
        let (prefix, gateway) = (spec.address(Family::V4)?, spec.gateway(Family::V4)?);
        Some(Subnet { prefix, gateway: Some(gateway), pool: pool.to_vec() })
    };
    let [inside, outside] = specs.each_ref().map(subnet);
    let why =
        "the tested system is asked through its IPv4 addresses: give ip= and gw= for both ports";
    inside.zip(outside).map(<[Subnet; 2]>::from).ok_or_else(|| Failure::Usage(why.to_owned()))
}

impl Subnet {
    /// Whether a host here may have this address.
    pub(super) fn has(&self, address: Ipv4Addr) -> bool {
        let (low, high) = self.prefix.hosts();
        (low..=high).contains(&address.into()) && self.may(address)
    }

    /// Some of the addresses.
    pub(super) fn few(&self) -> Vec<Ipv4Addr> {
        neighbours(&[self.prefix], FEW, |address| !self.may(address))
    }

    fn may(&self, address: Ipv4Addr) -> bool {
        self.gateway != Some(address.into())
            && !self.pool.iter().any(|prefix| prefix.contains(address.into()))
    }
}

fn jumbo() -> Sizes {
    Sizes::one(1518).expect("a size that exists")
}

/// The record of a method: its findings, and where they were made.
#[derive(Serialize)]
struct Record<'a, F> {
    schema: String,
    verdict: Verdict,
    reasons: Vec<String>,
    #[serde(flatten)]
    finding: &'a F,
    ports: Vec<String>,
    host: Machine,
}

/// Prints a finding, writes its record, and judges it.
pub(super) fn answer<F: Finding>(global: &Global, finding: &F) -> Result<u8, Failure> {
    let reasons = finding.faults();
    let verdict = match (reasons.is_empty(), finding.is_tg_limited()) {
        (true, false) => Verdict::Pass,
        (true, true) => Verdict::TgLimited,
        (false, _) => Verdict::Fail,
    };
    if let Some(path) = &global.json {
        let ports = global.ports.iter().enumerate().map(|(index, spec)| spec.device(index));
        let record = Record {
            schema: format!("pktgen-{}/1", F::NAME),
            verdict,
            reasons: reasons.clone(),
            finding,
            ports: ports.collect(),
            host: Machine::read(false),
        };
        write_json(&record, path)?;
    }
    if !global.quiet {
        print!("{}", align(&finding.table()));
    }
    let word = match verdict {
        Verdict::Pass => "pass",
        Verdict::TgLimited => "tg-limited",
        Verdict::Fail | Verdict::TxOnly => "fail",
    };
    println!("verdict  {word}");
    reasons.iter().for_each(|reason| println!("         {reason}"));
    Ok(verdict.exit_code())
}

/// Hosts of a subnet that stand for "any".
const FEW: usize = 32;
