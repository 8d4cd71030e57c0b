//! Taps of our own, beside those that DPDK's driver makes: network interfaces of the kernel whose other end is a file. They
//! go when the file is closed, so that nothing is left of a process that was killed.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
};

/// A tap that this process made. Frames are read and written one at a time, without waiting.
#[derive(Debug)]
pub struct Tap {
    file: File,
    name: String,
}

impl Tap {
    /// Makes an interface of this name, in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// `EBUSY` where there is one already, `EPERM` without `CAP_NET_ADMIN`, `EINVAL` for names that no interface can have.
    pub fn open(name: &str) -> io::Result<Self> {
        if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains('\0') {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
        let file = options.open("/dev/net/tun")?;
        // SAFETY: all zero is a valid `ifreq`: integers, and a union of plain data.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        // Exclusively: an interface that somebody else made is not ours to take over.
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_TUN_EXCL;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        // SAFETY: the descriptor is open; the kernel reads and writes one `ifreq`, which lives for the call.
        if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { file, name: name.to_owned() })
    }

    /// The name of the interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes the next frame that the kernel sends; returns its octets.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is none.
    pub fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(into)
    }

    /// Lets the kernel receive a frame.
    ///
    /// # Errors
    ///
    /// `EIO` while the interface is down.
    pub fn write(&self, frame: &[u8]) -> io::Result<()> {
        (&self.file).write(frame).map(|_| ())
    }
}
