//! Checksums: right ones stay right, wrong ones stay wrong by as much.

use crate::common::*;

#[test]
fn a_wrong_transport_checksum_stays_wrong_by_the_same_amount() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        for packet in
            [udp("10.0.0.2:5000", "203.0.113.7:53"), tcp("10.0.0.2:5000", "203.0.113.7:53", "S")]
        {
            for delta in [1, 0x100, 0x4321, 0xfffe] {
                let wrong = packet.checksum(Checksum::WrongBy(delta));
                vnf.send("lan", &wrong);
                let external = vnf.expect_translated("wan", &wrong);
                let answer = wrong.reply().to(external);
                vnf.send("wan", &answer);
                vnf.expect("lan", &answer.to("10.0.0.2:5000"));
            }
        }
    });
}

#[test]
fn a_datagram_without_a_checksum_gets_none() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53").checksum(Checksum::Zero);
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        let answer = udp("203.0.113.7:53", external).checksum(Checksum::Zero);
        vnf.send("wan", &answer);
        vnf.expect("lan", &answer.to("10.0.0.2:5000"));
    });
}

#[test]
fn every_value_of_the_payload_leaves_with_the_right_checksum() {
    let mut vnf = Harness::new("nat44.toml", 1);
    let question = udp("10.0.0.2:5000", "203.0.113.7:53");
    vnf.send("lan", &question);
    let external = vnf.expect_translated("wan", &question);
    // The checksum word takes every value on the way, zero and its negative too.
    for word in (0..=u16::MAX).step_by(if cfg!(debug_assertions) { 7 } else { 1 }) {
        let question = question.payload(&word.to_be_bytes());
        vnf.send("lan", &question);
        vnf.expect("wan", &question.from(external));
    }
}

#[test]
fn a_checksum_that_comes_out_as_zero_is_sent_as_its_negative() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53").payload(&[0, 0]);
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        let translated = question.from(external).octets(64);
        // With this payload all words of the translated datagram sum up to 0xffff.
        let checksum = u16::from_be_bytes([translated[26], translated[27]]);
        let zero = question.payload(&checksum.to_be_bytes());
        let expected = zero.from(external).octets(63);
        assert_eq!(expected[26..28], [0xff, 0xff], "etherparse says so too");
        vnf.send("lan", &zero);
        vnf.expect("wan", &zero.from(external));
    });
}

#[test]
fn a_wrong_header_checksum_is_not_forwarded() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let mut frame = vnf.frame_of("lan", &udp("10.0.0.2:5000", "203.0.113.7:53"));
        frame[24] ^= 1;
        vnf.send_frame("lan", &frame);
        vnf.counted(["ipv4-bad-checksum"]);
    });
}

#[test]
fn an_icmp_message_with_a_wrong_checksum_is_not_translated() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        vnf.send("lan", &ping("10.0.0.2:5", "203.0.113.7").checksum(Checksum::WrongBy(1)));
        vnf.counted(["icmp-bad-checksum"]);
    });
}

#[test]
fn a_router_does_not_look_into_icmp_messages() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let request = ping("10.1.0.2:5", "192.0.2.2").checksum(Checksum::WrongBy(1));
        vnf.send("left", &request);
        vnf.expect("right", &request);
    });
}

#[test]
fn every_header_checksum_survives_the_loss_of_a_hop() {
    let mut vnf = Harness::new("router.toml", 1);
    // The identification takes the header checksum through every value it can have.
    let packets: Vec<Packet> = (0..=u16::MAX)
        .step_by(if cfg!(debug_assertions) { 3 } else { 1 })
        .map(|id| Packet { id, ..udp("10.1.0.2:1", "192.0.2.2:2").payload(b"") })
        .collect();
    for burst in packets.chunks(500) {
        vnf.send_burst("left", burst);
        for packet in burst {
            vnf.expect("right", packet);
        }
    }
}
