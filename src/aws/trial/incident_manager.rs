//! Incident Manager: whether there is any, whether the response plans are there, and whether they may be used.
//!
//! Nothing is opened and nothing is written: the plan that an incident would be started from and the record that would
//! be changed are names that nobody has, by a random number in them. What AWS says to that is documented for each of
//! these operations: `ResourceNotFoundException`, or `AccessDeniedException` (API Reference, "Errors").

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_ssmincidents::types::{ItemIdentifier, ItemType, ItemValue, RelatedItem, RelatedItemsUpdate};
use aws_smithy_types::DateTime;

use super::plans::{Family, PlanUse, SeenPlan, name, records};
use super::statement::Grant;
use super::trier::{Trier, sent};
use super::verdict::Meant;
use crate::aws::errors::FailureKind;
use crate::aws::permission::Call;
use crate::clock;

pub(super) async fn all(trier: &mut Trier, families: &[Family]) {
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

/// Whether the account has Incident Manager here, as far as can be found out.
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

/// A sink in a Region that is not among those of the replication set finds nothing there.
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
