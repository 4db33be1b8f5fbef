//! What systemd is told, by a daemon that runs as its unit has it: with a socket to tell it by, and a runtime directory.

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
    heard: Arc<Mutex<Vec<String>>>,
}

impl<'s> Manager<'s> {
    pub(super) fn new(site: &'s Site) -> Self {
        let socket = UnixDatagram::bind(site.home.notify_socket()).unwrap();
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let hears = Arc::clone(&heard);
        // It ends with the process.
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(len) = socket.recv(&mut buffer) {
                let message = String::from_utf8_lossy(&buffer[..len]).trim_end().to_owned();
                hears.lock().unwrap().push(message);
            }
        });
        Self { site, heard }
    }

    /// A command as a process of the unit, the daemon or its `ExecReload=`.
    pub(super) fn unit(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.command(&self.site.home, arguments);
        command.env("NOTIFY_SOCKET", self.site.home.notify_socket());
        command.env("RUNTIME_DIRECTORY", self.site.home.runtime());
        command
    }

    /// The daemon, when it is ready.
    pub(super) fn start(&self) -> Daemon<'s> {
        let daemon = Daemon::start(self.site, &self.site.home, self.unit(&["run"]));
        self.until_heard("READY=1");
        daemon
    }

    /// All messages that begin so, oldest first.
    pub(super) fn heard(&self, what: &str) -> Vec<String> {
        self.heard.lock().unwrap().iter().filter(|message| message.starts_with(what)).cloned().collect()
    }

    #[track_caller]
    pub(super) fn until_heard(&self, what: &str) {
        until(&format!("systemd hears {what:?}"), || !self.heard(what).is_empty());
    }

    /// The line that `systemctl status` shows.
    pub(super) fn status(&self) -> String {
        self.heard("STATUS=").pop().unwrap_or_default()
    }

    /// Waits until systemd has heard of so many reloads, each with its beginning and its end before the next.
    #[track_caller]
    pub(super) fn until_reloaded(&self, times: usize) {
        until(&format!("systemd hears of {times} reloads"), || self.reloads().len() >= 2 * times);
        assert_eq!(self.reloads(), ["RELOADING=1", "READY=1"].repeat(times));
    }

    fn reloads(&self) -> Vec<&'static str> {
        let heard = self.heard.lock().unwrap();
        let words = ["RELOADING=1", "READY=1"];
        let told =
            heard.iter().filter_map(|message| words.into_iter().find(|word| message.starts_with(word)));
        told.skip(1).collect()
    }
}

/// What it is, and how it comes about.
type Hindrance = (&'static str, fn(&Site));

#[test]
fn a_daemon_is_ready_when_every_tunnel_has_been_asked_though_nothing_works_yet() {
    let hindrances: [Hindrance; 5] = [
        ("the source addresses come later", |site| {
            for source in ["169.254.10.2", "169.254.11.2"] {
                site.here.ip(&format!("addr del {source}/32 dev lo"));
            }
        }),
        ("an interface comes later", |site| {
            site.home
                .edit("source_ip = \"169.254.11.2\"", "source_ip = \"169.254.11.2\"\ninterface = \"ipsec9\"");
        }),
        ("the firewall lets no echo out", |site| {
            site.here.nft(
                "add chain inet cut out { type filter hook output priority 0 ; } ; \
                 add rule inet cut out ip protocol icmp drop",
            );
        }),
        ("the firewall rejects every echo", |site| {
            site.here.nft(
                "add chain inet cut out { type filter hook output priority 0 ; } ; \
                 add rule inet cut out ip protocol icmp reject with icmpx admin-prohibited",
            );
        }),
        ("the tunnels swallow everything", |site| site.cut(&[&ONE, &TWO])),
    ];
    for (what, hinder) in hindrances {
        let site = Site::new();
        hinder(&site);
        let manager = Manager::new(&site);
        // There is no DNS in the namespace, so that AWS is never reached.
        let mut command = manager.unit(&["run"]);
        command.env("AWS_ENDPOINT_URL", "http://aws.invalid");
        let daemon = Daemon::start(&site, &site.home, command);
        until(&format!("it is ready although {what}"), || !manager.heard("READY=1").is_empty());
        until("its status is told", || manager.status().contains("tunnels up"));
        assert!(site.received_at_all().is_empty(), "{what}");
        drop(daemon.stop());
        assert_eq!(manager.heard("READY=1").len(), 1, "{what}");
    }
}

#[test]
fn while_it_starts_the_status_line_says_how_far_it_is() {
    let site = Site::new();
    // An echo that nobody answers is asked, and not yet overdue, for longer than the line takes.
    site.cut(&[&ONE, &TWO]);
    site.home.edit("timeout = \"500ms\"", "timeout = \"4s\"");
    let manager = Manager::new(&site);
    let daemon = Daemon::start(&site, &site.home, manager.unit(&["run"]));
    manager.until_heard("STATUS=starting: 0/2 tunnels probed");
    manager.until_heard("READY=1");
    manager.until_heard("STATUS=0/2 tunnels up");
    assert!(!manager.status().contains("starting"), "{}", manager.status());
    drop(daemon);
}

#[test]
fn the_watchdog_is_fed_as_often_as_the_unit_wants_it() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let mut command = manager.unit(&["run"]);
    command.env("WATCHDOG_USEC", "4000000");
    let daemon = Daemon::start(&site, &site.home, command);
    until("it is fed again and again", || manager.heard("WATCHDOG=1").len() >= 4);
    drop(daemon.stop());
}

/// What `WATCHDOG_PID` says, by a shell that becomes the daemon.
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
fn the_watchdog_is_fed_by_the_process_that_it_is_meant_for_and_by_no_other() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let daemon = Daemon::start(&site, &site.home, with_watchdog_of(&manager, "$$"));
    manager.until_heard("WATCHDOG=1");
    drop(daemon.stop());

    let before = manager.heard("WATCHDOG=1").len();
    let daemon = Daemon::start(&site, &site.home, with_watchdog_of(&manager, "1"));
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    let at = || daemon.status()["at"].clone();
    let mut last = at();
    // Each is a moment at which it would be fed.
    for _ in 0..8 {
        last = until_some("the status is published", || Some(at()).filter(|at| *at != last));
    }
    assert_eq!(manager.heard("WATCHDOG=1").len(), before);
}

#[test]
fn a_signal_to_reload_is_told_with_its_beginning_and_its_end() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let daemon = manager.start();
    site.home.edit("Milan DC", "Milan, the new hall");
    daemon.signal(Signal::HUP);
    manager.until_reloaded(1);
    assert_eq!(daemon.vpn(MILAN)["name"], "Milan, the new hall");
    let reloading = manager.heard("RELOADING=1").pop().unwrap();
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    let stopped = daemon.stop();
    assert!(stopped.contains("stopping after"));
    manager.until_heard("STOPPING=1");
}

#[test]
fn a_daemon_that_cannot_have_its_control_socket_watches_all_the_same() {
    let site = Site::new();
    let manager = Manager::new(&site);
    let mut command = manager.unit(&["run"]);
    command.env("RUNTIME_DIRECTORY", site.home.runtime().join("nowhere"));
    let daemon = Daemon::start(&site, &site.home, command);
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    assert_eq!(daemon.logged("WARN", "no control socket at").len(), 1);
}
