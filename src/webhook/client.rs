//! One POST over one connection: messages are rare, and a connection that waits for the next is one that has died by then.
//! Nothing is followed and nothing repeated.

use std::error::Error;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION, RETRY_AFTER};
use hyper::{Method, Request, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::answer::{Answer, Reason, rejected};
use super::authorities::Authorities;
use super::reach::reach;

/// Of an answer's body so much is read: nobody needs its words beyond that.
const BODY_MAX: usize = 64 * 1024;

/// What goes out.
pub(super) struct Post {
    pub(super) url: Uri,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: String,
}

/// Makes the calls of one webhook.
pub(super) struct Client {
    timeout: Duration,
    proxies: Matcher,
    authorities: Authorities,
}

/// A connection of any kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Client {
    pub(super) fn new(ca_file: Option<PathBuf>, timeout: Duration) -> Self {
        Self { timeout, proxies: Matcher::from_env(), authorities: Authorities::new(ca_file) }
    }

    /// Sends a request, and reads its answer.
    pub(super) async fn post(&self, post: Post) -> Result<Answer, Reason> {
        let timeout = self.timeout;
        tokio::time::timeout(timeout, self.exchange(post))
            .await
            .unwrap_or_else(|_| Err(temporary(format!("no answer within {} s", timeout.as_secs()))))
    }

    async fn exchange(&self, Post { url, headers, body }: Post) -> Result<Answer, Reason> {
        let host = url.host().ok_or_else(|| rejected("the url names no host"))?.to_owned();
        let secure = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let proxy = self.proxies.intercept(&url);
        let (stream, through) = match &proxy {
            None => (connect(&host, port).await?, false),
            Some(proxy) if secure => (self.tunnel(proxy, &host, port).await?, false),
            Some(proxy) => (self.to_proxy(proxy).await?, true),
        };
        let stream = if secure { self.secured(stream, &host).await? } else { stream };

        let path = url.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let mut request = Request::builder().method(Method::POST);
        request = request.uri(if through { url.to_string() } else { path });
        let default = port == if secure { 443 } else { 80 };
        let named = if default { host } else { format!("{host}:{port}") };
        request = request.header(HOST, named);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(auth) = proxy.as_ref().filter(|_| through).and_then(|proxy| proxy.basic_auth()) {
            request = request.header(PROXY_AUTHORIZATION, auth);
        }
        let request = request.body(Full::new(Bytes::from(body)));
        let request =
            request.map_err(|_| rejected("the request cannot be made; correct the url and the headers"))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
            let text =
                |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let (retry_after, location) = (text(RETRY_AFTER), text(LOCATION));
            let status = answer.status();
            // Whether it was taken is in the status; words that break off are none.
            let words = Limited::new(answer.into_body(), BODY_MAX).collect().await;
            let words = words.map(|words| words.to_bytes()).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).into_owned();
            Ok(Answer { status, retry_after, location, words })
        };
        beside(connection, answer).await
    }

    /// A connection through a proxy that forwards bytes (RFC 9110, section 9.3.6).
    async fn tunnel(&self, proxy: &Intercept, host: &str, port: u16) -> Result<Box<dyn Stream>, Reason> {
        let stream = self.to_proxy(proxy).await?;
        let target = format!("{host}:{port}");
        let mut request = Request::builder().method(Method::CONNECT).uri(&target).header(HOST, &target);
        if let Some(auth) = proxy.basic_auth() {
            request = request.header(PROXY_AUTHORIZATION, auth);
        }
        let request = request.body(Empty::<Bytes>::new());
        let request = request.map_err(|_| rejected("the proxy cannot be asked for this url"))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        let opened = async {
            let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
            let status = answer.status();
            if !status.is_success() {
                return Err(temporary(format!("the proxy refused to connect ({})", status.as_u16())));
            }
            hyper::upgrade::on(answer).await.map_err(|error| broken(&error))
        };
        let upgraded = beside(connection.with_upgrades(), opened).await?;
        Ok(Box::new(TokioIo::new(upgraded)))
    }

    async fn to_proxy(&self, proxy: &Intercept) -> Result<Box<dyn Stream>, Reason> {
        let uri = proxy.uri();
        let host = uri.host().ok_or_else(|| rejected("the proxy of the environment names no host"))?;
        let secure = uri.scheme_str() == Some("https");
        let stream = connect(host, uri.port_u16().unwrap_or(if secure { 443 } else { 80 })).await?;
        if secure { self.secured(stream, host).await } else { Ok(stream) }
    }

    async fn secured(&self, stream: Box<dyn Stream>, host: &str) -> Result<Box<dyn Stream>, Reason> {
        let config = self.authorities.trusted().await?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| rejected("the url names a host that cannot have a certificate"))?;
        let stream = TlsConnector::from(config).connect(name, stream).await;
        let stream = stream.map_err(|error| {
            let reason = untrusted(&error);
            if let Reason::Rejected(_) = reason {
                self.authorities.doubt();
            }
            reason
        })?;
        Ok(Box::new(stream))
    }
}

async fn connect(host: &str, port: u16) -> Result<Box<dyn Stream>, Reason> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = reach(bare, port).await;
    let stream = stream.map_err(|error| temporary(format!("no connection to {host}:{port}: {error}")))?;
    Ok(Box::new(stream))
}

/// Drives a connection while something is asked over it.
async fn beside<T>(
    connection: impl Future<Output = Result<(), hyper::Error>>,
    asked: impl Future<Output = Result<T, Reason>>,
) -> Result<T, Reason> {
    let mut connection = std::pin::pin!(connection);
    let mut asked = std::pin::pin!(asked);
    tokio::select! {
        biased;
        answer = &mut asked => answer,
        // The connection is at its end; what was answered is there, or never comes.
        _ = &mut connection => asked.await,
    }
}

fn temporary(what: String) -> Reason {
    Reason::Temporary { what, retry_after: None }
}

fn broken(error: &hyper::Error) -> Reason {
    let mut deepest: &dyn Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    temporary(format!("the connection broke: {deepest}"))
}

/// A certificate that is not trusted is a person's to mend; everything else may pass.
fn untrusted(error: &io::Error) -> Reason {
    let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(why)) => Reason::Rejected(format!(
            "its certificate is not trusted ({why}); renew it, or name the authority in ca_file"
        )),
        Some(_) | None => temporary(format!("no TLS: {error}")),
    }
}
