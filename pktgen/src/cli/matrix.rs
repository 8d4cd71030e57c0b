//! Options of the commands that measure several sizes and numbers of flows, and the course of these commands.

use std::time::Duration;

use clap::Args;

use super::publish::Begun;
use super::traffic::{Kind, Proto, Traffic, Way};
use super::{Failure, Global, parse};
use crate::calibration;
use crate::flow::{Flows, Sizes};
use crate::methods::Stand;
use crate::prefix::Prefix;
use crate::rate::{Load, Rate};
use crate::record::{Case, Record};
use crate::screen::{Mode, Screen};
use crate::session::Session;
use crate::setup::Layout;
use crate::trials::{Manner, TrialError, Trials};

/// What is measured, and through what.
#[derive(Args, Clone, Debug)]
pub(super) struct Matrix {
    /// Frame sizes, FCS included, each measured: 64,512,imix
    #[arg(long, value_name = "SIZES", value_delimiter = ',')]
    sizes: Vec<Sizes>,
    /// Numbers of flows, each measured: 1,1k,64k,1M [default: 1000]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = parse::flows)]
    flows: Vec<u32>,
    /// Protocols of the flows: udp, tcp, icmp
    #[arg(long, value_enum, value_delimiter = ',', default_value = "udp")]
    proto: Vec<Proto>,
    /// Prefixes in which translated sources must lie
    #[arg(long, value_name = "PREFIX", value_delimiter = ',')]
    pool: Vec<Prefix>,
    /// What the tested system does with addresses [default: nat44 with gateways, nothing without]
    #[arg(long, value_enum)]
    sut: Option<Kind>,
    /// Routers on the way: by how much TTL shrinks [default: 1 with gateways, 0 without]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(..=32))]
    hops: Option<u8>,
    /// Which way to send
    #[arg(long, value_enum, default_value_t = Way::Both)]
    dir: Way,
    /// Highest load of each direction: 2Mpps, 1Gbps [default: the ceiling that `pktgen calibrate` found of such ports, else as
    /// much as the ports take]
    #[arg(long, value_name = "RATE")]
    max_load: Option<Load>,
    /// Measure so often, and report mean and spread
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
}

/// Pauses between trials, and how long the last frames are waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) pause: Duration,
    pub(super) drain: Duration,
}

impl Pace {
    /// Of everything but the RFCs.
    pub(super) const QUICK: Self =
        Self { pause: Duration::from_millis(200), drain: Duration::from_secs(1) };
    /// Of RFC 2544 section 23.
    pub(super) const RFC: Self =
        Self { pause: Duration::from_secs(5), drain: Duration::from_secs(2) };
}

impl Matrix {
    /// Measures every size with every number of flows, as often as asked.
    pub(super) fn campaign(
        &self,
        global: &Global,
        pace: Pace,
        sizes: &str,
        mut measure: impl FnMut(&mut Stand<'_, '_>) -> Result<(), TrialError>,
    ) -> Result<Record, Failure> {
        let mut global = global.clone();
        // One seed, so that the flows of a case are among those of the largest.
        global.seed.get_or_insert_with(rand::random);
        let (sizes, flows) = self.kinds(&global, sizes)?;
        let largest = flows.iter().copied().max().unwrap_or_default();
        let mut layout = self.layout(&global, &sizes[0], largest)?;
        for size in &sizes {
            layout = layout.with_room_for(size);
        }
        let mut session = global.open(layout)?;
        let mut begun = Begun::new(&global, &session, &self.dir.directions());
        let mut screen = Screen::new(global.mode(), &begun.command());
        session.interval = screen.interval();
        let mut cases = Vec::new();
        for flows in &flows {
            for size in &sizes {
                let layout = self.layout(&global, size, *flows)?;
                let record = &mut begun.record;
                let case =
                    self.case(&mut session, &mut screen, record, &layout, pace, &mut measure)?;
                cases.push(case);
            }
        }
        screen.finish();
        Ok(begun.end(cases))
    }

