//! From a URL to a stream: TCP to the host or its proxy, CONNECT, and TLS with its trusted authorities and key exchange.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::crypto;
use super::error::{Certificate, ConnectError, ConnectStage, TlsFault, What};
use super::proxy::{Proxies, Proxy};
use crate::clock;
use crate::domain::time::Moment;

/// Detects that the path of an idle connection is dead before the next call uses it.
const TCP_KEEPALIVE: Duration = Duration::from_secs(20);
/// After a large ClientHello failed and a small one worked, the host gets small ones for this long: firewalls are replaced.
const SMALL_FOR: Duration = Duration::from_secs(3_600);

/// A byte stream: plain TCP, TLS, or either inside a proxy's tunnel.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, ready for HTTP.
pub struct Outbound {
    /// The bytes from and to the server or the forwarding proxy.
    pub stream: Box<dyn Stream>,
    /// The proxy that expects whole URLs, and its `Proxy-Authorization`, with every request: the call is plain HTTP.
    pub forwarding: Option<Proxy>,
    /// What this connection had to give up; given once per host.
    pub notice: Option<String>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("forwarding", &self.forwarding).finish_non_exhaustive()
    }
}

/// Opens connections, and remembers which hosts need a small ClientHello.
#[derive(Debug)]
pub struct Dialer {
    proxies: Proxies,
    key_exchange: Mutex<KeyExchange>,
    /// Until when a host gets small ClientHellos, by host, port and proxy. Expired entries stay: their notice was given.
    small: Mutex<BTreeMap<String, Moment>>,
}

impl Dialer {
    /// A dialer with these proxies; opens no connection yet.
    pub fn new(proxies: Proxies, key_exchange: KeyExchange) -> Self {
        Self { proxies, key_exchange: Mutex::new(key_exchange), small: Mutex::default() }
    }

    /// Sets the key exchange of later connections.
    pub fn set_key_exchange(&self, key_exchange: KeyExchange) {
        *self.key_exchange.lock().unwrap_or_else(PoisonError::into_inner) = key_exchange;
    }

    /// The proxy for a URL.
    pub fn proxy(&self, url: &Uri) -> Option<Proxy> {
        self.proxies.of(url)
    }

    /// Connects to a URL's host within this time.
    ///
    /// # Errors
    /// Which step failed, at which host, and what to do.
    pub async fn connect(
        &self,
        url: &Uri,
        trust: &Trust,
        within: Duration,
    ) -> Result<Outbound, ConnectError> {
        let secure = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host = url.host().unwrap_or_default();
        let attempt = Attempt {
            trust,
            host: host.trim_start_matches('[').trim_end_matches(']'),
            port,
            target: format!("{host}:{port}"),
            proxy: self.proxies.of(url),
            begun: clock::now().mono,
            within,
        };
        if attempt.host.is_empty() {
            return Err(attempt.error(What::NoHost));
        }
        if !secure {
            let stream = attempt.first(Hello::Small).await?;
            return Ok(Outbound { stream, forwarding: attempt.proxy, notice: None });
        }
        let (stream, notice) = self.secured(&attempt).await?;
        Ok(Outbound { stream, forwarding: None, notice })
    }

    /// A firewall that expects the whole ClientHello in the first packet answers a large one with a reset or silence
    /// (<https://tldr.fail>). Nothing secret has been sent by then, and a classic exchange is as safe as TLS was before.
    async fn secured(
        &self,
        attempt: &Attempt<'_>,
    ) -> Result<(Box<dyn Stream>, Option<String>), ConnectError> {
        let key_exchange = *self.key_exchange.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = attempt.begun + attempt.within;
        match key_exchange {
            KeyExchange::Hybrid => return Ok((attempt.secure(Hello::Large, deadline).await?, None)),
            KeyExchange::Classic => return Ok((attempt.secure(Hello::Small, deadline).await?, None)),
            KeyExchange::Auto if self.is_small(attempt) => {
                return Ok((attempt.secure(Hello::Small, deadline).await?, None));
            }
            KeyExchange::Auto => {}
        }
        // If the large one gets no answer, the small one needs the rest of the time.
        let refused = match attempt.secure(Hello::Large, attempt.begun + attempt.within / 2).await {
            Err(error) if error.may_be_of_size() => error,
            outcome => return outcome.map(|stream| (stream, None)),
        };
        let stream = attempt.secure(Hello::Small, deadline).await?;
        let notice = format!(
            "{refused}. Connected with the classic key exchange in place of the post-quantum one; to have that from the start, set \
             [aws] tls_key_exchange = \"classic\""
        );
        let small = clock::now().mono + SMALL_FOR;
        let earlier = self.small.lock().unwrap_or_else(PoisonError::into_inner).insert(attempt.key(), small);
        Ok((stream, earlier.is_none().then_some(notice)))
    }

