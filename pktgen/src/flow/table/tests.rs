use super::*;
use crate::flow::{Plan, Pool};
use std::net::{IpAddr, SocketAddr};

fn endpoint(text: &str) -> Endpoint {
    text.parse::<SocketAddr>().unwrap().into()
}

fn stream(protocol: Protocol, family: Family) -> Stream {
    let (prefix, remote) = match family {
        Family::V4 => ("10.0.0.2/24", "198.51.100.2"),
        Family::V6 => ("2001:db8:1::2/64", "2001:db8:2::2"),
    };
    let remote = remote.parse::<IpAddr>().unwrap().into();
    let pool = Pool::for_flows(100, prefix.parse().unwrap(), None, &[remote]);
    let plan = Plan::new(100, pool, 1).unwrap();
    Stream::new("test", protocol, family, Sizes::one(64).unwrap(), plan, true)
}

fn flows() -> Flows {
    Flows::new(vec![stream(Protocol::Udp, Family::V4)])
}

#[test]
fn one_external_endpoint_for_two_flows_is_a_clash() {
    let mut flows = flows();
    let external = endpoint("203.0.113.1:1024");
    assert_eq!(flows.learn(0, external), Learned::New);
    assert_eq!(flows.learn(0, external), Learned::New);
    assert_eq!(flows.learn(1, external), Learned::Clash);
    assert_eq!(flows.learned(), 2);
    assert_eq!(flows.learn(0, endpoint("203.0.113.1:1025")), Learned::New);
    assert_eq!(flows.learn(2, external), Learned::New, "given up by flow 0");
}

#[test]
fn the_same_endpoint_serves_flows_of_different_protocols() {
    let mut flows =
        Flows::new(vec![stream(Protocol::Udp, Family::V4), stream(Protocol::Tcp, Family::V4)]);
    let external = endpoint("203.0.113.1:1024");
    assert_eq!(flows.learn(0, external), Learned::New);
    assert_eq!(flows.learn(100, external), Learned::New);
    assert_eq!(flows.learn(101, external), Learned::Clash);
}

#[test]
fn a_flow_is_found_by_its_addresses_on_either_side() {
    for (family, external) in
        [(Family::V4, "203.0.113.1:1024"), (Family::V6, "[2001:db8:3::1]:1024")]
    {
        let mut flows =
            Flows::new(vec![stream(Protocol::Udp, family), stream(Protocol::Tcp, family)]);
        let external = endpoint(external);
        flows.learn(107, external);
        let (inside, outside) = (flows.inside(107), flows.outside(107));
        let found = |direction, source, destination| {
            flows.by_addresses(direction, Protocol::Tcp, source, destination)
        };
        assert_eq!(found(Direction::Outward, external, outside), Some(107));
        assert_eq!(found(Direction::Inward, outside, inside), Some(107));
        assert_eq!(found(Direction::Inward, external, inside), None);
        assert_eq!(found(Direction::Outward, inside, outside), None);
        assert_eq!(flows.external(107), Some(external));
    }
}

#[test]
fn a_new_phase_forgets_sequences_but_not_endpoints() {
    let mut flows = flows();
    flows.learn_untranslated();
    assert_eq!(flows.flow_mut(3).unwrap().take_seq(Direction::Outward), 0);
    assert_eq!(flows.arrive(3, Direction::Outward, 0), Seen::InOrder);
    assert_eq!(flows.arrive(3, Direction::Outward, 0), Seen::Again);
    flows.restart();
    assert_eq!(flows.arrive(3, Direction::Outward, 0), Seen::InOrder);
    assert_eq!(flows.flow_mut(3).unwrap().take_seq(Direction::Outward), 0);
    assert_eq!((flows.learned(), flows.missing()), (100, 0));
}

#[test]
fn a_forgotten_flow_gives_its_endpoint_up() {
    let mut flows = flows();
    let external = endpoint("203.0.113.1:1024");
    flows.learn(0, external);
    flows.forget(0);
    assert_eq!((flows.external(0), flows.learned(), flows.missing()), (None, 0, 100));
    assert_eq!(flows.learn(1, external), Learned::New);
}

#[test]
fn refused_flows_are_not_missed_and_those_from_outside_are_known() {
    let mut refused = stream(Protocol::Udp, Family::V4);
    refused.expect = Expect::Drop;
    let mut unsolicited = refused.clone();
    unsolicited.initiator = Direction::Inward;
    let flows = Flows::new(vec![stream(Protocol::Udp, Family::V4), refused, unsolicited]);
    assert_eq!((flows.len(), flows.learned(), flows.missing()), (300, 100, 100));
    assert_eq!(flows.external(250), Some(flows.inside(250)));
}

#[test]
fn edge_mode_gives_checksums_their_extreme_values_before_and_after_translation() {
    let mut flows = flows();
    flows.learn_untranslated();
    flows.learn(1, endpoint("203.0.113.1:1024"));
    flows.set_edges(true);
    let checksum = |index: u32, source| {
        let endpoints = (source, flows.outside(index));
        let sum = flows.header_sum(index, endpoints, Direction::Outward, Kind::Data);
        sum.word(flows.flow(index).unwrap().constant).checksum()
    };
    // UDP sends 0 as ffff, which is the same number.
    let zero = |sum: u16| if sum == 0xffff { 0 } else { sum };
    let expected = [0, 0, 0xffff, 0xffff, 1, 1, 0xfffe, 0xfffe];
    for (index, expected) in (0..8).zip(expected) {
        let source =
            if index % 2 == 1 { flows.external(index).unwrap() } else { flows.inside(index) };
        assert_eq!(zero(checksum(index, source)), zero(expected), "flow {index}");
    }
}
