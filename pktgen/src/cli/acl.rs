//! `pktgen acl`: whether packet filters decide and count as their rules say.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::Args;

use super::probe::{answer, own_subnets, with_addresses};
use super::{Failure, Global};
use crate::acl::{Rules, check, generate};
use crate::control::{Action, HookError};
use crate::prefix::Prefix;
use crate::probe::{Place, Prober};

#[derive(Args, Debug)]
pub(super) struct Acl {
    /// The rules as TOML: default = "deny", then `[[rule]]` with action, and where wanted from ("in" or "out"), protocol,
    /// source, destination, source_port, destination_port; `[lists]` in = NAME, out = NAME where counters are checked by the
    /// stats hook, e.g. stats='vnf show acl --json'
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
    /// Probes for each rule, for what it matches and for what lies just beyond
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    probes: u16,
    /// Prefixes of external addresses of the tested system, which no host of ours may have
    #[arg(long, value_name = "PREFIX", value_delimiter = ',')]
    pool: Vec<Prefix>,
}

impl Acl {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let wrong = |why: String| Failure::Usage(format!("{}: {why}", self.rules.display()));
        let text =
            std::fs::read_to_string(&self.rules).map_err(|error| wrong(error.to_string()))?;
        let rules = Rules::read(&text).map_err(wrong)?;
        let hooks = global.hooks()?;
        if rules.lists.inside.is_some() || rules.lists.outside.is_some() {
            hooks.need(Action::Stats)?;
        }
        let subnets = own_subnets(global, &self.pool)?;
        let hosts = subnets.each_ref().map(|subnet| subnet.few());
        let may = |place: Place, address: Ipv4Addr| subnets[place as usize].has(address);
        let seed = global.seed.unwrap_or(0);
        let probes = generate(&rules, usize::from(self.probes), seed, [&hosts[0], &hosts[1]], may);
        let mut addresses: [HashSet<Ipv4Addr>; 2] = Default::default();
        for probe in &probes {
            addresses[probe.from as usize].insert(*probe.source.ip());
            addresses[probe.from.other() as usize].insert(*probe.destination.ip());
        }
        let addresses = addresses.map(|set| set.into_iter().collect());
        let counters = || -> Result<_, HookError> {
            if !hooks.have(Action::Stats) {
                return Ok(None);
            }
            let (text, _) = hooks.run(Action::Stats)?;
            Ok(serde_json::from_str(&text).ok())
        };
        let found = with_addresses(global, &self.pool, addresses, |bench| {
            let mut prober = Prober::new(bench, seed);
            check(&mut prober, &rules, &probes, counters)
        })?;
        answer(global, &found?)
    }
}
