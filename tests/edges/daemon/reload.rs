//! SIGHUP.

use rustix::process::Signal;

use super::site::{FIVE, MILAN, ONE, Site, TURIN, TWO};
use super::wait::until;

#[test]
fn a_valid_change_takes_effect_and_unchanged_tunnels_keep_their_state() {
    let site = Site::new();
    site.here.ip("addr add 169.254.11.3/32 dev lo");
    let daemon = site.start_healthy();
    let (one, two) = (daemon.tunnel(&ONE), daemon.tunnel(&TWO));
    let replies = daemon.replies(MILAN, &ONE);

    site.home.edit("Milan DC", "Milan, the new hall");
    site.home.edit("\ninterval = \"200ms\"", "\ninterval = \"250ms\"");
    site.home.edit("source_ip = \"169.254.10.2\"", "source_ip = \"169.254.10.2\"\nname = \"by cable\"");
    site.home.edit("source_ip = \"169.254.11.2\"", "source_ip = \"169.254.11.3\"");
    daemon.signal(Signal::HUP);
    daemon.until_logged("configuration reloaded: 2 tunnels in 1 VPN connection");
    daemon.until_assessed("healthy", &[&ONE, &TWO]);

    assert_eq!(daemon.vpn(MILAN)["name"], "Milan, the new hall");
    let renamed = daemon.tunnel(&ONE);
    assert_eq!(renamed["name"], "by cable");
    for end in ["local", "aws"] {
        assert_eq!(renamed[end]["since"], one[end]["since"], "{end}");
    }
    assert_eq!(renamed["assessed_since"], one["assessed_since"]);
    assert!(daemon.replies(MILAN, &ONE) >= replies);
    assert_ne!(
        daemon.tunnel(&TWO)["local"]["since"],
        two["local"]["since"],
        "it is probed from another address"
    );
    assert_eq!(daemon.metric("bothends_config_reload_success"), 1.0);
    daemon.until_probed_further(MILAN, &ONE);
}

#[test]
fn a_tunnel_probed_from_another_address_is_still_remembered_as_seen_up() {
    let site = Site::new();
    site.here.ip("addr add 169.254.11.3/32 dev lo");
    let daemon = site.start_healthy();
    site.aws_says(false, &[&TWO]);
    site.cut(&[&TWO]);
    daemon.until_assessed("down", &[&TWO]);
    let since = daemon.tunnel(&TWO)["local"]["since"].clone();

    site.home.edit("source_ip = \"169.254.11.2\"", "source_ip = \"169.254.11.3\"");
    daemon.signal(Signal::HUP);
    until("it is probed afresh", || daemon.tunnel(&TWO)["local"]["since"] != since);
    daemon.until_assessed("down", &[&TWO]);
}

#[test]
fn an_invalid_change_keeps_the_old_configuration_and_is_reported_until_it_is_fixed() {
    let site = Site::new();
    let daemon = site.start_healthy();
    let since = daemon.tunnel(&ONE)["local"]["since"].clone();

    site.home.edit("Milan DC", "Milan, the new hall");
    site.home.edit("down_after = 5", "down_after = 0");
    daemon.signal(Signal::HUP);
    let answer = daemon.until_readyz_says("the last reload was refused");
    assert_eq!(answer.code, 200, "it still votes and pages: {answer:?}");
    assert!(answer.body.contains("probe.down_after: invalid value 0"), "{answer:?}");
    let refused = daemon.logged("ERROR", "reload refused");
    assert!(refused.len() == 1 && refused[0].contains("probe.down_after"), "{refused:?}");
    assert_eq!(daemon.metric("bothends_config_reload_success"), 0.0);
    assert_eq!(daemon.status()["problems"][0]["component"], "configuration");
    assert_eq!(daemon.vpn(MILAN)["name"], "Milan DC");
    assert_eq!(daemon.tunnel(&ONE)["local"]["since"], since);
    daemon.until_probed_further(MILAN, &ONE);

    site.home.edit("down_after = 0", "down_after = 6");
    daemon.signal(Signal::HUP);
    until("the problem has ended", || daemon.get("/readyz").body == "ready\n");
    assert_eq!(daemon.metric("bothends_config_reload_success"), 1.0);
    assert_eq!(daemon.vpn(MILAN)["name"], "Milan, the new hall");
}

#[test]
fn a_change_that_needs_a_restart_is_reported() {
    let site = Site::new();
    let daemon = site.start_healthy();
    site.home.edit("127.0.0.1:9846", "127.0.0.1:9848");
    daemon.signal(Signal::HUP);
    let answer = daemon.until_readyz_says("[http] listen changed, which needs a restart");
    assert_eq!(answer.code, 200);
}

#[test]
fn a_removed_connection_leaves_its_record_open_with_a_note() {
    let site = Site::new();
    site.home.add("turin.toml", &format!("[[vpn]]\nid = \"{TURIN}\"\nname = \"Turin\"\n{}", FIVE.toml()));
    let daemon = site.start_healthy();
    daemon.until_assessed("healthy", &[&FIVE]);
    site.aws_says(false, &[&FIVE]);
    site.cut(&[&FIVE]);
    until("its outage record is created", || site.records("outage").len() == 1);
    until("the daemon knows its record", || {
        daemon.metric("bothends_sink_pending{sink=\"incident_manager\"}") == 0.0
    });

    site.home.remove("turin.toml");
    daemon.signal(Signal::HUP);
    until("the record says so", || {
        let timeline = site.records("outage")[0]["timeline"].to_string();
        timeline.contains("no longer watched")
    });
    until("the incident is settled", || daemon.status()["incidents"].as_array().unwrap().is_empty());
    assert_eq!(site.records("outage")[0]["record"]["status"], "OPEN");
    for update in site.received("UpdateIncidentRecord") {
        assert!(
            update["parameters"]["status"].is_null(),
            "its summary is kept current, and it is not closed: {update}"
        );
    }

    let metrics = daemon.get("/metrics").body;
    let state = metrics.lines().filter(|line| line.starts_with("bothends_tunnel_") && line.contains(TURIN));
    assert_eq!(state.count(), 0, "{metrics}");
    assert!(daemon.vpn(TURIN).is_null());
    daemon.until_probed_further(MILAN, &TWO);
}
