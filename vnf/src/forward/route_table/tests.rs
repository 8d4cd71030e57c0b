//! The table against a scan of all routes.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// What the table must find: the first of the longest prefixes that hold the address.
fn scan(routes: &[(IpNet, RouteTarget)], address: IpAddr) -> Option<&RouteTarget> {
    let mut best: Option<&(IpNet, RouteTarget)> = None;
    for route in routes.iter().filter(|(prefix, _)| prefix.contains(&address)) {
        if best.is_none_or(|(prefix, _)| route.0.prefix_len() > prefix.prefix_len()) {
            best = Some(route);
        }
    }
    best.map(|(_, target)| target)
}

fn check(routes: &[(IpNet, RouteTarget)], addresses: &[IpAddr]) -> Result<(), TestCaseError> {
    let table = RouteTable::build(routes.iter().cloned()).expect("few targets");
    let mut ids4 = [RouteId::NONE; 1];
    for address in addresses {
        let id = table.lookup(*address);
        prop_assert_eq!(table.target(id), scan(routes, *address), "{}", address);
        match address {
            IpAddr::V4(address) => table.lookup4(&[address.to_bits()], &mut ids4),
            IpAddr::V6(address) => table.lookup6(&[address.to_bits()], &mut ids4),
        }
        prop_assert_eq!(ids4, [id]);
    }
    Ok(())
}

/// The ends of a prefix and the addresses beside them: where tables go wrong.
fn edges(prefix: &IpNet) -> Vec<IpAddr> {
    let beside = |address: IpAddr, add: i8| match address {
        IpAddr::V4(a) => {
            IpAddr::V4(Ipv4Addr::from_bits(a.to_bits().wrapping_add_signed(add.into())))
        }
        IpAddr::V6(a) => {
            IpAddr::V6(Ipv6Addr::from_bits(a.to_bits().wrapping_add_signed(add.into())))
        }
    };
    let (first, last) = (prefix.network(), prefix.broadcast());
    vec![first, last, beside(first, -1), beside(last, 1)]
}

fn target(number: u8) -> RouteTarget {
    match number % 4 {
        0 => RouteTarget::Connected { interface: number },
        1 => RouteTarget::Discard,
        2 => RouteTarget::Gateways(vec![Gateway {
            address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, number)),
            interface: 0,
        }]),
        _ => RouteTarget::Local { interface: number },
    }
}

/// Prefixes of every length, crowded into a few places so that they nest.
fn prefix() -> impl Strategy<Value = IpNet> {
    let ipv4 = (any::<u32>(), 0..=32u8, any::<bool>()).prop_map(|(address, length, crowded)| {
        let address = if crowded { address & 0x0103_0307 | 0x0a00_0000 } else { address };
        IpNet::new(Ipv4Addr::from_bits(address).into(), length).expect("length in range").trunc()
    });
    let ipv6 = (any::<u128>(), 0..=128u8, any::<bool>()).prop_map(|(address, length, crowded)| {
        let common = 0x2001_0db8 << 96;
        let mask = 0x0101_0003_0000_0301_0000_0000_0300_0103;
        let address = if crowded { address & mask | common } else { address };
        IpNet::new(Ipv6Addr::from_bits(address).into(), length).expect("length in range").trunc()
    });
    prop_oneof![ipv4, ipv6]
}

proptest! {
    #[test]
    fn finds_what_a_scan_finds(
        routes in prop::collection::vec((prefix(), any::<u8>().prop_map(target)), 0..300),
        strangers in prop::collection::vec(prop_oneof![
            any::<u32>().prop_map(|a| IpAddr::V4(Ipv4Addr::from_bits(a))),
            any::<u128>().prop_map(|a| IpAddr::V6(Ipv6Addr::from_bits(a))),
        ], 0..20),
    ) {
        let mut addresses: Vec<IpAddr> = routes.iter().flat_map(|(p, _)| edges(p)).collect();
        addresses.extend(strangers);
        check(&routes, &addresses)?;
    }
}

#[test]
fn large_table_finds_what_a_scan_finds() {
    // Enough routes for the largest first step.
    let routes: Vec<_> = (0..20_000u32)
        .map(|n| {
            let address = Ipv4Addr::from_bits(n.wrapping_mul(0x9e37_79b9));
            let prefix = IpNet::new(address.into(), (8 + n % 25) as u8).expect("length in range");
            (prefix.trunc(), target((n % 200) as u8))
        })
        .collect();
    let addresses: Vec<_> = routes.iter().step_by(97).flat_map(|(p, _)| edges(p)).collect();
    check(&routes, &addresses).expect("the table agrees with the scan");
}

#[test]
fn empty_table_has_no_route_and_no_memory() {
    let table = RouteTable::build([]).expect("no targets");
    let mut ids = [RouteId(7); 2];
    table.lookup4(&[0, u32::MAX], &mut ids);
    assert_eq!(ids, [RouteId::NONE; 2]);
    table.lookup6(&[u128::MAX], &mut ids);
    assert_eq!(table.bytes(), 0);
}

#[test]
fn default_route_catches_what_nothing_else_does() {
    let routes = [
        ("0.0.0.0/0".parse().expect("a prefix"), RouteTarget::Discard),
        ("255.255.255.255/32".parse().expect("a prefix"), RouteTarget::Local { interface: 1 }),
    ];
    let table = RouteTable::build(routes).expect("two targets");
    let found = |text: &str| table.target(table.lookup(text.parse().expect("an address")));
    assert_eq!(found("0.0.0.0"), Some(&RouteTarget::Discard));
    assert_eq!(found("255.255.255.254"), Some(&RouteTarget::Discard));
    assert_eq!(found("255.255.255.255"), Some(&RouteTarget::Local { interface: 1 }));
    assert_eq!(found("::"), None);
}

#[test]
fn too_many_targets_are_refused() {
    let gateway = |n: u32| Gateway { address: Ipv4Addr::from_bits(n).into(), interface: 0 };
    let routes = (0..=RouteTable::MAX_TARGETS as u32).map(|n| {
        let prefix = IpNet::new(Ipv4Addr::from_bits(n << 8).into(), 24).expect("length in range");
        (prefix, RouteTarget::Gateways(vec![gateway(n)]))
    });
    assert_eq!(RouteTable::build(routes).err(), Some(TooManyTargets));
}
