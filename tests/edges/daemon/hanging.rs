//! What hangs must not outlive whoever started it, nor hold up its end: a `credential_process`, as it does when the uplink is a black
//! hole, and the look-up of a name.

use std::fs::{self, File};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::process::{Daemon, Ended};
use super::site::{MILAN, ONE, REGION, Site, TWO, inside};
use super::wait::until;

/// Where AWS's names are asked for in the namespace, by a server that never answers.
const NAMESERVER: &str = "127.0.0.1:53";

/// A `credential_process` that never ends, with a child that does not either. All of them hold a lock.
struct Helper {
    directory: PathBuf,
}

impl Helper {
    fn new(site: &Site) -> Self {
        let directory = site.home.file(".aws");
        fs::create_dir(&directory).unwrap();
        let it = Self { directory };
        let script = format!(
            "exec 9>>{0}/running\nflock -n 9 || echo twice >>{0}/twice\necho begun >>{0}/begun\nsleep 1000 &\nexec sleep 1000\n",
            it.directory.display()
        );
        fs::write(it.directory.join("helper"), script).unwrap();
        let profile =
            format!("[default]\ncredential_process = sh {}\n", it.directory.join("helper").display());
        fs::write(it.directory.join("config"), profile).unwrap();
        it
    }

    /// A command whose credentials come from it.
    fn of(mut command: Command) -> Command {
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command
    }

    fn begun(&self) -> usize {
        fs::read_to_string(self.directory.join("begun")).unwrap_or_default().lines().count()
    }

    fn has_run_twice_at_once(&self) -> bool {
        self.directory.join("twice").exists()
    }

    /// Waits until neither it nor its child is there.
    #[track_caller]
    fn until_gone(&self) {
        let running = File::open(self.directory.join("running")).unwrap();
        until("nothing of the credential_process is left", || running.try_lock().is_ok());
    }

    fn forget(&self) {
        fs::remove_file(self.directory.join("begun")).unwrap();
    }
}

fn begun(site: &Site, mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    inside(&site.here, || command.spawn().unwrap())
}

/// The commands that ask AWS, each with what it says when it is interrupted.
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
fn a_daemon_runs_one_credential_process_at_a_time_and_its_end_is_the_end_of_that() {
    let site = Site::new();
    let helper = Helper::new(&site);
    let mut daemon = Daemon::start(&site, &site.home, Helper::of(site.command(&site.home, &["run"])));
    daemon.until_says("local", "up", &[&ONE, &TWO]);
    // The first was given up by then, with everybody who waits for it.
    until("it is run again", || helper.begun() >= 2);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended(), Some(0));
    helper.until_gone();
    assert!(!helper.has_run_twice_at_once(), "{} have run", helper.begun());
}

#[test]
fn who_interrupts_a_command_leaves_no_credential_process_running() {
    let site = Site::new();
    let helper = Helper::new(&site);
    for signal in [Signal::INT, Signal::HUP] {
        for (command, says) in commands(&site) {
            let command = begun(&site, Helper::of(command));
            until("the credential_process runs", || helper.begun() == 1);
            interrupted(command, signal, says);
            helper.until_gone();
            helper.forget();
        }
    }
}

/// A command for which names are looked up, in vain and for minutes.
fn with_names_that_hang(site: &Site, command: &Command) -> Command {
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
fn a_name_that_is_looked_up_in_vain_holds_up_neither_the_daemons_end_nor_a_commands() {
    let site = Site::new();
    let nameserver = inside(&site.here, || UdpSocket::bind(NAMESERVER).unwrap());
    let until_asked = || {
        let asked = nameserver.recv(&mut [0; 512]).unwrap();
        assert_ne!(asked, 0);
    };
    let mut daemon =
        Daemon::start(&site, &site.home, with_names_that_hang(&site, &site.command(&site.home, &["run"])));
    until_asked();
    daemon.until_says("local", "up", &[&ONE, &TWO]);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended(), Some(0));
    drop(daemon);
    for (command, says) in commands(&site) {
        nameserver.set_nonblocking(true).unwrap();
        while nameserver.recv(&mut [0; 512]).is_ok() {}
        nameserver.set_nonblocking(false).unwrap();
        let command = begun(&site, with_names_that_hang(&site, &command));
        until_asked();
        interrupted(command, Signal::INT, says);
    }
}
