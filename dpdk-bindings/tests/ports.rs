//! Ports without hardware.

use std::time::{Duration, Instant};

use dpdk_bindings::{Mbuf, Port, port::Config, testing};

fn burst() -> [Option<Mbuf>; 64] {
    [const { None }; 64]
}

#[test]
fn what_is_injected_is_received_and_what_is_transmitted_is_collected() {
    let pool = testing::pool(128);
    let mut ring = testing::RingPort::open(&pool, 1).unwrap();
    for n in 0..70_u8 {
        ring.inject(pool.frame(&[n; 60]).unwrap()).unwrap();
    }
    let mut packets = burst();
    assert_eq!(ring.receive[0].receive(&mut packets), 64);
    assert_eq!(packets[63].as_ref().unwrap().data(), [63; 60]);
    assert_eq!(packets[0].as_ref().unwrap().port(), ring.port.id());
    assert_eq!(ring.transmit[0].transmit(&mut packets), 64);
    assert!(packets.iter().all(Option::is_none));
    assert_eq!(ring.receive[0].receive(&mut packets), 6);
    for n in 0..64 {
        assert_eq!(ring.collect().unwrap().data(), [n; 60]);
    }
    assert!(ring.collect().is_none());
    let stats = ring.port.stats();
    assert_eq!((stats.rx_packets, stats.tx_packets), (70, 64));
    drop(packets);
    drop(ring);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn packets_left_in_a_closed_ring_port_return_to_their_pool() {
    let pool = testing::pool(128);
    let mut ring = testing::RingPort::open(&pool, 2).unwrap();
    ring.far.inject_into(1, pool.frame(b"in").unwrap()).unwrap();
    assert!(ring.far.inject_into(2, pool.frame(b"nowhere").unwrap()).is_err());
    ring.transmit[1].transmit(&mut [pool.frame(b"out")]);
    assert_eq!(pool.in_use(), 2);
    drop(ring);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_full_port_leaves_the_rest_with_the_caller() {
    let pool = testing::pool(2048);
    let mut ring = testing::RingPort::open(&pool, 1).unwrap();
    let mut sent = 0;
    loop {
        let mut packets = burst();
        assert!(pool.alloc_bulk(&mut packets));
        let taken = ring.transmit[0].transmit(&mut packets);
        sent += taken;
        assert!(packets[..taken].iter().all(Option::is_none));
        assert!(packets[taken..].iter().all(Option::is_some));
        if taken < 64 {
            break;
        }
    }
    assert_eq!(pool.in_use(), sent);
}

#[test]
fn transmission_ends_at_the_first_empty_slot() {
    let pool = testing::pool(8);
    let mut ring = testing::RingPort::open(&pool, 1).unwrap();
    let mut packets = [pool.frame(b"a"), None, pool.frame(b"b")];
    assert_eq!(ring.transmit[0].transmit(&mut packets), 1);
    assert!(packets[2].is_some());
    assert_eq!(ring.transmit[0].transmit(&mut []), 0);
}

#[test]
fn a_null_port_delivers_buffers_to_write_frames_into() {
    let pool = testing::pool(256);
    let mut port = Port::open(&testing::eal(), "net_null0,size=60").unwrap();
    let (mut rx, mut tx) =
        port.configure(Config { fast_free: true, ..Config::default() }, &pool).unwrap();
    let mut packets = burst();
    assert_eq!(rx[0].receive(&mut packets), 0, "not started");
    port.start().unwrap();
    assert_eq!(rx[0].receive(&mut packets), 64);
    for packet in packets.iter_mut().flatten() {
        assert_eq!((packet.len(), packet.data().len(), packet.port()), (60, 60, port.id()));
        packet.extend(40).unwrap().fill(2);
        packet.data_mut()[..60].fill(1);
        packet.truncate(70);
        assert_eq!(packet.data()[59..61], [1, 2]);
    }
    assert_eq!(tx[0].transmit(&mut packets), 64);
    assert_eq!(pool.in_use(), 0);
    assert_eq!(port.driver(), "net_null");
    assert!(port.link_up());
    assert_eq!((port.stats().rx_packets, port.stats().tx_packets), (64, 64));
}

#[test]
fn a_port_stops_only_after_its_queues_are_gone() {
    let pool = testing::pool(64);
    let mut port = Port::open(&testing::eal(), "net_null1").unwrap();
    let queues = port.configure(Config::default(), &pool).unwrap();
    port.start().unwrap();
    assert_eq!(port.stop().unwrap_err().errno.0, 16);
    drop(queues);
    port.stop().unwrap();
    port.start().unwrap();
}

#[test]
fn a_closed_device_can_be_opened_again() {
    let pool = testing::pool(64);
    for _ in 0..3 {
        let mut port = Port::open(&testing::eal(), "net_null2").unwrap();
        let again = Port::open(&testing::eal(), "net_null2").unwrap_err();
        assert_eq!(
            again.to_string(),
            "Port::open: Device or resource busy (16): net_null2: is open already"
        );
        let _queues = port.configure(Config::default(), &pool).unwrap();
        let twice = port.configure(Config::default(), &pool).unwrap_err();
        assert_eq!(twice.errno.0, 114);
        port.start().unwrap();
    }
}

#[test]
fn an_unknown_device_is_an_error_that_names_it() {
    for device in ["net_nothing0", "0000:ff:1f.7"] {
        let error = Port::open(&testing::eal(), device).unwrap_err().to_string();
        assert!(error.contains(&format!("{device}: EAL: ")), "{error}");
    }
    for device in ["", "net_tap0\0"] {
        assert!(Port::open(&testing::eal(), device).is_err());
    }
}

#[test]
fn a_virtual_port_keeps_its_own_filter_and_takes_our_address() {
    let pool = testing::pool(64);
    let mut port = Port::open(&testing::eal(), "net_null3").unwrap();
    let mac = [2, 0, 0, 0, 0, 9];
    port.configure(Config { mac: Some(mac), ..Config::default() }, &pool).unwrap();
    assert_eq!(port.mac(), mac);
}

#[test]
fn two_memif_ports_exchange_packets() {
    let pool = testing::pool(8192);
    let socket = format!("dpdk-bindings-{}", std::process::id());
    let open = |number: u8, role: &str| {
        let device =
            format!("net_memif{number},role={role},id=0,socket={socket},socket-abstract=yes");
        let mut port = Port::open(&testing::eal(), &device).unwrap();
        let queues = port.configure(Config::default(), &pool).unwrap();
        port.start().unwrap();
        (port, queues)
    };
    let (server, (mut rx, _)) = open(0, "server");
    let (client, (_, mut tx)) = open(1, "client");
    let patience = Instant::now() + Duration::from_secs(10);
    while !(server.link_up() && client.link_up()) && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut packets = [pool.frame(&[1; 60]), pool.frame(&[2; 1514])];
    assert_eq!(tx[0].transmit(&mut packets), 2);
    let mut received = burst();
    assert_eq!(rx[0].receive(&mut received), 2);
    let received: Vec<Mbuf> = received.into_iter().flatten().collect();
    assert_eq!((received[0].data(), received[1].data()), (&[1; 60][..], &[2; 1514][..]));
    assert_eq!(received[0].port(), server.id());
}
