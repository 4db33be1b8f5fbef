//! Incident Manager: incidents, their timelines and related items, and their response plans.

mod lists;
mod plans;
mod records;
mod start;
pub(super) mod store;
mod timeline;

use super::api::Handler;
use super::refusal::{Coded, Refusal};

pub(super) use start::start_by_alarm;

pub(super) const OPERATIONS: &[(&str, Handler)] = &[
    ("CreateTimelineEvent", timeline::create_timeline_event),
    ("GetIncidentRecord", records::get_incident_record),
    ("GetReplicationSet", plans::get_replication_set),
    ("GetResponsePlan", plans::get_response_plan),
    ("GetTimelineEvent", timeline::get_timeline_event),
    ("ListIncidentRecords", lists::list_incident_records),
    ("ListRelatedItems", lists::list_related_items),
    ("ListReplicationSets", plans::list_replication_sets),
    ("ListTimelineEvents", lists::list_timeline_events),
    ("StartIncident", start::start_incident),
    ("UpdateIncidentRecord", records::update_incident_record),
    ("UpdateRelatedItems", records::update_related_items),
];

fn not_found(kind: &str, identifier: &str) -> Refusal {
    let name = "ResourceNotFoundException";
    Coded::new(404, name, name, format!("The resource {identifier} was not found"))
        .with("resourceType", kind)
        .with("resourceIdentifier", identifier)
        .into()
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Refusal> {
    let name = "ValidationException";
    Err(Coded::new(400, name, name, message).into())
}
