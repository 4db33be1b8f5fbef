//! Secrets that must not appear anywhere.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;

use serde_json::json;

use super::site::{MILAN, ONE, PRE_SHARED_KEY, SECRET, Site, TWO, WATCHER, inside};
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
    // EC2's status is read once a second where nothing has changed.
    until("EC2's evidence is the newer", || daemon.tunnel(&ONE)["aws"]["source"] == "ec2");

    // Truncated and invalid answers are reported, but never quoted.
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
    until("EC2's answer is invalid", || daemon.metric(&counted) >= 1.0);

    site.cut(&[&ONE, &TWO]);
    for tunnel in [&ONE, &TWO] {
        site.control(json!({ "set_tunnel": { "outside_ip": tunnel.outside, "up": false } }));
        site.control(json!({ "set_view": { "outside_ip": tunnel.outside, "cloudwatch": "silent" } }));
    }
    until("the outage record is created", || site.records("outage").len() == 1);
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
    assert!(log.contains("DEBUG "), "the log is not at debug level: {log}");
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

/// What STS quotes when a signature is wrong: the signed request, with the session token.
const TOKEN: &str = "TOKENSEKRIT0123456789";

#[test]
fn the_request_quoted_by_sts_on_a_wrong_signature_is_logged_at_no_level() {
    let site = Site::new();
    fs::create_dir(site.home.file(".aws")).unwrap();
    let profiles = format!(
        "[profile hub]\nrole_arn = {WATCHER}\nsource_profile = keys\n[profile keys]\naws_access_key_id = ASIASTANDINEXAMPLE02\n\
         aws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n"
    );
    fs::write(site.home.file(".aws/config"), profiles).unwrap();
    fs::set_permissions(site.home.file(".aws/config"), Permissions::from_mode(0o600)).unwrap();
    let sts = inside(&site.here, || TcpListener::bind("127.0.0.1:0").unwrap());
    let url = format!("http://{}", sts.local_addr().unwrap());
    thread::spawn(move || answer_wrong_signature(&sts));
    for level in ["", "trace"] {
        let mut command = site.command(&site.home, &["run"]);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command.env("AWS_PROFILE", "hub").env("AWS_ENDPOINT_URL_STS", &url).env("BOTHENDS_LOG", level);
        let daemon = super::process::Daemon::start(&site, &site.home, command);
        daemon.until_logged("SignatureDoesNotMatch");
        let log = daemon.stop();
        for secret in [TOKEN, SECRET] {
            assert!(!log.contains(secret), "{secret} at {level:?}: {log}");
        }
        assert!(!log.contains("AssumeRoleProvider"), "{level:?}: {log}");
    }
}

/// An STS for any caller, as long as the test runs.
fn answer_wrong_signature(sts: &TcpListener) {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match. The Canonical String \
         for this request should have been 'POST / x-amz-security-token:{TOKEN}'</Message></Error></ErrorResponse>"
    );
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    for stream in sts.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut request = Vec::new();
        let mut part = [0; 4096];
        // The call is named in the request's body.
        while !request.windows(7).any(|window| window == b"Action=") {
            match stream.read(&mut part) {
                Ok(0) | Err(_) => break,
                Ok(length) => request.extend_from_slice(&part[..length]),
            }
        }
        _ = stream.write_all(answer.as_bytes());
    }
}
