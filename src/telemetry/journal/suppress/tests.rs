//! What is written, what is held, and what becomes a number.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::catalogue::rate_limit::Allowance;
use crate::catalogue::{Code, MessageId};

/// 1970-01-01T03:12:04Z is the origin.
fn at(seconds: u64) -> Now {
    at_millis(seconds * 1000)
}

fn at_millis(millis: u64) -> Now {
    let past = Duration::from_millis(millis);
    Now { mono: Moment::ORIGIN + past, wall: Stamp::from_secs(11_524) + past }
}

fn line(kind: MessageId, level: Level, fields: &[(&str, &str)], message: &str, now: Now) -> Line {
    let mut line = Line::sample(level, kind, message.to_owned());
    line.at = now.wall;
    line.fields.extend(fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    line
}

fn on_tunnel(kind: MessageId, level: Level, tunnel: &str, message: &str, now: Now) -> Line {
    line(kind, level, &[("VPN_ID", "vpn-1"), ("TUNNEL_IP", tunnel)], message, now)
}

fn written(lines: impl IntoIterator<Item = Line>) -> Vec<String> {
    lines.into_iter().map(|line| line.message).collect()
}

/// Uses the tokens of tunnel `a` up, at the origin.
fn flapped() -> Suppressor {
    let mut suppressor = Suppressor::default();
    for n in 0..6 {
        let line = on_tunnel(MessageId::DISPUTED, Level::Info, "a", &n.to_string(), at(0));
        assert!(suppressor.handle(line, at(0)).is_some(), "{n}");
    }
    suppressor
}

#[test]
fn the_latest_is_held_and_written_with_a_count_as_soon_as_there_is_a_token() {
    let mut suppressor = flapped();
    for n in 1..=38 {
        let line = on_tunnel(MessageId::HEALTHY, Level::Info, "a", &format!("turn {n}"), at(n));
        assert_eq!(suppressor.handle(line, at(n)), None);
    }
    assert_eq!(suppressor.poll_timeout(), Some(at(60).mono));
    assert_eq!(written(suppressor.handle_timeout(at_millis(59_999))), Vec::<String>::new());
    let lines = suppressor.handle_timeout(at(60));
    assert_eq!(lines[0].value("SUPPRESSED").as_deref(), Some("37"));
    assert_eq!(
        written(lines),
        ["turn 38 (37 similar records since 03:12:05Z suppressed; this one happened at 03:12:42Z)"]
    );
    assert_eq!((suppressor.suppressed(), suppressor.poll_timeout()), (37, None));
}

#[test]
fn one_that_waited_alone_says_when_it_was() {
    let mut suppressor = flapped();
    let line = on_tunnel(MessageId::HEALTHY, Level::Info, "a", "well", at(1));
    assert_eq!(suppressor.handle(line, at(1)), None);
    let lines = suppressor.handle_timeout(at(60));
    assert_eq!(lines[0].value("SUPPRESSED"), None);
    assert_eq!(written(lines), ["well (reported late: this happened at 03:12:05Z)"]);
}

#[test]
fn what_breaks_after_a_rest_is_written_at_once_whatever_came_before() {
    let mut suppressor = flapped();
    let healthy = |n| on_tunnel(MessageId::HEALTHY, Level::Info, "a", "well", at(n));
    let down = |n| on_tunnel(MessageId::BOTH_ENDS_DOWN, Level::Warn, "a", "down", at(n));
    // The turns of a while ago have used every token up, and the next one, too.
    assert_eq!(suppressor.handle(healthy(1), at(1)), None);
    assert_eq!(suppressor.handle_timeout(at(60)).len(), 1);
    assert_eq!(suppressor.handle(down(62), at(62)), Some(down(62)));
    // Where it is not at rest it is held as ever; and what is held then is counted in the first that follows a rest.
    assert_eq!(suppressor.handle(healthy(63), at(63)), None);
    let written = suppressor.handle(down(90), at(90)).expect("written at once");
    assert_eq!((written.level, written.value("SUPPRESSED").as_deref()), (Level::Warn, Some("1")));
    assert_eq!(suppressor.poll_timeout(), None);
}

#[test]
fn a_record_that_stands_for_worse_ones_has_the_level_of_the_worst_and_says_so() {
    let mut suppressor = flapped();
    let turns = [
        (MessageId::HEALTHY, Level::Info),
        (MessageId::BOTH_ENDS_DOWN, Level::Warn),
        (MessageId::HEALTHY, Level::Info),
    ];
    for (kind, level) in turns {
        assert_eq!(suppressor.handle(on_tunnel(kind, level, "a", "turn", at(1)), at(1)), None);
    }
    let lines = suppressor.handle_timeout(at(60));
    assert_eq!((lines[0].level, lines[0].kind), (Level::Warn, MessageId::HEALTHY));
    assert!(
        lines[0].message.contains("2 similar records since 03:12:05Z suppressed, the worst a WARNING;"),
        "{lines:?}"
    );
}

#[test]
fn one_tunnel_that_flaps_hides_no_other_and_no_page() {
    let mut suppressor = flapped();
    assert_eq!(suppressor.handle(on_tunnel(MessageId::DISPUTED, Level::Warn, "a", "a", at(1)), at(1)), None);
    for (kind, tunnel) in
        [(MessageId::DISPUTED, "b"), (MessageId::END_DOWN, "a"), (MessageId::INCIDENT_OPENED, "a")]
    {
        let line = on_tunnel(kind, Level::Warn, tunnel, "written", at(1));
        assert_eq!(suppressor.handle(line.clone(), at(1)), Some(line));
    }
}

#[test]
fn a_problem_is_the_same_problem_whatever_its_text() {
    let mut suppressor = Suppressor::default();
    let mut begin = |component: &str, n: u64| {
        let text = format!("request {n} failed");
        let kind = MessageId::of(Code::SinkRejects);
        let line = line(kind, Level::Error, &[("COMPONENT", component)], &text, at(n));
        suppressor.handle(line, at(n)).is_some()
    };
    let written = (0..60).filter(|n| begin("sink a", *n)).count();
    assert_eq!(written, 6);
    assert!(begin("sink b", 60));
}

#[test]
fn the_same_unusable_evidence_is_written_once_an_hour() {
    let mut suppressor = Suppressor::default();
    let mut moments = Vec::new();
    for n in 0..=480 {
        let now = at(n * 15);
        let unusable = line(MessageId::EVIDENCE_UNUSABLE, Level::Warn, &[("ERROR", "garbage")], "", now);
        if !suppressor.handle_timeout(now).is_empty() || suppressor.handle(unusable, now).is_some() {
            moments.push(n * 15);
        }
    }
    assert_eq!(moments, [0, 3600, 7200]);
}

#[test]
fn a_library_that_warns_in_ever_other_words_is_bounded_and_its_errors_are_not_hidden() {
    let mut suppressor = Suppressor::default();
    let mut say = |level, n: u64| {
        let mut line = line(MessageId::LIBRARY_NOTICE, level, &[], &format!("request {n} failed"), at(n));
        line.target = "hyper_util::client".into();
        suppressor.handle(line, at(n)).is_some()
    };
    assert_eq!((0..500).filter(|n| say(Level::Warn, *n)).count(), 12);
    assert!(say(Level::Error, 500));
}

#[test]
fn what_is_held_at_the_end_is_written_in_the_order_in_which_it_came() {
    let mut suppressor = Suppressor::default();
    for tunnel in ["b", "a"] {
        for n in 0..8 {
            let second = if tunnel == "b" { n } else { 10 + n };
            let line = on_tunnel(MessageId::DISPUTED, Level::Info, tunnel, tunnel, at(second));
            _ = suppressor.handle(line, at(second));
        }
    }
    let written = written(suppressor.flush(at(30)));
    assert!(
        written.len() == 2
            && written[0].starts_with("b (1 similar record")
            && written[1].starts_with("a (1 similar record")
    );
    assert_eq!((suppressor.flush(at(30)), suppressor.poll_timeout()), (Vec::new(), None));
}

#[test]
fn beyond_its_bound_the_further_ones_of_a_key_share_a_bucket() {
    let mut suppressor = Suppressor::default();
    let mut dispute = |n: usize, now| {
        let line = on_tunnel(MessageId::DISPUTED, Level::Info, &n.to_string(), "", now);
        suppressor.handle(line, now).is_some()
    };
    let written = (0..5000).filter(|n| dispute(*n, at(0))).count();
    assert_eq!(written, SUBJECTS_MAX + 6);
    // What has all its tokens back makes room.
    assert!((6000..6500).all(|n| dispute(n, at(600))));
    assert_eq!(suppressor.buckets.len(), 500 + 1);
}

/// A record, a while after the one before.
#[derive(Debug, Clone)]
struct Step {
    wait_millis: u64,
    tunnel: &'static str,
    kind: MessageId,
    level: Level,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kinds = [
        MessageId::HEALTHY,
        MessageId::BOTH_ENDS_DOWN,
        MessageId::END_UP,
        MessageId::of(Code::SinkRejects),
        MessageId::EVIDENCE_UNUSABLE,
        MessageId::LIBRARY_NOTICE,
        MessageId::INCIDENT_OPENED,
    ];
    let wait = prop_oneof![Just(0), 0..3_000_u64, 0..120_000_u64, 0..4_000_000_u64];
    let level = prop::sample::select(vec![Level::Info, Level::Warn, Level::Error]);
    let step = (wait, prop::sample::select(vec!["a", "b"]), prop::sample::select(kinds.to_vec()), level)
        .prop_map(|(wait_millis, tunnel, kind, level)| Step { wait_millis, tunnel, kind, level });
    prop::collection::vec(step, 1..250)
}

/// What a record is about, said once more and in another way.
fn matter(Step { tunnel, kind, level, .. }: &Step) -> String {
    match kind.name {
        "HEALTHY" | "BOTH_ENDS_DOWN" => format!("tunnel {tunnel}"),
        "END_UP" => format!("end of {tunnel}"),
        "PROBLEM_SINK_REJECTS" => "problem".to_owned(),
        "EVIDENCE_UNUSABLE" => format!("evidence of {tunnel}"),
        "LIBRARY_NOTICE" => format!("words {level}"),
        name => name.to_owned(),
    }
}

#[derive(Debug, Clone, Copy)]
struct Written {
    /// Which record, by its place among all.
    record: usize,
    /// As many others it says it stands for.
    suppressed: u64,
    at: Now,
}

fn note(lines: impl IntoIterator<Item = Line>, now: Now, all: &mut Vec<Written>) {
    for line in lines {
        let number = line.message.split(' ').next().unwrap();
        let suppressed = line.value("SUPPRESSED").map_or(0, |count| count.parse().unwrap());
        all.push(Written { record: number.parse().unwrap(), suppressed, at: now });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_nothing_floods_and_the_last_record_is_always_written(steps in steps()) {
        let mut suppressor = Suppressor::default();
        let mut made = Vec::new();
        let mut all_written = Vec::new();
        let mut millis = 0;
        for (number, step) in steps.iter().enumerate() {
            millis += step.wait_millis;
            let now = at_millis(millis);
            while let Some(due) = suppressor.poll_timeout().filter(|due| *due <= now.mono) {
                let then = at_millis(u64::try_from(due.since(Moment::ORIGIN).as_millis()).unwrap());
                note(suppressor.handle_timeout(then), then, &mut all_written);
            }
            let fields = if step.kind == MessageId::LIBRARY_NOTICE { vec![] } else {
                vec![("VPN_ID", "vpn-1"), ("TUNNEL_IP", step.tunnel)]
            };
            let line = line(step.kind, step.level, &fields, &number.to_string(), now);
            let written = suppressor.handle(line, now);
            if step.kind.limit == RateLimit::Unlimited {
                prop_assert!(written.is_some(), "record {} waits", number);
            }
            note(written, now, &mut all_written);
            made.push(now);
            let held = suppressor.buckets.values().filter(|bucket| bucket.held.is_some()).count();
            prop_assert_eq!(held, suppressor.due.len());
            prop_assert_eq!(all_written.len() + held + usize::try_from(suppressor.suppressed()).unwrap(), made.len());
        }
        while let Some(due) = suppressor.poll_timeout() {
            let then = at_millis(u64::try_from(due.since(Moment::ORIGIN).as_millis()).unwrap());
            note(suppressor.handle_timeout(then), then, &mut all_written);
        }

        prop_assert_eq!(all_written.iter().map(|written| written.suppressed).sum::<u64>(), suppressor.suppressed());

        let matters: Vec<_> = steps.iter().map(matter).collect();
        for (number, step) in steps.iter().enumerate() {
            let RateLimit::By(key) = step.kind.limit else { continue };
            let Allowance { burst, period } = key.allowance();
            let of_it: Vec<_> = all_written.iter().filter(|written| matters[written.record] == matters[number]).collect();
            prop_assert!(of_it.is_sorted_by_key(|written| written.record), "{:?}", of_it);
            // Whenever a record was made, it or a later one on the same matter is written within a period.
            prop_assert!(
                of_it.iter().any(|written| written.record >= number && written.at.mono <= made[number].mono + period),
                "record {} is not heard in {:?}", number, of_it
            );
            let windows = (0..of_it.len()).flat_map(|first| (first..of_it.len()).map(move |last| (first, last)));
            for (first, last) in windows {
                let window = of_it[last].at.mono.since(of_it[first].at.mono);
                let first_after_rest =
                    key.at_rest_after().map_or(0, |rest| window.as_nanos() / rest.as_nanos() + 1);
                let most = u128::from(burst) + window.as_nanos() / period.as_nanos() + first_after_rest;
                prop_assert!((last - first + 1) as u128 <= most, "{} in {:?}", last - first + 1, window);
            }
        }
    }
}
