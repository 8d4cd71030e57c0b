//! Checks that need more than one key: each refuses exactly one thing, and says so once.
#![forbid(unsafe_code)]

mod nat44;

use std::time::Duration;

use vnf::config::{self, Settings};

#[test]
fn the_file_all_tests_start_from_is_accepted() {
    assert_eq!(parse(BASE).unwrap().warnings, []);
}

#[test]
fn names_devices_and_addresses_of_interfaces_are_their_own() {
    refuses(
        &with("[[vlan]]\nname = \"lan\"\nport = \"lan\"\nid = 5\n"),
        "vlan[lan].name: found \"lan\", expected a name of its own: line 2 has this one",
    );
    refuses(
        &with("[[port]]\nname = \"x\"\ndevice = \"net_null1,size=64\"\n"),
        "port[x].device: found \"net_null1,size=64\", expected a device of its own: line 9 has this one",
    );
    refuses(
        &port("addresses = [\"10.0.0.9/24\"]"),
        "port[x].addresses: found \"10.0.0.9/24\", expected a subnet apart from \"10.0.0.1/24\" on line 4",
    );
    refuses(
        &port("addresses = [\"172.16.0.1/24\", \"172.16.0.1/16\"]"),
        "port[x].addresses: found \"172.16.0.1/16\", expected a subnet apart from \"172.16.0.1/24\" on line 29",
    );
    // Several addresses of one subnet on one port, and link-local ones on every port, are no clash.
    parse(&port("addresses = [\"172.16.0.1/24\", \"172.16.0.2/24\", \"fe80::1/64\"]")).unwrap();
    let both = BASE.replace("\"10.0.0.1/24\"", "\"10.0.0.1/24\", \"fe80::1/64\"");
    parse(&(both + "[[port]]\nname = \"x\"\ndevice = \"y\"\naddresses = [\"fe80::1/64\"]\n"))
        .unwrap();
}

#[test]
fn addresses_of_interfaces_are_hosts() {
    for wrong in
        ["127.0.0.1/8", "0.0.0.0/24", "224.0.0.1/24", "::1/128", "ff02::1/64", "10.9.9.9/0"]
    {
        refuses(
            &port(&format!("addresses = [\"{wrong}\"]")),
            &format!(
                "port[x].addresses: found \"{wrong}\", expected an address that a host may have"
            ),
        );
    }
    parse(&port("addresses = [\"172.16.0.0/31\", \"172.16.0.4/32\"]")).unwrap();
}

#[test]
fn vlans_stand_on_ports() {
    let vlan =
        |port: &str, id: u16| format!("[[vlan]]\nname = \"v{id}\"\nport = \"{port}\"\nid = {id}\n");
    refuses(
        &with(&vlan("wam", 5)),
        "vlan[v5].port: found \"wam\", expected the name of a port: \"lan\" or \"wan\"",
    );
    refuses(
        &with(&(vlan("lan", 5) + &vlan("v5", 6))),
        "vlan[v6].port: found \"v5\", expected the name of a port, not of a VLAN",
    );
    refuses(
        &with(&(vlan("lan", 5) + &vlan("lan", 5).replace("v5", "w"))),
        "vlan[w].id: found 5, expected an id free on port \"lan\": line 26 has this one",
    );
    parse(&with(&(vlan("lan", 5) + &vlan("wan", 5).replace("v5", "w")))).unwrap();
    refuses(
        &with(&(vlan("lan", 5) + "mtu = 1501\n")),
        "vlan[v5].mtu: found 1501, expected at most 1500, the MTU of the port",
    );
}

#[test]
fn an_mtu_below_1280_excludes_ipv6() {
    refuses(
        &port("mtu = 1279\naddresses = [\"fd00:1::1/64\"]"),
        "port[x].mtu: found 1279, expected at least 1280 with IPv6 addresses (RFC 8200)",
    );
    parse(&port("mtu = 68\naddresses = [\"172.16.0.1/24\"]")).unwrap();
}

#[test]
fn at_most_250_interfaces() {
    let vlans = |count: usize| -> String {
        let vlan = |id| format!("[[vlan]]\nname = \"v{id}\"\nport = \"lan\"\nid = {id}\n");
        (1..=count).map(vlan).collect()
    };
    parse(&with(&vlans(248))).unwrap();
    refuses(&with(&vlans(249)), "vlan[v249]: found 251 ports and VLANs, expected at most 250");
}

#[test]
fn workers_are_1_to_64() {
    let cores = |count: usize| format!("[dpdk]\nworker_cores = {:?}\n", vec![1; count]);
    assert_eq!(parse(&with(&cores(64))).unwrap().dpdk.worker_cores.len(), 64);
    let refused = errors(&with(&cores(65)));
    assert!(refused[0].ends_with("expected a list of 1 to 64 core numbers"), "{refused:?}");
    refuses(
        &with("[dpdk]\nworker_cores = [1, 2]\n").replace("# nat44", "max_sessions = 1"),
        "nat44.max_sessions: found 1, expected at least one session for each of the 2 workers",
    );
}

