//! A small blocking client for one request to a running daemon, at its listener or control socket, bounded in time and size.
//!
//! Nothing of the environment counts: no proxy stands between a host and its own daemon, and for another host's a proxy is named as
//! the URL.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use hyper::Uri;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::token;
use crate::access::read_regular;
use crate::clock;
use crate::outbound::{
    Certificate, ConnectError, ConnectStage, Dialer, KeyExchange, Proxies, Stream, Trust, What,
};

/// The daemon answers within milliseconds; a connection that hangs this long is stuck.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The status of 60 tunnels with full timelines takes about 2 MB; every problem of the longest configuration less.
pub const ANSWER_MAX: u64 = 16 * 1024 * 1024;

/// A file of authorities is shorter.
const AUTHORITIES_MAX: u64 = 4 * 1024 * 1024;

/// Where the listener is by default.
const PORT: u16 = 9846;

/// The address of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// At its listener.
    Listener(Origin),
    /// At its control socket.
    Socket(PathBuf),
}

/// What a URL says of a server (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Whether it speaks TLS.
    secure: bool,
    /// A name, or an address; an IPv6 address has brackets.
    host: String,
    port: u16,
}

/// Why a text is no address of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlError {
    /// The text, without user and password.
    url: String,
    why: &'static str,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, why } = self;
        write!(
            f,
            "invalid value {url:?}: {why}; expected http://ADDRESS:PORT or https://NAME:PORT, such as http://127.0.0.1:9846"
        )
    }
}

impl Error for UrlError {}

impl Server {
    /// The server of a daemon with this `[http] listen`; if that is every address, on loopback. `secure`: it has a certificate.
    pub fn listening_at(listen: SocketAddr, secure: bool) -> Self {
        let host = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            IpAddr::V6(ip) if ip.is_unspecified() => format!("[{}]", Ipv6Addr::LOCALHOST),
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self::Listener(Origin { secure, host, port: listen.port() })
    }

