//! Records of Incident Manager: finds those of a scope, and converts to and from our terms. The API lists by status and time
//! only; selecting is done here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_ssmincidents::types::{
    AttributeValueList, Condition, Filter, IncidentRecord, IncidentRecordSource, IncidentRecordStatus,
    IncidentRecordSummary, ItemIdentifier, ItemType, ItemValue, RelatedItem, RelatedItemsUpdate,
    TriggerDetails,
};
use aws_smithy_types::DateTime;
use sha2::{Digest, Sha256};

use crate::aws::budget::Urgency;
use crate::aws::caller::{Caller, sink_error};
use crate::aws::errors::Failure;
use crate::aws::exchange::call;
use crate::aws::permission::Call;
use crate::clock;
use crate::domain::time::{Moment, Stamp};
use crate::incident::account::Link;
use crate::incident::drill::Shown;
use crate::incident::sink::{
    Record, RecordId, RecordOrigin, RecordScope, RecordStatus, Search, SinkError, StartRequest,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How far back the newest closed record is searched: nearly always within this period, which fits on one page …
const RECENT: Duration = DAY.saturating_mul(35);
/// … and otherwise within this one, without which an incident a season after the last would reuse the token of the very first.
const LONG_AGO: Duration = DAY.saturating_mul(400);
/// The results of the longer search.
const OLDER_IS_GOOD_FOR: Duration = Duration::from_secs(60 * 60);
/// Records per page.
const PER_PAGE: i32 = 100;
/// The most pages per list: at one call per second the answer must arrive while it matters.
const MAX_PAGES: usize = 20;

/// Finds the scope of a record by its source.
struct Index<'a>(BTreeMap<String, Vec<&'a RecordScope>>);

impl<'a> Index<'a> {
    fn of(scopes: &'a [RecordScope]) -> Self {
        let mut index: BTreeMap<String, Vec<&RecordScope>> = BTreeMap::new();
        for scope in scopes {
            for key in [scope.resource.clone(), alarm_name(scope)] {
                index.entry(key).or_default().push(scope);
            }
        }
        Self(index)
    }

    /// The record with its scope, if it has one.
    fn claim(&self, summary: &IncidentRecordSummary) -> Option<(&'a RecordScope, Record)> {
        let resource = summary.incident_record_source()?.resource_arn()?;
        let name =
            resource.rsplit_once(":alarm:").filter(|_| is_alarm(resource)).map_or(resource, |(_, name)| name);
        self.0.get(name)?.iter().find_map(|scope| Some((*scope, ours(summary, scope)?)))
    }
}

/// The newest closed record of each scope that has had none for long. Such records do not change: what opened since is in the
/// list of open ones, and what was closed just now is found by its token (`incident::reconcile`, rule 4).
#[derive(Debug, Default)]
pub(super) struct EarlierRecords(Mutex<BTreeMap<RecordScope, (Moment, Option<Record>)>>);

impl EarlierRecords {
    fn known(&self, scope: &RecordScope, now: Moment) -> Option<Option<Record>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(scope)
            .filter(|(asked, _)| now.since(*asked) < OLDER_IS_GOOD_FOR)
            .map(|(_, record)| record.clone())
    }

    fn learn(&self, scope: &RecordScope, now: Moment, record: Option<Record>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(scope.clone(), (now, record));
    }
}

