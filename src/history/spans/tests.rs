use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::names::{Role, VpnId};
use Assessment::{Blind, Healthy};
use Said::{Down, Unknown, Up};

fn tunnel(last: u8) -> TunnelId {
    TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [198, 51, 100, last].into() }
}

fn at(millis: i64) -> Stamp {
    Stamp::from_millis(millis)
}

fn period(from: i64, until: i64) -> Period {
    Period { from: at(from), until: at(until) }
}

fn watched(from: i64, until: i64) -> Entry {
    Entry::Watched(period(from, until).into())
}

/// A time of watching in which, and since `since`, every change is recorded.
fn recorded_since(since: i64, from: i64, until: i64) -> Entry {
    Entry::Watched(Watch { period: period(from, until), recorded_since: Some(at(since)) })
}

fn left(millis: i64, was: (Said, Assessment), afresh: bool) -> Entry {
    let was = State { local: was.0, aws: was.0, assessment: was.1, cause: None, silence: None };
    change(millis, Change::Left { was, afresh })
}

fn change(millis: i64, change: Change) -> Entry {
    Entry::Change { at: at(millis), tunnel: tunnel(1), change }
}

fn local(millis: i64, from: Said, to: Said) -> Entry {
    change(millis, Change::Verdict { end: End::Local, from, to })
}

fn aws(millis: i64, from: Said, to: Said) -> Entry {
    change(millis, Change::Verdict { end: End::Aws, from, to })
}

fn both(millis: i64, from: Assessment, to: Assessment) -> Entry {
    change(millis, Change::Assessment { from, to })
}

fn cause(millis: i64, from: Option<Cause>, to: Option<Cause>) -> Entry {
    change(millis, Change::Cause { from, to })
}

fn silenced(millis: i64, from: Option<u32>, to: Option<u32>) -> Entry {
    change(millis, Change::Silenced { from: from.map(SilenceId), to: to.map(SilenceId) })
}

/// The entries of a run that is healthy from `up` on.
fn healthy(from: i64, up: i64, until: i64) -> Vec<Entry> {
    vec![watched(from, until), local(up, Unknown, Up), aws(up, Unknown, Up), both(up, Blind, Healthy)]
}

/// Both ends go from one to the other.
fn all(millis: i64, from: (Said, Assessment), to: (Said, Assessment)) -> Vec<Entry> {
    vec![local(millis, from.0, to.0), aws(millis, from.0, to.0), both(millis, from.1, to.1)]
}

const UP: (Said, Assessment) = (Up, Healthy);
const DOWN: (Said, Assessment) = (Down, Assessment::Down);

fn now(millis: i64, state: Option<(Said, Assessment)>) -> Present {
    let tunnels = state.into_iter().map(|(said, assessment)| TunnelNow {
        id: tunnel(1),
        vpn_name: Arc::from("office"),
        name: Arc::from("one"),
        role: Role::Active,
        local: said,
        aws: said,
        assessment,
        cause: None,
        silenced: None,
    });
    Present { at: at(millis), site: Arc::from("site"), tunnels: tunnels.collect() }
}

/// Nobody runs: what is known is in the file.
fn offline(millis: i64) -> Present {
    now(millis, None)
}

/// `0..10 -, 10..20 up/up healthy`: where each span begins and ends, and what was so.
fn shown(entries: &[Entry], present: &Present, period: Period) -> String {
    let spans = Spans::of(entries, present, period);
    let line = |span: &Span| {
        let Span { period: Period { from, until }, state } = span;
        let so = state.map_or_else(
            || "-".to_owned(),
            |State { local, aws, assessment, cause, silence }| {
                let cause = cause.map(|cause| format!(" {}", cause.as_str())).unwrap_or_default();
                let silence = silence.map(|silence| format!(" silence {silence}")).unwrap_or_default();
                format!("{}/{} {}{cause}{silence}", local.as_str(), aws.as_str(), assessment.as_str())
            },
        );
        format!("{}..{} {so}", from.as_millis(), until.as_millis())
    };
    spans.tunnel(&tunnel(1)).iter().map(line).collect::<Vec<_>>().join(", ")
}

