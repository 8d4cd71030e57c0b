//! The API over a real socket, with a fake management core behind it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::http::{Method, Request as HttpRequest};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tower::ServiceExt;

use super::*;
use crate::mgmt::client::ClientError;
use crate::mgmt::request::{Filter, Protocol};
use crate::mgmt::testing::Fake;
use crate::mgmt::view::{SessionRow, samples};

/// One request straight to a router: status and body.
async fn call(router: Router, method: Method, resource: &str, body: &[u8]) -> (StatusCode, Bytes) {
    let request = HttpRequest::builder()
        .method(method)
        .uri(resource)
        .body(Body::from(body.to_vec()))
        .expect("a request");
    let response = router.oneshot(request).await.expect("infallible");
    let status = response.status();
    (status, response.into_body().collect().await.expect("a body").to_bytes())
}

async fn refused(fake: &Fake, method: Method, resource: &str, body: &[u8]) -> (StatusCode, String) {
    let (status, body) = call(fake.api.clone().private(), method, resource, body).await;
    let document: Value = serde_json::from_slice(&body).expect("errors are JSON");
    (status, document["error"].as_str().expect("an error says why").to_owned())
}

fn document() -> Value {
    serde_json::from_str(include_str!("openapi.json")).expect("JSON")
}

#[tokio::test]
async fn the_openapi_document_lists_exactly_what_the_socket_serves() {
    let fake = Fake::start().await;
    std::fs::write(fake.directory.path().join("vnf.toml"), "").expect("a file");
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    for (path, methods) in paths {
        for method in [Method::DELETE, Method::GET, Method::PATCH, Method::POST, Method::PUT] {
            let resource = match path.as_str() {
                "/v1/who" => format!("{path}?external=198.51.100.10:1024"),
                _ if method == Method::PUT => format!("{path}?file=a"),
                _ => path.clone(),
            };
            let (status, _) =
                call(fake.api.clone().private(), method.clone(), &resource, b"").await;
            let documented = methods.get(method.as_str().to_lowercase()).is_some();
            assert_ne!(status, StatusCode::NOT_FOUND, "{method} {path}");
            assert_eq!(status != StatusCode::METHOD_NOT_ALLOWED, documented, "{method} {path}");
            assert!(!documented || status.is_success(), "{method} {path}: {status}");
        }
    }
    // The router does not tell its paths, but its debug text holds every one in quotes.
    let routes = format!("{:?}", fake.api.clone().private());
    let served: BTreeSet<&str> = routes
        .split('"')
        .filter(|text| text.starts_with('/') && !text.contains("__private") && *text != "/")
        .collect();
    assert!(served.iter().copied().eq(paths.keys().map(String::as_str)), "served: {served:?}");
}

#[test]
fn the_openapi_document_knows_every_field() {
    let document = document();
    let rows = [
        ("AclRow", json!(samples::acl())),
        ("Holder", json!(samples::holder())),
        ("HostRow", json!(samples::host())),
        ("MappingRow", json!(samples::mapping())),
        ("MemoryRow", json!(samples::memory())),
        ("NeighborRow", json!(samples::neighbor())),
        ("PoolRow", json!(samples::pool())),
        ("PortRow", json!(samples::port())),
        ("RouteRow", json!(samples::route())),
        ("SessionRow", json!(samples::session())),
        ("Status", json!(samples::status())),
        ("Version", json!(samples::version())),
        ("Who", json!(samples::who())),
        ("WorkerRow", json!(samples::worker())),
    ];
    for (name, row) in rows {
        let schema = &document["components"]["schemas"][name]["properties"];
        let documented = schema.as_object().unwrap_or_else(|| panic!("{name} is missing"));
        let fields = row.as_object().expect("a row");
        assert!(documented.keys().eq(fields.keys()), "{name}");
    }
}

