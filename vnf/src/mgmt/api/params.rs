//! Query strings, typed; one that is not understood is refused as a whole.

use std::net::IpAddr;

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::Error;
use crate::mgmt::request::{Filter, Protocol};

/// The query string of a request.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(why) => Err(Error::new(StatusCode::BAD_REQUEST, why.body_text())),
        }
    }
}

/// `?vrf=&host=&protocol=&port=`
/// `?name=&limit=`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AclParams {
    pub(super) name: Option<String>,
    /// Of the rules of each list.
    pub(super) limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FilterParams {
    vrf: Option<String>,
    host: Option<IpAddr>,
    protocol: Option<Protocol>,
    port: Option<u16>,
}

impl FilterParams {
    pub(super) fn filter(&self) -> Filter {
        Filter { vrf: self.vrf.clone(), host: self.host, protocol: self.protocol, port: self.port }
    }
}

/// `?vrf=&host=&protocol=&port=&limit=`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    vrf: Option<String>,
    host: Option<IpAddr>,
    protocol: Option<Protocol>,
    port: Option<u16>,
    limit: Option<usize>,
}

impl ListParams {
    pub(super) fn filter(&self) -> Filter {
        Filter { vrf: self.vrf.clone(), host: self.host, protocol: self.protocol, port: self.port }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

/// `?vrf=&host=&port=&limit=`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostParams {
    vrf: Option<String>,
    host: Option<IpAddr>,
    port: Option<u16>,
    limit: Option<usize>,
}

impl HostParams {
    pub(super) fn filter(&self) -> Filter {
        Filter { vrf: self.vrf.clone(), host: self.host, port: self.port, ..Filter::default() }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

/// `?vrf=&limit=`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteParams {
    vrf: Option<String>,
    limit: Option<usize>,
}

impl RouteParams {
    pub(super) fn filter(&self) -> Filter {
        Filter { vrf: self.vrf.clone(), ..Filter::default() }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

/// `?vrf=`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VrfParams {
    pub(super) vrf: Option<String>,
}

/// `?dry_run=`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DryRun {
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// `?file=&dry_run=`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigParams {
    /// The name that messages and `show config` give the configuration.
    pub(super) file: String,
    #[serde(default)]
    pub(super) dry_run: bool,
}
