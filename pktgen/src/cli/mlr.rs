//! `pktgen mlr`: no-drop and partial-drop rates by MLRsearch (RFC 9971).

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::matrix::{Matrix, Pace, exit_code};
use super::publish::publish;
use super::{Failure, Global, parse};
use crate::methods::mlr::Plan;
use crate::search::Preset;

#[derive(Args, Debug)]
pub(super) struct Mlr {
    #[command(flatten)]
    matrix: Matrix,
    /// Rate to search, with the trials of the csit preset: ndr (no loss), pdr (0.5 %); may be repeated [default: both]
    #[arg(long = "goal", value_enum, conflicts_with = "preset")]
    goals: Vec<GoalName>,
    /// Usual goals: csit (1 s trials, 21 s a load), rfc2544 (60 s without loss), tst009 (two of 60 s), quick (0.5 s, 5 s a load)
    #[arg(long, value_enum)]
    preset: Option<PresetName>,
    /// Longest time of one search: 10m
    #[arg(long, value_parser = parse::duration)]
    max_time: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum GoalName {
    Ndr,
    Pdr,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum PresetName {
    Csit,
    Quick,
    Rfc2544,
    Tst009,
}

impl Mlr {
    pub(super) fn run(&self, global: &Global) -> Result<u8, Failure> {
        let plan = self.plan();
        let rfc = matches!(self.preset, Some(PresetName::Rfc2544 | PresetName::Tst009));
        let pace = if rfc { Pace::RFC } else { Pace::QUICK };
        let record = self.matrix.campaign(global, pace, "64", |stand| stand.mlr(&plan))?;
        publish(&record, global)?;
        Ok(exit_code(&record))
    }

    fn plan(&self) -> Plan {
        let preset = match self.preset {
            None | Some(PresetName::Csit) => Preset::Csit,
            Some(PresetName::Quick) => Preset::Quick,
            Some(PresetName::Rfc2544) => Preset::Rfc2544,
            Some(PresetName::Tst009) => Preset::Tst009,
        };
        let wanted = |name: &str| match name {
            "ndr" => self.goals.contains(&GoalName::Ndr),
            "pdr" => self.goals.contains(&GoalName::Pdr),
            _ => false,
        };
        let mut goals = preset.goals();
        goals.retain(|goal| self.goals.is_empty() || wanted(&goal.name));
        let after = if preset == Preset::Quick { QUICK_AFTER } else { AFTER };
        Plan { goals, selection: preset.selection(), max_time: self.max_time, after }
    }
}

/// Length of the trials for MRR and latency.
const AFTER: Duration = Duration::from_secs(1);
const QUICK_AFTER: Duration = Duration::from_millis(500);