#[test]
fn next_hops_are_neighbours() {
    refuses(
        &route("next_hops = [\"192.0.2.9\"]"),
        "route[10.9.0.0/16].next_hops: found \"192.0.2.9\", expected an address in the subnet of a port or VLAN",
    );
    refuses(
        &route("next_hops = [\"10.0.0.1\"]"),
        "route[10.9.0.0/16].next_hops: found \"10.0.0.1\", expected a neighbour's address, not the own one",
    );
    refuses(
        &route("next_hops = [\"10.0.0.2\", \"10.0.0.2\"]"),
        "route[10.9.0.0/16].next_hops: found \"10.0.0.2\", expected each next hop once",
    );
    // One address wrong on a port: whether a next hop is its neighbour cannot be said.
    refuses(
        &route("next_hops = [\"10.0.0.2\"]").replace("10.0.0.1/24", "10.0.0.1/33"),
        "port[lan].addresses: found \"10.0.0.1/33\", expected an address with its prefix length such as \"10.0.0.1/24\"",
    );
}

#[test]
fn prefixes_are_routed_once() {
    let twice = route("discard = true") + "[[route]]\nprefix = \"10.9.0.0/16\"\ndiscard = true\n";
    refuses(
        &twice,
        "route[10.9.0.0/16].prefix: found \"10.9.0.0/16\", expected each prefix once: line 27 has this one",
    );
    refuses(
        &route("discard = true").replace("10.9.0.0/16", "10.0.0.0/24"),
        "route[10.0.0.0/24].prefix: found \"10.0.0.0/24\", expected a prefix that is no interface's subnet: \"lan\" has it",
    );
    refuses(
        &route("dicard = true"),
        "route[10.9.0.0/16].dicard: unknown key, did you mean \"discard\"?",
    );
}

#[test]
fn neighbors_are_in_the_subnet_of_their_port_and_there_once() {
    let neighbor = |address: &str| {
        format!(
            "[[neighbor]]\nport = \"lan\"\naddress = \"{address}\"\nmac = \"02:00:00:00:00:02\"\n"
        )
    };
    refuses(
        &with(&neighbor("198.51.100.254")),
        "neighbor[198.51.100.254].address: found \"198.51.100.254\", expected an address in a subnet of \"lan\"",
    );
    refuses(
        &with(&neighbor("10.0.0.1")),
        "neighbor[10.0.0.1].address: found \"10.0.0.1\", expected a neighbour's address, not the own one",
    );
    refuses(
        &with(&neighbor("10.0.0.2").repeat(2)),
        "neighbor[10.0.0.2].address: found \"10.0.0.2\", expected each neighbour of a port once",
    );
}

#[test]
fn rules_name_known_sets_and_one_address_family() {
    refuses(
        &rule("source = \"@x\""),
        "acl[a].rule[1].source: found \"@x\", expected the name of a set, and there is none in [sets]",
    );
    refuses(
        &rule("source = \"10.0.0.1/8\""),
        "acl[a].rule[1].source: found \"10.0.0.1/8\", expected \"10.0.0.0/8\": the host bits must be zero",
    );
    refuses(
        &rule("source = []"),
        "acl[a].rule[1].source: found [], expected \"any\" or at least a prefix, an address or \"@set\"",
    );
    refuses(
        &rule("protocol = \"icmpv6\"\nsource = \"10.0.0.0/8\""),
        "acl[a].rule[1]: found icmpv6 from 10.0.0.0/8 to any, expected one address family in protocol, source and destination",
    );
    refuses(
        &rule("protocol = 256"),
        "acl[a].rule[1].protocol: found 256, expected \"tcp\", \"udp\", \"icmp\", \"icmpv6\", \"any\" or a number from 0 to 255",
    );
    refuses(
        &(rule("") + "[[acl]]\nname = \"a\"\ndefault = \"permit\"\n"),
        "acl[a].name: found \"a\", expected a name of its own: line 27 has this one",
    );
    refuses(
        &rule("protocol = \"udp\"\ntcp_flags = \"syn\""),
        "acl[a].rule[1].tcp_flags: found \"syn\", expected no flags, or the protocol \"tcp\"",
    );
    refuses(
        &rule("protocol = \"tcp\"\ntcp_flags = [\"syn\", \"!syn\"]"),
        "acl[a].rule[1].tcp_flags: found \"!syn\", expected each flag once",
    );
    refuses(
        &rule("protocol = \"tcp\"\ntcp_flags = \"sin\""),
        "acl[a].rule[1].tcp_flags: found \"sin\", expected \"fin\", \"syn\", \"rst\", \"psh\", \"ack\", \"urg\", \"ece\" or \"cwr\", one with \"!\" before it where it must be clear, or a list of these",
    );
    refuses(
        &rule("vlan = 4095"),
        "acl[a].rule[1].vlan: found 4095, expected a VLAN from 0 (untagged) to 4094, a range such as \"100-199\", or a list of these",
    );
    refuses(
        &rule("protocol = \"icmp\"\nicmp_code = 1"),
        "acl[a].rule[1].icmp_code: found 1, expected no code, or an icmp_type that it belongs to",
    );
    for accepted in [
        "protocol = \"tcp\"\ntcp_flags = [\"syn\", \"!ack\"]\nvlan = [0, \"100-199\"]",
        "protocol = \"icmp\"\nicmp_type = 3\nicmp_code = 4",
        "protocol = 132\ndestination_port = 1",
        "protocol = \"icmp\"\nicmp_type = 0",
        "source = [\"10.0.0.0/8\", \"fd00::/8\"]\ndestination = \"fd00::1\"",
        "protocol = \"any\"\nsource_port = \"any\"",
    ] {
        parse(&rule(accepted)).unwrap_or_else(|errors| panic!("{errors}"));
    }
}

