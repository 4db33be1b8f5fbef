//! The store without its thread: synchronous, with the time as an argument, so that a simulation can run it.
//!
//! Data waits in memory until [`StoreEngine::handle_timeout`] is called at [`StoreEngine::poll_timeout`], or
//! [`StoreEngine::commit`] at any time. Dropping an engine commits nothing: to the file it is a crash. [`Pace`] says when the
//! next commit is due.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::allot::{Allotment, allot};
use super::database::Database;
use super::disk::{Disk, Opening};
use super::history::{History, Transition, TransitionBody};
use super::open::OpenError;
use super::recall::{Memory, Recall};
use super::state::{LateSilences, State};
use crate::catalogue::parts::StoreNotice;
use crate::domain::board::{Incident, IncidentId};
use crate::domain::event::{Remembered, SeenUp};
use crate::domain::fact::{Fact, TunnelWas};
use crate::domain::names::{SinkId, TunnelId};
use crate::domain::plan::SinkPlan;
use crate::domain::rollup::Rollup;
use crate::domain::scope::{ParentId, ParentState};
use crate::domain::silence::{Silence, SilenceId};
use crate::domain::time::{Moment, Now, Stamp};
use crate::health::Problem;
use crate::history::{Entry, Period};
use crate::incident::sink::LedgerRow;
use crate::settings::StoreSettings;
use crate::silences::Silences;

/// Lost minutes are reported once a day: someone should look today, and a line a minute does not help.
const WARN_EVERY: Duration = Duration::from_secs(24 * 3600);

/// The first write is this long after the start: by then everything that reads the last run's data has been answered. While a
/// slow disk writes, no read is answered.
const FIRST_WRITE_AFTER: Duration = Duration::from_secs(2);

/// History that was lost since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Rollups that the store could not keep until they were sent: the queue was full, the disk failed for too long, the file
    /// was full, or they outlived `keep`. Rollups that CloudWatch no longer accepts are kept, and counted by the publisher
    /// alone.
    pub rollups_dropped: u64,
    /// Transitions that were not kept.
    pub transitions_dropped: u64,
}

/// The store's logic: what is written when, what is read, and which problem is stated when a disk fails.
#[derive(Debug)]
pub struct StoreEngine {
    disk: Disk,
    path: PathBuf,
    /// Whether rollups wait to be sent.
    spool: bool,
    /// The silences that the file held when it was opened.
    silences: Silences,
    /// Those of a file that was opened later.
    late_silences: VecDeque<Silences>,
    state: State,
    history: History,
    pace: Pace,
    counts: Counts,
    problem: Option<Problem>,
    notices: VecDeque<StoreNotice>,
    warned_of_room_at: Option<Moment>,
    /// When it was last called.
    now: Now,
}

/// What is kept of a fact.
#[derive(Debug)]
pub(super) enum Kept {
    /// State: it must outlive a restart.
    SeenUp(SeenUp),
    /// State likewise: whether a parent is known to be down.
    Down(ParentId, bool),
    /// State likewise; `settled` if that is when it was over and every sink had settled it.
    Incident { incident: Arc<Incident>, settled: Option<Stamp>, at: Now },
    /// History.
    Transition(Box<Transition>),
    /// History: the core has watched until here.
    Watched(Now),
    /// History: the core was not called for this long.
    HeldUp { gap: Duration, at: Now },
    /// History, and what CloudWatch gets.
    Rollup(Arc<Rollup>),
}

