//! What a call makes of the settings.

use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};

use crate::settings::WebhookSettings;

/// How many repetitions may be lost before a vendor that takes silence for an end does so, where each is answered at once …
const REPETITIONS: u32 = 5;
/// … and where each is given up only when its time is over.
const SILENT_REPETITIONS: u32 = 3;

impl WebhookSettings {
    /// How long what is open stays so at the receiver without another word. The teller repeats it, and after a failure tries
    /// again, each `repeat_every` (`incident::teller`).
    pub(super) fn lasts(&self) -> Option<Duration> {
        let every = self.repeat_every?;
        Some((every * REPETITIONS).max((every + self.timeout) * SILENT_REPETITIONS))
    }

    /// An address that may be posted to.
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

    /// The headers of the operator's.
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

/// A header; one with a value that nobody may see in a log.
pub(super) fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut header = HeaderValue::from_str(value).ok()?;
    header.set_sensitive(true);
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, header))
}
