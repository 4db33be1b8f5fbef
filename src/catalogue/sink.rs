//! What becomes of records and messages at the sinks, as journal records.

use std::sync::Arc;

use super::message_id::MessageId;
use super::phrases::kind_words;
use super::record::JournalRecord;
use crate::domain::board::{Incident, IncidentId};
use crate::domain::names::{RecordId, SinkId};

/// What people should hear of a record or message; what is wrong with the sink itself is its problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SinkNotice {
    /// This gateway's name.
    pub site: Arc<str>,
    /// The sink.
    pub sink: SinkId,
    /// The incident that it is about.
    pub incident: IncidentId,
    /// The connection's name, if the incident is on the Board.
    pub vpn_name: Option<Arc<str>>,
    /// What.
    pub cause: NoticeCause,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeCause {
    /// This record was created.
    Created(RecordId),
    /// A record is created although the list of records fails.
    CreatedWithoutList,
    /// This record was open already, and is the incident's.
    Adopted(RecordId),
    /// The incident is over, and so is its record.
    Closed,
    /// One of two open records was closed.
    ClosedDuplicate {
        /// Which.
        younger: RecordId,
        /// The one that stays.
        oldest: RecordId,
    },
    /// A record that no incident accounts for was closed.
    ClosedLeftover(RecordId),
    /// A person, or the twin, has closed the record.
    ClosedElsewhere(RecordId),
    /// The record is not at the sink any more.
    Gone(RecordId),
    /// The incident is not known here any more, and its record is open.
    LeftOpen(Option<RecordId>),
    /// The opening was sent.
    Sent,
    /// The end was sent.
    SentEnd,
    /// That this site no longer watches the connection was sent.
    SentUnwatched,
    /// The end was rejected, and a later incident is open.
    EndNotSent,
    /// The incident is not known here any more, and its end was not sent.
    EndUnknown,
}

/// What was sent before the start cannot be read.
#[derive(Debug, Clone, Copy)]
pub struct LedgerUnreadable<'a> {
    /// This gateway's name.
    pub site: &'a str,
    /// The sink.
    pub sink: &'a SinkId,
    /// What is done without it.
    pub instead: Instead,
    /// Why.
    pub error: &'a str,
}

/// What a sink does without its ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// Records are looked for at the sink.
    Search,
    /// The opening of what is open is sent again.
    SendAgain,
}

impl SinkNotice {
    /// About an incident of the Board.
    pub fn of(incident: &Incident, sink: &SinkId, cause: NoticeCause) -> Self {
        let Incident { id, site, vpn_name, .. } = incident;
        let (site, vpn_name) = (Arc::clone(site), Some(Arc::clone(vpn_name)));
        Self { site, sink: sink.clone(), incident: id.clone(), vpn_name, cause }
    }

    /// The record; the site's and the connection's names first.
    pub fn record(&self) -> JournalRecord {
        let Self { site, sink, incident, vpn_name, cause } = self;
        let (kind, text) = cause.text();
        let message = match vpn_name {
            Some(name) => {
                format!("{site}: {name} ({}): {}: {sink}: {text}", incident.vpn, kind_words(incident.kind))
            }
            None => format!("{site}: {sink}: incident {incident} is {text}"),
        };
        kind.record(message)
            .with("VPN_ID", incident.vpn.as_str())
            .with("KIND", incident.kind.as_str())
            .with("SINK", sink.as_str())
    }
}

impl NoticeCause {
    fn text(&self) -> (MessageId, String) {
        match self {
            Self::Created(record) => (MessageId::RECORD_CREATED, format!("created record {record}")),
            Self::CreatedWithoutList => (
                MessageId::RECORD_CREATED_UNCHECKED,
                "created without checking for an existing record, because listing the records fails. If there is one, this one is \
                 closed as its duplicate"
                    .to_owned(),
            ),
            Self::Adopted(record) => {
                (MessageId::RECORD_ADOPTED, format!("record {record} was already open and is used"))
            }
            Self::Closed => (MessageId::RECORD_CLOSED, "record closed".to_owned()),
            Self::ClosedDuplicate { younger, oldest } => {
                (MessageId::RECORD_DUPLICATE_CLOSED, format!("closed {younger}, a duplicate of {oldest}"))
            }
            Self::ClosedLeftover(record) => {
                (MessageId::RECORD_LEFTOVER_CLOSED, format!("closed {record}, which was left open"))
            }
            Self::ClosedElsewhere(record) => (
                MessageId::RECORD_CLOSED_BY_OTHERS,
                format!(
                    "record {record} was closed by somebody else; it stays closed until the incident worsens"
                ),
            ),
            Self::Gone(record) => (
                MessageId::RECORD_MISSING,
                format!("record {record} no longer exists; it counts as closed"),
            ),
            Self::LeftOpen(record) => {
                let record = record.as_ref().map_or("(not known)", |record| &record.0);
                (
                    MessageId::RECORD_ABANDONED,
                    format!("no longer known here; its record {record} stays open: close it by hand"),
                )
            }
            Self::Sent => (MessageId::MESSAGE_DELIVERED, "sent".to_owned()),
            Self::SentEnd => (MessageId::MESSAGE_DELIVERED, "end sent".to_owned()),
            Self::SentUnwatched => {
                (MessageId::MESSAGE_DELIVERED, "sent that this site no longer watches it".to_owned())
            }
            Self::EndNotSent => (
                MessageId::END_NOT_SENT,
                "its end was rejected and is not sent; a later incident of the same kind is open".to_owned(),
            ),
            Self::EndUnknown => (
                MessageId::RECORD_ABANDONED,
                "no longer known here; its end was not sent: close it by hand".to_owned(),
            ),
        }
    }
}

impl LedgerUnreadable<'_> {
    /// The record.
    pub fn record(self) -> JournalRecord {
        let Self { site, sink, instead, error } = self;
        let instead = match instead {
            Instead::Search => "open records are looked for at the sink",
            Instead::SendAgain => "what is open is sent again",
        };
        MessageId::LEDGER_UNREADABLE
            .record(format!(
                "{site}: {sink}: what was sent before the start cannot be read; {instead}: {error}"
            ))
            .with("SINK", sink.as_str())
            .with("ERROR", error)
    }
}
