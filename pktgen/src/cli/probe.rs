//! What commands share that send single packets.

use std::net::Ipv4Addr;

use serde::Serialize;

use super::output::write_json;
use super::{Failure, Global};
use crate::endpoint::Family;
use crate::engine::Tsc;
use crate::finding::{Finding, align};
use crate::flow::{self, Sizes};
use crate::nat::{Ground, neighbours};
use crate::prefix::Prefix;
use crate::probe::Prober;
use crate::receive::Sut;
use crate::report::{Machine, Verdict};
use crate::setup::{Layout, Traffic};

/// Opens the ports and lets `work` probe with so many inside hosts; both gateways have answered.
pub(super) fn with_prober<T: Send>(
    global: &Global,
    pool: &[Prefix],
    hosts: usize,
    work: impl FnOnce(&mut Prober<'_, Tsc>, &mut Ground) -> T + Send,
) -> Result<T, Failure> {
    let mut specs = global.two_ports()?;
    let lacks = |spec: &crate::port::Spec| {
        spec.gateway(Family::V4).is_none() || spec.address(Family::V4).is_none()
    };
    if specs.iter().any(lacks) {
        let why =
            "a translator is asked through its IPv4 addresses: give ip= and gw= for both ports";
        return Err(Failure::Usage(why.to_owned()));
    }
    let gateways = specs.each_ref().map(|spec| spec.gateway(Family::V4));
    let taken = |address: Ipv4Addr| {
        pool.iter().any(|prefix| prefix.contains(address.into()))
            || gateways.contains(&Some(address.into()))
    };
    let hosts = neighbours(&specs[0].addresses, hosts, taken);
    let remotes = neighbours(&specs[1].addresses, 2, taken);
    for (spec, more) in specs.iter_mut().zip([&hosts, &remotes]) {
        // They answer ARP as if the user had given them.
        let more = more.iter().map(|address| Prefix { address: (*address).into(), len: 32 });
        spec.addresses.extend(more);
    }
    let Some(mut ground) = Ground::new(hosts, remotes) else {
        let why = "two addresses at each port are needed: give ip= twice, or a longer prefix";
        return Err(Failure::Usage(why.to_owned()));
    };
    let seed = global.seed.unwrap_or_else(rand::random);
    let sizes = Sizes::one(64).expect("a size that exists");
    let traffic = Traffic { flows: 2, protocols: vec![flow::Protocol::Udp], sizes };
    let layout = Layout::new(specs, Some(Sut::Nat44), pool.to_vec(), &traffic, seed)?;
    let mut session = global.open(layout)?;
    let found = session.run(
        |_| (),
        |bench| {
            bench.resolve()?;
            let bench = crate::measure::Bench::new(bench.engine, bench.clock);
            Ok::<_, crate::measure::Unresolved>(work(&mut Prober::new(bench, seed), &mut ground))
        },
    )?;
    Ok(found?)
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
