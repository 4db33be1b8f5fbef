//! What was recorded is handed out, wherever it is by then, and nothing is claimed that was not seen.

use proptest::prelude::*;

use super::*;
use crate::domain::board::IncidentState;
use crate::domain::cause::{Confidence, Diagnosis};
use crate::domain::fact::{Fact, TunnelWas};
use crate::domain::names::Kind;
use crate::domain::verdict::{Evidence, LocalEvidence, View, Why};
use crate::history::Said;
use crate::incident::sink::{LedgerRow, RecordId};
use crate::settings::StoreSettings;
use crate::store::engine::StoreEngine;
use crate::store::fixture::{
    DAY, HOUR, MAX_SIZE, NOW, incident, on_disk, opened, rollup, row, settings, sink, tunnel, view_changed,
};
use crate::store::open::StoreLock;

const ALL: Wanted = Wanted { since: Stamp::from_millis(0), until: None, minutes: true };

fn at(secs: u64) -> Now {
    NOW.after(Duration::from_secs(secs))
}

fn engine(settings: &StoreSettings) -> StoreEngine {
    StoreEngine::open(settings, NOW).unwrap().0
}

/// Everything, a day after the start.
fn recalled(engine: &mut StoreEngine, wanted: Wanted) -> Vec<Entry> {
    let mut recall = Recall::new(wanted);
    let mut entries = Vec::new();
    while let Some(part) = engine.recall(&mut recall, NOW.after(DAY)).unwrap() {
        assert!(!part.is_empty());
        entries.extend(part);
    }
    entries
}

fn watched(engine: &mut StoreEngine) -> Vec<(i64, i64)> {
    let secs = |stamp: Stamp| (stamp.as_millis() - NOW.wall.as_millis()) / 1000;
    let period = |entry| match entry {
        Entry::Watched(Watch { period, .. }) => Some((secs(period.from), secs(period.until))),
        Entry::Change { .. } | Entry::Incident(_) | Entry::Paged { .. } | Entry::Minute(_) => None,
    };
    recalled(engine, ALL).into_iter().filter_map(period).collect()
}

fn down(secs: u64) -> Fact {
    let view =
        View { verdict: Verdict::Down, since: at(secs), evidence: Evidence::Local(LocalEvidence::default()) };
    let from = Verdict::Unknown(Why::Starting);
    Fact::ViewChanged { tunnel: tunnel(), end: End::Local, from, view, at: at(secs) }
}

fn record(engine: &mut StoreEngine, facts: impl IntoIterator<Item = Fact>) {
    for fact in facts {
        engine.record(&fact, NOW);
    }
}

/// One of each.
fn facts() -> Vec<Fact> {
    let cause =
        Diagnosis { cause: Cause::IkeDown, confidence: Confidence::Certain, clues: Vec::new(), lead: None };
    let Fact::ViewChanged { view, .. } = view_changed() else { panic!() };
    vec![
        Fact::Watched { at: at(0) },
        down(10),
        Fact::AssessmentChanged {
            tunnel: tunnel(),
            from: Assessment::Blind,
            to: Assessment::Unconfirmed(End::Local),
            local: view.clone(),
            aws: view,
            side: crate::domain::side::Side::Unknown,
            at: at(10),
        },
        Fact::CauseChanged { tunnel: tunnel(), from: None, to: Some(cause.clone()), at: at(12) },
        Fact::CauseChanged {
            tunnel: tunnel(),
            from: Some(Diagnosis { confidence: Confidence::Likely, ..cause.clone() }),
            to: Some(cause),
            at: at(13),
        },
        Fact::SilencedChanged { tunnel: tunnel(), from: None, to: Some(SilenceId(7)), at: at(20) },
        Fact::RollupReady(rollup(0)),
        Fact::Watched { at: at(65) },
    ]
}

fn watched_until(secs: u64) -> Entry {
    let period = Period { from: at(0).wall, until: at(secs).wall };
    Entry::Watched(Watch { period, recorded_since: Some(at(0).wall) })
}

