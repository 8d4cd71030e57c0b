//! Checks of `[nat44]` and its tables.

use super::*;

#[test]
fn nat_needs_both_sides_and_its_section() {
    refuses(
        &BASE.replace("nat = \"external\"", ""),
        "nat44: found no port with nat = \"external\", expected at least one",
    );
    refuses(
        &BASE.replace("nat = \"internal\"", ""),
        "nat44: found no port with nat = \"internal\", expected at least one",
    );
    let no_section = BASE.replace("[nat44]\npool = [\"198.51.100.10\"]", "");
    assert_eq!(
        errors(&no_section),
        [
            "port[lan].nat: found \"internal\", expected no role, or a [nat44] table in the file",
            "port[wan].nat: found \"external\", expected no role, or a [nat44] table in the file",
        ]
    );
}

#[test]
fn the_pool_is_apart_from_itself_and_the_inside_and_not_too_large() {
    let pool = |pool: &str| BASE.replace("[\"198.51.100.10\"]", pool);
    refuses(
        &pool("[\"10.0.0.128-10.0.1.5\"]"),
        "nat44.pool: found \"10.0.0.128-10.0.1.5\", expected addresses outside the internal subnet 10.0.0.0/24",
    );
    refuses(
        &pool("[\"203.0.113.4\", \"203.0.113.0/29\"]"),
        "nat44.pool: found \"203.0.113.0/29\", expected addresses apart from \"203.0.113.4\" on line 16",
    );
    refuses(
        &pool("[\"203.0.113.4\", \"172.16.0.0/16\"]"),
        "nat44.pool: found \"172.16.0.0/16\", expected at most 65536 addresses in the whole pool",
    );
    parse(&pool("[\"172.16.0.0/16\"]")).unwrap();
    refuses(
        &pool("[]"),
        "nat44.pool: found [], expected a list of IPv4 ranges, prefixes or addresses, at least one",
    );
    refuses(
        &pool("[\"224.0.0.0/28\"]"),
        "nat44.pool: found \"224.0.0.0/28\", expected addresses that a host may have",
    );
    refuses(&BASE.replace("pool", "pol"), "nat44.pol: unknown key, did you mean \"pool\"?");
    // The port's own address: allowed.
    parse(&pool("[\"198.51.100.1\"]")).unwrap();
}

#[test]
fn blocks_fit_into_the_port_range() {
    refuses(
        &nat("port_range = \"1024-2047\"\nport_block_size = 1025"),
        "nat44.port_block_size: found 1025, expected at most 1024, the ports of port_range",
    );
    refuses(
        &nat("port_block_size = 0"),
        "nat44.port_block_size: found 0, expected a whole number from 1 to 65535",
    );
    let settings = parse(&nat("port_block_size = 64\nmax_blocks_per_host = 4")).unwrap();
    assert_eq!(
        settings.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "vnf.toml:17: nat44.port_block_size: found 64, without effect unless allocation is \"port-blocks\""
        ]
    );
}

#[test]
fn every_host_gets_a_block_or_a_port_at_least() {
    let refused = |lines: &str| errors(&nat(lines));
    assert_eq!(
        refused("allocation = \"port-blocks\"\nport_range = \"1024-1100\""),
        ["nat44.port_block_size: found 512 by default, expected at most 77"]
    );
    assert_eq!(
        refused("allocation = \"port-blocks\"\nport_block_size = 16128\nmax_blocks_per_host = 5"),
        ["nat44.max_blocks_per_host: found 5, expected at most 4, the blocks of one address"]
    );
    assert_eq!(
        refused("allocation = \"deterministic\"\nport_range = \"1024-1276\""),
        ["nat44: found 254 hosts on 1 addresses of 253 ports, expected at least one port for each"]
    );
    let parsed = parse(&nat("allocation = \"deterministic\"\nport_range = \"1024-1277\"")).unwrap();
    assert_eq!(parsed.warnings, []);
    assert_eq!(
        refused("deterministic.internal = [\"10.0.0.0/16\", \"10.0.5.0/24\"]"),
        [
            "nat44.deterministic.internal: found \"10.0.5.0/24\", expected a prefix apart from \"10.0.0.0/16\" on line 17"
        ]
    );
}

