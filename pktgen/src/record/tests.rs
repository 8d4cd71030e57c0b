//! A made-up record, for everything that is made from records.

mod screenshot;

use super::*;
use crate::search::simulated::Simulated;
use crate::search::{Preset, Search, Subject};

/// A search of a path that can do `capacity` frames per second, with all that a record can have.
pub(crate) fn record(capacity: f64, repetitions: u32) -> Record {
    let case = |size: &str, flows: u64, capacity: f64| {
        let mut case = Case {
            size: size.to_owned(),
            mean_size: size.parse().unwrap_or(361.8),
            flows,
            ..Case::default()
        };
        let mut runs: Vec<Vec<f64>> = vec![Vec::new(); 2];
        for repetition in 1..=repetitions {
            let capacity = capacity * (1.0 + 0.004 * f64::from(repetition % 3));
            let mut path = Simulated { softness: 0.02, ..Simulated::sharp(capacity) };
            let mut search =
                Search::new(Preset::Quick.goals(), Preset::Quick.selection(), (100.0, 5e6), None);
            let found = search.run(&mut path).unwrap();
            for (runs, bounds) in runs.iter_mut().zip(&found) {
                runs.push(bounds.lower.unwrap() * 2.0);
            }
            for share in [0.001, 0.1, 0.5, 0.9, 1.0] {
                path.trial(found[0].lower.unwrap() * share, 8.0).unwrap();
            }
            let first = case.trials.len() as u64 + 1;
            let searched = path.trials.len() - 5;
            let numbered = path.trials.iter().zip(first..).enumerate();
            case.trials.extend(numbered.map(|(index, (sample, number))| {
                trial(
                    sample,
                    number,
                    repetition,
                    if index < searched { "search" } else { "latency" },
                )
            }));
            case.bounds.push(found);
        }
        for (name, runs) in ["NDR", "PDR"].into_iter().zip(runs) {
            case.findings.push(Finding::new(name, Unit::Pps, runs));
        }
        let p99 = case.trials.last().unwrap().latency_ns.p99 as f64;
        case.findings.push(Finding::new("p99 at NDR", Unit::Ns, vec![p99]));
        case
    };
    Record {
        schema: SCHEMA.to_owned(),
        command: "/usr/bin/pktgen mlr -p a -p b --preset quick --sizes 64,imix --html x -q"
            .split(' ')
            .map(str::to_owned)
            .collect(),
        started: "2026-01-02T03:04:05Z".to_owned(),
        elapsed_s: 123.0,
        setup: Setup {
            ports: vec!["net_memif0,socket=/run/lan.sock".to_owned(), "net_memif1".to_owned()],
            sut: "nat44".to_owned(),
            directions: vec!["outward".to_owned(), "inward".to_owned()],
            protocols: "udp".to_owned(),
            seed: 7,
            core: 1,
            max_load_pps: 5e6,
        },
        host: Host::read(0, false),
        cases: vec![case("64", 1000, capacity), case("imix", 64_000, capacity / 2.0)],
        warnings: vec!["a trial of 60 s would be needed for RFC 2544".to_owned()],
        ..Record::default()
    }
}

fn trial(sample: &Sample, number: u64, repetition: u32, purpose: &str) -> TrialRecord {
    let tail = sample.load / 5e6 * 2000.0;
    let value = |k: u64| (5000.0 + 400.0 * tail / (200 - k) as f64) as u64 + k;
    let latency_histogram: Vec<(u64, u64)> = (0..200).map(|k| (value(k), 10)).collect();
    let [min, p50, p90, p99, p999, max] = [0, 100, 180, 198, 199, 199].map(value);
    let lost = sample.lost;
    let second = |at: u64| Second {
        at_s: at as f64,
        sent: (sample.load * 2.0) as u64,
        received: ((sample.load * 2.0) * (1.0 - sample.loss_ratio())) as u64,
        p50_ns: 6000 + at * 40,
        p99_ns: 9000 + at * 90,
        p999_ns: 20_000 + (at % 4) * 3000,
        ..Second::default()
    };
    let offenders = (0..3).map(|flow| Offender {
        flow,
        direction: "inward".to_owned(),
        endpoints: format!("10.0.0.2:{} ↔ 198.51.100.2:7", 1024 + flow),
        sent: 1000,
        lost: 30 - u64::from(flow),
    });
    TrialRecord {
        number,
        repetition,
        purpose: purpose.to_owned(),
        load_pps: Some(sample.load),
        duration_s: sample.duration_s,
        intended: sample.intended,
        sent: sample.intended,
        received: sample.intended - lost,
        lost,
        loss_ratio: sample.loss_ratio(),
        defects: [("bad_ttl", 0), ("dup", 0), ("reorder", 0)]
            .map(|(name, n)| (name.to_owned(), n))
            .into(),
        latency_ns: Quantiles { min, p50, p90, p99, p999, max },
        latency_histogram,
        seconds: (1..=sample.duration_s as u64).map(second).collect(),
        offenders: if lost > 0 { offenders.collect() } else { Vec::new() },
        ..TrialRecord::default()
    }
}

