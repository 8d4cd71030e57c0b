//! Hosts that take more than their share, and configurations that lead back to themselves.

use crate::common::*;

fn limited() -> Config {
    Config::new("nat44.toml").nat44("max_sessions_per_host = 20")
}

/// A flow of a host that nothing may hurt.
struct Victim {
    question: Packet,
    external: std::net::SocketAddr,
}

impl Victim {
    fn new(vnf: &mut Harness) -> Self {
        let question = tcp("10.0.0.3:5000", "203.0.113.7:443", "S");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        let answer = question.from(external).reply();
        vnf.send("wan", &answer);
        vnf.expect("lan", &answer.to("10.0.0.3:5000"));
        let question = question.flags("A");
        vnf.forget_counts();
        Self { question, external }
    }

    /// A segment each way passes, and nothing else moves.
    fn check(&self, vnf: &mut Harness) {
        vnf.forget_counts();
        vnf.send("lan", &self.question);
        vnf.expect("wan", &self.question.from(self.external));
        let answer = tcp("203.0.113.7:443", self.external, "A");
        vnf.send("wan", &answer);
        vnf.expect("lan", &answer.to("10.0.0.3:5000"));
        vnf.counted(["wan.transmitted", "lan.transmitted"]);
    }
}

#[test]
fn a_flood_of_one_host_at_its_limit_costs_its_neighbour_nothing() {
    for_workers(|workers| {
        let mut vnf = Harness::new(limited(), workers);
        let victim = Victim::new(&mut vnf);
        let mut refused = 0;
        for round in 0..100u16 {
            let flood: Vec<Packet> = (0..60)
                .map(|n| tcp(format!("10.0.0.2:{}", 2000 + round * 60 + n), "203.0.113.9:80", "S"))
                .collect();
            vnf.send_burst("lan", &flood);
            vnf.discard();
            refused += vnf.count_of("nat-host-limit");
            victim.check(&mut vnf);
        }
        assert_eq!(refused, 6000 - 20, "all but the limit");
        assert_eq!(vnf.sessions(), 21);
        // The neighbour opens what it likes, up to a limit of its own.
        for port in 6000..6019 {
            let syn = tcp((0x0a00_0003, port), "203.0.113.7:443", "S");
            vnf.send("lan", &syn);
            vnf.expect_translated("wan", &syn);
        }
    });
}

#[test]
fn a_scan_of_a_network_costs_a_host_its_limit_and_no_memory() {
    for_workers(|workers| {
        let mut vnf = Harness::new(limited(), workers);
        let victim = Victim::new(&mut vnf);
        let buffers = vnf.buffers_in_use();
        for n in 0..2000u32 {
            let remote = (0xcb00_0000 + n * 37, 1 + (n * 7919 % 65_000) as u16);
            vnf.send("lan", &udp("10.0.0.2:5000", remote));
            if n % 100 == 0 {
                vnf.discard();
                vnf.events.clear();
            }
        }
        vnf.discard();
        assert_eq!((vnf.sessions(), vnf.mappings(), vnf.ports_taken()), (21, 2, 2));
        assert_eq!(vnf.buffers_in_use(), buffers);
        victim.check(&mut vnf);
    });
}

#[test]
fn made_up_internal_hosts_fill_the_table_and_end_no_session() {
    for_workers(|workers| {
        let config = limited().replace("max_sessions = 1024", "max_sessions = 96");
        let mut vnf = Harness::new(config, workers);
        let victim = Victim::new(&mut vnf);
        for n in 0..3000u32 {
            vnf.send("lan", &tcp((0x0a00_0010 + n % 200, 5000 + n as u16), "203.0.113.9:80", "S"));
            if n % 100 == 0 {
                vnf.discard();
                vnf.events.clear();
            }
        }
        vnf.discard();
        assert!(vnf.count_of("nat-session-limit") > 2800);
        assert!(vnf.sessions() <= 96);
        victim.check(&mut vnf);
        // What never got beyond its SYN is over after four minutes.
        vnf.advance(seconds(241));
        assert_eq!(vnf.sessions(), 1);
        victim.check(&mut vnf);
    });
}

