//! Whether two inside hosts reach each other by their external endpoints (RFC 4787 REQ-9, RFC 5382 REQ-8), and errors
//! about it come back (RFC 5508 REQ-7; queries need it with one-to-one translation only).

use serde::Serialize;

use super::Ground;
use super::errors::{self, judge, message, quote_of};
use crate::engine::Clock;
use crate::finding::{Finding, row};
use crate::probe::{Arrived, Kind, PATIENCE_NS, Place, Prober, Protocol, TRIES};

/// What became of hairpinned packets.
#[derive(Clone, Debug, Serialize)]
pub struct Hairpin {
    /// UDP and TCP.
    pub protocols: Vec<Turned>,
}

/// One protocol.
#[derive(Clone, Debug, Serialize)]
pub struct Turned {
    /// The protocol.
    pub protocol: Protocol,
    /// Whether both hosts have external endpoints at all.
    pub reachable: bool,
    /// Whether a packet to the other's external endpoint arrives.
    pub delivered: bool,
    /// Whether it comes from the sender's external endpoint, as RFC 4787 REQ-9 a) wants.
    pub external_source: bool,
    /// Whether the answer comes back.
    pub answered: bool,
    /// Whether all checksums were right.
    pub intact: bool,
    /// By how much TTL shrank.
    pub hops: Option<u8>,
    /// What was wrong with an ICMP error about the packet; empty: nothing.
    pub error_faults: Vec<errors::Fault>,
}

/// Tries both protocols.
pub fn check<C: Clock>(prober: &mut Prober<'_, C>, ground: &mut Ground) -> Hairpin {
    let protocols = [Protocol::Udp, Protocol::Tcp];
    Hairpin { protocols: protocols.map(|protocol| one(prober, ground, protocol)).to_vec() }
}

fn one<C: Clock>(prober: &mut Prober<'_, C>, ground: &mut Ground, protocol: Protocol) -> Turned {
    let kind = Kind::opening(protocol);
    let remote = ground.remote(0, 7);
    let (caller, called) = (ground.fresh(0), ground.fresh(1));
    let mut external = |from| Some(prober.ask(Place::Inside, kind, from, remote)?.source);
    let externals = external(caller).zip(external(called));
    let mut turned = Turned {
        protocol,
        reachable: externals.is_some(),
        delivered: false,
        external_source: false,
        answered: false,
        intact: true,
        hops: None,
        error_faults: Vec::new(),
    };
    let Some((caller_external, called_external)) = externals else { return turned };
    let mut turn = |kind, from, to| prober.deliver(Place::Inside, Place::Inside, kind, from, to);
    // What filters by the remote endpoint wants the called host to have spoken first.
    let _ = turn(kind, called, caller_external);
    let Some((sent, call)) = turn(kind, caller, called_external) else { return turned };
    turned.delivered = call.destination == called;
    turned.external_source = call.source == caller_external;
    turned.hops = 64_u8.checked_sub(call.ttl);
    turned.intact = call.intact;
    if let Some((_, answer)) = turn(Kind::reply(protocol), called, call.source) {
        turned.answered = answer.destination == caller;
        turned.intact &= answer.intact;
    }
    let kind = (3, 3);
    let error = message(*called.ip(), *call.source.ip(), kind, &call.octets);
    let arrived = (0..TRIES).find_map(|_| {
        prober.send_octets(Place::Inside, error.clone());
        prober.wait(PATIENCE_NS, |arrived| match arrived {
            Arrived::Error(error) if error.kind == kind => Some(error.clone()),
            _ => None,
        })
    });
    let ends = (*called_external.ip(), *caller.ip());
    let expected = quote_of(&sent, &call.octets, call.octets.len());
    turned.error_faults =
        arrived.map_or(vec![errors::Fault::Lost], |error| judge(protocol, &error, ends, &expected));
    turned
}

impl Turned {
    fn faults(&self) -> Vec<String> {
        let checks = [
            (self.reachable, "no mapping could be opened"),
            (self.delivered, "not delivered"),
            (self.external_source, "the source is not the sender's external endpoint"),
            (self.answered, "the answer is lost"),
            (self.intact, "a checksum is wrong"),
        ];
        let failed = |(right, fault): &(bool, &str)| (!right).then(|| (*fault).to_owned());
        // What was not delivered can be nothing else besides.
        let known = if self.delivered { checks.len() } else { 2 };
        let faults = checks[..known].iter().filter_map(failed);
        if !self.delivered {
            return faults.take(1).collect();
        }
        let errors = self.error_faults.iter().map(|fault| format!("ICMP error: {fault}"));
        faults.chain(errors).collect()
    }
}

impl Finding for Hairpin {
    const NAME: &'static str = "nat-hairpin";

    fn table(&self) -> Vec<Vec<String>> {
        let mut rows = vec![row([&"protocol", &"hops", &"finding"])];
        for turned in &self.protocols {
            let hops = turned.hops.map_or("-".to_owned(), |hops| hops.to_string());
            let faults = turned.faults();
            let finding = if faults.is_empty() { "ok".to_owned() } else { faults.join(", ") };
            rows.push(row([&turned.protocol, &hops, &finding]));
        }
        rows
    }

    fn faults(&self) -> Vec<String> {
        let one = |turned: &Turned| {
            let protocol = turned.protocol;
            turned.faults().into_iter().map(move |fault| format!("{protocol}: {fault}"))
        };
        self.protocols.iter().flat_map(one).collect()
    }
}
