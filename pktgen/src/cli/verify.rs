//! `pktgen verify`: correctness only, at a low rate; any counter of pktgen.md section 4.2 is a failure.

use clap::Args;
use serde::Serialize;

use super::traffic::{Traffic, Way};
use super::{Failure, Global, output};
use crate::engine::{Clock, Stage};
use crate::flow::Sizes;
use crate::measure::{Bench, Learning, Request, StreamResult, Trial};
use crate::rate::Rate;
use crate::receive::Defects;
use crate::screen::{Mode, Screen};
use crate::transmit::Spacing;

#[derive(Args, Debug)]
pub(super) struct Verify {
    #[command(flatten)]
    traffic: Traffic,
    /// Frames per second of each direction
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pps: u32,
    /// Packets of each flow in each direction and case
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    packets: u32,
    /// Each protocol, many sizes, ordinary checksums and extreme ones
    #[arg(long)]
    matrix: bool,
    /// Which way to send
    #[arg(long, value_enum, default_value_t = Way::Both)]
    dir: Way,
}

/// What was sent in one case, and what was wrong with it.
#[derive(Clone, Debug, Serialize)]
struct Case {
    sizes: String,
    edge_checksums: bool,
    sent: u64,
    lost: u64,
    defects: Defects,
    streams: Vec<StreamResult>,
}

/// The record of a verification.
#[derive(Clone, Debug, Serialize)]
struct Record {
    schema: &'static str,
    verdict: &'static str,
    flows: u32,
    seed: u64,
    tx_packets: u64,
    rx_packets: u64,
    lost: u64,
    corrupted: u64,
    mistranslated: u64,
    duplicated: u64,
    reordered: u64,
    defects: Defects,
    learning: Learning,
    cases: Vec<Case>,
}

impl Verify {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let mut traffic = self.traffic.clone();
        if self.matrix {
            traffic.use_all_protocols();
        }
        let cases = self.cases();
        let mut layout = traffic.layout(global)?;
        for (sizes, _) in &cases {
            layout = layout.with_room_for(sizes);
        }
        let mut session = global.open(layout)?;
        if session.absorbs() {
            let why = "null ports send nothing back: there is nothing to verify";
            return Err(Failure::Usage(why.to_owned()));
        }
        let mode = if global.quiet { Mode::Quiet } else { Mode::Lines };
        let mut screen = Screen::new(mode, "");
        let found = session.run(|tick| screen.tick(tick), |bench| self.measure(bench, &cases))?;
        let (learning, cases) = found?;
        let record = Record::new(learning, cases, session.layout.flows(), session.layout.seed);
        output::offenders(global, &session)?;
        output::json(global, &record)?;
        print!("{}", record.table(global.quiet));
        Ok(if record.verdict == "pass" { 0 } else { 1 })
    }

    fn cases(&self) -> Vec<(Sizes, bool)> {
        if !self.matrix {
            return vec![(self.traffic.size.clone(), self.traffic.edge_checksums)];
        }
        let sizes = MATRIX.iter().filter_map(|size| Sizes::one(*size));
        let sizes: Vec<Sizes> = sizes.chain("imix".parse()).collect();
        [false, true].iter().flat_map(|edges| sizes.iter().map(|s| (s.clone(), *edges))).collect()
    }

    fn measure<C: Clock>(
        &self,
        bench: &mut Bench<'_, C>,
        cases: &[(Sizes, bool)],
    ) -> Result<(Learning, Vec<Case>), Failure> {
        bench.window = Some(WINDOW);
        bench.resolve()?;
        let rate = Rate::per_second(self.pps.into());
        let learning = bench.learn(Some(rate));
        let flows = bench.engine.flows.len() as u64;
        let mut done = Vec::new();
        for (sizes, edges) in cases {
            if bench.engine.flows.learned() == 0 {
                break;
            }
            bench.engine.flows.set_sizes(sizes);
            bench.engine.flows.set_edges(*edges);
            let trial = bench.trial(&Request {
                rate: Some(rate),
                spacing: Spacing::Even,
                duration: rate.due_ns(flows * u64::from(self.packets)),
                directions: self.dir.directions(),
                stage: Stage::Measuring,
            });
            done.push(Case::new(sizes, *edges, &trial));
        }
        Ok((learning, done))
    }
}

impl Case {
    fn new(sizes: &Sizes, edge_checksums: bool, trial: &Trial) -> Self {
        Self {
            sizes: sizes.to_string(),
            edge_checksums,
            sent: trial.sum(|way| way.sent),
            // Of what was sent: that the generator was slow is no fault of the path.
            lost: trial.sum(|way| way.sent.saturating_sub(way.received)),
            defects: trial.counters.defects,
            streams: trial.streams.clone(),
        }
    }
}

impl Record {
    fn new(learning: Learning, cases: Vec<Case>, flows: u32, seed: u64) -> Self {
        let mut defects = learning.counters.defects;
        cases.iter().for_each(|case| defects.add(&case.defects));
        let sum = |of: fn(&Case) -> u64| cases.iter().map(of).sum::<u64>();
        let (tx_packets, lost) = (sum(|case| case.sent), sum(|case| case.lost));
        let passed = defects.are_none()
            && lost == 0
            && tx_packets > 0
            && (learning.missing, learning.unestablished) == (0, 0);
        Self {
            schema: "pktgen-verify/1",
            verdict: if passed { "pass" } else { "fail" },
            flows,
            seed,
            tx_packets,
            rx_packets: tx_packets - lost,
            lost,
            corrupted: defects.corrupted(),
            mistranslated: defects.mistranslated(),
            duplicated: defects.dup,
            reordered: defects.reorder,
            defects,
            learning,
            cases,
        }
    }

    /// A line for each case, and one for each counter that is not 0.
    fn table(&self, quiet: bool) -> String {
        let mut lines = Vec::new();
        if !quiet {
            let Learning { missing, unestablished, .. } = self.learning;
            lines.push(format!(
                "learning    {} flows, {missing} never came through, {unestablished} TCP handshakes not completed",
                self.flows
            ));
            for case in &self.cases {
                let edges = if case.edge_checksums { "extreme checksums" } else { "" };
                let defects: u64 = case.defects.counts().iter().sum();
                let (sizes, sent, lost) = (&case.sizes, case.sent, case.lost);
                let line =
                    format!("{sizes:<10}  {sent:>9} sent  {lost:>7} lost  {defects:>7} defects");
                lines.push(format!("{line}  {edges}").trim_end().to_owned());
            }
        }
        for (name, count) in self.defects.named() {
            if count > 0 {
                lines.push(format!("{name:<12}{count}"));
            }
        }
        lines.push(format!("verdict     {}\n", self.verdict));
        lines.join("\n")
    }
}

/// Frames under way at most: fewer than the smallest ring holds.
const WINDOW: u64 = 256;
/// Even and odd, the smallest and the largest that every path carries.
const MATRIX: [usize; 7] = [64, 65, 97, 128, 570, 1517, 1518];
