//! `GET /v1/who`: the live mappings for now, the log for the past.

use std::io;
use std::net::SocketAddrV4;
use std::path::Path;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;

use super::Api;
use super::error::Error;
use super::params::Params;
use crate::config::VrfNames;
use crate::mgmt::nat_log::search::{Question, Trace, parameters_at, search};
use crate::mgmt::nat_log::show_time;
use crate::mgmt::request::{Protocol, Request, WhoAnswer, WhoQuestion};
use crate::mgmt::view::{Holder, HolderKind, Who};

/// `?external=&at=&protocol=`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhoParams {
    external: SocketAddrV4,
    at: Option<String>,
    protocol: Option<Protocol>,
}

/// Who holds an external endpoint, or held it at some time; nobody is "not found".
pub(super) async fn who(
    State(api): State<Api>,
    Params(params): Params<WhoParams>,
) -> Result<Json<Who>, Error> {
    let WhoParams { external, at, protocol } = params;
    let at = at.map(|text| past(&text)).transpose()?;
    let question = WhoQuestion { external, protocol, past: at.is_some() };
    let answer = api.asker.ask(|reply| Request::Who(question, reply)).await?;
    let holders = match &at {
        None => answer.holders,
        Some(at) => logged(question, at.clone(), answer).await?,
    };
    if holders.is_empty() {
        let of = protocol.map_or(String::new(), |protocol| format!(" ({protocol})"));
        return Err(nobody(format!("nobody holds {external}{of}")));
    }
    Ok(Json(Who { external: external.to_string(), at, holders }))
}

/// A time that is over, as the log writes it.
fn past(text: &str) -> Result<String, Error> {
    let wrong = |why: String| Error::new(StatusCode::BAD_REQUEST, why);
    let at: Timestamp = text.parse().map_err(|_| {
        wrong(format!("at: found `{text}`, expected a time such as 2026-01-31T12:00:00Z"))
    })?;
    if at > Timestamp::now() {
        return Err(wrong(format!("at: {text} lies in the future")));
    }
    Ok(show_time(SystemTime::from(at)))
}

/// Those whom the log names, and those of the configuration where it names nobody.
async fn logged(question: WhoQuestion, at: String, known: WhoAnswer) -> Result<Vec<Holder>, Error> {
    let Some(log) = known.log else {
        return Err(nobody("nothing is translated here, and nothing logged".to_owned()));
    };
    let protocols = match question.protocol {
        Some(protocol) => vec![protocol.to_string()],
        None => ["icmp", "tcp", "udp"].map(str::to_owned).into(),
    };
    let external = question.external;
    let asked = Question { external, protocols, at: at.clone() };
    let computed = |holder: &Holder| holder.kind == HolderKind::Deterministic;
    let past = known.holders.iter().any(computed).then(|| at.clone());
    let found = {
        let log = log.clone();
        let look = move || -> io::Result<_> {
            let parameters = past.map(|at| parameters_at(&log, &at)).transpose()?.flatten();
            Ok((search(&log, &asked)?, parameters))
        };
        tokio::task::spawn_blocking(look).await
    };
    let (traces, then) = match found {
        Ok(Ok(found)) => found,
        Ok(Err(why)) if why.kind() == io::ErrorKind::NotFound => (Vec::new(), None),
        Ok(Err(why)) => return Err(unreadable(&log, &why)),
        Err(why) => return Err(unreadable(&log, &io::Error::other(why))),
    };
    let others = then.filter(|then| known.parameters.as_ref() != Some(then));
    let (held, over): (Vec<Trace>, Vec<Trace>) = traces.into_iter().partition(|trace| trace.held);
    let mut holders: Vec<Holder> = held.into_iter().map(holder).collect();
    for fixed in known.holders {
        if others.is_some() && computed(&fixed) {
            continue;
        }
        if !holders.iter().any(|known| {
            known.protocol == fixed.protocol || fixed.protocol == "any" || known.protocol == "any"
        }) {
            holders.push(fixed);
        }
    }
    if let (true, Some(last)) = (holders.is_empty(), over.first()) {
        let Trace { protocol, internal, time, .. } = last;
        let sentence =
            format!("nobody held {external} at {at}; {internal} ({protocol}) did until {time}");
        return Err(nobody(sentence));
    }
    if let (true, Some(others)) = (holders.is_empty(), others) {
        let sentence = format!(
            "the parameters of deterministic allocation were others at {at}; {} has them: {others}",
            log.display()
        );
        return Err(nobody(sentence));
    }
    if holders.is_empty() {
        let log = log.display();
        return Err(nobody(format!("{log} does not say who held {external} at {at}")));
    }
    holders.sort_by(|a, b| a.protocol.cmp(&b.protocol));
    Ok(holders)
}

fn holder(trace: Trace) -> Holder {
    let Trace { protocol, internal, vrf, time, uncertain, .. } = trace;
    let kind = HolderKind::Logged;
    let vrf = vrf.unwrap_or_else(|| VrfNames::default().name(0).to_owned());
    Holder { protocol, internal, kind, since: Some(time), until: None, uncertain, vrf }
}

fn nobody(sentence: String) -> Error {
    Error::new(StatusCode::NOT_FOUND, sentence)
}

fn unreadable(log: &Path, why: &io::Error) -> Error {
    let sentence = format!("{} cannot be searched: {why}", log.display());
    Error::new(StatusCode::SERVICE_UNAVAILABLE, sentence)
}
