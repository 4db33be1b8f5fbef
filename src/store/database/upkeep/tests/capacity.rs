//! The figures, and the file that they are held to.

use std::sync::Arc;

use super::super::*;
use crate::domain::rollup::{Rollup, RttBin};
use crate::domain::time::Now;
use crate::store::database::Database;
use crate::store::fixture::{DAY, HOUR, KEEP, MAX_SIZE, NOW, rollup, transition, wide_rollup};
use crate::store::history::History;
use crate::store::state::State;

const ROWS: i64 = 3_000;

/// What each of [`ROWS`] rows took in a file that was written minute by minute.
fn measure(mut add: impl FnMut(&mut History, i64)) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let mut database = Database::open(&directory.path().join("a.db"), KEEP, MAX_SIZE, NOW).unwrap();
    let empty = database.used();
    for start in (0..ROWS).step_by(60) {
        let mut history = History::default();
        (start..start + 60).for_each(|row| add(&mut history, row));
        database.write(&State::default(), &history, NOW).unwrap();
    }
    (database.used() - empty) as f64 / ROWS as f64
}

fn assert_near(figure: u64, measured: f64) {
    let figure = figure as f64;
    assert!(
        (figure * 0.75..=figure).contains(&measured),
        "{measured} bytes a row are not about, and at most, {figure}"
    );
}

#[test]
fn the_rows_of_a_real_file_take_what_is_said() {
    assert_near(SENT_BYTES, measure(|history, n| _ = history.rollup(rollup(n), true)));
    let usual = |n| {
        let bins = (0..5).map(|bin| RttBin { mean: Duration::from_nanos(12_345_678 << bin), count: 10 });
        Arc::new(Rollup { rtt: bins.collect(), ..Rollup::clone(&rollup(n)) })
    };
    assert_near(UNSENT_BYTES, measure(|history, n| _ = history.rollup(usual(n), false)));
    assert_near(UNSENT_BYTES_MAX, measure(|history, n| _ = history.rollup(Arc::new(wide_rollup(n)), false)));
}

#[test]
fn a_transition_takes_no_more_than_is_said() {
    let bytes = measure(|history, _| _ = history.transition(transition()));
    assert!(bytes < TRANSITION_BYTES as f64, "{bytes}");
}

#[test]
fn an_hour_takes_what_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let mut database = Database::open(&directory.path().join("a.db"), 3650 * DAY, MAX_SIZE, NOW).unwrap();
    let empty = database.used();
    let hours = 3_000;
    let mut history = History::default();
    (0..hours).for_each(|hour| _ = history.sent(rollup(60 * (hour - 2 * hours))));
    database.write(&State::default(), &history, NOW).unwrap();
    let mut now = NOW;
    for _ in 0..hours / 24 + 1 {
        now = Now { wall: NOW.wall, ..now.after(HOUR) };
        database.write(&State::default(), &History::default(), now).unwrap();
    }
    assert_near(HOUR_BYTES, (database.used() - empty) as f64 / hours as f64);
}

#[test]
fn the_defaults_hold_the_history_of_a_site_and_a_fortnight_of_what_waits() {
    let Capacity { bytes, history, waiting } = capacity(MAX_SIZE, KEEP, 4);
    assert!(bytes < MAX_SIZE / 10, "{bytes}");
    assert_eq!((history, waiting), (KEEP, 14 * DAY));
}

#[test]
fn a_small_file_with_many_tunnels_holds_less() {
    let small = capacity(4_000_000, KEEP, 100);
    assert!(small.history < DAY && small.bytes > 4_000_000, "{small:?}");
    let middle = capacity(64_000_000, KEEP, 50);
    assert!((7 * DAY..KEEP).contains(&middle.history), "{middle:?}");
    assert_eq!(capacity(4_000_000, DAY, 1).history, DAY);
    assert_eq!(capacity(4_000_000, KEEP, 0).bytes, 0);
}
