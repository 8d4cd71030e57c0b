//! The log's thread, with rings filled by hand.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::config::VrfNames;
use crate::engine::ids::Tick;
use crate::engine::record::{Record, Recorded};

struct Bench {
    writer: Writer,
    rings: Vec<Arc<Rings>>,
    counters: Vec<Arc<Counters>>,
    figures: Arc<Figures>,
    directory: tempfile::TempDir,
}

impl Bench {
    fn new(workers: usize) -> Self {
        let rings: Vec<_> = (0..workers).map(|_| Rings::new()).collect();
        let counters: Vec<_> = (0..workers).map(|_| Arc::new(Counters::new(0))).collect();
        let sources = rings.iter().zip(&counters).map(|(rings, counters)| Source {
            rings: Arc::clone(rings),
            counters: Arc::clone(counters),
        });
        let figures = Arc::<Figures>::default();
        let writer = Writer::new(
            sources.collect(),
            Clock::start(),
            Arc::clone(&figures),
            VrfNames::default(),
        );
        Self { writer, rings, counters, figures, directory: tempfile::tempdir().expect("a place") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn record(&self, worker: usize, port: u16) {
        let record = Record {
            at: Tick(1),
            internal: (0x0a00_0002.into(), port),
            external: (0xc633_640a, port),
            sharing: Some(1),
            last_port: 0,
            protocol: 17,
            event: Recorded::Opened,
        };
        self.rings[worker].records.push(record).expect("room");
    }

    fn drain(&mut self) {
        while self.writer.turn() {}
    }
}

/// The events of a log, and the external ports of those that have one.
fn events(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a log");
    let event = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        let external = line["external"].as_str().and_then(|text| text.rsplit(':').next());
        let event = line["event"].as_str().expect("an event");
        external.map_or(event.to_owned(), |port| format!("{event} {port}"))
    };
    text.lines().map(event).collect()
}

#[test]
fn records_of_all_workers_are_written_between_marks() {
    let mut bench = Bench::new(2);
    let path = bench.path("new/nat.jsonl");
    bench.writer.write_to(Some(path.clone()));
    bench.record(0, 1024);
    bench.record(1, 2048);
    bench.drain();
    bench.counters[1].records_lost.add(7);
    bench.record(0, 1025);
    bench.writer.finish();
    let expected = ["started", "opened 1024", "opened 2048", "opened 1025", "lost", "stopped"];
    assert_eq!(events(&path), expected);
    assert_eq!(bench.figures.written.load(Relaxed), 3);
    assert_eq!(fs::metadata(&path).expect("a log").permissions().mode() & 0o777, 0o640);
}

#[test]
fn nothing_is_written_while_the_log_is_off() {
    let mut bench = Bench::new(1);
    bench.record(0, 1);
    bench.drain();
    let path = bench.path("nat.jsonl");
    bench.writer.write_to(Some(path.clone()));
    bench.record(0, 3);
    bench.writer.write_to(None);
    bench.record(0, 4);
    bench.drain();
    bench.writer.write_to(Some(path.clone()));
    bench.drain();
    assert_eq!(events(&path), ["started", "opened 3", "stopped", "started"]);
}

#[test]
fn a_file_that_was_moved_away_is_written_to_until_it_is_opened_anew() {
    let mut bench = Bench::new(1);
    let (path, moved) = (bench.path("nat.jsonl"), bench.path("nat.jsonl.1"));
    bench.writer.write_to(Some(path.clone()));
    bench.drain();
    fs::rename(&path, &moved).expect("the same directory");
    bench.record(0, 1);
    bench.drain();
    bench.writer.reopen();
    bench.record(0, 2);
    bench.drain();
    assert_eq!(events(&moved), ["started", "opened 1"]);
    assert_eq!(events(&path), ["opened 2"]);
}

#[test]
fn a_log_goes_on_where_it_was_torn_off() {
    let mut bench = Bench::new(1);
    let path = bench.path("nat.jsonl");
    fs::write(&path, "{\"time\":\"20").expect("a file");
    bench.writer.write_to(Some(path.clone()));
    bench.writer.finish();
    let text = fs::read_to_string(&path).expect("a log");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "{\"time\":\"20"));
    assert!(lines[1].ends_with("\"started\"}"));
}

