//! SIGTERM and SIGINT end it in order, whatever it is doing.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::Result;
use system_tests::{Config, SERVER, Signal, World};

// What contract and init systems count on.
const LIMIT: Duration = Duration::from_secs(2);

#[test]
fn sigterm_under_load_ends_it_with_status_0() -> Result<()> {
    let Some(mut world) = World::start(&Config::default())? else { return Ok(()) };
    assert_eq!(world.lan.ping(SERVER, 1)?, 1);
    let mut load = world.lan.command("ping");
    let mut load = load.args(["-f", "-q", SERVER]).stdout(std::process::Stdio::null()).spawn()?;
    let client = world.lan.enter(|| Ok(UdpSocket::bind("10.0.0.2:0")?))?;
    for _ in 0..20_000 {
        client.send_to(&[0; 100], (SERVER, 9))?;
    }
    world.vnf.signal(Signal::TERM)?;
    let status = world.vnf.wait_exit(LIMIT);
    load.kill()?;
    load.wait()?;
    assert_eq!(status?.code(), Some(0), "{}", world.vnf.log());
    assert!(!world.vnf.socket().exists(), "the socket is left behind");
    Ok(())
}

#[test]
fn signal_at_any_moment_of_the_start_ends_it_with_status_0() -> Result<()> {
    for (number, delay) in [20, 60, 120, 200, 350, 600, 1000, 2000].into_iter().enumerate() {
        let Some(mut world) = World::spawn(&Config::default())? else { return Ok(()) };
        std::thread::sleep(Duration::from_millis(delay));
        world.vnf.signal(if number % 2 == 0 { Signal::TERM } else { Signal::INT })?;
        let status = world.vnf.wait_exit(LIMIT)?;
        assert_eq!(status.code(), Some(0), "after {delay} ms: {}", world.vnf.log());
        assert!(!world.vnf.socket().exists(), "after {delay} ms the socket is left behind");
        let links = std::fs::read_dir("/sys/class/net")?;
        let names = links.flatten().map(|link| link.file_name());
        let left = names.filter(|name| *name == *world.lan_tap || *name == *world.wan_tap);
        assert_eq!(left.count(), 0, "after {delay} ms a tap is left behind");
    }
    Ok(())
}
