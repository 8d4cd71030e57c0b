//! What is plain is read as the long way reads it.

use std::sync::{Arc, LazyLock};

use dpdk_bindings::{Mempool, testing};
use proptest::prelude::*;

use super::*;
use crate::acl::AclTable;
use crate::config::{Ipv4Options, NatLog, SourceValidation};
use crate::engine::burst::Origin;
use crate::engine::ids::{Arrival, PortId, VrfId};
use crate::engine::interfaces::{Interface, InterfaceTable};
use crate::engine::mask::Slot;
use crate::nat::NatTable;
use crate::neighbor::NeighborTable;
use crate::session::{Limits, Timeouts};
use crate::wire::checksum::Sum;
use crate::wire::ethernet::MacAddr;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// Tables of one interface with these neighbours, and nothing else.
pub(crate) fn tables(neighbors: NeighborTable) -> Tables {
    let interface = Interface {
        id: InterfaceId(0),
        name: "lan".to_owned(),
        port: PortId(0),
        vlan: 0,
        mac: MacAddr(MAC),
        mtu: 1500,
        vrf: VrfId::DEFAULT,
        nat: None,
        ipv4_options: Ipv4Options::Pass,
        source_validation: SourceValidation::Off,
        acl_in: None,
        acl_out: None,
        addresses: Vec::new(),
        linux: None,
        unusable: Vec::new(),
    };
    Tables {
        generation: 1,
        interfaces: Arc::new(InterfaceTable::new(vec![interface], &[MacAddr(MAC)])),
        nat: Arc::new(NatTable::new(None, 1, None)),
        acl: Arc::new(AclTable::new(Vec::new())),
        routes: Arc::default(),
        neighbors: Arc::new(neighbors),
        timeouts: Timeouts::default(),
        limits: Limits { sessions_per_host: 1, new_sessions_per_host: 0 },
        log: NatLog::None,
    }
}

/// A burst of this frame alone.
pub(crate) fn burst(frame: &[u8]) -> Burst {
    static POOL: LazyLock<Mempool> = LazyLock::new(|| testing::pool(64));
    let mut burst = Burst::new();
    let mut packet = POOL.frame(frame).map(|packet| (packet, Arrival::default()));
    burst.fill(Origin::HandedOver, || packet.take());
    burst
}

/// A frame of 64 octets with right checksums.
pub(crate) fn frame(protocol: u8) -> Vec<u8> {
    let mut frame = vec![0; 64];
    frame[..6].copy_from_slice(&MAC);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
    frame[12..16].copy_from_slice(&[0x08, 0x00, 0x45, 0x10]);
    frame[16..18].copy_from_slice(&50u16.to_be_bytes());
    frame[22..24].copy_from_slice(&[64, protocol]);
    frame[26..30].copy_from_slice(&[10, 0, 0, 2]);
    frame[30..34].copy_from_slice(&[203, 0, 113, 7]);
    frame[34..38].copy_from_slice(&[0x13, 0x88, 0x01, 0xbb]);
    match protocol {
        protocol::TCP => frame[46..48].copy_from_slice(&[0x50, tcp::ACK]),
        _ => frame[38..40].copy_from_slice(&30u16.to_be_bytes()),
    }
    settle_checksum(&mut frame);
    frame
}

fn settle_checksum(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let checksum = Sum::of(&frame[14..34]).checksum();
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
}

/// Reads the frame both ways; whether it is plain.
fn read_both_ways(frame: &[u8]) -> bool {
    let tables = tables(NeighborTable::default());
    let [mut quick, mut long] = [burst(frame), burst(frame)];
    let others = Plain::of(&quick, &tables).unwrap().read_all(&mut quick);
    if !others.is_empty() {
        return false;
    }
    let slot = Slot::new(0);
    let (quick, quick_meta) = quick.packet_mut(slot);
    let (long, long_meta) = long.packet_mut(slot);
    let outcome = super::super::frame(long, long_meta, Arrival::default(), &tables);
    assert_eq!(outcome, Ok(()), "{frame:02x?}");
    assert_eq!((quick_meta.form, long_meta.form), (Form::Plain, Form::Whole));
    long_meta.form = Form::Plain;
    assert_eq!(format!("{quick_meta:?}"), format!("{long_meta:?}"), "{frame:02x?}");
    assert_eq!(quick.data(), long.data());
    true
}

#[test]
fn usual_packets_are_plain() {
    for protocol in [protocol::TCP, protocol::UDP] {
        assert!(read_both_ways(&frame(protocol)), "{protocol}");
        let mut long = frame(protocol);
        long.resize(1514, 0);
        assert!(read_both_ways(&long), "padding is cut off");
    }
}

#[test]
fn other_packets_are_not() {
    let changed = |at: usize, octets: &[u8]| {
        let mut frame = frame(protocol::UDP);
        frame[at..at + octets.len()].copy_from_slice(octets);
        if at != at::CHECKSUM {
            settle_checksum(&mut frame);
        }
        frame
    };
    for (what, frame) in [
        ("for another station", changed(5, &[2])),
        ("from a group", changed(6, &[1])),
        ("from ourselves", changed(6, &MAC)),
        ("from nobody", changed(6, &[0; 6])),
        ("tagged", changed(12, &[0x81, 0x00])),
        ("with options", changed(14, &[0x46])),
        ("a first fragment", changed(20, &[0x20, 0])),
        ("a later fragment", changed(20, &[0, 1])),
        ("with a wrong checksum", changed(24, &[1, 1])),
        ("from loopback", changed(26, &[127])),
        ("to a group", changed(30, &[224])),
        ("to the link", changed(30, &[169, 254])),
        ("to itself", changed(30, &[10, 0, 0, 2])),
        ("ICMP", changed(23, &[1])),
        ("shorter than UDP says", changed(38, &[0, 31])),
        ("shorter than a UDP header", changed(38, &[0, 7])),
        ("longer than the frame", changed(16, &[0, 51])),
        ("without ports", frame(protocol::UDP)[..53].to_vec()),
    ] {
        assert!(!read_both_ways(&frame), "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_is_plain_is_what_the_long_way_reads(
        tcp: bool,
        right: bool,
        length in 40_usize..64,
        changes in prop::collection::vec((0_usize..64, any::<u8>()), 0..4),
    ) {
        let mut frame = frame(if tcp { protocol::TCP } else { protocol::UDP });
        for (at, octet) in changes {
            frame[at] = octet;
        }
        if right {
            settle_checksum(&mut frame);
        }
        read_both_ways(&frame[..length]);
    }
}
