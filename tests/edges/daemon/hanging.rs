//! A hung child or look-up neither outlives the daemon nor delays its end: a `credential_process`, as when the uplink
//! is a black hole, and a DNS look-up.

use std::fs::{self, File};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::process::{Daemon, Ended};
use super::site::{MILAN, ONE, REGION, Site, TWO, inside};
use super::wait::until;

/// The namespace's name server, which never answers.
const NAMESERVER: &str = "127.0.0.1:53";

/// A `credential_process` that never ends, with a child that never ends either. Both hold a lock.
struct Helper {
    directory: PathBuf,
}

impl Helper {
    fn new(site: &Site) -> Self {
        let directory = site.home.file(".aws");
        fs::create_dir(&directory).unwrap();
        let it = Self { directory };
        let script = format!(
            "exec 9>>{0}/running\nflock -n 9 || echo twice >>{0}/twice\necho started >>{0}/started\nsleep 1000 &\nexec sleep 1000\n",
            it.directory.display()
        );
        fs::write(it.directory.join("helper"), script).unwrap();
        let profile =
            format!("[default]\ncredential_process = sh {}\n", it.directory.join("helper").display());
        fs::write(it.directory.join("config"), profile).unwrap();
        it
    }

    /// A command that gets its credentials from it.
    fn of(mut command: Command) -> Command {
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command
    }

    fn started(&self) -> usize {
        fs::read_to_string(self.directory.join("started")).unwrap_or_default().lines().count()
    }

    fn has_run_twice_at_once(&self) -> bool {
        self.directory.join("twice").exists()
    }

    /// Waits until neither it nor its child is running.
    #[track_caller]
    fn until_gone(&self) {
        let running = File::open(self.directory.join("running")).unwrap();
        until("the credential_process and its child are gone", || running.try_lock().is_ok());
    }

    fn forget(&self) {
        fs::remove_file(self.directory.join("started")).unwrap();
    }
}

fn started(site: &Site, mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    inside(&site.here, || command.spawn().unwrap())
}

/// The commands that call AWS, each with its output when interrupted.
fn commands(site: &Site) -> [(Command, &'static str); 3] {
    [
        (site.command(&site.home, &["check", "--aws"]), "interrupted\n"),
        (site.command(&site.home, &["drill", "--yes"]), "nothing was started: interrupted\n"),
        (site.command(&site.home, &["discover", MILAN, "--region", REGION]), "interrupted\n"),
    ]
}

#[track_caller]
fn interrupted(command: Child, signal: Signal, says: &str) {
    kill_process(Pid::from_child(&command), signal).unwrap();
    let ended = Ended::from(command.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.ends_with(says), "{ended:?}");
}

#[test]
fn a_daemon_runs_one_credential_process_at_a_time_and_ends_it_when_it_ends() {
    let site = Site::new();
    let helper = Helper::new(&site);
    let mut daemon = Daemon::start(&site, &site.home, Helper::of(site.command(&site.home, &["run"])));
    daemon.until_verdict("local", "up", &[&ONE, &TWO]);
    // By then the first one was abandoned, with everybody who waits for it.
    until("the credential_process runs again", || helper.started() >= 2);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended(), Some(0));
    helper.until_gone();
    assert!(!helper.has_run_twice_at_once(), "{} have run", helper.started());
}

#[test]
fn interrupting_a_command_leaves_no_credential_process_running() {
    let site = Site::new();
    let helper = Helper::new(&site);
    for signal in [Signal::INT, Signal::HUP] {
        for (command, says) in commands(&site) {
            let command = started(&site, Helper::of(command));
            until("the credential_process runs", || helper.started() == 1);
            interrupted(command, signal, says);
            helper.until_gone();
            helper.forget();
        }
    }
}

/// A command whose DNS look-ups hang for minutes.
fn with_hanging_dns(site: &Site, command: &Command) -> Command {
    let resolver = site.home.file("resolv.conf");
    let (address, _) = NAMESERVER.split_once(':').unwrap();
    fs::write(&resolver, format!("nameserver {address}\noptions timeout:30 attempts:5\n")).unwrap();
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\""]);
    wrapped.arg(resolver).arg(command.get_program()).args(command.get_args()).env_clear();
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped.env("AWS_ENDPOINT_URL", "http://aws.example.com");
    wrapped
}

#[test]
fn a_hanging_dns_look_up_delays_neither_the_daemons_end_nor_a_commands() {
    let site = Site::new();
    let nameserver = inside(&site.here, || UdpSocket::bind(NAMESERVER).unwrap());
    let until_asked = || {
        let asked = nameserver.recv(&mut [0; 512]).unwrap();
        assert_ne!(asked, 0);
    };
    let mut daemon =
        Daemon::start(&site, &site.home, with_hanging_dns(&site, &site.command(&site.home, &["run"])));
    until_asked();
    daemon.until_verdict("local", "up", &[&ONE, &TWO]);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended(), Some(0));
    drop(daemon);
    for (command, says) in commands(&site) {
        nameserver.set_nonblocking(true).unwrap();
        while nameserver.recv(&mut [0; 512]).is_ok() {}
        nameserver.set_nonblocking(false).unwrap();
        let command = started(&site, with_hanging_dns(&site, &command));
        until_asked();
        interrupted(command, Signal::INT, says);
    }
}
