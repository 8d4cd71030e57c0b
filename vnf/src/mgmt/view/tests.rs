//! The JSON of every row, letter by letter: users' tools read it.

use serde_json::json;

use super::*;

#[track_caller]
fn golden<T>(row: &T, expected: &serde_json::Value)
where
    T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let text = serde_json::to_string(row).expect("rows can be written");
    let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(&found, expected);
    assert_eq!(&serde_json::from_str::<T>(&text).expect("rows can be read back"), row);
}

#[test]
fn status() {
    let expected = json!({
        "state": "running", "uptime_s": 3725, "version": "0.1.0", "dpdk_version": "22.11.11",
        "workers": 1, "ports": 2, "sessions": 3, "mappings": 2,
        "rx_pps": 1500, "tx_pps": 1400, "drop_pps": 100,
    });
    golden(&samples::status(), &expected);
}

#[test]
fn ports() {
    let expected = json!({
        "name": "lan", "device": "net_tap0,iface=vnf-lan", "driver": "net_tap",
        "mac": "02:00:00:00:00:01", "mtu": 1500, "link": "up", "addresses": ["10.0.0.1/24"],
        "rx_packets": 10, "rx_bytes": 1000, "tx_packets": 9, "tx_bytes": 900,
        "rx_missed": 1, "rx_errors": 0, "tx_errors": 0, "vrf": "default",
    });
    golden(&samples::port(), &expected);
}

#[test]
fn workers() {
    let expected = json!({
        "worker": 0, "core": 1, "ports": ["lan", "wan"], "rx_packets": 20, "tx_packets": 17,
        "dropped": 2, "punted": 1, "handed_over": 0, "busy_ratio": 0.25,
        "cycles_per_packet": 210.5, "burst_mean": 3.5,
        "stages": [{"name": "parse", "packets": 20, "cycles_per_packet": 40.5}],
        "latency_ns": {"p50": 900, "p99": 2000, "p999": 3000, "max": 4000},
    });
    golden(&samples::worker(), &expected);
}

#[test]
fn sessions() {
    let mut row = samples::session();
    let mut expected = json!({
        "protocol": "udp", "internal": "10.0.0.2:5000", "external": "198.51.100.10:1024",
        "remote": "203.0.113.7:53", "state": "open", "age_s": 5, "idle_s": 1, "expires_s": 299,
        "packets_out": 2, "bytes_out": 120, "packets_in": 1, "bytes_in": 200, "worker": 0,
        "vrf": "default",
    });
    golden(&row, &expected);
    row.external = None;
    expected["external"] = serde_json::Value::Null;
    golden(&row, &expected);
}

#[test]
fn mappings() {
    let mut row = samples::mapping();
    let mut expected = json!({
        "protocol": "udp", "internal": "10.0.0.2:5000", "external": "198.51.100.10:1024",
        "kind": "dynamic", "sessions": 1, "expires_s": 299, "worker": 0,
        "vrf": "default",
    });
    golden(&row, &expected);
    row.kind = MappingKind::Static;
    row.expires_s = None;
    expected["kind"] = json!("static");
    expected["expires_s"] = serde_json::Value::Null;
    golden(&row, &expected);
}

#[test]
fn hosts_and_pool() {
    let expected = json!({
        "internal": "10.0.0.2", "external": "198.51.100.10", "sessions": 1, "mappings": 1,
        "blocks": ["1024-1535"], "vrf": "default",
    });
    golden(&samples::host(), &expected);
    let expected = json!({
        "address": "198.51.100.10", "worker": 0,
        "ports_used": 4, "ports_held": 1, "ports_total": 64512,
    });
    golden(&samples::pool(), &expected);
}

#[test]
fn acl() {
    let expected = json!({
        "name": "from-lan",
        "rules": [{
            "index": 0, "action": "permit", "text": "permit tcp from 10.0.0.0/24 to any port 80",
            "packets": 5, "bytes": 500,
        }],
        "default": "deny", "default_packets": 2,
    });
    golden(&samples::acl(), &expected);
}

#[test]
fn routes_and_neighbors() {
    let expected = json!({
        "prefix": "0.0.0.0/0", "next_hops": ["198.51.100.254"], "port": "wan", "origin": "static",
        "vrf": "default", "next_hop_vrf": null, "kind": "next-hops",
    });
    golden(&samples::route(), &expected);
    let expected = json!({
        "address": "198.51.100.254", "mac": "02:00:00:00:00:fe", "port": "wan",
        "state": "reachable", "vrf": "default",
    });
    golden(&samples::neighbor(), &expected);
}

#[test]
fn memory_reload_and_version() {
    let expected = json!({"pool": "sessions-0", "bytes": 1000, "used": 50, "capacity": 100});
    golden(&samples::memory(), &expected);
    let report = ReloadReport { sessions_ended: 2, changes: vec!["route added".to_owned()] };
    golden(&report, &json!({"sessions_ended": 2, "changes": ["route added"]}));
    golden(&Cleared { sessions_ended: 2 }, &json!({"sessions_ended": 2}));
    golden(&samples::version(), &json!({"version": "0.1.0", "dpdk_version": "22.11.11"}));
}
