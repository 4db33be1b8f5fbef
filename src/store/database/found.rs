//! What the last run left in the file, as far as a start needs it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Row, params};

use crate::catalogue::parts::Unreadable;
use crate::domain::board::TimelineChange;
use crate::domain::event::{Remembered, SeenUp, Unheard};
use crate::domain::names::{CheckId, CheckKind, End, TunnelId, VpnId};
use crate::domain::plan::{OwnEnd, RouteKey};
use crate::domain::scope::Scope;
use crate::domain::silence::Silence;
use crate::domain::time::{Now, Stamp};
use crate::domain::verdict::{Evidence, Verdict, Why};
use crate::incident::sink::LedgerRow;
use crate::silences::{self, Silences};
use crate::store::codec;
use crate::store::history::TransitionBody;
use crate::store::open::is_damage;

/// How far back openings count for the doubling of `resolve_after`.
const OPENINGS_COUNT_FOR: Duration = Duration::from_secs(24 * 3600);
/// As far back as CloudWatch can be asked by the minute (GetMetricData, API Reference).
const HISTORY_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);
const MINUTE: Duration = Duration::from_secs(60);

/// A host that was away for longer may have missed that a tunnel, or a parent, was up.
const RESTARTS_WITHIN: Duration = Duration::from_secs(15 * 60);

/// What the last run left.
#[derive(Debug, Default)]
pub(in crate::store) struct Found {
    pub(in crate::store) remembered: Remembered,
    pub(in crate::store) ledger: Vec<LedgerRow>,
    /// The silences, each in its first window.
    pub(in crate::store) silences: Vec<Silence>,
    /// The highest number that a silence ever had.
    pub(in crate::store) last_silence: u32,
    /// Rows that cannot be read. They stay in the file unchanged.
    pub(in crate::store) unreadable: Vec<Unreadable>,
    /// Set if the file is damaged; then this is what could be read.
    pub(in crate::store) damage: Option<rusqlite::Error>,
}

pub(super) fn found(connection: &Connection, now: Now) -> rusqlite::Result<Found> {
    let mut found = Found::default();
    // Each by itself: damage in one does not affect the others.
    for find in
        [find_seen_up, find_down, find_incidents, find_openings, find_ledger, find_silences, find_unheard]
    {
        match find(connection, now, &mut found) {
            Err(error) if is_damage(&error) => found.damage = Some(error),
            done => done?,
        }
    }
    Ok(found)
}

fn find_seen_up(connection: &Connection, _now: Now, found: &mut Found) -> rusqlite::Result<()> {
    let query = "SELECT \"end\", check_kind, inside_ip, vpn, outside_ip, source_ip, interface FROM seen_up JOIN tunnel ON tunnel.id = tunnel";
    for seen in rows(connection, query, [], |row| Ok((seen_up(row)?, describe(row)?)))? {
        match seen {
            (Some(seen), _) => found.remembered.seen_up.push(seen),
            (None, row) => found.unreadable.push(Unreadable::SeenUp(row)),
        }
    }
    Ok(())
}

fn find_incidents(connection: &Connection, now: Now, found: &mut Found) -> rusqlite::Result<()> {
    let query =
        "SELECT vpn, kind, opened, body FROM incident WHERE settled IS NULL ORDER BY vpn, kind, opened";
    let bodies = rows(connection, query, [], |row| {
        let id = format!("{}/{}/{}", text(row, 0)?, text(row, 1)?, row.get::<_, i64>(2)?);
        Ok((id, text(row, 3)?))
    })?;
    for (id, body) in bodies {
        match codec::read_incident(&body, now) {
            Ok(incident) => found.remembered.incidents.push(Arc::new(incident)),
            Err(error) => found.unreadable.push(Unreadable::Incident { id, error: error.to_string() }),
        }
    }
    Ok(())
}

