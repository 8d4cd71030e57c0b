use etherparse::{IpNumber, Ipv4Header as Oracle, PacketBuilder};
use proptest::prelude::*;

use super::*;
use crate::icmp::frames;

const ROUTER: [u8; 4] = [192, 0, 2, 9];
const INTERNAL: Endpoint = Endpoint { address: [10, 0, 0, 2], port: 5000 };
const EXTERNAL: Endpoint = Endpoint { address: [198, 51, 100, 10], port: 1024 };
const REMOTE: Endpoint = Endpoint { address: [203, 0, 113, 7], port: 53 };

/// What an error quotes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    EchoReply,
    EchoRequest,
    Gre,
    Sctp,
    Tcp,
    Udp,
    UdpWithoutChecksum,
}

const KINDS: [Kind; 7] = [
    Kind::EchoReply,
    Kind::EchoRequest,
    Kind::Gre,
    Kind::Sctp,
    Kind::Tcp,
    Kind::Udp,
    Kind::UdpWithoutChecksum,
];

impl Kind {
    fn protocol(self) -> IpNumber {
        match self {
            Self::EchoReply | Self::EchoRequest => IpNumber::ICMP,
            Self::Gre => IpNumber::GRE,
            Self::Sctp => IpNumber::SCTP,
            Self::Tcp => IpNumber::TCP,
            Self::Udp | Self::UdpWithoutChecksum => IpNumber::UDP,
        }
    }

    /// The packet with these options and endpoints, as its sender would have made it.
    fn packet(
        self,
        options: &[u8],
        source: Endpoint,
        destination: Endpoint,
        payload: &[u8],
    ) -> Vec<u8> {
        let (from, to) = (source.address, destination.address);
        let mut header = Oracle::new(0, 1, self.protocol(), from, to).unwrap();
        header.options = options.try_into().unwrap();
        let builder = PacketBuilder::ip(etherparse::IpHeaders::Ipv4(header, Default::default()));
        let ports = (source.port, destination.port);
        let raw =
            [source.port.to_be_bytes(), destination.port.to_be_bytes(), [1, 2], [3, 4]].concat();
        let mut out = Vec::new();
        match self {
            Self::EchoReply => builder.icmpv4_echo_reply(source.port, 7).write(&mut out, payload),
            Self::EchoRequest => {
                builder.icmpv4_echo_request(source.port, 7).write(&mut out, payload)
            }
            Self::Gre => builder.write(&mut out, self.protocol(), &[&[9; 8], payload].concat()),
            Self::Sctp => builder.write(&mut out, self.protocol(), &[&raw, payload].concat()),
            Self::Tcp => builder.tcp(ports.0, ports.1, 1, 2).write(&mut out, payload),
            Self::Udp | Self::UdpWithoutChecksum => {
                builder.udp(ports.0, ports.1).write(&mut out, payload)
            }
        }
        .unwrap();
        if let Self::UdpWithoutChecksum = self {
            out[20 + options.len() + 6..][..2].fill(0);
        }
        out
    }
}

/// An error about `quoted`, from its outer header on.
fn error(source: [u8; 4], destination: [u8; 4], word: [u8; 4], quoted: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    PacketBuilder::ipv4(source, destination, 60)
        .icmpv4_raw(3, 3, word)
        .write(&mut out, quoted)
        .unwrap();
    out
}

/// What is left of the wanted packet where the original was cut off: half a TCP checksum cannot be
/// translated.
fn cut(kind: Kind, original: &[u8], wanted: &[u8], length: usize) -> Vec<u8> {
    let mut wanted = wanted[..length].to_vec();
    let l4 = usize::from(original[0] & 15) * 4;
    if matches!(kind, Kind::Tcp) && length == l4 + 17 {
        wanted[l4 + 16] = original[l4 + 16];
    }
    wanted
}

/// An error from outside about a packet that went out, and what to write over it.
fn inbound(quoted: &[u8]) -> (Vec<u8>, Rewrite) {
    let rewrite = Rewrite {
        destination: Some(INTERNAL.address),
        inner_source: Some(INTERNAL),
        ..Rewrite::default()
    };
    (error(ROUTER, EXTERNAL.address, [0; 4], quoted), rewrite)
}

