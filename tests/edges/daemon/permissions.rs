//! File ownership and permissions: secrets that everybody can read, a configuration that others can write; and a host
//! without CA certificates.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use super::process::Daemon;
use super::site::{ONE, SECRET, Site, TWO};
use super::systemd::Manager;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_secret_in_a_world_readable_configuration_is_refused_and_not_printed() {
    let site = Site::new();
    site.home.edit("https://wiki.example.com/vpn", "https://noc:hunter2@wiki.example.com/vpn");
    let file = site.home.config();
    for command in ["run", "check"] {
        let ended = site.run(&[command]);
        assert_eq!(ended.code, Some(78), "{command}: {ended:?}");
        assert!(ended.stderr.contains("holds a URL with a password in it"), "{command}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(&format!("chmod o-r {}", file.display())),
            "{command}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("hunter2"), "{command}: {}", ended.stderr);
    }
    assert!(!site.home.store().exists());

    set_mode(&file, 0o640);
    let ended = site.run(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
    // A file in a directory that others cannot enter is not readable by them either.
    set_mode(&file, 0o644);
    set_mode(&site.home.file(""), 0o750);
    assert_eq!(site.run(&["check"]).code, Some(0));
    site.start_healthy().stop();
}

#[test]
fn a_world_readable_key_beside_the_configuration_is_refused_by_run_and_reported_by_check() {
    let site = Site::new();
    let key = site.home.file("private-key.pem");
    fs::write(&key, "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n").unwrap();
    set_mode(&key, 0o644);
    let expected = format!(
        "{}:1: holds a private key, and every user of this host can read it: chmod 600 ",
        key.display()
    );
    let ended = site.run(&["run"]);
    assert!(ended.code == Some(78) && ended.stderr.contains(&expected), "{ended:?}");
    assert!(!site.home.store().exists());
    let ended = site.run(&["check"]);
    assert!(ended.code == Some(0) && ended.stderr.contains(&format!("warning: {expected}")), "{ended:?}");
    set_mode(&key, 0o600);
    assert_eq!(site.run(&["check"]).stderr, "");
    site.start_healthy().stop();
}

#[test]
fn world_readable_credentials_are_refused() {
    let site = Site::new();
    fs::create_dir(site.home.file(".aws")).unwrap();
    let file = site.home.file(".aws/credentials");
    fs::write(&file, format!("[default]\naws_access_key_id = x\naws_secret_access_key = {SECRET}\n"))
        .unwrap();
    set_mode(&file, 0o644);
    // The user who runs the check may have credentials of their own, which the service never sees.
    for (command, code) in [("run", 78), ("check", 0)] {
        let ended = site.run(&[command]);
        assert_eq!(ended.code, Some(code), "{command}: {ended:?}");
        assert!(
            ended.stderr.contains(&format!("chmod 600 {}", file.display())),
            "{command}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains(SECRET), "{command}: {}", ended.stderr);
    }
    let mut elsewhere = site.command(&site.home, &["check"]);
    elsewhere.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    assert_eq!(site.run_command(elsewhere).stderr, "", "the SDK does not read this file");
    set_mode(&file, 0o600);
    assert_eq!(site.run(&["check"]).stderr, "");
}

#[test]
fn a_configuration_that_others_can_write_is_refused_by_run_and_reported_by_check() {
    let site = Site::new();
    let main = site.home.config();
    let change = |to: &dyn Fn(&Path), path: &Path, mend: &str| {
        to(path);
        let line = format!("{mend} {}", path.display());
        let run = site.run(&["run"]);
        assert_eq!(run.code, Some(78), "{mend}: {run:?}");
        assert!(run.stderr.lines().any(|printed| printed.ends_with(&line)), "{mend}: {}", run.stderr);
        let check = site.run(&["check"]);
        assert_eq!(check.code, Some(0), "{mend}: {check:?}");
        let warning = |printed: &str| printed.starts_with("warning: ") && printed.contains(&line);
        assert!(check.stderr.lines().any(warning), "{mend}: {}", check.stderr);
        let to_run = site.run(&["check", "--to-run"]);
        assert_eq!(to_run.code, Some(78), "{mend}: {to_run:?}");
        assert!(to_run.stderr.lines().any(|printed| printed.ends_with(&line)), "{mend}: {}", to_run.stderr);
    };
    change(&|path| chown(path, Some(1000), None).unwrap(), &main, "chown root");
    chown(&main, Some(0), None).unwrap();
    change(&|path| set_mode(path, 0o664), &main, "chmod g-w");
    set_mode(&main, 0o644);
    change(&|path| set_mode(path, 0o1777), &site.home.file("conf.d"), "chmod go-w");
    set_mode(&site.home.file("conf.d"), 0o755);
    assert!(!site.home.store().exists());
    // As checked while a daemon runs, whose listener and store are in use.
    let daemon = site.start_healthy();
    let to_run = site.run(&["check", "--to-run"]);
    assert_eq!((to_run.code, to_run.stderr.as_str()), (Some(0), ""), "{to_run:?}");
    daemon.stop();
}

#[test]
fn a_reload_is_refused_when_the_configuration_has_another_owner() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let _daemon = manager.start();
    set_mode(&site.home.config(), 0o646);
    let ended = site.run_command(manager.unit(&["reload"]));
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains("chmod go-w "), "{}", ended.stderr);
}

#[test]
fn a_file_can_be_checked_before_it_is_installed() {
    let site = Site::new();
    // As with Ansible's `validate:`: any name, only root can read it.
    let staged = site.home.file("staged");
    fs::create_dir(&staged).unwrap();
    set_mode(&staged, 0o700);
    let file = staged.join(".source-1a2b");
    fs::copy(site.home.config(), &file).unwrap();
    set_mode(&file, 0o600);
    let ended = site.run_command(site.command_with(&file, &["check"]));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
}

#[test]
fn a_host_without_ca_certificates_is_told_what_to_install_unless_tls_is_not_used() {
    let site = Site::new();
    for arguments in [&["run"][..], &["check", "--to-run"]] {
        let mut command = site.command(&site.home, arguments);
        command.env("SSL_CERT_FILE", "/dev/null").env_remove("AWS_ENDPOINT_URL");
        let ended = site.run_command(command);
        assert_eq!(ended.code, Some(78), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("apt install ca-certificates"), "{arguments:?}: {}", ended.stderr);
    }
    assert!(!site.home.store().exists());

    let mut command = site.command(&site.home, &["run"]);
    command.env("SSL_CERT_FILE", "/dev/null");
    let daemon = Daemon::start(&site, &site.home, command);
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
}
