//! Logs written by hand or by the thousand, and searched.

use std::fmt::Write as _;

use super::super::line::{Lines, Mark};
use super::super::output::Output;
use super::*;
use crate::config::VrfNames;
use crate::engine::ids::Tick;
use crate::engine::record::{Record, Recorded};

fn line(second: u32, event: &str, internal: &str, external: &str, sessions: u32) -> String {
    format!(
        "{{\"time\":\"2026-01-01T00:{:02}:{:02}.000Z\",\"event\":\"{event}\",\"protocol\":\"udp\",\
         \"internal\":\"{internal}\",\"external\":\"{external}\",\"sessions\":{sessions}}}\n",
        second / 60,
        second % 60
    )
}

fn mark(second: u32, event: &str) -> String {
    format!("{{\"time\":\"2026-01-01T00:00:{second:02}.000Z\",\"event\":\"{event}\"}}\n")
}

fn asked(log: &Path, external: &str, at: &str) -> Vec<Trace> {
    let external = external.parse().expect("an endpoint");
    let protocols = vec!["tcp".to_owned(), "udp".to_owned()];
    let question = Question { external, protocols, at: format!("2026-01-01T00:{at}.000Z") };
    search(log, &question).expect("a log")
}

/// Holder, and whether it held on, in short.
fn holder(log: &Path, external: &str, at: &str) -> Option<(String, bool)> {
    let traces = asked(log, external, at);
    assert!(traces.len() <= 1);
    traces.into_iter().next().map(|trace| (trace.internal, trace.held))
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a place");
    let log = directory.path().join("nat.jsonl");
    (directory, log)
}

fn write(log: &Path, text: &str) {
    let mut output = Output::open(log).expect("a log");
    std::io::Write::write_all(&mut output.file, text.as_bytes()).expect("room");
    output.wrote(text.as_bytes());
}

#[test]
fn the_holder_is_who_opened_last_until_nobody_shares_it() {
    let (_directory, log) = place();
    let external = "198.51.100.10:1024";
    write(
        &log,
        &[
            mark(0, "started"),
            line(1, "opened", "10.0.0.2:5000", external, 1),
            line(2, "opened", "10.0.0.2:5000", external, 2),
            line(3, "closed", "10.0.0.2:5000", external, 1),
            line(4, "closed", "10.0.0.2:5000", external, 0),
            line(5, "opened", "10.0.0.3:6000", external, 1),
        ]
        .concat(),
    );
    let held = |host: &str, held| Some((host.to_owned(), held));
    assert_eq!(holder(&log, external, "00:00"), None);
    assert_eq!(holder(&log, external, "00:01"), held("10.0.0.2:5000", true));
    assert_eq!(holder(&log, external, "00:03"), held("10.0.0.2:5000", true));
    assert_eq!(holder(&log, external, "00:04"), held("10.0.0.2:5000", false));
    assert_eq!(holder(&log, external, "59:59"), held("10.0.0.3:6000", true));
    assert_eq!(holder(&log, "198.51.100.10:102", "59:59"), None);
    assert_eq!(holder(&log, "98.51.100.10:1024", "59:59"), None);
}

#[test]
fn a_restart_ends_what_was_held_and_losses_are_told() {
    let (_directory, log) = place();
    write(
        &log,
        &[
            line(1, "opened", "10.0.0.2:5000", "198.51.100.10:1024", 1),
            mark(2, "lost\",\"records\":\"7"),
            line(3, "opened", "10.0.0.3:5000", "198.51.100.10:1025", 1),
            mark(9, "started"),
        ]
        .concat(),
    );
    assert_eq!(holder(&log, "198.51.100.10:1024", "00:09"), None);
    assert!(asked(&log, "198.51.100.10:1024", "00:08")[0].uncertain);
    assert!(!asked(&log, "198.51.100.10:1025", "00:08")[0].uncertain);
    assert!(!asked(&log, "198.51.100.10:1024", "00:01")[0].uncertain);
}

