//! A silence over a real break.

use super::stage::{Config, OUTSIDE, Stage};

/// Enough for a record, if one was created.
const POLLS: usize = 3;

#[test]
fn a_break_in_a_silence_is_paged_at_its_end_with_its_true_start_over_a_restart_in_the_middle() {
    let stage = Stage::healthy(&Config::default());
    stage.daemon.command(&["silence", "add", "--site", "--for", "2h", "--reason", "the line moves"]);

    stage.lab.breaks("dead", "all");
    let opened = stage.wait_for("the outage opens", || stage.open_incident("outage"));
    assert_eq!(opened.withheld.as_deref(), Some("silence 1"));
    stage.daemon.is_killed_and_started_again(|_| ());
    for outside in OUTSIDE {
        stage.eventually("both ends say Down", || stage.assessment(outside) == "down");
    }
    let after = stage.open_incident("outage").unwrap();
    assert_eq!((&after.id, &after.began, &after.withheld), (&opened.id, &opened.began, &opened.withheld));
    stage.stays_so_for_polls(POLLS, || assert_eq!(stage.aws.pages(), 0));

    stage.daemon.command(&["silence", "end", "1"]);
    let record = stage.wait_for("the outage is paged", || stage.aws.incident("outage", "OPEN"));
    assert!(record.to_string().contains(&opened.began), "it began at {}: {record:#}", opened.began);
    stage.lab.heal("all");
    stage.wait_for("it is resolved", || stage.aws.incident("outage", "RESOLVED"));
    assert_eq!(stage.aws.pages(), 1);
}

#[test]
fn what_is_over_before_its_silence_ends_is_recorded_and_not_paged() {
    let stage = Stage::healthy(&Config::default());
    stage.daemon.command(&["silence", "add", "--site", "--for", "2h", "--reason", "the line moves"]);
    stage.lab.breaks("dead", "all");
    stage.eventually("the outage opens", || stage.open_incident("outage").is_some());
    stage.lab.heal("all");
    stage.eventually("the outage is over", || stage.open_incident("outage").is_none());
    stage.daemon.command(&["silence", "end", "1"]);
    stage.stays_so_for_polls(POLLS, || assert_eq!(stage.aws.pages(), 0));
}
