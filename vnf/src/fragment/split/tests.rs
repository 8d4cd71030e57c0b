//! Fragments against a reassembler that writes every octet where it says it belongs.

use dpdk_bindings::testing::{pool, segmented};
use proptest::prelude::*;

use super::*;

/// An IPv4 packet behind `l3` octets of link header, its payload counting up.
fn packet(l3: usize, header_options: &[u8], field: u16, payload: usize) -> Vec<u8> {
    let header_length = 20 + header_options.len();
    let mut octets: Vec<u8> = (0..l3).map(|at| 0xe0 | at as u8).collect();
    octets.extend([0x40 | (header_length / 4) as u8, 0x28]);
    octets.extend(((header_length + payload) as u16).to_be_bytes());
    octets.extend([0xab, 0xcd]);
    octets.extend(field.to_be_bytes());
    octets.extend([63, 17, 0, 0, 10, 0, 0, 2, 192, 0, 2, 1]);
    octets.extend(header_options);
    let checksum = Sum::of(&octets[l3..]).checksum();
    octets[l3 + 10..l3 + 12].copy_from_slice(&checksum.to_be_bytes());
    octets.extend((0..payload).map(|at| (at ^ at >> 8) as u8));
    octets
}

fn octets(packet: &Mbuf) -> Vec<u8> {
    packet.segments().flatten().copied().collect()
}

/// The payload that fragments carry, from the offset of the first one on, and the last fragment field.
fn reassembled(fragments: &[Vec<u8>], l3: usize) -> (Vec<u8>, u16) {
    let mut payload = Vec::new();
    let mut last = 0;
    let mut start = None;
    for fragment in fragments {
        let header: &Ipv4Header = wire::at(fragment, l3).unwrap();
        let start = *start.get_or_insert(header.fragment_offset());
        assert_eq!(header.fragment_offset() - start, payload.len(), "in order, without gaps");
        assert_eq!(usize::from(header.total_length.get()), fragment.len() - l3);
        assert!(ipv4::checksum_is_valid(&fragment[l3..l3 + header.header_len()]));
        payload.extend(&fragment[l3 + header.header_len()..]);
        last = header.fragment.get();
    }
    (payload, last)
}

fn fragments(packet: Mbuf, l3: usize, mtu: u16, pool: &Mempool) -> Option<Vec<Vec<u8>>> {
    let mut parts = Vec::new();
    let count = split(packet, l3, mtu, pool, |part| parts.push(octets(&part)))?;
    assert_eq!(count, parts.len());
    Some(parts)
}

#[test]
fn a_datagram_leaves_in_full_fragments_and_a_rest() {
    let pool = pool(64);
    let frame = packet(14, &[], 0, 3000);
    let parts = fragments(pool.frame(&frame).unwrap(), 14, 1500, &pool).unwrap();
    let lengths: Vec<usize> = parts.iter().map(Vec::len).collect();
    assert_eq!(lengths, [1514, 1514, 14 + 20 + 40]);
    let fields: Vec<u16> =
        parts.iter().map(|part| u16::from_be_bytes([part[20], part[21]])).collect();
    assert_eq!(fields, [0x2000, 0x2000 | 185, 370]);
    for part in &parts {
        assert_eq!(part[..14], frame[..14], "the link header");
        assert_eq!(part[18..20], [0xab, 0xcd], "the identification");
    }
}

#[test]
fn a_fragment_is_split_further_and_keeps_its_place() {
    let pool = pool(64);
    let frame = packet(18, &[], ipv4::MORE_FRAGMENTS | 185, 1480);
    let parts = fragments(pool.frame(&frame).unwrap(), 18, 1000, &pool).unwrap();
    let fields: Vec<u16> =
        parts.iter().map(|part| u16::from_be_bytes([part[24], part[25]])).collect();
    assert_eq!(fields, [0x2000 | 185, 0x2000 | (185 + 122)], "more follow the last one too");
}

