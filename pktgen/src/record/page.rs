//! A record for people: the table of results, and the page.

use super::{Case, Finding, Offender, Record};
use crate::page::{Page, Section, State, Table};
use crate::plot::Unit;

/// The page of one record.
pub fn page(record: &Record) -> Page {
    Page {
        title: title(&record.command),
        subtitle: format!(
            "{}, {} on {} ({} cores), Linux {}",
            record.started,
            Unit::S.format(record.elapsed_s),
            record.host.cpu,
            record.host.cores,
            record.host.kernel
        ),
        sections: sections(record),
    }
}

/// The command without its path, its ports and its files.
fn title(command: &[String]) -> String {
    let mut words = Vec::new();
    let mut rest = command.iter().skip(1);
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-p" | "--port" | "--json" | "--csv" | "--html" | "--hook" | "-c" => _ = rest.next(),
            "-q" | "--quiet" | "--live" => {}
            word => words.push(word),
        }
    }
    format!("pktgen {}", words.join(" "))
}

/// The parts of a record's page.
pub fn sections(record: &Record) -> Vec<Section> {
    let mut sections = vec![result_section(record)];
    let loss = record.plots(Case::loss_plot);
    if !loss.is_empty() {
        let note = "Each point is a trial; frames that the generator could not send count as lost.";
        sections.push(Section {
            title: "Load and loss".to_owned(),
            notes: vec![note.to_owned()],
            plots: loss,
            ..Section::default()
        });
    }
    let latency = record.plots(Case::latency_plot);
    if !latency.is_empty() {
        let note = "Of every frame, from just before it was sent to just after it was received; \
            the generator's own share is in it and is not subtracted.";
        sections.push(Section {
            title: "Latency".to_owned(),
            notes: vec![note.to_owned()],
            plots: latency,
            ..Section::default()
        });
    }
    let time: Vec<_> = record.cases.iter().flat_map(Case::time_plots).collect();
    if !time.is_empty() {
        let note = "Of the longest trial. \"Missing\" is what was sent and did not arrive in the same second.";
        sections.push(Section {
            title: "Over time".to_owned(),
            notes: vec![note.to_owned()],
            plots: time,
            ..Section::default()
        });
    }
    sections.extend(offender_section(record));
    sections.push(correctness_section(record));
    sections.push(environment_section(record));
    sections.push(limits_section(record));
    sections
}

/// The table of all findings.
pub fn results(record: &Record) -> Table {
    let spread =
        record.cases.iter().flat_map(|case| &case.findings).any(|found| found.runs.len() > 1);
    let mut table = if spread {
        Table::new([
            "size", "flows>", "quantity", "value>", "L2>", "σ>", "min>", "max>", "runs>", "remark",
        ])
    } else {
        Table::new(["size", "flows>", "quantity", "value>", "L2>", "remark"])
    };
    for case in &record.cases {
        for found in &case.findings {
            let mut row = vec![
                case.size.clone(),
                Unit::Count.format(case.flows as f64),
                found.name.clone(),
                found.value(),
                l2(case, found),
            ];
            if spread {
                let Finding { spread, unit, .. } = found;
                let several = spread.count > 1;
                let cell = |value: f64| if several { unit.format(value) } else { String::new() };
                row.extend([cell(spread.sigma), cell(spread.min), cell(spread.max)]);
                row.push(spread.count.to_string());
            }
            row.push(found.note.clone());
            table.rows.push(row);
        }
    }
    table
}

fn l2(case: &Case, found: &Finding) -> String {
    match found.unit {
        Unit::Pps => Unit::Bps.format(found.spread.mean * case.mean_size * 8.0),
        _ => String::new(),
    }
}

fn result_section(record: &Record) -> Section {
    let limited = record.cases.iter().flat_map(|case| &case.findings).any(|found| found.at_least);
    let mut notes = vec![format!(
        "Rates are sums over the directions sent: {}.",
        record.setup.directions.join(" and ")
    )];
    if limited {
        notes.push("≥: the generator was the limit, not the tested path.".to_owned());
    }
    Section {
        title: "Results".to_owned(),
        state: if record.warnings.is_empty() { State::Neutral } else { State::Warning },
        notes,
        tables: vec![results(record)],
        points: record.warnings.clone(),
        ..Section::default()
    }
}

fn offender_section(record: &Record) -> Option<Section> {
    let worst = |case: &Case| {
        let lossy = case.trials.iter().filter(|trial| !trial.offenders.is_empty());
        lossy.max_by_key(|trial| trial.number).map(|trial| (case.name(), trial.clone()))
    };
    let mut table = Table::new([
        "case",
        "trial>",
        "load>",
        "flow>",
        "endpoints",
        "direction",
        "sent>",
        "lost>",
        "loss>",
    ]);
    for (name, trial) in record.cases.iter().filter_map(worst) {
        for Offender { flow, direction, endpoints, sent, lost } in &trial.offenders {
            table.push([
                name.clone(),
                trial.number.to_string(),
                trial.load_pps.map_or("max".to_owned(), |load| Unit::Pps.format(load)),
                flow.to_string(),
                endpoints.clone(),
                direction.clone(),
                sent.to_string(),
                lost.to_string(),
                Unit::Ratio.format(*lost as f64 / (*sent).max(1) as f64),
            ]);
        }
    }
    (!table.rows.is_empty()).then(|| Section {
        title: "Flows that lost most".to_owned(),
        notes: vec!["Of the last trial of each case in which any frame was lost.".to_owned()],
        tables: vec![table],
        ..Section::default()
    })
}

