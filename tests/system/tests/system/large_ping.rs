//! Echo requests of 60,000 octets to the VNF itself, which comes in fragments and is answered in some (RFC 1812 4.3.3.6).

use anyhow::Result;
use system_tests::{Config, World};

#[test]
fn vnf_answers_pings_of_60_000_octets_in_both_families() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    let setting = format!("net.ipv6.conf.{}.disable_ipv6=0", world.lan_tap);
    world.lan.run("sysctl", &["-q", "-w", &setting])?;
    world.lan.ip(&["addr", "add", "fd00:a::2/64", "dev", &world.lan_tap, "nodad"])?;
    for own in ["10.0.0.1", "fd00:a::1"] {
        assert_eq!(world.lan.ping(own, 2)?, 2);
        let arguments = ["-n", "-c", "3", "-i", "0.2", "-W", "5", "-s", "60000", own];
        let output = world.lan.run("ping", &arguments)?;
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        let drops = world.vnf.json(&["show", "drops"])?;
        assert!(words.contains(" 3 received"), "{words}{drops}");
        assert!(words.contains("60008 bytes from"), "{words}");
    }
    Ok(())
}
