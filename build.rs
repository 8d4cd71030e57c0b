//! Build script of `dpdk-sys`: finds the installed libdpdk, generates its bindings and compiles the shim.
//! Cargo runs it in the manifest directory of `dpdk-sys`; all paths are relative to that.

use std::{env, path::PathBuf, process::exit};

fn main() {
    println!("cargo:rerun-if-changed=../../build.rs");
    println!("cargo:rerun-if-changed=wrapper.h");
    println!("cargo:rerun-if-changed=shim.h");
    println!("cargo:rerun-if-changed=shim.c");

    let dpdk = pkg_config::Config::new()
        .atleast_version("22.11")
        .probe("libdpdk")
        .unwrap_or_else(|error| {
            eprintln!(
                "DPDK 22.11 or newer was not found: {error}\n\
                 On Debian 12 install it with: apt-get install libdpdk-dev libclang-dev pkg-config\n\
                 (scripts/setup does this and the rest)"
            );
            exit(1)
        });
    // No part of libdpdk.pc. The linker keeps it only in programs that make ports of rings.
    println!("cargo:rustc-link-lib=rte_net_ring");

    let mut flags = vec!["-include".to_owned(), "rte_config.h".to_owned()];
    flags.extend(dpdk.include_paths.iter().map(|path| format!("-I{}", path.display())));
    // Instead of the -march=corei7 that libdpdk.pc asks for: the oldest machine we run on.
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64") {
        flags.push("-march=x86-64-v2".to_owned());
    }

    let mut shim = cc::Build::new();
    shim.file("shim.c").opt_level(3).warnings(true);
    for flag in &flags {
        shim.flag(flag);
    }
    shim.compile("dpdk_shim");

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    bindgen::Builder::default()
        .header("wrapper.h")
        .clang_args(&flags)
        .allowlist_function(FUNCTIONS.join("|"))
        .allowlist_type(TYPES.join("|"))
        .allowlist_var(CONSTANTS.join("|"))
        .opaque_type(OPAQUE.join("|"))
        .prepend_enum_name(false)
        .derive_default(true)
        .generate_comments(false)
        .use_core()
        .wrap_unsafe_ops(true)
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
        .generate()
        .unwrap_or_else(|error| {
            eprintln!(
                "bindgen failed on the headers of DPDK: {error} (is libclang-dev installed?)"
            );
            exit(1)
        })
        .write_to_file(out.join("bindings.rs"))
        .expect("OUT_DIR is writable");
}

const FUNCTIONS: &[&str] = &[
    "shim_.*",
    "rte_acl_(add_rules|build|classify|classify_alg|create|free|reset|reset_rules|set_ctx_classify)",
    "rte_dev_(probe|remove)",
    "rte_eal_(cleanup|get_runtime_dir|init)",
    "rte_eth_(allmulticast_enable|from_rings|macaddr_get|promiscuous_(disable|enable)|stats_get|stats_reset)",
    "rte_eth_dev_(adjust_nb_rx_tx_desc|close|configure|default_mac_addr_set|get_mtu|get_port_by_name)",
    "rte_eth_dev_(info_get|set_mtu|start|stop)",
    "rte_eth_link_get_nowait",
    "rte_eth_[rt]x_queue_setup",
    "rte_fib6?_(add|create|delete|find_existing|free|lookup_bulk|select_lookup)",
    "rte_(free|zmalloc)",
    "rte_get_tsc_hz",
    "rte_lpm6?_(add|create|delete|delete_all|free|lookup_bulk_func)",
    "rte_malloc_get_socket_stats",
    "rte_mempool_(avail_count|free|in_use_count)",
    "rte_pktmbuf_(free_bulk|pool_create)",
    "rte_ring_(create|free)",
    "rte_strerror",
    "rte_thread_(register|unregister)",
    "rte_version",
];

const TYPES: &[&str] = &[
    "rte_acl_.*",
    "rte_fib6?_.*",
    "rte_lpm6?_.*",
    "rte_eth_(conf|dev_info|link|rxconf|stats|txconf)",
    "rte_(mbuf|mempool|ring|malloc_socket_stats)",
    "shim_.*",
];

const CONSTANTS: &[&str] =
    &["SHIM_.*", "RTE_ACL_.*", "RTE_FIB6?_.*", "RTE_LPM6?_.*", "RTE_MBUF_DEFAULT_.*"];

/// Packed and aligned at once, which Rust cannot say.
const OPAQUE: &[&str] = &[
    "rte_arp_hdr",
    "rte_arp_ipv4",
    "rte_gtp_psc_generic_hdr",
    "rte_ipv6_fragment_ext",
    "rte_l2tpv2_combined_msg_hdr",
];
