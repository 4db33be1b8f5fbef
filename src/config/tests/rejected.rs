//! One file per rule in `tests/config_rejections`: a comment that says the rule, the configuration that breaks it, and
//! behind `#!` the expected problems.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::schema::RENAMED;
use crate::config::tests::{Files, SINK, VPN, load_file, load_text};
use crate::config::{ProblemKind, Provenance, ReadBy, Surroundings, load_in};
use crate::settings::WebhookSettings;

const MARK: &str = "#! ";

fn rejections() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_rejections");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn each_rule_is_reported_with_line_key_found_and_allowed() {
    let mut wrong = Vec::new();
    for path in rejections() {
        let text = fs::read_to_string(&path).unwrap();
        let expected: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(MARK)).collect();
        let reported =
            load_file(&path, &[]).map_or_else(|rejection| rejection.to_string(), |_| "taken".to_owned());
        let reported = reported.replace(&format!("{}/", path.parent().unwrap().display()), "");
        if std::env::var_os("BOTHENDS_WRITE").is_some() {
            let kept: Vec<_> = text.lines().filter(|line| !line.starts_with(MARK.trim_end())).collect();
            let reported: Vec<_> = reported.lines().map(|line| format!("{MARK}{line}")).collect();
            fs::write(&path, format!("{}\n\n{}\n", kept.join("\n").trim_end(), reported.join("\n"))).unwrap();
        } else if reported.lines().ne(expected.iter().copied()) {
            let reported: Vec<_> = reported.lines().map(|line| format!("{MARK}{line}")).collect();
            wrong.push(format!("{}\n{}", path.display(), reported.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "these files do not hold the reported problems:\n\n{}", wrong.join("\n\n"));
}

#[test]
fn a_problem_can_be_taken_apart() {
    let files = Files::new(&format!("[probe]\ninterval = 5\n{VPN}{SINK}"));
    let rejection = files.load(&[]).unwrap_err();
    let problem = &rejection.problems[0];
    assert_eq!(problem.place, Provenance::File { path: files.main(), line: Some(2) });
    assert_eq!(problem.key, "probe.interval");
    assert!(matches!(&problem.what, ProblemKind::Value { found, .. } if found == "5"), "{problem:?}");
}

#[test]
fn of_too_many_unknown_keys_the_first_by_line_are_listed() {
    // By their names they would stand the other way round.
    let keys: String = (0..150).rev().map(|n| format!("x{n:03} = 1\n")).collect();
    let files = Files::new(&format!("[site]\n{keys}{VPN}{SINK}"));
    let lines = files.load(&[]).unwrap_err().lines();
    assert!(lines[0].contains(":2: site.x149: unknown key"), "{}", lines[0]);
    assert!(lines[99].contains(":101: site.x050: unknown key"), "{}", lines[99]);
    assert_eq!(lines[100], "and 50 more problems: fix these first");
}

#[test]
fn a_file_larger_than_any_configuration_is_reported_in_one_line() {
    for (text, says) in [
        (format!("x = [{}]\n", format!("{{{}a=1}},", "a.".repeat(50)).repeat(9000)), "names joined by dots"),
        (format!("x = [{}]\n", "{a=1},".repeat(170_000)), "more than 20000 tables"),
    ] {
        let reported = load_text(&text).unwrap_err().to_string();
        assert!(reported.contains(says) && reported.lines().count() == 1, "{reported}");
    }
}

#[test]
fn a_missing_file_is_reported_with_advice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bothends.toml");
    let reported = load_file(&path, &[]).unwrap_err().to_string();
    assert!(reported.starts_with(&format!("{}: cannot be read: No such file", path.display())), "{reported}");
    assert!(reported.contains("name the file with --config, or begin one: `bothends discover"), "{reported}");
    assert_eq!(reported.lines().count(), 1, "a missing file is not reported key by key: {reported}");
}

#[test]
fn a_directory_in_place_of_a_file_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let reported = load_file(directory.path(), &[]).unwrap_err().to_string();
    assert!(reported.contains("name a file, not a directory"), "{reported}");
}

