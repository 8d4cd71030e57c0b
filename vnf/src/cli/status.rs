//! `vnf status`: the summary on one screen, and the wait for an instance to be ready.

use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use clap::Args;
use hyper::Method;
use hyper::body::Bytes;

use super::connection::{Connection, refusal};
use super::render::duration;
use super::tables::{dropped_table, ports_table, workers_table};
use crate::mgmt::client::{Client, ClientError};
use crate::mgmt::view::{Drops, PortRow, State, Status, WorkerRow};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// Wait until workers poll and ports are up, this long at most
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
}

pub(super) async fn run(arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let Arguments { connection, wait } = arguments;
    let client = connection.client();
    if let Some(seconds) = wait {
        ready_within(&client, seconds).await?;
    }
    if connection.json {
        let render = |_: &Status| String::new();
        return connection.show(Method::GET, "/v1/status", String::new(), out, render).await;
    }
    let text = summary(&client).await.map_err(refusal)?;
    Ok(out.write_all(text.as_bytes())?)
}

async fn ready_within(client: &Client, seconds: u64) -> anyhow::Result<()> {
    let mut last = "it did not answer".to_owned();
    let ready = async {
        while let Err(why) =
            client.copy(Method::GET, "/readyz", Bytes::new(), &mut Vec::new()).await
        {
            last = why.to_string();
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    };
    let outcome = tokio::time::timeout(Duration::from_secs(seconds), ready).await;
    outcome.map_err(|_| {
        let advice = "the log of `vnf run` tells more";
        anyhow::anyhow!("not ready after {seconds} s: {last}; {advice}")
    })
}

async fn summary(client: &Client) -> Result<String, ClientError> {
    let nothing = Bytes::new;
    let status: Status = client.ask(Method::GET, "/v1/status", nothing()).await?;
    let ports: Vec<PortRow> = client.ask(Method::GET, "/v1/ports", nothing()).await?;
    let workers: Vec<WorkerRow> = client.ask(Method::GET, "/v1/workers", nothing()).await?;
    let drops: Drops = client.ask(Method::GET, "/v1/drops", nothing()).await?;
    let mut text = headline(&status);
    write!(text, "\n{}\n{}", ports_table(&ports), workers_table(&workers)).expect(INFALLIBLE);
    if let Some(dropped) = dropped_table(&drops) {
        write!(text, "\n{dropped}").expect(INFALLIBLE);
    }
    Ok(text)
}

fn headline(status: &Status) -> String {
    let Status { version, dpdk_version, sessions, mappings, .. } = status;
    let Status { rx_pps, tx_pps, drop_pps, .. } = status;
    let state = match status.state {
        State::Running => "running",
        State::Starting => "starting",
        State::Stopping => "stopping",
    };
    let uptime = duration(status.uptime_s);
    format!(
        "vnf {version} on DPDK {dpdk_version}, {state} for {uptime}\n\
         sessions    {sessions}, through {mappings} mappings\n\
         per second  {rx_pps} received, {tx_pps} transmitted, {drop_pps} dropped\n"
    )
}

/// How often an instance that is not ready is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

const INFALLIBLE: &str = "writing to a string cannot fail";
