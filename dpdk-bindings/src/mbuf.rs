//! Packets: chains of buffers out of a [`Mempool`](crate::Mempool), owned by whoever holds them.

use std::{
    fmt,
    mem::{ManuallyDrop, size_of},
    ptr::{self, NonNull},
    slice,
};

use dpdk_sys::*;

/// An owned packet. Dropping it returns its buffers to their pools.
///
/// `Option<Mbuf>` has the size and layout of DPDK's `struct rte_mbuf *`.
#[repr(transparent)]
pub struct Mbuf(NonNull<rte_mbuf>);

const _: () = assert!(size_of::<Option<Mbuf>>() == size_of::<*mut rte_mbuf>());

// SAFETY: a buffer belongs to no thread; its pool takes it back from any.
unsafe impl Send for Mbuf {}
// SAFETY: `&Mbuf` only reads.
unsafe impl Sync for Mbuf {}

/// What the hardware says about the IPv4 header checksum.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Checksum {
    /// It is wrong.
    Bad,
    /// It is right.
    Good,
    /// Nobody looked.
    Unknown,
}

impl Mbuf {
    /// The octets of the first segment: all of the packet, where it has one segment.
    #[inline]
    pub fn data(&self) -> &[u8] {
        // SAFETY: data_off + data_len lie within the buffer (invariant of an mbuf, kept by drivers and by this type),
        // which is initialised memory of the pool and ours alone.
        unsafe { slice::from_raw_parts(self.start(), usize::from(self.data_len())) }
    }

