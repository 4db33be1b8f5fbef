//! What a person and a scraper ask.

use std::io;
use std::process::Stdio;

use serde_json::Value;

use super::process::Ended;
use super::site::{MILAN, ONE, Site, TWO, inside};

/// As the kernel ships `net.ipv4.ping_group_range`: for no group.
const CLOSED: &str = "1 0";

#[test]
fn probe_prints_a_row_for_every_tunnel_and_tells_by_its_exit_code_whether_all_answered() {
    let site = Site::new();
    let all = site.run(&["probe", "--echoes", "2"]);
    assert_eq!(all.code, Some(0), "{all:?}");
    for told in ["Milan DC", "tunnel 1", "tunnel 2"] {
        assert!(all.stdout.contains(told), "{told:?} is not told in\n{}", all.stdout);
    }

    site.cut(&[&TWO]);
    let one = site.run(&["probe", "--echoes", "2"]);
    assert_eq!(one.code, Some(1), "{one:?}");
    let lost = one.stdout.lines().find(|line| line.contains("tunnel 2")).unwrap();
    assert!(lost.ends_with("no reply: 2"), "{}", one.stdout);
    assert!(site.received_at_all().is_empty(), "probe needs nobody's help");
}

/// As in `bothends check | head`, where what is read last is long past what was wanted.
#[test]
fn a_command_of_which_nobody_reads_the_output_ends_as_it_would_have() {
    let site = Site::new();
    for (arguments, code) in [(&["check"][..], 0), (&["probe", "--echoes", "1"], 0), (&["status"], 1)] {
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
        let ended = site.run_command(site.powerless(command));
        assert_eq!(ended.code, Some(77), "{command:?}: {ended:?}");
        for told in ["sysctl -w net.ipv4.ping_group_range=\"0 0\"", "AmbientCapabilities=CAP_NET_RAW"] {
            let line = ended.stderr.lines().find(|line| line.contains(told));
            assert!(line.is_some(), "{command:?}: {told:?} is not told in\n{}", ended.stderr);
        }
    }
    assert!(site.received_at_all().is_empty());
    assert!(!site.home.store().exists());
}

#[test]
fn status_shows_what_the_running_daemon_knows_and_says_so_when_none_runs() {
    let site = Site::new();
    let nobody = site.run(&["status"]);
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("cannot ask the daemon at 127.0.0.1:9846"), "{}", nobody.stderr);

    let daemon = site.start_healthy();
    let table = site.run(&["status"]);
    assert_eq!(table.code, Some(0), "{table:?}");
    for told in [
        "milan-1",
        &format!("Milan DC ({MILAN})"),
        "tunnel 1",
        TWO.outside,
        "healthy since",
        "incidents: raise",
    ] {
        assert!(table.stdout.contains(told), "{told:?} is not told in\n{}", table.stdout);
    }

    let json = site.run(&["status", "--json"]);
    assert_eq!(json.code, Some(0), "{json:?}");
    let told: Value = serde_json::from_str(&json.stdout).unwrap();
    let known = daemon.status();
    for key in ["site", "version", "mode", "incidents", "problems"] {
        assert_eq!(told[key], known[key], "{key}");
    }
    assert_eq!(told["vpns"][0]["tunnels"][0]["assessment"], "healthy");
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
        ("/nothing", 404, plain, "try /metrics"),
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
        (format!("bothends_incident_open{{vpn=\"{MILAN}\",kind=\"outage\"}}"), 0.0),
        ("bothends_config_reload_success".to_owned(), 1.0),
        (format!("bothends_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0),
    ] {
        assert!(daemon.get("/metrics").body.contains(&format!("\n{series} ")), "{series} is missing");
        assert_eq!(daemon.metric(&series), value, "{series}");
    }
    assert!(daemon.replies(MILAN, &ONE) > 0.0);
    assert!(daemon.metric("bothends_aws_polls_total{source=\"cloudwatch\",result=\"ok\"}") > 0.0);
}
