//! The record is open: tell what happened, and close it when the incident is over.

use std::time::Duration;

use crate::domain::board::{Incident, IncidentState};
use crate::domain::time::{Moment, Stamp};

use super::super::account::Account;
use super::super::action::{Act, RecordCall};
use super::super::sink::{Description, Note, Origin, RecordId, RecordStatus};
use super::super::{token, wording};
use super::case::{Aim, Around, Case, Described, NOTE_CHECK, Step, call, wait};

/// How often an open record is read, to see whether a person has closed it, and how often a closed incident's scope is
/// searched for a record that somebody has opened since.
pub(super) const CHECK: Duration = Duration::from_secs(60);
/// What a record says is written anew at most this often, unless the incident has worsened: its timeline has every change.
const DESCRIBE_EVERY: Duration = Duration::from_secs(60);

/// The limit of Incident Manager's summary, in characters; held in bytes, to be safe.
/// <https://docs.aws.amazon.com/incident-manager/latest/APIReference/API_UpdateIncidentRecord.html>
const SUMMARY_MAX: usize = 8000;

/// Whether a record should say something else.
enum Due {
    Never,
    At(Moment),
    Now(Box<Account>),
}

impl Case {
    /// The record is open: tell what happened, and close it when the incident is over.
    pub(super) fn with_open_record(
        &mut self,
        around: &Around<'_>,
        record: &RecordId,
        asked: Moment,
        created: Stamp,
    ) -> Option<Step> {
        let now = around.now.mono;
        let age = now.since(asked);
        if self.is_open() && (age >= CHECK || self.incident.worsened > self.open_at) {
            return Some(self.read_own(record.clone(), now));
        }
        let mut retry = None;
        match self.description_due(around) {
            Due::Now(_) if age > NOTE_CHECK => return Some(self.read_own(record.clone(), now)),
            Due::Now(account) => return Some(self.describe(around, record, *account)),
            Due::At(until) => retry = Some(until),
            Due::Never => {}
        }
        if let Some(told) = self.next_told() {
            match self.held(Act::Note, now).max(self.next_round(now)) {
                None if age > NOTE_CHECK => return Some(self.read_own(record.clone(), now)),
                None => return Some(self.note(around, record, told)),
                Some(until) => retry = Some(retry.map_or(until, |retry: Moment| until.min(retry))),
            }
        }
        if let Some((other, title)) = around.related.as_ref().filter(|_| !self.row.related) {
            match self.held(Act::Relate, now) {
                None => {
                    let (record, other, title) = (record.clone(), other.clone(), title.clone());
                    return Some(call(Aim::Relate, RecordCall::Relate { record, other, title }));
                }
                Some(until) => retry = Some(retry.map_or(until, |retry| until.min(retry))),
            }
        }
        // A story with a gap is better than a record that stays open: only what will pass by itself is waited for.
        let note_passes = self.held(Act::Note, now).filter(|_| !self.is_rejected(Act::Note));
        match self.incident.state {
            IncidentState::Open => self.seek_duplicate(around, record, asked, retry),
            IncidentState::Unwatched { .. } => match note_passes {
                Some(until) => Some(wait(until, "note again")),
                None => self.settle(),
            },
            IncidentState::Resolved { at } => {
                if let Some(until) = note_passes {
                    return Some(wait(until, "note again"));
                }
                if self.is_handed_over(around, record, created, at) {
                    return self.settle();
                }
                if age > NOTE_CHECK {
                    return Some(self.read_own(record.clone(), now));
                }
                Some(self.resolve(around, record.clone(), Aim::ResolveOwn, self.closing_words(around)))
            }
        }
    }

    /// Whether the record goes on after this incident: another open incident holds it, or a later one is about to, or
    /// it was opened by somebody else after this incident was over.
    fn is_handed_over(&self, around: &Around<'_>, record: &RecordId, created: Stamp, over: Stamp) -> bool {
        around.held.contains(record)
            || around.newer.as_ref().is_some_and(|newer| newer.ahead)
            || (created > over && (self.row.start.is_none() || around.newer.is_some()))
    }

