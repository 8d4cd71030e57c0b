//! Whether ICMP errors about translated packets are translated, quoted packet included (RFC 5508 REQ-3 to REQ-6): each
//! type, each quoted protocol, both directions, with short and whole quotes.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use serde::Serialize;

use super::Ground;
use crate::checksum::Sum;
use crate::engine::Clock;
use crate::finding::{Finding, row};
use crate::frame::{ETHERNET, Frame, IPV4};
use crate::probe::{Arrived, IcmpError, Kind, PATIENCE_NS, Place, Prober, Protocol, TRIES};

/// What became of each error.
#[derive(Clone, Debug, Serialize)]
pub struct IcmpErrors {
    /// One for each protocol, type, direction and quote.
    pub cases: Vec<Case>,
    /// Errors that must not come through.
    pub refusals: Vec<Refusal>,
    /// Whether the quoted sessions still lived in the end (RFC 5508 REQ-6).
    pub sessions_survive: bool,
}

/// One ICMP error.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// Protocol of the quoted packet.
    pub protocol: Protocol,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// The port that the error entered by.
    pub from: Place,
    /// Whether the packet is quoted whole; else its header and eight octets (RFC 792).
    pub whole: bool,
    /// What was wrong with it; empty: nothing.
    pub faults: Vec<Fault>,
}

/// What can be wrong with a translated error.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Checksum of the IP header or the ICMP message wrong.
    Checksum,
    /// Wrong destination.
    Destination,
    /// MTU or pointer changed.
    Extra,
    /// Addresses or ports of the quoted packet not translated.
    InnerEndpoints,
    /// Header checksum of the quoted packet wrong.
    InnerIpChecksum,
    /// Transport checksum of the quoted packet wrong.
    InnerL4Checksum,
    /// Something else in the quoted packet changed.
    InnerOther,
    /// It did not arrive.
    Lost,
    /// Wrong source.
    Source,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checksum => "checksum",
            Self::Destination => "destination",
            Self::Extra => "mtu or pointer",
            Self::InnerEndpoints => "inner endpoints",
            Self::InnerIpChecksum => "inner IP checksum",
            Self::InnerL4Checksum => "inner transport checksum",
            Self::InnerOther => "inner packet",
            Self::Lost => "lost",
            Self::Source => "source",
        })
    }
}

/// An error that must be dropped.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Refusal {
    /// Why it must be.
    pub why: &'static str,
    /// Whether it was.
    pub dropped: bool,
}

/// A session, and what its two packets look like on either side.
struct Session {
    protocol: Protocol,
    inside: SocketAddrV4,
    external: SocketAddrV4,
    remote: SocketAddrV4,
    /// As sent by the inside host, and as it arrived outside.
    out: (Frame, Vec<u8>),
    /// As sent by the remote, and as it arrived inside.
    back: (Frame, Vec<u8>),
}

/// Sends every error there is, and some that must be dropped.
pub fn check<C: Clock>(prober: &mut Prober<'_, C>, ground: &mut Ground) -> IcmpErrors {
    let router = *ground.remote(1, 0).ip();
    let mut found = IcmpErrors { cases: Vec::new(), refusals: Vec::new(), sessions_survive: true };
    for protocol in Protocol::ALL {
        let Some(session) = Session::open(prober, ground, protocol) else {
            found.cases.push(Case::new(
                protocol,
                KINDS[0],
                Place::Outside,
                true,
                vec![Fault::Lost],
            ));
            continue;
        };
        for kind in KINDS {
            for from in [Place::Outside, Place::Inside] {
                for whole in [false, true] {
                    let faults = session.case(prober, router, kind, from, whole);
                    found.cases.push(Case::new(protocol, kind, from, whole, faults));
                }
            }
        }
        if protocol == Protocol::Udp {
            found.refusals = session.refusals(prober, router);
        }
        let reply = Kind::reply(protocol);
        let last = prober.ask(Place::Outside, reply, session.remote, session.external);
        found.sessions_survive &= last.is_some_and(|packet| packet.destination == session.inside);
    }
    found
}