#[test]
fn rfc5508_req_4_error_from_outside_reverts_the_quoted_packet() {
    for kind in KINDS {
        for options in [&[][..], &[148, 4, 0, 0], &[1; 40]] {
            let original = kind.packet(options, EXTERNAL, REMOTE, &[7; 33]);
            let reverted = kind.packet(options, INTERNAL, REMOTE, &[7; 33]);
            // Quoted to any length.
            for length in 0..=original.len() {
                let (mut packet, rewrite) = inbound(&original[..length]);
                let before = packet.clone();
                let verdict = translate(&mut packet, &rewrite);
                if length < 20 + options.len() + 8 {
                    assert_eq!(verdict, Err(Refused::Truncated), "{kind:?} {length}");
                    assert_eq!(packet, before);
                } else {
                    assert_eq!(verdict, Ok(()), "{kind:?} {length}");
                    let reverted = cut(kind, &original, &reverted, length);
                    let wanted = error(ROUTER, INTERNAL.address, [0; 4], &reverted);
                    assert_eq!(packet, wanted, "{kind:?} {options:?} {length}");
                }
            }
        }
    }
}

#[test]
fn rfc5508_req_5_error_from_inside_hides_the_internal_host() {
    for kind in KINDS {
        // The quoted packet went to the internal host; with a query its id is the destination's.
        let echo = matches!(kind, Kind::EchoReply | Kind::EchoRequest);
        let from = |to: Endpoint| if echo { Endpoint { port: to.port, ..REMOTE } } else { REMOTE };
        let original = kind.packet(&[], from(INTERNAL), INTERNAL, &[7; 8]);
        let hidden = kind.packet(&[], from(EXTERNAL), EXTERNAL, &[7; 8]);
        let mut packet = error(INTERNAL.address, REMOTE.address, [0; 4], &original);
        let rewrite = Rewrite {
            source: Some(EXTERNAL.address),
            inner_destination: Some(EXTERNAL),
            ..Rewrite::default()
        };
        assert_eq!(translate(&mut packet, &rewrite), Ok(()));
        assert_eq!(packet, error(EXTERNAL.address, REMOTE.address, [0; 4], &hidden), "{kind:?}");
    }
}

#[test]
fn rfc5508_req_7_hairpinned_error_changes_both_ends() {
    let (peer, peer_outside) = (
        Endpoint { address: [10, 0, 0, 3], port: 6000 },
        Endpoint { address: [198, 51, 100, 11], port: 2048 },
    );
    let original = Kind::Udp.packet(&[], EXTERNAL, peer, &[7; 8]);
    let reverted = Kind::Udp.packet(&[], INTERNAL, peer_outside, &[7; 8]);
    let mut packet = error(peer.address, EXTERNAL.address, [0; 4], &original);
    let rewrite = Rewrite {
        source: Some(peer_outside.address),
        destination: Some(INTERNAL.address),
        inner_source: Some(INTERNAL),
        inner_destination: Some(peer_outside),
    };
    assert_eq!(translate(&mut packet, &rewrite), Ok(()));
    assert_eq!(packet, error(peer_outside.address, INTERNAL.address, [0; 4], &reverted));
}

#[test]
fn rfc5508_req_3_extensions_are_left_as_they_are() {
    for kind in KINDS {
        for mtu in [0, 5] {
            let extension = [0x20, 0, 1, 2, 0, 8, 1, 1, 9, 9, 9, 9];
            let body = |source| {
                let mut body = kind.packet(&[1; 4], source, REMOTE, &[7; 33]);
                body.resize(128, 0);
                [&body[..], &extension].concat()
            };
            let word = [0, 32, mtu, 220];
            let mut packet = error(ROUTER, EXTERNAL.address, word, &body(EXTERNAL));
            let (_, rewrite) = inbound(&[]);
            assert_eq!(translate(&mut packet, &rewrite), Ok(()));
            assert_eq!(packet, error(ROUTER, INTERNAL.address, word, &body(INTERNAL)), "{kind:?}");
        }
    }
}

