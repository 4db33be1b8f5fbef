use super::super::*;

fn at(secs: u64) -> Moment {
    Moment::ORIGIN + Duration::from_secs(secs)
}

#[test]
fn history_is_committed_once_a_minute_and_soon_after_a_long_calm() {
    let mut pace = Pace::default();
    assert_eq!(pace.due(), None);
    pace.history(at(100));
    pace.history(at(102));
    assert_eq!(pace.due(), Some(at(105)));
    pace.committed(at(105));
    assert_eq!(pace.due(), None);
    pace.history(at(110));
    assert_eq!(pace.due(), Some(at(165)));
    pace.committed(at(165));
    pace.history(at(1000));
    assert_eq!(pace.due(), Some(at(1005)));
}

#[test]
fn what_the_next_run_builds_on_is_committed_soon() {
    let mut pace = Pace::default();
    pace.committed(at(100));
    pace.history(at(101));
    pace.soon(at(110));
    pace.soon(at(112));
    assert_eq!(pace.due(), Some(at(115)));
    pace.failed(at(116));
    assert_eq!(pace.due(), Some(at(146)));
}

#[test]
fn state_is_committed_at_once() {
    let mut pace = Pace::default();
    pace.committed(at(100));
    pace.history(at(101));
    pace.state(at(102));
    assert_eq!(pace.due(), Some(at(102)));
}

#[test]
fn what_is_held_is_committed_when_that_is_over_and_once() {
    let mut pace = Pace::default();
    pace.hold_until(at(2));
    assert_eq!(pace.due(), None);
    pace.state(at(0));
    assert_eq!(pace.due(), Some(at(2)));
    pace.committed(at(2));
    pace.state(at(3));
    assert_eq!(pace.due(), Some(at(3)));
}

#[test]
fn a_failing_disk_is_tried_again_after_a_while_and_with_further_state() {
    let mut pace = Pace::default();
    pace.state(at(0));
    pace.failed(at(5));
    assert_eq!(pace.due(), Some(at(35)));
    pace.history(at(10));
    assert_eq!(pace.due(), Some(at(35)));
    pace.state(at(20));
    assert_eq!(pace.due(), Some(at(20)));
    pace.committed(at(20));
    assert_eq!(pace.due(), None);
}
