//! `vnf clear`: ends sessions, or sets counters to zero.

use std::io::Write;

use clap::{Args, Subcommand};
use hyper::Method;

use super::connection::{Connection, FilterArguments, refusal, resource};
use crate::mgmt::view::Cleared;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Set the counters of `show` to zero; those of /metrics go on
    Counters,
    /// End the sessions that the filter admits; without one all of them
    Sessions(FilterArguments),
}

pub(super) async fn run(arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let connection = arguments.connection;
    match arguments.what {
        What::Counters => {
            let client = connection.client();
            let answer = &mut Vec::new();
            client
                .copy(Method::DELETE, "/v1/counters", Default::default(), answer)
                .await
                .map_err(refusal)?;
            writeln!(out, "{}", if connection.json { "{}" } else { "counters are at zero" })?;
            Ok(())
        }
        What::Sessions(filter) => {
            let resource = resource("/v1/sessions", &filter)?;
            let told = |cleared: &Cleared| format!("{} sessions ended\n", cleared.sessions_ended);
            connection.show(Method::DELETE, &resource, String::new(), out, told).await
        }
    }
}