#[test]
fn what_lies_in_no_run_is_unobserved_and_a_run_begins_unknown() {
    assert_eq!(
        shown(&healthy(10, 20, 50), &offline(50), period(0, 100)),
        "0..10 -, 10..20 unknown/unknown blind, 20..50 up/up healthy, 50..100 -"
    );
}

#[test]
fn before_its_first_change_something_was_what_it_changed_from() {
    let entries = [vec![watched(0, 100)], all(40, UP, DOWN), all(60, DOWN, UP)].concat();
    assert_eq!(
        shown(&entries, &offline(100), period(10, 90)),
        "10..40 up/up healthy, 40..60 down/down down, 60..90 up/up healthy"
    );
}

#[test]
fn where_nothing_changed_it_is_as_now_if_the_run_lasts() {
    let up = "0..100 up/up healthy";
    assert_eq!(shown(&[watched(-50, 100)], &now(100, Some(UP)), period(0, 100)), up);
    // The end of a run is written once a minute.
    assert_eq!(shown(&[watched(-50, 100)], &now(100 + 60_000, Some(UP)), period(0, 100)), up);
    assert_eq!(shown(&[watched(-50, 100)], &now(100 + 600_000, Some(UP)), period(0, 100)), "0..100 -");
    assert_eq!(shown(&[watched(-50, 100)], &offline(100), period(0, 100)), "", "no tunnel is known");
}

#[test]
fn what_was_so_goes_on_over_a_gap_in_which_the_host_slept() {
    // One run: no period begins with unknown ends.
    let entries =
        [healthy(0, 10, 40), vec![watched(45, 50), watched(55, 60), watched(65, 100)], all(90, UP, DOWN)]
            .concat();
    assert_eq!(
        shown(&entries, &offline(100), period(40, 100)),
        "40..45 -, 45..50 up/up healthy, 50..55 -, 55..60 up/up healthy, 60..65 -, 65..90 up/up healthy, \
         90..100 down/down down"
    );
    let steady = [watched(0, 40), watched(50, 100)];
    assert_eq!(
        shown(&steady, &now(100, Some(UP)), period(0, 100)),
        "0..40 up/up healthy, 40..50 -, 50..100 up/up healthy"
    );
}

#[test]
fn a_run_of_which_nothing_is_recorded_is_not_what_it_was_before_or_after() {
    let entries = [healthy(0, 10, 40), vec![watched(45, 50)], healthy(55, 60, 100)].concat();
    assert_eq!(
        shown(&entries, &now(100, Some(UP)), period(40, 100)),
        "40..55 -, 55..60 unknown/unknown blind, 60..100 up/up healthy"
    );
}

#[test]
fn an_end_that_never_spoke_in_a_run_was_unknown() {
    let entries = [watched(0, 100), local(10, Unknown, Up)];
    assert_eq!(
        shown(&entries, &offline(100), period(0, 100)),
        "0..10 unknown/unknown blind, 10..100 up/unknown blind"
    );
}

#[test]
fn an_end_that_did_not_change_in_the_rest_of_a_run_is_not_taken_for_unknown() {
    // The run began long before what was asked for, and AWS's word is as old.
    let entries = [watched(0, 100), local(50, Up, Down), both(50, Healthy, Assessment::Disputed(End::Local))];
    assert_eq!(shown(&entries, &offline(100), period(0, 100)), "0..100 -");
}

#[test]
fn entries_from_before_the_period_say_what_was_so_at_its_beginning() {
    assert_eq!(shown(&healthy(0, 20, 500), &offline(500), period(100, 200)), "100..200 up/up healthy");
}

#[test]
fn entries_from_after_the_period_say_what_was_so_in_it() {
    let entries = [vec![watched(0, 500)], all(400, DOWN, UP)].concat();
    assert_eq!(shown(&entries, &now(500, Some(UP)), period(100, 200)), "100..200 down/down down");
}

