//! Packets in several buffers are treated as in one (memif, jumbo frames).

use crate::common::*;
use crate::samples::{samples, vnf};

/// What a frame in these segments comes to: what leaves, and what is counted.
fn outcome(vnf: &mut Harness, port: &str, frame: &[u8], segments: &[usize]) -> String {
    vnf.advance(std::time::Duration::from_millis(100)); // allowances for answers fill up again
    vnf.forget_counts();
    vnf.inject(port, frame, segments);
    vnf.settle();
    let left: Vec<_> =
        ["lan", "wan"].map(|p| std::iter::from_fn(|| vnf.try_take(p)).collect::<Vec<_>>()).into();
    format!("{:?} {left:?}", vnf.changes())
}

#[test]
fn a_split_at_any_offset_makes_no_difference() {
    let (mut vnf, external) = vnf(1);
    for (name, port, frame) in samples(&vnf, external) {
        if name.contains("fragment") || name == "unsolicited" {
            continue; // what they come to depends on what came before
        }
        outcome(&mut vnf, port, &frame, &[]); // opens whatever there is to open
        let whole = outcome(&mut vnf, port, &frame, &[]);
        for at in 1..=60.min(frame.len() - 1) {
            assert_eq!(outcome(&mut vnf, port, &frame, &[at]), whole, "{name} split at {at}");
            let second = [at, 1 + at % 7];
            if at + second[1] < frame.len() {
                let in_three = outcome(&mut vnf, port, &frame, &second);
                assert_eq!(in_three, whole, "{name} in segments of {second:?}");
            }
        }
    }
}

#[test]
fn octets_one_by_one_are_a_packet_too() {
    let (mut vnf, external) = vnf(1);
    for (name, port, frame) in samples(&vnf, external) {
        if name.contains("fragment") || name == "unsolicited" {
            continue;
        }
        outcome(&mut vnf, port, &frame, &[]);
        let whole = outcome(&mut vnf, port, &frame, &[]);
        let ones = vec![1; frame.len() - 1];
        assert_eq!(outcome(&mut vnf, port, &frame, &ones), whole, "{name}");
    }
}

#[test]
fn a_jumbo_frame_passes_where_the_mtu_lets_it() {
    for_workers(|workers| {
        let config = Config::new("router.toml")
            .interface("left", "mtu = 9000")
            .interface("right", "mtu = 9000");
        let mut vnf = Harness::new(config, workers);
        for packet in [
            udp("10.1.0.2:1", "192.0.2.2:2").payload(&[7; 8972]),
            ping("10.1.0.2:1", "192.0.2.2").payload(&[8; 8972]),
            udp("[fd00:a::2]:1", "[fd00:b::2]:2").payload(&[9; 8952]),
        ] {
            vnf.send("left", &packet);
            vnf.expect("right", &packet);
        }
        let large = udp("10.1.0.2:1", "192.0.2.2:2").payload(&[7; 8973]).dont_fragment();
        vnf.send("left", &large);
        let told = icmp_error_from_vnf("10.1.0.1", 3, 4, &large).word([0, 0, 0x23, 0x28]);
        vnf.expect("left", &told);
    });
}

#[test]
fn a_jumbo_frame_is_translated() {
    for_workers(|workers| {
        let config =
            Config::new("nat44.toml").interface("lan", "mtu = 9000").interface("wan", "mtu = 9000");
        let mut vnf = Harness::new(config, workers);
        for packet in [
            udp("10.0.0.2:5000", "203.0.113.7:53").payload(&[7; 8972]),
            ping("10.0.0.2:5000", "203.0.113.7").payload(&[8; 8972]),
        ] {
            vnf.send("lan", &packet);
            let external = vnf.expect_translated("wan", &packet);
            vnf.send("wan", &packet.from(external).reply());
            vnf.expect("lan", &packet.reply());
        }
    });
}