    fn is_small(&self, attempt: &Attempt<'_>) -> bool {
        let small = self.small.lock().unwrap_or_else(PoisonError::into_inner);
        small.get(&attempt.key()).is_some_and(|until| clock::now().mono < *until)
    }
}

/// One attempt to connect to a host.
struct Attempt<'t> {
    trust: &'t Trust,
    host: &'t str,
    port: u16,
    target: String,
    proxy: Option<Proxy>,
    begun: Moment,
    within: Duration,
}

impl Attempt<'_> {
    fn key(&self) -> String {
        let proxy = self.proxy.as_ref().map(|proxy| proxy.url().to_string()).unwrap_or_default();
        format!("{} {proxy}", self.target)
    }

    fn error(&self, what: What) -> ConnectError {
        ConnectError {
            target: self.target.clone(),
            proxy: self.proxy.as_ref().map(ToString::to_string),
            authorities: self.trust.file().map(Path::to_owned),
            what,
        }
    }

    async fn by<T>(
        &self,
        deadline: Moment,
        stage: ConnectStage,
        outcome: impl Future<Output = Result<T, What>>,
    ) -> Result<T, ConnectError> {
        let begun = clock::now().mono;
        let outcome = timeout(deadline.since(begun), outcome).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(What::TimedOut { stage, after: clock::now().mono.since(begun) }));
        outcome.map_err(|what| self.error(what))
    }

    /// A connection to the proxy, or to the host if there is no proxy.
    async fn first(&self, hello: Hello) -> Result<Box<dyn Stream>, ConnectError> {
        let deadline = self.begun + self.within;
        let (host, port, secure) = match &self.proxy {
            None => (self.host, self.port, false),
            Some(proxy) => {
                let secure = proxy.url().scheme_str() == Some("https");
                let port = proxy.url().port_u16().unwrap_or(if secure { 443 } else { 80 });
                let host = proxy.url().host().unwrap_or_default();
                (host.trim_start_matches('[').trim_end_matches(']'), port, secure)
            }
        };
        let connected = async {
            let stream = reach(host, port).await.map_err(|unreached| match unreached {
                Unreached::Unresolved(error) => What::Unresolved(Arc::new(error)),
                Unreached::Unconnected(error) => What::Unconnected(Arc::new(error)),
            })?;
            // Keep-alive and no-delay are optional.
            let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(TCP_KEEPALIVE));
            let _ = stream.set_nodelay(true);
            Ok(Box::new(stream) as Box<dyn Stream>)
        };
        let stream = self.by(deadline, ConnectStage::Tcp, connected).await?;
        if !secure {
            return Ok(stream);
        }
        let secured = handshake(stream, host, self.trust, hello, deadline).await;
        let target = self.proxy.as_ref().map(|proxy| format!("the proxy {proxy}")).unwrap_or_default();
        secured.map_err(|what| ConnectError { target, proxy: None, ..self.error(what) })
    }

    async fn secure(&self, hello: Hello, deadline: Moment) -> Result<Box<dyn Stream>, ConnectError> {
        let mut stream = self.first(hello).await?;
        if let Some(proxy) = &self.proxy {
            let until = self.begun + self.within;
            stream = self.by(until, ConnectStage::Proxy, tunnel(stream, proxy, &self.target)).await?;
        }
        let secured = handshake(stream, self.host, self.trust, hello, deadline).await;
        secured.map_err(|what| self.error(what))
    }
}