#[test]
fn a_port_of_a_block_belongs_to_the_host_that_was_given_it() {
    let (_directory, log) = place();
    let block = |second: u32, event: &str, host: &str, ports: &str| {
        format!(
            "{{\"time\":\"2026-01-01T00:00:{second:02}.000Z\",\"event\":\"{event}\",\
             \"internal\":\"{host}\",\"external\":\"198.51.100.10\",\"ports\":\"{ports}\"}}\n"
        )
    };
    write(
        &log,
        &[
            block(1, "given", "10.0.0.2", "1024-1535"),
            block(2, "given", "10.0.0.3", "1536-2047"),
            block(3, "returned", "10.0.0.2", "1024-1535"),
        ]
        .concat(),
    );
    let held = |host: &str, held| Some((host.to_owned(), held));
    assert_eq!(holder(&log, "198.51.100.10:1535", "00:02"), held("10.0.0.2", true));
    assert_eq!(holder(&log, "198.51.100.10:1535", "00:03"), held("10.0.0.2", false));
    assert_eq!(holder(&log, "198.51.100.10:1536", "00:03"), held("10.0.0.3", true));
    assert_eq!(holder(&log, "198.51.100.10:2048", "00:03"), None);
    assert_eq!(holder(&log, "198.51.100.1:1536", "00:03"), None);
}

/// Lines for a session of half a minute on each of many ports, one every second.
fn many(count: u32) -> String {
    let mut text = String::new();
    for second in 0..count {
        let (at, port) = (second % 3600, second % 50_000 + 1024);
        write!(
            text,
            "{}",
            line(at, "opened", &format!("10.0.0.2:{port}"), &format!("198.51.100.10:{port}"), 1)
        )
        .expect("a string takes everything");
    }
    text
}

#[test]
fn an_index_finds_what_reading_everything_finds() {
    let (_directory, log) = place();
    // Three chunks and a half within an hour, in pieces that do not end where chunks do.
    let text = many(3600);
    for round in 0..4 {
        let mut output = Output::open(&log).expect("a log");
        for part in text.split_inclusive('\n').collect::<Vec<_>>().chunks(700) {
            let part = part.concat().replace("10.0.0.2:", &format!("10.0.{round}.2:"));
            std::io::Write::write_all(&mut output.file, part.as_bytes()).expect("room");
            output.wrote(part.as_bytes());
        }
    }
    let file = File::open(&log).expect("a log");
    let index = Index::open(&log, &file).expect("readable").expect("an index");
    assert_eq!(index.entries(), 4 * 3600 / 4096, "each opening goes on where the last one ended");
    for port in [1024, 2000, 3071, 4000, 4623] {
        let external = format!("198.51.100.10:{port}");
        let expected = Some((format!("10.0.3.2:{port}"), true));
        assert_eq!(holder(&log, &external, "59:59"), expected);
    }
    assert_eq!(holder(&log, "198.51.100.10:999", "59:59"), None);
    let copy = log.with_file_name("other.jsonl");
    fs::copy(&log, &copy).expect("room");
    let without = asked(&copy, "198.51.100.10:2222", "30:00");
    assert_eq!(asked(&log, "198.51.100.10:2222", "30:00"), without);
    assert_eq!(without.len(), 1);
}

