//! The calls to try, service by service.
//!
//! At Incident Manager nothing is opened and nothing is written: the plan for the start and the record for the changes do not
//! exist, by a random number in their names. AWS documents the answer for each of these operations: `ResourceNotFoundException`,
//! or `AccessDeniedException` (API Reference, "Errors"). `PutMetricData`, `CreateOpsItem` and `Publish` have no dry run, and it
//! is not documented whether AWS refuses an invalid request before it checks the permission: no OpsItem is opened and no message
//! sent on trial. `bothends drill` really makes these calls.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudwatch::types::MetricDatum;
use aws_sdk_ssmincidents::types::{ItemIdentifier, ItemType, ItemValue, RelatedItem, RelatedItemsUpdate};
use aws_smithy_types::DateTime;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::trier::{Family, Grant, Meant, PlanUse, SeenPlan, Trier, name, records, sent};
use crate::aws::by_hand::{Draft, form, partition};
use crate::aws::cloudwatch::CloudWatch;
use crate::aws::connection::AwsConnection;
use crate::aws::ec2::Ec2;
use crate::aws::errors::{Failure, FailureKind};
use crate::aws::permission::Call;
use crate::aws::source::{Coverage, IdCheck, IdDoubt};
use crate::aws::{ops_center, sns};
use crate::clock;
use crate::domain::event::Reading;
use crate::domain::names::{AwsPlace, TunnelId, VpnId};

pub(super) async fn incident_manager(trier: &mut Trier, families: &[Family]) {
    if !is_set_up(trier).await {
        for family in families {
            trier.skip(Call::StartIncident, family.name(), Grant::on_any(family.to_start()));
        }
        return;
    }
    list_records(trier).await;
    for family in families {
        start(trier, family).await;
        for plan in &family.plans {
            read_plan(trier, family, plan).await;
            keep_record(trier, family, plan).await;
        }
    }
}

/// Whether the account has Incident Manager here, as far as can be determined.
async fn is_set_up(trier: &mut Trier) -> bool {
    let connection = Arc::clone(&trier.connection);
    let request = connection.incidents.list_replication_sets();
    let send = |capture| request.clone().customize().interceptor(capture).send();
    let send = || sent(Call::ListReplicationSets, &connection, send);
    let answer = trier
        .attempt(Call::ListReplicationSets, "", Grant::in_region(&connection.place), Meant::Answer, send)
        .await;
    let answer = match answer {
        Some(Ok(answer)) => answer,
        Some(Err(FailureKind::Unreachable)) => {
            trier.find(format!(
                "Incident Manager cannot be reached {}; it is not in every Region: if that has none, set region under \
                 [[incident.sink]] to one that has",
                connection.place
            ));
            return true;
        }
        Some(Err(_)) | None => return true,
    };
    let Some(set) = answer.replication_set_arns().first() else {
        trier.find(format!(
            "this account has no Incident Manager {}: there is no replication set, so that no incident can be started. If it \
             has one in another Region, set region under [[incident.sink]]; if it used Incident Manager before 2025-11-07, \
             complete \"Get prepared\" in its console; else it is closed to this account: use type = \"ops_center\", \"sns\" or \
             \"webhook\"",
            connection.place
        ));
        return false;
    };
    regions(trier, set).await;
    true
}

/// A sink in a Region outside the replication set finds nothing there.
async fn regions(trier: &mut Trier, set: &str) {
    let connection = Arc::clone(&trier.connection);
    let request = connection.incidents.get_replication_set().arn(set);
    let send = |capture| request.clone().customize().interceptor(capture).send();
    let send = || sent(Call::GetReplicationSet, &connection, send);
    let grant = Grant::on(Some(set));
    let answer = trier.attempt(Call::GetReplicationSet, "its Regions", grant, Meant::Answer, send).await;
    let Some(Ok(answer)) = answer else { return };
    let map = answer.replication_set.map(|set| set.region_map).unwrap_or_default();
    let regions: BTreeSet<String> = map.into_keys().collect();
    let Some(here) = connection.place.region.as_deref() else { return };
    let listed = regions.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    trier.row_says(Call::GetReplicationSet, &format!("it is in {listed}"));
    if !regions.contains(here) {
        trier.find(format!(
            "Incident Manager of this account is in {listed} and not in {here}: set region under [[incident.sink]] to one of them"
        ));
    }
}

