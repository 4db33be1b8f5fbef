//! One POST over one connection: messages are rare, and a connection that waits for the next is one that has died by then.
//! Nothing is followed and nothing repeated.

use std::error::Error;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION, RETRY_AFTER};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;

use super::answer::{Answer, Reason, rejected};
use super::authorities::Authorities;
use crate::outbound::{Certificate, ConnectError, Dialer, Outbound, Proxy, What};

/// Of an answer's body so much is read: nobody needs its words beyond that.
const BODY_MAX: usize = 64 * 1024;

/// Nor is it waited for any longer.
const WORDS_TIMEOUT: Duration = Duration::from_secs(2);

/// What goes out.
pub(super) struct Post {
    pub(super) url: Uri,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: String,
}

/// Makes the calls of one webhook.
pub(super) struct Client {
    timeout: Duration,
    dialer: Arc<Dialer>,
    authorities: Authorities,
}

impl Client {
    pub(super) fn new(ca_file: Option<PathBuf>, timeout: Duration, dialer: Arc<Dialer>) -> Self {
        Self { timeout, dialer, authorities: Authorities::new(ca_file) }
    }

    /// The host and port that a call to this address looks up: those of the proxy, if it takes one.
    pub(super) fn looked_up(&self, url: &Uri) -> Option<(String, u16)> {
        let proxy = self.dialer.proxy(url);
        let uri = proxy.as_ref().map_or(url, Proxy::url);
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        // An IPv6 address is in brackets, and no name.
        uri.host().filter(|host| !host.starts_with('[')).map(|host| (host.to_owned(), port))
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
        let Outbound { stream, forwarding, notice } = self.connected(&url).await?;
        if let Some(notice) = notice {
            log::warn!("{notice}");
        }

        let path = url.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let mut request = Request::builder().method(Method::POST);
        request = request.uri(if forwarding.is_some() { url.to_string() } else { path });
        let default = port == if secure { 443 } else { 80 };
        let named = if default { host } else { format!("{host}:{port}") };
        request = request.header(HOST, named);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(auth) = forwarding.as_ref().and_then(|proxy| proxy.authorization()) {
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
            // Whether it was accepted is in the status: words that break off are none, those of an acceptance are not read, and
            // none are waited for long, or a message that was accepted would be sent again.
            let words = if status.is_success() {
                Bytes::new()
            } else {
                let words = Limited::new(answer.into_body(), BODY_MAX).collect();
                match tokio::time::timeout(WORDS_TIMEOUT, words).await {
                    Ok(Ok(words)) => words.to_bytes(),
                    Ok(Err(_)) | Err(_) => Bytes::new(),
                }
            };
            let words = String::from_utf8_lossy(&words).into_owned();
            Ok(Answer { status, retry_after, location, words })
        };
        beside(connection, answer).await
    }

    async fn connected(&self, url: &Uri) -> Result<Outbound, Reason> {
        let trust = self.authorities.trusted().await?;
        let outbound = self.dialer.connect(url, &trust, self.timeout).await;
        outbound.map_err(|error| {
            let reason = unconnected(&error);
            if let Reason::Rejected(_) = reason {
                self.authorities.doubt();
            }
            reason
        })
    }
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

/// A certificate that is not accepted is a person's to mend; everything else may pass.
fn unconnected(error: &ConnectError) -> Reason {
    match &error.what {
        What::Certificate(Certificate::Untrusted) => {
            let advice = error.authorities.as_ref().map_or_else(
                || "if a proxy or firewall inspects TLS here, put its CA certificate into ca_file".to_owned(),
                |file| format!("the CA that signed it must be in ca_file ({})", file.display()),
            );
            Reason::Rejected(format!("{error}; {advice}"))
        }
        What::Certificate(_) => Reason::Rejected(error.to_string()),
        What::NoHost
        | What::Unresolved(_)
        | What::Unconnected(_)
        | What::ProxyRefused { .. }
        | What::ProxyUnclear(_)
        | What::Tls(_)
        | What::HandshakeBroken { .. }
        | What::TimedOut { .. } => temporary(error.to_string()),
    }
}