#[test]
fn rotated_files_are_searched_and_their_indexes_follow_them() {
    let (directory, log) = place();
    write(&log, &many(3600));
    write(&log, &many(3600));
    fs::rename(&log, directory.path().join("nat.jsonl.1")).expect("the same directory");
    write(&log, &line(3599, "opened", "10.9.9.9:1", "198.51.100.10:9", 1));
    let expected = Some(("10.0.0.2:2000".to_owned(), true));
    assert_eq!(holder(&log, "198.51.100.10:2000", "59:59"), expected);
    let indexes = || {
        let names = fs::read_dir(directory.path()).expect("a directory").flatten();
        names.filter(|entry| entry.path().extension().is_some_and(|e| e == SUFFIX)).count()
    };
    assert_eq!(indexes(), 1);
    fs::rename(directory.path().join("nat.jsonl.1"), directory.path().join("nat.jsonl.1.gz"))
        .expect("the same directory");
    write(&log, &line(3599, "opened", "10.9.9.9:2", "198.51.100.10:8", 1));
    assert_eq!(indexes(), 0, "the index of a file that is gone is removed");
    assert_eq!(holder(&log, "198.51.100.10:2000", "59:59"), None);
}

#[test]
fn an_emptied_file_does_not_keep_its_old_index() {
    let (_directory, log) = place();
    let mut output = Output::open(&log).expect("a log");
    let mut put = |text: &str| {
        std::io::Write::write_all(&mut output.file, text.as_bytes()).expect("room");
        output.wrote(text.as_bytes());
    };
    put(&many(3600));
    put(&many(3600));
    File::options().write(true).open(&log).expect("a log").set_len(0).expect("it shrinks");
    put(&line(3599, "opened", "10.9.9.9:1", "198.51.100.10:9", 1));
    put(&many(3600));
    let expected = Some(("10.9.9.9:1".to_owned(), true));
    assert_eq!(holder(&log, "198.51.100.10:9", "59:59"), expected);
}

/// Run it optimised, with `--nocapture`, to see what writing and a search cost.
#[test]
fn the_present_are_found_among_many_and_the_absent_are_not() {
    let (_directory, log) = place();
    let began = std::time::Instant::now();
    // 10,000,000 for the figures in docs/logging.md; that writes 1.5 GB.
    let count = std::env::var("VNF_LOG_RECORDS").ok().and_then(|n| n.parse().ok());
    let records = generate(&log, count.unwrap_or(200_000));
    println!("{records} records written and indexed in {:?}", began.elapsed());
    for (what, external) in [("present", "198.51.100.10:5000"), ("absent", "203.0.113.1:1")] {
        let question = Question {
            external: external.parse().expect("an endpoint"),
            protocols: vec!["udp".to_owned()],
            at: "9999-01-01T00:00:00.000Z".to_owned(),
        };
        let began = std::time::Instant::now();
        let found = search(&log, &question).expect("a log");
        println!("{what}: {} found in {:?}", found.len(), began.elapsed());
        assert_eq!(found.is_empty(), what == "absent", "{what}");
    }
}

#[test]
fn generated_records_are_found() {
    let (_directory, log) = place();
    generate(&log, 20_000);
    let external = "198.51.100.10:5000".parse().expect("an endpoint");
    let at = "9999-01-01T00:00:00.000Z".to_owned();
    let question = Question { external, protocols: vec!["udp".to_owned()], at };
    assert_eq!(search(&log, &question).expect("a log")[0].internal, "10.0.0.0:5000");
}

/// Every endpoint once, 50,000 a second.
fn generate(log: &Path, records: u32) -> u32 {
    let mut output = Output::open(log).expect("a log");
    let mut lines = Lines::new(Tick(0), VrfNames::default());
    let mut text = Vec::new();
    lines.mark(Mark::Started, Tick(0), &mut text);
    for number in 0..records {
        let (host, port) = (number >> 16, number as u16);
        let record = Record {
            at: Tick(u64::from(number) / 50),
            internal: ((0x0a00_0000 + host).into(), port),
            external: (0xc633_640a + host, port),
            sharing: Some(1),
            last_port: 0,
            protocol: 17,
            event: Recorded::Opened,
        };
        lines.record(&record, &mut text);
        if text.len() > 1 << 20 || number + 1 == records {
            std::io::Write::write_all(&mut output.file, &text).expect("room");
            output.wrote(&text);
            text.clear();
        }
    }
    records
}
