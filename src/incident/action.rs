//! What a sink's machine wants done, and how it ended, as data: a simulation can delay, lose, repeat or reorder it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::board::{Board, IncidentId};
use crate::domain::names::{Kind, SinkId};
use crate::domain::scope::Scope;
use crate::domain::time::Stamp;
use crate::health::Code;

use super::message::Message;
use super::sink::{
    Description, LedgerError, LedgerRow, Note, Record, RecordId, RecordScope, Search, SinkError, StartRequest,
};
pub use crate::catalogue::parts::{NoticeReason, SinkNotice};

/// Identifies an action; never reused in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionId(pub u64);

/// A call to the sink or the ledger. [`SinkEvent::Ended`] answers it; without an answer the machine times it out and
/// recovers.
#[derive(Debug, Clone, PartialEq)]
pub struct SinkAction<C> {
    /// Its id.
    pub id: ActionId,
    /// The work.
    pub work: Work<C>,
}

/// The work. `C`: the calls of the sink's family.
#[derive(Debug, Clone, PartialEq)]
pub enum Work<C> {
    /// Call the sink.
    Call(C),
    /// Write a row to the ledger.
    Commit {
        /// The row.
        row: Box<LedgerRow>,
    },
    /// Remove an incident's rows from the ledger.
    Forget {
        /// Which.
        incident: IncidentId,
    },
}

impl<C: SinkCall> Work<C> {
    /// Which kind of action it is.
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Call(call) => call.kind(),
            Self::Commit { .. } => ActionKind::Commit,
            Self::Forget { .. } => ActionKind::Forget,
        }
    }
}

/// A call to a sink of one family.
pub trait SinkCall: fmt::Debug + Send + 'static {
    /// Which kind of action it is.
    fn kind(&self) -> ActionKind;
}

/// The calls to a sink that keeps records; see [`super::sink::IncidentSink`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordCall {
    /// Look for the records of some scopes.
    Find {
        /// The scopes, and whether a page waits.
        search: Search,
    },
    /// Look for open records in these scopes.
    Survey {
        /// The scopes.
        scopes: Vec<RecordScope>,
    },
    /// Start a record.
    Start {
        /// The request, as committed.
        request: StartRequest,
    },
    /// Read a record.
    Read {
        /// Which.
        record: RecordId,
    },
    /// Add to a record's timeline.
    Note {
        /// Which.
        record: RecordId,
        /// The entry.
        note: Note,
    },
    /// Name another record as related.
    Relate {
        /// Which.
        record: RecordId,
        /// The other.
        other: RecordId,
        /// The other's title.
        title: String,
    },
    /// Write a record's description.
    Describe {
        /// Which.
        record: RecordId,
        /// The description.
        description: Box<Description>,
    },
    /// Close a record.
    Resolve {
        /// Which.
        record: RecordId,
        /// The closing text.
        summary: String,
        /// Makes retries one request.
        client_token: String,
    },
}

impl SinkCall for RecordCall {
    fn kind(&self) -> ActionKind {
        match self {
            Self::Find { .. } => ActionKind::Find,
            Self::Survey { .. } => ActionKind::Survey,
            Self::Start { .. } => ActionKind::Start,
            Self::Read { .. } => ActionKind::Read,
            Self::Note { .. } => ActionKind::Note,
            Self::Relate { .. } => ActionKind::Relate,
            Self::Describe { .. } => ActionKind::Describe,
            Self::Resolve { .. } => ActionKind::Resolve,
        }
    }
}

/// The one call to a sink that only accepts messages: deliver it.
impl SinkCall for Arc<Message> {
    fn kind(&self) -> ActionKind {
        ActionKind::Deliver
    }
}

/// Whether a page waits for the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    /// A page, or the end of one.
    Page,
    /// Nothing waits: the timeline's details, look-ups made ahead of time, housekeeping.
    Quiet,
}

/// The kind of an action, without its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActionKind {
    /// See [`RecordCall::Find`].
    Find,
    /// See [`RecordCall::Survey`].
    Survey,
    /// See [`Work::Commit`].
    Commit,
    /// See [`RecordCall::Start`].
    Start,
    /// See [`RecordCall::Read`].
    Read,
    /// See [`RecordCall::Note`].
    Note,
    /// See [`RecordCall::Relate`].
    Relate,
    /// See [`RecordCall::Describe`].
    Describe,
    /// See [`RecordCall::Resolve`].
    Resolve,
    /// See [`Work::Forget`].
    Forget,
    /// Deliver a message.
    Deliver,
}

