//! Fragments: passed in any order, made where a link is too small, and never more permissive than the whole packet.

use std::net::SocketAddr;

use etherparse::{IpFragOffset, Ipv4Header};
use proptest::prelude::*;

use crate::common::*;

/// A datagram's fragments, cut by hand at these octets of its payload, `ttl` hops from the end.
pub(crate) fn cut(whole: &Packet, ttl: u8, at: &[u16]) -> Vec<Vec<u8>> {
    let octets = whole.octets(ttl);
    let (header, payload) = Ipv4Header::from_slice(&octets).expect("an IPv4 packet");
    let ends = at.iter().copied().chain([payload.len() as u16]);
    let mut from = 0;
    let mut parts = Vec::new();
    for to in ends {
        let mut part = header.clone();
        part.more_fragments = usize::from(to) < payload.len();
        part.fragment_offset = IpFragOffset::try_new(from / 8).expect("an offset");
        part.set_payload_len((to - from).into()).expect("a length");
        part.header_checksum = part.calc_header_checksum();
        let mut packet = part.to_bytes().to_vec();
        packet.extend(&payload[from.into()..to.into()]);
        parts.push(packet);
        from = to;
    }
    parts
}

/// A datagram of 3,000 octets with an identification of its own.
fn large(source: impl Endpoint, destination: impl Endpoint, id: u16) -> Packet {
    let payload: Vec<u8> = (0..2992_u32).map(|at| (at * 7 / 8) as u8).collect();
    Packet { id, ..udp(source, destination).payload(&payload) }
}

/// Lets a fragment of a packet arrive.
pub(crate) fn send(vnf: &mut Harness, port: &str, whole: &Packet, part: &[u8]) {
    let mut frame = vnf.frame_of(port, whole)[..14].to_vec();
    frame.extend(part);
    vnf.send_frame(port, &frame);
}

/// The source of a first fragment, which `Frame::source` does not look into.
fn source_of(frame: &Frame) -> SocketAddr {
    let (address, upper) = (&frame.0[26..30], &frame.0[34..]);
    let at = if frame.0[23] == 1 { 4 } else { 0 };
    let port = u16::from_be_bytes([upper[at], upper[at + 1]]);
    (<[u8; 4]>::try_from(address).expect("four octets"), port).into()
}

#[track_caller]
fn expect(vnf: &mut Harness, port: &str, part: &[u8]) {
    let frame = vnf.take(port);
    let expected = [&frame.0[..14], part].concat();
    assert!(frame.is(&expected), "{frame:?}\nexpected {:?}", Frame(expected));
}

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
const THIRDS: [u16; 2] = [1480, 2960];

/// Fragments in this order come out with the first one ahead of those that waited for it.
#[track_caller]
fn passes(
    vnf: &mut Harness,
    (from, sent): (&str, &Packet),
    (to, expected): (&str, &Packet),
    order: [usize; 3],
) {
    let (sent_parts, expected_parts) = (cut(sent, 64, &THIRDS), cut(expected, 63, &THIRDS));
    let mut waiting: Vec<usize> = Vec::new();
    let mut first_came = false;
    for part in order {
        send(vnf, from, sent, &sent_parts[part]);
        if part == 0 {
            first_came = true;
            expect(vnf, to, &expected_parts[0]);
            for part in waiting.drain(..) {
                expect(vnf, to, &expected_parts[part]);
            }
        } else if first_came {
            expect(vnf, to, &expected_parts[part]);
        } else {
            vnf.expect_nothing();
            waiting.push(part);
        }
    }
}

#[test]
fn rfc4787_req_14_fragments_pass_the_nat_in_every_order_both_ways() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let question = udp("10.0.0.2:5000", "203.0.113.7:53");
        vnf.send("lan", &question);
        let external = vnf.expect_translated("wan", &question);
        vnf.counted(["sessions_opened", "wan.transmitted"]);
        for (id, order) in ORDERS.into_iter().enumerate() {
            let out = large("10.0.0.2:5000", "203.0.113.7:53", id as u16);
            passes(&mut vnf, ("lan", &out), ("wan", &out.from(external)), order);
            vnf.counted(["3 wan.transmitted"]);
            let back = large("203.0.113.7:53", external, id as u16);
            passes(&mut vnf, ("wan", &back), ("lan", &back.to("10.0.0.2:5000")), order);
            vnf.counted(["3 lan.transmitted"]);
        }
    });
}

