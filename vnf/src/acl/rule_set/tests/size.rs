//! Long lists: what they take, and that they decide as short ones do.

use super::*;

/// Numbers that look random, the same every time.
fn random() -> impl FnMut() -> u64 {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// Rules whose prefixes and ranges cross in every field: `rte_acl` multiplies them out.
fn crossing(count: usize, ipv6: bool) -> AclSettings {
    let mut next = random();
    let mut range = {
        let mut next = random();
        move || {
            let (a, b) = (next() as u16, next() as u16);
            a.min(b)..=a.max(b)
        }
    };
    let mut net = move || -> IpNet {
        let (bits, length) = (next(), next() >> 40);
        let net = if ipv6 {
            let bits = 0x2001_0db8 << 96 | u128::from(bits & 0x3333) << 64 | u128::from(next());
            IpNet::new(Ipv6Addr::from_bits(bits).into(), 24 + (length % 105) as u8)
        } else {
            let bits = 0x0a00_0000 | bits as u32 & 0x0003_3333;
            IpNet::new(Ipv4Addr::from_bits(bits).into(), 8 + (length % 25) as u8)
        };
        net.expect("a length in range").trunc()
    };
    let rule = |_| RuleSettings {
        source: [net()].into_iter().collect(),
        destination: [net()].into_iter().collect(),
        source_ports: vec![range()],
        destination_ports: vec![range(), range()],
        protocol: Some(6),
        ..permit()
    };
    settings((0..count).map(rule).collect())
}

#[test]
fn ten_thousand_rules_that_cross_in_every_field_compile_and_decide_as_a_walk_does() {
    for ipv6 in [false, true] {
        let settings = crossing(10_000, ipv6);
        let set = RuleSet::compile(&testing::eal(), &settings).expect("it compiles");
        assert!(set.bytes() < 64 << 20, "{} octets", set.bytes());
        let mut next = random();
        for place in 0..200 {
            let rule = &settings.rules[place * 49];
            let addresses = [&rule.source, &rule.destination]
                .map(|addresses| addresses.nets().next().expect("each has one").addr());
            let [source, destination] = addresses;
            let (from, to) = (next() as u16 | 1, next() as u16 | 1);
            let upper = Upper::Tcp { source: from, destination: to, flags: 2 };
            let packet = Packet { source, destination, protocol: 6, upper, vlan: 0 };
            let mut decisions = [UNDECIDED];
            set.classify(&[packet.key()], &mut decisions);
            assert_eq!(decisions[0], walk(&settings, &packet), "{packet:?}");
        }
    }
}

#[test]
fn a_set_of_a_hundred_thousand_prefixes_counts_once_however_many_rules_name_it() {
    let nets = (0..100_000u32).map(|n| IpAddr::from(Ipv4Addr::from_bits(0x1000_0000 + 3 * n)));
    let nets: Arc<[IpNet]> = nets.map(IpNet::from).collect();
    let named = |nets: &Arc<[IpNet]>| {
        let (nets, set) = (Arc::clone(nets), Some("large".to_owned()));
        Addresses { groups: vec![AddressGroup { nets, set }] }
    };
    let rule = |port: u16| RuleSettings {
        source: named(&nets),
        destination: named(&nets),
        destination_ports: vec![port..=port],
        protocol: Some(17),
        ..permit()
    };
    let settings = settings((1..=1000).map(rule).collect());
    let set = RuleSet::compile(&testing::eal(), &settings).expect("it compiles");
    assert!(set.bytes() < 8 << 20, "{} octets", set.bytes());
    let decide = |source: u32, destination: u32, port: u16| {
        let upper = Upper::Ports { source: 9, destination: port };
        let mut decisions = [UNDECIDED];
        set.classify(&[AclKey::ipv4(source, destination, 17, upper)], &mut decisions);
        decisions[0].rule
    };
    let member = |n: u32| 0x1000_0000 + 3 * n;
    assert_eq!(decide(member(0), member(99_999), 1), 0);
    assert_eq!(decide(member(5000), member(0), 1000), 999);
    for nobody in [member(0) - 1, member(7) + 1, member(99_999) + 1] {
        assert_eq!(decide(nobody, member(0), 1), Decision::DEFAULT_RULE);
        assert_eq!(decide(member(0), nobody, 1), Decision::DEFAULT_RULE);
    }
    assert_eq!(decide(member(0), member(0), 1001), Decision::DEFAULT_RULE);
}

#[test]
fn a_list_that_would_take_too_much_memory_is_refused() {
    let settings = crossing(3000, false);
    let error = RuleSet::compile_within(&testing::eal(), &settings, SHORT, 1 << 20)
        .expect_err("a megabyte is not enough");
    assert_eq!(
        error.to_string(),
        "its 3000 rules take more than 1 MiB compiled: name fewer addresses and port ranges, or put \
         addresses into sets"
    );
}

#[test]
fn list_without_rules_is_its_default() {
    let set = RuleSet::compile(&testing::eal(), &settings(Vec::new())).expect("nothing to compile");
    let mut decisions = [UNDECIDED; 2];
    set.classify(&[AclKey::ipv4(1, 2, 6, Upper::None); 2], &mut decisions);
    assert_eq!(decisions, [Decision::of_default(AclAction::Deny); 2]);
}
