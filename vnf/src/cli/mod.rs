//! The command line: what is asked for, and the exit status it ends with.

mod bench;
mod check;
mod clear;
mod connection;
mod reload;
mod render;
mod route;
mod run;
mod show;
mod status;
mod tables;
mod who;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::mgmt::client::ClientError;

/// Carrier-grade NAT44, stateful firewall and router on DPDK.
#[derive(Debug, Parser)]
#[command(name = "vnf", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure what a packet costs, on one core in one process
    Bench(bench::Arguments),
    /// Validate a configuration; nothing is started
    Check(check::Arguments),
    /// End sessions, or set the counters to zero
    Clear(clear::Arguments),
    /// Apply a new configuration as a whole
    Reload(reload::Arguments),
    /// Add or remove routes of a running instance
    Route(route::Arguments),
    /// Run in the foreground until SIGTERM or SIGINT
    Run(run::Arguments),
    /// Show what is running
    Show(show::Arguments),
    /// One-screen summary
    Status(status::Arguments),
    /// Tell which internal host holds or held an external endpoint
    Who(who::Arguments),
}

/// Runs the command line of this process and says how it ended: 0 done, 1 failed, 2 wrong use or configuration.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse_from(client_options_last(std::env::args_os()));
    match arguments.run(&mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => report(&why, &mut io::stderr().lock()),
    }
}

/// Lets `--socket` and `--json` stand before the command too.
fn client_options_last(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter().peekable();
    let mut ordered: Vec<OsString> = arguments.next().into_iter().collect();
    let mut options = Vec::new();
    while let Some(option) = arguments.next_if(|a| {
        a == "--json" || a == "--socket" || a.as_encoded_bytes().starts_with(b"--socket=")
    }) {
        let takes_value = option == "--socket";
        options.push(option);
        options.extend(arguments.next_if(|_| takes_value));
    }
    ordered.extend(arguments);
    ordered.extend(options);
    ordered
}

impl Arguments {
    fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        match self.command {
            Command::Bench(arguments) => bench::run(arguments, out),
            Command::Check(arguments) => check::run(&arguments, out, &mut io::stderr().lock()),
            Command::Clear(arguments) => connection::wait_for(clear::run(arguments, out)),
            Command::Reload(arguments) => connection::wait_for(reload::run(arguments, out)),
            Command::Route(arguments) => connection::wait_for(route::run(arguments, out)),
            Command::Run(arguments) => run::run(&arguments, crate::start::start),
            Command::Show(arguments) => connection::wait_for(show::run(arguments, out)),
            Command::Status(arguments) => connection::wait_for(status::run(arguments, out)),
            Command::Who(arguments) => connection::wait_for(who::run(arguments, out)),
        }
    }
}

/// A configuration that is wrong: every error is a line of its own, and the exit status is 2.
#[derive(Debug)]
struct WrongConfig(String);

impl fmt::Display for WrongConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongConfig {}

/// Tells the user why, as far as there is anybody to tell.
fn report(why: &anyhow::Error, err: &mut impl Write) -> ExitCode {
    if why.downcast_ref::<WrongConfig>().is_some() {
        let _ = writeln!(err, "{why}");
        return ExitCode::from(2);
    }
    if is_broken_pipe(why) {
        // Whoever read our output has seen enough: `vnf show sessions | head`.
        return ExitCode::SUCCESS;
    }
    let message = format!("{why:#}").replace('\n', "; ");
    let _ = writeln!(err, "vnf: {message}");
    ExitCode::FAILURE
}

fn is_broken_pipe(why: &anyhow::Error) -> bool {
    let output = match why.downcast_ref::<ClientError>() {
        Some(ClientError::Output(output)) => Some(output),
        _ => why.downcast_ref::<io::Error>(),
    };
    output.is_some_and(|output| output.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests;
