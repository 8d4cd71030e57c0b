//! What the generator itself can do, measured with its ports joined, kept in the user's cache and told in every report.

use std::path::{Path, PathBuf};

use dpdk_bindings::cpu;
use serde::{Deserialize, Serialize};

use crate::engine::{Clock, Stage};
use crate::flow::Direction;
use crate::latency::{Latency, Quantiles};
use crate::measure::{Bench, Drain, Request, Trial, Unresolved};
use crate::rate::Rate;
use crate::transmit::Spacing;

/// Limits and errors of the generator on one machine, with one kind of ports, for one size.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Calibration {
    /// Drivers of the ports, inside first.
    pub drivers: Vec<String>,
    /// Frame sizes as written.
    pub size: String,
    /// Flows.
    pub flows: u64,
    /// Frames per second sent and verified without a schedule, both directions together.
    pub max_pps: f64,
    /// The highest load of each direction that was sent in time and lost nothing: what 100 % means.
    pub ceiling_pps: f64,
    /// Cycles of the worker for a frame sent, received and verified; time taken from it does not count.
    pub cycles_per_packet: f64,
    /// Latency of the joined ports at a thousand frames a second: the floor, never subtracted.
    pub floor_ns: Quantiles,
    /// How long after they were due frames left, at 80 % of the ceiling.
    pub send_error_ns: Quantiles,
    /// Pairs of error and count, for every value that occurred.
    pub send_error_histogram: Vec<(u64, u64)>,
    /// Whether the kernel took the worker's core away more than ten times a second meanwhile.
    pub disturbed: bool,
    /// Processor model.
    pub cpu: String,
    /// Seconds since 1970.
    pub time: u64,
}

/// Where it is kept: one for each kind of ports and size.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Store {
    /// All of this user and machine.
    pub calibrations: Vec<Calibration>,
}

/// The measured part, without its circumstances.
#[derive(Clone, Debug)]
pub struct Measured {
    /// See [`Calibration`].
    pub max_pps: f64,
    /// See [`Calibration`].
    pub ceiling_pps: f64,
    /// See [`Calibration`].
    pub cycles_per_packet: f64,
    /// See [`Calibration`].
    pub floor: Latency,
    /// See [`Calibration`].
    pub send_error: Latency,
    /// See [`Calibration`].
    pub disturbed: bool,
}

impl Measured {
    /// Measures on ports that give back everything, with trials of `duration` nanoseconds.
    pub fn take<C: Clock>(bench: &mut Bench<'_, C>, duration: u64) -> Result<Self, Unresolved> {
        bench.resolve()?;
        bench.learn(None);
        bench.drain = Drain { least: duration / 100, quiet: duration / 200 };
        let used = cpu::thread_cpu_time();
        let top = trial(bench, None, duration);
        let used = cpu::thread_cpu_time() - used;
        let frames = top.sum(|way| way.sent).max(1) as f64;
        let seconds = duration as f64 / 1e9;
        let (mut low, mut high) = (0.0, frames / seconds / 2.0);
        let mut disturbed = top.disturbed;
        for _ in 0..STEPS {
            let middle = (low + high) / 2.0;
            let found = trial(bench, Some(Rate::per_second(middle)), duration);
            disturbed |= found.disturbed;
            let whole = found.sum(|way| way.lost + way.tx_short) == 0;
            *if whole { &mut low } else { &mut high } = middle;
        }
        let paced = trial(bench, Some(Rate::per_second((low * 0.8).max(FLOOR_PPS))), duration);
        let floor = trial(bench, Some(Rate::per_second(FLOOR_PPS)), duration);
        Ok(Self {
            max_pps: frames / seconds,
            ceiling_pps: low,
            cycles_per_packet: used.as_secs_f64() * cpu::tsc_hz() as f64 / frames,
            floor: floor.latency,
            send_error: paced.send_error,
            disturbed,
        })
    }
}

impl Store {
    /// What is kept; nothing where nothing was, or nothing that can be read.
    pub fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Puts one in the place of the one of the same ports and size.
    pub fn put(&mut self, new: Calibration) {
        self.calibrations.retain(|old| (&old.drivers, &old.size) != (&new.drivers, &new.size));
        self.calibrations.push(new);
    }

    /// Writes all.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(file, serde_json::to_string_pretty(self)?)?)
    }

    /// The one of these drivers and this size; else of rings and this size; else the latest.
    pub fn find(&self, drivers: &[String], size: &str) -> Option<&Calibration> {
        let of_size = || self.calibrations.iter().filter(|one| one.size == size);
        let same = of_size().find(|one| one.drivers == drivers);
        let ring = || of_size().find(|one| one.drivers.iter().all(|driver| driver == "net_ring"));
        same.or_else(ring).or(self.calibrations.last())
    }
}

/// The file of the calling user: `$XDG_CACHE_HOME/pktgen/calibration.json`, or below `~/.cache`.
pub fn file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(cache.join("pktgen").join("calibration.json"))
}

/// What was kept of such ports and such sizes, if anything was.
pub fn stored(drivers: &[String], size: &str) -> Option<Calibration> {
    Store::read(&file()?).find(drivers, size).cloned()
}

fn trial<C: Clock>(bench: &mut Bench<'_, C>, rate: Option<Rate>, duration: u64) -> Trial {
    bench.trial(&Request {
        rate,
        spacing: Spacing::Even,
        duration,
        directions: Direction::BOTH.to_vec(),
        stage: Stage::Measuring,
    })
}

/// Halvings between nothing and the unpaced rate: to 1 % of it.
const STEPS: u32 = 7;
const FLOOR_PPS: f64 = 1000.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration(driver: &str, size: &str, ceiling_pps: f64) -> Calibration {
        Calibration {
            drivers: vec![driver.to_owned(); 2],
            size: size.to_owned(),
            flows: 1,
            max_pps: 1.0,
            ceiling_pps,
            cycles_per_packet: 1.0,
            floor_ns: Quantiles::default(),
            send_error_ns: Quantiles::default(),
            send_error_histogram: vec![(1, 2)],
            disturbed: false,
            cpu: "any".to_owned(),
            time: 0,
        }
    }

    #[test]
    fn the_newest_of_each_kind_is_kept_and_the_nearest_kind_is_found() {
        let mut store = Store::default();
        assert!(store.find(&[], "64").is_none());
        store.put(calibration("net_memif", "64", 1.0));
        store.put(calibration("net_ring", "64", 2.0));
        store.put(calibration("net_ring", "imix", 3.0));
        store.put(calibration("net_memif", "64", 4.0));
        let file =
            std::env::temp_dir().join(format!("pktgen-{}", std::process::id())).join("c.json");
        store.write(&file).unwrap();
        let store = Store::read(&file);
        std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
        let ceiling = |driver: &str, size| {
            store.find(&[driver.to_owned(), driver.to_owned()], size).map(|one| one.ceiling_pps)
        };
        assert_eq!(store.calibrations.len(), 3);
        assert_eq!(ceiling("net_memif", "64"), Some(4.0));
        assert_eq!(ceiling("net_tap", "64"), Some(2.0));
        assert_eq!(ceiling("net_memif", "imix"), Some(3.0));
        assert_eq!(ceiling("net_tap", "1518"), Some(4.0), "the latest");
    }
}