#[test]
fn what_lies_behind_the_quoted_length_is_not_touched() {
    let quoted = Kind::Tcp.packet(&[], EXTERNAL, REMOTE, &[7; 33]);
    for (words, refused) in
        [(6, Some(Refused::Truncated)), (7, None), (9, None), (10, None), (255, None)]
    {
        let mut packet = error(ROUTER, EXTERNAL.address, [0, words, 0, 0], &quoted);
        let (_, rewrite) = inbound(&[]);
        assert_eq!(translate(&mut packet, &rewrite).err(), refused, "{words}");
        assert!(words >= 10 || packet[28 + 36..28 + 38] == quoted[36..38], "{words}");
        frames::verified(&[&[0; 12][..], &[8, 0], &packet].concat());
    }
}

#[test]
fn rfc5508_req_3_wrong_checksums_are_refused_where_they_count() {
    let quoted = Kind::Tcp.packet(&[], EXTERNAL, REMOTE, &[7; 8]);
    let (mut outer, rewrite) = inbound(&quoted);
    outer[22] ^= 1;
    let before = outer.clone();
    assert_eq!(translate(&mut outer, &rewrite), Err(Refused::BadChecksum));
    assert_eq!(outer, before);

    let mut wrong = quoted.clone();
    wrong[10] ^= 1;
    let (mut inner, rewrite) = inbound(&wrong);
    let before = inner.clone();
    assert_eq!(translate(&mut inner, &rewrite), Err(Refused::BadChecksum));
    assert_eq!(inner, before);
}

#[test]
fn wrong_quoted_transport_checksums_stay_wrong_by_as_much() {
    let mut quoted = Kind::Tcp.packet(&[], EXTERNAL, REMOTE, &[7; 8]);
    let reverted = Kind::Tcp.packet(&[], INTERNAL, REMOTE, &[7; 8]);
    let checksum = |packet: &[u8]| u32::from(u16::from_be_bytes([packet[36], packet[37]]));
    let right = checksum(&quoted);
    quoted[37] ^= 0x55;
    let (mut packet, rewrite) = inbound(&quoted);
    assert_eq!(translate(&mut packet, &rewrite), Ok(()));
    let error = |wrong: u32, right: u32| (wrong + 0xffff - right) % 0xffff;
    assert_eq!(
        error(checksum(&packet[28..]), checksum(&reverted)),
        error(checksum(&quoted), right)
    );
    frames::verified(&[&[0; 12][..], &[8, 0], &packet].concat());
}

/// The quoted packet after a change, with its header checksum made right.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut quoted = Kind::Udp.packet(&[], EXTERNAL, REMOTE, &[7; 8]);
    change(&mut quoted);
    quoted[10..12].fill(0);
    let length = usize::from(quoted[0] & 15) * 4;
    let checksum = Sum::of(&quoted[..length.min(quoted.len())]).checksum();
    quoted[10..12].copy_from_slice(&checksum.to_be_bytes());
    quoted
}

#[test]
fn impossible_quoted_packets_are_refused() {
    let refused = |change: fn(&mut Vec<u8>)| {
        let (mut packet, rewrite) = inbound(&changed(change));
        translate(&mut packet, &rewrite)
    };
    assert_eq!(refused(|_| {}), Ok(()));
    assert_eq!(refused(|quoted| quoted[0] = 0x44), Err(Refused::Malformed));
    assert_eq!(refused(|quoted| quoted[0] = 0x65), Err(Refused::Malformed));
    assert_eq!(refused(|quoted| quoted[0] = 0x4f), Err(Refused::Malformed));
    assert_eq!(refused(|quoted| (quoted[0], quoted[3]) = (0x4f, 68)), Err(Refused::Truncated));
    assert_eq!(refused(|quoted| quoted[3] = 19), Err(Refused::Malformed));
    assert_eq!(refused(|quoted| quoted[3] = 27), Err(Refused::Truncated));
    assert_eq!(refused(|quoted| quoted[2] = 0xff), Ok(()), "longer than what is quoted");
    assert_eq!(refused(|quoted| quoted[7] = 1), Err(Refused::Fragment));
    assert_eq!(refused(|quoted| quoted[6] = 0x20), Ok(()), "a first fragment has ports");
    assert_eq!(refused(|quoted| quoted[9] = protocol::ICMPV6), Err(Refused::Malformed));
}

