//! External ports that were in use before a crash, and how many may rest (RFC 6888 REQ-8).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use vnf::engine::ids::Tick;
use vnf::engine::message::{Command, Event};
use vnf::mgmt::nat_journal::Book;

use crate::common::*;

const HOLD: Duration = Duration::from_secs(120);

/// Starts as `vnf run` does with what the journal tells.
fn start(book: &mut Book, config: &Config, workers: usize) -> Harness {
    let mut vnf = Harness::new(config.clone(), workers);
    let until = Tick(vnf.now().0 + HOLD.as_millis() as u64);
    for worker in &mut vnf.workers {
        let before = book.before().iter();
        let before = before.flat_map(|lease| lease.ranges().map(|ports| (lease.address, ports)));
        worker.pipeline.flows.ports.rest_again(before, until);
    }
    vnf
}

/// Lets the journal record what the workers ask for, and the workers hear of it.
fn record(vnf: &mut Harness, book: &mut Book) {
    for _ in 0..4 {
        vnf.settle();
        let events = std::mem::take(&mut vnf.events);
        for event in events {
            // Every worker has a part of the one address, so each may be told of all.
            if let Event::Lease(lease) = event {
                book.note(vnf.workers[0].id, &lease);
                book.commit().expect("a disk");
                vnf.command(|| Command::Lease(lease));
            }
        }
    }
}

fn ask(vnf: &mut Harness, host: usize, port: usize) -> Option<SocketAddr> {
    let question = udp(format!("10.0.0.{}:{}", 2 + host % 4, 5000 + port), "203.0.113.7:53");
    vnf.send("lan", &question);
    let left = vnf.try_take("wan").map(|frame| frame.source());
    vnf.discard();
    left
}

#[test]
fn rfc6888_req_8_nothing_used_before_a_crash_is_handed_out_within_the_hold_time() {
    for_workers(|workers| {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let config = Config::new("nat44.toml").nat44(&format!(
            "journal = \"{}\"\nport_range = \"1024-16383\"\nallocation = \"dynamic\"",
            path.display()
        ));
        let mut used = BTreeSet::new();
        for run in 0..3 {
            let mut book = Book::open(&path, HOLD).expect("a journal");
            assert_eq!(book.before().is_empty(), run == 0);
            let mut vnf = start(&mut book, &config, workers);
            record(&mut vnf, &mut book);
            for n in 0..60 {
                let endpoint =
                    ask(&mut vnf, n, n).expect("ports that do not rest are used at once");
                assert!(used.insert(endpoint), "run {run}: {endpoint} has not rested");
                record(&mut vnf, &mut book);
            }
            vnf.forget_counts();
        }
    });
}

#[test]
fn the_oldest_ports_at_rest_are_freed_early_when_there_are_too_many() {
    let config = Config::new("nat44.toml").nat44("max_held_ports = 5\nport_range = \"2000-2009\"");
    let mut vnf = Harness::new(config, 1);
    for n in 0..10 {
        ask(&mut vnf, 0, n).expect("a free port");
    }
    vnf.advance(seconds(301));
    assert_eq!((vnf.mappings(), vnf.resting(), vnf.ports_taken()), (0, 5, 5));
    let again: BTreeSet<_> = (0..5).map(|n| ask(&mut vnf, 1, n).expect("a free port")).collect();
    assert_eq!(again.len(), 5);
    assert_eq!(ask(&mut vnf, 1, 6), None, "the others rest");
}

#[test]
fn an_endpoint_at_rest_makes_room_in_a_full_table() {
    let config = Config::new("nat44.toml").replace("max_sessions = 1024", "max_sessions = 8");
    let mut vnf = Harness::new(config, 1);
    for n in 0..8 {
        ask(&mut vnf, 0, n).expect("a free port");
    }
    vnf.advance(seconds(301));
    assert_eq!((vnf.sessions(), vnf.resting()), (0, 8));
    for n in 0..8 {
        ask(&mut vnf, 1, n).expect("a free port");
    }
    assert_eq!((vnf.sessions(), vnf.resting(), vnf.ports_taken()), (8, 0, 8));
}