async fn list_records(trier: &mut Trier) {
    let connection = Arc::clone(&trier.connection);
    let request = connection.incidents.list_incident_records().max_results(1);
    let send = |capture| request.clone().customize().interceptor(capture).send();
    let send = || sent(Call::ListIncidentRecords, &connection, send);
    trier
        .attempt(Call::ListIncidentRecords, "", Grant::in_region(&connection.place), Meant::Answer, send)
        .await;
}

async fn start(trier: &mut Trier, family: &Family) {
    let connection = Arc::clone(&trier.connection);
    let request = connection.incidents.start_incident().response_plan_arn(&family.nobodys_plan);
    let send = |capture| request.clone().customize().interceptor(capture).send();
    let send = || sent(Call::StartIncident, &connection, send);
    let grant = Grant::on_any(family.to_start());
    let answer = trier.attempt(Call::StartIncident, family.name(), grant, Meant::Refusal, send).await;
    if let Some(Err(FailureKind::Denied)) = answer {
        trier.find(format!(
            "{} was tried with a response plan that does not exist ({}), because one that exists would page somebody; \
             a policy that names each plan in full denies that, too",
            Call::StartIncident,
            name(&family.nobodys_plan)
        ));
    }
}

async fn read_plan(trier: &mut Trier, family: &Family, plan: &PlanUse) {
    let connection = Arc::clone(&trier.connection);
    let request = connection.incidents.get_response_plan().arn(&plan.arn);
    let send = |capture| request.clone().customize().interceptor(capture).send();
    let send = || sent(Call::GetResponsePlan, &connection, send);
    let grant = Grant::on(Some(&family.granted));
    match trier.attempt(Call::GetResponsePlan, plan.name(), grant, Meant::AnswerIfThere, send).await {
        Some(Ok(answer)) => {
            let template = answer.incident_template();
            let dedupe =
                template.and_then(|template| template.dedupe_string()).filter(|text| !text.is_empty());
            trier.plans.push(SeenPlan { plan: plan.clone(), dedupe: dedupe.map(str::to_owned) });
        }
        Some(Err(FailureKind::NotFound)) => {
            let (call, place) = (Call::GetResponsePlan, &connection.place);
            trier.find(format!(
                "{call} {place}: there is no response plan {} (for {}); create it (packaging/aws/incident-response.yaml), or \
                 correct response_plan",
                plan.arn,
                plan.serves()
            ));
        }
        Some(Err(_)) | None => {}
    }
}

/// Reads and writes a record of the plan that does not exist.
async fn keep_record(trier: &mut Trier, family: &Family, plan: &PlanUse) {
    let connection = Arc::clone(&trier.connection);
    let incidents = &connection.incidents;
    let record = records(&plan.arn, &family.nobodys_record);
    let grant = || Grant::on_any(family.with_records());
    let on = plan.name();

    let request = incidents.get_incident_record().arn(&record);
    let send = |capture| request.clone().customize().interceptor(capture).send();
    let send = || sent(Call::GetIncidentRecord, &connection, send);
    trier.attempt(Call::GetIncidentRecord, on, grant(), Meant::Refusal, send).await;

    let request = incidents
        .create_timeline_event()
        .incident_record_arn(&record)
        .event_time(DateTime::from_millis(clock::wall().as_millis()))
        .event_type("Custom Event")
        .event_data("\"bothends check\"");
    let send = |capture| request.clone().customize().interceptor(capture).send();
    let send = || sent(Call::CreateTimelineEvent, &connection, send);
    trier.attempt(Call::CreateTimelineEvent, on, grant(), Meant::Refusal, send).await;

    let identifier =
        ItemIdentifier::builder().r#type(ItemType::Incident).value(ItemValue::Arn(record.clone())).build();
    if let Ok(identifier) = identifier {
        let item = RelatedItem::builder().identifier(identifier).title("bothends check").build();
        let request = incidents
            .update_related_items()
            .incident_record_arn(&record)
            .related_items_update(RelatedItemsUpdate::ItemToAdd(item));
        let send = |capture| request.clone().customize().interceptor(capture).send();
        let send = || sent(Call::UpdateRelatedItems, &connection, send);
        trier.attempt(Call::UpdateRelatedItems, on, grant(), Meant::Refusal, send).await;
    }

    let request = incidents.update_incident_record().arn(&record).summary("bothends check");
    let send = |capture| request.clone().customize().interceptor(capture).send();
    let send = || sent(Call::UpdateIncidentRecord, &connection, send);
    trier.attempt(Call::UpdateIncidentRecord, on, grant(), Meant::Refusal, send).await;
}

//--- AWS's view of the tunnels, and the daemon's own metrics

