//! The control socket: `bothends reload`, which ends when the outcome is known, and `bothends status` without the listener.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::thread;

use super::process::{Daemon, Ended};
use super::site::{MILAN, ONE, Site, TWO};
use super::systemd::Manager;
use super::wait::until;

fn reload(site: &Site, manager: &Manager<'_>) -> Ended {
    site.run_command(manager.unit(&["reload"]))
}

#[test]
fn the_new_configuration_is_in_force_when_reload_ends() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let daemon = manager.start();
    for (from, to) in [("Milan DC", "Milan, the new hall"), ("Milan, the new hall", "Milan, the third hall")]
    {
        site.home.edit(from, to);
        let ended = reload(&site, &manager);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        assert_eq!(ended.stdout, "the configuration is in force; VPN connections: 1, tunnels: 2\n");
        assert_eq!(daemon.vpn(MILAN)["name"], to);
    }
    manager.until_reloaded(2);
}

#[test]
fn a_wrong_configuration_is_refused_with_every_problem_and_reported_until_it_is_fixed() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let daemon = manager.start();
    site.home.edit("Milan DC", "Milan, the new hall");
    site.home.edit("down_after = 5", "down_after = 0");
    site.home.edit("timeout = \"500ms\"", "timeout = 500");
    let ended = reload(&site, &manager);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(78), ""), "{ended:?}");
    for problem in [
        "probe.down_after: invalid value 0",
        "probe.timeout: invalid value 500",
        "the previous one stays in force",
    ] {
        assert!(ended.stderr.contains(problem), "{problem:?} is missing from\n{}", ended.stderr);
    }
    assert_eq!(daemon.vpn(MILAN)["name"], "Milan DC");
    manager.until_reloaded(1);
    // It was reported before the command ended.
    let status = manager.status();
    assert!(
        status.contains("; reload refused: /") && status.ends_with(" (and 1 more)") && !status.contains('\n'),
        "{status}"
    );

    site.home.edit("down_after = 0", "down_after = 5");
    site.home.edit("timeout = 500", "timeout = \"500ms\"");
    assert_eq!(reload(&site, &manager).code, Some(0));
    manager.until_reloaded(2);
    assert!(!manager.status().contains("refused"), "{}", manager.status());
}

#[test]
fn reload_says_what_needs_a_restart() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let _daemon = manager.start();
    site.home.edit("127.0.0.1:9846", "127.0.0.1:9848");
    let ended = reload(&site, &manager);
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("warning: [http] listen changed, which needs a restart"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_warning_is_logged_once_and_shown_by_every_reload() {
    let site = Site::new();
    site.home.edit("listen = \"127.0.0.1:9846\"", "allow_remote = true\nlisten = \"0.0.0.0:9846\"");
    let manager = Manager::new(&site);
    let daemon = manager.start();
    for _ in 0..2 {
        let ended = reload(&site, &manager);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(
            ended.stderr.lines().filter(|line| line.contains("http.listen")).count(),
            1,
            "{}",
            ended.stderr
        );
    }
    daemon.until_logged("configuration reloaded");
    assert_eq!(daemon.logged("WARN", "http.listen").len(), 1, "{}", daemon.log());
}

#[test]
fn concurrent_reloads_are_served_one_after_the_other() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let _daemon = manager.start();
    let ended: Vec<_> = thread::scope(|scope| {
        let commands: Vec<_> = (0..4).map(|_| scope.spawn(|| reload(&site, &manager))).collect();
        commands.into_iter().map(|command| command.join().unwrap()).collect()
    });
    for one in ended {
        assert_eq!(one.code, Some(0), "{one:?}");
    }
    manager.until_reloaded(4);
}

#[test]
fn without_a_daemon_reload_says_so_and_a_crash_leaves_nothing_that_blocks_the_next_start() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let nobody = reload(&site, &manager);
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.starts_with("no daemon listens at /"), "{}", nobody.stderr);

    manager.start().kill();
    assert!(site.home.control_socket().exists());
    let crashed = reload(&site, &manager);
    assert_eq!(crashed.code, Some(1));
    assert!(crashed.stderr.contains("systemctl status bothends"), "{}", crashed.stderr);

    let next = Daemon::start(&site, &site.home, manager.unit(&["run"]));
    next.until_assessed("healthy", &[&ONE, &TWO]);
    assert_eq!(reload(&site, &manager).code, Some(0));
}

#[test]
fn the_status_is_known_where_the_listener_cannot_be_reached() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let daemon = manager.start();
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    site.home.edit("127.0.0.1:9846", "127.0.0.1:9848");
    let by_socket = site.run_command(manager.unit(&["status"]));
    assert_eq!(by_socket.code, Some(0), "{by_socket:?}");
    assert!(by_socket.stdout.contains("Milan DC"), "{by_socket:?}");
    let by_listener = site.run_command(site.command(&site.home, &["status"]));
    assert_eq!(by_listener.code, Some(3), "{by_listener:?}");
}

#[test]
fn only_the_daemons_user_and_root_may_ask() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let _daemon = manager.start();
    let socket = site.home.control_socket();
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // As if the daemon ran as another user, and we were not root.
    chown(&socket, Some(65534), Some(65534)).unwrap();
    let mut command = site.without_capabilities(&["reload"]);
    command.env("RUNTIME_DIRECTORY", site.home.runtime());
    let ended = site.run_command(command);
    assert_eq!(ended.code, Some(77), "{ended:?}");
    assert!(ended.stderr.contains("run as root, or as the user that bothends runs as"), "{}", ended.stderr);
}

#[test]
fn silent_or_invalid_clients_block_neither_monitoring_nor_reloads() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let daemon = manager.start();
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    let socket = site.home.control_socket();
    let silent: Vec<_> = (0..100).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    for invalid in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0xff; 1 << 20], b"\n".to_vec()] {
        let mut client = UnixStream::connect(&socket).unwrap();
        // The server may hang up before the client has sent everything.
        let _ = client.write_all(&invalid);
        let _ = client.read_to_end(&mut Vec::new());
    }
    daemon.until_probed_further(MILAN, &ONE);
    until("a reload succeeds", || reload(&site, &manager).code == Some(0));
    drop(silent);
}