#[tokio::test]
async fn the_tcp_side_changes_nothing_and_names_no_subscriber() {
    let fake = Fake::start().await;
    for (path, methods) in document()["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let (status, _) = call(fake.api.clone().public(), method.clone(), path, b"").await;
            let private = ["config", "counters", "hosts", "mappings", "reload", "sessions", "who"];
            let hidden = private.iter().any(|name| path.ends_with(name));
            assert_eq!(status == StatusCode::NOT_FOUND, hidden, "{method} {path}");
        }
    }
    let (status, page) = call(fake.api.clone().public(), Method::GET, "/", b"").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.starts_with(b"<!doctype html>"));
    assert!(fake.memory.lock().expect("unpoisoned").reloads.is_empty());
}

#[tokio::test]
async fn a_filter_reaches_the_management_core_as_typed_values() {
    let fake = Fake::start().await;
    let resource = "/v1/sessions?vrf=red&host=10.0.0.2&protocol=udp&port=53&limit=2";
    let rows: Vec<SessionRow> =
        fake.client().ask(Method::GET, resource, Bytes::new()).await.expect("an answer");
    assert_eq!(rows, [samples::session(), samples::session()]);
    let expected = || Filter {
        vrf: Some("red".to_owned()),
        host: Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2))),
        protocol: Some(Protocol(17)),
        port: Some(53),
    };
    let memory = fake.memory.lock().expect("unpoisoned");
    assert_eq!(memory.filters, [expected(), expected(), expected()]);
    assert_eq!(memory.limits, [2, 1, 1], "later pages ask for what is still missing");
}

#[tokio::test]
async fn a_list_of_several_pages_is_one_document() {
    let fake = Fake::start().await;
    for resource in ["/v1/sessions", "/v1/mappings", "/v1/hosts"] {
        let rows: Vec<Value> =
            fake.client().ask(Method::GET, resource, Bytes::new()).await.expect("an answer");
        assert_eq!(rows.len(), 4, "{resource}");
    }
    let none: Vec<Value> = fake
        .client()
        .ask(Method::GET, "/v1/sessions?limit=0", Bytes::new())
        .await
        .expect("an answer");
    assert!(none.is_empty());
}

#[tokio::test]
async fn a_list_that_breaks_off_is_not_mistaken_for_a_whole_one() {
    let fake = Fake::start().await;
    fake.memory.lock().expect("unpoisoned").broken_list = true;
    let answer = fake.client().ask::<Vec<Value>>(Method::GET, "/v1/sessions", Bytes::new()).await;
    assert!(matches!(answer, Err(ClientError::Broken { .. })), "{answer:?}");
}

