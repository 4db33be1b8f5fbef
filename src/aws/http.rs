//! The HTTP client of every AWS call: connections by [`crate::outbound`], kept alive and few, and each failure as an SDK error
//! with its typed cause inside.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::PROXY_AUTHORIZATION;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Uri};
use hyper_util::client::legacy::connect::{CaptureConnection, Connected, Connection, capture_connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_service::Service;

use crate::access::read_regular;
use crate::catalogue::parts::Oddity;
use crate::outbound::{ConnectError, Dialer, KeyExchange, Outbound, Proxies, ProxyVariable, Stream, Trust};

/// Calls in flight to one host. Every source, every sink and the publisher may have one to the same host, and one that hangs must
/// not delay another; more than this many is a bug.
const MAX_CALLS_PER_HOST: usize = 16;
/// TCP, CONNECT and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the longest poll interval: a source keeps its connection.
const IDLE: Duration = Duration::from_secs(90);

/// The client: the environment's proxies, and the authorities in `ca_bundle` instead of the system's, like `AWS_CA_BUNDLE` with
/// AWS's own tools. Without a bundle it trusts the system's authorities (honours `SSL_CERT_FILE` and `SSL_CERT_DIR`). With `tls`
/// it is an error if there are none.
pub(super) fn client(
    ca_bundle: Option<&Path>,
    tls: bool,
    key_exchange: KeyExchange,
    env: &BTreeMap<String, String>,
) -> Result<Http, HttpSettingsError> {
    let authorities = match ca_bundle {
        Some(path) => read_bundle(path)?,
        None => system(),
    };
    if authorities.is_empty() && tls {
        return Err(HttpSettingsError::NoAuthority);
    }
    let trust = Trust::new(authorities, ca_bundle)
        .map_err(|error| HttpSettingsError::Client { source: Arc::new(error) })?;
    let proxies = Proxies::from_env(env).map_err(HttpSettingsError::Proxy)?;
    Ok(Http::new(Dialer::new(proxies, key_exchange), trust))
}

/// Every connection to AWS; cheap to clone.
#[derive(Clone)]
pub(super) struct Http(Arc<HttpCore>);

struct HttpCore {
    dialer: Arc<Dialer>,
    client: Client<Connector, SdkBody>,
    calls: Mutex<BTreeMap<String, Arc<Semaphore>>>,
    notices: Arc<Mutex<Vec<String>>>,
}

impl Http {
    fn new(dialer: Dialer, trust: Trust) -> Self {
        let (dialer, notices) = (Arc::new(dialer), Arc::default());
        let connector = Connector { dialer: Arc::clone(&dialer), trust, notices: Arc::clone(&notices) };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_CALLS_PER_HOST)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self(Arc::new(HttpCore { dialer, client, calls: Mutex::default(), notices }))
    }

    /// The dialer, shared with the webhooks.
    pub(super) fn dialer(&self) -> &Arc<Dialer> {
        &self.0.dialer
    }

    /// What connections had to give up, since the last call.
    pub(super) fn notices(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until few enough calls are in flight to a host.
    async fn turn(&self, url: &Uri) -> Option<OwnedSemaphorePermit> {
        let host = url.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
        let calls = {
            let mut calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(MAX_CALLS_PER_HOST));
            Arc::clone(calls.entry(host).or_insert_with(new))
        };
        // The semaphore is never closed.
        calls.acquire_owned().await.ok()
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut request: Request<SdkBody> =
            request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let turn = self.turn(request.uri()).await;
        if request.uri().scheme_str() == Some("http")
            && let Some(proxy) = self.0.dialer.proxy(request.uri())
            && let Some(authorization) = proxy.authorization()
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            let connection = connection.clone();
            capture.set_connection_retriever(move || metadata(&connection));
        }
        let answer =
            self.0.client.request(request).await.map_err(|error| in_sdk_terms(error, &connection))?;
        let answer = answer.map(|body| SdkBody::from_body_1_x(CountedBody { body, _turn: turn }));
        HttpResponse::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("dialer", &self.0.dialer).finish_non_exhaustive()
    }
}

impl HttpClient for Http {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Bounded { http: self.clone(), within: settings.read_timeout() })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", Some(Cow::Borrowed("1.x"))))
    }
}

/// Makes calls within the SDK client's time limit: from the call to the answer's headers, a connection included.
#[derive(Debug)]
struct Bounded {
    http: Http,
    within: Option<Duration>,
}

impl HttpConnector for Bounded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (http, within) = (self.http.clone(), self.within);
        HttpConnectorFuture::new(async move {
            match within {
                None => http.send(request).await,
                Some(within) => match tokio::time::timeout(within, http.send(request)).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(ConnectorError::timeout(Box::new(NoAnswer { within }))),
                },
            }
        })
    }
}