    fn case(
        &self,
        session: &mut Session,
        screen: &mut Screen,
        record: &mut Record,
        layout: &Layout,
        pace: Pace,
        measure: &mut impl FnMut(&mut Stand<'_, '_>) -> Result<(), TrialError>,
    ) -> Result<Case, Failure> {
        let mut case = Case {
            size: layout.sizes(),
            mean_size: layout.mean_size(),
            flows: layout.flows().into(),
            ..Case::default()
        };
        screen.case(&case.name());
        let manner = Manner {
            directions: self.dir.directions(),
            pause: pace.pause,
            drain: pace.drain,
            again: AGAIN,
        };
        let given = self.max_load.and_then(|load| load.rate(layout.mean_size(), None));
        let drivers = session.drivers();
        let known = calibration::stored(&drivers, &case.size);
        let ceiling = known.filter(|known| known.drivers == drivers && known.size == case.size);
        let wanted = given.or(ceiling.map(|known| Rate::per_second(known.ceiling_pps)));
        let mut trials = Trials::new(session, screen, manner);
        let flows = Flows::new(layout.streams.clone());
        let max_load = trials.prepare(flows, wanted.map(Rate::frames_per_second))?;
        record.setup.max_load_pps = record.setup.max_load_pps.max(max_load);
        for repetition in 1..=self.repeat {
            let (trials, case) = (&mut trials, &mut case);
            let warnings = &mut record.warnings;
            measure(&mut Stand { trials, case, warnings, max_load, repetition })?;
        }
        case.trials = trials.records;
        Ok(case)
    }

    /// Sizes and numbers of flows; with a profile, its own.
    fn kinds(&self, global: &Global, sizes: &str) -> Result<(Vec<Sizes>, Vec<u32>), Failure> {
        let given = |flows: &[u32]| if flows.is_empty() { vec![1000] } else { flows.to_vec() };
        match (&global.config, self.sizes.is_empty(), self.flows.is_empty()) {
            (Some(_), true, true) => Ok((parse::sizes("64"), vec![1])),
            (Some(_), ..) => {
                let why = "the profile says which sizes and flows there are: leave --sizes and --flows out";
                Err(Failure::Usage(why.to_owned()))
            }
            (None, true, _) => Ok((parse::sizes(sizes), given(&self.flows))),
            (None, false, _) => Ok((self.sizes.clone(), given(&self.flows))),
        }
    }

    fn layout(&self, global: &Global, size: &Sizes, flows: u32) -> Result<Layout, Failure> {
        let (proto, pool, sut) = (self.proto.clone(), self.pool.clone(), self.sut);
        Traffic { size: size.clone(), flows, proto, pool, sut, hops: None, edge_checksums: false }
            .layout(global)
    }
}

impl Global {
    /// How much a person sees meanwhile.
    pub(super) fn mode(&self) -> Mode {
        match (self.quiet, self.live) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Live,
            (false, false) => Mode::Lines,
        }
    }
}

/// The exit status for a record: 1 for a defect or a rate of 0, 4 where the generator was a limit.
pub(super) fn exit_code(record: &Record) -> u8 {
    let findings = || record.cases.iter().flat_map(|case| &case.findings);
    let trials = record.cases.iter().flat_map(|case| &case.trials);
    let wrong = |name: &str| !matches!(name, "foreign" | "other_run" | "late");
    let broken =
        trials.flat_map(|trial| &trial.defects).any(|(name, count)| *count > 0 && wrong(name));
    let nothing =
        findings().any(|found| found.unit == crate::plot::Unit::Pps && found.spread.mean == 0.0);
    let bounds = record.cases.iter().flat_map(|case| case.bounds.iter().flatten());
    let nothing = nothing || bounds.into_iter().any(|bounds| bounds.lower.is_none());
    match (broken || nothing, findings().any(|found| found.at_least)) {
        (true, _) => 1,
        (false, true) => 4,
        (false, false) => 0,
    }
}

/// How often a trial is made again that lost frames while it was disturbed.
const AGAIN: u32 = 2;
