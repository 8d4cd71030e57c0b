//! Whole commands over two rings that are joined.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn pktgen(dir: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pktgen"))
        .args(arguments.split(' '))
        .args(["-p", "ring:a", "-p", "ring:b"])
        .current_dir(dir)
        .output()
        .unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn finding<'a>(record: &'a Value, name: &str) -> &'a Value {
    let found = record["cases"][0]["findings"].as_array().unwrap();
    found.iter().find(|found| found["name"] == name).unwrap_or_else(|| panic!("{name}: {found:?}"))
}

#[test]
fn a_measurement_leaves_a_record_a_page_and_tables() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let options = "--sizes 128 --flows 50 --load 5kpps --max-load 10kpps --trial-time 600ms \
        --json one.json --html one.html --csv csv --seed 3";
    let output = pktgen(dir.path(), &format!("rfc8219 ipdv {options}"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let record = json(&at("one.json"));
    assert_eq!((&record["schema"], &record["setup"]["seed"]), (&"pktgen/1".into(), &3.into()));
    let trial = &record["cases"][0]["trials"][0];
    assert_eq!((&trial["intended"], &trial["load_pps"]), (&6000.into(), &5000.0.into()));
    let counts = trial["latency_histogram"].as_array().unwrap().iter();
    let counted: u64 = counts.map(|pair| pair[1].as_u64().unwrap()).sum();
    assert_eq!(trial["received"], counted);
    let [least, most] = ["IPDV, minimum", "IPDV, maximum"]
        .map(|name| finding(&record, name)["spread"]["mean"].as_f64().unwrap());
    assert!(least <= 0.0 && most >= 0.0, "{least} {most}");
    assert!(record["warnings"][0].as_str().unwrap().contains("Not compliant"));
    assert!(fs::read_to_string(at("one.html")).unwrap().contains("IPDV, median"));
    assert_eq!(fs::read_to_string(at("csv/trials.csv")).unwrap().lines().count(), 2);

    let report = |arguments: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pktgen"));
        command.args(arguments.split(' ')).current_dir(dir.path()).output().unwrap()
    };
    let again = report("report one.json --html two.html");
    assert!(again.status.success(), "{again:?}");
    let [one, two] = ["one.html", "two.html"].map(|name| fs::read_to_string(at(name)).unwrap());
    assert!(one == two, "a page made again is the same");
    fs::copy(at("one.json"), at("other.json")).unwrap();
    let compared = report("report one.json other.json");
    let text = String::from_utf8(compared.stdout).unwrap();
    assert!(text.contains("needs two runs or more"), "{text}");
    fs::write(at("old.json"), r#"{"schema":"pktgen/0"}"#).unwrap();
    assert_eq!(report("report old.json").status.code(), Some(2));
}

#[test]
fn recovery_and_reset_are_measured() {
    let dir = tempfile::tempdir().unwrap();
    let options = "--sizes 64 --flows 10 --load 2kpps --max-load 4kpps --trial-time 300ms -q";
    for (test, name) in
        [("recovery", "system recovery"), ("reset --reset-command true", "reset, longest gap")]
    {
        let word = test.split(' ').next().unwrap();
        let output = pktgen(dir.path(), &format!("rfc2544 {test} {options} --json {word}.json"));
        assert_eq!(output.status.code(), Some(0), "{test}: {output:?}");
        finding(&json(&dir.path().join(format!("{word}.json"))), name);
    }
}

#[test]
fn the_json_of_a_run_has_the_record_beside_its_figures() {
    let dir = tempfile::tempdir().unwrap();
    let options = "run --load 2kpps --time 1500ms --flows 10 --json run.json --html run.html -q";
    pktgen(dir.path(), options);
    let run = json(&dir.path().join("run.json"));
    assert_eq!((&run["schema"], &run["flows"]), (&"pktgen/1".into(), &10.into()));
    let trial = &run["cases"][0]["trials"][0];
    assert_eq!((&run["rx_packets"], &run["lost"]), (&trial["received"], &trial["lost"]));
    assert!(!trial["seconds"].as_array().unwrap().is_empty());
    assert!(dir.path().join("run.html").exists());
}
