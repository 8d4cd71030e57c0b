//! Any bytes from a client of the API: never a panic, never a server error but 503, and every answer is HTTP.
#![no_main]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

use axum::serve::Listener;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use vnf::config;
use vnf::mgmt::api::Api;
use vnf::mgmt::request::{self, Cursor, Failure, Page, Reply, Request, Rows};
use vnf::mgmt::socket;
use vnf::mgmt::view::{Cleared, ReloadReport};

fuzz_target!(|bytes: &[u8]| {
    thread_local!(static SERVERS: RefCell<Servers> = RefCell::new(Servers::start()));
    let Some((choice, bytes)) = bytes.split_first() else { return };
    SERVERS.with_borrow_mut(|servers| servers.converse(usize::from(choice & 1), bytes));
});

/// The private and the public API on pipes instead of sockets, with a fake management core behind them.
struct Servers {
    runtime: Runtime,
    clients: [mpsc::Sender<DuplexStream>; 2],
}

impl Servers {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (asker, mut requests) = request::channel();
        runtime.spawn(async move {
            while let Some(request) = requests.recv().await {
                answer(request);
            }
        });
        let api = Api::new(asker, "/dev/null".into());
        let clients = [api.clone().private(), api.public()].map(|router| {
            let (sender, receiver) = mpsc::channel(1);
            runtime.spawn(socket::serve(Pipes(receiver), router));
            sender
        });
        Self { runtime, clients }
    }

    /// Sends all bytes, waits until the server has nothing more to do, and looks at what it said.
    fn converse(&mut self, server: usize, bytes: &[u8]) {
        let answer = self.runtime.block_on(async {
            let (mut client, far) = duplex(ROOM);
            self.clients[server].send(far).await.expect("the server lives");
            // The server may hang up in the middle; that is an answer, too.
            let _ = client.write_all(bytes).await;
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            let _ = client.shutdown().await;
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer).await;
            answer
        });
        let Some(line) = answer.split(|octet| *octet == b'\n').next().filter(|l| !l.is_empty())
        else {
            return;
        };
        let status = line.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
        let status = status.unwrap_or_else(|| panic!("no HTTP: {}", line.escape_ascii()));
        assert!(status[0] < b'5' || status == b"503", "{}", answer.escape_ascii());
    }
}

/// Connections as they come.
struct Pipes(mpsc::Receiver<DuplexStream>);

impl Listener for Pipes {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(stream) => (stream, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Answers what depends on the client's words; of the rest nothing is known.
fn answer(request: Request) {
    match request {
        Request::ClearCounters(reply) => reply.send(()),
        Request::ClearSessions(_, reply) => reply.send(Cleared::default()),
        Request::Drops(reply) => reply.send(BTreeMap::new()),
        Request::Hosts(page, reply) => two_pages(page, reply),
        Request::Mappings(page, reply) => two_pages(page, reply),
        Request::Ports(reply) => reply.send(Vec::new()),
        Request::Reload(reload, reply) => {
            let outcome = config::parse(&reload.file, &reload.text);
            let outcome = outcome.map_err(|errors| Failure::Invalid(errors.to_string()));
            reply.settle(outcome.map(|_| ReloadReport::default()));
        }
        Request::Sessions(page, reply) => two_pages(page, reply),
        other => drop(other),
    }
}

fn two_pages<T>(page: Page, reply: Reply<Rows<T>>) {
    assert!(page.limit > 0, "nobody asks for no rows");
    let next = (page.from == Cursor::default()).then_some(Cursor(7));
    reply.send(Rows { rows: Vec::new(), next });
}

/// Bytes that fit into a pipe; more than any answer of the fake.
const ROOM: usize = 1 << 20;
/// How often the server may go on before the client hangs up.
const TURNS: usize = 64;