impl ActionKind {
    /// The value of the label `action` of `bothends_sink_requests_total`, for actions that call the sink.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Find => "find",
            Self::Survey => "survey",
            Self::Commit => "commit",
            Self::Start => "start",
            Self::Read => "read",
            Self::Note => "note",
            Self::Relate => "relate",
            Self::Describe => "describe",
            Self::Resolve => "resolve",
            Self::Forget => "forget",
            Self::Deliver => "deliver",
        }
    }

    /// What is being done, as the beginning of a line on why it failed.
    pub const fn doing(self) -> &'static str {
        match self {
            Self::Find => "looking for open records",
            Self::Survey => "looking for records that were left open",
            Self::Commit => "writing to the store",
            Self::Start => "opening a record",
            Self::Read => "reading a record",
            Self::Note => "adding to a record's timeline",
            Self::Relate => "naming the related record",
            Self::Describe => "updating a record's summary",
            Self::Resolve => "resolving a record",
            Self::Forget => "tidying the store",
            Self::Deliver => "sending",
        }
    }

    /// Whether it calls the sink, and not the ledger.
    pub const fn is_request(self) -> bool {
        match self {
            Self::Find
            | Self::Survey
            | Self::Start
            | Self::Read
            | Self::Note
            | Self::Relate
            | Self::Describe
            | Self::Resolve
            | Self::Deliver => true,
            Self::Commit | Self::Forget => false,
        }
    }

    /// Whether a page waits for it. For a look-up its scope decides that, for a message its case.
    pub(super) const fn priority(self) -> Priority {
        match self {
            Self::Start | Self::Read | Self::Resolve | Self::Commit => Priority::Page,
            Self::Find
            | Self::Survey
            | Self::Note
            | Self::Relate
            | Self::Describe
            | Self::Forget
            | Self::Deliver => Priority::Quiet,
        }
    }

    /// The problem that a failure means: until a person acts (`rejected`), or temporarily.
    pub(super) const fn problem_code(self, rejected: bool) -> Code {
        match self {
            Self::Find | Self::Start | Self::Read | Self::Resolve | Self::Deliver if rejected => {
                Code::SinkRejects
            }
            Self::Find | Self::Start | Self::Read | Self::Resolve | Self::Deliver => Code::SinkUnreachable,
            // A record without its timeline, or one whose ledger row is only in memory, is still a record, and every message
            // is sent. A failing survey does not delay a page either.
            Self::Survey | Self::Note | Self::Relate | Self::Describe | Self::Commit | Self::Forget => {
                Code::SinkIncomplete
            }
        }
    }

    /// Without an answer for this long, the action is timed out; its effect is then looked up, or it is retried.
    pub(super) const fn given_up_after(self) -> Duration {
        if self.is_request() { REQUEST_GIVEN_UP } else { LEDGER_GIVEN_UP }
    }
}

/// Longer than the timeout of any sink's own client.
const REQUEST_GIVEN_UP: Duration = Duration::from_secs(60);
/// Shorter for the ledger: a disk that hangs must not delay a page.
const LEDGER_GIVEN_UP: Duration = Duration::from_secs(5);

/// The input of a sink's machine.
#[derive(Debug, Clone)]
pub enum SinkEvent {
    /// The Board.
    Board(Arc<Board>),
    /// An action has ended. An answer to an action that timed out, or a second answer, is ignored.
    Ended {
        /// Which.
        id: ActionId,
        /// How.
        result: Result<Reply, ActionFailure>,
    },
}

/// The result of an action that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// For `Find`: every record, with its scope.
    Found(Vec<(RecordScope, Record)>),
    /// For `Survey`: every open record, with its scope.
    Surveyed(Vec<(RecordScope, Record)>),
    /// For `Start`.
    Started(RecordId),
    /// For `Read`.
    Read(Record),
    /// For `Commit`, `Note`, `Relate`, `Resolve`, `Forget` and `Deliver`.
    Done,
}

/// Why an action failed.
#[derive(Debug, Clone)]
pub enum ActionFailure {
    /// The sink failed.
    Sink(SinkError),
    /// The ledger failed.
    Ledger(LedgerError),
    /// No answer in time: it may be done, or not.
    NoAnswer,
    /// The result is that of another kind of action.
    Mismatch,
}

impl fmt::Display for ActionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sink(error) => error.fmt(f),
            Self::Ledger(error) => error.fmt(f),
            Self::NoAnswer => f.write_str("no answer"),
            Self::Mismatch => f.write_str("an answer to something else"),
        }
    }
}

/// A sink's record is in line with an incident that is over; see [`crate::domain::event::Event::Settled`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which incident.
    pub incident: IncidentId,
    /// The revision that the record has.
    pub revision: u64,
}

/// A record is open that no incident on the Board explains; see [`crate::domain::event::Event::RecordFound`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnclaimedRecord {
    /// What it is about.
    pub scope: Scope,
    /// The kind.
    pub kind: Kind,
    /// When it was created, on the sink's clock.
    pub created: Stamp,
}

/// What telemetry counts, as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkReport {
    /// A call to the sink has ended: one more of `bothends_sink_requests_total`.
    Request {
        /// The sink.
        sink: SinkId,
        /// What was asked; see [`ActionKind::as_str`].
        action: &'static str,
        /// `ok`, `temporary`, `rejected`, `token_known`, `not_found`, or `no_answer`.
        result: &'static str,
    },
    /// How many incidents the sink is not in line with: `bothends_sink_pending`.
    Pending {
        /// The sink.
        sink: SinkId,
        /// How many.
        incidents: usize,
    },
}