#[test]
fn a_block_log_needs_blocks() {
    let message = "nat44.log: found \"blocks\", expected \"none\" or \"sessions\" where allocation is \"dynamic\"";
    refuses(&nat("log = \"blocks\""), message);
    parse(&nat("allocation = \"port-blocks\"\nlog = \"blocks\"")).unwrap();
    parse(&nat("allocation = \"dynamic\"\nlog = \"sessions\"")).unwrap();
}

#[test]
fn fixed_translations_have_one_owner_each() {
    let one = |external: &str, internal: &str| {
        format!("[[nat44.static]]\nexternal = \"{external}\"\ninternal = \"{internal}\"\n")
    };
    let forward = |external: &str, internal: &str| {
        format!(
            "[[nat44.forward]]\nprotocol = \"udp\"\nexternal = \"{external}\"\ninternal = \"{internal}\"\n"
        )
    };
    refuses(
        &with(&(one("203.0.113.9", "10.0.0.2") + &one("203.0.113.9", "10.0.0.3"))),
        "nat44.static[203.0.113.9].external: found \"203.0.113.9\", expected each external address once: line 27 has this one",
    );
    refuses(
        &with(&(one("203.0.113.9", "10.0.0.2") + &one("203.0.113.8", "10.0.0.2"))),
        "nat44.static[203.0.113.8].internal: found \"10.0.0.2\", expected each internal address once: line 28 has this one",
    );
    refuses(
        &with(&one("10.0.0.9", "10.0.0.2")),
        "nat44.static[10.0.0.9].external: found \"10.0.0.9\", expected an address outside the internal subnet 10.0.0.0/24",
    );
    refuses(
        &with(&one("198.51.100.1", "10.0.0.2")),
        "nat44.static[198.51.100.1].external: found \"198.51.100.1\", expected an address that is not a port's own",
    );
    refuses(
        &with(&one("203.0.113.9", "198.51.100.10")),
        "nat44.static[203.0.113.9].internal: found \"198.51.100.10\", expected an internal host, not an address of the pool",
    );
    refuses(
        &with(&(one("203.0.113.9", "10.0.0.2") + &forward("203.0.113.9:53", "10.0.0.3:53"))),
        "nat44.forward[1].external: found \"203.0.113.9:53\", expected an address not translated one to one on line 27",
    );
    refuses(
        &with(
            &(forward("198.51.100.10:50-60", "10.0.0.3:50-60")
                + &forward("198.51.100.10:60", "10.0.0.4:1")),
        ),
        "nat44.forward[2].external: found \"198.51.100.10:60\", expected each external port once: line 28 has this one",
    );
    refuses(
        &with(&forward("198.51.100.10:0", "10.0.0.3:1")),
        "nat44.forward[1].external: found \"198.51.100.10:0\", expected an IPv4 address with a port or a range, such as \"198.51.100.10:8000-8009\"",
    );
    let tcp = forward("198.51.100.10:60", "10.0.0.4:1").replace("udp", "tcp");
    parse(&with(&(forward("198.51.100.10:60", "10.0.0.3:60") + &tcp))).unwrap();
}

#[test]
fn timeouts_below_an_rfc_s_minimum_are_accepted_with_a_warning_that_names_it() {
    let settings = parse(
        &with("[nat44.timeouts]\nudp = \"119s\"\ntcp_established = \"2h3m\"\ntcp_transitory = \"239999ms\"\nicmp = \"59s\"\n")
            .replace("# nat44", "reuse_hold = \"0s\""),
    )
    .unwrap();
    assert_eq!(
        settings.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "vnf.toml:17: nat44.reuse_hold: found \"0s\", below the 120s of RFC 6888 REQ-8",
            "vnf.toml:27: nat44.timeouts.udp: found \"119s\", below the 120s of RFC 4787 REQ-5",
            "vnf.toml:28: nat44.timeouts.tcp_established: found \"2h3m\", below the 7440s of RFC 5382 REQ-5",
            "vnf.toml:29: nat44.timeouts.tcp_transitory: found \"239999ms\", below the 240s of RFC 5382 REQ-5",
            "vnf.toml:30: nat44.timeouts.icmp: found \"59s\", below the 60s of RFC 5508 REQ-2",
        ]
    );
    assert_eq!(settings.sessions.timeouts.tcp_transitory, Duration::from_millis(239_999));
}
