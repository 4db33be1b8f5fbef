//! Files that the daemon's user cannot read.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Daemon, Ended};
use super::site::{ONE, Site, TWO};
use super::systemd::Manager;

/// The user and group that the daemon runs as.
const SERVICE: u32 = 4711;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A site whose directories the daemon's user may enter, and whose state that user owns; with a webhook, and its secret
/// file.
fn site() -> (Site, PathBuf) {
    let site = Site::new();
    let secret = site.home.file("routing-key");
    fs::write(&secret, "key-1\n").unwrap();
    let webhook = format!(
        "[[incident.sink]]\ntype = \"webhook\"\npreset = \"pagerduty\"\nsecret_file = \"{}\"\n",
        secret.display()
    );
    site.home.add("webhook.toml", &webhook);
    let state = site.home.store().parent().unwrap().to_owned();
    fs::create_dir(&state).unwrap();
    for path in [&state, &site.home.runtime()] {
        chown(path, Some(SERVICE), Some(SERVICE)).unwrap();
    }
    (site, secret)
}

/// The command, as the daemon's user.
fn as_service(command: Command) -> Command {
    let mut service = Command::new("setpriv");
    service.args(["--reuid", "4711", "--regid", "4711", "--clear-groups"]);
    service.arg(command.get_program()).args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        service.env(name, value.unwrap_or_default());
    }
    service
}

/// `bothends check` by root, where this user and group have the name bothends.
fn checked_where_the_service_is_known(site: &Site) -> Ended {
    let known = |of: &str, line: &str| {
        let file = site.home.file(of);
        fs::write(&file, format!("root:x:0:0::/root:/bin/sh\nbothends:x:{line}\n")).unwrap();
        file
    };
    let (users, groups) = (known("passwd", "4711:4711::/:/bin/false"), known("group", "4711:"));
    let check = site.command(&site.home, &["check"]);
    let script =
        "set -e; mount --bind \"$USERS\" /etc/passwd; mount --bind \"$GROUPS_\" /etc/group; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(check.get_program()).args(check.get_args());
    for (name, value) in check.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.env("USERS", users).env("GROUPS_", groups);
    site.run_command(command)
}

#[test]
fn an_unreadable_secret_is_refused_at_the_start_and_by_check_with_the_fix() {
    let (site, secret) = site();
    set_mode(&secret, 0o600);
    let mend = format!("chgrp bothends {0} && chmod 640 {0}", secret.display());
    let ended = site.run_command(as_service(site.command(&site.home, &["run"])));
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains("webhook.toml:4: incident.sink[0].secret_file: "), "{}", ended.stderr);
    assert!(ended.stderr.contains(&mend), "{}", ended.stderr);
    assert!(!site.home.store().exists());

    let ended = checked_where_the_service_is_known(&site);
    assert_eq!(ended.code, Some(0), "root may check what is not installed yet: {ended:?}");
    let warned = |line: &str| {
        line.starts_with("warning: ") && line.contains("by the user bothends") && line.ends_with(&mend)
    };
    assert_eq!(ended.stderr.lines().filter(|line| warned(line)).count(), 1, "{}", ended.stderr);

    chown(&secret, None, Some(SERVICE)).unwrap();
    set_mode(&secret, 0o640);
    let ended = checked_where_the_service_is_known(&site);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let daemon = Daemon::start(&site, &site.home, as_service(site.command(&site.home, &["run"])));
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    daemon.stop();
}

#[test]
fn a_secret_that_becomes_unreadable_fails_the_reload_but_not_the_daemon() {
    let (site, secret) = site();
    chown(&secret, None, Some(SERVICE)).unwrap();
    set_mode(&secret, 0o640);
    let manager = Manager::new(&site);
    set_mode(&site.home.notify_socket(), 0o666);
    let daemon = Daemon::start(&site, &site.home, as_service(manager.unit(&["run"])));
    manager.until_notified("READY=1");
    set_mode(&secret, 0o600);
    let ended = site.run_command(manager.unit(&["reload"]));
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains("&& chmod 640 "), "{}", ended.stderr);
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
}

#[test]
fn an_inaccessible_directory_is_named_not_the_files_in_it() {
    let (site, secret) = site();
    set_mode(&secret, 0o640);
    let home = site.home.file("");
    set_mode(&home, 0o700);
    let ended = site.run_command(as_service(site.command(&site.home, &["run"])));
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let home = home.to_str().unwrap().trim_end_matches('/');
    let hints: Vec<_> = ended.stderr.lines().filter(|line| line.contains("chgrp bothends")).collect();
    assert_eq!(hints.len(), 1, "{}", ended.stderr);
    assert!(hints[0].contains(&format!("chgrp bothends {home} && chmod 750 {home}")), "{}", ended.stderr);

    // Following the advice leads to the next step.
    chown(home, None, Some(SERVICE)).unwrap();
    set_mode(Path::new(home), 0o750);
    chown(&secret, None, Some(SERVICE)).unwrap();
    let daemon = Daemon::start(&site, &site.home, as_service(site.command(&site.home, &["run"])));
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
}
