//! What the store, the publisher, the prober, the connections to AWS and the sinks come across, as journal records. What follows from it
//! is a fact or a problem.

use std::fmt::{Debug, Display};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalogue::message_id::MessageId;
use crate::catalogue::phrases::kind_words;
use crate::catalogue::record::JournalRecord;
use crate::domain::board::{Incident, IncidentId};
use crate::domain::names::{RecordId, SinkId, TunnelId};
use crate::domain::silence::{Silence, SilenceId};

/// Something of the store was lost, repaired or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreNotice {
    /// A row cannot be read, and stays in the file as it is.
    Unreadable(Unreadable),
    /// Unsent metrics are dropped for want of room, or because of their age.
    Full,
    /// An incident is open in a file that was opened late, while another of its kind was open already.
    OpenTwice(IncidentId),
    /// A silence of a file that was opened late has another number now: its own was given to another one meanwhile.
    Renumbered {
        /// Its number in the file.
        before: SilenceId,
        /// The silence, with its number now.
        silence: Silence,
    },
    /// Somebody has removed or replaced the file.
    FileReplaced,
    /// The same of its log.
    LogReplaced,
    /// The file was damaged, and another is in its place.
    SetAside {
        /// What was found, with the path.
        damage: String,
        /// Where the damaged file is.
        aside: PathBuf,
        /// How many unsent rollups went with it; `None` if that is not known.
        lost: Option<u64>,
    },
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// Which end saw which tunnel Up: the row's words.
    SeenUp(String),
    /// An incident that is on the Board.
    Incident {
        /// Its id.
        id: String,
        /// Why.
        error: String,
    },
    /// A silence.
    Silence {
        /// Its number.
        id: i64,
        /// Why.
        error: String,
    },
    /// What is known of an incident's record at a sink.
    LedgerRow {
        /// The sink.
        sink: String,
        /// The incident's id and the row's generation.
        row: String,
        /// Why.
        error: String,
    },
}

impl StoreNotice {
    /// The record, of the store at `path`.
    pub fn record(&self, path: &Path) -> JournalRecord {
        let (kind, what) = match self {
            Self::Unreadable(row) => {
                return MessageId::STORE_ENTRY_UNREADABLE
                    .record(format!("store {}: {}", path.display(), row.text()))
                    .with("ENTRY", row.entry());
            }
            Self::Full => (
                MessageId::STORE_FULL,
                "store full or retention exceeded ([store] max_size, keep): dropping the oldest unsent metrics; \
                 bothends_rollups_dropped_total counts them"
                    .to_owned(),
            ),
            Self::OpenTwice(incident) => {
                return MessageId::STORE_SECOND_INCIDENT
                    .record(format!(
                        "store {}: the file, unusable until now, has {incident} as open, while another incident of this kind is \
                         open; it is now closed in the file: check whether its record is still open at a sink",
                        path.display()
                    ))
                    .with_scope(&incident.scope)
                    .with("KIND", incident.kind.as_str())
                    .with("INCIDENT", incident.to_string());
            }
            Self::Renumbered { before, silence } => {
                let Silence { id, of, reason, .. } = silence;
                return MessageId::STORE_SILENCE_RENUMBERED
                    .record(format!(
                        "store {}: the file, unusable until now, has a silence {before} of {of}, while another one was given that \
                         number; the one in the file is silence {id} from now on: {reason}",
                        path.display()
                    ))
                    .with("ENTRY", format!("silence {before}"))
                    .with("SILENCE", id.to_string())
                    .with("SCOPE", of.to_string())
                    .with("REASON", &**reason);
            }
            Self::FileReplaced => (
                MessageId::STORE_FILE_REPLACED,
                "the file was removed or replaced; another is written in its place".to_owned(),
            ),
            Self::LogReplaced => (
                MessageId::STORE_FILE_REPLACED,
                "its log (-wal) was removed or replaced; what that held is written into the file".to_owned(),
            ),
            Self::SetAside { damage, aside, lost } => {
                let lost = match lost {
                    Some(0) => String::new(),
                    Some(lost) => format!("; {lost} unsent one-minute rollups for CloudWatch are lost"),
                    None => "; unsent metrics for CloudWatch are lost, how many is not known".to_owned(),
                };
                return MessageId::STORE_DAMAGED.record(format!(
                    "{damage}. It is kept as {}, and a new one is created from memory{lost}: check the disk",
                    aside.display()
                ));
            }
        };
        kind.record(format!("store {}: {what}", path.display()))
    }
}

