//! The kernel as neighbour: a tap port, in a network namespace of its own. Needs root and /dev/net/tun, and passes
//! without looking where they are missing.

use std::{
    fs::OpenOptions,
    net::UdpSocket,
    process::Command,
    time::{Duration, Instant},
};

use dpdk_bindings::{Port, RxQueue, port::Config, testing};

const INTERFACE: &str = "dpdktest";
const OURS: [u8; 6] = [2, 0, 0, 0, 0, 2];

#[test]
fn the_kernel_resolves_and_reaches_a_tap_port_that_is_gone_afterwards() {
    if !may_make_taps() {
        return;
    }
    let pool = testing::pool(4096);
    let mut port = Port::open(&testing::eal(), &format!("net_tap0,iface={INTERFACE}")).unwrap();
    let device = ip(&["link", "show", INTERFACE]);
    assert!(!device.contains(&written(port.mac())), "the ends of a link have different addresses");
    let config = Config { mac: Some(OURS), mtu: Some(1400), ..Config::default() };
    let (mut rx, mut tx) = port.configure(config, &pool).unwrap();
    port.start().unwrap();
    assert_eq!((port.mac(), port.mtu(), port.driver().as_str()), (OURS, 1400, "net_tap"));
    assert!(ip(&["link", "show", INTERFACE]).contains("mtu 1400"));
    ip(&["addr", "add", "192.0.2.1/24", "dev", INTERFACE]);
    ip(&["link", "set", INTERFACE, "up"]);

    let socket = UdpSocket::bind("192.0.2.1:0").unwrap();
    socket.send_to(b"are you there", "192.0.2.2:9").unwrap();
    let request =
        wait_for(&mut rx[0], |frame| frame[12..14] == [8, 6] && frame[38..42] == [192, 0, 2, 2]);
    assert_eq!(tx[0].transmit(&mut [pool.frame(&reply_to(&request))]), 1);
    let datagram = wait_for(&mut rx[0], |frame| frame.ends_with(b"are you there"));
    assert_eq!(datagram[..6], OURS);
    assert!(port.stats().rx_packets >= 2 && port.stats().tx_packets == 1);

    drop((rx, tx, port));
    assert!(!ip(&["link"]).contains(INTERFACE));
    assert_eq!(pool.in_use(), 0);
}

/// Moves the calling thread, and the commands it runs, into a network namespace that ends with it.
fn may_make_taps() -> bool {
    // SAFETY: changes nothing but the namespace of this thread.
    OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_ok()
        && unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0
}

fn ip(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "ip {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn written(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

fn wait_for(queue: &mut RxQueue, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let patience = Instant::now() + Duration::from_secs(10);
    while Instant::now() < patience {
        let mut packets = [const { None }; 64];
        queue.receive(&mut packets);
        if let Some(packet) =
            packets.iter().flatten().find(|packet| packet.len() >= 42 && wanted(packet.data()))
        {
            return packet.data().to_vec();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the frame did not come");
}

fn reply_to(request: &[u8]) -> Vec<u8> {
    let (asker, address) = (&request[22..32], &request[38..42]);
    [&asker[..6], &OURS, &request[12..20], &[0, 2], &OURS, address, asker].concat()
}
