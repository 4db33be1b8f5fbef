//! Reads what OpsCenter answers (AWS JSON 1.1).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::aws::api::ErrorAnswer;
use crate::aws::guard::Json;
use crate::domain::time::Stamp;
use crate::incident::sink::{Origin, Record, RecordId, RecordStatus, Scope};

/// The key of operational data that says which connection and kind an item is about.
pub(super) const SCOPE: &str = "bothends-scope";
/// The statuses of an item that people are on. All others are an end.
pub(super) const OPEN: [&str; 2] = ["Open", "InProgress"];

/// Whether an answer names an OpsItem (API Reference, `OpsItemId`: `^(oi)-[0-9a-f]{12}$`). Anything else is no answer, and must
/// never be put in a request.
pub(super) fn is_item(id: &str) -> bool {
    id.strip_prefix("oi-").is_some_and(|hex| {
        hex.len() == 12 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// An OpsItem, in full or as a list shows it.
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
    /// What people read of it, in OpsCenter's words.
    pub(super) title: String,
    pub(super) description: String,
    pub(super) severity: String,
    pub(super) said: String,
    created: Stamp,
}

impl Item {
    /// `None` if it is no item.
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
            status: status(item["Status"].as_str()),
            source: text("Source").unwrap_or_default(),
            scope: data.get(SCOPE).cloned(),
            related: related.filter_map(|item| item["OpsItemId"].as_str().map(str::to_owned)).collect(),
            data,
            title: text("Title").unwrap_or_default(),
            description: text("Description").unwrap_or_default(),
            severity: text("Severity").unwrap_or_default(),
            said: text("Status").unwrap_or_default(),
            created: stamp(&item["CreatedTime"]),
        })
    }

    pub(super) fn record(&self) -> Record {
        let (id, status, created) = (self.id.clone(), self.status, self.created);
        Record { id, status, created, origin: Origin::Daemon }
    }
}

/// What stands under [`SCOPE`].
pub(super) fn scope_value(scope: &Scope) -> String {
    let test = if scope.is_drill() { "drill/" } else { "" };
    format!("{test}{}/{}", scope.vpn, scope.kind.as_str())
}

/// Whatever is neither open nor in progress is an end. An item that does not say is taken for open: one that is shown once
/// too often is seen, a lost one is not.
fn status(said: Option<&str>) -> RecordStatus {
    if said.is_none_or(|said| OPEN.contains(&said)) { RecordStatus::Open } else { RecordStatus::Resolved }
}

/// Seconds since 1970, with a fraction.
fn stamp(value: &Value) -> Stamp {
    let millis = value.as_f64().unwrap_or_default() * 1000.0;
    let millis = millis.clamp(0.0, 1e14);
    #[expect(clippy::cast_possible_truncation, reason = "times of OpsItems are far from the ends of an i64")]
    Stamp::from_millis(millis as i64)
}

/// The account of an ARN, if it has one.
pub(super) fn account(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}

/// Reads an error answer: `__type` may be led by a namespace, `message` is written either way.
pub(super) fn error(body: &[u8]) -> Option<ErrorAnswer> {
    let body: Value = serde_json::from_slice(body).ok().filter(|_| Json::is_plausible(body))?;
    let code = body["__type"].as_str()?.rsplit('#').next()?.to_owned();
    let message = body["Message"].as_str().or_else(|| body["message"].as_str()).unwrap_or_default();
    let existing = (code == "OpsItemAlreadyExistsException").then(|| body["OpsItemId"].as_str()).flatten();
    let existing = existing.filter(|id| is_item(id));
    Some(ErrorAnswer { code, message: message.to_owned(), existing: existing.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(status: &str, data: Value) -> Item {
        let item = json!({
            "OpsItemId": "oi-0123456789ab", "Status": status, "Source": "bothends.outage",
            "CreatedTime": 1_795_341_600.25, "OperationalData": data,
        });
        Item::read(&item).unwrap()
    }

    #[test]
    fn only_an_items_id_is_a_name_of_an_item() {
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
    fn an_item_is_open_until_its_status_is_an_end() {
        for (said, status) in [
            ("Open", RecordStatus::Open),
            ("InProgress", RecordStatus::Open),
            ("Resolved", RecordStatus::Resolved),
            ("Closed", RecordStatus::Resolved),
        ] {
            assert_eq!(item(said, json!({})).record().status, status, "{said}");
        }
        assert_eq!(item("Open", json!({})).record().created, Stamp::from_millis(1_795_341_600_250));
    }

    #[test]
    fn an_error_is_read_with_and_without_a_namespace_and_names_what_is_there() {
        let said =
            error(br#"{"__type":"com.amazonaws.ssm#OpsItemNotFoundException","message":"gone"}"#).unwrap();
        assert_eq!((said.code.as_str(), said.message.as_str()), ("OpsItemNotFoundException", "gone"));
        let said = error(
            br#"{"__type":"OpsItemAlreadyExistsException","Message":"there","OpsItemId":"oi-0123456789ab"}"#,
        );
        assert_eq!(said.unwrap().existing.as_deref(), Some("oi-0123456789ab"));
        assert_eq!(error(b"<html>"), None);
    }
}
