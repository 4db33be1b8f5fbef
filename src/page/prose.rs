//! Sentences that were written for a terminal: commands in backticks, times for programs.

use serde::Serialize;

use super::when::utc;
use crate::domain::time::Stamp;

/// A part of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Part {
    pub(super) text: String,
    /// Whether it is a command or a key.
    pub(super) code: bool,
}

/// The sentence, with what stands in backticks as code. A backtick without another one stays what it is.
pub(super) fn parts(sentence: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = sentence;
    while let Some((before, (code, after))) =
        rest.split_once('`').and_then(|(before, behind)| Some((before, behind.split_once('`')?)))
    {
        parts.extend([(before, false), (code, true)]);
        rest = after;
    }
    parts.push((rest, false));
    let parts = parts.into_iter().filter(|(text, _)| !text.is_empty());
    parts.map(|(text, code)| Part { text: text.to_owned(), code }).collect()
}

/// The sentence, with its times as people write them.
pub(super) fn with_times(sentence: &str, now: Stamp) -> String {
    let words = sentence.split(' ').map(|word| {
        let bare = word.trim_end_matches([',', ';', '.', ')']);
        match bare.parse::<jiff::Timestamp>() {
            Ok(at) => format!("{}{}", utc(Stamp::from_millis(at.as_millisecond()), now), &word[bare.len()..]),
            Err(_) => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_backticks_is_code() {
        let shown = |sentence: &str| -> Vec<String> {
            let of = |part: Part| if part.code { format!("[{}]", part.text) } else { part.text };
            parts(sentence).into_iter().map(of).collect()
        };
        assert_eq!(shown("Look at `ip xfrm state`."), ["Look at ", "[ip xfrm state]", "."]);
        assert_eq!(shown("`a` or `b`"), ["[a]", " or ", "[b]"]);
        assert_eq!(shown("a ` alone"), ["a ` alone"]);
        assert_eq!(shown(""), [""; 0]);
    }

    #[test]
    fn times_are_written_for_people() {
        let now = Stamp::from_secs(1_763_781_120);
        assert_eq!(
            with_times(
                "wan1: outage since 2025-11-22T03:12:12.345Z, 3 of 4 affected (since 2025-11-21T03:12:12Z)",
                now
            ),
            "wan1: outage since 03:12:12 UTC, 3 of 4 affected (since 2025-11-21 03:12:12 UTC)"
        );
        assert_eq!(with_times("Büro 2025-11-22 is  no time", now), "Büro 2025-11-22 is  no time");
    }
}
