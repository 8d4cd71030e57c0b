//! Whether NAT and the box share an address without taking each other's ports (CVE-2021-3773): where a pool address is on a
//! tap too, dynamic mappings and the kernel's own connections need ranges apart.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use crate::config::Settings;

/// What is to be said before NAT and the kernel share an address.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Verdict {
    /// Why it cannot start like this.
    pub refused: Option<String>,
    /// Services that would lose packets to NAT.
    pub warnings: Vec<String>,
}

/// Compares `nat44.port_range` with the ports that the kernel uses in this network namespace.
pub fn check(settings: &Settings) -> Verdict {
    let shared = shared(settings);
    let (Some(nat44), false) = (&settings.nat44, shared.is_empty()) else {
        return Verdict::default();
    };
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut verdict = Verdict::default();
    if let Some(own) = port_range(&range) {
        verdict.refused = overlap(&nat44.port_range, &own, shared[0]);
    }
    for (table, protocol) in [("tcp", "TCP"), ("tcp6", "TCP"), ("udp", "UDP"), ("udp6", "UDP")] {
        let text = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        for port in listening(&text, protocol == "TCP", &shared) {
            if nat44.port_range.contains(&port) {
                verdict.warnings.push(format!(
                    "nat44.port_range holds {protocol} port {port}, on which a service of this box \
                     listens: it is reached only while no mapping has that port. Set \
                     nat44.port_range without it, or move the service"
                ));
            }
        }
    }
    verdict.warnings.sort();
    verdict.warnings.dedup();
    verdict
}

/// The pool addresses that the kernel has too.
fn shared(settings: &Settings) -> Vec<Ipv4Addr> {
    let pool = settings.nat44.iter().flat_map(|nat44| &nat44.pool);
    let external = settings.nat44.as_ref().map(|nat44| nat44.external_vrf);
    let own = settings.interfaces.iter();
    let own = own.filter(|own| own.linux.is_some() && Some(own.vrf) == external);
    let own = own.flat_map(|interface| &interface.addresses).filter_map(|net| match net.addr() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    own.filter(|own| pool.clone().any(|range| range.contains(own))).collect()
}

fn overlap(
    nat: &RangeInclusive<u16>,
    own: &RangeInclusive<u16>,
    address: Ipv4Addr,
) -> Option<String> {
    if nat.end() < own.start() || own.end() < nat.start() {
        return None;
    }
    let fix = match own.start().checked_sub(1).filter(|last| last >= nat.start()) {
        Some(last) => format!("set nat44.port_range = \"{}-{last}\"", nat.start()),
        None => "set another nat44.port_range".to_owned(),
    };
    Some(format!(
        "{address} is of nat44.pool and, by `linux`, the kernel's too, and their ports overlap: \
         nat44.port_range is {}-{}, net.ipv4.ip_local_port_range {}-{}. {fix}, or give the kernel \
         others with sysctl",
        nat.start(),
        nat.end(),
        own.start(),
        own.end()
    ))
}

fn port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut words = text.split_whitespace().map(|word| word.parse().ok());
    Some(words.next()??..=words.next()??)
}

/// The ports of a table of `/proc/net` that somebody listens on, at any address or one of these.
fn listening(table: &str, tcp: bool, addresses: &[Ipv4Addr]) -> Vec<u16> {
    let port = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
        let (address, port) = local.split_once(':')?;
        let open = if tcp { state == "0A" } else { remote.ends_with(":0000") };
        let any = address.bytes().all(|digit| digit == b'0');
        let ours = u32::from_str_radix(address, 16)
            .is_ok_and(|number| addresses.contains(&Ipv4Addr::from(number.to_le_bytes())));
        (open && (any || ours)).then(|| u16::from_str_radix(port, 16).ok())?
    };
    table.lines().skip(1).filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

    #[test]
    fn overlapping_ranges_are_refused_with_the_one_that_fits() {
        assert_eq!(port_range("32768\t60999\n"), Some(32768..=60999));
        assert_eq!(overlap(&(1024..=32767), &(32768..=60999), ADDRESS), None);
        assert_eq!(overlap(&(61000..=65535), &(32768..=60999), ADDRESS), None);
        let text = overlap(&(1024..=65535), &(32768..=60999), ADDRESS).unwrap();
        assert!(text.contains("set nat44.port_range = \"1024-32767\""), "{text}");
        let text = overlap(&(40000..=65535), &(32768..=60999), ADDRESS).unwrap();
        assert!(text.contains("set another nat44.port_range"), "{text}");
    }

    #[test]
    fn services_are_found_at_any_address_and_at_ours() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n";
        let tcp = format!(
            "{head}   0: 00000000:0016 00000000:0000 0A 00000000:00000000\n   \
             1: 016433C6:00B3 00000000:0000 0A 00000000:00000000\n   \
             2: 0100007F:0CEA 00000000:0000 0A 00000000:00000000\n   \
             3: 016433C6:8000 FE6433C6:0016 01 00000000:00000000\n"
        );
        assert_eq!(listening(&tcp, true, &[ADDRESS]), [22, 179]);
        let udp = format!(
            "{head}   0: 00000000:0202 00000000:0000 07 00000000:00000000\n   \
             1: 00000000:1000 FE6433C6:0035 01 00000000:00000000\n"
        );
        assert_eq!(listening(&udp, false, &[ADDRESS]), [514]);
        let v6 = format!("{head}   0: {}:0016 {}:0000 0A\n", "0".repeat(32), "0".repeat(32));
        assert_eq!(listening(&v6, true, &[ADDRESS]), [22]);
    }
}
