//! A TCP transfer in both directions at once.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use anyhow::{Result, ensure};
use system_tests::{Config, SERVER, World, pooled};

const SIZE: usize = 20 << 20;

#[test]
fn tcp_through_nat_keeps_every_byte() -> Result<()> {
    let Some(world) = World::start(&Config::default())? else { return Ok(()) };
    let listener = world.wan.enter(|| Ok(TcpListener::bind((SERVER, 80))?))?;
    let client = world.lan.enter(|| Ok(TcpStream::connect((SERVER, 80))?))?;
    let (server, peer) = listener.accept()?;
    ensure!(pooled(peer.ip()), "the server saw {peer}");
    std::thread::scope(|scope| {
        let tasks = [
            scope.spawn(|| send(&client, 1)),
            scope.spawn(|| receive(&server, 1)),
            scope.spawn(|| send(&server, 2)),
            scope.spawn(|| receive(&client, 2)),
        ];
        tasks.into_iter().try_for_each(|task| task.join().expect("no panic"))
    })
}

fn send(mut stream: &TcpStream, seed: u64) -> Result<()> {
    stream.write_all(&pattern(seed))?;
    Ok(stream.shutdown(Shutdown::Write)?)
}

fn receive(mut stream: &TcpStream, seed: u64) -> Result<()> {
    let mut bytes = Vec::with_capacity(SIZE);
    stream.read_to_end(&mut bytes)?;
    ensure!(bytes == pattern(seed), "{} bytes arrived, not those that were sent", bytes.len());
    Ok(())
}

fn pattern(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(&mut next).take(SIZE).collect()
}
