//! What is remembered, for reports and the status page, read in parts: no part takes the thread for more than some milliseconds,
//! and none is held in memory with another.
//!
//! First come the incidents on the Board, then those of the file; each with its pages. Then when the daemon watched; then the newest
//! change before the beginning of each tunnel and kind, by tunnel; then changes, then minutes, each oldest first. What waits for the disk comes with the last part of its kind, so that nothing is missed that is
//! written between two parts.

use std::collections::BTreeSet;
use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Deserialize;

use super::codec;
use super::database::Database;
use super::history::{History, Transition, TransitionBody};
use super::open::{self, OpenError};
use super::state::State;
use crate::domain::board::{Incident, IncidentId};
use crate::domain::cause::Cause;
use crate::domain::names::{End, SinkId, TunnelId, VpnId};
use crate::domain::rollup::Rollup;
use crate::domain::silence::SilenceId;
use crate::domain::time::{Now, Stamp};
use crate::domain::verdict::{Assessment, Verdict};
use crate::history::{Change, Entry, Minute, Period, Present, Recalled, State as TunnelState, Wanted, Watch};

/// A part has about as many rows; a change takes two microseconds, and a minute less.
const ROWS: usize = 2_000;
/// So many tunnels, each with a newest change of each kind.
const TUNNELS: usize = 100;
/// An incident takes a hundred times as long.
const INCIDENTS: usize = 100;
const MINUTE: Duration = Duration::from_secs(60);

/// A reading, from part to part.
#[derive(Debug)]
pub struct Recall {
    wanted: Wanted,
    /// The end: what is stamped later was stamped by a clock that was wrong.
    now: Option<Stamp>,
    next: Next,
    /// The incidents that came from memory.
    seen: BTreeSet<IncidentId>,
}

/// What comes next, after which row.
#[derive(Debug)]
enum Next {
    Board(Option<IncidentId>),
    Incidents(Option<SettledKey>),
    Watched(i64),
    /// By tunnel.
    Before(i64),
    /// By time and number.
    Changes(i64, i64),
    /// By minute, tunnel and digest.
    Minutes(i64, i64, i64),
    End,
}

/// When an incident was settled, its scope, kind, and when it opened.
type SettledKey = (i64, String, String, i64);

/// What the store holds in memory.
#[derive(Debug)]
pub(super) struct Memory<'m> {
    pub(super) state: &'m State,
    pub(super) history: &'m History,
}

impl Recall {
    /// From the beginning.
    pub const fn new(wanted: Wanted) -> Self {
        Self { wanted, now: None, next: Next::Board(None), seen: BTreeSet::new() }
    }

    /// It is this time now; what comes while it is read is not part of it.
    pub(super) fn begin(&mut self, now: Stamp) {
        let until = self.wanted.until.map_or(now, |until| until.min(now));
        self.now.get_or_insert(until);
    }

    /// The next part, from the file, if there is one, and from memory; `None` at the end.
    pub(super) fn part(
        &mut self,
        file: Option<&Connection>,
        memory: &Memory<'_>,
    ) -> rusqlite::Result<Option<Vec<Entry>>> {
        loop {
            let next = mem::replace(&mut self.next, Next::End);
            let mut entries = Vec::new();
            self.next = match next {
                Next::Board(after) => self.board(after.as_ref(), file, memory, &mut entries)?,
                Next::Incidents(after) => self.incidents(after, file, memory, &mut entries)?,
                Next::Watched(after) => self.watched(after, file, memory, &mut entries)?,
                Next::Before(tunnel) => self.before(tunnel, file, memory, &mut entries)?,
                Next::Changes(at, id) => self.changes((at, id), file, memory, &mut entries)?,
                Next::Minutes(minute, tunnel, digest) => {
                    self.minutes((minute, tunnel, digest), file, memory, &mut entries)?
                }
                Next::End => return Ok(None),
            };
            if !entries.is_empty() {
                return Ok(Some(entries));
            }
        }
    }

