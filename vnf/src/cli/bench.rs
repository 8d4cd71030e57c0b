//! `vnf bench`: measures one worker on `net_null` ports, and prints the figures.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::WrongConfig;
use crate::bench::{self, Options, Order};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Configuration file; without one: NAT between two ports
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Established flows
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    flows: u32,
    /// Octets of a frame on the wire, checksum included
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(64..=1518))]
    size: u16,
    /// Seconds to measure established flows
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = seconds)]
    duration: f64,
    /// Send so many packets instead and open every flow twice: the same work in every run, for counting instructions
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    packets: Option<u64>,
    /// In which order the packets of the flows come
    #[arg(long, value_enum, default_value_t = Order::Random)]
    order: Order,
    /// Packets in a hundred that open a flow
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=50))]
    new_flows: u8,
    /// Rules of the ACL, where no configuration file is given
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    rules: u32,
    /// IPv4 routes, where no configuration file is given; from 10,000 on with the lengths of the Internet's, and a quarter as
    /// many for IPv6
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=2_000_000))]
    routes: u32,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let Arguments { flows, size, packets, order, new_flows, rules, routes, json, .. } = arguments;
    let config = arguments.config.map(|path| crate::config::load(&path)).transpose();
    let config = config.map_err(|errors| WrongConfig(errors.to_string()))?;
    let duration = Duration::from_secs_f64(arguments.duration);
    let report = bench::run(&Options {
        config,
        flows,
        size,
        duration,
        packets,
        order,
        new_flows,
        rules,
        routes,
    })?;
    if json {
        serde_json::to_writer(&mut *out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(())
}

fn seconds(text: &str) -> Result<f64, String> {
    let wanted = "expected seconds, from 0.1 to 86400";
    let seconds: f64 = text.parse().map_err(|_| wanted.to_owned())?;
    if (0.1..=86_400.0).contains(&seconds) { Ok(seconds) } else { Err(wanted.to_owned()) }
}
