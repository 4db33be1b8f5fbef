//! Finds the records of a scope. The API lists by status and time only, so the rest is told apart here.

use std::time::Duration;

use aws_sdk_ssmincidents::types::{
    AttributeValueList, Condition, Filter, IncidentRecord, IncidentRecordSource, IncidentRecordStatus,
    IncidentRecordSummary,
};
use aws_smithy_types::DateTime;

use super::request;
use crate::aws::connection::Connection;
use crate::aws::errors::Failure;
use crate::aws::exchange::call;
use crate::aws::permission::Call;
use crate::clock;
use crate::domain::time::Stamp;
use crate::incident::drill::Shown;
use crate::incident::sink::{Origin, Record, RecordId, RecordStatus, Scope};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How far back the newest closed record is looked for: nearly always in the first span, which one page holds. Without
/// the second, an incident a season after the last would take the token of the very first.
const LOOK_BACK: [Duration; 2] = [DAY.saturating_mul(35), DAY.saturating_mul(400)];
/// What one page may hold.
const PER_PAGE: i32 = 100;
/// The most pages per list: at one call a second the answer must come while it is of use.
const MAX_PAGES: usize = 20;

/// All open records of the scope and the newest closed one, newest first.
pub(super) async fn records(connection: &Connection, scope: &Scope) -> Result<Vec<Record>, Failure> {
    let open = list(connection, &[status(&IncidentRecordStatus::Open)]).await?;
    let mut found: Vec<Record> = open.iter().filter_map(|summary| ours(summary, scope)).collect();
    let now = clock::wall();
    for span in LOOK_BACK {
        let filters = [status(&IncidentRecordStatus::Resolved), created_after(now - span)];
        let closed = list(connection, &filters).await?;
        let newest =
            closed.iter().filter_map(|summary| ours(summary, scope)).max_by_key(|record| record.created);
        if let Some(newest) = newest {
            // Closed between the two lists: the later word counts.
            found.retain(|record| record.id != newest.id);
            found.push(newest);
            break;
        }
    }
    found.sort_by_key(|record| std::cmp::Reverse(record.created));
    Ok(found)
}

/// All open records of any of the scopes: one list serves for all of them.
pub(super) async fn open(connection: &Connection, scopes: &[Scope]) -> Result<Vec<(Scope, Record)>, Failure> {
    let open = list(connection, &[status(&IncidentRecordStatus::Open)]).await?;
    let of =
        |scope| open.iter().filter_map(move |summary| Some((Scope::clone(scope), ours(summary, scope)?)));
    Ok(scopes.iter().flat_map(of).collect())
}

/// A record read in full.
pub(super) fn record(record: &IncidentRecord) -> Record {
    let alarm =
        record.incident_record_source().and_then(IncidentRecordSource::resource_arn).is_some_and(is_alarm);
    Record {
        id: RecordId(record.arn().to_owned()),
        status: known_status(record.status()),
        created: stamp(record.creation_time()),
        origin: if alarm { Origin::Alarm } else { Origin::Daemon },
    }
}

/// A record as people see it.
pub(super) fn shown(record: &IncidentRecord) -> Shown {
    Shown {
        source: record.incident_record_source().map(|it| it.source().to_owned()).unwrap_or_default(),
        title: record.title().to_owned(),
        impact: format!("impact {}", record.impact()),
        status: record.status().as_str().to_owned(),
    }
}

async fn list(connection: &Connection, filters: &[Filter]) -> Result<Vec<IncidentRecordSummary>, Failure> {
    let mut summaries = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let request = connection
            .incidents
            .list_incident_records()
            .set_filters(Some(filters.to_vec()))
            .max_results(PER_PAGE)
            .set_next_token(token.take());
        let send = |capture| request.clone().customize().interceptor(capture).send();
        let (page, _) = call(Call::ListIncidentRecords, &connection.place, send).await?;
        token = page.next_token;
        summaries.extend(page.incident_record_summaries);
        if token.is_none() {
            break;
        }
    }
    Ok(summaries)
}