impl Unreadable {
    /// What names it among the others.
    fn entry(&self) -> String {
        match self {
            Self::SeenUp(row) => format!("seen_up {row}"),
            Self::Incident { id, error: _ } => format!("incident {id}"),
            Self::Silence { id, error: _ } => format!("silence {id}"),
            Self::LedgerRow { sink, row, error: _ } => format!("ledger {sink} {row}"),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::SeenUp(row) => format!("cannot read the first-seen-up entry {row}; it is left in the file"),
            Self::Incident { id, error } => {
                format!("cannot read incident {id}: {error}; it is left as it is")
            }
            Self::Silence { id, error } => {
                format!("cannot read silence {id}: {error}; it is left in the file, and silences nothing")
            }
            Self::LedgerRow { sink, row: _, error } => format!(
                "cannot read a ledger row of {sink}: {error}; it is left as it is, and its record at the sink is looked for again"
            ),
        }
    }
}

/// Metrics that will not reach CloudWatch.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricsNotice {
    /// So many rollups are older than what CloudWatch takes.
    TooOld(u64),
    /// Rollups are dated in the future by AWS's clock.
    InFuture,
    /// CloudWatch rejects this one.
    Rejected {
        /// Whose it is.
        dimensions: String,
        /// Its name.
        name: &'static str,
        /// Its time, in milliseconds since 1970.
        stamp: i64,
        /// Its value.
        value: String,
        /// What CloudWatch says.
        why: String,
    },
}

impl MetricsNotice {
    /// The record.
    pub fn record(&self) -> JournalRecord {
        match self {
            Self::TooOld(count) => MessageId::METRICS_TOO_OLD.record(format!(
                "metrics: {count} one-minute rollups are two weeks old by AWS's clock, the limit of CloudWatch; they are dropped"
            )),
            Self::InFuture => MessageId::METRICS_IN_FUTURE.record(
                "metrics: this host's clock was ahead of AWS's: one-minute rollups dated in the future by AWS's clock are wrong \
                 and are dropped; bothends_rollups_dropped_total counts them",
            ),
            Self::Rejected { dimensions, name, stamp, value, why } => {
                MessageId::METRIC_REJECTED
                    .record(format!(
                        "metrics: {dimensions}: CloudWatch rejects the datum {name} of {stamp} ms since 1970, {value}; it is \
                         dropped: {why}"
                    ))
                    .with("METRIC", *name)
                    .with("DIMENSIONS", dimensions)
            }
        }
    }
}

/// An error, or the text of one.
pub trait ErrorText: Display + Debug {}

impl<T: Display + Debug> ErrorText for T {}

/// What is odd about a way to AWS, to a sink or to an address.
#[derive(Debug, Clone, Copy)]
pub enum Oddity<'a> {
    /// CloudWatch has a tunnel's TunnelState under dimensions of these names only.
    TunnelStateElsewhere {
        /// The tunnel.
        tunnel: &'a TunnelId,
        /// The names.
        dimensions: &'a str,
    },
    /// A connection came about with the classic TLS key exchange only.
    TlsFallback {
        /// What the other key exchange came to, and what to do.
        why: &'a str,
    },
    /// It cannot be found out whether this host holds an address.
    AddressUnknown {
        /// The address.
        address: IpAddr,
        /// Why.
        error: &'a dyn ErrorText,
    },
    /// An echo could not be made.
    EchoNotMade {
        /// Why.
        error: &'a dyn ErrorText,
    },
    /// A client of a tunnel's check was never retired.
    ClientNotRetired {
        /// The tunnel.
        tunnel: &'a TunnelId,
    },
}

impl Oddity<'_> {
    /// The record.
    pub fn record(self) -> JournalRecord {
        match self {
            Self::TunnelStateElsewhere { tunnel, dimensions } => MessageId::TUNNEL_STATE_ELSEWHERE
                .record(format!(
                    "CloudWatch has no data on {tunnel} under VpnId and TunnelIpAddress, and some under {dimensions}: that is used"
                ))
                .with("VPN_ID", tunnel.vpn.as_str())
                .with("TUNNEL_IP", tunnel.outside_ip.to_string()),
            Self::TlsFallback { why } => MessageId::TLS_FALLBACK.record(why),
            Self::AddressUnknown { address, error } => MessageId::ADDRESS_UNKNOWN
                .record(format!(
                    "cannot find out whether this host holds {address}: {error}; the last known state is kept"
                ))
                .with("ADDRESS", address.to_string()),
            Self::EchoNotMade { error } => {
                MessageId::PROBE_INTERNAL_ERROR.record(format!("an echo could not be made: {error}"))
            }
            Self::ClientNotRetired { tunnel } => MessageId::PROBE_INTERNAL_ERROR
                .record(format!("{tunnel}: a probe socket was never released and is closed to make room"))
                .with("VPN_ID", tunnel.vpn.as_str())
                .with("TUNNEL_IP", tunnel.outside_ip.to_string()),
        }
    }
}