/// A datum with a timestamp outside the last two weeks is refused (`InvalidParameterValue`: "must specify a time within the past
/// two weeks"; CloudWatch API Reference, PutMetricData, on timestamps), and this one, 2010-01-01, is far outside whatever our
/// clock says. If it were stored after all, nothing could show it: CloudWatch keeps nothing for longer than 455 days.
const TOO_OLD: i64 = 1_262_304_000;

/// Asks like the daemon. EC2 is not really asked: what is left for it to confirm is not a finding, what CloudWatch contradicts is
/// one.
pub(super) async fn tunnel_state(
    trier: &mut Trier,
    vpns: &[(VpnId, Vec<TunnelId>)],
    stale_after: Duration,
    known_to_ec2: &BTreeSet<VpnId>,
) {
    let coverage = Coverage { vpns: vpns.to_vec(), stale_after, ..Coverage::default() };
    let connection = Arc::clone(&trier.connection);
    let count = coverage.tunnels().count();
    let on = if count == 1 {
        "TunnelState of one tunnel".to_owned()
    } else {
        format!("TunnelState of {count} tunnels")
    };
    let grant = Grant::in_region(&connection.place);
    let send = || async { CloudWatch::default().ask(&connection, &coverage, &BTreeSet::new()).await };
    let Some(Ok(answer)) = trier.attempt(Call::GetMetricData, &on, grant, Meant::Answer, send).await else {
        return;
    };
    for remark in answer.remarks {
        trier.find(remark.text);
    }
    for IdCheck { vpn, doubt } in answer.id_checks {
        match doubt {
            Some(IdDoubt::Unconfirmed { .. }) if known_to_ec2.contains(&vpn) => {}
            Some(doubt) => trier.find(doubt.to_string()),
            None => {}
        }
    }
    for (tunnel, reading) in answer.readings {
        match reading {
            Reading::TunnelState(None) => {
                let what = nothing_known(&tunnel, &connection.place, stale_after);
                trier.find(what);
            }
            Reading::TunnelState(Some(_)) | Reading::Garbage | Reading::Gone | Reading::Telemetry(_) => {}
        }
    }
}

fn nothing_known(tunnel: &TunnelId, place: &AwsPlace, stale_after: Duration) -> String {
    let minutes = stale_after.as_secs().div_ceil(60);
    format!(
        "CloudWatch {place} has no TunnelState of {tunnel} of the last {minutes} min, so that AWS's end of it is unknown and \
         nothing is raised: compare id and outside_ip with what `bothends discover {}` prints, and the connection's region \
         and account (role_arn)",
        tunnel.vpn
    )
}

pub(super) async fn telemetry(trier: &mut Trier, tunnels: &[TunnelId]) {
    let connection = Arc::clone(&trier.connection);
    let send = || async {
        match Ec2::at(&connection) {
            Some(ec2) => ec2.dry_run().await,
            None => Err(Failure::no_region(Call::DescribeVpnConnections)),
        }
    };
    let grant = Grant::in_region(&connection.place);
    trier.attempt(Call::DescribeVpnConnections, "ec2_telemetry", grant, Meant::Answer, send).await;
    const MAINTENANCE: Call = Call::GetVpnTunnelReplacementStatus;
    for tunnel in tunnels {
        let send = || async {
            match Ec2::at(&connection) {
                Some(ec2) => ec2.dry_run_on(tunnel).await,
                None => Err(Failure::no_region(MAINTENANCE)),
            }
        };
        let grant = Grant::on(Some(&vpn_connection(&tunnel.vpn, &connection.place)));
        trier.attempt(MAINTENANCE, tunnel.vpn.as_str(), grant, Meant::AnswerIfThere, send).await;
    }
}

/// The ARN of a connection, in any account.
fn vpn_connection(vpn: &VpnId, place: &AwsPlace) -> String {
    let region = place.region.as_deref().unwrap_or("*");
    format!("arn:{}:ec2:{region}:*:vpn-connection/{vpn}", partition(region))
}

pub(super) async fn metrics(trier: &mut Trier, namespace: &str) {
    let connection = Arc::clone(&trier.connection);
    let datum = MetricDatum::builder()
        .metric_name("Heartbeat")
        .timestamp(DateTime::from_secs(TOO_OLD))
        .value(1.0)
        .build();
    let request = connection.cloudwatch.put_metric_data().namespace(namespace).metric_data(datum);
    let send = |capture| request.clone().customize().interceptor(capture).send();
    let send = || sent(Call::PutMetricData, &connection, send);
    let on = format!("namespace {namespace}");
    let grant = Grant::if_equal("cloudwatch:namespace", namespace);
    trier.attempt(Call::PutMetricData, &on, grant, Meant::Refusal, send).await;
}

