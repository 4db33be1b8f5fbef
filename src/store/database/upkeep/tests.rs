//! What folding and forgetting keep, and what a wrong clock may cost.

mod capacity;
mod room;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::domain::names::{End, TunnelId};
use crate::domain::rollup::Rollup;
use crate::store::database::Database;
use crate::store::fixture::{DAY, KEEP, MAX_SIZE, NOW, incident, rollup, row, transition, tunnel};
use crate::store::history::{History, Transition, TransitionBody};
use crate::store::state::State;

const DAY_MINUTES: i64 = 24 * 60;

fn database() -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(&directory.path().join("a.db"), KEEP, MAX_SIZE, NOW).unwrap();
    (directory, database)
}

/// Writes what waits, and lets the upkeep run.
fn write(database: &mut Database, history: &History, now: Now) -> u64 {
    database.write(&State::default(), history, now).unwrap().unsent
}

fn ages(database: &Database, query: &str) -> Vec<i64> {
    let mut statement = database.connection.prepare(query).unwrap();
    let stamps = statement.query_map([], |row| row.get::<_, i64>(0)).unwrap().map(Result::unwrap);
    stamps.map(|stamp| (stamp - NOW.wall.as_millis()).div_euclid(60_000)).collect()
}

fn minutes(database: &Database) -> Vec<i64> {
    ages(database, "SELECT minute FROM rollup ORDER BY minute")
}

fn hours(database: &Database) -> Vec<i64> {
    ages(database, "SELECT hour FROM hour ORDER BY hour")
}

/// Lets time pass, hour by hour, with a commit in each.
fn pass(database: &mut Database, hours: u32, mut wall: impl FnMut(Now) -> Stamp) -> u64 {
    (1..=hours)
        .map(|hour| {
            let now = NOW.after(HOUR * hour);
            write(database, &History::default(), Now { wall: wall(now), ..now })
        })
        .sum()
}

fn sent(minutes: impl IntoIterator<Item = i64>) -> History {
    let mut history = History::default();
    for minute in minutes {
        history.sent(rollup(minute));
    }
    history
}

#[test]
fn minutes_become_hours_a_week_after_they_were_sent() {
    let (_directory, mut database) = database();
    let mut history = sent([-9 * DAY_MINUTES, -8 * DAY_MINUTES, -DAY_MINUTES]);
    history.rollup(rollup(-8 * DAY_MINUTES + 1), false);
    write(&mut database, &history, NOW);
    pass(&mut database, 3, |now| now.wall);
    assert_eq!(minutes(&database), [-8 * DAY_MINUTES + 1, -DAY_MINUTES], "what waits is never folded");
    assert_eq!(hours(&database), [-9 * DAY_MINUTES, -8 * DAY_MINUTES]);
}

#[test]
fn what_is_too_old_goes_and_what_has_waited_in_vain_is_counted() {
    let (_directory, mut database) = database();
    let mut history = sent([-100 * DAY_MINUTES]);
    history.rollup(rollup(-100 * DAY_MINUTES + 30), false);
    history.rollup(rollup(-60 * DAY_MINUTES), false);
    let mut state = State::default();
    let (settled, on_board) = (incident(101 * DAY), incident(100 * DAY));
    state.incident(Arc::clone(&settled), Some(NOW.wall - 100 * DAY));
    state.incident(Arc::clone(&on_board), None);
    state.row(row(&settled, 0));
    state.row(row(&on_board, 0));
    assert_eq!(database.write(&state, &history, NOW), Ok(Removed::default()), "nothing goes at the start");
    assert_eq!(pass(&mut database, 1, |now| now.wall), 1);
    assert_eq!(minutes(&database), [-60 * DAY_MINUTES]);
    let found = database.found(NOW).unwrap();
    assert_eq!(
        (found.remembered.incidents, found.ledger),
        (vec![Arc::clone(&on_board)], vec![row(&on_board, 0)])
    );
}

#[test]
fn a_clock_that_is_decades_ahead_costs_no_more_than_twice_the_time_that_it_is() {
    let (_directory, mut database) = database();
    write(&mut database, &sent((-30 * DAY_MINUTES..-29 * DAY_MINUTES).step_by(10)), NOW);
    pass(&mut database, 3, |now| now.wall + 27_000 * DAY);
    let oldest = hours(&database).first().copied().or(minutes(&database).first().copied());
    assert_eq!(oldest, Some(-30 * DAY_MINUTES + 6 * 60));
    assert_eq!(minutes(&database), [0; 0], "a day of them may be folded in an hour: that loses no sums");
}