fn of_the_facts() -> Vec<Entry> {
    let change = |secs, change| Entry::Change { at: at(secs).wall, tunnel: tunnel(), change };
    vec![
        watched_until(65),
        change(10, Change::Verdict { end: End::Local, from: Said::Unknown, to: Said::Down }),
        change(10, Change::Assessment { from: Assessment::Blind, to: Assessment::Unconfirmed(End::Local) }),
        change(12, Change::Cause { from: None, to: Some(Cause::IkeDown) }),
        change(20, Change::Silenced { from: None, to: Some(SilenceId(7)) }),
        Entry::Minute(Minute {
            at: NOW.wall,
            tunnel: tunnel(),
            answered: 60,
            lost: 2,
            median_rtt: Some(Duration::from_micros(12_345)),
        }),
    ]
}

#[test]
fn what_was_recorded_is_handed_out_whether_it_is_on_the_disk_or_waits_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let mut first = engine(&settings);
    record(&mut first, facts());
    assert_eq!(recalled(&mut first, ALL), of_the_facts(), "it waits");
    first.commit(NOW).unwrap();
    assert_eq!(recalled(&mut first, ALL), of_the_facts(), "it is on the disk");
    first.sent(&[rollup(0)], NOW);
    assert_eq!(recalled(&mut first, ALL), of_the_facts(), "a minute that is marked as sent comes once");
    first.commit(NOW).unwrap();
    drop(first);
    assert_eq!(recalled(&mut engine(&settings), ALL), of_the_facts(), "and keeps its round trip");
    let without = recalled(&mut engine(&settings), Wanted { minutes: false, ..ALL });
    assert_eq!(without, of_the_facts()[..5]);
}

#[test]
fn only_what_touches_the_time_that_is_asked_about_is_handed_out() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(&settings(directory.path()));
    record(&mut engine, facts());
    engine.commit(NOW).unwrap();
    for (since, count) in [(0, 6), (10, 6), (11, 4), (13, 3), (21, 2), (59, 2), (64, 1), (66, 0)] {
        let mut recalled = recalled(&mut engine, Wanted { since: at(since).wall, ..ALL });
        let earlier =
            |entry: &Entry| matches!(entry, Entry::Change { at: when, .. } if *when < at(since).wall);
        recalled.retain(|entry| !earlier(entry));
        assert_eq!(recalled.len(), count, "{since}: {recalled:#?}");
    }
}

/// How a tunnel left, with everything as it begins.
fn left(secs: u64) -> Fact {
    let unknown = Verdict::Unknown(Why::Starting);
    let was = TunnelWas {
        local: unknown,
        aws: unknown,
        assessment: Assessment::Blind,
        cause: None,
        silenced: None,
    };
    Fact::TunnelLeft { tunnel: tunnel(), was, afresh: true, at: at(secs) }
}

#[test]
fn a_part_begins_with_what_was_so_the_newest_change_before_it_of_each_kind() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(&settings(directory.path()));
    record(&mut engine, [Fact::Watched { at: at(0) }]);
    let changes =
        facts().into_iter().filter(|fact| !matches!(fact, Fact::Watched { .. } | Fact::RollupReady(_)));
    let of_aws = |fact: Fact, secs| {
        let Fact::ViewChanged { tunnel, end: _, from, view, at: _ } = fact else { panic!() };
        Fact::ViewChanged { tunnel, end: End::Aws, from, view, at: at(secs) }
    };
    record(&mut engine, [down(5), of_aws(down(6), 6)].into_iter().chain(changes).chain([left(21), down(70)]));
    for committed in [false, true] {
        let entries = recalled(&mut engine, Wanted { since: at(30).wall, minutes: false, ..ALL });
        let mut earlier: Vec<u64> = entries
            .iter()
            .filter_map(|entry| {
                let Entry::Change { at, .. } = entry else { return None };
                Some(at.since(NOW.wall).as_secs())
            })
            .collect();
        earlier.sort_unstable();
        let newest = [6, 10, 10, 12, 20, 21, 70];
        if committed {
            assert_eq!(earlier, newest, "{entries:#?}");
        } else {
            // What waits comes as a whole.
            assert!(newest.iter().all(|secs| earlier.contains(secs)), "{entries:#?}");
        }
        engine.commit(NOW).unwrap();
    }
}

