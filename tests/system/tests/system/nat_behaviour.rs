//! What the generator finds out about the NAT is what the NAT is configured to do.

use anyhow::Result;
use serde_json::Value;
use system_tests::{Bench, Config};

const POOL: [&str; 2] = ["--pool", "198.51.100.8/29"];

fn ask(bench: &Bench, arguments: &[&str]) -> Result<Value> {
    let (report, output) = bench.pktgen(&[&["nat"], arguments, &POOL[..]].concat())?;
    let words = String::from_utf8_lossy(&output.stdout);
    assert_eq!(report["verdict"], "pass", "{words}{report}");
    assert_eq!(output.status.code(), Some(0), "{words}");
    Ok(report)
}

#[test]
fn mapping_filtering_hairpinning_and_errors_are_as_configured() -> Result<()> {
    let bench = Bench::start(&Config::default())?;
    let eim = ["--mapping", "endpoint-independent"];
    let apdf = ["--filtering", "address-and-port-dependent"];
    let report = ask(&bench, &[&["mapping-type"], &eim[..], &apdf].concat())?;
    assert_eq!(report["paired"], true);
    ask(&bench, &["hairpin"])?;
    let report = ask(&bench, &["icmp-errors"])?;
    assert_eq!(report["cases"].as_array().map(Vec::len), Some(72));
    let other = Config { nat: "filtering = \"endpoint-independent\"", ..Config::default() };
    let bench = Bench::start(&other)?;
    ask(&bench, &[&["mapping-type"], &eim[..], &["--filtering", "endpoint-independent"]].concat())?;
    Ok(())
}

#[test]
fn timeouts_are_as_configured_and_ports_end_where_the_limit_of_a_host_is() -> Result<()> {
    let timeouts = "max_sessions_per_host = 600\n[nat44.timeouts]\nudp = \"3s\"\nicmp = \"2s\"";
    let bench = Bench::start(&Config { nat: timeouts, ..Config::default() })?;
    let report = ask(&bench, &["ports", "--flows", "1000"])?;
    assert_eq!((&report["opened"], &report["exhausted_after"]), (&600.into(), &600.into()));
    let bounds = ["--state", "udp,icmp", "--limit", "6s", "--resolution", "500ms"];
    let report = ask(&bench, &[&["timeouts"], &bounds[..]].concat())?;
    for (state, seconds) in [("udp", 3.0), ("icmp", 2.0)] {
        let states = report["states"].as_array().into_iter().flatten();
        let found = states.clone().find(|found| found["state"] == state).expect(state);
        // Not sooner than configured; how much later depends on how busy the machine is.
        assert!(found["expired_s"].as_f64() >= Some(seconds - 0.01), "{state}: {report}");
        assert!(found["alive_s"].as_f64() < Some(seconds + 1.5), "{state}: {report}");
    }
    Ok(())
}