fn find_openings(connection: &Connection, now: Now, found: &mut Found) -> rusqlite::Result<()> {
    let (from, to) = (now.wall - OPENINGS_COUNT_FOR, now.wall + OPENINGS_COUNT_FOR);
    let query = "SELECT vpn, kind, opened, body FROM incident WHERE opened BETWEEN ?1 AND ?2 ORDER BY opened, vpn, kind";
    let openings = rows(connection, query, params![from.as_millis(), to.as_millis()], |row| {
        let opened = Stamp::from_millis(row.get(2)?);
        let opening = (Scope::parse(&text(row, 0)?), codec::kind(&text(row, 1)?), opened);
        Ok((opening, text(row, 3)?))
    })?;
    // An incident that became known only when it was over never opened here: it disturbed nobody.
    let was_missed = |body: &str| {
        let incident = codec::read_incident(body, now).ok();
        incident.is_some_and(|it| it.timeline.iter().any(|entry| entry.what == TimelineChange::Missed))
    };
    let openings = openings.into_iter().filter(|(_, body)| !was_missed(body));
    found.remembered.openings =
        openings.filter_map(|((scope, kind, at), _)| Some((scope, kind?, at))).collect();
    Ok(())
}

fn find_ledger(connection: &Connection, _now: Now, found: &mut Found) -> rusqlite::Result<()> {
    let query = "SELECT sink, vpn, kind, opened, generation, body FROM ledger ORDER BY sink, vpn, kind, opened, generation";
    let bodies = rows(connection, query, [], |row| {
        let (opened, generation) = (row.get::<_, i64>(3)?, row.get::<_, i64>(4)?);
        let name = format!("{}/{}/{opened}/{generation}", text(row, 1)?, text(row, 2)?);
        Ok((text(row, 0)?, name, text(row, 5)?))
    })?;
    for (sink, row, body) in bodies {
        match serde_json::from_str(&body) {
            Ok(row) => found.ledger.push(row),
            Err(error) => {
                found.unreadable.push(Unreadable::LedgerRow { sink, row, error: error.to_string() });
            }
        }
    }
    Ok(())
}

fn find_down(connection: &Connection, now: Now, found: &mut Found) -> rusqlite::Result<()> {
    // A file of an older release that cannot be written has no such table.
    if !connection.table_exists(None, "down")? || !connection.table_exists(None, "watched")? {
        return Ok(());
    }
    let query = "SELECT parent FROM down WHERE (SELECT max(until) FROM watched) >= ?1 ORDER BY parent";
    let lately = params![(now.wall - RESTARTS_WITHIN).as_millis()];
    let parents = rows(connection, query, lately, |row| text(row, 0))?;
    let down = parents.iter().filter_map(|text| Scope::parse(text).parent().cloned());
    found.remembered.down = down.collect();
    Ok(())
}

fn find_silences(connection: &Connection, now: Now, found: &mut Found) -> rusqlite::Result<()> {
    // A file of an older release that cannot be written has no such table.
    if !connection.table_exists(None, "silence")? {
        return Ok(());
    }
    let query = "SELECT id, body FROM silence ORDER BY id";
    let bodies = rows(connection, query, [], |row| Ok((row.get::<_, i64>(0)?, text(row, 1)?)))?;
    for (id, body) in bodies {
        match serde_json::from_str::<Silence>(&body) {
            Ok(silence) => found.silences.push(silence),
            Err(error) => found.unreadable.push(Unreadable::Silence { id, error: error.to_string() }),
        }
    }
    let query = "SELECT seq FROM sqlite_sequence WHERE name = 'silence'";
    let last = rows(connection, query, [], |row| row.get::<_, i64>(0))?.into_iter().max();
    found.last_silence = last.and_then(|last| u32::try_from(last).ok()).unwrap_or(0);
    found.remembered.silences = found.list_of_silences().present(now.wall, silences::zones);
    Ok(())
}

impl Found {
    /// The list of silences.
    pub(in crate::store) fn list_of_silences(&self) -> Silences {
        Silences::new(self.silences.iter().cloned(), self.last_silence)
    }
}

