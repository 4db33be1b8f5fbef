//! A wrong file, a tight limit or a slow client costs a log line at most, never the daemon.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::process::Daemon;
use super::site::{MILAN, ONE, Site, TWO, inside};
use super::systemd::Manager;
use super::wait::until;

/// The peak memory by `/proc/PID/status`, in kB.
fn peak(daemon: &Daemon<'_>) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
fn a_reload_of_an_invalid_file_costs_one_log_line_and_keeps_the_old_configuration() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let daemon = manager.start();
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    let before = peak(&daemon);
    let wrong = site.home.file("conf.d/wrong.toml");
    let log = "Nov 30 03:12:11 gw charon[812]: 07[IKE] <milan-1|3> sending DPD request\n";
    let texts = [
        (log.repeat(12_000), "is not TOML, here and in more than 100 further places"),
        ("1,2.5,a,\"b\"\n".repeat(50_000), "is not TOML, here and in more than 100 further places"),
        (
            "<div class=\"x\">{[}]</div>\n".repeat(30_000),
            "is not TOML, here and in more than 100 further places",
        ),
        ("[".repeat(900_000), "is not TOML"),
        ("[[vpn]]\n".repeat(100_000), "is one too many"),
        (log.repeat(30_000), "is longer than 1 MiB"),
    ];
    let refused = |what: &str| {
        let ended = site.run_command(manager.unit(&["reload"]));
        assert_eq!(ended.code, Some(78), "{what}: {}", &ended.stderr[..ended.stderr.len().min(2_000)]);
        assert!(ended.stderr.contains(what), "{what}: {}", &ended.stderr[..ended.stderr.len().min(2_000)]);
        let answer = daemon.until_readyz_says("the last reload was refused");
        assert_eq!(answer.code, 200, "{answer:?}");
        assert!(answer.body.len() < 8_192, "{what}: {} bytes", answer.body.len());
    };
    for (text, what) in texts {
        fs::write(&wrong, text).unwrap();
        refused(what);
    }
    fs::remove_file(&wrong).unwrap();
    assert!(Command::new("mkfifo").arg(&wrong).status().unwrap().success());
    refused("is a pipe, not a regular file");
    fs::remove_file(&wrong).unwrap();
    symlink("/dev/zero", &wrong).unwrap();
    refused("is a device, not a regular file");
    fs::remove_file(&wrong).unwrap();

    daemon.until_probed_further(MILAN, &ONE);
    assert_eq!(daemon.vpn(MILAN)["name"], "Milan DC");
    assert_eq!(site.run_command(manager.unit(&["reload"])).code, Some(0));
    // The text of a megabyte is held twice and its tokens once; a list of all its errors would take hundreds of
    // megabytes.
    assert!(peak(&daemon) - before < 96 * 1024, "{} kB, {before} kB before", peak(&daemon));
}

#[test]
fn the_soft_limit_of_open_files_is_raised_and_a_too_low_hard_limit_is_refused() {
    let site = Site::new();
    let limited = |limit: &str| {
        let run = site.command(&site.home, &["run"]);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit {limit} && exec \"$@\""), "sh"]);
        command.arg(run.get_program()).args(run.get_args()).env_clear();
        for (name, value) in run.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command
    };
    let ended = site.run_command(limited("-n 100"));
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(
        ended.stderr.contains("needs up to 262 open files, and the limit is 100: raise LimitNOFILE="),
        "{ended:?}"
    );

    let daemon = Daemon::start(&site, &site.home, limited("-S -n 64"));
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let files: Vec<_> =
        limits.lines().find(|line| line.starts_with("Max open files")).unwrap().split_whitespace().collect();
    assert_eq!(files[3], files[4], "{limits}");
    assert_ne!(files[3], "64");
}

#[test]
fn silent_clients_do_not_block_readyz_and_status() {
    let site = Site::new();
    let daemon = site.start_healthy();
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
    let silent: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = inside(&site.here, || TcpStream::connect(site.home.listen).unwrap());
            // It may already have had to make room.
            let _ = stream.write_all(b"GET /readyz HTTP/1.1\r\nHo");
            stream
        })
        .collect();
    for _ in 0..5 {
        assert_eq!(daemon.get("/readyz").body, "ready\n");
        assert_eq!(site.run(&["status"]).code, Some(0));
    }
    drop(silent);
}
