//! What an answer means, or that there is none.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::StatusCode;

use crate::domain::time::Stamp;
use crate::incident::sink::SinkError;

use super::secret::Hidden;

/// Of a receiver's words so much is repeated.
const WORDS_MAX: usize = 200;

/// What a receiver said first with each status, since it last took a message.
#[derive(Debug, Default)]
pub(super) struct LastWords(BTreeMap<u16, String>);

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
pub(super) struct ReceiverAnswer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<String>,
    pub(super) location: Option<String>,
    /// The beginning of its body.
    pub(super) words: String,
}

impl ReceiverAnswer {
    /// Whether the message was taken, and if not, why. Of `hidden` nothing is repeated, and what was `heard` with the same status
    /// before is told again in place of these words, so that a request's number in them makes no other failure of it.
    pub(super) fn meaning(&self, hidden: &Hidden, heard: &mut LastWords, now: Stamp) -> Result<(), Reason> {
        let status = self.status;
        if status.is_success() {
            heard.0.clear();
            return Ok(());
        }
        let code = status.as_u16();
        let said = heard.0.entry(code).or_insert_with(|| self.said(hidden)).as_str();
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
                format!("it denied access ({code}){said}; fix the secret, the headers or the signature")
            }
            404 | 405 | 410 => format!("nothing accepts messages at this url ({code}){said}; fix the url"),
            429 => format!("it throttled the message (429){said}"),
            408 | 425 => format!("it asks for a retry ({code}){said}"),
            500..=599 => format!("it failed ({code}){said}"),
            _ => format!(
                "it rejected the message ({code}){said}; fix the template, or see what the receiver expects"
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
    fn said(&self, hidden: &Hidden) -> String {
        let line: Vec<&str> = self.words.split_whitespace().collect();
        let line: String = line.join(" ").chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
        if line.is_empty() {
            String::new()
        } else if hidden.is_all() {
            ", with a message that is not shown because the url is a secret".to_owned()
        } else if hidden.is_in(&self.words) {
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

    fn answer(status: u16, words: &str) -> ReceiverAnswer {
        ReceiverAnswer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: Some("120".to_owned()),
            location: Some("https://elsewhere.example.com/s3cr3t".to_owned()),
            words: words.to_owned(),
        }
    }

    fn meaning(status: u16, words: &str) -> Result<(), Reason> {
        let mut hidden = Hidden::default();
        hidden.secret("s3cr3t-token");
        answer(status, words).meaning(&hidden, &mut LastWords::default(), Stamp::from_secs(0))
    }

    fn told(result: Result<(), Reason>) -> String {
        match result {
            Ok(()) => "taken".to_owned(),
            Err(Reason::Rejected(what) | Reason::Temporary { what, .. }) => what,
        }
    }

    #[test]
    fn every_answer_is_taken_retried_or_a_persons_to_mend() {
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
    fn a_receivers_words_are_repeated_unless_they_hold_a_secret() {
        let Err(Reason::Rejected(what)) = meaning(400, "invalid\n  event/x") else { panic!() };
        assert!(what.contains("saying \"invalid event/x\""), "{what}");
        let Err(Reason::Rejected(what)) = meaning(400, "bad key s3cr3t-token") else { panic!() };
        assert!(!what.contains("s3cr3t"), "{what}");
    }

    #[test]
    fn of_an_address_that_is_a_secret_only_the_status_and_what_to_do_is_told() {
        let mut hidden = Hidden::default();
        hidden
            .address(&"https://h.example.com/services/T000/XyZ0SecretToken?k=QuerySecret99".parse().unwrap());
        let words = "token XyZ0SecretToken (k QuerySecret99) is not known";
        for (status, says) in
            [(400, "it rejected the message (400)"), (404, "fix the url"), (503, "it failed (503)")]
        {
            let told =
                told(answer(status, words).meaning(&hidden, &mut LastWords::default(), Stamp::from_secs(0)));
            assert!(told.contains(says) && told.contains("because the url is a secret"), "{told}");
            assert!(!told.contains("XyZ0") && !told.contains("Query"), "{told}");
        }
        let mut redirect = answer(302, "");
        redirect.location = Some("https://xyz0secrettoken.example.com/".to_owned());
        let told = told(redirect.meaning(&hidden, &mut LastWords::default(), Stamp::from_secs(0)));
        assert!(told.contains("a redirect, which is not followed"), "{told}");
    }

    #[test]
    fn words_that_differ_each_time_make_no_other_failure_of_the_same_status() {
        let (hidden, now, mut heard) = (Hidden::default(), Stamp::from_secs(0), LastWords::default());
        let mut told = |status, words| told(answer(status, words).meaning(&hidden, &mut heard, now));
        let first = told(404, "no such hook, request 0001");
        assert!(first.contains("request 0001"), "{first}");
        assert!(told(503, "busy, request 0002").contains("request 0002"));
        assert_eq!(told(404, "no such hook, request 0003"), first);
        told(202, "");
        assert!(told(404, "no such hook, request 0004").contains("request 0004"));
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
