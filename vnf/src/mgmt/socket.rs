//! The listeners: how the Unix socket is claimed, and how many clients are served with how much patience.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

/// The Unix socket of this instance; dropping it removes the file. To be dropped before the listener, which
/// keeps the inode from being given to another file.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    /// Device and inode, so that only our own file is ever removed.
    identity: (u64, u64),
}

/// Why the socket cannot be ours.
#[derive(Debug, Error)]
pub enum ClaimError {
    /// Another instance answers on it.
    #[error(
        "another vnf answers on {}; stop it, or choose another management.socket", .0.display()
    )]
    Busy(PathBuf),
    /// Something there is not a socket.
    #[error("{} exists and is no socket; choose another management.socket", .0.display())]
    NoSocket(PathBuf),
    /// The system refuses.
    #[error("cannot listen on {}: {what}: {why}; choose another management.socket", path.display())]
    Refused {
        /// The path of the socket.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        why: io::Error,
    },
}

/// Makes the Unix socket ours: its directory is created, what a killed instance left there is removed.
///
/// # Errors
/// When another instance lives there, or the place is not usable.
pub async fn claim(path: &Path) -> Result<(Claim, UnixListener), ClaimError> {
    let refused = |what| move |why| ClaimError::Refused { path: path.to_owned(), what, why };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory).map_err(refused("making its directory"))?;
    // Two instances that start at the same moment take turns here; the kernel frees the lock of a killed one.
    let turn = File::open(directory).map_err(refused("opening its directory"))?;
    turn.lock().map_err(refused("locking its directory"))?;
    match fs::symlink_metadata(path) {
        Err(why) if why.kind() == ErrorKind::NotFound => {}
        Err(why) => return Err(refused("looking at it")(why)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ClaimError::NoSocket(path.to_owned()));
        }
        Ok(_) if is_alive(path).await => return Err(ClaimError::Busy(path.to_owned())),
        Ok(_) => fs::remove_file(path).map_err(refused("removing what is there"))?,
    }
    let listener = UnixListener::bind(path).map_err(refused("binding"))?;
    fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(refused("setting its mode"))?;
    let found = fs::symlink_metadata(path).map_err(refused("looking at it"))?;
    Ok((Claim { path: path.to_owned(), identity: (found.dev(), found.ino()) }, listener))
}

impl Drop for Claim {
    fn drop(&mut self) {
        let ours = |found: fs::Metadata| (found.dev(), found.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(ours) {
            // Nothing is left to do about a failure on the way out; the next start removes the file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether somebody listens; a listener too busy to accept lives, too.
async fn is_alive(path: &Path) -> bool {
    match tokio::time::timeout(PROBE, UnixStream::connect(path)).await {
        Ok(Err(why)) => why.kind() != ErrorKind::ConnectionRefused,
        Ok(Ok(_)) | Err(_) => true,
    }
}

/// Serves every client of a listener for as long as the runtime lives.
///
/// At most [`CLIENTS`] are served at once, the others wait in the listener's queue; one that is silent before
/// its request or that does not read its answer is shown the door.
pub async fn serve<L>(mut listener: L, router: Router)
where
    L: Listener,
    L::Io: AsyncRead + AsyncWrite,
{
    let places = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("never closed");
        let (stream, _) = listener.accept().await;
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(PATIENCE));
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        tokio::spawn(async move {
            // How a client leaves is its own affair.
            let _ = connection.await;
            drop(place);
        });
    }
}

/// Owner and group may ask and change.
const MODE: u32 = 0o660;

/// How long a listener may take to show that it lives.
const PROBE: Duration = Duration::from_secs(1);

/// Clients of one listener served at once.
const CLIENTS: usize = 64;

/// How long a client may be silent when it is its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of a request's head at most.
const LARGEST_HEAD: usize = 64 << 10;

#[cfg(test)]
mod tests;
