use super::*;

fn judge(external: impl Fn(u32, u16) -> Option<u16>, flows: u32) -> Ports {
    let question = Question { protocol: Protocol::Udp, flows, hosts: 1, seed: 3, gap_ns: 0 };
    let remote = SocketAddrV4::new([198, 51, 100, 2].into(), 7);
    let inside = |index| SocketAddrV4::new([10, 0, 0, 2].into(), port_of(index, 3));
    let pairs: Vec<_> = (0..flows).map(|index| (inside(index), remote)).collect();
    let found: Vec<_> = (0..flows)
        .map(|index| external(index, inside(index).port()))
        .map(|port| port.map(|port| SocketAddrV4::new([203, 0, 113, 1].into(), port)))
        .collect();
    Ports::new(question, &pairs, &found)
}

#[test]
fn every_inside_port_comes_once() {
    let ports: HashSet<u16> = (0..64_512).map(|index| port_of(index, 99)).collect();
    assert_eq!((ports.len(), ports.iter().min()), (64_512, Some(&1024)));
}

#[test]
fn preserved_ports_are_seen_as_preserved() {
    let ports = judge(|_, own| Some(own), 1000);
    assert_eq!((ports.preserved, ports.parity_kept, ports.clashes), (1000, 1000, 0));
    assert_eq!(ports.faults(), Vec::<String>::new());
}

#[test]
fn a_counter_is_even_but_its_steps_are_not() {
    let ports = judge(|index, _| Some(2000 + index as u16), 2000);
    assert_eq!((ports.successive, ports.range), (1999, Some((2000, 3999))));
    assert!(ports.spread.unwrap().p_value > 0.99, "{:?}", ports.spread);
    assert!(ports.steps.unwrap().p_value < 1e-9, "{:?}", ports.steps);
}

#[test]
fn random_ports_pass_both_tests_and_crowded_ones_do_not() {
    let random = |index: u32| (siphash(5, u64::from(index)) % 60_000) as u16 + 2000;
    let ports = judge(|index, _| Some(random(index)), 5000);
    assert!(ports.spread.unwrap().p_value > 0.001, "{:?}", ports.spread);
    assert!(ports.steps.unwrap().p_value > 0.001, "{:?}", ports.steps);
    let crowded = judge(|index, _| Some(random(index).max(30_000)), 5000);
    assert!(crowded.spread.unwrap().p_value < 1e-9, "{:?}", crowded.spread);
}

#[test]
fn exhaustion_and_shared_endpoints_are_counted() {
    let ports = judge(|index, _| (index < 512).then_some(4000 + (index % 500) as u16), 600);
    assert_eq!((ports.opened, ports.exhausted_after, ports.clashes), (512, Some(512), 12));
    assert_eq!(ports.faults().len(), 1);
}
