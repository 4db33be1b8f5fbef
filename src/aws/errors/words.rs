//! The words of an error, made fit for a log: one line, bounded, without credentials.

use std::error::Error;
use std::fmt;

/// Longer than any message that helps; AWS appends encoded policies of several kilobytes.
const LONGEST: usize = 300;
/// What marks a text that quotes credentials: the answer to a wrong signature repeats the whole canonical request with
/// its session token, and a credential_process may print what it made.
const MARKS: [&str; 6] =
    ["canonical", "security-token:", "sessiontoken", "secretaccesskey", "secret_access_key", "session_token"];
/// AWS's own text before an encoded blob that only `sts:DecodeAuthorizationMessage` reads, and that differs each time.
const ENCODED: &str = "Encoded authorization failure message";

/// A text of AWS's or the SDK's as it may be shown.
pub(super) fn safe_words(text: &str) -> String {
    let lower = text.to_lowercase();
    if MARKS.iter().any(|mark| lower.contains(mark)) {
        return "(withheld: the text quotes the request)".to_owned();
    }
    let text = text.split(ENCODED).next().unwrap_or_default();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// An error and its causes, outermost first.
pub(super) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The words at the bottom of a chain of causes, which say most.
pub(super) fn deepest(error: &(dyn Error + 'static)) -> String {
    let last = chain(error).last().unwrap_or(error);
    safe_words(&last.to_string())
}

/// Whether any error of the chain has this word.
pub(super) fn mentions(error: &(dyn Error + 'static), word: &str) -> bool {
    chain(error).any(|error| error.to_string().contains(word))
}

/// Whether this one error, whatever its type, says that time ran out.
pub(super) fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
        || error.to_string().contains("timed out")
        || error.to_string().contains("timeout")
}

/// A chain of causes, as words. The SDK's own errors hold the whole HTTP answer and would print it in their Debug form.
#[derive(Debug)]
pub(super) struct Cause {
    words: String,
    source: Option<Box<Cause>>,
}

impl Cause {
    pub(super) fn new(words: String, source: Option<Box<Cause>>) -> Self {
        Self { words, source }
    }

    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let source = error.source().map(|source| Box::new(Self::of(source)));
        Self { words: safe_words(&error.to_string()), source }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
