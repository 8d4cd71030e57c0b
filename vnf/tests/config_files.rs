//! The contract's configuration and the examples we ship are accepted.
#![forbid(unsafe_code)]

use std::path::Path;
use std::time::Duration;

use vnf::config::{self, AclAction, Mapping, NatRole, Settings};

#[test]
fn the_contract_s_configuration_is_accepted_but_for_what_no_file_can_hold() {
    let text = include_str!("config/contract.toml");
    let errors = config::parse("vnf.toml", text).unwrap_err();
    // Lines that show the form of a key, and that no single file can hold together.
    let line_of = |start| 1 + text.lines().position(|line| line.starts_with(start)).unwrap();
    assert_eq!(
        errors.to_string(),
        format!(
            "vnf.toml:{}: acl[from-lan].rule[1].icmp_type: found 8, expected no type, or the \
             protocol \"icmp\" or \"icmpv6\"",
            line_of("icmp_type")
        )
    );
    let rule_line = line_of("[[acl.rule]]");
    let text = text.replace("icmp_type        = 8", "");
    let settings = config::parse("vnf.toml", &text).unwrap();
    assert_eq!(settings.warnings, []);
    let names = settings.interfaces.iter().map(|port| &*port.name).collect::<Vec<_>>();
    assert_eq!(names, ["lan", "wan", "customer", "guests"]);
    let lan = &settings.interfaces[0];
    assert_eq!((lan.port, lan.vlan, lan.mtu), (0, None, 1500));
    assert_eq!((lan.nat, lan.acl_in, lan.acl_out), (Some(NatRole::Internal), Some(0), Some(1)));
    assert_eq!(lan.mac, Some([2, 0, 0, 0, 0, 1]));
    let guests = &settings.interfaces[3];
    assert_eq!((guests.port, guests.vlan), (0, Some(100)));
    assert_eq!(settings.routes[0].next_hops[0].interface, 1);
    assert_eq!(settings.neighbors[0].interface, 1);
    let nat44 = settings.nat44.as_ref().unwrap();
    assert_eq!(nat44.mapping, Mapping::EndpointIndependent);
    let pool = nat44.pool.iter().map(|range| format!("{range:?}")).collect::<Vec<_>>();
    assert_eq!(pool, ["198.51.100.10..=198.51.100.13", "203.0.113.0..=203.0.113.15"]);
    assert_eq!(settings.sessions.max_sessions, 1_000_000);
    assert_eq!(settings.sessions.timeouts.tcp_established, Duration::from_secs(7440));
    let rule = &settings.acls[0].rules[0];
    assert_eq!((rule.action, rule.protocol, rule.line), (AclAction::Permit, Some(6), rule_line));
    assert_eq!(rule.destination_ports, [80..=80, 443..=443]);
    assert_eq!(rule.text, "permit tcp from 10.0.0.0/24 to any port 80,443");
}

#[test]
fn the_examples_are_accepted_without_a_warning() {
    for name in ["cgn", "firewall", "nat44", "router"] {
        let settings = example(name);
        assert_eq!(settings.warnings, [], "{name}");
        assert_eq!(settings.nat44.is_some(), !["firewall", "router"].contains(&name));
    }
}

#[test]
fn the_effective_configuration_is_a_configuration_again() {
    for name in ["cgn", "firewall", "nat44", "router"] {
        let settings = example(name);
        let toml = settings.to_toml();
        let again = config::parse("effective", &toml).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(again.to_json(), settings.to_json(), "{name}");
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error_that_names_it() {
    let error = config::load(Path::new("no/such.toml")).unwrap_err().to_string();
    assert!(error.starts_with("no/such.toml: cannot be read: No such file"), "{error}");
}

#[test]
fn a_file_that_is_no_text_is_an_error_with_its_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"[dpdk]\nmemory = \"\xff\"\n").unwrap();
    let error = config::load(file.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("found a byte that is not UTF-8 on line 2, expected TOML text"),
        "{error}"
    );
}

fn example(name: &str) -> Settings {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples").join(name);
    config::load(&path.with_extension("toml")).unwrap_or_else(|errors| panic!("{errors}"))
}