#[test]
fn only_echo_is_a_quoted_query() {
    for kind in 0..=u8::MAX {
        let quoted = changed(|quoted| (quoted[9], quoted[20]) = (protocol::ICMP, kind));
        let message = error(ROUTER, EXTERNAL.address, [0; 4], &quoted);
        let wanted = if matches!(kind, 0 | 8) { None } else { Some(Refused::NotQuery) };
        assert_eq!(parse_v4(&message[20..]).err(), wanted, "{kind}");
    }
}

#[test]
fn quoted_ports_and_ids_are_found() {
    let read = |kind: Kind, options: &[u8]| {
        let quoted = kind.packet(options, EXTERNAL, REMOTE, &[7; 8]);
        parse_v4(&error(ROUTER, EXTERNAL.address, [0; 4], &quoted)[20..]).unwrap()
    };
    let tcp = read(Kind::Tcp, &[1; 8]);
    assert_eq!((tcp.source, tcp.destination), (EXTERNAL.address, REMOTE.address));
    assert_eq!((tcp.protocol, tcp.source_port, tcp.destination_port), (6, 1024, 53));
    assert_eq!((tcp.l4, tcp.end), (36, 64));
    let echo = read(Kind::EchoRequest, &[]);
    assert_eq!((echo.protocol, echo.source_port, echo.destination_port), (1, 1024, 1024));
    let gre = read(Kind::Gre, &[]);
    assert_eq!((gre.protocol, gre.source_port, gre.destination_port), (47, 0, 0));
}

#[test]
fn what_is_no_error_is_not_translated() {
    let quoted = Kind::Udp.packet(&[], EXTERNAL, REMOTE, &[7; 8]);
    for kind in 0..=u8::MAX {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4(ROUTER, EXTERNAL.address, 60);
        builder.icmpv4_raw(kind, 0, [0; 4]).write(&mut packet, &quoted).unwrap();
        let verdict = translate(&mut packet, &Rewrite::default());
        assert_eq!(verdict.is_ok(), matches!(kind, 3 | 11 | 12), "{kind}");
    }
    let mut udp = Kind::Udp.packet(&[], EXTERNAL, REMOTE, &quoted);
    assert_eq!(translate(&mut udp, &Rewrite::default()), Err(Refused::Malformed));
}

#[test]
fn padding_is_not_part_of_the_error() {
    let (mut packet, rewrite) = inbound(&Kind::Udp.packet(&[], EXTERNAL, REMOTE, &[]));
    let wanted =
        error(ROUTER, INTERNAL.address, [0; 4], &Kind::Udp.packet(&[], INTERNAL, REMOTE, &[]));
    packet.extend([0xee; 9]);
    assert_eq!(translate(&mut packet, &rewrite), Ok(()));
    assert_eq!(packet, [&wanted[..], &[0xee; 9]].concat());
}

