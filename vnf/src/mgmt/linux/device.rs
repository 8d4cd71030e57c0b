//! The kernel's network interfaces: taps made, named, addressed and set up.

use anyhow::Context;
use dpdk_bindings::tap::Tap;
use futures_util::TryStreamExt;
use ipnet::IpNet;
use log::warn;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::{Handle, LinkUnspec};

use super::{Wish, is_link_local};
use crate::engine::ids::{InterfaceId, PortId};

/// A tap with its place among the VNF's interfaces.
pub(super) struct Device {
    pub(super) tap: Tap,
    pub(super) interface: InterfaceId,
    pub(super) port: PortId,
    pub(super) vlan: u16,
    /// The kernel's number of the interface.
    pub(super) index: u32,
}

/// A conversation with the kernel about interfaces and routes.
pub(super) struct Kernel {
    pub(super) handle: Handle,
}

impl Kernel {
    pub(super) fn connect() -> anyhow::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection().context("no netlink socket")?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// Makes every tap that is wished for and sets it up.
    pub(super) async fn make(&self, wishes: &[Wish]) -> anyhow::Result<Vec<Device>> {
        let mut devices = Vec::new();
        for wish in wishes {
            let device = self.make_one(wish).await.with_context(|| {
                format!("port `{}`: cannot make the tap {}", wish.port_name, wish.tap)
            });
            devices.push(device?);
        }
        Ok(devices)
    }

    async fn make_one(&self, wish: &Wish) -> anyhow::Result<Device> {
        let tap = Tap::open(&wish.tap).map_err(|error| match error.raw_os_error() {
            Some(16) => anyhow::anyhow!("an interface of this name exists; choose another name"),
            Some(1) => anyhow::anyhow!("{error}: it takes CAP_NET_ADMIN"),
            _ => anyhow::Error::from(error).context("/dev/net/tun"),
        })?;
        // The box answers for no other router on the link.
        for (setting, value) in [("accept_ra", "0"), ("router_solicitations", "0")] {
            let path = format!("/proc/sys/net/ipv6/conf/{}/{setting}", wish.tap);
            // A kernel without IPv6 has no such setting, and needs none.
            let _ = std::fs::write(path, value);
        }
        let mut found = self.handle.link().get().match_name(wish.tap.clone()).execute();
        let link = found.try_next().await?.context("the new interface is not there")?;
        let index = link.header.index;
        let (mac, mtu) = (wish.mac.0.to_vec(), u32::from(wish.mtu));
        let set = |link| self.handle.link().set(link).execute();
        set(LinkUnspec::new_with_index(index).address(mac).mtu(mtu).build()).await?;
        set(LinkUnspec::new_with_index(index).up().build()).await?;
        for net in &wish.addresses {
            self.add(index, *net).await.with_context(|| format!("address {net}"))?;
        }
        let Wish { interface, port, vlan, .. } = *wish;
        Ok(Device { tap, interface, port, vlan, index })
    }

    /// Gives taps the addresses that they shall have, and takes others away; the kernel's own link-local ones stay.
    pub(super) async fn change(&self, devices: &[Device], wishes: &[Wish]) {
        for device in devices {
            let wish = wishes.iter().find(|wish| wish.interface == device.interface);
            let wanted = wish.map_or(&[][..], |wish| &wish.addresses);
            if let Err(error) = self.change_one(device, wanted).await {
                warn!(
                    "tap {}: its addresses are not what they should be: {error:#}",
                    device.tap.name()
                );
            }
        }
    }

    async fn change_one(&self, device: &Device, wanted: &[IpNet]) -> anyhow::Result<()> {
        let mut present = Vec::new();
        let request = self.handle.address().get().set_link_index_filter(device.index);
        let mut messages = std::pin::pin!(request.execute());
        while let Some(message) = messages.try_next().await? {
            if let Some(net) = net_of(&message) {
                present.push((net, message));
            }
        }
        for (net, message) in &present {
            if !wanted.contains(net) && !is_link_local(net.addr()) {
                self.handle.address().del(message.clone()).execute().await?;
            }
        }
        for net in wanted {
            if !present.iter().any(|(found, _)| found == net) {
                self.add(device.index, *net).await?;
            }
        }
        Ok(())
    }

    async fn add(&self, index: u32, net: IpNet) -> anyhow::Result<()> {
        let mut request = self.handle.address().add(index, net.addr(), net.prefix_len());
        if request.message_mut().header.family == AddressFamily::Inet6 {
            // The VNF has looked for duplicates (RFC 4862 5.4); the kernel would not hear the answers.
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        }
        Ok(request.execute().await?)
    }
}

fn net_of(message: &AddressMessage) -> Option<IpNet> {
    let length = message.header.prefix_len;
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    IpNet::new(local.or(address)?, length).ok()
}
