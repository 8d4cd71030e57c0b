//! Several records side by side.

use super::{Finding, Record, page, sections};
use crate::page::{Page, Section, State, Table};
use crate::search::stats::Ratio;

/// The page of named records: of one its own, of several a comparison with the first and then all of them.
pub fn comparison(records: &[(String, Record)]) -> Page {
    let [(first, baseline), others @ ..] = records else { return Page::default() };
    if others.is_empty() {
        return page(baseline);
    }
    let names: Vec<&str> = records.iter().map(|(name, _)| name.as_str()).collect();
    let mut all = vec![compare((first, baseline), others)];
    for (name, record) in records {
        all.extend(
            sections(record)
                .into_iter()
                .map(|section| Section { title: format!("{name}: {}", section.title), ..section }),
        );
    }
    Page {
        title: names.join(" and "),
        subtitle: format!("compared with {first}, {}", baseline.started),
        sections: all,
    }
}

fn compare((first, baseline): (&str, &Record), others: &[(String, Record)]) -> Section {
    let headings = [
        "size",
        "flows>",
        "quantity",
        "of",
        "value>",
        "baseline>",
        "ratio>",
        "95 % interval>",
        "difference",
    ];
    let mut table = Table::new(headings);
    for (case, before) in findings(baseline) {
        for (name, record) in others {
            let same = findings(record).find(|(other, found)| {
                (other.0, other.1) == (case.0, case.1)
                    && (&found.name, found.unit) == (&before.name, before.unit)
            });
            let Some((_, after)) = same else { continue };
            let (ratio, interval, difference) = judge(before, after);
            table.push([
                case.0.to_owned(),
                case.1.to_string(),
                before.name.clone(),
                name.clone(),
                after.value(),
                before.value(),
                ratio,
                interval,
                difference.to_owned(),
            ]);
        }
    }
    let mut notes = vec![format!(
        "Ratios to {first}, with the bootstrap 95 % interval of the ratio of the means. Where it holds 1, no difference was shown."
    )];
    let mut state = State::Neutral;
    if table.rows.is_empty() {
        notes.push("The records have no size, number of flows and quantity in common.".to_owned());
        state = State::Warning;
    }
    Section {
        title: "Comparison".to_owned(),
        state,
        notes,
        tables: vec![table],
        ..Section::default()
    }
}

fn judge(before: &Finding, after: &Finding) -> (String, String, &'static str) {
    if before.at_least || after.at_least {
        return (String::new(), String::new(), "limited by the generator");
    }
    match Ratio::of(&before.runs, &after.runs) {
        Some(found) => {
            let interval = format!("{:.3} to {:.3}", found.low, found.high);
            let difference = match (found.is_significant(), found.ratio > 1.0) {
                (false, _) => "none shown",
                (true, true) => "higher",
                (true, false) => "lower",
            };
            (format!("{:.3}", found.ratio), interval, difference)
        }
        // A single run has no interval, and without one a ratio tempts to read it.
        None => (String::new(), String::new(), "needs two runs or more of each (--repeat)"),
    }
}

fn findings(record: &Record) -> impl Iterator<Item = ((&str, u64), &Finding)> {
    let cases = record.cases.iter();
    cases.flat_map(|case| {
        case.findings.iter().map(|found| ((case.size.as_str(), case.flows), found))
    })
}