//--- OpsCenter and SNS

/// A valid id (AWS Systems Manager API Reference, OpsItemId) of no item.
const NOBODYS_ITEM: &str = "oi-000000000000";

pub(super) async fn ops_center(trier: &mut Trier) {
    let connection = Arc::clone(&trier.connection);
    let items = items(connection.place.region.as_deref().unwrap_or_default());
    let open = json!({
        "OpsItemFilters": [{ "Key": "Status", "Values": ["Open"], "Operator": "Equal" }],
        "MaxResults": 1,
    });
    let nobodys = json!({ "OpsItemId": NOBODYS_ITEM });
    // An empty change to an item that does not exist.
    let change = json!({ "OpsItemId": NOBODYS_ITEM, "Priority": 5 });
    let list = || ask(&connection, Call::DescribeOpsItems, "AmazonSSM.DescribeOpsItems", &open);
    trier
        .attempt(Call::DescribeOpsItems, "OpsItems", Grant::in_region(&connection.place), Meant::Answer, list)
        .await;
    let get = || ask(&connection, Call::GetOpsItem, "AmazonSSM.GetOpsItem", &nobodys);
    trier.attempt(Call::GetOpsItem, "an OpsItem", items.clone(), Meant::AnswerIfThere, get).await;
    let update = || ask(&connection, Call::UpdateOpsItem, "AmazonSSM.UpdateOpsItem", &change);
    trier.attempt(Call::UpdateOpsItem, "an OpsItem", items, Meant::Refusal, update).await;
    trier.skip(Call::CreateOpsItem, "an OpsItem", Grant::in_region(&connection.place));
}

/// Every OpsItem of the Region's partition.
fn items(region: &str) -> Grant {
    Grant::on(Some(&format!("arn:{}:ssm:*:*:opsitem/*", partition(region))))
}

/// An existing, visible topic proves nothing about `Publish`; a missing one settles it.
pub(super) async fn topic(trier: &mut Trier, topic_arn: &str) {
    let connection = Arc::clone(&trier.connection);
    let grant = Grant::on(Some(topic_arn));
    let look = || look_at(&connection, topic_arn);
    trier.attempt(Call::GetTopicAttributes, topic_arn, grant, Meant::Answer, look).await;
    trier.skip(Call::Publish, topic_arn, Grant::on(Some(topic_arn)));
}

async fn look_at(connection: &Arc<AwsConnection>, topic_arn: &str) -> Result<(), Failure> {
    let call = Call::GetTopicAttributes;
    let Some(client) = connection.by_hand(&sns::API) else { return Err(Failure::no_region(call)) };
    let body = form([("Action", call.action()), ("Version", sns::API_VERSION), ("TopicArn", topic_arn)]);
    let draft = Draft { content_type: "application/x-www-form-urlencoded", target: None, body };
    let read = |pieces: Vec<Bytes>| {
        let whole = String::from_utf8_lossy(&pieces.concat()).contains("</GetTopicAttributesResponse>");
        if whole { Ok(()) } else { Err("the answer does not describe the topic") }
    };
    match client.call(call, draft, read).await {
        Ok(((), _)) => Ok(()),
        Err(mut failure) if failure.kind == FailureKind::NotFound => {
            let place = &connection.place;
            failure.text = format!(
                "{call} {place}: there is no topic {topic_arn}; create it, or correct topic_arn, its Region and account among it"
            );
            Err(failure)
        }
        Err(failure) => Err(failure),
    }
}

async fn ask(
    connection: &Arc<AwsConnection>,
    call: Call,
    target: &'static str,
    input: &Value,
) -> Result<(), Failure> {
    let Some(client) = connection.by_hand(&ops_center::API) else { return Err(Failure::no_region(call)) };
    let draft =
        Draft { content_type: "application/x-amz-json-1.1", target: Some(target), body: input.to_string() };
    let read = |_: Vec<Bytes>| Ok::<_, &'static str>(());
    client.call(call, draft, read).await.map(|((), _)| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_granted_in_their_own_partition() {
        for (region, arn) in [
            ("eu-west-1", "arn:aws:ssm:*:*:opsitem/*"),
            ("us-gov-west-1", "arn:aws-us-gov:ssm:*:*:opsitem/*"),
            ("cn-north-1", "arn:aws-cn:ssm:*:*:opsitem/*"),
        ] {
            assert_eq!(items(region), Grant::on(Some(arn)));
        }
    }
}
