//! Which packets tell whether rules are obeyed: the corners of every rule, and what lies just beyond them.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::{Many, Net, Ports, Rule, Rules, Side};
use crate::probe::{Place, Protocol};
use crate::trailer::siphash;

/// One packet to send.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Probe {
    /// Where it enters.
    pub from: Place,
    /// What it is.
    pub protocol: Protocol,
    /// Its source; a query's identifier stands in the port's place.
    pub source: SocketAddrV4,
    /// Its destination; a query has port 0.
    pub destination: SocketAddrV4,
}

/// Probes for every rule, at most `each` for what it matches and as many for what it does not.
///
/// `may` tells whether an address can be used at a port: as a source there, or as a destination behind it.
pub fn generate(
    rules: &Rules,
    each: usize,
    seed: u64,
    subnets: [&[Ipv4Addr]; 2],
    may: impl Fn(Place, Ipv4Addr) -> bool,
) -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut seen = HashSet::new();
    for (number, rule) in rules.rules.iter().enumerate() {
        let from = if rule.from == Side::In { Place::Inside } else { Place::Outside };
        let near = subnets[from as usize];
        let far = subnets[from.other() as usize];
        for beyond in [false, true] {
            let mut found = 0;
            for attempt in 0..each as u64 * TRIES {
                let dice =
                    Dice { seed, number: (number as u64) << 32 | attempt << 1 | beyond as u64 };
                let probe = draw(rule, from, attempt, beyond, dice, near, far);
                let is_usable =
                    may(from, *probe.source.ip()) && may(from.other(), *probe.destination.ip());
                if is_usable && rule.matches(&probe) != beyond && seen.insert(probe) {
                    probes.push(probe);
                    found += 1;
                    if found == each {
                        break;
                    }
                }
            }
        }
    }
    probes
}

/// Numbers that look random and are the same each time.
#[derive(Clone, Copy)]
struct Dice {
    seed: u64,
    number: u64,
}

impl Dice {
    fn roll(self, what: u64, sides: u64) -> u64 {
        siphash(self.seed ^ what << 56, self.number) % sides.max(1)
    }

    fn choose<T: Copy>(self, what: u64, list: &[T]) -> Option<T> {
        (!list.is_empty()).then(|| list[self.roll(what, list.len() as u64) as usize])
    }
}

/// A packet that the rule matches; `beyond`: except in one respect, by as little as possible.
fn draw(
    rule: &Rule,
    from: Place,
    attempt: u64,
    beyond: bool,
    dice: Dice,
    near: &[Ipv4Addr],
    far: &[Ipv4Addr],
) -> Probe {
    let wrong = if beyond { 1 + dice.roll(1, 5) } else { 0 };
    // First the lower corner, then the upper one, then anything between.
    let corner = |what: u64| if attempt < 2 { attempt } else { dice.roll(what, 4) };
    let address = |nets: &Many<Net>, hosts: &[Ipv4Addr], what: u64| {
        let chosen = dice.choose(what, nets.list()).and_then(|net| net.0);
        let Some((low, high)) = chosen else {
            return dice.choose(what + 1, hosts).unwrap_or(Ipv4Addr::UNSPECIFIED);
        };
        let bits = match (wrong == what, corner(what + 2)) {
            (true, corner) if corner.is_multiple_of(2) => low.wrapping_sub(1),
            (true, _) => high.wrapping_add(1),
            (false, 0) => low,
            (false, 1) => high,
            (false, _) => low + dice.roll(what + 3, u64::from(high - low) + 1) as u32,
        };
        Ipv4Addr::from_bits(bits)
    };
    let port = |ports: &Many<Ports>, what: u64| {
        let Some((low, high)) = dice.choose(what, ports.list()).and_then(|range| range.0) else {
            return 1024 + dice.roll(what + 1, 64_512) as u16;
        };
        match (wrong == what, corner(what + 2)) {
            (true, corner) if corner.is_multiple_of(2) => low.wrapping_sub(1),
            (true, _) => high.wrapping_add(1),
            (false, 0) => low,
            (false, 1) => high,
            (false, _) => low + dice.roll(what + 3, u64::from(high - low) + 1) as u16,
        }
    };
    let protocols = match (rule.protocol(), wrong) {
        (Some(own), 5) => Protocol::ALL.into_iter().filter(|other| *other != own).collect(),
        (Some(own), _) => vec![own],
        (None, _) => Protocol::ALL.to_vec(),
    };
    let protocol = dice.choose(6, &protocols).unwrap_or(Protocol::Udp);
    let source = address(&rule.source, near, 1);
    let destination = address(&rule.destination, far, 2);
    let (source_port, destination_port) =
        (port(&rule.source_port, 3), port(&rule.destination_port, 4));
    let destination_port = if protocol == Protocol::Icmp { 0 } else { destination_port };
    Probe {
        from,
        protocol,
        source: SocketAddrV4::new(source, source_port),
        destination: SocketAddrV4::new(destination, destination_port),
    }
}

