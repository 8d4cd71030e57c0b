//! Customers with the same addresses, apart by VRF, share one NAT.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use system_tests::{Config, SERVER, Third, World, pooled};

const HOST: &str = "10.0.0.2:5000";

#[test]
fn two_hosts_with_one_address_in_two_vrfs_get_each_its_own_answer() -> Result<()> {
    let third = Third {
        keys: "addresses = [\"10.0.0.1/24\"]\nnat = \"internal\"\nvrf = \"blue\"",
        host: "10.0.0.2/24",
        gateway: "10.0.0.1",
    };
    let more = r#"[[route]]
vrf = "red"
prefix = "0.0.0.0/0"
next_hops = ["198.51.100.254"]
next_hop_vrf = "default"

[[route]]
vrf = "blue"
prefix = "0.0.0.0/0"
next_hops = ["198.51.100.254"]
next_hop_vrf = "default""#;
    let config = Config { lan: "vrf = \"red\"", third: Some(third), more, ..Config::default() };
    let Some(world) = World::start(&config)? else { return Ok(()) };
    let blue = world.third.as_ref().context("a third host")?;
    let server = world.wan.enter(|| Ok(UdpSocket::bind((SERVER, 53))?))?;
    let mut asked = Vec::new();
    let mut buffer = [0; 64];
    server.set_read_timeout(Some(Duration::from_secs(10)))?;
    for (vrf, host) in [("red", &world.lan), ("blue", blue)] {
        assert_eq!(host.ping(SERVER, 3)?, 3, "{vrf}");
        let client = host.enter(|| Ok(UdpSocket::bind(HOST)?))?;
        client.set_read_timeout(Some(Duration::from_secs(10)))?;
        client.send_to(vrf.as_bytes(), (SERVER, 53))?;
        let (length, peer) = server.recv_from(&mut buffer)?;
        ensure!(&buffer[..length] == vrf.as_bytes() && pooled(peer.ip()), "{vrf} as {peer}");
        asked.push((vrf, client, peer));
    }
    ensure!(asked[0].2 != asked[1].2, "two hosts share {}", asked[0].2);
    // Answers come after both have asked, so that only the endpoint tells whose each is.
    for (vrf, client, peer) in &asked {
        server.send_to(format!("for {vrf}").as_bytes(), peer)?;
        let length = client.recv(&mut buffer)?;
        assert_eq!(String::from_utf8_lossy(&buffer[..length]), format!("for {vrf}"));
        let sessions = world.vnf.list(&["show", "sessions", "--protocol", "udp", "--vrf", vrf])?;
        assert_eq!(sessions.len(), 1, "{sessions:?}");
        assert_eq!(sessions[0]["vrf"], *vrf);
        assert_eq!(sessions[0]["internal"], HOST);
        assert_eq!(sessions[0]["external"], peer.to_string());
    }
    Ok(())
}
