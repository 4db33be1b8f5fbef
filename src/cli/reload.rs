//! `bothends reload`: makes the daemon read its configuration again, and waits for the outcome, as `ExecReload=` must.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::progress::Progress;
use crate::http::client::{self, Answer, ClientError, Server};
use crate::http::listener::{DEFAULT_SOCKET, socket};
use crate::http::routes::{RELOAD_PATIENCE, RELOAD_REQUEST, ReloadAnswer};
use crate::process::{Exit, environment};

pub(super) fn run() -> Exit {
    let path = socket(&environment()).unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET));
    let asked = {
        let _progress = Progress::start("waiting until the new configuration is in force");
        ask(&path, RELOAD_PATIENCE)
    };
    match asked {
        Ok(answer) => report(answer),
        Err(error) => {
            complain!("{error}");
            match error {
                ReloadError::NotAllowed { .. } => Exit::Permission,
                ReloadError::NotRunning { .. }
                | ReloadError::NoAnswer { .. }
                | ReloadError::Broken { .. }
                | ReloadError::NotSupported => Exit::BadNews,
            }
        }
    }
}

/// Why the outcome is not known.
#[derive(Debug)]
enum ReloadError {
    /// Nobody listens there.
    NotRunning { path: PathBuf, source: io::Error },
    /// Only root and the daemon's user may ask.
    NotAllowed { path: PathBuf, source: io::Error },
    /// The daemon did not answer in time.
    NoAnswer { waited: Duration },
    /// The connection broke, or the response is not an answer.
    Broken { path: PathBuf, why: String },
    /// The daemon is of a version without this way to reload.
    NotSupported,
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning { path, source } => write!(
                f,
                "no daemon listens at {}: {source}; is it running (`systemctl status bothends`)? One without \
                 RUNTIME_DIRECTORY has no control socket: send it SIGHUP, and see its log for the outcome",
                path.display()
            ),
            Self::NotAllowed { path, source } => write!(
                f,
                "cannot ask the daemon at {}: {source}; run as root, or as the user that bothends runs as",
                path.display()
            ),
            Self::NoAnswer { waited } => write!(
                f,
                "the daemon has not answered within {} s; `systemctl status bothends` and its journal tell how it is, and \
                 what became of the request",
                waited.as_secs()
            ),
            Self::Broken { path, why } => {
                write!(
                    f,
                    "the daemon at {} broke off, or gave an answer of another version: {why}",
                    path.display()
                )
            }
            Self::NotSupported => f.write_str(
                "the daemon is another version and does not support reload; restart it: systemctl restart bothends",
            ),
        }
    }
}

/// Asks the daemon at this control socket.
fn ask(path: &Path, patience: Duration) -> Result<ReloadAnswer, ReloadError> {
    let broken = |why: String| ReloadError::Broken { path: path.to_owned(), why };
    let answer =
        client::ask(&Server::Socket(path.to_owned()), RELOAD_REQUEST, patience).map_err(|error| {
            let path = path.to_owned();
            match error {
                ClientError::Unreachable { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                    ReloadError::NotAllowed { path, source }
                }
                ClientError::Unreachable { source, .. } => ReloadError::NotRunning { path, source },
                ClientError::Silent { waited, .. } => ReloadError::NoAnswer { waited },
                ClientError::Broken { source, .. } => broken(source.to_string()),
                ClientError::NotUnderstood { why, .. } => broken(why.to_owned()),
                // There is no TLS at a socket.
                error @ (ClientError::NotTrusted { .. } | ClientError::NoTls { .. }) => {
                    broken(error.to_string())
                }
            }
        })?;
    let Answer { code, body } = answer;
    match (serde_json::from_str(&body), code) {
        (Ok(answer), _) => Ok(answer),
        // The server turned the connection away.
        (Err(_), 503) => Ok(ReloadAnswer::Busy),
        (Err(_), 404 | 405) => Err(ReloadError::NotSupported),
        (Err(error), _) => Err(broken(error.to_string())),
    }
}

fn report(answer: ReloadAnswer) -> Exit {
    match answer {
        ReloadAnswer::InForce { vpns, tunnels, notes } => {
            say!("the configuration is in force; VPN connections: {vpns}, tunnels: {tunnels}");
            for note in notes {
                complain!("warning: {note}");
            }
            Exit::Success
        }
        ReloadAnswer::Refused { problems } => {
            for problem in problems {
                complain!("{problem}");
            }
            complain!("the configuration is invalid; the previous one stays in force");
            Exit::Configuration
        }
        ReloadAnswer::Ending => {
            complain!("the daemon is stopping; its next start reads the configuration");
            Exit::BadNews
        }
        ReloadAnswer::Busy => {
            complain!("too many requests to the daemon at once; try again");
            Exit::BadNews
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// The outcome with a daemon that answers this and closes.
    fn asked(answer: &str) -> Result<ReloadAnswer, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let listener = UnixListener::bind(&path).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut line = String::new();
                BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
                assert_eq!(line, "POST /reload HTTP/1.1\r\n");
                stream.write_all(answer.as_bytes()).unwrap();
            });
            ask(&path, RELOAD_PATIENCE).map_err(|error| error.to_string())
        })
    }

    fn http(code: u16, body: &str) -> String {
        format!("HTTP/1.1 {code} Whatever\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn every_outcome_is_understood() {
        assert_eq!(asked(&http(503, "{\"outcome\":\"ending\"}")), Ok(ReloadAnswer::Ending));
        assert_eq!(asked(&http(503, "too many connections\n")), Ok(ReloadAnswer::Busy));
        let refused = ReloadAnswer::Refused { problems: vec!["a".to_owned()] };
        assert_eq!(asked(&http(422, r#"{"outcome":"refused","problems":["a"]}"#)), Ok(refused));
    }

    #[test]
    fn a_broken_or_foreign_answer_is_an_error_that_says_so() {
        let cut = http(200, "{\"outcome\":\"in_force\"").replace("Length: 21", "Length: 99");
        for answer in [
            "",
            &cut,
            &http(200, "{\"outcome\":\"sideways\"}"),
            "{\"outcome\":\"not_understood\"}\n",
            "hello\n",
        ] {
            let error = asked(answer).unwrap_err();
            assert!(error.contains("broke off, or gave an answer of another version"), "{answer:?}: {error}");
        }
        for code in [404, 405] {
            let error = asked(&http(code, "try /metrics\n")).unwrap_err();
            assert!(
                error.contains("does not support reload") && error.contains("systemctl restart"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_daemon_that_is_not_running_is_an_error_with_the_first_step() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let absent = ask(&path, RELOAD_PATIENCE).unwrap_err().to_string();
        assert!(
            absent.starts_with("no daemon listens at /") && absent.contains("systemctl status"),
            "{absent}"
        );
        drop(UnixListener::bind(&path).unwrap());
        let stale = ask(&path, RELOAD_PATIENCE).unwrap_err().to_string();
        assert!(stale.starts_with("no daemon listens at /"), "{stale}");
    }

    #[test]
    fn a_daemon_that_does_not_answer_is_a_timeout() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let _silent = UnixListener::bind(&path).unwrap();
        let error = ask(&path, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, ReloadError::NoAnswer { .. }), "{error}");
    }
}
