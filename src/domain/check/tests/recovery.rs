//! A check always comes to a verdict, and back from one: no combination of rules, and no socket that is useless for
//! ever, holds it in doubt.

use super::*;

#[test]
fn a_dead_line_is_down_even_where_down_after_echoes_are_asked_within_one_timeout() {
    for timeout in [2, 3, 10] {
        let mut rig = Rig::new(ProbeRules { timeout: timeout * SECOND, ..rules() }, false);
        rig.run(40 * SECOND, |_, _| Fate::Reply(millis(20)));
        let cut = rig.now.mono;
        rig.run((timeout + 2) * SECOND, |_, _| Fate::Lost);
        assert_eq!(rig.check.verdict(), Verdict::Down, "timeout {timeout} s");
        let (down, _) = *rig.verdicts.last().unwrap();
        assert!(down.since(cut) >= timeout * SECOND, "the first overdue echo must be past the timeout");
    }
}

#[test]
fn a_socket_that_is_useless_for_ever_is_given_up_for_a_fresh_one() {
    let mut rig = Rig::calm();
    let useless = *rig.clients.last().unwrap();
    rig.run(60 * SECOND, |_, client| if client == useless { Fate::Lost } else { Fate::Reply(millis(20)) });
    assert!(!rig.check.is_suspect(), "it works on every other socket");
    assert_eq!(rig.check.verdict(), Verdict::Up);
}

#[test]
fn an_adapter_that_neither_sends_nor_fails_makes_it_unknown_however_slowly_it_is_asked() {
    for interval in [1, 2, 5, 60] {
        let slow = ProbeRules { interval: interval * SECOND, ..rules() };
        let mut rig = Rig::new(slow, false);
        rig.run(200 * SECOND, |_, _| Fate::Reply(millis(20)));
        assert_eq!(rig.check.verdict(), Verdict::Up);
        rig.run(4 * interval * SECOND + 5 * SECOND, |_, _| Fate::Vanishes);
        assert!(matches!(rig.check.verdict(), Verdict::Unknown(_)), "interval {interval} s");
    }
}

#[test]
fn replies_before_a_time_of_faults_do_not_count_towards_up() {
    let mut rig = Rig::calm();
    rig.run(60 * SECOND, |_, _| Fate::Fails(AskFailure::Fault(Fault::NoMemory)));
    let mut answered = 0;
    rig.run(millis(1100), |_, _| {
        answered += 1;
        if answered == 1 { Fate::Reply(millis(20)) } else { Fate::Lost }
    });
    assert_eq!(rig.check.verdict(), Verdict::Unknown(Why::Fault(Fault::NoMemory)));
}

#[test]
fn a_run_of_replies_goes_on_when_only_the_pacing_changes() {
    let mut rig = Rig::calm();
    rig.run(10 * SECOND, |_, _| Fate::Lost);
    rig.run(millis(1650), |_, _| Fate::Reply(millis(20)));
    assert_eq!((rig.check.verdict(), rig.check.evidence().replies_in_row), (Verdict::Down, 4));
    rig.check.set_rules(rules(), Moment::from_nanos(1), rig.now);
    rig.run(millis(250), |_, _| Fate::Reply(millis(20)));
    assert_eq!(rig.check.verdict(), Verdict::Up);
}

#[test]
fn one_client_that_lost_all_it_was_given_is_not_enough_for_down() {
    let hasty = ProbeRules { timeout: millis(100), down_after: NonZeroU32::MIN, ..rules() };
    let mut rig = Rig::new(hasty, false);
    rig.run(40 * SECOND, |_, _| Fate::Reply(millis(20)));
    let useless = *rig.clients.last().unwrap();
    rig.run(20 * SECOND, |_, client| if client == useless { Fate::Lost } else { Fate::Reply(millis(20)) });
    assert!(!rig.was_ever(Verdict::Down));
}

#[test]
fn faults_alone_for_twice_the_timeout_make_it_unknown_and_not_before() {
    let mut rig = Rig::new(ProbeRules { timeout: 5 * SECOND, ..rules() }, false);
    rig.run(40 * SECOND + millis(500), |_, _| Fate::Reply(millis(20)));
    let line = |_, _| Fate::Fails(AskFailure::Fault(Fault::TooManyFiles));
    rig.run(9 * SECOND, line);
    assert_eq!(rig.check.verdict(), Verdict::Up);
    rig.run(2 * SECOND, line);
    assert_eq!(rig.check.verdict(), Verdict::Unknown(Why::Fault(Fault::TooManyFiles)));
}

#[test]
fn the_usual_round_trip_is_frozen_while_down_too() {
    let mut rig = Rig::new(rules(), true);
    rig.run(millis(900), |echo, _| if echo <= 4 { Fate::Reply(millis(20)) } else { Fate::Lost });
    rig.run(10 * SECOND, |_, _| Fate::Lost);
    assert_eq!(rig.check.verdict(), Verdict::Down);
    let mut answered = 0;
    rig.run(millis(1500), |_, _| {
        answered += 1;
        if answered == 1 { Fate::Reply(millis(20)) } else { Fate::Lost }
    });
    assert!(rig.check.is_suspect());
    assert_eq!(rig.check.rtt.overdue_after(SECOND), SECOND, "five replies would make 100 ms");
}
