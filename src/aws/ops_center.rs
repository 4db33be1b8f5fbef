//! SSM OpsCenter as a sink: one OpsItem per incident. Called by hand, see `by_hand`.
//!
//! An OpsItem is ours if its source and its key [`item::SCOPE`] say so. OpsCenter has no client token; instead it refuses a
//! second item with the deduplication string (`/aws/dedup`) of an open one, and names that one, which then counts as created. The
//! string consists of connection and kind: twins arrive at one item.

mod item;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::budget::Urgency;
use super::by_hand::{Api, Draft};
use super::caller::{Caller, sink_error};
use super::connection::AwsConnections;
use super::errors::Failure;
use super::guard::Json;
use super::permission::Call;
use crate::clock;
use crate::domain::names::AwsPlace;
use crate::incident::account::merged;
use crate::incident::drill::{ShowingSink, Shown};
use crate::incident::sink::{
    DESCRIPTION_MAX, Description, IncidentSink, Note, Record, RecordId, RecordScope, RecordStatus, Search,
    SinkError, StartRequest,
};
use item::{Item, OPEN, SCOPE};

pub(super) const API: Api =
    Api { service_id: "SSM", host: "ssm", signing_name: "ssm", error: item::error, longest_answer: 4 << 20 };

/// Items per page.
const PER_PAGE: u32 = 50;
/// The most pages per list: the answer must arrive while it matters.
const MAX_PAGES: usize = 20;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How far back the newest closed item is searched. No token depends on it: it matters only if it is this incident's.
const LOOK_BACK: Duration = DAY.saturating_mul(35);
/// The scopes of this many items are remembered.
const SCOPES_MAX: usize = 1000;

/// OpsCenter in one Region, called with one role.
pub struct OpsCenter {
    caller: Caller,
    site: Arc<str>,
    /// The account, once an answer has named it: needed to name the connection as an item's resource.
    account: Mutex<Option<String>>,
    /// The scopes of items that a list did not show.
    scopes: Mutex<BTreeMap<RecordId, String>>,
}

impl OpsCenter {
    /// `None` leaves the Region to the SDK's chain, and uses the daemon's own identity.
    pub fn new(
        connections: AwsConnections,
        region: Option<Arc<str>>,
        role_arn: Option<Arc<str>>,
        site: Arc<str>,
    ) -> Self {
        let account = role_arn.as_deref().and_then(item::account).map(str::to_owned);
        let caller = Caller::new(connections, AwsPlace { region, role_arn }, "ssm");
        Self { caller, site, account: Mutex::new(account), scopes: Mutex::default() }
    }

    /// Makes a call; if the object to create exists already, that counts as an answer with its id.
    async fn ask(
        &self,
        about: Call,
        urgency: Urgency,
        target: &'static str,
        input: Value,
    ) -> Result<Value, Refused> {
        let connection = self.caller.connection(about, urgency).await.map_err(Refused::Error)?;
        let Some(ssm) = connection.by_hand(&API) else {
            return Err(Refused::Error(sink_error(Failure::no_region(about), false)));
        };
        let content_type = "application/x-amz-json-1.1";
        let draft = Draft { content_type, target: Some(target), body: input.to_string() };
        let answer = ssm.call(about, draft, read).await;
        if let Err(Failure { existing: Some(existing), .. }) = &answer {
            connection.accepted();
            return Err(Refused::Exists(RecordId(existing.clone())));
        }
        self.caller.settle(&connection, about, answer).map_err(Refused::Error)
    }

    async fn get(&self, record: &RecordId, urgency: Urgency) -> Result<Item, SinkError> {
        let input = json!({ "OpsItemId": record.0 });
        let answer = self.ask(Call::GetOpsItem, urgency, "AmazonSSM.GetOpsItem", input).await?;
        let item = Item::read(&answer["OpsItem"]).filter(|item| item.id == *record).ok_or_else(|| {
            self.senseless(Call::GetOpsItem, "the answer does not hold the OpsItem that was asked for")
        })?;
        self.remember_account(item.arn.as_deref());
        Ok(item)
    }

    async fn update(&self, record: &RecordId, urgency: Urgency, mut change: Value) -> Result<(), SinkError> {
        change["OpsItemId"] = record.0.as_str().into();
        self.ask(Call::UpdateOpsItem, urgency, "AmazonSSM.UpdateOpsItem", change).await?;
        Ok(())
    }

