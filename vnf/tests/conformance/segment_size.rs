//! `tcp_mss_clamp`: what SYNs through the NAT announce.

use std::net::{IpAddr, SocketAddr};

use etherparse::{TcpHeader, TcpOptionElement};

use crate::common::*;

/// A SYN, or the answer to one, that announces a segment size after two options that do not matter.
fn announcing(from: impl Endpoint, to: impl Endpoint, size: u16, answer: bool) -> Packet {
    let (from, to): (SocketAddr, SocketAddr) = (from.endpoint(), to.endpoint());
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (from.ip(), to.ip()) else {
        panic!("IPv4 only")
    };
    let mut header = TcpHeader::new(from.port(), to.port(), 1000, 8192);
    (header.syn, header.ack) = (true, answer);
    let options = [
        TcpOptionElement::SelectiveAcknowledgementPermitted,
        TcpOptionElement::WindowScale(7),
        TcpOptionElement::MaximumSegmentSize(size),
    ];
    header.set_options(&options).expect("options that fit");
    let (source, destination) = (source.octets(), destination.octets());
    header.checksum = header.calc_checksum_ipv4_raw(source, destination, &[]).expect("a length");
    ip(&from.ip().to_string(), &to.ip().to_string(), 6, &header.to_bytes())
}

fn clamping(size: u16) -> Config {
    Config::new("nat44.toml").nat44(&format!("tcp_mss_clamp = {size}"))
}

const HOST: &str = "10.0.0.2:5000";
const REMOTE: &str = "203.0.113.7:443";

#[test]
fn larger_segment_sizes_are_clamped_in_both_directions() {
    for_workers(|workers| {
        for (announced, passed) in
            [(1460, 1300), (65535, 1300), (1301, 1300), (1300, 1300), (536, 536)]
        {
            let mut vnf = Harness::new(clamping(1300), workers);
            vnf.send("lan", &announcing(HOST, REMOTE, announced, false));
            let external = vnf.peek("wan").source();
            vnf.expect("wan", &announcing(external, REMOTE, passed, false));
            vnf.send("wan", &announcing(REMOTE, external, announced, true));
            vnf.expect("lan", &announcing(REMOTE, HOST, passed, true));
        }
    });
}

#[test]
fn a_segment_that_carries_the_same_octets_as_payload_is_left_alone() {
    for_workers(|workers| {
        let mut vnf = Harness::new(clamping(1300), workers);
        let syn = tcp(HOST, REMOTE, "S").payload(&[2, 4, 5, 180]);
        vnf.send("lan", &syn);
        let external = vnf.expect_translated("wan", &syn);
        let data = syn.flags("A");
        vnf.send("lan", &data);
        vnf.expect("wan", &data.from(external));
    });
}

#[test]
fn without_the_option_segment_sizes_pass() {
    for_workers(|workers| {
        let mut vnf = Harness::new("nat44.toml", workers);
        vnf.send("lan", &announcing(HOST, REMOTE, 9000, false));
        let external = vnf.peek("wan").source();
        vnf.expect("wan", &announcing(external, REMOTE, 9000, false));
    });
}

#[test]
fn an_untranslated_connection_keeps_its_segment_size() {
    for_workers(|workers| {
        let exempt = "[[nat44.exempt]]\nsource = \"10.0.0.0/24\"\ndestination = \"203.0.113.0/24\"";
        let mut vnf = Harness::new(clamping(1300).more(exempt), workers);
        let syn = announcing(HOST, REMOTE, 1460, false);
        vnf.send("lan", &syn);
        vnf.expect("wan", &syn);
    });
}
