//! What an invalid value was most likely meant to be, and which invisible characters a text holds. The mistakes are those of
//! tools: converters, word processors, `ip link`.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::quantity::{self, ShownDuration};

/// Typographic quotes of word processors, wikis and chats.
const TYPOGRAPHIC: [char; 13] = [
    '\u{201c}', '\u{201d}', '\u{201e}', '\u{201f}', '\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}', '\u{ab}',
    '\u{bb}', '\u{2033}', '\u{b4}', '`',
];

/// Words for true and false in other formats.
const FLAGS: [(&str, bool); 10] = [
    ("yes", true),
    ("on", true),
    ("y", true),
    ("1", true),
    ("true", true),
    ("no", false),
    ("off", false),
    ("n", false),
    ("0", false),
    ("false", false),
];

/// A hint on a line that is not TOML, if the cause is a character or a word that TOML does not know.
pub(super) fn of_line(line: &str) -> Option<String> {
    of_characters(line).or_else(|| {
        let (_, value) = line.split_once('=')?;
        let word = value.split('#').next().unwrap_or_default().trim();
        if let Some(flag) = flag_of(word) {
            return Some(format!("write {flag} for {word}"));
        }
        let is_word = word.starts_with(|c: char| c.is_ascii_alphanumeric())
            && !word.contains(['"', '\'', ',', '[', '{']);
        is_word.then(|| "text stands in quotes, a duration or an address as well".to_owned())
    })
}

/// `true` or `false` in another spelling.
fn flag_of(word: &str) -> Option<bool> {
    FLAGS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, flag)| *flag)
}

/// A hint on a text that is no flag.
pub(super) fn of_flag(text: &str) -> Option<String> {
    flag_of(text.trim()).map(|flag| format!("write {flag}"))
}

/// A hint on the line, counted from 1, that repeats a key or table of the text.
pub(super) fn of_duplicate(text: &str, line: usize) -> Option<String> {
    let name = |line: &str| {
        let (outside, _) = outside_quotes(line);
        let name = if outside.trim_start().starts_with('[') { &outside } else { line.split_once('=')?.0 };
        Some(name.trim().to_owned())
    };
    let lines: Vec<&str> = text.lines().take(line).collect();
    let (here, before) = lines.split_last()?;
    let again = name(here)?;
    let is_table = again.starts_with('[');
    let mut before = before.iter().enumerate().rev();
    // A key is searched for in its own table only.
    let mut within = before.by_ref().take_while(|(_, line)| is_table || !line.trim_start().starts_with('['));
    let (first, _) = within.find(|(_, line)| name(line).as_ref() == Some(&again))?;
    Some(format!(
        "{again} stands on line {} already: {}",
        first + 1,
        if is_table { "put all of its keys there" } else { "delete one of the two" }
    ))
}

/// A hint on a number that should be a duration.
pub(super) fn of_bare_duration(number: impl fmt::Display) -> String {
    format!("if seconds are meant, write \"{number}s\"")
}

/// A hint on a text that is no duration.
pub(super) fn of_duration(text: &str) -> Option<String> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(of_bare_duration(text));
    }
    let Some(at) = text.find(|c: char| !c.is_ascii_digit() && c != '.') else { return of_text(text) };
    let (number, unit) = text.split_at(at);
    match (number.parse::<f64>(), quantity::duration_unit(unit.trim())) {
        (Ok(number), Some(unit)) if number.fract() != 0.0 => {
            let meant =
                Duration::try_from_secs_f64((unit.as_secs_f64() * number * 1e3).round() / 1e3).ok()?;
            Some(format!("whole numbers only: write \"{}\"", ShownDuration(meant)))
        }
        (Ok(_), None) => Some("the units are d, h, m, s and ms".to_owned()),
        _ => of_text(text),
    }
}

/// A hint on a line that is not TOML, if the cause is a character.
fn of_characters(line: &str) -> Option<String> {
    let (outside, unclosed) = outside_quotes(line);
    let suspects = if unclosed { line } else { &outside };
    let quote = suspects.chars().find(|c| TYPOGRAPHIC.contains(c));
    let unseen = suspects.chars().find(|c| is_odd_space(*c) || is_hidden(*c));
    if let Some(quote) = quote {
        return Some(format!("{} is a typographic quote; TOML needs straight quotes: \" or '", named(quote)));
    }
    let unseen = unseen?;
    let what =
        if is_odd_space(unseen) { "a space that TOML does not accept" } else { "an invisible character" };
    Some(format!("the line contains {what}, {}: delete it or type it again", named(unseen)))
}

