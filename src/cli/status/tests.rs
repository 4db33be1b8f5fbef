use clap::Parser as _;

use super::*;
use crate::cli::{Arguments, usage};
use crate::fixture;
use crate::records::Records;

fn one(answer: Option<String>) -> One {
    let status =
        StatusJson::of(&fixture::status(), &[], &Records::default(), "0.1.0", "raise", fixture::after(31));
    One { summary: summary(&status), status, answer }
}

#[test]
fn every_form_says_the_same_level() {
    let printed = |form| one(Some("{}".to_owned())).printed(form, ColorChoice::Never, false);
    let page = printed(Form::Page);
    assert!(page.1.starts_with("DEGRADED: Milan DC, primary (vpn-0123456789abcdef0): "), "{}", page.1);
    let plugin = printed(Form::Nagios);
    assert!(plugin.1.starts_with("BOTHENDS WARNING - Milan DC, primary"), "{}", plugin.1);
    assert_eq!([page.0, plugin.0, printed(Form::Json).0], [Level::Degraded; 3]);
    assert_eq!(printed(Form::Json).1, "{}\n", "the daemon's own answer");
    let (_, of_a_part) = one(None).printed(Form::Json, ColorChoice::Never, true);
    assert_eq!(read(&of_a_part).unwrap(), one(None).status);
}

/// The exit code and whether it is one of a plugin.
fn code_of(line: &str) -> u8 {
    let words = || line.split(' ').map(std::ffi::OsString::from);
    let error = Arguments::try_parse_from(words()).unwrap_err();
    usage(&error, words().skip(1)).code()
}

#[test]
fn as_a_plugin_no_wrong_argument_leads_to_another_code_than_3() {
    for line in [
        "bothends status --nagios --jsn",
        "bothends status --nagios --json",
        "bothends status --nagios --watch",
        "bothends status --nagios=yes",
        "bothends status --nagios --vpn",
        "bothends status --nagios more",
        "bothends status --nagios --help",
        "bothends status --nagios --color pink",
        "bothends stats --nagios",
        "bothends --nagios",
        "bothends check --nagios",
    ] {
        assert_eq!(code_of(line), 3, "{line}");
    }
    for line in [
        "bothends status --jsn",
        "bothends status --fleet",
        "bothends status --watch 0",
        "bothends status --fleet a --vpn b",
    ] {
        assert_eq!(code_of(line), 3, "{line}");
    }
    assert_eq!(code_of("bothends status --help"), 0);
    assert_eq!(code_of("bothends check --jsn"), 64);
}

#[test]
fn a_foreign_answer_is_an_error_that_names_this_version() {
    for answer in ["", "[]", "{\"site\":1}", "<html>", &"[".repeat(100_000)] {
        let why = read(answer).unwrap_err();
        assert!(why.contains("is the daemon another version?"), "{why}");
    }
}

#[test]
fn watch_takes_a_time_or_none() {
    let watch = |line: &str| {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            status: StatusArguments,
        }
        Line::try_parse_from(line.split(' ')).unwrap().status.watch
    };
    assert_eq!([watch("x"), watch("x --watch"), watch("x --watch 5")], [None, Some(2), Some(5)]);
}