    fn now(&self) -> Stamp {
        self.now.unwrap_or(Stamp::from_millis(i64::MAX))
    }

    fn board(
        &mut self,
        after: Option<&IncidentId>,
        file: Option<&Connection>,
        memory: &Memory<'_>,
        entries: &mut Vec<Entry>,
    ) -> rusqlite::Result<Next> {
        let mut last = None;
        for incident in memory.state.incidents(after).take(INCIDENTS) {
            last = Some(incident.id.clone());
            self.seen.insert(incident.id.clone());
            self.incident(incident, file, memory, entries)?;
        }
        Ok(last.map_or(Next::Incidents(None), |last| Next::Board(Some(last))))
    }

    /// An incident, if it is wanted, and when it was paged.
    fn incident(
        &self,
        incident: &Incident,
        file: Option<&Connection>,
        memory: &Memory<'_>,
        entries: &mut Vec<Entry>,
    ) -> rusqlite::Result<()> {
        let recalled = Recalled::of(incident);
        if recalled.ended().is_some_and(|ended| ended < self.wanted.since) || recalled.began > self.now() {
            return Ok(());
        }
        let id = recalled.id.clone();
        entries.push(Entry::Incident(Arc::new(recalled)));
        let mut paged = match file {
            Some(file) => pages(file, &id)?,
            None => Vec::new(),
        };
        for (sink, at) in memory.state.paged(&id) {
            let known = paged.iter().any(|(of, _)| of == sink);
            match at {
                Some(at) if !known => paged.push((sink.clone(), at)),
                Some(_) => {}
                None => paged.retain(|(of, _)| of != sink),
            }
        }
        entries.extend(paged.into_iter().map(|(sink, at)| Entry::Paged { incident: id.clone(), sink, at }));
        Ok(())
    }