/// Since when packets have not passed; and where AWS's data was missing to the end, since when our end was down.
fn find_unheard(connection: &Connection, now: Now, found: &mut Found) -> rusqlite::Result<()> {
    let query = "SELECT vpn, outside_ip, at, body,
            (SELECT max(minute) FROM rollup WHERE rollup.tunnel = tunnel.id AND minute <= ?2)
        FROM transition JOIN tunnel ON tunnel.id = tunnel
        WHERE what = 'view' AND at BETWEEN ?1 AND ?2 ORDER BY transition.id";
    let between = params![(now.wall - HISTORY_KEPT).as_millis(), now.wall.as_millis()];
    let changes = rows(connection, query, between, |row| {
        let tunnel = tunnel(text(row, 0)?, &text(row, 1)?);
        let probed: Option<i64> = row.get(4)?;
        Ok((tunnel, Stamp::from_millis(row.get(2)?), text(row, 3)?, probed.map(Stamp::from_millis)))
    })?;
    let mut seen: BTreeMap<TunnelId, TunnelLog> = BTreeMap::new();
    for (tunnel, at, body, probed) in changes {
        if let (Some(tunnel), Ok(TransitionBody::View { end, from, view })) =
            (tunnel, serde_json::from_str(&body))
        {
            let to = view.verdict;
            let stopped = match view.evidence {
                Evidence::Local(evidence) => evidence.stopped.map(|stopped| stopped.wall),
                Evidence::Aws(_) => None,
            };
            let log = seen.entry(tunnel).or_default();
            log.probed = probed.map(|minute| minute + MINUTE);
            log.changed(end, from, to, at);
            log.stopped(end, to, stopped, at);
        }
    }
    let stopped = seen.iter().filter_map(|(id, log)| Some((id.clone(), log.still_stopped(now.wall)?)));
    found.remembered.stopped = stopped.collect();
    let said = seen
        .iter()
        .flat_map(|(id, log)| log.said(now.wall).map(move |(at, verdict)| (id.clone(), at, verdict)));
    found.remembered.said = said.collect();
    found.remembered.unheard = seen.into_iter().filter_map(|(tunnel, log)| log.unheard(tunnel)).collect();
    Ok(())
}

pub(super) fn rows<T>(
    connection: &Connection,
    query: &str,
    params: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare(query)?.query_map(params, read)?.collect()
}

pub(super) fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    row.get(column)
}

pub(super) fn tunnel(vpn: String, outside_ip: &str) -> Option<TunnelId> {
    Some(TunnelId { vpn: VpnId::new(vpn), outside_ip: outside_ip.parse().ok()? })
}

/// The first five columns, for a message.
fn describe(row: &Row<'_>) -> rusqlite::Result<String> {
    Ok((0..5).map(|column| text(row, column)).collect::<rusqlite::Result<Vec<_>>>()?.join(" "))
}

/// `None` if its words are unknown.
fn seen_up(row: &Row<'_>) -> rusqlite::Result<Option<SeenUp>> {
    let (end, check, inside_ip) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
    let Some(tunnel) = tunnel(text(row, 3)?, &text(row, 4)?) else { return Ok(None) };
    Ok(match (end.as_str(), inside_ip.parse()) {
        ("aws", _) => Some(SeenUp::Aws(tunnel)),
        ("local", Ok(inside_ip)) => {
            let kinds = [CheckKind::Inside, CheckKind::Through(inside_ip)];
            let Some(kind) = kinds.into_iter().find(|kind| check == kind.as_str()) else { return Ok(None) };
            let interface = Some(text(row, 6)?).filter(|name| !name.is_empty()).map(Into::into);
            let own = text(row, 5)?.parse().ok().map(|source_ip| OwnEnd { source_ip, interface });
            Some(SeenUp::Local(CheckId { tunnel, kind }, RouteKey { inside_ip, own }))
        }
        (_, _) => None,
    })
}

/// What one tunnel's transitions say about a time without AWS data, as far as they have been read.
#[derive(Debug, Default)]
struct TunnelLog {
    /// When AWS's view became Unknown, if it still is.
    lost: Option<Stamp>,
    down: Vec<(Stamp, Stamp)>,
    down_since: Option<Stamp>,
    /// When the last change was.
    last: Option<Stamp>,
    /// Which ends have a verdict in the run that is being read, ours and AWS's.
    begun: [bool; 2],
    /// Since when packets have not passed, if our end was last down.
    stopped: Option<Stamp>,
    /// Our end's verdict, and since when; unknown from where a run ended.
    said: Vec<(Stamp, Verdict)>,
    /// Until when the tunnel is known to have been probed.
    probed: Option<Stamp>,
}