#[test]
fn a_clock_that_says_2000_costs_nothing_and_what_it_stamped_goes_before_what_is_old() {
    let (_directory, mut database) = database();
    let old = -80 * DAY_MINUTES;
    write(&mut database, &sent([old, old + 1]), NOW);
    let in_2000 = Stamp::from_secs(946_684_800);
    pass(&mut database, 2, |_now| in_2000);
    assert_eq!(minutes(&database).len(), 2);

    let ago = (in_2000.as_millis() - NOW.wall.as_millis()) / 60_000;
    let mut history = sent((0..30).map(|minute| ago + minute));
    history.rollup(rollup(ago + 30), false);
    write(&mut database, &history, Now { wall: in_2000, ..NOW.after(2 * HOUR) });
    assert_eq!(minutes(&database).len(), 33, "it is kept while it may be true");
    pass(&mut database, 3, |now| now.wall);
    assert_eq!(
        database.connection.query_row("SELECT sum(replies) FROM hour", [], |row| row.get(0)),
        Ok(2 * 59)
    );
}

#[test]
fn a_fold_is_limited_in_rows_and_continues_with_the_next_commit() {
    let (_directory, mut database) = database();
    write(&mut database, &sent((-10 * DAY_MINUTES..-9 * DAY_MINUTES).step_by(4)), NOW);
    let transaction = database.connection.transaction().unwrap();
    let until = NOW.wall - FOLD_AFTER;
    assert!(!fold(&transaction, until, 20).unwrap());
    let left = |connection: &Connection| -> i64 {
        connection.query_row("SELECT count(*) FROM rollup", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(left(&transaction), 345, "a whole hour");
    assert!(!fold(&transaction, until, 1).unwrap(), "an hour is taken even if it has more rows");
    assert_eq!(left(&transaction), 330);
    assert!(fold(&transaction, until, 1000).unwrap());
    assert_eq!(left(&transaction), 0);
}

#[test]
fn settled_incidents_have_their_share_of_the_file_and_the_oldest_go() {
    let (_directory, mut database) = database();
    let mut state = State::default();
    for days in 1..=20 {
        state.incident(incident(days * DAY), Some(NOW.wall - days * DAY));
    }
    database.write(&state, &History::default(), NOW).unwrap();
    let transaction = database.connection.transaction().unwrap();
    let bytes: i64 =
        transaction.query_row("SELECT max(octet_length(body)) FROM incident", [], |row| row.get(0)).unwrap();
    let shares = Shares { incidents: u64::try_from(bytes).unwrap() * 5, ..Shares::of(MAX_SIZE) };
    remove_beyond(&transaction, &shares, NOW.wall).unwrap();
    let oldest: i64 =
        transaction.query_row("SELECT min(settled) FROM incident", [], |row| row.get(0)).unwrap();
    assert_eq!(Stamp::from_millis(oldest), NOW.wall - 5 * DAY);
}

/// When the daemon watched, in minutes from [`NOW`].
fn watched(database: &Database) -> Vec<(i64, i64)> {
    let from = ages(database, "SELECT began FROM watched ORDER BY began");
    from.into_iter().zip(ages(database, "SELECT until FROM watched ORDER BY began")).collect()
}

/// A change that many minutes after [`NOW`], the core watching.
fn change(history: &mut History, minute: i64) {
    let since = Duration::from_secs(minute.unsigned_abs() * 60);
    let at = match minute {
        0.. => NOW.after(since),
        _ => Now { mono: NOW.mono - since, wall: NOW.wall - since },
    };
    history.transition(Transition { at, ..transition() });
}

#[test]
fn what_was_removed_is_not_observed() {
    let (_directory, mut database) = database();
    let old = -100 * DAY_MINUTES;
    let mut history = History::default();
    for minute in [old, old + 30, old + 6 * 60, -60] {
        change(&mut history, minute);
    }
    write(&mut database, &history, NOW);
    assert_eq!(watched(&database), [(old, -60)]);
    let removed = database.write(&State::default(), &History::default(), NOW.after(HOUR)).unwrap();
    let newest = Stamp::from_millis(NOW.wall.as_millis() + (old + 2 * 60) * 60_000);
    assert_eq!(removed.before, Some(newest), "by age: no more than two hours at once");
    assert_eq!(watched(&database), [(old + 2 * 60, -60)]);

    let transaction = database.connection.transaction().unwrap();
    let shares = Shares { transitions: 1, ..Shares::of(MAX_SIZE) };
    let removed = remove_beyond(&transaction, &shares, NOW.wall).unwrap();
    assert_eq!(removed.before, Some(Stamp::from_millis(NOW.wall.as_millis() + (old + 6 * 60) * 60_000)));
    transaction.commit().unwrap();
    assert_eq!(watched(&database), [(old + 6 * 60, -60)], "the last that is gone was then");

    let transaction = database.connection.transaction().unwrap();
    while remove_older_half(&transaction, NOW.wall).unwrap().is_some() {}
    transaction.commit().unwrap();
    assert_eq!(watched(&database), [], "for lack of room: everything");
}

/// A change of AWS's verdict on another tunnel.
fn other_change(history: &mut History, minute: i64) {
    let mut one = History::default();
    change(&mut one, minute);
    for Transition { at, body, .. } in one.transitions() {
        let TransitionBody::View { from, view, .. } = body.clone() else { panic!() };
        let body = TransitionBody::View { end: End::Aws, from, view };
        history.transition(Transition { at: *at, tunnel: of(9), body });
    }
}

fn changes(database: &Database) -> Vec<i64> {
    ages(database, "SELECT at FROM transition ORDER BY at")
}

/// One tunnel has worked for longer than anything is kept, and another flaps.
#[test]
fn the_newest_change_of_a_tunnel_stays_as_long_as_its_run_goes_on() {
    let (_directory, mut database) = database();
    let old = -100 * DAY_MINUTES;
    let flaps = [old + 10, old + 20, old + 30, -50, -40];
    let mut history = History::default();
    change(&mut history, old - 1);
    change(&mut history, old);
    flaps.iter().for_each(|minute| other_change(&mut history, *minute));
    write(&mut database, &history, NOW);
    let removed = database.write(&State::default(), &History::default(), NOW.after(HOUR)).unwrap();
    assert_eq!(changes(&database), [old, -50, -40], "by age");
    assert!(removed.before.is_some());
    let later = NOW.after(2 * HOUR);
    let none = database.write(&State::default(), &History::default(), later).unwrap();
    assert_eq!((changes(&database), none.before.is_some()), (vec![old, -50, -40], true));

    let transaction = database.connection.transaction().unwrap();
    let shares = Shares { transitions: 1, ..Shares::of(MAX_SIZE) };
    remove_beyond(&transaction, &shares, NOW.wall).unwrap();
    transaction.commit().unwrap();
    assert_eq!(changes(&database), [old, -40], "by its share");

    let transaction = database.connection.transaction().unwrap();
    assert!(remove_older_half(&transaction, NOW.wall).unwrap().is_some());
    let left: i64 = transaction.query_row("SELECT count(*) FROM transition", [], |row| row.get(0)).unwrap();
    assert!(left < 2, "at last they go, too");
}

#[test]
fn the_newest_change_of_a_tunnel_goes_with_its_run() {
    let (_directory, mut database) = database();
    let old = -100 * DAY_MINUTES;
    let mut history = History::default();
    change(&mut history, old);
    write(&mut database, &history, NOW);
    // Another run, which was watched when what is kept begins.
    let mut history = History::default();
    [old + 60, -60].iter().for_each(|minute| other_change(&mut history, *minute));
    write(&mut database, &history, NOW);
    pass(&mut database, 3, |now| now.wall);
    assert_eq!(changes(&database), [-60]);
}

#[test]
fn a_change_that_a_wrong_clock_stamped_with_a_later_time_takes_nothing_with_it() {
    let (_directory, mut database) = database();
    let mut history = History::default();
    change(&mut history, 30_000 * DAY_MINUTES);
    write(&mut database, &history, NOW);
    database.connection.execute("DELETE FROM watched", []).unwrap();
    let mut history = History::default();
    (-60..0).for_each(|minute| change(&mut history, minute));
    write(&mut database, &history, NOW);
    let transaction = database.connection.transaction().unwrap();
    let shares = Shares { transitions: 60, ..Shares::of(MAX_SIZE) };
    assert_eq!(remove_beyond(&transaction, &shares, NOW.wall).unwrap(), Removed::default());
    transaction.commit().unwrap();
    assert_eq!(watched(&database), [(-60, -1)]);
}

#[test]
fn what_is_removed_while_the_hosts_clock_says_2000_is_not_observed_either() {
    let (_directory, mut database) = database();
    let mut history = History::default();
    (-60..0).for_each(|minute| change(&mut history, minute));
    write(&mut database, &history, NOW);
    let transaction = database.connection.transaction().unwrap();
    let shares = Shares { transitions: 10, ..Shares::of(MAX_SIZE) };
    remove_beyond(&transaction, &shares, Stamp::from_secs(946_684_800)).unwrap();
    transaction.commit().unwrap();
    assert_eq!(watched(&database), [(-11, -1)]);
}

#[test]
fn a_clock_that_is_decades_ahead_costs_two_hours_of_what_was_watched_in_each() {
    let (_directory, mut database) = database();
    let mut history = History::default();
    let days = -30 * DAY_MINUTES;
    (0..20).for_each(|hour| change(&mut history, days + 60 * hour));
    change(&mut history, -1);
    write(&mut database, &history, NOW);
    pass(&mut database, 3, |now| now.wall + 27_000 * DAY);
    assert_eq!(watched(&database), [(days + 6 * 60, -1)]);
}

#[derive(Debug, Clone)]
enum Step {
    Write { minute: i64, tunnel: u8, lost: u32, up: Option<bool>, sent: bool },
    Fold { until: i64, rows: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let write = (0..600_i64, 0..3_u8, 0..60_u32, any::<Option<bool>>(), any::<bool>())
        .prop_map(|(minute, tunnel, lost, up, sent)| Step::Write { minute, tunnel, lost, up, sent });
    let fold = (0..700_i64, 1..40_i64).prop_map(|(until, rows)| Step::Fold { until, rows });
    prop_oneof![8 => write, 1 => fold]
}

fn of(n: u8) -> TunnelId {
    TunnelId { outside_ip: [203, 0, 113, n].into(), ..tunnel() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn folding_loses_no_echo_and_counts_none_twice(steps in prop::collection::vec(step(), 1..300)) {
        let (_directory, mut database) = database();
        let mut truth: BTreeMap<String, i64> = BTreeMap::new();
        let mut waiting = std::collections::BTreeSet::new();
        let mut known = std::collections::BTreeSet::new();
        let mut history = History::default();
        for step in steps {
            match step {
                Step::Write { minute, tunnel, lost, up, sent } => {
                    let rollup =
                        Rollup { tunnel: of(tunnel), lost, up, ..Rollup::clone(&rollup(minute)) };
                    // A minute is told once.
                    if !known.insert(rollup.clone()) {
                        continue;
                    }
                    *truth.entry(rollup.tunnel.outside_ip.to_string()).or_default() += i64::from(lost);
                    if !sent {
                        waiting.insert(rollup.clone());
                    }
                    history.rollup(Arc::new(rollup), sent);
                }
                Step::Fold { until, rows } => {
                    write(&mut database, &std::mem::take(&mut history), NOW);
                    let transaction = database.connection.transaction().unwrap();
                    fold(&transaction, rollup(until).minute, rows).unwrap();
                    transaction.commit().unwrap();
                }
            }
        }
        write(&mut database, &history, NOW);
        let query = "SELECT outside_ip, sum(lost) FROM
            (SELECT tunnel, lost FROM hour UNION ALL SELECT tunnel, lost FROM rollup)
            JOIN tunnel ON tunnel.id = tunnel GROUP BY outside_ip";
        let mut statement = database.connection.prepare(query).unwrap();
        let sums = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        prop_assert_eq!(sums.map(Result::unwrap).collect::<BTreeMap<_, _>>(), truth);
        let unsent = database.unsent(rollup(1000).minute, 1000).unwrap();
        prop_assert_eq!(unsent.iter().map(|one| Rollup::clone(one)).collect::<std::collections::BTreeSet<_>>(), waiting);
        let query = "SELECT count(*) FROM hour WHERE hour % 3600000 != 0 OR minutes > 60 OR up_minutes > minutes";
        let odd: i64 = database.connection.query_row(query, [], |row| row.get(0)).unwrap();
        prop_assert_eq!(odd, 0);
    }
}
