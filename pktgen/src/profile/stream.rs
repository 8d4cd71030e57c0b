//! One `[[stream]]` of a profile.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::ProfileError;
use super::script::Script;
use crate::endpoint::{Address, Family};
use crate::flow::{Churn, Direction, Expect, Plan, Pool, Protocol, Share, Sizes, Stream, hosts};
use crate::parse;
use crate::port::Spec;
use crate::prefix::Prefix;
use crate::rate::{Amount, Load};
use crate::receive::Sut;

/// As it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    name: String,
    #[serde(default)]
    from: From,
    proto: Proto,
    hosts: Option<String>,
    sport: Option<String>,
    dst: Option<String>,
    #[serde(default = "default_flows")]
    flows: u32,
    #[serde(default)]
    size: Size,
    share: Option<f64>,
    rate: Option<String>,
    reverse: Option<f64>,
    lifetime: Option<String>,
    new_per_s: Option<f64>,
    script: Option<String>,
    #[serde(default)]
    expect: Outcome,
}

/// What a stream is in the middle of.
pub(super) struct Around<'a> {
    pub(super) specs: &'a [Spec; 2],
    pub(super) sut: Sut,
    pub(super) pool: &'a [Prefix],
    pub(super) families: &'a [Family],
    pub(super) seed: u64,
}

#[derive(Clone, Copy, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum From {
    #[default]
    In,
    Out,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Proto {
    Icmp,
    Tcp,
    Udp,
}

#[derive(Clone, Copy, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    #[default]
    Arrive,
    Drop,
}

/// A number, or text as `--size` takes it.
struct Size(Sizes);

/// Where a stream goes: hosts and a port.
struct Target {
    hosts: Vec<Address>,
    ports: RangeInclusive<u16>,
}

