//! What systemd is notified of, by a daemon that runs as in its unit: with a notify socket and a runtime directory.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::Signal;

use super::process::Daemon;
use super::site::{MILAN, ONE, Site, TWO};
use super::wait::{until, until_some};

/// The service manager's end of NOTIFY_SOCKET.
pub(super) struct Manager<'s> {
    site: &'s Site,
    notified: Arc<Mutex<Vec<String>>>,
}

impl<'s> Manager<'s> {
    pub(super) fn new(site: &'s Site) -> Self {
        let socket = UnixDatagram::bind(site.home.notify_socket()).unwrap();
        let notified = Arc::<Mutex<Vec<String>>>::default();
        let hears = Arc::clone(&notified);
        // It ends with the process.
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(len) = socket.recv(&mut buffer) {
                let message = String::from_utf8_lossy(&buffer[..len]).trim_end().to_owned();
                hears.lock().unwrap().push(message);
            }
        });
        Self { site, notified }
    }

    /// A command as a process of the unit: the daemon or its `ExecReload=`.
    pub(super) fn unit(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.command(&self.site.home, arguments);
        command.env("NOTIFY_SOCKET", self.site.home.notify_socket());
        command.env("RUNTIME_DIRECTORY", self.site.home.runtime());
        command
    }

    /// The daemon, once it is ready.
    pub(super) fn start(&self) -> Daemon<'s> {
        let daemon = Daemon::start(self.site, &self.site.home, self.unit(&["run"]));
        self.until_notified("READY=1");
        daemon
    }

    /// All messages with this prefix, oldest first.
    pub(super) fn notified(&self, what: &str) -> Vec<String> {
        self.notified.lock().unwrap().iter().filter(|message| message.starts_with(what)).cloned().collect()
    }

    #[track_caller]
    pub(super) fn until_notified(&self, what: &str) {
        until(&format!("systemd receives {what:?}"), || !self.notified(what).is_empty());
    }

    /// The line that `systemctl status` shows.
    pub(super) fn status(&self) -> String {
        self.notified("STATUS=").pop().unwrap_or_default()
    }

    /// Waits until systemd was notified of this many reloads, each with its start and its end before the next.
    #[track_caller]
    pub(super) fn until_reloaded(&self, times: usize) {
        until(&format!("systemd is notified of {times} reloads"), || self.reloads().len() >= 2 * times);
        assert_eq!(self.reloads(), ["RELOADING=1", "READY=1"].repeat(times));
    }

    fn reloads(&self) -> Vec<&'static str> {
        let notified = self.notified.lock().unwrap();
        let prefixes = ["RELOADING=1", "READY=1"];
        let notifications =
            notified.iter().filter_map(|message| prefixes.into_iter().find(|word| message.starts_with(word)));
        notifications.skip(1).collect()
    }
}

