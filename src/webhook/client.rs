//! One POST over one connection, and what its answer means. Messages are rare: a kept connection would be dead by the next one.
//! No redirects, no retries.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, Metadata};
use std::future::Future;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION, RETRY_AFTER};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::secret::Hidden;
use crate::access::read_regular;
use crate::catalogue::parts::Oddity;
use crate::domain::time::Stamp;
use crate::incident::sink::SinkError;
use crate::outbound::{Certificate, ConnectError, Dialer, Outbound, Proxy, Trust, What};

/// At most this much of an answer's body is read.
const BODY_MAX: usize = 64 * 1024;

/// The body of an answer is read for at most this long.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// One request.
pub(super) struct Post {
    pub(super) url: Uri,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: String,
}

/// Sends the requests of one webhook.
pub(super) struct Client {
    timeout: Duration,
    dialer: Arc<Dialer>,
    authorities: Authorities,
}

impl Client {
    pub(super) fn new(ca_file: Option<PathBuf>, timeout: Duration, dialer: Arc<Dialer>) -> Self {
        Self { timeout, dialer, authorities: Authorities::new(ca_file) }
    }

    /// The host and port whose name a call to this address looks up: the proxy's, if there is one.
    pub(super) fn looked_up(&self, url: &Uri) -> Option<(String, u16)> {
        let proxy = self.dialer.proxy(url);
        let uri = proxy.as_ref().map_or(url, Proxy::url);
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        // An IPv6 address in brackets needs no lookup.
        uri.host().filter(|host| !host.starts_with('[')).map(|host| (host.to_owned(), port))
    }

    /// Sends a request and reads its answer.
    pub(super) async fn post(&self, post: Post) -> Result<ReceiverAnswer, Reason> {
        let timeout = self.timeout;
        tokio::time::timeout(timeout, self.exchange(post))
            .await
            .unwrap_or_else(|_| Err(temporary(format!("no answer within {} s", timeout.as_secs()))))
    }

