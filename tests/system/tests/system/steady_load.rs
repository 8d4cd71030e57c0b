//! The generator looks at a constant load while the VNF is reloaded and attacked.

use anyhow::Result;
use serde_json::Value;
use system_tests::{Bench, Config, program};

const LOAD: [&str; 8] =
    ["--load", "1kpps", "--flows", "300", "--proto", "udp,tcp", "--pool", "198.51.100.8/29"];

fn no_defects(counters: &Value) {
    for counter in ["bad_l4_csum", "bad_field", "remap", "clash", "wrong_flow", "untranslated"] {
        assert_eq!(counters[counter], 0, "{counter}: {counters}");
    }
}

#[test]
fn a_soak_with_reloads_and_hostile_frames_tells_each_second_and_each_reload() -> Result<()> {
    let bench = Bench::start(&Config::default())?;
    let config = bench.path("vnf.toml").display().to_string();
    let reload = format!("reload={} reload -c {config}", program().display());
    let soak = ["soak", "--quiet", "--time", "4s", "--reload-every", "1s", "--hostile", "5%"];
    let (report, _) = bench.pktgen(&[&soak[..], &LOAD, &["--hook", &reload]].concat())?;
    let events = report["events"].as_array().cloned().unwrap_or_default();
    assert!(!events.is_empty(), "{report}");
    for event in &events {
        assert!(event["name"] == "reload" && event["error"].is_null(), "{event}");
    }
    assert_eq!(report["lost_in_second"].as_array().map(Vec::len), Some(4));
    assert!(report["received"].as_u64() > Some(0) && report["hostile"].as_u64() > Some(0));
    no_defects(&report["defects"]);
    Ok(())
}

#[test]
fn a_step_and_an_attack_are_measured_beside_the_same_load_without_them() -> Result<()> {
    let bench = Bench::start(&Config::default())?;
    let config = bench.path("vnf.toml").display().to_string();
    let step = format!("{} reload -c {config}", program().display());
    let reconf = ["reconf", "--quiet", "--time", "2s", "--step", &step];
    let (report, _) = bench.pktgen(&[&reconf[..], &LOAD].concat())?;
    let steps = report["steps"].as_array().cloned().unwrap_or_default();
    assert!(steps.len() == 2 && steps[0]["command"].is_null(), "{report}");
    assert!(steps[1]["error"].is_null() && steps[1]["took_s"].is_number(), "{report}");
    let storm =
        ["storm", "syn,frag,icmp,scan,collide", "--quiet", "--time", "2s", "--rate", "1kpps"];
    let (report, _) = bench.pktgen(&[&storm[..], &LOAD].concat())?;
    let hostile = |part: usize| report["parts"][part]["hostile"].as_u64();
    assert!(hostile(0) == Some(0) && hostile(1) > Some(0) && hostile(2) == Some(0), "{report}");
    (0..3).for_each(|part| no_defects(&report["parts"][part]["defects"]));
    Ok(())
}