impl Kept {
    /// `None` if nothing is kept of it.
    pub(super) fn of(fact: &Fact) -> Option<Self> {
        Some(match fact {
            Fact::SeenUp(seen) => Self::SeenUp(seen.clone()),
            Fact::ParentChanged { id, from: _, to, at: _ } => {
                Self::Down(id.clone(), *to == ParentState::Down)
            }
            Fact::IncidentChanged { incident, change: _, at } => {
                Self::Incident { incident: Arc::clone(incident), settled: None, at: *at }
            }
            Fact::IncidentMissed { incident, at } | Fact::IncidentSettled { incident, at } => {
                Self::Incident { incident: Arc::clone(incident), settled: Some(at.wall), at: *at }
            }
            Fact::ViewChanged { tunnel, end, from, view, at } => {
                let body = TransitionBody::View { end: *end, from: *from, view: view.clone() };
                Self::transition(tunnel, *at, body)
            }
            Fact::AssessmentChanged { tunnel, from, to, local, aws, side: _, at } => {
                let (local, aws) = (local.clone(), aws.clone());
                let body = TransitionBody::Assessment { from: *from, to: *to, local, aws };
                Self::transition(tunnel, *at, body)
            }
            Fact::CauseChanged { tunnel, from, to, at } => {
                let [from, to] = [from, to].map(|it| it.as_ref().map(|diagnosis| diagnosis.cause));
                if from == to {
                    // Only its confidence or evidence did.
                    return None;
                }
                Self::transition(tunnel, *at, TransitionBody::Cause { from, to })
            }
            Fact::SilencedChanged { tunnel, from, to, at } => {
                Self::transition(tunnel, *at, TransitionBody::Silenced { from: *from, to: *to })
            }
            Fact::TunnelLeft { tunnel, was, afresh, at } => {
                let TunnelWas { local, aws, assessment, cause, silenced } = *was;
                let afresh = *afresh;
                Self::transition(
                    tunnel,
                    *at,
                    TransitionBody::Left { local, aws, assessment, cause, silenced, afresh },
                )
            }
            Fact::Watched { at } => Self::Watched(*at),
            Fact::Resumed { gap, at } => Self::HeldUp { gap: *gap, at: *at },
            Fact::RollupReady(rollup) => Self::Rollup(Arc::clone(rollup)),
            Fact::EchoEnded { .. }
            | Fact::TicksSkipped { .. }
            | Fact::Suspicion { .. }
            | Fact::IncidentPending { .. }
            | Fact::IncidentAverted { .. }
            | Fact::EvidenceUnusable { .. }
            | Fact::AddressHeld { .. }
            | Fact::MaintenanceChanged { .. }
            | Fact::QualityChanged { .. }
            | Fact::CouldVote { .. } => return None,
        })
    }

    fn transition(tunnel: &TunnelId, at: Now, body: TransitionBody) -> Self {
        Self::Transition(Box::new(Transition { tunnel: tunnel.clone(), at, body }))
    }
}

impl StoreEngine {
    /// Opens the file, or creates it (0600, and its directory 0700); blocks for as long as the disk takes. A disk that cannot
    /// be used is not an error but a [`Self::problem`]: everything is kept in memory, and written once possible. A damaged
    /// file is set aside, and a new one created with the data that can be read from it.
    ///
    /// `now` anchors the moments of the remembered data: they keep their distance on the wall clock.
    ///
    /// # Errors
    /// The path does not name a file that could be ours: [`OpenError::is_misconfigured`]. It is untouched.
    pub fn open(settings: &StoreSettings, now: Now) -> Result<(Self, Remembered), OpenError> {
        Self::opened(settings, now, Disk::open)
    }

