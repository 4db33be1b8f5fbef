//! A webhook as a sink: an HTTPS POST of JSON for each change of an incident.
//!
//! | what | where |
//! |---|---|
//! | what is sent: a template, ready ones among them | [`Template`] in `template` |
//! | what must reach no log: read from files for each try | [`Secret`] in `secret` |
//! | how it is sent: proxy, authorities, timeouts, no redirects | `client` |
//! | what an answer means | `answer` |
//!
//! A message's id goes with it as `Idempotency-Key`, the same in every retry, so that a receiver can drop what comes twice
//! because an answer was lost.

mod answer;
mod client;
mod secret;
mod template;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use sha2::Sha256;

use crate::domain::time::Stamp;
use crate::incident::message::{Message, Messenger};
use crate::incident::sink::SinkError;
use answer::{Reason, rejected};
use client::{Client, Post};
pub use secret::Secret;
pub use template::{Preset, Template};

/// How many repetitions may be lost before a vendor that takes silence for an end does so.
const REPETITIONS: u32 = 5;

/// A webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where.
    pub url: Url,
    /// What.
    pub template: Template,
    /// Headers beside our own; `{secret}` in a value stands for the secret.
    pub headers: Vec<(String, String)>,
    /// For the template and the headers.
    pub secret: Option<Secret>,
    /// The key of the signature.
    pub signing_secret: Option<Secret>,
    /// The authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether plain HTTP will do.
    pub allow_http: bool,
    /// From the first packet to the last of an answer.
    pub timeout: Duration,
    /// How often what is open is repeated.
    pub repeat_every: Option<Duration>,
}

/// Where a webhook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Url {
    /// As configured.
    Plain(Arc<str>),
    /// In a file: whoever knows it may post.
    Secret(Secret),
}

/// A webhook at work.
pub struct Webhook {
    settings: Settings,
    client: Client,
}

impl Webhook {
    /// Connects to nothing.
    pub fn new(settings: Settings) -> Self {
        let client = Client::new(settings.ca_file.clone(), settings.timeout);
        Self { settings, client }
    }

    async fn address(&self) -> Result<Uri, Reason> {
        let text = match &self.settings.url {
            Url::Plain(url) => url.to_string(),
            Url::Secret(secret) => secret.read().await.map_err(Reason::Rejected)?,
        };
        let wrong = |what: &str| Reason::Rejected(format!("the url {what}"));
        let url: Uri = text.parse().map_err(|_| wrong("is none; correct it"))?;
        match url.scheme_str() {
            Some("https") => {}
            Some("http") if self.settings.allow_http => {}
            Some("http") => {
                return Err(wrong(
                    "is plain HTTP, which anybody on the way can read; use https://, or set allow_http = true",
                ));
            }
            Some(_) | None => return Err(wrong("is not https://; correct it")),
        }
        if url.host().is_none() {
            return Err(wrong("names no host; correct it"));
        }
        Ok(url)
    }

    async fn send(&self, message: &Message, now: Stamp, url: Uri) -> Result<(), Reason> {
        let secret = match &self.settings.secret {
            Some(secret) => Some(secret.read().await.map_err(Reason::Rejected)?),
            None => None,
        };
        let lasts = self.settings.repeat_every.map(|every| every * REPETITIONS);
        let body = self.settings.template.render(message, secret.as_deref(), now, lasts);
        let Some(body) = body.map_err(Reason::Rejected)? else {
            // Not this change.
            return Ok(());
        };
        let mut headers = self.headers(message, secret.as_deref())?;
        if let Some(key) = &self.settings.signing_secret {
            let key = key.read().await.map_err(Reason::Rejected)?;
            headers.extend(signature(&key, now, &body)?);
        }
        // What a receiver may repeat and nobody may read.
        let path = url.path_and_query().map_or("", |path| path.as_str()).to_owned();
        let answer = self.client.post(Post { url, headers, body }).await?;
        let hidden: Vec<&str> = match &self.settings.url {
            Url::Plain(_) => secret.as_deref().into_iter().collect(),
            Url::Secret(_) => secret.as_deref().into_iter().chain([path.as_str()]).collect(),
        };
        answer.meaning(&hidden, now)
    }

    fn headers(
        &self,
        message: &Message,
        secret: Option<&str>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Reason> {
        let mut headers = vec![
            (HeaderName::from_static("content-type"), HeaderValue::from_static("application/json")),
            (
                HeaderName::from_static("user-agent"),
                HeaderValue::from_static(concat!("bothends/", env!("CARGO_PKG_VERSION"))),
            ),
        ];
        headers.extend(header("idempotency-key", &message.id));
        for (name, value) in &self.settings.headers {
            let value = value.replace("{secret}", secret.unwrap_or_default());
            let header = header(name, &value);
            headers.push(
                header.ok_or_else(|| Reason::Rejected(format!("the header {name} is none; correct it")))?,
            );
        }
        Ok(headers)
    }
}

impl Messenger for Webhook {
    async fn deliver(&self, message: &Message, now: Stamp) -> Result<(), SinkError> {
        let url = match self.address().await {
            Ok(url) => url,
            Err(reason) => return Err(reason.at("webhook")),
        };
        // Never the path, which may be the secret.
        let port = url.port_u16().map_or_else(String::new, |port| format!(":{port}"));
        let (scheme, host) = (url.scheme_str().unwrap_or_default(), url.host().unwrap_or_default());
        let about = format!("webhook POST {scheme}://{host}{port}");
        self.send(message, now, url).await.map_err(|reason| reason.at(&about))
    }
}

/// A header; one with a value that nobody may see in a log.
fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut header = HeaderValue::from_str(value).ok()?;
    header.set_sensitive(true);
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, header))
}

/// HMAC-SHA256 over `<seconds>.<body>`: the time is signed as well, so that nobody can send it again later.
fn signature(key: &str, now: Stamp, body: &str) -> Result<Vec<(HeaderName, HeaderValue)>, Reason> {
    let seconds = now.as_millis().div_euclid(1000);
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())
        .map_err(|_| rejected("the signing secret is of no use"))?;
    mac.update(format!("{seconds}.{body}").as_bytes());
    let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let headers = [
        header("x-bothends-timestamp", &seconds.to_string()),
        header("x-bothends-signature", &format!("sha256={digest}")),
    ];
    Ok(headers.into_iter().flatten().collect())
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