    fn incidents(
        &self,
        after: Option<SettledKey>,
        file: Option<&Connection>,
        memory: &Memory<'_>,
        entries: &mut Vec<Entry>,
    ) -> rusqlite::Result<Next> {
        let Some(file) = file else { return Ok(Next::Watched(i64::MIN)) };
        let (settled, vpn, kind, opened) =
            after.unwrap_or((self.wanted.since.as_millis(), String::new(), String::new(), i64::MIN));
        let mut statement = file.prepare(SETTLED)?;
        let mut rows = statement.query(params![settled, vpn, kind, opened, as_limit(INCIDENTS)])?;
        let (mut count, mut last) = (0, None);
        while let Some(row) = rows.next()? {
            count += 1;
            last = Some((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            let body = row.get_ref(4)?.as_str().unwrap_or_default();
            // Its moments are not looked at, so any anchor will do. One that cannot be read is stated at the start.
            if let Ok(incident) = codec::read_incident(body, Now::default())
                && !self.seen.contains(&incident.id)
            {
                self.incident(&incident, Some(file), memory, entries)?;
            }
        }
        Ok(last
            .filter(|_| count == INCIDENTS)
            .map_or(Next::Watched(i64::MIN), |last| Next::Incidents(Some(last))))
    }

    fn watched(
        &self,
        after: i64,
        file: Option<&Connection>,
        memory: &Memory<'_>,
        entries: &mut Vec<Entry>,
    ) -> rusqlite::Result<Next> {
        let (since, now) = (self.wanted.since, self.now());
        // As when they are written: what the file says of later is an earlier version of the same.
        let waiting =
            memory.history.watched.watches_until(self.wanted.until).next().map(|first| first.period.from);
        let ends = waiting.unwrap_or(now).min(now);
        let mut last = None;
        let mut add = |watch: Watch, ends: Stamp| {
            let period = Period { until: watch.period.until.min(ends), ..watch.period };
            if period.from < period.until && since < period.until {
                entries.push(Entry::Watched(Watch { period, ..watch }));
            }
        };
        if let Some(file) = file
            && file.table_exists(None, "watched")?
        {
            let query = if has_since(file)? { WATCHED } else { WATCHED_WITHOUT_SINCE };
            let mut statement = file.prepare(query)?;
            let mut rows = statement.query(params![after, since.as_millis(), as_limit(ROWS)])?;
            let mut count = 0;
            while let Some(row) = rows.next()? {
                count += 1;
                let from: i64 = row.get(0)?;
                let period = Period { from: Stamp::from_millis(from), until: stamp(row, 1)? };
                let recorded_since: Option<i64> = row.get(2)?;
                add(Watch { period, recorded_since: recorded_since.map(Stamp::from_millis) }, ends);
                last = (count == ROWS).then_some(from);
            }
        }
        if let Some(last) = last {
            return Ok(Next::Watched(last));
        }
        memory.history.watched.watches_until(self.wanted.until).for_each(|watch| add(watch, now));
        Ok(Next::Before(i64::MIN))
    }

    /// What was so at the beginning.
    fn before(
        &self,
        after: i64,
        file: Option<&Connection>,
        memory: &Memory<'_>,
        entries: &mut Vec<Entry>,
    ) -> rusqlite::Result<Next> {
        let since = self.wanted.since.as_millis();
        // A file of an older release that cannot be written does not say how long what was so went on.
        if let Some(file) = file
            && has_since(file)?
        {
            let mut tunnels = file.prepare("SELECT id FROM tunnel WHERE id > ?1 ORDER BY id LIMIT ?2")?;
            let tunnels = tunnels.query_map(params![after, as_limit(TUNNELS)], |row| row.get(0))?;
            let tunnels: Vec<i64> = tunnels.collect::<rusqlite::Result<_>>()?;
            let mut newest = file.prepare(NEWEST)?;
            for tunnel in &tunnels {
                for (what, of) in KINDS {
                    let mut rows = newest.query(params![tunnel, what, of, since])?;
                    while let Some(row) = rows.next()? {
                        entries.extend(read_change(row)?);
                    }
                }
            }
            if let Some(last) = tunnels.last().filter(|_| tunnels.len() == TUNNELS) {
                return Ok(Next::Before(*last));
            }
        }
        // Those that wait are newer than those of the file.
        let waiting = memory.history.transitions().filter(|waiting| waiting.at.wall < self.wanted.since);
        entries.extend(waiting.map(entry_of));
        Ok(Next::Changes(since, i64::MIN))
    }

    fn changes(
        &self,
        (at, id): (i64, i64),
        file: Option<&Connection>,
        memory: &Memory<'_>,
        entries: &mut Vec<Entry>,
    ) -> rusqlite::Result<Next> {
        if let Some(file) = file {
            let mut statement = file.prepare(CHANGES)?;
            let mut rows = statement.query(params![at, id, self.now().as_millis(), as_limit(ROWS)])?;
            let (mut count, mut last) = (0, (at, id));
            while let Some(row) = rows.next()? {
                count += 1;
                last = (row.get(0)?, row.get(1)?);
                entries.extend(read_change(row)?);
            }
            if count == ROWS {
                return Ok(Next::Changes(last.0, last.1));
            }
        }
        let wanted = |at: Stamp| self.wanted.since <= at && at <= self.now();
        let waiting = memory.history.transitions().filter(|transition| wanted(transition.at.wall));
        entries.extend(waiting.map(entry_of));
        if self.wanted.minutes {
            // A minute that has begun before the beginning is part of it.
            return Ok(Next::Minutes(self.wanted.since.minute().as_millis(), i64::MIN, i64::MIN));
        }
        Ok(Next::End)
    }

    fn minutes(
        &self,
        (minute, tunnel_row, digest): (i64, i64, i64),
        file: Option<&Connection>,
        memory: &Memory<'_>,
        entries: &mut Vec<Entry>,
    ) -> rusqlite::Result<Next> {
        let now = self.now();
        if let Some(file) = file {
            let query = if has_median(file)? { MINUTES } else { MINUTES_WITHOUT_MEDIAN };
            let mut statement = file.prepare(query)?;
            let after = params![minute, tunnel_row, digest, now.as_millis(), as_limit(ROWS)];
            let mut rows = statement.query(after)?;
            let (mut count, mut last) = (0, (minute, tunnel_row, digest));
            while let Some(row) = rows.next()? {
                count += 1;
                last = (row.get(0)?, row.get(1)?, row.get(2)?);
                if let Some(tunnel) = tunnel(row, 3)? {
                    let (replies, late): (u32, u32) = (row.get(5)?, row.get(6)?);
                    let median: Option<i64> = row.get(8)?;
                    entries.push(Entry::Minute(Minute {
                        at: stamp(row, 0)?,
                        tunnel,
                        answered: replies.saturating_add(late),
                        lost: row.get(7)?,
                        median_rtt: median
                            .and_then(|micros| u64::try_from(micros).ok())
                            .map(Duration::from_micros),
                    }));
                }
            }
            if count == ROWS {
                return Ok(Next::Minutes(last.0, last.1, last.2));
            }
        }
        let begins = self.wanted.since.minute();
        for (rollup, _) in memory.history.rollups() {
            // What was sent waits here beside its row.
            let stored = match file {
                Some(file) => is_stored(file, rollup)?,
                None => false,
            };
            if begins <= rollup.minute && rollup.minute <= now && !stored {
                entries.push(Entry::Minute(minute_of(rollup)));
            }
        }
        Ok(Next::End)
    }
}

const SETTLED: &str = "SELECT settled, vpn, kind, opened, body FROM incident
    WHERE settled >= ?1 AND (settled, vpn, kind, opened) > (?1, ?2, ?3, ?4)
    ORDER BY settled, vpn, kind, opened LIMIT ?5";
const WATCHED: &str =
    "SELECT began, until, since FROM watched WHERE began > ?1 AND until > ?2 ORDER BY began LIMIT ?3";
const WATCHED_WITHOUT_SINCE: &str =
    "SELECT began, until, NULL FROM watched WHERE began > ?1 AND until > ?2 ORDER BY began LIMIT ?3";
/// As in the index.
const NEWEST: &str = "SELECT at, transition.id, vpn, outside_ip, body
    FROM transition CROSS JOIN tunnel ON tunnel.id = tunnel
    WHERE tunnel = ?1 AND what = ?2 AND CASE what WHEN 'view' THEN substr(body, 9, 14) ELSE '' END = ?3 AND at < ?4
    ORDER BY at DESC, transition.id DESC LIMIT 1";
/// The kinds of changes, verdicts by end: what stands in `what`, and in the index.
const KINDS: [(&str, &str); 6] = [
    ("view", r#"{"end":"local""#),
    ("view", r#"{"end":"aws",""#),
    ("assessment", ""),
    ("cause", ""),
    ("silenced", ""),
    ("left", ""),
];
const CHANGES: &str = "SELECT at, transition.id, vpn, outside_ip, body
    FROM transition CROSS JOIN tunnel ON tunnel.id = tunnel
    WHERE at BETWEEN ?1 AND ?3 AND (at > ?1 OR transition.id > ?2) ORDER BY at, transition.id LIMIT ?4";
const MINUTES: &str = "SELECT minute, tunnel, digest, vpn, outside_ip, replies, late, lost, median_rtt
    FROM rollup CROSS JOIN tunnel ON tunnel.id = tunnel
    WHERE (minute, tunnel, digest) > (?1, ?2, ?3) AND minute <= ?4 ORDER BY minute, tunnel, digest LIMIT ?5";
const MINUTES_WITHOUT_MEDIAN: &str =
    "SELECT minute, tunnel, digest, vpn, outside_ip, replies, late, lost, NULL
    FROM rollup CROSS JOIN tunnel ON tunnel.id = tunnel
    WHERE (minute, tunnel, digest) > (?1, ?2, ?3) AND minute <= ?4 ORDER BY minute, tunnel, digest LIMIT ?5";
const PAGES: &str =
    "SELECT sink, at FROM paged WHERE vpn = ?1 AND kind = ?2 AND opened = ?3 ORDER BY at, sink";
const STORED: &str = "SELECT 1 FROM tunnel JOIN rollup ON rollup.tunnel = tunnel.id
    WHERE vpn = ?1 AND outside_ip = ?2 AND minute = ?3 AND digest = ?4";

/// When an incident was paged.
fn pages(file: &Connection, id: &IncidentId) -> rusqlite::Result<Vec<(SinkId, Stamp)>> {
    // A file of an older release that cannot be written has no such table.
    let mut statement = match file.prepare(PAGES) {
        Err(_) if !file.table_exists(None, "paged")? => return Ok(Vec::new()),
        prepared => prepared?,
    };
    let IncidentId { scope, kind, opened } = id;
    let key = params![scope.to_string(), kind.as_str(), opened.as_millis()];
    let rows = statement.query_map(key, |row| Ok((SinkId::new(row.get::<_, String>(0)?), stamp(row, 1)?)))?;
    rows.collect()
}

fn has_since(file: &Connection) -> rusqlite::Result<bool> {
    file.column_exists(None, "watched", "since")
}

fn has_median(file: &Connection) -> rusqlite::Result<bool> {
    file.column_exists(None, "rollup", "median_rtt")
}

fn is_stored(file: &Connection, rollup: &Rollup) -> rusqlite::Result<bool> {
    let TunnelId { vpn, outside_ip } = &rollup.tunnel;
    let key = params![vpn.as_str(), outside_ip.to_string(), rollup.minute.as_millis(), codec::digest(rollup)];
    Ok(file.prepare(STORED)?.query_row(key, |_row| Ok(())).optional()?.is_some())
}

fn minute_of(rollup: &Rollup) -> Minute {
    Minute {
        at: rollup.minute,
        tunnel: rollup.tunnel.clone(),
        answered: rollup.replies.saturating_add(rollup.late),
        lost: rollup.lost,
        // As it is stored.
        median_rtt: rollup.median_rtt().map(|rtt| Duration::from_micros(micros(rtt))),
    }
}

fn micros(rtt: Duration) -> u64 {
    u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)
}

fn as_limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

fn stamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Stamp> {
    row.get(column).map(Stamp::from_millis)
}

/// A row of changes; `None` if it cannot be read.
fn read_change(row: &Row<'_>) -> rusqlite::Result<Option<Entry>> {
    let tunnel = tunnel(row, 2)?;
    let body = row.get_ref(4)?.as_str().unwrap_or_default();
    let (Some(tunnel), Ok(body)) = (tunnel, serde_json::from_str::<Changed>(body)) else { return Ok(None) };
    Ok(Some(Entry::Change { at: stamp(row, 0)?, tunnel, change: body.into() }))
}

fn entry_of(transition: &Transition) -> Entry {
    let Transition { tunnel, at, body } = transition;
    Entry::Change { at: at.wall, tunnel: tunnel.clone(), change: change(body) }
}

/// The tunnel in this column and the next; `None` if it has no address.
fn tunnel(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<TunnelId>> {
    let vpn: String = row.get(column)?;
    let outside_ip = row.get_ref(column + 1)?.as_str().unwrap_or_default().parse().ok();
    Ok(outside_ip.map(|outside_ip| TunnelId { vpn: VpnId::new(vpn), outside_ip }))
}

/// A stored transition without its evidence.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Changed {
    View {
        end: End,
        from: Verdict,
        view: ViewOf,
    },
    Assessment {
        from: Assessment,
        to: Assessment,
    },
    Cause {
        from: Option<Cause>,
        to: Option<Cause>,
    },
    Silenced {
        from: Option<SilenceId>,
        to: Option<SilenceId>,
    },
    Left {
        local: Verdict,
        aws: Verdict,
        assessment: Assessment,
        cause: Option<Cause>,
        silenced: Option<SilenceId>,
        afresh: bool,
    },
}

#[derive(Deserialize)]
struct ViewOf {
    verdict: Verdict,
}

impl From<Changed> for Change {
    fn from(changed: Changed) -> Self {
        match changed {
            Changed::View { end, from, view } => {
                Self::Verdict { end, from: from.into(), to: view.verdict.into() }
            }
            Changed::Assessment { from, to } => Self::Assessment { from, to },
            Changed::Cause { from, to } => Self::Cause { from, to },
            Changed::Silenced { from, to } => Self::Silenced { from, to },
            Changed::Left { local, aws, assessment, cause, silenced, afresh } => {
                let was = TunnelState {
                    local: local.into(),
                    aws: aws.into(),
                    assessment,
                    cause,
                    silence: silenced,
                };
                Self::Left { was, afresh }
            }
        }
    }
}

fn change(body: &TransitionBody) -> Change {
    match body {
        TransitionBody::View { end, from, view } => {
            Change::Verdict { end: *end, from: (*from).into(), to: view.verdict.into() }
        }
        TransitionBody::Assessment { from, to, local: _, aws: _ } => {
            Change::Assessment { from: *from, to: *to }
        }
        TransitionBody::Cause { from, to } => Change::Cause { from: *from, to: *to },
        TransitionBody::Silenced { from, to } => Change::Silenced { from: *from, to: *to },
        TransitionBody::Left { local, aws, assessment, cause, silenced, afresh } => {
            let (local, aws) = ((*local).into(), (*aws).into());
            let was = TunnelState { local, aws, assessment: *assessment, cause: *cause, silence: *silenced };
            Change::Left { was, afresh: *afresh }
        }
    }
}

/// Reads what a file remembers that no daemon has open, without writing to it. Returns the end of it.
///
/// # Errors
/// There is no such file, it is not ours, it is damaged, or a daemon has it open.
pub fn recall_file(
    path: &Path,
    wanted: Wanted,
    now: Now,
    mut take: impl FnMut(Entry),
) -> Result<Present, OpenError> {
    let failed = |error| OpenError::of(path, error);
    let file = open::open_for_reading(path)?;
    let found = Database::found_in(&file, now).map_err(failed)?;
    if let Some(damage) = found.damage {
        return Err(failed(damage));
    }
    let (state, history) = (State::of(&found), History::default());
    let memory = Memory { state: &state, history: &history };
    let mut recall = Recall::new(wanted);
    recall.begin(now.wall);
    let mut at = None;
    while let Some(entries) = recall.part(Some(&file), &memory).map_err(failed)? {
        for entry in entries {
            at = at.max(match &entry {
                Entry::Watched(Watch { period, .. }) => Some(period.until),
                Entry::Change { at, .. } | Entry::Paged { at, .. } => Some(*at),
                Entry::Minute(minute) => Some(minute.at + MINUTE),
                Entry::Incident(_) => None,
            });
            take(entry);
        }
    }
    let site = site(&file).map_err(failed)?;
    Ok(Present { at: at.unwrap_or(wanted.since).min(now.wall), site, tunnels: Vec::new() })
}

/// The site's name, by the newest incident.
fn site(file: &Connection) -> rusqlite::Result<Arc<str>> {
    let query = "SELECT body FROM incident ORDER BY opened DESC LIMIT 1";
    let body: Option<String> = file.query_row(query, [], |row| row.get(0)).optional()?;
    let newest = body.and_then(|body| codec::read_incident(&body, Now::default()).ok());
    Ok(newest.map_or_else(|| "".into(), |incident| incident.site))
}

#[cfg(test)]
mod tests;
