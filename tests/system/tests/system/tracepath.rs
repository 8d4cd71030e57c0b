//! A link with a small MTU in the middle is found by path MTU discovery, in both families.

use anyhow::Result;
use system_tests::{Config, SERVER, World};

#[test]
fn tracepath_learns_the_mtu_of_the_far_link_from_the_vnf() -> Result<()> {
    let config = Config { wan: "mtu = 1300", ..Config::default() };
    let Some(world) = World::start(&config)? else { return Ok(()) };
    world.enable_ipv6()?;
    for (server, hop, more) in [(SERVER, "10.0.0.1", "-4"), ("fd00:b::2", "fd00:a::1", "-6")] {
        assert_eq!(world.lan.ping(server, 1)?, 1);
        let output = world.lan.run("tracepath", &["-n", more, server])?;
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(words.contains("pmtu 1500") && words.contains("pmtu 1300"), "{words}");
        let found = |line: &str| line.contains(hop) && line.contains("pmtu 1300");
        assert!(words.lines().any(found), "the VNF says so: {words}");
        assert!(words.contains("Resume: pmtu 1300"), "{words}");
    }
    Ok(())
}
