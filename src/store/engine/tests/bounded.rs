//! The file stays below `max_size`, with its log, whatever comes.

use super::*;
use crate::domain::names::TunnelId;
use crate::domain::rollup::Rollup;
use crate::store::fixture::{DAY, on_disk, size, tunnel, wide_rollup};

const SMALL: u64 = 4_000_000;

fn of(n: u8, rollup: Rollup) -> Arc<Rollup> {
    Arc::new(Rollup { tunnel: TunnelId { outside_ip: [203, 0, 113, n].into(), ..tunnel() }, ..rollup })
}

#[test]
fn a_small_file_stays_below_its_size_and_keeps_what_must_not_be_lost() {
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings { max_size: SMALL, ..settings(directory.path()) };
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    engine.record(&seen_up(), NOW);
    for hours in 1..=5 {
        engine.record(&opened(&incident(hours * HOUR)), NOW);
        engine.commit_row(row(&incident(hours * HOUR), 0), NOW);
    }
    let mut largest = 0;
    let mut warnings = 0;
    let mut recorded = 0;
    for minute in 0..400 {
        let now = NOW.after(minute * 60 * SECOND);
        // CloudWatch takes something at first, then nothing, then the newest.
        for n in 0..40 {
            let rollup = of(n, wide_rollup(i64::from(minute)));
            recorded += 1;
            engine.record(&Fact::RollupReady(Arc::clone(&rollup)), now);
            if !(40..=300).contains(&minute) {
                engine.sent(&[rollup], now);
            }
            engine.record(&view_changed(), now);
        }
        engine.handle_timeout(now.after(10 * SECOND)).unwrap();
        largest = largest.max(size(&settings.path));
        while let Some(notice) = engine.poll_notice() {
            assert_eq!(notice, StoreNotice::Full);
            warnings += 1;
        }
    }
    assert!(largest < SMALL, "{largest}");
    assert!(largest > SMALL / 2, "it is made use of: {largest}");
    assert_eq!(warnings, 1);
    let waiting = engine.pending().unwrap();
    let sent = 40 * (40 + 99);
    assert_eq!(engine.counts().rollups_dropped + waiting, recorded - sent, "each is counted once");
    assert!(waiting > 0 && engine.counts().rollups_dropped > 0);
    let newest = engine.unsent(rollup(1000).minute, 1).unwrap();
    assert_eq!(newest[0].minute, rollup(300).minute, "the oldest went");
    drop(engine);
    let (engine, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!((remembered.seen_up.len(), remembered.incidents.len()), (1, 5));
    assert_eq!(engine.load(&sink()).len(), 5);
}

#[test]
fn what_piled_up_in_memory_is_written_in_parts_that_keep_the_file_below_its_size() {
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings { max_size: SMALL, ..settings(directory.path()) };
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    for minute in 0..10_000 {
        engine.record(&Fact::RollupReady(of(1, wide_rollup(minute))), NOW);
    }
    engine.commit(NOW.after(DAY)).unwrap();
    assert!(size(&settings.path) < SMALL, "{}", size(&settings.path));
    let waiting = engine.pending().unwrap();
    assert_eq!(waiting + engine.counts().rollups_dropped, 10_000);
    assert!(waiting > 3_000, "{waiting}");
}

#[test]
fn the_log_is_emptied_when_it_is_long() {
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings { max_size: SMALL, ..settings(directory.path()) };
    let [log, _] = crate::store::open::companions(&settings.path);
    let length = || std::fs::metadata(&log).unwrap().len();
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    let mut write = |from: i64| {
        for minute in (from..from + 500).step_by(10) {
            for minute in minute..minute + 10 {
                engine.record(&Fact::RollupReady(of(1, wide_rollup(minute))), NOW);
            }
            engine.commit(NOW).unwrap();
        }
    };
    for from in [0, 500, 1000] {
        write(from);
        assert!(length() < SMALL / 16 + 100_000, "{}", length());
    }
    let rollups: i64 =
        on_disk(&settings.path).query_row("SELECT count(*) FROM rollup", [], |row| row.get(0)).unwrap();
    assert_eq!(rollups, 1_500);
}
