//! Whether packet filters decide as their rules say: probes for every rule, inside and just outside of it, and a first-match
//! evaluation of our own.

mod check;
mod probes;

use std::fmt;
use std::net::Ipv4Addr;

pub use check::{Checked, check};
pub use probes::{Probe, generate};
use serde::{Deserialize, Serialize};

use crate::prefix::Prefix;
use crate::probe::{Place, Protocol};

/// A rules file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// What becomes of packets that no rule matches.
    pub default: Action,
    /// Names of the tested system's lists, whose counters are checked.
    #[serde(default)]
    pub lists: Lists,
    /// In order; the first that matches decides.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
}

/// How the tested system calls the list of each port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lists {
    /// Of what enters at the first port.
    #[serde(rename = "in")]
    pub inside: Option<String>,
    /// Of what enters at the second port.
    #[serde(rename = "out")]
    pub outside: Option<String>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Drops silently.
    Deny,
    /// Lets pass.
    Permit,
    /// Drops, with a TCP reset or an ICMP error.
    Reject,
}

/// One rule of a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Where the packets enter.
    #[serde(default)]
    pub from: Side,
    /// What becomes of them.
    pub action: Action,
    /// Above IP; absent: any.
    #[serde(default)]
    protocol: Option<Name>,
    #[serde(default)]
    source: Many<Net>,
    #[serde(default)]
    destination: Many<Net>,
    #[serde(default)]
    source_port: Many<Ports>,
    #[serde(default)]
    destination_port: Many<Ports>,
}

/// A port of pktgen's.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The first.
    #[default]
    In,
    /// The second.
    Out,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Name {
    Any,
    Icmp,
    Tcp,
    Udp,
}

/// One value or a list; none is any.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Many<T> {
    List(Vec<T>),
    One(T),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Net(Option<(u32, u32)>); // first and last; none: any

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "PortsText")]
struct Ports(Option<(u16, u16)>);

#[derive(Deserialize)]
#[serde(untagged)]
enum PortsText {
    Number(u16),
    Text(String),
}

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl<T: Copy> Many<T> {
    fn list(&self) -> &[T] {
        match self {
            Self::List(list) => list,
            Self::One(one) => std::slice::from_ref(one),
        }
    }
}

impl TryFrom<String> for Net {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "any" {
            return Ok(Self(None));
        }
        let wrong = || format!("'{text}' is no IPv4 prefix, and not \"any\"");
        let prefix: Prefix = text.parse().map_err(|_| wrong())?;
        if prefix.family() != crate::endpoint::Family::V4 {
            return Err(wrong());
        }
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix.len)).unwrap_or(0);
        let address = prefix.address.low();
        Ok(Self(Some((address & mask, address | !mask))))
    }
}

impl TryFrom<PortsText> for Ports {
    type Error = String;

    fn try_from(text: PortsText) -> Result<Self, String> {
        let text = match text {
            PortsText::Number(port) => return Ok(Self(Some((port, port)))),
            PortsText::Text(text) => text,
        };
        if text == "any" {
            return Ok(Self(None));
        }
        let (low, high) = text.split_once('-').unwrap_or((&text, &text));
        match (low.parse(), high.parse()) {
            (Ok(low), Ok(high)) if low <= high => Ok(Self(Some((low, high)))),
            _ => Err(format!("'{text}' is no port, no range such as 80-90, and not \"any\"")),
        }
    }
}

impl Rules {
    /// Reads a file; an error says where it is wrong.
    pub fn read(text: &str) -> Result<Self, String> {
        toml_edit::de::from_str(text).map_err(|error| error.to_string().trim().to_owned())
    }

    /// The list of a port, each rule with its place in the list.
    pub fn list(&self, side: Side) -> impl Iterator<Item = (usize, &Rule)> {
        self.rules.iter().filter(move |rule| rule.from == side).enumerate()
    }

    /// The place of the first rule that matches, and what becomes of the packet.
    pub fn decide(&self, probe: &Probe) -> (Option<usize>, Action) {
        let side = if probe.from == Place::Inside { Side::In } else { Side::Out };
        let found = self.list(side).find(|(_, rule)| rule.matches(probe));
        found.map_or((None, self.default), |(place, rule)| (Some(place), rule.action))
    }
}

impl Rule {
    /// Whether a packet is this rule's, if no other before it matches.
    pub fn matches(&self, probe: &Probe) -> bool {
        let within = |nets: &Many<Net>, address: Ipv4Addr| {
            let mut nets = nets.list().iter();
            nets.len() == 0
                || nets.any(|net| {
                    net.0.is_none_or(|(low, high)| (low..=high).contains(&address.to_bits()))
                })
        };
        let port = |ports: &Many<Ports>, port: u16| {
            let mut ports = ports.list().iter();
            ports.len() == 0
                || ports.any(|range| {
                    // A query has no ports: only what says nothing about them matches.
                    range.0.is_none_or(|(low, high)| {
                        probe.protocol != Protocol::Icmp && (low..=high).contains(&port)
                    })
                })
        };
        self.protocol().is_none_or(|protocol| protocol == probe.protocol)
            && within(&self.source, *probe.source.ip())
            && within(&self.destination, *probe.destination.ip())
            && port(&self.source_port, probe.source.port())
            && port(&self.destination_port, probe.destination.port())
    }

    fn protocol(&self) -> Option<Protocol> {
        match self.protocol? {
            Name::Any => None,
            Name::Icmp => Some(Protocol::Icmp),
            Name::Tcp => Some(Protocol::Tcp),
            Name::Udp => Some(Protocol::Udp),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Deny => "deny",
            Self::Permit => "permit",
            Self::Reject => "reject",
        })
    }
}
