//! `vnf bench` as a user calls it, on ordinary pages and without root.

use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    let short = ["bench", "--duration", "0.1"];
    Command::new(env!("CARGO_BIN_EXE_vnf")).args(short).args(arguments).output().unwrap()
}

fn report(arguments: &[&str]) -> Value {
    let output = bench(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn established_flows_lose_nothing_and_every_figure_is_there() {
    let report = report(&["--flows", "1000", "--order", "zipf", "--rules", "10"]);
    assert_eq!(report["drops"], 0, "{report}");
    assert_eq!((&report["flows"], &report["size"]), (&1000.into(), &64.into()));
    assert_eq!((&report["rules"], &report["order"]), (&10.into(), &"zipf".into()));
    let number = |name: &str| report[name].as_f64().unwrap();
    for name in
        ["pps", "empty_cycles_per_packet", "new_session_cycles", "longest_closing_us", "tsc_hz"]
    {
        assert!(number(name) > 0.0, "{name} in {report}");
    }
    assert!((20.0..1000.0).contains(&number("bytes_per_session")), "{report}");
    let own = number("cycles_per_packet") - number("empty_cycles_per_packet");
    assert!((number("own_cycles_per_packet") - own).abs() < 0.001, "{report}");
    let stages = report["stages"].as_array().unwrap();
    let names: Vec<_> = stages.iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["parse", "nat", "acl", "forward", "egress"]);
    assert!(report["hugepages"].is_boolean());
}

#[test]
fn flows_come_and_go_beside_established_ones() {
    let report = report(&["--flows", "100", "--new-flows", "20", "--rules", "0"]);
    assert_eq!(report["drops"], 0, "{report}");
}

#[test]
fn a_configuration_that_refuses_the_flows_is_named_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vnf.toml");
    let text = |action| {
        format!(
            r#"
            port = [
                {{ name = "in", device = "net_null0", addresses = ["10.0.0.1/24"], nat = "internal", acl_in = "a" }},
                {{ name = "out", device = "net_null1", addresses = ["198.51.100.1/24"], nat = "external" }},
            ]
            route = [{{ prefix = "0.0.0.0/0", next_hops = ["198.51.100.254"] }}]
            nat44 = {{ pool = ["198.51.100.10"] }}
            acl = [{{ name = "a", default = "{action}" }}]
            "#
        )
    };
    let path = file.to_str().unwrap();
    std::fs::write(&file, text("deny")).unwrap();
    let output = bench(&["-c", path, "--flows", "100"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("128 acl-denied"), "{stderr}");
    std::fs::write(&file, text("permit")).unwrap();
    assert_eq!(report(&["-c", path, "--flows", "100"])["drops"], 0);
}

#[test]
fn a_number_of_packets_takes_the_place_of_the_duration() {
    let arguments = ["bench", "--flows", "100", "--packets", "70000", "--rules", "0", "--json"];
    let output = Command::new(env!("CARGO_BIN_EXE_vnf")).args(arguments).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["drops"], 0, "{report}");
    assert!(report["new_session_cycles"].as_f64().unwrap() > 0.0, "{report}");
    assert_eq!(bench(&["--packets", "70000"]).status.code(), Some(2), "with a duration too");
}
