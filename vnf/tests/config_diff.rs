//! What a reload changes, in sentences, and what it leaves to a restart.
#![forbid(unsafe_code)]

use vnf::config::{self, Diff};

#[test]
fn the_same_configuration_written_otherwise_changes_nothing() {
    let moved = format!("# A comment.\n\n{}", NAT44.replace("100_000", "100000"));
    let routes = ROUTER.replace("10.0.0.0/8", "10.0.0.0/8\" # here: \"");
    assert_eq!(diff(NAT44, &moved), Diff::default());
    assert_eq!(diff(ROUTER, &routes), Diff::default());
}

#[test]
fn routes_and_neighbors_are_known_by_what_they_reach() {
    let new = ROUTER
        .replace("prefix    = \"10.0.0.0/8\"", "prefix    = \"10.0.0.0/9\"")
        .replace("[\"198.51.100.253\", \"198.51.100.254\"]", "[\"198.51.100.253\"]")
        .replace("00:00:00:fd", "00:00:00:fe");
    assert_eq!(
        diff(ROUTER, &new),
        reloadable(&[
            "neighbor[wan 198.51.100.253].mac: \"02:00:00:00:00:fd\" becomes \"02:00:00:00:00:fe\"",
            "route[0.0.0.0/0].next_hops: [\"198.51.100.253\",\"198.51.100.254\"] becomes [\"198.51.100.253\"]",
            "route[10.0.0.0/8] is gone",
            "route[10.0.0.0/9] is new",
        ])
    );
}

#[test]
fn rules_are_known_by_their_text() {
    let text = "[[acl.rule]]\naction = \"permit\"\nprotocol = \"udp\"\n\n[[acl]]                          # guests";
    let new = ROUTER
        .replace("[[acl]]                          # guests", text)
        .replace("icmp_type = 128", "icmp_type = 129");
    assert_eq!(
        diff(ROUTER, &new),
        reloadable(&[
            "acl[to-lan]: without \"permit icmpv6 from any to any icmp-type 128\"",
            "acl[to-lan]: with \"permit icmpv6 from any to any icmp-type 129\"",
            "acl[to-lan]: with \"permit udp from any to any\"",
        ])
    );
    let rule = |port| {
        format!("[[acl.rule]]\naction = \"deny\"\nprotocol = \"udp\"\nsource_port = {port}\n")
    };
    let two = |first, second| format!("{NAT44}{}{}", rule(first), rule(second));
    assert_eq!(
        diff(&two(1, 2), &two(2, 1)),
        reloadable(&["acl[from-lan]: rules in another order"])
    );
    let denying = NAT44.replace("default = \"permit\"", "default = \"deny\"");
    assert_eq!(diff(NAT44, &denying), reloadable(&["acl[from-lan]: default is now deny"]));
}

#[test]
fn a_set_changes_once_whoever_names_it() {
    let new = ROUTER.replace("[\"192.0.2.80\", ", "[");
    assert_eq!(
        diff(ROUTER, &new),
        reloadable(&[
            "sets.web-servers: [\"192.0.2.80\",\"2001:db8:1::80\"] becomes [\"2001:db8:1::80\"]"
        ])
    );
}

#[test]
fn nat_settings_are_reloaded_but_for_the_reserved_memory() {
    let new = NAT44
        .replace("198.51.100.13", "198.51.100.14")
        .replace("100_000 ", "200_000 ")
        .replace("\"10.0.0.5:443\"", "\"10.0.0.6:443\"");
    assert_eq!(
        diff(NAT44, &new),
        Diff {
            changes: vec![
                "nat44.forward[tcp 198.51.100.10:8443].internal: \"10.0.0.5:443\" becomes \"10.0.0.6:443\"".into(),
                "nat44.max_sessions: 100000 becomes 200000".into(),
                "nat44.pool: [\"198.51.100.10-198.51.100.13\"] becomes [\"198.51.100.10-198.51.100.14\"]".into(),
            ],
            restart_required: vec!["nat44.max_sessions".into()],
        }
    );
}

#[test]
fn nat_switched_off_frees_no_memory() {
    let start = NAT44.find("[nat44]").unwrap();
    let end = NAT44.find("[[acl]]").unwrap();
    let off = [&NAT44[..start], &NAT44[end..]].concat();
    let off = off.replace("nat       = \"internal\"", "").replace("nat       = \"external\"", "");
    let found = diff(NAT44, &off);
    assert_eq!(found.restart_required, ["nat44.max_sessions"]);
    assert!(found.changes.contains(&"nat44 is gone".to_owned()), "{found:?}");
}

#[test]
fn devices_cores_and_listeners_need_a_restart() {
    let new = NAT44
        .replace("worker_cores = [1]", "worker_cores = [1, 2]")
        .replace("/run/vnf/vnf.sock", "/run/vnf/other.sock")
        .replace("net_tap1", "net_tap2")
        + "[workers]\nidle = \"poll\"\n[[vlan]]\nname = \"v\"\nport = \"lan\"\nid = 7\n";
    assert_eq!(
        diff(NAT44, &new).restart_required,
        ["dpdk.worker_cores", "management.socket", "port[wan].device", "vlan[v]", "workers.idle"]
    );
    let addresses = NAT44.replace("10.0.0.1/24", "10.0.0.2/24");
    assert_eq!(
        diff(NAT44, &addresses),
        reloadable(&["port[lan].addresses: [\"10.0.0.1/24\"] becomes [\"10.0.0.2/24\"]"])
    );
}

#[test]
fn ports_in_another_order_need_a_restart() {
    let ports = |first, second| {
        let port = |name| format!("[[port]]\nname = \"{name}\"\ndevice = \"net_{name}\"\n");
        port(first) + &port(second)
    };
    let found = diff(&ports("a", "b"), &ports("b", "a"));
    assert_eq!(found.restart_required, ["port"]);
    assert_eq!(found.changes, ["port: in another order"]);
}

fn diff(old: &str, new: &str) -> Diff {
    let parse = |text| config::parse("test", text).unwrap_or_else(|errors| panic!("{errors}"));
    config::diff(&parse(old), &parse(new))
}

fn reloadable(changes: &[&str]) -> Diff {
    Diff {
        changes: changes.iter().map(|&change| change.into()).collect(),
        restart_required: vec![],
    }
}

const NAT44: &str = include_str!("../../deploy/examples/nat44.toml");
const ROUTER: &str = include_str!("../../deploy/examples/router.toml");
