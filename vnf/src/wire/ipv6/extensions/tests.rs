use etherparse::{IpHeaders, IpNumber};
use proptest::prelude::*;

use super::*;

/// An IPv6 packet whose first next header is `next` and whose payload is `payload`.
fn packet(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend([0xfd; 16]);
    packet.extend([0x20; 16]);
    packet.extend(payload);
    packet
}

/// `count` destination options headers, then `last`.
fn chain(count: usize, last: u8) -> Vec<u8> {
    let mut payload = Vec::new();
    for left in (0..count).rev() {
        let next = if left == 0 { last } else { protocol::IPV6_OPTS };
        payload.extend([next, 0, 1, 4, 0, 0, 0, 0]);
    }
    payload
}

fn hop_by_hop(option: [u8; 6]) -> Vec<u8> {
    let mut payload = vec![protocol::UDP, 0];
    payload.extend(option);
    payload.extend([0; 8]);
    packet(protocol::HOPOPT, &payload)
}

fn fragment(next: u8, field: u16, payload: usize) -> Vec<u8> {
    let [a, b] = field.to_be_bytes();
    let mut bytes = vec![next, 0, a, b, 0, 0, 0, 7];
    bytes.resize(8 + payload, 0);
    packet(protocol::IPV6_FRAG, &bytes)
}

fn problem(packet: &[u8]) -> (Reason, Option<(u8, u32)>) {
    let refused = upper(packet).unwrap_err();
    (refused.reason, refused.problem)
}

#[test]
fn plain_packets_have_no_extensions() {
    for protocol in [6, 17, 58, 132, 59, 50, 51, 47, 200] {
        let found = upper(&packet(protocol, &[0; 8]));
        assert_eq!(found, Ok(Upper { protocol, offset: 40, fragment: None }));
    }
    assert_eq!(upper(&[0x60; 39]), Err(TRUNCATED));
}

#[test]
fn chains_of_up_to_eight_are_walked() {
    for count in 1..=8 {
        let mut payload = chain(count, protocol::TCP);
        payload.extend([0; 20]);
        let found = upper(&packet(protocol::IPV6_OPTS, &payload));
        let offset = 40 + count * 8;
        assert_eq!(found, Ok(Upper { protocol: protocol::TCP, offset, fragment: None }));
    }
    for count in [9, 100, 1000] {
        let payload = chain(count, protocol::TCP);
        assert_eq!(problem(&packet(protocol::IPV6_OPTS, &payload)), (Reason::TooMany, None));
    }
}

#[test]
fn headers_beyond_the_packet_are_truncated() {
    for length in 0..8 {
        for next in
            [protocol::HOPOPT, protocol::IPV6_ROUTE, protocol::IPV6_FRAG, protocol::IPV6_OPTS]
        {
            let bytes = [protocol::UDP, 0, 1, 4, 0, 0, 0, 0];
            assert_eq!(upper(&packet(next, &bytes[..length])), Err(TRUNCATED), "{next} {length}");
        }
    }
    assert_eq!(upper(&packet(protocol::IPV6_OPTS, &[17, 1, 1, 4, 0, 0, 0, 0])), Err(TRUNCATED));
}

#[test]
fn hop_by_hop_only_comes_first() {
    let mut payload = chain(1, protocol::HOPOPT);
    payload.extend([17, 0, 1, 4, 0, 0, 0, 0]);
    assert_eq!(problem(&packet(protocol::IPV6_OPTS, &payload)), (Reason::Malformed, Some((1, 40))));
    let twice = [0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0];
    assert_eq!(problem(&packet(protocol::HOPOPT, &twice)), (Reason::Malformed, Some((1, 40))));
}

#[test]
fn unknown_options_say_what_to_do() {
    assert!(upper(&hop_by_hop([0x1e, 4, 0, 0, 0, 0])).is_ok());
    assert!(upper(&hop_by_hop([0x05, 2, 0, 0, 1, 0])).is_ok()); // router alert
    assert_eq!(problem(&hop_by_hop([0x5e, 4, 0, 0, 0, 0])), (Reason::BadOption, None));
    assert_eq!(problem(&hop_by_hop([0x9e, 4, 0, 0, 0, 0])), (Reason::BadOption, Some((2, 42))));
    assert_eq!(problem(&hop_by_hop([0, 0xde, 3, 0, 0, 0])), (Reason::BadOption, Some((2, 43))));
    let mut multicast = hop_by_hop([0xde, 4, 0, 0, 0, 0]);
    multicast[24] = 0xff;
    assert_eq!(problem(&multicast), (Reason::BadOption, None));
    multicast[42] = 0x9e;
    assert_eq!(problem(&multicast), (Reason::BadOption, Some((2, 42))));
}

#[test]
fn options_beyond_their_header_are_malformed() {
    assert_eq!(problem(&hop_by_hop([1, 5, 0, 0, 0, 0])), (Reason::Malformed, Some((0, 43))));
    assert_eq!(problem(&hop_by_hop([0, 0, 0, 0, 0, 1])), (Reason::Malformed, Some((0, 48))));
}

