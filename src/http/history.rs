//! `GET /history`: what is remembered, from a time until now, as lines of JSON ([`history_lines`](super::history_lines)); and its
//! client.
//!
//! It is made part by part as the client reads it: no more than two parts are in memory, however long it is.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::client::{Answer, Client};
use super::history_lines::{self, HistoryError, LineReader, stamp};
use super::text::text;
use crate::clock::rfc3339;
use crate::domain::status::Status;
use crate::domain::time::Stamp;
use crate::history::{Entry, Present, Wanted};

/// Where it is.
pub const HISTORY_PATH: &str = "/history";

/// The longest wait of a command: 90 days of ten thousand outages take about a second.
pub const HISTORY_PATIENCE: Duration = Duration::from_secs(60);

/// The longest history: the store keeps 64 MB, and a line takes about as much as its row.
const HISTORY_MAX: u64 = 256 * 1024 * 1024;

/// What is remembered, part by part; `Err` for an operator, and nothing after it.
pub type Parts = mpsc::Receiver<Result<Vec<Entry>, String>>;

/// Reads it. The place is kept until nothing more is read.
pub type History = dyn Fn(Wanted, Reading) -> Parts + Send + Sync;

/// Readings at a time of one listener or socket: each takes memory for two parts.
const READINGS: usize = 4;

/// The places of one listener or socket. Those who read slowly at the listener take none of the control socket's.
#[derive(Debug, Clone)]
pub(super) struct Readings(Arc<Semaphore>);

/// A place among the [`Readings`], until it is dropped.
#[derive(Debug)]
pub struct Reading(#[expect(dead_code, reason = "only its drop counts")] OwnedSemaphorePermit);

impl Default for Readings {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READINGS)))
    }
}

impl Readings {
    /// `None` if too many read at once.
    fn enter(&self) -> Option<Reading> {
        Arc::clone(&self.0).try_acquire_owned().ok().map(Reading)
    }
}

const EXPECTED: &str =
    "expected /history?since=2026-12-01T00:00:00Z, with &minutes=true for the minutes of probes\n";

/// The answer to a query, with the present of this status.
pub(super) fn answer(query: &str, status: &Status, history: &History, readings: &Readings) -> Response {
    let present = Present::of(status);
    let wanted = match wanted(query, present.at) {
        Ok(wanted) => wanted,
        Err(what) => return text(StatusCode::BAD_REQUEST, format!("{what}; {EXPECTED}")),
    };
    let Some(reading) = readings.enter() else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "too many read the history at once; try again\n");
    };
    let parts = history(wanted, reading);
    let mut head = String::new();
    history_lines::head(&present, &mut head);
    let lines = stream::unfold(Some((Some(head), parts)), next);
    let head = [(CONTENT_TYPE, "application/x-ndjson"), (CACHE_CONTROL, "no-store")];
    (head, Body::from_stream(lines)).into_response()
}

type Streaming = Option<(Option<String>, Parts)>;

/// The next lines.
async fn next(streaming: Streaming) -> Option<(Result<String, Infallible>, Streaming)> {
    let (head, mut parts) = streaming?;
    if let Some(head) = head {
        return Some((Ok(head), Some((None, parts))));
    }
    let mut lines = String::new();
    let rest = match parts.recv().await {
        Some(Ok(part)) => {
            part.iter().for_each(|entry| history_lines::entry(entry, &mut lines));
            Some((None, parts))
        }
        Some(Err(problem)) => {
            history_lines::end(Some(problem), &mut lines);
            None
        }
        None => {
            history_lines::end(None, &mut lines);
            None
        }
    };
    Some((Ok(lines), rest))
}

/// What a query asks for, at a present of this time.
fn wanted(query: &str, now: Stamp) -> Result<Wanted, String> {
    let (mut since, mut minutes) = (None, false);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match (key, value) {
            ("since", value) => {
                let value = decoded(value)?;
                since = Some(stamp(&value).map_err(|what| format!("since: {what}"))?);
            }
            ("minutes", "true") => minutes = true,
            ("minutes", "false") => minutes = false,
            ("minutes", value) => return Err(format!("minutes: {value:?} is neither true nor false")),
            (key, _) => return Err(format!("{key:?} is not known")),
        }
    }
    match since {
        Some(since) if since > now => Err("since: this time has not come".to_owned()),
        Some(since) => Ok(Wanted { since, until: Some(now), minutes }),
        None => Err("since is missing".to_owned()),
    }
}

