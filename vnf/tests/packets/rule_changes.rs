//! Live sessions under other rules: the next packet is asked anew in either direction, and what is no longer permitted ends.

use crate::common::*;

const SETS: [&str; 2] =
    ["friends = [\"192.0.2.2\", \"fd00:b::2\"]", "friends = [\"192.0.2.9\", \"fd00:b::9\"]"];

/// The firewall that lets UDP through to a set of servers only.
fn with_friends(set: &str) -> Config {
    Config::new("firewall.toml")
        .replace(
            "protocol = \"udp\"\ndestination_port = 53",
            "protocol = \"udp\"\ndestination_port = 53\ndestination = \"@friends\"",
        )
        .more(&format!("[sets]\n{set}"))
}

fn questions() -> [Packet; 2] {
    [udp("10.1.0.2:5000", "192.0.2.2:53"), udp("[fd00:a::2]:5000", "[fd00:b::2]:53")]
}

#[test]
fn a_session_ends_with_the_place_of_its_server_in_a_set_whoever_sends_next() {
    for_workers(|workers| {
        for question in questions() {
            for replies_first in [false, true] {
                let mut vnf = Harness::new(with_friends(SETS[0]), workers);
                vnf.send("left", &question);
                vnf.expect("right", &question);
                vnf.reload(with_friends(SETS[0]));
                vnf.forget_counts();
                vnf.send("right", &question.reply());
                vnf.expect("left", &question.reply());
                vnf.counted(["left.transmitted"]);
                vnf.reload(with_friends(SETS[1]));
                vnf.forget_counts();
                if replies_first {
                    vnf.send("right", &question.reply());
                } else {
                    vnf.send("left", &question);
                }
                vnf.counted(["acl-denied", "sessions_closed.reconfigured"]);
                assert_eq!(vnf.sessions(), 0);
                vnf.send("right", &question.reply());
                vnf.send("left", &question);
                vnf.counted(["2 acl-denied"]);
            }
        }
    });
}

#[test]
fn all_packets_of_a_burst_share_the_end_of_their_session() {
    for_workers(|workers| {
        for question in questions() {
            let mut vnf = Harness::new(with_friends(SETS[0]), workers);
            vnf.send("left", &question);
            vnf.expect("right", &question);
            vnf.reload(with_friends(SETS[1]));
            vnf.forget_counts();
            vnf.send_burst("left", [&question, &question, &question]);
            vnf.counted(["3 acl-denied", "sessions_closed.reconfigured"]);
            assert_eq!(vnf.sessions(), 0);
        }
    });
}

#[test]
fn a_made_up_packet_on_another_port_does_not_end_a_session_after_a_reload() {
    for_workers(|workers| {
        for question in questions() {
            let mut vnf = Harness::new("firewall.toml", workers);
            vnf.send("left", &question);
            vnf.expect("right", &question);
            vnf.reload("firewall.toml");
            vnf.forget_counts();
            vnf.send("right", &question);
            assert_eq!(vnf.sessions(), 1);
            vnf.discard();
            vnf.forget_counts();
            vnf.send("left", &question);
            vnf.expect("right", &question);
            vnf.counted(["right.transmitted"]);
        }
    });
}

#[test]
fn replies_of_a_flow_without_state_follow_their_own_rules() {
    let config = |replies: &str| {
        Config::new("firewall.toml")
            .replace(
                "protocol = \"udp\"\ndestination_port = 53",
                "protocol = \"udp\"\ndestination_port = 53\nstate = false",
            )
            .more(replies)
    };
    let permit =
        "[[acl.rule]]\naction = \"permit\"\nprotocol = \"udp\"\nsource_port = 53\nstate = false";
    for_workers(|workers| {
        for question in questions() {
            let mut vnf = Harness::new(config(permit), workers);
            for (rules, passes) in [(permit, true), ("", false), (permit, true)] {
                vnf.reload(config(rules));
                vnf.send("left", &question);
                vnf.expect("right", &question);
                vnf.forget_counts();
                vnf.send("right", &question.reply());
                vnf.counted([if passes { "left.transmitted" } else { "acl-denied" }]);
                assert_eq!(vnf.discard(), usize::from(passes));
            }
        }
    });
}

#[test]
fn a_permitted_session_goes_on_through_any_number_of_reloads() {
    for_workers(|workers| {
        for question in questions() {
            let mut vnf = Harness::new(with_friends(SETS[0]), workers);
            vnf.send("left", &question);
            vnf.expect("right", &question);
            for _ in 0..5 {
                vnf.reload(with_friends(SETS[0]));
                vnf.forget_counts();
                vnf.send("right", &question.reply());
                vnf.expect("left", &question.reply());
                vnf.send("left", &question);
                vnf.expect("right", &question);
                vnf.counted(["left.transmitted", "right.transmitted"]);
            }
        }
    });
}
