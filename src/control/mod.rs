//! The control socket: what a command wants of the running daemon, and how it went.
//!
//! A connection carries one line each way: the word of a [`Request`], and an [`Answer`] as JSON. Whoever may write to the
//! socket may ask, and those are root and the daemon's own user. Another request is a variant of [`Request`].

pub mod client;
pub mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where the package's unit has the socket (`RuntimeDirectory=bothends`).
pub const DEFAULT_SOCKET: &str = "/run/bothends/control.sock";

/// What a command wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Read the configuration again, and answer when it is in force or refused.
    Reload,
}

impl Request {
    /// All there are.
    pub const ALL: [Self; 1] = [Self::Reload];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reload => "reload",
        }
    }

    fn parse(line: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|request| request.as_str() == line.trim_ascii_end())
    }
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Answer {
    /// The configuration is in force.
    InForce {
        /// How many connections are in it.
        vpns: usize,
        /// How many tunnels are probed.
        tunnels: usize,
        /// What is allowed but deserves a look, and what takes force with the next start only; a line each.
        notes: Vec<String>,
    },
    /// The configuration is wrong, and the one before stays in force.
    Refused {
        /// Everything that is wrong, a line each.
        problems: Vec<String>,
    },
    /// The daemon is ending, and did nothing.
    Ending,
    /// Too many ask at once; this one was not heard.
    Busy,
    /// It is no request of this version.
    NotUnderstood {
        /// The words that are.
        requests: Vec<String>,
    },
}

/// The socket, where systemd made a directory for it (`RUNTIME_DIRECTORY`, of several the first).
pub fn socket(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let directory = env.get("RUNTIME_DIRECTORY")?.split(':').next()?;
    (!directory.is_empty()).then(|| Path::new(directory).join("control.sock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_its_word_and_nothing_else() {
        assert_eq!(Request::parse("reload\n"), Some(Request::Reload));
        assert_eq!(Request::parse("reload\r\n"), Some(Request::Reload));
        for line in ["", "\n", "RELOAD\n", " reload\n", "reload now\n"] {
            assert_eq!(Request::parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn an_answer_is_one_line_of_json_whatever_is_in_it() {
        let answer = Answer::Refused { problems: vec!["a: b\nc".to_owned()] };
        let line = serde_json::to_string(&answer).unwrap();
        assert_eq!(line, r#"{"outcome":"refused","problems":["a: b\nc"]}"#);
        assert_eq!(serde_json::from_str::<Answer>(&line).unwrap(), answer);
    }

    #[test]
    fn an_answer_of_a_later_version_may_tell_more() {
        let line = r#"{"outcome":"in_force","vpns":1,"tunnels":2,"notes":[],"since":"today"}"#;
        let answer = Answer::InForce { vpns: 1, tunnels: 2, notes: Vec::new() };
        assert_eq!(serde_json::from_str::<Answer>(line).unwrap(), answer);
    }

    #[test]
    fn the_socket_is_in_the_first_directory_that_systemd_made() {
        let at = |directory: &str| socket(&BTreeMap::from([("RUNTIME_DIRECTORY".into(), directory.into())]));
        assert_eq!(at("/run/bothends"), Some(DEFAULT_SOCKET.into()));
        assert_eq!(at("/run/bothends:/run/other"), Some(DEFAULT_SOCKET.into()));
        assert_eq!(at(""), None);
        assert_eq!(socket(&BTreeMap::new()), None);
    }
}
