//! The event loop with a management core that remembers what it was told.

use super::*;
use crate::mgmt::request;

/// Settles reloads at its next turn, as one that must ask its workers does.
#[derive(Default)]
struct Core {
    turns: usize,
    reopened: usize,
    reloads: Vec<String>,
    waiting: Vec<Reply<ReloadReport>>,
}

impl Control for Core {
    fn answer(&mut self, request: Request) {
        match request {
            Request::ClearCounters(reply) => reply.send(()),
            Request::Reload(reload, reply) => {
                self.reloads.push(reload.text);
                self.waiting.push(reply);
            }
            other => panic!("unexpected {other:?}"),
        }
    }

    fn turn(&mut self) -> Duration {
        self.turns += 1;
        for reply in self.waiting.drain(..) {
            reply.send(ReloadReport::default());
        }
        Duration::from_millis(1)
    }

    fn reopen_logs(&mut self) {
        self.reopened += 1;
    }

    fn stop(self) {}
}

fn reread() -> Result<Reload, Failure> {
    Ok(Reload { file: "vnf.toml".to_owned(), text: "new".to_owned(), dry_run: false })
}

#[tokio::test(start_paused = true)]
async fn requests_signals_and_turns_all_have_their_time() {
    let (asker, mut requests) = request::channel();
    let (orders, mut ordered) = mpsc::channel(4);
    let mut core = Core::default();
    let script = tokio::spawn(async move {
        asker.ask(Request::ClearCounters).await.expect("an answer");
        let text = Reload { file: String::new(), text: "asked".to_owned(), dry_run: false };
        asker.ask(|reply| Request::Reload(text, reply)).await.expect("an answer");
        orders.send(Order::Reload).await.expect("it listens");
        tokio::time::sleep(Duration::from_secs(1)).await;
        orders.send(Order::Stop).await.expect("it listens");
    });
    run(&mut core, &mut requests, &mut ordered, reread).await;
    script.await.expect("the script ran");
    assert_eq!((core.reloads, core.reopened), (vec!["asked".to_owned(), "new".to_owned()], 1));
    assert!(core.turns > 500, "about one turn a millisecond: {}", core.turns);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_changes_nothing_and_ends_nothing() {
    let (_asker, mut requests) = request::channel();
    let (orders, mut ordered) = mpsc::channel(4);
    let mut core = Core::default();
    orders.send(Order::Reload).await.expect("there is room");
    orders.send(Order::Stop).await.expect("there is room");
    let unreadable = || Err(Failure::Invalid("vnf.toml: cannot be read".to_owned()));
    run(&mut core, &mut requests, &mut ordered, unreadable).await;
    assert!(core.reloads.is_empty());
    assert_eq!(core.reopened, 1, "logs are opened anew all the same");
}
