//! Routes as many as the Internet has, with its distribution of prefix lengths; the same ones every time.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::config::RouteSettings;

/// So many IPv4 routes, and 23 for IPv6 to each hundred, apart from those of `known`, whose next hops they have.
pub(super) fn internet(count: u32, known: &[RouteSettings]) -> Vec<RouteSettings> {
    let mut random = SmallRng::seed_from_u64(SEED);
    let mut taken: HashSet<IpNet> = known.iter().map(|route| route.prefix).collect();
    // The first leads inside, the others to the external gateways.
    let ways: Vec<&RouteSettings> = known.iter().skip(1).collect();
    let mut routes = Vec::new();
    for (wanted, lengths) in [(count, IPV4), (count / 100 * 23, IPV6)] {
        let mut made = 0;
        while made < wanted {
            let length = draw(lengths, &mut random);
            let prefix = match lengths[0].0 > 24 {
                false => {
                    let address: u32 = random.random();
                    if !is_free(address >> 24) {
                        continue;
                    }
                    IpNet::new(Ipv4Addr::from_bits(address).into(), length)
                }
                true => {
                    // Three blocks hold most of what is given out of 2000::/3.
                    let block = [0x2001u128, 0x2400, 0x2a00][random.random_range(0..3usize)];
                    let address = block << 112 | random.random::<u128>() >> 16 & !(0xf << 108);
                    IpNet::new(Ipv6Addr::from_bits(address).into(), length)
                }
            };
            let Ok(prefix) = prefix.map(|net| net.trunc()) else { continue };
            if taken.insert(prefix) {
                let way = ways[random.random_range(0..ways.len())];
                routes.push(RouteSettings {
                    prefix,
                    next_hops: if prefix.addr().is_ipv4() {
                        way.next_hops.clone()
                    } else {
                        Vec::new()
                    },
                    ..way.clone()
                });
                made += 1;
            }
        }
    }
    routes
}

/// Whether the first octet of an IPv4 address is the Internet's and none that the rest of the scenario uses.
fn is_free(first: u32) -> bool {
    matches!(first, 1..=223) && !matches!(first, 10 | 100 | 127 | 169 | 172 | 192 | 198 | 203)
}

fn draw(lengths: &[(u8, u32)], random: &mut SmallRng) -> u8 {
    let total: u32 = lengths.iter().map(|(_, share)| share).sum();
    let mut at = random.random_range(0..total);
    for (length, share) in lengths {
        if at < *share {
            return *length;
        }
        at -= share;
    }
    lengths[0].0
}

/// Prefix lengths and their shares, in thousandths, as in the tables of large networks in 2024.
const IPV4: &[(u8, u32)] = &[
    (24, 606),
    (23, 99),
    (22, 111),
    (21, 53),
    (20, 45),
    (19, 26),
    (18, 14),
    (17, 8),
    (16, 14),
    (15, 3),
    (14, 3),
    (13, 2),
    (12, 2),
    (11, 1),
    (25, 4),
    (29, 5),
    (32, 4),
];
const IPV6: &[(u8, u32)] = &[
    (48, 470),
    (32, 125),
    (40, 105),
    (44, 95),
    (36, 52),
    (29, 32),
    (33, 18),
    (46, 20),
    (47, 18),
    (45, 14),
    (42, 15),
    (38, 10),
    (34, 10),
    (56, 8),
    (64, 8),
];
const SEED: u64 = 4;
