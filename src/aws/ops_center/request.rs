//! Our terms in OpsCenter's, within the lengths of its API Reference (`CreateOpsItem`).

use serde_json::{Map, Value, json};

use super::item::{SCOPE, scope_value};
use crate::domain::time::Stamp;
use crate::incident::sink::{DESCRIPTION_MAX, Note, StartRequest};

const TITLE_MAX: usize = 1024;
/// A value of operational data may have 20 KB.
const VALUE_MAX: usize = 20_000;
/// OpsCenter's severities go from 1 to 4; "no impact" is its lowest.
const SEVERITY_LAST: u8 = 4;

/// The key of what an item says when it is closed.
pub(super) const SUMMARY: &str = "bothends-summary";
const EVIDENCE: &str = "bothends-evidence";
const SITE: &str = "bothends-site";

/// A `CreateOpsItem` request.
pub(super) fn create(start: &StartRequest, site: &str, resource: Option<&str>) -> Value {
    let StartRequest { scope, title, impact, triggered: _, description, raw_data, client_token: _ } = start;
    // At most 64 characters.
    let dedup = json!({ "dedupString": format!("bothends/{}", scope_value(scope)) }).to_string();
    let mut data = Map::new();
    data.insert("/aws/dedup".to_owned(), searchable(&dedup));
    data.insert(SCOPE.to_owned(), searchable(&scope_value(scope)));
    for (key, value) in [(SITE, site), (EVIDENCE, raw_data)] {
        if !value.trim().is_empty() {
            data.insert(key.to_owned(), json!({ "Type": "String", "Value": value }));
        }
    }
    if let Some(Value::Object(resources)) = resource.map(resources) {
        data.extend(resources);
    }
    json!({
        "Title": cut(title, TITLE_MAX),
        "Description": self::description(if description.is_empty() { title } else { description }),
        "Source": scope.source,
        "Category": "Availability",
        "Severity": (*impact).min(SEVERITY_LAST).to_string(),
        "Priority": impact,
        "OperationalData": data,
    })
}

/// What people read first.
pub(super) fn description(text: &str) -> String {
    cut(text, DESCRIPTION_MAX)
}

/// Operational data with one text.
pub(super) fn text(key: &str, value: &str) -> Value {
    json!({ key: { "Type": "String", "Value": cut(value, VALUE_MAX) } })
}

/// Operational data that names a resource as related.
pub(super) fn resources(arn: &str) -> Value {
    json!({ "/aws/resources": searchable(&json!([{ "arn": arn }]).to_string()) })
}

/// The ARN with this account in the place of none.
pub(super) fn resource(arn: &str, account: &str) -> Option<String> {
    let mut fields: Vec<&str> = arn.splitn(6, ':').collect();
    let known = fields.get_mut(4)?;
    if known.is_empty() {
        *known = account;
    }
    Some(fields.join(":"))
}

fn searchable(value: &str) -> Value {
    json!({ "Type": "SearchableString", "Value": value })
}

pub(super) fn timeline_key(site: &str) -> String {
    format!("bothends-timeline {site}")
}

/// A timeline with a note added; `None` if the note is there. The mark at a line's end is what it is known by, because a
/// retry's words may differ. What does not fit costs the oldest lines but the first.
pub(super) fn timeline(before: &str, note: &Note) -> Option<String> {
    let mark = format!("#{}", note.client_token.get(..12).unwrap_or(&note.client_token));
    let mut lines: Vec<String> = before.lines().map(str::to_owned).collect();
    if lines.iter().any(|line| line.ends_with(&mark)) {
        return None;
    }
    lines.push(format!("{} {} {mark}", time(note.at), note.text.replace('\n', "; ")));
    let length = |lines: &[String]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
    while length(&lines) > VALUE_MAX && lines.len() > 2 {
        lines.remove(1);
    }
    Some(lines.join("\n"))
}

/// ISO 8601, in UTC.
pub(super) fn time(at: Stamp) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(time) => time.to_string(),
        Err(_) => at.as_millis().to_string(),
    }
}

/// At most `max` bytes of a text, with a sign that there was more.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let room = max.saturating_sub('…'.len_utf8());
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str, token: &str) -> Note {
        Note { at: Stamp::from_secs(1_795_341_600), text: text.to_owned(), client_token: token.repeat(64) }
    }

    #[test]
    fn a_note_is_a_line_and_the_same_note_is_none() {
        let first = timeline("", &note("milan-1: tunnel 2: down at both ends", "a")).unwrap();
        assert_eq!(first, "2026-11-22T10:00:00Z milan-1: tunnel 2: down at both ends #aaaaaaaaaaaa");
        let second = timeline(&first, &note("plain", "b")).unwrap();
        assert_eq!(second.lines().count(), 2);
        assert_eq!(timeline(&second, &note("other words of the same", "a")), None);
    }

    #[test]
    fn a_timeline_that_grows_too_long_loses_its_second_line_first() {
        let mut all = String::new();
        for token in 'a'..='z' {
            all = timeline(&all, &note(&format!("{token}{}", "x".repeat(1000)), &token.to_string())).unwrap();
        }
        assert!(all.len() <= VALUE_MAX, "{}", all.len());
        let told: Vec<_> = all.lines().map(|line| &line[21..22]).collect();
        assert_eq!((told[0], told[told.len() - 1]), ("a", "z"));
        assert!(!told.contains(&"b"), "{told:?}");
    }

    #[test]
    fn an_arn_without_an_account_gets_it_and_one_with_an_account_keeps_it() {
        let arn = |account: &str| format!("arn:aws:ec2:eu-west-1:{account}:vpn-connection/vpn-0a");
        assert_eq!(resource(&arn(""), "123456789012"), Some(arn("123456789012")));
        assert_eq!(resource(&arn("210987654321"), "123456789012"), Some(arn("210987654321")));
        assert_eq!(resource("vpn-0a", "123456789012"), None);
    }

    #[test]
    fn a_text_is_cut_at_a_character() {
        assert_eq!(cut("Zürich", 7), "Zürich");
        assert_eq!(cut("Zürich", 5), "Z…");
        assert_eq!(cut("Zürich", 6), "Zü…");
    }
}
