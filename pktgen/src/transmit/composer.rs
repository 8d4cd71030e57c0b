//! Writes a flow's next frame into a buffer.

use crate::flow::{Direction, Flow, Flows, HEADERS, INWARD, Shape, fill, ipv4_header};
use crate::frame::{ETHERNET, IPV4, Mac};
use crate::trailer::{Key, LEN, Trailer};

/// The hardware addresses, the shape and the key of a phase.
#[derive(Clone, Debug)]
pub struct Composer {
    ethernet: [[u8; ETHERNET]; 2],
    shape: Shape,
    key: Key,
}

impl Composer {
    /// `routes` are source and destination hardware address of each [`Direction`].
    pub fn new(routes: [(Mac, Mac); 2], shape: Shape, key: Key) -> Self {
        let ethernet = routes.map(|(source, destination)| {
            let mut header = [0; ETHERNET];
            header[..6].copy_from_slice(&destination);
            header[6..12].copy_from_slice(&source);
            header[12..].copy_from_slice(&0x0800_u16.to_be_bytes());
            header
        });
        Self { ethernet, shape, key }
    }

    /// Writes the next frame of a flow, stamped with `now` (ns); false, and nothing written, when
    /// the external endpoint is not known or `into` has another length than the shape.
    pub fn write(
        &self,
        index: u32,
        flow: &mut Flow,
        direction: Direction,
        now: u64,
        into: &mut [u8],
    ) -> bool {
        let Some((source, destination)) = flow.sent(direction) else { return false };
        if into.len() != self.shape.buffer_len() {
            return false;
        }
        let Some((headers, payload)) = into.split_first_chunk_mut::<HEADERS>() else {
            return false;
        };
        let Some((pattern, trailer)) = payload.split_last_chunk_mut::<LEN>() else { return false };
        headers[..ETHERNET].copy_from_slice(&self.ethernet[direction as usize]);
        let mut ip = ipv4_header(self.shape, flow, source, destination);
        ip[10..12].copy_from_slice(&flow.ip_checksum[direction as usize].to_be_bytes());
        headers[ETHERNET..ETHERNET + IPV4].copy_from_slice(&ip);
        headers[34..36].copy_from_slice(&source.port().to_be_bytes());
        headers[36..38].copy_from_slice(&destination.port().to_be_bytes());
        headers[38..40].copy_from_slice(&self.shape.udp_length().to_be_bytes());
        headers[40..42].copy_from_slice(&flow.udp_checksum[direction as usize].to_be_bytes());
        fill(flow.pattern, pattern);
        let seq = flow.take_seq(direction);
        let flow_word = if direction == Direction::Inward { index | INWARD } else { index };
        let ts = crate::trailer::ticks(now);
        self.key.write(Trailer { flow: flow_word, seq, ts }, flow.constant(), trailer);
        true
    }

    /// Stamps a frame that was written before with a new time.
    pub fn restamp(&self, flows: &Flows, now: u64, frame: &mut [u8]) {
        let Some(octets) = frame.last_chunk_mut::<LEN>() else { return };
        let (_, written) = self.key.read(octets);
        if let Some(flow) = flows.flow(written.flow & !INWARD) {
            let trailer = Trailer { ts: crate::trailer::ticks(now), ..written };
            self.key.write(trailer, flow.constant(), octets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Sum;
    use crate::flow::Plan;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    proptest! {
        #[test]
        fn every_frame_of_every_size_has_right_checksums(
            size in 64..2000_usize, seed: u64, now: u64, index in 0..50_u32,
        ) {
            let shape = Shape::new(size).unwrap();
            let remote = [Ipv4Addr::new(198, 51, 100, 2)];
            let plan = Plan::new(50, Ipv4Addr::new(10, 0, 0, 2), 24, None, &remote, seed).unwrap();
            let mut flows = Flows::new(plan, shape);
            flows.learn(index, "203.0.113.5:1024".parse().unwrap());
            let composer = Composer::new([([2; 6], [4; 6]); 2], shape, Key::new(seed, 0));
            let mut frame = vec![0xee; shape.buffer_len()];
            for direction in Direction::BOTH {
                for _ in 0..3 {
                    let flow = flows.flow_mut(index).unwrap();
                    prop_assert!(composer.write(index, flow, direction, now, &mut frame));
                    prop_assert!(Sum::default().bytes(&frame[14..34]).is_intact());
                    let udp = Sum::default().bytes(&frame[34..]);
                    let len = shape.udp_length();
                    prop_assert!(udp.pseudo_header_v4(&frame[26..34], 17, len).is_intact());
                    prop_assert_ne!(&frame[40..42], &[0, 0]);
                }
            }
        }
    }

    #[test]
    fn a_new_stamp_changes_the_time_only() {
        let shape = Shape::new(64).unwrap();
        let plan = Plan::new(9, Ipv4Addr::new(10, 0, 0, 2), 24, None, &[Ipv4Addr::LOCALHOST], 1);
        let mut flows = Flows::new(plan.unwrap(), shape);
        let key = Key::new(0, 0);
        let composer = Composer::new([([2; 6], [4; 6]); 2], shape, key);
        let mut frame = [0; 60];
        composer.write(5, flows.flow_mut(5).unwrap(), Direction::Outward, 1600, &mut frame);
        let (_, before) = key.read(frame.last_chunk().unwrap());
        composer.restamp(&flows, 3200, &mut frame);
        let (owner, after) = key.read(frame.last_chunk().unwrap());
        assert_eq!((owner, after), (crate::trailer::Owner::Ours, Trailer { ts: 200, ..before }));
        let udp = Sum::default().bytes(&frame[34..]);
        assert!(udp.pseudo_header_v4(&frame[26..34], 17, shape.udp_length()).is_intact());
    }

    #[test]
    fn nothing_is_sent_back_to_an_unknown_endpoint() {
        let shape = Shape::new(64).unwrap();
        let composer = Composer::new([([2; 6], [4; 6]); 2], shape, Key::new(0, 0));
        let mut frame = [7; 60];
        assert!(!composer.write(0, &mut Flow::default(), Direction::Inward, 0, &mut frame));
        assert!(!composer.write(0, &mut Flow::default(), Direction::Outward, 0, &mut frame[1..]));
        assert_eq!(frame, [7; 60]);
    }
}
