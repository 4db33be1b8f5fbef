//! Whether code writes texts for people that belong to the catalogue.

/// What writes to the journal past the catalogue.
const WRITERS: [&str; 8] = [
    "log::error!",
    "log::warn!",
    "log::info!",
    "log::debug!",
    "log::trace!",
    "log::log!",
    "logger().log(",
    "log::Record::builder",
];

/// The macros of these names are no others under any path: they can be imported.
const MACROS: [&str; 5] = ["error!(", "warn!(", "info!(", "debug!(", "trace!("];

/// What takes the arguments of a text from other rooms; the text itself is the catalogue's.
const REPORTS: [&str; 8] = [
    "Problem::",
    "Notice::",
    "StoreNotice::",
    "MetricsNotice::",
    "NoticeReason::",
    "LedgerUnreadable {",
    "Oddity::",
    "Detail::",
];

/// What this code, outside the catalogue, writes in its own words: a record past the catalogue, a kind of record by its id, or a
/// sentence as the argument of what it reports.
pub(crate) fn own_words(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for writer in WRITERS {
        found.extend(code.contains(writer).then(|| writer.to_owned()));
    }
    for name in MACROS {
        let is_call =
            |at: usize| !code[..at].ends_with(|c: char| c == '_' || c == ':' || c.is_alphanumeric());
        found.extend(code.match_indices(name).any(|(at, _)| is_call(at)).then(|| name.to_owned()));
    }
    for rest in code.split("MessageId::").skip(1) {
        // What a library says has no other kind.
        if !rest.starts_with("LIBRARY_NOTICE") && !rest.starts_with("with_id(") {
            found.push(format!("MessageId::{}", word(rest)));
        }
    }
    for report in REPORTS {
        for (at, _) in code.match_indices(report) {
            if code[..at].ends_with(|c: char| c == '_' || c.is_alphanumeric()) {
                continue;
            }
            let arguments = bracketed(&code[at..]);
            found.extend(sentence(arguments).map(|text| format!("{report} with \"{text}\"")));
        }
    }
    found
}

fn word(text: &str) -> &str {
    text.split(|c: char| c != '_' && !c.is_alphanumeric()).next().unwrap()
}

/// What stands between the first bracket and the one that closes it, if the bracket belongs to the path that the text begins with.
fn bracketed(text: &str) -> &str {
    let is_path = |c: char| c == '_' || c == ':' || c == ' ' || c.is_alphanumeric();
    let Some(begin) = text.find(|c| !is_path(c)).filter(|at| text[*at..].starts_with(['(', '{'])) else {
        return "";
    };
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in text[begin..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '{' | '[' if !quoted => depth += 1,
            ')' | '}' | ']' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return &text[begin..begin + at];
                }
            }
            _ => {}
        }
    }
    &text[begin..]
}

/// The first literal that is more than a word.
fn sentence(code: &str) -> Option<&str> {
    let is_sentence = |text: &&str| {
        text.split(' ').filter(|word| word.bytes().filter(u8::is_ascii_alphabetic).count() > 1).count() > 1
    };
    code.split('"').skip(1).step_by(2).find(is_sentence)
}

#[test]
fn a_record_that_is_written_past_the_catalogue_is_found() {
    for code in [
        "fn f() { log::warn!(\"the disk is slow\"); }",
        "use log::warn;\nfn f() { warn!(\"slow\"); }",
        "fn f() { log::logger().log(&record); }",
        "fn f() { log::log!(level, \"{text}\"); }",
        "fn f() { MessageId::STORE_FULL.record(text).emit() }",
    ] {
        assert!(!own_words(code).is_empty(), "{code}");
    }
    for code in [
        "fn f() { log::logger().flush(); }",
        "fn f() { Notice::Reloaded { vpns, tunnels }.record(site).emit(); }",
        "let kind = MessageId::with_id(id).unwrap_or(MessageId::LIBRARY_NOTICE);",
        "macro_rules! own_warn! { () => {} }",
    ] {
        assert_eq!(own_words(code), [""; 0], "{code}");
    }
}

#[test]
fn a_sentence_that_is_reported_is_found_and_a_word_or_an_error_is_not() {
    for code in [
        "health.set(component, Problem::of(Code::StoreFailing, format!(\"{error}: the disk is full\")));",
        "health.set(component, Problem::of(Code::StoreFailing, \"the disk is full\"));",
        "Notice::ConfigurationWarning { what: &format!(\"{key} is {{odd}} here\") }.record(None).emit();",
        "notices.push(StoreNotice::Unreadable { what: \"the second row\".to_owned() });",
    ] {
        assert_eq!(own_words(code).len(), 1, "{code}");
    }
    for code in [
        "health.set(component, Problem::of(Code::StoreFailing, error)); say(\"not to people of course\");",
        "Notice::FactsDropped { consumer: \"store\", count: lost }.record(None).emit();",
        "let text = \"two words\"; match notice { StoreNotice::Full => {} }",
        "MetricsNotice::Rejected { dimensions: named.join(\" \"), name }",
        "fn f(problem: Problem) -> bool { \"two words\".is_empty() }",
    ] {
        assert_eq!(own_words(code), [""; 0], "{code}");
    }
}
