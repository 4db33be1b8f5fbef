//! What one cause that cuts many connections leaves in the journal.

use proptest::prelude::*;

use super::*;
use crate::catalogue::{Code, MessageId};

/// 1970-01-01T03:12:04Z is the origin.
fn at(millis: u64) -> Now {
    let past = Duration::from_millis(millis);
    Now { mono: Moment::ORIGIN + past, wall: Stamp::from_secs(11_524) + past }
}

fn line(kind: MessageId, fields: &[(&str, &str)], message: &str, now: Now) -> Line {
    let mut line = Line::sample(kind.levels[0], kind, message.to_owned());
    line.at = now.wall;
    line.fields.extend(fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    line
}

fn down(vpn: usize, tunnel: &str, now: Now) -> Line {
    let fields = [("VPN_ID", &*format!("vpn-{vpn}")), ("TUNNEL_IP", tunnel), ("ASSESSMENT", "down")];
    line(MessageId::BOTH_ENDS_DOWN, &fields, &format!("HQ {vpn}: {tunnel}: down"), now)
}

fn incident(kind: MessageId, vpn: usize, withheld: Option<&str>, now: Now) -> Line {
    let (vpn, id) = (format!("vpn-{vpn}"), format!("vpn-{vpn}/outage/0"));
    let mut fields = vec![("VPN_ID", &*vpn), ("KIND", "outage"), ("INCIDENT", &*id)];
    fields.extend(withheld.map(|by| ("WITHHELD", by)));
    line(kind, &fields, "outage incident", now)
}

fn written(lines: impl IntoIterator<Item = Line>) -> Vec<String> {
    lines.into_iter().map(|line| line.message).collect()
}

#[test]
fn of_500_connections_five_are_written_and_one_record_has_the_number_of_the_rest() {
    let mut storms = Storms::default();
    let mut lines = Vec::new();
    for vpn in 0..500 {
        for tunnel in ["a", "b"] {
            let now = at(vpn as u64);
            lines.extend(storms.handle(down(vpn, tunnel, now), now));
        }
    }
    assert_eq!(lines.len(), 10, "both tunnels of five connections");
    assert_eq!(storms.poll_timeout(), Some(at(499 + 1000).mono));
    assert_eq!(storms.handle_timeout(at(1498)), []);
    let due = storms.handle_timeout(at(1499));
    assert_eq!(due[0].value("SUPPRESSED").as_deref(), Some("989"));
    assert_eq!(
        written(due),
        [
            "HQ 499: b: down (and 494 more connections likewise since 03:12:04Z: `bothends status` has each; this one happened \
          at 03:12:04Z)"
        ]
    );
    assert_eq!((storms.merged(), storms.poll_timeout()), (989, None));
}

#[test]
fn what_goes_on_without_a_calm_is_summed_up_every_ten_seconds() {
    let mut storms = Storms::default();
    let mut sums = Vec::new();
    for n in 0..300_u64 {
        let now = at(n * 100);
        sums.extend(storms.handle_timeout(now).into_iter().map(|line| (n * 100, line.value("SUPPRESSED"))));
        _ = storms.handle(down(n as usize, "a", now), now);
    }
    let times: Vec<_> = sums.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [10_500, 21_000], "{sums:?}");
}

#[test]
fn one_that_is_alone_never_waits_whatever_came_before() {
    let mut storms = Storms::default();
    for vpn in 0..100 {
        _ = storms.handle(down(vpn, "a", at(0)), at(0));
    }
    assert_eq!(storms.handle_timeout(at(1000)).len(), 1);
    for (vpn, millis) in [(200, 1000), (201, 2100), (202, 3100)] {
        let line = down(vpn, "a", at(millis));
        assert_eq!(storms.handle(line.clone(), at(millis)), Some(line));
    }
    // Two at once are not alone, and the second waits no longer than for a calm.
    assert_eq!(storms.handle(down(203, "a", at(3200)), at(3200)), None);
    assert_eq!(
        written(storms.handle_timeout(at(4200))),
        ["HQ 203: a: down (reported late: this happened at 03:12:07Z)"]
    );
}

