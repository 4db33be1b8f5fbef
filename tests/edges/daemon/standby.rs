//! A pair of gateways of which only the holder of an address votes.

use serde_json::json;

use super::site::{MILAN, ONE, REGION, Site, TWO};
use super::wait::until;

const VOTES: &str = "[site]\nvotes_if_address = \"192.0.2.100\"\n";

/// Settings with which an earlier record can be adopted, and closed within a test.
fn pair() -> Site {
    let site = Site::new();
    site.home.add("pair.toml", VOTES);
    site
}

#[test]
fn only_the_address_holder_probes_and_votes_even_with_nonlocal_bind() {
    let site = pair();
    site.here.run(async || std::fs::write("/proc/sys/net/ipv4/ip_nonlocal_bind", "1").unwrap());
    let daemon = site.start();
    daemon.until_logged("this host does not hold 192.0.2.100");
    until("this host is the standby", || daemon.tunnel(&ONE)["local"]["why"] == "not_here");
    site.until_asked(2);
    assert_eq!(daemon.replies(MILAN, &ONE), 0.0);
    until("it is ready anyway", || daemon.get("/readyz").code == 200);

    site.here.ip("addr add 192.0.2.100/32 dev lo");
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    daemon.until_logged("this host holds 192.0.2.100");

    site.here.ip("addr del 192.0.2.100/32 dev lo");
    until("this host is the standby again", || daemon.tunnel(&ONE)["local"]["why"] == "not_here");
    let replies = daemon.replies(MILAN, &ONE);
    site.until_asked(2);
    assert_eq!(daemon.replies(MILAN, &ONE), replies, "no probe is sent");
}

#[test]
fn an_ipv6_address_move_is_detected_too() {
    let site = Site::new();
    site.home.add("pair.toml", "[site]\nvotes_if_address = \"2001:db8::100\"\n");
    let daemon = site.start();
    until("this host is the standby", || daemon.tunnel(&ONE)["local"]["why"] == "not_here");
    site.here.add_ipv6("2001:db8::100/128", "dev lo preferred_lft 0");
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
}

#[test]
fn the_host_that_takes_over_resolves_what_the_other_left_open() {
    let site = pair();
    site.here.ip("addr add 192.0.2.100/32 dev lo");
    let first = site.start_healthy();
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until("the outage record is created", || site.records("outage").len() == 1);
    until("the incident is open", || first.status()["incidents"][0]["state"] == "open");

    site.here.ip("addr del 192.0.2.100/32 dev lo");
    until("it is handed over", || first.status()["incidents"] == json!([]));
    first.stop();
    assert_eq!(site.records("outage")[0]["record"]["status"], "OPEN");

    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
    site.here.ip("addr add 192.0.2.100/32 dev lo");
    let twin = site.twin();
    std::fs::create_dir_all(twin.config().parent().unwrap().join("conf.d")).unwrap();
    twin.add("pair.toml", VOTES);
    let second = super::process::Daemon::start(&site, &twin, site.command(&twin, &["run"]));
    second.until_logged("found open at incident_manager");
    until("the outage is resolved", || site.records("outage")[0]["record"]["status"] == "RESOLVED");
    until("the incident is settled", || second.status()["incidents"] == json!([]));
    assert_eq!(site.starts().len(), 1, "in {REGION}");
}
