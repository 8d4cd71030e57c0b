//! `[dpdk]`, `[workers]` and `[management]`: how the process itself is set up.

use std::path::PathBuf;

use crate::config::reader::{Node, Reader};
use crate::config::settings::{DpdkSettings, Hugepages, Idle, ManagementSettings, WorkerSettings};
use crate::config::values;

/// Reads `[dpdk]`.
pub(in crate::config) fn dpdk(dpdk: Reader<'_>) -> DpdkSettings {
    let core = |node: &Node<'_>| node.integer::<usize>(0..=1023);
    let main_core = dpdk.optional("main_core").and_then(|node| core(&node));
    let worker_cores = dpdk.optional("worker_cores").and_then(|node| {
        let nodes = node.list(CORES)?;
        if nodes.is_empty() || nodes.len() > MAX_WORKERS {
            node.reject(CORES);
        }
        Some(nodes.iter().filter_map(core).map(|core| core.value).collect())
    });
    let memory = dpdk.optional("memory").and_then(|node| {
        node.string(MEMORY, |text| {
            let mib =
                values::size(text).filter(|size| size % (1 << 20) == 0).map(|size| size >> 20);
            mib.and_then(|mib| u32::try_from(mib).ok())
                .filter(|mib| (64..=1 << 20).contains(mib))
                .ok_or(None)
        })
    });
    let hugepages = dpdk.optional("hugepages").and_then(|node| {
        node.choice(&[
            ("auto", Hugepages::Auto),
            ("required", Hugepages::Required),
            ("never", Hugepages::Never),
        ])
    });
    let buffers =
        dpdk.optional("packet_buffers").and_then(|node| node.integer::<u32>(4096..=1 << 24));
    let eal_args = dpdk.optional("eal_args").and_then(|node| {
        let arguments = node.list("a list of strings")?;
        let argument = |text: &str| match text.is_empty() || text.contains('\0') {
            true => Err(None),
            false => Ok(text.to_owned()),
        };
        let found =
            arguments.iter().filter_map(|node| node.string("an argument of the EAL", argument));
        Some(found.map(|found| found.value).collect())
    });
    dpdk.finish();
    DpdkSettings {
        eal_args: eal_args.unwrap_or_default(),
        hugepages: hugepages.unwrap_or(Hugepages::Auto),
        main_core: main_core.map_or(0, |core| core.value),
        memory_mib: memory.map_or(512, |memory| memory.value),
        packet_buffers: buffers.map(|buffers| buffers.value),
        worker_cores: worker_cores.unwrap_or_else(|| vec![1]),
    }
}

/// Reads `[workers]`.
pub(in crate::config) fn workers(workers: Reader<'_>) -> WorkerSettings {
    let idle = workers
        .optional("idle")
        .and_then(|node| node.choice(&[("adaptive", Idle::Adaptive), ("poll", Idle::Poll)]));
    workers.finish();
    WorkerSettings { idle: idle.unwrap_or(Idle::Adaptive) }
}

/// Reads `[management]`.
pub(in crate::config) fn management(management: Reader<'_>) -> ManagementSettings {
    let socket = management.optional("socket").and_then(|node| {
        node.string(SOCKET, |text| {
            let fits = (1..=107).contains(&text.len()) && !text.contains('\0');
            if fits { Ok(PathBuf::from(text)) } else { Err(None) }
        })
    });
    let http = management
        .optional("http")
        .and_then(|node| node.string(HTTP, |text| text.parse().map_err(|_| None)));
    management.finish();
    ManagementSettings {
        http: http.map(|http| http.value),
        socket: socket.map_or_else(|| PathBuf::from("/run/vnf/vnf.sock"), |socket| socket.value),
    }
}

const CORES: &str = "a list of 1 to 64 core numbers";
const HTTP: &str = "an address and port such as \"127.0.0.1:9180\"";
const MAX_WORKERS: usize = 64;
const MEMORY: &str = "a size in whole MiB such as \"512MiB\", from 64MiB to 1TiB";
const SOCKET: &str = "the path of a Unix socket, 1 to 107 bytes";
