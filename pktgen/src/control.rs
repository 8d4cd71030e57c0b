//! How the tested system is told to flush its tables, to reload, and to say how it is: commands of the user's, run by
//! the shell.

use std::fmt;
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What the tested system can be asked to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Let a link go down and come up again.
    Flap,
    /// Forget all sessions.
    Flush,
    /// Read its configuration again.
    Reload,
    /// Print its state, as JSON.
    Stats,
}

impl Action {
    const ALL: [Self; 4] = [Self::Flap, Self::Flush, Self::Reload, Self::Stats];
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flap => "flap",
            Self::Flush => "flush",
            Self::Reload => "reload",
            Self::Stats => "stats",
        })
    }
}

/// One `--hook`: `flap=CMD`, `flush=CMD`, `reload=CMD`, `stats=CMD`, or `CMD`, which gets the word as its argument.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hook {
    action: Option<Action>,
    command: String,
}

impl FromStr for Hook {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Action::ALL.into_iter().find_map(|action| {
            let command = text.strip_prefix(&action.to_string())?.strip_prefix('=')?;
            Some((Some(action), command))
        });
        let (action, command) = found.unwrap_or((None, text));
        if command.trim().is_empty() {
            return Err(
                "a command is expected: flap='…', flush='…', reload='…', stats='…', or one for all",
            );
        }
        Ok(Self { action, command: command.to_owned() })
    }
}

/// All hooks; later ones go before earlier ones, those for one action before those for all.
#[derive(Clone, Debug, Default)]
pub struct Hooks(pub Vec<Hook>);

/// Why a hook did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The command failed.
    #[error("hook '{command}': {why}")]
    Failed {
        /// The command.
        command: String,
        /// Its exit status and what it printed as error.
        why: String,
    },
    /// There is no such hook.
    #[error("this needs to {0} the tested system: give --hook {0}='CMD', e.g. {1}")]
    Missing(Action, &'static str),
    /// The output tells no number of sessions.
    #[error(
        "the stats hook must print a number, a list, or a JSON object with \"sessions\"; it printed: {0}"
    )]
    NoSessions(String),
}

impl Hooks {
    /// An error that says what to give, where there is no hook for this.
    pub fn need(&self, action: Action) -> Result<(), HookError> {
        self.find(action).map(|_| ())
    }

    /// Whether there is a hook for this.
    pub fn have(&self, action: Action) -> bool {
        self.find(action).is_ok()
    }

    /// Runs a hook to its end; gives its output and the time it took.
    pub fn run(&self, action: Action) -> Result<(String, Duration), HookError> {
        let hook = self.find(action)?;
        match hook.action {
            Some(_) => shell(&hook.command, None),
            None => shell(&hook.command, Some(action)),
        }
    }

    /// The number of sessions of the tested system, by the stats hook.
    pub fn sessions(&self) -> Result<u64, HookError> {
        let (text, _) = self.run(Action::Stats)?;
        sessions_in(&text).ok_or_else(|| HookError::NoSessions(text.chars().take(200).collect()))
    }

    fn find(&self, action: Action) -> Result<&Hook, HookError> {
        let named = self.0.iter().rev().find(|hook| hook.action == Some(action));
        let found = named.or_else(|| self.0.iter().rev().find(|hook| hook.action.is_none()));
        let example = match action {
            Action::Flap => "'ip link set veth0 down; sleep 1; ip link set veth0 up'",
            Action::Flush => "'vnf clear sessions'",
            Action::Reload => "'vnf reload'",
            Action::Stats => "'vnf status --json'",
        };
        found.ok_or(HookError::Missing(action, example))
    }
}

/// Runs a command by the shell; gives its output and the time it took.
pub fn shell(command: &str, argument: Option<Action>) -> Result<(String, Duration), HookError> {
    let failed = |why: String| HookError::Failed { command: command.to_owned(), why };
    let start = Instant::now();
    let mut shell = Command::new("sh");
    match argument {
        Some(action) => {
            shell.args(["-c", &format!("{command} \"$@\""), "pktgen", &action.to_string()])
        }
        None => shell.args(["-c", command]),
    };
    let output = shell.output().map_err(|error| failed(error.to_string()))?;
    let took = start.elapsed();
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, words.trim())));
    }
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), took))
}

fn sessions_in(text: &str) -> Option<u64> {
    match serde_json::from_str(text).ok()? {
        Value::Array(list) => Some(list.len() as u64),
        Value::Number(number) => number.as_u64(),
        Value::Object(object) => object.get("sessions")?.as_u64(),
        Value::Bool(_) | Value::Null | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(texts: &[&str]) -> Hooks {
        Hooks(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn a_hook_for_one_action_goes_before_one_for_all_which_gets_the_word() {
        let hooks = hooks(&["echo all", "flush=echo gone"]);
        assert_eq!(hooks.run(Action::Flush).unwrap().0, "gone\n");
        assert_eq!(hooks.run(Action::Reload).unwrap().0, "all reload\n");
    }

    #[test]
    fn failure_and_absence_say_what_to_do() {
        let hooks = hooks(&["stats=echo broken >&2; false"]);
        let error = hooks.run(Action::Stats).unwrap_err().to_string();
        assert!(error.contains("broken") && error.contains("exit status: 1"), "{error}");
        let error = hooks.run(Action::Flush).unwrap_err().to_string();
        assert!(error.contains("--hook flush='CMD'"), "{error}");
        assert!("flush=".parse::<Hook>().is_err());
        assert!(!hooks.have(Action::Reload) && hooks.have(Action::Stats));
    }

    #[test]
    fn sessions_are_read_from_a_number_a_list_or_an_object() {
        for (text, sessions) in [
            ("7\n", Some(7)),
            ("[{}, {}]", Some(2)),
            (r#"{"state":"running","sessions":9}"#, Some(9)),
            (r#"{"sessions":"many"}"#, None),
            ("none", None),
        ] {
            assert_eq!(sessions_in(text), sessions, "{text}");
        }
        let error = hooks(&["stats=echo {}"]).sessions().unwrap_err();
        assert!(matches!(error, HookError::NoSessions(_)));
    }
}