/// All open records of each scope and the newest closed one, newest first. The API lists by status and time alone, so one list
/// serves every scope.
pub(super) async fn records(
    caller: &Caller,
    search: &Search,
    older: &EarlierRecords,
) -> Result<Vec<(RecordScope, Record)>, SinkError> {
    let urgency = if search.page { Urgency::Start } else { Urgency::LookUp };
    let index = Index::of(&search.scopes);
    let mut found: BTreeMap<&RecordScope, Vec<Record>> = BTreeMap::new();
    let open = [status(&IncidentRecordStatus::Open)];
    list(caller, urgency, &open, |summary| {
        if let Some((scope, record)) = index.claim(summary) {
            found.entry(scope).or_default().push(record);
        }
    })
    .await?;
    let recent = newest_closed(caller, urgency, &index, RECENT).await?;
    let now = clock::now();
    let lacking: Vec<&RecordScope> =
        search.scopes.iter().filter(|scope| !recent.contains_key(scope)).collect();
    if lacking.iter().any(|scope| older.known(scope, now.mono).is_none()) {
        let listed = newest_closed(caller, urgency, &index, LONG_AGO).await?;
        for scope in &lacking {
            older.learn(scope, now.mono, listed.get(scope).cloned());
        }
    }
    for scope in lacking {
        let records = found.entry(scope).or_default();
        let long_ago = older.known(scope, now.mono).flatten();
        // One that is also listed as open was reopened.
        records.extend(long_ago.filter(|closed| records.iter().all(|open| open.id != closed.id)));
    }
    for (scope, closed) in recent {
        let records = found.entry(scope).or_default();
        // It was closed between the two lists: the later answer counts.
        records.retain(|record| record.id != closed.id);
        records.push(closed);
    }
    Ok(found
        .into_iter()
        .flat_map(|(scope, mut records)| {
            records.sort_by_key(|record| std::cmp::Reverse(record.created));
            records.into_iter().map(|record| (scope.clone(), record))
        })
        .collect())
}

async fn newest_closed<'a>(
    caller: &Caller,
    urgency: Urgency,
    index: &Index<'a>,
    span: Duration,
) -> Result<BTreeMap<&'a RecordScope, Record>, SinkError> {
    let filters = [status(&IncidentRecordStatus::Resolved), created_after(clock::wall() - span)];
    let mut newest: BTreeMap<&RecordScope, Record> = BTreeMap::new();
    list(caller, urgency, &filters, |summary| {
        if let Some((scope, record)) = index.claim(summary)
            && newest.get(scope).is_none_or(|known| known.created <= record.created)
        {
            newest.insert(scope, record);
        }
    })
    .await?;
    Ok(newest)
}

/// All open records of any of the scopes.
pub(super) async fn open(
    caller: &Caller,
    scopes: &[RecordScope],
) -> Result<Vec<(RecordScope, Record)>, SinkError> {
    let index = Index::of(scopes);
    let mut found = Vec::new();
    list(caller, Urgency::LookUp, &[status(&IncidentRecordStatus::Open)], |summary| {
        found.extend(index.claim(summary).map(|(scope, record)| (scope.clone(), record)));
    })
    .await?;
    Ok(found)
}

/// The longest ARN (API Reference, `Arn`).
const ARN_MAX: usize = 1000;

/// Whether an answer names a record: `arn:<partition>:ssm-incidents::<account>:incident-record/<plan>/<id>`. Anything else is
/// invalid, and must never be put in a request.
pub(super) fn is_record(arn: &str) -> bool {
    let plain = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+=,@".contains(c))
    };
    let fields: Vec<&str> = arn.splitn(6, ':').collect();
    let &[prefix, partition, service, region, account, resource] = fields.as_slice() else { return false };
    let path: Vec<&str> = resource.split('/').collect();
    let &[sort, plan, id] = path.as_slice() else { return false };
    (prefix, service, sort) == ("arn", "ssm-incidents", "incident-record")
        && (region.is_empty() || plain(region))
        && [partition, account, plan, id].into_iter().all(plain)
        && arn.len() <= ARN_MAX
}

/// A record read in full, under the id it was requested by.
pub(super) fn record(asked: &RecordId, record: &IncidentRecord) -> Record {
    let alarm =
        record.incident_record_source().and_then(IncidentRecordSource::resource_arn).is_some_and(is_alarm);
    Record {
        id: asked.clone(),
        status: known_status(record.status()),
        created: stamp(record.creation_time()),
        origin: if alarm { RecordOrigin::Alarm } else { RecordOrigin::Daemon },
    }
}