#[test]
fn v6_quoted_packets_are_found() {
    let quoted = frames::udp(frames::v6(), &[7; 33])[14..].to_vec();
    let found = |kind, word: [u8; 4], quoted: &[u8]| {
        parse_v6(&[&[kind, 0, 0, 0][..], &word, quoted].concat())
    };
    let inner = found(2, [0, 0, 5, 0], &quoted).unwrap();
    assert_eq!((inner.source, inner.destination), (frames::HOST6, frames::REMOTE6));
    assert_eq!((inner.protocol, inner.source_port, inner.destination_port), (17, 5000, 53));
    assert_eq!((inner.l4, inner.end), (48, 8 + 81));
    assert_eq!(found(2, [0xff, 0, 5, 0], &quoted[..48]).map(|inner| inner.end), Ok(56));
    assert_eq!(found(1, [6, 0, 0, 0], &quoted).map(|inner| inner.end), Ok(56));
    assert_eq!(found(1, [5, 0, 0, 0], &quoted), Err(Refused::Truncated));
    assert_eq!(found(3, [0; 4], &quoted[..47]), Err(Refused::Truncated));
    assert_eq!(found(127, [0; 4], &quoted), Err(Refused::Malformed));
    assert_eq!(
        found(1, [0; 4], &Kind::Udp.packet(&[], EXTERNAL, REMOTE, &[0; 40])),
        Err(Refused::Malformed)
    );

    let echo = frames::icmp(frames::v6(), 128, 0, &[])[14..].to_vec();
    assert_eq!(found(1, [0; 4], &echo).map(|inner| inner.source_port), Ok(0x1234));
    let nested = frames::icmp(frames::v6(), 1, 0, &[])[14..].to_vec();
    assert_eq!(found(1, [0; 4], &nested), Err(Refused::NotQuery));

    let mut fragment = quoted.clone();
    fragment[6] = 44;
    fragment[40..48].copy_from_slice(&[17, 0, 0, 1, 0, 0, 0, 1]);
    fragment[5] = 8 + 1400u16.to_be_bytes()[1] / 8 * 8;
    assert_eq!(
        found(1, [0; 4], &fragment[..60]).map(|inner| inner.l4),
        Ok(56),
        "cut off is no lie"
    );
    fragment[43] = 9;
    assert_eq!(found(1, [0; 4], &fragment), Err(Refused::Fragment));
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    any::<([u8; 4], u16)>().prop_map(|(address, port)| Endpoint { address, port })
}

proptest! {
    #[test]
    fn translations_equal_what_would_have_been_sent(
        kind in prop::sample::select(&KINDS[..]),
        options in prop::sample::select(vec![0usize, 4, 40]),
        payload in prop::collection::vec(any::<u8>(), 0..100),
        less in 0..60usize,
        (old, new, remote) in (endpoint(), endpoint(), endpoint()),
    ) {
        let options = vec![1; options];
        let original = kind.packet(&options, old, remote, &payload);
        let translated = kind.packet(&options, new, remote, &payload);
        let length = original.len() - less.min(original.len() - options.len() - 28);
        let mut packet = error(ROUTER, old.address, [0; 4], &original[..length]);
        let rewrite = Rewrite {
            destination: Some(new.address),
            inner_source: Some(new),
            ..Rewrite::default()
        };
        prop_assert_eq!(translate(&mut packet, &rewrite), Ok(()));
        let translated = cut(kind, &original, &translated, length);
        prop_assert_eq!(packet, error(ROUTER, new.address, [0; 4], &translated));
    }

    #[test]
    fn any_bytes_have_an_answer(
        packet in frames::spoiled(
            KINDS
                .map(|kind| inbound(&kind.packet(&[1; 4], EXTERNAL, REMOTE, &[7; 9])).0)
                .to_vec()
        ),
        both: bool,
    ) {
        let mut translated = packet.clone();
        let rewrite = Rewrite {
            source: both.then_some(EXTERNAL.address),
            inner_destination: both.then_some(INTERNAL),
            ..inbound(&[]).1
        };
        // Right again what guards the rest.
        if translated.len() >= 28 {
            let length = usize::from(u16::from_be_bytes([translated[2], translated[3]]));
            if let Some(message) = translated.get_mut(20..length) && message.len() > 4 {
                message[2..4].fill(0);
                let checksum = Sum::of(message).checksum();
                message[2..4].copy_from_slice(&checksum.to_be_bytes());
            }
        }
        let before = translated.clone();
        match translate(&mut translated, &rewrite) {
            Ok(()) => { frames::verified(&[&[0; 12][..], &[8, 0], &translated].concat()); }
            Err(_) => prop_assert_eq!(translated, before),
        }
    }

    #[test]
    fn any_v6_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..80), next: u8) {
        let mut message = vec![1, 0, 0, 0, 0, 0, 0, 0];
        message.extend(&frames::udp(frames::v6(), &[])[14..54]);
        message[14] = next;
        message[12..14].copy_from_slice(&(bytes.len() as u16).to_be_bytes());
        message.extend(bytes);
        if let Ok(inner) = parse_v6(&message) {
            prop_assert!(inner.l4 + 8 <= inner.end && inner.end <= message.len());
        }
    }
}
