//! A scan of a large subnet makes the VNF ask for many neighbours, and costs the others nothing (RFC 6583).

use std::net::UdpSocket;

use anyhow::{Result, ensure};
use system_tests::{Config, SERVER, World, eventually};

#[test]
fn a_scan_of_a_16_does_not_disturb_a_flow_nor_keep_others_from_being_found() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    let text = std::fs::read_to_string(world.config())?;
    let wide = text.replace("\"198.51.100.1/24\"", "\"198.51.100.1/24\", \"172.16.0.1/16\"");
    std::fs::write(world.config(), wide)?;
    let output = world.vnf.reload()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.wan.ip(&["addr", "add", "172.16.200.7/16", "dev", &world.wan_tap])?;
    assert_eq!(world.lan.ping(SERVER, 1)?, 1);
    std::thread::scope(|scope| {
        let scan = scope.spawn(|| world.lan.enter(scan));
        let flow = world.lan.ping(SERVER, 30)?;
        assert_eq!(flow, 30, "an established flow loses nothing");
        eventually("somebody new is found", || {
            world.lan.ping("172.16.200.7", 1).is_ok_and(|answers| answers == 1)
        });
        scan.join().expect("no panic")
    })?;
    let memory = world.vnf.list(&["show", "memory"])?;
    let row = memory.iter().find(|row| row["pool"] == "neighbors unresolved");
    ensure!(row.is_some_and(|row| row["used"].as_u64() <= row["capacity"].as_u64()), "{memory:?}");
    ensure!(world.vnf.drops("neighbor-unresolved")? > 10_000, "the scan was one");
    Ok(())
}

fn scan() -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    for host in 0..65_536u32 {
        let [_, _, high, low] = host.to_be_bytes();
        // Where nobody answers, the kernel passes the VNF's word on; that is not this test's.
        let _ = socket.send_to(b"?", (std::net::Ipv4Addr::new(172, 16, high, low), 9));
        if low == 0 {
            std::thread::sleep(std::time::Duration::from_millis(15));
        }
    }
    Ok(())
}