    /// The items that match these filters.
    async fn list(&self, filters: &[Value], urgency: Urgency) -> Result<Vec<Item>, SinkError> {
        let mut items = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut input = json!({ "OpsItemFilters": filters, "MaxResults": PER_PAGE });
            if let Some(token) = &token {
                input["NextToken"] = token.as_str().into();
            }
            let answer =
                self.ask(Call::DescribeOpsItems, urgency, "AmazonSSM.DescribeOpsItems", input).await?;
            let listed = answer["OpsItemSummaries"].as_array();
            if listed.is_some_and(|listed| listed.len() > PER_PAGE as usize) {
                let what = "a page has more items than were asked for";
                return Err(self.senseless(Call::DescribeOpsItems, what));
            }
            let listed = listed.into_iter().flatten();
            items.extend(listed.filter_map(Item::read));
            token = answer["NextToken"].as_str().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(items)
    }

    /// The items of these scopes. A list need not show operational data; the item does, and its scope does not change.
    async fn claimed(
        &self,
        scopes: &[RecordScope],
        items: Vec<Item>,
        urgency: Urgency,
    ) -> Result<Vec<(RecordScope, Record)>, SinkError> {
        let by_value: BTreeMap<String, &RecordScope> =
            scopes.iter().map(|scope| (item::scope_value(scope), scope)).collect();
        let mut claimed = Vec::new();
        for item in items.into_iter().filter(|item| scopes.iter().any(|scope| scope.source == item.source)) {
            let known = || {
                let scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
                scopes.get(&item.id).cloned()
            };
            let value = match item.scope.clone().or_else(known) {
                Some(value) => value,
                None => {
                    let value = self.get(&item.id, urgency).await?.scope.unwrap_or_default();
                    let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
                    while scopes.len() >= SCOPES_MAX {
                        scopes.pop_first();
                    }
                    scopes.insert(item.id.clone(), value.clone());
                    value
                }
            };
            let scope = by_value.get(&value).filter(|scope| scope.source == item.source);
            claimed.extend(scope.map(|scope| (RecordScope::clone(scope), item.record())));
        }
        Ok(claimed)
    }

    fn senseless(&self, about: Call, what: &str) -> SinkError {
        sink_error(Failure::garbage(about, self.caller.place(), what), false)
    }

    fn remember_account(&self, arn: Option<&str>) {
        if let Some(account) = arn.and_then(item::account) {
            *self.account.lock().unwrap_or_else(PoisonError::into_inner) = Some(account.to_owned());
        }
    }

    /// The connection's ARN, if the account is known. AWS has no resource for a parent.
    fn resource(&self, scope: &RecordScope) -> Option<String> {
        scope.of.vpn()?;
        let account = self.account.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        item::resource(&scope.resource, &account)
    }
}

/// Why a call was not carried out.
enum Refused {
    /// The object exists already; its id.
    Exists(RecordId),
    Error(SinkError),
}

impl From<Refused> for SinkError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Exists(_) => Self::TokenKnown,
            Refused::Error(error) => error,
        }
    }
}

fn read(pieces: Vec<Bytes>) -> Result<Value, &'static str> {
    let body = pieces.concat();
    if !Json::is_plausible(&body) {
        return Err("the answer has far more members than any of the service's");
    }
    serde_json::from_slice(&body).map_err(|_| "the answer is not JSON")
}

fn equal(key: &str, values: &[&str]) -> Value {
    json!({ "Key": key, "Operator": "Equal", "Values": values })
}

impl IncidentSink for OpsCenter {
    /// One list of open items and one of closed ones serve every scope.
    async fn find(&self, search: &Search) -> Result<Vec<(RecordScope, Record)>, SinkError> {
        let urgency = if search.page { Urgency::Start } else { Urgency::LookUp };
        let of_ours = equal("OperationalDataKey", &[SCOPE]);
        let mut found: BTreeMap<RecordScope, Vec<Record>> = BTreeMap::new();
        let open = self.list(&[equal("Status", &OPEN), of_ours.clone()], urgency).await?;
        for (scope, record) in self.claimed(&search.scopes, open, urgency).await? {
            found.entry(scope).or_default().push(record);
        }
        let since = json!({
            "Key": "CreatedTime",
            "Operator": "GreaterThan",
            "Values": [item::time(clock::wall() - LOOK_BACK)],
        });
        let closed = self.list(&[equal("Status", &["Resolved", "Closed"]), of_ours, since], urgency).await?;
        let mut newest: BTreeMap<RecordScope, Record> = BTreeMap::new();
        for (scope, record) in self.claimed(&search.scopes, closed, urgency).await? {
            if newest.get(&scope).is_none_or(|known| known.created <= record.created) {
                newest.insert(scope, record);
            }
        }
        for (scope, closed) in newest {
            let records = found.entry(scope).or_default();
            // It was closed between the two lists: the later answer counts.
            records.retain(|record| record.id != closed.id);
            records.push(closed);
        }
        let newest_first = |(scope, mut records): (RecordScope, Vec<Record>)| {
            records.sort_by_key(|record| std::cmp::Reverse(record.created));
            records.into_iter().map(move |record| (scope.clone(), record))
        };
        Ok(found.into_iter().flat_map(newest_first).collect())
    }