#[test]
fn the_text_of_a_rule_says_all_of_it() {
    let settings = parse(
        &rule("protocol = \"tcp\"\nsource = [\"10.0.0.0/8\", \"@s\"]\nsource_port = \"1024-65535\"\nstate = false\nlog = true\n[sets]\ns = \"192.0.2.7\""),
    )
    .unwrap();
    let first = &settings.acls[1].rules[0];
    assert_eq!(first.source.nets().count(), 2);
    assert_eq!(first.line, 29);
    assert_eq!(first.text, "deny tcp from 10.0.0.0/8,@s port 1024-65535 to any stateless log");
    let above = "protocol = \"tcp\"\ntcp_flags = [\"!ack\", \"syn\"]\nvlan = [0, \"100-199\"]";
    let settings = parse(&rule(above)).unwrap();
    let text = &settings.acls[1].rules[0].text;
    assert_eq!(text, "deny tcp from any to any flags syn,!ack vlan 0,100-199");
    let icmp = parse(&rule("protocol = \"icmp\"\nicmp_type = 3\nicmp_code = 4")).unwrap();
    assert_eq!(icmp.acls[1].rules[0].text, "deny icmp from any to any icmp-type 3 icmp-code 4");
}

#[test]
fn what_is_not_said_has_the_contract_s_default() {
    let settings = parse("[[port]]\nname = \"a\"\ndevice = \"net_null0\"\n").unwrap();
    assert_eq!(
        settings.to_json(),
        serde_json::json!({
            "dpdk": {
                "main_core": 0, "worker_cores": [1], "memory": "512MiB", "hugepages": "auto",
                "eal_args": [],
            },
            "workers": { "idle": "adaptive" },
            "management": { "socket": "/run/vnf/vnf.sock" },
            "port": [{ "name": "a", "device": "net_null0", "addresses": [], "mtu": 1500, "ipv4_options": "pass", "source_validation": "off" }],
            "vlan": [], "route": [], "neighbor": [], "sets": {}, "acl": [],
        })
    );
    let json = parse(BASE).unwrap().to_json();
    assert_eq!(
        json["nat44"],
        serde_json::json!({
            "pool": ["198.51.100.10"], "port_range": "1024-65535",
            "mapping": "endpoint-independent", "filtering": "address-and-port-dependent",
            "allocation": "dynamic", "port_block_size": 512, "max_blocks_per_host": 4,
            "hairpinning": true, "inbound_refresh": false, "reuse_hold": "120s", "max_sessions": 1_000_000,
            "max_sessions_per_host": 4096, "new_sessions_per_host": 0, "tcp_mss_clamp": 0,
            "log": "none", "log_file": "/var/log/vnf/nat.jsonl", "journal": "none",
            "max_held_ports": 0,
            "timeouts": {
                "udp": "300s", "tcp_established": "7440s", "tcp_transitory": "240s",
                "icmp": "60s",
            },
            "static": [], "forward": [], "exempt": [],
        })
    );
}

#[test]
fn the_number_of_packet_buffers_may_be_said() {
    let port = "[[port]]\nname = \"a\"\ndevice = \"net_null0\"\n";
    assert_eq!(parse(port).unwrap().dpdk.packet_buffers, None);
    let settings = parse(&format!("[dpdk]\npacket_buffers = 131_072\n{port}")).unwrap();
    assert_eq!(settings.dpdk.packet_buffers, Some(131_072));
    assert_eq!(settings.to_json()["dpdk"]["packet_buffers"], 131_072);
    assert!(parse(&format!("[dpdk]\npacket_buffers = 100\n{port}")).is_err());
}