    /// Whether the record should say something else than it does.
    fn description_due(&mut self, around: &Around<'_>) -> Due {
        if !self.is_open() || self.is_only_found() {
            return Due::Never;
        }
        let now = around.now.mono;
        let Incident { revision, worsened, .. } = *self.incident;
        let due = match &self.described {
            Some(last) if last.revision == revision && self.row.linked => return Due::Never,
            Some(last) if last.worsened < worsened => now,
            Some(last) => last.at + DESCRIBE_EVERY,
            None => now,
        };
        if let Some(until) =
            self.held(Act::Describe, now).into_iter().chain([due].into_iter().filter(|due| *due > now)).max()
        {
            return Due::At(until);
        }
        let account = Account::new(&self.incident, around.settings);
        match &mut self.described {
            Some(last) if last.account == account && self.row.linked => {
                last.revision = revision;
                Due::Never
            }
            Some(_) | None => Due::Now(Box::new(account)),
        }
    }

    fn describe(&self, around: &Around<'_>, record: &RecordId, account: Account) -> Step {
        let Incident { id, revision, worsened, .. } = &*self.incident;
        let client_token = token::describe(record, &around.settings.site, id, *revision);
        let described = Described {
            revision: *revision,
            worsened: *worsened,
            at: around.now.mono,
            account: account.clone(),
        };
        let links = if self.row.linked { Vec::new() } else { account.every_link() };
        let description = Box::new(Description { account, links, client_token });
        call(Aim::Describe(Box::new(described)), RecordCall::Describe { record: record.clone(), description })
    }

    /// What the record says when it is closed.
    pub(super) fn closing_words(&self, around: &Around<'_>) -> String {
        Account::new(&self.incident, around.settings).markdown(SUMMARY_MAX)
    }

    fn note(&mut self, around: &Around<'_>, record: &RecordId, told: u32) -> Step {
        self.begin_round(around.now.mono);
        let incident = &self.incident;
        let site = &*around.settings.site;
        let entry = self.next_entry().filter(|_| self.row.told != 0);
        let note = match entry {
            Some(entry) => Note {
                at: entry.at,
                text: wording::note(incident, entry, self.row.told),
                client_token: token::note(record, site, entry),
            },
            None => Note {
                at: incident.id.opened,
                text: wording::witness(incident),
                client_token: token::witness(record, site, &incident.id, told),
            },
        };
        if self.row.told == 0 {
            self.witness_upto = Some(told);
        }
        call(Aim::Note { told }, RecordCall::Note { record: record.clone(), note })
    }

    /// A start can be one too many: the alarm's or a twin's record was not in the list yet, and the token did not make
    /// them one. When the list must have caught up, the oldest open record stays, the younger ones that daemons have
    /// started are closed, and whoever was in one of these goes on in the oldest. Everybody chooses the same, so
    /// one stays open whoever acts; the alarm's is left to people, who may be working in it.
    fn seek_duplicate(
        &mut self,
        around: &Around<'_>,
        record: &RecordId,
        asked: Moment,
        retry: Option<Moment>,
    ) -> Option<Step> {
        let now = around.now.mono;
        let check = (asked + CHECK, "read the record");
        let until = Some(retry.filter(|retry| *retry < check.0).map_or(check, |retry| (retry, "note again")));
        let Some(due) = self.duplicates_due else {
            return Some(Step::Wait { until, look_up: None });
        };
        let Some(records) = around.place.view(due) else {
            return Some(Step::Wait { until, look_up: Some(due) });
        };
        let mut open = records.iter().filter(|record| record.status == RecordStatus::Open);
        let oldest = open.next().map_or(record, |oldest| &oldest.id);
        let daemons = open.filter(|younger| younger.origin == Origin::Daemon).map(|younger| &younger.id);
        let own = if oldest == record { None } else { daemons.clone().find(|younger| *younger == record) };
        let Some(younger) = own.or_else(|| daemons.clone().find(|younger| *younger != record)) else {
            self.duplicates_due = None;
            return None;
        };
        let step =
            self.read_other(if younger == record { oldest } else { younger }, now).unwrap_or_else(|| {
                let summary = wording::duplicate_summary(&self.incident, &oldest.0);
                let aim = Aim::ResolveDuplicate { younger: younger.clone(), oldest: oldest.clone() };
                self.resolve(around, younger.clone(), aim, summary)
            });
        Some(match step {
            Step::Wait { until: Some(held), look_up: _ } if held.0 > check.0 => {
                Step::Wait { until, look_up: None }
            }
            step @ (Step::Wait { .. } | Step::Do(..) | Step::Settled) => step,
        })
    }
}
