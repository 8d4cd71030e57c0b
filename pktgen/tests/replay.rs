//! Recorded conversations through a translator, sound and damaged.

mod middlebox;

use std::net::SocketAddr;
use std::time::Duration;

use middlebox::world::{MACS, World, hosts, remotes, stream};
use middlebox::{Nat, packet};
use pcap_file::pcap::{PcapPacket, PcapWriter};
use pktgen::finding::Finding;
use pktgen::flow::Protocol;
use pktgen::frame::{ACK, Frame, SYN};
use pktgen::measure::Bench;
use pktgen::probe::Place;
use pktgen::replay::{Capture, Pace, Player, Replayed};

/// A TCP handshake, a question over UDP with its answer, and a ping, of each of ten clients, a millisecond apart.
fn capture() -> Capture {
    let mut writer = PcapWriter::new(Vec::new()).unwrap();
    let mut time = Duration::ZERO;
    for client in 1..=10 {
        let at = |text: String| text.parse::<SocketAddr>().unwrap();
        let (web, dns) = (at("93.184.216.34:80".to_owned()), at("9.9.9.9:53".to_owned()));
        let own = at(format!("192.168.7.{client}:40000"));
        for frame in [
            Frame::tcp(own, web, SYN),
            Frame::tcp(web, own, SYN | ACK),
            Frame::tcp(own, web, ACK).payload(b"GET / HTTP/1.0\r\n\r\n"),
            Frame::udp(own, dns).payload(b"who?"),
            Frame::udp(dns, own).payload(b"me!"),
            Frame::echo(own.ip(), dns.ip(), 7, 1).payload(&[client; 32]),
            Frame::echo_reply(dns.ip(), own.ip(), 7, 1).payload(&[client; 32]),
        ] {
            let octets = frame.build();
            let packet = PcapPacket::new(time, octets.len() as u32, &octets);
            writer.write_packet(&packet).unwrap();
            time += Duration::from_millis(1);
        }
    }
    Capture::read(&writer.into_writer()[..]).unwrap()
}

/// Plays it twice through a NAT; `damage` sees each translated frame with its number from 1.
fn play(pace: Pace, mut damage: impl FnMut(u64, Vec<u8>) -> Vec<Vec<u8>> + 'static) -> Replayed {
    let capture = capture();
    let mut nat = Nat::new(MACS);
    let mut number = 0;
    let path = Box::new(move |now: u64, at: Place, frame: Vec<u8>| {
        let is_ip = frame[12..14] == [8, 0];
        let made = nat.carry(now, at, frame).into_iter();
        let damaged = made.flat_map(|(to, frame)| {
            number += u64::from(is_ip);
            let made = if is_ip { damage(number, frame) } else { vec![frame] };
            made.into_iter().map(move |frame| (now, to, frame))
        });
        damaged.collect()
    });
    let (world, mut engine) = World::new(path, vec![stream(Protocol::Udp, 1)]);
    let mut bench = Bench::new(&mut engine, &world);
    bench.resolve().expect("gateways answer");
    Player::new(bench, &capture, &hosts(), &remotes(), true, 1).play(pace, 2)
}

#[test]
fn every_packet_of_both_sides_arrives_as_recorded() {
    let found = play(Pace::Times(1.0), |_, frame| vec![frame]);
    assert_eq!(found.faults(), Vec::<String>::new());
    assert_eq!((found.conversations, found.packets, found.loops), (30, 70, 2));
    assert_eq!((found.sent, found.received), ([80, 60], [80, 60]));
    // 69 ms twice, in virtual time.
    assert!((0.138..0.15).contains(&found.duration_s), "{}", found.duration_s);
    let top = play(Pace::Top, |_, frame| vec![frame]);
    assert_eq!((top.received, top.faults()), ([80, 60], vec![]));
    assert!(top.duration_s < 0.02, "{}", top.duration_s);
}

#[test]
fn loss_and_damage_are_counted_exactly() {
    // The third of a client's seven packets opens nothing.
    let lost = play(Pace::Times(1.0), |number, frame| match number % 7 {
        3 => vec![],
        _ => vec![frame],
    });
    assert_eq!((lost.lost(), lost.unlearned), (20, 0));
    let twice = play(Pace::Times(1.0), |number, frame| match number % 10 {
        0 => vec![frame.clone(), frame],
        _ => vec![frame],
    });
    assert_eq!((twice.duplicated, twice.lost()), (14, 0));
    let broken = play(Pace::Times(1.0), |number, mut frame| {
        if number % 10 == 0 {
            frame[24] ^= 1;
        }
        vec![frame]
    });
    assert_eq!((broken.bad_checksum, broken.lost()), (14, 0));
    let slow = play(Pace::Times(1.0), |number, mut frame| {
        if number % 10 == 0 {
            frame[22] -= 1;
            packet::seal(&mut frame);
        }
        vec![frame]
    });
    assert_eq!((slow.bad_ttl, slow.bad_checksum, slow.lost()), (14, 0, 0));
}

#[test]
fn what_never_comes_out_has_no_other_side() {
    let found = play(Pace::Times(1.0), |_, _| vec![]);
    assert_eq!((found.sent, found.received, found.unlearned), ([80, 0], [0, 0], 60));
}
