//! What a sink must be able to do, for any vendor.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::board::IncidentId;
use crate::domain::names::{Destination, SinkId};
use crate::domain::plan::SinkPlan;
use crate::domain::time::Stamp;

use super::account::{Account, Link};
pub use super::settings::{DRILL_SOURCE, RecordScope};
pub use crate::domain::names::RecordId;

/// A sink's counterpart of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id at the sink.
    pub id: RecordId,
    /// Open or closed.
    pub status: RecordStatus,
    /// When it was created, on the sink's clock.
    pub created: Stamp,
    /// Who opened it.
    pub origin: RecordOrigin,
}

/// Whether a record is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordStatus {
    /// Open.
    Open,
    /// Closed, by a person or by a daemon.
    Resolved,
}

/// Who created a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordOrigin {
    /// A daemon, this one or its twin.
    Daemon,
    /// The CloudWatch alarm of our own template.
    Alarm,
}

/// The whole request that creates a record. It is committed to the ledger before the call, and a retry sends the same bytes,
/// so that the sink's token makes it one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartRequest {
    /// The scope.
    pub scope: RecordScope,
    /// Makes retries, restarts and twins one request.
    pub client_token: String,
    /// At most 200 characters.
    pub title: String,
    /// 1 (critical) to 5 (no impact).
    pub impact: u8,
    /// When the incident began.
    pub triggered: Stamp,
    /// The text, in Markdown, at most [`DESCRIPTION_MAX`] bytes, for a sink that accepts it at creation.
    pub description: String,
    /// The evidence of both ends, JSON, at most 10,000 bytes.
    pub raw_data: String,
}

/// The limit of an OpsItem's description is in characters; counted in bytes, to be safe.
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateOpsItem.html>
pub const DESCRIPTION_MAX: usize = 2048;

/// What a record should say of its incident now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The text.
    pub account: Account,
    /// The links that the record does not have yet.
    pub links: Vec<Link>,
    /// Makes retries one request.
    pub client_token: String,
}

/// One entry for a record's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When it happened.
    pub at: Stamp,
    /// The text; at most 12,000 characters.
    pub text: String,
    /// Makes retries and twins one request.
    pub client_token: String,
}

/// Why a call to a sink failed.
#[derive(Debug, Clone)]
pub enum SinkError {
    /// Temporary: no network, throttled, an error on the sink's side. Retry.
    Temporary {
        /// What happened, for an operator.
        what: String,
        /// When the sink asks us to come back.
        retry_after: Option<Duration>,
        /// The underlying error.
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// Rejected. It fails until a person changes something, so it is retried less often.
    Rejected {
        /// What, where, and what to do.
        what: String,
        /// The underlying error.
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// The token is known with other parameters: look up the record; never use another token.
    TokenKnown,
    /// The record does not exist, or no longer.
    NotFound,
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Temporary { what, .. } | Self::Rejected { what, .. } => f.write_str(what),
            Self::TokenKnown => f.write_str("the sink knows this token with other parameters"),
            Self::NotFound => f.write_str("the sink does not have this record"),
        }
    }
}

impl Error for SinkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Temporary { source, .. } | Self::Rejected { source, .. } => {
                source.as_ref().map(|source| &**source as &(dyn Error + 'static))
            }
            Self::TokenKnown | Self::NotFound => None,
        }
    }
}

/// One look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The scopes.
    pub scopes: Vec<RecordScope>,
    /// Whether a page waits for it.
    pub page: bool,
}

/// A sink that keeps records.
pub trait IncidentSink: Send + Sync + 'static {
    /// The records of these scopes that are ours: created with the scope's source and resource, or by our own alarm. For each
    /// scope all open ones, and the newest closed one if the sink can list it. Use as few calls as possible: there may be
    /// many scopes.
    fn find(
        &self,
        search: &Search,
    ) -> impl Future<Output = Result<Vec<(RecordScope, Record)>, SinkError>> + Send;

    /// Every open record that [`Self::find`] would find in these scopes. Use as few calls as possible: this runs every few
    /// minutes, and there may be many scopes.
    fn survey(
        &self,
        scopes: &[RecordScope],
    ) -> impl Future<Output = Result<Vec<(RecordScope, Record)>, SinkError>> + Send;

    /// Creates a record, or returns the one that this token has created.
    fn start(&self, request: &StartRequest) -> impl Future<Output = Result<RecordId, SinkError>> + Send;

    /// Reads a record back.
    fn read(&self, record: &RecordId) -> impl Future<Output = Result<Record, SinkError>> + Send;

    /// Adds to a record's timeline.
    fn note(&self, record: &RecordId, note: &Note) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// Links another record as related.
    fn relate(
        &self,
        record: &RecordId,
        other: &RecordId,
        title: &str,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// Writes the record's description. Text that people added stays.
    fn describe(
        &self,
        record: &RecordId,
        description: &Description,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// Closes a record; closing a closed one is not an error.
    fn resolve(
        &self,
        record: &RecordId,
        summary: &str,
        client_token: &str,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// One row of the ledger: what a sink has received for one incident. Only that sink's own task writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The sink.
    pub sink: SinkId,
    /// The destination that this name had when the row was written; `None` in rows of releases that did not store it.
    pub destination: Option<Destination>,
    /// The incident.
    pub incident: IncidentId,
    /// Which record of that incident. It increases when the incident worsens after a person closed its record, and another is
    /// created.
    pub generation: u32,
    /// The request that creates the record, committed before the call; `None` if the record was adopted.
    pub start: Option<StartRequest>,
    /// The record, once known.
    pub record: Option<RecordId>,
    /// The timeline's entries up to and excluding this `seq` have been noted or sent.
    pub sent_upto: u32,
    /// [`crate::domain::board::Incident::worsened`] when the record was found closed by a person.
    pub closed_by_person_at: Option<u32>,
    /// Whether the related record has been linked.
    pub related: bool,
    /// Whether the record has its links.
    pub linked: bool,
    /// Whether the record is closed, or needs nothing more.
    pub settled: bool,
}

impl LedgerRow {
    /// For an incident that has not been sent to the sink.
    pub(super) fn new(sink: &SinkPlan, incident: IncidentId) -> Self {
        Self {
            sink: sink.id.clone(),
            destination: Some(sink.destination.clone()),
            incident,
            generation: 0,
            start: None,
            record: None,
            sent_upto: 0,
            closed_by_person_at: None,
            related: false,
            linked: false,
            settled: false,
        }
    }

    /// Whether something may be open at the sink that only this daemon would close.
    pub fn may_be_open(&self) -> bool {
        let begun = self.record.is_some() || self.start.is_some() || self.sent_upto > 0;
        begun && !self.settled && self.closed_by_person_at.is_none()
    }
}

/// Why the ledger could not be read or written.
#[derive(Debug, Clone)]
pub struct LedgerError {
    /// What happened, for an operator.
    pub what: String,
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for LedgerError {}

/// What each sink has received, kept across restarts.
pub trait Ledger: Send + Sync + 'static {
    /// Every row of a sink.
    fn load(&self, sink: &SinkId) -> impl Future<Output = Result<Vec<LedgerRow>, LedgerError>> + Send;

    /// Writes a row, replacing the one with the same sink, incident and generation. Returns once it would survive a power
    /// cut.
    fn commit(&self, row: LedgerRow) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Removes the rows of an incident that has left the Board.
    fn forget(
        &self,
        sink: &SinkId,
        incident: &IncidentId,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;
}
