//! What a sink must be able to do, whichever vendor's it is.

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
pub use super::settings::{DRILL_SOURCE, Scope};
pub use crate::domain::names::RecordId;

/// A sink's counterpart of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name.
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
    /// People are on it.
    Open,
    /// Somebody, or we, closed it.
    Resolved,
}

/// Who opened a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordOrigin {
    /// A daemon, this one or its twin.
    Daemon,
    /// The CloudWatch alarm of our own template.
    Alarm,
}

/// The whole request that starts a record. It is committed to the ledger before the call, and a retry sends the same
/// bytes, so that the sink's token makes it one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartRequest {
    /// Where.
    pub scope: Scope,
    /// What makes retries, restarts and twins one.
    pub client_token: String,
    /// At most 200 characters.
    pub title: String,
    /// 1 (critical) to 5 (no impact).
    pub impact: u8,
    /// When the trigger happened.
    pub triggered: Stamp,
    /// What people read, in Markdown, at most [`DESCRIPTION_MAX`] bytes, for a sink that takes it at the start.
    pub description: String,
    /// The evidence of both ends, JSON, at most 10,000 bytes.
    pub raw_data: String,
}

/// The limit of an OpsItem's description, in characters; held in bytes, to be safe.
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateOpsItem.html>
pub const DESCRIPTION_MAX: usize = 2048;

/// What a record should say of its incident as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// In words.
    pub account: Account,
    /// Where to look, as far as the record has no such links yet.
    pub links: Vec<Link>,
    /// What makes retries one.
    pub client_token: String,
}

/// One entry for a record's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When it happened.
    pub at: Stamp,
    /// What, in words; at most 12,000 characters.
    pub text: String,
    /// What makes retries and twins one.
    pub client_token: String,
}

/// Why a sink did not do what it was asked.
#[derive(Debug, Clone)]
pub enum SinkError {
    /// Try again: no network, throttled, an error on the sink's side.
    Temporary {
        /// What happened, in an operator's words.
        what: String,
        /// The sink's own word on when to come back.
        retry_after: Option<Duration>,
        /// The cause.
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// No retry will mend it until a person changes something; it is tried again, rarely.
    Rejected {
        /// What, where, and what to do.
        what: String,
        /// The cause.
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// The token is known with other parameters: look for the record again, never take another token.
    TokenKnown,
    /// The record does not exist (any more).
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

/// A look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Where.
    pub scopes: Vec<Scope>,
    /// Whether a page waits for it.
    pub page: bool,
}

/// A place where incidents go.
pub trait IncidentSink: Send + Sync + 'static {
    /// The records of these scopes that are ours: source and resource are the scope's, or our own alarm opened them. Of each
    /// scope all open ones, and the newest closed one if the sink can tell; in as few calls as it takes, for there may be
    /// many scopes.
    fn find(&self, search: &Search) -> impl Future<Output = Result<Vec<(Scope, Record)>, SinkError>> + Send;

    /// Every open record that [`Self::find`] would find in any of these scopes, in as few calls as it takes: it is asked every
    /// few minutes, and there may be many scopes.
    fn survey(
        &self,
        scopes: &[Scope],
    ) -> impl Future<Output = Result<Vec<(Scope, Record)>, SinkError>> + Send;

    /// Starts a record, or finds the one that this token has started.
    fn start(&self, request: &StartRequest) -> impl Future<Output = Result<RecordId, SinkError>> + Send;

    /// Reads a record back.
    fn read(&self, record: &RecordId) -> impl Future<Output = Result<Record, SinkError>> + Send;

    /// Adds to a record's timeline.
    fn note(&self, record: &RecordId, note: &Note) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// Names another record as related.
    fn relate(
        &self,
        record: &RecordId,
        other: &RecordId,
        title: &str,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// Writes what the record should say. What people wrote in it stays.
    fn describe(
        &self,
        record: &RecordId,
        description: &Description,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// Closes a record; closing a closed one is no error.
    fn resolve(
        &self,
        record: &RecordId,
        summary: &str,
        client_token: &str,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// One row of the ledger: what a sink has of one incident. Only that sink's own task writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The sink.
    pub sink: SinkId,
    /// What that name stood for when the row was written; `None` in a row of a release that did not say.
    pub destination: Option<Destination>,
    /// Ours.
    pub incident: IncidentId,
    /// Which record of that incident: it grows when a worsening after a person's close starts another.
    pub generation: u32,
    /// The request that starts it, committed before the call; `None` if the record was adopted.
    pub start: Option<StartRequest>,
    /// Theirs, once known.
    pub record: Option<RecordId>,
    /// The timeline's entries up to and excluding this `seq` have been noted or sent.
    pub told: u32,
    /// [`crate::domain::board::Incident::worsened`] when the record was found closed by a person.
    pub closed_by_person_at: Option<u32>,
    /// Whether the related record has been named.
    pub related: bool,
    /// Whether the record has its links.
    pub linked: bool,
    /// Whether the record has been resolved, or needs no more: nothing is left to do.
    pub settled: bool,
}

impl LedgerRow {
    /// Of an incident that the sink has not heard of.
    pub(super) fn new(sink: &SinkPlan, incident: IncidentId) -> Self {
        Self {
            sink: sink.id.clone(),
            destination: Some(sink.destination.clone()),
            incident,
            generation: 0,
            start: None,
            record: None,
            told: 0,
            closed_by_person_at: None,
            related: false,
            linked: false,
            settled: false,
        }
    }

    /// Whether there may be something open at the sink that only we would bring to its end.
    pub fn may_be_open(&self) -> bool {
        let begun = self.record.is_some() || self.start.is_some() || self.told > 0;
        begun && !self.settled && self.closed_by_person_at.is_none()
    }
}

/// Why the ledger could not be kept.
#[derive(Debug, Clone)]
pub struct LedgerError {
    /// What, in an operator's words.
    pub what: String,
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for LedgerError {}

/// What each sink has, kept across restarts.
pub trait Ledger: Send + Sync + 'static {
    /// Every row of a sink.
    fn load(&self, sink: &SinkId) -> impl Future<Output = Result<Vec<LedgerRow>, LedgerError>> + Send;

    /// Writes a row, in place of the one with the same sink, incident and generation; returns when it would survive a
    /// power cut.
    fn commit(&self, row: LedgerRow) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Removes the rows of an incident that has left the Board.
    fn forget(
        &self,
        sink: &SinkId,
        incident: &IncidentId,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;
}
