//! What an answer means, or that there is none.

use std::time::Duration;

use hyper::StatusCode;

use crate::domain::time::Stamp;
use crate::incident::sink::SinkError;

/// Of a receiver's words so much is repeated.
const WORDS_MAX: usize = 200;

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// Try again.
    Temporary { what: String, retry_after: Option<Duration> },
    /// A person must act.
    Rejected(String),
}

pub(super) fn rejected(what: &str) -> Reason {
    Reason::Rejected(what.to_owned())
}

impl Reason {
    /// In a sink's terms.
    pub(super) fn at(self, about: &str) -> SinkError {
        match self {
            Self::Temporary { what, retry_after } => {
                SinkError::Temporary { what: format!("{about}: {what}"), retry_after, source: None }
            }
            Self::Rejected(what) => SinkError::Rejected { what: format!("{about}: {what}"), source: None },
        }
    }
}

/// An answer, as far as it matters.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<String>,
    pub(super) location: Option<String>,
    /// The beginning of its body.
    pub(super) words: String,
}

impl Answer {
    /// Whether the message was taken, and if not, why. None of `hidden` is repeated.
    pub(super) fn meaning(&self, hidden: &[&str], now: Stamp) -> Result<(), Reason> {
        let status = self.status;
        if status.is_success() {
            return Ok(());
        }
        let code = status.as_u16();
        let said = self.said(hidden);
        let what = match code {
            300..=399 => {
                let to = self
                    .location
                    .as_deref()
                    .and_then(host)
                    .map_or_else(String::new, |to| format!(" to {to}"));
                format!(
                    "it answered {code}, a redirect{to}, which is not followed; set url to where it leads"
                )
            }
            401 | 403 => {
                format!("it refused us ({code}){said}; correct the secret, the headers or the signature")
            }
            404 | 405 | 410 => format!("nothing takes messages there ({code}){said}; correct the url"),
            408 | 425 | 429 => format!("it asks us to slow down ({code}){said}"),
            500..=599 => format!("it failed ({code}){said}"),
            _ => format!(
                "it found fault with the message ({code}){said}; correct the template, or see what it wants"
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

    /// The receiver's own words, if they are fit to be seen.
    fn said(&self, hidden: &[&str]) -> String {
        let line: Vec<&str> = self.words.split_whitespace().collect();
        let line: String = line.join(" ").chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
        // The path of a secret address is long; a short one, such as "/", is in any text and tells nothing.
        let tells = |secret: &&&str| secret.len() >= 4 && self.words.contains(**secret);
        if line.is_empty() {
            String::new()
        } else if hidden.iter().any(|secret| tells(&secret)) {
            ", saying more than may be shown".to_owned()
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

    fn meaning(status: u16, words: &str) -> Result<(), Reason> {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: Some("120".to_owned()),
            location: Some("https://elsewhere.example.com/s3cr3t".to_owned()),
            words: words.to_owned(),
        };
        answer.meaning(&["s3cr3t-token", "/"], Stamp::from_secs(0))
    }

    #[test]
    fn every_answer_is_taken_retried_or_a_persons_to_mend() {
        for taken in [200, 202, 204] {
            assert_eq!(meaning(taken, ""), Ok(()));
        }
        for (status, says) in [
            (302, "https://elsewhere.example.com, which is not followed"),
            (401, "correct the secret"),
            (404, "correct the url"),
            (400, "correct the template"),
        ] {
            let Err(Reason::Rejected(what)) = meaning(status, "") else { panic!("{status}") };
            assert!(
                what.contains(says) && what.contains(&status.to_string()) && !what.contains("s3cr3t"),
                "{what}"
            );
        }
        for status in [429, 500, 503] {
            let Err(Reason::Temporary { what, retry_after }) = meaning(status, "") else {
                panic!("{status}")
            };
            assert!(what.contains(&status.to_string()), "{what}");
            assert_eq!(retry_after, Some(Duration::from_secs(120)));
        }
    }

    #[test]
    fn a_receivers_words_are_repeated_unless_they_hold_a_secret() {
        let Err(Reason::Rejected(what)) = meaning(400, "invalid\n  event/x") else { panic!() };
        assert!(what.contains("saying \"invalid event/x\""), "{what}");
        let Err(Reason::Rejected(what)) = meaning(400, "bad key s3cr3t-token") else { panic!() };
        assert!(!what.contains("s3cr3t"), "{what}");
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