    async fn exchange(&self, Post { url, headers, body }: Post) -> Result<ReceiverAnswer, Reason> {
        let host = url.host().ok_or_else(|| rejected("the url names no host"))?.to_owned();
        let secure = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let Outbound { stream, forwarding, notice } = self.connected(&url).await?;
        if let Some(notice) = notice {
            Oddity::TlsFallback { why: &notice }.record().emit();
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
            // The status decides whether the message was accepted. A body that breaks off counts as empty, the body of an
            // acceptance is not read, and no body is waited for long: otherwise an accepted message would be sent again.
            let text = if status.is_success() {
                Bytes::new()
            } else {
                let text = Limited::new(answer.into_body(), BODY_MAX).collect();
                match tokio::time::timeout(BODY_TIMEOUT, text).await {
                    Ok(Ok(text)) => text.to_bytes(),
                    Ok(Err(_)) | Err(_) => Bytes::new(),
                }
            };
            let text = String::from_utf8_lossy(&text).into_owned();
            Ok(ReceiverAnswer { status, retry_after, location, text })
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

/// Drives a connection while a request runs over it.
async fn beside<T>(
    connection: impl Future<Output = Result<(), hyper::Error>>,
    request: impl Future<Output = Result<T, Reason>>,
) -> Result<T, Reason> {
    let mut connection = std::pin::pin!(connection);
    let mut request = std::pin::pin!(request);
    tokio::select! {
        biased;
        answer = &mut request => answer,
        // The connection has ended: an answer is there by now, or never comes.
        _ = &mut connection => request.await,
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

/// A person must fix a certificate that is not accepted; everything else may pass by itself.
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

/// Five times the size of all the system's authorities.
const LONGEST: u64 = 1024 * 1024;

/// The authorities that one webhook trusts. Loaded with the first call, and again when the file has changed or a certificate was
/// not trusted: a private authority is renewed while the daemon runs.
pub(super) struct Authorities {
    /// Replaces the system's authorities.
    ca_file: Option<PathBuf>,
    loaded: Mutex<Option<LoadedAuthorities>>,
}

#[derive(Clone)]
struct LoadedAuthorities {
    trust: Arc<Trust>,
    /// Of the file, before it was read; `None` without a file, or while in doubt.
    version: Option<Version>,
}

/// Differs once a file was rewritten or replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl From<Metadata> for Version {
    fn from(meta: Metadata) -> Self {
        Self { inode: meta.ino(), length: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) }
    }
}

impl Authorities {
    pub(super) fn new(ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, loaded: Mutex::default() }
    }

    /// The authorities to connect with. While a file that was valid before is being rewritten, its old content stays trusted.
    pub(super) async fn trusted(&self) -> Result<Arc<Trust>, Reason> {
        let known = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ca_file = self.ca_file.clone();
        let fresh = tokio::task::spawn_blocking(move || renewed(ca_file.as_deref(), known)).await;
        let fresh = fresh.unwrap_or_else(|_| Err(rejected("the CA certificates could not be loaded")))?;
        let trust = Arc::clone(&fresh.trust);
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
        Ok(trust)
    }

    /// A certificate was not trusted: the next call reloads the authorities.
    fn doubt(&self) {
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn renewed(ca_file: Option<&Path>, known: Option<LoadedAuthorities>) -> Result<LoadedAuthorities, Reason> {
    let version = ca_file.and_then(|path| fs::metadata(path).ok()).map(Version::from);
    match known {
        Some(known) if known.version == version => Ok(known),
        known => match (load(ca_file), known) {
            (Ok(trust), _) => Ok(LoadedAuthorities { trust: Arc::new(trust), version }),
            (Err(_), Some(known)) => Ok(known),
            (Err(reason), None) => Err(reason),
        },
    }
}

/// The authorities in a file, or the system's.
pub(super) fn load(ca_file: Option<&Path>) -> Result<Trust, Reason> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let wrong = |what: String| Reason::Rejected(format!("ca_file {}: {what}", path.display()));
            let pem =
                read_regular(path, LONGEST).map_err(|error| wrong(format!("it cannot be read: {error}")))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|_| wrong("it is not well-formed PEM".to_owned()))?;
                let added = roots.add(certificate);
                added.map_err(|_| wrong("a certificate in it cannot be parsed".to_owned()))?;
            }
            if roots.is_empty() {
                return Err(wrong("there is no certificate in it".to_owned()));
            }
        }
        None => {
            // Authorities of the system that rustls cannot parse are skipped.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Trust::new(roots, ca_file).map_err(|_| rejected("TLS cannot be used here"))
}

/// At most this many characters of a receiver's answer are quoted.
const QUOTE_MAX: usize = 200;

/// The first text the receiver sent with each status, since it last accepted a message.
#[derive(Debug, Default)]
pub(super) struct FirstTexts(BTreeMap<u16, String>);

/// Why a message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// It may pass by itself; retried.
    Temporary { what: String, retry_after: Option<Duration> },
    /// A person must act.
    Rejected(String),
}

pub(super) fn rejected(what: &str) -> Reason {
    Reason::Rejected(what.to_owned())
}

impl Reason {
    /// As the error of a sink.
    pub(super) fn at(self, about: &str) -> SinkError {
        match self {
            Self::Temporary { what, retry_after } => {
                SinkError::Temporary { what: format!("{about}: {what}"), retry_after, source: None }
            }
            Self::Rejected(what) => SinkError::Rejected { what: format!("{about}: {what}"), source: None },
        }
    }
}

/// The relevant parts of an answer.
#[derive(Debug, Clone)]
pub(super) struct ReceiverAnswer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<String>,
    pub(super) location: Option<String>,
    /// The beginning of the body.
    pub(super) text: String,
}

