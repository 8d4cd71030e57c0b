//! What a device is told before it starts: offloads, queues, MTU and addresses.

use std::io;

use dpdk_sys::*;

use super::{Config, device::Device};
use crate::{
    Mempool,
    error::{Error, Result, check},
};

impl Device {
    /// Does all of it, once, for a device that is stopped.
    pub(super) fn set_up(&mut self, config: &Config, pool: &Mempool) -> Result<()> {
        let info = self.info()?;
        self.refuse_what_no_buffer_holds(pool)?;
        let conf = self.negotiate(config, &info, pool)?;
        // SAFETY: the port exists and is stopped; `conf` lives for the call.
        let answer = unsafe {
            rte_eth_dev_configure(self.id, config.rx_queues, config.tx_queues, &raw const conf)
        };
        check("rte_eth_dev_configure", answer)?;
        self.pool = Some(pool.clone());
        self.one_segment = conf.txmode.offloads & SHIM_TX_OFFLOAD_MULTI_SEGS == 0
            && !ANY_SEGMENTS.iter().any(|driver| self.name.starts_with(driver));
        self.set_up_queues(config, &conf, &info, pool)?;
        if let Some(mtu) = config.mtu {
            // SAFETY: the port exists and is stopped.
            unless_unknown(check("rte_eth_dev_set_mtu", unsafe {
                rte_eth_dev_set_mtu(self.id, mtu)
            }))?;
        }
        self.admit(config)
    }

    /// The largest packet without its Ethernet header.
    pub(super) fn mtu(&self) -> u16 {
        let mut mtu = 0;
        // SAFETY: the port exists; `mtu` is writable.
        let answer = unsafe { rte_eth_dev_get_mtu(self.id, &raw mut mtu) };
        if answer < 0 || mtu == 0 { ETHERNET_MTU } else { mtu }
    }

    fn negotiate(
        &self,
        config: &Config,
        info: &rte_eth_dev_info,
        pool: &Mempool,
    ) -> Result<rte_eth_conf> {
        let mtu = u32::from(config.mtu.unwrap_or_else(|| self.mtu()));
        let mut conf = rte_eth_conf::default();
        conf.rxmode.mtu = mtu;
        if !self.is_virtual() {
            // The tap driver has it too, in software, and then checks TCP and UDP as well.
            conf.rxmode.offloads = SHIM_RX_OFFLOAD_IPV4_CKSUM & info.rx_offload_capa;
        }
        if mtu + ETHERNET_OVERHEAD > u32::from(pool.data_room()) {
            if info.rx_offload_capa & SHIM_RX_OFFLOAD_SCATTER == 0 {
                return Err(no_buffer_holds(&self.name, mtu, pool));
            }
            conf.rxmode.offloads |= SHIM_RX_OFFLOAD_SCATTER;
        }
        conf.txmode.offloads = SHIM_TX_OFFLOAD_MULTI_SEGS & info.tx_offload_capa;
        if config.fast_free {
            conf.txmode.offloads |= SHIM_TX_OFFLOAD_MBUF_FAST_FREE & info.tx_offload_capa;
        }
        let hash = SHIM_RSS_IP & info.flow_type_rss_offloads;
        if config.rx_queues > 1 && hash != 0 {
            conf.rxmode.mq_mode = SHIM_RX_MQ_RSS;
            conf.rx_adv_conf.rss_conf.rss_hf = hash;
        }
        Ok(conf)
    }

    fn set_up_queues(
        &self,
        config: &Config,
        conf: &rte_eth_conf,
        info: &rte_eth_dev_info,
        pool: &Mempool,
    ) -> Result<()> {
        let (id, any) = (self.id, SHIM_SOCKET_ANY as u32);
        let (mut rx_count, mut tx_count) = (config.rx_descriptors, config.tx_descriptors);
        if self.name.starts_with("net_tap") {
            // No queue, but the buffers that one packet may take: more would only be idle.
            rx_count = rx_count.min(TAP_SEGMENTS);
        }
        // SAFETY: the port exists; both numbers are writable.
        let answer =
            unsafe { rte_eth_dev_adjust_nb_rx_tx_desc(id, &raw mut rx_count, &raw mut tx_count) };
        check("rte_eth_dev_adjust_nb_rx_tx_desc", answer)?;
        let rx = rte_eth_rxconf { offloads: conf.rxmode.offloads, ..info.default_rxconf };
        let tx = rte_eth_txconf { offloads: conf.txmode.offloads, ..info.default_txconf };
        for queue in 0..config.rx_queues {
            // SAFETY: the port is configured with this queue; the pool lives as long as the device, which has a clone.
            let answer = unsafe {
                rte_eth_rx_queue_setup(id, queue, rx_count, any, &raw const rx, pool.as_ptr())
            };
            check("rte_eth_rx_queue_setup", answer)?;
        }
        for queue in 0..config.tx_queues {
            // SAFETY: the port is configured with this queue.
            let answer = unsafe { rte_eth_tx_queue_setup(id, queue, tx_count, any, &raw const tx) };
            check("rte_eth_tx_queue_setup", answer)?;
        }
        Ok(())
    }

