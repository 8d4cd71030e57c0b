//! Blocks of external ports, each of one host: TCP, UDP and ICMP together, so that a block's opening and closing are all
//! that a log needs.

use std::ops::RangeInclusive;

use super::hosts::Hosts;
use crate::session::NIL;
use crate::table::PortBitmap;

/// The blocks that one worker owns of one external address.
pub struct PortBlocks {
    /// The last block may be shorter.
    ports: RangeInclusive<u16>,
    size: u16,
    /// Which blocks have a host, by number.
    taken: PortBitmap,
    free: usize,
    blocks: Box<[Block]>,
}

#[derive(Clone)]
struct Block {
    /// The entry of the host that has it.
    host: u32,
    /// Its ports in use or at rest, all protocols together.
    used: u32,
    /// The host's block opened before it.
    next: u32,
}

impl PortBlocks {
    /// Blocks of `size` ports, none of them in use.
    pub fn new(ports: RangeInclusive<u16>, size: u16) -> Self {
        let count = ports.len().div_ceil(usize::from(size));
        let free = Block { host: NIL, used: 0, next: NIL };
        Self {
            ports,
            size,
            taken: PortBitmap::new(),
            free: count,
            blocks: vec![free; count].into_boxed_slice(),
        }
    }

    /// Whether some block has no host, if none has any of so many ports that rest.
    pub fn has_free_beside(&self, resting: u32) -> bool {
        self.free > (resting / u32::from(self.size)) as usize
    }

    /// Ports of the blocks that have a host.
    pub fn given_ports(&self) -> u32 {
        (self.blocks.len() - self.free) as u32 * u32::from(self.size)
    }

    /// Finds a port in one of the host's blocks, or in a new one while it has fewer than `limit`. `take` takes a port of a
    /// range; `random` chooses among free blocks.
    pub fn take(
        &mut self,
        address: u32,
        (hosts, id): (&mut Hosts, u32),
        limit: u16,
        random: u64,
        mut take: impl FnMut(RangeInclusive<u16>) -> Option<u16>,
    ) -> Option<u16> {
        let mut block = hosts.host(id).first_block;
        while block != NIL {
            if let Some(port) = take(self.ports_of(block)) {
                self.blocks[block as usize].used += 1;
                return Some(port);
            }
            block = self.blocks[block as usize].next;
        }
        if hosts.host(id).blocks >= u32::from(limit) {
            return None;
        }
        let count = self.blocks.len();
        let first = self.taken.take(0..=count.checked_sub(1)? as u16, random)?;
        self.taken.give(first);
        // Forwards may have all ports of a block; then it is the turn of the next free one.
        let mut numbers = (usize::from(first)..count).chain(0..usize::from(first));
        let (block, port) = numbers.find_map(|number| {
            let free = self.blocks[number].host == NIL;
            let port = free.then(|| take(self.ports_of(number as u32))).flatten()?;
            Some((number as u32, port))
        })?;
        self.taken.take_exact(block as u16);
        self.free -= 1;
        let next = hosts.host(id).first_block;
        self.blocks[block as usize] = Block { host: id, used: 1, next };
        hosts.open_block(id, block, address, self.ports_of(block));
        Some(port)
    }

    /// Notes that a port of a block is free again, and returns the host that has lost the block with it.
    pub fn give(&mut self, address: u32, port: u16, hosts: &mut Hosts) -> Option<u32> {
        let number = self.ports.contains(&port).then(|| (port - self.ports.start()) / self.size)?;
        let block = &mut self.blocks[usize::from(number)];
        let host = block.host;
        if host == NIL {
            return None; // the endpoint is from before the address left the pool and came back
        }
        block.used -= 1;
        if block.used > 0 {
            return None;
        }
        let next = block.next;
        let first = hosts.host(host).first_block;
        let first = if first == u32::from(number) {
            next
        } else {
            let mut before = first;
            while self.blocks[before as usize].next != u32::from(number) {
                before = self.blocks[before as usize].next;
            }
            self.blocks[before as usize].next = next;
            first
        };
        hosts.close_block(host, first, address, self.ports_of(number.into()));
        self.blocks[usize::from(number)] = Block { host: NIL, used: 0, next: NIL };
        self.taken.give(number);
        self.free += 1;
        Some(host)
    }

    /// Takes all blocks away from their hosts, as their address has left the pool.
    pub fn close_all(&mut self, address: u32, hosts: &mut Hosts) {
        if self.free == self.blocks.len() {
            return;
        }
        for block in 0..self.blocks.len() {
            let host = std::mem::replace(&mut self.blocks[block].host, NIL);
            if host != NIL {
                hosts.close_block(host, NIL, address, self.ports_of(block as u32));
                hosts.close_if_idle(host);
            }
        }
    }

    /// The ports of a host's blocks, the newest block first.
    pub fn of_host(&self, first_block: u32) -> impl Iterator<Item = RangeInclusive<u16>> + '_ {
        let known = |block: u32| (block != NIL).then_some(block);
        let blocks = std::iter::successors(known(first_block), move |block| {
            known(self.blocks[*block as usize].next)
        });
        blocks.map(|block| self.ports_of(block))
    }

    /// Memory used, in octets.
    pub fn bytes(&self) -> usize {
        PortBitmap::bytes() + self.blocks.len() * size_of::<Block>()
    }

    fn ports_of(&self, block: u32) -> RangeInclusive<u16> {
        let first = u32::from(*self.ports.start()) + block * u32::from(self.size);
        let last = (first + u32::from(self.size) - 1).min((*self.ports.end()).into());
        first as u16..=last as u16
    }
}
