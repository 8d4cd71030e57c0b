//! The queues of a port: the only way in and out for packets.

use std::{cell::Cell, marker::PhantomData, ptr, sync::Arc, sync::atomic::Ordering};

use crate::{Batch, Mbuf, port::Device};

/// How many packets one call receives at most.
pub const BURST: usize = 64;

/// A receive queue, owned by one thread at a time. It keeps its port from being closed.
#[derive(Debug)]
pub struct RxQueue {
    device: Arc<Device>,
    id: u16,
    _one_thread: PhantomData<Cell<()>>,
}

/// A transmit queue, owned by one thread at a time. It keeps its port from being closed.
#[derive(Debug)]
pub struct TxQueue {
    device: Arc<Device>,
    id: u16,
    _one_thread: PhantomData<Cell<()>>,
}

impl RxQueue {
    pub(crate) fn new(device: Arc<Device>, id: u16) -> Self {
        Self { device, id, _one_thread: PhantomData }
    }

    /// The port this queue belongs to.
    #[inline]
    pub fn port(&self) -> u16 {
        self.device.id
    }

    /// Fills the array from its start and returns how many packets arrived; of a port that is not started, none.
    ///
    /// The array is empty when it comes in: what it held would be lost, not freed.
    #[inline]
    pub fn receive(&mut self, into: &mut [Option<Mbuf>; BURST]) -> usize {
        debug_assert!(into.iter().all(Option::is_none), "receive overwrites what the array holds");
        // Acquire: pairs with `Port::start`, after which the driver's functions may be called.
        if !self.device.started.load(Ordering::Acquire) {
            return 0;
        }
        // SAFETY: the port is configured with this queue and started, and stays so while the queue lives (`Port::stop`
        // refuses, `Device` closes in its drop). One owner, `&mut self`: no other thread is in this queue.
        // `Option<Mbuf>` has the layout of a pointer; the driver gives packets away for good.
        let count = unsafe {
            dpdk_sys::shim_rx_burst(self.device.id, self.id, into.as_mut_ptr().cast(), BURST as u16)
        };
        let count = usize::from(count);
        if self.device.omits_port {
            into[..count.min(BURST)]
                .iter_mut()
                .flatten()
                .for_each(|packet| packet.set_port(self.device.id));
        }
        count
    }
}

impl TxQueue {
    pub(crate) fn new(device: Arc<Device>, id: u16) -> Self {
        Self { device, id, _one_thread: PhantomData }
    }

    /// The port this queue belongs to.
    #[inline]
    pub fn port(&self) -> u16 {
        self.device.id
    }

    /// Takes what the port accepts from the start of `from` and returns how many packets that was.
    ///
    /// Packets behind the first empty slot, and those the port has no room for, stay the caller's; so do those from the
    /// first on that a driver without multi-segment transmission cannot send.
    #[inline]
    pub fn transmit(&mut self, from: &mut [Option<Mbuf>]) -> usize {
        if !self.device.started.load(Ordering::Acquire) {
            return 0;
        }
        let ready = from.iter().take_while(|slot| slot.is_some()).count();
        let ready = if self.device.one_segment { join(&mut from[..ready]) } else { ready };
        let ready = ready.min(usize::from(u16::MAX));
        // SAFETY: as in `receive`; the first `ready` slots are valid packets (just counted).
        let sent = unsafe {
            dpdk_sys::shim_tx_burst(self.device.id, self.id, from.as_mut_ptr().cast(), ready as u16)
        };
        let sent = usize::from(sent).min(ready);
        // SAFETY: within the slice; the driver owns these packets now, so the slots are emptied without dropping them,
        // and all zero is `None`.
        unsafe { ptr::write_bytes(from.as_mut_ptr(), 0, sent) };
        sent
    }

    /// Takes what the port accepts from the start of a batch and returns how many packets that was.
    #[inline]
    pub fn transmit_batch(&mut self, from: &mut Batch) -> usize {
        if !self.device.started.load(Ordering::Acquire) {
            return 0;
        }
        // SAFETY: as in `receive`; all packets of a batch are valid.
        let sent = unsafe {
            dpdk_sys::shim_tx_burst(self.device.id, self.id, from.as_mut_ptr(), from.len() as u16)
        };
        let sent = usize::from(sent).min(from.len());
        // SAFETY: `sent` is at most the length; the driver owns these packets now.
        unsafe { from.forget_first(sent) };
        sent
    }
}

/// Makes every packet one segment, and returns how many come before the first for which a buffer is too small.
#[cold]
fn join(packets: &mut [Option<Mbuf>]) -> usize {
    let mut whole = packets.iter_mut().flatten();
    let too_long =
        |packet: &mut Mbuf| packet.segment_count() > 1 && packet.contiguous(packet.len()).is_none();
    whole.position(too_long).unwrap_or(packets.len())
}
