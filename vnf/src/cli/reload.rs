//! `vnf reload`: applies a configuration file to the running instance.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use hyper::Method;
use serde::Serialize;

use super::WrongConfig;
use super::connection::{Connection, resource};
use crate::mgmt::api::read_config;
use crate::mgmt::view::ReloadReport;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// Configuration file; without it the one that the instance was started with
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change nothing, only tell what would change
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Query {
    file: Option<String>,
    dry_run: bool,
}

pub(super) async fn run(arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let Arguments { connection, config, dry_run } = arguments;
    let (method, path, file, text) = match config {
        Some(file) => {
            let reload = read_config(&std::path::absolute(file)?, dry_run)
                .map_err(|why| WrongConfig(why.to_string()))?;
            (Method::PUT, "/v1/config", Some(reload.file), reload.text)
        }
        None => (Method::POST, "/v1/reload", None, String::new()),
    };
    let resource = resource(path, &Query { file, dry_run })?;
    connection.show(method, &resource, text, out, |report| told(report, dry_run)).await
}

fn told(report: &ReloadReport, dry_run: bool) -> String {
    if report.changes.is_empty() {
        return "nothing changes\n".to_owned();
    }
    let mut text = String::new();
    for change in &report.changes {
        writeln!(text, "{change}").expect("writing to a string cannot fail");
    }
    let verb = if dry_run { "would end" } else { "ended" };
    text + &format!("{} sessions {verb}\n", report.sessions_ended)
}
