//! Profiles: ports, tested system and streams in one TOML file (pktgen.md section 4.4).

mod script;
mod stream;

use std::path::Path;

use serde::Deserialize;

use crate::control::{Action, Hook};
use crate::endpoint::Family;
use crate::port::Spec;
use crate::prefix::Prefix;
use crate::receive::Sut;
use crate::setup::{Layout, LayoutError, path};

/// A profile, checked as a whole.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Ports, streams and expectations.
    pub layout: Layout,
    /// How the tested system is controlled.
    pub hooks: Vec<Hook>,
}

/// What is wrong with a profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The ports do not fit together.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A file that cannot be read.
    #[error("{0}: {1}")]
    Read(String, std::io::Error),
    /// A stream with a mistake.
    #[error("stream '{name}': {key}: {why}")]
    Stream {
        /// The stream.
        name: String,
        /// Its key.
        key: &'static str,
        /// What is wrong, and what is accepted.
        why: String,
    },
    /// No TOML, an unknown key or a value of the wrong kind; says the line.
    #[error(transparent)]
    Toml(#[from] toml_edit::de::Error),
    /// A value that is none of its kind.
    #[error("{key} = '{value}': {why}")]
    Value {
        /// The key.
        key: &'static str,
        /// What stands there.
        value: String,
        /// What may stand there.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    ports: Ports,
    #[serde(default)]
    sut: System,
    #[serde(rename = "stream")]
    streams: Vec<stream::Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ports {
    r#in: Port,
    out: Port,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Port {
    spec: String,
    #[serde(default)]
    ip: Vec<String>,
    #[serde(default)]
    gw: Vec<String>,
    mac: Option<String>,
    vlan: Option<u16>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct System {
    kind: Option<Kind>,
    #[serde(default)]
    pool: Vec<String>,
    hops: Option<u8>,
    flush: Option<String>,
    reload: Option<String>,
    stats: Option<String>,
}

/// `acl` is a router that refuses some of what it gets.
#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Acl,
    Nat44,
    Router,
}

impl Profile {
    /// Reads a file; the seed makes the flows.
    pub fn read(file: &Path, seed: u64) -> Result<Self, ProfileError> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| ProfileError::Read(file.display().to_string(), error))?;
        Self::parse(&text, seed)
    }

    /// Reads a file's text.
    pub fn parse(text: &str, seed: u64) -> Result<Self, ProfileError> {
        let Document { ports, sut: system, streams } = toml_edit::de::from_str(text)?;
        let specs = [ports.r#in.spec()?, ports.out.spec()?];
        let pool = prefixes(&system.pool)?;
        let asked = system.kind.map(|kind| match kind {
            Kind::Acl | Kind::Router => Sut::Router,
            Kind::Nat44 => Sut::Nat44,
        });
        let (sut, families) = path(&specs, asked, !pool.is_empty())?;
        let around = stream::Around { specs: &specs, sut, pool: &pool, families: &families, seed };
        let streams = streams.into_iter().enumerate();
        let streams = streams.map(|(number, table)| table.stream(&around, number));
        let streams = streams.collect::<Result<Vec<_>, _>>()?;
        if streams.is_empty() {
            return Err(value("stream", "", "at least one [[stream]] is expected"));
        }
        let mut layout = Layout::of_streams(specs, sut, pool, streams, seed);
        layout.hops = system.hops.unwrap_or(layout.hops);
        let hooks = [
            (Action::Flush, system.flush),
            (Action::Reload, system.reload),
            (Action::Stats, system.stats),
        ];
        let hooks = hooks.into_iter().filter_map(|(action, command)| {
            let text = format!("{action}={}", command?);
            Some(text.parse().map_err(|why| value("sut", &text, why)))
        });
        Ok(Self { layout, hooks: hooks.collect::<Result<_, _>>()? })
    }
}

impl Port {
    /// The same as a specification on the command line.
    fn spec(&self) -> Result<Spec, ProfileError> {
        let mut text = self.spec.clone();
        let mut add = |key: &str, value: &str| text.push_str(&format!(",{key}={value}"));
        self.ip.iter().for_each(|ip| add("ip", ip));
        self.gw.iter().for_each(|gw| add("gw", gw));
        self.mac.iter().for_each(|mac| add("mac", mac));
        self.vlan.iter().for_each(|vlan| add("vlan", &vlan.to_string()));
        text.parse::<Spec>().map_err(|error| value("spec", &self.spec, &error.to_string()))
    }
}

fn prefixes(list: &[String]) -> Result<Vec<Prefix>, ProfileError> {
    let parse = |text: &String| {
        text.parse::<Prefix>().map_err(|error| value("pool", text, &error.to_string()))
    };
    let prefixes = list.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    match prefixes.iter().find(|prefix| prefix.family() == Family::V6) {
        Some(prefix) => Err(value(
            "pool",
            &prefix.address.to_string(),
            "IPv4 is expected: IPv6 is not translated",
        )),
        None => Ok(prefixes),
    }
}

fn value(key: &'static str, value: &str, why: &str) -> ProfileError {
    ProfileError::Value { key, value: value.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests;
