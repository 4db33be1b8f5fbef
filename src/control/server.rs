//! The daemon's end. Whatever a client does, it holds one of a few places for a few seconds.

use std::error::Error;
use std::fmt;
use std::fs::{self, Permissions};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Answer, Request};

/// A request, and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// What is wanted.
    pub request: Request,
    /// If it is dropped, the client is told that the daemon is ending.
    pub answer: oneshot::Sender<Answer>,
}

/// What clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Clients at a time; one more is told [`Answer::Busy`].
    pub clients: usize,
    /// For the request to arrive, and for the answer to be taken.
    pub patience: Duration,
}

impl Default for Limits {
    /// A person and a package's script may reload at once; a request arrives within microseconds.
    fn default() -> Self {
        Self { clients: 8, patience: Duration::from_secs(5) }
    }
}

/// No request is longer.
const LINE_MAX: u64 = 256;

/// After accept failed (no file descriptor left, usually), it is tried again after this long: at once would be a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// At the end, answers that are ready may still be taken.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why there is no control socket.
#[derive(Debug)]
pub struct BindError {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, source } = self;
        write!(
            f,
            "no control socket at {}: {source}; `bothends reload` will not work, SIGHUP does",
            path.display()
        )
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Binds the socket, in place of what a daemon that crashed has left there. Nobody else can connect at any time: it gets its
/// name when it has its mode.
///
/// # Errors
/// Another daemon listens there, or the directory cannot be written to.
pub fn bind(path: &Path) -> Result<UnixListener, BindError> {
    let bound = || {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(ErrorKind::AddrInUse, "another bothends listens there"));
        }
        let unnamed = path.with_extension(format!("{}", std::process::id()));
        let _ = fs::remove_file(&unnamed);
        let listener = UnixListener::bind(&unnamed)?;
        fs::set_permissions(&unnamed, Permissions::from_mode(0o600))?;
        fs::rename(&unnamed, path)?;
        Ok(listener)
    };
    bound().map_err(|source| BindError { path: path.to_owned(), source })
}