#[test]
fn vrfs_keep_addresses_apart_and_are_those_of_interfaces() {
    let port = |lines: &str| port(&format!("vrf = \"red\"\n{lines}"));
    parse(&port("addresses = [\"10.0.0.9/24\"]")).unwrap();
    let settings = parse(&port(
        "addresses = [\"10.0.0.9/24\"]\nnat = \"internal\"\n\
         [[route]]\nvrf = \"red\"\nprefix = \"0.0.0.0/0\"\nnext_hops = [\"10.0.0.1\"]",
    ))
    .unwrap();
    let route = settings.routes.last().unwrap();
    assert_eq!((route.vrf, route.next_hops[0].interface), (1, 2));
    assert_eq!(settings.vrfs.name(1), "red");
    refuses(
        &with("[[route]]\nvrf = \"green\"\nprefix = \"172.16.0.0/12\"\ndiscard = true\n"),
        "route[172.16.0.0/12].vrf: found \"green\", expected the VRF of a port or VLAN: \"default\"",
    );
    refuses(
        &port(
            "[[route]]\nvrf = \"red\"\nprefix = \"172.16.0.0/12\"\n\
             next_hops = [\"198.51.100.7\"]\nnext_hop_vrf = \"blue\"",
        ),
        "route[172.16.0.0/12].next_hop_vrf: found \"blue\", expected the VRF of a port or VLAN: \"default\" or \"red\"",
    );
    refuses(
        &port(
            "[[route]]\nvrf = \"red\"\nprefix = \"172.16.0.0/12\"\nnext_hops = [\"198.51.100.7\"]",
        ),
        "route[172.16.0.0/12].next_hops: found \"198.51.100.7\", expected an address in the subnet of a port or VLAN of VRF \"red\"",
    );
    refuses(
        &port("[[route]]\nvrf = \"red\"\nprefix = \"172.16.0.0/12\"\nnext_hop_vrf = \"red\""),
        "route[172.16.0.0/12].next_hop_vrf: found \"red\", expected another VRF than the route's own",
    );
    refuses(
        &port(
            "[[route]]\nvrf = \"red\"\nprefix = \"172.16.0.0/12\"\nnext_hop_vrf = \"default\"\ndiscard = true",
        ),
        "route[172.16.0.0/12].discard: found true, expected false where there is a next_hop_vrf",
    );
    refuses(
        &port("nat = \"external\""),
        "port[x].nat: found \"external\", expected all external ports in one VRF, as in \"default\" before",
    );
    let ports = (0..64).map(|n| {
        format!("[[port]]\nname = \"p{n}\"\ndevice = \"net_null{}\"\nvrf = \"v{n}\"\n", n + 9)
    });
    refuses(
        &with(&ports.collect::<String>()),
        "port[p63].vrf: found \"v63\", expected at most 64 VRFs, the default one among them",
    );
}

fn parse(text: &str) -> Result<Settings, config::Errors> {
    config::parse("vnf.toml", text)
}

fn errors(text: &str) -> Vec<String> {
    let errors = parse(text).expect_err("the text is wrong").0;
    errors.into_iter().map(|error| format!("{}: {}", error.key, error.message)).collect()
}

#[track_caller]
fn refuses(text: &str, message: &str) {
    assert_eq!(errors(text), [message]);
}

/// The base and one more section, on line 26.
fn with(section: &str) -> String {
    format!("{BASE}{section}")
}

/// The base and lines of `[nat44]`, on line 17.
fn nat(lines: &str) -> String {
    BASE.replace("# nat44", lines)
}

/// The base and a port named x.
fn port(lines: &str) -> String {
    with(&format!("[[port]]\nname = \"x\"\ndevice = \"net_null9\"\n{lines}\n"))
}

/// The base and a route to 10.9.0.0/16.
fn route(lines: &str) -> String {
    with(&format!("[[route]]\nprefix = \"10.9.0.0/16\"\n{lines}\n"))
}

/// The base and an ACL named a with one rule.
fn rule(lines: &str) -> String {
    with(&format!(
        "[[acl]]\nname = \"a\"\ndefault = \"deny\"\n[[acl.rule]]\naction = \"deny\"\n{lines}\n"
    ))
}

const BASE: &str = r#"[[port]]
name = "lan"
device = "net_null0"
addresses = ["10.0.0.1/24"]
nat = "internal"

[[port]]
name = "wan"
device = "net_null1"
addresses = ["198.51.100.1/24"]
nat = "external"
acl_in = "from-wan"
acl_out = "from-wan"

[nat44]
pool = ["198.51.100.10"]
# nat44

[[route]]
prefix = "0.0.0.0/0"
next_hops = ["198.51.100.254"]

[[acl]]
name = "from-wan"
default = "permit"
"#;
