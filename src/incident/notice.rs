//! What people should hear of an incident's record or messages, typed; its one line is written here and nowhere else.

use std::fmt;
use std::sync::Arc;

use crate::domain::board::{Incident, IncidentId};
use crate::domain::names::SinkId;

use super::sink::RecordId;
use super::wording::kind_words;

/// What people should hear of a record; what is wrong with the sink itself is its `problem`.
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
    /// A record was started.
    Created(RecordId),
    /// A record was started although the list of records fails.
    CreatedWithoutList,
    /// A record was open already, and is the incident's.
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
    /// A record that was nobody's was closed.
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
    /// The end was refused, and a later incident is open.
    EndNotSent,
    /// The incident is not known here any more, and its end was not sent.
    EndUnknown,
}

/// How loud a [`SinkNotice`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeLevel {
    /// Good to know.
    Info,
    /// Someone should look today.
    Warning,
}

impl SinkNotice {
    /// About an incident of the Board.
    pub(super) fn of(incident: &Incident, sink: &SinkId, cause: NoticeCause) -> Self {
        let Incident { id, site, vpn_name, .. } = incident;
        let (site, vpn_name) = (Arc::clone(site), Some(Arc::clone(vpn_name)));
        Self { site, sink: sink.clone(), incident: id.clone(), vpn_name, cause }
    }
}

impl NoticeCause {
    /// How loud it is.
    pub const fn level(&self) -> NoticeLevel {
        match self {
            Self::Created(_)
            | Self::Adopted(_)
            | Self::Closed
            | Self::ClosedDuplicate { .. }
            | Self::ClosedLeftover(_)
            | Self::ClosedElsewhere(_)
            | Self::Sent
            | Self::SentEnd
            | Self::SentUnwatched => NoticeLevel::Info,
            Self::CreatedWithoutList
            | Self::Gone(_)
            | Self::LeftOpen(_)
            | Self::EndNotSent
            | Self::EndUnknown => NoticeLevel::Warning,
        }
    }
}

/// The whole line, the site's and the connection's names first.
impl fmt::Display for SinkNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { site, sink, incident, vpn_name, cause } = self;
        match vpn_name {
            Some(name) => {
                write!(f, "{site}: {name} ({}): {}: {sink}: ", incident.vpn, kind_words(incident.kind))?;
            }
            None => write!(f, "{site}: {sink}: incident {incident} is ")?,
        }
        let unknown = "no longer known here";
        match cause {
            NoticeCause::Created(record) => write!(f, "created record {record}"),
            NoticeCause::CreatedWithoutList => f.write_str(
                "created without checking for an existing record, because listing the records fails. If there is one, \
                 this one is closed as its duplicate",
            ),
            NoticeCause::Adopted(record) => write!(f, "record {record} was already open and is used"),
            NoticeCause::Closed => f.write_str("closed its record"),
            NoticeCause::ClosedDuplicate { younger, oldest } => {
                write!(f, "closed {younger}, a duplicate of {oldest}")
            }
            NoticeCause::ClosedLeftover(record) => write!(f, "closed {record}, which was left open"),
            NoticeCause::ClosedElsewhere(record) => write!(
                f,
                "record {record} was closed by somebody else; it stays closed until the incident worsens"
            ),
            NoticeCause::Gone(record) => write!(f, "record {record} no longer exists; it counts as closed"),
            NoticeCause::LeftOpen(record) => {
                let record = record.as_ref().map_or("(not known)", |record| &record.0);
                write!(f, "{unknown}; its record {record} stays open: close it by hand")
            }
            NoticeCause::Sent => f.write_str("sent"),
            NoticeCause::SentEnd => f.write_str("sent that it is over"),
            NoticeCause::SentUnwatched => f.write_str("sent that this site no longer watches it"),
            NoticeCause::EndNotSent => f.write_str(
                "its end was refused and is not sent; a later incident of the same kind is open",
            ),
            NoticeCause::EndUnknown => {
                write!(f, "{unknown}; whether it is over was not sent: close it by hand")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_of_what_and_at_which_sink() {
        let incident = crate::fixture::incident();
        let record = || RecordId("record-1".into());
        let of = |cause| SinkNotice::of(&incident, &SinkId::new("ops_center"), cause);
        let stored = |cause| SinkNotice { vpn_name: None, ..of(cause) };
        let causes = [
            NoticeCause::Created(record()),
            NoticeCause::CreatedWithoutList,
            NoticeCause::Adopted(record()),
            NoticeCause::Closed,
            NoticeCause::ClosedDuplicate { younger: RecordId("record-2".into()), oldest: record() },
            NoticeCause::ClosedLeftover(record()),
            NoticeCause::ClosedElsewhere(record()),
            NoticeCause::Gone(record()),
            NoticeCause::LeftOpen(Some(record())),
            NoticeCause::LeftOpen(None),
            NoticeCause::Sent,
            NoticeCause::SentEnd,
            NoticeCause::SentUnwatched,
            NoticeCause::EndNotSent,
        ];
        let on_board = causes.into_iter().map(of);
        let off_board = [NoticeCause::LeftOpen(Some(record())), NoticeCause::EndUnknown].map(stored);
        let line = |notice: SinkNotice| format!("{:?}: {notice}", notice.cause.level());
        let lines: Vec<String> = on_board.chain(off_board).map(line).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        Info: milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: created record record-1
        Warning: milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: created without checking for an existing record, because listing the records fails. If there is one, this one is closed as its duplicate
        Info: milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: record record-1 was already open and is used
        Info: milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: closed its record
        Info: milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: closed record-2, a duplicate of record-1
        Info: milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: closed record-1, which was left open
        Info: milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: record record-1 was closed by somebody else; it stays closed until the incident worsens
        Warning: milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: record record-1 no longer exists; it counts as closed
        Warning: milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: no longer known here; its record record-1 stays open: close it by hand
        Warning: milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: no longer known here; its record (not known) stays open: close it by hand
        Info: milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: sent
        Info: milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: sent that it is over
        Info: milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: sent that this site no longer watches it
        Warning: milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: its end was refused and is not sent; a later incident of the same kind is open
        Warning: milan-1: ops_center: incident vpn-0123456789abcdef0/redundancy_lost/1763781140000 is no longer known here; its record record-1 stays open: close it by hand
        Warning: milan-1: ops_center: incident vpn-0123456789abcdef0/redundancy_lost/1763781140000 is no longer known here; whether it is over was not sent: close it by hand
        ");
    }
}
