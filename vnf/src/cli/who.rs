//! `vnf who`: which internal host holds or held an external endpoint.

use std::io::Write;
use std::net::SocketAddrV4;

use clap::Args;
use hyper::Method;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::connection::{Connection, resource};
use super::render::Table;
use crate::mgmt::request::Protocol;
use crate::mgmt::view::{Holder, HolderKind, Who};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    question: Question,
}

#[derive(Args, Debug, Serialize)]
struct Question {
    /// The external endpoint, as in 198.51.100.10:1024; an ICMP query id stands in the port's place
    #[arg(value_name = "EXTERNAL_IP:PORT")]
    external: SocketAddrV4,
    /// Who held it at this time, as the log tells: RFC 3339, as in 2026-01-31T12:00:00+01:00
    #[arg(long, value_name = "TIME")]
    #[serde(serialize_with = "as_text")]
    at: Option<Timestamp>,
    /// Only this protocol: tcp, udp, icmp or a number
    #[arg(long)]
    protocol: Option<Protocol>,
}

pub(super) async fn run(arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let Arguments { connection, question } = arguments;
    let resource = resource("/v1/who", &question)?;
    connection.show(Method::GET, &resource, String::new(), out, table).await
}

fn as_text<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_string()).serialize(to)
}

fn table(who: &Who) -> String {
    let mut table = Table::new("PROTOCOL INTERNAL HOW");
    for holder in &who.holders {
        table.row([holder.protocol.clone(), holder.internal.clone(), how(holder)]);
    }
    table.vrfs(who.holders.iter().map(|holder| &holder.vrf));
    table.render()
}

fn how(holder: &Holder) -> String {
    let time = |time: &Option<String>| time.clone().unwrap_or_default();
    let how = match holder.kind {
        HolderKind::Deterministic => "by arithmetic".to_owned(),
        HolderKind::Dynamic => "holds it".to_owned(),
        HolderKind::Held => format!("held until {}", time(&holder.until)),
        HolderKind::Logged => format!("logged at {}", time(&holder.since)),
        HolderKind::Static => "by configuration".to_owned(),
    };
    let doubt = "; records are missing since, it may have been another";
    if holder.uncertain { how + doubt } else { how }
}
