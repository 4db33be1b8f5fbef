//! AWS's maintenance of a tunnel's endpoint, from its announcement on.

use rustix::process::Signal;
use serde_json::json;

use super::site::{MILAN, ONE, Site, TWO};
use super::wait::{until, until_some};

/// 2030-01-01T00:00:00Z.
const DATE: i64 = 1_893_456_000;

fn with_ec2() -> Site {
    let site = Site::new();
    site.home.add("ec2.toml", "[aws]\nec2_telemetry = true\n");
    site
}

#[test]
fn a_replacement_is_shown_ahead_and_when_it_was_applied_and_opens_no_incident() {
    let site = with_ec2();
    site.control(json!({ "announce_maintenance": { "outside_ip": ONE.outside, "applied_after": DATE } }));
    let daemon = site.start_healthy();
    daemon.until_logged("AWS will replace its endpoint soon after 2030-01-01T00:00:00Z");
    let state = |tunnel| daemon.tunnel(tunnel)["maintenance"].clone();
    until("AWS has answered about both", || {
        state(&ONE)["as_of"].is_string() && state(&TWO)["as_of"].is_string()
    });
    assert_eq!((&state(&ONE)["state"], &state(&TWO)["state"]), (&json!("pending"), &json!("none")));
    assert_eq!(state(&ONE)["applied_after"], "2030-01-01T00:00:00Z");
    let labels = |tunnel: &super::site::Tunnel| format!("{{vpn=\"{MILAN}\",tunnel=\"{}\"}}", tunnel.outside);
    let metric =
        |name: &str, tunnel| daemon.metric(&format!("bothends_tunnel_maintenance_{name}{}", labels(tunnel)));
    let both = |name| [metric(name, &ONE), metric(name, &TWO)];
    assert_eq!((both("pending"), both("by_timestamp_seconds")), ([1.0, 0.0], [DATE as f64, 0.0]));
    let shown = site.run(&["status"]);
    assert!(
        shown.stdout.contains("    AWS replaces its endpoint soon after 2030-01-01T00:00:00Z"),
        "{shown:?}"
    );

    site.control(json!({ "apply_maintenance": { "outside_ip": ONE.outside } }));
    // A reload asks anew; by itself the daemon does within a minute.
    daemon.signal(Signal::HUP);
    daemon.until_logged("AWS replaced its endpoint at ");
    until("nothing is pending", || state(&ONE)["state"] == "none");
    assert!(state(&ONE)["last_applied"].is_string());
    assert_eq!(both("pending"), [0.0, 0.0]);
    assert_eq!(daemon.status()["incidents"], json!([]));
    assert_eq!(daemon.get("/readyz").body, "ready\n");
}

#[test]
fn a_missing_permission_is_a_state_and_no_problem() {
    let site = with_ec2();
    site.fault("GetVpnTunnelReplacementStatus", json!("denied"));
    let daemon = site.start_healthy();
    daemon.until_logged("the permission ec2:GetVpnTunnelReplacementStatus is missing");
    until_some("both are denied", || {
        [&ONE, &TWO]
            .iter()
            .all(|tunnel| daemon.tunnel(tunnel)["maintenance"]["state"] == "denied")
            .then_some(())
    });
    assert_eq!(daemon.get("/readyz").body, "ready\n");
    assert_eq!(site.received("GetVpnTunnelReplacementStatus").len(), 1);
}
