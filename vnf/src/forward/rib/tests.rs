//! Changes, one by one and in batches, against a scan of all routes.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

type Model = BTreeMap<(IpNet, Origin), RouteTarget>;

/// What the table must find: of the longest prefixes that hold the address the one whose origin counts first.
fn scan(model: &Model, address: IpAddr) -> Option<&RouteTarget> {
    let holds = model.iter().filter(|((prefix, _), _)| prefix.contains(&address));
    holds
        .max_by_key(|((prefix, origin), _)| (prefix.prefix_len(), std::cmp::Reverse(*origin)))
        .map(|(_, to)| to)
}

fn prefix() -> impl Strategy<Value = IpNet> {
    // Close together, so that they nest and share blocks.
    let v4 = (0u32..4, 0u32..1 << 18, 0u8..=32).prop_map(|(high, low, length)| {
        let address = Ipv4Addr::from_bits(0x0a00_0000 | high << 16 | low << 3);
        IpNet::new(address.into(), length).expect("a length").trunc()
    });
    let v6 = (0u128..3, 0u128..1 << 12, 0u8..=128).prop_map(|(high, low, length)| {
        let address = Ipv6Addr::from_bits(0x2001_0db8 << 96 | high << 107 | low << 68 | low);
        IpNet::new(address.into(), length).expect("a length").trunc()
    });
    prop_oneof![3 => v4, 1 => v6]
}

fn target() -> impl Strategy<Value = RouteTarget> {
    (0u8..12).prop_map(|interface| match interface {
        0 => RouteTarget::Discard,
        1 => RouteTarget::Unreachable,
        interface => RouteTarget::Connected { interface },
    })
}

#[derive(Clone, Debug)]
enum Step {
    Set(Origin, IpNet, RouteTarget),
    Remove(usize),
    Publish,
}

fn step() -> impl Strategy<Value = Step> {
    let origin = prop::sample::select(&Origin::ALL[2..]);
    prop_oneof![
        5 => (origin, prefix(), target()).prop_map(|(o, p, t)| Step::Set(o, p, t)),
        3 => any::<prop::sample::Index>().prop_map(|at| Step::Remove(at.index(1 << 20))),
        1 => Just(Step::Publish),
    ]
}

fn edges(prefix: &IpNet) -> [IpAddr; 4] {
    let beside = |address: IpAddr, add: i8| -> IpAddr {
        match address {
            IpAddr::V4(a) => {
                Ipv4Addr::from_bits(a.to_bits().wrapping_add_signed(add.into())).into()
            }
            IpAddr::V6(a) => {
                Ipv6Addr::from_bits(a.to_bits().wrapping_add_signed(add.into())).into()
            }
        }
    };
    let (first, last) = (prefix.network(), prefix.broadcast());
    [first, last, beside(first, -1), beside(last, 1)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn after_any_changes_the_table_finds_what_a_scan_finds(steps in prop::collection::vec(step(), 1..120)) {
        let (mut rib, mut model) = (Rib::default(), Model::new());
        let mut asked = BTreeSet::new();
        let mut before: Option<(Arc<RouteTable>, Model)> = None;
        for step in steps.into_iter().chain([Step::Publish]) {
            match step {
                Step::Set(origin, prefix, target) => {
                    let new = model.insert((prefix, origin), target.clone()) != Some(target.clone());
                    prop_assert_eq!(rib.set(origin, prefix, target), Ok(new));
                    asked.extend(edges(&prefix));
                }
                Step::Remove(at) => {
                    let Some((prefix, origin)) = model.keys().nth(at % model.len().max(1)).copied() else { continue };
                    model.remove(&(prefix, origin));
                    prop_assert!(rib.remove(origin, prefix));
                    prop_assert!(!rib.remove(origin, prefix));
                }
                Step::Publish => {
                    let table = rib.publish();
                    for address in &asked {
                        prop_assert_eq!(table.target(table.lookup(*address)), scan(&model, *address), "{}", address);
                        // Whoever has the table of before finds what was there before.
                        if let Some((old, model)) = &before {
                            prop_assert_eq!(old.target(old.lookup(*address)), scan(model, *address));
                        }
                    }
                    before = Some((table, model.clone()));
                }
            }
        }
        prop_assert_eq!(rib.len(), model.len());
    }
}

#[test]
fn targets_that_nobody_uses_give_their_numbers_back() {
    let mut rib = Rib::default();
    let prefix = "10.0.0.0/8".parse().expect("a prefix");
    for number in 0..200_000u32 {
        let address = Ipv4Addr::from_bits(number).into();
        let to = RouteTarget::Gateways(vec![crate::forward::route_table::Gateway {
            address,
            interface: 0,
        }]);
        assert_eq!(rib.set(Origin::Api, prefix, to), Ok(true));
    }
    assert!(rib.publish().targets().len() <= 2);
}

#[test]
fn the_routes_of_an_origin_are_listed_in_order() {
    let mut rib = Rib::default();
    for net in ["fd00::/8", "10.1.0.0/16", "10.0.0.0/8", "192.0.2.0/24"] {
        rib.set(Origin::Api, net.parse().expect("a prefix"), RouteTarget::Discard).expect("room");
    }
    let listed = |after: Option<&str>| {
        let after = after.map(|net| net.parse().expect("a prefix"));
        rib.routes(Origin::Api, after).map(|(prefix, _)| prefix.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None), ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24", "fd00::/8"]);
    assert_eq!(listed(Some("10.1.0.0/16")), ["192.0.2.0/24", "fd00::/8"]);
    assert_eq!(listed(Some("fd00::/8")), Vec::<String>::new());
}
