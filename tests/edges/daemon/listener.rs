//! A listener whose address is not available yet.

use std::net::TcpListener;

use rustix::process::Signal;

use super::process::Daemon;
use super::site::{MILAN, ONE, Site, TWO, inside};
use super::systemd::Manager;
use super::wait::until;

/// Not on this host at the start.
const LATE: &str = "192.0.2.77";

/// Starts a daemon that cannot listen, and waits until it says so and monitors anyway.
fn start_without_listener<'s>(manager: &Manager<'s>, site: &'s Site, why: &str) -> Daemon<'s> {
    let daemon = Daemon::start(site, &site.home, manager.unit(&["run"]));
    manager.until_notified("READY=1");
    until("its status line says so", || {
        let line = manager.status();
        line.starts_with("STATUS=2/2 tunnels up, 0 incidents; listener: [http] listen = ")
            && line.contains(why)
    });
    until("it asks AWS", || site.all_received().len() > 1);
    assert_eq!(daemon.get("/readyz").code, 0);
    daemon
}

/// Waits until it listens and says so, and asserts that it warned only once.
fn until_listening(daemon: &Daemon<'_>, manager: &Manager<'_>, why: &str) {
    until("its status line no longer shows it", || manager.status() == "STATUS=2/2 tunnels up, 0 incidents");
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
    daemon.until_logged("listener: problem ended: ");
    assert_eq!(daemon.logged("WARN", why).len(), 1, "it is logged once");
}

#[test]
fn a_listener_is_bound_when_its_address_appears_after_the_start() {
    let site = Site::new();
    site.home.edit("listen = \"127.0.0.1:9846\"", &format!("allow_remote = true\nlisten = \"{LATE}:9846\""));
    let checked = || site.run(&["check"]);
    let not_here = "warning: [http] listen: this host does not have the address 192.0.2.77";
    let ended = checked();
    assert!(ended.code == Some(0) && ended.stderr.contains(not_here), "{ended:?}");
    let manager = Manager::new(&site);
    let mut daemon = start_without_listener(
        &manager,
        &site,
        "this host does not have the address 192.0.2.77: `ip address`",
    );
    site.here.ip(&format!("addr add {LATE}/32 dev lo"));
    daemon.listens_at(&format!("{LATE}:9846"));
    until_listening(&daemon, &manager, "does not have the address");
    assert!(!checked().stderr.contains(not_here));
    // If the address goes and comes back, the listener stays the same.
    site.here.ip(&format!("addr del {LATE}/32 dev lo"));
    site.here.ip(&format!("addr add {LATE}/32 dev lo"));
    daemon.until_probed_further(MILAN, &ONE);
    daemon.stop();
}

#[test]
fn a_listener_on_a_port_in_use_is_bound_when_the_port_is_free() {
    let site = Site::new();
    let taken = inside(&site.here, || TcpListener::bind(site.home.listen).unwrap());
    // Clients are not answered, as by a process that is ending.
    let manager = Manager::new(&site);
    let daemon = Daemon::start(&site, &site.home, manager.unit(&["run"]));
    until("its status line says so", || manager.status().contains("; listener: [http] listen = "));
    manager.until_notified("READY=1");
    daemon.until_logged("is another bothends running?");
    drop(taken);
    until_listening(&daemon, &manager, "is another bothends running?");
    daemon.stop();
}

#[test]
fn a_daemon_waiting_for_its_listen_address_ends_cleanly() {
    let site = Site::new();
    site.home.edit("listen = \"127.0.0.1:9846\"", &format!("allow_remote = true\nlisten = \"{LATE}:9846\""));
    let manager = Manager::new(&site);
    let log = start_without_listener(&manager, &site, LATE).stop();
    assert!(!log.contains("shutdown timed out"), "{log}");
}

#[test]
fn a_reload_to_a_missing_address_keeps_the_listener_and_the_next_start_waits_for_it() {
    let site = Site::new();
    let daemon = site.start_healthy();
    site.home.edit("listen = \"127.0.0.1:9846\"", &format!("allow_remote = true\nlisten = \"{LATE}:9846\""));
    daemon.signal(Signal::HUP);
    let answer = daemon.until_readyz_says("[http] listen changed, which needs a restart");
    assert_eq!(answer.code, 200);
    daemon.stop();
    let manager = Manager::new(&site);
    start_without_listener(&manager, &site, LATE).stop();
}

#[test]
fn a_privileged_port_is_a_permission_error() {
    let site = Site::new();
    site.home.edit("127.0.0.1:9846", "127.0.0.1:843");
    let ended = site.run_command(site.without_capabilities(&["run"]));
    assert_eq!(ended.code, Some(77), "{ended:?}");
    assert!(ended.stderr.contains("take a port above 1023"), "{}", ended.stderr);
    assert!(!site.home.store().exists());
}
