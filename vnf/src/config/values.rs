//! The written forms of durations, sizes, addresses and port ranges.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};

use super::reader::{Node, Parsed};
use super::report::Found;

/// `300s`, `2h4m`, `1500ms`: numbers with units from long to short, at most 10,000 days.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = units.iter().position(|(unit, _)| *unit == &rest[..end])?;
        total = total.checked_add(number.checked_mul(units[unit].1)?)?;
        units = &units[unit + 1..];
        rest = &rest[end..];
    }
    let sensible = !text.is_empty() && total <= 10_000 * UNITS[0].1;
    sensible.then(|| Duration::from_millis(total))
}

/// A duration as `duration` reads it: whole seconds, else milliseconds.
pub(super) fn show_duration(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}

/// `512MiB`, `1GiB`: bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim_start() {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// `02:00:00:00:00:01`, unicast and not all zero.
pub(super) fn mac(text: &str) -> Parsed<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for octet in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2).ok_or(None)?;
        *octet = u8::from_str_radix(part, 16).map_err(|_| None)?;
    }
    match mac {
        _ if parts.next().is_some() => Err(None),
        [first, ..] if first & 1 == 1 => {
            Err(Some("a unicast MAC address: the first octet even".to_owned()))
        }
        [0, 0, 0, 0, 0, 0] => Err(Some("a MAC address that is not all zero".to_owned())),
        mac => Ok(mac),
    }
}

/// A MAC address as `mac` reads it.
pub(super) fn show_mac(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

/// `80` or `1024-65535`.
pub(super) fn ports(text: &str) -> Parsed<RangeInclusive<u16>> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten().ok_or(None)
    };
    match text.split_once('-') {
        None => number(text).map(|port| port..=port),
        Some((first, last)) => {
            let (first, last) = (number(first.trim())?, number(last.trim())?);
            ordered(first, last)
        }
    }
}

/// A port range as `ports` reads it.
pub(super) fn show_ports(ports: &RangeInclusive<u16>) -> String {
    show_range(ports)
}

/// A range as it is written: one end where both are the same.
pub(super) fn show_range<T: PartialEq + ToString>(range: &RangeInclusive<T>) -> String {
    match range.start() == range.end() {
        true => range.start().to_string(),
        false => format!("{}-{}", range.start().to_string(), range.end().to_string()),
    }
}

/// `198.51.100.10-198.51.100.13`, a prefix or one address.
pub(super) fn ipv4_range(text: &str) -> Parsed<RangeInclusive<Ipv4Addr>> {
    if let Some((first, last)) = text.split_once('-') {
        let address = |text: &str| text.trim().parse::<Ipv4Addr>().map_err(|_| None);
        let (first, last) = (address(first)?, address(last)?);
        return ordered(first, last);
    }
    let net = ipv4_net(text)?;
    Ok(net.network()..=net.broadcast())
}

/// An IPv4 prefix, or an address as a prefix of its whole length.
pub(super) fn ipv4_net(text: &str) -> Parsed<Ipv4Net> {
    match net(text)? {
        IpNet::V4(net) => Ok(net),
        IpNet::V6(_) => Err(None),
    }
}

/// A prefix, or an address as a prefix of its whole length; host bits must be zero.
pub(super) fn net(text: &str) -> Parsed<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let net: IpNet = text.parse().map_err(|_| None)?;
    if net != net.trunc() {
        return Err(Some(format!("\"{}\": the host bits must be zero", net.trunc())));
    }
    Ok(net)
}

/// An address or prefix as `net` reads it: without a length where it is one address.
pub(super) fn show_net(net: &IpNet) -> String {
    match net.prefix_len() == net.max_prefix_len() {
        true => net.addr().to_string(),
        false => net.to_string(),
    }
}

/// An address that a host may have: neither unspecified, loopback, multicast nor reserved.
pub(super) fn is_host(address: IpAddr) -> bool {
    let reserved = match address {
        IpAddr::V4(address) => address.octets()[0] == 0 || address.octets()[0] >= 240,
        IpAddr::V6(_) => address.is_unspecified(),
    };
    !(reserved || address.is_loopback() || address.is_multicast())
}

/// A name: 1 to 32 of `A-Z a-z 0-9 - _ .`, so that it needs no quotes anywhere.
pub(super) fn name(text: &str) -> Parsed<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let fits = (1..=32).contains(&text.len()) && text.bytes().all(plain);
    if fits { Ok(text.to_owned()) } else { Err(None) }
}