#[test]
fn what_came_after_the_present_that_is_shown_is_not_handed_out() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(&settings(directory.path()));
    record(&mut engine, facts());
    for committed in [false, true] {
        let recalled = recalled(&mut engine, Wanted { until: Some(at(12).wall), minutes: false, ..ALL });
        assert_eq!(
            recalled,
            [vec![watched_until(12)], of_the_facts()[1..4].to_vec()].concat(),
            "{committed}"
        );
        engine.commit(NOW).unwrap();
    }
}

#[test]
fn what_a_crash_loses_was_not_watched_and_a_restart_begins_another_period() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let mut first = engine(&settings);
    record(&mut first, [Fact::Watched { at: at(0) }, Fact::Watched { at: at(60) }]);
    first.commit(at(60)).unwrap();
    record(&mut first, [Fact::Watched { at: at(120) }]);
    drop(first);
    let mut second = engine(&settings);
    assert_eq!(watched(&mut second), [(0, 60)]);
    record(&mut second, [Fact::Watched { at: at(200) }, down(210)]);
    assert_eq!(watched(&mut second), [(0, 60), (200, 210)]);
    second.commit(at(211)).unwrap();
    record(&mut second, [Fact::Watched { at: at(260) }]);
    second.commit(at(261)).unwrap();
    assert_eq!(watched(&mut second), [(0, 60), (200, 260)], "it grows");
}

#[test]
fn nothing_is_written_before_the_core_has_said_that_it_watches() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(&settings(directory.path()));
    engine.commit(NOW).unwrap();
    assert_eq!((engine.poll_timeout(), watched(&mut engine)), (None, vec![]));
}

#[test]
fn a_jump_of_the_date_leaves_no_overlap_in_the_file_and_voids_what_was_stamped_later() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let mut engine = engine(&settings);
    let dated = |secs: u64, wall: u64| Fact::Watched { at: Now { wall: at(wall).wall, ..at(secs) } };
    record(&mut engine, [dated(0, 3000), dated(60, 3060)]);
    engine.commit(NOW).unwrap();
    // Ahead by a day, for a minute; then right.
    record(&mut engine, [dated(120, 90_000), dated(180, 90_060)]);
    engine.commit(NOW).unwrap();
    record(&mut engine, [dated(240, 1000), dated(300, 1060)]);
    assert_eq!(watched(&mut engine), [(1000, 1060)]);
    engine.commit(NOW).unwrap();
    assert_eq!(watched(&mut engine), [(1000, 1060)]);
    let overlaps: i64 = on_disk(&settings.path)
        .query_row(
            "SELECT count(*) FROM watched a JOIN watched b ON a.began < b.began AND a.until > b.began",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(overlaps, 0);
}

#[test]
fn nothing_is_handed_out_of_a_time_that_has_not_come() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(&settings(directory.path()));
    let later = NOW.after(DAY + HOUR);
    record(&mut engine, [Fact::Watched { at: later }, down(DAY.as_secs() + 3600)]);
    record(&mut engine, [Fact::Watched { at: later.after(HOUR) }]);
    // The core's date is that of its facts: by the thread's clock it is a day after the start.
    engine.commit(NOW).unwrap();
    drop(engine);
    let mut engine = self::engine(&settings(directory.path()));
    assert_eq!(recalled(&mut engine, ALL), []);
}

#[test]
fn from_the_first_to_the_last_change_that_was_dropped_nothing_was_watched() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(&settings(directory.path()));
    record(&mut engine, [Fact::Watched { at: at(0) }]);
    record(&mut engine, (1..=5_100).map(down));
    record(&mut engine, [Fact::Watched { at: at(6_000) }]);
    assert_eq!(engine.counts().transitions_dropped, 100);
    engine.lost(Period { from: at(5_500).wall, until: at(5_600).wall });
    let expected = [(0, 1), (5_600, 6_000)];
    assert_eq!(watched(&mut engine), expected);
    engine.commit(NOW).unwrap();
    assert_eq!(watched(&mut engine), expected);
}

