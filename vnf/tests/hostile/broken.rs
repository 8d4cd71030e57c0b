//! Frames that are shorter than their headers say, or whose fields say what cannot be.

use crate::common::*;
use crate::samples::{check_live, samples, vnf};

/// Gives frames to the VNF in bursts.
pub(crate) fn flood(vnf: &mut Harness, frames: impl IntoIterator<Item = (&'static str, Vec<u8>)>) {
    for (at, (port, frame)) in frames.into_iter().enumerate() {
        vnf.inject(port, &frame, &[]);
        if at % 50 == 49 {
            vnf.settle();
            vnf.discard();
            vnf.events.clear();
        }
    }
    vnf.settle();
    vnf.discard();
}

#[test]
fn the_samples_take_every_way_through_the_vnf() {
    for_workers(|workers| {
        let (mut vnf, external) = vnf(workers);
        vnf.forget_counts();
        for (name, port, frame) in samples(&vnf, external) {
            vnf.send_frame(port, &frame);
            let before = vnf.discard();
            let counted = match name {
                "segment of nobody" => "tcp-not-syn",
                "error about nothing" => "icmp-error-unmatched",
                "denied" => "acl-denied",
                "bypass" => "nat-bypass",
                "ARP reply" | "advertisement" => "punted",
                "no route" => "no-route",
                "rejected" | "last hop" | "datagram to the router" | "segment to the router" => {
                    "originated"
                }
                "unsolicited" => continue,
                "later fragment 6" | "fragment 6" | "first fragment" | "later fragment" => continue,
                _ => {
                    assert_eq!(before, 1, "{name}: one frame leaves");
                    vnf.forget_counts();
                    continue;
                }
            };
            assert!(vnf.count_of(counted) > 0, "{name}: {counted}");
            vnf.forget_counts();
        }
    });
}

#[test]
fn frames_cut_off_anywhere_are_counted() {
    for_workers(|workers| {
        let (mut vnf, external) = vnf(workers);
        for (_, port, frame) in samples(&vnf, external) {
            flood(&mut vnf, (0..frame.len()).map(|length| (port, frame[..length].to_vec())));
        }
        check_live(&mut vnf, external);
    });
}

#[test]
fn a_frame_cut_off_in_its_headers_is_dropped() {
    for_workers(|workers| {
        let (mut vnf, external) = vnf(workers);
        let (_, port, frame) = samples(&vnf, external).swap_remove(0);
        for length in 1..frame.len() {
            vnf.forget_counts();
            vnf.send_frame(port, &frame[..length]);
            let reason = match length {
                0..14 => "too-short",
                14..34 => "too-short",
                _ => "ipv4-bad-header",
            };
            vnf.counted([reason]);
        }
    });
}

#[test]
fn every_octet_takes_extreme_values() {
    let (mut vnf, external) = vnf(1);
    for (_, port, frame) in samples(&vnf, external) {
        for repaired in [false, true] {
            let changed = (0..frame.len().min(110)).flat_map(|at| {
                let old = frame[at];
                let values = [0, 1, 0x7f, 0x80, 0xff, old ^ 1, old ^ 0x10, old.wrapping_add(1)];
                values.map(|value| {
                    let mut frame = frame.clone();
                    frame[at] = value;
                    if repaired {
                        repair(&mut frame);
                    }
                    (port, frame)
                })
            });
            flood(&mut vnf, changed);
        }
    }
    check_live(&mut vnf, external);
}

#[test]
fn every_length_field_lies() {
    for_workers(|workers| {
        let (mut vnf, external) = vnf(workers);
        let lengths: Vec<u16> =
            (0..140).chain([1000, 1500, 0x7fff, 0x8000, 0xfffe, 0xffff]).collect();
        for (_, port, frame) in samples(&vnf, external) {
            // IPv4 total length or IPv6 payload length, UDP length, and the words that hold lengths elsewhere.
            for at in [16, 18, 38, 46, 58] {
                let lying = lengths.iter().filter(|_| at + 2 <= frame.len()).map(|length| {
                    let mut frame = frame.clone();
                    frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
                    repair(&mut frame);
                    (port, frame)
                });
                flood(&mut vnf, lying);
            }
        }
        check_live(&mut vnf, external);
    });
}

#[test]
fn every_ethertype_is_counted() {
    let (mut vnf, external) = vnf(1);
    let (_, port, frame) = samples(&vnf, external).swap_remove(0);
    vnf.forget_counts();
    let of_type = |ether_type: u16| {
        let mut frame = frame.clone();
        frame[12..14].copy_from_slice(&ether_type.to_be_bytes());
        (port, frame)
    };
    let known = [0x0800, 0x0806, 0x8100, 0x86dd];
    flood(&mut vnf, (0..=u16::MAX).filter(|t| !known.contains(t)).map(of_type));
    vnf.counted(["65532 unknown-ethertype"]);
    flood(&mut vnf, known.map(of_type));
    vnf.counted(["arp-invalid", "ipv6-bad-header", "unknown-ethertype", "wan.transmitted"]);
}

#[test]
fn ipv4_headers_that_contradict_themselves_are_dropped() {
    for_workers(|workers| {
        let (mut vnf, external) = vnf(workers);
        let (_, port, frame) = samples(&vnf, external).swap_remove(0);
        let length = (frame.len() - 14) as u16;
        let changes: [(usize, &[u8], &str); 9] = [
            (14, &[0x65], "ipv4-bad-header"),
            (14, &[0x05], "ipv4-bad-header"),
            (14, &[0x44], "ipv4-bad-header"),
            (14, &[0x40], "ipv4-bad-header"),
            (16, &[0, 19], "ipv4-bad-header"),
            (16, &(length + 1).to_be_bytes(), "ipv4-bad-header"),
            (16, &[0, 20], "too-short"),
            (38, &[0, 7], "transport-bad-header"),
            (38, &(length - 19).to_be_bytes(), "transport-bad-header"),
        ];
        for (at, octets, reason) in changes {
            let mut frame = frame.clone();
            frame[at..at + octets.len()].copy_from_slice(octets);
            repair(&mut frame);
            vnf.forget_counts();
            vnf.send_frame(port, &frame);
            vnf.counted([reason]);
        }
    });
}

#[test]
fn options_that_lead_elsewhere_or_nowhere_are_dropped() {
    for_workers(|workers| {
        let mut vnf = Harness::new("router.toml", workers);
        let with = |options: &[u8]| {
            let mut packet = udp("10.1.0.2:1", "192.0.2.2:2");
            packet.options = options.to_vec();
            packet
        };
        for bad in [
            &[0x83, 7, 4, 10, 0, 0, 1, 0][..], // loose source route
            &[0x89, 7, 4, 10, 0, 0, 1, 0],     // strict source route
            &[7, 0, 4, 0],
            &[7, 1, 4, 0],
            &[7, 5, 4, 0],
            &[1, 1, 1, 7],
        ] {
            vnf.send("left", &with(bad));
            let told = vnf.discard() > 0; // of a length that is wrong (RFC 1812 4.3.3.5), not of a source route
            assert_eq!(told, bad[0] < 0x80);
            assert_eq!(vnf.count_of("ipv4-options"), 1);
            vnf.forget_counts();
        }
        for good in [&[1, 1, 1, 0][..], &[0, 0xff, 0xff, 0xff], &[0x94, 4, 0, 0], &[0x88, 4, 0, 1]]
        {
            vnf.send("left", &with(good));
            vnf.expect("right", &with(good));
        }
    });
}

/// Makes the checksums of the IPv4 header and of an ICMP message right again, so that the packet gets further.
pub(crate) fn repair(frame: &mut [u8]) {
    let checksum = |octets: &[u8]| {
        etherparse::checksum::Sum16BitWords::new().add_slice(octets).ones_complement().to_be()
    };
    let header_length = frame.get(14).map_or(0, |octet| usize::from(octet & 15) * 4);
    let is_v4 = frame.get(12..14) == Some(&[8, 0]);
    let Some(header) = frame.get_mut(14..14 + header_length).filter(|h| is_v4 && h.len() >= 20)
    else {
        return;
    };
    header[10..12].fill(0);
    let right = checksum(header);
    header[10..12].copy_from_slice(&right.to_be_bytes());
    let (protocol, total) = (header[9], usize::from(u16::from_be_bytes([header[2], header[3]])));
    if protocol == 1
        && let Some(message) = frame.get_mut(14 + header_length..14 + total)
        && message.len() >= 8
    {
        message[2..4].fill(0);
        let right = checksum(message);
        message[2..4].copy_from_slice(&right.to_be_bytes());
    }
}
