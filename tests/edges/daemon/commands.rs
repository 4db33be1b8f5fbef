//! The commands for people, and the HTTP endpoints.

use std::io;
use std::process::Stdio;

use serde_json::Value;

use super::process::Ended;
use super::site::{MILAN, ONE, Site, TWO, inside};
use super::wait::until;

/// The kernel's default of `net.ipv4.ping_group_range`: no group.
const CLOSED: &str = "1 0";

#[test]
fn probe_prints_a_row_per_tunnel_and_its_exit_code_says_whether_all_answered() {
    let site = Site::new();
    let all = site.run(&["probe", "--echoes", "2"]);
    assert_eq!(all.code, Some(0), "{all:?}");
    for expected in ["Milan DC", "tunnel 1", "tunnel 2"] {
        assert!(all.stdout.contains(expected), "{expected:?} is missing from\n{}", all.stdout);
    }

    site.cut(&[&TWO]);
    let one = site.run(&["probe", "--echoes", "2"]);
    assert_eq!(one.code, Some(1), "{one:?}");
    let lost = one.stdout.lines().find(|line| line.contains("tunnel 2")).unwrap();
    assert!(lost.ends_with("no reply: 2"), "{}", one.stdout);
    assert!(site.all_received().is_empty(), "probe sends nothing to AWS");
}

/// As in `bothends check | head`, where the reader closes the pipe early.
#[test]
fn a_closed_output_pipe_does_not_change_a_commands_exit_code() {
    let site = Site::new();
    for (arguments, code) in [(&["check"][..], 0), (&["probe", "--echoes", "1"], 0), (&["status"], 3)] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut command = site.command(&site.home, arguments);
        command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
        let ended = Ended::from(inside(&site.here, || command.output().unwrap()));
        assert_eq!(ended.code, Some(code), "{arguments:?}");
    }
}

#[test]
fn without_permission_for_icmp_the_sysctl_and_the_capability_are_named() {
    let site = Site::new();
    site.here.set("net/ipv4/ping_group_range", CLOSED);
    for command in [&["run"][..], &["probe"], &["check", "--to-run"]] {
        let ended = site.run_command(site.without_capabilities(command));
        assert_eq!(ended.code, Some(77), "{command:?}: {ended:?}");
        for expected in ["sysctl -w net.ipv4.ping_group_range=\"0 0\"", "AmbientCapabilities=CAP_NET_RAW"] {
            let line = ended.stderr.lines().find(|line| line.contains(expected));
            assert!(line.is_some(), "{command:?}: {expected:?} is missing from\n{}", ended.stderr);
        }
    }
    assert!(site.all_received().is_empty());
    assert!(!site.home.store().exists());
}

#[test]
fn status_shows_the_running_daemons_state_and_says_if_none_is_running() {
    let site = Site::new();
    let nobody = site.run(&["status"]);
    assert_eq!(nobody.code, Some(3));
    assert!(nobody.stdout.starts_with("UNKNOWN: cannot ask the daemon at 127.0.0.1:9846"), "{nobody:?}");

    let daemon = site.start_healthy();
    let table = site.run(&["status"]);
    assert_eq!(table.code, Some(0), "{table:?}");
    assert!(table.stdout.starts_with("HEALTHY: 1 connection, 2 tunnels\n"), "{}", table.stdout);
    for expected in [
        "milan-1",
        &format!("Milan DC ({MILAN})"),
        "tunnel 1",
        TWO.outside,
        "healthy since",
        "incidents: raise",
    ] {
        assert!(table.stdout.contains(expected), "{expected:?} is missing from\n{}", table.stdout);
    }

    let json = site.run(&["status", "--json"]);
    assert_eq!(json.code, Some(0), "{json:?}");
    let printed_json: Value = serde_json::from_str(&json.stdout).unwrap();
    let known = daemon.status();
    for key in ["site", "version", "mode", "incidents", "problems"] {
        assert_eq!(printed_json[key], known[key], "{key}");
    }
    assert_eq!(printed_json["vpns"][0]["tunnels"][0]["assessment"], "healthy");
}