/// A record for display.
pub(super) fn shown(record: &IncidentRecord) -> Shown {
    Shown {
        source: record.incident_record_source().map(|it| it.source().to_owned()).unwrap_or_default(),
        title: record.title().to_owned(),
        impact: format!("impact {}", record.impact()),
        status: record.status().as_str().to_owned(),
    }
}

/// Visits each record of a list; keeps only ours.
async fn list(
    caller: &Caller,
    urgency: Urgency,
    filters: &[Filter],
    mut see: impl FnMut(&IncidentRecordSummary),
) -> Result<(), SinkError> {
    const LIST: Call = Call::ListIncidentRecords;
    let mut token: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let connection = caller.connection(LIST, urgency).await?;
        let request = connection
            .incidents
            .list_incident_records()
            .set_filters(Some(filters.to_vec()))
            .max_results(PER_PAGE)
            .set_next_token(token.take());
        let send = |capture| request.clone().customize().interceptor(capture).send();
        let page = caller.settle(&connection, LIST, call(LIST, &connection.place, send).await)?;
        if page.incident_record_summaries.len() > PER_PAGE as usize {
            let what = "a page has more records than were asked for";
            return Err(sink_error(Failure::garbage(LIST, &connection.place, what), false));
        }
        page.incident_record_summaries.iter().for_each(&mut see);
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    Ok(())
}

fn status(status: &IncidentRecordStatus) -> Filter {
    let values = AttributeValueList::StringValues(vec![status.as_str().to_owned()]);
    filter("status", Condition::Equals(values))
}

fn created_after(at: Stamp) -> Filter {
    filter("creationTime", Condition::After(time(at)))
}

fn filter(key: &str, condition: Condition) -> Filter {
    Filter::builder()
        .key(key)
        .condition(condition)
        .build()
        .expect("key and condition, the required members, are given above")
}

/// The record, if it belongs to this scope.
fn ours(summary: &IncidentRecordSummary, scope: &RecordScope) -> Option<Record> {
    if !is_record(summary.arn()) || !is_of_plan(summary.arn(), &scope.plan) {
        return None;
    }
    let source = summary.incident_record_source()?;
    let resource = source.resource_arn()?;
    let origin = if source.source() == scope.source && resource == scope.resource {
        RecordOrigin::Daemon
    } else if is_our_alarm(resource, scope) {
        RecordOrigin::Alarm
    } else {
        return None;
    };
    Some(Record {
        id: RecordId(summary.arn().to_owned()),
        status: known_status(summary.status()),
        created: stamp(summary.creation_time()),
        origin,
    })
}