    /// The octets of the first segment, to be changed.
    #[inline]
    pub fn data_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `data`; `&mut self` makes the access exclusive.
        unsafe { slice::from_raw_parts_mut(self.start(), usize::from(self.data_len())) }
    }

    /// The octets of the whole packet.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "an empty packet is nothing anybody asks for")]
    pub fn len(&self) -> usize {
        self.read::<u32>(SHIM_MBUF_PKT_LEN) as usize
    }

    /// The number of segments.
    #[inline]
    pub fn segment_count(&self) -> u16 {
        self.read(SHIM_MBUF_NB_SEGS)
    }

    /// The octets of each segment, in order.
    pub fn segments(&self) -> Segments<'_> {
        Segments { next: Some(self) }
    }

    /// The first `n` octets in one piece, moved together out of later segments where they must be.
    ///
    /// `None` where the packet is shorter, or the first buffer has no room for so many.
    #[inline]
    pub fn contiguous(&mut self, n: usize) -> Option<&mut [u8]> {
        if n > usize::from(self.data_len()) {
            self.pull_up(n)?;
        }
        self.data_mut().get_mut(..n)
    }

    /// The port it came in by.
    #[inline]
    pub fn port(&self) -> u16 {
        self.read(SHIM_MBUF_PORT)
    }

    /// Writes the port it counts as having come in by.
    #[inline]
    pub fn set_port(&mut self, port: u16) {
        self.write(SHIM_MBUF_PORT, port);
    }

    /// What the hardware found the IPv4 header checksum to be.
    #[inline]
    pub fn ip_checksum(&self) -> Checksum {
        match self.read::<u64>(SHIM_MBUF_OL_FLAGS) & SHIM_RX_IP_CKSUM_MASK {
            SHIM_RX_IP_CKSUM_BAD => Checksum::Bad,
            SHIM_RX_IP_CKSUM_GOOD => Checksum::Good,
            _ => Checksum::Unknown,
        }
    }

    /// Grows the packet by `n` octets at its front and returns them; `None` where the headroom is smaller.
    #[inline]
    pub fn prepend(&mut self, n: usize) -> Option<&mut [u8]> {
        let offset: u16 = self.read(SHIM_MBUF_DATA_OFF);
        let step = u16::try_from(n).ok().filter(|step| *step <= offset)?;
        let length = self.data_len().checked_add(step)?;
        self.write(SHIM_MBUF_DATA_OFF, offset - step);
        self.write(SHIM_MBUF_DATA_LEN, length);
        self.write(SHIM_MBUF_PKT_LEN, (self.len() + n) as u32);
        self.data_mut().get_mut(..n)
    }

    /// Cuts `n` octets off the front; false, and nothing changed, where the first segment has fewer.
    #[inline]
    pub fn trim_front(&mut self, n: usize) -> bool {
        let length = self.data_len();
        if n > usize::from(length) {
            return false;
        }
        self.write(SHIM_MBUF_DATA_OFF, self.read::<u16>(SHIM_MBUF_DATA_OFF) + n as u16);
        self.write(SHIM_MBUF_DATA_LEN, length - n as u16);
        self.write(SHIM_MBUF_PKT_LEN, (self.len() - n) as u32);
        true
    }

    /// Cuts the packet down to `len` octets; a shorter one stays as it is.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len() {
            return;
        }
        if self.segment_count() == 1 {
            // The smaller: a driver's packet length may be wrong (memif of 22.11).
            self.write(SHIM_MBUF_DATA_LEN, len.min(usize::from(self.data_len())) as u16);
            self.write(SHIM_MBUF_PKT_LEN, len as u32);
        } else {
            self.truncate_chain(len);
        }
    }

    /// Grows the packet by `n` octets at its end and returns them; their content is whatever the buffer held.
    ///
    /// `None` where the last segment has no room.
    #[inline]
    pub fn extend(&mut self, n: usize) -> Option<&mut [u8]> {
        let total = self.len() + n;
        let mut last = self.shallow();
        while let Some(next) = last.next() {
            last = next;
        }
        let length = last.data_len();
        if n > last.tailroom() {
            return None;
        }
        last.write(SHIM_MBUF_DATA_LEN, length + n as u16);
        self.write(SHIM_MBUF_PKT_LEN, total as u32);
        // SAFETY: data_off + data_len + n lie within the last buffer (checked above); exclusive by `&mut self`.
        Some(unsafe { slice::from_raw_parts_mut(last.start().add(usize::from(length)), n) })
    }

    /// Copies the packet into `into` and returns how many octets there was room for.
    pub fn copy_to(&self, into: &mut [u8]) -> usize {
        let mut copied = 0;
        for segment in self.segments() {
            let n = segment.len().min(into.len() - copied);
            into[copied..copied + n].copy_from_slice(&segment[..n]);
            copied += n;
        }
        copied
    }

    /// Chains the segments of `tail` behind the own; gives `tail` back where there would be too many.
    pub fn append(&mut self, tail: Self) -> std::result::Result<(), Self> {
        // SAFETY: both are owned packets; on success the chain owns `tail`, on failure nothing has changed.
        let answer = unsafe { shim_pktmbuf_chain(self.0.as_ptr(), tail.0.as_ptr()) };
        if answer < 0 {
            return Err(tail);
        }
        let _ = ManuallyDrop::new(tail);
        Ok(())
    }

    /// Frees all packets of a burst together.
    pub fn free_bulk(packets: &mut [Option<Self>]) {
        // SAFETY: `Option<Mbuf>` has the layout of a pointer; the call skips null and takes the rest, and the slots are
        // emptied without dropping them.
        unsafe {
            rte_pktmbuf_free_bulk(packets.as_mut_ptr().cast(), packets.len() as u32);
            ptr::write_bytes(packets.as_mut_ptr(), 0, packets.len());
        }
    }

    /// Hands the packet to C.
    pub(crate) fn into_raw(self) -> *mut rte_mbuf {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// Takes a packet from C.
    ///
    /// # Safety
    ///
    /// `raw` is null or a valid packet that nobody else holds.
    pub(crate) unsafe fn from_raw(raw: *mut rte_mbuf) -> Option<Self> {
        NonNull::new(raw).map(Self)
    }

    #[inline]
    fn read<T: Copy>(&self, offset: u32) -> T {
        // SAFETY: the mbuf is alive and ours; the offset and type are those of one of its fields (private callers,
        // offsets by the C compiler), all of which are initialised.
        unsafe { self.0.as_ptr().byte_add(offset as usize).cast::<T>().read() }
    }

    #[inline]
    fn write<T: Copy>(&mut self, offset: u32, value: T) {
        // SAFETY: as in `read`; exclusive by `&mut self`.
        unsafe { self.0.as_ptr().byte_add(offset as usize).cast::<T>().write(value) }
    }

    #[inline]
    fn data_len(&self) -> u16 {
        self.read(SHIM_MBUF_DATA_LEN)
    }

    #[inline]
    fn start(&self) -> *mut u8 {
        let buffer: *mut u8 = self.read(SHIM_MBUF_BUF_ADDR);
        // SAFETY: data_off lies within the buffer (invariant of an mbuf).
        unsafe { buffer.add(usize::from(self.read::<u16>(SHIM_MBUF_DATA_OFF))) }
    }

    #[inline]
    fn tailroom(&self) -> usize {
        let (room, offset): (u16, u16) =
            (self.read(SHIM_MBUF_BUF_LEN), self.read(SHIM_MBUF_DATA_OFF));
        usize::from(room).saturating_sub(usize::from(offset) + usize::from(self.data_len()))
    }

    /// A view of the own first segment that owns nothing.
    #[inline]
    fn shallow(&mut self) -> ManuallyDrop<Self> {
        ManuallyDrop::new(Self(self.0))
    }

    /// A view of the segment behind this one that owns nothing.
    #[inline]
    fn next(&mut self) -> Option<ManuallyDrop<Self>> {
        NonNull::new(self.read(SHIM_MBUF_NEXT)).map(|next| ManuallyDrop::new(Self(next)))
    }

    #[cold]
    fn pull_up(&mut self, n: usize) -> Option<()> {
        let mut missing = n - usize::from(self.data_len());
        if n > self.len() || missing > self.tailroom() {
            return None;
        }
        let mut later = self.next();
        while missing > 0 {
            let mut segment = later?;
            let take = missing.min(usize::from(segment.data_len()));
            let length = self.data_len();
            // SAFETY: `take` octets are readable in `segment` and free behind the data of the first (both checked);
            // the segments are different buffers.
            unsafe {
                ptr::copy_nonoverlapping(
                    segment.start(),
                    self.start().add(usize::from(length)),
                    take,
                )
            };
            self.write(SHIM_MBUF_DATA_LEN, length + take as u16);
            let (offset, rest): (u16, u16) = (segment.read(SHIM_MBUF_DATA_OFF), segment.data_len());
            segment.write(SHIM_MBUF_DATA_OFF, offset + take as u16);
            segment.write(SHIM_MBUF_DATA_LEN, rest - take as u16);
            missing -= take;
            later = segment.next();
        }
        self.drop_empty_segments();
        Some(())
    }

    #[cold]
    fn truncate_chain(&mut self, len: usize) {
        let mut left = len;
        let mut segment = Some(self.shallow());
        while let Some(mut current) = segment {
            let keep = left.min(usize::from(current.data_len()));
            current.write(SHIM_MBUF_DATA_LEN, keep as u16);
            left -= keep;
            segment = current.next();
        }
        self.write(SHIM_MBUF_PKT_LEN, len as u32);
        self.drop_empty_segments();
    }

    /// Frees the segments behind the first that hold nothing: some drivers refuse them.
    fn drop_empty_segments(&mut self) {
        let mut count = 1;
        let mut last = self.shallow();
        while let Some(mut segment) = last.next() {
            if segment.data_len() > 0 {
                count += 1;
                last = segment;
                continue;
            }
            let after: *mut rte_mbuf = segment.read(SHIM_MBUF_NEXT);
            last.write(SHIM_MBUF_NEXT, after);
            segment.write(SHIM_MBUF_NEXT, ptr::null_mut::<rte_mbuf>());
            segment.write::<u16>(SHIM_MBUF_NB_SEGS, 1);
            drop(ManuallyDrop::into_inner(segment));
        }
        self.write::<u16>(SHIM_MBUF_NB_SEGS, count);
    }
}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: owned, and given back once.
        unsafe { shim_pktmbuf_free(self.0.as_ptr()) }
    }
}

impl fmt::Debug for Mbuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mbuf({} octets, {} segments)", self.len(), self.segment_count())
    }
}

/// The segments of a packet.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    next: Option<&'a Mbuf>,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let segment = self.next?;
        // SAFETY: a `next` field is null or a segment of the same packet, borrowed as long as the packet is; the field
        // has the layout of `Option<Mbuf>`.
        self.next =
            unsafe { segment.0.byte_add(SHIM_MBUF_NEXT as usize).cast::<Option<Mbuf>>().as_ref() }
                .as_ref();
        Some(segment.data())
    }
}
