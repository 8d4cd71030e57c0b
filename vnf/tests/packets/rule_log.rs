//! Rules with `log`: management hears of what they decide, but not of a flood.

use vnf::acl::RuleMatch;
use vnf::config::AclAction;
use vnf::engine::message::Event;

use crate::common::*;

fn logged(vnf: &mut Harness) -> Vec<RuleMatch> {
    let events = std::mem::take(&mut vnf.events);
    let matched = |event| match event {
        Event::RuleMatched(matched) => Some(matched),
        _ => None,
    };
    events.into_iter().filter_map(matched).collect()
}

#[test]
fn a_rule_with_log_tells_what_it_decided_and_others_do_not() {
    let rules = r#"
        [[acl]]
        name = "from-lan"
        default = "permit"
        [[acl.rule]]
        action = "permit"
        protocol = "udp"
        destination_port = 53
        [[acl.rule]]
        action = "deny"
        protocol = "udp"
        log = true
    "#;
    let config = Config::new("nat44.toml").interface("lan", "acl_in = \"from-lan\"").more(rules);
    let mut vnf = Harness::new(config, 1);
    vnf.send("lan", &udp("10.0.0.2:5000", "203.0.113.7:54"));
    vnf.counted(["acl-denied"]);
    let [matched] = logged(&mut vnf)[..] else { panic!("one packet was logged") };
    assert_eq!((matched.acl, matched.rule, matched.action), (0, 1, AclAction::Deny));
    assert_eq!(matched.key.destination_port, 54);

    let permitted = udp("10.0.0.2:5000", "203.0.113.7:53");
    vnf.send("lan", &permitted);
    vnf.expect_translated("wan", &permitted);
    assert!(logged(&mut vnf).is_empty());

    vnf.forget_counts();
    for _ in 0..1000 {
        vnf.send("lan", &udp("10.0.0.2:5000", "203.0.113.7:54"));
    }
    assert_eq!(vnf.count_of("acl-denied"), 1000);
    let told = logged(&mut vnf).len();
    assert!((1..100).contains(&told), "{told} of a flood were told");
    vnf.advance(seconds(1));
    vnf.send("lan", &udp("10.0.0.2:5000", "203.0.113.7:54"));
    let [matched] = logged(&mut vnf)[..] else { panic!("the flood is over") };
    assert_eq!(matched.untold as usize, 1000 - told);
}