#[test]
fn a_fragmented_datagram_opens_its_session_in_every_order() {
    for_workers(|workers| {
        for order in ORDERS {
            let mut vnf = Harness::new("nat44.toml", workers);
            let out = large("10.0.0.2:5000", "203.0.113.7:53", 1);
            let parts = cut(&out, 64, &THIRDS);
            for part in order {
                send(&mut vnf, "lan", &out, &parts[part]);
            }
            let external = source_of(vnf.peek("wan"));
            let parts = cut(&out.from(external), 63, &THIRDS);
            expect(&mut vnf, "wan", &parts[0]);
            for part in order.iter().filter(|part| **part != 0) {
                expect(&mut vnf, "wan", &parts[*part]);
            }
            vnf.counted(["sessions_opened", "3 wan.transmitted"]);
        }
    });
}

#[test]
fn fragments_in_one_burst_pass_in_every_order() {
    for order in ORDERS {
        let mut vnf = Harness::new("nat44.toml", 1);
        let out = large("10.0.0.2:5000", "203.0.113.7:53", 1);
        let parts = cut(&out, 64, &THIRDS);
        let link = vnf.frame_of("lan", &out)[..14].to_vec();
        for part in order {
            vnf.inject("lan", &[&link[..], &parts[part]].concat(), &[]);
        }
        vnf.settle();
        assert_eq!(vnf.discard(), 3);
        vnf.counted(["sessions_opened", "3 wan.transmitted"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn datagrams_shuffled_together_all_pass(
        order in Just((0..30_usize).collect::<Vec<_>>()).prop_shuffle(),
        workers in 1_usize..4,
    ) {
        let mut vnf = Harness::new("nat44.toml", workers);
        let datagrams: Vec<_> = (0..10_u16)
            .map(|n| large(format!("10.0.0.{}:{}", 2 + n % 4, 5000 + n), "203.0.113.7:53", n))
            .collect();
        let parts: Vec<_> = datagrams.iter().map(|whole| cut(whole, 64, &THIRDS)).collect();
        for at in order {
            let mut frame = vnf.frame_of("lan", &datagrams[at / 3])[..14].to_vec();
            frame.extend(&parts[at / 3][at % 3]);
            vnf.inject("lan", &frame, &[]);
        }
        vnf.settle();
        prop_assert_eq!(vnf.discard(), 30);
        vnf.counted(["10 sessions_opened", "30 wan.transmitted"]);
        prop_assert!(vnf.workers.iter().all(|worker| worker.pipeline.fragments.held() == 0));
    }
}

#[test]
fn a_fragmented_fin_ends_its_connection_like_any_other() {
    let mut vnf = Harness::new("nat44.toml", 1);
    let syn = tcp("10.0.0.2:5000", "203.0.113.7:80", "S");
    vnf.send("lan", &syn);
    let external = vnf.expect_translated("wan", &syn);
    let answer = tcp("203.0.113.7:80", external, "SA");
    vnf.send("wan", &answer);
    vnf.send("lan", &syn.flags("A"));
    let fin = syn.flags("FA").payload(&[3; 2000]);
    for (port, packet) in [("lan", fin.clone()), ("wan", fin.reply().to(external))] {
        for part in cut(&packet, 64, &[1480]) {
            send(&mut vnf, port, &packet, &part);
        }
    }
    vnf.discard();
    vnf.forget_counts();
    vnf.advance(seconds(260)); // beyond the transitory timeout, far below the established one
    vnf.counted(["sessions_closed.timed-out"]);
}

#[test]
fn fragmented_echo_requests_pass_and_so_do_the_replies() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        let request = ping("10.0.0.2:77", "203.0.113.7").payload(&[0x5a; 2992]);
        let parts = cut(&request, 64, &THIRDS);
        for part in [2, 0, 1] {
            send(&mut vnf, "lan", &request, &parts[part]);
        }
        let external = source_of(vnf.peek("wan"));
        let request = request.from(external);
        let expected = cut(&request, 63, &THIRDS);
        for part in [0, 2, 1] {
            expect(&mut vnf, "wan", &expected[part]);
        }
        vnf.counted(["sessions_opened", "3 wan.transmitted"]);
        let reply = request.reply();
        passes(&mut vnf, ("wan", &reply), ("lan", &reply.to("10.0.0.2:77")), [1, 2, 0]);
        vnf.counted(["3 lan.transmitted"]);
    });
}

