//! SSM OpsCenter as a sink: one OpsItem per incident. The calls are made by hand, see `by_hand`.
//!
//! An OpsItem is ours if its source and its key [`item::SCOPE`] say so. OpsCenter has no client token; instead it refuses a
//! second item with the deduplication string (`/aws/dedup`) of one that is open, and names that one, which is then taken for
//! the one that was to be opened. The string is of connection and kind, so that twins come to one item.

mod item;
mod request;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::by_hand::{Api, Draft};
use super::caller::{Caller, sink_error};
use super::connection::{AwsConnections, Place};
use super::errors::Failure;
use super::permission::Call;
use crate::clock;
use crate::incident::drill::{ShowingSink, Shown};
use crate::incident::sink::{
    IncidentSink, Note, Record, RecordId, RecordStatus, Scope, SinkError, StartRequest,
};
use item::{Item, SCOPE};

pub(super) const API: Api =
    Api { service_id: "SSM", host: "ssm", signing_name: "ssm", error: item::error, longest_answer: 16 << 20 };

/// What one page may hold.
const PER_PAGE: u32 = 50;
/// The most pages per list: the answer must come while it is of use.
const MAX_PAGES: usize = 20;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How far back the newest closed item is looked for, as with Incident Manager.
const LOOK_BACK: [Duration; 2] = [DAY.saturating_mul(35), DAY.saturating_mul(400)];
/// The statuses of an item that people are on. All others are an end.
const OPEN: [&str; 2] = ["Open", "InProgress"];

/// OpsCenter in one Region, called with one role.
pub struct OpsCenter {
    caller: Caller,
    site: Arc<str>,
    /// The account, once an answer has named it: without it an item cannot name the connection as its resource.
    account: Mutex<Option<String>>,
}

impl OpsCenter {
    /// `None` leaves the Region to the SDK's chain and calls with the daemon's own identity.
    pub fn new(
        connections: AwsConnections,
        region: Option<Arc<str>>,
        role_arn: Option<Arc<str>>,
        site: Arc<str>,
    ) -> Self {
        let account = role_arn.as_deref().and_then(item::account).map(str::to_owned);
        let caller = Caller::new(connections, Place { region, role_arn });
        Self { caller, site, account: Mutex::new(account) }
    }

    /// Makes a call; an answer that says that what is to be made is there already is an answer with its id.
    async fn ask(&self, about: Call, target: &'static str, input: Value) -> Result<Value, Refused> {
        let connection = self.caller.connection(about).await.map_err(Refused::Error)?;
        let Some(ssm) = &connection.ssm else {
            return Err(Refused::Error(sink_error(Failure::no_region(about), false)));
        };
        let content_type = "application/x-amz-json-1.1";
        let draft = Draft { content_type, target: Some(target), body: input.to_string() };
        let answer = ssm.call(about, draft, read).await;
        if let Err(Failure { existing: Some(existing), .. }) = &answer {
            connection.accepted();
            return Err(Refused::Exists(RecordId(existing.clone())));
        }
        self.caller.settle(&connection, answer).map_err(Refused::Error)
    }

    async fn get(&self, record: &RecordId) -> Result<Item, SinkError> {
        let input = json!({ "OpsItemId": record.0 });
        let answer = self.ask(Call::GetOpsItem, "AmazonSSM.GetOpsItem", input).await?;
        let item = Item::read(&answer["OpsItem"])
            .ok_or_else(|| self.senseless(Call::GetOpsItem, "the answer holds no OpsItem"))?;
        self.remember_account(item.arn.as_deref());
        Ok(item)
    }

    async fn update(&self, record: &RecordId, mut change: Value) -> Result<(), SinkError> {
        change["OpsItemId"] = record.0.as_str().into();
        self.ask(Call::UpdateOpsItem, "AmazonSSM.UpdateOpsItem", change).await?;
        Ok(())
    }

    /// What DescribeOpsItems lists under these filters.
    async fn list(&self, filters: &[Value]) -> Result<Vec<Item>, SinkError> {
        let mut items = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut input = json!({ "OpsItemFilters": filters, "MaxResults": PER_PAGE });
            if let Some(token) = &token {
                input["NextToken"] = token.as_str().into();
            }
            let answer = self.ask(Call::DescribeOpsItems, "AmazonSSM.DescribeOpsItems", input).await?;
            let listed = answer["OpsItemSummaries"].as_array().into_iter().flatten();
            items.extend(listed.filter_map(Item::read));
            token = answer["NextToken"].as_str().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(items)
    }

    fn senseless(&self, about: Call, what: &str) -> SinkError {
        sink_error(Failure::garbage(about, self.caller.place(), what), false)
    }

    fn remember_account(&self, arn: Option<&str>) {
        if let Some(account) = arn.and_then(item::account) {
            *self.account.lock().unwrap_or_else(PoisonError::into_inner) = Some(account.to_owned());
        }
    }

    /// The connection's ARN, if the account is known.
    fn resource(&self, scope: &Scope) -> Option<String> {
        let account = self.account.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        request::resource(&scope.resource, &account)
    }
}

/// What a call did not do.
enum Refused {
    /// It is there already.
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
    serde_json::from_slice(&body).map_err(|_| "the answer is not JSON")
}

