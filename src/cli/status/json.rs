//! JSON on a terminal: characters that could control it are escaped, which changes no value.

use std::fmt::Write as _;

use crate::cli::layout::is_control;

/// The JSON text. Characters that could control a terminal stand inside strings only.
pub(super) fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        // White space between values; inside strings serde_json escapes it.
        if is_control(c) && !matches!(c, '\n' | '\r' | '\t') {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_control_a_terminal_is_escaped_and_means_the_same() {
        let name = "Milan \u{9b}2J\u{202e} Zürich 東京\u{7f}\n";
        let json = serde_json::to_string(&[name]).unwrap();
        assert!(json.contains('\u{9b}'), "serde_json leaves it");
        let text = escaped(&json);
        assert!(!text.contains(['\u{9b}', '\u{202e}', '\u{7f}']) && text.contains("Zürich 東京"), "{text}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap(), [name]);
    }
}