#[test]
fn a_flood_from_outside_to_a_server_stops_at_the_servers_limit() {
    for_workers(|workers| {
        let config = limited()
            .more("[[nat44.static]]\nexternal = \"198.51.100.20\"\ninternal = \"10.0.0.4\"");
        let mut vnf = Harness::new(config, workers);
        let victim = Victim::new(&mut vnf);
        for n in 0..1000u32 {
            vnf.send("wan", &tcp((0xcb00_7200 + n, 1024 + n as u16), "198.51.100.20:80", "S"));
        }
        assert_eq!(vnf.discard(), 20);
        assert_eq!(vnf.count_of("nat-host-limit"), 980);
        assert_eq!(vnf.count_of("originated"), 0, "nobody outside is told");
        victim.check(&mut vnf);
    });
}

#[test]
fn no_internal_host_stands_in_for_a_service_on_an_own_address() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml")
            .nat44("filtering = \"endpoint-independent\"")
            .replace("pool = [\"198.51.100.10\"]", "pool = [\"198.51.100.1\"]");
        let mut vnf = Harness::new(config, workers);
        // CVE-2021-3773: the host would have its replies, and everybody's requests, on the port it chose.
        for port in [22, 179, 1023] {
            let shadow = udp((0x0a00_0002, port), "203.0.113.7:4000");
            vnf.send("lan", &shadow);
            assert!(vnf.expect_translated("wan", &shadow).port() >= 1024);
            vnf.forget_counts();
            let request = udp("203.0.113.7:4000", format!("198.51.100.1:{port}"));
            vnf.send("wan", &request);
            vnf.expect("wan", &icmp_error_from_vnf("198.51.100.1", 3, 3, &request));
            vnf.counted(["no-local-service", "originated", "wan.transmitted"]);
        }
    });
}

#[test]
fn a_static_mapping_to_an_own_address_leads_nowhere() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml")
            .more("[[nat44.static]]\nexternal = \"198.51.100.20\"\ninternal = \"10.0.0.1\"");
        let mut vnf = Harness::new(config, workers);
        for (port, source) in [("wan", "203.0.113.7:9"), ("lan", "10.0.0.2:9")] {
            vnf.send(port, &udp(source, "198.51.100.20:53"));
            vnf.send(port, &ping(source, "198.51.100.20"));
        }
        vnf.discard();
        assert!(vnf.count_of("lan.transmitted") + vnf.count_of("wan.transmitted") <= 4);
        vnf.forget_counts();
    });
}

#[test]
fn a_static_mapping_that_is_removed_is_gone_with_the_next_packet() {
    for_workers(|workers| {
        let without = Config::new("nat44.toml")
            .replace("[\"198.51.100.10\"]", "[\"198.51.100.10-198.51.100.20\"]");
        let with = without
            .clone()
            .more("[[nat44.static]]\nexternal = \"198.51.100.20\"\ninternal = \"10.0.0.4\"");
        let mut vnf = Harness::new(with.clone(), workers);
        let request = udp("203.0.113.7:9", "198.51.100.20:53");
        for _ in 0..2 {
            vnf.send("wan", &request);
            vnf.expect("lan", &request.to("10.0.0.4:53"));
            vnf.forget_counts();
            vnf.reload(without.clone());
            vnf.send("wan", &request);
            assert_eq!(vnf.count_of("nat-no-mapping"), 1);
            vnf.send("lan", &udp("10.0.0.4:53", "203.0.113.7:9"));
            assert_ne!(vnf.take("wan").source(), endpoint("198.51.100.20:53"));
            assert_eq!(vnf.count_of("sessions_closed.reconfigured"), 1);
            vnf.reload(with.clone());
        }
        vnf.forget_counts();
    });
}