/// Hands requests on until `shutdown` ends.
pub async fn serve(
    listener: UnixListener,
    asked: mpsc::Sender<Asked>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.clients));
    let mut clients = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
            Some(_) = clients.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    let asked = asked.clone();
                    clients.spawn(async move {
                        attend(stream, asked, limits).await;
                        drop(place);
                    });
                }
                Err(_) => turn_away(&stream),
            },
            Err(error) => {
                log::debug!("the control socket cannot accept: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop((listener, asked));
    let _ = timeout(LAST_WORDS, async { while clients.join_next().await.is_some() {} }).await;
}

async fn attend(stream: UnixStream, asked: mpsc::Sender<Asked>, limits: Limits) {
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let mut head = BufReader::new(read.take(LINE_MAX));
    match timeout(limits.patience, head.read_until(b'\n', &mut line)).await {
        Ok(Ok(1..)) => {}
        // It said nothing, or left.
        Ok(Ok(0) | Err(_)) | Err(_) => return,
    }
    let request =
        std::str::from_utf8(&line).ok().filter(|line| line.ends_with('\n')).and_then(Request::parse);
    let answer = match request {
        Some(request) => {
            let (sender, answer) = oneshot::channel();
            match asked.try_send(Asked { request, answer: sender }) {
                Ok(()) => answer.await.unwrap_or(Answer::Ending),
                Err(mpsc::error::TrySendError::Full(_)) => Answer::Busy,
                Err(mpsc::error::TrySendError::Closed(_)) => Answer::Ending,
            }
        }
        None => not_understood(),
    };
    // Who asked may have gone; what was done is done all the same.
    let _ = timeout(limits.patience, write.write_all(&encode(&answer))).await;
}

fn not_understood() -> Answer {
    Answer::NotUnderstood { requests: Request::ALL.map(|request| request.as_str().to_owned()).into() }
}

/// Says why, if that is possible without waiting; the connection closes with the stream.
fn turn_away(stream: &UnixStream) {
    let _ = stream.try_write(&encode(&Answer::Busy));
}

fn encode(answer: &Answer) -> Vec<u8> {
    // What is made of texts and numbers can be encoded.
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream as Client;

    use std::io::{Read as _, Write as _};

    use tempfile::TempDir;
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    /// A served socket; every request is answered that it is in force, with its place in the order as `vpns`.
    struct Served {
        directory: TempDir,
    }

    impl Served {
        fn with(limits: Limits) -> Self {
            let served = Self { directory: tempfile::tempdir().unwrap() };
            let (asked, mut asked_in) = mpsc::channel(limits.clients);
            served.serve(asked, limits, async move {
                let mut vpns = 0;
                while let Some(Asked { request: Request::Reload, answer }) = asked_in.recv().await {
                    vpns += 1;
                    let _ = answer.send(Answer::InForce { vpns, tunnels: 0, notes: Vec::new() });
                }
            });
            served
        }

        /// On a thread that ends with the process.
        fn serve(
            &self,
            asked: mpsc::Sender<Asked>,
            limits: Limits,
            daemon: impl Future<Output = ()> + Send + 'static,
        ) {
            let runtime = runtime();
            let listener = runtime.block_on(async { bind(&self.path()) }).unwrap();
            std::thread::spawn(move || {
                runtime.block_on(async {
                    tokio::join!(serve(listener, asked, limits, std::future::pending()), daemon);
                });
            });
        }

        fn path(&self) -> PathBuf {
            self.directory.path().join("control.sock")
        }

        fn connect(&self) -> Client {
            let client = Client::connect(self.path()).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            client
        }

        /// What a client that says this is answered.
        fn says(&self, what: &[u8]) -> String {
            let mut client = self.connect();
            // It may be cut off before it has said everything.
            let _ = client.write_all(what);
            heard(client)
        }
    }

    fn heard(mut client: Client) -> String {
        let mut answer = Vec::new();
        // Unread bytes of ours make the kernel reset the connection once the answer is read.
        let _ = client.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    const UNKNOWN: &str = "{\"outcome\":\"not_understood\",\"requests\":[\"reload\"]}\n";

    #[test]
    fn a_request_is_answered_with_one_line() {
        let served = Served::with(Limits::default());
        for vpns in 1..=2 {
            let expected =
                format!("{{\"outcome\":\"in_force\",\"vpns\":{vpns},\"tunnels\":0,\"notes\":[]}}\n");
            assert_eq!(served.says(b"reload\n"), expected);
        }
    }

    #[test]
    fn garbage_and_a_line_without_end_harm_nothing() {
        let served = Served::with(Limits::default());
        assert_eq!(served.says(b"frobnicate\n"), UNKNOWN);
        assert_eq!(served.says(b"\xff\xfe\0\n"), UNKNOWN);
        assert_eq!(served.says(&vec![b'x'; 1 << 20]), UNKNOWN);
        assert_eq!(served.says(&b"reload ".repeat(100)), UNKNOWN, "a line is cut before it is read");
        assert!(served.says(b"reload\n").contains("in_force"));
    }

    #[test]
    fn clients_that_say_nothing_hold_their_places_for_so_long_and_one_more_is_told_to_come_again() {
        let served = Served::with(Limits { clients: 2, patience: Duration::from_secs(1) });
        let silent = [served.connect(), served.connect()];
        // They are accepted in the order in which they came.
        assert_eq!(heard(served.connect()), "{\"outcome\":\"busy\"}\n");
        for client in silent {
            assert_eq!(heard(client), "", "it is hung up on");
        }
        assert!(served.says(b"reload\n").contains("in_force"));
    }

    #[test]
    fn a_client_that_leaves_before_its_answer_keeps_nobody_waiting() {
        let served = Served::with(Limits { clients: 1, ..Limits::default() });
        served.connect().write_all(b"reload\n").unwrap();
        let mut answer = served.says(b"reload\n");
        while answer.contains("busy") {
            answer = served.says(b"reload\n");
        }
        assert!(answer.contains("\"vpns\":2"), "{answer}");
    }

    #[test]
    fn a_socket_that_a_crash_left_is_replaced_and_one_in_use_is_not() {
        let served = Served::with(Limits::default());
        let bind = |path: &Path| runtime().block_on(async { super::bind(path).map(drop) });
        let told = bind(&served.path()).unwrap_err().to_string();
        assert!(told.contains("another bothends listens there") && told.contains("SIGHUP does"), "{told}");

        let stale = served.directory.path().join("stale.sock");
        bind(&stale).unwrap();
        bind(&stale).unwrap();
        assert_eq!(stale.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let mut left: Vec<_> =
            fs::read_dir(served.directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["control.sock", "stale.sock"]);
    }

    #[test]
    fn whoever_asks_while_the_daemon_is_ending_is_told_so() {
        let served = Served { directory: tempfile::tempdir().unwrap() };
        let (asked, asked_in) = mpsc::channel(1);
        drop(asked_in);
        served.serve(asked, Limits::default(), async {});
        let mut client = served.connect();
        client.write_all(b"reload\n").unwrap();
        assert_eq!(heard(client), "{\"outcome\":\"ending\"}\n");
    }
}