#[test]
fn a_file_that_is_not_text_is_reported_by_line() {
    let files = Files::new(&format!("{VPN}{SINK}")).with("latin-1.toml", b"[site]\nname = \"M\xfcnchen\"\n");
    assert_eq!(files.problems(&[]), "conf.d/latin-1.toml:2: is not UTF-8 text: save the file as UTF-8");
}

#[test]
fn a_file_that_is_lost_does_not_hide_what_is_wrong_in_another() {
    let files = Files::new("[site]\nname = \"\"\n").with("vpns.toml", "[[vpn]\n");
    let reported = files.problems(&[]);
    assert!(reported.contains("bothends.toml:2: site.name: invalid value \"\""), "{reported}");
    assert!(reported.contains("conf.d/vpns.toml:1: is not TOML"), "{reported}");
    assert!(!reported.contains("missing"), "the connections may well be in the lost file: {reported}");
}

#[test]
fn of_a_thousand_problems_a_hundred_are_listed_and_the_rest_counted() {
    let csv: String = (0..1000).map(|row| format!("x{row} = {row}\n")).collect();
    let rejection = load_text(&csv).unwrap_err();
    assert_eq!((rejection.problems.len(), rejection.count() > 1000), (100, true));
    let lines = rejection.lines();
    assert_eq!(lines.len(), 101);
    assert!(
        lines[100].starts_with("and 9") && lines[100].ends_with(" more problems: fix these first"),
        "{}",
        lines[100]
    );
    let log: String = (0..1000).map(|row| format!("Nov 30 03:00:00 gateway kernel: {row}\n")).collect();
    let rejection = load_text(&log).unwrap_err();
    assert_eq!(rejection.count(), 1, "it is said once that this is no TOML");
}

#[test]
fn a_byte_order_mark_and_line_ends_of_windows_are_no_mistakes() {
    let text = format!("\u{feff}[site]\nname = \"milan-1\"\n{VPN}{SINK}").replace('\n', "\r\n");
    assert_eq!(&*load_text(&text).unwrap().plan.site, "milan-1");
    let tabs = format!("[site]\n\tname\t=\t\"milan-1\"\n{VPN}{SINK}");
    assert_eq!(&*load_text(&tabs).unwrap().plan.site, "milan-1");
}

#[test]
fn the_value_of_an_unknown_key_is_never_shown() {
    let files = Files::new(&format!("[aws]\nsecret_access_key = \"hunter2\"\n{VPN}{SINK}"));
    let reported = files.problems(&[("BOTHENDS_AWS__SECRET_ACCESS_KEY", "hunter2")]);
    assert_eq!(reported.lines().count(), 2, "{reported}");
    assert!(!reported.contains("hunter2"), "{reported}");
}

#[test]
fn a_problem_in_a_webhooks_trial_is_reported_once_at_the_key_of_its_file() {
    let files = Files::new(&format!(
        "{VPN}[[incident.sink]]\ntype = \"webhook\"\nurl_file = \"/nonexistent/url\"\npreset = \"slack\"\n\
         secret_credential = \"key\"\nca_file = \"/dev/null\"\n"
    ));
    let trial = |webhook: &WebhookSettings| {
        assert_eq!(webhook.ca_file, Some("/dev/null".into()));
        [("url", "cannot be read"), ("secret", "is empty"), ("ca_file", "is garbage"), ("template_file", "x")]
            .map(|(key, what)| (key, what.to_owned()))
            .into()
    };
    let env = BTreeMap::new();
    let surroundings = Surroundings {
        env: &env,
        host_name: Some("gateway-1".to_owned()),
        renamed: RENAMED,
        reader: &ReadBy::Us,
        trial: &trial,
    };
    let reported = load_in(&files.main(), &surroundings).unwrap_err().to_string();
    let reported = reported.replace(&format!("{}/", files.main().parent().unwrap().display()), "");
    insta::assert_snapshot!(reported, @r"
    bothends.toml:8: incident.sink[0].template_file: x
    bothends.toml:10: incident.sink[0].url_file: /nonexistent/url cannot be read: No such file or directory (os error 2)
    bothends.toml:12: incident.sink[0].secret_credential: is empty
    bothends.toml:13: incident.sink[0].ca_file: is garbage
    ");
}
