//! Two of our own programs, two processes, shared memory between them.

use anyhow::{Context, Result};
use system_tests::{Bench, Config};

#[test]
fn generator_finds_every_packet_translated_right() -> Result<()> {
    let bench = Bench::start(&Config::default())?;
    let load = ["run", "--quiet", "--load", "2kpps", "--time", "3s", "--flows", "201"];
    let kinds = ["--proto", "udp,tcp,icmp", "--pool", "198.51.100.8/29"];
    let (report, _) = bench.pktgen(&[&load[..], &kinds].concat())?;
    let number = |key: &str| report[key].as_u64().with_context(|| key.to_owned());
    assert!(number("tx_packets")? > 0);
    // Of what it sent: on a busy machine it may not come to send all it meant to.
    assert_eq!(number("rx_packets")?, number("tx_packets")?, "{report}");
    for defect in ["duplicated", "corrupted", "mistranslated"] {
        assert_eq!(number(defect)?, 0, "{report}");
    }
    let sessions = bench.vnf.json(&["status"])?["sessions"].as_u64();
    assert!(sessions >= Some(201), "{sessions:?}");
    Ok(())
}
