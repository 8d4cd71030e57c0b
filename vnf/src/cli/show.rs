//! `vnf show`: one table, or JSON document, for each thing there is to see.

use std::fmt::Write as _;
use std::io::Write;
use std::net::IpAddr;

use clap::{Args, Subcommand};
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connection::{Connection, FilterArguments, resource};
use super::tables::{
    acl_tables, drops_table, hosts_table, mappings_table, memory_table, neighbors_table,
    pool_table, ports_table, routes_table, sessions_table, workers_table,
};
use crate::mgmt::view::{
    AclRow, MemoryRow, NeighborRow, PoolRow, PortRow, RunningConfig, Version, WorkerRow,
};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Access control lists with their counters
    Acl(AclArguments),
    /// The configuration that is running
    Config,
    /// Dropped packets by reason
    Drops,
    /// Internal hosts with translated traffic
    Hosts(HostArguments),
    /// Internal endpoints bound to external ones
    Mappings(ListArguments),
    /// Tables and packet buffer pools
    Memory,
    /// Neighbours and their MAC addresses
    Neighbors(VrfArguments),
    /// External addresses and their ports in use
    Pool,
    /// Ports with their counters
    Ports(VrfArguments),
    /// Routes
    Routes(RouteArguments),
    /// Flows
    Sessions(ListArguments),
    /// What is running
    Version,
    /// Workers with their counters
    Workers,
}

#[derive(Args, Debug)]
struct AclArguments {
    /// Only the list with this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Show this many rules of each list at most [default: 1000 in tables, all in JSON]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Args, Debug)]
struct ListArguments {
    #[command(flatten)]
    filter: FilterArguments,
    /// Show this many at most [default: 1000 in tables, all in JSON]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Args, Debug)]
struct HostArguments {
    /// Only this VRF
    #[arg(long, value_name = "NAME")]
    vrf: Option<String>,
    /// Only this internal host
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,
    /// Only hosts that have this external port in a block or range of theirs
    #[arg(long)]
    port: Option<u16>,
    /// Show this many at most [default: 1000 in tables, all in JSON]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Args, Debug)]
struct RouteArguments {
    #[command(flatten)]
    vrf: VrfArguments,
    /// Show this many at most [default: 1000 in tables, all in JSON]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// Which rows are meant.
#[derive(Args, Debug, Serialize)]
struct VrfArguments {
    /// Only this VRF
    #[arg(long, value_name = "NAME")]
    vrf: Option<String>,
}

pub(super) async fn run(arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let view = View { connection: arguments.connection, out };
    match arguments.what {
        What::Acl(AclArguments { name, limit }) => {
            let shown = limit.unwrap_or(FOR_HUMANS);
            let limit = view.asked(limit);
            let resource = resource("/v1/acl", &ListQuery { filter: AclQuery { name }, limit })?;
            view.whole(&resource, |lists: &Vec<AclRow>| acl_tables(lists, shown)).await
        }
        What::Config => view.whole("/v1/config", |c: &RunningConfig| c.text.clone()).await,
        What::Drops => view.whole("/v1/drops", drops_table).await,
        What::Hosts(HostArguments { vrf, host, port, limit }) => {
            view.part("/v1/hosts", HostQuery { vrf, host, port }, limit, hosts_table).await
        }
        What::Mappings(ListArguments { filter, limit }) => {
            view.part("/v1/mappings", filter, limit, mappings_table).await
        }
        What::Memory => view.whole("/v1/memory", |rows: &Vec<MemoryRow>| memory_table(rows)).await,
        What::Neighbors(vrf) => {
            let path = resource("/v1/neighbors", &vrf)?;
            view.whole(&path, |rows: &Vec<NeighborRow>| neighbors_table(rows)).await
        }
        What::Pool => view.whole("/v1/pool", |rows: &Vec<PoolRow>| pool_table(rows)).await,
        What::Ports(vrf) => {
            let path = resource("/v1/ports", &vrf)?;
            view.whole(&path, |rows: &Vec<PortRow>| ports_table(rows)).await
        }
        What::Routes(RouteArguments { vrf, limit }) => {
            view.part("/v1/routes", vrf, limit, routes_table).await
        }
        What::Sessions(ListArguments { filter, limit }) => {
            view.part("/v1/sessions", filter, limit, sessions_table).await
        }
        What::Version => {
            let words = |v: &Version| format!("vnf {}\nDPDK {}\n", v.version, v.dpdk_version);
            view.whole("/v1/version", words).await
        }
        What::Workers => {
            view.whole("/v1/workers", |rows: &Vec<WorkerRow>| workers_table(rows)).await
        }
    }
}

/// Where from, and where to.
struct View<'a, W> {
    connection: Connection,
    out: &'a mut W,
}

impl<W: Write> View<'_, W> {
    async fn whole<T: DeserializeOwned>(
        self,
        resource: &str,
        render: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        self.connection.show(Method::GET, resource, String::new(), self.out, render).await
    }

    /// How much to ask for: of what humans see one more, to know whether there is more.
    fn asked(&self, limit: Option<usize>) -> Option<usize> {
        match self.connection.json {
            true => limit,
            false => Some(limit.unwrap_or(FOR_HUMANS).saturating_add(1)),
        }
    }

    /// Humans get a bounded list, and are told where it was cut.
    async fn part<T: DeserializeOwned>(
        self,
        path: &str,
        filter: impl Serialize,
        limit: Option<usize>,
        table: fn(&[T]) -> String,
    ) -> anyhow::Result<()> {
        let shown = limit.unwrap_or(FOR_HUMANS);
        let resource = resource(path, &ListQuery { filter, limit: self.asked(limit) })?;
        self.whole(&resource, |rows: &Vec<T>| {
            let more = rows.len() > shown;
            let mut text = table(&rows[..rows.len().min(shown)]);
            if more {
                let advice = "--limit N shows more, --json all";
                writeln!(text, "only the first {shown} are shown; {advice}").expect(INFALLIBLE);
            }
            text
        })
        .await
    }
}

#[derive(Serialize)]
struct ListQuery<F> {
    #[serde(flatten)]
    filter: F,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct AclQuery {
    name: Option<String>,
}

#[derive(Serialize)]
struct HostQuery {
    vrf: Option<String>,
    host: Option<IpAddr>,
    port: Option<u16>,
}

/// Rows that a human gets who asked for no number.
const FOR_HUMANS: usize = 1000;

const INFALLIBLE: &str = "writing to a string cannot fail";
