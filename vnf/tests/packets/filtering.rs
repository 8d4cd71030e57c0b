//! Who may come in through a mapping (RFC 4787 section 5), and which flows share one (section 4.1).

use crate::common::*;

/// Sends from one host to one remote endpoint, then from outside; tells which of the remote endpoints get in.
fn admitted(filtering: &str, workers: usize) -> [bool; 3] {
    let config = Config::new("nat44.toml").nat44(&format!("filtering = \"{filtering}\""));
    let mut vnf = Harness::new(config, workers);
    let question = udp("10.0.0.2:5000", "203.0.113.7:53");
    vnf.send("lan", &question);
    let external = vnf.expect_translated("wan", &question);
    vnf.forget_counts();
    ["203.0.113.7:53", "203.0.113.7:54", "203.0.113.8:53"].map(|remote| {
        let packet = udp(remote, external);
        vnf.send("wan", &packet);
        let dropped = vnf.count_of("nat-filtered");
        vnf.forget_counts();
        if dropped == 0 {
            vnf.expect("lan", &packet.to("10.0.0.2:5000"));
            // And it is answered.
            vnf.send("lan", &packet.to("10.0.0.2:5000").reply());
            vnf.expect("wan", &packet.reply());
        }
        vnf.expect_nothing();
        vnf.forget_counts();
        dropped == 0
    })
}

#[test]
fn address_and_port_dependent_filtering_admits_the_endpoint_sent_to() {
    for_workers(|workers| {
        assert_eq!(admitted("address-and-port-dependent", workers), [true, false, false]);
    });
}

#[test]
fn address_dependent_filtering_admits_every_port_of_the_address_sent_to() {
    for_workers(|workers| {
        assert_eq!(admitted("address-dependent", workers), [true, true, false]);
    });
}

#[test]
fn endpoint_independent_filtering_admits_everybody() {
    for_workers(|workers| {
        assert_eq!(admitted("endpoint-independent", workers), [true, true, true]);
    });
}

#[test]
fn address_dependent_filtering_forgets_an_address_with_its_last_session() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml").nat44("filtering = \"address-dependent\"");
        let mut vnf = Harness::new(config, workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        vnf.advance(seconds(200));
        let other = question.to("203.0.113.8:53");
        vnf.send("lan", &other);
        vnf.expect("wan", &other.from(external));
        vnf.advance(seconds(101));
        vnf.forget_counts();
        vnf.send("wan", &udp("203.0.113.7:99", external));
        vnf.counted(["nat-filtered"]);
        let welcome = udp("203.0.113.8:99", external);
        vnf.send("wan", &welcome);
        vnf.expect("lan", &welcome.to("10.0.0.2:5000"));
    });
}

#[test]
fn an_internal_endpoint_keeps_its_external_one_whoever_it_speaks_to() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        for remote in ["203.0.113.7:54", "203.0.113.8:53", "192.0.2.1:1"] {
            vnf.send("lan", &question.to(remote));
            vnf.expect("wan", &question.to(remote).from(external));
        }
        assert_eq!((vnf.sessions(), vnf.mappings(), vnf.ports_taken()), (4, 1, 1));
    });
}

#[test]
fn a_mapping_of_one_protocol_is_none_of_another() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml").nat44("filtering = \"endpoint-independent\"");
        let mut vnf = Harness::new(config, workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        vnf.forget_counts();
        vnf.send("wan", &tcp("203.0.113.7:53", external, "S"));
        vnf.counted(["nat-no-mapping"]);
    });
}

#[test]
fn endpoint_dependent_mappings_are_one_per_remote_endpoint() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml").nat44("mapping = \"address-and-port-dependent\"");
        let mut vnf = Harness::new(config, workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        let other = question.to("203.0.113.8:53");
        vnf.send("lan", &other);
        let another = vnf.expect_translated("wan", &other);
        assert_ne!(external, another);
        assert_eq!(external.ip(), another.ip(), "paired");
        vnf.send("lan", &question);
        vnf.expect("wan", &question.from(external));
        vnf.forget_counts();
        vnf.send("wan", &udp("203.0.113.8:53", external));
        vnf.counted(["nat-filtered"]);
        vnf.send("wan", &udp("203.0.113.8:53", another));
        vnf.expect("lan", &udp("203.0.113.8:53", "10.0.0.2:5000"));
    });
}

#[test]
fn a_connection_from_outside_through_a_mapping_is_followed() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml").nat44("filtering = \"endpoint-independent\"");
        let mut vnf = Harness::new(config, workers);
        let out = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
        vnf.send("lan", &out);
        let external = vnf.expect_translated("wan", &out);
        let caller = tcp("203.0.113.8:1234", external, "S");
        vnf.send("wan", &caller);
        vnf.expect("lan", &caller.to("10.0.0.2:5000"));
        vnf.send("lan", &caller.to("10.0.0.2:5000").reply());
        vnf.expect("wan", &caller.reply());
        vnf.forget_counts();
        vnf.send("wan", &tcp("203.0.113.9:1234", external, "A"));
        vnf.counted(["tcp-not-syn"]);
    });
}

#[test]
fn rfc5382_req_3b_the_filtering_of_each_protocol_is_its_own() {
    for_workers(|workers| {
        let config = Config::new("nat44.toml")
            .nat44("filtering = { udp = \"endpoint-independent\", icmp = \"address-dependent\" }");
        let mut vnf = Harness::new(config, workers);
        let datagram = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &datagram);
        let udp_external = vnf.expect_translated("wan", &datagram);
        let syn = tcp("10.0.0.2:5000", "203.0.113.7:80", "S");
        vnf.send("lan", &syn);
        let tcp_external = vnf.expect_translated("wan", &syn);
        vnf.forget_counts();
        let other = udp("203.0.113.8:9", udp_external);
        vnf.send("wan", &other);
        vnf.expect("lan", &other.to("10.0.0.2:5000"));
        vnf.counted(["sessions_opened", "lan.transmitted"]);
        vnf.send("wan", &tcp("203.0.113.8:9", tcp_external, "A"));
        vnf.counted(["nat-filtered"]);
    });
}