#[test]
fn changes_that_do_not_follow_from_each_other_leave_the_time_between_them_unobserved() {
    let entries = [healthy(0, 10, 100), all(70, DOWN, UP)].concat();
    assert_eq!(
        shown(&entries, &offline(100), period(0, 100)),
        "0..10 unknown/unknown blind, 10..70 -, 70..100 up/up healthy"
    );
}

#[test]
fn a_present_that_does_not_follow_from_the_last_change_leaves_the_time_since_unobserved() {
    assert_eq!(
        shown(&healthy(0, 10, 100), &now(100, Some(DOWN)), period(0, 100)),
        "0..10 unknown/unknown blind, 10..100 -"
    );
}

#[test]
fn a_change_later_than_the_present_is_no_contradiction() {
    let entries = [healthy(0, 10, 100), all(90, UP, DOWN)].concat();
    assert_eq!(
        shown(&entries, &now(80, Some(UP)), period(0, 100)),
        "0..10 unknown/unknown blind, 10..90 up/up healthy, 90..100 down/down down"
    );
}

#[test]
fn a_change_at_the_last_moment_of_a_run_is_known_to_the_present() {
    let entries = [healthy(0, 10, 100), all(100, UP, DOWN)].concat();
    assert_eq!(
        shown(&entries, &now(100, Some(DOWN)), period(0, 100)),
        "0..10 unknown/unknown blind, 10..100 up/up healthy"
    );
}

#[test]
fn a_tunnel_that_left_the_configuration_is_not_up_for_ever() {
    let mut other = now(100, Some(UP));
    other.tunnels[0].id = tunnel(2);
    assert_eq!(shown(&healthy(0, 10, 100), &other, period(0, 100)), "0..10 unknown/unknown blind, 10..100 -");
}

#[test]
fn what_left_the_configuration_was_what_it_was_and_is_not_watched_since_whoever_asks_and_when() {
    let left = [healthy(0, 10, 30), vec![left(20, UP, false)]].concat();
    let until_it_left = "0..10 unknown/unknown blind, 10..20 up/up healthy, 20..100 -";
    let mut other = now(100, Some(UP));
    other.tunnels[0].id = tunnel(2);
    // The daemon was restarted meanwhile, or runs on.
    for more in [vec![watched(40, 100)], vec![watched(0, 100)], vec![recorded_since(0, 0, 100)]] {
        let entries = [left.clone(), more].concat();
        for present in [&offline(100), &other] {
            assert_eq!(shown(&entries, present, period(0, 100)), until_it_left);
        }
    }
    // It came back at 60 in the same run, or at 40 in another.
    let back = [left.clone(), vec![watched(0, 100)], all(60, (Unknown, Blind), UP)].concat();
    let again = "0..10 unknown/unknown blind, 10..20 up/up healthy, 20..60 -, 60..100 up/up healthy";
    assert_eq!(shown(&back, &now(100, Some(UP)), period(0, 100)), again);
    let restarted = [left, healthy(40, 60, 100)].concat();
    assert_eq!(
        shown(&restarted, &now(100, Some(UP)), period(0, 100)),
        "0..10 unknown/unknown blind, 10..20 up/up healthy, 20..40 -, 40..60 unknown/unknown blind, \
         60..100 up/up healthy"
    );
}

#[test]
fn what_is_watched_afresh_over_another_route_is_unknown_until_its_ends_say_so_again() {
    let entries =
        [healthy(0, 10, 100), all(50, UP, DOWN), vec![left(60, DOWN, true)], all(70, (Unknown, Blind), DOWN)]
            .concat();
    assert_eq!(
        shown(&entries, &now(100, Some(DOWN)), period(0, 100)),
        "0..10 unknown/unknown blind, 10..50 up/up healthy, 50..60 down/down down, \
         60..70 unknown/unknown blind, 70..100 down/down down"
    );
    // A change at the very moment.
    let entries = [healthy(0, 10, 100), all(60, UP, DOWN), vec![left(60, DOWN, true)]].concat();
    assert_eq!(
        shown(&entries, &now(100, Some((Unknown, Blind))), period(0, 100)),
        "0..10 unknown/unknown blind, 10..60 up/up healthy, 60..100 unknown/unknown blind"
    );
}

