//! Rules that a filter obeys, and a filter that is off by one.

mod middlebox;

use std::cell::Cell;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::rc::Rc;

use middlebox::packet::{Headers, arp_answer, seal};
use middlebox::world::{MACS, World, hosts, remotes, stream};
use pktgen::acl::{Checked, Rules, check, generate};
use pktgen::finding::Finding;
use pktgen::flow::Protocol;
use pktgen::frame::{Frame, RST};
use pktgen::measure::Bench;
use pktgen::probe::{Place, Prober};
use serde_json::json;

const RULES: &str = r#"
    default = "deny"
    [lists]
    in = "lan"
    [[rule]]
    action = "permit"
    protocol = "udp"
    destination_port = "100-200"
    [[rule]]
    action = "reject"
    protocol = "tcp"
    destination = "198.51.100.2"
"#;

/// A filter with these two rules, whose range ends at `last`; it counts what its rules match and what they do not.
fn ask(last: u16) -> Checked {
    let counts: Rc<[Cell<u64>; 3]> = Rc::default();
    let counted = counts.clone();
    let path = Box::new(move |now: u64, at: Place, mut frame: Vec<u8>| {
        if frame[12..14] == [8, 6] {
            return arp_answer(&frame).map(|answer| (now, at, answer)).into_iter().collect();
        }
        let Some(headers) = Headers::read(&frame) else { return vec![] };
        if headers.destination.ip().octets()[3] == 1 {
            return vec![]; // a ping to the filter itself
        }
        let count = |rule: usize| counted[rule].set(counted[rule].get() + 1);
        if headers.protocol == 17 && (100..=last).contains(&headers.destination.port()) {
            count(0);
            frame[..6].copy_from_slice(&MACS[at.other() as usize]);
            frame[22] -= 1;
            seal(&mut frame);
            return vec![(now, at.other(), frame)];
        }
        if headers.protocol == 6 && *headers.destination.ip() == Ipv4Addr::new(198, 51, 100, 2) {
            count(1);
            let (from, to) = (headers.destination.into(), headers.source.into());
            let reset = Frame::tcp(from, to, RST).macs([2; 6], MACS[at as usize]).build();
            return vec![(now, at, reset)];
        }
        count(2);
        vec![]
    });
    let rules = Rules::read(RULES).unwrap();
    let (inside, outside) = (hosts(), remotes());
    let may = |place, address| match place {
        Place::Inside => inside.contains(&address),
        Place::Outside => outside.contains(&address),
    };
    let probes = generate(&rules, 8, 7, [&inside, &outside], may);
    let (world, mut engine) = World::new(path, vec![stream(Protocol::Udp, 1)]);
    let mut bench = Bench::new(&mut engine, &world);
    bench.resolve().expect("gateways answer");
    let counters = || {
        let packets = |rule: usize| counts[rule].get();
        let rules = [json!({"packets": packets(0)}), json!({"packets": packets(1)})];
        let list = json!({"name": "lan", "rules": rules, "default_packets": packets(2)});
        Ok::<_, Infallible>(Some(json!([list])))
    };
    let Ok(found) = check(&mut Prober::new(bench, 7), &rules, &probes, counters);
    found
}

#[test]
fn a_filter_that_obeys_has_every_verdict_and_every_counter_right() {
    let found = ask(200);
    assert_eq!(found.faults(), Vec::<String>::new());
    assert_eq!(found.rules.len(), 3);
    for line in &found.rules {
        assert!(line.probes >= 4, "{line:?}");
        assert_eq!((line.right, line.counted), (line.probes, Some(line.probes)), "{line:?}");
    }
}

#[test]
fn a_range_that_ends_one_port_late_is_found() {
    let found = ask(201);
    assert!(found.wrong_count > 0, "{found:?}");
    assert!(found.wrong[0].contains("permit, not deny"), "{:?}", found.wrong);
    assert!(found.faults().iter().any(|fault| fault.starts_with("in, rule 0: counted")));
}