impl TunnelLog {
    /// Applies the next change.
    fn changed(&mut self, end: End, from: Verdict, to: Verdict, at: Stamp) {
        let last = self.last.replace(at);
        if self.begins(end, from, last) {
            // What the previous run saw is valid until its last change at most.
            self.down.extend(self.down_since.take().zip(last));
            self.said.extend(last.map(|last| (last, Verdict::Unknown(Why::Starting))));
        }
        if end == End::Local {
            self.said.push((at, to));
        }
        match (end, to) {
            (End::Aws, Verdict::Unknown(_)) => _ = self.lost.get_or_insert(at),
            (End::Aws, Verdict::Up | Verdict::Down) => self.lost = None,
            (End::Local, Verdict::Down) => _ = self.down_since.get_or_insert(at),
            (End::Local, Verdict::Up | Verdict::Unknown(_)) => {
                self.down.extend(self.down_since.take().map(|from| (from, at)));
            }
        }
    }

    /// Whether a change is the first of another run: an end that has started before starts again.
    fn begins(&mut self, end: End, from: Verdict, last: Option<Stamp>) -> bool {
        let (index, begins) = match end {
            End::Local => (0, from == Verdict::Unknown(Why::Starting)),
            End::Aws => (1, from == Verdict::Unknown(Why::NotAsked)),
        };
        // The history begins within a run.
        if last.is_none() && !begins {
            self.begun = [true; 2];
        }
        let another = begins && self.begun[index];
        if another {
            self.begun = [false; 2];
        }
        self.begun[index] |= begins;
        another
    }

    /// Our end's down came with this start.
    fn stopped(&mut self, end: End, to: Verdict, stopped: Option<Stamp>, at: Stamp) {
        match (end, to) {
            (End::Local, Verdict::Down) => self.stopped = Some(stopped.unwrap_or(at)),
            (End::Local, Verdict::Up) => self.stopped = None,
            (End::Local, Verdict::Unknown(_)) | (End::Aws, _) => {}
        }
    }

    /// Since when packets have not passed, if the previous run ended only a short while ago.
    fn still_stopped(&self, now: Stamp) -> Option<Stamp> {
        self.stopped.filter(|_| self.ended().is_some_and(|ended| now.since(ended) <= RESTARTS_WITHIN))
    }

    /// Our end's verdict a short while ago.
    fn said(&self, now: Stamp) -> impl Iterator<Item = (Stamp, Verdict)> {
        let ended = self.ended().filter(|ended| now.since(*ended) <= RESTARTS_WITHIN);
        // Its previous verdict was still valid then.
        let from = self.said.iter().rposition(|(at, _)| now.since(*at) > RESTARTS_WITHIN).unwrap_or(0);
        let said = if ended.is_some() { &self.said[from..] } else { &[] };
        said.iter().copied().chain(ended.map(|ended| (ended, Verdict::Unknown(Why::Starting))))
    }

    /// The last sign of the last run.
    fn ended(&self) -> Option<Stamp> {
        self.last.max(self.probed)
    }

