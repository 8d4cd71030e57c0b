//! `vnf run` and its clients end to end, on ports that are not connected to anything: no root, no hugepages.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A running instance in a directory of its own, killed when the test ends.
struct Instance {
    child: Child,
    directory: TempDir,
}

impl Instance {
    fn start(more: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let manager = UnixDatagram::bind(directory.path().join("notify")).expect("a socket");
        let mut this = Self { child: spawn(&directory, more), directory };
        let output = this.vnf(&["status", "--wait", "60"]);
        assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stderr), this.log());
        let mut buffer = [0; 16];
        let length = manager.recv(&mut buffer).expect("a datagram");
        assert_eq!(&buffer[..length], b"READY=1");
        assert!(this.child.try_wait().expect("a child").is_none());
        this
    }

    fn vnf(&self, words: &[&str]) -> Output {
        let socket = self.directory.path().join("vnf.sock");
        let mut command = Command::new(env!("CARGO_BIN_EXE_vnf"));
        command.args(words).env("VNF_SOCKET", socket).output().expect("the binary runs")
    }

    fn json(&self, words: &[&str]) -> Value {
        let output = self.vnf(&[words, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn configure(&self, more: &str) {
        std::fs::write(self.file(), config(&self.directory, more)).expect("a file");
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("vnf.toml")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a small number"));
        kill_process(pid.expect("a process"), signal).expect("it lives");
    }

    fn end(&mut self) -> ExitStatus {
        self.child.wait().expect("a child")
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &TempDir, more: &str) -> Child {
    spawn_with(directory, &config(directory, more))
}

fn spawn_with(directory: &TempDir, text: &str) -> Child {
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("vnf.toml"), text).expect("a file");
    Command::new(env!("CARGO_BIN_EXE_vnf"))
        .args(["run", "-c", &path("vnf.toml").display().to_string()])
        .env("NOTIFY_SOCKET", path("notify"))
        .stdout(Stdio::null())
        .stderr(
            std::fs::File::options().create(true).append(true).open(path("log")).expect("a log"),
        )
        .spawn()
        .expect("the binary runs")
}

fn config(directory: &TempDir, more: &str) -> String {
    let socket = directory.path().join("vnf.sock");
    format!(
        r#"
[dpdk]
main_core = 0
worker_cores = [1, 1]
memory = "96MiB"
hugepages = "never"

[management]
socket = "{}"
http = "127.0.0.1:0"

[[port]]
name = "lan"
device = "net_null0,no-rx=1"
addresses = ["10.0.0.1/24"]
nat = "internal"
acl_in = "from-lan"

[[port]]
name = "wan"
device = "net_null1,no-rx=1"
addresses = ["198.51.100.1/24"]
nat = "external"

[[route]]
prefix = "0.0.0.0/0"
next_hops = ["198.51.100.254"]

[[neighbor]]
port = "wan"
address = "198.51.100.254"
mac = "02:00:00:00:00:fe"

[nat44]
pool = ["198.51.100.10", "198.51.100.11"]
max_sessions = 10000

[[acl]]
name = "from-lan"
default = "deny"

[[acl.rule]]
action = "permit"
protocol = "udp"
{more}
"#,
        socket.display()
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const BLACKHOLE: &str = "[[route]]\nprefix = \"192.0.2.0/24\"\ndiscard = true\n";

#[test]
fn everything_can_be_seen_changed_and_ended() {
    let mut instance = Instance::start("");
    see(&instance);
    change(&instance);
    instance.signal(Signal::TERM);
    assert_eq!(instance.end().code(), Some(0), "{}", instance.log());
    assert!(!instance.directory.path().join("vnf.sock").exists());
}

fn see(instance: &Instance) {
    let status = instance.json(&["status"]);
    assert_eq!((&status["state"], &status["workers"]), (&"running".into(), &2.into()));
    assert_eq!((&status["ports"], &status["sessions"]), (&2.into(), &0.into()));
    let ports = instance.json(&["show", "ports"]);
    assert_eq!((&ports[0]["name"], &ports[0]["link"]), (&"lan".into(), &"up".into()));
    assert_eq!(ports[1]["addresses"], serde_json::json!(["198.51.100.1/24"]));
    let workers = instance.json(&["show", "workers"]);
    assert_eq!(workers.as_array().map(Vec::len), Some(2));
    for list in ["sessions", "mappings", "hosts"] {
        assert_eq!(instance.json(&["show", list]), serde_json::json!([]), "{list}");
    }
    let pool = instance.json(&["show", "pool"]);
    assert_eq!(pool.as_array().map(Vec::len), Some(2));
    assert_eq!(pool[0]["ports_used"], 0);
    let acl = instance.json(&["show", "acl"]);
    assert_eq!((&acl[0]["name"], &acl[0]["default"]), (&"from-lan".into(), &"deny".into()));
    let neighbors = instance.json(&["show", "neighbors"]);
    assert!(neighbors.to_string().contains("02:00:00:00:00:fe"), "{neighbors}");
    assert_eq!(instance.json(&["show", "drops"])["acl-denied"], 0);
    let memory = instance.json(&["show", "memory"]);
    let rows = memory.as_array().expect("a list");
    assert!(rows.iter().all(|row| row["used"].as_u64() <= row["capacity"].as_u64()), "{memory}");
    assert!(rows.len() > 3, "{memory}");
    let config = instance.json(&["show", "config"]);
    assert_eq!(config["effective"]["nat44"]["max_sessions"], 10_000);
    assert_eq!(config["file"], instance.file().display().to_string());
    let human = instance.vnf(&["show", "config"]);
    assert_eq!(text(&human.stdout), std::fs::read_to_string(instance.file()).expect("a file"));
    assert_eq!(instance.json(&["show", "version"])["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(instance.json(&["clear", "sessions"])["sessions_ended"], 0);
    instance.json(&["clear", "counters"]);
}

fn change(instance: &Instance) {
    let routes = || instance.json(&["show", "routes"]).to_string();
    assert!(!routes().contains("192.0.2.0/24"));
    instance.configure(BLACKHOLE);
    let planned = instance.json(&["reload", "--dry-run"]);
    assert_eq!(planned["sessions_ended"], 0);
    assert_ne!(planned["changes"], serde_json::json!([]));
    assert!(!routes().contains("192.0.2.0/24"), "a dry run changes nothing");
    let done = instance.json(&["reload"]);
    assert_eq!(done["changes"], planned["changes"]);
    assert!(routes().contains("192.0.2.0/24"));
    assert_eq!(instance.json(&["reload"])["changes"], serde_json::json!([]));

    instance.configure("[[route]]\nprefix = \"192.0.2.0/33\"\ncolour = 3\n");
    let before = instance.json(&["show", "config"]);
    let output = instance.vnf(&["reload"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr).lines().count(), 3, "{}", text(&output.stderr));
    assert_eq!(instance.json(&["show", "config"]), before);

    let file = instance.file();
    let restart = config(&instance.directory, "").replace("96MiB", "128MiB");
    std::fs::write(&file, restart).expect("a file");
    let output = instance.vnf(&["reload", "-c", &file.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("restart"), "{}", text(&output.stderr));
    assert!(routes().contains("192.0.2.0/24"), "nothing changed");
}

#[test]
fn a_hangup_reads_the_file_again() {
    let instance = Instance::start("");
    instance.configure(BLACKHOLE);
    instance.signal(Signal::HUP);
    while !instance.json(&["show", "routes"]).to_string().contains("192.0.2.0/24") {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn who_has_an_endpoint_is_told_by_the_configuration_and_by_arithmetic() {
    let mut instance = Instance::start(
        "[[nat44.forward]]\nprotocol = \"tcp\"\nexternal = \"198.51.100.10:443\"\n\
         internal = \"10.0.0.5:8443\"\n",
    );
    let who = instance.json(&["who", "198.51.100.10:443"]);
    let holder =
        |who: &Value| (who["holders"][0]["internal"].clone(), who["holders"][0]["kind"].clone());
    assert_eq!(holder(&who), ("10.0.0.5:8443".into(), "static".into()));
    let output = instance.vnf(&["who", "198.51.100.10:2000"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "vnf: nobody holds 198.51.100.10:2000\n");

    let lines = "[nat44]\nallocation = \"deterministic\"";
    let computed = config(&instance.directory, "").replace("[nat44]", lines);
    instance.signal(Signal::TERM);
    instance.end();
    instance.child = spawn_with(&instance.directory, &computed);
    let output = instance.vnf(&["status", "--wait", "60"]);
    assert_eq!(output.status.code(), Some(0), "{}", instance.log());
    let who = instance.json(&["who", "198.51.100.10:1024"]);
    assert_eq!(holder(&who), ("10.0.0.1".into(), "deterministic".into()));
    let hosts = instance.json(&["show", "hosts", "--host", "10.0.0.1"]);
    let (external, blocks) = (&hosts[0]["external"], &hosts[0]["blocks"]);
    assert_eq!((external, blocks), (&"198.51.100.10".into(), &serde_json::json!(["1024-1530"])));
    let other = ["show", "hosts", "--host", "10.0.0.1", "--port", "2000"];
    assert_eq!(instance.json(&other), serde_json::json!([]));
    assert!(instance.log().contains("mappings are computed from {"), "{}", instance.log());
}

#[test]
fn a_hangup_opens_the_log_of_translations_anew() {
    let instance = Instance::start("");
    let (log, moved) =
        (instance.directory.path().join("logs/nat.jsonl"), instance.directory.path().join("moved"));
    let lines = format!("[nat44]\nlog = \"sessions\"\nlog_file = \"{}\"", log.display());
    let text = config(&instance.directory, "").replace("[nat44]", &lines);
    std::fs::write(instance.file(), text).expect("a file");
    let changes = instance.json(&["reload"])["changes"].to_string();
    assert!(changes.contains("nat44.log:"), "{changes}");
    let started = |text: String| text.ends_with("\"event\":\"started\"}\n");
    while !started(std::fs::read_to_string(&log).unwrap_or_default()) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::fs::rename(&log, &moved).expect("the same directory");
    instance.signal(Signal::HUP);
    while !log.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_killed_instance_does_not_stand_in_the_way_and_a_living_one_does() {
    let mut instance = Instance::start("");
    let journal = instance.directory.path().join("journal");
    let lines = format!("[nat44]\njournal = \"{}\"", journal.display());
    let journaled = config(&instance.directory, "").replace("[nat44]", &lines);
    instance.signal(Signal::TERM);
    instance.end();
    instance.child = spawn_with(&instance.directory, &journaled);
    let output = instance.vnf(&["status", "--wait", "60"]);
    assert_eq!(output.status.code(), Some(0), "{}", instance.log());
    let output = instance.vnf(&["run", "-c", &instance.file().display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let words = text(&output.stderr);
    assert!(words.contains("another vnf answers on"), "{words}");
    instance.json(&["status"]);

    instance.signal(Signal::KILL);
    instance.end();
    assert!(instance.directory.path().join("vnf.sock").exists());
    let leases = std::fs::read_to_string(&journal).expect("a journal");
    assert!(leases.lines().count() > 2, "{leases}");
    instance.child = spawn_with(&instance.directory, &journaled);
    let output = instance.vnf(&["status", "--wait", "60"]);
    assert_eq!(output.status.code(), Some(0), "{}", instance.log());
    let held = |row: &Value| row["ports_held"].as_u64().unwrap_or_default();
    let pool = instance.json(&["show", "pool"]);
    let rows = pool.as_array().expect("a list");
    assert!(rows.iter().all(|row| held(row) > 0), "what was leased rests: {pool}");
    instance.signal(Signal::INT);
    assert_eq!(instance.end().code(), Some(0), "{}", instance.log());
    assert!(std::fs::read_to_string(&journal).expect("a journal").contains("\nstopped "));
}

#[test]
fn the_tcp_listener_shows_figures_and_changes_nothing() {
    let instance = Instance::start("");
    let address: std::net::SocketAddr = instance
        .log()
        .lines()
        .find_map(|line| line.split_once("figures on http://")?.1.trim().parse().ok())
        .expect("the log says where");
    let metrics = ask(address, "GET /metrics");
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
    assert!(metrics.contains("\nvnf_session_limit 10000\n"), "{metrics}");
    assert!(metrics.contains("\nvnf_drops_total{reason=\"acl-denied\"} 0\n"), "{metrics}");
    assert!(ask(address, "GET /readyz").ends_with("\r\n\r\nready\n"));
    assert!(ask(address, "GET /").contains("<!doctype html>"));
    assert!(ask(address, "GET /v1/status").contains("\"state\":\"running\""));
    assert!(ask(address, "DELETE /v1/sessions").starts_with("HTTP/1.1 404 "));
    assert!(ask(address, "DELETE /v1/status").starts_with("HTTP/1.1 405 "));
}

fn ask(address: std::net::SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "{head} HTTP/1.1\r\nhost: vnf\r\nconnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}
