use std::time::Duration;

use super::traffic::{Proto, Way};
use super::*;
use crate::flow::Direction;

fn parse(arguments: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("pktgen").chain(arguments.split_whitespace()))
}

#[test]
fn the_command_line_of_the_contract_is_understood() {
    let text = "run -p tap:name=a -p null --load 1Gbps --size 64,570:7,1518:1 --flows 10000 --proto udp,tcp,icmp \
         --time 10s --ramp 2s --dir both --json out.json -q --seed 7 --core 1 --no-huge";
    let cli = parse(text).unwrap();
    assert_eq!((cli.global.ports.len(), cli.global.seed), (2, Some(7)));
    let Command::Run(run) = cli.command else { panic!("not run") };
    assert_eq!((run.traffic.size.largest(), run.traffic.flows), (1518, 10_000));
    assert_eq!(run.traffic.proto, [Proto::Udp, Proto::Tcp, Proto::Icmp]);
    assert_eq!((run.time, run.ramp), (Duration::from_secs(10), Some(Duration::from_secs(2))));
    assert_eq!((run.dir, run.dir.directions()), (Way::Both, Direction::BOTH.to_vec()));
    for text in [
        "-p null -p null --core 1 run --pool 203.0.113.0/28,198.51.100.10 --sut router",
        "run --load poisson:50kpps --size imix --dir out2in",
        "run -p null,ip=2001:db8::2/64,gw=2001:db8::1,vlan=100",
        "verify --flows 10000 --matrix --pcap-errors errors.pcapng",
    ] {
        assert!(parse(text).is_ok(), "{text}");
    }
}

#[test]
fn searches_and_reports_are_understood() {
    for text in [
        "mlr --goal ndr --goal pdr --sizes 64,imix --flows 1,1k,64k,1M --max-time 10m",
        "mlr --preset tst009 --max-load 2Mpps --repeat 5 --csv dir --html page.html --live",
        "rfc2544 all --quick",
        "rfc2544 throughput --verify 2 --trial-time 20s --dir in2out",
        "rfc2544 b2b --load 1Mpps --sizes 64",
        "rfc2544 recovery",
        "rfc2544 reset --reset-command true",
        "rfc2544 loss",
        "rfc8219 pdv",
        "rfc8219 ipdv --quick",
        "rfc8219 latency --load 500Mbps",
        "report A.json B.json --html out.html",
    ] {
        let parsed = parse(text);
        assert!(parsed.is_ok(), "{text}: {}", parsed.unwrap_err());
    }
    for text in
        ["mlr --goal mrr", "mlr --goal ndr --preset quick", "mlr --live -q", "rfc2544", "report"]
    {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn what_does_not_exist_yet_is_refused() {
    for text in ["run --size 63", "run --proto sctp", "run --sut nat64", "run -p vhost:x", ""] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{text}: {error}");
    }
}

#[test]
fn hooks_and_ports_may_come_from_a_profile_and_the_command_line_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("profile.toml");
    let text = r#"
        [ports.in]
        spec = "null"
        ip = ["10.0.0.2/24"]
        gw = ["10.0.0.1"]
        [ports.out]
        spec = "null"
        ip = ["198.51.100.2/24"]
        gw = ["198.51.100.1"]
        [sut]
        kind = "nat44"
        flush = "echo profile"
        stats = "echo 5"
        [[stream]]
        name = "a"
        from = "in"
        proto = "udp"
        dst = "198.51.100.2:80"
        flows = 10
    "#;
    std::fs::write(&file, text).unwrap();
    let cli = parse(&format!("-c {} nat learn --hook flush=:", file.display())).unwrap();
    let hooks = cli.global.hooks().unwrap();
    let run = |action| hooks.run(action).unwrap().0;
    use crate::control::Action::{Flush, Stats};
    assert_eq!((run(Flush), run(Stats)), (String::new(), "5\n".to_owned()));
    assert_eq!(cli.global.two_ports().unwrap()[1].addresses.len(), 1);
}