    /// What is looked up.
    fn unheard(mut self, tunnel: TunnelId) -> Option<Unheard> {
        let since = self.lost?;
        if let Some(from) = self.down_since {
            self.down.push((from, self.probed.unwrap_or(from).max(from)));
        }
        (!self.down.is_empty()).then_some(Unheard { tunnel, since, down: self.down })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::VpnId;

    #[test]
    fn a_tunnel_that_our_end_had_down_a_short_while_ago_is_down_since_then() {
        let mut log = TunnelLog::default();
        let mut change = |to, stopped: Option<i64>, secs| {
            log.changed(End::Local, STALE, to, at(secs));
            log.stopped(End::Local, to, stopped.map(at), at(secs));
        };
        change(Verdict::Down, Some(40), 43);
        change(Verdict::Up, None, 60);
        change(Verdict::Down, Some(97), 100);
        change(STALE, None, 110);
        log.probed = Some(at(200));
        assert_eq!(log.still_stopped(at(300)), Some(at(97)));
        assert_eq!(log.still_stopped(at(200) + RESTARTS_WITHIN + Duration::from_secs(1)), None);
        log.stopped(End::Local, Verdict::Up, None, at(250));
        assert_eq!(log.still_stopped(at(300)), None);
    }

    const NOT_ASKED: Verdict = Verdict::Unknown(Why::NotAsked);

    fn said(changes: &[(End, Verdict, Verdict, i64)], probed: i64, now: i64) -> Vec<(Stamp, Verdict)> {
        let mut log = TunnelLog { probed: Some(at(probed)), ..TunnelLog::default() };
        for (end, from, to, secs) in changes {
            log.changed(*end, *from, *to, at(*secs));
        }
        log.said(at(now)).collect()
    }

    #[test]
    fn a_run_ends_with_its_last_change_whichever_end_reports_first_in_the_next() {
        let first = [
            (End::Aws, NOT_ASKED, Verdict::Up, 1_700),
            (End::Local, STARTING, Verdict::Up, 1_705),
            (End::Local, Verdict::Up, Verdict::Down, 1_800),
            (End::Aws, Verdict::Up, Verdict::Down, 1_900),
        ];
        let aws = (End::Aws, NOT_ASKED, Verdict::Down, 2_000);
        let local = (End::Local, STARTING, Verdict::Down, 2_003);
        let later = (End::Aws, NOT_ASKED, Verdict::Down, 2_009);
        let expected = [
            (at(1_705), Verdict::Up),
            (at(1_800), Verdict::Down),
            (at(1_900), STARTING),
            (at(2_003), Verdict::Down),
            (at(2_120), STARTING),
        ];
        for second in [[aws, local], [local, later]] {
            assert_eq!(said(&[&first[..], &second].concat(), 2_120, 2_130), expected);
        }
    }

    #[test]
    fn what_our_end_said_long_ago_counts_as_long_as_it_stood_when_the_run_ended() {
        let changes = [
            (End::Local, STARTING, Verdict::Up, 10),
            (End::Local, Verdict::Up, Verdict::Down, 100),
            (End::Aws, Verdict::Up, Verdict::Down, 190),
        ];
        assert_eq!(said(&changes, 9_120, 9_130), [(at(100), Verdict::Down), (at(9_120), STARTING)]);
        assert_eq!(said(&changes, 7_000, 9_130), []);
        assert_eq!(said(&[], 7_000, 9_130), []);
    }

    const STALE: Verdict = Verdict::Unknown(Why::Stale);
    const STARTING: Verdict = Verdict::Unknown(Why::Starting);

    fn at(secs: i64) -> Stamp {
        Stamp::from_secs(secs)
    }

    fn unheard(
        changes: &[(End, Verdict, Verdict, i64)],
        probed: i64,
    ) -> Option<(Stamp, Vec<(Stamp, Stamp)>)> {
        let mut log = TunnelLog { probed: Some(at(probed)), ..TunnelLog::default() };
        for (end, from, to, secs) in changes {
            log.changed(*end, *from, *to, at(*secs));
        }
        let tunnel = TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, 1].into() };
        log.unheard(tunnel).map(|unheard| (unheard.since, unheard.down))
    }

    #[test]
    fn what_was_seen_after_awss_view_was_lost_is_to_be_found_out_about() {
        let changes = [
            (End::Local, Verdict::Up, Verdict::Down, 100),
            (End::Aws, Verdict::Up, STALE, 200),
            (End::Local, Verdict::Down, Verdict::Up, 300),
            (End::Local, Verdict::Up, Verdict::Down, 400),
        ];
        assert_eq!(unheard(&changes, 480), Some((at(200), vec![(at(100), at(300)), (at(400), at(480))])));
    }

    #[test]
    fn nothing_is_where_aws_was_heard_again_or_our_end_was_never_down() {
        let heard = [
            (End::Local, Verdict::Up, Verdict::Down, 100),
            (End::Aws, Verdict::Up, STALE, 200),
            (End::Aws, STALE, Verdict::Down, 300),
        ];
        assert_eq!(unheard(&heard, 480), None);
        assert_eq!(unheard(&[(End::Aws, Verdict::Up, STALE, 200)], 480), None);
    }

    #[test]
    fn the_time_between_two_runs_is_not_seen_by_either() {
        let changes = [
            (End::Local, Verdict::Up, Verdict::Down, 100),
            (End::Aws, Verdict::Up, STALE, 200),
            (End::Local, STARTING, Verdict::Down, 5_000),
            (End::Local, Verdict::Down, Verdict::Up, 5_100),
        ];
        assert_eq!(
            unheard(&changes, 9_000),
            Some((at(200), vec![(at(100), at(200)), (at(5_000), at(5_100))]))
        );
    }
}
