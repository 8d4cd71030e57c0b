//! Echo requests to the VNF itself that are larger than any link takes (RFC 1812 4.3.3.6).

use crate::common::*;
use crate::fragments::{cut, cut6, send};

/// A request with 60,000 octets of data, none like its neighbours.
fn large(host: &str, own: &str) -> Packet {
    let data: Vec<u8> = (0..60_000_u32).map(|at| (at * 7 / 8) as u8).collect();
    Packet { id: 0x1234, ..ping(host, own).payload(&data) }
}

/// Every 1,448 octets, as both families may cut it.
fn places() -> Vec<u16> {
    (1..42).map(|number| number * 1448).collect()
}

/// The payload of the fragments that left, put together from where each says that it belongs.
fn put_together(vnf: &mut Harness, port: &str, l4: usize) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut last = false;
    while let Some(Frame(frame)) = vnf.try_take(port) {
        assert!(!last && frame.len() <= 1514, "whole frames, and none behind the last");
        let (field, length) = if l4 == 34 {
            let field = u16::from_be_bytes([frame[20], frame[21]]);
            ((field & 0x1fff) * 8, usize::from(u16::from_be_bytes([frame[16], frame[17]])) + 14)
        } else {
            let field = u16::from_be_bytes([frame[56], frame[57]]);
            (field & !7, usize::from(u16::from_be_bytes([frame[18], frame[19]])) + 54)
        };
        let more = if l4 == 34 { frame[20] & 0x20 != 0 } else { frame[57] & 1 != 0 };
        assert_eq!(usize::from(field), whole.len(), "fragments leave in order");
        whole.extend(&frame[l4..length]);
        last = !more;
    }
    assert!(last, "the last one says so");
    whole
}

#[test]
fn rfc1812_4_3_3_6_an_echo_request_of_60_000_octets_is_answered_whole() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        for (host, own, l4, header) in
            [("10.1.0.2:9", "10.1.0.1", 34, 20), ("[fd00:a::2]:9", "fd00:a::1", 62, 40)]
        {
            let request = large(host, own);
            let mut parts = match header {
                20 => cut(&request, 64, &places()),
                _ => cut6(&request, 64, 77, &places()),
            };
            let count = parts.len() as i64;
            parts[1..].reverse();
            for part in &parts {
                vnf.expect_nothing();
                send(&mut vnf, "left", &request, part);
            }
            let reply = put_together(&mut vnf, "left", l4);
            assert!(reply == request.reply().octets(64)[header..], "the reply to {host}");
            let changes = vnf.changes();
            assert_eq!(changes["punted"], count);
            assert_eq!(changes["originated"], changes["left.transmitted"]);
            assert_eq!(changes.len(), 3, "{changes:?}");
            vnf.forget_counts();
        }
    });
}

#[test]
fn later_fragments_that_begin_like_neighbour_discovery_are_fragments() {
    let mut vnf = Harness::new("router.toml", 1);
    let request = Packet { id: 1, ..ping("[fd00:a::2]:9", "fd00:a::1").payload(&[135; 3000]) };
    for part in cut6(&request, 64, 77, &[1448, 2896]) {
        send(&mut vnf, "left", &request, &part);
    }
    assert!(put_together(&mut vnf, "left", 62) == request.reply().octets(64)[40..]);
    vnf.counted(["3 punted", "3 originated", "3 left.transmitted"]);
}

#[test]
fn a_request_with_a_wrong_checksum_is_not_answered() {
    let mut vnf = Harness::new("router.toml", 1);
    let request = large("10.1.0.2:9", "10.1.0.1").checksum(Checksum::WrongBy(1));
    for part in cut(&request, 64, &places()) {
        send(&mut vnf, "left", &request, &part);
    }
    vnf.counted(["42 no-local-service"]);
}

#[test]
fn rfc1812_4_3_3_4_a_request_whose_rest_stays_away_is_told_so() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let request = large("10.1.0.2:9", "10.1.0.1");
        let parts = cut(&request, 64, &places());
        for part in &parts[..5] {
            send(&mut vnf, "left", &request, part);
        }
        vnf.counted(["5 held"]);
        vnf.advance(seconds(4));
        vnf.counted(["-5 held", "5 fragment-limit", "originated", "left.transmitted"]);
        let Frame(told) = vnf.take("left");
        assert_eq!((told[23], told[34], told[35]), (1, 11, 1), "reassembly time exceeded");
        assert_eq!(told[42..42 + 528], parts[0][..528], "about the first fragment as it came");
        // Without the first one nobody is told.
        for part in &parts[1..3] {
            send(&mut vnf, "left", &Packet { id: 9, ..request.clone() }, part);
        }
        vnf.advance(seconds(4));
        vnf.expect_nothing();
        vnf.counted(["2 fragment-limit"]);
    });
}

#[test]
fn many_unfinished_requests_take_a_bounded_number_of_places() {
    let mut vnf = Harness::new("router.toml", 1);
    let request = large("10.1.0.2:9", "10.1.0.1");
    for id in 0..40 {
        let unfinished = Packet { id, ..request.clone() };
        send(&mut vnf, "left", &unfinished, &cut(&unfinished, 64, &places())[0]);
    }
    vnf.counted(["8 held", "32 fragment-limit"]);
    let request = Packet { id: 99, ..request };
    for part in cut(&request, 64, &places()) {
        send(&mut vnf, "left", &request, &part);
    }
    assert!(put_together(&mut vnf, "left", 34) == request.reply().octets(64)[20..]);
}
