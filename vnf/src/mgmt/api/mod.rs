//! The API: HTTP with JSON, the same resources on the Unix socket and, as far as they are harmless, over TCP.

mod error;
mod list;
mod params;
mod who;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::{MethodRouter, delete, get, patch, post};
use axum::{Json, Router};
use serde::Serialize;

use self::error::Error;
use self::params::{
    AclParams, ConfigParams, DryRun, FilterParams, HostParams, ListParams, Params, RouteParams,
    VrfParams,
};
use super::request::{Asker, Failure, Reload, Reply, Request};
use super::view::{
    AclRow, Cleared, Link, NeighborRow, PortRow, ReloadReport, RoutesChanged, RoutesPatch,
    State as VnfState,
};

/// What the resources need: whom to ask, and which file the instance was started with.
#[derive(Clone, Debug)]
pub struct Api {
    asker: Asker,
    file: Arc<PathBuf>,
}

impl Api {
    /// An API that asks the management core, and reads `file` again on `POST /v1/reload`.
    pub fn new(asker: Asker, file: PathBuf) -> Self {
        Self { asker, file: Arc::new(file) }
    }

    /// Every resource, for the Unix socket, whose file mode says who may use it.
    pub fn private(self) -> Router {
        self.finish(
            harmless()
                .route("/v1/config", ask(Request::Config).put(replace_config))
                .route("/v1/counters", delete(clear_counters))
                .route("/v1/hosts", get(hosts))
                .route("/v1/mappings", get(mappings))
                .route("/v1/reload", post(reload))
                .route("/v1/routes", patch(patch_routes))
                .route("/v1/sessions", get(sessions).delete(clear_sessions))
                .route("/v1/who", get(who::who)),
        )
    }

    /// What changes nothing and names no subscriber, for the TCP listener, which asks nobody's name.
    pub fn public(self) -> Router {
        self.finish(harmless().route("/", get(page)))
    }

    fn finish(self, router: Router<Self>) -> Router {
        let nothing_here = || async {
            Error::new(StatusCode::NOT_FOUND, "no such resource; /v1/openapi.json lists them")
        };
        let not_this_way = || async {
            Error::new(StatusCode::METHOD_NOT_ALLOWED, "this resource has no such method")
        };
        router
            .fallback(nothing_here)
            .method_not_allowed_fallback(not_this_way)
            .layer(DefaultBodyLimit::max(LARGEST_BODY))
            .with_state(self)
    }
}

/// The configuration in a file, as a request to apply it.
///
/// # Errors
/// When the file cannot be read.
pub fn read_config(file: &std::path::Path, dry_run: bool) -> Result<Reload, Failure> {
    let name = file.display().to_string();
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Reload { file: name, text, dry_run }),
        Err(why) => Err(Failure::Invalid(format!("{name}: cannot be read: {why}"))),
    }
}

fn harmless() -> Router<Api> {
    Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .route("/readyz", get(readiness))
        .route("/v1/acl", get(acl))
        .route("/v1/drops", ask(Request::Drops))
        .route("/v1/memory", ask(Request::Memory))
        .route("/v1/neighbors", ask_in_vrf(Request::Neighbors, |row: &NeighborRow| &row.vrf))
        .route("/v1/openapi.json", get(openapi))
        .route("/v1/pool", ask(Request::Pool))
        .route("/v1/ports", ask_in_vrf(Request::Ports, |row: &PortRow| &row.vrf))
        .route("/v1/routes", get(routes))
        .route("/v1/status", ask(Request::Status))
        .route("/v1/version", ask(Request::Version))
        .route("/v1/workers", ask(Request::Workers))
}

/// A resource that is one question and one JSON document.
fn ask<T: Serialize + Send + 'static>(question: fn(Reply<T>) -> Request) -> MethodRouter<Api> {
    get(move |State(api): State<Api>| async move {
        Ok::<_, Error>(Json(api.asker.ask(question).await?))
    })
}

/// A resource that is one list, of which `?vrf=` wants the rows of one VRF.
fn ask_in_vrf<T: Serialize + Send + 'static>(
    question: fn(Reply<Vec<T>>) -> Request,
    vrf: fn(&T) -> &String,
) -> MethodRouter<Api> {
    get(move |State(api): State<Api>, Params(params): Params<VrfParams>| async move {
        let mut rows = api.asker.ask(question).await?;
        if let Some(wanted) = &params.vrf {
            rows.retain(|row| vrf(row) == wanted);
        }
        Ok::<_, Error>(Json(rows))
    })
}

