//! Client commands against a fake instance: what they print, and how they end.

use std::path::Path;

use clap::CommandFactory;
use serde_json::{Value, json};

use super::*;
use crate::mgmt::testing::Fake;
use crate::mgmt::view::samples;

/// Runs one command line against a fake instance that lives on a thread of its own.
struct Bench {
    fake: Fake,
    _runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let fake = runtime.block_on(Fake::start());
        Self { fake, _runtime: runtime }
    }

    fn run(&self, line: &str) -> anyhow::Result<String> {
        run(&self.fake.socket(), line)
    }

    fn json(&self, line: &str) -> Value {
        let text = self.run(&format!("{line} --json")).expect("an answer");
        assert!(text.ends_with('\n'));
        serde_json::from_str(&text).expect("one JSON document")
    }
}

fn run(socket: &Path, line: &str) -> anyhow::Result<String> {
    let words = ["vnf"].into_iter().chain(line.split(' '));
    let words = words.map(Into::into).chain(["--socket".into(), socket.into()]);
    let arguments = Arguments::try_parse_from::<_, std::ffi::OsString>(words)?;
    let mut out = Vec::new();
    arguments.run(&mut out)?;
    Ok(String::from_utf8(out).expect("text"))
}

fn ended(outcome: anyhow::Result<String>) -> (ExitCode, String) {
    let mut err = Vec::new();
    let code = report(&outcome.expect_err("a failure"), &mut err);
    (code, String::from_utf8(err).expect("text"))
}

#[test]
fn the_command_line_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn json_is_what_the_api_says() {
    let bench = Bench::new();
    assert_eq!(bench.json("status"), json!(samples::status()));
    assert_eq!(bench.json("show ports"), json!([samples::port()]));
    assert_eq!(bench.json("show workers"), json!([samples::worker()]));
    assert_eq!(bench.json("show sessions --limit 1"), json!([samples::session()]));
    assert_eq!(bench.json("show mappings --limit 1"), json!([samples::mapping()]));
    assert_eq!(bench.json("show hosts --limit 1"), json!([samples::host()]));
    assert_eq!(bench.json("show pool"), json!([samples::pool()]));
    assert_eq!(bench.json("show acl"), json!([samples::acl()]));
    assert_eq!(bench.json("show routes"), json!([samples::route()]));
    assert_eq!(bench.json("show neighbors"), json!([samples::neighbor()]));
    assert_eq!(bench.json("show drops"), json!({"acl-denied": 7, "no-route": 0}));
    assert_eq!(bench.json("show memory"), json!([samples::memory()]));
    assert_eq!(bench.json("show config")["file"], "vnf.toml");
    assert_eq!(bench.json("show version"), json!(samples::version()));
    assert_eq!(bench.json("who 198.51.100.10:1024"), json!(samples::who()));
    assert_eq!(bench.json("clear counters"), json!({}));
    assert_eq!(bench.json("clear sessions"), json!({"sessions_ended": 2}));
}

#[test]
fn tables_name_what_they_show() {
    let bench = Bench::new();
    for (line, expected) in [
        ("show acl", "from-lan: default deny, 2 packets\n"),
        ("show acl", "   0        5    500  permit tcp from 10.0.0.0/24 to any port 80\n"),
        ("show acl --name from-lan --limit 1", "permit tcp from 10.0.0.0/24 to any port 80\n"),
        (
            "show acl --limit 0",
            "only the first 0 rules are shown; --limit N shows more, --json all\n",
        ),
        ("show config", "[dpdk]\nmain_core = 0\n"),
        ("show drops", "acl-denied         7  A rule or the default of the port's ACL denied"),
        ("show drops", "no-route           0  No route to the destination"),
        ("show hosts", "10.0.0.2  198.51.100.10         1         1  1024-1535\n"),
        (
            "show mappings",
            "udp       10.0.0.2:5000  198.51.100.10:1024  dynamic         1     299s",
        ),
        ("show memory", "sessions-0  1000 B    50       100\n"),
        ("show neighbors", "198.51.100.254  02:00:00:00:00:fe  wan   reachable\n"),
        ("show pool", "198.51.100.10       0           4           1        64512\n"),
        ("show ports", "lan   up    02:00:00:00:00:01  1500  net_tap  10.0.0.1/24"),
        ("show routes", "0.0.0.0/0  198.51.100.254  wan   static\n"),
        ("show sessions", "udp       10.0.0.2:5000  198.51.100.10:1024  203.0.113.7:53  open"),
        ("show version", "vnf 0.1.0\nDPDK 22.11.11\n"),
        ("show workers", "     0     1  lan wan   25%     210    3.5"),
        ("status", "vnf 0.1.0 on DPDK 22.11.11, running for 1h 2m\n"),
        ("status", "acl-denied         7\n"),
        ("clear counters", "counters are at zero\n"),
        ("clear sessions --protocol tcp", "2 sessions ended\n"),
    ] {
        let text = bench.run(line).expect("an answer");
        assert!(text.contains(expected), "`{line}` misses {expected:?} in\n{text}");
    }
    assert!(!bench.run("status").expect("an answer").contains("no-route"), "zeros are left out");
}