/// Every path of keys in a JSON value, lists by their first element.
fn keys(value: &serde_json::Value, path: &str, into: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(name, value)| {
                let open = matches!(path.rsplit('.').next(), Some("defects" | "classes"));
                let path = if open { format!("{path}.*") } else { format!("{path}.{name}") };
                keys(value, &path, into);
            })
        }
        serde_json::Value::Array(items) => {
            items.iter().take(1).for_each(|item| keys(item, &format!("{path}[]"), into));
            if items.is_empty() {
                into.push(path.to_owned());
            }
        }
        _ => into.push(path.to_owned()),
    }
}

#[test]
fn the_schema_has_the_keys_that_programs_rely_on() {
    let mut record = record(2e6, 1);
    record.profile = Some(String::new());
    record.calibration = Some(serde_json::json!({}));
    let trials = &mut record.cases[0].trials;
    trials.retain(|trial| !trial.seconds.is_empty() && trial.purpose == "latency");
    trials[0].offenders = vec![Offender::default()];
    trials[0].classes.insert("ndr".to_owned(), 'L');
    trials[0].intended_latency_ns = Some(Quantiles::default());
    let mut found = Vec::new();
    keys(&serde_json::to_value(&record).unwrap(), "", &mut found);
    found.sort();
    found.dedup();
    let golden: Vec<&str> = include_str!("tests/schema.txt").lines().collect();
    assert_eq!(found, golden, "a change here is a new version of the schema");
}

#[test]
fn a_record_is_read_back_as_it_was_written() {
    let record = record(2e6, 2);
    let json = serde_json::to_string(&record).unwrap();
    let again: Record = serde_json::from_str(&json).unwrap();
    assert!(serde_json::to_string(&again).unwrap() == json, "values or their order differ");
    assert_eq!(page(&again), page(&record));
}

#[test]
fn the_page_has_every_part() {
    let page = page(&record(2e6, 3));
    let titles: Vec<&str> = page.sections.iter().map(|section| section.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "Results",
            "Load and loss",
            "Latency",
            "Over time",
            "Flows that lost most",
            "Correctness",
            "Environment",
            "What these numbers do not show"
        ]
    );
    assert_eq!(page.title, "pktgen mlr --preset quick --sizes 64,imix");
    assert_eq!(page.sections[2].plots[0].series.len(), 5, "latency at five loads");
    assert_eq!(page.sections[1].plots[0].marks.len(), 4, "bounds of NDR and PDR");
}

#[test]
fn correctness_is_green_only_if_all_counters_are_0() {
    let state = |record: &Record| {
        let sections = sections(record);
        sections.into_iter().find(|section| section.title == "Correctness").unwrap().state
    };
    let mut record = record(2e6, 1);
    assert_eq!(state(&record), crate::page::State::Good);
    let defects = &mut record.cases[1].trials[3].defects;
    defects.insert("foreign".to_owned(), 5);
    assert_eq!(state(&record), crate::page::State::Good, "strangers' frames");
    record.cases[1].trials[3].defects.insert("remap".to_owned(), 1);
    assert_eq!(state(&record), crate::page::State::Bad);
}

#[test]
fn two_records_are_compared_with_intervals_and_single_runs_are_not() {
    let name = |name: &str, record| (name.to_owned(), record);
    let several = comparison(&[name("a", record(2e6, 3)), name("b", record(2.4e6, 3))]);
    let rows = &several.sections[0].tables[0].rows;
    let ndr = &rows[0];
    assert_eq!((ndr[2].as_str(), ndr[8].as_str()), ("NDR", "higher"), "{ndr:?}");
    assert!((ndr[6].parse::<f64>().unwrap() - 1.2).abs() < 0.02, "{ndr:?}");
    let single = comparison(&[name("a", record(2e6, 1)), name("b", record(2.4e6, 1))]);
    let ndr = &single.sections[0].tables[0].rows[0];
    assert!(ndr[6].is_empty() && ndr[8].contains("--repeat"), "{ndr:?}");
}

#[test]
fn csv_files_have_a_line_for_each_trial() {
    let record = record(2e6, 1);
    let files: BTreeMap<_, _> = csv_files(&record).into_iter().collect();
    let trials: usize = record.cases.iter().map(|case| case.trials.len()).sum();
    assert_eq!(files["trials.csv"].lines().count(), trials + 1);
    assert_eq!(files["results.csv"].lines().count(), 7);
    assert!(files["latency.csv"].starts_with("size,flows,number,latency_ns,count\r\n"));
}
