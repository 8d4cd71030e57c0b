//! The configuration that the tests start from, with the few parts they vary.

use std::path::Path;

/// A NAT between 10.0.0.0/24 and 198.51.100.0/24; fields hold what differs from test to test.
#[derive(Clone)]
pub struct Config {
    /// `dpdk.hugepages`.
    pub hugepages: &'static str,
    /// How many workers; they share one core.
    pub workers: usize,
    /// `nat44.pool`.
    pub pool: &'static str,
    /// The destination of the route by way of the far router.
    pub default_route: &'static str,
    /// Whether the VNF runs in a namespace of its own, with taps for the services there.
    pub boxed: bool,
    /// More keys of the internal port, as TOML lines.
    pub lan: &'static str,
    /// More keys of the external port, as TOML lines.
    pub wan: &'static str,
    /// A third port with a host of its own.
    pub third: Option<Third>,
    /// More keys of `[nat44]`, as TOML lines.
    pub nat: &'static str,
    /// Rules of the list that the internal port asks, as TOML; what none matches is permitted.
    pub rules: &'static str,
    /// More tables, as TOML.
    pub more: &'static str,
}

/// A third port and the host behind it.
#[derive(Clone)]
pub struct Third {
    /// The port's addresses and what else it has, as TOML lines.
    pub keys: &'static str,
    /// The host's address and prefix length.
    pub host: &'static str,
    /// The port's address, the host's default gateway.
    pub gateway: &'static str,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hugepages: "auto",
            workers: 1,
            pool: "198.51.100.10-198.51.100.13",
            default_route: "0.0.0.0/0",
            boxed: false,
            lan: "",
            wan: "",
            third: None,
            nat: "",
            rules: "",
            more: "",
        }
    }
}

impl Config {
    /// The VNF in a network namespace of its own, with the taps `xlan` and `xwan` for services there.
    pub fn boxed() -> Self {
        Self { boxed: true, ..Self::default() }
    }

    /// The file's text for these interfaces and this socket.
    pub fn text(&self, lan: &str, wan: &str, socket: &Path) -> String {
        let Self {
            hugepages,
            workers,
            pool,
            default_route,
            boxed,
            lan: lan_keys,
            wan: wan_keys,
            third,
            nat,
            rules,
            more,
        } = self;
        let [tap_lan, tap_wan] =
            ["linux = \"xlan\"", "linux = \"xwan\""].map(|key| if *boxed { key } else { "" });
        let third = third.as_ref().map_or_else(String::new, |Third { keys, .. }| {
            let device = format!("net_tap2,iface={}", third_tap(wan));
            let head =
                format!("name = \"third\"\ndevice = \"{device}\"\nmac = \"02:00:00:00:00:03\"");
            format!("[[port]]\n{head}\n{keys}")
        });
        let [main, worker] = cores();
        let workers = vec![worker.to_string(); *workers].join(", ");
        let socket = socket.display();
        format!(
            r#"[dpdk]
main_core = {main}
worker_cores = [{workers}]
memory = "256MiB"
hugepages = "{hugepages}"

[management]
socket = "{socket}"

[[port]]
name = "lan"
device = "net_tap0,iface={lan}"
addresses = ["10.0.0.1/24", "fd00:a::1/64"]
mac = "02:00:00:00:00:01"
nat = "internal"
acl_in = "from-lan"
{tap_lan}
{lan_keys}

[[port]]
name = "wan"
device = "net_tap1,iface={wan}"
addresses = ["198.51.100.1/24", "fd00:b::1/64"]
mac = "02:00:00:00:00:02"
nat = "external"
{tap_wan}
{wan_keys}
{third}

[[route]]
prefix = "{default_route}"
next_hops = ["198.51.100.254"]

[nat44]
pool = ["{pool}"]
max_sessions = 20_000
{nat}

[[acl]]
name = "from-lan"
default = "permit"
{rules}
{more}
"#
        )
    }
}

/// The name of the third port's interface, made from that of the external one.
pub(crate) fn third_tap(wan: &str) -> String {
    format!("{wan}x")
}

/// A core for management and helpers, and one for the workers; the same where there is only one.
pub fn cores() -> [usize; 2] {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    [cores.first(), cores.last()].map(|core| core.map_or(0, |core| core.id))
}
