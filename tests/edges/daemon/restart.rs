//! What survives a restart, planned or not.

use serde_json::json;

use super::site::{MILAN, ONE, Site, TWO};
use super::wait::until;

#[test]
fn an_outage_that_outlives_the_daemon_is_one_record() {
    let site = Site::new();
    let daemon = site.start_healthy();
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until("the outage record is created", || site.records("outage").len() == 1);
    let id = daemon.status()["incidents"][0]["id"].clone();
    daemon.kill();

    let daemon = site.start();
    until("the incident continues", || daemon.status()["incidents"][0]["id"] == id);
    // The tunnels are remembered as seen up: their silence counts.
    daemon.until_assessed("down", &[&ONE, &TWO]);
    assert_eq!(daemon.vpn(MILAN)["phases"]["outage"], "open");
    daemon.kill();

    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
    let daemon = site.start();
    until("it is resolved", || site.records("outage")[0]["record"]["status"] == "RESOLVED");
    until("the incident is settled", || daemon.status()["incidents"] == json!([]));
    assert_eq!(site.records("outage").len(), 1);
    assert_eq!(site.starts().len(), 1);
}

#[test]
fn a_tunnel_that_never_answered_has_no_vote_before_or_after_a_restart() {
    let site = Site::new();
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    for _ in 0..2 {
        let daemon = site.start();
        daemon.until_assessed("unconfirmed", &[&ONE, &TWO]);
        until("it has never answered", || daemon.tunnel(&ONE)["local"]["why"] == "never_answered");
        site.until_asked(2);
        assert_eq!(daemon.status()["incidents"], json!([]));
        let warnings = daemon.logged("WARN", "never");
        let of_one: Vec<_> =
            warnings.iter().filter(|line| line.contains("END=local") && line.contains(ONE.outside)).collect();
        assert_eq!(of_one.len(), 1, "{warnings:#?}");
        let table = site.run(&["status"]).stdout;
        assert!(table.contains("never answered"), "{table}");
        daemon.stop();
    }
    assert!(site.received("StartIncident").is_empty());

    site.heal(&[&ONE, &TWO]);
    let daemon = site.start();
    daemon.until_logged("answered for the first time: our end has a vote");
    daemon.until_verdict("local", "up", &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until("it counts from here on", || site.records("outage").len() == 1);
}