#[test]
fn a_file_that_somebody_removed_takes_what_was_watched_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let mut engine = engine(&settings);
    record(&mut engine, [Fact::Watched { at: at(0) }, down(30), Fact::Watched { at: at(60) }]);
    engine.commit(NOW).unwrap();
    std::fs::remove_file(&settings.path).unwrap();
    record(&mut engine, [down(90), Fact::Watched { at: at(120) }]);
    engine.commit(NOW).unwrap();
    let changes = recalled(&mut engine, ALL).iter().filter(|it| matches!(it, Entry::Change { .. })).count();
    assert_eq!((watched(&mut engine), changes), (vec![(60, 120)], 1));
}

#[test]
fn what_is_removed_by_age_from_the_file_is_not_claimed_from_memory() {
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings { keep: 2 * HOUR, ..settings(directory.path()) };
    let mut engine = engine(&settings);
    record(&mut engine, [Fact::Watched { at: at(0) }]);
    for hour in 1..=6 {
        let now = NOW.after(HOUR * hour);
        record(&mut engine, [Fact::Watched { at: now }]);
        engine.commit(now).unwrap();
    }
    let hours = watched(&mut engine).into_iter().map(|(from, until)| (from / 3600, until / 3600));
    assert_eq!(hours.collect::<Vec<_>>(), [(4, 6)]);
    drop(engine);
    assert_eq!(watched(&mut self::engine(&settings)).len(), 1);
}

fn paged(engine: &mut StoreEngine) -> Vec<(String, u64)> {
    let page = |entry| match entry {
        Entry::Paged { sink, at, .. } => Some((sink.to_string(), at.since(NOW.wall).as_secs())),
        Entry::Watched(_) | Entry::Change { .. } | Entry::Incident(_) | Entry::Minute(_) => None,
    };
    recalled(engine, ALL).into_iter().filter_map(page).collect()
}

#[test]
fn the_first_record_of_an_incident_is_its_page_whatever_becomes_of_the_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let mut engine = engine(&settings);
    let incident = incident(HOUR);
    record(&mut engine, [opened(&incident)]);
    let begun = LedgerRow { record: None, ..row(&incident, 0) };
    engine.commit_row(begun.clone(), at(1));
    assert_eq!(paged(&mut engine), []);
    engine.commit_row(row(&incident, 0), at(3));
    assert_eq!(paged(&mut engine), [("incident_manager".to_owned(), 3)]);
    engine.commit(at(3)).unwrap();
    engine.commit_row(LedgerRow { settled: true, ..row(&incident, 0) }, at(9));
    engine.commit_row(LedgerRow { record: None, ..row(&incident, 1) }, at(10));
    engine.commit_row(row(&incident, 1), at(11));
    engine.commit(at(11)).unwrap();
    engine.forget(&sink(), &incident.id, at(12));
    record(&mut engine, [Fact::IncidentSettled { incident: Arc::clone(&incident), at: at(12) }]);
    engine.commit(at(12)).unwrap();
    assert_eq!(paged(&mut engine), [("incident_manager".to_owned(), 3)]);
    drop(engine);
    assert_eq!(paged(&mut self::engine(&settings)), [("incident_manager".to_owned(), 3)]);
}

#[test]
fn a_record_that_turns_out_to_be_anothers_such_as_a_drills_is_no_page() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(&settings(directory.path()));
    let incident = incident(HOUR);
    record(&mut engine, [opened(&incident)]);
    engine.commit_row(row(&incident, 0), at(1));
    engine.commit(at(1)).unwrap();
    engine.commit_row(LedgerRow { record: None, ..row(&incident, 0) }, at(2));
    assert_eq!(paged(&mut engine), []);
    engine.commit(at(2)).unwrap();
    assert_eq!(paged(&mut engine), []);
    engine.commit_row(LedgerRow { record: Some(RecordId("arn:other".into())), ..row(&incident, 0) }, at(9));
    engine.commit(at(9)).unwrap();
    assert_eq!(paged(&mut engine), [("incident_manager".to_owned(), 9)]);
}

