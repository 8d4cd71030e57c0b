//! Tells systemd what the process does: the `sd_notify` protocol, one datagram for each message.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Workers poll: `systemctl start` returns.
pub const READY: &str = "READY=1";

/// The process is on its way out.
pub const STOPPING: &str = "STOPPING=1";

/// Sends a message to the service manager that started this process, if one did.
///
/// # Errors
/// When `NOTIFY_SOCKET` names a socket that does not take the message.
pub fn notify(message: &str) -> io::Result<()> {
    match std::env::var_os("NOTIFY_SOCKET") {
        Some(socket) => send(&socket, message),
        None => Ok(()),
    }
}

/// Sends a message to a datagram socket; a leading `@` means Linux's abstract namespace.
fn send(socket: &OsStr, message: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let sender = UnixDatagram::unbound()?;
    // A stuck service manager must not hold the VNF up.
    sender.set_nonblocking(true)?;
    sender.send_to_addr(message.as_bytes(), &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).expect("a datagram arrives");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn a_message_reaches_a_socket_in_the_file_system() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("a socket");
        send(path.as_os_str(), READY).expect("the manager listens");
        assert_eq!(received(&manager), "READY=1");
    }

    #[test]
    fn a_message_reaches_an_abstract_socket() {
        let name = format!("vnf-notify-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let manager = UnixDatagram::bind_addr(&address).expect("a socket");
        send(OsStr::new(&format!("@{name}")), STOPPING).expect("the manager listens");
        assert_eq!(received(&manager), "STOPPING=1");
    }

    #[test]
    fn a_missing_manager_is_an_error() {
        assert!(send(OsStr::new("/nonexistent/notify"), READY).is_err());
    }
}