#[test]
fn what_was_so_goes_on_as_long_as_every_change_is_recorded() {
    let was = |entries: &[Entry]| shown(entries, &now(100, Some(UP)), period(40, 60));
    let up = |more: Entry| [all(10, (Unknown, Blind), UP), vec![more], healthy(60, 70, 100)].concat();
    // The host slept, or older changes were removed, and then the daemon was restarted.
    assert_eq!(was(&up(recorded_since(0, 30, 60))), "40..60 up/up healthy");
    assert_eq!(was(&up(watched(30, 60))), "40..60 -", "an older release has not recorded since when");
    assert_eq!(was(&up(recorded_since(20, 30, 60))), "40..60 -", "something was lost, or another run");
    let left = [up(recorded_since(0, 30, 60)), vec![left(20, UP, false)]].concat();
    assert_eq!(was(&left), "40..60 -");
    // What comes next in the same recording must follow from it, and may stand alone.
    let next =
        |from| [vec![recorded_since(0, 30, 60), recorded_since(0, 70, 100)], all(80, from, DOWN)].concat();
    assert_eq!(was(&next(UP)), "40..60 up/up healthy");
    assert_eq!(was(&[all(10, (Unknown, Blind), DOWN), next(UP)].concat()), "40..60 -");
    assert_eq!(was(&[all(10, (Unknown, Blind), UP), next(UP)].concat()), "40..60 up/up healthy");
}

#[test]
fn an_outage_goes_on_after_a_restart_when_both_ends_have_said_so_again() {
    let entries = [
        healthy(0, 10, 60),
        all(50, UP, DOWN),
        vec![watched(65, 100)],
        all(75, (Unknown, Blind), DOWN),
        all(90, DOWN, UP),
    ]
    .concat();
    assert_eq!(
        shown(&entries, &now(100, Some(UP)), period(40, 100)),
        "40..50 up/up healthy, 50..60 down/down down, 60..65 -, 65..75 unknown/unknown blind, \
         75..90 down/down down, 90..100 up/up healthy"
    );
}

#[test]
fn causes_and_silences_stand_beside_what_the_ends_say() {
    let entries = [
        healthy(0, 10, 100),
        all(50, UP, DOWN),
        vec![
            silenced(40, None, Some(3)),
            cause(55, None, Some(Cause::PathToAws)),
            all(60, DOWN, UP)[0].clone(),
            aws(60, Down, Up),
            both(60, Assessment::Down, Healthy),
            cause(60, Some(Cause::PathToAws), None),
            silenced(70, Some(3), None),
        ],
    ]
    .concat();
    assert_eq!(
        shown(&entries, &now(100, Some(UP)), period(30, 100)),
        "30..40 up/up healthy, 40..50 up/up healthy silence 3, 50..55 down/down down silence 3, \
         55..60 down/down down path_to_aws silence 3, 60..70 up/up healthy silence 3, 70..100 up/up healthy"
    );
}

#[test]
fn a_lost_entry_of_a_cause_costs_the_cause_and_nothing_else() {
    let entries =
        [healthy(0, 10, 100), vec![cause(40, None, Some(Cause::Mtu)), cause(60, Some(Cause::BgpDown), None)]]
            .concat();
    assert_eq!(shown(&entries, &offline(100), period(30, 100)), "30..100 up/up healthy");
}

#[test]
fn time_that_two_runs_claim_is_unobserved() {
    // The clock was set back from 60 to 40, and an outage of the second run lies among the entries of the first.
    let entries = [healthy(0, 10, 60), vec![watched(40, 100)], all(45, UP, DOWN), all(55, DOWN, UP)].concat();
    assert_eq!(
        shown(&entries, &now(100, Some(UP)), period(0, 100)),
        "0..10 unknown/unknown blind, 10..40 up/up healthy, 40..60 -, 60..100 up/up healthy"
    );
}

