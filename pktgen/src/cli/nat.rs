//! `pktgen nat`: what a NAT does, and how well.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::probe::{answer, with_prober};
use super::{Failure, Global, parse};
use crate::nat::mapping::{Behaviour, Expected};
use crate::nat::ports::Question;
use crate::nat::timeouts::{State, Timeouts, measure};
use crate::nat::{errors, hairpin, mapping, ports};
use crate::prefix::Prefix;
use crate::probe::Protocol;

#[derive(Args, Debug)]
pub(super) struct Nat {
    /// Prefixes of the translator's own external addresses, which no host of ours may have
    #[arg(long, value_name = "PREFIX", value_delimiter = ',', global = true)]
    pub(super) pool: Vec<Prefix>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Do two inside hosts reach each other by their external endpoints?
    Hairpin,
    /// Are ICMP errors translated, with the packets they quote?
    IcmpErrors,
    /// On what do mapping and filtering depend? (RFC 4787)
    MappingType(MappingType),
    /// Which external ports are chosen, and how many are there?
    Ports(Ports),
    /// How long does an idle mapping live?
    Timeouts(TimeoutsOf),
}

#[derive(Args, Debug)]
struct MappingType {
    /// Fail unless mapping is so
    #[arg(long, value_enum)]
    mapping: Option<Behaviour>,
    /// Fail unless filtering is so
    #[arg(long, value_enum)]
    filtering: Option<Behaviour>,
}

#[derive(Args, Debug)]
struct Ports {
    /// Protocol of the flows
    #[arg(long, value_enum, default_value_t = Protocol::Udp)]
    proto: Protocol,
    /// Flows to open, 64512 a host at most
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    flows: u32,
    /// Hosts to open them from
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    hosts: u16,
}

#[derive(Args, Debug)]
struct TimeoutsOf {
    /// States to ask about [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    state: Vec<State>,
    /// Longest time-out looked for
    #[arg(long, default_value = "10m", value_parser = parse::duration)]
    limit: Duration,
    /// How exactly
    #[arg(long, default_value = "100ms", value_parser = parse::duration)]
    resolution: Duration,
}

impl Nat {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let pool = &self.pool;
        match &self.command {
            Command::Hairpin => answer(global, &with_prober(global, pool, 2, hairpin::check)?),
            Command::IcmpErrors => answer(global, &with_prober(global, pool, 2, errors::check)?),
            Command::MappingType(asked) => {
                let expected = Expected { mapping: asked.mapping, filtering: asked.filtering };
                let found = with_prober(global, pool, 2, |prober, ground| {
                    mapping::classify(prober, ground, expected)
                })?;
                answer(global, &found)
            }
            Command::Ports(asked) => asked.run(global, pool),
            Command::Timeouts(asked) => asked.run(global, pool),
        }
    }
}

impl Ports {
    fn run(&self, global: &Global, pool: &[Prefix]) -> Result<u8, Failure> {
        let hosts = usize::from(self.hosts);
        let found = with_prober(global, pool, hosts.max(2), |prober, ground| {
            let question = Question {
                protocol: self.proto,
                flows: self.flows,
                hosts,
                seed: global.seed.unwrap_or_else(rand::random),
                gap_ns: GAP_NS,
            };
            ports::survey(prober, ground, question)
        })?;
        answer(global, &found)
    }
}

impl TimeoutsOf {
    fn run(&self, global: &Global, pool: &[Prefix]) -> Result<u8, Failure> {
        let [limit, resolution] =
            [self.limit, self.resolution].map(|duration| duration.as_nanos() as u64);
        let states = if self.state.is_empty() { State::ALL.to_vec() } else { self.state.clone() };
        let found = with_prober(global, pool, 2, |prober, ground| {
            let one = |state| measure(prober, ground, state, limit, resolution);
            Timeouts { states: states.into_iter().map(one).collect() }
        })?;
        answer(global, &found)
    }
}

/// Nanoseconds between two of many probes: 20,000 a second.
const GAP_NS: u64 = 50_000;
