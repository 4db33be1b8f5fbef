//! SSM Incident Manager as a sink.
//!
//! A record is ours if it belongs to the scope's response plan and says so itself: its source and resource are the scope's, or
//! the CloudWatch alarm of our own template started it.

mod record;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ssmincidents::types::IncidentRecord;

use super::budget::Urgency;
use super::caller::{Caller, sink_error};
use super::connection::AwsConnections;
use super::errors::Failure;
use super::exchange::call;
use super::permission::Call;
use crate::domain::names::AwsPlace;
use crate::incident::account::{Link, merged};
use crate::incident::drill::{ShowingSink, Shown};
use crate::incident::sink::{
    DRILL_SOURCE, Description, IncidentSink, Note, Record, RecordId, RecordScope, RecordStatus, Search,
    SinkError, StartRequest,
};

/// Waits between tries, in seconds, while a resolved drill still absorbs starts: well within a call's time limit.
const AFTER_DRILL: [u64; 5] = [0, 1, 2, 4, 8];

/// Incident Manager in one Region, called with one role.
pub struct IncidentManager {
    caller: Caller,
    older: record::EarlierRecords,
}

impl IncidentManager {
    /// `None` leaves the Region to the SDK's chain, and uses the daemon's own identity.
    pub fn new(connections: AwsConnections, region: Option<Arc<str>>, role_arn: Option<Arc<str>>) -> Self {
        let caller = Caller::new(connections, AwsPlace { region, role_arn }, "ssm-incidents");
        Self { caller, older: record::EarlierRecords::default() }
    }

    /// Checks that the account uses Incident Manager at all: without a replication set no incident can be started.
    ///
    /// # Errors
    /// `Rejected` if it does not, with what to do; otherwise the error of the call.
    pub async fn check_onboarded(&self) -> Result<(), SinkError> {
        let connection = self.caller.connection(Call::ListReplicationSets, Urgency::LookUp).await?;
        let request = connection.incidents.list_replication_sets();
        let send = |capture| request.clone().customize().interceptor(capture).send();
        let answer = call(Call::ListReplicationSets, &connection.place, send).await;
        if self
            .caller
            .settle(&connection, Call::ListReplicationSets, answer)?
            .replication_set_arns()
            .is_empty()
        {
            let what = format!(
                "Incident Manager {}: this account has no replication set, so no incident can be started; complete \
                 \"Get prepared\" in its console (it is closed to accounts that did not use it before 2025-11-07), or use \
                 another sink",
                connection.place
            );
            return Err(SinkError::Rejected { what, source: None });
        }
        Ok(())
    }

    async fn get(&self, record: &RecordId, urgency: Urgency) -> Result<IncidentRecord, SinkError> {
        let connection = self.caller.connection(Call::GetIncidentRecord, urgency).await?;
        let request = connection.incidents.get_incident_record().arn(&record.0);
        let send = |capture| request.clone().customize().interceptor(capture).send();
        let answer = call(Call::GetIncidentRecord, &connection.place, send).await;
        let found = self.caller.settle(&connection, Call::GetIncidentRecord, answer)?.incident_record;
        found.filter(|found| found.arn() == record.0).ok_or_else(|| {
            let what = "the answer does not hold the record that was asked for";
            sink_error(Failure::garbage(Call::GetIncidentRecord, &connection.place, what), false)
        })
    }