fn equal(key: &str, values: &[&str]) -> Value {
    json!({ "Key": key, "Operator": "Equal", "Values": values })
}

/// DescribeOpsItems takes a pair of operational data as JSON.
fn of_scope(scope: &Scope) -> Value {
    equal("OperationalData", &[&json!({ "key": SCOPE, "value": item::scope_value(scope) }).to_string()])
}

impl IncidentSink for OpsCenter {
    async fn find(&self, scope: &Scope) -> Result<Vec<Record>, SinkError> {
        let ours = |items: Vec<Item>| -> Vec<Record> {
            items.into_iter().filter(|item| item.may_be_of(scope)).map(|item| item.record()).collect()
        };
        let source = equal("Source", &[&scope.source]);
        let open = [equal("Status", &OPEN), source.clone(), of_scope(scope)];
        let mut found = ours(self.list(&open).await?);
        let now = clock::wall();
        for span in LOOK_BACK {
            let since = json!({
                "Key": "CreatedTime",
                "Operator": "GreaterThan",
                "Values": [request::time(now - span)],
            });
            let closed = [equal("Status", &["Resolved", "Closed"]), source.clone(), of_scope(scope), since];
            if let Some(newest) = ours(self.list(&closed).await?).into_iter().max_by_key(|it| it.created) {
                // Closed between the two lists: the later word counts.
                found.retain(|record| record.id != newest.id);
                found.push(newest);
                break;
            }
        }
        found.sort_by_key(|record| std::cmp::Reverse(record.created));
        Ok(found)
    }

    async fn survey(&self, scopes: &[Scope]) -> Result<Vec<(Scope, Record)>, SinkError> {
        let open = [equal("Status", &OPEN), equal("OperationalDataKey", &[SCOPE])];
        let mut found = Vec::new();
        for item in self.list(&open).await? {
            // A list need not show operational data; the item does.
            let item = if item.scope.is_some() { item } else { self.get(&item.id).await? };
            let of = scopes.iter().filter(|scope| item.is_of(scope));
            found.extend(of.map(|scope| (scope.clone(), item.record())));
        }
        Ok(found)
    }

    async fn start(&self, start: &StartRequest) -> Result<RecordId, SinkError> {
        let resource = self.resource(&start.scope);
        let input = request::create(start, &self.site, resource.as_deref());
        let answer = match self.ask(Call::CreateOpsItem, "AmazonSSM.CreateOpsItem", input).await {
            Ok(answer) => answer,
            Err(Refused::Exists(record)) => return Ok(record),
            Err(Refused::Error(error)) => return Err(error),
        };
        let id = answer["OpsItemId"].as_str();
        let id = id.ok_or_else(|| self.senseless(Call::CreateOpsItem, "the answer names no OpsItem"))?;
        let record = RecordId(id.to_owned());
        self.remember_account(answer["OpsItemArn"].as_str());
        if resource.is_none()
            && let Some(resource) = self.resource(&start.scope)
        {
            // People have their item; what it lacks if this fails is in its evidence as well.
            let change = json!({ "OperationalData": request::resources(&resource) });
            drop(self.update(&record, change).await);
        }
        Ok(record)
    }

    async fn read(&self, record: &RecordId) -> Result<Record, SinkError> {
        self.get(record).await.map(|item| item.record())
    }

    /// Each site keeps a timeline of its own in the item, so that twins do not overwrite each other's.
    async fn note(&self, record: &RecordId, note: &Note) -> Result<(), SinkError> {
        let item = self.get(record).await?;
        let key = request::timeline_key(&self.site);
        let before = item.data.get(&key).map_or("", String::as_str);
        match request::timeline(before, note) {
            Some(after) => {
                self.update(record, json!({ "OperationalData": request::text(&key, &after) })).await
            }
            None => Ok(()),
        }
    }

    async fn relate(&self, record: &RecordId, other: &RecordId, _title: &str) -> Result<(), SinkError> {
        let mut related = self.get(record).await?.related;
        if record == other || related.contains(&other.0) {
            return Ok(());
        }
        related.push(other.0.clone());
        let items: Vec<_> = related.iter().map(|id| json!({ "OpsItemId": id })).collect();
        self.update(record, json!({ "RelatedOpsItems": items })).await
    }

    /// Reads before it writes: a person may have closed the item.
    async fn resolve(&self, record: &RecordId, summary: &str, _client_token: &str) -> Result<(), SinkError> {
        match self.get(record).await?.status {
            RecordStatus::Resolved => Ok(()),
            RecordStatus::Open => {
                let mut change = json!({ "Status": "Resolved" });
                if !summary.trim().is_empty() {
                    change["OperationalData"] = request::text(request::SUMMARY, summary);
                }
                self.update(record, change).await
            }
        }
    }
}

impl ShowingSink for OpsCenter {
    async fn show(&self, record: &RecordId) -> Result<Shown, SinkError> {
        let Item { source, title, severity, said, .. } = self.get(record).await?;
        Ok(Shown { source, title, impact: format!("severity {severity}"), status: said })
    }
}

impl fmt::Debug for OpsCenter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpsCenter({})", self.caller.place())
    }
}
