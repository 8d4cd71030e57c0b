//! `pktgen calibrate`: what the generator itself can do, kept for `--load 80%` and for reports.

use std::time::{Duration, SystemTime};

use clap::Args;
use serde::Serialize;

use super::traffic::Traffic;
use super::{Failure, Global, environment, output};
use crate::calibration::{Calibration, Measured, Store, file};
use crate::latency::Quantiles;
use crate::parse;
use crate::port::SpecError;
use crate::rate::Si;
use crate::report::Machine;
use crate::screen::{Mode, Screen};

#[derive(Args, Debug)]
pub(super) struct Calibrate {
    #[command(flatten)]
    traffic: Traffic,
    /// How long each of ten trials is
    #[arg(long, default_value = "1s", value_parser = parse::duration)]
    time: Duration,
}

/// The record of `--json`.
#[derive(Serialize)]
struct Record<'a> {
    schema: &'static str,
    calibration: &'a Calibration,
    host: Machine,
}

impl Calibrate {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let ring =
            |name: &str| name.parse().map_err(|error: SpecError| Failure::Usage(error.to_string()));
        let specs = match global.ports[..] {
            [] => [ring("ring:in")?, ring("ring:out")?],
            _ => global.two_ports()?,
        };
        let layout = self.traffic.layout_on(global, specs)?;
        let mut session = global.open(layout)?;
        if session.absorbs() {
            let why = "null ports send nothing back: join two ports, or leave -p out";
            return Err(Failure::Usage(why.to_owned()));
        }
        let duration = self.time.as_nanos() as u64;
        let mut screen = Screen::new(if global.quiet { Mode::Quiet } else { Mode::Lines }, "");
        let measured =
            session.run(|tick| screen.tick(tick), |bench| Measured::take(bench, duration))??;
        let host = Machine::read(session.uses_hugepages());
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let calibration = Calibration {
            drivers: session.drivers(),
            size: session.layout.sizes(),
            flows: session.layout.flows().into(),
            max_pps: measured.max_pps,
            ceiling_pps: measured.ceiling_pps,
            cycles_per_packet: measured.cycles_per_packet,
            floor_ns: measured.floor.quantiles(),
            send_error_ns: measured.send_error.quantiles(),
            send_error_histogram: measured.send_error.pairs(),
            disturbed: measured.disturbed,
            cpu: host.cpu.clone(),
            time: since_1970.unwrap_or_default().as_secs(),
        };
        if let Some(file) = file() {
            let mut store = Store::read(&file);
            store.put(calibration.clone());
            store
                .write(&file)
                .map_err(|error| environment(&format!("{}: {error}", file.display())))?;
        }
        print!("{}", table(&calibration));
        let record = Record { schema: "pktgen-calibrate/1", calibration: &calibration, host };
        output::json(global, &record)?;
        Ok(0)
    }
}

fn table(found: &Calibration) -> String {
    let us = |ns: u64| ns as f64 / 1e3;
    let spread = |found: &Quantiles| {
        let Quantiles { min, p50, p99, p999, max, .. } = found;
        let [min, p50, p99, p999, max] = [min, p50, p99, p999, max].map(|ns| us(*ns));
        format!("min {min:.2}  p50 {p50:.2}  p99 {p99:.2}  p99.9 {p999:.2}  max {max:.2} µs")
    };
    let mut text = format!(
        "ports        {}\ntraffic      {} flows, {} octets\n",
        found.drivers.join(", "),
        found.flows,
        found.size
    );
    text += &format!("maximum      {}pps sent and verified, unpaced\n", Si(found.max_pps));
    let cycles = found.cycles_per_packet;
    text += &format!("             {cycles:.0} cycles a frame: sent, received, verified\n");
    let ceiling = Si(found.ceiling_pps);
    text += &format!("ceiling      {ceiling}pps in each direction without loss: 100 % of --load\n");
    text += &format!("floor        {}\n", spread(&found.floor_ns));
    text += &format!("send error   {} at 80 %\n", spread(&found.send_error_ns));
    if found.disturbed {
        text += "disturbed    the kernel took the worker's core away: an idle machine gives better figures\n";
    }
    text
}