    async fn link(&self, record: &RecordId, link: &Link) -> Result<(), SinkError> {
        let connection = self.caller.connection(Call::UpdateRelatedItems, Urgency::Note).await?;
        let update = record::page(link).ok_or_else(|| {
            let what = format!("the page \"{}\" could not be named", link.title);
            SinkError::Rejected { what, source: None }
        })?;
        let request = connection
            .incidents
            .update_related_items()
            .client_token(record::page_token(record, link))
            .incident_record_arn(&record.0)
            .related_items_update(update);
        let send = |capture| request.clone().customize().interceptor(capture).send();
        let answer = call(Call::UpdateRelatedItems, &connection.place, send).await;
        match self.caller.settle(&connection, Call::UpdateRelatedItems, answer) {
            Ok(_) | Err(SinkError::TokenKnown) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn start_as(&self, start: &StartRequest, token: &str) -> Result<RecordId, SinkError> {
        let connection = self.caller.connection(Call::StartIncident, Urgency::Start).await?;
        let trigger = record::trigger(start);
        let request = connection
            .incidents
            .start_incident()
            .client_token(token)
            .response_plan_arn(&start.scope.plan)
            .title(record::title(&start.title))
            .impact(i32::from(start.impact))
            .trigger_details(trigger);
        let send = |capture| request.clone().customize().interceptor(capture).send();
        match self.caller.settle(
            &connection,
            Call::StartIncident,
            call(Call::StartIncident, &connection.place, send).await,
        ) {
            Ok(answer) if record::is_record(&answer.incident_record_arn) => {
                Ok(RecordId(answer.incident_record_arn))
            }
            Ok(_) => {
                let what = "the answer names no record";
                Err(sink_error(Failure::garbage(Call::StartIncident, &connection.place, what), false))
            }
            Err(SinkError::NotFound) => {
                let what = format!(
                    "{} {}: there is no response plan {}; create it, or correct response_plan",
                    Call::StartIncident,
                    connection.place,
                    start.scope.plan
                );
                Err(SinkError::Rejected { what, source: None })
            }
            Err(error) => Err(error),
        }
    }
}

impl IncidentSink for IncidentManager {
    async fn find(&self, search: &Search) -> Result<Vec<(RecordScope, Record)>, SinkError> {
        record::records(&self.caller, search, &self.older).await
    }

    async fn survey(&self, scopes: &[RecordScope]) -> Result<Vec<(RecordScope, Record)>, SinkError> {
        record::open(&self.caller, scopes).await
    }

    /// Reads what a start led to: a drill's open record of the same plan may have absorbed it, see `incident::drill`.
    async fn start(&self, start: &StartRequest) -> Result<RecordId, SinkError> {
        let mut token = start.client_token.clone();
        let mut record = self.start_as(start, &token).await?;
        if start.scope.is_drill() {
            return Ok(record);
        }
        let mut pauses = AFTER_DRILL.into_iter();
        loop {
            match self.get(&record, Urgency::Start).await {
                Ok(found) if record::shown(&found).source == DRILL_SOURCE => {}
                // An unreadable record is no reason for doubt: a drill's existed before this call.
                Ok(_) | Err(SinkError::Rejected { .. } | SinkError::NotFound | SinkError::TokenKnown) => {
                    return Ok(record);
                }
                Err(error @ SinkError::Temporary { .. }) => return Err(error),
            }
            let Some(pause) = pauses.next() else { break };
            token = record::token_after(&token, &record);
            self.resolve(&record, "A drill, which a real incident has ended.", &token).await?;
            tokio::time::sleep(Duration::from_secs(pause)).await;
            record = self.start_as(start, &token).await?;
        }
        let what = format!(
            "{} {}: the drill {record} takes in every start of its response plan, though it was resolved",
            Call::StartIncident,
            self.caller.place()
        );
        Err(SinkError::Temporary { what, retry_after: None, source: None })
    }

    async fn read(&self, record: &RecordId) -> Result<Record, SinkError> {
        self.get(record, Urgency::Resolve).await.map(|found| record::record(record, &found))
    }

    /// A known token has added this entry before: done.
    async fn note(&self, record: &RecordId, note: &Note) -> Result<(), SinkError> {
        let connection = self.caller.connection(Call::CreateTimelineEvent, Urgency::Note).await?;
        let request = connection
            .incidents
            .create_timeline_event()
            .client_token(&note.client_token)
            .incident_record_arn(&record.0)
            .event_time(record::time(note.at))
            .event_type(record::EVENT_TYPE)
            .event_data(record::event_data(&note.text));
        let send = |capture| request.clone().customize().interceptor(capture).send();
        match self.caller.settle(
            &connection,
            Call::CreateTimelineEvent,
            call(Call::CreateTimelineEvent, &connection.place, send).await,
        ) {
            Ok(_) | Err(SinkError::TokenKnown) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn relate(&self, record: &RecordId, other: &RecordId, title: &str) -> Result<(), SinkError> {
        let connection = self.caller.connection(Call::UpdateRelatedItems, Urgency::Note).await?;
        let update = record::related(other, title).ok_or_else(|| {
            let what = format!("the related record {other} could not be named");
            SinkError::Rejected { what, source: None }
        })?;
        let request = connection
            .incidents
            .update_related_items()
            .client_token(record::relation_token(record, other))
            .incident_record_arn(&record.0)
            .related_items_update(update);
        let send = |capture| request.clone().customize().interceptor(capture).send();
        match self.caller.settle(
            &connection,
            Call::UpdateRelatedItems,
            call(Call::UpdateRelatedItems, &connection.place, send).await,
        ) {
            Ok(_) | Err(SinkError::TokenKnown) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads before it writes: a person may have closed the record, and text by people or the response plan stays.
    async fn describe(&self, record: &RecordId, description: &Description) -> Result<(), SinkError> {
        let current = self.get(record, Urgency::Note).await?;
        match record::record(record, &current).status {
            RecordStatus::Resolved => return Ok(()),
            RecordStatus::Open => {}
        }
        let ours = description.account.markdown(record::SUMMARY_MAX);
        if let Some(summary) = merged(current.summary().unwrap_or_default(), &ours) {
            let connection = self.caller.connection(Call::UpdateIncidentRecord, Urgency::Note).await?;
            let request = connection
                .incidents
                .update_incident_record()
                .client_token(&description.client_token)
                .arn(&record.0)
                .summary(record::summary(&summary));
            let send = |capture| request.clone().customize().interceptor(capture).send();
            let answer = call(Call::UpdateIncidentRecord, &connection.place, send).await;
            match self.caller.settle(&connection, Call::UpdateIncidentRecord, answer) {
                Ok(_) | Err(SinkError::TokenKnown) => {}
                Err(error) => return Err(error),
            }
        }
        for link in &description.links {
            self.link(record, link).await?;
        }
        Ok(())
    }

    /// Reads before it writes: a person may have closed the record, and text by people or the response plan stays.
    async fn resolve(&self, record: &RecordId, summary: &str, client_token: &str) -> Result<(), SinkError> {
        let current = self.get(record, Urgency::Resolve).await?;
        match record::record(record, &current).status {
            RecordStatus::Resolved => return Ok(()),
            RecordStatus::Open => {}
        }
        let connection = self.caller.connection(Call::UpdateIncidentRecord, Urgency::Resolve).await?;
        let written = current.summary().unwrap_or_default();
        let summary = Some(summary).filter(|summary| !summary.is_empty());
        let summary = summary.and_then(|ours| merged(written, ours)).map(|text| record::summary(&text));
        let request = connection
            .incidents
            .update_incident_record()
            .client_token(client_token)
            .arn(&record.0)
            .status(aws_sdk_ssmincidents::types::IncidentRecordStatus::Resolved)
            .set_summary(summary);
        let send = |capture| request.clone().customize().interceptor(capture).send();
        let answer = call(Call::UpdateIncidentRecord, &connection.place, send).await;
        match self.caller.settle(&connection, Call::UpdateIncidentRecord, answer) {
            Ok(_) => Ok(()),
            // The token was used with another summary: the record is resolved, or soon will be.
            Err(SinkError::TokenKnown) => {
                match record::record(record, &self.get(record, Urgency::Resolve).await?).status {
                    RecordStatus::Resolved => Ok(()),
                    RecordStatus::Open => {
                        let what = format!(
                            "{} {}: {record} is still open after it was resolved",
                            Call::UpdateIncidentRecord,
                            connection.place
                        );
                        Err(SinkError::Temporary { what, retry_after: None, source: None })
                    }
                }
            }
            Err(error) => Err(error),
        }
    }
}

impl ShowingSink for IncidentManager {
    async fn show(&self, record: &RecordId) -> Result<Shown, SinkError> {
        self.get(record, Urgency::Start).await.map(|found| record::shown(&found))
    }
}

impl fmt::Debug for IncidentManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncidentManager({})", self.caller.place())
    }
}
