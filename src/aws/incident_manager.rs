//! SSM Incident Manager as a sink.
//!
//! A record is ours if it belongs to the scope's response plan and says so itself: its source and resource are the
//! scope's, or the CloudWatch alarm of our own template started it.

mod find;
mod request;

use std::fmt;
use std::sync::Arc;

use aws_sdk_ssmincidents::types::IncidentRecord;

use super::connection::{AwsConnections, Connection, Place};
use super::errors::{Failure, FailureKind};
use super::exchange::{Exchange, call};
use super::permission::Call;
use crate::incident::sink::{
    IncidentSink, Note, Record, RecordId, RecordStatus, Scope, SinkError, StartRequest,
};

/// Incident Manager in one Region, called with one role.
pub struct IncidentManager {
    connections: AwsConnections,
    place: Place,
}

impl IncidentManager {
    /// `None` leaves the Region to the SDK's chain and calls with the daemon's own identity.
    pub fn new(connections: AwsConnections, region: Option<Arc<str>>, role_arn: Option<Arc<str>>) -> Self {
        Self { connections, place: Place { region, role_arn } }
    }

    /// Whether the account uses Incident Manager at all: without a replication set no incident can be started.
    ///
    /// # Errors
    /// `Rejected` if it does not, with words on what to do; else whatever the call came to.
    pub async fn check_onboarded(&self) -> Result<(), SinkError> {
        let connection = self.connection(Call::ListReplicationSets).await?;
        let request = connection.incidents.list_replication_sets();
        let send = |capture| request.clone().customize().interceptor(capture).send();
        let answer = call(Call::ListReplicationSets, &connection.place, send).await;
        if self.settle(&connection, answer)?.replication_set_arns().is_empty() {
            let what = format!(
                "Incident Manager {}: this account has no replication set, so that no incident can be started; complete \
                 \"Get prepared\" in its console (it is closed to accounts that did not use it before 2025-11-07), or use \
                 another sink",
                connection.place
            );
            return Err(SinkError::Rejected { what, source: None });
        }
        Ok(())
    }

    async fn connection(&self, about: Call) -> Result<Arc<Connection>, SinkError> {
        let connection = self.connections.at(&self.place).await;
        match &connection.place.region {
            Some(_) => Ok(connection),
            None => {
                let failure = Failure::no_region(about);
                self.connections.renew_after(&failure, &connection);
                Err(sink_error(failure, false))
            }
        }
    }

    /// Puts a call's result in a sink's terms, and has credentials that were not accepted loaded afresh.
    fn settle<T>(
        &self,
        connection: &Arc<Connection>,
        result: Result<(T, Exchange), Failure>,
    ) -> Result<T, SinkError> {
        self.outcome(connection, result.map(|(value, _)| value))
    }

    /// The same of what took any number of calls.
    fn outcome<T>(&self, connection: &Arc<Connection>, result: Result<T, Failure>) -> Result<T, SinkError> {
        result.inspect(|_| connection.accepted()).map_err(|failure| {
            let renewed = self.connections.renew_after(&failure, connection);
            sink_error(failure, renewed)
        })
    }

    async fn get(&self, record: &RecordId) -> Result<IncidentRecord, SinkError> {
        let connection = self.connection(Call::GetIncidentRecord).await?;
        let request = connection.incidents.get_incident_record().arn(&record.0);
        let send = |capture| request.clone().customize().interceptor(capture).send();
        let answer = call(Call::GetIncidentRecord, &connection.place, send).await;
        self.settle(&connection, answer)?.incident_record.ok_or_else(|| {
            let what = "the answer holds no record";
            sink_error(Failure::garbage(Call::GetIncidentRecord, &connection.place, what), false)
        })
    }
}

impl IncidentSink for IncidentManager {
    async fn find(&self, scope: &Scope) -> Result<Vec<Record>, SinkError> {
        let connection = self.connection(Call::ListIncidentRecords).await?;
        self.outcome(&connection, find::records(&connection, scope).await)
    }

    async fn survey(&self, scopes: &[Scope]) -> Result<Vec<(Scope, Record)>, SinkError> {
        let connection = self.connection(Call::ListIncidentRecords).await?;
        self.outcome(&connection, find::open(&connection, scopes).await)
    }

