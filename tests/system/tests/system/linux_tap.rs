//! Services on the box are reached through the tap of a port, and reach others (`linux = "..."`).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Result, ensure};
use system_tests::{Config, SERVER, Signal, World, eventually};

#[test]
fn a_service_on_the_box_talks_to_hosts_on_both_sides_while_nat_goes_on() -> Result<()> {
    let Some(world) = World::start(&Config::boxed())? else { return Ok(()) };
    let home = world.home.as_ref().expect("a box of its own");
    let service = home.enter(|| Ok(TcpListener::bind("0.0.0.0:22")?))?;
    for (host, own) in [(&world.wan, "198.51.100.1:22"), (&world.lan, "10.0.0.1:22")] {
        let client = host.enter(|| Ok(TcpStream::connect(own)?))?;
        let (server, _) = service.accept()?;
        exchange(&client, &server)?;
    }
    let outside = world.wan.enter(|| Ok(TcpListener::bind("198.51.100.254:179")?))?;
    let client = home.enter(|| Ok(TcpStream::connect("198.51.100.254:179")?))?;
    let (server, peer) = outside.accept()?;
    assert_eq!(peer.ip().to_string(), "198.51.100.1", "the kernel's own address");
    exchange(&client, &server)?;
    assert_eq!(world.lan.ping(SERVER, 3)?, 3);
    assert_eq!(world.wan.ping("198.51.100.1", 3)?, 3, "the VNF still answers pings itself");
    assert_eq!(home.ping("198.51.100.254", 3)?, 3, "and the kernel asks");
    // Where nothing listens the kernel says so.
    ensure!(world.wan.enter(|| Ok(TcpStream::connect("198.51.100.1:23")?)).is_err());
    let link = home.ip(&["link", "show", "xwan"])?;
    ensure!(link.contains("02:00:00:00:00:02") && link.contains("mtu 1500"), "{link}");
    Ok(())
}

#[test]
fn the_taps_are_gone_after_kill_9_and_back_after_a_start() -> Result<()> {
    let Some(mut world) = World::start(&Config::boxed())? else { return Ok(()) };
    world.vnf.signal(Signal::KILL)?;
    world.vnf.wait_exit(std::time::Duration::from_secs(5))?;
    let home = world.home.as_ref().expect("a box of its own");
    eventually("the taps are gone", || home.ip(&["link", "show", "xwan"]).is_err());
    world.restart()?;
    let home = world.home.as_ref().expect("a box of its own");
    let addresses = home.ip(&["addr", "show", "dev", "xlan"])?;
    ensure!(addresses.contains("inet 10.0.0.1/24"), "{addresses}");
    ensure!(addresses.contains("inet6 fd00:a::1/64"), "{addresses}");
    Ok(())
}

/// More than fits into any queue on the way.
fn exchange(mut client: &TcpStream, mut server: &TcpStream) -> Result<()> {
    let sent = vec![7; 300_000];
    let mut received = vec![0; sent.len()];
    std::thread::scope(|scope| {
        let send = scope.spawn(|| client.write_all(&sent));
        server.read_exact(&mut received)?;
        send.join().expect("no panic")
    })?;
    ensure!(received == sent);
    server.write_all(b"done")?;
    client.read_exact(&mut received[..4])?;
    ensure!(&received[..4] == b"done");
    Ok(())
}
