//! Which external ports a host gets: its own blocks, or those computed for it (RFC 6888 REQ-4 and 8, RFC 7422).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use vnf::engine::message::{Command, Event, Filter, HostRecord, Page};
use vnf::nat::Deterministic;

use crate::common::*;

/// Eight blocks of sixteen ports, two for a host at most.
fn blocks() -> Config {
    Config::new("nat44.toml").nat44(
        "allocation = \"port-blocks\"\nport_range = \"1024-1151\"\n\
         port_block_size = 16\nmax_blocks_per_host = 2",
    )
}

/// Twenty ports for each of six hosts, and eight blocks of five kept for overflow.
fn computed() -> Config {
    Config::new("nat44.toml")
        .nat44(
            "allocation = \"deterministic\"\nport_range = \"1024-1183\"\n\
             port_block_size = 5\nmax_blocks_per_host = 1",
        )
        .more("[nat44.deterministic]\ninternal = [\"10.0.0.0/29\"]\noverflow_factor = 2")
}

fn question(host: u8, port: u16) -> Packet {
    udp(format!("10.0.0.{host}:{port}"), "203.0.113.7:53")
}

/// Opens this many mappings of a host.
fn open(vnf: &mut Harness, host: u8, count: u16) -> Vec<SocketAddr> {
    let open = |n| {
        vnf.send("lan", &question(host, 5000 + n));
        vnf.expect_translated("wan", &question(host, 5000 + n))
    };
    (0..count).map(open).collect()
}

/// Lets everything time out and rest.
fn drain(vnf: &mut Harness) {
    vnf.advance(seconds(301));
    vnf.advance(seconds(121));
}

/// A host is told that there is no port for it.
fn expect_refused(vnf: &mut Harness, packet: &Packet) {
    vnf.forget_counts();
    vnf.send("lan", packet);
    vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 3, 1, packet));
    vnf.counted(["nat-ports-exhausted", "originated", "lan.transmitted"]);
}

/// The hosts that the workers tell of, each with its blocks.
fn hosts(vnf: &mut Harness) -> Vec<(HostRecord, Vec<(u16, u16)>)> {
    vnf.command(|| Command::ListHosts(Page::new(0, Filter::default(), 100)));
    let mut hosts = Vec::new();
    for event in std::mem::take(&mut vnf.events) {
        if let Event::Hosts(page) = event {
            hosts.extend(page.rows);
        }
    }
    hosts.sort_by_key(|host| host.internal);
    hosts.into_iter().map(|h| (h, h.blocks[..h.block_count as usize].to_vec())).collect()
}

/// Blocks that were opened and closed since the last time: the host's last octet, the first port, whether opened.
fn changes(vnf: &mut Harness) -> Vec<(u8, u16, bool)> {
    let mut found = Vec::new();
    for worker in &mut vnf.workers {
        let (changes, lost) = worker.pipeline.flows.hosts.take_block_changes();
        found.extend(
            changes.map(|change| (change.host.address as u8, change.ports.0, change.opened)),
        );
        assert_eq!(lost, 0);
    }
    found
}