    async fn start(&self, start: &StartRequest) -> Result<RecordId, SinkError> {
        let connection = self.connection(Call::StartIncident).await?;
        let trigger = request::trigger(start);
        let request = connection
            .incidents
            .start_incident()
            .client_token(&start.client_token)
            .response_plan_arn(&start.scope.plan)
            .title(request::title(&start.title))
            .impact(i32::from(start.impact))
            .trigger_details(trigger);
        let send = |capture| request.clone().customize().interceptor(capture).send();
        match self.settle(&connection, call(Call::StartIncident, &connection.place, send).await) {
            Ok(answer) => Ok(RecordId(answer.incident_record_arn)),
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

    async fn read(&self, record: &RecordId) -> Result<Record, SinkError> {
        self.get(record).await.map(|found| find::record(&found))
    }

    /// A token that is known has told this entry before: nothing is left to do.
    async fn note(&self, record: &RecordId, note: &Note) -> Result<(), SinkError> {
        let connection = self.connection(Call::CreateTimelineEvent).await?;
        let request = connection
            .incidents
            .create_timeline_event()
            .client_token(&note.client_token)
            .incident_record_arn(&record.0)
            .event_time(request::time(note.at))
            .event_type(request::EVENT_TYPE)
            .event_data(request::event_data(&note.text));
        let send = |capture| request.clone().customize().interceptor(capture).send();
        match self.settle(&connection, call(Call::CreateTimelineEvent, &connection.place, send).await) {
            Ok(_) | Err(SinkError::TokenKnown) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn relate(&self, record: &RecordId, other: &RecordId, title: &str) -> Result<(), SinkError> {
        let connection = self.connection(Call::UpdateRelatedItems).await?;
        let update = request::related(other, title).ok_or_else(|| {
            let what = format!("the related record {other} could not be named");
            SinkError::Rejected { what, source: None }
        })?;
        let request = connection
            .incidents
            .update_related_items()
            .client_token(request::relation_token(record, other))
            .incident_record_arn(&record.0)
            .related_items_update(update);
        let send = |capture| request.clone().customize().interceptor(capture).send();
        match self.settle(&connection, call(Call::UpdateRelatedItems, &connection.place, send).await) {
            Ok(_) | Err(SinkError::TokenKnown) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads before it writes: a person may have closed the record, and a summary that is there is a person's or the
    /// response plan's and stays.
    async fn resolve(&self, record: &RecordId, summary: &str, client_token: &str) -> Result<(), SinkError> {
        let current = self.get(record).await?;
        match find::record(&current).status {
            RecordStatus::Resolved => return Ok(()),
            RecordStatus::Open => {}
        }
        let connection = self.connection(Call::UpdateIncidentRecord).await?;
        let unwritten = current.summary().is_none_or(|written| written.trim().is_empty());
        let summary = (unwritten && !summary.is_empty()).then(|| request::summary(summary));
        let request = connection
            .incidents
            .update_incident_record()
            .client_token(client_token)
            .arn(&record.0)
            .status(aws_sdk_ssmincidents::types::IncidentRecordStatus::Resolved)
            .set_summary(summary);
        let send = |capture| request.clone().customize().interceptor(capture).send();
        let answer = call(Call::UpdateIncidentRecord, &connection.place, send).await;
        match self.settle(&connection, answer) {
            Ok(_) => Ok(()),
            // The token was used with another summary: the record is, or soon reads as, resolved.
            Err(SinkError::TokenKnown) => match find::record(&self.get(record).await?).status {
                RecordStatus::Resolved => Ok(()),
                RecordStatus::Open => {
                    let what = format!(
                        "{} {}: {record} is still open after it was resolved",
                        Call::UpdateIncidentRecord,
                        connection.place
                    );
                    Err(SinkError::Temporary { what, retry_after: None, source: None })
                }
            },
            Err(error) => Err(error),
        }
    }
}

/// `renewed`: the credentials were good until now and are loaded afresh, so that the same again may well do.
fn sink_error(failure: Failure, renewed: bool) -> SinkError {
    let what = failure.text.clone();
    match failure.kind {
        FailureKind::Throttled { retry_after } => {
            SinkError::Temporary { what, retry_after, source: Some(Arc::new(failure)) }
        }
        FailureKind::CredentialsRefused if renewed => {
            SinkError::Temporary { what, retry_after: None, source: Some(Arc::new(failure)) }
        }
        FailureKind::TimedOut
        | FailureKind::Unreachable
        | FailureKind::ServiceFault
        | FailureKind::Contended
        | FailureKind::Garbage => {
            SinkError::Temporary { what, retry_after: None, source: Some(Arc::new(failure)) }
        }
        FailureKind::Denied
        | FailureKind::CredentialsRefused
        | FailureKind::CredentialsMissing
        | FailureKind::Rejected => SinkError::Rejected { what, source: Some(Arc::new(failure)) },
        FailureKind::NotFound => SinkError::NotFound,
        FailureKind::TokenKnown => SinkError::TokenKnown,
    }
}

impl fmt::Debug for IncidentManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncidentManager({})", self.place)
    }
}