#[test]
fn humans_are_told_where_a_list_was_cut() {
    let bench = Bench::new();
    let text = bench.run("show sessions --limit 3").expect("an answer");
    assert_eq!(text.lines().filter(|line| line.starts_with("udp")).count(), 3);
    assert!(text.ends_with("only the first 3 are shown; --limit N shows more, --json all\n"));
    let whole = bench.run("show sessions --limit 4").expect("an answer");
    assert!(!whole.contains("only the first"));
    assert_eq!(bench.json("show sessions").as_array().map(Vec::len), Some(4));
}

#[test]
fn a_list_that_does_not_exist_is_no_answer() {
    let bench = Bench::new();
    let error = bench.run("show acl --name to-lan").expect_err("there is one list");
    assert!(error.to_string().contains("there is no ACL named \"to-lan\""), "{error}");
    assert_eq!(bench.json("show acl --limit 0")[0]["rules"], json!([]));
}

#[test]
fn filters_travel_in_the_query() {
    let bench = Bench::new();
    bench
        .run("clear sessions --vrf red --host fd00:a::2 --protocol icmpv6 --port 7")
        .expect("an answer");
    let memory = bench.fake.memory.lock().expect("unpoisoned");
    let filter = &memory.filters[0];
    assert_eq!(filter.host.map(|host| host.to_string()).as_deref(), Some("fd00:a::2"));
    assert_eq!(filter.protocol.map(|protocol| protocol.0), Some(58));
    assert_eq!(filter.port, Some(7));
    assert_eq!(filter.vrf.as_deref(), Some("red"));
}

#[test]
fn a_reload_sends_the_file_or_names_none() {
    let bench = Bench::new();
    let path = bench.fake.directory.path().join("a new & better.toml");
    std::fs::write(&path, "new").expect("a file");
    std::fs::write(bench.fake.directory.path().join("vnf.toml"), "old").expect("a file");
    let arguments = |dry_run: bool| {
        let mut words = vec!["vnf".into(), "reload".into(), "-c".into(), path.clone().into()];
        words.extend(dry_run.then(|| "--dry-run".into()));
        words.extend(["--socket".into(), bench.fake.socket().into()]);
        Arguments::try_parse_from::<_, std::ffi::OsString>(words).expect("a command line")
    };
    let mut out = Vec::new();
    arguments(true).run(&mut out).expect("an answer");
    assert_eq!(out, b"route 10.1.0.0/16 added\n2 sessions would end\n");
    out.clear();
    arguments(false).run(&mut out).expect("an answer");
    assert_eq!(out, b"route 10.1.0.0/16 added\n2 sessions ended\n");
    bench.run("reload").expect("an answer");
    let memory = bench.fake.memory.lock().expect("unpoisoned");
    let sent: Vec<_> =
        memory.reloads.iter().map(|r| (Path::new(&r.file), r.text.as_str(), r.dry_run)).collect();
    let own = bench.fake.directory.path().join("vnf.toml");
    assert_eq!(sent, [(&*path, "new", true), (&*path, "new", false), (&*own, "old", false)]);
}

#[test]
fn a_wrong_configuration_ends_with_2_and_a_line_for_each_error() {
    let bench = Bench::new();
    std::fs::write(bench.fake.directory.path().join("vnf.toml"), "wrong").expect("a file");
    let (code, text) = ended(bench.run("reload"));
    assert_eq!((code, text.as_str()), (ExitCode::from(2), "a:1: x: wrong\na:2: y: wrong\n"));
    let (code, text) = ended(bench.run("reload -c /nonexistent/vnf.toml"));
    assert_eq!(code, ExitCode::from(2));
    assert!(text.starts_with("/nonexistent/vnf.toml: cannot be read: "), "{text}");
}

#[test]
fn a_change_that_needs_a_restart_ends_with_1() {
    let bench = Bench::new();
    std::fs::write(bench.fake.directory.path().join("vnf.toml"), "restart").expect("a file");
    let (code, text) = ended(bench.run("reload --dry-run"));
    assert_eq!((code, text.as_str()), (ExitCode::FAILURE, "vnf: dpdk.memory: needs a restart\n"));
}

