//! Packets and pools, on a real DPDK without hugepages.

use dpdk_bindings::{Checksum, Eal, Mbuf, eal::Options, testing};

#[test]
fn a_dropped_packet_returns_to_its_pool() {
    let pool = testing::pool(64);
    let mut packets = [const { None }; 64];
    assert!(pool.alloc_bulk(&mut packets));
    assert_eq!(pool.in_use(), 64);
    assert!(pool.alloc().is_none());
    assert!(!pool.alloc_bulk(&mut [const { None }; 1]));
    packets[3] = None;
    assert_eq!(pool.in_use(), 63);
    Mbuf::free_bulk(&mut packets);
    assert!(packets.iter().all(Option::is_none));
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_frame_holds_the_octets_it_was_made_of() {
    let pool = testing::pool(64);
    let octets: Vec<u8> = (0..5000).map(|n| n as u8).collect();
    for length in [0, 1, 60, 1514, 2048, 2049, 5000] {
        let packet = pool.frame(&octets[..length]).unwrap();
        assert_eq!(packet.len(), length);
        assert_eq!(usize::from(packet.segment_count()), length.div_ceil(2048).max(1));
        let mut copy = [0; 5000];
        assert_eq!(packet.copy_to(&mut copy), length);
        assert_eq!(copy[..length], octets[..length]);
        assert_eq!(packet.copy_to(&mut copy[..30]), length.min(30));
        assert_eq!(packet.segments().flatten().copied().collect::<Vec<_>>(), octets[..length]);
    }
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_frame_that_finds_the_pool_empty_leaks_nothing() {
    let pool = testing::pool(2);
    assert!(pool.frame(&[0; 5000]).is_none());
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn headers_split_anywhere_become_contiguous() {
    let pool = testing::pool(64);
    let octets: Vec<u8> = (0..120).collect();
    for first in 0..=60 {
        for second in [0, 1, 7, 40] {
            let mut packet = testing::segmented(&pool, &octets, &[first, second]).unwrap();
            assert_eq!(packet.len(), 120);
            assert_eq!(packet.contiguous(54).unwrap(), &octets[..54]);
            assert_eq!(packet.segments().flatten().copied().collect::<Vec<_>>(), octets);
            assert_eq!(packet.contiguous(120).unwrap(), octets);
            assert_eq!((packet.segment_count(), packet.len()), (1, 120));
            assert!(packet.contiguous(121).is_none());
        }
    }
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn pulling_up_more_than_a_buffer_holds_changes_nothing() {
    let pool = testing::pool(8);
    let octets = [7; 4000];
    let mut packet = pool.frame(&octets).unwrap();
    assert!(packet.contiguous(2049).is_none());
    assert_eq!(packet.segments().flatten().copied().collect::<Vec<_>>(), octets);
}

#[test]
fn a_packet_grows_and_shrinks_at_both_ends() {
    let pool = testing::pool(8);
    let mut packet = pool.frame(b"payload").unwrap();
    packet.prepend(4).unwrap().copy_from_slice(b"head");
    packet.extend(4).unwrap().copy_from_slice(b"tail");
    assert_eq!(packet.data(), b"headpayloadtail");
    assert!(packet.trim_front(4));
    packet.truncate(7);
    assert_eq!((packet.data(), packet.len()), (&b"payload"[..], 7));
    packet.truncate(100);
    assert_eq!(packet.len(), 7);
    assert!(!packet.trim_front(8));
    assert!(packet.prepend(129).is_none());
    assert!(packet.extend(2048).is_none());
    assert_eq!(packet.data(), b"payload");
}

#[test]
fn a_packet_of_segments_is_truncated_and_extended_at_its_end() {
    let pool = testing::pool(8);
    let mut packet = testing::segmented(&pool, b"onetwothree", &[3, 3]).unwrap();
    packet.truncate(5);
    assert_eq!((packet.segment_count(), packet.len()), (2, 5));
    packet.extend(1).unwrap().copy_from_slice(b"!");
    assert_eq!(packet.segments().flatten().copied().collect::<Vec<_>>(), b"onetw!");
    packet.truncate(3);
    assert_eq!((packet.segment_count(), packet.data()), (1, &b"one"[..]));
    packet.truncate(0);
    assert_eq!((packet.segment_count(), packet.len()), (1, 0));
    assert_eq!(pool.in_use(), 1);
}

#[test]
fn nobody_has_looked_at_the_checksum_of_a_fresh_packet() {
    assert_eq!(testing::pool(1).alloc().unwrap().ip_checksum(), Checksum::Unknown);
}

#[test]
fn a_packet_may_outlive_its_pool() {
    let pool = testing::pool(4);
    let packet = pool.frame(b"still here").unwrap();
    drop(pool);
    assert_eq!(packet.data(), b"still here");
}

#[test]
fn packets_are_freed_by_threads_that_did_not_make_them() {
    let pool = testing::pool(256);
    for _ in 0..8 {
        let packets: Vec<Mbuf> = (0..100).map(|_| pool.frame(b"x").unwrap()).collect();
        std::thread::spawn(move || {
            let _registered = dpdk_bindings::cpu::register_thread(&testing::eal()).unwrap();
            drop(packets);
        })
        .join()
        .unwrap();
    }
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn dpdk_is_initialised_once() {
    let _eal = testing::eal();
    let error = Eal::init(&Options::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rte_eal_init: Operation already in progress (114): DPDK can be initialised once per process"
    );
}

#[test]
fn a_pool_that_does_not_fit_says_what_was_asked_and_what_is_free() {
    let error =
        dpdk_bindings::Mempool::new(&testing::eal(), "huge", 100_000_000, 0, 2048).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("100000000 buffers") && text.contains("octets are free"), "{text}");
}