#[test]
fn a_run_that_is_recorded_twice_is_one_run() {
    let entries = [healthy(0, 10, 60), vec![watched(0, 100), watched(0, 60)]].concat();
    assert_eq!(
        shown(&entries, &offline(100), period(0, 100)),
        "0..10 unknown/unknown blind, 10..100 up/up healthy"
    );
}

#[test]
fn several_changes_at_one_moment_are_one_in_whatever_order_they_come() {
    let [a, b, c] = [local(50, Up, Down), local(50, Down, Unknown), local(50, Unknown, Down)];
    let [x, y] = [aws(50, Up, Down), both(50, Healthy, Assessment::Down)];
    for order in [[&a, &b, &c], [&c, &b, &a], [&b, &a, &c]] {
        let entries =
            [healthy(0, 10, 100), order.map(Entry::clone).to_vec(), vec![x.clone(), y.clone()]].concat();
        assert_eq!(
            shown(&entries, &offline(100), period(40, 100)),
            "40..50 up/up healthy, 50..100 down/down down"
        );
    }
}

#[test]
fn an_empty_or_reversed_period_has_no_spans() {
    for period in [period(50, 50), period(60, 40)] {
        assert_eq!(shown(&healthy(0, 10, 100), &offline(100), period), "");
    }
}

#[test]
fn periods_have_a_length_and_something_in_common_or_not() {
    assert_eq!(period(10, 25).length(), Duration::from_millis(15));
    assert_eq!(period(25, 10).length(), Duration::ZERO);
    assert_eq!(period(0, 20).overlap(period(10, 30)), Some(period(10, 20)));
    assert_eq!(period(0, 10).overlap(period(10, 30)), None);
}

fn said() -> impl Strategy<Value = Said> {
    prop::sample::select(Said::ALL.to_vec())
}

/// Whatever a store could hand out, sane or not.
fn entry() -> impl Strategy<Value = Entry> {
    let time = -20..120_i64;
    let assessment = || prop::sample::select(Assessment::ALL.to_vec());
    let ends = (time.clone(), said(), said(), any::<bool>()).prop_map(|(millis, from, to, ours)| {
        if ours { local(millis, from, to) } else { aws(millis, from, to) }
    });
    let silence = || prop::option::of(0..3_u32);
    prop_oneof![
        1 => (time.clone(), time.clone()).prop_map(|(from, until)| watched(from, until)),
        1 => (time.clone(), time.clone(), 0..50_i64).prop_map(|(from, until, before)| {
            recorded_since(from - before, from, until)
        }),
        1 => (time.clone(), said(), assessment(), any::<bool>()).prop_map(|(millis, was, both, afresh)| {
            left(millis, (was, both), afresh)
        }),
        4 => ends,
        2 => (time.clone(), assessment(), assessment()).prop_map(|(millis, from, to)| both(millis, from, to)),
        1 => (time, silence(), silence()).prop_map(|(millis, from, to)| silenced(millis, from, to)),
    ]
}

/// A history as a daemon would record it: each change follows from the one before, each run begins unknown.
fn recorded() -> impl Strategy<Value = Vec<Entry>> {
    let step = (1..20_i64, said(), said());
    prop::collection::vec((1..10_i64, prop::collection::vec(step, 1..6)), 1..4).prop_map(|runs| {
        let (mut clock, mut entries) = (-30, Vec::new());
        for (gap, steps) in runs {
            clock += gap;
            let (begin, mut so) = (clock, (Unknown, Unknown));
            for (wait, ours, theirs) in steps {
                clock += wait;
                if ours != so.0 {
                    entries.push(local(clock, so.0, ours));
                }
                if theirs != so.1 {
                    entries.push(aws(clock, so.1, theirs));
                }
                so = (ours, theirs);
            }
            clock += 1;
            entries.push(watched(begin, clock));
        }
        entries
    })
}

