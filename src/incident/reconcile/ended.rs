//! What the end of an action changes in an incident's case.

use std::time::Duration;

use crate::domain::time::{Moment, Now};

use super::super::action::{ActionFailure, ActionKind, NoticeReason, Reply, SinkNotice};
use super::super::lookup::{KnownRecords, LIST_LAG};
use super::super::settings::SinkRules;
use super::super::sink::{Record, RecordId, RecordOrigin, RecordStatus, SinkError};
use super::case::{InFlight, Purpose, RecordCase, Standing};

/// A new record may not be readable at once; a record that is missing for longer than the sink's lag has been deleted.
const GONE_AFTER: Duration = LIST_LAG;

/// What the end of an action may change beyond the case itself.
#[derive(Debug)]
pub(super) struct ReplyContext<'a> {
    pub(super) now: Now,
    pub(super) settings: &'a SinkRules,
    pub(super) place: &'a mut KnownRecords,
    pub(super) notices: Vec<SinkNotice>,
}

impl RecordCase {
    /// An action of this case has ended.
    pub(super) fn ended(
        &mut self,
        flight: InFlight,
        result: Result<Reply, ActionFailure>,
        context: &mut ReplyContext<'_>,
    ) {
        use ActionFailure::Sink;
        use SinkError::{NotFound, TokenKnown};

        let InFlight { id: _, purpose, asked } = flight;
        let kind = purpose.kind();
        let now = context.now.mono;
        match (purpose, result) {
            (Purpose::Commit, Ok(Reply::Done)) => self.dirty = false,
            (Purpose::Start, Ok(Reply::Started(record))) => self.started(record, context),
            (Purpose::Start, Err(Sink(TokenKnown))) => {
                self.token_known = Some((now, 0));
                self.look_after = now;
            }
            (Purpose::ReadOwn { worsened }, Ok(Reply::Read(record))) => {
                self.read_back(record, worsened, asked, context);
            }
            (Purpose::ReadOwn { .. }, Err(Sink(NotFound))) => {
                self.missing(context);
                self.failed(kind, &Sink(NotFound), context);
                return;
            }
            (Purpose::ReadOther(_), Ok(Reply::Read(record))) => {
                context.place.read(record.clone(), None, now);
                if record.status == RecordStatus::Resolved {
                    self.surveyed.take_if(|surveyed| *surveyed == record.id);
                }
                self.other_open = (record.status == RecordStatus::Open).then_some((record, asked));
            }
            (Purpose::ReadOther(record), Err(Sink(NotFound))) => {
                context.place.gone(&record);
                self.surveyed.take_if(|surveyed| *surveyed == record);
            }
            // The token is known: the note is in the record.
            (Purpose::Note { upto }, Ok(Reply::Done) | Err(Sink(TokenKnown))) => {
                self.row.sent_upto = upto;
                self.joined_upto = None;
                self.dirty = true;
            }
            (Purpose::Note { .. }, Err(Sink(NotFound))) => self.standing = Standing::Unread,
            (Purpose::Relate, Ok(Reply::Done) | Err(Sink(TokenKnown | NotFound))) => {
                self.row.related = true;
                self.dirty = true;
            }
            // The token is known: the record says so.
            (Purpose::Describe(described), Ok(Reply::Done) | Err(Sink(TokenKnown))) => {
                self.described = Some(*described);
                self.dirty |= !self.row.linked;
                self.row.linked = true;
            }
            (Purpose::Describe(_), Err(Sink(NotFound))) => self.standing = Standing::Unread,
            (Purpose::ResolveOwn, Ok(Reply::Done) | Err(Sink(NotFound))) => {
                self.closed_own(now, context.place);
                self.notice(context, NoticeReason::Closed);
            }
            (Purpose::ResolveDuplicate { younger, oldest }, Ok(Reply::Done) | Err(Sink(NotFound))) => {
                context.place.closed(&younger, &self.incident.id, now);
                self.other_open = None;
                let (closed, kept) = (younger.clone(), oldest.clone());
                self.notice(context, NoticeReason::ClosedDuplicate { younger: closed, oldest: kept });
                if self.row.record.as_ref() == Some(&younger) {
                    self.past.insert(younger);
                    self.adopt(oldest, Standing::Unread);
                }
            }
            (Purpose::ResolveLeftover(record), Ok(Reply::Done) | Err(Sink(NotFound))) => {
                context.place.closed(&record, &self.incident.id, now);
                self.other_open = None;
                self.notice(context, NoticeReason::ClosedLeftover(record));
            }
            (Purpose::ResolveOwn, Err(Sink(TokenKnown))) => {
                // The sink has seen this close before: read the record's status.
                self.standing = Standing::Unread;
                self.failed(kind, &Sink(TokenKnown), context);
                return;
            }
            (_, Err(failure)) => {
                self.failed(kind, &failure, context);
                return;
            }
            (_, Ok(_)) => {
                self.failed(kind, &ActionFailure::Mismatch, context);
                return;
            }
        }
        self.retries.remove(&kind);
    }

