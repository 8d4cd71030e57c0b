//! What all client commands share: the socket, the choice of output, and how a refusal ends.

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::WrongConfig;
use crate::mgmt::client::{Client, ClientError};
use crate::mgmt::request::Protocol;

/// Which instance to talk to, and how to show its answer.
#[derive(Args, Debug)]
pub(super) struct Connection {
    /// Unix socket of the running instance
    #[arg(long, global = true, env = "VNF_SOCKET", default_value = DEFAULT_SOCKET, value_name = "PATH")]
    pub(super) socket: PathBuf,
    /// Print one JSON document instead of tables
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Connection {
    pub(super) fn client(&self) -> Client {
        Client::new(&self.socket)
    }

    /// Asks, and shows the answer: as it came, or rendered for a human.
    pub(super) async fn show<T: DeserializeOwned>(
        &self,
        method: Method,
        resource: &str,
        body: String,
        out: &mut impl Write,
        render: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        let body = Bytes::from(body);
        if self.json {
            self.client().copy(method, resource, body, out).await.map_err(refusal)?;
            writeln!(out)?;
        } else {
            let answer = self.client().ask(method, resource, body).await.map_err(refusal)?;
            write!(out, "{}", render(&answer))?;
        }
        Ok(out.flush()?)
    }
}

/// Which sessions or mappings are meant.
#[derive(Args, Debug, Serialize)]
pub(super) struct FilterArguments {
    /// Only this VRF
    #[arg(long, value_name = "NAME")]
    vrf: Option<String>,
    /// Only this internal host
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,
    /// Only this protocol: tcp, udp, icmp, icmpv6 or a number
    #[arg(long)]
    protocol: Option<Protocol>,
    /// Only this port, or ICMP query id, of any endpoint
    #[arg(long)]
    port: Option<u16>,
}

/// A resource with its query string.
pub(super) fn resource(path: &str, query: &impl Serialize) -> anyhow::Result<String> {
    let query = serde_urlencoded::to_string(query)?;
    Ok(if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") })
}

/// A refusal for the configuration's sake ends with another exit status than the rest.
pub(super) fn refusal(why: ClientError) -> anyhow::Error {
    match why {
        ClientError::Refused { status: StatusCode::UNPROCESSABLE_ENTITY, message } => {
            WrongConfig(message).into()
        }
        other => other.into(),
    }
}

/// Runs a client command to its end.
pub(super) fn wait_for(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

/// Where an instance listens that was told nothing else.
const DEFAULT_SOCKET: &str = "/run/vnf/vnf.sock";