/// What `name` accepts.
pub(super) const A_NAME: &str = "a name: 1 to 32 letters, digits, \"-\", \"_\" or \".\"";

impl Node<'_> {
    /// A duration within `bounds`.
    pub(super) fn duration(&self, bounds: RangeInclusive<Duration>) -> Option<Found<Duration>> {
        let (least, most) = (show_duration(*bounds.start()), show_duration(*bounds.end()));
        let expected = format!("a duration such as \"300s\" or \"2h4m\", from {least} to {most}");
        self.string(&expected, |text| {
            duration(text).filter(|duration| bounds.contains(duration)).ok_or(None)
        })
    }

    /// A number or a string as ports.
    pub(super) fn ports(&self, expected: &str) -> Option<Found<RangeInclusive<u16>>> {
        match self.as_integer() {
            None => self.string(expected, ports),
            Some(port) => {
                let port = u16::try_from(port);
                if port.is_err() {
                    self.reject("a port from 0 to 65535");
                }
                port.ok().map(|port| self.found(port..=port))
            }
        }
    }
}

fn ordered<T: PartialOrd + ToString>(first: T, last: T) -> Parsed<RangeInclusive<T>> {
    if first > last {
        let (first, last) = (first.to_string(), last.to_string());
        return Err(Some(format!("\"{last}-{first}\": the end is below the start")));
    }
    Ok(first..=last)
}

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units_from_long_to_short() {
        let ms = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(ms("300s"), Some(300_000));
        assert_eq!(ms("2h4m"), Some(7_440_000));
        assert_eq!(ms("1500ms"), Some(1500));
        assert_eq!(ms("1d"), Some(86_400_000));
        assert_eq!(ms("0s"), Some(0));
        for wrong in ["", "300", "s", "4m2h", "1s1s", "-1s", "1.5s", "1 s", "99999999999999999999s"]
        {
            assert_eq!(ms(wrong), None, "{wrong}");
        }
        assert_eq!(ms("18446744073709551615d"), None);
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(size("512MiB"), Some(512 << 20));
        assert_eq!(size("1GiB"), Some(1 << 30));
        for wrong in ["", "512", "512MB", "MiB", "-1MiB", "99999999999TiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn mac_addresses_are_unicast() {
        assert_eq!(mac("02:00:00:00:00:fe"), Ok([2, 0, 0, 0, 0, 0xfe]));
        assert_eq!(show_mac([2, 0, 0, 0, 0, 0xfe]), "02:00:00:00:00:fe");
        assert!(matches!(mac("01:00:5e:00:00:01"), Err(Some(_))));
        assert!(matches!(mac("00:00:00:00:00:00"), Err(Some(_))));
        for wrong in
            ["", "02:00:00:00:00", "02:00:00:00:00:00:00", "2:0:0:0:0:1", "0+:00:00:00:00:01"]
        {
            assert_eq!(mac(wrong), Err(None), "{wrong}");
        }
    }

    #[test]
    fn ports_are_one_or_an_ascending_range() {
        assert_eq!(ports("80"), Ok(80..=80));
        assert_eq!(ports("1024-65535"), Ok(1024..=65535));
        assert!(matches!(ports("9-8"), Err(Some(_))));
        for wrong in ["", "65536", "-1", "1-", "+80", "a", "1-2-3"] {
            assert_eq!(ports(wrong), Err(None), "{wrong}");
        }
    }

    #[test]
    fn pool_ranges_are_ranges_prefixes_or_addresses() {
        let range = |text| ipv4_range(text).map(|range| show_range(&range));
        assert_eq!(range("192.0.2.1-192.0.2.9"), Ok("192.0.2.1-192.0.2.9".to_owned()));
        assert_eq!(range("192.0.2.0/30"), Ok("192.0.2.0-192.0.2.3".to_owned()));
        assert_eq!(range("192.0.2.7"), Ok("192.0.2.7".to_owned()));
        assert!(matches!(range("192.0.2.9-192.0.2.1"), Err(Some(_))));
        assert_eq!(range("fd00::/64"), Err(None));
    }

    #[test]
    fn host_bits_in_a_prefix_are_refused_with_the_masked_prefix() {
        let refused = net("10.0.0.1/24").unwrap_err().unwrap();
        assert!(refused.starts_with("\"10.0.0.0/24\""), "{refused}");
        assert_eq!(net("10.0.0.1").map(|net| show_net(&net)), Ok("10.0.0.1".to_owned()));
    }
}
