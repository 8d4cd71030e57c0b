//! The generator and the NAT, thousands of flows of every protocol: all translated right, and forgotten when told.

use anyhow::{Context, Result};
use system_tests::{Bench, Config, program};

#[test]
fn thousands_of_flows_of_every_protocol_are_translated_right_in_both_directions() -> Result<()> {
    let bench = Bench::start(&Config::default())?;
    let flows = ["--flows", "3000", "--proto", "udp,tcp,icmp", "--pool", "198.51.100.8/29"];
    let load = ["nat", "verify", "--quiet", "--load", "3kpps", "--time", "4s"];
    let (report, _) = bench.pktgen(&[&load[..], &flows].concat())?;
    let number = |key: &str| report[key].as_u64().with_context(|| key.to_owned());
    assert_eq!((number("flows")?, number("corrupted")?), (3000, 0), "{report}");
    assert_eq!((number("mistranslated")?, number("duplicated")?), (0, 0), "{report}");
    // Of what it sent: on a busy machine it may not come to send all it meant to.
    assert_eq!(number("rx_packets")?, number("tx_packets")?, "{report}");
    let learning = &report["learning"];
    assert_eq!((&learning["missing"], &learning["unestablished"]), (&0.into(), &0.into()));
    let sessions = bench.vnf.json(&["status"])?["sessions"].as_u64();
    assert!(sessions >= Some(3000), "{sessions:?}");
    Ok(())
}

#[test]
fn all_sessions_are_torn_down_when_told_to() -> Result<()> {
    let bench = Bench::start(&Config::default())?;
    let vnf = program().display().to_string();
    let flush = format!("flush={vnf} clear sessions");
    let stats = format!("stats={vnf} status --json");
    let hooks = ["--hook", &flush, "--hook", &stats];
    let flows = ["--flows", "2000", "--proto", "udp,tcp", "--load", "2kpps"];
    let (report, output) = bench.pktgen(&[&["nat", "teardown"], &flows[..], &hooks].concat())?;
    let words = String::from_utf8_lossy(&output.stdout);
    assert_eq!((&report["survivors"], &report["sessions"]), (&0.into(), &2000.into()), "{words}");
    assert!(report["empty_s"].is_number(), "{words}");
    assert_eq!(report["fin"]["connections"], 1000, "{words}");
    Ok(())
}