    /// The server at `http://127.0.0.1:9846` or `https://gw1.example.com:9846`, with or without scheme, port and path.
    ///
    /// # Errors
    /// The URL has another scheme, a user or password, or no usable host and port.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let wrong = |why| UrlError { url: masked(url), why };
        let (secure, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return Err(wrong("unknown scheme")),
            None => (false, url),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(wrong(
                "a user and a password do not belong in the URL; the listener's token is given with --token-file",
            ));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().map_err(|_| wrong("invalid port"))?)
            }
            Some(_) | None => (authority, PORT),
        };
        let is_address = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()),
            None => false,
        };
        let is_name =
            !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        if host.parse::<Ipv6Addr>().is_ok() {
            return Err(wrong("an IPv6 address is written in brackets"));
        }
        if !is_address && !is_name {
            return Err(wrong("no host name or address"));
        }
        Ok(Self::Listener(Origin { secure, host: host.to_owned(), port }))
    }

    /// Whether what is sent there can be read by others on the way.
    fn is_in_the_clear(&self) -> bool {
        match self {
            Self::Socket(_) => false,
            Self::Listener(Origin { secure, host, .. }) => {
                let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
                let stays_here = host.eq_ignore_ascii_case("localhost")
                    || address.is_ok_and(|address| address.to_canonical().is_loopback());
                !secure && !stays_here
            }
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(Origin { secure, host, port }) => {
                write!(f, "{}{host}:{port}", if *secure { "https://" } else { "" })
            }
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

/// The URL without its user and password, which are secret.
pub fn masked(url: &str) -> String {
    let begin = url.find("://").map_or(0, |end| end + "://".len());
    let (scheme, rest) = url.split_at(begin);
    match rest.rsplit_once('@') {
        Some((_, behind)) => format!("{scheme}***@{behind}"),
        None => url.to_owned(),
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

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// Nothing listens there, its name has no address, or it cannot be reached.
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
    /// Its certificate is not accepted.
    NotTrusted {
        /// Where.
        server: Server,
        /// Why not.
        certificate: Certificate,
        /// The file of the authorities that are trusted instead of this host's.
        ca_file: Option<PathBuf>,
    },
    /// There is no TLS with it.
    NoTls {
        /// Where.
        server: Server,
        /// Why not.
        why: String,
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
            Self::NotTrusted { server, certificate, ca_file } => {
                write!(f, "the certificate of {server} is not accepted: {certificate}; ")?;
                match (certificate, ca_file) {
                    (Certificate::Untrusted, None) => f.write_str(
                        "give the file of its CA with --ca, or add that CA to this host's store (update-ca-certificates)",
                    ),
                    (Certificate::Untrusted, Some(path)) => {
                        write!(f, "{} has another CA than the one that signed it", path.display())
                    }
                    (Certificate::Expired, _) => {
                        f.write_str("renew the file of [http] tls_certificate there; the daemon takes it in by itself")
                    }
                    (Certificate::NotYetValid, _) => f.write_str("compare the clocks of both hosts"),
                    (Certificate::OtherName, _) => f.write_str(
                        "use a name or address that it is for, which `openssl x509 -noout -ext subjectAltName -in FILE` lists",
                    ),
                    (Certificate::Revoked | Certificate::Unusable, _) => {
                        f.write_str("have it issued anew")
                    }
                }
            }
            Self::NoTls { server, why } => {
                write!(f, "no TLS with {server}: {why}; if its [http] has no tls_certificate, use http://")
            }
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreachable { source, .. } | Self::Broken { source, .. } => Some(source),
            Self::Silent { .. }
            | Self::NotUnderstood { .. }
            | Self::NotTrusted { .. }
            | Self::NoTls { .. } => None,
        }
    }
}

/// Why a client cannot be as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFileError(String);

impl fmt::Display for ClientFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ClientFileError {}

/// Asks one daemon. A connection has one request.
#[derive(Clone)]
pub struct Client {
    server: Server,
    /// Trusted instead of the system's.
    authorities: Option<(PathBuf, RootCertStore)>,
    token: Option<String>,
    answer_max: u64,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Client {
    /// Without a token, and with the authorities of this host's store.
    pub const fn new(server: Server) -> Self {
        Self { server, authorities: None, token: None, answer_max: ANSWER_MAX }
    }

    /// Trusts the certificates in this PEM file instead of the host's store.
    ///
    /// # Errors
    /// It cannot be read, or a certificate in it cannot be used.
    pub fn with_ca_file(self, path: &Path) -> Result<Self, ClientFileError> {
        let wrong = |what: &str| ClientFileError(format!("{}: {what}", path.display()));
        let pem = read_regular(path, AUTHORITIES_MAX)
            .map_err(|unread| wrong(&format!("cannot be read: {unread}")))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|_| wrong("is not well-formed PEM"))?;
            roots.add(certificate).map_err(|_| wrong("a certificate in it cannot be parsed"))?;
        }
        if roots.is_empty() {
            return Err(wrong("has no certificate in PEM"));
        }
        Ok(Self { authorities: Some((path.to_owned(), roots)), ..self })
    }

    /// Shows the token in this file.
    ///
    /// # Errors
    /// It cannot be read, everybody can read it, it is no token, or it would cross the network in clear text.
    pub fn with_token_file(self, path: &Path) -> Result<Self, ClientFileError> {
        if self.server.is_in_the_clear() {
            return Err(ClientFileError(format!(
                "the token would cross the network in clear text to {}: use an https:// URL",
                self.server
            )));
        }
        let token = token::read_token(path).map_err(|fault| ClientFileError(fault.into_text()))?;
        if !token::is_fit(&token) {
            return Err(ClientFileError(format!("the secret {} is not a token of bothends", path.display())));
        }
        Ok(Self { token: Some(token), ..self })
    }

    /// Reads answers of at most so many bytes.
    #[must_use]
    pub fn reading_at_most(self, answer_max: u64) -> Self {
        Self { answer_max, ..self }
    }

    /// Which daemon it asks.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Sends a request without a body, such as `GET /status`. Everything together, name lookup included, takes at most `patience`.
    ///
    /// # Errors
    /// Nothing listens there, its certificate is not accepted, the answer takes longer, or it is not HTTP.
    pub fn ask(&self, what: &str, patience: Duration) -> Result<Answer, ClientError> {
        self.send(what, "", patience)
    }

    /// Sends a request with a body.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn send(&self, what: &str, body: &str, patience: Duration) -> Result<Answer, ClientError> {
        let broken = |source| ClientError::Broken { server: self.server.clone(), source };
        let work = || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
            let answer = runtime.block_on(self.exchange(what, body, patience));
            // A resolver that hangs is not waited for.
            runtime.shutdown_background();
            answer
        };
        // On a thread of its own, because the caller may be a task.
        thread::scope(|scope| {
            let asking =
                thread::Builder::new().name("client".into()).spawn_scoped(scope, work).map_err(broken)?;
            asking.join().unwrap_or_else(|_| Err(broken(io::Error::other("the client has failed"))))
        })
    }

    async fn exchange(&self, what: &str, body: &str, patience: Duration) -> Result<Answer, ClientError> {
        let begun = clock::now().mono;
        let (stream, host) = match &self.server {
            Server::Listener(origin) => {
                (self.dial(origin, patience).await?, format!("{}:{}", origin.host, origin.port))
            }
            Server::Socket(path) => {
                let unreachable = |source| ClientError::Unreachable { server: self.server.clone(), source };
                let stream: Box<dyn Stream> = Box::new(connect(path, patience).map_err(unreachable)?);
                (stream, "localhost".to_owned())
            }
        };
        let token =
            self.token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let length = body.len();
        let request = format!(
            "{what} HTTP/1.1\r\nHost: {host}\r\n{token}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let left = patience.saturating_sub(clock::now().mono.since(begun));
        let server = || self.server.clone();
        match timeout(left, converse(stream, &request, self.answer_max)).await {
            Ok(Ok(answer)) => {
                parse(&answer).map_err(|why| ClientError::NotUnderstood { server: server(), why })
            }
            Ok(Err(source)) => Err(ClientError::Broken { server: server(), source }),
            Err(_) => Err(ClientError::Silent { server: server(), waited: patience }),
        }
    }

    async fn dial(&self, origin: &Origin, patience: Duration) -> Result<Box<dyn Stream>, ClientError> {
        let server = || self.server.clone();
        let no_tls = |why: String| ClientError::NoTls { server: server(), why };
        let trust = self.trust(origin).map_err(|error| no_tls(error.to_string()))?;
        let scheme = if origin.secure { "https" } else { "http" };
        let url: Result<Uri, _> = format!("{scheme}://{}:{}/", origin.host, origin.port).parse();
        let unreachable = |source| ClientError::Unreachable { server: server(), source };
        let url = url.map_err(|error| unreachable(io::Error::new(ErrorKind::InvalidInput, error)))?;
        let dialer = Dialer::new(Proxies::none(), KeyExchange::Auto);
        let dialed = dialer.connect(&url, &trust, patience).await;
        dialed.map(|outbound| outbound.stream).map_err(|error| self.undialed(&error, patience))
    }

    fn trust(&self, origin: &Origin) -> Result<Trust, rustls::Error> {
        match &self.authorities {
            Some((path, roots)) => Trust::new(roots.clone(), Some(path)),
            None => {
                let mut roots = RootCertStore::empty();
                if origin.secure {
                    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                }
                Trust::new(roots, None)
            }
        }
    }

    fn undialed(&self, error: &ConnectError, patience: Duration) -> ClientError {
        let server = self.server.clone();
        let copied = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
        match &error.what {
            What::Unconnected(source) => ClientError::Unreachable { server, source: copied(source) },
            What::Unresolved(_) | What::NoHost | What::ProxyRefused { .. } | What::ProxyUnclear(_) => {
                ClientError::Unreachable { server, source: io::Error::other(error.to_string()) }
            }
            What::TimedOut { stage: ConnectStage::Tcp | ConnectStage::Proxy, .. } => {
                ClientError::Unreachable {
                    server,
                    source: io::Error::new(ErrorKind::TimedOut, error.to_string()),
                }
            }
            What::TimedOut { stage: ConnectStage::Tls { .. }, .. } => {
                ClientError::Silent { server, waited: patience }
            }
            What::Certificate(certificate) => ClientError::NotTrusted {
                server,
                certificate: certificate.clone(),
                ca_file: self.authorities.as_ref().map(|(path, _)| path.clone()),
            },
            What::Tls(fault) => ClientError::NoTls { server, why: fault.to_string() },
            What::HandshakeBroken { source, .. } => ClientError::NoTls { server, why: source.to_string() },
        }
    }
}