async fn acl(
    State(api): State<Api>,
    Params(params): Params<AclParams>,
) -> Result<Json<Vec<AclRow>>, Error> {
    let mut lists = api.asker.ask(Request::Acl).await?;
    if let Some(name) = &params.name {
        lists.retain(|list| list.name == *name);
        if lists.is_empty() {
            let why = format!("there is no ACL named {name:?}");
            return Err(Error::new(StatusCode::NOT_FOUND, why));
        }
    }
    if let Some(limit) = params.limit {
        lists.iter_mut().for_each(|list| list.rules.truncate(limit));
    }
    Ok(Json(lists))
}

async fn sessions(State(api): State<Api>, Params(params): Params<ListParams>) -> list::Answer {
    list::stream(api.asker, Request::Sessions, params.filter(), params.limit()).await
}

async fn mappings(State(api): State<Api>, Params(params): Params<ListParams>) -> list::Answer {
    list::stream(api.asker, Request::Mappings, params.filter(), params.limit()).await
}

async fn routes(State(api): State<Api>, Params(params): Params<RouteParams>) -> list::Answer {
    list::stream(api.asker, Request::Routes, params.filter(), params.limit()).await
}

async fn patch_routes(
    State(api): State<Api>,
    request: axum::extract::Request,
) -> Result<Json<RoutesChanged>, Error> {
    let body = body(request, "the routes").await?;
    // No body asks for nothing.
    let body = if body.is_empty() { "{}".into() } else { body };
    let patch: RoutesPatch = serde_json::from_slice(&body)
        .map_err(|why| Error::new(StatusCode::BAD_REQUEST, format!("routes: {why}")))?;
    Ok(Json(api.asker.ask(|reply| Request::PatchRoutes(patch, reply)).await?))
}

/// The body of a request, once all of it is there.
async fn body(request: axum::extract::Request, what: &str) -> Result<Bytes, Error> {
    tokio::time::timeout(BODY_PATIENCE, Bytes::from_request(request, &()))
        .await
        .map_err(|_| Error::new(StatusCode::REQUEST_TIMEOUT, format!("{what} did not arrive")))?
        .map_err(|rejection| Error::new(rejection.status(), rejection.body_text()))
}

async fn hosts(State(api): State<Api>, Params(params): Params<HostParams>) -> list::Answer {
    list::stream(api.asker, Request::Hosts, params.filter(), params.limit()).await
}

async fn clear_sessions(
    State(api): State<Api>,
    Params(params): Params<FilterParams>,
) -> Result<Json<Cleared>, Error> {
    let filter = params.filter();
    Ok(Json(api.asker.ask(|reply| Request::ClearSessions(filter, reply)).await?))
}

async fn clear_counters(State(api): State<Api>) -> Result<StatusCode, Error> {
    api.asker.ask(Request::ClearCounters).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn replace_config(
    State(api): State<Api>,
    Params(params): Params<ConfigParams>,
    request: axum::extract::Request,
) -> Result<Json<ReloadReport>, Error> {
    let body = body(request, "the configuration").await?;
    let text = String::from_utf8(body.into())
        .map_err(|_| Error::new(StatusCode::BAD_REQUEST, "the configuration is not UTF-8"))?;
    let reload = Reload { file: params.file, text, dry_run: params.dry_run };
    Ok(Json(api.asker.ask(|reply| Request::Reload(reload, reply)).await?))
}

async fn reload(
    State(api): State<Api>,
    Params(params): Params<DryRun>,
) -> Result<Json<ReloadReport>, Error> {
    let reload = read_config(&api.file, params.dry_run)?;
    Ok(Json(api.asker.ask(|reply| Request::Reload(reload, reply)).await?))
}

async fn health(State(api): State<Api>) -> Result<&'static str, Error> {
    api.asker.ask(Request::Status).await?;
    Ok("ok\n")
}

/// Ready means: every worker polls and every port has a carrier.
async fn readiness(State(api): State<Api>) -> Result<&'static str, Error> {
    let not_yet = |what: String| Error::new(StatusCode::SERVICE_UNAVAILABLE, what);
    let status = api.asker.ask(Request::Status).await?;
    if status.state != VnfState::Running {
        return Err(not_yet("the workers do not poll".to_owned()));
    }
    let ports = api.asker.ask(Request::Ports).await?;
    match ports.iter().find(|port| port.link == Link::Down) {
        Some(port) => Err(not_yet(format!("port {} is down", port.name))),
        None => Ok("ready\n"),
    }
}

async fn metrics(State(api): State<Api>) -> Result<impl IntoResponse, Error> {
    let text = api.asker.ask(Request::Metrics).await?.render();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json"))
}

async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; connect-src 'self'; \
                  script-src 'unsafe-inline'; style-src 'unsafe-inline'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("page.html")))
}

/// Bytes in a body at most: ten thousand rules need two million.
const LARGEST_BODY: usize = 16 << 20;

/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
