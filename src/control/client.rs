//! A command's end: asks once and waits for the answer, blocking and bounded.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Answer, Request};

/// A reload takes milliseconds, also while AWS cannot be reached.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Every problem of the longest configuration takes less.
const ANSWER_MAX: u64 = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub enum ControlError {
    /// Nobody listens there.
    NobodyThere {
        /// The socket.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Only root and the daemon's user may ask.
    NotAllowed {
        /// The socket.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The daemon did not answer in time.
    NoAnswer {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The connection broke, or what came is no answer.
    Broken {
        /// The socket.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyThere { path, source } => write!(
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
            Self::Broken { path, source } => {
                write!(
                    f,
                    "the daemon at {} broke off, or gave an answer of another version: {source}",
                    path.display()
                )
            }
        }
    }
}

impl Error for ControlError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NobodyThere { source, .. }
            | Self::NotAllowed { source, .. }
            | Self::Broken { source, .. } => Some(source),
            Self::NoAnswer { .. } => None,
        }
    }
}

/// Asks the daemon whose socket this is.
///
/// # Errors
/// Nobody listens there, asking is not allowed, or no answer comes within `patience`.
pub fn ask(path: &Path, request: Request, patience: Duration) -> Result<Answer, ControlError> {
    let stream = UnixStream::connect(path).map_err(|source| {
        let path = path.to_owned();
        if source.kind() == ErrorKind::PermissionDenied {
            ControlError::NotAllowed { path, source }
        } else {
            ControlError::NobodyThere { path, source }
        }
    })?;
    exchange(stream, request, patience).map_err(|source| {
        // What a socket's timeout ends with depends on the system.
        if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&source.kind()) {
            ControlError::NoAnswer { waited: patience }
        } else {
            ControlError::Broken { path: path.to_owned(), source }
        }
    })
}

fn exchange(mut stream: UnixStream, request: Request, patience: Duration) -> io::Result<Answer> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    // One that is busy answers without having heard.
    let asked = stream.write_all(format!("{}\n", request.as_str()).as_bytes());
    let mut line = String::new();
    BufReader::new(stream.take(ANSWER_MAX)).read_line(&mut line)?;
    if line.is_empty() {
        asked?;
        return Err(ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_str(&line).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// What comes of asking a daemon that answers this and hangs up.
    fn asked(answer: &'static str) -> Result<Answer, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let daemon = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            assert_eq!(line, "reload\n");
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let answer = ask(&path, Request::Reload, PATIENCE).map_err(|error| error.to_string());
        daemon.join().unwrap();
        answer
    }

    #[test]
    fn an_answer_is_taken_as_it_is() {
        assert_eq!(asked("{\"outcome\":\"ending\"}\n"), Ok(Answer::Ending));
    }

    #[test]
    fn a_daemon_that_breaks_off_or_is_of_another_version_is_told_so() {
        for answer in ["", "{\"outcome\":\"in_fo", "{\"outcome\":\"sideways\"}\n", "hello\n"] {
            let told = asked(answer).unwrap_err();
            assert!(told.contains("broke off, or gave an answer of another version"), "{answer:?}: {told}");
        }
    }

    #[test]
    fn nobody_there_is_told_with_what_to_look_at() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let absent = ask(&path, Request::Reload, PATIENCE).unwrap_err().to_string();
        assert!(
            absent.starts_with("no daemon listens at /") && absent.contains("systemctl status"),
            "{absent}"
        );
        drop(UnixListener::bind(&path).unwrap());
        let stale = ask(&path, Request::Reload, PATIENCE).unwrap_err().to_string();
        assert!(stale.starts_with("no daemon listens at /"), "{stale}");
    }

    #[test]
    fn a_daemon_that_does_not_answer_is_waited_for_so_long() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let _silent = UnixListener::bind(&path).unwrap();
        let told = ask(&path, Request::Reload, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(told, ControlError::NoAnswer { .. }), "{told}");
    }
}
