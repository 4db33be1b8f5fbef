//! A command that asks AWS or judges a start, run by root: as the service would, with its user, environment, credentials, drop-ins
//! and sandbox. A unit for the moment is made of the service's own, as the package does before it starts the service.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use super::terminal::Interrupts;
use super::unit::{self, End, SERVICE, SYSTEMD, systemctl};
use crate::config::DEFAULT_PATH;
use crate::process::{self, Exit};

/// How often what it has printed is passed on.
const PACE: Duration = Duration::from_millis(100);
/// What belongs to the daemon alone. An empty list takes away what the service's unit has.
const IN_PLACE: &str = "
[Unit]
Description=bothends, a command as the service
ConditionPathExists=
AssertPathExists=
OnFailure=
[Service]
Type=oneshot
ExecCondition=
ExecStartPre=
ExecStartPost=
ExecReload=
ExecStop=
ExecStopPost=
ExecStart=
Restart=no
RemainAfterExit=no
WatchdogSec=0
TimeoutStartSec=infinity
RuntimeDirectory=
StateDirectory=
StandardInput=null
";

/// What a command does as the service, if it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// It asks AWS.
    AskAws,
    /// It judges whether a start would be refused.
    JudgeStart,
}

/// Whose credentials and rights are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The service's: a unit of its kind does the work.
    Service,
    /// Those of the user who runs the command, because that was asked for.
    Own,
    /// The same, and why.
    OwnBecause(&'static str),
}

/// Whose credentials and rights a command uses that was given this configuration.
pub(super) fn whose(own_credentials: bool, configuration: &Path) -> Whose {
    if own_credentials {
        Whose::Own
    } else if process::user() != 0 {
        Whose::OwnBecause("only root can run it as the service")
    } else if !unit::systemd_manages() {
        Whose::OwnBecause("systemd does not manage this host")
    } else if configuration != Path::new(DEFAULT_PATH) {
        Whose::OwnBecause("--config names another configuration than the service's")
    } else if unit::property("LoadState").is_none_or(|state| state != "loaded") {
        Whose::OwnBecause("the unit bothends.service is not installed")
    } else {
        Whose::Service
    }
}

impl Whose {
    /// Says so on standard error.
    pub(super) fn say(self, task: Task) {
        if let Some(words) = self.words(task) {
            complain!("{words}");
        }
    }

    fn words(self, task: Task) -> Option<String> {
        let does = match task {
            Task::AskAws => "AWS is asked",
            Task::JudgeStart => "start-up checks run",
        };
        match (self, task) {
            (Self::Service, _) => Some(format!(
                "{does} as bothends.service would: with its user, environment, credentials and drop-ins \
                 (--own-credentials uses this shell's)"
            )),
            (Self::Own, _) => None,
            (Self::OwnBecause(why), Task::AskAws) => Some(format!(
                "{does} with the credentials and environment of this shell, which may not be the service's: {why}"
            )),
            // Without systemd there is no unit that would do otherwise.
            (Self::OwnBecause(_), Task::JudgeStart) if !unit::systemd_manages() => None,
            (Self::OwnBecause(why), Task::JudgeStart) => Some(format!(
                "{does} for this user, with the environment and limits of this shell, which may not be the service's: {why}"
            )),
        }
    }
}

/// Runs this program with these arguments as the service, and passes on what it prints and its exit code. SIGINT, SIGTERM and SIGHUP
/// are passed to it, and its end is waited for.
pub(super) fn run(arguments: &[&str]) -> Exit {
    let attempt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(attempt(arguments)));
    attempt.unwrap_or_else(|error| {
        complain!("cannot run as bothends.service: {error}; --own-credentials runs it in this shell");
        Exit::Internal
    })
}

async fn attempt(arguments: &[&str]) -> io::Result<Exit> {
    collect();
    let program = std::env::current_exe()?;
    let settings = systemctl(&["cat", SERVICE]);
    let settings = settings.ok_or_else(|| io::Error::other("systemctl cat bothends.service failed"))?;
    let made = Made::new()?;
    let text = text_of(&settings, &program, arguments, &made.directory);
    // The drop-ins may not be for everybody to read.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&made.file)?
        .write_all(text.as_bytes())?;
    let (mut printed, mut complained) = (made.stream("out")?, made.stream("err")?);
    daemon_reload()?;
    if start(&made, &mut printed, &mut complained).await?.success() {
        return Ok(Exit::Success);
    }
    let shown = systemctl(&["show", "--property=ExecMainCode,ExecMainStatus,Result", &made.name]);
    outcome(&shown.unwrap_or_default(), &made.name).map_err(io::Error::other)
}