    /// Lets in what is sent to our address: by the device's filter or, where it has none to set, without.
    fn admit(&mut self, config: &Config) -> Result<()> {
        let mut promiscuous = config.promiscuous;
        if let Some(mac) = config.mac {
            // Setting a virtual device's address would change the kernel interface behind it, which is not ours.
            promiscuous |= self.is_virtual() || {
                let mut address = rte_ether_addr { addr_bytes: mac };
                // SAFETY: the port exists; `address` lives for the call.
                unsafe { rte_eth_dev_default_mac_addr_set(self.id, &raw mut address) < 0 }
            };
        }
        // A device that is one end of a kernel interface has no filter: it gets all that the kernel sends.
        if promiscuous && !self.shares_its_mac() {
            // SAFETY: the port exists.
            let answer = unsafe { rte_eth_promiscuous_enable(self.id) };
            unless_unknown(check("rte_eth_promiscuous_enable", answer))?;
            self.promiscuous = true;
        }
        Ok(())
    }

    /// The af_packet driver copies frames as long as the kernel's MTU into buffers without looking (22.11).
    fn refuse_what_no_buffer_holds(&self, pool: &Mempool) -> Result<()> {
        if !self.name.starts_with("net_af_packet") {
            return Ok(());
        }
        let mut arguments = self.name.split(',').map(str::trim);
        let Some(interface) = arguments.find_map(|argument| argument.strip_prefix("iface=")) else {
            return Ok(());
        };
        let mtu = kernel_mtu(interface)?;
        if mtu.saturating_add(ETHERNET_OVERHEAD) > u32::from(pool.data_room()) {
            return Err(no_buffer_holds(interface, mtu, pool));
        }
        Ok(())
    }
}

/// The MTU of an interface in the calling thread's network namespace.
fn kernel_mtu(interface: &str) -> Result<u32> {
    // SAFETY: all zero is a valid `ifreq`: an empty name, no data.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let room = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes().take(room)) {
        *to = from as libc::c_char;
    }
    // SAFETY: a socket of our own, closed below; the request is writable and its name ends in zero; on success the kernel
    // has filled in the MTU, on failure it is still zero.
    let (answer, mtu) = unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        let answer = libc::ioctl(socket, libc::SIOCGIFMTU, &raw mut request);
        libc::close(socket);
        (answer, request.ifr_ifru.ifru_mtu)
    };
    if answer < 0 {
        let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::ENODEV);
        return Err(Error::new("SIOCGIFMTU", errno, interface));
    }
    Ok(mtu.cast_unsigned())
}

fn no_buffer_holds(name: &str, mtu: u32, pool: &Mempool) -> Error {
    let room = pool.data_room();
    let why = format!(
        "{name}: MTU {mtu} and {ETHERNET_OVERHEAD} octets exceed the {room} octets of a buffer"
    );
    Error::new("Port::configure", libc::EMSGSIZE, why)
}

/// A driver that has no such function has nothing to set either.
fn unless_unknown(answer: Result<i32>) -> Result<()> {
    match answer {
        Err(error) if error.errno.0 != libc::ENOTSUP => Err(error),
        _ => Ok(()),
    }
}

const ETHERNET_MTU: u16 = 1500;
const ETHERNET_OVERHEAD: u32 = 18; // header and one VLAN tag
const TAP_SEGMENTS: u16 = 64;

/// Drivers that send packets of several segments without telling.
const ANY_SEGMENTS: [&str; 2] = ["net_null", "net_pcap"];