proptest! {
    #[test]
    fn spans_have_no_gaps_and_none_is_empty_or_follows_an_equal_one(
        entries in prop::collection::vec(entry(), 0..40),
        up in any::<bool>(),
        from in -10..60_i64,
        length in 1..90_i64,
    ) {
        let present = now(100, up.then_some(UP));
        let asked = period(from, from + length);
        let spans = Spans::of(&entries, &present, asked);
        for (_, spans) in spans.tunnels() {
            prop_assert_eq!(spans.first().unwrap().period.from, asked.from);
            prop_assert_eq!(spans.last().unwrap().period.until, asked.until);
            for pair in spans.windows(2) {
                prop_assert_eq!(pair[0].period.until, pair[1].period.from);
                prop_assert_ne!(pair[0].state, pair[1].state);
            }
            prop_assert!(spans.iter().all(|span| span.period.from < span.period.until));
        }
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter(
        entries in prop::collection::vec(entry(), 0..30),
        shuffled in any::<prop::sample::Index>(),
    ) {
        let present = now(100, Some(UP));
        let mut other = entries.clone();
        other.reverse();
        if !other.is_empty() {
            let by = shuffled.index(other.len());
            other.rotate_left(by);
        }
        let asked = period(0, 100);
        prop_assert_eq!(Spans::of(&entries, &present, asked), Spans::of(&other, &present, asked));
    }

    #[test]
    fn nothing_is_observed_outside_the_runs(entries in prop::collection::vec(entry(), 0..40)) {
        let asked = period(-20, 120);
        let spans = Spans::of(&entries, &now(100, Some(UP)), asked);
        for (_, spans) in spans.tunnels() {
            for span in spans.iter().filter(|span| span.state.is_some()) {
                for millis in span.period.from.as_millis()..span.period.until.as_millis() {
                    let runs = entries.iter().filter(|entry| matches!(
                        entry, Entry::Watched(Watch { period: run, .. }) if run.from <= at(millis) && at(millis) < run.until
                    ));
                    prop_assert!(runs.count() > 0, "{millis}: {span:?}");
                }
            }
        }
    }

    #[test]
    fn a_part_of_a_period_has_the_same_spans(entries in recorded(), cut in 1..99_i64) {
        let whole = Spans::of(&entries, &offline(100), period(0, 100));
        let parts = [period(0, cut), period(cut, 100)].map(|part| Spans::of(&entries, &offline(100), part));
        let at_each = |spans: &[&Spans]| -> Vec<Option<State>> {
            let spans: Vec<Span> = spans.iter().flat_map(|spans| spans.tunnel(&tunnel(1)).to_vec()).collect();
            let lengths = spans.iter().map(|span| usize::try_from(span.period.length().as_millis()).unwrap());
            spans.iter().zip(lengths).flat_map(|(span, length)| vec![span.state; length]).collect()
        };
        prop_assert_eq!(at_each(&[&whole]), at_each(&[&parts[0], &parts[1]]));
    }

    #[test]
    fn what_is_recorded_is_read_back(entries in recorded()) {
        let spans = Spans::of(&entries, &offline(1_000), period(-40, 500));
        let of = |wanted: i64| {
            let span = spans.tunnel(&tunnel(1)).iter().find(|span| at(wanted) < span.period.until);
            span.and_then(|span| span.state)
        };
        for entry in &entries {
            let Entry::Change { at: changed, change: Change::Verdict { end, from, to }, .. } = entry else { continue };
            let millis = changed.as_millis();
            let said = |state: Option<State>| match (end, state) {
                (End::Local, Some(state)) => Some(state.local),
                (End::Aws, Some(state)) => Some(state.aws),
                (_, None) => None,
            };
            // A run is one millisecond longer than its last change.
            prop_assert_eq!(said(of(millis)), Some(*to));
            prop_assert_eq!(said(of(millis - 1)), Some(*from));
        }
    }
}
