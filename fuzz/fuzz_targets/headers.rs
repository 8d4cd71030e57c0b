//! Any bytes as a frame, a packet, a segment, a list of options: whatever reads or writes headers never panics, and
//! nothing it finds lies outside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vnf::icmp::{echo, error, error::Error, reset};
use vnf::wire::checksum::Sum;
use vnf::wire::ethernet::{self, Layer2, Link, MacAddr};
use vnf::wire::ipv6::extensions;
use vnf::wire::tcp::mss;
use vnf::wire::{arp, icmp, ipv4, ipv6, nd};

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    link_layer(bytes);
    network_layer(bytes);
    options(bytes);
    clamp(bytes, u16::from(choice) * 256);
    answers(bytes);
});

fn link_layer(frame: &[u8]) {
    if let Some(layer2) = Layer2::parse(frame) {
        assert!(layer2.l3 <= frame.len() && layer2.vlan < 4096);
    }
    if let Some(link) = Link::back(frame) {
        let mut copy = frame.to_vec();
        let l3 = link.write_back(&mut copy).expect("a frame with a sender has a header");
        assert_eq!(copy[l3..], frame[l3..]);
    }
    for payload in [frame, frame.get(ethernet::HEADER..).unwrap_or_default()] {
        let _ = arp::parse(payload).map(|packet| (packet.is_gratuitous(), packet.is_probe()));
        let _ = nd::parse(payload);
    }
    let mut copy = frame.to_vec();
    match arp::reply(&mut copy, OWN) {
        Some(length) => assert!(length <= copy.len()),
        None => assert_eq!(copy, frame),
    }
}

fn network_layer(bytes: &[u8]) {
    if let Some((header, packet)) = ipv4::packet(bytes) {
        assert!(header.header_len() <= packet.len() && packet.len() <= bytes.len());
    }
    if let Some((header, packet)) = ipv6::packet(bytes) {
        assert_eq!(usize::from(header.payload_length.get()) + ipv6::HEADER, packet.len());
    }
    if let Ok(upper) = extensions::upper(bytes) {
        assert!(upper.offset <= bytes.len().max(ipv6::HEADER));
        assert!(upper.fragment.is_none_or(|fragment| fragment.header + 8 <= upper.offset));
    }
    let mut copy = bytes.to_vec();
    icmp::settle_zero_checksum(&mut copy);
}

fn options(bytes: &[u8]) {
    let _ = ipv4::options::walk(bytes);
    let mut words = bytes[..bytes.len().min(40) & !3].to_vec();
    let kept = ipv4::options::keep_copied(&mut words);
    assert!(kept % 4 == 0 && kept <= words.len());
}

fn clamp(segment: &[u8], most: u16) {
    let mut clamped = segment.to_vec();
    if mss::clamp(&mut clamped, most) {
        // The sum over all stays what it was, so a checksum that was right is right.
        assert_eq!(Sum::of(&clamped).word(1).fold(), Sum::of(segment).word(1).fold());
        assert_ne!(clamped, segment);
    } else {
        assert_eq!(clamped, segment);
    }
}

fn answers(frame: &[u8]) {
    let mut out = [0; 2048];
    let length =
        error::write_v4(frame, Error::v4_fragmentation_needed(1400), [10, 0, 0, 1], &mut out);
    assert_eq!(length.is_some(), error::may_answer_v4(frame));
    if let Some(length) = length {
        let packet = Layer2::parse(&out).and_then(|layer2| out[..length].get(layer2.l3..));
        let (header, packet) = packet.and_then(ipv4::packet).expect("an answer is a packet");
        assert!(icmp::checksum_is_valid(&packet[header.header_len()..]));
    }
    let length = error::write_v6(frame, Error::v6_packet_too_big(1280), [0xfd; 16], &mut out);
    assert_eq!(length.is_some(), error::may_answer_v6(frame));
    let within = |length: Option<usize>, most: usize| assert!(length.is_none_or(|l| l <= most));
    within(length, out.len());
    within(reset::write_v4(frame, &mut out), out.len());
    within(reset::write_v6(frame, &mut out), out.len());
    within(nd::answer(frame, OWN, &mut out), out.len());
    let mut copy = frame.to_vec();
    within(echo::reply_v4(&mut copy), frame.len().max(ethernet::MIN_FRAME));
    let mut copy = frame.to_vec();
    within(echo::reply_v6(&mut copy), frame.len().max(ethernet::MIN_FRAME));
}

const OWN: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xff]);
