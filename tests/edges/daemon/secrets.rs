//! What nobody may ever read.

use std::fs;

use serde_json::json;

use super::site::{MILAN, ONE, PRE_SHARED_KEY, SECRET, Site, TWO};
use super::wait::until;

#[test]
fn pre_shared_keys_and_credentials_appear_nowhere_at_any_log_level() {
    let site = Site::new();
    site.home.add("ec2.toml", "[aws]\nec2_telemetry = true\n");
    let mut command = site.command(&site.home, &["run"]);
    command.env("BOTHENDS_LOG", "trace").env("RUST_LOG", "trace");
    let daemon = super::process::Daemon::start(&site, &site.home, command);
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    until("EC2 has answered", || {
        daemon.metric("bothends_aws_polls_total{source=\"ec2\",result=\"ok\"}") >= 1.0
    });
    assert_eq!(daemon.tunnel(&ONE)["aws"]["source"], "ec2");

    // Answers that break off or cannot be understood are told of, but never quoted.
    site.fault_times("DescribeVpnConnections", json!("truncated"), 1);
    site.fault_times("DescribeVpnConnections", json!("garbage"), 1);
    until("EC2 was misunderstood", || site.control(json!({ "faults": {} })) == json!([]));
    let fixed = json!({ "fixed": { "status": "SIDEWAYS", "message": "" } });
    let view = json!({ "outside_ip": TWO.outside, "ec2": fixed, "cloudwatch": "silent" });
    site.control(json!({ "set_view": view }));
    let counted = format!(
        "bothends_aws_evidence_unusable_total{{vpn=\"{MILAN}\",tunnel=\"{}\",why=\"garbage\"}}",
        TWO.outside
    );
    until("EC2 says what makes no sense", || daemon.metric(&counted) >= 1.0);

    site.cut(&[&ONE, &TWO]);
    for tunnel in [&ONE, &TWO] {
        site.control(json!({ "set_tunnel": { "outside_ip": tunnel.outside, "up": false } }));
        site.control(json!({ "set_view": { "outside_ip": tunnel.outside, "cloudwatch": "silent" } }));
    }
    until("the outage is raised", || site.records("outage").len() == 1);
    assert_eq!(daemon.vpn(MILAN)["phases"]["outage"], "open");

    let mut seen: Vec<(String, Vec<u8>)> = ["/status", "/metrics", "/readyz"]
        .map(|path| (path.to_owned(), daemon.get(path).body.into_bytes()))
        .into();
    seen.push((
        "what AWS received".to_owned(),
        site.control(json!({ "received": {} })).to_string().into_bytes(),
    ));
    for entry in fs::read_dir(site.home.store().parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        seen.push((path.display().to_string(), fs::read(path).unwrap()));
    }
    let log = daemon.stop();
    assert!(log.contains("DEBUG "), "the log tells little: {log}");
    seen.push(("the log".to_owned(), log.into_bytes()));
    seen.push((site.home.store().display().to_string(), fs::read(site.home.store()).unwrap()));
    for (place, bytes) in seen {
        assert!(!bytes.is_empty() || place.contains("db-"), "{place} is empty");
        for secret in [PRE_SHARED_KEY, SECRET] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in {place}");
        }
    }
}