/// `arn:aws:ssm-incidents::123456789012:incident-record/<plan>/<uuid>` belongs to
/// `arn:aws:ssm-incidents::123456789012:response-plan/<plan>`.
fn is_of_plan(record: &str, plan: &str) -> bool {
    let Some((account, plan)) = plan.split_once(":response-plan/") else { return false };
    record
        .strip_prefix(account)
        .and_then(|rest| rest.strip_prefix(":incident-record/"))
        .and_then(|rest| rest.strip_prefix(plan))
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Whether it is the alarm of our CloudFormation template for this connection and kind.
fn is_our_alarm(resource: &str, scope: &RecordScope) -> bool {
    is_alarm(resource) && resource.rsplit_once(":alarm:").is_some_and(|(_, alarm)| alarm == alarm_name(scope))
}

fn alarm_name(scope: &RecordScope) -> String {
    format!("bothends-{}-{}", scope.of, scope.kind.as_str())
}

fn is_alarm(resource: &str) -> bool {
    resource.contains(":cloudwatch:") && resource.contains(":alarm:")
}

/// An unknown status counts as open: an incident shown once too often is noticed, a lost one is not.
fn known_status(status: &IncidentRecordStatus) -> RecordStatus {
    if *status == IncidentRecordStatus::Resolved { RecordStatus::Resolved } else { RecordStatus::Open }
}

fn stamp(at: &DateTime) -> Stamp {
    Stamp::from_millis(at.to_millis().unwrap_or(if at.secs() < 0 { i64::MIN } else { i64::MAX }))
}

//--- our terms in Incident Manager's, within the lengths that its API Reference sets

/// The only event type, besides people's notes, that the API accepts.
pub(super) const EVENT_TYPE: &str = "Custom Event";

const TITLE_MAX: usize = 200;
pub(super) const SUMMARY_MAX: usize = 8_000;
const EVENT_DATA_MAX: usize = 12_000;

pub(super) fn title(title: &str) -> String {
    cut(title, TITLE_MAX)
}

pub(super) fn summary(summary: &str) -> String {
    cut(summary, SUMMARY_MAX)
}

pub(super) fn event_data(text: &str) -> String {
    cut(text, EVENT_DATA_MAX)
}

pub(super) fn time(at: Stamp) -> DateTime {
    DateTime::from_millis(at.as_millis())
}

/// `rawData` is sent as committed: truncated JSON is not JSON.
pub(super) fn trigger(start: &StartRequest) -> TriggerDetails {
    let StartRequest { scope, triggered, raw_data, client_token: _, title: _, impact: _, description: _ } =
        start;
    TriggerDetails::builder()
        .source(&scope.source)
        .timestamp(time(*triggered))
        .trigger_arn(&scope.resource)
        .raw_data(raw_data)
        .build()
        .expect("source and timestamp, the required members, are given above")
}

pub(super) fn related(other: &RecordId, title: &str) -> Option<RelatedItemsUpdate> {
    let identifier = ItemIdentifier::builder()
        .r#type(ItemType::Incident)
        .value(ItemValue::Arn(other.0.clone()))
        .build()
        .ok()?;
    let item = RelatedItem::builder().identifier(identifier).title(self::title(title)).build();
    Some(RelatedItemsUpdate::ItemToAdd(item))
}

/// A web page as a related item.
pub(super) fn page(link: &Link) -> Option<RelatedItemsUpdate> {
    let kind = if link.metrics { ItemType::Metric } else { ItemType::Other };
    let identifier =
        ItemIdentifier::builder().r#type(kind).value(ItemValue::Url(link.url.clone())).build().ok()?;
    let item = RelatedItem::builder().identifier(identifier).title(title(&link.title)).build();
    Some(RelatedItemsUpdate::ItemToAdd(item))
}

/// One token per record and page: twins and retries add it once.
pub(super) fn page_token(record: &RecordId, link: &Link) -> String {
    let digest = Sha256::digest(format!("bothends page\n{record}\n{}", link.url));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One token per pair: twins and restarts relate two records once.
pub(super) fn relation_token(record: &RecordId, other: &RecordId) -> String {
    let digest = Sha256::digest(format!("bothends relate\n{record}\n{other}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The token for repeating a start that a drill absorbed: everyone who meets the same drill with the same start computes the same
/// token.
pub(super) fn token_after(token: &str, drill: &RecordId) -> String {
    let digest = Sha256::digest(format!("bothends after a drill\n{token}\n{drill}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// At most `max` characters of a text, with a mark if it was cut.
fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{Kind, VpnId};

    const PLAN: &str = "arn:aws:ssm-incidents::123456789012:response-plan/bothends";
    const VPN: &str = "arn:aws:ec2:eu-south-1:123456789012:vpn-connection/vpn-0a";

    fn scope() -> RecordScope {
        RecordScope {
            of: VpnId::new("vpn-0a").into(),
            kind: Kind::RedundancyLost,
            plan: PLAN.to_owned(),
            source: "bothends.redundancy_lost".to_owned(),
            resource: VPN.to_owned(),
        }
    }

    fn origin(plan: &str, source: &str, resource: &str) -> Option<RecordOrigin> {
        let source = IncidentRecordSource::builder()
            .created_by("arn:aws:iam::123456789012:user/gw")
            .source(source)
            .resource_arn(resource)
            .build()
            .unwrap();
        let summary = IncidentRecordSummary::builder()
            .arn(format!("arn:aws:ssm-incidents::123456789012:incident-record/{plan}/9f1c"))
            .title("down")
            .status(IncidentRecordStatus::Open)
            .impact(3)
            .creation_time(DateTime::from_secs(60))
            .incident_record_source(source)
            .build()
            .unwrap();
        ours(&summary, &scope()).map(|record| record.origin)
    }

    #[test]
    fn a_record_is_ours_by_plan_source_and_resource_together() {
        let source = "bothends.redundancy_lost";
        assert_eq!(origin("bothends", source, VPN), Some(RecordOrigin::Daemon));
        assert_eq!(origin("bothends-other", source, VPN), None);
        assert_eq!(origin("bothends", "bothends.outage", VPN), None);
        assert_eq!(
            origin("bothends", source, "arn:aws:ec2:eu-south-1:123456789012:vpn-connection/vpn-0b"),
            None
        );
    }

    #[test]
    fn a_record_of_our_own_alarm_is_ours_and_of_any_other_is_not() {
        let alarm = |name: &str| format!("arn:aws:cloudwatch:eu-south-1:123456789012:alarm:{name}");
        let started = |name: &str| origin("bothends", "aws.cloudwatch", &alarm(name));
        assert_eq!(started("bothends-vpn-0a-redundancy_lost"), Some(RecordOrigin::Alarm));
        assert_eq!(started("bothends-vpn-0a-outage"), None);
        assert_eq!(started("my-bothends-vpn-0a-redundancy_lost"), None);
    }

    #[test]
    fn only_a_records_arn_names_a_record() {
        let arn = "arn:aws:ssm-incidents::123456789012:incident-record/bothends/9f1c-0a";
        assert!(is_record(arn));
        assert!(is_record(&arn.replace("aws", "aws-cn")));
        assert!(!is_record(&arn.replace("9f1c", &"x".repeat(ARN_MAX))));
        for wrong in [
            "",
            "arn",
            "9f1c",
            "arn:aws:ssm-incidents::123456789012:response-plan/bothends",
            "arn:aws:ssm-incidents::123456789012:incident-record/bothends",
            "arn:aws:ssm-incidents::123456789012:incident-record/bothends/",
            "arn:aws:ssm-incidents::123456789012:incident-record//9f1c",
            "arn:aws:ssm-incidents::123456789012:incident-record/bothends/9f1c/a",
            "arn:aws:ssm-incidents::123456789012:incident-record/bothends/9f 1c",
            "arn:aws:ssm-incidents::123456789012:incident-record/bothends/9f\u{e9}",
            "arn:aws:ssm::123456789012:incident-record/bothends/9f1c",
            "arn:aws:ssm-incidents:::incident-record/bothends/9f1c",
        ] {
            assert!(!is_record(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_plan_is_distinguished_from_one_with_the_same_prefix_and_from_another_accounts() {
        let record =
            |account: &str| format!("arn:aws:ssm-incidents::{account}:incident-record/bothends/9f1c");
        assert!(is_of_plan(&record("123456789012"), PLAN));
        assert!(!is_of_plan(&record("210987654321"), PLAN));
        assert!(!is_of_plan("arn:aws:ssm-incidents::123456789012:incident-record/bothends2/9f1c", PLAN));
    }

    #[test]
    fn a_text_is_cut_by_characters_and_marked() {
        assert_eq!(cut("Zürich", 6), "Zürich");
        assert_eq!(cut("Zürich", 5), "Züri…");
        assert_eq!(title(&"ü".repeat(300)).chars().count(), TITLE_MAX);
    }

    #[test]
    fn a_pair_of_records_has_one_token_and_the_pair_reversed_another() {
        let (a, b) = (RecordId("a".to_owned()), RecordId("b".to_owned()));
        assert_eq!(relation_token(&a, &b), relation_token(&a, &b));
        assert_ne!(relation_token(&a, &b), relation_token(&b, &a));
        assert!(relation_token(&a, &b).len() <= 128);
    }
}
