//! What is done to the tested system while it carries a load: commands at their times, on a thread of their own.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::control::{Action, Hooks, shell};

/// A command that is run again and again.
#[derive(Clone, Debug)]
pub struct Every {
    /// How it is called in the report.
    pub name: String,
    /// The first time and then every so often.
    pub period: Duration,
    /// At most so often.
    pub times: Option<u32>,
    /// What to run.
    pub what: What,
}

/// What is run.
#[derive(Clone, Debug)]
pub enum What {
    /// A command of the shell.
    Command(String),
    /// A hook.
    Hook(Hooks, Action),
}

/// A command that was run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Seconds after the start.
    pub at_s: f64,
    /// What was done.
    pub name: String,
    /// How long it took.
    pub took_s: f64,
    /// Why it failed.
    pub error: Option<String>,
}

/// Commands being run; they end with [`finish`](Self::finish).
#[derive(Debug)]
pub struct Disturbances {
    thread: JoinHandle<Vec<Event>>,
    stop: Sender<()>,
}

impl Every {
    /// A hook every so often.
    pub fn hook(hooks: &Hooks, action: Action, period: Duration) -> Self {
        let what = What::Hook(hooks.clone(), action);
        Self { name: action.to_string(), period, times: None, what }
    }

    /// A command once, after a time.
    pub fn once(command: &str, after: Duration) -> Self {
        let what = What::Command(command.to_owned());
        Self { name: command.to_owned(), period: after, times: Some(1), what }
    }

    fn run(&self) -> Option<String> {
        let done = match &self.what {
            What::Command(command) => shell(command, None),
            What::Hook(hooks, action) => hooks.run(*action),
        };
        done.err().map(|error| error.to_string())
    }
}

impl Event {
    /// Whether a frame that was due then may have been lost because of this.
    pub fn explains(&self, at_s: f64) -> bool {
        at_s >= self.at_s - BEFORE_S && at_s <= self.at_s + self.took_s + AFTER_S
    }
}

impl Disturbances {
    /// Starts now.
    pub fn start(all: Vec<Every>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let start = Instant::now();
        let thread = thread::spawn(move || {
            let mut due: Vec<(Duration, u32)> = all.iter().map(|every| (every.period, 0)).collect();
            let mut events = Vec::new();
            loop {
                let next = due.iter().enumerate().filter(|(index, (_, done))| {
                    all[*index].times.is_none_or(|times| *done < times)
                });
                let Some((index, (at, _))) = next.min_by_key(|(_, (at, _))| *at) else {
                    // All done: wait for the end.
                    let _ = stopped.recv();
                    return events;
                };
                let wait = at.saturating_sub(start.elapsed());
                if !matches!(stopped.recv_timeout(wait), Err(RecvTimeoutError::Timeout)) {
                    return events;
                }
                let every = &all[index];
                let began = start.elapsed();
                let error = every.run();
                let took_s = (start.elapsed() - began).as_secs_f64();
                let name = every.name.clone();
                events.push(Event { at_s: began.as_secs_f64(), name, took_s, error });
                due[index].0 += every.period;
                due[index].1 += 1;
            }
        });
        Self { thread, stop }
    }

    /// Waits for the command under way, if any; gives all that were run.
    pub fn finish(self) -> Vec<Event> {
        // The thread may have ended by itself.
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_default()
    }
}

/// A frame so long before a command began, by two clocks that started one after the other, or so long after it ended
/// may be its doing.
const BEFORE_S: f64 = 0.1;
const AFTER_S: f64 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_run_on_time_and_failures_are_kept() {
        let hooks = Hooks(vec!["reload=true".parse().unwrap()]);
        let often = Every::hook(&hooks, Action::Reload, Duration::from_millis(20));
        let once = Every::once("false", Duration::from_millis(30));
        let running = Disturbances::start(vec![often, once]);
        thread::sleep(Duration::from_millis(300));
        let events = running.finish();
        let failed: Vec<_> = events.iter().filter(|event| event.error.is_some()).collect();
        assert_eq!(failed.len(), 1, "{events:?}");
        assert!(failed[0].name == "false" && failed[0].at_s >= 0.03);
        assert!(events.len() >= 2, "{events:?}");
        assert!(events.windows(2).all(|pair| pair[0].at_s <= pair[1].at_s));
    }

    #[test]
    fn an_event_explains_what_is_near_it() {
        let event = Event { at_s: 10.0, name: String::new(), took_s: 1.0, error: None };
        let near = [9.8, 9.95, 10.5, 11.4, 11.6].map(|at| event.explains(at));
        assert_eq!(near, [false, true, true, true, false]);
    }
}
