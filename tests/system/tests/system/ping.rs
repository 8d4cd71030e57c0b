//! Echo requests and their answers.

use anyhow::Result;
use system_tests::{Config, SERVER, World, pooled};

#[test]
fn ping_passes_through_nat_and_opens_one_session() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    assert_eq!(world.lan.ping(SERVER, 5)?, 5);
    let sessions = world.vnf.list(&["show", "sessions", "--protocol", "icmp"])?;
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    let external = sessions[0]["external"].as_str().unwrap_or_default();
    let address = external.split(':').next().unwrap_or_default();
    assert!(pooled(address.parse()?), "{external}");
    assert_eq!(sessions[0]["packets_out"], 5);
    assert_eq!(sessions[0]["packets_in"], 5);
    Ok(())
}

#[test]
fn vnf_answers_echo_requests_on_both_sides() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    assert_eq!(world.lan.ping("10.0.0.1", 3)?, 3);
    assert_eq!(world.wan.ping("198.51.100.1", 3)?, 3);
    Ok(())
}
