//! `vnf route`: adds and removes routes of a running instance.

use std::io::Write;
use std::net::IpAddr;

use clap::{Args, Subcommand};
use hyper::Method;
use ipnet::IpNet;

use super::connection::Connection;
use crate::mgmt::view::{RouteEntry, RoutesChanged, RoutesPatch};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a route, or put it in the place of the one for the same prefix
    Add(Route),
    /// Remove the route of a prefix
    Del(Prefix),
}

#[derive(Args, Debug)]
struct Route {
    #[command(flatten)]
    prefix: Prefix,
    /// Neighbours to send to; several: by flow
    #[arg(long = "via", value_name = "ADDRESS", num_args = 1..)]
    next_hops: Vec<IpAddr>,
    /// Drop packets in silence
    #[arg(long)]
    discard: bool,
    /// Drop packets and tell their senders
    #[arg(long)]
    unreachable: bool,
    /// The VRF of the next hops, or where the destination is looked up again
    #[arg(long, value_name = "NAME")]
    next_hop_vrf: Option<String>,
}

#[derive(Args, Debug)]
struct Prefix {
    /// The destination, as in 10.0.0.0/8
    #[arg(value_name = "PREFIX")]
    prefix: IpNet,
    /// The VRF whose packets it routes
    #[arg(long, value_name = "NAME")]
    vrf: Option<String>,
}

pub(super) async fn run(arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let entry = |Prefix { prefix, vrf }| RouteEntry { prefix, vrf, ..RouteEntry::default() };
    let patch = match arguments.what {
        What::Add(Route { prefix, next_hops, discard, unreachable, next_hop_vrf }) => {
            let add = RouteEntry { next_hops, discard, unreachable, next_hop_vrf, ..entry(prefix) };
            RoutesPatch { add: vec![add], remove: Vec::new() }
        }
        What::Del(prefix) => RoutesPatch { add: Vec::new(), remove: vec![entry(prefix)] },
    };
    let body = serde_json::to_string(&patch)?;
    arguments.connection.show(Method::PATCH, "/v1/routes", body, out, told).await
}

fn told(changed: &RoutesChanged) -> String {
    let RoutesChanged { added, replaced, removed, unchanged } = changed;
    format!("{added} added, {replaced} replaced, {removed} removed, {unchanged} unchanged\n")
}