/// How often a probe of a kind is looked for, for each that is wanted.
const TRIES: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::Action;

    const RULES: &str = r#"
        default = "deny"
        [[rule]]
        action = "permit"
        protocol = "tcp"
        source = "10.0.0.0/28"
        destination_port = [80, "440-443"]
        [[rule]]
        action = "reject"
        protocol = "udp"
        destination = ["198.51.100.2", "198.51.100.4"]
        [[rule]]
        action = "permit"
        from = "out"
        protocol = "icmp"
    "#;

    #[test]
    fn probes_lie_in_and_just_beyond_every_rule() {
        let rules = Rules::read(RULES).unwrap();
        let inside: Vec<_> = (2..30).map(|last| Ipv4Addr::new(10, 0, 0, last)).collect();
        let outside: Vec<_> = (2..30).map(|last| Ipv4Addr::new(198, 51, 100, last)).collect();
        let may = |place, address: Ipv4Addr| match place {
            Place::Inside => inside.contains(&address),
            Place::Outside => outside.contains(&address),
        };
        let probes = generate(&rules, 48, 7, [&inside, &outside], may);
        for rule in &rules.rules {
            let of = |wanted: bool| probes.iter().filter(|p| rule.matches(p) == wanted).count();
            assert!(of(true) >= 4 && of(false) >= 4, "{rule:?}: {} {}", of(true), of(false));
        }
        let ports: HashSet<u16> = probes.iter().map(|probe| probe.destination.port()).collect();
        for edge in [80, 440, 443] {
            assert!(ports.contains(&edge), "{edge}");
        }
        assert!([79, 81, 439, 444].iter().any(|beyond| ports.contains(beyond)));
        assert_eq!(probes, generate(&rules, 48, 7, [&inside, &outside], may), "the same seed");
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = Rules::read(RULES).unwrap();
        let probe = |source: &str, destination: &str, protocol| Probe {
            from: Place::Inside,
            protocol,
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        };
        let decide =
            |source, destination, protocol| rules.decide(&probe(source, destination, protocol));
        let tcp = Protocol::Tcp;
        assert_eq!(decide("10.0.0.2:1", "198.51.100.9:441", tcp), (Some(0), Action::Permit));
        assert_eq!(decide("10.0.0.16:1", "198.51.100.9:441", tcp), (None, Action::Deny));
        let udp = Protocol::Udp;
        assert_eq!(decide("10.0.0.2:1", "198.51.100.4:9", udp), (Some(1), Action::Reject));
        assert_eq!(decide("10.0.0.2:1", "198.51.100.3:9", udp), (None, Action::Deny));
    }

    #[test]
    fn mistakes_in_a_file_are_named() {
        for (text, part) in [
            ("", "default"),
            ("default = \"pass\"", "pass"),
            ("default = \"deny\"\n[[rule]]\naction = \"permit\"\ncolor = 1", "color"),
            (
                "default = \"deny\"\n[[rule]]\naction = \"permit\"\nsource = \"10.0.0.0/33\"",
                "source",
            ),
            (
                "default = \"deny\"\n[[rule]]\naction = \"permit\"\ndestination_port = \"9-1\"",
                "port",
            ),
        ] {
            let error = Rules::read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
