//! From a URL to a stream: TCP to the host or its proxy, CONNECT, TLS with its trusted authorities and key exchange.

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

use super::error::{Certificate, ConnectError, ConnectStage, TlsFault, What};
use super::proxy::{Proxies, Proxy};
use crate::clock;
use crate::domain::time::Moment;

#[cfg(feature = "tls-aws-lc")]
use rustls::crypto::aws_lc_rs as crypto;
#[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
use rustls::crypto::ring as crypto;
#[cfg(not(any(feature = "tls-aws-lc", feature = "tls-ring")))]
compile_error!("choose a TLS provider: feature tls-aws-lc or tls-ring");

/// An idle connection whose path has died is found out before the next call wants to use it.
const TCP_KEEPALIVE: Duration = Duration::from_secs(20);
/// After a large ClientHello had to give way to a small one, the host gets small ones for so long: firewalls are replaced.
const SMALL_FOR: Duration = Duration::from_secs(3_600);

/// A connection of any kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, ready for HTTP.
pub struct Outbound {
    /// What to read from and write to.
    pub stream: Box<dyn Stream>,
    /// The proxy that wants whole URLs and its `Proxy-Authorization` with every request: the call is plain HTTP.
    pub forwarding: Option<Proxy>,
    /// Said once of each host: what had to be given up for this connection.
    pub notice: Option<String>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("forwarding", &self.forwarding).finish_non_exhaustive()
    }
}

/// Makes connections.
#[derive(Debug)]
pub struct Dialer {
    proxies: Proxies,
    key_exchange: Mutex<KeyExchange>,
    /// Until when a host gets small ClientHellos, by host, port and proxy. An entry that is over stays, since it has been said.
    small: Mutex<BTreeMap<String, Moment>>,
}

impl Dialer {
    /// Connects to nothing yet.
    pub fn new(proxies: Proxies, key_exchange: KeyExchange) -> Self {
        Self { proxies, key_exchange: Mutex::new(key_exchange), small: Mutex::default() }
    }

    /// Agrees on keys in this way from now on.
    pub fn set_key_exchange(&self, key_exchange: KeyExchange) {
        *self.key_exchange.lock().unwrap_or_else(PoisonError::into_inner) = key_exchange;
    }

    /// The proxy on the way to a URL.
    pub fn proxy(&self, url: &Uri) -> Option<Proxy> {
        self.proxies.of(url)
    }

    /// Connects to a URL's host within this time.
    ///
    /// # Errors
    /// If that does not come about.
    pub async fn connect(
        &self,
        url: &Uri,
        trust: &Trust,
        within: Duration,
    ) -> Result<Outbound, ConnectError> {
        let secure = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host = url.host().unwrap_or_default();
        let way = Attempt {
            trust,
            host: host.trim_start_matches('[').trim_end_matches(']'),
            port,
            target: format!("{host}:{port}"),
            proxy: self.proxies.of(url),
            begun: clock::now().mono,
            within,
        };
        if way.host.is_empty() {
            return Err(way.error(What::NoHost));
        }
        if !secure {
            let stream = way.first(Hello::Small).await?;
            return Ok(Outbound { stream, forwarding: way.proxy, notice: None });
        }
        let (stream, notice) = self.secured(&way).await?;
        Ok(Outbound { stream, forwarding: None, notice })
    }

    /// A reset or silence in answer to a large ClientHello is what a firewall does that wants the whole of it in the first packet
    /// (<https://tldr.fail>). Nothing secret has been sent by then, and a classic exchange is as safe as TLS was before.
    async fn secured(&self, way: &Attempt<'_>) -> Result<(Box<dyn Stream>, Option<String>), ConnectError> {
        let key_exchange = *self.key_exchange.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = way.begun + way.within;
        match key_exchange {
            KeyExchange::Hybrid => return Ok((way.secure(Hello::Large, deadline).await?, None)),
            KeyExchange::Classic => return Ok((way.secure(Hello::Small, deadline).await?, None)),
            KeyExchange::Auto if self.is_small(way) => {
                return Ok((way.secure(Hello::Small, deadline).await?, None));
            }
            KeyExchange::Auto => {}
        }
        // Whoever waits in vain needs the rest of the time for the other.
        let refused = match way.secure(Hello::Large, way.begun + way.within / 2).await {
            Err(error) if error.may_be_of_size() => error,
            outcome => return outcome.map(|stream| (stream, None)),
        };
        let stream = way.secure(Hello::Small, deadline).await?;
        let notice = format!(
            "{refused}. Connected with the classic key exchange in place of the post-quantum one; to have that from the start, set \
             [aws] tls_key_exchange = \"classic\""
        );
        let small = clock::now().mono + SMALL_FOR;
        let said = self.small.lock().unwrap_or_else(PoisonError::into_inner).insert(way.key(), small);
        Ok((stream, said.is_none().then_some(notice)))
    }