fn status(status: &IncidentRecordStatus) -> Filter {
    let values = AttributeValueList::StringValues(vec![status.as_str().to_owned()]);
    filter("status", Condition::Equals(values))
}

fn created_after(at: Stamp) -> Filter {
    filter("creationTime", Condition::After(request::time(at)))
}

fn filter(key: &str, condition: Condition) -> Filter {
    Filter::builder()
        .key(key)
        .condition(condition)
        .build()
        .expect("key and condition, the required members, are given above")
}

/// The record, if it is of this scope.
fn ours(summary: &IncidentRecordSummary, scope: &Scope) -> Option<Record> {
    if !is_of_plan(summary.arn(), &scope.plan) {
        return None;
    }
    let source = summary.incident_record_source()?;
    let resource = source.resource_arn()?;
    let origin = if source.source() == scope.source && resource == scope.resource {
        Origin::Daemon
    } else if is_our_alarm(resource, scope) {
        Origin::Alarm
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

/// `arn:aws:ssm-incidents::123456789012:incident-record/<plan>/<uuid>` is of
/// `arn:aws:ssm-incidents::123456789012:response-plan/<plan>`.
fn is_of_plan(record: &str, plan: &str) -> bool {
    let Some((account, plan)) = plan.split_once(":response-plan/") else { return false };
    record
        .strip_prefix(account)
        .and_then(|rest| rest.strip_prefix(":incident-record/"))
        .and_then(|rest| rest.strip_prefix(plan))
        .is_some_and(|rest| rest.starts_with('/'))
}

/// The alarm that our CloudFormation template makes for this connection and kind.
fn is_our_alarm(resource: &str, scope: &Scope) -> bool {
    let name = format!("bothends-{}-{}", scope.vpn, scope.kind.as_str());
    is_alarm(resource) && resource.rsplit_once(":alarm:").is_some_and(|(_, alarm)| alarm == name)
}

fn is_alarm(resource: &str) -> bool {
    resource.contains(":cloudwatch:") && resource.contains(":alarm:")
}

/// A status that we do not know is taken for open: an incident that is shown once too often is seen, a lost one is not.
fn known_status(status: &IncidentRecordStatus) -> RecordStatus {
    if *status == IncidentRecordStatus::Resolved { RecordStatus::Resolved } else { RecordStatus::Open }
}

fn stamp(at: &DateTime) -> Stamp {
    Stamp::from_millis(at.to_millis().unwrap_or(if at.secs() < 0 { i64::MIN } else { i64::MAX }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{Kind, VpnId};

    const PLAN: &str = "arn:aws:ssm-incidents::123456789012:response-plan/bothends";
    const VPN: &str = "arn:aws:ec2:eu-south-1:123456789012:vpn-connection/vpn-0a";

    fn scope() -> Scope {
        Scope {
            vpn: VpnId::new("vpn-0a"),
            kind: Kind::RedundancyLost,
            plan: PLAN.to_owned(),
            source: "bothends.redundancy_lost".to_owned(),
            resource: VPN.to_owned(),
        }
    }

    fn origin(plan: &str, source: &str, resource: &str) -> Option<Origin> {
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
        assert_eq!(origin("bothends", source, VPN), Some(Origin::Daemon));
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
        assert_eq!(started("bothends-vpn-0a-redundancy_lost"), Some(Origin::Alarm));
        assert_eq!(started("bothends-vpn-0a-outage"), None);
        assert_eq!(started("my-bothends-vpn-0a-redundancy_lost"), None);
    }

    #[test]
    fn a_plan_is_told_from_one_whose_name_begins_alike_and_from_another_account() {
        let record =
            |account: &str| format!("arn:aws:ssm-incidents::{account}:incident-record/bothends/9f1c");
        assert!(is_of_plan(&record("123456789012"), PLAN));
        assert!(!is_of_plan(&record("210987654321"), PLAN));
        assert!(!is_of_plan("arn:aws:ssm-incidents::123456789012:incident-record/bothends2/9f1c", PLAN));
    }
}
