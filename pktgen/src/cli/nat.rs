//! `pktgen nat`: what a NAT does, and how well.

mod stateful;

use std::time::Duration;

use clap::{Args, Subcommand};

use self::stateful::{Capacity, Cps, Learn, Teardown, Verify};
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
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How many sessions is there room for? (RFC 9693)
    Capacity(Capacity),
    /// How many sessions a second can be established? (RFC 9693)
    Cps(Cps),
    /// Do two inside hosts reach each other by their external endpoints?
    Hairpin(Addresses),
    /// Are ICMP errors translated, with the packets they quote?
    IcmpErrors(Addresses),
    /// Which external endpoints do the flows get? (phase 1 of RFC 9693)
    Learn(Learn),
    /// On what do mapping and filtering depend? (RFC 4787)
    MappingType(MappingType),
    /// Which external ports are chosen, and how many are there?
    Ports(Ports),
    /// How long does it take to forget all sessions? (RFC 9693)
    Teardown(Teardown),
    /// How long does an idle mapping live?
    Timeouts(TimeoutsOf),
    /// Is every packet of many flows translated right, in both directions?
    Verify(Verify),
}

#[derive(Args, Debug)]
struct Addresses {
    /// Prefixes of the translator's external addresses, which no host of ours may have
    #[arg(long, value_name = "PREFIX", value_delimiter = ',')]
    pool: Vec<Prefix>,
}

#[derive(Args, Debug)]
struct MappingType {
    #[command(flatten)]
    addresses: Addresses,
    /// Fail unless mapping is so
    #[arg(long, value_enum)]
    mapping: Option<Behaviour>,
    /// Fail unless filtering is so
    #[arg(long, value_enum)]
    filtering: Option<Behaviour>,
}

#[derive(Args, Debug)]
struct Ports {
    #[command(flatten)]
    addresses: Addresses,
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
    #[command(flatten)]
    addresses: Addresses,
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
        match &self.command {
            Command::Capacity(asked) => asked.run(global),
            Command::Cps(asked) => asked.run(global),
            Command::Learn(asked) => asked.run(global),
            Command::Teardown(asked) => asked.run(global),
            Command::Verify(asked) => asked.run(global),
            Command::Hairpin(addresses) => {
                answer(global, &with_prober(global, &addresses.pool, 2, hairpin::check)?)
            }
            Command::IcmpErrors(addresses) => {
                answer(global, &with_prober(global, &addresses.pool, 2, errors::check)?)
            }
            Command::MappingType(asked) => {
                let expected = Expected { mapping: asked.mapping, filtering: asked.filtering };
                let pool = &asked.addresses.pool;
                let found = with_prober(global, pool, 2, |prober, ground| {
                    mapping::classify(prober, ground, expected)
                })?;
                answer(global, &found)
            }
            Command::Ports(asked) => asked.run(global),
            Command::Timeouts(asked) => asked.run(global),
        }
    }
}

impl Ports {
    fn run(&self, global: &Global) -> Result<u8, Failure> {
        let hosts = usize::from(self.hosts);
        let found = with_prober(global, &self.addresses.pool, hosts.max(2), |prober, ground| {
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
    fn run(&self, global: &Global) -> Result<u8, Failure> {
        let [limit, resolution] =
            [self.limit, self.resolution].map(|duration| duration.as_nanos() as u64);
        let states = if self.state.is_empty() { State::ALL.to_vec() } else { self.state.clone() };
        let found = with_prober(global, &self.addresses.pool, 2, |prober, ground| {
            let one = |state| measure(prober, ground, state, limit, resolution);
            Timeouts { states: states.into_iter().map(one).collect() }
        })?;
        answer(global, &found)
    }
}

/// Nanoseconds between two of many probes: 20,000 a second.
const GAP_NS: u64 = 50_000;
