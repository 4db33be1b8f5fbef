//! Ledger rows.

use serde::{Deserialize, Serialize};

use super::Millis;
use super::incident::{Id, Kind};
use crate::domain::names::{Destination, SinkId, VpnId};
use crate::incident::sink;

/// The row as JSON.
pub(in crate::store) fn write_row(row: &sink::LedgerRow) -> serde_json::Result<String> {
    serde_json::to_string(&Row::from(row))
}

/// The opposite. Errors if the text is none of this release's, nor of an older one's.
pub(in crate::store) fn read_row(text: &str) -> serde_json::Result<sink::LedgerRow> {
    serde_json::from_str::<Row>(text).map(Into::into)
}

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    sink: String,
    destination: Option<String>,
    incident: Id,
    generation: u32,
    start: Option<Start>,
    record: Option<String>,
    told: u32,
    closed_by_person_at: Option<u32>,
    related: bool,
    /// Rows of releases that linked nothing have none.
    #[serde(default)]
    linked: bool,
    settled: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Start {
    scope: Scope,
    client_token: String,
    title: String,
    impact: u8,
    triggered: Millis,
    /// Rows of releases that described nothing have none.
    #[serde(default)]
    description: String,
    raw_data: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Scope {
    vpn: String,
    kind: Kind,
    plan: String,
    source: String,
    resource: String,
}

impl From<&sink::LedgerRow> for Row {
    fn from(row: &sink::LedgerRow) -> Self {
        let sink::LedgerRow {
            sink,
            destination,
            incident,
            generation,
            start,
            record,
            told,
            closed_by_person_at,
            related,
            linked,
            settled,
        } = row;
        Self {
            sink: sink.as_str().to_owned(),
            destination: destination.as_ref().map(|destination| destination.as_str().to_owned()),
            incident: incident.into(),
            generation: *generation,
            start: start.as_ref().map(Start::from),
            record: record.as_ref().map(|record| record.0.clone()),
            told: *told,
            closed_by_person_at: *closed_by_person_at,
            related: *related,
            linked: *linked,
            settled: *settled,
        }
    }
}

impl From<Row> for sink::LedgerRow {
    fn from(row: Row) -> Self {
        let Row {
            sink,
            destination,
            incident,
            generation,
            start,
            record,
            told,
            closed_by_person_at,
            related,
            linked,
            settled,
        } = row;
        Self {
            sink: SinkId::new(sink),
            destination: destination.map(Destination::new),
            incident: incident.into(),
            generation,
            start: start.map(Into::into),
            record: record.map(sink::RecordId),
            told,
            closed_by_person_at,
            related,
            linked,
            settled,
        }
    }
}

impl From<&sink::StartRequest> for Start {
    fn from(request: &sink::StartRequest) -> Self {
        let sink::StartRequest { scope, client_token, title, impact, triggered, description, raw_data } =
            request;
        let sink::Scope { vpn, kind, plan, source, resource } = scope;
        Self {
            scope: Scope {
                vpn: vpn.as_str().to_owned(),
                kind: (*kind).into(),
                plan: plan.clone(),
                source: source.clone(),
                resource: resource.clone(),
            },
            client_token: client_token.clone(),
            title: title.clone(),
            impact: *impact,
            triggered: (*triggered).into(),
            description: description.clone(),
            raw_data: raw_data.clone(),
        }
    }
}

impl From<Start> for sink::StartRequest {
    fn from(start: Start) -> Self {
        let Start { scope, client_token, title, impact, triggered, description, raw_data } = start;
        let Scope { vpn, kind, plan, source, resource } = scope;
        Self {
            scope: sink::Scope { vpn: VpnId::new(vpn), kind: kind.into(), plan, source, resource },
            client_token,
            title,
            impact,
            triggered: triggered.stamp(),
            description,
            raw_data,
        }
    }
}