fn correctness_section(record: &Record) -> Section {
    let mut sums = std::collections::BTreeMap::new();
    let trials = record.cases.iter().flat_map(|case| &case.trials);
    for (name, count) in trials.flat_map(|trial| &trial.defects) {
        *sums.entry(name.as_str()).or_insert(0) += count;
    }
    // Frames of others do not speak against the path.
    let wrong = |name: &str| !matches!(name, "foreign" | "other_run");
    let broken = sums.iter().any(|(name, count)| *count > 0 && wrong(name));
    let mut table = Table::new(["counter", "frames>"]);
    for (name, count) in &sums {
        table.push([(*name).to_owned(), count.to_string()]);
    }
    let (state, note) = match (sums.is_empty(), broken) {
        (true, _) => (State::Neutral, "Nothing was verified."),
        (false, false) => (State::Good, "Every frame that arrived was as it had to be."),
        (false, true) => (State::Bad, "Frames arrived that were not as they had to be:"),
    };
    let shown = if broken { table } else { Table::default() };
    let mut notes = vec![note.to_owned()];
    if state == State::Good {
        let names: Vec<&str> = sums.keys().copied().collect();
        notes.push(format!("All trials, each 0: {}.", names.join(", ")));
    }
    Section {
        title: "Correctness".to_owned(),
        state,
        notes,
        tables: if shown.rows.is_empty() { Vec::new() } else { vec![shown] },
        ..Section::default()
    }
}

fn environment_section(record: &Record) -> Section {
    let Record { host, setup, .. } = record;
    let or =
        |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    let facts = [
        ("command", record.command.join(" ")),
        ("path", format!("{}: {}", setup.sut, setup.ports.join(" ↔ "))),
        (
            "traffic",
            format!("{}, {}, seed {}", setup.protocols, setup.directions.join(" and "), setup.seed),
        ),
        ("highest load", format!("{} in each direction", Unit::Pps.format(setup.max_load_pps))),
        (
            "processor",
            format!(
                "{}, {} cores{}",
                host.cpu,
                host.cores,
                if host.virtual_machine { ", virtual machine" } else { "" }
            ),
        ),
        (
            "worker",
            format!(
                "core {}, governor {}, isolated cores: {}",
                setup.core,
                or(&host.governor, "unknown"),
                or(&host.isolated, "none")
            ),
        ),
        (
            "disturbance",
            format!(
                "{} context switches, {} stolen, load average {}",
                host.context_switches,
                Unit::S.format(host.steal_s),
                host.load_average
            ),
        ),
        (
            "software",
            format!("pktgen {} ({}), {}, Linux {}", host.pktgen, host.git, host.dpdk, host.kernel),
        ),
        ("memory", if host.hugepages { "hugepages" } else { "ordinary pages" }.to_owned()),
        ("calibration", record.calibration.as_ref().map_or("none".to_owned(), calibration)),
    ];
    Section {
        title: "Environment".to_owned(),
        tables: vec![Table::facts(facts)],
        ..Section::default()
    }
}

/// What the generator can do by itself, in a line.
fn calibration(found: &serde_json::Value) -> String {
    let written = |value: &serde_json::Value, unit: Unit| {
        value.as_f64().map_or("unknown".to_owned(), |value| unit.format(value))
    };
    let drivers: Vec<&str> = found["drivers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str())
        .collect();
    format!(
        "{}: at most {} in each direction without loss, latency {}, send error 99 % {}",
        drivers.join(" and "),
        written(&found["ceiling_pps"], Unit::Pps),
        written(&found["floor_ns"]["p50"], Unit::Ns),
        written(&found["send_error_ns"]["p99"], Unit::Ns)
    )
}

fn limits_section(record: &Record) -> Section {
    let Record { host, setup, cases, .. } = record;
    let trials = || cases.iter().flat_map(|case| &case.trials);
    let mut points = Vec::new();
    let mut point = |holds: bool, text: &str| {
        if holds {
            points.push(text.to_owned());
        }
    };
    let software = !setup.ports.is_empty() && !setup.ports.iter().any(|port| port.contains(':'));
    point(
        software,
        "The ports are software devices: network cards, their queues and the bus have no part in it, and the copy between the processes has.",
    );
    point(
        host.virtual_machine,
        "It ran in a virtual machine: other guests of the host may have had a part in it.",
    );
    point(
        host.isolated.is_empty(),
        "No core was isolated: the kernel and other programs took time from the worker.",
    );
    point(
        !host.governor.is_empty() && host.governor != "performance",
        "The processor changes its frequency: a short measurement may see another one than a long one.",
    );
    point(!host.hugepages, "Without hugepages there are more TLB misses than in production.");
    let (all, disturbed) = (trials().count(), trials().filter(|trial| trial.disturbed).count());
    point(
        disturbed > 0,
        &format!(
            "{disturbed} of {all} trials were disturbed: the worker lost its core more than ten times a second."
        ),
    );
    point(
        trials().any(|trial| trial.tg_limited),
        "In some trials the generator could not send all frames: there the loss says nothing about the path.",
    );
    point(
        record.calibration.is_none(),
        "The generator was not calibrated on this machine (pktgen calibrate): its own share of the latency is unknown.",
    );
    let findings = || cases.iter().flat_map(|case| &case.findings);
    point(
        findings().all(|found| found.runs.len() < 2),
        "Each figure was measured once: its spread is unknown (--repeat).",
    );
    point(
        cases.iter().all(|case| case.flows < 64_000),
        "With fewer than 64,000 flows the tables of the tested system stay in its caches.",
    );
    point(setup.directions.len() == 1, "Only one direction was loaded.");
    Section { title: "What these numbers do not show".to_owned(), points, ..Section::default() }
}
