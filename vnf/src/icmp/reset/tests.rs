use etherparse::{IpHeaders, NetHeaders, TcpHeader as Oracle, TransportHeader};
use proptest::prelude::*;

use super::*;
use crate::icmp::frames::*;

/// A segment with these flags and this payload.
fn segment(ip: IpHeaders, flags: Flags, payload: &[u8]) -> Vec<u8> {
    let mut header = Oracle::new(5000, 443, 0xffff_fff0, 1000);
    header.acknowledgment_number = 77;
    header.fin = flags.contains(Flags::FIN);
    header.syn = flags.contains(Flags::SYN);
    header.rst = flags.contains(Flags::RST);
    header.psh = flags.contains(Flags::PSH);
    header.ack = flags.contains(Flags::ACK);
    header.set_options_raw(&[2, 4, 5, 180]).unwrap();
    let mut frame = Vec::new();
    link().ip(ip).tcp_header(header).write(&mut frame, payload).unwrap();
    frame
}

fn written(frame: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0xaa; 100];
    let length = write_v4(frame, &mut out).or_else(|| write_v6(frame, &mut out))?;
    out.truncate(length);
    Some(out)
}

/// The TCP header of a verified reset that goes the right way.
fn read(frame: &[u8]) -> Oracle {
    let read = verified(frame);
    match read.net.as_ref().unwrap() {
        NetHeaders::Ipv4(ip, _) => {
            assert_eq!((ip.source, ip.destination, ip.time_to_live), (REMOTE, HOST, 64));
        }
        NetHeaders::Ipv6(ip, _) => {
            assert_eq!((ip.source, ip.destination, ip.hop_limit), (REMOTE6, HOST6, 64));
        }
        NetHeaders::Arp(_) => panic!("ARP"),
    }
    assert_eq!(stations(&read), (OURS, THEIRS));
    let Some(TransportHeader::Tcp(tcp)) = read.transport else { panic!("no TCP") };
    assert!(read.payload.slice().is_empty());
    assert_eq!((tcp.source_port, tcp.destination_port, tcp.rst), (443, 5000, true));
    tcp
}

#[test]
fn rfc9293_reset_acknowledges_all_of_a_segment_without_ack() {
    for ip in [v4(&[]), v4(&[1; 4]), v6()] {
        for (flags, payload, wanted) in [
            (Flags::SYN, 0, 0xffff_fff1),
            (Flags::SYN, 20, 5),
            (Flags::FIN, 0, 0xffff_fff1),
            (Flags::PSH, 16, 0),
            (Flags::SYN | Flags::FIN, 3, 0xffff_fff5),
        ] {
            let reset = written(&segment(ip.clone(), flags, &vec![1; payload])).unwrap();
            let tcp = read(&reset);
            assert!(tcp.ack);
            assert_eq!((tcp.sequence_number, tcp.acknowledgment_number), (0, wanted), "{flags:?}");
        }
    }
}

#[test]
fn rfc9293_reset_of_a_segment_with_ack_continues_its_acknowledgment() {
    for ip in [v4(&[]), v6()] {
        for flags in [Flags::ACK, Flags::ACK | Flags::SYN, Flags::ACK | Flags::FIN] {
            let tcp = read(&written(&segment(ip.clone(), flags, &[1; 5])).unwrap());
            assert!(!tcp.ack);
            assert_eq!((tcp.sequence_number, tcp.acknowledgment_number), (77, 0));
        }
    }
}

#[test]
fn short_resets_are_padded_with_zeros() {
    let mut padded = segment(v4(&[]), Flags::SYN, &[]);
    padded.resize(70, 0xee);
    let reset = written(&padded).unwrap();
    assert_eq!((reset.len(), &reset[54..]), (60, &[0; 6][..]));
    assert_eq!(read(&reset).acknowledgment_number, 0xffff_fff1, "padding is no data");
    assert_eq!(write_v4(&padded, &mut [0; 59]), None);
}

#[test]
fn tags_are_kept() {
    let reset = written(&tagged(segment(v6(), Flags::SYN, &[]), 100)).unwrap();
    assert_eq!(reset[12..16], [0x81, 0, 0, 100]);
    read(&reset);
}

#[test]
fn what_is_no_whole_segment_is_not_answered() {
    let mut wrong = segment(v4(&[]), Flags::SYN, &[]);
    wrong[50] ^= 1;
    let mut wrong_v6 = segment(v6(), Flags::SYN, &[]);
    wrong_v6[70] ^= 1;
    let mut to_many = segment(v4(&[]), Flags::SYN, &[]);
    to_many[0] |= 1;
    let IpHeaders::Ipv4(mut header, extensions) = v4(&[]) else { panic!() };
    header.destination = [224, 0, 0, 1];
    let to_group = segment(IpHeaders::Ipv4(header, extensions), Flags::SYN, &[]);
    for (what, frame) in [
        ("a reset", segment(v4(&[]), Flags::RST, &[])),
        ("a reset", segment(v6(), Flags::RST | Flags::ACK, &[])),
        ("a first fragment", segment(fragment(0, true), Flags::SYN, &[1; 4])),
        ("a later fragment", segment(fragment(1, false), Flags::SYN, &[])),
        ("another protocol", udp(v4(&[]), &[0; 40])),
        ("another protocol", udp(v6(), &[0; 40])),
        ("a wrong checksum", wrong),
        ("a wrong checksum", wrong_v6),
        ("sent to many", to_many),
        ("sent to a group", to_group),
    ] {
        assert_eq!(written(&frame), None, "{what}");
    }
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(frame in spoiled(vec![
        segment(v4(&[]), Flags::SYN, &[1; 3]),
        segment(v4(&[1; 8]), Flags::ACK, &[]),
        segment(v6(), Flags::SYN, &[]),
    ])) {
        if let Some(reset) = written(&frame) {
            verified(&reset);
            prop_assert_eq!(written(&reset), None, "nothing answers a reset");
        }
    }
}