    /// Opens the file without writing to it: a disk that takes seconds for a write must not delay the start, and what was
    /// open is known all the same. The rest is due at [`FIRST_WRITE_AFTER`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn start(settings: &StoreSettings, now: Now) -> Result<(Self, Remembered), OpenError> {
        let (mut engine, remembered) = Self::opened(settings, now, Disk::open_before_writing)?;
        engine.pace.state(now.mono);
        engine.pace.hold_until(now.mono + FIRST_WRITE_AFTER);
        Ok((engine, remembered))
    }

    fn opened(
        settings: &StoreSettings,
        now: Now,
        open: impl FnOnce(&StoreSettings, Now, &mut VecDeque<StoreNotice>) -> Result<(Disk, Opening), OpenError>,
    ) -> Result<(Self, Remembered), OpenError> {
        let mut notices = VecDeque::new();
        let (disk, opening) = open(settings, now, &mut notices)?;
        let Opening { found, rescued, replaced, failure } = opening;
        let mut engine = Self {
            disk,
            path: settings.path.clone(),
            spool: settings.spool,
            silences: found.list_of_silences(),
            late_silences: VecDeque::new(),
            state: State::of(&found),
            history: History::default(),
            pace: Pace::default(),
            counts: Counts::default(),
            problem: None,
            notices,
            warned_of_room_at: None,
            now,
        };
        engine.notices.extend(found.unreadable.into_iter().map(StoreNotice::Unreadable));
        if replaced {
            engine.state.write_again();
            for rollup in rescued {
                engine.rollup(rollup);
            }
            engine.pace.state(now.mono);
        }
        if let Some(error) = failure {
            engine.fail(&error);
        }
        Ok((engine, found.remembered))
    }

    //--- what comes in

    /// Records a fact: state for a commit at once, history for a later one.
    pub fn record(&mut self, fact: &Fact, now: Now) {
        if let Some(kept) = Kept::of(fact) {
            self.keep(kept, now);
        }
    }

    /// The same, where it is known already what is kept.
    pub(super) fn keep(&mut self, kept: Kept, now: Now) {
        self.now = now;
        match kept {
            Kept::SeenUp(seen) => {
                self.state.seen_up(seen);
                self.pace.state(now.mono);
            }
            Kept::Down(parent, down) => {
                self.state.down(parent, down);
                self.pace.state(now.mono);
            }
            Kept::Incident { incident, settled, at } => {
                self.state.incident(incident, settled);
                self.history.watched.seen(at);
                self.pace.state(now.mono);
            }
            Kept::Transition(transition) => self.transition(*transition),
            Kept::Watched(at) => {
                self.history.watched.seen(at);
                self.pace.history(now.mono);
            }
            Kept::HeldUp { gap, at } => {
                self.history.watched.held_up(gap, at);
                self.pace.history(now.mono);
            }
            Kept::Rollup(rollup) => self.rollup(rollup),
        }
    }

    fn transition(&mut self, transition: Transition) {
        let now = self.now;
        // The next run continues a series of downs.
        if transition.body.is_our_down() {
            self.pace.soon(now.mono);
        } else {
            self.pace.history(now.mono);
        }
        self.counts.transitions_dropped += self.history.transition(transition);
    }

    /// Changes from the first moment to the last of this time were lost on their way here.
    pub(super) fn lost(&mut self, Period { from, until }: Period) {
        self.history.watched.lost(from);
        self.history.watched.lost(until);
    }

    fn rollup(&mut self, rollup: Arc<Rollup>) {
        self.counts.rollups_dropped += self.history.rollup(rollup, !self.spool);
        self.pace.history(self.now.mono);
    }

    /// Stores a row of the ledger, replacing the one with the same sink, incident and generation, for a commit at once.
    pub fn commit_row(&mut self, row: LedgerRow, now: Now) {
        self.state.row_at(row, self.history.watched.date(now));
        self.pace.state(now.mono);
    }

    /// Removes an incident's rows of a sink, for a commit at once.
    pub fn forget(&mut self, sink: &SinkId, incident: &IncidentId, now: Now) {
        self.state.forget(sink, incident);
        self.pace.state(now.mono);
    }

    /// Keeps silences, each in its first window, for a commit at once.
    pub fn keep_silences(&mut self, silences: Vec<Silence>, now: Now) {
        for silence in silences {
            self.state.silence(silence);
        }
        self.take_late_silences();
        self.pace.state(now.mono);
    }

    /// Those that come from a file that was opened late are for the daemon, which has given numbers without knowing them.
    fn take_late_silences(&mut self) {
        let (LateSilences { found, renumbered, has_higher }, last) = self.state.take_late_silences();
        self.notices.extend(
            renumbered.into_iter().map(|(before, silence)| StoreNotice::Renumbered { before, silence }),
        );
        if has_higher || !found.is_empty() {
            self.late_silences.push_back(Silences::new(found.into_values(), last));
        }
    }

    /// Removes silences that are over, for a commit at once.
    pub fn forget_silences(&mut self, ids: &[SilenceId], now: Now) {
        for id in ids {
            self.state.silence_over(*id);
        }
        self.pace.state(now.mono);
    }

    /// Applies the configured sinks, for a commit at once: each row goes to the sink that continues with it. Rows that no
    /// sink continues with are removed, and the newest row of each such incident returned. No sink may run meanwhile.
    pub fn allot(&mut self, sinks: &[SinkPlan], now: Now) -> Vec<LedgerRow> {
        let Allotment { kept, left } = allot(self.state.rows(), sinks);
        let moved: Vec<LedgerRow> = self.state.rows().filter(|row| !kept.contains(row)).cloned().collect();
        for row in moved {
            self.forget(&row.sink, &row.incident, now);
        }
        for row in kept {
            if !self.state.rows().any(|known| *known == row) {
                self.state.row(row);
                self.pace.state(now.mono);
            }
        }
        left
    }

    /// Marks rollups as sent (or never to be sent), whether they were recorded before or not, for a commit at once.
    pub fn sent(&mut self, rollups: &[Arc<Rollup>], now: Now) {
        for rollup in rollups {
            self.counts.rollups_dropped += self.history.sent(Arc::clone(rollup));
        }
        self.pace.state(now.mono);
    }

    //--- when it is written

    /// When [`Self::handle_timeout`] is due; a moment that has passed if state waits.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.pace.due()
    }

    /// Commits if that is due.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn handle_timeout(&mut self, now: Now) -> Result<(), String> {
        if self.pace.due().is_some_and(|due| due <= now.mono) { self.commit(now) } else { Ok(()) }
    }

    /// Commits everything that waits; when this returns it survives a power cut.
    ///
    /// # Errors
    /// What is wrong with the disk, for an operator. Everything is kept, and retried at [`Self::poll_timeout`].
    pub fn commit(&mut self, now: Now) -> Result<(), String> {
        self.now = now;
        let nothing_waits = self.state.is_written() && self.history.is_empty() && self.disk.is_open();
        if nothing_waits && !self.disk.is_damaged() && self.problem.is_none() {
            self.pace.nothing_waits();
            return Ok(());
        }
        let done = self.disk.write(&mut self.state, &mut self.history, now, &mut self.notices);
        self.take_late_silences();
        let dropped = self.disk.take_dropped();
        self.dropped(dropped);
        self.counts.rollups_dropped += self.disk.take_lost();
        match done {
            Ok(()) => {
                self.pace.committed(now.mono);
                self.problem = None;
                Ok(())
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    fn fail(&mut self, error: &OpenError) -> String {
        self.pace.failed(self.now.mono);
        let what = error.in_full();
        self.problem.get_or_insert_with(|| Problem::store_failing(&what));
        what
    }

    fn dropped(&mut self, rollups: u64) {
        self.counts.rollups_dropped += rollups;
        let was_warned = self.warned_of_room_at.is_some_and(|at| self.now.mono.since(at) < WARN_EVERY);
        if rollups > 0 && !was_warned {
            self.warned_of_room_at = Some(self.now.mono);
            self.notices.push_back(StoreNotice::Full);
        }
    }

    //--- what is read

    /// The silences of the last run.
    pub const fn silences(&self) -> &Silences {
        &self.silences
    }

    /// The next silences that a file held that could not be read at the start, and the highest number. None has a number that was
    /// given in this run.
    pub fn poll_late_silences(&mut self) -> Option<Silences> {
        self.late_silences.pop_front()
    }

    /// Every row of a sink's ledger, committed or waiting.
    pub fn load(&self, sink: &SinkId) -> Vec<LedgerRow> {
        self.state.rows().filter(|row| row.sink == *sink).cloned().collect()
    }

    /// Up to `limit` unsent rollups of minutes that began at `until` or before, newest first, committed or waiting.
    ///
    /// # Errors
    /// What is wrong with the disk, for an operator.
    pub fn unsent(&mut self, until: Stamp, limit: usize) -> Result<Vec<Arc<Rollup>>, String> {
        let sent = self.history.rollups().filter(|(_, sent)| *sent).count();
        let stored = self.read(|database| database.unsent(until, limit.saturating_add(sent)))?;
        let waiting = self.history.rollups().filter(|(rollup, sent)| !sent && rollup.minute <= until);
        let mut unsent: Vec<_> = waiting.map(|(rollup, _)| Arc::clone(rollup)).collect();
        unsent.extend(stored.unwrap_or_default().into_iter().filter(|rollup| !self.history.knows(rollup)));
        unsent.sort_by_key(|rollup| std::cmp::Reverse(rollup.minute));
        unsent.truncate(limit);
        Ok(unsent)
    }

    /// How many rollups wait to be sent, committed or not.
    ///
    /// # Errors
    /// What is wrong with the disk, for an operator.
    pub fn pending(&mut self) -> Result<u64, String> {
        let mut count = self.read(|database| database.unsent_count())?.unwrap_or(0);
        let waiting: Vec<_> =
            self.history.rollups().map(|(rollup, sent)| (Arc::clone(rollup), sent)).collect();
        for (rollup, sent) in waiting {
            let stored = self.read(|database| database.is_unsent(&rollup))?.unwrap_or(false);
            match (stored, sent) {
                (true, true) => count = count.saturating_sub(1),
                (false, false) => count += 1,
                (true, false) | (false, true) => {}
            }
        }
        Ok(count)
    }

    /// The next part of what is remembered, committed or waiting; never empty before the end, which is `None`.
    ///
    /// # Errors
    /// What is wrong with the disk, for an operator.
    pub fn recall(&mut self, recall: &mut Recall, now: Now) -> Result<Option<Vec<Entry>>, String> {
        let memory = Memory { state: &self.state, history: &self.history };
        recall.begin(self.history.watched.date(now));
        let done = if self.disk.has_file() {
            self.disk.read(|database| recall.part(Some(database.connection()), &memory)).map(Option::flatten)
        } else {
            recall.part(None, &memory).map_err(|error| error.to_string())
        };
        if self.disk.is_damaged() {
            // The next commit handles it.
            self.pace.state(self.now.mono);
        }
        done
    }

    fn read<T>(&mut self, read: impl FnOnce(&Database) -> rusqlite::Result<T>) -> Result<Option<T>, String> {
        let found = self.disk.read(read);
        if self.disk.is_damaged() {
            // The next commit handles it.
            self.pace.state(self.now.mono);
        }
        found
    }

    //--- what is reported

    /// What was lost since the start.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The problem with the disk, as long as it lasts.
    pub const fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next notice for the operator.
    pub fn poll_notice(&mut self) -> Option<StoreNotice> {
        self.notices.pop_front()
    }
}

/// When nothing urgent happens there is at most one commit in this time.
const COMMIT_INTERVAL: Duration = Duration::from_secs(60);
/// A minute's rollups wait this long for each other and for CloudWatch's answer, to share one commit.
const SETTLE: Duration = Duration::from_secs(5);
/// A failing disk is retried this often, and with every further piece of state.
pub(super) const RETRY: Duration = Duration::from_secs(30);

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Pace {
    /// Since when the oldest data has waited.
    waiting_since: Option<Moment>,
    /// Since when state has waited for its first try.
    urgent_since: Option<Moment>,
    /// The same for history that the next run builds on.
    soon_since: Option<Moment>,
    last_commit: Option<Moment>,
    retry_at: Option<Moment>,
    /// Nothing is committed before this.
    held_until: Option<Moment>,
}

impl Pace {
    /// History was recorded.
    pub(super) fn history(&mut self, now: Moment) {
        self.waiting_since.get_or_insert(now);
    }

    /// History was recorded that the next run builds on: it does not wait for the minute.
    pub(super) fn soon(&mut self, now: Moment) {
        self.waiting_since.get_or_insert(now);
        self.soon_since.get_or_insert(now);
    }

    /// State was recorded: it is committed at once.
    pub(super) fn state(&mut self, now: Moment) {
        self.waiting_since.get_or_insert(now);
        self.urgent_since.get_or_insert(now);
    }

    pub(super) fn committed(&mut self, now: Moment) {
        *self = Self { last_commit: Some(now), ..Self::default() };
    }

    /// What came needs no commit.
    pub(super) fn nothing_waits(&mut self) {
        let Self { last_commit, held_until, .. } = *self;
        *self = Self { last_commit, held_until, ..Self::default() };
    }

    pub(super) fn failed(&mut self, now: Moment) {
        self.retry_at = Some(now + RETRY);
        self.urgent_since = None;
        self.soon_since = None;
    }

    /// Nothing is committed before this moment.
    pub(super) fn hold_until(&mut self, moment: Moment) {
        self.held_until = Some(moment);
    }

    pub(super) fn due(&self) -> Option<Moment> {
        let due = self.wanted()?;
        Some(self.held_until.map_or(due, |until| due.max(until)))
    }

    fn wanted(&self) -> Option<Moment> {
        if self.urgent_since.is_some() {
            return self.urgent_since;
        }
        if self.retry_at.is_some() {
            return self.retry_at;
        }
        let settled = self.waiting_since? + SETTLE;
        if let Some(soon) = self.soon_since {
            return Some(soon + SETTLE);
        }
        Some(self.last_commit.map_or(settled, |at| settled.max(at + COMMIT_INTERVAL)))
    }
}

#[cfg(test)]
mod tests;
