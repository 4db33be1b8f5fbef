//! Wrong and right configurations.

use std::collections::BTreeSet;
use std::net::TcpListener;

use serde_json::Value;

use super::site::{MILAN, ONE, PLAN, Site, TWO, inside};

/// Mistakes in the main file and in a conf.d file; each is listed in [`MISTAKES`].
fn make_mistakes(site: &Site) {
    site.home.edit("name = \"milan-1\"", "name = \"\"");
    site.home.edit("poll_interval = \"5s\"\n", "poll_interval = 5\n");
    site.home.edit(TWO.outside, ONE.outside);
    site.home.edit("[incident]", "[incident]\nmode = \"off\"");
    site.home.add("rome.toml", "[[vpn]]\nid = \"vpn-rome\"\nnmae = \"Rome\"\n");
}

/// File and line, key, and the message.
const MISTAKES: [(&str, &str); 6] = [
    ("bothends.toml:3: site.name: ", "invalid value \"\"; expected "),
    ("bothends.toml:6: aws.poll_interval: ", "invalid value 5; expected a duration with its unit"),
    ("bothends.toml:24: vpn[0].tunnel[1].outside_ip: ", "is the same as vpn[0].tunnel[0].outside_ip at "),
    ("bothends.toml:29: incident.mode: ", "invalid value \"off\"; expected \"raise\", \"observe\""),
    ("conf.d/rome.toml:2: vpn[0].id: ", "invalid value \"vpn-rome\"; expected "),
    ("conf.d/rome.toml:3: vpn[0].nmae: ", "unknown key"),
];

#[test]
fn a_wrong_configuration_is_refused_with_every_mistake_and_nothing_is_bound_or_sent() {
    let site = Site::new();
    make_mistakes(&site);
    // A daemon that tried to listen would find the port in use and say so.
    let _taken = inside(&site.here, || TcpListener::bind(site.home.listen).unwrap());
    let packets = site.packets();
    for command in ["run", "check", "probe"] {
        let ended = site.run(&[command]);
        assert_eq!(ended.code, Some(78), "{command}: {ended:?}");
        let mut lines = BTreeSet::new();
        for (place, what) in MISTAKES {
            let line = ended.stderr.lines().find(|line| line.contains(place) && line.contains(what));
            lines.insert(line.unwrap_or_else(|| panic!("{command}: {place}{what}\n{}", ended.stderr)));
        }
        assert_eq!(lines.len(), MISTAKES.len(), "{command}: one line per mistake\n{}", ended.stderr);
        assert!(!ended.stderr.contains("cannot listen"), "{command}: {}", ended.stderr);
    }
    assert_eq!(site.packets(), packets, "a packet was sent");
    assert_eq!(site.all_received(), Vec::<Value>::new());
    assert!(!site.home.store().exists());
}

#[test]
fn a_missing_configuration_is_refused_with_its_path() {
    let site = Site::new();
    std::fs::remove_file(site.home.config()).unwrap();
    let ended = site.run(&["run"]);
    assert_eq!(ended.code, Some(78));
    for expected in
        ["bothends.toml", "--config", "bothends discover vpn-", "/usr/share/bothends/bothends.toml"]
    {
        assert!(ended.stderr.contains(expected), "{expected:?} is missing from\n{}", ended.stderr);
    }
}

#[test]
fn an_environment_variable_overrides_a_key_and_an_unknown_one_is_a_mistake() {
    let site = Site::new();
    let mut overriding = site.command(&site.home, &["check"]);
    overriding.env("BOTHENDS_SITE__NAME", "milan-9");
    let ended = site.run_command(overriding);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("milan-9"), "{}", ended.stdout);

    let mut mistaken = site.command(&site.home, &["check"]);
    mistaken.env("BOTHENDS_SITE__NMAE", "milan-9");
    let ended = site.run_command(mistaken);
    assert_eq!(ended.code, Some(78));
    assert!(ended.stderr.contains("environment variable BOTHENDS_SITE__NMAE: "), "{}", ended.stderr);
}

#[test]
fn a_right_configuration_is_summarised_without_sending_a_packet() {
    let site = Site::new();
    let packets = site.packets();
    let ended = site.run(&["check"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for expected in [
        "milan-1",
        "Milan DC",
        MILAN,
        "echo 169.254.10.2 -> 169.254.10.1",
        "echo 169.254.11.2 -> 169.254.11.1",
        "an echo every 200ms",
        "outage opens after 0s",
        "CloudWatch TunnelState in eu-west-1",
        PLAN,
        "namespace BothEnds",
        "http://127.0.0.1:9846/",
    ] {
        assert!(ended.stdout.contains(expected), "{expected:?} is missing from\n{}", ended.stdout);
    }
    assert_eq!(site.packets(), packets);
    assert!(!site.home.store().exists());
}

#[test]
fn a_source_address_missing_on_this_host_is_a_warning() {
    let site = Site::new();
    site.here.ip("addr del 169.254.11.2/32 dev lo");
    let ended = site.run(&["check"]);
    assert_eq!(ended.code, Some(0));
    let warnings: Vec<_> = ended.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warnings.len(), 1, "{}", ended.stderr);
    assert!(
        warnings[0].contains(TWO.outside) && warnings[0].contains("source_ip 169.254.11.2"),
        "{warnings:?}"
    );
}

#[test]
fn invalid_arguments_are_usage_errors() {
    let site = Site::new();
    let senseless: [&[&str]; 4] =
        [&["frobnicate"], &["run", "--fast"], &["probe", "--echoes", "0"], &["run", "twice"]];
    for arguments in senseless {
        let ended = site.run(arguments);
        assert_eq!(ended.code, Some(64), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("error: "), "{arguments:?}: {}", ended.stderr);
    }
    let version = site.run(&["--version"]);
    assert_eq!(version.code, Some(0));
    assert_eq!(version.stdout, concat!("bothends ", env!("CARGO_PKG_VERSION"), "\n"));
}
