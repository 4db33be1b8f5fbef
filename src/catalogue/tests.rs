//! Writes packaging/journal/bothends.catalog and the tables of docs/journal.md and docs/status.md, and holds the tables of the catalogue
//! to the records as they are.

mod samples;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use log::Level;

use super::code::{Code, CodeEntry};
use super::message_id::{Explanation, MessageId};
use super::rate_limit::{Allowance, LimitKey, RateLimit};
use super::record::JournalRecord;

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The entries of the catalog, by the id that follows the dashes; comments left out, as the journal leaves them out.
fn entries(catalog: &str) -> Vec<(&str, String)> {
    let mut entries: Vec<(&str, String)> = Vec::new();
    for line in catalog.lines().filter(|line| !line.starts_with(['#', ';'])) {
        match (line.strip_prefix("-- "), entries.last_mut()) {
            (Some(id), _) => entries.push((id, String::new())),
            (None, Some((_, text))) => _ = writeln!(text, "{line}"),
            (None, None) => assert_eq!(line, "", "before the first entry"),
        }
    }
    entries
}

fn name_of(id: &str) -> &'static str {
    MessageId::with_id(id).map_or_else(|| panic!("no record has the id {id}"), |kind| kind.name)
}

/// The names between at signs.
fn fields_used(text: &str) -> BTreeSet<&str> {
    let is_name = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    text.split('@').skip(1).step_by(2).filter(is_name).collect()
}

/// By kind: the levels at which its records come, the fields that all of them have, and those that some have.
#[derive(Debug, Default)]
struct Seen {
    levels: BTreeSet<Level>,
    always: BTreeSet<&'static str>,
    sometimes: BTreeSet<&'static str>,
}

fn seen() -> BTreeMap<&'static str, Seen> {
    let mut seen = BTreeMap::<_, Seen>::new();
    for JournalRecord { level, kind, message: _, fields } in samples::records() {
        let fields: BTreeSet<_> = fields.iter().map(|(name, _)| *name).collect();
        let first = !seen.contains_key(kind.name);
        let Seen { levels, always, sometimes } = seen.entry(kind.name).or_default();
        levels.insert(level);
        if first {
            *always = fields;
        } else {
            sometimes.extend(always.symmetric_difference(&fields));
            always.retain(|name| fields.contains(name));
        }
    }
    seen
}

#[test]
fn every_kind_of_record_has_one_entry_in_the_catalog_and_no_entry_is_left_over() {
    let catalog = written();
    let found: Vec<_> = entries(&catalog).iter().map(|(id, _)| name_of(id)).collect();
    let kinds: Vec<_> = MessageId::all().map(|kind| kind.name).collect();
    assert_eq!(found, kinds);
}

#[test]
fn every_entry_has_a_head_and_a_text_that_a_tired_person_can_read() {
    let catalog = written();
    for (id, entry) in entries(&catalog) {
        let name = name_of(id);
        assert!(catalog.contains(&format!("\n\n# {name}\n-- {id}\n")), "{name} is not named above its entry");
        let (head, text) = entry.split_once("\n\n").unwrap_or_else(|| panic!("{name} has no text"));
        let head: Vec<_> = head.lines().map(|line| line.split_once(": ").unwrap().0).collect();
        assert_eq!(head, ["Subject", "Defined-By", "Support", "Documentation"], "{name}");
        let lines = text.trim_end().lines().count();
        assert!((1..=18).contains(&lines), "{name} has {lines} lines");
    }
    for line in catalog.lines() {
        assert!(line.chars().count() <= 100, "longer than 100 columns: {line}");
    }
    // One that goes on in the next line says so to the shell, too.
    for line in catalog.replace("\\\n", "").lines() {
        assert_eq!(line.matches('`').count() % 2, 0, "a command is broken: {line}");
    }
}

#[test]
fn every_field_that_an_entry_shows_is_in_every_record_of_its_kind() {
    for (id, entry) in entries(&written()) {
        let kind = MessageId::with_id(id).unwrap();
        for field in fields_used(&entry) {
            assert!(kind.fields.contains(&field), "not every {} has {field}", kind.name);
        }
    }
}

