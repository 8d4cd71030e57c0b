use super::*;

fn layout(inside: &str, outside: &str, sut: Option<Sut>) -> Result<Layout, LayoutError> {
    let specs = [inside.parse().unwrap(), outside.parse().unwrap()];
    let protocols = vec![Protocol::Udp, Protocol::Icmp];
    let traffic = Traffic { flows: 101, protocols, sizes: Sizes::one(64).unwrap() };
    Layout::new(specs, sut, Vec::new(), &traffic, 1)
}

const A: &str = "null,ip=10.0.0.2/16,gw=10.0.0.1";
const B: &str = "null,ip=198.51.100.2/24,gw=198.51.100.1";

#[test]
fn gateways_decide_what_lies_between_the_ports() {
    assert_eq!(layout(A, B, None).unwrap().sut, Sut::Nat44);
    assert_eq!(layout(A, B, Some(Sut::Router)).unwrap().sut, Sut::Router);
    assert_eq!(layout("null", "null", None).unwrap().sut, Sut::Direct);
    assert!(matches!(layout("null", "null", Some(Sut::Nat44)), Err(LayoutError::NoGateway)));
    assert!(matches!(layout(A, "null", None), Err(LayoutError::HalfAGateway)));
    assert!(matches!(layout("null,gw=10.0.0.1", B, None), Err(LayoutError::NoAddress)));
    let v6 = "null,ip=2001:db8::1/64";
    assert!(matches!(layout("null,ip=10.0.0.2/24", v6, None), Err(LayoutError::NoFamily)));
}

#[test]
fn flows_are_dealt_out_to_protocols_and_families() {
    let both = |one: &str, six: &str| format!("{one},ip=2001:db8:{six}::2/64,gw=2001:db8:{six}::1");
    let layout = layout(&both(A, "1"), &both(B, "2"), None).unwrap();
    let found: Vec<_> = layout
        .streams
        .iter()
        .map(|stream| (stream.name.as_str(), stream.flows(), stream.translated))
        .collect();
    let expected = [
        ("udp-ipv4", 26, true),
        ("icmp-ipv4", 25, true),
        ("udp-ipv6", 25, false),
        ("icmp-ipv6", 25, false),
    ];
    assert_eq!(found, expected);
    assert_eq!(layout.flows(), 101);
    assert!((layout.mean_size() - (51.0 * 64.0 + 50.0 * 84.0) / 101.0).abs() < 1e-9);
}

#[test]
fn the_gateway_is_no_host_and_the_port_has_all_hosts() {
    let layout = layout("null,ip=10.0.0.1/24", "null,ip=198.51.100.2/24", None).unwrap();
    let hosts = layout.hosts().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(hosts, ["10.0.0.1"]);
}
