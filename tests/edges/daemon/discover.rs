//! `bothends discover`: a configuration from AWS's answer, without its secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Daemon, Ended};
use super::site::{
    FIVE, FOUR, MILAN, ONE, PRE_SHARED_KEY, REGION, ROME, ROMES_REGION, SECRET, Site, THREE, TURIN, TWO,
    WATCHER,
};
use super::wait::until;

/// Well-formed, but does not exist.
const NOBODYS: &str = "vpn-00000000";
const CALL: &str = "ec2:DescribeVpnConnections in eu-west-1";

/// `bothends discover` with these arguments, at the most verbose log level.
fn command(site: &Site, arguments: &[&str]) -> Command {
    let mut command = site.bare(arguments);
    command.env("RUST_LOG", "trace").env("BOTHENDS_LOG", "trace").env("LOG_SENSITIVE_BODIES", "true");
    command
}

/// Asks AWS in [`REGION`]. Asserts that no secret is printed.
#[track_caller]
fn discover(site: &Site, arguments: &[&str]) -> Ended {
    discover_in(site, REGION, arguments)
}

#[track_caller]
fn discover_in(site: &Site, region: &str, arguments: &[&str]) -> Ended {
    without_secrets(site.run_command(command(site, &[&["discover", "--region", region], arguments].concat())))
}

#[track_caller]
fn without_secrets(ended: Ended) -> Ended {
    for secret in [PRE_SHARED_KEY, SECRET] {
        assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "{secret} in {ended:?}");
    }
    ended
}

/// Asserts this exit code, these texts on standard error, and nothing on standard output.
#[track_caller]
fn refused(ended: &Ended, code: i32, expected: &[&str]) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{ended:?}");
    for text in expected {
        assert!(ended.stderr.contains(text), "{text:?} is missing from\n{}", ended.stderr);
    }
}

/// The output of `bothends check` for a text.
fn checked(site: &Site, text: &str) -> Ended {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("bothends.toml");
    fs::write(&file, text).unwrap();
    site.run_command(site.bare(&["check", "--config", file.to_str().unwrap()]))
}

fn down(site: &Site, outside_ip: &str) {
    site.control(json!({ "set_tunnel": { "outside_ip": outside_ip, "up": false } }));
}

fn configuration(site: &Site, vpn_id: &str, view: &str) {
    site.control(json!({ "set_configuration": { "vpn_id": vpn_id, "configuration": view } }));
}

fn state(site: &Site, vpn_id: &str, state: &str) {
    site.control(json!({ "set_connection": { "vpn_id": vpn_id, "state": state } }));
}

#[test]
fn the_output_passes_the_check_unchanged_and_its_order_is_stable() {
    let site = Site::new();
    // The first tunnel's address is on an interface of its own, with a label as old tools set one; the second's is on
    // the loopback.
    site.here.ip("addr del 169.254.10.2/32 dev lo");
    site.here.ip("link add ipsec0 type veth peer name far");
    site.here.ip("addr add 169.254.10.2/30 dev ipsec0 label ipsec0:1");
    down(&site, TWO.outside);

    let printed = discover(&site, &[TURIN, MILAN]);
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""), "{printed:?}");
    assert!(
        printed.stdout.contains("AWS reported DOWN (IPSEC IS DOWN), last change 2"),
        "{}",
        printed.stdout
    );
    let checked = checked(&site, &printed.stdout);
    assert_eq!(checked.code, Some(0), "{checked:?}\n{}", printed.stdout);

    let again = discover(&site, &[MILAN, TURIN, MILAN]);
    let undated = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(undated(&printed.stdout), undated(&again.stdout));

    let json = discover(&site, &["--format", "json", MILAN, TURIN]);
    let printed_json: Value = serde_json::from_str(&json.stdout).unwrap();
    let vpns: Vec<_> = printed_json["vpn"].as_array().unwrap().iter().map(|vpn| &vpn["id"]).collect();
    assert_eq!(vpns, [TURIN, MILAN]);
    let tunnels: Vec<_> =
        printed_json["vpn"][1]["tunnel"].as_array().unwrap().iter().map(addresses).collect();
    assert_eq!(tunnels[0], [ONE.outside, "169.254.10.1", "169.254.10.2", "ipsec0", "active"]);
    // With BGP a session that is down is an error.
    assert_eq!(tunnels[1], [TWO.outside, "169.254.11.1", "169.254.11.2", "", "active"]);
    let apart = &printed_json["discovered"]["vpn"][1];
    assert_eq!(apart["id"], MILAN);
    assert_eq!(
        (&apart["tunnel"][0]["aws"]["status"], &apart["tunnel"][1]["aws"]["status"]),
        (&json!("up"), &json!("down"))
    );
}

