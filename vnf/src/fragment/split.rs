//! Splits packets that are larger than the link takes: any IPv4 packet (RFC 791 3.2), and the VNF's own IPv6 packets
//! (RFC 8200 4.5).

#[cfg(test)]
mod tests;

use dpdk_bindings::mbuf::Mbuf;
use dpdk_bindings::mempool::Mempool;
use zerocopy::IntoBytes;

use crate::wire;
use crate::wire::checksum::Sum;
use crate::wire::ipv4::{self, Ipv4Header, options};
use crate::wire::ipv6::extensions::FRAGMENT_HEADER;
use crate::wire::ipv6::{self, Ipv6Header};
use crate::wire::protocol;

/// Gives the fragments of `packet`, none of them larger than `mtu` octets of IP, to `out` in order.
///
/// Returns how many there were; `None` when a buffer or a header was missing, and some or all were
/// not made.
pub fn split(
    packet: Mbuf,
    l3: usize,
    mtu: u16,
    pool: &Mempool,
    mut out: impl FnMut(Mbuf),
) -> Option<usize> {
    let (link, datagram) = packet.data().split_at_checked(l3)?;
    let mut pieces = Pieces::of(datagram, mtu)?;
    let mut count = 0;
    while let Some(piece) = pieces.next() {
        let mut part = begin(link, piece.header, pool)?;
        copy(packet.segments(), l3 + piece.from, piece.length, &mut part, pool)?;
        out(part);
        count += 1;
    }
    Some(count)
}

/// Gives a frame of the VNF's own to `out`, in fragments where its IPv4 packet is larger than `mtu`.
///
/// Returns how many there were; `None` when a buffer or a header was missing, and some or all were not made.
pub fn split_v4(
    frame: &[u8],
    l3: usize,
    mtu: u16,
    pool: &Mempool,
    mut out: impl FnMut(Mbuf),
) -> Option<usize> {
    let (link, datagram) = frame.split_at_checked(l3)?;
    let mut pieces = Pieces::of(datagram, mtu)?;
    let mut count = 0;
    while let Some(piece) = pieces.next() {
        let mut part = begin(link, piece.header, pool)?;
        copy([datagram].into_iter(), piece.from, piece.length, &mut part, pool)?;
        out(part);
        count += 1;
    }
    Some(count)
}

/// Gives a frame of the VNF's own to `out`, in fragments with this identification where its IPv6 packet, without extension
/// headers, is larger than `mtu`.
///
/// Returns how many there were; `None` when a buffer or a header was missing, and some or all were not made.
pub fn split_v6(
    frame: &[u8],
    l3: usize,
    mtu: u16,
    id: u32,
    pool: &Mempool,
    mut out: impl FnMut(Mbuf),
) -> Option<usize> {
    let (link, packet) = frame.split_at_checked(l3)?;
    let mut header: Ipv6Header = *wire::at(packet, 0)?;
    let payload = packet.get(ipv6::HEADER..)?;
    let (mtu, next_header) = (usize::from(mtu), header.next_header);
    if packet.len() <= mtu {
        let mut part = begin(link, header.as_bytes(), pool)?;
        copy([payload].into_iter(), 0, payload.len(), &mut part, pool)?;
        out(part);
        return Some(1);
    }
    let room = mtu.checked_sub(ipv6::HEADER + FRAGMENT_HEADER)? & !7;
    header.next_header = protocol::IPV6_FRAG;
    let (mut from, mut count) = (0, 0);
    while from < payload.len() && room > 0 {
        let length = room.min(payload.len() - from);
        let more = from + length < payload.len();
        header.payload_length = ((FRAGMENT_HEADER + length) as u16).into();
        let [high, low] = (from as u16 | u16::from(more)).to_be_bytes();
        let [a, b, c, d] = id.to_be_bytes();
        let mut part = begin(link, header.as_bytes(), pool)?;
        part.extend(FRAGMENT_HEADER)?.copy_from_slice(&[next_header, 0, high, low, a, b, c, d]);
        copy([payload].into_iter(), from, length, &mut part, pool)?;
        out(part);
        from += length;
        count += 1;
    }
    (count > 0).then_some(count)
}

