//! A kernel interface as port, in a network namespace of its own. Needs root, and passes without looking without.

use std::process::Command;

use dpdk_bindings::{Port, port::Config, testing};

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 2];

#[test]
fn an_interface_whose_frames_no_buffer_holds_is_refused() {
    if !has_a_namespace() {
        return;
    }
    ip(&["link", "add", "near", "mtu", "9000", "type", "veth", "peer", "name", "far"]);
    let pool = testing::pool(4096);
    let open = || Port::open(&testing::eal(), "net_af_packet0,iface=near").unwrap();
    let error = open().configure(Config::default(), &pool).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("near: MTU 9000 and 18 octets exceed the 2048 octets of a buffer"),
        "{error}"
    );

    ip(&["link", "set", "near", "mtu", "1500"]);
    let mut port = open();
    let config = Config { mac: Some(OURS), ..Config::default() };
    let queues = port.configure(config, &pool).unwrap();
    port.start().unwrap();
    assert_eq!(port.mac(), OURS);
    assert!(
        !ip(&["link", "show", "near"]).contains(&written(OURS)),
        "the interface keeps its own address"
    );
    assert!(ip(&["link", "show", "near"]).contains("PROMISC"));
    drop((port, queues));
    assert!(!ip(&["link", "show", "near"]).contains("PROMISC"));
}

/// Moves the calling thread, and the commands it runs, into a network namespace that ends with it.
fn has_a_namespace() -> bool {
    // SAFETY: changes nothing but the namespace of this thread.
    unsafe { libc::unshare(libc::CLONE_NEWNET) == 0 }
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
