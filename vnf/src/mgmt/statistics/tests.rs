//! Figures worked out from counters set by hand.

use super::*;
use crate::engine::counters::latency_bucket;

const HZ: u64 = 2_000_000_000;

fn one_worker(now: Instant) -> (Arc<Counters>, Statistics) {
    let counters = Arc::new(Counters::new(1));
    let worker = (3, vec!["lan".to_owned()], Arc::clone(&counters));
    (counters, Statistics::new([worker], HZ, now))
}

#[test]
fn rates_are_those_of_the_last_second() {
    let began = Instant::now();
    let (counters, mut statistics) = one_worker(began);
    counters.received.add(3000);
    counters.transmitted.add(2000);
    counters.dropped(DropReason::NoRoute);
    counters.busy_cycles.add(25);
    counters.total_cycles.add(100);
    statistics.tick(began + Duration::from_millis(999));
    assert_eq!(statistics.rates(), Rates::default(), "the second is not over");
    statistics.tick(began + Duration::from_millis(1500));
    assert_eq!(statistics.rates(), Rates { rx_pps: 2000, tx_pps: 1333, drop_pps: 1 });
    assert_eq!(statistics.workers(Since::Clear)[0].busy_ratio, 0.25);
    statistics.tick(began + Duration::from_millis(2500));
    assert_eq!(statistics.rates(), Rates::default(), "nothing came");
}

#[test]
fn clearing_starts_again_for_people_only() {
    let (counters, mut statistics) = one_worker(Instant::now());
    counters.received.add(5);
    counters.dropped(DropReason::AclDenied);
    statistics.clear();
    counters.received.add(2);
    assert_eq!(statistics.workers(Since::Clear)[0].rx_packets, 2);
    assert_eq!(statistics.workers(Since::Start)[0].rx_packets, 7);
    assert_eq!(statistics.drops(Since::Clear)["acl-denied"], 0);
    assert_eq!(statistics.drops(Since::Start)["acl-denied"], 1);
    assert_eq!(statistics.drops(Since::Clear).len(), DropReason::COUNT, "every reason is there");
}

#[test]
fn costs_are_per_packet_and_stages_add_up() {
    let (counters, statistics) = one_worker(Instant::now());
    counters.received.add(60);
    counters.taken_over.add(4);
    counters.bursts.add(2);
    for (stage, cycles) in counters.stages.iter().zip([100, 200, 300, 400, 500]) {
        stage.packets.add(10);
        stage.cycles.add(cycles);
    }
    let row = &statistics.workers(Since::Start)[0];
    assert_eq!((row.core, row.ports.as_slice()), (3, &["lan".to_owned()][..]));
    assert_eq!(row.cycles_per_packet, 150.0);
    assert_eq!(row.stages[1].cycles_per_packet, 20.0);
    assert_eq!(row.burst_mean, 32.0);
    let names: Vec<&str> = row.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, STAGES);
}

#[test]
fn percentiles_count_from_the_fast_end() {
    let (counters, statistics) = one_worker(Instant::now());
    assert_eq!(statistics.workers(Since::Start)[0].latency_ns, Latency::default());
    let nanoseconds = |cycles: u64| latency_bucket_top(latency_bucket(cycles)) / 2;
    counters.latency[latency_bucket(1000)].add(980);
    counters.latency[latency_bucket(10_000)].add(19);
    counters.latency[latency_bucket(100_000)].add(1);
    let expected = Latency {
        p50: nanoseconds(1000),
        p99: nanoseconds(10_000),
        p999: nanoseconds(10_000),
        max: nanoseconds(100_000),
    };
    assert_eq!(statistics.workers(Since::Start)[0].latency_ns, expected);
}

#[test]
fn a_long_gap_stays_in_sight_for_a_minute() {
    let began = Instant::now();
    let (counters, mut statistics) = one_worker(began);
    counters.poll_gap.raise(HZ / 1000);
    for second in 1..=60 {
        statistics.tick(began + Duration::from_secs(second));
        assert_eq!(statistics.poll_gaps_s(), [0.001], "second {second}");
    }
    statistics.tick(began + Duration::from_secs(61));
    assert_eq!(statistics.poll_gaps_s(), [0.0]);
}

#[test]
fn sessions_of_all_workers_are_summed() {
    let counters = [Arc::new(Counters::new(1)), Arc::new(Counters::new(1))];
    let workers = counters.iter().map(|c| (0, Vec::new(), Arc::clone(c)));
    let statistics = Statistics::new(workers, HZ, Instant::now());
    counters[0].sessions.set(3);
    counters[1].sessions.set(4);
    counters[1].sessions_opened.add(9);
    counters[1].sessions_closed[CloseCause::TimedOut as usize].add(2);
    assert_eq!((statistics.sessions(), statistics.sessions_opened()), (7, 9));
    assert_eq!(statistics.sessions_closed()["timed-out"], 2);
}