#[test]
fn what_cannot_be_written_waits_in_the_rings_and_is_not_lost_before_they_are_full() {
    let mut bench = Bench::new(1);
    let (place, path) = (bench.path("place"), bench.path("place/nat.jsonl"));
    fs::write(&place, "a file where the directory should be").expect("a file");
    bench.writer.write_to(Some(path.clone()));
    bench.record(0, 1);
    assert!(!bench.writer.turn());
    assert_eq!(bench.figures.errors.load(Relaxed), 1);
    bench.record(0, 2);
    assert!(!bench.writer.turn(), "it is left alone for a while");
    assert_eq!(bench.figures.errors.load(Relaxed), 1);
    assert!(!bench.rings[0].records.is_empty());
    fs::remove_file(&place).expect("a file");
    bench.writer.reopen();
    bench.drain();
    assert_eq!(events(&path), ["started", "opened 1", "opened 2"]);
}

#[test]
fn a_full_disk_tears_no_line() {
    // Writes to this device fail as on a full disk.
    let mut bench = Bench::new(1);
    bench.writer.write_to(Some(PathBuf::from("/dev/full")));
    bench.record(0, 1);
    assert!(!bench.writer.turn());
    assert_eq!(bench.figures.errors.load(Relaxed), 1);
    assert_eq!(bench.figures.written.load(Relaxed), 0);
}

#[test]
fn the_thread_writes_what_it_was_given_before_it_ends() {
    let bench = Bench::new(1);
    let path = bench.path("nat.jsonl");
    let (rings, counters) = (Arc::clone(&bench.rings[0]), Arc::clone(&bench.counters[0]));
    let log = NatLog::start(vec![Source { rings, counters }], Clock::start(), VrfNames::default())
        .expect("a thread");
    log.order(Order::WriteTo(Some(path.clone()), None));
    while !path.exists() {
        std::thread::yield_now();
    }
    bench.record(0, 9);
    log.stop();
    assert_eq!(events(&path), ["started", "opened 9", "stopped"]);
}

#[test]
fn rfc7422_3_parameters_are_on_record_at_start_at_every_change_and_daily() {
    let mut bench = Bench::new(1);
    let path = bench.path("nat.jsonl");
    let parameters = |factor: u16| {
        let text = format!(
            "[[port]]\nname = \"lan\"\ndevice = \"net_ring0\"\naddresses = [\"10.0.0.1/28\"]\nnat = \
             \"internal\"\n[[port]]\nname = \"wan\"\ndevice = \"net_ring1\"\naddresses = \
             [\"203.0.113.1/24\"]\nnat = \"external\"\n[nat44]\npool = [\"192.0.2.1\"]\nallocation = \
             \"deterministic\"\n[nat44.deterministic]\ninternal = [\"198.51.100.0/28\"]\n\
             overflow_factor = {factor}"
        );
        parameters(&crate::config::parse("test.toml", &text).unwrap_or_else(|e| panic!("{e}")))
    };
    bench.writer.describe(parameters(2));
    bench.writer.write_to(Some(path.clone()));
    bench.record(0, 1);
    bench.drain();
    bench.writer.describe(parameters(2));
    bench.writer.describe(parameters(3));
    bench.drain();
    bench.writer.described -= super::writer::DAY;
    bench.drain();
    bench.writer.describe(None);
    bench.writer.finish();
    let expected = ["started", "parameters", "opened 1", "parameters", "parameters", "stopped"];
    assert_eq!(events(&path), expected);
    let text = fs::read_to_string(&path).expect("a log");
    let line: Value = serde_json::from_str(text.lines().nth(1).expect("two lines")).expect("JSON");
    let expected = serde_json::json!({
        "time": line["time"], "event": "parameters", "algorithm": "sequential",
        "hosts_per_address": 14, "internal": ["198.51.100.0/28"], "max_blocks_per_host": 4,
        "overflow_block_size": 512, "overflow_factor": 2, "overflow_ports": "57472-65535",
        "pool": ["192.0.2.1"], "port_range": "1024-65535", "ports_per_host": 4032,
        "reserved_ports": [], "static_addresses": [],
    });
    assert_eq!(line, expected);
    let at = |at: &str| super::search::parameters_at(&path, at).expect("a log");
    assert_eq!(at("2999-01-01T00:00:00.000Z"), parameters(3));
    assert_eq!(at("1999-01-01T00:00:00.000Z"), None);
}