#[test]
fn an_incident_is_handed_out_once_as_it_stands_and_until_it_is_too_old() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let mut engine = engine(&settings);
    let [open, over] = [incident(HOUR), incident(2 * HOUR)];
    let ended = NOW.wall - HOUR;
    let state = IncidentState::Resolved { at: ended };
    let over = Arc::new(Incident { state, ..Incident::clone(&over) });
    record(&mut engine, [opened(&open), Fact::IncidentSettled { incident: Arc::clone(&over), at: NOW }]);
    let expected = [&open, &over].map(|incident| Recalled::of(incident));
    let mut of = |since: Stamp| {
        let wanted = Wanted { since, minutes: false, ..ALL };
        let mut incidents: Vec<Recalled> = recalled(&mut engine, wanted)
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::Incident(incident) => Some(Recalled::clone(&incident)),
                Entry::Watched(_) | Entry::Change { .. } | Entry::Paged { .. } | Entry::Minute(_) => None,
            })
            .collect();
        incidents.sort_by(|a, b| b.id.cmp(&a.id));
        incidents
    };
    assert_eq!(of(ALL.since), expected);
    assert_eq!(of(ended), expected);
    assert_eq!(of(ended + Duration::from_millis(1)), expected[..1]);
    engine.commit(NOW).unwrap();
    assert_eq!(recalled(&mut engine, ALL).iter().filter(|it| matches!(it, Entry::Incident(_))).count(), 2);
    let later = Wanted { since: ended + Duration::from_millis(1), ..ALL };
    assert_eq!(recalled(&mut engine, later).iter().filter(|it| matches!(it, Entry::Incident(_))).count(), 1);
    assert_eq!(open.id.kind, Kind::Outage);
}

#[test]
fn what_cannot_be_read_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let mut first = engine(&settings);
    record(&mut first, facts());
    record(&mut first, [Fact::IncidentSettled { incident: incident(HOUR), at: NOW }]);
    first.commit(NOW).unwrap();
    drop(first);
    let file = Connection::open(&settings.path).unwrap();
    file.execute_batch(
        "UPDATE incident SET body = '{}'; UPDATE transition SET body = '{\"later\":1}' WHERE id = 1;
         UPDATE transition SET body = x'ff' WHERE id = 1 AND 0",
    )
    .unwrap();
    drop(file);
    let entries = recalled(&mut engine(&settings), ALL);
    assert_eq!(entries.len(), of_the_facts().len() - 1, "{entries:#?}");
}

#[test]
fn a_part_is_small_and_together_they_are_all_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings { max_size: 10 * MAX_SIZE, ..settings(directory.path()) };
    let mut engine = engine(&settings);
    for secs in 0..4_500 {
        // Many of one time.
        record(&mut engine, [down(secs / 900)]);
    }
    engine.commit(NOW).unwrap();
    record(&mut engine, [down(4_500)]);
    for minute in 0..4_500 {
        engine.record(&Fact::RollupReady(rollup(minute % 1440 - 1440 * (minute / 1440))), NOW);
    }
    engine.commit(NOW).unwrap();
    let mut recall = Recall::new(ALL);
    let mut sizes = Vec::new();
    let mut changes = Vec::new();
    while let Some(part) = engine.recall(&mut recall, NOW.after(DAY)).unwrap() {
        sizes.push(part.len());
        changes.extend(part.into_iter().filter_map(|entry| match entry {
            Entry::Change { at, .. } => Some(at),
            Entry::Watched(_) | Entry::Incident(_) | Entry::Paged { .. } | Entry::Minute(_) => None,
        }));
    }
    assert!(sizes.iter().all(|size| *size <= ROWS + 1) && sizes.len() > 5, "{sizes:?}");
    assert!(changes.len() == 4_501 && changes.is_sorted());
    let minutes: usize =
        recalled(&mut engine, ALL).iter().filter(|it| matches!(it, Entry::Minute(_))).count();
    assert_eq!(minutes, 4_500);
}