/// Monitoring systems treat every other code as a connection that is down, and show only the first line of standard
/// output.
#[test]
fn status_always_exits_with_0_to_3_and_gives_the_reason_first() {
    let site = Site::new();
    let first = |ended: &Ended| ended.stdout.lines().next().unwrap_or_default().to_owned();
    for arguments in [&["status", "--jsn"][..], &["status", "more"], &["--config", "/x", "status", "--url"]] {
        let wrong = site.run_command(site.bare(arguments));
        assert_eq!(wrong.code, Some(3), "{arguments:?}: {wrong:?}");
        assert!(first(&wrong).starts_with("UNKNOWN: ") && first(&wrong).len() > 12, "{wrong:?}");
    }
    for url in ["https://127.0.0.1:9846", "http://127.0.0.1:1", "nowhere.invalid"] {
        let wrong = site.run_command(site.bare(&["status", "--url", url]));
        assert_eq!(wrong.code, Some(3), "{url}: {wrong:?}");
        assert!(first(&wrong).starts_with("UNKNOWN: "), "{wrong:?}");
    }
    let help = site.run_command(site.bare(&["status", "--help"]));
    assert_eq!(help.code, Some(0), "{help:?}");

    let daemon = site.start_healthy();
    // It works without a configuration, and with a wrong one.
    let status = |arguments: &[&str]| site.run_command(site.bare(&[&["status"], arguments].concat()));
    assert_eq!(status(&["--config", "/nonexistent.toml"]).code, Some(0));
    site.home.add("wrong.toml", "[probe]\nup_after = 5.0\n[oops\n");
    assert_eq!(site.run(&["status"]).code, Some(0));
    assert_eq!(status(&["--url", "http://127.0.0.1:9846"]).code, Some(0));

    site.cut(&[&ONE]);
    site.aws_says(false, &[&ONE]);
    daemon.until_assessed("down", &[&ONE]);
    let degraded = site.run(&["status"]);
    assert_eq!(degraded.code, Some(1), "{degraded:?}");
    assert!(first(&degraded).starts_with("DEGRADED: Milan DC"), "{degraded:?}");
    site.cut(&[&TWO]);
    site.aws_says(false, &[&TWO]);
    daemon.until_assessed("down", &[&ONE, &TWO]);
    let down = site.run(&["status", "--json"]);
    assert_eq!(down.code, Some(2), "{down:?}");
    assert!(serde_json::from_str::<Value>(&down.stdout).is_ok(), "{down:?}");
    assert!(first(&site.run(&["status"])).starts_with("DOWN: Milan DC"), "{down:?}");
}

#[test]
fn an_aws_address_on_this_host_is_a_problem_until_it_is_removed() {
    let site = Site::new();
    let daemon = site.start_healthy();
    site.here.ip("addr add 169.254.11.1/32 dev lo");
    let answer = daemon.until_readyz_says("inside_ip 169.254.11.1 is an address of this host");
    assert_eq!(answer.code, 503, "{answer:?}");
    let checked = site.run(&["check"]);
    assert!(checked.stderr.contains("which answers its own probes"), "{checked:?}");
    assert_eq!(site.run(&["status"]).code, Some(1));

    site.here.ip("addr del 169.254.11.2/32 dev lo");
    daemon.until_readyz_says("they are swapped. Set inside_ip = \"169.254.11.2\"");
    site.here.ip("addr del 169.254.11.1/32 dev lo");
    site.here.ip("route replace local 169.254.11.1/32 dev lo");
    site.here.ip("addr add 169.254.11.2/32 dev lo");
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
}

#[test]
fn the_listener_answers_as_documented() {
    let site = Site::new();
    let daemon = site.start_healthy();
    let plain = "text/plain; charset=utf-8";
    for (path, code, content_type, begins) in [
        ("/healthz", 200, plain, "ok\n"),
        ("/readyz", 200, plain, "ready\n"),
        ("/status", 200, "application/json", "{\"site\":\"milan-1\""),
        ("/metrics", 200, "text/plain; version=0.0.4", "# "),
        ("/", 200, "text/html; charset=utf-8", "<!"),
        ("/nothing", 404, plain, "try /, /metrics"),
    ] {
        let answer = daemon.get(path);
        assert_eq!(answer.code, code, "{path}: {answer:?}");
        assert!(answer.content_type.starts_with(content_type), "{path}: {answer:?}");
        assert!(answer.body.starts_with(begins), "{path}: {answer:?}");
    }

    let of_one = format!("vpn=\"{MILAN}\",tunnel=\"{}\"", ONE.outside);
    for (series, value) in [
        (format!("bothends_tunnel_verdict{{{of_one},end=\"local\",verdict=\"up\"}}"), 1.0),
        (format!("bothends_tunnel_verdict{{{of_one},end=\"aws\",verdict=\"up\"}}"), 1.0),
        (format!("bothends_tunnel_assessment{{{of_one},assessment=\"healthy\"}}"), 1.0),
        (format!("bothends_tunnel_assessment{{{of_one},assessment=\"down\"}}"), 0.0),
        (
            format!(
                "bothends_incident_open{{scope=\"connection\",name=\"Milan DC\",vpn=\"{MILAN}\",kind=\"outage\"}}"
            ),
            0.0,
        ),
        ("bothends_config_reload_success".to_owned(), 1.0),
        (format!("bothends_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0),
    ] {
        assert!(daemon.get("/metrics").body.contains(&format!("\n{series} ")), "{series} is missing");
        assert_eq!(daemon.metric(&series), value, "{series}");
    }
    assert!(daemon.replies(MILAN, &ONE) > 0.0);
    assert!(daemon.metric("bothends_aws_polls_total{source=\"cloudwatch\",result=\"ok\"}") > 0.0);
}