impl ReceiverAnswer {
    /// Whether the message was accepted, and if not, why. Quotes nothing that is in `hidden`. Quotes the first text with the same
    /// status in `first_texts` in place of later ones: a request id in the text must not make it a new failure.
    pub(super) fn meaning(
        &self,
        hidden: &Hidden,
        first_texts: &mut FirstTexts,
        now: Stamp,
    ) -> Result<(), Reason> {
        let status = self.status;
        if status.is_success() {
            first_texts.0.clear();
            return Ok(());
        }
        let code = status.as_u16();
        let quote = first_texts.0.entry(code).or_insert_with(|| self.quote(hidden)).as_str();
        let what = match code {
            300..=399 => {
                let to = self
                    .location
                    .as_deref()
                    .and_then(host)
                    .filter(|to| !hidden.is_in(to))
                    .map_or_else(String::new, |to| format!(" to {to}"));
                format!("it answered {code}, a redirect{to}, which is not followed; set url to its target")
            }
            401 | 403 => {
                format!("it denied access ({code}){quote}; fix the secret, the headers or the signature")
            }
            404 | 405 | 410 => format!("nothing accepts messages at this url ({code}){quote}; fix the url"),
            429 => format!("it throttled the message (429){quote}"),
            408 | 425 => format!("it asks for a retry ({code}){quote}"),
            500..=599 => format!("it failed ({code}){quote}"),
            _ => format!(
                "it rejected the message ({code}){quote}; fix the template, or see what the receiver expects"
            ),
        };
        match code {
            408 | 425 | 429 | 500..=599 => {
                let retry_after = self.retry_after.as_deref().and_then(|text| later(text, now));
                Err(Reason::Temporary { what, retry_after })
            }
            _ => Err(Reason::Rejected(what)),
        }
    }

