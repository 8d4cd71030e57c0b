//! Questions about a NAT's behaviour, asked of a translator that has each behaviour there is.

mod middlebox;

use middlebox::world::{MACS, probe};
use middlebox::{Choice, Depends, Errors, Nat};
use pktgen::finding::Finding;
use pktgen::nat::errors::{self, Fault};
use pktgen::nat::mapping::{Behaviour, Expected, classify};
use pktgen::nat::ports::{Question, survey};
use pktgen::nat::timeouts::{State, measure};
use pktgen::nat::{hairpin, ports::Ports};
use pktgen::probe::{Place, Protocol};

fn nat() -> Nat {
    Nat::new(MACS)
}

fn behaviour(depends: Depends) -> Behaviour {
    match depends {
        Depends::Address => Behaviour::AddressDependent,
        Depends::AddressAndPort => Behaviour::AddressAndPortDependent,
        Depends::Nothing => Behaviour::EndpointIndependent,
    }
}

#[test]
fn each_mapping_and_filtering_behaviour_is_recognised() {
    let all = [Depends::Nothing, Depends::Address, Depends::AddressAndPort];
    for (mapping, filtering) in all.iter().flat_map(|m| all.map(|f| (*m, f))) {
        let expected =
            Expected { mapping: Some(behaviour(mapping)), filtering: Some(behaviour(filtering)) };
        let found = probe(Nat { mapping, filtering, ..nat() }, |prober, ground| {
            classify(prober, ground, expected)
        });
        for one in &found.protocols {
            if one.protocol == Protocol::Icmp {
                continue;
            }
            assert_eq!(one.mapping, expected.mapping, "{mapping:?} {filtering:?} {one:?}");
            assert_eq!(one.filtering, expected.filtering, "{mapping:?} {filtering:?} {one:?}");
        }
        assert_eq!(found.paired, Some(true));
        if mapping == Depends::Nothing {
            assert_eq!(found.faults(), Vec::<String>::new(), "{mapping:?} {filtering:?}");
        }
    }
}

#[test]
fn a_behaviour_other_than_asked_for_is_a_fault() {
    let expected = Expected { mapping: None, filtering: Some(Behaviour::EndpointIndependent) };
    let found = probe(nat(), |prober, ground| classify(prober, ground, expected));
    let faults = found.faults();
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert_eq!(faults[0], "udp: filtering is address-and-port-dependent, not endpoint-independent");
}

#[test]
fn arbitrary_pooling_is_told_from_paired() {
    let found = probe(Nat { paired: false, ..nat() }, |prober, ground| {
        classify(prober, ground, Expected::default())
    });
    assert_eq!(found.paired, Some(false));
}

#[test]
fn hairpinned_packets_and_errors_about_them_are_checked_behind_every_filter() {
    for filtering in [Depends::Nothing, Depends::Address, Depends::AddressAndPort] {
        let found = probe(Nat { filtering, ..nat() }, hairpin::check);
        assert_eq!(found.faults(), Vec::<String>::new(), "{filtering:?}");
        assert_eq!(found.protocols[0].hops, Some(1));
    }
    let none = probe(Nat { hairpin: false, ..nat() }, hairpin::check);
    assert_eq!(none.faults()[0], "udp: not delivered");
    let inside = probe(Nat { hairpin_external: false, ..nat() }, hairpin::check);
    assert!(inside.faults()[0].contains("not the sender's external endpoint"));
    let same = probe(Nat { errors: Errors::InnerUntranslated, ..nat() }, hairpin::check);
    assert!(same.protocols[0].error_faults.contains(&Fault::InnerEndpoints));
}

#[test]
fn translated_errors_pass_and_each_fault_in_them_is_named() {
    let found = probe(nat(), errors::check);
    assert_eq!(found.faults(), Vec::<String>::new());
    // Three protocols, six types, two directions, two lengths of quote.
    assert_eq!(found.cases.len(), 72);
    assert!(found.sessions_survive && found.refusals.iter().all(|refusal| refusal.dropped));
    let dropped = probe(Nat { errors: Errors::Dropped, ..nat() }, errors::check);
    assert!(dropped.cases.iter().all(|case| case.faults == [Fault::Lost]));
    let same = probe(Nat { errors: Errors::InnerUntranslated, ..nat() }, errors::check);
    assert!(same.cases.iter().all(|case| case.faults.contains(&Fault::InnerEndpoints)));
    let old = probe(Nat { errors: Errors::InnerChecksumsOld, ..nat() }, errors::check);
    for case in &old.cases {
        // Eight octets of TCP do not reach its checksum.
        let both = case.protocol != Protocol::Tcp || case.whole;
        let expected = [Fault::InnerIpChecksum, Fault::InnerL4Checksum];
        assert_eq!(case.faults, expected[..if both { 2 } else { 1 }], "{case:?}");
    }
    assert_eq!(old.cases.iter().filter(|case| case.from == Place::Inside).count(), 36);
}

#[test]
fn timeouts_are_found_to_a_tenth_of_a_second() {
    let timeouts = [2_000, 1_130, 700, 4_370].map(|ms| ms * 1_000_000);
    for (state, seconds) in State::ALL.into_iter().zip([2.0, 1.13, 0.7, 4.37]) {
        let found = probe(Nat { timeouts, ..nat() }, |prober, ground| {
            measure(prober, ground, state, 10_000_000_000, 100_000_000)
        });
        let (alive, expired) = (found.alive_s.unwrap(), found.expired_s.unwrap());
        assert!(alive <= seconds && seconds <= expired + 1e-3, "{state}: {found:?}");
        assert!(expired - alive <= 0.1 + 1e-9, "{state}: {found:?}");
        assert!(found.passes <= 3, "{found:?}");
    }
}

#[test]
fn a_timeout_beyond_the_limit_is_not_made_up() {
    let found = probe(nat(), |prober, ground| {
        measure(prober, ground, State::Udp, 1_000_000_000, 100_000_000)
    });
    assert_eq!((found.alive_s, found.expired_s), (Some(1.0), None));
}

fn ports(nat: Nat, flows: u32, hosts: usize) -> Ports {
    let question = Question { protocol: Protocol::Udp, flows, hosts, seed: 5, gap_ns: 0 };
    probe(nat, |prober, ground| survey(prober, ground, question))
}

#[test]
fn the_choice_of_ports_is_described() {
    let preserved = ports(Nat { choice: Choice::Preserved, ..nat() }, 500, 1);
    assert_eq!((preserved.opened, preserved.preserved, preserved.parity_kept), (500, 500, 500));
    let counter = ports(Nat { choice: Choice::Counter, ..nat() }, 1000, 1);
    assert_eq!(counter.successive, 999);
    assert!(counter.steps.unwrap().p_value < 1e-9);
    let random = ports(nat(), 2000, 4);
    assert!(random.spread.unwrap().p_value > 1e-4, "{:?}", random.spread);
    assert_eq!((random.addresses.len(), random.unpaired_hosts), (2, 0));
    assert_eq!(random.faults(), Vec::<String>::new());
}

#[test]
fn exhaustion_is_where_the_table_is_full() {
    let found = ports(Nat { capacity: 1500, ..nat() }, 5000, 2);
    assert_eq!((found.opened, found.exhausted_after), (1500, Some(1500)));
}
