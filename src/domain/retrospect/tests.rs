use proptest::prelude::*;

use super::*;
use crate::domain::names::VpnId;

const RULES: IncidentRules = IncidentRules {
    open_after_outage: Duration::from_secs(30),
    open_after_redundancy_lost: Duration::from_secs(120),
    one_sided_after: Some(Duration::from_secs(900)),
    degraded_after: None,
    resolve_after: Duration::from_secs(300),
    start_grace: Duration::from_secs(120),
};

fn at(secs: i64) -> Moment {
    Moment::from_nanos(secs * 1_000_000_000)
}

fn spans(pairs: &[(i64, i64)]) -> Spans {
    Spans::of(pairs.iter().map(|(from, to)| Span { from: at(*from), to: at(*to) }))
}

fn tunnel(last: u8) -> TunnelId {
    TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, last].into() }
}

fn seen(last: u8, role: Role, local: &[(i64, i64)], aws: &[(i64, i64)]) -> TunnelPast {
    TunnelPast { tunnel: tunnel(last), role, answers: true, local: spans(local), aws: spans(aws) }
}

fn active(last: u8, local: &[(i64, i64)], aws: &[(i64, i64)]) -> TunnelPast {
    seen(last, Role::Active, local, aws)
}

/// Kind, beginning and end of each.
fn found(seen: &[TunnelPast]) -> Vec<(Kind, i64, i64)> {
    let cut_off = spans(&[(-100_000, 100_000)]);
    let secs = |moment: Moment| moment.as_nanos() / 1_000_000_000;
    incidents(seen, &cut_off, &RULES).iter().map(|p| (p.kind, secs(p.began), secs(p.ended))).collect()
}

#[test]
fn an_outage_is_where_both_ends_were_down_at_the_same_time_for_long_enough() {
    let both = [active(1, &[(10, 500)], &[(60, 600)]), active(2, &[(20, 500)], &[(60, 600)])];
    assert_eq!(found(&both), [(Kind::Outage, 60, 500)]);
    let other_only_here = [active(1, &[(10, 500)], &[(60, 600)]), active(2, &[(20, 500)], &[])];
    assert_eq!(found(&other_only_here), [(Kind::Outage, 60, 500)]);
    let short = [active(1, &[(10, 500)], &[(480, 600)]), active(2, &[(20, 500)], &[(480, 600)])];
    assert_eq!(found(&short), []);
    let apart = [active(1, &[(10, 500)], &[(600, 900)]), active(2, &[(20, 500)], &[(600, 900)])];
    assert_eq!(found(&apart), []);
    let one_end_alone = [active(1, &[(10, 500)], &[]), active(2, &[(20, 500)], &[])];
    assert_eq!(found(&one_end_alone), []);
    assert_eq!(found(&[]), []);
}

#[test]
fn lost_redundancy_is_what_is_no_outage_and_a_standby_alone_is_nothing() {
    let lost = [active(1, &[(0, 1000)], &[(0, 1000)]), active(2, &[(200, 400)], &[(200, 400)])];
    assert_eq!(
        found(&lost),
        [(Kind::RedundancyLost, 0, 1000), (Kind::Outage, 200, 400)],
        "what is interrupted by the outage goes on"
    );
    let standby = [seen(1, Role::Standby, &[(0, 1000)], &[(0, 1000)]), active(2, &[], &[])];
    assert_eq!(found(&standby), []);
    let with_standby = [seen(1, Role::Standby, &[(0, 1000)], &[]), active(2, &[(0, 100)], &[(0, 100)])];
    assert_eq!(found(&with_standby), [(Kind::Outage, 0, 100)]);
}

#[test]
fn a_tunnel_that_never_answered_does_not_turn_an_outage_into_lost_redundancy() {
    let never = |aws| TunnelPast { answers: false, ..active(2, &[], aws) };
    let dead = active(1, &[(0, 1000)], &[(0, 1000)]);
    assert_eq!(found(&[dead.clone(), never(&[(-100, 2000)])]), [(Kind::Outage, 0, 1000)]);
    assert_eq!(found(&[dead, never(&[])]), [(Kind::RedundancyLost, 0, 1000)]);
    assert_eq!(found(&[never(&[(0, 1000)])]), []);
}

#[test]
fn flapping_is_one_incident_and_far_apart_spans_are_two() {
    let flaps = [active(1, &[(0, 100), (200, 300), (1000, 1100)], &[(0, 2000)])];
    assert_eq!(found(&flaps), [(Kind::Outage, 0, 300), (Kind::Outage, 1000, 1100)]);
}

#[test]
fn only_incidents_in_the_time_without_aws_were_missed() {
    let outage = [active(1, &[(0, 1000)], &[(0, 1000)])];
    assert_eq!(incidents(&outage, &spans(&[(980, 1000)]), &RULES), []);
    assert_eq!(incidents(&outage, &spans(&[(900, 1000)]), &RULES).len(), 1);
}

#[test]
fn each_tunnel_is_listed_with_the_time_it_was_down_at_both_ends() {
    let both = [active(1, &[(10, 500)], &[(60, 600)]), active(2, &[(20, 500)], &[(120, 600)])];
    let past = incidents(&both, &spans(&[(0, 1000)]), &RULES);
    let named = |last, from, to| (tunnel(last), Span { from: at(from), to: at(to) });
    assert_eq!(past[0].tunnels, [named(1, 60, 500), named(2, 120, 500)]);
}

#[test]
fn only_a_datapoint_of_zero_is_down_and_its_time_is_on_our_clock() {
    let date = Stamp::from_secs(1_800_000_000);
    let point = |secs_ago: u64, value| Datapoint::of_minute(date - Duration::from_secs(secs_ago), value);
    let points = [point(600, 0.0), point(540, 0.0), point(480, 0.5), point(420, 1.0), point(30, 0.0)];
    assert_eq!(down_by_aws(&points, at(1000), date), spans(&[(400, 520), (970, 1000)]));
}

fn in_nanos(pairs: &[(i64, i64)]) -> Spans {
    let at = Moment::from_nanos;
    Spans::of(pairs.iter().map(|(from, to)| Span { from: at(*from), to: at(*to) }))
}

#[test]
fn adjacent_spans_are_one_and_empty_ones_vanish() {
    assert_eq!(in_nanos(&[(5, 7), (1, 3), (3, 5), (9, 9), (8, 6)]), in_nanos(&[(1, 7)]));
}

#[test]
fn a_group_ends_where_the_next_is_far() {
    let groups = in_nanos(&[(0, 10), (12, 20), (30, 40)]).grouped(Duration::from_nanos(10));
    assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
}

proptest! {
    #[test]
    fn sets_are_what_their_moments_are(
        a in prop::collection::vec((0_i64..30, 0_i64..30), 0..6),
        b in prop::collection::vec((0_i64..30, 0_i64..30), 0..6),
    ) {
        let (a, b) = (in_nanos(&a), in_nanos(&b));
        let has = |set: &Spans, at: i64| {
            set.iter().any(|span| (span.from.as_nanos()..span.to.as_nanos()).contains(&at))
        };
        for at in 0..30 {
            prop_assert_eq!(has(&a.or(&b), at), has(&a, at) || has(&b, at));
            prop_assert_eq!(has(&a.and(&b), at), has(&a, at) && has(&b, at));
            prop_assert_eq!(has(&a.without(&b), at), has(&a, at) && !has(&b, at));
        }
    }
}