    /// The receiver's text, if it can be quoted.
    fn quote(&self, hidden: &Hidden) -> String {
        let line: Vec<&str> = self.text.split_whitespace().collect();
        let line: String = line.join(" ").chars().filter(|c| !c.is_control()).take(QUOTE_MAX).collect();
        if line.is_empty() {
            String::new()
        } else if hidden.is_all() {
            ", with a message that is not shown because the url is a secret".to_owned()
        } else if hidden.is_in(&self.text) {
            ", with a message that is not shown because it is too long".to_owned()
        } else {
            format!(", saying {line:?}")
        }
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn later(text: &str, now: Stamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
    Some(Stamp::from_millis(at).since(now))
}

/// Scheme and host of an address; the rest may be a secret.
fn host(location: &str) -> Option<String> {
    let url: hyper::Uri = location.parse().ok()?;
    Some(format!("{}://{}", url.scheme_str()?, url.host()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHORITY: &[u8] = include_bytes!("../../tests/edges/aws/tls/authority.pem");

    #[tokio::test]
    async fn authorities_are_loaded_once_and_again_when_their_file_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let replace = |text: &[u8]| {
            fs::write(path.with_extension("new"), text).unwrap();
            fs::rename(path.with_extension("new"), &path).unwrap();
        };
        let authorities = Authorities::new(Some(path.clone()));
        assert!(matches!(authorities.trusted().await, Err(Reason::Rejected(_))), "it is not there");
        replace(AUTHORITY);
        let first = authorities.trusted().await.unwrap();
        assert!(Arc::ptr_eq(&first, &authorities.trusted().await.unwrap()));
        replace(&[AUTHORITY, AUTHORITY].concat());
        let second = authorities.trusted().await.unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        replace(b"-----BEGIN");
        assert!(
            Arc::ptr_eq(&second, &authorities.trusted().await.unwrap()),
            "the page goes out all the same"
        );
        replace(AUTHORITY);
        assert!(!Arc::ptr_eq(&second, &authorities.trusted().await.unwrap()));
    }

    #[tokio::test]
    async fn authorities_are_loaded_again_after_a_certificate_that_was_not_trusted() {
        let authorities = Authorities::new(None);
        let first = authorities.trusted().await.unwrap();
        authorities.doubt();
        assert!(!Arc::ptr_eq(&first, &authorities.trusted().await.unwrap()));
    }

    fn answer(status: u16, text: &str) -> ReceiverAnswer {
        ReceiverAnswer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: Some("120".to_owned()),
            location: Some("https://elsewhere.example.com/s3cr3t".to_owned()),
            text: text.to_owned(),
        }
    }

    fn meaning(status: u16, text: &str) -> Result<(), Reason> {
        let mut hidden = Hidden::default();
        hidden.secret("s3cr3t-token");
        answer(status, text).meaning(&hidden, &mut FirstTexts::default(), Stamp::from_secs(0))
    }

    fn reason(result: Result<(), Reason>) -> String {
        match result {
            Ok(()) => "taken".to_owned(),
            Err(Reason::Rejected(what) | Reason::Temporary { what, .. }) => what,
        }
    }

    #[test]
    fn every_answer_means_accepted_retried_or_a_person_must_act() {
        for taken in [200, 202, 204] {
            assert_eq!(meaning(taken, ""), Ok(()));
        }
        for (status, says) in [
            (302, "https://elsewhere.example.com, which is not followed"),
            (401, "fix the secret"),
            (404, "fix the url"),
            (400, "fix the template"),
        ] {
            let Err(Reason::Rejected(what)) = meaning(status, "") else { panic!("{status}") };
            assert!(
                what.contains(says) && what.contains(&status.to_string()) && !what.contains("s3cr3t"),
                "{what}"
            );
        }
        for (status, says) in [
            (408, "asks for a retry"),
            (425, "asks for a retry"),
            (429, "throttled"),
            (500, "it failed"),
            (503, "it failed"),
        ] {
            let Err(Reason::Temporary { what, retry_after }) = meaning(status, "") else {
                panic!("{status}")
            };
            assert!(what.contains(says) && what.contains(&status.to_string()), "{what}");
            assert_eq!(retry_after, Some(Duration::from_secs(120)));
        }
    }

    #[test]
    fn a_receivers_text_is_quoted_unless_it_contains_a_secret() {
        let Err(Reason::Rejected(what)) = meaning(400, "invalid\n  event/x") else { panic!() };
        assert!(what.contains("saying \"invalid event/x\""), "{what}");
        let Err(Reason::Rejected(what)) = meaning(400, "bad key s3cr3t-token") else { panic!() };
        assert!(!what.contains("s3cr3t"), "{what}");
    }

    #[test]
    fn for_a_secret_address_only_the_status_and_what_to_do_are_shown() {
        let mut hidden = Hidden::default();
        hidden
            .address(&"https://h.example.com/services/T000/XyZ0SecretToken?k=QuerySecret99".parse().unwrap());
        let text = "token XyZ0SecretToken (k QuerySecret99) is not known";
        for (status, says) in
            [(400, "it rejected the message (400)"), (404, "fix the url"), (503, "it failed (503)")]
        {
            let reason = reason(answer(status, text).meaning(
                &hidden,
                &mut FirstTexts::default(),
                Stamp::from_secs(0),
            ));
            assert!(reason.contains(says) && reason.contains("because the url is a secret"), "{reason}");
            assert!(!reason.contains("XyZ0") && !reason.contains("Query"), "{reason}");
        }
        let mut redirect = answer(302, "");
        redirect.location = Some("https://xyz0secrettoken.example.com/".to_owned());
        let reason = reason(redirect.meaning(&hidden, &mut FirstTexts::default(), Stamp::from_secs(0)));
        assert!(reason.contains("a redirect, which is not followed"), "{reason}");
    }

    #[test]
    fn a_text_that_differs_each_time_is_not_a_new_failure() {
        let (hidden, now, mut first_texts) = (Hidden::default(), Stamp::from_secs(0), FirstTexts::default());
        let mut failure = |status, text| reason(answer(status, text).meaning(&hidden, &mut first_texts, now));
        let first = failure(404, "no such hook, request 0001");
        assert!(first.contains("request 0001"), "{first}");
        assert!(failure(503, "busy, request 0002").contains("request 0002"));
        assert_eq!(failure(404, "no such hook, request 0003"), first);
        failure(202, "");
        assert!(failure(404, "no such hook, request 0004").contains("request 0004"));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Stamp::from_secs(1_795_341_600);
        assert_eq!(later("30", now), Some(Duration::from_secs(30)));
        assert_eq!(later("Sun, 22 Nov 2026 10:01:00 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(later("Sun, 22 Nov 2026 09:01:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(later("soon", now), None);
    }
}