/// A description, and how to cause it.
type Obstacle = (&'static str, fn(&Site));

#[test]
fn a_daemon_is_ready_once_every_tunnel_was_probed_even_if_nothing_works_yet() {
    let hindrances: [Obstacle; 5] = [
        ("the source addresses appear later", |site| {
            for source in ["169.254.10.2", "169.254.11.2"] {
                site.here.ip(&format!("addr del {source}/32 dev lo"));
            }
        }),
        ("an interface appears later", |site| {
            site.home
                .edit("source_ip = \"169.254.11.2\"", "source_ip = \"169.254.11.2\"\ninterface = \"ipsec9\"");
        }),
        ("the firewall drops every probe", |site| {
            site.here.nft(
                "add chain inet cut out { type filter hook output priority 0 ; } ; \
                 add rule inet cut out ip protocol icmp drop",
            );
        }),
        ("the firewall rejects every probe", |site| {
            site.here.nft(
                "add chain inet cut out { type filter hook output priority 0 ; } ; \
                 add rule inet cut out ip protocol icmp reject with icmpx admin-prohibited",
            );
        }),
        ("the tunnels drop everything", |site| site.cut(&[&ONE, &TWO])),
    ];
    for (what, hinder) in hindrances {
        let site = Site::new();
        hinder(&site);
        let manager = Manager::new(&site);
        // There is no DNS in the namespace, so AWS is never reached.
        let mut command = manager.unit(&["run"]);
        command.env("AWS_ENDPOINT_URL", "http://aws.invalid");
        let daemon = Daemon::start(&site, &site.home, command);
        until(&format!("it is ready although {what}"), || !manager.notified("READY=1").is_empty());
        until("its status is set", || manager.status().contains("tunnels up"));
        assert!(site.all_received().is_empty(), "{what}");
        drop(daemon.stop());
        assert_eq!(manager.notified("READY=1").len(), 1, "{what}");
    }
}

#[test]
fn the_status_line_shows_the_progress_of_a_start() {
    let site = Site::new();
    // A probe without a reply is sent, but not yet lost, for longer than the line takes.
    site.cut(&[&ONE, &TWO]);
    site.home.edit("timeout = \"500ms\"", "timeout = \"4s\"");
    let manager = Manager::new(&site);
    let daemon = Daemon::start(&site, &site.home, manager.unit(&["run"]));
    manager.until_notified("STATUS=starting: 0/2 tunnels probed");
    manager.until_notified("READY=1");
    manager.until_notified("STATUS=0/2 tunnels up");
    assert!(!manager.status().contains("starting"), "{}", manager.status());
    drop(daemon);
}

#[test]
fn the_watchdog_is_fed_as_often_as_the_unit_requires() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let mut command = manager.unit(&["run"]);
    command.env("WATCHDOG_USEC", "4000000");
    let daemon = Daemon::start(&site, &site.home, command);
    until("it is fed repeatedly", || manager.notified("WATCHDOG=1").len() >= 4);
    drop(daemon.stop());
}

/// A `WATCHDOG_PID`, set by a shell that becomes the daemon.
fn with_watchdog_of(manager: &Manager<'_>, pid: &str) -> Command {
    let daemon = manager.unit(&["run"]);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("export WATCHDOG_PID={pid}; exec \"$@\""), "sh"]);
    command.arg(daemon.get_program()).args(daemon.get_args());
    command.env_clear();
    for (name, value) in daemon.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.env("WATCHDOG_USEC", "4000000");
    command
}

#[test]
fn the_watchdog_is_fed_only_by_the_process_in_watchdog_pid() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let daemon = Daemon::start(&site, &site.home, with_watchdog_of(&manager, "$$"));
    manager.until_notified("WATCHDOG=1");
    drop(daemon.stop());

    let before = manager.notified("WATCHDOG=1").len();
    let daemon = Daemon::start(&site, &site.home, with_watchdog_of(&manager, "1"));
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    let at = || daemon.status()["at"].clone();
    let mut last = at();
    // Each is a time at which it would be fed.
    for _ in 0..8 {
        last = until_some("the status is published", || Some(at()).filter(|at| *at != last));
    }
    assert_eq!(manager.notified("WATCHDOG=1").len(), before);
}

#[test]
fn a_reload_by_signal_notifies_systemd_of_its_start_and_end() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let daemon = manager.start();
    site.home.edit("Milan DC", "Milan, the new hall");
    daemon.signal(Signal::HUP);
    manager.until_reloaded(1);
    assert_eq!(daemon.vpn(MILAN)["name"], "Milan, the new hall");
    let reloading = manager.notified("RELOADING=1").pop().unwrap();
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    let stopped = daemon.stop();
    assert!(stopped.contains("stopping after"));
    manager.until_notified("STOPPING=1");
}

#[test]
fn a_daemon_without_its_control_socket_still_monitors() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let mut command = manager.unit(&["run"]);
    command.env("RUNTIME_DIRECTORY", site.home.runtime().join("nowhere"));
    let daemon = Daemon::start(&site, &site.home, command);
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    assert_eq!(daemon.logged("WARN", "no control socket at").len(), 1);
}
