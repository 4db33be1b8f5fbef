//! A small blocking client for one request to a running daemon, at its listener or control socket, bounded in time and size.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::clock;
use crate::domain::time::Moment;

/// The daemon answers within milliseconds; a connection that hangs this long is stuck.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The status of 60 tunnels with full timelines takes about 2 MB; every problem of the longest configuration less.
const ANSWER_MAX: u64 = 16 * 1024 * 1024;

/// The longest head of an answer.
const HEAD_MAX: u64 = 16 * 1024;

/// The address of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// At its listener.
    Tcp(SocketAddr),
    /// At its control socket.
    Socket(PathBuf),
}

impl Server {
    /// The server of a daemon with this `[http] listen`; if that is every address, on loopback.
    pub fn listening_at(listen: SocketAddr) -> Self {
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
        };
        Self::Tcp(SocketAddr::new(ip, listen.port()))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status code.
    pub code: u16,
    /// The body.
    pub body: String,
}

/// An answer of any length, whose body is read as it comes.
pub struct Opened {
    /// The HTTP status code.
    pub code: u16,
    /// The body; what goes wrong is an error of [`broken`].
    pub body: Box<dyn BufRead>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("code", &self.code).finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// Nothing listens there, or it cannot be reached.
    Unreachable {
        /// Where.
        server: Server,
        /// The cause.
        source: io::Error,
    },
    /// The connection broke.
    Broken {
        /// Where.
        server: Server,
        /// The cause.
        source: io::Error,
    },
    /// The kernel accepted the connection, but the process does not answer.
    Silent {
        /// Where.
        server: Server,
        /// For how long.
        waited: Duration,
    },
    /// The server is not bothends.
    NotUnderstood {
        /// Where.
        server: Server,
        /// What is wrong with the answer.
        why: &'static str,
    },
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { server, source } | Self::Broken { server, source } => {
                write!(f, "cannot ask the daemon at {server}: {source}")?;
                if source.kind() == ErrorKind::ConnectionRefused {
                    f.write_str(
                        "; check that it runs (`systemctl status bothends`) and that this is its [http] listen",
                    )?;
                }
                Ok(())
            }
            Self::Silent { server, waited } => write!(
                f,
                "the connection to {server} was accepted but no answer came within {} s: the process is \
                 stopped, stuck or very busy, or it is another program",
                waited.as_secs()
            ),
            Self::NotUnderstood { server, why } => {
                write!(f, "what answers at {server} is not bothends: {why}")
            }
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreachable { source, .. } | Self::Broken { source, .. } => Some(source),
            Self::Silent { .. } | Self::NotUnderstood { .. } => None,
        }
    }
}

/// Sends the daemon a request without a body, such as `GET /status`.
///
/// # Errors
/// Nothing listens there, the answer takes longer than `patience`, or it is not HTTP.
pub fn ask(server: &Server, what: &str, patience: Duration) -> Result<Answer, ClientError> {
    send(server, what, "", patience)
}

/// Sends the daemon a request with a body.
///
/// # Errors
/// As [`ask`].
pub fn send(server: &Server, what: &str, body: &str, patience: Duration) -> Result<Answer, ClientError> {
    let (stream, host) = reach(server, patience)?;
    let answer = exchange(stream, &host, what, body).map_err(|source| broken(server, patience, source))?;
    parse(&answer).map_err(|why| ClientError::NotUnderstood { server: server.clone(), why })
}

/// Sends the daemon a request without a body whose answer may be long: all of it has to come within `patience`.
///
/// # Errors
/// As [`ask`], as far as the answer's head.
pub fn open(server: &Server, what: &str, patience: Duration) -> Result<Opened, ClientError> {
    let (mut stream, host) = reach(server, patience)?;
    // In HTTP/1.0 the body ends with the connection, and has no other marks.
    let asked = stream.write_all(format!("{what} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes());
    let mut body = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = body.by_ref().take(HEAD_MAX).read_line(&mut head);
        let read = read.map_err(|source| broken(server, patience, source))?;
        if read == 0 || head.len() > HEAD_MAX as usize {
            break;
        }
    }
    let not_understood = |why| ClientError::NotUnderstood { server: server.clone(), why };
    match code_of(&head) {
        Some(code) if head.ends_with("\r\n\r\n") => Ok(Opened { code, body: Box::new(body) }),
        Some(_) => Err(not_understood("the answer has no head")),
        None => {
            asked.map_err(|source| broken(server, patience, source))?;
            Err(not_understood("the answer is not HTTP"))
        }
    }
}

/// Connects; returns the name for the `Host` header as well.
fn reach(server: &Server, patience: Duration) -> Result<(Bounded, String), ClientError> {
    let until = clock::now().mono + patience;
    let (socket, host) = match server {
        Server::Tcp(address) => {
            (TcpStream::connect_timeout(address, patience).map(Socket::from), address.to_string())
        }
        Server::Socket(path) => (connect(path, patience), "localhost".to_owned()),
    };
    let socket = socket.map_err(|source| ClientError::Unreachable { server: server.clone(), source })?;
    Ok((Bounded { socket, until }, host))
}

/// The error of a connection that broke, or that took longer than `patience`.
pub fn broken(server: &Server, patience: Duration, source: io::Error) -> ClientError {
    // Which of the two a socket timeout gives depends on the platform.
    let timed_out = [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&source.kind());
    let server = server.clone();
    if timed_out {
        ClientError::Silent { server, waited: patience }
    } else {
        ClientError::Broken { server, source }
    }
}

/// The status code in an answer's head.
fn code_of(head: &str) -> Option<u16> {
    head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.trim().parse().ok()
}

/// Connects to a control socket.
fn connect(path: &Path, patience: Duration) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The limit of a write holds for the wait for a place in the listener's queue, too (unix(7), socket(7)).
    socket.set_write_timeout(Some(patience))?;
    match socket.connect(&SockAddr::unix(path)?) {
        Err(full) if full.kind() == ErrorKind::WouldBlock => {
            Err(io::Error::new(ErrorKind::TimedOut, "too many others wait to be taken in"))
        }
        connected => connected.map(|()| socket),
    }
}

