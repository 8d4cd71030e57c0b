//! Port specifications as users write them, and the DPDK devices that they mean.

use std::net::IpAddr;
use std::str::FromStr;

use crate::endpoint::{Address, Family};
use crate::frame::Mac;
use crate::prefix::Prefix;

/// One port: a device, and the addresses that pktgen has there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spec {
    device: Device,
    /// Hardware address; the device's own when absent.
    pub mac: Option<Mac>,
    /// Our addresses with their prefix.
    pub addresses: Vec<Prefix>,
    /// Next hops of everything that is sent here, one of each family at most.
    pub gateways: Vec<Address>,
    /// The 802.1Q VLAN of everything here.
    pub vlan: Option<u16>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Device {
    /// A PCI address.
    Pci(String),
    /// A vdev string, ready for DPDK.
    Raw(String),
    /// Driver and arguments; the instance number is the port's.
    Virtual(&'static str, String),
}

/// What is wrong with a specification.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// A key without which the device has no meaning.
    #[error("port '{0}' needs {1}")]
    Missing(String, &'static str),
    /// A key that the kind of port has not.
    #[error("port '{spec}' has no key '{key}': accepted are {accepted}")]
    UnknownKey {
        /// The specification.
        spec: String,
        /// The key found.
        key: String,
        /// What may stand there.
        accepted: String,
    },
    /// No such kind.
    #[error(
        "'{0}' is no port: write tap:, memif:, af_packet:, af_xdp:, vhost-user:, virtio-user:, ring:, null, pci: or a DPDK device such as net_tap0,iface=x"
    )]
    UnknownKind(String),
    /// A value that does not parse.
    #[error("{key}={value}: {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value found.
        value: String,
        /// What may stand there.
        expected: &'static str,
    },
}

impl Spec {
    /// The device string for DPDK; `index` tells the ports of one process apart.
    pub fn device(&self, index: usize) -> String {
        match &self.device {
            Device::Pci(address) => address.clone(),
            Device::Raw(text) => text.clone(),
            Device::Virtual(driver, rest) => {
                format!("{driver}{}", rest.replacen('#', &index.to_string(), 1))
            }
        }
    }

    /// The PCI address, where the device has one.
    pub fn pci(&self) -> Option<&str> {
        match &self.device {
            Device::Pci(address) => Some(address),
            Device::Raw(_) | Device::Virtual(..) => None,
        }
    }

    /// Our first address of a family here.
    pub fn address(&self, family: Family) -> Option<Prefix> {
        self.addresses.iter().find(|prefix| prefix.family() == family).copied()
    }

    /// Our next hop of a family here.
    pub fn gateway(&self, family: Family) -> Option<Address> {
        self.gateways.iter().find(|gateway| gateway.family() == family).copied()
    }