/// Asks without a token, and with the authorities of this host's store.
///
/// # Errors
/// As [`Client::ask`].
pub fn ask(server: &Server, what: &str, patience: Duration) -> Result<Answer, ClientError> {
    Client::new(server.clone()).ask(what, patience)
}

/// The same with a body.
///
/// # Errors
/// As [`Client::ask`].
pub fn send(server: &Server, what: &str, body: &str, patience: Duration) -> Result<Answer, ClientError> {
    Client::new(server.clone()).send(what, body, patience)
}

/// Connects to a control socket.
fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The limit of a write holds for the wait for a place in the listener's queue, too (unix(7), socket(7)).
    socket.set_write_timeout(Some(patience))?;
    socket.connect(&SockAddr::unix(path)?).map_err(|error| {
        if error.kind() == ErrorKind::WouldBlock {
            io::Error::new(ErrorKind::TimedOut, "too many others wait to be taken in")
        } else {
            error
        }
    })?;
    socket.set_nonblocking(true)?;
    UnixStream::from_std(OwnedFd::from(socket).into())
}

/// Sends the request, and reads to the end.
async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
    longest: u64,
) -> io::Result<Vec<u8>> {
    // A busy daemon answers before it has read the request, and the unread request then resets the connection.
    let asked = stream.write_all(request.as_bytes()).await;
    let asked = asked.and(stream.flush().await);
    let mut answer = Vec::new();
    let read = stream.take(longest).read_to_end(&mut answer).await;
    if parse(&answer).is_err() {
        asked.and(read)?;
    }
    Ok(answer)
}

