//! One row of each kind, for tests.

use super::*;

pub(crate) fn status() -> Status {
    Status {
        state: State::Running,
        uptime_s: 3725,
        version: "0.1.0".to_owned(),
        dpdk_version: "22.11.11".to_owned(),
        workers: 1,
        ports: 2,
        sessions: 3,
        mappings: 2,
        rx_pps: 1500,
        tx_pps: 1400,
        drop_pps: 100,
    }
}

pub(crate) fn port() -> PortRow {
    PortRow {
        name: "lan".to_owned(),
        device: "net_tap0,iface=vnf-lan".to_owned(),
        driver: "net_tap".to_owned(),
        mac: "02:00:00:00:00:01".to_owned(),
        mtu: 1500,
        link: Link::Up,
        addresses: vec!["10.0.0.1/24".to_owned()],
        rx_packets: 10,
        rx_bytes: 1000,
        tx_packets: 9,
        tx_bytes: 900,
        rx_missed: 1,
        rx_errors: 0,
        tx_errors: 0,
        vrf: "default".to_owned(),
    }
}

pub(crate) fn worker() -> WorkerRow {
    WorkerRow {
        worker: 0,
        core: 1,
        ports: vec!["lan".to_owned(), "wan".to_owned()],
        rx_packets: 20,
        tx_packets: 17,
        dropped: 2,
        punted: 1,
        handed_over: 0,
        busy_ratio: 0.25,
        cycles_per_packet: 210.5,
        burst_mean: 3.5,
        stages: vec![StageRow { name: "parse".to_owned(), packets: 20, cycles_per_packet: 40.5 }],
        latency_ns: Latency { p50: 900, p99: 2000, p999: 3000, max: 4000 },
    }
}

pub(crate) fn session() -> SessionRow {
    SessionRow {
        protocol: "udp".to_owned(),
        internal: "10.0.0.2:5000".to_owned(),
        external: Some("198.51.100.10:1024".to_owned()),
        remote: "203.0.113.7:53".to_owned(),
        state: "open".to_owned(),
        age_s: 5,
        idle_s: 1,
        expires_s: 299,
        packets_out: 2,
        bytes_out: 120,
        packets_in: 1,
        bytes_in: 200,
        worker: 0,
        vrf: "default".to_owned(),
    }
}

pub(crate) fn mapping() -> MappingRow {
    MappingRow {
        protocol: "udp".to_owned(),
        internal: "10.0.0.2:5000".to_owned(),
        external: "198.51.100.10:1024".to_owned(),
        kind: MappingKind::Dynamic,
        sessions: 1,
        expires_s: Some(299),
        worker: 0,
        vrf: "default".to_owned(),
    }
}

pub(crate) fn host() -> HostRow {
    HostRow {
        internal: "10.0.0.2".to_owned(),
        external: "198.51.100.10".to_owned(),
        sessions: 1,
        mappings: 1,
        blocks: vec!["1024-1535".to_owned()],
        vrf: "default".to_owned(),
    }
}

pub(crate) fn pool() -> PoolRow {
    PoolRow {
        address: "198.51.100.10".to_owned(),
        worker: 0,
        ports_used: 4,
        ports_held: 1,
        ports_total: 64512,
    }
}

pub(crate) fn holder() -> Holder {
    Holder {
        protocol: "udp".to_owned(),
        internal: "10.0.0.2:5000".to_owned(),
        kind: HolderKind::Dynamic,
        since: None,
        until: None,
        uncertain: false,
        vrf: "default".to_owned(),
    }
}

pub(crate) fn who() -> Who {
    Who { external: "198.51.100.10:1024".to_owned(), at: None, holders: vec![holder()] }
}

pub(crate) fn acl() -> AclRow {
    AclRow {
        name: "from-lan".to_owned(),
        rules: vec![AclRuleRow {
            index: 0,
            action: "permit".to_owned(),
            text: "permit tcp from 10.0.0.0/24 to any port 80".to_owned(),
            packets: 5,
            bytes: 500,
        }],
        default: "deny".to_owned(),
        default_packets: 2,
    }
}

pub(crate) fn route() -> RouteRow {
    RouteRow {
        prefix: "0.0.0.0/0".to_owned(),
        next_hops: vec!["198.51.100.254".to_owned()],
        port: Some("wan".to_owned()),
        origin: "static".to_owned(),
        vrf: "default".to_owned(),
        next_hop_vrf: None,
        kind: "next-hops".to_owned(),
    }
}

pub(crate) fn neighbor() -> NeighborRow {
    NeighborRow {
        address: "198.51.100.254".to_owned(),
        mac: Some("02:00:00:00:00:fe".to_owned()),
        port: "wan".to_owned(),
        state: "reachable".to_owned(),
        vrf: "default".to_owned(),
    }
}

pub(crate) fn memory() -> MemoryRow {
    MemoryRow { pool: "sessions-0".to_owned(), bytes: 1000, used: 50, capacity: 100 }
}

pub(crate) fn version() -> Version {
    Version { version: "0.1.0".to_owned(), dpdk_version: "22.11.11".to_owned() }
}