#[test]
fn hairpinned_fragments_pass_in_every_order() {
    for_workers(|workers| {
        for order in ORDERS {
            let open = Config::new("nat44.toml").nat44("filtering = \"endpoint-independent\"");
            let mut vnf = Harness::new(open, workers);
            let question = udp("10.0.0.3:6000", "203.0.113.7:53");
            vnf.send("lan", &question);
            let there = vnf.expect_translated("wan", &question);
            let out = large("10.0.0.2:5000", there, 9);
            let parts = cut(&out, 64, &THIRDS);
            for part in order {
                send(&mut vnf, "lan", &out, &parts[part]);
            }
            let external = source_of(vnf.peek("lan"));
            let expected = cut(&out.from(external).to("10.0.0.3:6000"), 63, &THIRDS);
            expect(&mut vnf, "lan", &expected[0]);
            for part in order.into_iter().filter(|part| *part != 0) {
                expect(&mut vnf, "lan", &expected[part]);
            }
            vnf.counted(["3 sessions_opened", "wan.transmitted", "3 lan.transmitted"]);
        }
    });
}

#[test]
fn fragments_of_hairpinned_queries_pass_in_every_order() {
    for_workers(|workers| {
        for order in ORDERS {
            let open = Config::new("nat44.toml").nat44("filtering = \"endpoint-independent\"");
            let mut vnf = Harness::new(open, workers);
            let question = ping("10.0.0.3:6", "203.0.113.7");
            vnf.send("lan", &question);
            let there = vnf.expect_translated("wan", &question);
            let out = ping(format!("10.0.0.2:{}", there.port()), "198.51.100.10");
            let out = out.payload(&[0x5a; 2992]);
            let parts = cut(&out, 64, &THIRDS);
            for part in order {
                send(&mut vnf, "lan", &out, &parts[part]);
            }
            let external = source_of(vnf.peek("lan"));
            let arrived = out.from(external).between("198.51.100.10", "10.0.0.3");
            let expected = cut(&arrived, 63, &THIRDS);
            expect(&mut vnf, "lan", &expected[0]);
            for part in order.into_iter().filter(|part| *part != 0) {
                expect(&mut vnf, "lan", &expected[part]);
            }
            vnf.counted(["3 sessions_opened", "wan.transmitted", "3 lan.transmitted"]);
        }
    });
}

#[test]
fn first_fragments_that_never_come_cost_a_bounded_number_of_buffers() {
    let mut vnf = Harness::new("nat44.toml", 1);
    for id in 0..500 {
        let out = large("10.0.0.2:5000", "203.0.113.7:53", id);
        let parts = cut(&out, 64, &THIRDS);
        send(&mut vnf, "lan", &out, &parts[1]);
    }
    vnf.counted(["128 held", "372 fragment-limit"]);
    // Others are not affected, fragmented or not.
    let question = udp("10.0.0.3:5000", "203.0.113.7:53");
    vnf.send("lan", &question);
    vnf.expect_translated("wan", &question);
    let out = large("10.0.0.3:5000", "203.0.113.7:53", 1);
    let parts = cut(&out, 64, &THIRDS);
    for part in [2, 1, 0] {
        send(&mut vnf, "lan", &out, &parts[part]);
    }
    assert_eq!(vnf.discard(), 3);
    vnf.counted(["sessions_opened", "4 wan.transmitted"]);
    for _ in 0..10 {
        vnf.advance(seconds(2));
    }
    vnf.counted(["-128 held", "128 fragment-limit"]);
}

#[test]
fn repeated_fragments_are_delivered_once() {
    let mut vnf = Harness::new("nat44.toml", 1);
    let out = large("10.0.0.2:5000", "203.0.113.7:53", 1);
    let parts = cut(&out, 64, &THIRDS);
    for part in [0, 0, 0, 1, 1, 2] {
        send(&mut vnf, "lan", &out, &parts[part]);
    }
    assert_eq!(vnf.discard(), 3);
    vnf.counted(["sessions_opened", "3 wan.transmitted", "3 fragment-invalid"]);
}

