//! A webhook as a sink: an HTTPS POST of JSON for each change of an incident.
//!
//! | what | where |
//! |---|---|
//! | what is sent: a template, built-in or the operator's | `template` |
//! | secrets: read from files for each try, and hidden when an answer is quoted | `secret` |
//! | how it is sent: proxy, timeouts, no redirects; trusted certificates; what an answer means | `client` |
//! | what can be checked before the first message | [`trial()`] in `trial` |
//!
//! A message's id is its `Idempotency-Key`, the same in every retry: a receiver can drop a message that it gets twice because an
//! answer was lost.

mod client;
mod secret;
mod template;
mod trial;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use sha2::Sha256;

use self::client::{Client, FirstTexts, Post, Reason, rejected};
use self::secret::Hidden;
use self::template::Template;
use crate::domain::time::Stamp;
use crate::incident::message::{Message, Messenger};
use crate::incident::sink::SinkError;
use crate::outbound::Dialer;
use crate::settings::{WebhookSettings, WebhookUrl};

pub use trial::{Part, Reach, trial};

/// One configured webhook.
pub struct Webhook {
    settings: WebhookSettings,
    client: Client,
    first_texts: Mutex<FirstTexts>,
}

impl Webhook {
    /// Opens no connection.
    pub fn new(settings: WebhookSettings, dialer: Arc<Dialer>) -> Self {
        let client = Client::new(settings.ca_file.clone(), settings.timeout, dialer);
        Self { settings, client, first_texts: Mutex::default() }
    }

    async fn address(&self) -> Result<Uri, Reason> {
        let text = match &self.settings.url {
            WebhookUrl::Plain(url) => url.to_string(),
            WebhookUrl::Secret(path) => secret::read(path).await.map_err(Reason::Rejected)?,
        };
        self.settings.address(&text).map_err(Reason::Rejected)
    }

    /// Checks that a message could be sent now, by reading its secrets. Returns the host whose name will be looked up: the
    /// proxy's, if there is one.
    ///
    /// # Errors
    /// What prevents sending, in an operator's words.
    pub async fn prepare(&self) -> Result<Option<(String, u16)>, String> {
        let url = match self.address().await {
            Ok(url) => url,
            Err(Reason::Rejected(what) | Reason::Temporary { what, .. }) => return Err(what),
        };
        for path in [&self.settings.secret, &self.settings.signing_secret].into_iter().flatten() {
            secret::read(path).await?;
        }
        Ok(self.client.looked_up(&url))
    }

    async fn send(&self, message: &Message, now: Stamp, url: Uri) -> Result<(), Reason> {
        let mut hidden = Hidden::default();
        match &self.settings.url {
            WebhookUrl::Plain(_) => hidden.query(&url),
            WebhookUrl::Secret(_) => hidden.address(&url),
        }
        let secret = match &self.settings.secret {
            Some(path) => Some(secret::read(path).await.map_err(Reason::Rejected)?),
            None => None,
        };
        hidden.secret(secret.as_deref().unwrap_or_default());
        let body = Template::parse(&self.settings.body)
            .and_then(|template| template.render(message, secret.as_deref(), now, self.settings.lasts()));
        let Some(body) = body.map_err(Reason::Rejected)? else {
            // The template sends nothing for this change.
            return Ok(());
        };
        let own = self.settings.own_headers(secret.as_deref()).map_err(Reason::Rejected)?;
        for (_, value) in &own {
            hidden.header(value);
        }
        let mut headers = headers(message);
        headers.extend(own);
        if let Some(path) = &self.settings.signing_secret {
            let key = secret::read(path).await.map_err(Reason::Rejected)?;
            hidden.secret(&key);
            headers.extend(signature(&key, now, &body)?);
        }
        let answer = self.client.post(Post { url, headers, body }).await?;
        let mut first_texts = self.first_texts.lock().unwrap_or_else(PoisonError::into_inner);
        answer.meaning(&hidden, &mut first_texts, now)
    }
}

/// The headers of every message.
fn headers(message: &Message) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![
        (HeaderName::from_static("content-type"), HeaderValue::from_static("application/json")),
        (
            HeaderName::from_static("user-agent"),
            HeaderValue::from_static(concat!("bothends/", env!("CARGO_PKG_VERSION"))),
        ),
    ];
    headers.extend(header("idempotency-key", &message.id));
    headers
}

impl Messenger for Webhook {
    async fn deliver(&self, message: &Message, now: Stamp) -> Result<(), SinkError> {
        let url = match self.address().await {
            Ok(url) => url,
            Err(reason) => return Err(reason.at("POST")),
        };
        // Never the path: it may be the secret.
        let port = url.port_u16().map_or_else(String::new, |port| format!(":{port}"));
        let (scheme, host) = (url.scheme_str().unwrap_or_default(), url.host().unwrap_or_default());
        let about = format!("POST {scheme}://{host}{port}");
        self.send(message, now, url).await.map_err(|reason| reason.at(&about))
    }
}

/// HMAC-SHA256 over `<seconds>.<body>`. The signed time prevents replays.
fn signature(key: &str, now: Stamp, body: &str) -> Result<Vec<(HeaderName, HeaderValue)>, Reason> {
    let seconds = now.as_millis().div_euclid(1000);
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())
        .map_err(|_| rejected("the signing secret cannot be used"))?;
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

/// How many repetitions may be lost before a vendor that takes silence for recovery closes the alert, if each is answered at once
/// …
const REPETITIONS: u32 = 5;
/// … and if each is given up only at its timeout.
const SILENT_REPETITIONS: u32 = 3;

impl WebhookSettings {
    /// How long an open alert stays open at the receiver without another message. The dispatcher repeats the message, and retries
    /// a failed one, every `repeat_every` (`incident::dispatcher`).
    pub(super) fn lasts(&self) -> Option<Duration> {
        let every = self.repeat_every?;
        Some((every * REPETITIONS).max((every + self.timeout) * SILENT_REPETITIONS))
    }

    /// Parses and checks an address to post to.
    pub(super) fn address(&self, text: &str) -> Result<Uri, String> {
        let wrong = |what: &str| format!("the url {what}");
        let url: Uri = text.parse().map_err(|_| wrong("is not valid; fix it"))?;
        match url.scheme_str() {
            Some("https") => {}
            Some("http") if self.allow_http => {}
            Some("http") => {
                return Err(wrong(
                    "is plain HTTP, readable by anybody on the path; use https://, or set allow_http = true",
                ));
            }
            Some(_) | None => return Err(wrong("is not https://; fix it")),
        }
        if url.host().is_none_or(str::is_empty) {
            return Err(wrong("has no host; fix it"));
        }
        if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong(
                "contains a user name, which is not sent; write an Authorization header with {secret}",
            ));
        }
        Ok(url)
    }

    /// The configured headers, with the secret filled in.
    pub(super) fn own_headers(&self, secret: Option<&str>) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
        let filled = |(name, value): &(String, String)| {
            let value = value.replace("{secret}", secret.unwrap_or_default());
            header(name, &value).ok_or_else(|| {
                format!(
                    "the header {name} is invalid with the secret filled in; fix the header or the secret"
                )
            })
        };
        self.headers.iter().map(filled).collect()
    }
}

/// A header whose value is kept out of logs; `None` if it is invalid.
pub(super) fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut header = HeaderValue::from_str(value).ok()?;
    header.set_sensitive(true);
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, header))
}

#[cfg(test)]
mod tests;