/// How a unit that did not succeed has ended, from what `systemctl show` prints.
fn outcome(shown: &str, unit: &str) -> Result<Exit, String> {
    let shown = unit::properties(shown);
    match unit::end(&shown) {
        None | Some(End::Exited(0)) => Err("its unit did not start; see journalctl".to_owned()),
        Some(End::Exited(code)) => Exit::from_code(code)
            .ok_or_else(|| format!("its unit ended with status {code}{}", unit::meaning(code, unit))),
        Some(End::Signal(signal)) => {
            let result = shown.get("Result").copied().unwrap_or_default();
            Err(format!("its unit was ended by signal {signal} ({result}): `journalctl -u {unit}` says more"))
        }
    }
}

/// Starts the unit and waits until it has ended.
async fn start(made: &Made, printed: &mut File, complained: &mut File) -> io::Result<ExitStatus> {
    let mut interrupts = Interrupts::new()?;
    // Ctrl-C is for what runs, and not for who waits for it.
    let mut systemctl_start = Command::new("systemctl")
        .args(["start", &made.name])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    loop {
        let ended = systemctl_start.try_wait()?;
        pass_on(printed, &mut io::stdout())?;
        pass_on(complained, &mut io::stderr())?;
        if let Some(status) = ended {
            return Ok(status);
        }
        tokio::select! {
            // To the command alone: what it has started it ends itself, and may need until then.
            name = interrupts.next() => {
                drop(systemctl(&["kill", "--kill-whom=main", &format!("--signal={name}"), &made.name]));
            }
            () = tokio::time::sleep(PACE) => {}
        }
    }
}

/// The unit: the service's text, and after it what is different.
fn text_of(settings: &str, program: &Path, arguments: &[&str], directory: &Path) -> String {
    let mut unit = format!("{settings}\n{IN_PLACE}");
    let command: Vec<_> = std::iter::once(program.display().to_string())
        .chain(arguments.iter().map(|one| (*one).to_owned()))
        .chain(["--own-credentials".to_owned()])
        .collect();
    let command = command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    unit.push_str(&format!("ExecStart={command}\n"));
    for (stream, name) in [("StandardOutput", "out"), ("StandardError", "err")] {
        unit.push_str(&format!("{stream}=file:{}\n", directory.join(name).display()));
    }
    unit
}

/// A word of a command line (systemd.service(5), "Command lines"): neither specifiers nor variables in it are replaced.
fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$").replace('%', "%%");
    format!("\"{escaped}\"")
}

/// What is made for the moment, and goes with this.
struct Made {
    name: String,
    file: PathBuf,
    directory: PathBuf,
}

impl Made {
    fn new() -> io::Result<Self> {
        let name = unit_of(std::process::id());
        let directory = directory_of(std::process::id());
        DirBuilder::new().mode(0o700).create(&directory)?;
        Ok(Self { file: Path::new(SYSTEMD).join(&name), name, directory })
    }

    /// A file that the unit appends to.
    fn stream(&self, name: &str) -> io::Result<File> {
        let path = self.directory.join(name);
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // It has ended by now, or never began.
        remove(std::process::id());
    }
}

fn pass_on(from: &mut File, to: &mut impl io::Write) -> io::Result<()> {
    let mut text = Vec::new();
    from.read_to_end(&mut text)?;
    // A reader that closes its end has read enough; what runs, runs on.
    let _ = to.write_all(&text).and_then(|()| to.flush());
    Ok(())
}

fn daemon_reload() -> io::Result<()> {
    let status = Command::new("systemctl").arg("daemon-reload").status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("systemctl daemon-reload failed")) }
}

/// Where the directories of commands are.
const RUN: &str = "/run";
const PREFIX: &str = "bothends-command-";

/// The names of a command's unit and of its directory in /run.
pub(super) fn unit_of(process: u32) -> String {
    format!("{PREFIX}{process}.service")
}

pub(super) fn directory_of(process: u32) -> PathBuf {
    Path::new(RUN).join(format!("{PREFIX}{process}"))
}

/// Removes what has ended, and names what still runs: a drill resolves its incident before it ends, so it is left alone.
pub(super) fn collect() {
    for process in
        orphans(Path::new(RUN), |process| may_live(Path::new("/proc"), process, std::process::id()))
    {
        let unit = unit_of(process);
        let state = systemctl(&["show", "--property=ActiveState", "--value", &unit]);
        if matches!(state.as_deref(), Some("active" | "activating" | "deactivating")) {
            complain!(
                "a command that was killed still runs as {unit}; it ends by itself, or by `systemctl stop {unit}`"
            );
            continue;
        }
        remove(process);
    }
}

