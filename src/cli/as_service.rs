//! A command that asks AWS or runs the start-up checks, run by root: as the service would, with its user, environment, credentials,
//! drop-ins and sandbox. It runs in a transient unit made from the service's own, as the package does before it starts the service.

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

/// How often its output is passed on.
const PACE: Duration = Duration::from_millis(100);
/// Overrides for settings that fit only the daemon. An empty assignment removes the service's list.
const OVERRIDES: &str = "
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

/// What a command does as the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// It asks AWS.
    AskAws,
    /// It checks whether a start would be refused.
    CheckStart,
}

/// Whose credentials and rights are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The service's: a transient unit does the work.
    Service,
    /// Those of the user who runs the command, as requested.
    Own,
    /// The same, for this reason.
    OwnBecause(&'static str),
}

/// Whose credentials and rights a command with this configuration uses.
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
            Task::CheckStart => "start-up checks run",
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
            // Without systemd there is no unit whose result could differ.
            (Self::OwnBecause(_), Task::CheckStart) if !unit::systemd_manages() => None,
            (Self::OwnBecause(why), Task::CheckStart) => Some(format!(
                "{does} for this user, with the environment and limits of this shell, which may not be the service's: {why}"
            )),
        }
    }
}

/// Runs this program with these arguments as the service, and passes on its output and exit code. SIGINT, SIGTERM and SIGHUP go to
/// that process, and this one waits for its end.
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
    remove_orphans();
    let program = std::env::current_exe()?;
    let settings = systemctl(&["cat", SERVICE]);
    let settings = settings.ok_or_else(|| io::Error::other("systemctl cat bothends.service failed"))?;
    let unit = TransientUnit::new()?;
    let text = text_of(&settings, &program, arguments, &unit.directory);
    // The drop-ins may be readable by root only.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unit.file)?
        .write_all(text.as_bytes())?;
    let (mut printed, mut complained) = (unit.stream("out")?, unit.stream("err")?);
    daemon_reload()?;
    if start(&unit, &mut printed, &mut complained).await?.success() {
        return Ok(Exit::Success);
    }
    let shown = systemctl(&["show", "--property=ExecMainCode,ExecMainStatus,Result", &unit.name]);
    outcome(&shown.unwrap_or_default(), &unit.name).map_err(io::Error::other)
}

/// How a unit that did not succeed ended, from the output of `systemctl show`.
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
async fn start(unit: &TransientUnit, printed: &mut File, complained: &mut File) -> io::Result<ExitStatus> {
    let mut interrupts = Interrupts::new()?;
    // Its own process group, because Ctrl-C is meant for the command and not for systemctl.
    let mut systemctl_start = Command::new("systemctl")
        .args(["start", &unit.name])
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
            // To the command alone: it ends its children itself, and may need them until then.
            name = interrupts.next() => {
                drop(systemctl(&["kill", "--kill-whom=main", &format!("--signal={name}"), &unit.name]));
            }
            () = tokio::time::sleep(PACE) => {}
        }
    }
}

/// The unit: the service's text, followed by the overrides.
fn text_of(settings: &str, program: &Path, arguments: &[&str], directory: &Path) -> String {
    let mut unit = format!("{settings}\n{OVERRIDES}");
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

/// A word of a command line with specifiers and variables escaped (systemd.service(5), "Command lines").
fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$").replace('%', "%%");
    format!("\"{escaped}\"")
}

/// The transient unit and its directory, removed on drop.
struct TransientUnit {
    name: String,
    file: PathBuf,
    directory: PathBuf,
}

impl TransientUnit {
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

impl Drop for TransientUnit {
    fn drop(&mut self) {
        // The unit has ended by now, or never started.
        remove(std::process::id());
    }
}

fn pass_on(from: &mut File, to: &mut impl io::Write) -> io::Result<()> {
    let mut text = Vec::new();
    from.read_to_end(&mut text)?;
    // A reader that closes its end has read enough; the command continues.
    let _ = to.write_all(&text).and_then(|()| to.flush());
    Ok(())
}

fn daemon_reload() -> io::Result<()> {
    let status = Command::new("systemctl").arg("daemon-reload").status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("systemctl daemon-reload failed")) }
}

/// The parent of the units' directories.
const RUN: &str = "/run";
const PREFIX: &str = "bothends-command-";

/// A command's transient unit, by its process.
pub(super) fn unit_of(process: u32) -> String {
    format!("{PREFIX}{process}.service")
}

pub(super) fn directory_of(process: u32) -> PathBuf {
    Path::new(RUN).join(format!("{PREFIX}{process}"))
}

/// Removes units left by killed commands. One that still runs is only reported: a drill must resolve its incident before it ends.
pub(super) fn remove_orphans() {
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

/// Removes a command's unit and directory. Both are on a tmpfs, so the next boot removes what this cannot.
pub(super) fn remove(process: u32) {
    let unit = unit_of(process);
    let _ = fs::remove_file(Path::new(SYSTEMD).join(&unit));
    systemctl(&["reset-failed", &unit]);
    systemctl(&["daemon-reload"]);
    let _ = fs::remove_dir_all(directory_of(process));
}

/// Whether this process may still be a command of ours. Process ids are reused: an orphan may have had our own id or another
/// program's.
fn may_live(proc: &Path, process: u32, us: u32) -> bool {
    let name = fs::read_to_string(proc.join(process.to_string()).join("comm"));
    process != us && name.is_ok_and(|name| name.trim_end().starts_with(env!("CARGO_PKG_NAME")))
}

/// The dead processes whose directories are still in `run`.
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
    fn the_unit_has_the_services_settings_followed_by_the_overrides() {
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
    fn systemd_expands_nothing_in_a_quoted_word() {
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
            let text = ended(code, signal, result).unwrap_err();
            assert!(text.contains(&format!("was ended by signal {signal} ({result})")), "{text}");
        }
        assert!(ended(0, 0, "resources").unwrap_err().contains("did not start"));
    }

    #[test]
    fn own_credentials_are_used_on_request() {
        assert_eq!(whose(true, Path::new(DEFAULT_PATH)), Whose::Own);
    }

    #[test]
    fn the_text_names_the_task_and_whose_credentials_it_uses() {
        let text = Whose::Service.words(Task::CheckStart).unwrap();
        assert!(text.starts_with("start-up checks run as bothends.service would"), "{text}");
        let text = Whose::OwnBecause("it is Sunday").words(Task::AskAws).unwrap();
        assert!(text.starts_with("AWS is asked with") && text.ends_with(": it is Sunday"), "{text}");
        assert_eq!(Whose::Own.words(Task::AskAws), None);
    }

    #[test]
    fn orphans_are_found_by_their_process_id() {
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
    fn a_reused_process_id_is_no_running_command() {
        let proc = tempfile::tempdir().unwrap();
        for (process, name) in [("7", "bothends\n"), ("8", "sshd\n"), ("9", "bothends\n")] {
            fs::create_dir(proc.path().join(process)).unwrap();
            fs::write(proc.path().join(process).join("comm"), name).unwrap();
        }
        let lives = [7, 8, 9, 10].map(|process| may_live(proc.path(), process, 9));
        assert_eq!(lives, [true, false, false, false], "another's, another program's, our own, nobody's");
    }
}