type Wrong = (&'static str, String);

impl Table {
    pub(super) fn stream(self, around: &Around<'_>, number: usize) -> Result<Stream, ProfileError> {
        let name = self.name.clone();
        self.build(around, number).map_err(|(key, why)| ProfileError::Stream { name, key, why })
    }

    fn build(self, around: &Around<'_>, number: usize) -> Result<Stream, Wrong> {
        let protocol = match self.proto {
            Proto::Icmp => Protocol::Icmp,
            Proto::Tcp => Protocol::Tcp,
            Proto::Udp => Protocol::Udp,
        };
        let target = self.dst.as_deref().map(|dst| target(dst, around.pool)).transpose();
        let target = target.map_err(|why| ("dst", why))?;
        let (pool, is_drawn_outside) = self.pool(around, target)?;
        let family = pool.remotes.first().or(pool.hosts.first()).map(|host| host.family());
        let family = family.unwrap_or(around.families[0]);
        if pool.hosts.iter().chain(&pool.remotes).any(|host| host.family() != family) {
            return Err(("dst", "hosts and dst are of different families".to_owned()));
        }
        let seed = around.seed.wrapping_add(number as u64);
        let plan = Plan::new(self.flows, pool, seed).map_err(|why| ("flows", why.to_string()))?;
        let translated = around.sut == Sut::Nat44 && family == Family::V4;
        let sizes = self.size.0.clone();
        let mut stream = Stream::new(&self.name, protocol, family, sizes, plan, translated);
        stream.remotes_are_drawn = is_drawn_outside;
        if self.from == From::Out {
            stream.initiator = Direction::Inward;
            stream.translated = false;
        }
        if self.expect == Outcome::Drop {
            stream.expect = Expect::Drop;
            stream.reverse = 0.0;
        } else if self.from == From::Out && translated {
            let why =
                "packets from outside to translated hosts are only known by expect = \"drop\"";
            return Err(("expect", why.to_owned()));
        }
        self.set_load(&mut stream)?;
        self.set_script(&mut stream)?;
        self.set_churn(&mut stream)?;
        Ok(stream)
    }

    /// What the endpoints are drawn from, and whether it is the outside whose ports vary.
    fn pool(&self, around: &Around<'_>, target: Option<Target>) -> Result<(Pool, bool), Wrong> {
        let [inside, outside] = around.specs;
        let own = if self.from == From::In { inside } else { outside };
        let family = match &target {
            Some(Target { hosts, .. }) => hosts[0].family(),
            None => around.families[0],
        };
        let sources = match &self.hosts {
            Some(text) => sources(text).map_err(|why| ("hosts", why))?,
            None => {
                let prefix = own.address(family);
                let prefix = prefix
                    .ok_or(("hosts", format!("the port has no {} address", family.name())))?;
                match self.from {
                    From::In => {
                        hosts(prefix, own.gateway(family), self.flows.div_ceil(64) as usize)
                    }
                    From::Out => vec![prefix.address],
                }
            }
        };
        let ports = match &self.sport {
            Some(text) => ports(text).map_err(|why| ("sport", why))?,
            None => 1024..=u16::MAX,
        };
        match (self.from, target) {
            (From::In, target) => {
                let (remotes, port) = match target {
                    Some(Target { hosts, ports }) => (hosts, *ports.start()),
                    None => {
                        let own = outside.addresses.iter().map(|prefix| prefix.address);
                        (own.filter(|own| own.family() == family).collect(), 7)
                    }
                };
                Ok((Pool { hosts: sources, ports, remotes, remote_port: port }, false))
            }
            (From::Out, None) => Err(("dst", "a stream from outside needs one".to_owned())),
            (From::Out, Some(Target { hosts, ports: to })) if to.start() == to.end() => {
                let remote_port = *to.start();
                Ok((Pool { hosts: sources, ports, remotes: hosts, remote_port }, true))
            }
            (From::Out, Some(Target { hosts, ports: to })) => {
                let remote_port = *ports.start();
                Ok((Pool { hosts, ports: to, remotes: sources, remote_port }, false))
            }
        }
    }

    fn set_load(&self, stream: &mut Stream) -> Result<(), Wrong> {
        stream.share = match (&self.rate, self.share) {
            (Some(_), Some(_)) => {
                return Err(("rate", "share is given too: one of them".to_owned()));
            }
            (Some(text), None) => match text.parse() {
                Ok(Load { amount: Amount::Packets(pps), poisson: false }) => Share::Fixed(pps),
                _ => {
                    return Err((
                        "rate",
                        format!("'{text}': packets per second such as 100pps are expected"),
                    ));
                }
            },
            (None, share) => {
                let share = share.unwrap_or(1.0);
                if !(share > 0.0 && share <= 1e9) {
                    return Err(("share", format!("{share}: a number above 0 is expected")));
                }
                Share::OfLoad(share)
            }
        };
        if let Some(reverse) = self.reverse {
            if !(0.0..=1.0).contains(&reverse) {
                return Err(("reverse", format!("{reverse}: 0 to 1 is expected")));
            }
            if self.expect == Outcome::Drop && reverse > 0.0 {
                return Err(("reverse", "a stream that is dropped has no way back".to_owned()));
            }
            stream.reverse = reverse;
        }
        Ok(())
    }

    fn set_script(&self, stream: &mut Stream) -> Result<(), Wrong> {
        let Some(text) = &self.script else { return Ok(()) };
        if stream.protocol != Protocol::Tcp {
            return Err(("script", "scripts are for tcp".to_owned()));
        }
        let script: Script = text.parse().map_err(|why| ("script", why))?;
        if self.reverse.is_some() {
            return Err((
                "reverse",
                "the script says already which side sends how much".to_owned(),
            ));
        }
        if stream.expect == Expect::Arrive {
            stream.reverse = script.reverse;
        }
        stream.closes = script.closes;
        Ok(())
    }

    fn set_churn(&self, stream: &mut Stream) -> Result<(), Wrong> {
        let (lifetime, new_per_s) = match (&self.lifetime, self.new_per_s) {
            (None, None) => return Ok(()),
            (Some(lifetime), Some(new_per_s)) => (lifetime, new_per_s),
            (Some(_), None) => return Err(("new_per_s", "lifetime needs it".to_owned())),
            (None, Some(_)) => return Err(("lifetime", "new_per_s needs it".to_owned())),
        };
        if stream.protocol == Protocol::Tcp || self.from == From::Out {
            return Err(("lifetime", "only udp and icmp flows from inside come and go".to_owned()));
        }
        let lifetime = parse::duration(lifetime).map_err(|why| ("lifetime", why))?;
        if !(new_per_s > 0.0 && new_per_s <= 1e8) {
            return Err(("new_per_s", format!("{new_per_s}: a number above 0 is expected")));
        }
        let churn = Churn { lifetime: lifetime.as_nanos() as u64, new_per_s };
        // A flow rests for a second before its endpoints serve again.
        let needed = f64::from(churn.alive()) + new_per_s;
        if needed > f64::from(stream.flows()) {
            let why = format!(
                "{} flows: lifetime times new_per_s, and a second's more, need {needed:.0}",
                self.flows
            );
            return Err(("flows", why));
        }
        stream.churn = Some(churn);
        Ok(())
    }
}

/// `198.51.100.2:80`, `[2001:db8::1]:80`, `pool:80` or `pool:any`.
fn target(text: &str, pool: &[Prefix]) -> Result<Target, String> {
    let wrong =
        || format!("'{text}': ADDRESS:PORT, [IPV6]:PORT, pool:PORT or pool:any is expected");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let ports = match (host, port) {
        ("pool", "any") => 1024..=u16::MAX,
        _ => {
            let port: u16 = port.parse().map_err(|_| wrong())?;
            port..=port
        }
    };
    let hosts = if host == "pool" {
        let all = pool.iter().flat_map(|prefix| {
            let (first, last) = (prefix.address, *prefix);
            (0..POOL_HOSTS).map(move |n| first.plus(n)).take_while(move |host| last.contains(*host))
        });
        let all: Vec<Address> = all.take(POOL_HOSTS as usize).collect();
        if all.is_empty() {
            return Err("pool: [sut] has no pool".to_owned());
        }
        all
    } else {
        let host: IpAddr = host.trim_matches(['[', ']']).parse().map_err(|_| wrong())?;
        vec![host.into()]
    };
    Ok(Target { hosts, ports })
}

/// `10.0.0.2+1000`: so many hosts from there; or one address.
fn sources(text: &str) -> Result<Vec<Address>, String> {
    let wrong = || format!("'{text}': an address, or ADDRESS+COUNT up to {MAX_HOSTS} is expected");
    let (first, count) = text.split_once('+').unwrap_or((text, "1"));
    let first: IpAddr = first.parse().map_err(|_| wrong())?;
    let count = count.parse::<u128>().ok().filter(|count| (1..=MAX_HOSTS).contains(count));
    let first = Address::from(first);
    Ok((0..count.ok_or_else(wrong)?).map(|n| first.plus(n)).collect())
}

/// `random-unique 1024-65535`, `1024-65535` or one port.
fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let wrong = || format!("'{text}': a port, FIRST-LAST or random-unique FIRST-LAST is expected");
    let range = text.strip_prefix("random-unique ").unwrap_or(text).trim();
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) =
        (first.parse::<u16>().map_err(|_| wrong())?, last.parse::<u16>().map_err(|_| wrong())?);
    if first > last { Err(wrong()) } else { Ok(first..=last) }
}

impl Default for Size {
    fn default() -> Self {
        Self(Sizes::one(64).expect("64 is a size"))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("octets such as 90, or text such as \"imix\" or \"64,570:7\"")
            }

            fn visit_i64<E: Error>(self, size: i64) -> Result<Size, E> {
                self.visit_str(&size.to_string())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map(Size).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

fn default_flows() -> u32 {
    1000
}

const MAX_HOSTS: u128 = 1 << 20;
const POOL_HOSTS: u128 = 1 << 16;