/// A value as it was before it was put into a query: an offset such as `+01:00` comes as `%2B01:00`.
fn decoded(value: &str) -> Result<String, String> {
    let wrong = || format!("since: {value:?} is not encoded as in a query");
    let mut bytes = value.bytes();
    let mut text = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let digits = [bytes.next().ok_or_else(wrong)?, bytes.next().ok_or_else(wrong)?];
                let digits = std::str::from_utf8(&digits).map_err(|_| wrong())?;
                u8::from_str_radix(digits, 16).map_err(|_| wrong())?
            }
            byte => byte,
        };
        text.push(byte);
    }
    String::from_utf8(text).map_err(|_| wrong())
}

/// Reads a daemon's history, entry by entry. Returns its present.
///
/// # Errors
/// There is no answer within `patience`, it is not a history, or it was cut short.
pub fn ask(
    client: &Client,
    since: Stamp,
    minutes: bool,
    patience: Duration,
    take: impl FnMut(Entry),
) -> Result<Present, HistoryError> {
    let path = format!("GET {HISTORY_PATH}?since={}&minutes={minutes}", rfc3339(since));
    let Answer { code, body } = client.clone().reading_at_most(HISTORY_MAX).ask(&path, patience)?;
    if code != 200 {
        return Err(HistoryError::Refused { code, body: body.chars().take(1000).collect() });
    }
    read(&body, take)
}

fn read(lines: &str, mut take: impl FnMut(Entry)) -> Result<Present, HistoryError> {
    let mut reader = LineReader::default();
    for line in lines.split_inclusive('\n') {
        // Without its end it was cut short.
        let line = line.strip_suffix('\n').ok_or(HistoryError::CutShort)?;
        reader.line(line)?.into_iter().for_each(&mut take);
    }
    reader.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Stamp = Stamp::from_secs(1_800_000_000);

    #[test]
    fn a_query_says_since_when_and_may_ask_for_minutes() {
        let since = Stamp::from_secs(1_796_083_200);
        let plain = Wanted { since, until: Some(NOW), minutes: false };
        for (query, expected) in [
            ("since=2026-12-01T00:00:00Z", plain),
            ("since=2026-12-01T01:00:00%2B01:00&minutes=false", plain),
            ("minutes=true&since=2026-12-01T00:00:00Z&", Wanted { minutes: true, ..plain }),
        ] {
            assert_eq!(wanted(query, NOW), Ok(expected), "{query}");
        }
        for (query, expected) in [
            ("", "since is missing"),
            ("since", "since: \"\" is no time"),
            ("since=yesterday", "since: \"yesterday\" is no time"),
            ("since=2026-12-01T01:00:00+01:00%", "not encoded"),
            ("since=%ff%fe", "not encoded"),
            ("since=%zz", "not encoded"),
            ("since=2036-12-01T00:00:00Z", "this time has not come"),
            ("since=2026-12-01T00:00:00Z&minutes=1", "minutes: \"1\" is neither true nor false"),
            ("until=now&since=2026-12-01T00:00:00Z", "\"until\" is not known"),
        ] {
            let what = wanted(query, NOW).unwrap_err();
            assert!(what.contains(expected), "{query}: {what}");
        }
    }

    #[test]
    fn a_body_is_read_to_its_last_line() {
        let read = |text: &str| match read(text, |_| {}) {
            Ok(present) => present.site.to_string(),
            Err(error) => error.to_string(),
        };
        let head = r#"{"entry":"history","version":1,"site":"milan-1","at":"2026-12-01T00:00:00Z"}"#;
        assert_eq!(read(&format!("{head}\n{{\"end\":true}}\n")), "milan-1");
        for cut in [format!("{head}\n"), format!("{head}\n{{\"end\":true}}"), String::new()] {
            assert_eq!(read(&cut), "the history was cut short; try again", "{cut}");
        }
        assert_eq!(read("<html>\n"), "this is no history of bothends");
    }
}
