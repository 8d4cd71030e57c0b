//! An IPv6 address that somebody else has is not used (RFC 4862 5.4).

use anyhow::{Result, ensure};
use system_tests::{Config, World, eventually};

#[test]
fn an_address_that_the_link_has_already_is_refused_and_reported() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    let setting = format!("net.ipv6.conf.{}.disable_ipv6=0", world.wan_tap);
    world.wan.run("sysctl", &["-q", "-w", &setting])?;
    for address in ["fd00:b::9/64", "fd00:b::2/64"] {
        world.wan.ip(&["addr", "add", address, "dev", &world.wan_tap, "nodad"])?;
    }
    let text = std::fs::read_to_string(world.config())?;
    let more =
        text.replace("\"fd00:b::1/64\"", "\"fd00:b::1/64\", \"fd00:b::9/64\", \"fd00:b::8/64\"");
    std::fs::write(world.config(), more)?;
    let output = world.vnf.reload()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    eventually("the log says so", || world.vnf.log().contains("has fd00:b::9 already"));
    assert_eq!(world.wan.ping("fd00:b::8", 3)?, 3, "the other new address is used");
    world.wan.ip(&["addr", "del", "fd00:b::9/64", "dev", &world.wan_tap])?;
    assert_eq!(world.wan.ping("fd00:b::9", 3)?, 0, "the duplicate is not answered for");
    Ok(())
}