#[test]
fn another_cause_another_error_and_a_worse_level_are_written_in_the_middle_of_a_storm() {
    let mut storms = Storms::default();
    let named = |cause: &str, vpn: usize| {
        let fields = [("VPN_ID", &*format!("vpn-{vpn}")), ("TUNNEL_IP", "a"), ("CAUSE", cause)];
        line(MessageId::CAUSE_NAMED, &fields, cause, at(0))
    };
    for vpn in 0..100 {
        _ = storms.handle(named("uplink_down", vpn), at(0));
        _ = storms.handle(down(vpn, "a", at(0)), at(0));
    }
    let other_cause = named("ike_rejected", 100);
    let worse = Line { level: Level::Error, ..down(100, "a", at(0)) };
    let other_kind = line(MessageId::CANNOT_PROBE, &[("VPN_ID", "vpn-100")], "no sockets", at(0));
    for line in [other_cause, worse, other_kind] {
        assert_eq!(storms.handle(line.clone(), at(0)), Some(line));
    }
}

#[test]
fn an_incident_that_is_sent_a_parents_and_a_problem_are_never_merged() {
    let mut storms = Storms::default();
    let uplink =
        [("SCOPE", "uplink/milan-1/wan1"), ("KIND", "outage"), ("INCIDENT", "uplink/milan-1/wan1/outage/0")];
    for vpn in 0..100 {
        let vpn_id = format!("vpn-{vpn}");
        let lines = [
            incident(MessageId::INCIDENT_OPENED, vpn, None, at(0)),
            incident(MessageId::INCIDENT_CLEARING, vpn, None, at(0)),
            incident(MessageId::INCIDENT_RELEASED, vpn, None, at(0)),
            incident(MessageId::RECORD_CREATED, vpn, None, at(0)),
            line(MessageId::INCIDENT_OPENED, &uplink, "", at(0)),
            line(MessageId::INCIDENT_PENDING, &uplink[..2], "", at(0)),
            line(MessageId::of(Code::NoAwsData), &[("VPN_ID", &*vpn_id)], "", at(0)),
        ];
        for line in lines {
            assert_eq!(storms.handle(line.clone(), at(0)), Some(line));
        }
    }
}

#[test]
fn incidents_that_are_not_sent_are_merged_by_what_withholds_them() {
    let mut storms = Storms::default();
    let opened = |storms: &mut Storms, vpn, by| {
        storms.handle(incident(MessageId::INCIDENT_OPENED, vpn, Some(by), at(0)), at(0)).is_some()
    };
    let by_uplink = (0..60).filter(|vpn| opened(&mut storms, *vpn, "uplink/milan-1/wan1")).count();
    let by_silence = (60..63).filter(|vpn| opened(&mut storms, *vpn, "silence 3")).count();
    assert_eq!((by_uplink, by_silence), (5, 3));
    assert_eq!(storms.flush(at(0)).len(), 1);
    assert_eq!(storms.flush(at(0)), []);
}

#[test]
fn beyond_their_bound_further_sayings_of_a_kind_share_a_number() {
    let mut storms = Storms::default();
    let mut say = |n: usize| {
        let error = n.to_string();
        let line = line(MessageId::CANNOT_PROBE, &[("VPN_ID", &*error), ("ERROR", &*error)], "", at(0));
        storms.handle(line, at(0)).is_some()
    };
    assert_eq!((0..5000).filter(|n| say(*n)).count(), SAYINGS_MAX + SHOWN);
    assert!(storms.sayings.len() <= SAYINGS_MAX + 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn none_is_lost_one_that_is_alone_is_written_at_once_and_none_waits_longer_than_the_longest(
        steps in prop::collection::vec((prop_oneof![Just(0), 0..300_u64, 0..3_000_u64], 0..40_usize), 1..300)
    ) {
        let mut storms = Storms::default();
        let (mut millis, mut written, mut last) = (0, 0_u64, None::<u64>);
        let mut waits = None::<u64>;
        for (made, (wait, vpn)) in (1_u64..).zip(steps) {
            millis += wait;
            let now = at(millis);
            while let Some(due) = storms.poll_timeout().filter(|due| *due <= now.mono) {
                let lines = storms.handle_timeout(Now { mono: due, ..now });
                prop_assert!(!lines.is_empty());
                written += lines.len() as u64;
                if let Some(since) = waits.take() {
                    prop_assert!(due.since(at(since).mono) <= LONGEST);
                }
            }
            let is_written = storms.handle(down(vpn, "a", now), now).is_some();
            written += u64::from(is_written);
            let is_alone = last.is_none_or(|last| now.mono.since(at(last).mono) >= CALM);
            prop_assert!(is_written || !is_alone, "record {} waits", made);
            if !is_written {
                waits.get_or_insert(millis);
            }
            last = Some(millis);
            let held = u64::from(storms.poll_timeout().is_some());
            prop_assert_eq!(written + held + storms.merged(), made);
        }
    }
}
