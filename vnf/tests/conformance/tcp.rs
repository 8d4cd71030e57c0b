//! What RFC 5382 asks of mappings and filtering, for TCP.

use crate::common::*;

#[test]
fn rfc5382_req_1_connections_of_one_endpoint_share_an_external_one() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
        vnf.send("lan", &syn);
        let external = vnf.expect_translated("wan", &syn);
        for remote in ["203.0.113.7:80", "203.0.113.8:443", "192.0.2.9:1"] {
            vnf.send("lan", &syn.to(remote));
            vnf.expect("wan", &syn.to(remote).from(external));
        }
        assert_eq!((vnf.sessions(), vnf.mappings()), (4, 1));
    });
}

#[test]
fn rfc5382_req_2_simultaneous_open_makes_one_connection() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let out = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
        vnf.send("lan", &out);
        let external = vnf.expect_translated("wan", &out);
        for (flags, from_outside) in
            [("S", true), ("SA", false), ("SA", true), ("A", false), ("A", true)]
        {
            if from_outside {
                vnf.send("wan", &tcp("203.0.113.7:443", external, flags));
                vnf.expect("lan", &tcp("203.0.113.7:443", "10.0.0.2:5000", flags));
            } else {
                vnf.send("lan", &out.flags(flags));
                vnf.expect("wan", &out.flags(flags).from(external));
            }
        }
        vnf.advance(seconds(7400));
        assert_eq!(vnf.sessions(), 1, "established on both sides");
    });
}

#[test]
fn rfc5382_req_3_filtering_of_connections_is_as_configured() {
    for_workers(|workers| {
        for (filtering, wanted) in [
            ("endpoint-independent", [true, true, true]),
            ("address-dependent", [true, true, false]),
            ("address-and-port-dependent", [true, false, false]),
        ] {
            let config = Config::new("nat44.toml").nat44(&format!("filtering = \"{filtering}\""));
            let mut vnf = Harness::new(config, workers);
            let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
            vnf.send("lan", &syn);
            let external = vnf.expect_translated("wan", &syn);
            let remotes = ["203.0.113.7:443", "203.0.113.7:80", "203.0.113.8:443"];
            let admitted = remotes.map(|remote| {
                vnf.send("wan", &tcp(remote, external, "S"));
                vnf.discard() == 1
            });
            assert_eq!(admitted, wanted, "{filtering}");
        }
    });
}

#[test]
fn rfc5382_req_7_no_external_endpoint_has_two_owners() {
    let mut vnf = Harness::new(Config::new("nat44.toml").nat44("port_range = \"2000-2003\""), 1);
    let mut externals: Vec<_> = (0..4)
        .map(|n| {
            let syn = tcp(format!("10.0.0.2:{}", 5000 + n), "203.0.113.7:443", "S");
            vnf.send("lan", &syn);
            vnf.expect_translated("wan", &syn)
        })
        .collect();
    externals.sort();
    externals.dedup();
    assert_eq!(externals.len(), 4);
    vnf.forget_counts();
    // Not even with other remote endpoints.
    let refused = tcp("10.0.0.3:5000", "203.0.113.99:443", "S");
    vnf.send("lan", &refused);
    vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 3, 1, &refused));
    vnf.counted(["nat-ports-exhausted", "originated", "lan.transmitted"]);
}

#[test]
fn rfc5382_req_9_every_code_of_unreachable_is_translated_both_ways() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let syn = tcp("10.0.0.2:5000", "203.0.113.7:443", "S");
        vnf.send("lan", &syn);
        let external = vnf.expect_translated("wan", &syn);
        let answer = syn.from(external).reply();
        vnf.send("wan", &answer);
        vnf.expect("lan", &syn.reply());
        for code in 0..16 {
            vnf.send("wan", &icmp_error("192.0.2.9", 3, code, &syn.from(external)));
            vnf.expect("lan", &icmp_error("192.0.2.9", 3, code, &syn));
            vnf.send("lan", &icmp_error("10.0.0.2", 3, code, &syn.reply()));
            vnf.expect("wan", &icmp_error("198.51.100.10", 3, code, &answer));
        }
    });
}