/// A new packet that starts with these octets.
fn begin(link: &[u8], header: &[u8], pool: &Mempool) -> Option<Mbuf> {
    let mut part = pool.alloc()?;
    part.extend(link.len())?.copy_from_slice(link);
    part.extend(header.len())?.copy_from_slice(header);
    Some(part)
}

/// Appends `length` octets of a packet in `segments` from `from` on, in further buffers where one is too small.
fn copy<'a>(
    segments: impl Iterator<Item = &'a [u8]>,
    mut from: usize,
    mut length: usize,
    part: &mut Mbuf,
    pool: &Mempool,
) -> Option<()> {
    let room = usize::from(pool.data_room());
    let mut free = room.checked_sub(part.len())?;
    let mut tail: Option<Mbuf> = None;
    for segment in segments {
        let Some(mut octets) = segment.get(from..) else {
            from -= segment.len();
            continue;
        };
        from = 0;
        octets = &octets[..octets.len().min(length)];
        length -= octets.len();
        while !octets.is_empty() {
            if free == 0 {
                tail.map_or(Ok(()), |full| part.append(full)).ok()?;
                tail = Some(pool.alloc()?);
                free = room;
            }
            let (now, later) = octets.split_at(octets.len().min(free));
            tail.as_mut().unwrap_or(part).extend(now.len())?.copy_from_slice(now);
            free -= now.len();
            octets = later;
        }
    }
    tail.map_or(Ok(()), |last| part.append(last)).ok()?;
    (length == 0).then_some(())
}

/// The fragments of one datagram, or of one fragment that is still too large, in order.
struct Pieces {
    /// The header of the next fragment; after the first one, with the options that all fragments have.
    header: [u8; ipv4::LONGEST_HEADER],
    header_length: usize,
    mtu: usize,
    /// Where the payload that is left starts in the packet.
    at: usize,
    end: usize,
    /// The fragment field of the packet as it came.
    field: u16,
    /// Octets of its payload already in fragments.
    done: usize,
}

/// One fragment: its header, and which octets of the packet follow it.
struct Piece<'a> {
    header: &'a [u8],
    from: usize,
    length: usize,
}

impl Pieces {
    /// Starts with the packet whose header `datagram` begins with.
    fn of(datagram: &[u8], mtu: u16) -> Option<Self> {
        let first: &Ipv4Header = wire::at(datagram, 0)?;
        let header_length = first.header_len();
        let mut header = [0; ipv4::LONGEST_HEADER];
        header.get_mut(..header_length)?.copy_from_slice(datagram.get(..header_length)?);
        let mtu = usize::from(mtu);
        // Eight octets at least go into each.
        let possible = header_length >= ipv4::HEADER && mtu >= header_length + 8;
        possible.then_some(Self {
            header,
            header_length,
            mtu,
            at: header_length,
            end: first.total_length.get().into(),
            field: first.fragment.get(),
            done: 0,
        })
    }

    /// The next fragment; borrows, so it cannot be an iterator's.
    fn next(&mut self) -> Option<Piece<'_>> {
        if self.at >= self.end {
            return None;
        }
        if self.done > 0 {
            self.drop_options();
        }
        let (left, room) = (self.end - self.at, self.mtu - self.header_length);
        let (length, more) =
            if left <= room { (left, 0) } else { (room & !7, ipv4::MORE_FRAGMENTS) };
        let offset = self.field + (self.done / 8) as u16;
        let header: &mut Ipv4Header = wire::at_mut(&mut self.header, 0)?;
        header.version_ihl = 0x40 | (self.header_length / 4) as u8;
        header.total_length = ((self.header_length + length) as u16).into();
        header.fragment = (offset | more).into();
        header.checksum = 0.into();
        let checksum = Sum::of(&self.header[..self.header_length]).checksum();
        wire::at_mut::<Ipv4Header>(&mut self.header, 0)?.checksum = checksum.into();
        let from = self.at;
        self.at += length;
        self.done += length;
        Some(Piece { header: &self.header[..self.header_length], from, length })
    }

    /// Leaves those options that are copied into every fragment.
    fn drop_options(&mut self) {
        let length = options::keep_copied(&mut self.header[ipv4::HEADER..self.header_length]);
        self.header_length = ipv4::HEADER + length;
    }
}