impl Session {
    fn open<C: Clock>(
        prober: &mut Prober<'_, C>,
        ground: &mut Ground,
        protocol: Protocol,
    ) -> Option<Self> {
        let (inside, remote) = (ground.fresh(0), ground.remote(0, 7));
        let mut send = |at: Place, kind, from, to| prober.deliver(at, at.other(), kind, from, to);
        let (frame, packet) = send(Place::Inside, Kind::opening(protocol), inside, remote)?;
        let external = packet.source;
        let out = (frame, packet.octets);
        let (frame, packet) = send(Place::Outside, Kind::reply(protocol), remote, external)?;
        let back = (frame, packet.octets);
        Some(Self { protocol, inside, external, remote, out, back })
    }

    fn case<C: Clock>(
        &self,
        prober: &mut Prober<'_, C>,
        router: Ipv4Addr,
        kind: (u8, u8),
        from: Place,
        whole: bool,
    ) -> Vec<Fault> {
        // The receiver of a packet quotes what it got; the sender must read what it sent.
        let ((sent, quoted), source, destination) = match from {
            Place::Inside => (&self.back, *self.inside.ip(), *self.remote.ip()),
            Place::Outside => (&self.out, router, *self.external.ip()),
        };
        let len = if whole { quoted.len() } else { IPV4 + 8 };
        let expected = quote_of(sent, quoted, len);
        let error = message(source, destination, kind, &quoted[..len]);
        let arrived = (0..TRIES).find_map(|_| {
            prober.send_octets(from, error.clone());
            prober.wait(PATIENCE_NS, |arrived| match arrived {
                Arrived::Error(error) if error.place != from && error.kind == kind => {
                    Some(error.clone())
                }
                _ => None,
            })
        });
        let Some(arrived) = arrived else { return vec![Fault::Lost] };
        let ends = match from {
            Place::Inside => (*self.external.ip(), *self.remote.ip()),
            Place::Outside => (router, *self.inside.ip()),
        };
        judge(self.protocol, &arrived, ends, &expected)
    }

    /// Errors that belong to no session or are damaged: nothing may arrive inside.
    fn refusals<C: Clock>(&self, prober: &mut Prober<'_, C>, router: Ipv4Addr) -> Vec<Refusal> {
        let quoted = &self.out.1;
        let error = |quoted: &[u8]| message(router, *self.external.ip(), KINDS[0], quoted);
        let mut unknown = quoted.clone();
        unknown[21] ^= 0x55;
        let mut checksum = error(quoted);
        checksum[ETHERNET + IPV4 + 2] ^= 0x10;
        let mut inner = quoted.clone();
        inner[10] ^= 0x10;
        let cases = [
            ("the quoted packet belongs to no session", error(&unknown)),
            ("wrong ICMP checksum (REQ-3)", checksum),
            ("wrong header checksum of the quoted packet (REQ-3 a)", error(&inner)),
        ];
        let refuse = |(why, octets): (&'static str, Vec<u8>)| {
            prober.listen(0);
            prober.send_octets(Place::Outside, octets);
            let arrived = prober.wait(PATIENCE_NS, |arrived| {
                matches!(arrived, Arrived::Error(error) if error.place == Place::Inside)
                    .then_some(())
            });
            Refusal { why, dropped: arrived.is_none() }
        };
        cases.map(refuse).to_vec()
    }
}

/// Compares an error with what it shall be: its source and destination, and the start of the packet it quotes.
pub(super) fn judge(
    protocol: Protocol,
    error: &IcmpError,
    ends: (Ipv4Addr, Ipv4Addr),
    expected: &[u8],
) -> Vec<Fault> {
    let quote = error.quote.get(..expected.len());
    let differs = |range: Range<usize>| {
        quote.is_none_or(|quote| {
            let end = range.end.min(expected.len());
            range.start < end && quote[range.start..end] != expected[range.start..end]
        })
    };
    // Identifier and ports lie where the protocol has them, and so does the checksum.
    let (ports, checksum) = match protocol {
        Protocol::Icmp => (24..26, 22..24),
        Protocol::Tcp => (20..24, 36..38),
        Protocol::Udp => (20..24, 26..28),
    };
    let endpoints = differs(12..20) || differs(ports.clone());
    let mut rest = (0..expected.len())
        .filter(|at| !(10..20).contains(at) && !ports.contains(at) && !checksum.contains(at));
    let other = rest.any(|at| differs(at..at + 1));
    let faults = [
        (error.source != ends.0, Fault::Source),
        (error.destination != ends.1, Fault::Destination),
        (!error.intact, Fault::Checksum),
        (error.rest != REST, Fault::Extra),
        (endpoints, Fault::InnerEndpoints),
        (differs(10..12), Fault::InnerIpChecksum),
        (differs(checksum.clone()), Fault::InnerL4Checksum),
        (other, Fault::InnerOther),
    ];
    faults.into_iter().filter(|(is, _)| *is).map(|(_, fault)| fault).collect()
}

