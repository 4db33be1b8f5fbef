//! What AWS says in its own words, as it may be shown and kept: one line, bounded, and without characters that a terminal or a
//! browser would obey. Journal, `/status`, store and records get it no other way.

/// Longer than any StatusMessage that AWS documents (`IPSEC IS DOWN`, `2 BGP ROUTES`).
pub(super) const MESSAGE: usize = 200;

/// Longer than any error code of AWS's.
pub(super) const CODE: usize = 80;

/// At most so many characters of a text. What is left out is marked.
pub(super) fn line(text: &str, longest: usize) -> String {
    // A text may be megabytes, and what counts stands at its beginning; blanks that are joined cost it little.
    let head = text.chars().take(longest.saturating_mul(8));
    let shown: String = head.filter(|c| !is_invisible(*c)).map(|c| if breaks(c) { ' ' } else { c }).collect();
    let joined = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let whole = text.chars().nth(longest.saturating_mul(8)).is_none();
    match joined.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &joined[..end]),
        None if whole => joined,
        None => format!("{joined}…"),
    }
}

/// Line breaks, also Unicode's, and control characters.
fn breaks(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Direction marks and what else has no width (Unicode's Bidi_Control, zero-width characters, the byte order mark).
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{061c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_stays_as_it_is() {
        assert_eq!(line("IPSEC IS DOWN", MESSAGE), "IPSEC IS DOWN");
        assert_eq!(line("", MESSAGE), "");
    }

    #[test]
    fn a_text_without_end_is_cut_and_that_is_marked() {
        for endless in ["x", " x", "\u{202e}", "ß"] {
            let shown = line(&endless.repeat(1_000_000), 10);
            assert!(shown.chars().count() <= 11 && shown.ends_with('…'), "{shown}");
        }
    }

    #[test]
    fn what_a_terminal_or_a_browser_would_obey_is_taken_out() {
        assert_eq!(line("DOWN\r\n\u{1b}[31mUP\u{7}\u{85}\u{2028}end", MESSAGE), "DOWN [31mUP end");
        assert_eq!(line("a\u{202e}b\u{2066}c\u{200f}d\u{feff}e", MESSAGE), "abcde");
    }
}
