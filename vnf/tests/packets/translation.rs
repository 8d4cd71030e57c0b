//! Packets through NAT44, out and back.

use crate::common::*;

#[test]
fn a_datagram_and_its_answer_are_translated() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        vnf.counted(["sessions_opened", "wan.transmitted"]);

        let answer = udp("203.0.113.7:53", external).payload(b"an answer");
        vnf.send("wan", &answer);
        vnf.expect("lan", &answer.to("10.0.0.2:5000"));
        vnf.counted(["lan.transmitted"]);

        vnf.send("lan", &question);
        vnf.expect("wan", &question.from(external));
        vnf.counted(["wan.transmitted"]);
    });
}