/// The first `len` octets of a packet as its sender knows it, with the TTL that it had when it was quoted; checksums
/// worked out anew.
pub(super) fn quote_of(sent: &Frame, quoted: &[u8], len: usize) -> Vec<u8> {
    let mut original = sent.clone().ttl(quoted[8]);
    original.minimum = 0;
    original.build()[ETHERNET..][..len].to_vec()
}

impl Case {
    fn new(
        protocol: Protocol,
        (kind, code): (u8, u8),
        from: Place,
        whole: bool,
        faults: Vec<Fault>,
    ) -> Self {
        Self { protocol, kind, code, from, whole, faults }
    }
}

/// An ICMP error in an Ethernet frame; what follows its checksum is [`REST`].
pub(crate) fn message(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    kind: (u8, u8),
    quote: &[u8],
) -> Vec<u8> {
    let [a, b, c, d] = REST;
    let (identifier, sequence) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let mut frame = Frame::echo(source.into(), destination.into(), identifier, sequence);
    frame.minimum = 0;
    let mut octets = frame.payload(quote).build();
    let message = &mut octets[ETHERNET + IPV4..];
    (message[0], message[1]) = kind;
    message[2..4].fill(0);
    let sum = Sum::default().bytes(message).checksum();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    octets
}

impl Finding for IcmpErrors {
    const NAME: &'static str = "nat-icmp-errors";

    fn table(&self) -> Vec<Vec<String>> {
        let mut rows = vec![row([&"quoted", &"type", &"code", &"from", &"quote", &"finding"])];
        for case in &self.cases {
            let from = if case.from == Place::Inside { "inside" } else { "outside" };
            let quote = if case.whole { "whole" } else { "8 octets" };
            let faults: Vec<String> = case.faults.iter().map(ToString::to_string).collect();
            let finding = if faults.is_empty() { "ok".to_owned() } else { faults.join(", ") };
            rows.push(row([&case.protocol, &case.kind, &case.code, &from, &quote, &finding]));
        }
        for refusal in &self.refusals {
            let finding = if refusal.dropped { "dropped" } else { "passed" };
            rows.push(row([&"must drop", &"", &"", &"outside", &"", &finding]));
            if let Some(last) = rows.last_mut() {
                last[5] = format!("{finding}: {}", refusal.why);
            }
        }
        rows
    }

    fn faults(&self) -> Vec<String> {
        let bad = self.cases.iter().filter(|case| !case.faults.is_empty());
        let cases = bad.map(|case| {
            let faults: Vec<String> = case.faults.iter().map(ToString::to_string).collect();
            let Case { protocol, kind, code, .. } = case;
            let from = if case.from == Place::Inside { "inside" } else { "outside" };
            let quote = if case.whole { "whole" } else { "8 octets" };
            format!(
                "{protocol} type {kind} code {code} from {from}, {quote}: {}",
                faults.join(", ")
            )
        });
        let passed = self.refusals.iter().filter(|refusal| !refusal.dropped);
        let passed = passed.map(|refusal| format!("passed, but {}", refusal.why));
        let survive = (!self.sessions_survive).then(|| "an error ended a session".to_owned());
        cases.chain(passed).chain(survive).collect()
    }
}

/// Type and code: net, host and port unreachable, fragmentation needed, time exceeded, parameter problem.
const KINDS: [(u8, u8); 6] = [(3, 1), (3, 0), (3, 3), (3, 4), (11, 0), (12, 0)];
/// The four octets after the checksum: in "fragmentation needed" an MTU of 1400.
const REST: [u8; 4] = [0, 0, 0x05, 0x78];