    async fn survey(&self, scopes: &[RecordScope]) -> Result<Vec<(RecordScope, Record)>, SinkError> {
        let open = [equal("Status", &OPEN), equal("OperationalDataKey", &[SCOPE])];
        let listed = self.list(&open, Urgency::LookUp).await?;
        self.claimed(scopes, listed, Urgency::LookUp).await
    }

    async fn start(&self, start: &StartRequest) -> Result<RecordId, SinkError> {
        let resource = self.resource(&start.scope);
        let input = item::create(start, &self.site, resource.as_deref());
        let answer =
            match self.ask(Call::CreateOpsItem, Urgency::Start, "AmazonSSM.CreateOpsItem", input).await {
                Ok(answer) => answer,
                Err(Refused::Exists(record)) => return Ok(record),
                Err(Refused::Error(error)) => return Err(error),
            };
        let id = answer["OpsItemId"].as_str().filter(|id| item::is_item(id));
        let id = id.ok_or_else(|| self.senseless(Call::CreateOpsItem, "the answer names no OpsItem"))?;
        let record = RecordId(id.to_owned());
        self.remember_account(answer["OpsItemArn"].as_str());
        if resource.is_none()
            && let Some(resource) = self.resource(&start.scope)
        {
            // The item exists; what it lacks if this fails is in its evidence as well.
            let change = json!({ "OperationalData": item::resources(&resource) });
            drop(self.update(&record, Urgency::Note, change).await);
        }
        Ok(record)
    }

    async fn read(&self, record: &RecordId) -> Result<Record, SinkError> {
        self.get(record, Urgency::Resolve).await.map(|item| item.record())
    }

    /// Each site has its own timeline in the item: twins do not overwrite each other's.
    async fn note(&self, record: &RecordId, note: &Note) -> Result<(), SinkError> {
        let item = self.get(record, Urgency::Note).await?;
        let key = item::timeline_key(&self.site);
        let before = item.data.get(&key).map_or("", String::as_str);
        match item::timeline(before, note) {
            Some(after) => {
                self.update(record, Urgency::Note, json!({ "OperationalData": item::text(&key, &after) }))
                    .await
            }
            None => Ok(()),
        }
    }

    async fn relate(&self, record: &RecordId, other: &RecordId, _title: &str) -> Result<(), SinkError> {
        let mut related = self.get(record, Urgency::Note).await?.related;
        if record == other || related.contains(&other.0) {
            return Ok(());
        }
        related.push(other.0.clone());
        let items: Vec<_> = related.iter().map(|id| json!({ "OpsItemId": id })).collect();
        self.update(record, Urgency::Note, json!({ "RelatedOpsItems": items })).await
    }

    /// Reads before it writes: text by people stays. An item has no links of its own: the description contains them.
    async fn describe(&self, record: &RecordId, description: &Description) -> Result<(), SinkError> {
        let item = self.get(record, Urgency::Note).await?;
        match (item.status, merged(&item.description, &description.account.markdown(DESCRIPTION_MAX))) {
            (RecordStatus::Resolved, _) | (RecordStatus::Open, None) => Ok(()),
            (RecordStatus::Open, Some(text)) => {
                self.update(record, Urgency::Note, json!({ "Description": item::description(&text) })).await
            }
        }
    }

    /// Reads before it writes: a person may have closed the item.
    async fn resolve(&self, record: &RecordId, summary: &str, _client_token: &str) -> Result<(), SinkError> {
        match self.get(record, Urgency::Resolve).await?.status {
            RecordStatus::Resolved => Ok(()),
            RecordStatus::Open => {
                let mut change = json!({ "Status": "Resolved" });
                if !summary.trim().is_empty() {
                    change["OperationalData"] = item::text(item::SUMMARY, summary);
                }
                self.update(record, Urgency::Resolve, change).await
            }
        }
    }
}

impl ShowingSink for OpsCenter {
    async fn show(&self, record: &RecordId) -> Result<Shown, SinkError> {
        let Item { source, title, severity, status_text, .. } = self.get(record, Urgency::Start).await?;
        Ok(Shown { source, title, impact: format!("severity {severity}"), status: status_text })
    }
}

impl fmt::Debug for OpsCenter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpsCenter({})", self.caller.place())
    }
}
