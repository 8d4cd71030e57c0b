//! One direction's frames: which flow is next, when it is due, and what the port has not taken yet.

use dpdk_bindings::{Mbuf, Mempool, TxQueue};

use super::Clock;
use crate::flow::{Direction, Flows};
use crate::latency::Latency;
use crate::transmit::{Composer, GRACE_NS, Pacer};

/// In which order the flows take their turns, over and over.
#[derive(Clone, Debug)]
pub enum Order {
    /// Every flow: frame `k` is of flow `k % flows`.
    All,
    /// These flows.
    Listed(Vec<u32>),
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    pacer: Option<Pacer>,
    order: Option<Order>,
    position: usize,
    pending: [Option<Mbuf>; BURST],
    waiting: usize,
    refused_at: u64,
    accepted: u64,
}

impl Lane {
    pub(super) fn load(&mut self, pacer: Pacer, order: Order) {
        *self = Self { pacer: Some(pacer), order: Some(order), ..Self::default() };
    }

    /// Frames intended and frames accepted by the port.
    pub(super) fn sent(&self) -> (u64, u64) {
        let Some(pacer) = &self.pacer else { return (0, 0) };
        let intended = if pacer.has_rate() { pacer.intended() } else { self.accepted };
        (intended, self.accepted)
    }

    pub(super) fn is_sending(&self, now: u64) -> bool {
        self.waiting > 0 || self.pacer.is_some_and(|pacer| !pacer.is_over(now))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of the engine, borrowed one by one")]
    pub(super) fn send(
        &mut self,
        direction: Direction,
        tx: &mut TxQueue,
        flows: &mut Flows,
        composer: &Composer,
        pool: &Mempool,
        send_error: &mut Latency,
        clock: &impl Clock,
    ) {
        let Some(pacer) = &mut self.pacer else { return };
        let now = clock.now();
        if self.waiting > 0 {
            let patience = if pacer.has_rate() { self.refused_at } else { pacer.end() };
            if now > patience + GRACE_NS {
                Mbuf::free_bulk(&mut self.pending[..self.waiting]);
                self.waiting = 0;
                return;
            }
            // The stamp says when the port took the frame, not when it was first asked.
            for packet in self.pending[..self.waiting].iter_mut().flatten() {
                composer.restamp(flows, now, packet.data_mut());
            }
            self.offer(tx, now);
            return;
        }
        let due = pacer.due(now).min(BURST as u64) as usize;
        if due == 0 || !pool.alloc_bulk(&mut self.pending[..due]) {
            return;
        }
        let len = flows.shape().buffer_len();
        let order = self.order.as_ref();
        for packet in self.pending[..due].iter_mut().flatten() {
            let index = match order {
                Some(Order::Listed(list)) => list[self.position],
                Some(Order::All) | None => self.position as u32,
            };
            let total = match order {
                Some(Order::Listed(list)) => list.len(),
                Some(Order::All) | None => flows.len(),
            };
            self.position = if self.position + 1 == total { 0 } else { self.position + 1 };
            send_error.record(now - pacer.take(now));
            let Some(flow) = flows.flow_mut(index) else { continue };
            if let Some(frame) = packet.extend(len) {
                composer.write(index, flow, direction, now, frame);
            }
        }
        self.waiting = due;
        self.refused_at = now;
        self.offer(tx, now);
    }

    fn offer(&mut self, tx: &mut TxQueue, now: u64) {
        let sent = tx.transmit(&mut self.pending[..self.waiting]);
        if sent > 0 {
            self.pending[..self.waiting].rotate_left(sent);
            self.waiting -= sent;
            self.accepted += sent as u64;
            self.refused_at = now;
        }
    }
}

const BURST: usize = 32;