#[test]
fn only_copied_options_are_in_later_fragments() {
    let pool = pool(64);
    let options = [7, 7, 4, 0, 0, 0, 0, 1, 148, 4, 0, 0];
    let frame = packet(14, &options, 0, 1000);
    let parts = fragments(pool.frame(&frame).unwrap(), 14, 576, &pool).unwrap();
    assert_eq!(parts[0][14 + 20..14 + 32], options);
    assert_eq!(parts[1][14], 0x46);
    assert_eq!(parts[1][14 + 20..14 + 24], [148, 4, 0, 0]);
    assert_eq!(reassembled(&parts, 14).0, frame[14 + 32..]);
}

#[test]
fn fragments_larger_than_a_buffer_take_several() {
    let pool = pool(64);
    let frame = packet(14, &[], 0, 20_000);
    let parts = fragments(pool.frame(&frame).unwrap(), 14, 9000, &pool).unwrap();
    assert_eq!(parts.len(), 3);
    assert_eq!(reassembled(&parts, 14).0, frame[34..]);
}

#[test]
fn a_dry_pool_ends_it_and_nothing_leaks() {
    for buffers in 2..8 {
        let pool = pool(buffers);
        let frame = packet(14, &[], 0, 4000);
        let whole = pool.frame(&frame).unwrap(); // takes two
        let mut parts = Vec::new();
        let count = split(whole, 14, 1004, &pool, |part| parts.push(part));
        assert_eq!(count, (buffers >= 7).then_some(5), "{buffers} buffers");
        assert_eq!(parts.len(), (buffers as usize - 2).min(5));
        drop(parts);
        assert_eq!(pool.in_use(), 0);
    }
}

#[test]
fn headers_that_leave_no_room_are_not_split() {
    let pool = pool(8);
    let frame = packet(14, &[], 0, 100);
    assert_eq!(fragments(pool.frame(&frame).unwrap(), 14, 27, &pool), None);
    let mut broken = frame.clone();
    broken[14] = 0x44;
    assert_eq!(fragments(pool.frame(&broken).unwrap(), 14, 68, &pool), None);
    let mut short = frame;
    short[17] += 1; // says one octet more than there is
    assert_eq!(
        fragments(pool.frame(&short).unwrap(), 14, 68, &pool).map(|parts| parts.len()),
        None
    );
    assert_eq!(pool.in_use(), 0);
}

const OPTIONS: &[&[u8]] = &[&[], &[1, 130, 3, 9], &[148, 4, 0, 0, 7, 3, 4, 0]];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_split_reassembles(
        payload in 1_usize..6000,
        mtu in 68_u16..3000,
        vlan: bool,
        units in 0_u16..7000,
        more: bool,
        options in prop::sample::select(OPTIONS),
        cuts in prop::collection::vec(64_usize..900, 0..4),
    ) {
        let l3 = if vlan { 18 } else { 14 };
        let payload = if more { payload.next_multiple_of(8) } else { payload };
        let field = units | if more { ipv4::MORE_FRAGMENTS } else { 0 };
        let frame = packet(l3, options, field, payload);
        let pool = pool(512);
        let mut cuts: Vec<usize> = cuts;
        while cuts.iter().sum::<usize>() > frame.len() {
            cuts.pop();
        }
        let whole = segmented(&pool, &frame, &cuts);
        prop_assume!(whole.is_some());
        let parts = fragments(whole.unwrap(), l3, mtu, &pool).unwrap();
        prop_assert_eq!(pool.in_use(), 0);
        let (octets, last) = reassembled(&parts, l3);
        prop_assert_eq!(&octets, &frame[l3 + 20 + options.len()..]);
        prop_assert_eq!(last & ipv4::MORE_FRAGMENTS != 0, more);
        for part in &parts[..parts.len() - 1] {
            prop_assert!(part.len() - l3 <= usize::from(mtu));
            let header: &Ipv4Header = wire::at(part, l3).unwrap();
            prop_assert!(header.more_fragments());
            // As much as goes in: another eight octets would not.
            prop_assert!(part.len() - l3 + 8 > usize::from(mtu));
        }
    }
}
