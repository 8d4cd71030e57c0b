//! The `pktgen` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Drivers log much that is no error; what fails says so in its own message. RUST_LOG=dpdk=info shows all.
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("error,dpdk=off"))
        .init();
    ExitCode::from(pktgen::cli::Cli::parse().run())
}