#[test]
fn overlapping_fragments_end_their_datagram_and_open_nothing() {
    let mut vnf = Harness::new("nat44.toml", 1);
    let out = large("10.0.0.2:5000", "203.0.113.7:53", 1);
    let (parts, other) = (cut(&out, 64, &THIRDS), cut(&out, 64, &[1480, 1488]));
    for part in [&parts[1], &other[2], &parts[0], &parts[2]] {
        send(&mut vnf, "lan", &out, part);
    }
    vnf.counted(["4 fragment-invalid"]);
    assert_eq!(vnf.sessions(), 0);
    // The sender's next datagram passes.
    let next = large("10.0.0.2:5000", "203.0.113.7:53", 2);
    for part in cut(&next, 64, &THIRDS) {
        send(&mut vnf, "lan", &next, &part);
    }
    assert_eq!(vnf.discard(), 3);
    vnf.counted(["sessions_opened", "3 wan.transmitted"]);
}

#[test]
fn a_first_fragment_without_the_whole_tcp_header_is_dropped() {
    let mut vnf = Harness::new("nat44.toml", 1);
    let out = tcp("10.0.0.2:5000", "203.0.113.7:80", "S").payload(&[1; 100]);
    for part in cut(&out, 64, &[8, 16, 24]) {
        send(&mut vnf, "lan", &out, &part);
    }
    // 0 and 8 and 16 hide the header; 24 waits for a first one.
    vnf.counted(["3 fragment-invalid", "held"]);
    vnf.advance(seconds(2));
    vnf.counted(["-1 held", "fragment-limit"]);
}

#[test]
fn broken_fragments_are_dropped_by_themselves() {
    let mut vnf = Harness::new("nat44.toml", 1);
    let out = large("10.0.0.2:5000", "203.0.113.7:53", 1);
    let odd = cut(&out, 64, &[1484]).swap_remove(0);
    let whole = Packet { fragment_offset: 8190, ..ip("10.0.0.2", "203.0.113.7", 17, &[0; 40]) };
    let empty = Packet { fragment_offset: 100, ..ip("10.0.0.2", "203.0.113.7", 17, &[]) };
    send(&mut vnf, "lan", &out, &odd);
    vnf.send("lan", &whole);
    vnf.send("lan", &empty);
    vnf.counted(["3 fragment-invalid"]);
}

#[test]
fn an_acl_decides_about_all_fragments_alike() {
    for (port, counts) in [
        ("53", &["sessions_opened", "3 right.transmitted"][..]),
        ("54", &["3 acl-denied"]),
        ("25", &["3 acl-denied", "originated", "left.transmitted"]),
    ] {
        for order in ORDERS {
            let mut vnf = Harness::new("firewall.toml", 1);
            let out = large("10.1.0.2:5000", format!("192.0.2.2:{port}"), 1);
            let parts = cut(&out, 64, &THIRDS);
            for part in order {
                send(&mut vnf, "left", &out, &parts[part]);
            }
            vnf.counted(counts.iter().copied());
            vnf.discard();
        }
    }
}

#[test]
fn an_acl_counts_every_fragment_once() {
    let mut vnf = Harness::new("firewall.toml", 1);
    let out = large("10.1.0.2:5000", "192.0.2.2:54", 1);
    let parts = cut(&out, 64, &THIRDS);
    for part in [2, 0, 1] {
        send(&mut vnf, "left", &out, &parts[part]);
    }
    vnf.counted(["3 acl-denied"]);
    let (list, default) = (0, vnf.settings.acls[0].rules.len());
    assert_eq!(vnf.tables.acl.hits(list, default), (3, 3 * 20 + 3000));
}

#[test]
fn fragments_wait_for_a_neighbour_together() {
    let mut vnf = Harness::new("router.toml", 1);
    let out = large("10.1.0.2:5000", "192.0.2.77:53", 1);
    let (parts, expected) = (cut(&out, 64, &THIRDS), cut(&out, 63, &THIRDS));
    for part in [2, 0, 1] {
        send(&mut vnf, "left", &out, &parts[part]);
    }
    vnf.counted(["3 held"]);
    vnf.resolve("right", "192.0.2.77");
    for part in [0, 2, 1] {
        expect(&mut vnf, "right", &expected[part]);
    }
    vnf.counted(["-3 held", "3 right.transmitted"]);
}