    /// An action of this case has failed, and will be retried.
    fn failed(&mut self, kind: ActionKind, failure: &ActionFailure, context: &ReplyContext<'_>) {
        let now = context.now.mono;
        if kind == ActionKind::Start {
            // Once the token may be forgotten, only a look-up from here on shows what the call has done.
            self.look_after = now;
            self.looking_since = None;
        }
        let incident = self.incident.id.to_string();
        let seed = [&*context.settings.site, context.settings.id().as_str(), &incident, kind.as_str()];
        self.retries.entry(kind).or_default().failed(now, failure, &seed);
    }

    fn started(&mut self, record: RecordId, context: &mut ReplyContext<'_>) {
        self.notice(context, NoticeReason::Created(record.clone()));
        self.row.record = Some(record);
        self.standing = Standing::Unread;
        self.dirty = true;
    }

    fn read_back(&mut self, record: Record, worsened: u32, asked: Moment, context: &mut ReplyContext<'_>) {
        let now = context.now;
        self.missing_since = None;
        let ours = self.is_of_this_incident(&record, context.place, now.wall);
        match record.status {
            RecordStatus::Open => {
                context.place.read(record.clone(), Some(&self.incident.id), now.mono);
                if self.standing == Standing::Unread {
                    if self.row.start.is_some() && self.is_somebody_elses(&record) {
                        self.notice(context, NoticeReason::Adopted(record.id.clone()));
                        self.adopt(record.id, Standing::Unread);
                    }
                    self.duplicates_due = Some(now.mono + LIST_LAG);
                }
                if self.row.closed_by_person_at.take().is_some() {
                    self.dirty = true;
                }
                self.standing = Standing::Open { asked, created: record.created };
                self.open_at = worsened;
            }
            RecordStatus::Resolved => {
                // A record that we noted in or described was open then: it is ours, whatever the clocks say.
                let written = self.row.sent_upto > self.after_opening() || self.row.linked;
                let written = written && !self.past.contains(&record.id);
                let from_before =
                    self.standing == Standing::Unread && self.row.start.is_some() && !written && !ours;
                let owner = (!from_before).then_some(&self.incident.id);
                context.place.read(record.clone(), owner, now.mono);
                if from_before {
                    // The token was that of an earlier record, which is over: its successor has another token.
                    self.past.insert(record.id);
                    self.look_again(now.mono);
                } else if self.standing != Standing::Closed {
                    if self.is_open() {
                        self.notice(context, NoticeReason::ClosedElsewhere(record.id));
                    }
                    self.count_as_closed();
                }
            }
        }
    }

    /// Whether the record that our start returned existed before: the alarm's, or the twin's.
    fn is_somebody_elses(&self, record: &Record) -> bool {
        if self.over().is_some_and(|over| record.created > over) {
            // No other site creates a record of an incident that is over: an earlier call of ours succeeded.
            return false;
        }
        match record.origin {
            RecordOrigin::Alarm => true,
            RecordOrigin::Daemon => {
                let second = Duration::from_secs(1);
                self.attempted.is_some_and(|first| record.created + second < first.wall)
            }
        }
    }

    /// The sink does not have the record. At first that may be its lag; later it means that a person has deleted it, which
    /// counts as a final close.
    fn missing(&mut self, context: &mut ReplyContext<'_>) {
        let now = context.now.mono;
        let since = *self.missing_since.get_or_insert(now);
        if now.since(since) < GONE_AFTER {
            return;
        }
        if let Some(record) = self.row.record.clone() {
            context.place.gone(&record);
            self.notice(context, NoticeReason::Gone(record));
        }
        self.count_as_closed();
    }

    fn closed_own(&mut self, now: Moment, place: &mut KnownRecords) {
        if let Some(record) = &self.row.record {
            place.closed(record, &self.incident.id, now);
        }
        self.standing = Standing::Closed;
    }

    fn notice(&self, context: &mut ReplyContext<'_>, reason: NoticeReason) {
        context.notices.push(SinkNotice::of(&self.incident, context.settings.id(), reason));
    }
}