    /// Takes `ip=`, `gw=`, `vlan=` and `mac=`; false for any other key.
    fn take(&mut self, key: &str, value: &str) -> Result<bool, SpecError> {
        let wrong = |key, expected| SpecError::Value { key, value: value.to_owned(), expected };
        match key {
            "gw" => {
                let gateway: IpAddr =
                    value.parse().map_err(|_| wrong("gw", "an address is expected"))?;
                let gateway = Address::from(gateway);
                if self.gateway(gateway.family()).is_some() {
                    return Err(wrong("gw", "one of each family at most is expected"));
                }
                self.gateways.push(gateway);
            }
            "vlan" => {
                let id = value.parse().ok().filter(|id| (1..=4094).contains(id));
                self.vlan =
                    Some(id.ok_or_else(|| wrong("vlan", "an id from 1 to 4094 is expected"))?);
            }
            "ip" => {
                let expected = "a prefix such as 10.0.0.2/16 or 2001:db8::2/64 is expected";
                self.addresses.push(value.parse().map_err(|_| wrong("ip", expected))?);
            }
            "mac" => {
                let expected = "an address such as 02:00:00:00:00:01 or 02::1 is expected";
                self.mac = Some(parse_mac(value).ok_or_else(|| wrong("mac", expected))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut spec = Self {
            device: Device::Raw(String::new()),
            mac: None,
            addresses: Vec::new(),
            gateways: Vec::new(),
            vlan: None,
        };
        if text.starts_with("net_") {
            // A device of DPDK's own; its mac= is the driver's, ip=, gw= and vlan= are ours.
            let mut device = Vec::new();
            for part in text.split(',') {
                match part.split_once('=') {
                    Some((key @ ("ip" | "gw" | "vlan"), value)) => _ = spec.take(key, value)?,
                    _ => device.push(part),
                }
            }
            spec.device = Device::Raw(device.join(","));
            return Ok(spec);
        }
        let (kind, rest) = text.split_once([':', ',']).unwrap_or((text, ""));
        let kind = KINDS.iter().find(|known| known.name == kind);
        let kind = kind.ok_or_else(|| SpecError::UnknownKind(text.to_owned()))?;
        let mut parts = rest.split(',').filter(|part| !part.is_empty());
        let mut arguments = String::new();
        if let Some(what) = kind.positional {
            let value = parts.next().filter(|value| !value.contains('='));
            arguments.push_str(value.ok_or_else(|| SpecError::Missing(text.to_owned(), what))?);
        }
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            if spec.take(key, value)? {
                continue;
            }
            let Some((_, name)) = kind.keys.iter().find(|(known, _)| *known == key) else {
                let keys =
                    kind.keys.iter().map(|(known, _)| *known).chain(["mac", "ip", "gw", "vlan"]);
                let accepted = keys.collect::<Vec<_>>().join(", ");
                let key = key.to_owned();
                return Err(SpecError::UnknownKey { spec: text.to_owned(), key, accepted });
            };
            arguments.push_str(&format!(",{name}={value}"));
        }
        if kind.driver == "net_memif" && !arguments.contains(",socket-abstract=yes") {
            arguments = absolute_socket(&arguments);
        }
        if let Some(required) = kind.required
            && !arguments.contains(&format!(",{required}="))
        {
            return Err(SpecError::Missing(text.to_owned(), kind.keys[0].0));
        }
        if let Some((key, value)) = kind.unless_given
            && !arguments.contains(&format!(",{key}="))
        {
            arguments.push_str(&format!(",{key}={value}"));
        }
        spec.device = match kind.driver {
            "" => Device::Pci(arguments),
            "net_ring" => Device::Virtual("net_ring", format!("_{arguments}")),
            driver => Device::Virtual(driver, format!("#{}{arguments}", kind.always)),
        };
        Ok(spec)
    }
}

/// The arguments with a socket whose path begins at the root: the driver of DPDK 22.11 refuses any other.
fn absolute_socket(arguments: &str) -> String {
    let parts = arguments.split(',').map(|part| match part.strip_prefix("socket=") {
        Some(path) => match std::path::absolute(path) {
            Ok(path) => format!("socket={}", path.display()),
            Err(_) => part.to_owned(),
        },
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(",")
}

/// A hardware address; `::` stands for as many zero octets as are missing.
fn parse_mac(text: &str) -> Option<Mac> {
    let octets = |text: &str| -> Option<Vec<u8>> {
        let parts = text.split(':').filter(|part| !part.is_empty());
        parts.map(|part| u8::from_str_radix(part, 16).ok()).collect()
    };
    let (head, tail) = match text.split_once("::") {
        Some((head, tail)) => (octets(head)?, octets(tail)?),
        None => (octets(text)?, Vec::new()),
    };
    let missing = 6_usize.checked_sub(head.len() + tail.len())?;
    if missing > 0 && !text.contains("::") {
        return None;
    }
    [head, vec![0; missing], tail].concat().try_into().ok()
}

/// A kind of port: what users write, and what DPDK is told.
struct Kind {
    name: &'static str,
    driver: &'static str,
    positional: Option<&'static str>,
    /// DPDK's name of the key without which there is no device.
    required: Option<&'static str>,
    always: &'static str,
    /// DPDK's key and value where the user does not say otherwise.
    unless_given: Option<(&'static str, &'static str)>,
    /// Our key, DPDK's key.
    keys: &'static [(&'static str, &'static str)],
}

const KINDS: [Kind; 9] = [
    Kind {
        name: "af_packet",
        driver: "net_af_packet",
        positional: None,
        required: Some("iface"),
        always: "",
        unless_given: None,
        keys: &[("iface", "iface")],
    },
    Kind {
        name: "af_xdp",
        driver: "net_af_xdp",
        positional: None,
        required: Some("iface"),
        always: "",
        unless_given: None,
        keys: &[("iface", "iface"), ("start_queue", "start_queue"), ("force_copy", "force_copy")],
    },
    Kind {
        name: "memif",
        driver: "net_memif",
        positional: None,
        required: Some("socket"),
        always: "",
        // A path names a file, as everywhere else, not an abstract socket.
        unless_given: Some(("socket-abstract", "no")),
        keys: &[
            ("socket", "socket"),
            ("role", "role"),
            ("id", "id"),
            ("bsize", "bsize"),
            ("rsize", "rsize"),
            ("socket-abstract", "socket-abstract"),
        ],
    },
    Kind {
        name: "null",
        driver: "net_null",
        positional: None,
        required: None,
        // Otherwise the driver invents frames as fast as it is asked.
        always: ",no-rx=1",
        unless_given: None,
        keys: &[],
    },
    Kind {
        name: "pci",
        driver: "",
        positional: Some("an address such as pci:0000:01:00.0"),
        required: None,
        always: "",
        unless_given: None,
        keys: &[],
    },
    Kind {
        name: "ring",
        driver: "net_ring",
        positional: Some("a name such as ring:a"),
        required: None,
        always: "",
        unless_given: None,
        keys: &[],
    },
    Kind {
        name: "tap",
        driver: "net_tap",
        positional: None,
        required: Some("iface"),
        always: "",
        unless_given: None,
        keys: &[("name", "iface")],
    },
    Kind {
        name: "vhost-user",
        driver: "net_vhost",
        positional: None,
        required: Some("iface"),
        always: "",
        unless_given: None,
        keys: &[("path", "iface"), ("client", "client")],
    },
    Kind {
        name: "virtio-user",
        driver: "net_virtio_user",
        positional: None,
        required: Some("path"),
        always: "",
        unless_given: None,
        keys: &[("path", "path"), ("server", "server"), ("queue_size", "queue_size")],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Spec {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_kind_becomes_a_device_of_dpdk() {
        for (text, device) in [
            ("tap:name=tg0", "net_tap1,iface=tg0"),
            (
                "memif:socket=/run/m.sock,role=client,id=0",
                "net_memif1,socket=/run/m.sock,role=client,id=0,socket-abstract=no",
            ),
            ("af_packet:iface=veth0", "net_af_packet1,iface=veth0"),
            ("af_xdp:iface=veth0", "net_af_xdp1,iface=veth0"),
            ("vhost-user:path=/tmp/v.sock", "net_vhost1,iface=/tmp/v.sock"),
            ("virtio-user:path=/tmp/v.sock", "net_virtio_user1,path=/tmp/v.sock"),
            ("ring:a", "net_ring_a"),
            ("null", "net_null1,no-rx=1"),
            ("null,ip=10.0.0.2/16", "net_null1,no-rx=1"),
            ("pci:0000:01:00.0,mac=02::1", "0000:01:00.0"),
            ("net_tap0,iface=x,mac=fixed", "net_tap0,iface=x,mac=fixed"),
            ("net_memif0,socket=/a,ip=10.0.0.2/16,gw=10.0.0.1", "net_memif0,socket=/a"),
        ] {
            assert_eq!(spec(text).device(1), device, "{text}");
        }
        assert_eq!(spec("pci:0000:01:00.0").pci(), Some("0000:01:00.0"));
        assert_eq!(spec("null").pci(), None);
    }

    #[test]
    fn a_socket_is_found_from_the_working_directory() {
        let here = std::env::current_dir().unwrap();
        let device = format!("net_memif0,socket={}/m.sock,socket-abstract=no", here.display());
        assert_eq!(spec("memif:socket=m.sock").device(0), device);
        let text = "memif:socket=m,socket-abstract=yes";
        assert_eq!(spec(text).device(0), "net_memif0,socket=m,socket-abstract=yes");
    }

    #[test]
    fn our_own_keys_are_kept_from_dpdk() {
        let spec = spec("tap:name=tg0,mac=02::1,ip=10.0.0.2/16,ip=10.1.0.2/16,gw=10.0.0.1");
        assert_eq!(spec.device(0), "net_tap0,iface=tg0");
        assert_eq!(spec.mac, Some([2, 0, 0, 0, 0, 1]));
        assert_eq!(spec.addresses.len(), 2);
        assert_eq!(spec.address(Family::V4).unwrap().len, 16);
        assert_eq!(spec.address(Family::V6), None);
        assert_eq!(spec.gateway(Family::V4).unwrap().to_string(), "10.0.0.1");
    }

    #[test]
    fn a_port_may_have_both_families_and_a_vlan() {
        let spec =
            spec("null,ip=10.0.0.2/16,ip=2001:db8::2/64,gw=10.0.0.1,gw=2001:db8::1,vlan=100");
        assert_eq!(spec.address(Family::V6).unwrap().len, 64);
        assert_eq!(spec.gateway(Family::V6).unwrap().to_string(), "2001:db8::1");
        assert_eq!(spec.vlan, Some(100));
        for wrong in ["null,vlan=0", "null,vlan=4095", "null,gw=10.0.0.1,gw=10.0.0.2"] {
            assert!(wrong.parse::<Spec>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn hardware_addresses_may_be_shortened() {
        for (text, mac) in [
            ("02:00:00:00:00:01", Some([2, 0, 0, 0, 0, 1])),
            ("02::1", Some([2, 0, 0, 0, 0, 1])),
            ("02:aa::", Some([2, 0xaa, 0, 0, 0, 0])),
            ("02:00:00:00:00", None),
            ("02:00:00:00:00:01:02", None),
            ("zz::1", None),
            ("", None),
        ] {
            assert_eq!(parse_mac(text), mac, "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("", "is no port"),
            ("vhost:x", "is no port"),
            ("tap", "needs name"),
            ("tap:ip=10.0.0.2/16", "needs name"),
            ("tap:name=a,color=red", "no key 'color': accepted are name, mac, ip, gw, vlan"),
            ("memif:role=client", "needs socket"),
            ("af_packet:iface=a,ip=10.0.0.2/40", "ip=10.0.0.2/40"),
            ("null,gw=x", "gw=x"),
            ("null,mac=2", "mac=2"),
            ("ring:", "needs a name"),
            ("pci:ip=10.0.0.1", "needs an address"),
        ] {
            let error = text.parse::<Spec>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
