//! BIRD on the box speaks BGP with a neighbour over the exception path, and the VNF forwards by what it learns.

use anyhow::{Context, Result};
use system_tests::{Config, Namespace, World, eventually};

const BOX: &str = r"router id 10.0.0.1;
protocol device {}
protocol kernel { ipv4 { import none; export all; }; }
protocol bgp upstream {
  local 198.51.100.1 as 65001; neighbor 198.51.100.254 as 65002;
  connect retry time 1; connect delay time 1; error wait time 1, 2;
  ipv4 { import all; export none; };
}";

const PEER: &str = r#"router id 198.51.100.254;
protocol device {}
protocol static { ipv4; route 192.0.2.0/24 blackhole; }
protocol bgp box {
  local 198.51.100.254 as 65002; neighbor 198.51.100.1 as 65001;
  connect retry time 1; connect delay time 1; error wait time 1, 2;
  ipv4 { import all; export where source = RTS_STATIC; };
}"#;

#[test]
fn a_route_that_bird_learns_over_the_tap_forwards_packets_until_it_is_withdrawn() -> Result<()> {
    let config = Config { default_route: "203.0.113.0/24", ..Config::boxed() };
    let Some(world) = World::start(&config)? else { return Ok(()) };
    let home = world.home.as_ref().context("a box of its own")?;
    world.wan.ip(&["addr", "add", "192.0.2.9/32", "dev", "lo"])?;
    assert_eq!(world.lan.ping("192.0.2.9", 1)?, 0, "nobody knows the way yet");
    let mut bird = start(&world, home, "box", BOX)?;
    let mut peer = start(&world, &world.wan, "peer", PEER)?;
    eventually("the route is there", || learned(&world).is_ok_and(|origin| origin == "kernel"));
    assert_eq!(world.lan.ping("192.0.2.9", 3)?, 3);
    peer.kill()?;
    peer.wait()?;
    eventually("the route is gone", || learned(&world).is_ok_and(|origin| origin.is_empty()));
    bird.kill()?;
    bird.wait()?;
    Ok(())
}

fn start(
    world: &World,
    namespace: &Namespace,
    name: &str,
    config: &str,
) -> Result<std::process::Child> {
    let (file, socket) = (world.path(&format!("{name}.conf")), world.path(&format!("{name}.ctl")));
    std::fs::write(&file, config)?;
    let mut command = namespace.command("bird");
    command.arg("-f").arg("-c").arg(file).arg("-s").arg(socket);
    command.spawn().context("bird")
}

/// The origin of the route to 192.0.2.0/24.
fn learned(world: &World) -> Result<String> {
    let routes = world.vnf.list(&["show", "routes"])?;
    let found = routes.iter().find(|route| route["prefix"] == "192.0.2.0/24");
    Ok(found.and_then(|route| route["origin"].as_str()).unwrap_or_default().to_owned())
}
