//! Packets that are sent together.

use dpdk_bindings::{Batch, Mempool, testing};

fn filled(batch: &mut Batch, pool: &Mempool) {
    for n in batch.len()..64 {
        batch.push(pool.frame(&[n as u8; 60]).unwrap()).unwrap();
    }
}

#[test]
fn a_batch_keeps_its_order_and_takes_no_more_than_fit() {
    let pool = testing::pool(128);
    let mut batch = Batch::new();
    assert!(batch.is_empty());
    filled(&mut batch, &pool);
    assert!(batch.is_full());
    let refused = batch.push(pool.frame(b"one more").unwrap()).unwrap_err();
    assert_eq!((refused.data(), batch.len()), (&b"one more"[..], 64));
    assert!(batch.packets().iter().enumerate().all(|(n, packet)| packet.data() == [n as u8; 60]));
    let mut next = 0;
    batch.take_all(|packet| {
        assert_eq!(packet.data(), [next; 60]);
        next += 1;
    });
    assert_eq!((next, batch.len(), pool.in_use()), (64, 0, 1));
}

#[test]
fn what_a_full_port_refuses_stays_in_the_batch_in_order() {
    let pool = testing::pool(2048);
    let mut ring = testing::RingPort::open(&pool, 1).unwrap();
    let mut batch = Batch::new();
    let mut total = 0;
    loop {
        filled(&mut batch, &pool);
        let sent = ring.transmit[0].transmit_batch(&mut batch);
        total += sent;
        if sent < 64 {
            assert!(batch.packets().iter().zip(sent as u8..).all(|(p, n)| p.data() == [n; 60]));
            assert_eq!((batch.len(), pool.in_use()), (64 - sent, total + 64 - sent));
            break;
        }
        assert!(batch.is_empty());
    }
    batch.clear();
    assert_eq!((batch.len(), pool.in_use()), (0, total));
    for n in 0..total {
        assert_eq!(ring.collect().unwrap().data(), [(n % 64) as u8; 60]);
    }
}

#[test]
fn a_dropped_batch_frees_its_packets() {
    let pool = testing::pool(64);
    let mut batch = Batch::new();
    filled(&mut batch, &pool);
    assert_eq!(pool.in_use(), 64);
    drop(batch);
    assert_eq!(pool.in_use(), 0);
}
