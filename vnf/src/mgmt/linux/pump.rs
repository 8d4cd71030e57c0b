//! Moves packets between the workers' rings and the taps.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use dpdk_bindings::{Mbuf, Mempool};

use super::Figures;
use super::device::Device;
use crate::engine::ids::InterfaceId;
use crate::engine::message::Rings;
use crate::wire::ethernet::{self, HEADER, Layer2, TAG};

/// The packets on their way, and what is counted of them.
pub(super) struct Pump {
    figures: Vec<Arc<Figures>>,
    workers: Vec<Arc<Rings>>,
    pool: Mempool,
    /// The tap of each interface.
    taps: Vec<Option<usize>>,
    frame: Box<[u8]>,
}

impl Pump {
    pub(super) fn new(
        devices: &[Device],
        figures: Vec<Arc<Figures>>,
        workers: Vec<Arc<Rings>>,
        pool: Mempool,
    ) -> Self {
        let mut taps = vec![None; usize::from(u8::MAX) + 1];
        for (at, device) in devices.iter().enumerate() {
            taps[device.interface.index()] = Some(at);
        }
        Self { figures, workers, pool, taps, frame: vec![0; LONGEST].into_boxed_slice() }
    }

    /// Moves what is there, a bounded number of packets; returns whether there was any.
    pub(super) fn turn(&mut self, devices: &[Device]) -> bool {
        let mut moved = false;
        for worker in 0..self.workers.len() {
            for _ in 0..AT_ONCE {
                let Some((packet, interface)) = self.workers[worker].exceptions.pop() else {
                    break;
                };
                moved = true;
                self.deliver(&packet, interface, devices);
            }
        }
        for (at, device) in devices.iter().enumerate() {
            for _ in 0..AT_ONCE {
                if !self.fetch(at, device) {
                    break;
                }
                moved = true;
            }
        }
        moved
    }

    /// Lets the kernel receive a packet, without the tag that the tap stands for.
    fn deliver(&mut self, packet: &Mbuf, interface: InterfaceId, devices: &[Device]) {
        let Some(at) = self.taps[interface.index()] else { return };
        let length = packet.copy_to(&mut self.frame);
        let frame = &mut self.frame[..length];
        let tagged = Layer2::parse(frame).is_some_and(|layer2| layer2.l3 == HEADER + TAG);
        let frame = if tagged {
            frame.copy_within(..HEADER - 2, TAG);
            &frame[TAG..]
        } else {
            frame
        };
        let count = match devices[at].tap.write(frame) {
            Ok(()) => &self.figures[at].to_kernel,
            Err(_) => &self.figures[at].lost,
        };
        count.fetch_add(1, Relaxed);
    }

    /// Takes one frame from the kernel and sends it by the port, with the interface's tag.
    fn fetch(&mut self, at: usize, device: &Device) -> bool {
        let injections = &self.workers[0].injections;
        if injections.is_full() {
            return false; // it waits in the kernel's queue
        }
        let room = if device.vlan == 0 { 0 } else { TAG };
        let length = match device.tap.read(&mut self.frame[room..]) {
            Ok(length) if length >= HEADER => length,
            Ok(_) => return true,
            Err(error) => return error.kind() == ErrorKind::Interrupted,
        };
        if room > 0 {
            self.frame.copy_within(TAG..TAG + HEADER - 2, 0);
            self.frame[12..14].copy_from_slice(&ethernet::VLAN.to_be_bytes());
            self.frame[14..16].copy_from_slice(&device.vlan.to_be_bytes());
        }
        let packet = self.pool.frame(&self.frame[..room + length]);
        let sent = packet.is_some_and(|packet| injections.push((packet, device.port)).is_ok());
        let figures = &self.figures[at];
        let count = if sent { &figures.from_kernel } else { &figures.lost };
        count.fetch_add(1, Relaxed);
        true
    }

    /// Gives back the buffers of packets on their way.
    pub(super) fn finish(&self) {
        for rings in &self.workers {
            while rings.exceptions.pop().is_some() {}
        }
    }
}

/// Packets moved in one turn, of each worker and of each tap.
const AT_ONCE: usize = 64;
/// The longest frame: an MTU of 9,216 octets with Ethernet and a tag, and some.
const LONGEST: usize = 16_384;