#[test]
fn who_holds_an_endpoint_now_is_a_row_and_nobody_is_a_failure() {
    let bench = Bench::new();
    let out = bench.run("who 198.51.100.10:1024").expect("a holder");
    assert!(out.ends_with("udp       10.0.0.2:5000  holds it\n"), "{out}");
    let (code, text) = ended(bench.run("who 198.51.100.10:1025 --protocol udp"));
    let expected = "vnf: nobody holds 198.51.100.10:1025 (udp)\n";
    assert_eq!((code, text.as_str()), (ExitCode::FAILURE, expected));
    assert!(bench.run("who 198.51.100.10").is_err(), "a port is needed");
    assert!(bench.run("who 198.51.100.10:1024 --at yesterday").is_err());
}

#[test]
fn who_held_an_endpoint_is_what_the_log_says() {
    let bench = Bench::new();
    let log = bench.fake.directory.path().join("nat.jsonl");
    let line = |time: &str, event: &str, sessions: u32| {
        format!(
            "{{\"time\":\"2026-01-01T{time}.000Z\",\"event\":\"{event}\",\"protocol\":\"tcp\",\
             \"internal\":\"10.0.0.9:40000\",\"external\":\"198.51.100.10:2000\",\
             \"sessions\":{sessions}}}\n"
        )
    };
    let text = line("10:00:00", "opened", 1) + &line("11:00:00", "closed", 0);
    std::fs::write(&log, text).expect("a file");
    let who = |at: &str| bench.run(&format!("who 198.51.100.10:2000 --at {at}"));
    let (_, text) = ended(who("2026-01-01T10:30:00Z"));
    assert_eq!(text, "vnf: nothing is translated here, and nothing logged\n");
    bench.fake.memory.lock().expect("unpoisoned").log = Some(log.clone());
    let out = who("2026-01-01T11:30:00+01:00").expect("a holder");
    assert!(out.ends_with("10.0.0.9:40000  logged at 2026-01-01T10:00:00.000Z\n"), "{out}");
    let (code, text) = ended(who("2026-01-01T11:30:00Z"));
    let expected = "vnf: nobody held 198.51.100.10:2000 at 2026-01-01T11:30:00.000Z; \
                    10.0.0.9:40000 (tcp) did until 2026-01-01T11:00:00.000Z\n";
    assert_eq!((code, text.as_str()), (ExitCode::FAILURE, expected));
    let (_, text) = ended(who("2026-01-01T09:00:00Z"));
    let rest = "does not say who held 198.51.100.10:2000 at 2026-01-01T09:00:00.000Z\n";
    assert_eq!(text, format!("vnf: {} {rest}", log.display()));
}

#[test]
fn nobody_on_the_socket_is_one_line_with_advice() {
    let (code, text) = ended(run(Path::new("/nonexistent/vnf.sock"), "show ports"));
    assert_eq!(code, ExitCode::FAILURE);
    let expected = "vnf: cannot reach vnf at /nonexistent/vnf.sock: No such file or directory \
                    (os error 2); is it running? start it with `vnf run -c FILE`\n";
    assert_eq!(text, expected);
}

#[test]
fn waiting_ends_when_the_instance_is_ready_and_tells_what_was_missing() {
    let bench = Bench::new();
    bench.fake.memory.lock().expect("unpoisoned").port_down = true;
    let (code, text) = ended(bench.run("status --wait 0"));
    assert_eq!(code, ExitCode::FAILURE);
    assert!(text.starts_with("vnf: not ready after 0 s: "), "{text}");
    let memory = std::sync::Arc::clone(&bench.fake.memory);
    let mender = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        memory.lock().expect("unpoisoned").port_down = false;
    });
    assert!(bench.run("status --wait 60").is_ok());
    mender.join().expect("it slept well");
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let bench = Bench::new();
    for line in ["show ports", "show ports --json", "status", "clear counters"] {
        let socket = bench.fake.socket().display().to_string();
        let words = format!("vnf {line} --socket {socket}");
        let arguments = Arguments::try_parse_from(words.split(' ')).expect("a command line");
        let why = arguments.run(&mut Closed).expect_err("nobody reads");
        let mut err = Vec::new();
        assert_eq!(report(&why, &mut err), ExitCode::SUCCESS, "{line}: {why:#}");
        assert!(err.is_empty());
    }
}

#[test]
fn client_options_may_stand_before_the_command() {
    let ordered = |line: &str| {
        let words = super::client_options_last(line.split(' ').map(Into::into));
        words.join(std::ffi::OsStr::new(" ")).into_string().expect("UTF-8")
    };
    let wanted = "vnf show ports --socket /a --json";
    assert_eq!(ordered("vnf --socket /a --json show ports"), wanted);
    assert_eq!(ordered("vnf --socket=/a status"), "vnf status --socket=/a");
    assert_eq!(ordered("vnf status --socket /a"), "vnf status --socket /a");
    assert_eq!(ordered("vnf"), "vnf");
}