fn distinct<T: Ord>(all: impl IntoIterator<Item = T>) -> usize {
    all.into_iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn rfc6888_req_4_a_host_gets_blocks_up_to_its_limit() {
    for_workers(|workers| {
        // Four blocks for each worker, as both hosts may have the same one.
        let config = blocks().replace("1024-1151", "1024-1215");
        let mut vnf = Harness::new(config, workers);
        let externals = open(&mut vnf, 2, 16);
        assert_eq!(distinct(externals.iter().map(|e| (e.port() - 1024) / 16)), 1, "one block");
        // All protocols share the block.
        for packet in
            [tcp("10.0.0.2:5000", "203.0.113.7:80", "S"), ping("10.0.0.2:7", "203.0.113.7")]
        {
            vnf.send("lan", &packet);
            let external = vnf.expect_translated("wan", &packet);
            assert_eq!((external.port() - 1024) / 16, (externals[0].port() - 1024) / 16);
        }
        for n in 16..32 {
            vnf.send("lan", &question(2, 5000 + n));
            vnf.expect_translated("wan", &question(2, 5000 + n));
        }
        let opened = changes(&mut vnf);
        assert_eq!(opened.iter().map(|c| (c.0, c.2)).collect::<Vec<_>>(), [(2, true), (2, true)]);
        expect_refused(&mut vnf, &question(2, 6000));
        assert_eq!(changes(&mut vnf), []);

        // Neither the neighbour nor what the host has already is touched.
        let neighbor = open(&mut vnf, 3, 1)[0];
        let listed = hosts(&mut vnf);
        let mut own: Vec<u16> = opened.iter().map(|change| change.1).collect();
        own.reverse();
        let blocks: Vec<u16> = listed[0].1.iter().map(|block| block.0).collect();
        assert_eq!((blocks, listed[0].0.mappings), (own, 34), "the newest block first");
        let (first, last) = listed[1].1[0];
        assert!((first..=last).contains(&neighbor.port()) && last - first == 15);
        vnf.send("lan", &question(2, 5000));
        vnf.expect("wan", &question(2, 5000).from(externals[0]));
        vnf.send("wan", &udp("203.0.113.7:53", externals[0]));
        vnf.expect("lan", &udp("203.0.113.7:53", "10.0.0.2:5000"));
    });
}

#[test]
fn rfc6888_req_8_a_block_is_returned_when_its_last_port_has_rested() {
    for_workers(|workers| {
        let mut vnf = Harness::new(blocks(), workers);
        open(&mut vnf, 2, 20);
        vnf.advance(seconds(301));
        assert_eq!((vnf.mappings(), vnf.resting(), vnf.hosts()), (0, 20, 1));
        assert_eq!(hosts(&mut vnf)[0].1.len(), 2, "both blocks are still its own");
        // Sixteen of its ports rest, so it gets one of the other twelve.
        open(&mut vnf, 2, 12);
        expect_refused(&mut vnf, &question(2, 6000));
        vnf.advance(seconds(121));
        changes(&mut vnf);
        open(&mut vnf, 2, 12);
        assert_eq!((vnf.resting(), vnf.ports_taken()), (0, 12));
        drain(&mut vnf);
        let closed = changes(&mut vnf);
        assert!(!closed.is_empty() && closed.iter().all(|(host, _, opened)| *host == 2 && !opened));
        assert_eq!((vnf.hosts(), vnf.ports_taken(), vnf.resting()), (0, 0, 0));
        assert_eq!(hosts(&mut vnf).len(), 0);
    });
}

#[test]
fn rfc6888_req_11_without_a_free_block_new_hosts_are_refused_and_the_others_go_on() {
    let mut vnf = Harness::new(blocks(), 1);
    let mut owners = Vec::new();
    for host in 2..=5 {
        owners.extend(open(&mut vnf, host, 32));
    }
    assert_eq!(distinct(owners.iter()), 128, "every port of the pool, each with one owner");
    let newcomer = question(200, 5000);
    expect_refused(&mut vnf, &newcomer);
    for (at, external) in owners.iter().enumerate() {
        let question = question(2 + at as u8 / 32, 5000 + at as u16 % 32);
        vnf.send("lan", &question);
        vnf.expect("wan", &question.from(*external));
    }
    drain(&mut vnf);
    vnf.send("lan", &newcomer);
    vnf.expect_translated("wan", &newcomer);
}

#[test]
fn rfc6888_req_15_blocks_are_not_given_in_order() {
    let firsts = (0..12).map(|_| {
        let mut vnf = Harness::new(blocks(), 1);
        (open(&mut vnf, 2, 1)[0].port() - 1024) / 16
    });
    assert!(distinct(firsts) > 1, "twelve first blocks out of eight are the same");
}

#[test]
fn a_block_whose_ports_are_all_forwarded_is_passed_over() {
    for_workers(|workers| {
        let forwards = "[[nat44.forward]]\nprotocol = \"udp\"\n\
                        external = \"198.51.100.10:1024-1119\"\ninternal = \"10.0.0.5:1024-1119\"";
        let mut vnf = Harness::new(blocks().more(forwards), workers);
        // TCP may have any block, UDP one of the last two, where this worker has them.
        let packet = tcp("10.0.0.2:5000", "203.0.113.7:80", "S");
        vnf.send("lan", &packet);
        vnf.expect_translated("wan", &packet);
        if workers == 1 {
            for external in open(&mut vnf, 3, 16) {
                assert!(external.port() >= 1120);
            }
        }
    });
}

#[test]
fn blocks_of_an_address_that_leaves_the_pool_are_taken_back() {
    for_workers(|workers| {
        let elsewhere = |pool: &str| blocks().replace("\"198.51.100.10\"", pool);
        let mut vnf = Harness::new(blocks(), workers);
        open(&mut vnf, 2, 20);
        let given = changes(&mut vnf);
        vnf.reload(elsewhere("\"198.51.100.20\""));
        let taken = changes(&mut vnf);
        assert_eq!(taken.len(), 2);
        assert!(taken.iter().all(|(host, port, opened)| given.contains(&(*host, *port, !opened))));
        open(&mut vnf, 2, 20);
        assert_eq!(changes(&mut vnf).len(), 2);
        drain(&mut vnf);
        assert_eq!((vnf.hosts(), vnf.ports_taken(), vnf.mappings()), (0, 0, 0));
    });
}

#[test]
fn blocks_stay_with_their_hosts_when_the_pool_grows() {
    let mut vnf = Harness::new(blocks(), 1);
    let before = open(&mut vnf, 2, 20);
    let listed = hosts(&mut vnf);
    vnf.reload(blocks().replace("\"198.51.100.10\"", "\"198.51.100.9-198.51.100.10\""));
    assert_eq!(open(&mut vnf, 2, 20), before);
    assert_eq!(hosts(&mut vnf)[0].1, listed[0].1);
    drain(&mut vnf);
    assert_eq!((vnf.hosts(), vnf.ports_taken()), (0, 0));
}

#[test]
fn rfc7422_2c_a_host_uses_its_own_range_first_and_at_random() {
    for_workers(|workers| {
        let mut vnf = Harness::new(computed(), workers);
        let nat = vnf.settings.nat44.clone().expect("a configuration with NAT");
        let functions = Deterministic::new(&nat).expect("a deterministic configuration");
        for host in 2..=5 {
            let share = functions.forward(0x0a00_0000 + u32::from(host)).expect("a share");
            let externals = open(&mut vnf, host, 20);
            assert!(externals.iter().all(|external| share.ports.contains(&external.port())));
            let ports: Vec<u16> = externals.iter().map(SocketAddr::port).collect();
            assert_eq!(distinct(&ports), 20);
            assert!(!ports.is_sorted(), "ports in order are guessed easily");
            // The worker that gets the answer is the host's.
            for (at, external) in externals.iter().enumerate() {
                vnf.send("wan", &udp("203.0.113.7:53", *external));
                let internal = format!("10.0.0.{host}:{}", 5000 + at);
                vnf.expect("lan", &udp("203.0.113.7:53", internal));
            }
        }
        assert_eq!(changes(&mut vnf), [], "computed ranges need no log");
    });
}

#[test]
fn rfc7422_2d_a_host_that_runs_out_gets_overflow_blocks_that_are_recorded() {
    for_workers(|workers| {
        let mut vnf = Harness::new(computed(), workers);
        let externals = open(&mut vnf, 2, 25);
        assert!(externals[20..].iter().all(|external| external.port() >= 1144));
        let opened = changes(&mut vnf);
        assert_eq!(opened.len(), 1);
        let block = opened[0].1;
        assert_eq!(hosts(&mut vnf)[0].1, [(1044, 1063), (block, block + 4)]);
        for (at, external) in externals.iter().enumerate() {
            vnf.send("wan", &udp("203.0.113.7:53", *external));
            vnf.expect("lan", &udp("203.0.113.7:53", format!("10.0.0.2:{}", 5000 + at)));
        }
        expect_refused(&mut vnf, &question(2, 6000));
        drain(&mut vnf);
        assert_eq!(changes(&mut vnf), [(2, block, false)]);
        assert_eq!((vnf.hosts(), vnf.ports_taken()), (0, 0));
    });
}

#[test]
fn a_host_outside_the_internal_prefixes_gets_no_port() {
    let mut vnf = Harness::new(computed(), 1);
    expect_refused(&mut vnf, &question(200, 5000));
    assert_eq!((vnf.sessions(), vnf.hosts()), (0, 0));
}

#[test]
fn the_pool_s_ports_add_up_whatever_the_number_of_workers() {
    for config in [blocks(), computed()] {
        for workers in [1, 2, 3, 4] {
            let vnf = Harness::new(config.clone(), workers);
            let usage = vnf.workers.iter().flat_map(|w| w.pipeline.flows.ports.usage());
            let (taken, total) = usage.fold((0, 0), |sum, u| (sum.0 + u.taken, sum.1 + u.total));
            let ports = vnf.settings.nat44.as_ref().expect("NAT").port_range.len();
            assert_eq!((taken, total), (0, 3 * ports as u32), "{workers} workers");
        }
    }
}