#[test]
fn jumbograms_with_a_payload_length_are_malformed() {
    let packet = hop_by_hop([0xc2, 4, 0, 1, 0, 0]);
    assert_eq!(problem(&packet), (Reason::Malformed, Some((0, 42))));
}

#[test]
fn type_0_routing_is_refused_with_segments_left() {
    let mut routing = vec![17, 2, 0, 1];
    routing.resize(24, 0);
    routing.extend([0; 8]);
    assert_eq!(
        problem(&packet(protocol::IPV6_ROUTE, &routing)),
        (Reason::SourceRoute, Some((0, 42)))
    );
    routing[3] = 0;
    assert_eq!(upper(&packet(protocol::IPV6_ROUTE, &routing)).map(|u| u.offset), Ok(64));
}

#[test]
fn segment_routing_has_to_fit() {
    let segments = |words, left, last| {
        let mut routing = vec![17, words, 4, left, last, 0, 0, 0];
        routing.resize(8 + usize::from(words) * 8, 0);
        packet(protocol::IPV6_ROUTE, &routing)
    };
    assert!(upper(&segments(4, 2, 1)).is_ok());
    assert_eq!(problem(&segments(4, 1, 2)), (Reason::Malformed, None));
    assert_eq!(problem(&segments(4, 3, 1)), (Reason::Malformed, None));
    assert_eq!(problem(&segments(0, 0, 255)), (Reason::Malformed, None));
}

#[test]
fn fragments_are_read() {
    let first = upper(&fragment(protocol::UDP, 1, 16)).unwrap();
    let found = first.fragment.unwrap();
    assert_eq!(found, Fragment { header: 40, id: 7, more: true, offset: 0 });
    assert_eq!((first.protocol, first.offset), (protocol::UDP, 48));
    let later = upper(&fragment(protocol::IPV6_OPTS, 8 << 3, 1)).unwrap();
    assert_eq!((later.protocol, later.fragment.unwrap().offset), (protocol::IPV6_OPTS, 64));
    assert!(upper(&fragment(protocol::UDP, 0, 8)).unwrap().fragment.unwrap().is_atomic());
}

#[test]
fn impossible_fragments_are_refused() {
    assert_eq!(problem(&fragment(17, 1, 15)), (Reason::BadFragment, Some((0, 4))));
    assert_eq!(problem(&fragment(17, 1, 0)), (Reason::BadFragment, Some((0, 4))));
    assert_eq!(problem(&fragment(17, 0xfff8, 8)), (Reason::BadFragment, Some((0, 42))));
    let mut nested = fragment(protocol::IPV6_FRAG, 1, 16);
    nested[48..56].copy_from_slice(&[17, 0, 0, 1, 0, 0, 0, 7]);
    assert_eq!(problem(&nested), (Reason::BadFragment, None));
}

#[test]
fn first_fragment_holds_all_headers() {
    assert_eq!(problem(&fragment(protocol::TCP, 1, 8)), (Reason::Truncated, Some((3, 0))));
    assert!(upper(&fragment(protocol::TCP, 1, 24)).is_ok());
    assert!(upper(&fragment(protocol::UDP, 1, 8)).is_ok());
    assert_eq!(problem(&fragment(protocol::UDP, 0, 7)), (Reason::Truncated, None));
    let mut options = fragment(protocol::IPV6_OPTS, 1, 8);
    options[49] = 1; // the options header goes on in the next fragment
    assert_eq!(problem(&options), (Reason::Truncated, Some((3, 0))));
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(next: u8, payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let packet = packet(next, &payload);
        if let Ok(found) = upper(&packet) {
            prop_assert!((40..=packet.len()).contains(&found.offset));
        }
    }

    #[test]
    fn etherparse_finds_the_same_upper_header(
        kinds in prop::collection::vec(prop::sample::select(vec![
            protocol::IPV6_OPTS, protocol::IPV6_ROUTE, protocol::IPV6_FRAG,
        ]), 0..3).prop_filter("one of a kind", |k| {
            k.iter().collect::<std::collections::HashSet<_>>().len() == k.len()
        }),
        words in 0..4u8, last in prop::sample::select(vec![6u8, 17, 58]),
    ) {
        let mut payload = Vec::new();
        for (i, kind) in kinds.iter().enumerate() {
            let next = kinds.get(i + 1).copied().unwrap_or(last);
            let words = if *kind == protocol::IPV6_FRAG { 0 } else { words };
            let start = payload.len();
            payload.extend([next, words]);
            payload.resize(start + 8 + usize::from(words) * 8, 0);
        }
        payload.extend([0; 20]);
        let packet = packet(kinds.first().copied().unwrap_or(last), &payload);
        let found = upper(&packet).unwrap();
        let (_, oracle) = IpHeaders::from_slice(&packet).unwrap();
        prop_assert_eq!(IpNumber(found.protocol), oracle.ip_number);
        prop_assert_eq!(packet.len() - found.offset, oracle.payload.len());
    }
}
