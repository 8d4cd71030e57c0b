//! Whose socket it is, and what clients may not do to each other.

use std::os::unix::net::UnixListener as StdListener;

use hyper::Method;
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::mgmt::testing::Fake;

#[tokio::test]
async fn a_second_instance_is_refused_and_the_first_one_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("deeper/vnf.sock");
    let (first, _listener) = claim(&path).await.expect("the directory is made");
    let why = claim(&path).await.expect_err("somebody lives there");
    assert!(matches!(why, ClaimError::Busy(_)));
    assert!(why.to_string().contains(&path.display().to_string()));
    assert!(path.exists());
    drop(first);
    assert!(!path.exists(), "the file goes with its owner");
}

#[tokio::test]
async fn what_a_killed_instance_left_is_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("vnf.sock");
    drop(StdListener::bind(&path).expect("a socket"));
    assert!(path.exists(), "the standard library leaves the file, as a kill does");
    let (_claim, _listener) = claim(&path).await.expect("nobody lives there");
    let mode = fs::metadata(&path).expect("a file").mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[tokio::test]
async fn a_file_of_another_kind_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("vnf.sock");
    fs::write(&path, "precious").expect("a file");
    assert!(matches!(claim(&path).await, Err(ClaimError::NoSocket(_))));
    assert_eq!(fs::read_to_string(&path).expect("a file"), "precious");
}

#[tokio::test]
async fn a_socket_that_replaced_ours_survives_our_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("vnf.sock");
    let (first, _listener) = claim(&path).await.expect("a free place");
    fs::remove_file(&path).expect("somebody tidies up");
    let (_second, _other) = claim(&path).await.expect("a free place again");
    drop(first);
    assert!(path.exists());
}

#[tokio::test(start_paused = true)]
async fn silent_clients_give_way() {
    let fake = Fake::start().await;
    let mut silent = Vec::new();
    for _ in 0..CLIENTS {
        silent.push(UnixStream::connect(fake.socket()).await.expect("it listens"));
    }
    let _: serde_json::Value =
        fake.client().ask(Method::GET, "/v1/status", Bytes::new()).await.expect("a place is free");
    let mut rest = Vec::new();
    silent[0].read_to_end(&mut rest).await.expect("closed, not broken");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_gives_way() {
    let fake = Fake::start().await;
    let mut greedy = UnixStream::connect(fake.socket()).await.expect("it listens");
    let request = b"GET /v1/openapi.json HTTP/1.1\r\nhost: vnf\r\n\r\n";
    // More answers than the kernel's buffers hold; the server stops reading, then closes.
    let mut written = Ok(());
    while written.is_ok() {
        written = greedy.write_all(request).await;
    }
    assert_eq!(written.expect_err("closed").kind(), ErrorKind::BrokenPipe);
}
