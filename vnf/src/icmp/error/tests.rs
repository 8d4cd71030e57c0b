use etherparse::{IpHeaders, IpNumber};
use proptest::prelude::*;

use super::*;
use crate::icmp::frames::*;

const GATEWAY: [u8; 4] = [10, 0, 0, 1];
const GATEWAY6: [u8; 16] = [0xfd, 0, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn written_v4(frame: &[u8], error: Error) -> Option<Vec<u8>> {
    let mut out = vec![0xaa; 600];
    let length = write_v4(frame, error, GATEWAY, &mut out)?;
    out.truncate(length);
    Some(out)
}

fn written_v6(frame: &[u8], error: Error) -> Option<Vec<u8>> {
    let mut out = vec![0xaa; 1300];
    let length = write_v6(frame, error, GATEWAY6, &mut out)?;
    out.truncate(length);
    Some(out)
}

#[test]
fn the_whole_packet_is_quoted_without_its_padding() {
    let mut frame = udp(v4(&[]), &[7; 4]);
    let packet = frame[14..].to_vec();
    frame.resize(60, 0xee);
    let error = written_v4(&frame, Error::V4_TTL_EXCEEDED).unwrap();
    let read = verified(&error);
    let (ip, icmp, quoted) = icmp_v4(&read);
    assert_eq!((ip.source, ip.destination), (GATEWAY, HOST));
    assert_eq!((ip.time_to_live, ip.dscp.value(), ip.ecn.value()), (64, 48, 0));
    assert_eq!((icmp[0], icmp[1], &icmp[4..]), (11, 0, &[0; 4][..]));
    assert_eq!(quoted, packet);
    assert_eq!(stations(&read), (OURS, THEIRS));
}

#[test]
fn at_most_576_octets_are_sent() {
    for (size, wanted) in [(519, 575), (520, 576), (521, 576), (1472, 576)] {
        let frame = udp(v4(&[]), &vec![7; size]);
        let error = written_v4(&frame, Error::v4_fragmentation_needed(1400)).unwrap();
        let read = verified(&error);
        let (ip, icmp, quoted) = icmp_v4(&read);
        assert_eq!(usize::from(ip.total_len), wanted);
        assert_eq!(icmp[..2], [3, 4]);
        assert_eq!(icmp[4..], [0, 0, 5, 120]);
        assert_eq!(quoted, &frame[14..][..wanted - 28]);
    }
}

#[test]
fn options_are_quoted_and_tags_kept() {
    let frame = tagged(udp(v4(&[148, 4, 0, 0]), &[7; 4]), 100);
    let error = written_v4(&frame, Error::v4_parameter_problem(20)).unwrap();
    let read = verified(&error);
    let (_, icmp, quoted) = icmp_v4(&read);
    assert_eq!((icmp[0], icmp[1], &icmp[4..]), (12, 0, &[20, 0, 0, 0][..]));
    assert_eq!(quoted, &frame[18..]);
    assert_eq!(error[12..16], [0x81, 0, 0, 100]);
}

#[test]
fn short_errors_are_padded_with_zeros() {
    let mut frame = Vec::new();
    link().ip(v4(&[])).write(&mut frame, IpNumber::GRE, &[]).unwrap();
    let error = written_v4(&frame, Error::V4_PROTOCOL_UNREACHABLE).unwrap();
    assert_eq!(error.len(), 62);
    assert_eq!(write_v4(&frame, Error::V4_NO_ROUTE, GATEWAY, &mut [0; 61]), None);
}

#[test]
fn icmp_queries_are_answered_and_errors_are_not() {
    for kind in 0..=u8::MAX {
        let answered = written_v4(&icmp(v4(&[]), kind, 0, &[0; 8]), Error::V4_NO_ROUTE).is_some();
        assert_eq!(answered, matches!(kind, 0 | 8 | 13..=18 | 42 | 43), "{kind}");
        let answered = written_v6(&icmp(v6(), kind, 0, &[0; 8]), Error::V6_NO_ROUTE).is_some();
        assert_eq!(answered, kind >= 128 && kind != 137, "{kind}");
    }
    let mut empty = Vec::new();
    link().ip(v4(&[])).write(&mut empty, IpNumber::ICMP, &[]).unwrap();
    assert_eq!(written_v4(&empty, Error::V4_NO_ROUTE), None, "an unknown type");
}

#[test]
fn later_fragments_are_not_answered() {
    assert!(written_v4(&udp(fragment(0, true), &[0; 8]), Error::V4_NO_ROUTE).is_some());
    assert!(written_v4(&udp(fragment(1, true), &[0; 8]), Error::V4_NO_ROUTE).is_none());
    assert!(written_v4(&udp(fragment(1, false), &[0; 8]), Error::V4_NO_ROUTE).is_none());
}

#[test]
fn more_than_one_station_is_not_answered() {
    for at in [0, 6] {
        let mut frame = udp(v4(&[]), &[0; 8]);
        frame[at] |= 1;
        assert_eq!(written_v4(&frame, Error::V4_NO_ROUTE), None);
        assert!(!may_answer_v4(&frame));
        let mut frame = udp(v6(), &[0; 8]);
        frame[at] |= 1;
        assert_eq!(written_v6(&frame, Error::V6_NO_ROUTE), None);
        assert!(!may_answer_v6(&frame));
    }
    let between = |source, destination| {
        let IpHeaders::Ipv4(mut header, extensions) = v4(&[]) else { panic!() };
        (header.source, header.destination) = (source, destination);
        udp(IpHeaders::Ipv4(header, extensions), &[0; 8])
    };
    assert!(may_answer_v4(&between(HOST, REMOTE)));
    for bad in [[0; 4], [127, 0, 0, 1], [224, 0, 0, 5], [240, 0, 0, 1], [255; 4]] {
        assert!(!may_answer_v4(&between(bad, REMOTE)), "{bad:?}");
        assert!(!may_answer_v4(&between(HOST, bad)), "{bad:?}");
    }
    let between = |source, destination| {
        let IpHeaders::Ipv6(mut header, extensions) = v6() else { panic!() };
        (header.source, header.destination) = (source, destination);
        udp(IpHeaders::Ipv6(header, extensions), &[0; 8])
    };
    let group = [0xff; 16];
    assert!(may_answer_v6(&between(HOST6, REMOTE6)));
    assert!(!may_answer_v6(&between(group, REMOTE6)));
    assert!(!may_answer_v6(&between([0; 16], REMOTE6)));
    assert!(!may_answer_v6(&between(HOST6, group)));
}

#[test]
fn v6_errors_quote_up_to_the_minimum_mtu() {
    for (size, wanted) in [(10, 106), (1184, 1280), (1185, 1280), (1400, 1280)] {
        let frame = udp(v6(), &vec![7; size]);
        let error = written_v6(&frame, Error::v6_packet_too_big(1280)).unwrap();
        assert_eq!(error.len(), 14 + wanted);
        let read = verified(&error);
        let (ip, icmp, quoted) = icmp_v6(&read);
        assert_eq!((ip.source, ip.destination, ip.hop_limit), (GATEWAY6, HOST6, 64));
        assert_eq!((icmp[0], icmp[1], &icmp[4..]), (2, 0, &[0, 0, 5, 0][..]));
        assert_eq!(quoted, &frame[14..][..wanted - 48]);
        assert_eq!(stations(&read), (OURS, THEIRS));
    }
}

#[test]
fn v6_errors_about_broken_chains_are_sent() {
    let mut frame = udp(v6(), &[0; 8]);
    frame[20] = 0; // UDP's header read as hop-by-hop options that do not fit
    let error = written_v6(&frame, Error::v6_parameter_problem(1, 40)).unwrap();
    assert_eq!(icmp_v6(&verified(&error)).1[..2], [4, 1]);
}

#[test]
fn v6_fragments_that_may_be_errors_are_not_answered() {
    let fragment = |next, offset: u8| {
        let mut frame = udp(v6(), &[0; 8]);
        frame[20] = 44;
        frame[54..62].copy_from_slice(&[next, 0, 0, offset << 3, 0, 0, 0, 1]);
        frame[62] = 128;
        frame
    };
    assert!(may_answer_v6(&fragment(58, 0)));
    assert!(!may_answer_v6(&fragment(58, 1)));
    assert!(may_answer_v6(&fragment(17, 1)));
}

fn samples() -> Vec<Vec<u8>> {
    vec![
        udp(v4(&[]), &[1; 20]),
        udp(v4(&[148, 4, 0, 0]), &[1; 20]),
        udp(v6(), &[1; 20]),
        icmp(v4(&[]), 8, 0, &[]),
        tagged(icmp(v6(), 128, 0, &[]), 7),
    ]
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(frame in spoiled(samples())) {
        if let Some(error) = written_v4(&frame, Error::V4_NO_ROUTE) {
            prop_assert!(may_answer_v4(&frame));
            prop_assert!(!may_answer_v4(&error), "nothing answers an error");
            prop_assert_eq!(icmp_v4(&verified(&error)).0.source, GATEWAY);
        }
        if let Some(error) = written_v6(&frame, Error::V6_NO_ROUTE) {
            prop_assert!(may_answer_v6(&frame));
            prop_assert!(!may_answer_v6(&error), "nothing answers an error");
            prop_assert_eq!(icmp_v6(&verified(&error)).0.source, GATEWAY6);
        }
    }
}
