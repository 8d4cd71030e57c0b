use super::*;
use crate::testing;

#[derive(Immutable, IntoBytes)]
#[repr(C)]
struct Key {
    kind: u8,
    pad: [u8; 3],
    address: [u8; 4],
    ports: [u8; 4],
}

const FIELDS: [Field; 4] = [
    Field { compare: Match::Bitmask, group: 0, offset: 0, size: 1 },
    Field { compare: Match::Prefix, group: 1, offset: 4, size: 4 },
    Field { compare: Match::Range, group: 2, offset: 8, size: 2 },
    Field { compare: Match::Range, group: 2, offset: 10, size: 2 },
];

fn rule(id: u32, prefix: (u32, u32), ports: (u32, u32)) -> Rule<4> {
    let criterion = |value, bound| Criterion { value, bound };
    Rule {
        criteria: [
            criterion(6, 255),
            criterion(prefix.0, prefix.1),
            criterion(0, 65_535),
            criterion(ports.0, ports.1),
        ],
        id: NonZeroU32::new(id).expect("ids of the tests are not zero"),
        priority: MAX_PRIORITY - id,
    }
}

fn key(kind: u8, address: [u8; 4], port: u16) -> Key {
    let [high, low] = port.to_be_bytes();
    Key { kind, pad: [0; 3], address, ports: [0, 0, high, low] }
}

#[test]
fn highest_priority_of_the_matching_rules_counts() {
    let rules = [
        rule(1, (0x0a00_0001, 32), (80, 80)),
        rule(2, (0x0a00_0000, 8), (0, 1023)),
        rule(3, (0, 0), (443, 443)),
    ];
    let classifier =
        Classifier::build(&testing::eal(), &FIELDS, &rules, usize::MAX).expect("it compiles");
    let keys = [
        key(6, [10, 0, 0, 1], 80),
        key(6, [10, 0, 0, 1], 81),
        key(6, [10, 0, 0, 2], 443),
        key(6, [11, 0, 0, 2], 443),
        key(6, [11, 0, 0, 2], 80),
        key(17, [10, 0, 0, 1], 80),
    ];
    // All sizes of burst: rte_acl has a way of its own for each.
    for count in 1..=70 {
        let keys: Vec<&Key> = keys.iter().cycle().take(count).collect();
        let mut ids = vec![99; count];
        classifier.classify(&keys, &mut ids);
        let wanted: Vec<u32> = [1, 2, 2, 3, 0, 0].into_iter().cycle().take(count).collect();
        assert_eq!(ids, wanted);
    }
    assert!(classifier.bytes() > 0);
}

#[test]
fn result_larger_than_the_limit_is_refused() {
    let rules: Vec<_> = (1..500).map(|n| rule(n, (n << 20, 20), (n, 2 * n))).collect();
    let error = Classifier::<Key>::build(&testing::eal(), &FIELDS, &rules, 10_000)
        .expect_err("it is larger");
    assert_eq!(error.errno, Errno(libc::EFBIG));
}

#[test]
fn layout_that_reads_beyond_the_key_is_refused() {
    let mut fields = FIELDS;
    fields[2].offset = 12;
    fields[3].offset = 14;
    let rules = [rule(1, (0, 0), (0, 0))];
    let error = Classifier::<Key>::build(&testing::eal(), &fields, &rules, usize::MAX)
        .expect_err("it reads beyond");
    assert_eq!(error.errno, Errno(libc::EINVAL));
}

#[test]
fn no_rules_are_refused() {
    let built = Classifier::<Key>::build(&testing::eal(), &FIELDS, &[], usize::MAX);
    assert_eq!(built.expect_err("nothing to compile").errno, Errno(libc::EINVAL));
}
