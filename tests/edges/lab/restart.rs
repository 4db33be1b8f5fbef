//! A daemon's state in an outage survives its process and its configuration.

use super::stage::{Config, OUTSIDE, Stage};

/// Enough for a second record, if there was one.
const POLLS: usize = 3;

#[test]
fn a_daemon_killed_in_an_outage_keeps_the_same_record_and_resolves_it() {
    let stage = in_an_outage();
    let before = stage.open_incident("outage").unwrap();
    stage.daemon.is_killed_and_started_again(|_| ());
    both_ends_agree(&stage);
    let after = stage.open_incident("outage").unwrap();
    assert_eq!((&after.id, &after.opened), (&before.id, &before.opened));
    assert_eq!(after.worsened, before.worsened, "finding the same tunnels down again is not worsening");
    stage.stays_so_for_polls(POLLS, || assert!(stage.aws.incident("outage", "OPEN").is_some()));

    stage.lab.heal("all");
    stage.wait_for("it is resolved", || stage.aws.incident("outage", "RESOLVED"));
    assert_eq!(stage.aws.incidents("outage").len(), 1);
}

#[test]
fn a_reload_in_an_outage_keeps_verdicts_and_incident_and_an_invalid_one_changes_nothing() {
    let stage = in_an_outage();
    let before = stage.open_incident("outage").unwrap();
    let down_since = OUTSIDE.map(|outside| stage.tunnel(outside).unwrap().local.since);
    let unchanged = || {
        let now = OUTSIDE.map(|outside| stage.tunnel(outside).unwrap().local);
        assert_eq!(now.each_ref().map(|local| &*local.verdict), ["down"; 2]);
        assert_eq!(now.map(|local| local.since), down_since);
        let after = stage.open_incident("outage").unwrap();
        assert_eq!((&after.id, &after.opened), (&before.id, &before.opened));
    };

    stage.daemon.is_reconfigured(&Config { vpn_name: "Another name", ..Config::default() });
    stage.eventually("the new name is shown", || stage.status().unwrap().vpns[0].name == "Another name");
    unchanged();

    stage.daemon.reads("[site]\nname = 5");
    stage.eventually("the wrong configuration is refused", || {
        stage.daemon.samples("bothends_config_reload_success") == [(String::new(), 0.0)]
    });
    stage.stays_so_for_polls(POLLS, unchanged);
    assert_eq!(stage.status().unwrap().vpns[0].name, "Another name");
    assert!(stage.aws.incident("outage", "OPEN").is_some());
}

/// No traffic passes either tunnel, both ends report both down, and the record exists.
fn in_an_outage() -> Stage {
    let stage = Stage::healthy(&Config::default());
    stage.lab.breaks("dead", "all");
    stage.wait_for("an outage record is created", || stage.aws.incident("outage", "OPEN"));
    both_ends_agree(&stage);
    stage
}

fn both_ends_agree(stage: &Stage) {
    for outside in OUTSIDE {
        stage.eventually("both ends say Down", || stage.assessment(outside) == "down");
    }
}