#[test]
fn records_come_with_the_fields_and_at_the_levels_that_the_table_says_and_there_is_a_sample_of_each() {
    let seen = seen();
    for kind in MessageId::all().filter(|kind| *kind != MessageId::LIBRARY_NOTICE) {
        let Seen { levels, always, sometimes } =
            seen.get(kind.name).unwrap_or_else(|| panic!("there is no sample of {}", kind.name));
        let set = |fields: &[&'static str]| fields.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(*always, set(kind.fields), "what every {} has", kind.name);
        assert_eq!(*sometimes, set(kind.some_fields), "what some {} have", kind.name);
        assert_eq!(*levels, kind.levels.iter().copied().collect(), "{}", kind.name);
    }
}

#[test]
fn a_record_has_the_fields_that_name_its_subject() {
    for kind in MessageId::all() {
        match kind.limit {
            RateLimit::Unlimited => {}
            // What happened to what differs from kind to kind; what a library gives is not ours.
            RateLimit::By(LimitKey::Happening | LimitKey::Library) => {}
            RateLimit::By(key) => {
                for field in key.fields() {
                    assert!(kind.fields.contains(field), "not every {} has {field}", kind.name);
                }
            }
        }
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "notice",
        Level::Debug | Level::Trace => "debug",
    }
}

fn table() -> String {
    let mut text =
        String::from("| record | level | rate limit | meaning | fields |\n|---|---|---|---|---|\n");
    for MessageId { name, id, levels, limit, meaning, fields, some_fields, explanation: _ } in
        MessageId::all()
    {
        let levels: Vec<_> = levels.iter().map(|of| level(*of)).collect();
        let limit = match limit {
            RateLimit::Unlimited => "none".to_owned(),
            RateLimit::By(key) => {
                let Allowance { burst, period } = key.allowance();
                format!("{burst}, then 1 in {} min", period.as_secs() / 60)
            }
        };
        let always = fields.iter().map(|field| format!("`{field}`"));
        let sometimes = some_fields.iter().map(|field| format!("(`{field}`)"));
        let fields: Vec<_> = always.chain(sometimes).collect();
        writeln!(
            text,
            "| `{name}` `{id}` | {} | {limit} | {meaning} | {} |",
            levels.join(", "),
            fields.join(" ")
        )
        .unwrap();
    }
    text
}

#[test]
fn the_page_on_the_journal_holds_this_table() {
    held("docs/journal.md", "| record | level |", &table());
}

/// Holds a table of a page, which begins with this head, to what it should be. `BOTHENDS_WRITE=1` writes it.
pub(crate) fn held(path: &str, head: &str, table: &str) {
    let text = page(path);
    let begin = text.find(head).unwrap_or_else(|| panic!("{path} has no table that begins with {head:?}"));
    let end = text[begin..].find("\n\n").map_or(text.len(), |end| begin + end + 1);
    if std::env::var_os("BOTHENDS_WRITE").is_some() {
        let text = format!("{}{table}{}", &text[..begin], &text[end..]);
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), text).unwrap();
        return;
    }
    assert_eq!(
        &text[begin..end],
        table,
        "{path} is out of date: BOTHENDS_WRITE=1 cargo test --lib catalogue"
    );
}

/// Lines of at most 97 columns.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    // A command stays in one line.
    let mut words: Vec<String> = Vec::new();
    let mut quoted = false;
    for word in text.split(' ') {
        match words.last_mut() {
            Some(last) if quoted => *last = format!("{last} {word}"),
            _ => words.push(word.to_owned()),
        }
        quoted ^= word.matches('`').count() % 2 == 1;
    }
    for word in words {
        let line = lines.last_mut().unwrap();
        if line.is_empty() {
            *line = word;
        } else if line.chars().count() + 1 + word.chars().count() <= 97 {
            line.push_str(&format!(" {word}"));
        } else {
            lines.push(word);
        }
    }
    lines.join("\n")
}

/// What an entry says, without its head.
fn explained(kind: MessageId) -> (String, String) {
    match kind.explanation {
        Explanation::Of { subject, runbook } => (subject.to_owned(), runbook.to_owned()),
        Explanation::Problem(code) => {
            let CodeEntry { title, meaning, first_step, fields, .. } = code.entry();
            let first_step = match fields.contains(&"VPN_ID") {
                true => first_step.replace("VPN_ID", "@VPN_ID@"),
                false => (*first_step).to_owned(),
            };
            let text = format!(
                "@ERROR@\n{}\n{}\nAll open problems: `curl 127.0.0.1:9846/readyz`, `bothends status`.\n",
                wrapped(meaning),
                wrapped(&format!("First: {first_step}"))
            );
            (format!("{title} (@COMPONENT@)"), text)
        }
    }
}

