//! `bothends silence` against the running daemon: added, listed, ended, refused, and kept over a restart and a reload.

use std::fs;
use std::os::unix::fs::chown;

use serde_json::Value;

use super::disk::{fill_up, seen_by};
use super::process::{Daemon, Ended};
use super::site::{FIVE, MILAN, ONE, Site, TURIN, TWO};
use super::systemd::Manager;
use super::wait::until;

/// A silence of the whole site for two hours, for a reason.
const SITE: [&str; 7] = ["silence", "add", "--site", "--for", "2h", "--reason", "the line moves"];

fn run(site: &Site, manager: &Manager<'_>, arguments: &[&str]) -> Ended {
    site.run_command(manager.unit(arguments))
}

/// The daemon after a crash: systemd's READY=1 was that of the first.
fn again<'s>(site: &'s Site, manager: &Manager<'s>) -> Daemon<'s> {
    let daemon = Daemon::start(site, &site.home, manager.unit(&["run"]));
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    daemon
}

/// The list, for programs.
#[track_caller]
fn list(site: &Site, manager: &Manager<'_>) -> Vec<Value> {
    let ended = run(site, manager, &["silence", "list", "--json"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn a_silence_is_saved_before_it_is_acknowledged_and_outlives_a_crash() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let daemon = manager.start();
    assert_eq!(list(&site, &manager), Vec::<Value>::new());
    let added = run(&site, &manager, &SITE);
    assert_eq!((added.code, added.stderr.as_str()), (Some(0), ""), "{added:?}");
    assert!(added.stdout.starts_with("silence 1: the whole site: silenced until 20"), "{}", added.stdout);
    assert!(added.stdout.contains("on the other host of a pair, add it as well"), "{}", added.stdout);
    let planned =
        ["--weekly", "--tz", "UTC", "--from", "02:00", "--until", "02:30", "--reason", "nightly work"];
    let of_tunnel = format!("{MILAN}/{}", ONE.outside);
    let arguments = [&["silence", "add", "--vpn", "Milan DC", "--tunnel", &of_tunnel][..], &planned].concat();
    let added = run(&site, &manager, &arguments);
    assert_eq!(added.code, Some(0), "{added:?}");
    assert!(added.stdout.contains("and every week at this hour (UTC)"), "{}", added.stdout);
    let before = list(&site, &manager);
    let of = |key: &str| before.iter().map(|silence| silence[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("id"), [1, 2, 3]);
    assert_eq!(of("scope"), ["site", "connection", "tunnel"]);
    assert_eq!(of("by_uid"), [0, 0, 0]);
    assert_eq!((&before[0]["active"], &before[0]["reason"]), (&true.into(), &"the line moves".into()));
    daemon.until_logged("silence 1 of the whole site is in force");

    // Nothing is written on the way out.
    daemon.kill();
    let daemon = again(&site, &manager);
    assert_eq!(list(&site, &manager), before);
    daemon.until_logged("silence 1 of the whole site is in force");

    let ended = run(&site, &manager, &["silence", "end", "1", "3"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert!(
        ended.stdout.starts_with("silence 1 has ended: the whole site is no longer silenced\n"),
        "{}",
        ended.stdout
    );
    daemon.until_logged("silence 1 of the whole site ended by user id 0");
    daemon.kill();
    let _daemon = again(&site, &manager);
    let after = list(&site, &manager);
    assert_eq!(after, before[1..2]);
    let next = run(&site, &manager, &SITE);
    assert!(next.stdout.starts_with("silence 4: "), "no number is given twice: {}", next.stdout);
    let text = run(&site, &manager, &["silence", "list"]).stdout;
    assert!(text.contains("planned, every week (UTC)") && text.contains("nightly work"), "{text}");
}

#[test]
fn on_a_full_disk_a_silence_is_in_force_and_the_answer_says_that_it_is_not_saved() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let mut command = site.on_its_own_disk("size=600k", "true");
    command.env("RUNTIME_DIRECTORY", site.home.runtime());
    let daemon = Daemon::start(&site, &site.home, command);
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    let store = seen_by(&daemon, &site.home.store());
    until("the store is there", || store.exists());
    let filler = store.with_file_name("filler");
    fill_up(&filler);
    let added = run(&site, &manager, &SITE);
    assert_eq!(added.code, Some(0), "{added:?}");
    assert!(
        added.stderr.starts_with("warning: NOT SAVED: ") && added.stderr.contains("is full"),
        "{}",
        added.stderr
    );
    assert_eq!(list(&site, &manager)[0]["active"], true);
    fs::remove_file(filler).unwrap();
    let ended = run(&site, &manager, &["silence", "end", "1"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
}

#[test]
fn bad_input_is_refused_with_the_reason_and_changes_nothing() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let nobody = run(&site, &manager, &SITE);
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stderr.contains("Nothing is silenced"), "{}", nobody.stderr);

    let _daemon = manager.start();
    let add = |more: &[&str]| run(&site, &manager, &[&["silence", "add"][..], more].concat());
    for (arguments, problem) in [
        (&["--site", "--for", "8d", "--reason", "x"][..], "at most 7 days"),
        (
            &["--site", "--until", "2020-01-01T00:00:00Z", "--reason", "x"],
            "the end, 2020-01-01 00:00 UTC, is in the past",
        ),
        (
            &["--site", "--from", "2020-01-01T00:00:00Z", "--for", "1h", "--reason", "x"],
            "the end, 2020-01-01 01:00 UTC, is in the past",
        ),
        (&["--site", "--for", "1h", "--reason", " "], "needs a reason"),
        (&["--site", "--for", "soon", "--reason", "x"], "give a duration as"),
        (&["--site", "--for", "1h", "--tz", "Mars/Base", "--reason", "x"], "does not know this time zone"),
        (&["--vpn", "Paris", "--for", "1h", "--reason", "x"], "there is no connection \"Paris\""),
        (&["--vpn", "Paris", "--site", "--for", "1h", "--reason", "x"], "(Milan DC)"),
        (&["--tunnel", "192.0.2.1", "--for", "1h", "--reason", "x"], ONE.outside),
        (&["--group", "hub", "--for", "1h", "--reason", "x"], "there is no group \"hub\""),
        (&["--for", "1h", "--reason", "x"], "--site"),
        (&["--site", "--reason", "x"], "--until"),
    ] {
        let ended = add(arguments);
        assert_eq!(ended.code, Some(64), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(problem), "{problem:?} is not in {}", ended.stderr);
    }
    let unknown = run(&site, &manager, &["silence", "end", "7"]);
    assert_eq!(unknown.code, Some(64), "{unknown:?}");
    assert!(unknown.stderr.contains("there is no silence 7"), "{}", unknown.stderr);
    assert_eq!(run(&site, &manager, &SITE).code, Some(0));
    let one_wrong = run(&site, &manager, &["silence", "end", "1", "7"]);
    assert_eq!((one_wrong.code, one_wrong.stdout.as_str()), (Some(64), ""), "{one_wrong:?}");
    assert!(
        one_wrong.stderr.contains("there is no silence 7; there are 1. None was ended"),
        "{}",
        one_wrong.stderr
    );
    assert_eq!(list(&site, &manager).len(), 1);
    assert_eq!(run(&site, &manager, &["silence", "end", "1"]).code, Some(0));

    // As if the daemon ran as another user, and we were not root.
    chown(site.home.control_socket(), Some(65534), Some(65534)).unwrap();
    let mut command = site.without_capabilities(&SITE);
    command.env("RUNTIME_DIRECTORY", site.home.runtime());
    let denied = site.run_command(command);
    assert_eq!(denied.code, Some(77), "{denied:?}");
    assert!(denied.stderr.contains("run as root, or as the user that bothends runs as"), "{}", denied.stderr);
    assert_eq!(list(&site, &manager), Vec::<Value>::new());
}

#[test]
fn a_silence_of_what_left_the_configuration_stays_listed_as_matching_nothing() {
    let site = Site::new();
    site.home.add("turin.toml", &format!("[[vpn]]\nid = \"{TURIN}\"\nname = \"Turin\"\n{}", FIVE.toml()));
    let manager = Manager::new(&site);
    let daemon = manager.start();
    daemon.until_assessed("healthy", &[&ONE, &TWO, &FIVE]);
    let added = run(&site, &manager, &["silence", "add", "--vpn", TURIN, "--for", "1h", "--reason", "moved"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    assert_eq!(list(&site, &manager)[0]["matches"], true);
    site.home.remove("turin.toml");
    let reloaded = run(&site, &manager, &["reload"]);
    assert_eq!(reloaded.code, Some(0));
    let gone = format!("silence 1 (Turin ({TURIN})) matches nothing any more");
    assert!(reloaded.stderr.contains(&format!("warning: {gone}")), "{}", reloaded.stderr);
    daemon.until_logged(&gone);
    let left = list(&site, &manager);
    assert_eq!((&left[0]["matches"], &left[0]["of"]), (&false.into(), &TURIN.into()));
    let text = run(&site, &manager, &["silence", "list"]).stdout;
    assert!(text.contains("matches nothing"), "{text}");
    assert_eq!(run(&site, &manager, &["silence", "end", "1"]).code, Some(0));
}

#[test]
fn the_mute_rule_of_a_silence_is_printed_without_a_daemon() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let arguments =
        ["silence", "add", "--site", "--from", "02:00", "--tz", "UTC", "--for", "2h", "--reason", "x"];
    let printed = run(&site, &manager, &[&arguments[..], &["--print-mute-rule"]].concat());
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let expected = ["aws cloudwatch put-alarm-mute-rule", "--region eu-west-1", "T02:00)", "PT2H"];
    for part in expected {
        assert!(printed.stdout.contains(part), "{part:?} is not in {}", printed.stdout);
    }
    assert!(printed.stdout.contains(&format!("bothends-{MILAN}-outage")), "{}", printed.stdout);
}
