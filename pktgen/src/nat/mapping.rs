//! Which mapping and filtering behaviour a NAT has (RFC 4787 sections 4.1 and 5, asked as RFC 5780 does).

use std::fmt;
use std::net::SocketAddrV4;

use serde::Serialize;

use super::Ground;
use crate::engine::Clock;
use crate::finding::{Finding, row};
use crate::frame::SYN;
use crate::probe::{Kind, Place, Prober, Protocol};

/// What a mapping, or a filter, depends on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// The remote's address and port.
    AddressAndPortDependent,
    /// The remote's address.
    AddressDependent,
    /// Nothing but the inside endpoint.
    EndpointIndependent,
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AddressAndPortDependent => "address-and-port-dependent",
            Self::AddressDependent => "address-dependent",
            Self::EndpointIndependent => "endpoint-independent",
        })
    }
}

/// The behaviour for each protocol.
#[derive(Clone, Debug, Serialize)]
pub struct MappingType {
    /// In the order of [`Protocol::ALL`].
    pub protocols: Vec<Classified>,
    /// Whether all mappings of a host have one external address (RFC 4787 REQ-2).
    pub paired: Option<bool>,
    /// What was asked for.
    pub expected: Expected,
}

/// What the behaviour shall be, where that was said.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Expected {
    /// Mapping behaviour.
    pub mapping: Option<Behaviour>,
    /// Filtering behaviour.
    pub filtering: Option<Behaviour>,
}

/// The behaviour for one protocol; `None`: no answer came through.
#[derive(Clone, Debug, Serialize)]
pub struct Classified {
    /// The protocol.
    pub protocol: Protocol,
    /// RFC 4787 section 4.1.
    pub mapping: Option<Behaviour>,
    /// RFC 4787 section 5.
    pub filtering: Option<Behaviour>,
    /// Of one inside endpoint, to a remote endpoint, to another port of the same remote, and to another remote.
    pub externals: Vec<SocketAddrV4>,
}

/// Asks for all protocols.
pub fn classify<C: Clock>(
    prober: &mut Prober<'_, C>,
    ground: &mut Ground,
    expected: Expected,
) -> MappingType {
    let protocols = Protocol::ALL.map(|protocol| one(prober, ground, protocol)).to_vec();
    let remote = ground.remote(0, PORTS[0]);
    let pairs: Vec<_> = (0..PAIRED).map(|_| (ground.fresh(1), remote)).collect();
    let externals = prober.open(Kind::Udp, &pairs, 0);
    let mut addresses = externals.iter().flatten().map(SocketAddrV4::ip);
    let paired = addresses.next().map(|first| addresses.all(|other| other == first));
    MappingType { protocols, paired, expected }
}

fn one<C: Clock>(
    prober: &mut Prober<'_, C>,
    ground: &mut Ground,
    protocol: Protocol,
) -> Classified {
    let kind = Kind::opening(protocol);
    // A query has no remote port: the second question would be the first once more.
    let has_ports = protocol != Protocol::Icmp;
    let near = ground.remote(0, PORTS[0]);
    let (port, far) = (ground.remote(0, PORTS[1]), ground.remote(1, PORTS[1]));
    let inside = ground.fresh(0);
    let mut external = |to| Some(prober.ask(Place::Inside, kind, inside, to)?.source);
    let answers = (external(near), external(port), external(far));
    let mapping = match answers {
        (Some(first), _, Some(far)) if first == far => Some(Behaviour::EndpointIndependent),
        (Some(first), Some(port), Some(_)) if first == port => Some(Behaviour::AddressDependent),
        (Some(_), Some(_), Some(_)) => Some(Behaviour::AddressAndPortDependent),
        _ => None,
    };
    let externals = [answers.0, answers.1, answers.2].into_iter().flatten().collect();
    let inside = ground.fresh(0);
    let external = prober.ask(Place::Inside, kind, inside, near).map(|packet| packet.source);
    let filtering = external.and_then(|external| {
        let mut passes = |kind, from| {
            let packet = prober.ask(Place::Outside, kind, from, external);
            packet.is_some_and(|packet| packet.destination == inside)
        };
        let stranger = match protocol {
            Protocol::Icmp => Kind::EchoReply,
            Protocol::Tcp => Kind::Tcp(SYN),
            Protocol::Udp => Kind::Udp,
        };
        if passes(stranger, far) {
            Some(Behaviour::EndpointIndependent)
        } else if !has_ports || passes(stranger, port) {
            passes(Kind::reply(protocol), near).then_some(Behaviour::AddressDependent)
        } else {
            passes(Kind::reply(protocol), near).then_some(Behaviour::AddressAndPortDependent)
        }
    });
    Classified { protocol, mapping, filtering, externals }
}

impl Finding for MappingType {
    const NAME: &'static str = "nat-mapping-type";

    fn table(&self) -> Vec<Vec<String>> {
        let mut rows = vec![row([&"protocol", &"mapping", &"filtering", &"external endpoints"])];
        let word =
            |found: Option<Behaviour>| found.map_or("no answer".to_owned(), |b| b.to_string());
        for Classified { protocol, mapping, filtering, externals } in &self.protocols {
            let externals: Vec<String> = externals.iter().map(ToString::to_string).collect();
            rows.push(row([protocol, &word(*mapping), &word(*filtering), &externals.join(" ")]));
        }
        let paired = match self.paired {
            Some(true) => "paired",
            Some(false) => "arbitrary",
            None => "no answer",
        };
        rows.push(row([&"pooling", &paired]));
        rows
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for found in &self.protocols {
            let protocol = found.protocol;
            let pairs = [
                ("mapping", found.mapping, self.expected.mapping),
                ("filtering", found.filtering, self.expected.filtering),
            ];
            for (what, found, expected) in pairs {
                // To queries, which have no remote port, the two dependent behaviours are one.
                let expected = expected.map(|expected| match (protocol, expected) {
                    (Protocol::Icmp, Behaviour::AddressAndPortDependent) if what == "filtering" => {
                        Behaviour::AddressDependent
                    }
                    _ => expected,
                });
                match (found, expected) {
                    (None, _) => faults.push(format!("{protocol}: no answer about {what}")),
                    (Some(found), Some(expected)) if found != expected => {
                        faults.push(format!("{protocol}: {what} is {found}, not {expected}"));
                    }
                    _ => {}
                }
            }
        }
        faults
    }
}

/// Of the remote hosts.
const PORTS: [u16; 2] = [7, 9];
/// Mappings of one host that are looked at for their address.
const PAIRED: usize = 16;