/// The catalog, as it should be.
fn written() -> String {
    let mut text = "# What bothends' journal records mean, for `journalctl -x`. It belongs in /usr/lib/systemd/catalog;\n\
        # then `journalctl --update-catalog`. Fields between at signs are filled in from the record.\n\
        # Generated from src/catalogue by `BOTHENDS_WRITE=1 cargo test --lib catalogue`.\n"
        .to_owned();
    for kind in MessageId::all() {
        let (subject, runbook) = explained(kind);
        write!(
            text,
            "\n# {}\n-- {}\nSubject: {subject}\nDefined-By: bothends\nSupport: man:bothends(1)\n\
             Documentation: man:bothends(1)\n\n{runbook}",
            kind.name, kind.id
        )
        .unwrap();
    }
    text
}

#[test]
fn the_catalog_is_the_one_that_the_tables_give() {
    let written = written();
    if std::env::var_os("BOTHENDS_WRITE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/journal/bothends.catalog");
        std::fs::write(path, written).unwrap();
        return;
    }
    assert!(
        page("packaging/journal/bothends.catalog") == written,
        "the catalog is out of date: BOTHENDS_WRITE=1 cargo test --lib catalogue"
    );
}

fn problems() -> String {
    let mut text = String::from(
        "| code | severity | what is wrong | first step | not shown beside |\n|---|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let CodeEntry { word, severity, fails_after, title, meaning, first_step, behind, .. } = code.entry();
        let behind: Vec<_> = behind.iter().map(|cause| format!("`{}`", cause.entry().word)).collect();
        let behind = behind.join(", ");
        let severity = match fails_after {
            None => severity.as_str().to_owned(),
            Some(after) => format!("{}, after {} min failed", severity.as_str(), after.as_secs() / 60),
        };
        writeln!(text, "| `{word}` | {severity} | {title}. {meaning} | {first_step} | {behind} |").unwrap();
    }
    text
}

#[test]
fn the_page_on_status_holds_the_table_of_problems() {
    held("docs/status.md", "| code | severity |", &problems());
}

/// The kinds of which this host has one subject at a time, or whose subjects may share an allowance, with the reason.
const ONE_SUBJECT: &[(MessageId, &str)] = &[
    (MessageId::TLS_FALLBACK, "what is in the way is in the way of all"),
    (MessageId::RESUMED, "a host"),
    (MessageId::ADDRESS_UNKNOWN, "a host votes for one address"),
    (MessageId::METRICS_TOO_OLD, "all minutes; a metric counts them"),
    (MessageId::METRICS_IN_FUTURE, "all minutes; a metric counts them"),
    (MessageId::STORE_DAMAGED, "a file"),
    (MessageId::STORE_FILE_REPLACED, "a file"),
    (MessageId::STORE_FULL, "a file"),
    (MessageId::CONTROL_SOCKET_FAILING, "a socket"),
];

#[test]
fn two_subjects_of_a_kind_share_no_allowance() {
    let subject = |record: &JournalRecord| {
        let RateLimit::By(key) = record.kind.limit else { panic!("{} has no limit", record.kind.name) };
        let value = |field: &&'static str| {
            record.fields.iter().find(|(name, _)| name == field).map(|(_, value)| value.clone())
        };
        key.fields().iter().map(value).collect::<Vec<_>>()
    };
    let mut tested: BTreeSet<_> = ONE_SUBJECT.iter().map(|(kind, _)| kind.name).collect();
    for [one, other] in samples::of_two_subjects() {
        assert_eq!(one.kind, other.kind);
        assert_ne!(
            subject(&one),
            subject(&other),
            "{}: {} and {}",
            one.kind.name,
            one.message,
            other.message
        );
        tested.insert(one.kind.name);
    }
    for kind in MessageId::all().filter(|kind| kind.limit == RateLimit::By(LimitKey::Happening)) {
        assert!(tested.contains(kind.name), "{}: samples::of_two_subjects has none", kind.name);
    }
}
