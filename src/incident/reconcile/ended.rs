//! What an incident learns from the end of an action.

use std::time::Duration;

use crate::domain::time::{Moment, Now};

use super::super::action::{Act, Failure, NoticeCause, Reply, SinkNotice};
use super::super::lookup::{KnownRecords, LIST_LAG};
use super::super::settings::SinkRules;
use super::super::sink::{Origin, Record, RecordId, RecordStatus, SinkError};
use super::case::{Aim, Case, InFlight, Standing};

/// A record that was just started need not be readable at once; a record that is missing for longer than the sink's
/// lag has been deleted.
const GONE_AFTER: Duration = LIST_LAG;

/// What the end of an action may change, beside the case itself.
#[derive(Debug)]
pub(super) struct Hearing<'a> {
    pub(super) now: Now,
    pub(super) settings: &'a SinkRules,
    pub(super) place: &'a mut KnownRecords,
    pub(super) notices: Vec<SinkNotice>,
}

impl Case {
    /// An action of this case has ended.
    pub(super) fn ended(
        &mut self,
        flight: InFlight,
        result: Result<Reply, Failure>,
        hearing: &mut Hearing<'_>,
    ) {
        use Failure::Sink;
        use SinkError::{NotFound, TokenKnown};

        let InFlight { id: _, aim, asked } = flight;
        let act = aim.act();
        let now = hearing.now.mono;
        match (aim, result) {
            (Aim::Commit, Ok(Reply::Done)) => self.dirty = false,
            (Aim::Start, Ok(Reply::Started(record))) => self.started(record, hearing),
            (Aim::Start, Err(Sink(TokenKnown))) => {
                self.token_known = Some((now, 0));
                self.look_after = now;
            }
            (Aim::ReadOwn { worsened }, Ok(Reply::Read(record))) => {
                self.read_back(record, worsened, asked, hearing);
            }
            (Aim::ReadOwn { .. }, Err(Sink(NotFound))) => {
                self.missing(hearing);
                self.failed(act, &Sink(NotFound), hearing);
                return;
            }
            (Aim::ReadOther(_), Ok(Reply::Read(record))) => {
                hearing.place.read(record.clone(), None, now);
                self.other_open = (record.status == RecordStatus::Open).then_some((record, asked));
            }
            (Aim::ReadOther(record), Err(Sink(NotFound))) => hearing.place.gone(&record),
            // The token is known: the note is there.
            (Aim::Note { told }, Ok(Reply::Done) | Err(Sink(TokenKnown))) => {
                self.row.told = told;
                self.witness_upto = None;
                self.dirty = true;
            }
            (Aim::Note { .. }, Err(Sink(NotFound))) => self.standing = Standing::Unread,
            (Aim::Relate, Ok(Reply::Done) | Err(Sink(TokenKnown | NotFound))) => {
                self.row.related = true;
                self.dirty = true;
            }
            // The token is known: it says so.
            (Aim::Describe(described), Ok(Reply::Done) | Err(Sink(TokenKnown))) => {
                self.described = Some(*described);
                self.dirty |= !self.row.linked;
                self.row.linked = true;
            }
            (Aim::Describe(_), Err(Sink(NotFound))) => self.standing = Standing::Unread,
            (Aim::ResolveOwn, Ok(Reply::Done) | Err(Sink(NotFound))) => {
                self.closed_own(now, hearing.place);
                self.notice(hearing, NoticeCause::Closed);
            }
            (Aim::ResolveDuplicate { younger, oldest }, Ok(Reply::Done) | Err(Sink(NotFound))) => {
                hearing.place.closed(&younger, &self.incident.id, now);
                self.other_open = None;
                let (closed, kept) = (younger.clone(), oldest.clone());
                self.notice(hearing, NoticeCause::ClosedDuplicate { younger: closed, oldest: kept });
                if self.row.record.as_ref() == Some(&younger) {
                    self.past.insert(younger);
                    self.adopt(oldest, Standing::Unread);
                }
            }
            (Aim::ResolveLeftover(record), Ok(Reply::Done) | Err(Sink(NotFound))) => {
                hearing.place.closed(&record, &self.incident.id, now);
                self.other_open = None;
                self.notice(hearing, NoticeCause::ClosedLeftover(record));
            }
            (Aim::ResolveOwn, Err(Sink(TokenKnown))) => {
                // A closing that the sink has seen before: read what became of it.
                self.standing = Standing::Unread;
                self.failed(act, &Sink(TokenKnown), hearing);
                return;
            }
            (_, Err(failure)) => {
                self.failed(act, &failure, hearing);
                return;
            }
            (_, Ok(_)) => {
                self.failed(act, &Failure::Mismatch, hearing);
                return;
            }
        }
        self.retries.remove(&act);
    }