#[test]
fn no_query_looks_at_more_rows_than_it_returns() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let mut engine = engine(&settings);
    engine.record(&view_changed(), NOW);
    engine.commit(NOW).unwrap();
    let file = on_disk(&settings.path);
    for (query, parameters) in
        [(SETTLED, 5), (WATCHED, 3), (CHANGES, 4), (MINUTES, 5), (PAGES, 3), (STORED, 4)]
    {
        let mut statement = file.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let plan: Vec<String> = statement
            .query_map(rusqlite::params_from_iter(vec![0; parameters]), |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(plan.iter().all(|step| !step.starts_with("SCAN")), "{query}: {plan:#?}");
        assert!(
            plan.iter().all(|step| !step.contains("TEMP B-TREE")) || query == PAGES,
            "{query}: {plan:#?}"
        );
    }
}

#[test]
fn a_copy_of_the_file_is_read_without_a_daemon_and_a_daemons_own_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let mut first = engine(&settings);
    record(&mut first, facts());
    record(&mut first, [opened(&incident(HOUR))]);
    first.commit(NOW).unwrap();
    drop(first);
    let mut entries = Vec::new();
    let read = |entries: &mut Vec<Entry>| {
        recall_file(&settings.path, ALL, NOW.after(DAY), |entry| entries.push(entry))
    };
    let present = read(&mut entries).unwrap();
    let expected = Entry::Incident(Arc::new(Recalled::of(&incident(HOUR))));
    assert_eq!(entries, [vec![expected], of_the_facts()].concat());
    let at = at(65).wall;
    assert_eq!(present, Present { at, site: "milan-1".into(), tunnels: vec![] });

    let lock = StoreLock::take(&settings.path).unwrap();
    assert!(matches!(read(&mut Vec::new()), Err(OpenError::Held { .. })));
    drop(lock);
    std::fs::write(&settings.path, "no database").unwrap();
    assert!(read(&mut Vec::new()).unwrap_err().to_string().contains("no store of bothends"));
    std::fs::remove_file(&settings.path).unwrap();
    assert!(matches!(read(&mut Vec::new()), Err(OpenError::Unusable { .. })));
}

#[test]
fn a_copy_of_the_release_before_is_read_as_far_as_it_goes() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let mut first = engine(&settings);
    record(&mut first, facts());
    record(&mut first, [opened(&incident(HOUR))]);
    first.commit(NOW).unwrap();
    drop(first);
    let file = Connection::open(&settings.path).unwrap();
    file.execute_batch(
        "DROP TABLE watched; DROP TABLE paged; DROP TABLE down; DROP INDEX incident_settled; ALTER TABLE rollup DROP COLUMN median_rtt;
         PRAGMA user_version = 4",
    )
    .unwrap();
    drop(file);
    let mut entries = Vec::new();
    recall_file(&settings.path, ALL, NOW.after(DAY), |entry| entries.push(entry)).unwrap();
    assert!(!entries.iter().any(|entry| matches!(entry, Entry::Watched(_))));
    assert_eq!(entries.len(), of_the_facts().len(), "{entries:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the clock does and whenever the daemon restarts, periods are apart, in order, and none is empty.
    #[test]
    fn periods_never_overlap(steps in prop::collection::vec((0_u64..400, -9_000_i64..9_000, 0_u8..10), 1..60)) {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(directory.path());
        let mut engine = engine(&settings);
        let (mut now, mut shift) = (NOW, 0_i64);
        for (passes, jump, what) in steps {
            now = now.after(Duration::from_secs(passes));
            let dated = |shift: i64| Now { wall: Stamp::from_millis(now.wall.as_millis() + shift * 1000), ..now };
            match what {
                0 => shift = jump,
                1 => {
                    engine.commit(now).unwrap();
                    drop(engine);
                    engine = self::engine(&settings);
                }
                2 => engine.commit(now).unwrap(),
                3 => engine.lost(Period { from: dated(shift).wall, until: dated(shift).wall }),
                4 => engine.record(&Fact::Resumed { gap: Duration::from_secs(passes), at: dated(shift) }, now),
                _ => engine.record(&Fact::Watched { at: dated(shift) }, now),
            }
            let periods = watched(&mut engine);
            prop_assert!(periods.iter().all(|(from, until)| from <= until), "{:?}", periods);
            prop_assert!(periods.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{:?}", periods);
        }
    }
}
