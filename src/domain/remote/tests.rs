use super::*;

const STALE_AFTER: Duration = Duration::from_secs(600);
const NOON: Stamp = Stamp::from_secs(1_800_000_000);

fn asked() -> Now {
    Now { mono: Moment::from_nanos(5_000_000_000_000), wall: NOON }
}

fn tunnel_state(minutes_ago: i64, value: f64) -> Reading {
    Reading::TunnelState(Some(Datapoint::of_minute(
        Stamp::from_secs(1_800_000_000 - 60 * minutes_ago),
        value,
    )))
}

fn telemetry(status: TelemetryStatus, last_status_change: Option<Stamp>) -> Reading {
    Reading::Telemetry(Telemetry { status, message: "IPSEC IS DOWN".into(), last_status_change })
}

fn judged(readings: &[(SourceKind, Reading)]) -> Verdict {
    judged_after(readings, Duration::ZERO)
}

fn judged_after(readings: &[(SourceKind, Reading)], later: Duration) -> Verdict {
    let mut remote = Remote::new(asked());
    for (source, reading) in readings {
        remote.read(*source, reading, asked(), NOON);
    }
    remote.judge(STALE_AFTER, asked().after(later));
    remote.view().verdict
}

use SourceKind::{CloudWatch, Ec2};

#[test]
fn a_datapoint_of_one_is_up_of_zero_is_down_and_of_anything_else_is_unknown() {
    assert_eq!(judged(&[(CloudWatch, tunnel_state(2, 1.0))]), Verdict::Up);
    assert_eq!(judged(&[(CloudWatch, tunnel_state(2, 0.0))]), Verdict::Down);
    assert_eq!(judged(&[(CloudWatch, tunnel_state(2, 0.5))]), Verdict::Unknown(Why::Fraction));
    for garbage in [-1.0, 1.5, f64::NAN, f64::INFINITY] {
        assert_eq!(judged(&[(CloudWatch, tunnel_state(2, garbage))]), Verdict::Unknown(Why::Garbage));
    }
}

#[test]
fn a_datapoint_speaks_of_its_period_and_never_of_a_time_after_the_answer() {
    let as_of = |minutes_ago| {
        let mut remote = Remote::new(asked());
        remote.read(CloudWatch, &tunnel_state(minutes_ago, 1.0), asked(), NOON);
        remote.as_of_here()
    };
    assert_eq!(as_of(2), Some(asked().mono - Duration::from_secs(60)));
    assert_eq!(as_of(0), Some(asked().mono));
    let mut remote = Remote::new(asked());
    remote.read(CloudWatch, &tunnel_state(0, 1.0), asked(), NOON);
    remote.judge(STALE_AFTER, asked());
    let Evidence::Aws(evidence) = &remote.view().evidence else {
        panic!("AWS's view rests on AWS's evidence")
    };
    assert_eq!(evidence.as_of, Some(NOON));
}

#[test]
fn evidence_ages_on_the_monotonic_clock_until_it_is_stale() {
    let readings = [(CloudWatch, tunnel_state(1, 0.0))];
    assert_eq!(judged_after(&readings, STALE_AFTER), Verdict::Down);
    let a_moment_later = STALE_AFTER + Duration::from_nanos(1);
    assert_eq!(judged_after(&readings, a_moment_later), Verdict::Unknown(Why::Stale));
}

#[test]
fn stale_at_is_the_first_moment_at_which_the_evidence_is_stale() {
    let mut remote = Remote::new(asked());
    remote.read(CloudWatch, &tunnel_state(1, 0.0), asked(), NOON);
    remote.judge(STALE_AFTER, asked());
    let at = remote.stale_at(STALE_AFTER).unwrap();
    remote.judge(STALE_AFTER, Now { mono: at, wall: NOON });
    assert_eq!(remote.view().verdict, Verdict::Unknown(Why::Stale));
    assert_eq!(remote.stale_at(STALE_AFTER), None);
}

#[test]
fn a_datapoint_stamped_in_the_future_is_unknown_and_worth_a_word() {
    let mut remote = Remote::new(asked());
    let complaint = remote.read(CloudWatch, &tunnel_state(-1, 0.0), asked(), NOON);
    remote.judge(STALE_AFTER, asked());
    assert_eq!(complaint, Some(Why::Future));
    assert_eq!(remote.view().verdict, Verdict::Unknown(Why::Future));
}