/// A request was sent and no answer came.
#[derive(Debug)]
pub(super) struct NoAnswer {
    within: Duration,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer within {:.0} s", self.within.as_secs_f32())
    }
}

impl Error for NoAnswer {}

/// The classification that the SDK needs: whether a second attempt makes sense, and whether time ran out.
fn in_sdk_terms(error: ClientError, connection: &CaptureConnection) -> ConnectorError {
    let find = |error: &ClientError| {
        let mut cause = error.source();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<ConnectError>() {
                return Some(error.is_timeout());
            }
            cause = error.source();
        }
        None
    };
    let broke_off = error.source().and_then(|error| error.downcast_ref::<hyper::Error>());
    let error = match (find(&error), broke_off) {
        (Some(true), _) => return ConnectorError::timeout(Box::new(error)).never_connected(),
        (Some(false), _) => return ConnectorError::io(Box::new(error)).never_connected(),
        (None, Some(hyper)) if hyper.is_user() => ConnectorError::user(Box::new(error)),
        (None, Some(hyper)) if hyper.is_incomplete_message() => {
            ConnectorError::other(Box::new(error), Some(ErrorKind::TransientError))
        }
        (None, Some(_) | None) => ConnectorError::io(Box::new(error)),
    };
    match metadata(connection) {
        Some(metadata) => error.with_connection(metadata),
        None => error,
    }
}

/// Lets the SDK discard a connection on which a call failed.
fn metadata(connection: &CaptureConnection) -> Option<ConnectionMetadata> {
    let proxied = connection.connection_metadata().as_ref()?.is_proxied();
    let connection = connection.clone();
    let poison = move || {
        if let Some(connection) = connection.connection_metadata().as_ref() {
            connection.poison();
        }
    };
    Some(ConnectionMetadata::builder().proxied(proxied).poison_fn(poison).build())
}

/// An answer's body; its call is in flight until the body has been read.
struct CountedBody {
    body: Incoming,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Opens connections for the pool.
#[derive(Clone)]
struct Connector {
    dialer: Arc<Dialer>,
    trust: Trust,
    notices: Arc<Mutex<Vec<String>>>,
}

impl Service<Uri> for Connector {
    type Response = HttpStream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpStream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let Self { dialer, trust, notices } = self.clone();
        Box::pin(async move {
            let Outbound { stream, forwarding, notice } =
                dialer.connect(&url, &trust, CONNECT_TIMEOUT).await?;
            if let Some(notice) = notice {
                Oddity::TlsFallback { why: &notice }.record().emit();
                notices.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
            }
            Ok(HttpStream { stream: TokioIo::new(stream), forwarding: forwarding.is_some() })
        })
    }
}

/// A connection in the form the pool expects.
struct HttpStream {
    stream: TokioIo<Box<dyn Stream>>,
    forwarding: bool,
}

impl Connection for HttpStream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.forwarding)
    }
}

impl Read for HttpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for HttpStream {
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

/// The system's authorities; those that rustls cannot parse are skipped.
fn system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Whether any call may use TLS: yes, unless every endpoint is given and plain HTTP, as with an AWS stand-in.
pub(super) fn speaks_tls(endpoint_url: Option<&str>, env: &BTreeMap<String, String>) -> bool {
    let is_plain = |url: &str| url.trim_start().to_ascii_lowercase().starts_with("http://");
    if let Some(url) = endpoint_url {
        return !is_plain(url);
    }
    // AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_SERVICE (AWS SDKs and Tools Reference Guide).
    let ignored = env
        .get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        .is_some_and(|ignored| ignored.eq_ignore_ascii_case("true"));
    let of_all = env.get("AWS_ENDPOINT_URL").is_some_and(|url| is_plain(url));
    let of_services = env
        .iter()
        .filter(|(name, url)| name.starts_with("AWS_ENDPOINT_URL_") && !url.is_empty())
        .all(|(_, url)| is_plain(url));
    ignored || !of_all || !of_services
}

/// The authorities of a whole operating system take a quarter of a megabyte.
const BUNDLE_MAX: u64 = 4 * 1024 * 1024;

/// Reads a bundle; every certificate in it must be usable, because each was put there on purpose.
fn read_bundle(path: &Path) -> Result<RootCertStore, HttpSettingsError> {
    let bundle = |what: BundleProblem| HttpSettingsError::Bundle { path: path.to_owned(), what };
    let pem = read_regular(path, BUNDLE_MAX)
        .map_err(|unread| bundle(BundleProblem::Unreadable(Arc::new(unread.into()))))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| bundle(BundleProblem::NotPem(error.to_string())))?;
        roots.add(certificate).map_err(|error| bundle(BundleProblem::NotACertificate(error.to_string())))?;
    }
    if roots.is_empty() {
        return Err(bundle(BundleProblem::Empty));
    }
    Ok(roots)
}