    fn is_small(&self, way: &Attempt<'_>) -> bool {
        let small = self.small.lock().unwrap_or_else(PoisonError::into_inner);
        small.get(&way.key()).is_some_and(|until| clock::now().mono < *until)
    }
}

/// The way to one host.
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

    /// A connection to the proxy, or to the host if there is none.
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
            // A connection that cannot be watched over works all the same.
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
        // The connection is at its end; what was answered is there, or never comes.
        _ = &mut connection => opened.await,
    }?;
    Ok(Box::new(TokioIo::new(upgraded)))
}

/// Whether a proxy takes a user name and password as they are, as far as it says (RFC 9110, 11.7.1).
fn offers_basic(headers: &HeaderMap) -> bool {
    let mut offered = headers.get_all(PROXY_AUTHENTICATE).iter().peekable();
    // One header may list several challenges, each with parameters: the schemes are words of their own.
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

/// Notices whether the other side has said anything.
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

/// The next address is tried beside the others when these have said nothing for so long (RFC 8305, section 5).
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// Why no address of a host answered.
enum Unreached {
    /// Its name has no address, or the resolver did not say.
    Unresolved(io::Error),
    /// How the first of its addresses failed.
    Unconnected(io::Error),
}

async fn reach(host: &str, port: u16) -> Result<TcpStream, Unreached> {
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(Unreached::Unresolved)?;
    first(in_turn(addresses)).await.map_err(Unreached::Unconnected)
}

/// By turns of the families, beginning with the resolver's first (RFC 8305, section 4).
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

/// The first that connects; the failure of the first address if none does. What is under way ends with this future.
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

/// Sets the key exchange by itself, for commands that need no configuration; the configuration's own override of `[aws]
/// tls_key_exchange`.
pub const KEY_EXCHANGE_VARIABLE: &str = "BOTHENDS_AWS__TLS_KEY_EXCHANGE";

/// How keys are agreed on. A post-quantum share (X25519MLKEM768, RFC 9794 calls such an exchange a hybrid) makes the ClientHello longer than one packet, which
/// some firewalls do not take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyExchange {
    /// Hybrid; where a connection breaks or falls silent before the first answer to that, classic.
    #[default]
    Auto,
    /// Hybrid only is offered first, and nothing is tried after it.
    Hybrid,
    /// Elliptic curves alone, in a ClientHello of one packet.
    Classic,
}

impl KeyExchange {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Hybrid, Self::Classic];

    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Hybrid => "hybrid",
            Self::Classic => "classic",
        }
    }

    /// The one of this word.
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

/// Whom to trust, ready for a handshake.
#[derive(Debug, Clone)]
pub struct Trust {
    large: Arc<ClientConfig>,
    small: Arc<ClientConfig>,
    file: Option<PathBuf>,
}

impl Trust {
    /// These authorities, and the file that they are from, if it is not the system's store.
    ///
    /// # Errors
    /// If the TLS library has no protocol version in common with itself; a mistake in its features.
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

/// The first group is the one for which a key share goes out (RFC 8446, section 4.2.8).
#[cfg(feature = "tls-aws-lc")]
fn provider(hello: Hello) -> CryptoProvider {
    use crypto::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    let classic = [X25519, SECP256R1, SECP384R1];
    let kx_groups = match hello {
        Hello::Large => [&[X25519MLKEM768][..], &classic].concat(),
        Hello::Small => classic.to_vec(),
    };
    CryptoProvider { kx_groups, ..crypto::default_provider() }
}

/// ring has no post-quantum key exchange.
#[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
fn provider(_: Hello) -> CryptoProvider {
    crypto::default_provider()
}

/// For servers of tests.
#[cfg(test)]
fn of_tests() -> CryptoProvider {
    crypto::default_provider()
}

#[cfg(test)]
mod tests;
