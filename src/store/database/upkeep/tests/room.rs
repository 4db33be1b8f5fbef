//! What goes when there is no room, and in what order.

use std::sync::Arc;

use super::*;
use crate::domain::time::Now;
use crate::store::database::Database;
use crate::store::fixture::{DAY, HOUR, KEEP, MAX_SIZE, NOW, incident, rollup, row, transition, wide_rollup};
use crate::store::history::History;
use crate::store::state::State;

/// A file with something of everything: hours, sent and unsent minutes, transitions, incidents and their rows.
fn database() -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().unwrap();
    let mut database = Database::open(&directory.path().join("a.db"), KEEP, MAX_SIZE, NOW).unwrap();
    let mut state = State::default();
    let mut history = History::default();
    for minute in 0..2000 {
        history.sent(rollup(minute - 20 * 24 * 60));
        history.sent(rollup(2 * minute));
        history.rollup(Arc::new(wide_rollup(2 * minute + 1)), false);
    }
    for _ in 0..200 {
        history.transition(transition());
    }
    let (settled, on_board) = (incident(DAY), incident(2 * DAY));
    state.incident(Arc::clone(&settled), Some(NOW.wall));
    state.incident(Arc::clone(&on_board), None);
    state.row(row(&settled, 0));
    state.row(row(&on_board, 0));
    database.write(&state, &history, NOW).unwrap();
    for hours in [1, 2, 3] {
        let now = NOW.after(hours * HOUR);
        database.write(&State::default(), &History::default(), Now { wall: NOW.wall, ..now }).unwrap();
    }
    (directory, database)
}

/// Hours, sent and unsent minutes, transitions, settled incidents.
fn counts(transaction: &Transaction<'_>) -> [i64; 5] {
    ["hour", "rollup WHERE sent = 1", "rollup WHERE sent = 0", "transition", "incident WHERE settled > 0"]
        .map(|from| {
            transaction.query_row(&format!("SELECT count(*) FROM {from}"), [], |row| row.get(0)).unwrap()
        })
}

#[test]
fn nothing_goes_while_there_is_room() {
    let (_directory, mut database) = database();
    let transaction = database.connection.transaction().unwrap();
    let before = counts(&transaction);
    assert!(before.iter().all(|count| *count > 0), "{before:?}");
    assert_eq!(make_room(&transaction, &Shares::of(MAX_SIZE), NOW.wall).unwrap(), Removed::default());
    assert_eq!(counts(&transaction), before);
}

#[test]
fn the_oldest_sent_go_first_then_the_oldest_unsent_then_what_else_is_over() {
    let (_directory, mut database) = database();
    let transaction = database.connection.transaction().unwrap();
    let [_, _, unsent, transitions, settled] = counts(&transaction);
    let mut dropped = 0;
    let mut seen = Vec::new();
    loop {
        let shares =
            Shares { used: used(&transaction).unwrap() - 1, slack: 0, rows: 50, ..Shares::of(MAX_SIZE) };
        let gone = make_room(&transaction, &shares, NOW.wall).unwrap().unsent;
        dropped += gone;
        let left = counts(&transaction);
        seen.push(left);
        if left[1] > 0 {
            assert_eq!(
                (gone, left[2]),
                (0, unsent),
                "nothing that waits goes while there is what was sent: {left:?}"
            );
            assert!(left[0] == 0 || left[1] == seen[0][1], "hours are older: {left:?}");
        }
        if left[2] > 0 {
            assert_eq!((left[3], left[4]), (transitions, settled), "{left:?}");
        }
        if left[3] + left[4] == 0 {
            break;
        }
    }
    assert_eq!(dropped, u64::try_from(unsent).unwrap(), "each that went was counted");
    let newest = seen.iter().rev().find(|left| left[2] > 0).unwrap();
    assert!(newest[2] < unsent);
    // However little room there is.
    make_room(&transaction, &Shares { used: 0, slack: 0, ..Shares::of(MAX_SIZE) }, NOW.wall).unwrap();
    drop(transaction);
    let found = database.found(NOW).unwrap();
    assert_eq!(found.remembered.incidents, [incident(2 * DAY)]);
    assert!(found.ledger.contains(&row(&incident(2 * DAY), 0)));
}

#[test]
fn of_what_waits_the_newest_stays() {
    let (_directory, mut database) = database();
    let transaction = database.connection.transaction().unwrap();
    remove_rollups(&transaction, true, 10_000).unwrap();
    remove_rollups(&transaction, false, 1999).unwrap();
    transaction.commit().unwrap();
    let unsent = database.unsent(rollup(10_000).minute, 10).unwrap();
    assert_eq!(unsent, [Arc::new(wide_rollup(3999))]);
}