/// A connection through a proxy that forwards bytes (RFC 9110, section 9.3.6).
async fn tunnel(stream: Box<dyn Stream>, proxy: &Proxy, target: &str) -> Result<Box<dyn Stream>, What> {
    let unclear = |error| What::ProxyUnclear(Arc::new(error));
    let mut request = Request::builder().method(Method::CONNECT).uri(target).header(HOST, target);
    if let Some(authorization) = proxy.authorization() {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| What::NoHost)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unclear)?;
    let opened = async {
        let answer = sender.send_request(request).await.map_err(unclear)?;
        let status = answer.status();
        if !status.is_success() {
            let with_credentials = proxy.authorization().is_some();
            let basic = offers_basic(answer.headers());
            return Err(What::ProxyRefused { status, variable: proxy.variable(), with_credentials, basic });
        }
        hyper::upgrade::on(answer).await.map_err(unclear)
    };
    let mut connection = std::pin::pin!(connection.with_upgrades());
    let mut opened = std::pin::pin!(opened);
    let upgraded = tokio::select! {
        biased;
        answer = &mut opened => answer,
        // The connection has ended: an answer is there by now, or never comes.
        _ = &mut connection => opened.await,
    }?;
    Ok(Box::new(TokioIo::new(upgraded)))
}

/// Whether a proxy's challenge offers the Basic scheme (RFC 9110, 11.7.1).
fn offers_basic(headers: &HeaderMap) -> bool {
    let mut offered = headers.get_all(PROXY_AUTHENTICATE).iter().peekable();
    // One header may list several challenges, each with parameters; a scheme is a whole word.
    let names_basic = |value: &str| value.split([',', ' ']).any(|word| word.eq_ignore_ascii_case("basic"));
    offered.peek().is_none() || offered.any(|value| value.to_str().is_ok_and(names_basic))
}

async fn handshake(
    stream: Box<dyn Stream>,
    host: &str,
    trust: &Trust,
    hello: Hello,
    deadline: Moment,
) -> Result<Box<dyn Stream>, What> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| What::NoHost)?;
    let answered = Arc::new(AtomicBool::new(false));
    let stream = Listening { stream, answered: Arc::clone(&answered) };
    let begun = clock::now().mono;
    let connecting = TlsConnector::from(trust.config(hello)).connect(name, stream);
    let outcome = timeout(deadline.since(begun), connecting).await;
    let large = hello == Hello::Large && !answered.load(Ordering::Relaxed);
    match outcome {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(broken(error, large)),
        Err(_) => {
            Err(What::TimedOut { stage: ConnectStage::Tls { large }, after: clock::now().mono.since(begun) })
        }
    }
}

fn broken(error: io::Error, large: bool) -> What {
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => What::Certificate(Certificate::of(why)),
        Some(error) => What::Tls(TlsFault::of(error)),
        None => What::HandshakeBroken { large, source: Arc::new(error) },
    }
}

/// Records whether the peer has sent anything.
struct Listening {
    stream: Box<dyn Stream>,
    answered: Arc<AtomicBool>,
}