const CUT_SHORT: &str = "the answer was cut short";
const NOT_HTTP: &str = "the answer is not HTTP";

/// An answer has a length, or comes in chunks of which the last is empty: so a truncated one is detected.
fn parse(answer: &[u8]) -> Result<Answer, &'static str> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("the answer has no head")?;
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let head = std::str::from_utf8(head).map_err(|_| NOT_HTTP)?;
    let code = head
        .split("\r\n")
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1."))
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or(NOT_HTTP)?;
    let header = |wanted: &str| {
        let pairs = head.split("\r\n").filter_map(|line| line.split_once(':'));
        pairs.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim()).next()
    };
    let body = if header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        unchunked(body)?
    } else {
        let length: usize = header("content-length")
            .and_then(|value| value.parse().ok())
            .ok_or("the answer has no length")?;
        body.get(..length).ok_or(CUT_SHORT)?.to_vec()
    };
    let body = String::from_utf8(body).map_err(|_| "the answer is not text")?;
    Ok(Answer { code, body })
}

/// The content of a chunked body (RFC 9112, 7.1).
fn unchunked(mut rest: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut content = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").ok_or(CUT_SHORT)?;
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| NOT_HTTP)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| NOT_HTTP)?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Ok(content);
        }
        let (chunk, after) = rest.split_at_checked(size).ok_or(CUT_SHORT)?;
        content.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n").ok_or(CUT_SHORT)?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    /// The error of asking the program at this listener.
    fn error_at(listen: SocketAddr) -> String {
        ask(&Server::listening_at(listen, false), "GET /status", PATIENCE).unwrap_err().to_string()
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
    fn an_answer_in_chunks_is_put_together_and_a_truncated_one_is_an_error() {
        const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\no\xc3\r\n3;x=y\r\n\xa4k\n\r\n0\r\n\r\n";
        assert_eq!(parse(CHUNKED), Ok(Answer { code: 200, body: "o\u{e4}k\n".to_owned() }));
        let head = CHUNKED.len() - "2\r\noX\r\n3;x=y\r\nXk\n\r\n0\r\n\r\n".len();
        for end in head..CHUNKED.len() - 2 {
            assert_eq!(parse(&CHUNKED[..end]), Err(CUT_SHORT), "{end}");
        }
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"), Err(NOT_HTTP));
        let most = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nx\r\n";
        assert_eq!(parse(most), Err(CUT_SHORT));
    }

    #[test]
    fn a_url_leads_to_a_server_with_or_without_scheme_path_and_port() {
        for (url, leads_to) in [
            ("http://127.0.0.1:9847", "127.0.0.1:9847"),
            ("http://127.0.0.1", "127.0.0.1:9846"),
            ("127.0.0.1:1/status", "127.0.0.1:1"),
            ("http://[::1]:9847/", "[::1]:9847"),
            ("http://[::1]/", "[::1]:9846"),
            ("gw1", "gw1:9846"),
            ("https://gw1.example.com:9846/status?x#y", "https://gw1.example.com:9846"),
            ("https://gw1.example.com", "https://gw1.example.com:9846"),
        ] {
            assert_eq!(Server::parse(url).unwrap().to_string(), leads_to, "{url}");
        }
        for (url, says) in [
            ("unix:///run/x", "unknown scheme"),
            ("http://127.0.0.1:70000", "invalid port"),
            ("gw1:", "invalid port"),
            ("", "no host name or address"),
            ("https://:9846", "no host name or address"),
            ("http://[127.0.0.1]", "no host name or address"),
            ("http://::1", "in brackets"),
            ("http://gw 1", "no host name or address"),
        ] {
            let why = Server::parse(url).unwrap_err().to_string();
            assert!(why.contains(says) && why.contains("expected http://"), "{why}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_repeated() {
        for url in
            ["http://noc:hunter2@127.0.0.1:9846", "noc:hunter2@127.0.0.1", "https://noc:hun@ter2@127.0.0.1/"]
        {
            let why = Server::parse(url).unwrap_err().to_string();
            assert!(!why.contains("hun") && !why.contains("noc") && why.contains("***@127.0.0.1"), "{why}");
        }
    }

    #[test]
    fn a_token_crosses_no_network_in_clear_text_and_is_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "0123456789abcdefXYZ\n").unwrap();
        let with = |url: &str| Client::new(Server::parse(url).unwrap()).with_token_file(file.path());
        for url in [
            "https://gw1.example.com",
            "http://127.0.0.1",
            "http://[::1]",
            "http://localhost",
            "http://[::ffff:127.0.0.1]",
        ] {
            let client = with(url).unwrap();
            assert!(!format!("{client:?}").contains("0123456789"), "{client:?}");
        }
        for url in [
            "http://gw1.example.com",
            "http://192.0.2.7",
            "http://[2001:db8::1]",
            "http://localhost.example.com",
        ] {
            let why = with(url).unwrap_err().to_string();
            assert!(why.contains("in clear text") && why.contains("https://"), "{why}");
        }
    }

    #[test]
    fn a_name_without_an_address_is_an_error_that_names_it() {
        let server = Server::parse("http://no-such-host.invalid").unwrap();
        let error = ask(&server, "GET /status", PATIENCE).unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. } | ClientError::Silent { .. }), "{error}");
        assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
    }

    #[test]
    fn a_daemon_on_every_address_is_asked_on_loopback() {
        let asked = ["0.0.0.0:9846", "[::]:9846", "192.0.2.1:9846"]
            .map(|listen| Server::listening_at(listen.parse().unwrap(), false).to_string());
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
        let server = Server::listening_at(listener.local_addr().unwrap(), false);
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