fn addresses(tunnel: &Value) -> [&str; 5] {
    ["outside_ip", "inside_ip", "source_ip", "interface", "role"]
        .map(|key| tunnel[key].as_str().unwrap_or_default())
}

#[test]
fn the_daemon_is_healthy_with_the_discovered_configuration() {
    let site = Site::new();
    let file = site.home.config();
    fs::remove_file(&file).unwrap();
    let written = discover(&site, &[MILAN, "--write", file.to_str().unwrap()]);
    assert_eq!((written.code, written.stdout.as_str()), (Some(0), ""), "{written:?}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(!fs::read_to_string(&file).unwrap().contains(PRE_SHARED_KEY));
    let store = site.home.store();
    site.home.add("store.toml", &format!("[store]\npath = \"{}\"\n", store.display()));
    let daemon = Daemon::start(&site, &site.home, site.command(&site.home, &["run"]));
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
}

#[test]
fn an_existing_file_is_left_untouched_and_aws_is_not_asked() {
    let site = Site::new();
    let directory = TempDir::new().unwrap();
    let taken = directory.path().join("bothends.toml");
    let dangling = directory.path().join("dangling.toml");
    fs::write(&taken, "# mine\n").unwrap();
    std::os::unix::fs::symlink("/nowhere", &dangling).unwrap();
    for file in [&taken, &dangling] {
        let refusal = discover(&site, &[MILAN, "--write", file.to_str().unwrap()]);
        refused(&refusal, 1, &["exists and is left as it is"]);
    }
    assert_eq!(fs::read_to_string(&taken).unwrap(), "# mine\n");
    assert!(site.received("DescribeVpnConnections").is_empty());

    let missing = directory.path().join("missing/bothends.toml");
    refused(
        &discover(&site, &[MILAN, "--write", missing.to_str().unwrap()]),
        1,
        &["cannot write", "missing"],
    );
    assert!(!missing.parent().unwrap().exists());
}

#[test]
fn by_tag_all_matching_connections_are_found_except_deleted_ones() {
    let site = Site::new();
    let found = discover(&site, &["--tag", "Site=north of the Po & more", "--format", "json"]);
    let printed_json: Value = serde_json::from_str(&found.stdout).unwrap_or_else(|_| panic!("{found:?}"));
    let names: Vec<_> = printed_json["vpn"].as_array().unwrap().iter().map(|vpn| &vpn["name"]).collect();
    assert_eq!(names, [TURIN, "Milan \"DC\""]);

    state(&site, TURIN, "deleted");
    let fewer = discover(&site, &["--tag", "Site=north*"]);
    assert_eq!(fewer.code, Some(0), "{fewer:?}");
    assert!(fewer.stderr.contains(&format!("left out: {TURIN}")), "{}", fewer.stderr);
    assert!(fewer.stdout.contains(&format!("# Left out: {TURIN}")), "{}", fewer.stdout);
    assert!(!fewer.stdout.contains(&format!("id = \"{TURIN}\"")), "{}", fewer.stdout);
    assert!(fewer.stdout.contains("name = \"Milan \\\"DC\\\"\""));

    let none = discover(&site, &["--tag", "site=north*"]);
    refused(&none, 1, &["finds no VPN connection", CALL, "site=north*", "--region"]);
}

#[test]
fn every_unusable_connection_is_reported_at_once_and_nothing_is_printed() {
    let site = Site::new();
    configuration(&site, TURIN, "without_tunnels");
    let bad = discover(&site, &[MILAN, TURIN, ROME, NOBODYS]);
    refused(
        &bad,
        1,
        &[
            &format!("{TURIN}: {CALL} gives a CustomerGatewayConfiguration without tunnels"),
            &format!("{ROME}: {CALL} finds no such connection; is it in another Region (--region)"),
            &format!("{NOBODYS}: {CALL} finds no such connection"),
        ],
    );
    assert!(!bad.stderr.contains(MILAN), "{}", bad.stderr);

    for (view, expected) in [
        ("absent", "gives no CustomerGatewayConfiguration"),
        ("without_inside", "lacks addresses of a tunnel"),
        ("broken", "cannot be read (the answer is truncated)"),
    ] {
        configuration(&site, TURIN, view);
        refused(&discover(&site, &[TURIN]), 1, &[expected, CALL]);
    }
    configuration(&site, TURIN, "whole");
    for (wanted, expected) in [("pending", "wait"), ("deleting", "leave it out"), ("deleted", "leave it out")]
    {
        state(&site, TURIN, wanted);
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("bothends.toml");
        let refusal = discover(&site, &[TURIN, "--write", file.to_str().unwrap()]);
        refused(&refusal, 1, &[&format!("{CALL} says that it is {wanted}"), expected]);
        assert!(!file.exists());
    }
}

#[test]
fn connections_that_conflict_are_refused_and_named() {
    let site = Site::new();
    let inside = "169.254.10.0/30";
    site.control(json!({
        "set_addresses": { "outside_ip": FIVE.outside, "new_outside_ip": FIVE.outside, "inside_cidr": inside }
    }));
    for format in ["toml", "json"] {
        let both = discover(&site, &[MILAN, TURIN, "--format", format]);
        let [milan, turin] =
            [(MILAN, ONE), (TURIN, FIVE)].map(|(id, of)| format!("{id}, tunnel {}", of.outside));
        refused(&both, 1, &[&milan, &turin, "one by one", "set interface"]);
    }
    let alone = discover(&site, &[TURIN]);
    assert_eq!(checked(&site, &alone.stdout).code, Some(0), "{alone:?}");
}

#[test]
fn addresses_are_read_never_computed_and_ipv6_is_preferred() {
    let site = Site::new();
    let rome = discover_in(&site, ROMES_REGION, &[ROME, "--format", "json", "--role-arn", WATCHER]);
    let printed_json: Value = serde_json::from_str(&rome.stdout).unwrap_or_else(|_| panic!("{rome:?}"));
    assert_eq!(printed_json["vpn"][0]["role_arn"], WATCHER);
    let tunnels: Vec<_> =
        printed_json["vpn"][0]["tunnel"].as_array().unwrap().iter().map(addresses).collect();
    // The stand-in has the ends of the second tunnel swapped.
    assert_eq!(tunnels[0][..3], [THREE.outside, "fd00:10::1", "fd00:10::2"]);
    assert_eq!(tunnels[1][..3], [FOUR.outside, "fd00:11::2", "fd00:11::1"]);
}

#[test]
fn an_error_names_the_call_and_what_to_do() {
    let site = Site::new();
    for (kind, code, expected) in [
        ("denied", 77, "They need ec2:DescribeVpnConnections; the daemon does not"),
        ("expired", 77, "Renew them"),
        ("throttle", 1, "try again"),
        ("unavailable", 1, "try again"),
        ("garbage", 1, "try again"),
        ("truncated", 1, "try again"),
        ("close", 1, "the connection broke"),
    ] {
        site.fault_times("DescribeVpnConnections", json!(kind), 1);
        refused(&discover(&site, &[MILAN]), code, &["DescribeVpnConnections", "in eu-west-1", expected]);
    }
    let mut keyless = command(&site, &["discover", "--region", REGION, MILAN]);
    keyless.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let keyless = without_secrets(site.run_command(keyless));
    refused(&keyless, 77, &["in eu-west-1", "no AWS credentials (no profile [default]", "AWS_PROFILE"]);
    // An operator is not pointed to the daemon's credentials.
    assert!(!keyless.stderr.contains("/etc/bothends/credentials"), "{keyless:?}");

    let profile = "[profile ops]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-west-1\n\
                   sso_account_id = 123456789012\nsso_role_name = Ops\n";
    std::fs::write(site.home.file("aws-config"), profile).unwrap();
    let mut signed_out = command(&site, &["discover", "--region", REGION, MILAN]);
    signed_out.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    signed_out.env("AWS_CONFIG_FILE", site.home.file("aws-config")).env("AWS_PROFILE", "ops");
    let signed_out = without_secrets(site.run_command(signed_out));
    refused(&signed_out, 77, &["no AWS credentials", "Run `aws sso login --profile ops`"]);
    assert!(!signed_out.stderr.contains("daemon"), "{signed_out:?}");

    refused(&without_secrets(site.run_command(command(&site, &["discover", MILAN]))), 64, &["--region"]);
    let mut elsewhere = command(&site, &["discover", "--region", "eu-west-1", MILAN]);
    elsewhere.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    refused(&without_secrets(site.run_command(elsewhere)), 1, &["in eu-west-1", "no connection"]);
}

#[test]
fn all_invalid_arguments_are_reported_before_aws_is_asked() {
    let site = Site::new();
    let arguments = ["vpn-123", "VPN-0123ABCD", "--role-arn", "me"];
    let wrong = discover_in(&site, "Ireland", &arguments);
    refused(&wrong, 64, &["vpn-123", "VPN-0123ABCD", "Ireland", "--role-arn: invalid value \"me\""]);
    refused(&discover(&site, &["--tag", "Site"]), 64, &["--tag", "Site=milan-1"]);
    refused(&discover(&site, &[]), 64, &["VPN_ID"]);
    refused(&discover(&site, &[MILAN, "--tag", "a=b"]), 64, &["--tag"]);
    assert!(site.all_received().is_empty());
}

#[test]
fn with_ec2_telemetry_changed_aws_addresses_are_reported_once() {
    let site = Site::new();
    site.home.add("ec2.toml", "[aws]\nec2_telemetry = true\n");
    let daemon = site.start_healthy();
    until("EC2 has answered", || {
        daemon.metric("bothends_aws_polls_total{source=\"ec2\",result=\"ok\"}") >= 1.0
    });
    assert_eq!(daemon.logged("WARN", "addresses vpn-"), [""; 0]);

    let moved = |from: &str, to: &str| {
        site.control(json!({ "set_addresses": { "outside_ip": from, "new_outside_ip": to } }));
    };
    moved(TWO.outside, "203.0.113.99");
    let answer = daemon.until_readyz_says(&format!("addresses {MILAN}"));
    assert_eq!(answer.code, 200, "{answer:?}");
    let asked = site.received("DescribeVpnConnections").len();
    until("EC2 is polled again", || site.received("DescribeVpnConnections").len() >= asked + 2);
    let warnings = daemon.logged("WARN", "addresses vpn-");
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    for text in [
        &format!("VPN_ID={MILAN}"),
        "it has no tunnel with the configured outside_ip 203.0.113.12",
        "its tunnel 203.0.113.99 is not configured",
    ] {
        assert!(warnings[0].contains(text), "{text:?} is missing from {warnings:#?}");
    }

    moved("203.0.113.99", TWO.outside);
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
    daemon.until_logged(&format!("addresses {MILAN}: problem ended: "));
}

/// No partial file is left where a file could not be written.
#[test]
fn a_full_disk_leaves_no_partial_file() {
    let site = Site::new();
    let directory = TempDir::new().unwrap();
    let full = directory.path().join("full");
    fs::create_dir(&full).unwrap();
    let script = "mount -t tmpfs -o size=4k,nr_inodes=3 tmpfs $FULL; echo > $FULL/a; \"$@\"; code=$?; ls $FULL; exit $code";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_bothends")]);
    command.args(["discover", "--region", REGION, MILAN, "--write"]).arg(Path::new(&full).join("b"));
    let mut command = site.with_aws(command);
    command.env("FULL", &full);
    let ended = site.run_command(command);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "a\n"), "{ended:?}");
    assert!(ended.stderr.contains("cannot write"), "{ended:?}");
}
