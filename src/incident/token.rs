//! Client tokens: they make retries, restarts and twins one request to the sink.

use sha2::{Digest, Sha256};

use crate::domain::board::{IncidentId, TimelineChange, TimelineEntry};
use crate::domain::names::{Destination, SinkId};
use crate::domain::time::Stamp;

use super::settings::RecordScope;
use super::sink::RecordId;

/// The token of the request that creates the record which follows `newest`. Every site that knows the same newest record
/// derives the same token; once a record is over, its successor has another token.
pub(super) fn start(scope: &RecordScope, newest: Option<&RecordId>) -> String {
    let newest = newest.map_or("none", |record| &record.0);
    digest(&["start", &scope.plan, &scope.of.to_string(), scope.kind.as_str(), newest])
}

/// The token of one timeline entry in one record. Twins may note the same event, so the site is part of it.
pub(super) fn note(record: &RecordId, site: &str, entry: &TimelineEntry) -> String {
    let (what, tunnel, said, evidence) = match &entry.what {
        TimelineChange::Opened => ("opened", String::new(), "", None),
        TimelineChange::Adopted { sink } => ("taken up", sink.to_string(), "", None),
        TimelineChange::Confirmed => ("witnessed", String::new(), "", None),
        TimelineChange::View { tunnel, name: _, end, verdict, as_of } => {
            (end.as_str(), tunnel.to_string(), verdict.as_str(), *as_of)
        }
        TimelineChange::Assessment { tunnel, name: _, assessment, carrying: _ } => {
            ("both", tunnel.to_string(), assessment.as_str(), None)
        }
        TimelineChange::Cause { tunnel, name: _, diagnosis } => {
            (diagnosis.confidence.as_str(), tunnel.to_string(), diagnosis.cause.as_str(), None)
        }
        TimelineChange::Quality { tunnel, name: _, quality } => {
            ("quality", tunnel.to_string(), quality.reason().unwrap_or(quality.as_str()), None)
        }
        TimelineChange::Children { troubled, .. } => ("children", troubled.to_string(), "", None),
        TimelineChange::Withheld { .. } => ("withheld", String::new(), "", None),
        TimelineChange::Released => ("released", String::new(), "", None),
        TimelineChange::Clearing => ("clearing", String::new(), "", None),
        TimelineChange::Reopened => ("reopened", String::new(), "", None),
        TimelineChange::Resolved => ("resolved", String::new(), "", None),
        TimelineChange::Unwatched => ("unwatched", String::new(), "", None),
        TimelineChange::HandedOver => ("handed over", String::new(), "", None),
        TimelineChange::Missed => ("missed", String::new(), "", None),
    };
    digest(&["note", &record.0, site, what, &tunnel, said, &millis(evidence), &millis(Some(entry.at))])
}

/// The token of the note by which a site joins a record that it did not create.
pub(super) fn joining_note(record: &RecordId, site: &str, incident: &IncidentId, upto: u32) -> String {
    digest(&["witness", &record.0, site, &incident.to_string(), &upto.to_string()])
}

/// The token of a record's description. The revision is part of it: where the text returns to an earlier one, the sink must
/// not mistake the call for the earlier call.
pub(super) fn describe(record: &RecordId, site: &str, incident: &IncidentId, revision: u64) -> String {
    digest(&["describe", &record.0, site, &incident.to_string(), &revision.to_string()])
}

/// The token that closes a record. The site is part of it, because twins' texts differ.
pub(super) fn resolve(record: &RecordId, site: &str, incident: &IncidentId, why: &str) -> String {
    digest(&["resolve", &record.0, site, &incident.to_string(), why])
}

/// The id of a message to a sink that only accepts messages: the same in every retry, and different for every other message.
pub(super) fn message(
    sink: &Destination,
    site: &str,
    incident: &IncidentId,
    generation: u32,
    change: &str,
    state: &str,
) -> String {
    let (incident, generation) = (incident.to_string(), generation.to_string());
    digest(&["message", sink.as_str(), site, &incident, &generation, change, state])
}

/// The token of the request that creates a drill's record.
pub(super) fn drill(scope: &RecordScope, site: &str, at: Stamp) -> String {
    digest(&["drill", &scope.plan, &scope.of.to_string(), scope.kind.as_str(), site, &millis(Some(at))])
}

/// The token that closes a drill's record.
pub(super) fn drill_resolve(record: &RecordId, site: &str, at: Stamp) -> String {
    digest(&["drill resolve", &record.0, site, &millis(Some(at))])
}

/// The id of a drill's message.
pub(super) fn drill_message(sink: &SinkId, site: &str, key: &str, at: Stamp, change: &str) -> String {
    digest(&["drill message", sink.as_str(), site, key, &millis(Some(at)), change])
}

/// A number that is evenly distributed, and the same for the same parts.
pub(super) fn spread(parts: &[&str]) -> u32 {
    let hash = hash(parts);
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// 64 hexadecimal digits: within the 128 characters that Incident Manager allows.
fn digest(parts: &[&str]) -> String {
    hash(parts).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        // The length first, so that different lists of parts never give the same bytes.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

fn millis(stamp: Option<Stamp>) -> String {
    stamp.map_or_else(String::new, |stamp| stamp.as_millis().to_string())
}