    /// An action of this case has failed, and will be tried again.
    fn failed(&mut self, act: Act, failure: &Failure, hearing: &Hearing<'_>) {
        let now = hearing.now.mono;
        if act == Act::Start {
            // When the token may be forgotten, only a look-up from here on tells what the call has done.
            self.look_after = now;
            self.looking_since = None;
        }
        let incident = self.incident.id.to_string();
        let seed = [&*hearing.settings.site, hearing.settings.id().as_str(), &incident, act.as_str()];
        self.retries.entry(act).or_default().failed(now, failure, &seed);
    }

    fn started(&mut self, record: RecordId, hearing: &mut Hearing<'_>) {
        self.notice(hearing, NoticeCause::Created(record.clone()));
        self.row.record = Some(record);
        self.standing = Standing::Unread;
        self.dirty = true;
    }

    fn read_back(&mut self, record: Record, worsened: u32, asked: Moment, hearing: &mut Hearing<'_>) {
        let now = hearing.now;
        self.missing_since = None;
        let ours = self.is_of_this_incident(&record, hearing.place, now.wall);
        match record.status {
            RecordStatus::Open => {
                hearing.place.read(record.clone(), Some(&self.incident.id), now.mono);
                if self.standing == Standing::Unread {
                    if self.row.start.is_some() && self.is_somebody_elses(&record) {
                        self.notice(hearing, NoticeCause::Adopted(record.id.clone()));
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
                // What it was told, or made to say, was while it was open: then it is ours, whatever the clocks say.
                let told = self.row.told > self.after_opening() || self.row.linked;
                let told = told && !self.past.contains(&record.id);
                let from_before =
                    self.standing == Standing::Unread && self.row.start.is_some() && !told && !ours;
                let owner = (!from_before).then_some(&self.incident.id);
                hearing.place.read(record.clone(), owner, now.mono);
                if from_before {
                    // The token was an earlier record's: that one is over, and gives its successor another token.
                    self.past.insert(record.id);
                    self.look_again(now.mono);
                } else if self.standing != Standing::Closed {
                    if self.is_open() {
                        self.notice(hearing, NoticeCause::ClosedElsewhere(record.id));
                    }
                    self.count_as_closed();
                }
            }
        }
    }

    /// Whether the record that a start of ours led to was there before: the alarm's, or the twin's.
    fn is_somebody_elses(&self, record: &Record) -> bool {
        if self.over().is_some_and(|over| record.created > over) {
            // Nobody else starts a record of what is over: an earlier call of ours has got through.
            return false;
        }
        match record.origin {
            Origin::Alarm => true,
            Origin::Daemon => {
                let second = Duration::from_secs(1);
                self.attempted.is_some_and(|first| record.created + second < first.wall)
            }
        }
    }

    /// The sink says that it does not have the record. That may be its lag; later it means that a person has deleted it,
    /// which is closing it for good.
    fn missing(&mut self, hearing: &mut Hearing<'_>) {
        let now = hearing.now.mono;
        let since = *self.missing_since.get_or_insert(now);
        if now.since(since) < GONE_AFTER {
            return;
        }
        if let Some(record) = self.row.record.clone() {
            hearing.place.gone(&record);
            self.notice(hearing, NoticeCause::Gone(record));
        }
        self.count_as_closed();
    }

    fn closed_own(&mut self, now: Moment, place: &mut KnownRecords) {
        if let Some(record) = &self.row.record {
            place.closed(record, &self.incident.id, now);
        }
        self.standing = Standing::Closed;
    }

    fn notice(&self, hearing: &mut Hearing<'_>, cause: NoticeCause) {
        hearing.notices.push(SinkNotice::of(&self.incident, hearing.settings.id(), cause));
    }
}
