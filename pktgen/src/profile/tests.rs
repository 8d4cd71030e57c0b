use super::*;
use crate::endpoint::Address;
use crate::flow::{Direction, Expect, Flows, Protocol, Share};
use std::net::IpAddr;

/// The profile of pktgen.md section 4.4, without its NAT64-less commentary.
const EXAMPLE: &str = r#"
[ports.in]
spec = "memif:socket=/tmp/a.sock,role=client"
ip = ["10.0.0.2/16", "2001:db8:1::2/64"]
gw = ["10.0.0.1", "2001:db8:1::1"]
[ports.out]
spec = "memif:socket=/tmp/b.sock,role=client"
ip = ["198.51.100.2/24", "2001:db8:2::2/64"]
gw = ["198.51.100.1", "2001:db8:2::1"]
[sut]
kind = "nat44"
pool = ["203.0.113.0/28"]
hops = 1
flush = "vnf clear sessions"
stats = "vnf status --json"
[[stream]]
name = "web"
from = "in"
proto = "tcp"
hosts = "10.0.0.2+1000"
dst = "198.51.100.2:80"
sport = "random-unique 1024-65535"
flows = 64_000
size = "imix"
share = 0.7
script = "syn, <syn-ack, ack, data*4, <data*6, fin, <fin-ack, ack"
[[stream]]
name = "dns"
from = "in"
proto = "udp"
dst = "198.51.100.3:53"
flows = 20_000
size = 90
share = 0.3
lifetime = "2s"
new_per_s = 500
[[stream]]
name = "unsolicited"
from = "out"
proto = "udp"
dst = "pool:any"
rate = "100pps"
expect = "drop"
"#;

fn address(text: &str) -> Address {
    text.parse::<IpAddr>().unwrap().into()
}

#[test]
fn the_example_of_the_contract_is_understood() {
    let profile = Profile::parse(EXAMPLE, 7).unwrap();
    let layout = profile.layout;
    assert_eq!((layout.sut, layout.hops, profile.hooks.len()), (Sut::Nat44, 1, 2));
    let [web, dns, unsolicited] = &layout.streams[..] else { panic!("three streams") };
    assert_eq!((web.protocol, web.flows(), web.share), (Protocol::Tcp, 64_000, Share::OfLoad(0.7)));
    assert!((web.reverse - 0.6).abs() < 1e-9 && web.closes);
    assert_eq!(web.inside_hosts().len(), 1000);
    assert_eq!(web.plan.endpoints(5).1.to_string(), "198.51.100.2:80");
    assert_eq!(dns.churn.map(|churn| churn.alive()), Some(1000));
    assert_eq!((dns.sizes.largest(), dns.remote_hosts()), (90, &[address("198.51.100.3")][..]));
    assert_eq!(unsolicited.share, Share::Fixed(100.0));
    assert_eq!((unsolicited.initiator, unsolicited.expect), (Direction::Inward, Expect::Drop));
    assert_eq!(unsolicited.inside_hosts().len(), 16);
    assert!(!layout.hosts().contains(&address("203.0.113.1")), "the pool is the NAT's");
    let flows = Flows::new(layout.streams);
    assert!(!flows.has_host(address("203.0.113.1")) && flows.has_host(address("10.0.0.2")));
}

#[test]
fn a_stream_from_outside_to_one_place_draws_its_own_ports() {
    let text = EXAMPLE
        .replace("kind = \"nat44\"", "kind = \"router\"")
        .replace("dst = \"pool:any\"", "dst = \"10.0.0.9:443\"\nflows = 50")
        .replace("expect = \"drop\"", "");
    let layout = Profile::parse(&text, 7).unwrap().layout;
    let stream = &layout.streams[2];
    let (inside, one) = stream.endpoints(1);
    assert_eq!(inside.to_string(), "10.0.0.9:443");
    assert_ne!(one, stream.endpoints(2).1);
    let flows = Flows::new(layout.streams.clone());
    let index = stream_first(&flows) + 1;
    let found = flows.by_addresses(Direction::Inward, Protocol::Udp, one, inside);
    assert_eq!(found, Some(index));
}

fn stream_first(flows: &Flows) -> u32 {
    flows.streams()[2].first()
}

#[test]
fn mistakes_are_named_with_their_key_and_unknown_keys_with_their_line() {
    for (from, to, parts) in [
        ("hops = 1", "hopps = 1", &["line 13", "hopps"][..]),
        ("kind = \"nat44\"", "kind = \"nat64\"", &["line 11", "nat64"]),
        ("proto = \"udp\"", "proto = \"sctp\"", &["sctp"]),
        ("size = 90", "size = 63", &["63"]),
        ("share = 0.3", "share = 0.0", &["dns", "share"]),
        ("share = 0.3", "share = 0.3\nrate = \"1pps\"", &["dns", "rate"]),
        ("new_per_s = 500", "", &["dns", "new_per_s"]),
        ("new_per_s = 500", "new_per_s = 9000", &["dns", "flows"]),
        ("rate = \"100pps\"", "rate = \"100bps\"", &["unsolicited", "rate"]),
        ("expect = \"drop\"", "", &["unsolicited", "expect"]),
        ("dst = \"pool:any\"", "", &["unsolicited", "dst"]),
        ("dst = \"198.51.100.3:53\"", "dst = \"198.51.100.3\"", &["dns", "dst"]),
        (
            "dst = \"198.51.100.3:53\"",
            "dst = \"[2001:db8:2::2]:53\"\nhosts = \"10.0.0.2\"",
            &["dns", "dst"],
        ),
        ("hosts = \"10.0.0.2+1000\"", "hosts = \"10.0.0.2+0\"", &["web", "hosts"]),
        ("1024-65535", "65535-1024", &["web", "sport"]),
        ("data*4", "data*0", &["web", "script"]),
        ("flows = 64_000", "flows = 64_000\nreverse = 0.5", &["web", "reverse"]),
        ("\"203.0.113.0/28\"", "\"203.0.113.0/33\"", &["pool", "203.0.113.0/33"]),
        ("role=client\"\nip = [\"10", "color=red\"\nip = [\"10", &["spec", "color"]),
    ] {
        assert!(EXAMPLE.contains(from), "{from}");
        let error = Profile::parse(&EXAMPLE.replacen(from, to, 1), 7).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{to}: {error}");
        }
    }
    let no_streams = EXAMPLE.split("[[stream]]").next().unwrap();
    assert!(Profile::parse(no_streams, 7).unwrap_err().to_string().contains("stream"));
}