/// The part of a line outside straight quotes and comments, and whether its last quote is open.
fn outside_quotes(line: &str) -> (String, bool) {
    let mut outside = String::new();
    let mut open = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (open, c) {
            (None, '#') => break,
            (None, '"' | '\'') => open = Some(c),
            (None, c) => outside.push(c),
            (Some('"'), '\\') => {
                chars.next();
            }
            (Some(quote), c) if c == quote => open = None,
            (Some(_), _) => {}
        }
    }
    (outside, open.is_some())
}

/// A hint on a text that is not allowed.
pub(super) fn of_text(text: &str) -> Option<String> {
    if let Some(hidden) = text.chars().find(|c| is_hidden(*c) && !c.is_control()) {
        return Some(format!("it contains an invisible character, {}: delete it", named(hidden)));
    }
    if let Some(space) = text.chars().find(|c| is_odd_space(*c)) {
        return Some(format!("it contains {}: replace it with a plain space", named(space)));
    }
    if let Some(quote) = text.chars().find(|c| TYPOGRAPHIC.contains(c)) {
        return Some(format!("{} is part of the value: delete it", named(quote)));
    }
    (text.trim() != text).then(|| "remove the spaces around it".to_owned())
}

/// A hint on an invalid interface name. `ip link` writes `vti1@NONE` and `vti1:`, and an old label is `eth0:1`.
pub(super) fn of_interface(text: &str) -> Option<String> {
    let name = text.trim();
    for (mark, what) in [
        ('@', "is not part of the name: `ip link` shows the underlying device there"),
        (':', "is not part of the name"),
    ] {
        if let Some((name, _)) = name.split_once(mark) {
            return Some(format!("the part from {mark:?} on {what}; write {name:?}"));
        }
    }
    if name.chars().count() > 15 && name.bytes().all(|b| b.is_ascii_graphic()) {
        return Some("an alternative name (altname) may be longer, but sockets take only the name that `ip link` shows first".to_owned());
    }
    of_text(text)
}

/// A hint on a text that is not the address of one host.
pub(super) fn of_address(text: &str) -> Option<String> {
    let bare = text.split(['/', '%']).next().unwrap_or_default().trim();
    match bare.parse::<IpAddr>() {
        Ok(address) if bare != text && of_text(text).is_none() => Some(format!("write \"{address}\"")),
        Ok(_) | Err(_) => of_text(text),
    }
}

/// A hint on a number that is not a whole number within its range; `written` is its form in the file.
pub(super) fn of_float(number: f64, written: &str) -> String {
    let point = if written.contains(['e', 'E']) { "with an exponent" } else { "with a decimal point" };
    if number.fract() == 0.0 && number.abs() < 1e15 {
        format!("found {written}, a number {point}: write {number:.0}")
    } else {
        format!("found {written}, a number {point}")
    }
}

/// Whether a character is invisible and can make a text look different from what it is: control characters; those that change
/// the reading direction (Unicode Standard Annex 9, section 2), which can make a name look like its reverse; zero-width spaces,
/// line separators, and tags. Joiners are allowed: some scripts need them.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