/// Everything that is there of a command's unit. What cannot be removed is gone with the next boot.
pub(super) fn remove(process: u32) {
    let unit = unit_of(process);
    let _ = fs::remove_file(Path::new(SYSTEMD).join(&unit));
    systemctl(&["reset-failed", &unit]);
    systemctl(&["daemon-reload"]);
    let _ = fs::remove_dir_all(directory_of(process));
}

/// Whether the command that this process was may still be one. Numbers come again: ours is nobody else's, and another
/// program's is no command's.
fn may_live(proc: &Path, process: u32, us: u32) -> bool {
    let name = fs::read_to_string(proc.join(process.to_string()).join("comm"));
    process != us && name.is_ok_and(|name| name.trim_end().starts_with(env!("CARGO_PKG_NAME")))
}

/// The processes that made directories in `run` and do not live any more.
fn orphans(run: &Path, lives: impl Fn(u32) -> bool) -> Vec<u32> {
    let names = fs::read_dir(run).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut orphans: Vec<u32> = names
        .filter_map(|name| name.to_str()?.strip_prefix(PREFIX)?.parse().ok())
        .filter(|process| !lives(*process))
        .collect();
    orphans.sort_unstable();
    orphans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_has_the_services_settings_and_the_commands_own_last() {
        let settings =
            "[Service]\nUser=bothends\nExecStart=/usr/bin/bothends run\nEnvironment=AWS_PROFILE=site";
        let unit =
            text_of(settings, Path::new("/usr/bin/bothends"), &["check", "--aws"], Path::new("/run/x"));
        assert!(unit.starts_with(settings));
        // An empty assignment takes the service's command away (systemd.service(5), ExecStart=).
        assert!(unit.contains("\nExecStart=\n"));
        assert!(unit.ends_with(
            "ExecStart=\"/usr/bin/bothends\" \"check\" \"--aws\" \"--own-credentials\"\nStandardOutput=file:/run/x/out\nStandardError=file:/run/x/err\n"
        ));
    }

    #[test]
    fn no_word_of_the_command_is_more_than_itself() {
        assert_eq!(quoted("/etc/a b/%i$HOME\"\\"), "\"/etc/a b/%%i$$HOME\\\"\\\\\"");
    }

    #[test]
    fn a_signal_is_no_exit_code() {
        let ended = |code: u8, status: u8, result: &str| {
            outcome(&format!("Result={result}\nExecMainCode={code}\nExecMainStatus={status}\n"), "x.service")
        };
        assert_eq!(ended(1, 78, "exit-code"), Ok(Exit::Configuration));
        assert!(ended(1, 217, "exit-code").unwrap_err().contains("status 217, USER: "));
        for (code, signal, result) in [(2, 9, "oom-kill"), (3, 31, "core-dump"), (2, 1, "signal")] {
            let told = ended(code, signal, result).unwrap_err();
            assert!(told.contains(&format!("was ended by signal {signal} ({result})")), "{told}");
        }
        assert!(ended(0, 0, "resources").unwrap_err().contains("did not start"));
    }

    #[test]
    fn who_asks_for_the_own_credentials_gets_them() {
        assert_eq!(whose(true, Path::new(DEFAULT_PATH)), Whose::Own);
    }

    #[test]
    fn whose_credentials_and_rights_are_used_is_said_of_what_is_done() {
        let told = Whose::Service.words(Task::JudgeStart).unwrap();
        assert!(told.starts_with("start-up checks run as bothends.service would"), "{told}");
        let told = Whose::OwnBecause("it is Sunday").words(Task::AskAws).unwrap();
        assert!(told.starts_with("AWS is asked with") && told.ends_with(": it is Sunday"), "{told}");
        assert_eq!(Whose::Own.words(Task::AskAws), None);
    }

    #[test]
    fn what_a_killed_command_left_is_known_by_its_process() {
        let run = tempfile::tempdir().unwrap();
        for name in [
            "bothends-command-7",
            "bothends-command-8",
            "bothends-command-x",
            "bothends",
            "bothends-command-",
        ] {
            fs::create_dir(run.path().join(name)).unwrap();
        }
        assert_eq!(orphans(run.path(), |process| process == 8), [7]);
        assert_eq!(orphans(&run.path().join("not-there"), |_| false), [0_u32; 0]);
    }

    #[test]
    fn a_number_that_has_come_again_is_no_command_that_lives() {
        let proc = tempfile::tempdir().unwrap();
        for (process, name) in [("7", "bothends\n"), ("8", "sshd\n"), ("9", "bothends\n")] {
            fs::create_dir(proc.path().join(process)).unwrap();
            fs::write(proc.path().join(process).join("comm"), name).unwrap();
        }
        let lives = [7, 8, 9, 10].map(|process| may_live(proc.path(), process, 9));
        assert_eq!(lives, [true, false, false, false], "another's, another program's, our own, nobody's");
    }
}
