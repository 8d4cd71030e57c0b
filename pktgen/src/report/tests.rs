use super::*;
use crate::latency::Latency;
use crate::measure::Trial;

fn settings() -> Settings {
    Settings {
        ports: vec!["net_ring_a".to_owned(), "net_ring_b".to_owned()],
        load: "100kpps".to_owned(),
        size: "64".to_owned(),
        streams: vec!["udp-ipv4".to_owned()],
        directions: vec!["outward", "inward"],
        sut: "nat44",
        hosts: 1,
        seed: 7,
        core: 1,
    }
}

fn outcome(received: u64, sent: u64) -> Outcome {
    let way = Way {
        direction: "outward",
        intended: 10_000,
        sent,
        received,
        lost: 10_000 - received,
        tx_short: 10_000 - sent,
        tx_octets: sent * 64,
        rx_octets: received * 64,
        ..Way::default()
    };
    let trial = Trial {
        ways: vec![way],
        duration_s: 2.0,
        counters: Counters { unique: [received, 0], ..Counters::default() },
        latency: Latency::new(),
        intended_latency: None,
        streams: vec![],
        variation: None,
        send_error: Latency::new(),
        involuntary_switches: 0,
        disturbed: false,
    };
    Outcome { learning: None, warm_up: None, trial: Some(trial) }
}

fn judge(outcome: &Outcome) -> Report {
    Report::new(outcome, settings(), 100, false)
}

#[test]
fn loss_defects_and_our_own_limit_decide_the_verdict() {
    assert_eq!(judge(&outcome(10_000, 10_000)).verdict, Verdict::Pass);
    assert_eq!(judge(&outcome(9_999, 10_000)).verdict, Verdict::Fail);
    assert_eq!(
        judge(&outcome(9_990, 9_990)).verdict,
        Verdict::Fail,
        "one in a thousand is not over the limit"
    );
    assert_eq!(judge(&outcome(9_989, 9_989)).verdict, Verdict::TgLimited);
    let mut defective = outcome(9_000, 9_000);
    defective.warm_up = Some(Counters {
        defects: Defects { remap: 2, reorder: 9, ..Defects::default() },
        ..Counters::default()
    });
    let report = judge(&defective);
    assert_eq!((report.verdict, report.mistranslated, report.corrupted), (Verdict::Fail, 2, 0));
    assert_eq!(report.defects.reorder, 0, "before the trial");
    assert!(report.reasons.contains(&"remap: 2".to_owned()), "{:?}", report.reasons);
    assert_eq!(judge(&Outcome { trial: None, ..outcome(0, 0) }).verdict, Verdict::Fail);
    let absorbed = Report::new(&outcome(0, 10_000), settings(), 100, true);
    assert_eq!(absorbed.verdict, Verdict::TxOnly);
    assert_eq!(
        [Verdict::Pass, Verdict::Fail, Verdict::TgLimited].map(Verdict::exit_code),
        [0, 1, 4]
    );
}

#[test]
fn strangers_do_not_fail_a_run() {
    let mut outcome = outcome(10_000, 10_000);
    let trial = outcome.trial.as_mut().unwrap();
    (trial.counters.defects.foreign, trial.counters.defects.other_run) = (5, 6);
    assert_eq!(judge(&outcome).verdict, Verdict::Pass);
}

#[test]
fn the_json_has_the_fields_of_the_contract() {
    let json = serde_json::to_value(judge(&outcome(9_000, 10_000))).unwrap();
    for field in [
        "tx_packets",
        "rx_packets",
        "lost",
        "loss_ratio",
        "reordered",
        "duplicated",
        "corrupted",
        "mistranslated",
        "tx_pps",
        "rx_pps",
        "tx_bps",
        "rx_bps",
        "duration_s",
        "flows",
    ] {
        assert!(json[field].is_number(), "{field}: {}", json[field]);
    }
    for quantile in ["min", "p50", "p90", "p99", "p999", "max"] {
        assert!(json["latency_ns"][quantile].is_u64(), "{quantile}");
    }
    assert_eq!((&json["verdict"], &json["lost"]), (&"fail".into(), &1000.into()));
    assert_eq!((&json["tx_pps"], &json["rx_pps"]), (&5000.0.into(), &4500.0.into()));
    assert_eq!(json["tx_bps"], 5000.0 * 64.0 * 8.0);
    assert_eq!(json["loss_ratio"], 0.1);
    assert_eq!(json["counters"]["unique"][0], 9000);
}

#[test]
fn the_table_shows_counters_only_where_something_was_found() {
    let text = table(&judge(&outcome(9_000, 10_000)));
    assert!(text.contains("9000 received, 1000 lost"), "{text}");
    assert!(text.contains("verdict            fail"), "{text}");
    assert!(!text.contains("bad_ttl"), "{text}");
}