const fn is_odd_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// A character by its code, and itself where it is visible.
fn named(c: char) -> String {
    let code = format!("U+{:04X}", u32::from(c));
    match c {
        '\u{a0}' => format!("a non-breaking space ({code})"),
        '\u{feff}' => format!("a byte order mark ({code})"),
        c if is_hidden(c) || c.is_whitespace() => code,
        c => format!("{c} ({code})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_toml_is_explained_by_what_it_holds_outside_straight_quotes() {
        for (line, says) in [
            ("region = “eu-west-1”", "“ (U+201C) is a typographic quote"),
            ("region = „eu-west-1“", "„ (U+201E) is a typographic quote"),
            ("region = ‘eu-west-1’", "‘ (U+2018) is a typographic quote"),
            ("region = «eu-west-1»", "« (U+00AB) is a typographic quote"),
            ("region = `eu-west-1`", "` (U+0060) is a typographic quote"),
            ("region = \"eu-west-1”", "” (U+201D) is a typographic quote"),
            ("region\u{a0}= \"eu-west-1\"", "a non-breaking space (U+00A0)"),
            ("region\u{3000}= \"eu-west-1\"", "a space that TOML does not accept, U+3000"),
            ("\u{200b}region = \"eu-west-1\"", "an invisible character, U+200B"),
            ("\u{feff}region = \"eu-west-1\"", "a byte order mark (U+FEFF)"),
        ] {
            let hint = of_line(line);
            assert!(hint.as_deref().is_some_and(|hint| hint.contains(says)), "{line}: {hint:?}");
        }
        for (line, says) in [
            ("ec2_telemetry = yes", "write true for yes"),
            ("enabled = Off # for now", "write false for Off"),
            ("enabled = True", "write true for True"),
            ("interval = 1s", "in quotes"),
            ("region = eu-west-1", "in quotes"),
        ] {
            assert!(of_line(line).is_some_and(|hint| hint.contains(says)), "{line}: {:?}", of_line(line));
        }
        for line in ["", "[[vpn]", "name = \"the “big” one\" x", "kinds = [a, b]", "name = 'a\u{a0}b' y"]
        {
            assert_eq!(of_line(line), None, "{line}");
        }
    }

    #[test]
    fn a_duration_is_led_to_whole_numbers_with_units() {
        for (text, hint) in [
            ("1", Some("if seconds are meant, write \"1s\"")),
            ("1.5s", Some("whole numbers only: write \"1s500ms\"")),
            ("0.5m", Some("whole numbers only: write \"30s\"")),
            ("1.5 h", Some("whole numbers only: write \"1h30m\"")),
            ("5 sec", Some("the units are d, h, m, s and ms")),
            ("5S", Some("the units are d, h, m, s and ms")),
            ("11s", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(of_duration(text).as_deref(), hint, "{text}");
        }
    }

    #[test]
    fn a_duplicate_is_reported_with_its_first_line() {
        let text = "[site]\nname = \"a\"\n[probe]\nname = 1\nup_after = 1\nname = 2\n[site] # again\n";
        assert_eq!(
            of_duplicate(text, 6).as_deref(),
            Some("name stands on line 4 already: delete one of the two")
        );
        assert_eq!(
            of_duplicate(text, 7).as_deref(),
            Some("[site] stands on line 1 already: put all of its keys there")
        );
        assert_eq!(of_duplicate(text, 5), None);
        assert_eq!(of_duplicate("", 1), None);
    }

    #[test]
    fn an_interface_as_other_tools_show_it_is_led_back_to_its_name() {
        for (text, name) in [
            ("vti1@NONE", "vti1"),
            ("t1@if3", "t1"),
            ("vti1:", "vti1"),
            ("eth0:1", "eth0"),
            ("vti1@NONE:", "vti1"),
        ] {
            let hint = of_interface(text).unwrap();
            assert!(
                hint.ends_with(&format!("write {name:?}")) && hint.contains("not part of the name"),
                "{hint}"
            );
        }
        assert_eq!(of_interface("vti1 ").as_deref(), Some("remove the spaces around it"));
        assert!(of_interface("enx0123456789ab0123").unwrap().contains("altname"));
        assert_eq!(of_interface(""), None);
    }

    #[test]
    fn an_address_loses_its_prefix() {
        assert_eq!(of_address("169.254.10.1/30").as_deref(), Some("write \"169.254.10.1\""));
        assert_eq!(of_address("fe80::1%eth0").as_deref(), Some("write \"fe80::1\""));
        assert_eq!(of_address("203.0.113.256"), None);
        assert_eq!(of_address(" 10.0.0.1").as_deref(), Some("remove the spaces around it"));
    }

    #[test]
    fn a_number_is_shown_as_it_stands() {
        assert_eq!(of_float(5.0, "5.0"), "found 5.0, a number with a decimal point: write 5");
        assert_eq!(of_float(1000.0, "1e3"), "found 1e3, a number with an exponent: write 1000");
        assert_eq!(of_float(0.5, "0.5"), "found 0.5, a number with a decimal point");
        assert_eq!(of_float(f64::INFINITY, "inf"), "found inf, a number with a decimal point");
    }
}
