//! `pktgen rfc2544`: the tests of RFC 2544 section 26; and `pktgen rfc8219`, which builds on them.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::matrix::{Matrix, Pace, exit_code};
use super::publish::publish;
use super::{Failure, Global, parse};
use crate::methods::Stand;
use crate::methods::rfc2544::Plan;
use crate::rate::{Load, Rate};
use crate::trials::TrialError;

#[derive(Args, Debug)]
pub(super) struct Rfc2544 {
    /// Which test
    #[arg(value_enum)]
    test: Test,
    #[command(flatten)]
    trials: TrialOptions,
    /// Repeat a trial with loss so often before it counts (ETSI GS NFV-TST 009)
    #[arg(long, value_name = "N", default_value_t = 0)]
    verify: u32,
    /// Command that resets the tested system and brings it up again, for reset: 'systemctl restart vnf'
    #[arg(long, value_name = "CMD")]
    reset_command: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct Rfc8219 {
    /// Which test
    #[arg(value_enum)]
    test: Variation,
    #[command(flatten)]
    trials: TrialOptions,
}

#[derive(Args, Debug)]
struct TrialOptions {
    #[command(flatten)]
    matrix: Matrix,
    /// Short trials, and few: not as the RFC wants it
    #[arg(long)]
    quick: bool,
    /// Length of a trial [default: 60s, latency 120s; with --quick 10s]
    #[arg(long, value_parser = parse::duration)]
    trial_time: Option<Duration>,
    /// Throughput of each direction that is known already: 1Mpps, 500Mbps [default: it is searched first]
    #[arg(long, value_name = "RATE")]
    load: Option<Load>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Test {
    All,
    B2b,
    Latency,
    Loss,
    Recovery,
    Reset,
    Throughput,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Variation {
    Ipdv,
    Latency,
    Pdv,
}

impl Rfc2544 {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        if self.test == Test::Reset && self.reset_command.is_none() {
            let why = "reset needs --reset-command 'CMD', e.g. 'systemctl restart vnf'";
            return Err(Failure::Usage(why.to_owned()));
        }
        let reset = self.reset_command.as_deref();
        let plan = Plan { verify: self.verify, ..self.trials.plan() };
        self.trials.run(global, plan, |stand, plan| match self.test {
            Test::All => {
                // One search for all of them.
                let plan = Plan { throughput: Some(stand.throughput(plan)?), ..*plan };
                stand.latency_2544(&plan)?;
                stand.loss_rate(&plan)?;
                stand.back_to_back(&plan)?;
                stand.recovery(&plan)?;
                reset.map_or(Ok(()), |reset| stand.reset(&plan, reset))
            }
            Test::B2b => stand.back_to_back(plan),
            Test::Latency => stand.latency_2544(plan),
            Test::Loss => stand.loss_rate(plan),
            Test::Recovery => stand.recovery(plan),
            Test::Reset => stand.reset(plan, reset.unwrap_or_default()),
            Test::Throughput => stand.throughput(plan).map(|_| ()),
        })
    }
}

impl Rfc8219 {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        self.trials.run(global, self.trials.plan(), |stand, plan| match self.test {
            Variation::Ipdv => stand.ipdv(plan),
            Variation::Latency => stand.latency_2544(plan),
            Variation::Pdv => stand.pdv(plan),
        })
    }
}

impl TrialOptions {
    fn plan(&self) -> Plan {
        let plan = if self.quick { Plan::quick() } else { Plan::compliant() };
        Plan {
            trial: self.trial_time.unwrap_or(plan.trial),
            latency: self.trial_time.unwrap_or(plan.latency),
            ..plan
        }
    }

    fn run(
        &self,
        global: &Global,
        plan: Plan,
        mut test: impl FnMut(&mut Stand<'_, '_>, &Plan) -> Result<(), TrialError>,
    ) -> Result<u8, Failure> {
        let short = !plan.is_compliant();
        let pace = if short { Pace::QUICK } else { Pace::RFC };
        let mut record = self.matrix.campaign(global, pace, SIZES, |stand| {
            let known = self.load.and_then(|load| load.rate(stand.case.mean_size, None));
            let throughput = known.map(Rate::frames_per_second);
            test(stand, &Plan { throughput, ..plan })
        })?;
        if short {
            record.warnings.insert(0, NOT_COMPLIANT.to_owned());
        }
        publish(&record, global)?;
        Ok(exit_code(&record))
    }
}

/// RFC 2544 section 9.1.
const SIZES: &str = "64,128,256,512,1024,1280,1518";
const NOT_COMPLIANT: &str =
    "Not compliant with the RFC: the trials were shorter than 60 s (latency: 120 s).";
