//! The other end of the Unix socket: how client commands ask a running instance.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::UnixStream;

use super::request::PATIENCE as CORE_PATIENCE;

/// A running instance, seen from outside.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The connection broke off, or what came is not what was expected.
    #[error("vnf at {} gave no whole answer: {why}; try again", socket.display())]
    Broken {
        /// The path of the socket.
        socket: PathBuf,
        /// What went wrong.
        why: String,
    },
    /// The answer cannot be written down.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
    /// The instance understood and refused.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// Its reason.
        message: String,
    },
    /// Nobody is there.
    #[error("cannot reach vnf at {}: {why}; {}", socket.display(), advice(why))]
    Unreachable {
        /// The path of the socket.
        socket: PathBuf,
        /// The system's answer.
        why: io::Error,
    },
}

impl Client {
    /// A client of the instance on this socket; nothing is connected yet.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Asks, and reads the answer as one typed document.
    ///
    /// # Errors
    /// When there is no answer, a refusal, or one of another shape.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        resource: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let mut text = Vec::new();
        self.copy(method, resource, body, &mut text).await?;
        serde_json::from_slice(&text).map_err(|why| self.broken(why))
    }

    /// Asks, and writes the answer down as it comes.
    ///
    /// # Errors
    /// When there is no answer, a refusal, or no room for it.
    pub async fn copy(
        &self,
        method: Method,
        resource: &str,
        body: Bytes,
        output: &mut impl Write,
    ) -> Result<(), ClientError> {
        let response = self.send(method, resource, body).await?;
        let status = response.status();
        let mut incoming = response.into_body();
        if !status.is_success() {
            let text = incoming.collect().await.map_err(|why| self.broken(why))?.to_bytes();
            return Err(ClientError::Refused { status, message: reason(&text, status) });
        }
        while let Some(frame) = incoming.frame().await {
            if let Ok(data) = frame.map_err(|why| self.broken(why))?.into_data() {
                output.write_all(&data)?;
            }
        }
        Ok(())
    }

    async fn send(
        &self,
        method: Method,
        resource: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let unreachable = |why| ClientError::Unreachable { socket: self.socket.clone(), why };
        let stream = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|why| self.broken(why))?;
        // Its end is seen by the sender, too.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(resource)
            .header("host", "vnf")
            .body(Full::new(body))
            .map_err(|why| self.broken(why))?;
        tokio::time::timeout(PATIENCE, sender.send_request(request))
            .await
            .map_err(|_| self.broken("it is alive, but does not answer"))?
            .map_err(|why| self.broken(why))
    }

    fn broken(&self, why: impl ToString) -> ClientError {
        ClientError::Broken { socket: self.socket.clone(), why: why.to_string() }
    }
}

/// The instance's own words, or failing those the status.
fn reason(text: &[u8], status: StatusCode) -> String {
    match serde_json::from_slice::<serde_json::Value>(text) {
        Ok(document) if document["error"].is_string() => {
            document["error"].as_str().unwrap_or_default().to_owned()
        }
        _ => format!("vnf answered {status}"),
    }
}

fn advice(why: &io::Error) -> &'static str {
    match why.kind() {
        ErrorKind::PermissionDenied => "be root, or of the group that the socket belongs to",
        ErrorKind::WouldBlock => "it is too busy; try again",
        _ => "is it running? start it with `vnf run -c FILE`",
    }
}

/// A little more than the instance allows itself.
const PATIENCE: Duration = CORE_PATIENCE.saturating_add(Duration::from_secs(5));