#[test]
fn an_answer_without_a_datapoint_is_no_data_and_never_down() {
    assert_eq!(judged(&[(CloudWatch, Reading::TunnelState(None))]), Verdict::Unknown(Why::NoData));
    assert_eq!(judged(&[]), Verdict::Unknown(Why::NotAsked));
}

#[test]
fn an_answer_without_a_datapoint_takes_back_nothing_that_was_said_before() {
    let readings = [(CloudWatch, tunnel_state(1, 1.0)), (CloudWatch, Reading::TunnelState(None))];
    assert_eq!(judged(&readings), Verdict::Up);
}

#[test]
fn the_newer_as_of_wins_where_the_other_is_older_than_three_minutes() {
    let readings = [(CloudWatch, tunnel_state(4, 1.0)), (Ec2, telemetry(TelemetryStatus::Down, None))];
    assert_eq!(judged(&readings), Verdict::Down);
}

#[test]
fn two_sources_that_differ_about_the_same_three_minutes_contradict_each_other() {
    let long_ago = Some(NOON - Duration::from_secs(3600));
    for change in [None, long_ago] {
        let readings = [(CloudWatch, tunnel_state(3, 1.0)), (Ec2, telemetry(TelemetryStatus::Down, change))];
        assert_eq!(judged(&readings), Verdict::Unknown(Why::Contradiction));
    }
}

#[test]
fn a_newer_source_that_says_it_changed_since_does_not_contradict_the_older_one() {
    let change = Some(NOON - Duration::from_secs(30));
    let readings = [(CloudWatch, tunnel_state(2, 1.0)), (Ec2, telemetry(TelemetryStatus::Down, change))];
    assert_eq!(judged(&readings), Verdict::Down);
}

#[test]
fn a_connection_that_is_gone_is_unknown_whatever_else_is_said() {
    let readings = [(CloudWatch, tunnel_state(1, 0.0)), (Ec2, Reading::Gone)];
    assert_eq!(judged(&readings), Verdict::Unknown(Why::Gone));
}

#[test]
fn a_status_that_is_neither_up_nor_down_is_unknown_whatever_its_message_says() {
    assert_eq!(judged(&[(Ec2, telemetry(TelemetryStatus::Other, None))]), Verdict::Unknown(Why::Garbage));
}

#[test]
fn a_connection_that_is_gone_stays_gone_and_wants_no_call_for_it() {
    let mut remote = Remote::new(asked());
    remote.read(Ec2, &Reading::Gone, asked(), NOON);
    for later in [Duration::ZERO, STALE_AFTER, 2 * STALE_AFTER] {
        remote.judge(STALE_AFTER, asked().after(later));
        assert_eq!(remote.view().verdict, Verdict::Unknown(Why::Gone));
        assert_eq!(remote.stale_at(STALE_AFTER), None, "it would be called for ever");
    }
}

#[test]
fn what_cannot_be_understood_of_one_source_takes_nothing_from_the_other() {
    let down = telemetry(TelemetryStatus::Down, None);
    for garbage in [Reading::Garbage, tunnel_state(-1, 0.0)] {
        assert_eq!(judged(&[(Ec2, down.clone()), (CloudWatch, garbage)]), Verdict::Down);
    }
    let readings = [(CloudWatch, tunnel_state(2, 0.0)), (Ec2, telemetry(TelemetryStatus::Other, None))];
    assert_eq!(judged(&readings), Verdict::Down);
}

#[test]
fn what_cannot_be_understood_is_no_fresh_evidence() {
    let is_fresh = |reading: &Reading| {
        let mut remote = Remote::new(asked());
        remote.read(CloudWatch, reading, asked(), NOON);
        remote.is_fresh(STALE_AFTER, asked().mono)
    };
    assert!(is_fresh(&tunnel_state(1, 0.5)));
    assert!(!is_fresh(&tunnel_state(-1, 1.0)));
    assert!(!is_fresh(&Reading::Garbage));
    assert!(!is_fresh(&Reading::TunnelState(None)));
}

#[test]
fn the_newer_as_of_wins_within_one_source_too() {
    let readings = [(CloudWatch, tunnel_state(2, 0.0)), (CloudWatch, tunnel_state(3, 1.0))];
    assert_eq!(judged(&readings), Verdict::Down);
    let corrected = [(CloudWatch, tunnel_state(2, 0.0)), (CloudWatch, tunnel_state(2, 1.0))];
    assert_eq!(judged(&corrected), Verdict::Up);
    let after_garbage = [(CloudWatch, Reading::Garbage), (CloudWatch, tunnel_state(3, 1.0))];
    assert_eq!(judged(&after_garbage), Verdict::Up);
}
