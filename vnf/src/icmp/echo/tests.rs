use etherparse::{IpHeaders, IpNumber};
use proptest::prelude::*;

use super::*;
use crate::icmp::frames::*;

#[test]
fn replies_keep_id_sequence_and_data() {
    for vlan in [None, Some(100)] {
        for size in [0, 1, 56, 1472] {
            let data: Vec<u8> = (0..size).map(|i| i as u8).collect();
            let mut frame = icmp(v4(&[]), 8, 0, &data);
            if let Some(vlan) = vlan {
                frame = tagged(frame, vlan);
            }
            let length = reply_v4(&mut frame).unwrap();
            assert_eq!(length, frame.len());
            let read = verified(&frame);
            let (ip, icmp, payload) = icmp_v4(&read);
            assert_eq!((ip.source, ip.destination, ip.time_to_live), (REMOTE, HOST, 64));
            assert_eq!((icmp[0], icmp[1], &icmp[4..]), (0, 0, &[0x12, 0x34, 0, 7][..]));
            assert_eq!(payload, data);
            assert_eq!(stations(&read), (OURS, THEIRS));
        }
    }
}

#[test]
fn v6_replies_keep_id_sequence_and_data() {
    for size in [0, 1, 56, 1452] {
        let data: Vec<u8> = (0..size).map(|i| i as u8).collect();
        let mut frame = tagged(icmp(v6(), 128, 0, &data), 7);
        assert_eq!(reply_v6(&mut frame), Some(frame.len()));
        let read = verified(&frame);
        let (ip, icmp, payload) = icmp_v6(&read);
        assert_eq!((ip.source, ip.destination, ip.hop_limit), (REMOTE6, HOST6, 64));
        assert_eq!((icmp[0], icmp[1], &icmp[4..]), (129, 0, &[0x12, 0x34, 0, 7][..]));
        assert_eq!(payload, data);
        assert_eq!(stations(&read), (OURS, THEIRS));
    }
}

#[test]
fn every_checksum_of_a_request_leads_to_a_right_reply() {
    for word in 0..=u16::MAX {
        let mut frame = Vec::new();
        link().ip(v4(&[])).icmpv4_echo_request(word, 0).write(&mut frame, &[]).unwrap();
        reply_v4(&mut frame).unwrap();
        verified(&frame);
    }
}

#[test]
fn padding_is_not_part_of_the_reply() {
    let mut frame = icmp(v4(&[]), 8, 0, &[1, 2]);
    frame.resize(60, 0xee);
    assert_eq!(reply_v4(&mut frame), Some(44));
    verified(&frame[..44]);
}

#[test]
fn options_are_answered_by_no_operations() {
    let mut frame = icmp(v4(&[7, 7, 4, 0, 0, 0, 0, 0]), 8, 0, &[1, 2]);
    assert_eq!(reply_v4(&mut frame), Some(frame.len()));
    assert_eq!(icmp_v4(&verified(&frame)).0.options.as_slice(), [1; 8]);
}

#[test]
fn what_is_no_whole_request_stays_as_it_is() {
    let mut wrong = icmp(v4(&[]), 8, 0, &[1, 2]);
    wrong[36] ^= 1;
    let mut wrong_v6 = icmp(v6(), 128, 0, &[1, 2]);
    wrong_v6[56] ^= 1;
    let mut from_many = icmp(v4(&[]), 8, 0, &[]);
    from_many[6] |= 1;
    let mut to_many = icmp(v4(&[]), 8, 0, &[]);
    to_many[0] = 0xff;
    let with = |source, destination| {
        let IpHeaders::Ipv4(mut header, extensions) = v4(&[]) else { panic!() };
        (header.source, header.destination) = (source, destination);
        icmp(IpHeaders::Ipv4(header, extensions), 8, 0, &[])
    };
    let mut empty = Vec::new();
    link().ip(v4(&[])).write(&mut empty, IpNumber::ICMP, &[]).unwrap();
    for (what, frame) in [
        ("a reply", icmp(v4(&[]), 0, 0, &[1, 2])),
        ("a code", icmp(v4(&[]), 8, 1, &[1, 2])),
        ("a reply", icmp(v6(), 129, 0, &[1, 2])),
        ("a code", icmp(v6(), 128, 1, &[1, 2])),
        ("another protocol", udp(v4(&[]), &[8, 0])),
        ("another protocol", udp(v6(), &[8, 0])),
        ("a first fragment", icmp(fragment(0, true), 8, 0, &[])),
        ("a later fragment", icmp(fragment(1, false), 8, 0, &[])),
        ("a wrong checksum", wrong),
        ("a wrong checksum", wrong_v6),
        ("sent by many", from_many),
        ("sent to many", to_many),
        ("from a broadcast", with([255; 4], REMOTE)),
        ("to a group", with(HOST, [224, 0, 0, 1])),
        ("nothing", empty),
    ] {
        let mut answered = frame.clone();
        assert_eq!(reply_v4(&mut answered), None, "{what}");
        assert_eq!(reply_v6(&mut answered), None, "{what}");
        assert_eq!(answered, frame, "{what}");
    }
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(frame in spoiled(vec![
        icmp(v4(&[]), 8, 0, &[]),
        icmp(v4(&[148, 4, 0, 0]), 8, 0, &[1; 9]),
        icmp(v6(), 128, 0, &[1; 9]),
        tagged(icmp(v6(), 128, 0, &[]), 7),
    ])) {
        let mut answered = frame.clone();
        match reply_v4(&mut answered).or_else(|| reply_v6(&mut answered)) {
            Some(length) => { verified(&answered[..length]); }
            None => prop_assert_eq!(answered, frame),
        }
    }
}
