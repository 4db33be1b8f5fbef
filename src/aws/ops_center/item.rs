//! OpsItems as OpsCenter answers them (AWS JSON 1.1), and the conversion to and from our terms.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::aws::by_hand::ErrorAnswer;
use crate::aws::guard::Json;
use crate::domain::time::Stamp;
use crate::incident::sink::{
    DESCRIPTION_MAX, Note, Record, RecordId, RecordOrigin, RecordScope, RecordStatus, StartRequest,
};

/// The key of operational data with an item's scope and kind.
pub(super) const SCOPE: &str = "bothends-scope";
/// The statuses of an item that is being handled. All others count as closed.
pub(super) const OPEN: [&str; 2] = ["Open", "InProgress"];

/// Whether an answer names an OpsItem (API Reference, `OpsItemId`: `^(oi)-[0-9a-f]{12}$`). Anything else is invalid, and must
/// never be put in a request.
pub(super) fn is_item(id: &str) -> bool {
    id.strip_prefix("oi-").is_some_and(|hex| {
        hex.len() == 12 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// An OpsItem, in full or from a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: RecordId,
    pub(super) arn: Option<String>,
    pub(super) status: RecordStatus,
    pub(super) source: String,
    /// `None` where a list does not show it.
    pub(super) scope: Option<String>,
    pub(super) data: BTreeMap<String, String>,
    pub(super) related: Vec<String>,
    /// The title for display, in OpsCenter's words.
    pub(super) title: String,
    pub(super) description: String,
    pub(super) severity: String,
    pub(super) status_text: String,
    created: Stamp,
}

impl Item {
    /// `None` if it is not an item.
    pub(super) fn read(item: &Value) -> Option<Self> {
        let text = |member: &str| item[member].as_str().map(str::to_owned);
        let pairs = item["OperationalData"].as_object().into_iter().flatten();
        let data: BTreeMap<String, String> = pairs
            .filter_map(|(key, value)| Some((key.clone(), value["Value"].as_str()?.to_owned())))
            .collect();
        let related = item["RelatedOpsItems"].as_array().into_iter().flatten();
        Some(Self {
            id: RecordId(text("OpsItemId").filter(|id| is_item(id))?),
            arn: text("OpsItemArn"),
            status: record_status(item["Status"].as_str()),
            source: text("Source").unwrap_or_default(),
            scope: data.get(SCOPE).cloned(),
            related: related.filter_map(|item| item["OpsItemId"].as_str().map(str::to_owned)).collect(),
            data,
            title: text("Title").unwrap_or_default(),
            description: text("Description").unwrap_or_default(),
            severity: text("Severity").unwrap_or_default(),
            status_text: text("Status").unwrap_or_default(),
            created: stamp(&item["CreatedTime"]),
        })
    }

    pub(super) fn record(&self) -> Record {
        let (id, status, created) = (self.id.clone(), self.status, self.created);
        Record { id, status, created, origin: RecordOrigin::Daemon }
    }
}

/// The value under [`SCOPE`].
pub(super) fn scope_value(scope: &RecordScope) -> String {
    let test = if scope.is_drill() { "drill/" } else { "" };
    format!("{test}{}/{}", scope.of, scope.kind.as_str())
}

/// A status other than open or in progress counts as closed. An item without a status counts as open: one shown once too often is
/// noticed, a lost one is not.
fn record_status(text: Option<&str>) -> RecordStatus {
    if text.is_none_or(|text| OPEN.contains(&text)) { RecordStatus::Open } else { RecordStatus::Resolved }
}

/// Seconds since 1970, with a fraction.
fn stamp(value: &Value) -> Stamp {
    let millis = value.as_f64().unwrap_or_default() * 1000.0;
    let millis = millis.clamp(0.0, 1e14);
    #[expect(clippy::cast_possible_truncation, reason = "times of OpsItems are far from the ends of an i64")]
    Stamp::from_millis(millis as i64)
}

/// The account in an ARN, if it has one.
pub(super) fn account(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}

/// Parses an error answer: `__type` may have a namespace in front, and `message` is spelt in two ways.
pub(super) fn error(body: &[u8]) -> Option<ErrorAnswer> {
    let body: Value = serde_json::from_slice(body).ok().filter(|_| Json::is_plausible(body))?;
    let code = body["__type"].as_str()?.rsplit('#').next()?.to_owned();
    let message = body["Message"].as_str().or_else(|| body["message"].as_str()).unwrap_or_default();
    let existing = (code == "OpsItemAlreadyExistsException").then(|| body["OpsItemId"].as_str()).flatten();
    let existing = existing.filter(|id| is_item(id));
    Some(ErrorAnswer { code, message: message.to_owned(), existing: existing.map(str::to_owned) })
}

//--- our terms in OpsCenter's, within the lengths of its API Reference (`CreateOpsItem`)

const TITLE_MAX: usize = 1024;
const DEDUP_MAX: usize = 64;
/// A value of operational data has at most 20 KB.
const VALUE_MAX: usize = 20_000;
/// OpsCenter's severities are 1 to 4; "no impact" is the lowest.
const SEVERITY_LAST: u8 = 4;

/// The key of the closing summary.
pub(super) const SUMMARY: &str = "bothends-summary";
const EVIDENCE: &str = "bothends-evidence";
const SITE: &str = "bothends-site";

/// A `CreateOpsItem` request.
pub(super) fn create(start: &StartRequest, site: &str, resource: Option<&str>) -> Value {
    let StartRequest { scope, title, impact, triggered: _, description, raw_data, client_token: _ } = start;
    let dedup = json!({ "dedupString": dedup_string(scope) }).to_string();
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

/// A deduplication string has at most 64 characters: a connection's fits, and a parent's may have to be a hash.
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/OpsCenter-working-deduplication.html>
fn dedup_string(scope: &RecordScope) -> String {
    let whole = format!("bothends/{}", scope_value(scope));
    if whole.len() <= DEDUP_MAX && whole.is_ascii() {
        return whole;
    }
    let digest = Sha256::digest(&whole);
    let hash: String = digest.iter().take(24).map(|byte| format!("{byte:02x}")).collect();
    format!("bothends/{hash}")
}

/// The description that people see first.
pub(super) fn description(text: &str) -> String {
    cut(text, DESCRIPTION_MAX)
}

/// One text value of operational data.
pub(super) fn text(key: &str, value: &str) -> Value {
    json!({ key: { "Type": "String", "Value": cut(value, VALUE_MAX) } })
}

/// Operational data that names a related resource.
pub(super) fn resources(arn: &str) -> Value {
    json!({ "/aws/resources": searchable(&json!([{ "arn": arn }]).to_string()) })
}

/// The ARN with this account filled in.
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

/// A timeline with a note added; `None` if the note is there already. The mark at the end of a line identifies a note, because a
/// retry's text may differ. If it gets too long, the oldest lines after the first are dropped.
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

/// At most `max` bytes of a text, with a mark if it was cut.
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
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::domain::names::{Kind, VpnId};
    use crate::domain::scope::{ParentId, ParentKind, Scope};

    fn item(status: &str, data: Value) -> Item {
        let item = json!({
            "OpsItemId": "oi-0123456789ab", "Status": status, "Source": "bothends.outage",
            "CreatedTime": 1_795_341_600.25, "OperationalData": data,
        });
        Item::read(&item).unwrap()
    }

    #[test]
    fn only_an_items_id_names_an_item() {
        assert!(is_item("oi-0123456789ab"));
        for wrong in [
            "",
            "oi-",
            "oi-0123456789a",
            "oi-0123456789abc",
            "oi-0123456789AB",
            "0123456789ab",
            "oi-0123456789a/",
        ] {
            assert!(!is_item(wrong), "{wrong}");
            assert_eq!(Item::read(&json!({ "OpsItemId": wrong, "Status": "Open" })), None, "{wrong}");
            let body = json!({ "__type": "OpsItemAlreadyExistsException", "OpsItemId": wrong }).to_string();
            assert_eq!(error(body.as_bytes()).unwrap().existing, None, "{wrong}");
        }
    }

    #[test]
    fn an_item_is_open_until_its_status_is_a_closed_one() {
        for (text, status) in [
            ("Open", RecordStatus::Open),
            ("InProgress", RecordStatus::Open),
            ("Resolved", RecordStatus::Resolved),
            ("Closed", RecordStatus::Resolved),
        ] {
            assert_eq!(item(text, json!({})).record().status, status, "{text}");
        }
        assert_eq!(item("Open", json!({})).record().created, Stamp::from_millis(1_795_341_600_250));
    }

    #[test]
    fn an_error_is_parsed_with_and_without_a_namespace_and_names_the_existing_item() {
        let answer =
            error(br#"{"__type":"com.amazonaws.ssm#OpsItemNotFoundException","message":"gone"}"#).unwrap();
        assert_eq!((answer.code.as_str(), answer.message.as_str()), ("OpsItemNotFoundException", "gone"));
        let answer = error(
            br#"{"__type":"OpsItemAlreadyExistsException","Message":"there","OpsItemId":"oi-0123456789ab"}"#,
        );
        assert_eq!(answer.unwrap().existing.as_deref(), Some("oi-0123456789ab"));
        assert_eq!(error(b"<html>"), None);
    }

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
        let kept: Vec<_> = all.lines().map(|line| &line[21..22]).collect();
        assert_eq!((kept[0], kept[kept.len() - 1]), ("a", "z"));
        assert!(!kept.contains(&"b"), "{kept:?}");
    }

    #[test]
    fn an_arn_without_an_account_gets_it_and_one_with_an_account_keeps_it() {
        let arn = |account: &str| format!("arn:aws:ec2:eu-west-1:{account}:vpn-connection/vpn-0a");
        assert_eq!(resource(&arn(""), "123456789012"), Some(arn("123456789012")));
        assert_eq!(resource(&arn("210987654321"), "123456789012"), Some(arn("210987654321")));
        assert_eq!(resource("vpn-0a", "123456789012"), None);
    }

    #[test]
    fn a_deduplication_string_fits_and_differs_by_scope_and_kind() {
        let scope = |of: Scope, kind| RecordScope {
            of,
            kind,
            plan: String::new(),
            source: "bothends.outage".to_owned(),
            resource: String::new(),
        };
        let uplink = |site: &str| {
            let (kind, site, name) = (ParentKind::Uplink, site.into(), "wan1".into());
            Scope::Parent(ParentId { kind, site, name })
        };
        let vpn = Scope::Connection(VpnId::new("vpn-0123456789abcdef0"));
        let longest = dedup_string(&scope(vpn, Kind::RedundancyLost));
        assert_eq!(longest, "bothends/vpn-0123456789abcdef0/redundancy_lost");
        assert_eq!(
            dedup_string(&scope(uplink("milan-1"), Kind::Outage)),
            "bothends/uplink/milan-1/wan1/outage"
        );
        let (long, other) = ("m".repeat(100), "n".repeat(100));
        let strings: BTreeSet<String> = [&*long, &*other, "Z\u{fc}rich"]
            .into_iter()
            .flat_map(|site| {
                [Kind::Outage, Kind::RedundancyLost].map(|kind| dedup_string(&scope(uplink(site), kind)))
            })
            .collect();
        assert_eq!(strings.len(), 6);
        assert!(strings.iter().all(|text| text.is_ascii() && text.len() <= DEDUP_MAX), "{strings:?}");
    }

    #[test]
    fn a_text_is_cut_at_a_character() {
        assert_eq!(cut("Zürich", 7), "Zürich");
        assert_eq!(cut("Zürich", 5), "Z…");
        assert_eq!(cut("Zürich", 6), "Zü…");
    }
}
