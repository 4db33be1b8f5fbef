//! What a sink's machine wants done, and how it ended, as data: a simulation can delay, lose, repeat or reorder it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::board::{Board, IncidentId};
use crate::domain::names::{Kind, SinkId, VpnId};
use crate::domain::time::Stamp;
use crate::health::Code;

use super::message::Message;
use super::sink::{
    Description, LedgerError, LedgerRow, Note, Record, RecordId, Scope, Search, SinkError, StartRequest,
};
pub use crate::catalogue::parts::{NoticeReason, SinkNotice};

/// Names an action; never used twice in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionId(pub u64);

/// Something to be done at the sink or in the ledger. It is answered by [`SinkEvent::Ended`]; without an answer the machine gives
/// it up after a while and does what is then needed.
#[derive(Debug, Clone, PartialEq)]
pub struct SinkAction<C> {
    /// Its name.
    pub id: ActionId,
    /// What.
    pub work: Work<C>,
}

/// What is to be done. `C`: the calls of the sink's family.
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
    /// Which way it is.
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
    /// Which way it is.
    fn kind(&self) -> ActionKind;
}

/// The calls to a sink that keeps records, see [`super::sink::IncidentSink`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordCall {
    /// Look for the records of some scopes.
    Find {
        /// Where, and for whom.
        search: Search,
    },
    /// Look for what is open in any of these scopes.
    Survey {
        /// Where.
        scopes: Vec<Scope>,
    },
    /// Start a record.
    Start {
        /// As committed.
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
        /// What.
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
    /// Write what a record should say.
    Describe {
        /// Which.
        record: RecordId,
        /// What.
        description: Box<Description>,
    },
    /// Close a record.
    Resolve {
        /// Which.
        record: RecordId,
        /// What people read.
        summary: String,
        /// What makes retries one.
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

/// The one call to a sink that only takes messages: deliver it.
impl SinkCall for Arc<Message> {
    fn kind(&self) -> ActionKind {
        ActionKind::Deliver
    }
}

/// Whether somebody waits for what is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    /// A page, or the end of one.
    Page,
    /// Nobody: the story's details, look-ups made beforehand, housekeeping.
    Quiet,
}

/// A way to act, without its particulars.
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
    /// The value of the label `action` of `bothends_sink_requests_total`, for those that go to the sink.
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

    /// What is being done, for the beginning of a line on why it failed.
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

    /// Whether it goes to the sink, and not to the ledger.
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

    /// Whether somebody waits for it. A look-up is waited for if a page needs it, which its place knows; a message if it is
    /// a page or the end of one, which its case knows.
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

    /// What it means for the job that this fails, until a person acts (`rejected`) or for now.
    pub(super) const fn problem_code(self, rejected: bool) -> Code {
        match self {
            Self::Find | Self::Start | Self::Read | Self::Resolve | Self::Deliver if rejected => {
                Code::SinkRejects
            }
            Self::Find | Self::Start | Self::Read | Self::Resolve | Self::Deliver => Code::SinkUnreachable,
            // A record without its story, or a ledger that is kept in memory only, is still a record, and every message goes
            // out. Nor does it stand in the way of a page that nobody looks for what others have left open.
            Self::Survey | Self::Note | Self::Relate | Self::Describe | Self::Commit | Self::Forget => {
                Code::SinkIncomplete
            }
        }
    }

    /// After how long without an answer it is given up, and what it would have done is found out or tried again.
    pub(super) const fn given_up_after(self) -> Duration {
        if self.is_request() { REQUEST_GIVEN_UP } else { LEDGER_GIVEN_UP }
    }
}

/// Above the time that a sink's own client gives a call.
const REQUEST_GIVEN_UP: Duration = Duration::from_secs(60);
/// The ledger gets less: a disk that hangs must not hold up a page.
const LEDGER_GIVEN_UP: Duration = Duration::from_secs(5);

/// What a sink's machine takes in.
#[derive(Debug, Clone)]
pub enum SinkEvent {
    /// The Board as it stands.
    Board(Arc<Board>),
    /// An action has ended. An answer to an action that was given up, or a second answer, is ignored.
    Ended {
        /// Which.
        id: ActionId,
        /// How.
        result: Result<Reply, ActionFailure>,
    },
}

/// How an action went well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To `Find`: every record, with the scope it is of.
    Found(Vec<(Scope, Record)>),
    /// To `Survey`: every open record, with the scope it is of.
    Surveyed(Vec<(Scope, Record)>),
    /// To `Start`.
    Started(RecordId),
    /// To `Read`.
    Read(Record),
    /// To `Commit`, `Note`, `Relate`, `Resolve`, `Forget` and `Deliver`.
    Done,
}

/// How an action failed.
#[derive(Debug, Clone)]
pub enum ActionFailure {
    /// At the sink.
    Sink(SinkError),
    /// In the ledger.
    Ledger(LedgerError),
    /// None came in time: it may be done, or not.
    NoAnswer,
    /// The answer is one to something else.
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
    /// Its revision that was taken in.
    pub revision: u64,
}

/// A record is open, and no incident on the Board accounts for it; see [`crate::domain::event::Event::RecordFound`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnclaimedRecord {
    /// The connection.
    pub vpn: VpnId,
    /// The kind.
    pub kind: Kind,
    /// When it was created, on the sink's clock.
    pub created: Stamp,
}

/// For telemetry: plain data, as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkReport {
    /// A request to the sink has ended: one more of `bothends_sink_requests_total`.
    Request {
        /// The sink.
        sink: SinkId,
        /// What was asked; see [`ActionKind::as_str`].
        action: &'static str,
        /// `ok`, `temporary`, `rejected`, `token_known`, `not_found`, or `no_answer`.
        result: &'static str,
    },
    /// How many incidents the sink's records are not in line with: `bothends_sink_pending`.
    Pending {
        /// The sink.
        sink: SinkId,
        /// How many.
        incidents: usize,
    },
}