/// A connection on which everything together has to be done by this moment.
struct Bounded {
    socket: Socket,
    until: Moment,
}

impl Bounded {
    /// What is left of the time; zero would mean no limit to the kernel.
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.since(clock::now().mono);
        if left < Duration::from_millis(1) { Err(ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Bounded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(into)
    }
}

impl Write for Bounded {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

fn exchange(mut stream: impl Read + Write, host: &str, what: &str, body: &str) -> io::Result<Vec<u8>> {
    let length = body.len();
    let request = format!(
        "{what} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    // A busy daemon answers before it has read the request, and the unread request then resets the connection.
    let asked = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let read = stream.take(ANSWER_MAX).read_to_end(&mut answer);
    if parse(&answer).is_err() {
        asked.and(read)?;
    }
    Ok(answer)
}

/// The listener gives every answer a length, so that a truncated one is detected.
fn parse(answer: &[u8]) -> Result<Answer, &'static str> {
    let text = std::str::from_utf8(answer).map_err(|_| "the answer is not text")?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("the answer has no head")?;
    let mut lines = head.split("\r\n");
    let code = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1."))
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or("the answer is not HTTP")?;
    let length: usize = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or("the answer has no length")?;
    let body = body.get(..length).ok_or("the answer was cut short")?;
    Ok(Answer { code, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// The error of asking the program at this listener.
    fn error_at(listen: SocketAddr) -> String {
        ask(&Server::listening_at(listen), "GET /status", PATIENCE).unwrap_err().to_string()
    }

    #[test]
    fn an_answer_is_read_by_its_length() {
        let answer = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more");
        assert_eq!(answer, Ok(Answer { code: 200, body: "ok".to_owned() }));
    }

    #[test]
    fn a_truncated_or_foreign_answer_is_an_error() {
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), Err("the answer was cut short"));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\nok"), Err("the answer has no length"));
        assert_eq!(parse(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Err("the answer is not HTTP"));
        assert_eq!(parse(b""), Err("the answer has no head"));
    }

    #[test]
    fn a_daemon_on_every_address_is_asked_on_loopback() {
        let asked = ["0.0.0.0:9846", "[::]:9846", "192.0.2.1:9846"]
            .map(|listen| Server::listening_at(listen.parse().unwrap()).to_string());
        assert_eq!(asked, ["127.0.0.1:9846", "[::1]:9846", "192.0.2.1:9846"]);
    }

    #[test]
    fn a_process_that_does_not_answer_is_not_called_stopped() {
        // The kernel accepts connections for a listener that never does, as for a stopped process.
        let frozen = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = error_at(frozen.local_addr().unwrap());
        assert!(error.starts_with("the connection to 127.0.0.1:"), "{error}");
        assert!(error.contains("no answer came within 5 s") && !error.contains("systemctl"), "{error}");
    }

    #[test]
    fn a_refused_connection_is_an_error_with_the_first_step() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = error_at(free);
        assert!(error.contains("systemctl status bothends"), "{error}");
    }

    #[test]
    fn an_answer_that_drips_is_waited_for_no_longer_than_one_that_does_not_come() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server::Tcp(listener.local_addr().unwrap());
        let dripping = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for _ in 0..50 {
                if stream.write_all(b"x").is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let error = ask(&server, "GET /status", Duration::from_millis(500)).unwrap_err();
        assert!(matches!(error, ClientError::Silent { .. }), "{error}");
        dripping.join().unwrap();
    }

    #[test]
    fn a_control_socket_that_takes_nobody_in_is_waited_for_no_longer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        listener.listen(0).unwrap();
        let _takes_the_only_place = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let (told, answer) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            told.send(ask(&Server::Socket(path), "GET /status", Duration::from_millis(500)))
        });
        let error = answer.recv_timeout(Duration::from_secs(10)).unwrap().unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    }
}
