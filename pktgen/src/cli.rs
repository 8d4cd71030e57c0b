//! The command line (pktgen.md section 4.4), as far as its features exist.

mod run;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::flow::Direction;
use crate::port::Spec;
use crate::prefix::Prefix;
use crate::rate::Load;
use crate::receive::Sut;

/// Traffic generator and measuring instrument that understands NAT.
#[derive(Debug, Parser)]
#[command(name = "pktgen", version)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
struct Global {
    /// A port, given twice: first inside, then outside. tap:name=tg0 | memif:socket=PATH,role=client,id=0 |
    /// af_packet:iface=veth0 | ring:NAME | null | pci:ADDRESS, or a DPDK device such as net_tap0,iface=x; each
    /// with ,ip=10.0.0.2/16 ,gw=10.0.0.1 ,mac=02::1
    #[arg(short = 'p', long = "port", value_name = "SPEC", global = true)]
    ports: Vec<Spec>,
    /// Core of the worker [default: the last one]
    #[arg(long, value_name = "N", global = true)]
    core: Option<usize>,
    /// Ordinary pages, with PCI devices too (virtual devices always use them)
    #[arg(long, global = true)]
    no_huge: bool,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE", global = true)]
    json: Option<PathBuf>,
    /// Print the verdict only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Makes flows, patterns and keys; the same seed gives the same packets [default: random]
    #[arg(long, value_name = "N", global = true)]
    seed: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send flows at a rate, verify every packet, measure loss and latency
    Run(Run),
}

#[derive(Args, Debug)]
struct Run {
    /// Rate of each direction: 100kpps, 1.5Mpps, 1Gbps (L2, FCS included) or max
    #[arg(long, default_value = "10kpps")]
    load: Load,
    /// Octets of a frame, FCS included: 64 to 9216
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(64..=9216))]
    size: u16,
    /// Number of flows
    #[arg(long, default_value_t = 1000)]
    flows: u32,
    /// Protocol of the flows
    #[arg(long, value_enum, default_value_t = Protocol::Udp)]
    proto: Protocol,
    /// How long to send: 10s, 500ms, 1m30s
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    time: Duration,
    /// Which way to send
    #[arg(long, value_enum, default_value_t = Way::Both)]
    dir: Way,
    /// Prefixes in which translated sources must lie
    #[arg(long, value_name = "PREFIX", value_delimiter = ',')]
    pool: Vec<Prefix>,
    /// What the tested system does with addresses [default: nat44 with gateways, nothing without]
    #[arg(long, value_enum)]
    sut: Option<Kind>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Protocol {
    Udp,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Way {
    Both,
    In2out,
    Out2in,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Nat44,
    Router,
}

impl Cli {
    /// Does what was asked; the exit status is that of pktgen.md section 4.4.
    pub fn run(self) -> u8 {
        let Command::Run(arguments) = &self.command;
        match arguments.run(&self.global) {
            Ok(code) => code,
            Err(failure) => {
                eprintln!("pktgen: {failure}");
                failure.code()
            }
        }
    }
}

impl Way {
    fn directions(self) -> Vec<Direction> {
        match self {
            Self::Both => Direction::BOTH.to_vec(),
            Self::In2out => vec![Direction::Outward],
            Self::Out2in => vec![Direction::Inward],
        }
    }
}

impl From<Kind> for Sut {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Nat44 => Self::Nat44,
            Kind::Router => Self::Router,
        }
    }
}

/// Numbers with units `h`, `m`, `s` or `ms`, one after the other.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no duration: write e.g. 10s, 500ms or 1m30s");
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let ms: u64 = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "ms" => 1,
            "s" => 1000,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        total += Duration::from_millis(number.checked_mul(ms).ok_or_else(wrong)?);
        rest = tail;
    }
    if total.is_zero() || total > LONGEST { Err(wrong()) } else { Ok(total) }
}

/// A year: nanoseconds stay far from the end of 64 bits.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("pktgen").chain(arguments.split_whitespace()))
    }

    #[test]
    fn the_command_line_of_the_contract_is_understood() {
        let text = "run -p tap:name=a -p null --load 1Gbps --size 570 --flows 10000 --proto udp --time 10s --dir both \
             --json out.json -q --seed 7 --core 1 --no-huge";
        let cli = parse(text).unwrap();
        assert_eq!((cli.global.ports.len(), cli.global.seed), (2, Some(7)));
        let Command::Run(run) = cli.command;
        assert_eq!((run.size, run.flows, run.time), (570, 10_000, Duration::from_secs(10)));
        assert_eq!(run.dir.directions(), Direction::BOTH);
        assert!(
            parse("-p null -p null --core 1 run --pool 203.0.113.0/28,198.51.100.10 --sut router")
                .is_ok()
        );
    }

    #[test]
    fn what_does_not_exist_yet_is_refused() {
        for text in [
            "run --size imix",
            "run --size 63",
            "run --load 80%",
            "run --load poisson:50kpps",
            "run --proto tcp",
            "run --ramp 2s",
            "run --csv x",
            "run --sut nat64",
            "run -p vhost:x",
            "verify",
            "",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{text}: {error}");
        }
    }

    #[test]
    fn durations_are_read() {
        for (text, ms) in [("10s", 10_000), ("500ms", 500), ("1m30s", 90_000), ("2h", 7_200_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in
            ["", "10", "s", "0s", "1x", "-1s", "99999999999999999999s", "18446744073709551s"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