#[tokio::test]
async fn what_is_not_understood_is_refused_with_a_reason() {
    let fake = Fake::start().await;
    let bad = StatusCode::BAD_REQUEST;
    for (method, resource, expected) in [
        (Method::GET, "/v1/sessions?host=10.0.0.256", bad),
        (Method::GET, "/v1/sessions?host=", bad),
        (Method::GET, "/v1/sessions?protocol=frog", bad),
        (Method::GET, "/v1/sessions?port=65536", bad),
        (Method::GET, "/v1/sessions?limit=-1", bad),
        (Method::GET, "/v1/sessions?hots=10.0.0.2", bad),
        (Method::GET, "/v1/sessions?host=%FF%00", bad),
        (Method::GET, "/v1/hosts?protocol=udp", bad),
        (Method::GET, "/v1/who", bad),
        (Method::GET, "/v1/who?external=198.51.100.10", bad),
        (Method::GET, "/v1/who?external=198.51.100.10:1024&at=yesterday", bad),
        (Method::GET, "/v1/who?external=198.51.100.10:1024&at=9999-01-01T00:00:00Z", bad),
        (Method::GET, "/v1/who?external=198.51.100.10:1025", StatusCode::NOT_FOUND),
        (Method::DELETE, "/v1/sessions?limit=1", bad),
        (Method::PUT, "/v1/config", bad),
        (Method::PUT, "/v1/config?file=a&dry_run=perhaps", bad),
        (Method::POST, "/v1/reload", StatusCode::UNPROCESSABLE_ENTITY),
        (Method::GET, "/v1/session", StatusCode::NOT_FOUND),
        (Method::GET, "/", StatusCode::NOT_FOUND),
        (Method::POST, "/v1/sessions", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let (status, why) = refused(&fake, method.clone(), resource, b"").await;
        assert_eq!(status, expected, "{method} {resource}: {why}");
        assert!(!why.is_empty(), "{method} {resource}");
    }
    assert!(fake.memory.lock().expect("unpoisoned").filters.is_empty());
}

#[tokio::test]
async fn a_configuration_is_bounded_text() {
    let fake = Fake::start().await;
    let resource = "/v1/config?file=a.toml";
    let (status, _) = refused(&fake, Method::PUT, resource, b"\xff\xfe").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = refused(&fake, Method::PUT, resource, &vec![b'#'; LARGEST_BODY + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(fake.memory.lock().expect("unpoisoned").reloads.is_empty());
    let largest = vec![b'#'; LARGEST_BODY];
    let (status, _) = call(fake.api.clone().private(), Method::PUT, resource, &largest).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_refused_configuration_keeps_its_reasons_and_its_kind() {
    let fake = Fake::start().await;
    let resource = "/v1/config?file=a.toml&dry_run=true";
    let (status, why) = refused(&fake, Method::PUT, resource, b"wrong").await;
    assert_eq!((status, why.lines().count()), (StatusCode::UNPROCESSABLE_ENTITY, 2));
    let (status, _) = refused(&fake, Method::PUT, resource, b"restart").await;
    assert_eq!(status, StatusCode::CONFLICT);
    let memory = fake.memory.lock().expect("unpoisoned");
    assert!(memory.reloads.iter().all(|reload| reload.dry_run && reload.file == "a.toml"));
}

#[tokio::test]
async fn readiness_wants_workers_and_every_port() {
    let fake = Fake::start().await;
    let router = || fake.api.clone().public();
    assert_eq!(call(router(), Method::GET, "/readyz", b"").await.0, StatusCode::OK);
    fake.memory.lock().expect("unpoisoned").port_down = true;
    let (status, why) = refused(&fake, Method::GET, "/readyz", b"").await;
    assert_eq!((status, why.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "port lan is down"));
    fake.memory.lock().expect("unpoisoned").starting = true;
    let (status, why) = refused(&fake, Method::GET, "/readyz", b"").await;
    assert_eq!(
        (status, why.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "the workers do not poll")
    );
    assert_eq!(call(router(), Method::GET, "/healthz", b"").await.0, StatusCode::OK);
}

#[tokio::test]
async fn garbage_on_the_socket_hurts_nobody() {
    let fake = Fake::start().await;
    let mut seed = 0x9e37_79b9_u32;
    let mut noise = |length: usize| -> Vec<u8> {
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            seed.to_le_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    };
    let mut garbage: Vec<Vec<u8>> = (0..50).map(|index| noise(index * 7)).collect();
    garbage.push(vec![b'A'; 1 << 20]);
    garbage.push(b"GET /v1/status HTTP/9.9\r\n\r\n".to_vec());
    garbage.push(b"GET /v1/sessions?host=\0 HTTP/1.1\r\n\r\n".to_vec());
    garbage
        .push(b"PUT /v1/config?file=a HTTP/1.1\r\ncontent-length: 99999999999999\r\n\r\n".to_vec());
    garbage.push(
        b"PUT /v1/config?file=a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n".to_vec(),
    );
    for bytes in garbage {
        let mut stream = UnixStream::connect(fake.socket()).await.expect("it listens");
        // The server may close before it has read all of it.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    let status: Value =
        fake.client().ask(Method::GET, "/v1/status", Bytes::new()).await.expect("it lives");
    assert_eq!(status, json!(samples::status()));
    assert!(fake.memory.lock().expect("unpoisoned").reloads.is_empty());
}
