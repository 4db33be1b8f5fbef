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
    Reading::Telemetry(Telemetry {
        status,
        message: "IPSEC IS DOWN".into(),
        last_status_change,
        accepted_routes: None,
    })
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
        remote.judge(STALE_AFTER, asked());
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
    let at = remote.stale_at().unwrap();
    remote.judge(STALE_AFTER, Now { mono: at, wall: NOON });
    assert_eq!(remote.view().verdict, Verdict::Unknown(Why::Stale));
    assert_eq!(remote.stale_at(), None);
}

#[test]
fn a_datapoint_stamped_in_the_future_is_unknown_and_reported() {
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
fn an_answer_without_a_datapoint_withdraws_nothing() {
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
fn a_newer_source_that_reports_a_change_since_does_not_contradict_the_older_one() {
    let change = Some(NOON - Duration::from_secs(30));
    let readings = [(CloudWatch, tunnel_state(2, 1.0)), (Ec2, telemetry(TelemetryStatus::Down, change))];
    assert_eq!(judged(&readings), Verdict::Down);
}

#[test]
fn a_connection_that_is_gone_is_unknown_despite_other_evidence() {
    let readings = [(CloudWatch, tunnel_state(1, 0.0)), (Ec2, Reading::Gone)];
    assert_eq!(judged(&readings), Verdict::Unknown(Why::Gone));
}

#[test]
fn a_status_that_is_neither_up_nor_down_is_unknown_with_any_message() {
    assert_eq!(judged(&[(Ec2, telemetry(TelemetryStatus::Other, None))]), Verdict::Unknown(Why::Garbage));
}

#[test]
fn a_connection_that_is_gone_is_gone_for_as_long_as_that_is_fresh() {
    let mut remote = Remote::new(asked());
    remote.read(Ec2, &Reading::Gone, asked(), NOON);
    remote.judge(STALE_AFTER, asked().after(STALE_AFTER));
    assert_eq!(remote.view().verdict, Verdict::Unknown(Why::Gone));
    let stale = Now { mono: remote.stale_at().unwrap(), wall: NOON };
    remote.judge(STALE_AFTER, stale);
    assert_eq!(remote.view().verdict, Verdict::Unknown(Why::Stale));
    assert_eq!(remote.stale_at(), None, "it would be called for ever");

    // EC2 fails from here on, and CloudWatch has data again.
    remote.read(CloudWatch, &tunnel_state(1, 0.0), stale, NOON);
    remote.judge(STALE_AFTER, stale);
    assert_eq!(remote.view().verdict, Verdict::Down);
}

#[test]
fn evidence_dated_ahead_outlives_no_answer_after_it() {
    let later = asked().after(Duration::from_secs(60));
    let ahead = NOON + Duration::from_secs(40 * 365 * 86_400);
    let point = |stamp: Stamp, value| Reading::TunnelState(Some(Datapoint::of_minute(stamp, value)));
    // The Date of one answer is wrong, and so is a stamp that would lie in the future by any other.
    for (source, reading) in
        [(Ec2, telemetry(TelemetryStatus::Down, None)), (CloudWatch, point(ahead.minute(), 0.0))]
    {
        let mut remote = Remote::new(asked());
        remote.read(source, &reading, asked(), ahead);
        remote.judge(STALE_AFTER, asked());
        assert_eq!(remote.view().verdict, Verdict::Down);
        let good = match source {
            Ec2 => telemetry(TelemetryStatus::Up, None),
            CloudWatch => point(NOON.minute(), 1.0),
        };
        remote.read(source, &good, later, NOON + Duration::from_secs(60));
        remote.judge(STALE_AFTER, later);
        assert_eq!(remote.view().verdict, Verdict::Up, "{source:?}");

        // And where the other source is the one that answers.
        let mut remote = Remote::new(asked());
        remote.read(source, &reading, asked(), ahead);
        let after = asked().after(Duration::from_secs(600));
        let date = NOON + Duration::from_secs(600);
        match source {
            Ec2 => remote.read(CloudWatch, &point(date.minute() - Duration::from_secs(60), 1.0), after, date),
            CloudWatch => remote.read(Ec2, &telemetry(TelemetryStatus::Up, None), after, date),
        };
        remote.judge(STALE_AFTER, after);
        assert_eq!(remote.view().verdict, Verdict::Up, "{source:?}, then the other");
    }
}

#[test]
fn evidence_of_a_far_past_is_stale_and_does_not_affect_later_evidence() {
    for past in [Stamp::from_secs(0), Stamp::from_millis(i64::MIN), Stamp::from_secs(946_684_800)] {
        let old = Reading::TunnelState(Some(Datapoint::of_minute(past, 0.0)));
        assert_eq!(judged(&[(CloudWatch, old.clone())]), Verdict::Unknown(Why::Stale));
        assert_eq!(judged(&[(CloudWatch, old.clone()), (CloudWatch, tunnel_state(1, 1.0))]), Verdict::Up);
        assert_eq!(
            judged(&[(CloudWatch, old), (Ec2, telemetry(TelemetryStatus::Up, Some(past)))]),
            Verdict::Up
        );
    }
}

fn changed(readings: &[(SourceKind, Reading)]) -> Option<Stamp> {
    let mut remote = Remote::new(asked());
    for (source, reading) in readings {
        remote.read(*source, reading, asked(), NOON);
    }
    remote.judge(STALE_AFTER, asked());
    let Evidence::Aws(evidence) = &remote.view().evidence else { panic!("{:?}", remote.view()) };
    evidence.changed
}

#[test]
fn when_it_became_so_is_what_ec2_says_if_that_is_a_date_and_else_the_first_in_a_row() {
    let minute = |ago: u64| NOON - Duration::from_secs(60 * ago);
    let hour = NOON - Duration::from_secs(3600);
    assert_eq!(changed(&[(Ec2, telemetry(TelemetryStatus::Down, Some(hour)))]), Some(hour));
    for nonsense in [None, Some(NOON + Duration::from_secs(3600)), Some(Stamp::from_secs(0))] {
        assert_eq!(changed(&[(Ec2, telemetry(TelemetryStatus::Down, nonsense))]), Some(NOON), "{nonsense:?}");
    }
    let rows = [4, 3, 2].map(|ago| (CloudWatch, tunnel_state(ago, 0.0)));
    assert_eq!(changed(&rows), Some(minute(4)));
    let broken = [(CloudWatch, tunnel_state(4, 0.0)), (CloudWatch, tunnel_state(3, 1.0)), rows[2].clone()];
    assert_eq!(changed(&broken), Some(minute(2)));
    assert_eq!(
        changed(&[(CloudWatch, tunnel_state(40, 0.0)), rows[2].clone()]),
        Some(minute(2)),
        "not in a row"
    );
}

#[test]
fn a_change_in_the_future_explains_no_contradiction() {
    let ahead = Some(NOON + Duration::from_secs(3600));
    let readings = [(CloudWatch, tunnel_state(2, 1.0)), (Ec2, telemetry(TelemetryStatus::Down, ahead))];
    assert_eq!(judged(&readings), Verdict::Unknown(Why::Contradiction));
}

#[test]
fn a_minute_that_holds_a_change_overrides_and_resets_nothing_and_is_not_reported() {
    let mixed = (CloudWatch, tunnel_state(1, 0.54));
    let ec2 = |status| (Ec2, telemetry(status, None));
    assert_eq!(judged(&[ec2(TelemetryStatus::Down), mixed.clone()]), Verdict::Down);
    assert_eq!(judged(&[mixed.clone(), ec2(TelemetryStatus::Up)]), Verdict::Up);
    for (value, verdict) in [(0.0, Verdict::Down), (1.0, Verdict::Up)] {
        let mut remote = Remote::new(asked());
        remote.read(CloudWatch, &tunnel_state(2, value), asked(), NOON);
        remote.judge(STALE_AFTER, asked());
        let before = remote.view().clone();
        assert_eq!(remote.read(CloudWatch, &mixed.1, asked(), NOON), None);
        assert_eq!(remote.judge(STALE_AFTER, asked().after(Duration::from_secs(20))), None);
        assert_eq!((remote.view(), remote.view().verdict), (&before, verdict));
        // The explicit one grows stale before the minute that holds a change does.
        let stale = Now { mono: remote.stale_at().unwrap(), wall: NOON };
        remote.judge(STALE_AFTER, stale);
        assert_eq!(remote.view().verdict, Verdict::Unknown(Why::Fraction));
    }
}

#[test]
fn a_change_in_a_minute_between_explains_why_two_sources_differ() {
    let readings = [
        (CloudWatch, tunnel_state(3, 1.0)),
        (CloudWatch, tunnel_state(2, 0.5)),
        (Ec2, telemetry(TelemetryStatus::Down, None)),
    ];
    assert_eq!(judged(&readings), Verdict::Down);
}

#[test]
fn a_minute_that_is_not_over_is_older_than_what_ec2_has_said_since_it_began() {
    // CloudWatch answers 20 s after EC2, both within the minute.
    for (minute, verdict) in [(0, Verdict::Down), (-1, Verdict::Unknown(Why::Contradiction))] {
        let mut remote = Remote::new(asked());
        let began = Stamp::from_secs(1_800_000_000 - 60 * minute);
        let second = |secs| Duration::from_secs(secs);
        let changed = Some(began + second(10));
        remote.read(
            Ec2,
            &telemetry(TelemetryStatus::Down, changed),
            asked().after(second(30)),
            NOON + second(30),
        );
        let at = asked().after(second(if minute == 0 { 50 } else { 110 }));
        let reading = Reading::TunnelState(Some(Datapoint::of_minute(began, 1.0)));
        remote.read(CloudWatch, &reading, at, NOON + at.mono.since(asked().mono));
        remote.judge(STALE_AFTER, at);
        assert_eq!(remote.view().verdict, verdict);
        let Evidence::Aws(evidence) = &remote.view().evidence else { panic!("{:?}", remote.view()) };
        assert_eq!(evidence.source == Some(Ec2), minute == 0, "a word of before the minute is the older one");
    }
}

#[test]
fn an_invalid_answer_of_one_source_does_not_affect_the_other() {
    let down = telemetry(TelemetryStatus::Down, None);
    for garbage in [Reading::Garbage, tunnel_state(-1, 0.0)] {
        assert_eq!(judged(&[(Ec2, down.clone()), (CloudWatch, garbage)]), Verdict::Down);
    }
    let readings = [(CloudWatch, tunnel_state(2, 0.0)), (Ec2, telemetry(TelemetryStatus::Other, None))];
    assert_eq!(judged(&readings), Verdict::Down);
}

#[test]
fn an_invalid_answer_is_no_fresh_evidence() {
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

/// What AWS's Down says of BGP after these answers, each with its delay since the first, where our end came up `up` after it.
fn bgp_word(readings: &[(u64, SourceKind, Reading)], up: u64) -> BgpWord {
    bgp_word_at(readings, up, readings.last().map_or(0, |(later, _, _)| *later))
}

fn bgp_word_at(readings: &[(u64, SourceKind, Reading)], up: u64, now: u64) -> BgpWord {
    let mut remote = Remote::new(asked());
    for (later, source, reading) in readings {
        let later = Duration::from_secs(*later);
        remote.read(*source, reading, asked().after(later), NOON + later);
    }
    let at = |secs| asked().mono + Duration::from_secs(secs);
    remote.bgp_word(at(up), STALE_AFTER, at(now))
}

fn words(status: TelemetryStatus, message: &str) -> Reading {
    Reading::Telemetry(Telemetry {
        status,
        message: message.into(),
        last_status_change: None,
        accepted_routes: None,
    })
}

#[test]
fn bgp_is_down_by_ec2s_words_of_a_down_tunnel_however_they_are_written() {
    let said = |status, message| bgp_word(&[(60, Ec2, words(status, message))], 0);
    for message in ["IPSEC IS UP", "ipsec is up", " IPsec is Up\n"] {
        assert_eq!(said(TelemetryStatus::Down, message), BgpWord::IpsecIsUp, "{message}");
        assert_eq!(said(TelemetryStatus::Up, message), BgpWord::Nothing, "{message}");
        assert_eq!(said(TelemetryStatus::Other, message), BgpWord::Nothing, "{message}");
    }
    for message in ["IPSEC IS DOWN", "", "NOT IPSEC IS UP", "2 BGP ROUTES"] {
        assert_eq!(said(TelemetryStatus::Down, message), BgpWord::Nothing, "{message}");
    }
}

#[test]
fn ec2s_words_of_before_our_end_came_up_say_nothing_of_bgp() {
    let readings = [(60, Ec2, words(TelemetryStatus::Down, "IPSEC IS UP"))];
    assert_eq!(bgp_word(&readings, 59), BgpWord::IpsecIsUp);
    assert_eq!(bgp_word(&readings, 60), BgpWord::Nothing);
}

#[test]
fn bgp_is_down_by_a_second_datapoint_of_zero_and_both_speak_of_after_our_end_came_up() {
    // Of the minutes that begin 60 s before, at, and 60 s after the first answer; read when they are over.
    let point = |minute: i64, value| tunnel_state(-minute, value);
    let (first, second) = ((0, CloudWatch, point(-1, 0.0)), (60, CloudWatch, point(0, 0.0)));
    assert_eq!(bgp_word(std::slice::from_ref(&first), 0), BgpWord::Nothing);
    assert_eq!(bgp_word(&[first.clone(), second.clone()], 0), BgpWord::Nothing);
    let third = (120, CloudWatch, point(1, 0.0));
    assert_eq!(bgp_word(&[first.clone(), second.clone(), third.clone()], 0), BgpWord::SecondDatapoint);
    assert_eq!(bgp_word(&[first.clone(), second.clone(), third.clone()], 61), BgpWord::Nothing);
    // The same datapoint again is no second one.
    let again = (90, CloudWatch, point(0, 0.0));
    assert_eq!(bgp_word(&[second.clone(), again.clone()], 0), BgpWord::Nothing);
    assert_eq!(bgp_word(&[second.clone(), third.clone(), again], 0), BgpWord::SecondDatapoint);
    // Another value between them begins a new row.
    for between in [1.0, 0.5, f64::NAN] {
        let other = (120, CloudWatch, point(1, between));
        let last = (180, CloudWatch, point(2, 0.0));
        assert_eq!(bgp_word(&[second.clone(), other, last], 0), BgpWord::Nothing, "{between}");
    }
    // One that was missed does not.
    let later = (240, CloudWatch, point(3, 0.0));
    assert_eq!(bgp_word(&[second, later], 0), BgpWord::SecondDatapoint);
}

#[test]
fn stale_evidence_on_bgp_confirms_nothing() {
    let said = [(60, Ec2, words(TelemetryStatus::Down, "IPSEC IS UP"))];
    assert_eq!(bgp_word_at(&said, 0, 60 + 600), BgpWord::IpsecIsUp);
    assert_eq!(bgp_word_at(&said, 0, 60 + 601), BgpWord::Nothing);
    // EC2 fails from here on; hours later CloudWatch has a single 0.
    let later = (7200, CloudWatch, tunnel_state(-119, 0.0));
    assert_eq!(bgp_word(&[said[0].clone(), later.clone()], 0), BgpWord::Nothing);
    // One of hours before is no first datapoint either.
    let first = (120, CloudWatch, tunnel_state(-1, 0.0));
    assert_eq!(bgp_word(&[first, later], 0), BgpWord::Nothing);
}

#[test]
fn evidence_on_bgp_before_the_other_sources_up_confirms_nothing() {
    let said = (60, Ec2, words(TelemetryStatus::Down, "IPSEC IS UP"));
    let point = |minute: u64, value| {
        (60 * (minute + 1), CloudWatch, tunnel_state(-i64::try_from(minute).unwrap(), value))
    };
    assert_eq!(bgp_word(&[said.clone(), point(1, 0.0)], 0), BgpWord::IpsecIsUp);
    for up_in_between in [1.0, 0.4] {
        let readings = [said.clone(), point(1, up_in_between), point(2, 0.0), point(3, 0.0)];
        assert_eq!(bgp_word(&readings[..3], 0), BgpWord::Nothing, "{up_in_between}");
        assert_eq!(bgp_word(&readings, 0), BgpWord::SecondDatapoint, "{up_in_between}");
    }
    // The first of two datapoints, likewise.
    let ec2_up = (150, Ec2, words(TelemetryStatus::Up, "2 BGP ROUTES"));
    assert_eq!(bgp_word(&[point(1, 0.0), ec2_up.clone(), point(2, 0.0)], 0), BgpWord::Nothing);
    assert_eq!(bgp_word(&[point(1, 0.0), ec2_up, point(2, 0.0), point(3, 0.0)], 0), BgpWord::SecondDatapoint);
}

#[test]
fn a_source_that_is_no_longer_polled_outdates_nothing() {
    let mut remote = Remote::new(asked());
    let later = |secs| Duration::from_secs(secs);
    remote.read(
        Ec2,
        &words(TelemetryStatus::Down, "IPSEC IS UP"),
        asked().after(later(60)),
        NOON + later(60),
    );
    remote.read(CloudWatch, &tunnel_state(-1, 1.0), asked().after(later(120)), NOON + later(120));
    let word = |remote: &Remote| remote.bgp_word(asked().mono, STALE_AFTER, asked().mono + later(120));
    assert_eq!(word(&remote), BgpWord::Nothing);
    remote.keep_sources(|kind| kind == Ec2);
    assert_eq!(word(&remote), BgpWord::IpsecIsUp);
}

#[test]
fn which_way_packets_pass_by_awss_count() {
    let minutes = |count: i64| Duration::from_secs(60 * count.unsigned_abs());
    let (now, interval) = (asked().mono, Duration::from_secs(1));
    let point = |minutes_ago: u64, value: f64| {
        Some(Datapoint {
            stamp: NOON - Duration::from_secs(60 * minutes_ago),
            period: Duration::from_secs(60),
            value,
            under: FoundUnder::VpnAndAddress,
        })
    };
    let received = |points, since: i64, at: Moment| {
        let data = TunnelData { bytes_in: points, bytes_out: [None, None] };
        let flow = aws_flow(&data, (now, NOON), now - minutes(since), interval, at);
        assert_eq!(flow.sent, None);
        flow.received
    };
    let nothing = [point(3, 0.0), point(4, 0.0)];
    assert_eq!(received(nothing, 5, now), Some(false));
    assert_eq!(received(nothing, 4, now), None, "a minute may hold the break");
    assert_eq!(received([point(3, 0.0), None], 9, now), None, "one minute may be one lost packet");
    assert_eq!(received(nothing, 5, now + minutes(14)), None, "it is too long ago");
    assert_eq!(received([point(3, 190.0), point(4, 0.0)], 5, now), Some(false));
    assert_eq!(received([point(3, 700.0), point(4, 700.0)], 5, now), None, "a BGP session alone");
    assert_eq!(received([point(3, 2160.0), point(4, 5000.0)], 5, now), Some(true));
    assert_eq!(received([point(3, 2160.0), point(4, 0.0)], 5, now), None);
    let data = TunnelData { bytes_in: [None, None], bytes_out: nothing };
    let flow = aws_flow(&data, (now, NOON), now - minutes(5), interval, now);
    assert_eq!(flow, AwsFlow { received: None, sent: Some(false) });
}