#[test]
fn rfc4787_req_13_what_is_too_large_is_fragmented_in_order() {
    let small = Config::new("nat44.toml").interface("wan", "mtu = 1000");
    for_workers(|workers| {
        for mut vnf in [
            Harness::new(small.clone(), workers),
            Harness::with_single_queues(small.clone(), workers),
        ] {
            let out = udp("10.0.0.2:5000", "203.0.113.7:53").payload(&[0x77; 1472]);
            vnf.send("lan", &out);
            let external = source_of(vnf.peek("wan"));
            let parts = cut(&out.from(external), 63, &[976]);
            expect(&mut vnf, "wan", &parts[0]);
            expect(&mut vnf, "wan", &parts[1]);
            vnf.counted(["sessions_opened", "2 wan.transmitted", "originated"]);
        }
    });
}

#[test]
fn fragments_are_fragmented_further() {
    let mut vnf = Harness::new(Config::new("router.toml").interface("right", "mtu = 1280"), 1);
    let out = large("10.1.0.2:5000", "192.0.2.2:53", 1);
    let parts = cut(&out, 64, &[1480]);
    for part in &parts {
        send(&mut vnf, "left", &out, &part[..]);
    }
    for part in cut(&out, 63, &[1256, 1480, 2736]) {
        expect(&mut vnf, "right", &part);
    }
    vnf.counted(["4 right.transmitted", "2 originated"]);
}

#[test]
fn rfc4787_req_13_with_dont_fragment_the_sender_is_told_the_mtu() {
    for_workers(|workers| {
        let small = Config::new("nat44.toml").interface("wan", "mtu = 1000");
        let mut vnf = Harness::new(small, workers);
        let out = udp("10.0.0.2:5000", "203.0.113.7:53").payload(&[0x77; 1472]).dont_fragment();
        vnf.send("lan", &out);
        let [high, low] = 1000_u16.to_be_bytes();
        vnf.expect("lan", &icmp_error_from_vnf("10.0.0.1", 3, 4, &out).word([0, 0, high, low]));
        vnf.counted(["mtu-exceeded", "originated", "lan.transmitted"]);
    });
}

/// The fragments of an IPv6 packet, each with a fragment header.
pub(crate) fn cut6(whole: &Packet, hop_limit: u8, id: u32, at: &[u16]) -> Vec<Vec<u8>> {
    let octets = whole.octets(hop_limit);
    let (header, payload) = octets.split_at(40);
    let ends = at.iter().copied().chain([payload.len() as u16]);
    let mut from = 0;
    let mut parts = Vec::new();
    for to in ends {
        let mut part = header.to_vec();
        part[4..6].copy_from_slice(&(to - from + 8).to_be_bytes());
        part[6] = 44;
        let more = u16::from(usize::from(to) < payload.len());
        part.extend([header[6], 0]);
        part.extend((from | more).to_be_bytes());
        part.extend(id.to_be_bytes());
        part.extend(&payload[from.into()..to.into()]);
        parts.push(part);
        from = to;
    }
    parts
}

#[test]
fn ipv6_fragments_pass_the_firewall_in_every_order() {
    for_workers(|workers| {
        for (port, counts) in
            [(53, &["sessions_opened", "3 right.transmitted"][..]), (54, &["3 acl-denied"])]
        {
            for order in ORDERS {
                let mut vnf = Harness::new("firewall.toml", workers);
                let out = large("[fd00:a::2]:5000", format!("[fd00:b::2]:{port}"), 0);
                let cuts = [1400, 2800];
                let parts = cut6(&out, 64, 1 << 20, &cuts);
                for part in order {
                    send(&mut vnf, "left", &out, &parts[part]);
                }
                vnf.counted(counts.iter().copied());
                if port == 53 {
                    let parts = cut6(&out, 63, 1 << 20, &cuts);
                    expect(&mut vnf, "right", &parts[0]);
                    for part in order.into_iter().filter(|part| *part != 0) {
                        expect(&mut vnf, "right", &parts[part]);
                    }
                }
            }
        }
    });
}