/// What only helps to find a fault, at level debug.
#[derive(Debug, Clone, Copy)]
pub enum Detail<'a> {
    /// A request to AWS that only looks for more has failed.
    LookupFailed(&'a dyn ErrorText),
    /// The pollers did not take a question.
    QuestionLeftOut,
    /// Still not known, after [`Oddity::AddressUnknown`].
    AddressUnknown(IpAddr, &'a dyn ErrorText),
    /// The addresses of this host cannot be listed.
    AddressesUnknown(&'a dyn ErrorText),
    /// An echo was answered with something else than a reply.
    IcmpError(&'a dyn Debug),
    /// A listener cannot accept.
    CannotAccept(ListenerKind, &'a dyn ErrorText),
    /// An HTTP client did not wait for its answer.
    HttpClientLeft(&'a dyn ErrorText),
    /// There is no lock beside the store.
    NoStoreLock(&'a Path, &'a dyn ErrorText),
    /// The store cannot be locked.
    StoreNotLocked(&'a Path, &'a dyn ErrorText),
    /// systemd did not take this.
    NotNotified(&'a dyn Debug, &'a dyn ErrorText),
    /// systemd is not informed of a reload.
    ReloadNotNotified(&'a dyn ErrorText),
}

/// What takes connections in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerKind {
    /// Of HTTP.
    Http,
    /// Of commands.
    Control,
}

impl ListenerKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP listener",
            Self::Control => "control socket",
        }
    }
}

impl Detail<'_> {
    /// The record.
    pub fn record(self) -> JournalRecord {
        let (detail, text) = self.text();
        MessageId::DEBUG_DETAIL.record(text).with("DETAIL", detail)
    }

    /// A word by which it is rate-limited, and the text.
    fn text(self) -> (&'static str, String) {
        match self {
            Self::LookupFailed(failure) => ("lookup_failed", failure.to_string()),
            Self::QuestionLeftOut => {
                ("question_left_out", "a question to AWS was left out: the pollers are busy".to_owned())
            }
            Self::AddressUnknown(address, error) => {
                ("address_unknown", format!("cannot find out whether this host holds {address}: {error}"))
            }
            Self::AddressesUnknown(error) => {
                ("addresses_unknown", format!("cannot list this host's addresses: {error}"))
            }
            Self::IcmpError(packet) => {
                ("icmp_error", format!("an echo was answered with an ICMP error: {packet:?}"))
            }
            Self::CannotAccept(listener, error) => {
                ("cannot_accept", format!("the {} cannot accept: {error}", listener.as_str()))
            }
            Self::HttpClientLeft(error) => {
                ("http_client_left", format!("an HTTP client left early or was cut: {error}"))
            }
            Self::NoStoreLock(path, error) => {
                ("no_store_lock", format!("store {}: no lock beside it: {error}", path.display()))
            }
            Self::StoreNotLocked(path, error) => {
                ("store_not_locked", format!("store {}: it cannot be locked: {error}", path.display()))
            }
            Self::NotNotified(state, error) => {
                ("not_notified", format!("systemd could not be notified of {state:?}: {error}"))
            }
            Self::ReloadNotNotified(error) => (
                "reload_not_notified",
                format!("systemd is not notified of the reload: no monotonic time: {error}"),
            ),
        }
    }
}

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
    pub name: Option<Arc<str>>,
    /// What.
    pub reason: NoticeReason,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeReason {
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
    pub fn of(incident: &Incident, sink: &SinkId, reason: NoticeReason) -> Self {
        let Incident { id, site, name, .. } = incident;
        let (site, name) = (Arc::clone(site), Some(Arc::clone(name)));
        Self { site, sink: sink.clone(), incident: id.clone(), name, reason }
    }

    /// The record; the site's and the connection's names first.
    pub fn record(&self) -> JournalRecord {
        let Self { site, sink, incident, name, reason } = self;
        let (kind, text) = reason.text();
        let message = match name {
            Some(name) => {
                format!("{site}: {name} ({}): {}: {sink}: {text}", incident.scope, kind_words(incident.kind))
            }
            None => format!("{site}: {sink}: incident {incident} is {text}"),
        };
        kind.record(message)
            .with_scope(&incident.scope)
            .with("KIND", incident.kind.as_str())
            .with("INCIDENT", incident.to_string())
            .with("SINK", sink.as_str())
    }
}

impl NoticeReason {
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
