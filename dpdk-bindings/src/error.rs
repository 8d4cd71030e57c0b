//! The one error of this crate: which DPDK call failed, with which number, and what DPDK logged about it.

use std::{cell::RefCell, fmt, io};

/// A number of `errno.h`, or one that DPDK adds to them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Errno(pub i32);

/// A DPDK call that failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// The DPDK or system function, e.g. `"rte_eth_dev_start"`.
    pub call: &'static str,
    /// What it answered.
    pub errno: Errno,
    /// What else is known: a remedy, or DPDK's own log line.
    pub detail: Option<Box<str>>,
}

/// The result of a call into DPDK.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error found on this side of the fence, with its explanation.
    pub(crate) fn new(call: &'static str, errno: i32, detail: impl Into<String>) -> Self {
        let detail = Some(detail.into().into_boxed_str());
        Self { call, errno: Errno(errno), detail }
    }

    /// The error of a call that leaves its number in `rte_errno`.
    pub(crate) fn last(call: &'static str) -> Self {
        // SAFETY: reads a thread-local integer; valid before EAL initialisation too.
        let errno = unsafe { dpdk_sys::shim_errno() };
        Self { call, errno: Errno(errno), detail: take_logged() }
    }

    /// The same error with an explanation in place of DPDK's log line.
    pub(crate) fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into().into_boxed_str()), ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.call, self.errno, self.errno.0)?;
        self.detail.iter().try_for_each(|detail| write!(f, ": {detail}"))
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = io::Error::from_raw_os_error(self.0).to_string();
        f.write_str(text.split(" (os error").next().unwrap_or(&text))
    }
}

/// Checks the answer of a call that returns a negative error number.
pub(crate) fn check(call: &'static str, answer: i32) -> Result<i32> {
    let detail = take_logged();
    if answer < 0 { Err(Error { call, errno: Errno(-answer), detail }) } else { Ok(answer) }
}

/// Keeps an error line that DPDK logged on this thread, for the [`Error`] of the call that is failing.
pub(crate) fn remember_logged(line: &str) {
    // A thread on its way out has nobody left to tell.
    let _ = LOGGED.try_with(|lines| {
        let mut lines = lines.borrow_mut();
        if lines.len() + line.len() > LOGGED_MAX {
            return;
        }
        if !lines.is_empty() {
            lines.push_str("; ");
        }
        lines.push_str(line);
    });
}

fn take_logged() -> Option<Box<str>> {
    let lines = LOGGED.take();
    (!lines.is_empty()).then(|| lines.into_boxed_str())
}

/// Octets of log kept for an error, so that a driver which complains for ever costs no memory.
const LOGGED_MAX: usize = 1024;

thread_local! {
    static LOGGED: RefCell<String> = const { RefCell::new(String::new()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_gives_call_text_and_number() {
        let error = check("rte_eth_dev_start", -libc::EBUSY).unwrap_err();
        assert_eq!(error.to_string(), "rte_eth_dev_start: Device or resource busy (16)");
    }

    #[test]
    fn what_dpdk_logged_explains_the_next_error_only() {
        remember_logged("no such driver");
        let error = check("rte_dev_probe", -libc::ENODEV).unwrap_err();
        assert_eq!(error.to_string(), "rte_dev_probe: No such device (19): no such driver");
        assert_eq!(check("rte_dev_probe", -libc::ENODEV).unwrap_err().detail, None);
    }
}
