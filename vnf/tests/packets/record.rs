//! What is put on record about translated sessions, for the log that management writes.

use std::net::SocketAddr;

use vnf::engine::record::{RECORDS, Record, Recorded};
use vnf::nat::table::InternalEndpoint;

use crate::common::*;

fn logging() -> Config {
    Config::new("nat44.toml").nat44("log = \"sessions\"")
}

/// The records of all workers since the last time: event, protocol, internal and external endpoint, sessions that share it.
fn records(vnf: &Harness) -> Vec<(Recorded, u8, SocketAddr, SocketAddr, Option<u32>)> {
    let taken = vnf.workers.iter().flat_map(|worker| {
        std::iter::from_fn(|| worker.rings.records.pop()).collect::<Vec<Record>>()
    });
    let endpoint =
        |(address, port): (u32, u16)| SocketAddr::new(address.to_be_bytes().into(), port);
    let internal = |(host, port): InternalEndpoint| endpoint((host.address, port));
    taken
        .map(|r| (r.event, r.protocol, internal(r.internal), endpoint(r.external), r.sharing))
        .collect()
}

#[test]
fn sessions_are_put_on_record_when_they_open_and_when_they_close() {
    for_workers(|workers| {
        let mut vnf = Harness::new(logging(), workers);
        let first = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &first);
        let external = vnf.expect_translated("wan", &first);
        let internal = endpoint("10.0.0.2:5000");
        assert_eq!(records(&vnf), [(Recorded::Opened, 17, internal, external, Some(1))]);

        let second = udp("10.0.0.2:5000", "203.0.113.8:53");
        vnf.send("lan", &second);
        vnf.expect("wan", &second.from(external));
        assert_eq!(records(&vnf), [(Recorded::Opened, 17, internal, external, Some(2))]);

        vnf.advance(seconds(301));
        let closed = |sharing| (Recorded::Closed, 17, internal, external, Some(sharing));
        assert_eq!(records(&vnf), [closed(1), closed(0)]);
        vnf.counted(["2 sessions_opened", "2 sessions_closed.timed-out", "2 wan.transmitted"]);
    });
}

#[test]
fn a_forwarded_session_shares_its_endpoint_with_nobody_who_is_counted() {
    for_workers(|workers| {
        let forward = "[[nat44.forward]]\nprotocol = \"udp\"\n\
                       external = \"198.51.100.10:53\"\ninternal = \"10.0.0.3:5353\"";
        let mut vnf = Harness::new(logging().more(forward), workers);
        let question = udp("203.0.113.7:4000", "198.51.100.10:53");
        vnf.send("wan", &question);
        vnf.expect("lan", &question.to("10.0.0.3:5353"));
        let (internal, external) = (endpoint("10.0.0.3:5353"), endpoint("198.51.100.10:53"));
        assert_eq!(records(&vnf), [(Recorded::Opened, 17, internal, external, None)]);
    });
}

#[test]
fn nothing_is_put_on_record_that_is_not_translated_or_not_asked_for() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let first = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &first);
        vnf.expect_translated("wan", &first);
        assert_eq!(records(&vnf), []);

        let exempt = "[[nat44.exempt]]\ndestination = \"192.0.2.0/24\"";
        vnf.reload(logging().more(exempt));
        let plain = udp("10.0.0.2:5000", "192.0.2.1:53");
        vnf.send("lan", &plain);
        vnf.expect("wan", &plain);
        assert_eq!(records(&vnf), []);

        let second = udp("10.0.0.2:5001", "203.0.113.7:53");
        vnf.send("lan", &second);
        vnf.expect_translated("wan", &second);
        assert_eq!(records(&vnf).len(), 1, "a reload switches the log on");
    });
}

#[test]
fn port_blocks_are_put_on_record_when_given_and_when_returned() {
    for_workers(|workers| {
        let lines = "allocation = \"port-blocks\"\nlog = \"blocks\"\nport_block_size = 64";
        let mut vnf = Harness::new(Config::new("nat44.toml").nat44(lines), workers);
        let packet = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &packet);
        let external = vnf.expect_translated("wan", &packet);
        let taken = |vnf: &Harness| {
            let rings = vnf.workers.iter().map(|worker| &worker.rings.records);
            rings.flat_map(|ring| std::iter::from_fn(|| ring.pop())).collect::<Vec<Record>>()
        };
        let given = taken(&vnf);
        assert_eq!(given.len(), 1);
        assert_eq!((given[0].event, given[0].internal), (Recorded::Given, (0x0a00_0002.into(), 0)));
        let ports = given[0].external.1..=given[0].last_port;
        assert!(ports.len() == 64 && ports.contains(&external.port()), "{ports:?} {external}");

        vnf.advance(seconds(301));
        vnf.advance(seconds(121));
        let found = taken(&vnf);
        let returned = Record { event: Recorded::Returned, at: found[0].at, ..given[0] };
        assert_eq!(found, [returned]);
    });
}

#[test]
fn rfc7422_2d_overflow_blocks_are_put_on_record() {
    for_workers(|workers| {
        let lines = "allocation = \"deterministic\"\nlog = \"blocks\"\nport_range = \"1024-1183\"\n\
                     port_block_size = 5\nmax_blocks_per_host = 1";
        let config = Config::new("nat44.toml")
            .nat44(lines)
            .more("[nat44.deterministic]\ninternal = [\"10.0.0.0/29\"]\noverflow_factor = 2");
        let mut vnf = Harness::new(config, workers);
        for port in 0..21 {
            vnf.send("lan", &udp((0x0a00_0002, 5000 + port), "203.0.113.7:53"));
        }
        assert_eq!(vnf.discard(), 21);
        let rings = vnf.workers.iter().map(|worker| &worker.rings.records);
        let records: Vec<Record> = rings.flat_map(|r| std::iter::from_fn(|| r.pop())).collect();
        assert_eq!(records.len(), 1, "the range of its own is on record as parameters");
        let Record { event, internal, external, last_port, .. } = records[0];
        assert_eq!((event, internal), (Recorded::Given, (0x0a00_0002.into(), 0)));
        assert!(external.1 >= 1144 && last_port - external.1 == 4, "{external:?}");
        vnf.forget_counts();
    });
}

#[test]
fn records_without_room_are_counted_and_packets_pass() {
    let mut vnf = Harness::new(logging(), 1);
    let filler = Record {
        at: vnf.now(),
        internal: (0.into(), 0),
        external: (0, 0),
        sharing: None,
        last_port: 0,
        protocol: 17,
        event: Recorded::Closed,
    };
    for _ in 0..RECORDS {
        vnf.workers[0].rings.records.push(filler).expect("room");
    }
    let packet = udp("10.0.0.2:5000", "203.0.113.7:53");
    vnf.send("lan", &packet);
    vnf.expect_translated("wan", &packet);
    assert_eq!(vnf.workers[0].counters.records_lost.read(), 1);
}