impl AsyncRead for Listening {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.answered.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Listening {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// If the addresses tried so far have not answered within this time, the next one is tried beside them (RFC 8305, section 5).
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// Why no address of a host answered.
enum Unreached {
    /// The name has no address, or the resolver did not answer.
    Unresolved(io::Error),
    /// The failure of its first address.
    Unconnected(io::Error),
}

async fn reach(host: &str, port: u16) -> Result<TcpStream, Unreached> {
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(Unreached::Unresolved)?;
    first(in_turn(addresses)).await.map_err(Unreached::Unconnected)
}

/// Addresses with the families alternating, beginning with the resolver's first (RFC 8305, section 4).
fn in_turn(addresses: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut addresses = addresses.peekable();
    let leading = addresses.peek().is_some_and(SocketAddr::is_ipv6);
    let (mut these, mut those): (VecDeque<_>, VecDeque<_>) =
        addresses.partition(|address| address.is_ipv6() == leading);
    let mut all = VecDeque::new();
    while !these.is_empty() || !those.is_empty() {
        all.extend(these.pop_front());
        all.extend(those.pop_front());
    }
    all
}

/// The first connection that succeeds; otherwise the failure of the first address. Dropping the future cancels all attempts.
async fn first(mut addresses: VecDeque<SocketAddr>) -> io::Result<TcpStream> {
    let mut under_way = JoinSet::new();
    let mut failures: Vec<(usize, io::Error)> = Vec::new();
    let mut begun = 0;
    loop {
        if let Some(address) = addresses.pop_front() {
            let index = begun;
            begun += 1;
            under_way.spawn(async move { (index, TcpStream::connect(address).await) });
        }
        if under_way.is_empty() {
            break;
        }
        let more = !addresses.is_empty();
        tokio::select! {
            ended = under_way.join_next() => match ended {
                Some(Ok((_, Ok(stream)))) => return Ok(stream),
                Some(Ok((index, Err(error)))) => failures.push((index, error)),
                Some(Err(_)) | None => {}
            },
            () = tokio::time::sleep(NEXT_AFTER), if more => {}
        }
    }
    failures.sort_by_key(|(index, _)| *index);
    let nowhere = || io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    Err(failures.into_iter().next().map_or_else(nowhere, |(_, error)| error))
}

/// Overrides `[aws] tls_key_exchange`, also for commands that read no configuration.
pub const KEY_EXCHANGE_VARIABLE: &str = "BOTHENDS_AWS__TLS_KEY_EXCHANGE";

/// TLS key exchange. A post-quantum share (X25519MLKEM768; RFC 9794 calls such an exchange a hybrid) makes the ClientHello longer
/// than one packet, and some firewalls drop it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyExchange {
    /// Hybrid first; classic if that connection breaks or gets no answer.
    #[default]
    Auto,
    /// Offers hybrid first, and never tries again without it.
    Hybrid,
    /// Elliptic curves only, with a ClientHello of one packet.
    Classic,
}

impl KeyExchange {
    /// In the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Hybrid, Self::Classic];

    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Hybrid => "hybrid",
            Self::Classic => "classic",
        }
    }

    /// Parses a configuration value, case-sensitively.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// The size of a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hello {
    /// With a post-quantum share, some 1,700 bytes: two packets.
    Large,
    /// Some 250 bytes.
    Small,
}

/// Trusted authorities, prepared for a handshake.
#[derive(Debug, Clone)]
pub struct Trust {
    large: Arc<ClientConfig>,
    small: Arc<ClientConfig>,
    file: Option<PathBuf>,
}

impl Trust {
    /// Trusts these authorities. `file`: where they are from, if not the system's store; named in errors.
    ///
    /// # Errors
    /// If the TLS library's features leave no common protocol version; a build error.
    pub fn new(authorities: RootCertStore, file: Option<&Path>) -> Result<Self, rustls::Error> {
        let authorities = Arc::new(authorities);
        Ok(Self {
            large: config(Arc::clone(&authorities), Hello::Large)?,
            small: config(authorities, Hello::Small)?,
            file: file.map(Path::to_owned),
        })
    }

    fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    fn config(&self, hello: Hello) -> Arc<ClientConfig> {
        match hello {
            Hello::Large => Arc::clone(&self.large),
            Hello::Small => Arc::clone(&self.small),
        }
    }
}

fn config(authorities: Arc<RootCertStore>, hello: Hello) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider(hello)))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A key share is sent for the first group (RFC 8446, section 4.2.8).
#[cfg(feature = "tls-aws-lc")]
fn provider(hello: Hello) -> CryptoProvider {
    use super::crypto::library::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    let classic = [X25519, SECP256R1, SECP384R1];
    let kx_groups = match hello {
        Hello::Large => [&[X25519MLKEM768][..], &classic].concat(),
        Hello::Small => classic.to_vec(),
    };
    CryptoProvider { kx_groups, ..crypto::provider() }
}

/// ring has no post-quantum key exchange.
#[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
fn provider(_: Hello) -> CryptoProvider {
    crypto::provider()
}

#[cfg(test)]
mod tests;
