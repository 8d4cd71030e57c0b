//! `pktgen replay`: recorded traffic, sent again through both ports.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::Args;

use super::probe::{Hosts, answer, with_hosts};
use super::{Failure, Global};
use crate::engine::Tsc;
use crate::prefix::Prefix;
use crate::replay::{Capture, Pace, Player};

#[derive(Args, Debug)]
pub(super) struct Replay {
    /// A pcap or pcapng file of Ethernet frames
    file: PathBuf,
    /// As recorded (1.0), so many times as fast, or as fast as the ports take them (top)
    #[arg(long, default_value = "1.0", value_parser = pace)]
    speed: Pace,
    /// How often to send the file
    #[arg(long = "loop", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    loops: u32,
    /// The path translates: learn each conversation's external endpoint, and send the other side there
    #[arg(long)]
    through_nat: bool,
    /// Prefixes of the translator's external addresses, which no host of ours may have
    #[arg(long, value_name = "PREFIX", value_delimiter = ',')]
    pool: Vec<Prefix>,
}

impl Replay {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let wrong = |why: String| Failure::Usage(format!("{}: {why}", self.file.display()));
        let file = File::open(&self.file).map_err(|error| wrong(error.to_string()))?;
        let capture = Capture::read(file).map_err(|error| wrong(error.to_string()))?;
        let wanted = Player::<Tsc>::hosts_of(&capture).map(|count| count.max(1));
        let found =
            with_hosts(global, &self.pool, wanted, |bench, Hosts { inside, remotes, hops }| {
                let (inside, remotes): (&[Ipv4Addr], &[Ipv4Addr]) = (&inside, &remotes);
                let player = Player::new(bench, &capture, inside, remotes, self.through_nat, hops);
                player.play(self.speed, self.loops)
            })?;
        answer(global, &found)
    }
}

fn pace(text: &str) -> Result<Pace, String> {
    let wrong = || format!("'{text}' is no speed: write e.g. 1.0, 10 or top");
    match text.parse::<f64>() {
        _ if text == "top" => Ok(Pace::Top),
        Ok(times) if times > 0.0 && times.is_finite() => Ok(Pace::Times(times)),
        _ => Err(wrong()),
    }
}
