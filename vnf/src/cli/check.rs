//! `vnf check`: says whether a configuration is right, and starts nothing.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::WrongConfig;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(
    arguments: &Arguments,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<()> {
    let settings =
        crate::config::load(&arguments.config).map_err(|errors| WrongConfig(errors.to_string()))?;
    for warning in &settings.warnings {
        writeln!(err, "warning: {warning}")?;
    }
    Ok(writeln!(out, "{}: ok", arguments.config.display())?)
}