/// Why there is no HTTP client for AWS. A person must act.
#[derive(Debug, Clone)]
pub enum HttpSettingsError {
    /// The file in `AWS_CA_BUNDLE` is unusable.
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: BundleProblem,
    },
    /// No authority is trusted on this host: TLS is impossible.
    NoAuthority,
    /// A variable names an unusable proxy.
    Proxy(ProxyVariable),
    /// The client could not be built.
    Client {
        /// The cause.
        source: Arc<dyn Error + Send + Sync>,
    },
}

/// Why a bundle of certificates is unusable.
#[derive(Debug, Clone)]
pub enum BundleProblem {
    /// It cannot be read.
    Unreadable(Arc<io::Error>),
    /// It is not well-formed PEM.
    NotPem(String),
    /// A certificate in it cannot be parsed.
    NotACertificate(String),
    /// It contains no certificate.
    Empty,
}

impl fmt::Display for HttpSettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle { path, what } => {
                write!(f, "AWS_CA_BUNDLE names {}: ", path.display())?;
                match what {
                    BundleProblem::Unreadable(error) => write!(f, "it cannot be read: {error}"),
                    BundleProblem::NotPem(error) => write!(f, "it is not well-formed PEM: {error}"),
                    BundleProblem::NotACertificate(error) => {
                        write!(f, "a certificate in it cannot be parsed: {error}")
                    }
                    BundleProblem::Empty => f.write_str("there is no certificate in it"),
                }
            }
            Self::NoAuthority => f.write_str(
                "no CA certificate is trusted on this host, so no TLS connection to AWS can be made: apt install \
                 ca-certificates (or name a bundle in AWS_CA_BUNDLE; if SSL_CERT_FILE or SSL_CERT_DIR are set, they name no \
                 certificate)",
            ),
            Self::Proxy(variable) => variable.fmt(f),
            Self::Client { source } => write!(f, "the HTTP client for AWS could not be built: {source}"),
        }
    }
}

impl Error for HttpSettingsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Bundle { what: BundleProblem::Unreadable(error), .. } => Some(error.as_ref()),
            Self::Bundle { .. } | Self::NoAuthority => None,
            Self::Proxy(variable) => Some(variable),
            Self::Client { source } => Some(source.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(content: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        client(Some(file.path()), true, KeyExchange::Auto, &BTreeMap::new()).unwrap_err().to_string()
    }

    #[test]
    fn a_bundle_that_cannot_be_used_is_refused_with_its_path() {
        assert!(refusal(b"").contains("no certificate"));
        assert!(refusal(b"hello").contains("no certificate"));
        let garbage = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(refusal(garbage).contains("cannot be parsed"));
        let torn = b"-----BEGIN CERTIFICATE-----\n!!!!\n";
        assert!(refusal(torn).contains("AWS_CA_BUNDLE names /"));
    }

    #[test]
    fn a_missing_bundle_is_reported_as_unreadable() {
        let error = client(Some(Path::new("/nonexistent/ca.pem")), true, KeyExchange::Auto, &BTreeMap::new())
            .unwrap_err();
        assert!(error.to_string().contains("/nonexistent/ca.pem: it cannot be read"));
        assert!(error.source().is_some());
    }

    #[test]
    fn tls_is_used_unless_every_endpoint_is_plain() {
        let speaks = |endpoint: Option<&str>, env: &[(&str, &str)]| {
            let env = env.iter().map(|(name, url)| ((*name).to_owned(), (*url).to_owned())).collect();
            speaks_tls(endpoint, &env)
        };
        let plain = ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566");
        assert!(speaks(None, &[]));
        assert!(speaks(None, &[("AWS_ENDPOINT_URL", "https://localhost:4566")]));
        assert!(
            speaks(None, &[("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:4566")]),
            "the others are AWS's"
        );
        assert!(speaks(None, &[plain, ("AWS_ENDPOINT_URL_STS", "https://sts.eu-west-1.amazonaws.com")]));
        assert!(speaks(None, &[plain, ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]));
        assert!(speaks(Some("https://localhost"), &[plain]));
        assert!(!speaks(None, &[plain]));
        assert!(!speaks(
            None,
            &[plain, ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:4567"), ("AWS_ENDPOINT_URL_SSM", "")]
        ));
        assert!(!speaks(Some("http://localhost"), &[]));
    }
}
