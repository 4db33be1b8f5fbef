//! The state of the service's unit, read from systemctl.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

pub(super) const SERVICE: &str = "bothends.service";
/// Exists while systemd is the host's service manager (sd_booted(3)).
pub(super) const SYSTEMD: &str = "/run/systemd/system";

/// Whether systemd manages this host.
pub(super) fn systemd_manages() -> bool {
    Path::new(SYSTEMD).is_dir()
}

/// A property of the service's unit, drop-ins included.
pub(super) fn property(name: &str) -> Option<String> {
    systemctl(&["show", &format!("--property={name}"), "--value", SERVICE])
}

/// The output of systemctl, if it succeeds.
pub(super) fn systemctl(arguments: &[&str]) -> Option<String> {
    let output = Command::new("systemctl").args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Why the service does not run, if systemd knows.
pub(super) fn why_not_running() -> Option<String> {
    const KNOWN: &str = "--property=LoadState,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,NRestarts,RestartUSec,\
                         ConditionResult,ConditionTimestampMonotonic";
    if !systemd_manages() {
        return None;
    }
    describe_state(&systemctl(&["show", KNOWN, SERVICE])?)
}

/// When systemd last evaluated the conditions. A unit just loaded has never been evaluated, and its `ConditionResult` is "no".
const LOOKED_AT: &str = "ConditionTimestampMonotonic";

/// The same from the output of `systemctl show`.
fn describe_state(shown: &str) -> Option<String> {
    let shown = properties(shown);
    let is = |name: &str, value: &str| shown.get(name) == Some(&value);
    let how = || match end(&shown) {
        Some(End::Exited(code)) if code != 0 => format!("with status {code}{}", meaning(code, SERVICE)),
        _ => {
            let result = shown.get("Result").copied().unwrap_or_default();
            format!("({result}): `journalctl -u bothends` says why")
        }
    };
    if !is("LoadState", "loaded") {
        None
    } else if is("ActiveState", "failed") {
        Some(format!("{SERVICE} has failed {}", how()))
    } else if is("ActiveState", "activating")
        && shown.get("SubState").is_some_and(|state| state.starts_with("auto-restart"))
    {
        Some(format!("{SERVICE} has failed {}; {}", how(), again(&shown)))
    } else if is("ActiveState", "inactive") && is("ConditionResult", "no") && !is(LOOKED_AT, "0") {
        Some(format!(
            "{SERVICE} was not started, because there is no configuration or an empty one: `bothends check`"
        ))
    } else if is("ActiveState", "inactive") {
        Some(format!("{SERVICE} is stopped: `systemctl start bothends`"))
    } else {
        None
    }
}

/// When systemd starts it again, and how often it has done so.
fn again(shown: &BTreeMap<&str, &str>) -> String {
    let pause = shown.get("RestartUSec").map(|pause| format!(" after {pause}")).unwrap_or_default();
    let so_far = match shown.get("NRestarts").copied() {
        None | Some("0") => String::new(),
        Some("1") => ", as it has done once before".to_owned(),
        Some(restarts) => format!(", as it has done {restarts} times before"),
    };
    format!("systemd starts it again{pause}{so_far}")
}

/// How a unit's main process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal.
    Signal(u8),
}

/// The end by the properties `ExecMainCode` and `ExecMainStatus`; `None` if it runs or was never started.
pub(super) fn end(shown: &BTreeMap<&str, &str>) -> Option<End> {
    // As the `si_code` of SIGCHLD (sigaction(2)).
    const EXITED: &str = "1";
    const KILLED: &str = "2";
    const DUMPED: &str = "3";
    let status = shown.get("ExecMainStatus")?.parse().ok()?;
    match *shown.get("ExecMainCode")? {
        EXITED => Some(End::Exited(status)),
        KILLED | DUMPED => Some(End::Signal(status)),
        _ => None,
    }
}

/// The lines `Name=value` of `systemctl show`.
pub(super) fn properties(shown: &str) -> BTreeMap<&str, &str> {
    shown.lines().filter_map(|line| line.split_once('=')).collect()
}

/// What a unit's exit status means and what to do, as text to follow the number: `, GROUP: …`.
pub(super) fn meaning(status: u8, unit: &str) -> String {
    let what = match status {
        64 => "the arguments in its ExecStart= are wrong: `systemctl cat bothends`",
        77 => "a permission is missing: `bothends check --to-run` names it",
        78 => "the configuration is refused: `bothends check --to-run` lists why",
        SYSTEMDS.. => {
            let why = systemds(status);
            return format!(", {why}; `journalctl -u {unit}` has systemd's words");
        }
        _ => return format!(": `journalctl -u {unit}` says why"),
    };
    format!(": {what}")
}

/// A status from here on comes from systemd, which did not start the program (systemd.exec(5), "Process Exit Codes").
const SYSTEMDS: u8 = 200;

const fn systemds(status: u8) -> &'static str {
    match status {
        200 => "CHDIR: its working directory cannot be entered",
        203 => "EXEC: the program cannot be executed: `systemctl cat bothends` shows its ExecStart=",
        216 => "GROUP: its group, or one that a drop-in names (SupplementaryGroups=), does not exist",
        217 => "USER: its user does not exist: `systemd-sysusers bothends.conf` makes it",
        218 => "CAPABILITIES: this host does not grant the capabilities that a drop-in asks for",
        226 => {
            "NAMESPACE: this host does not allow the unit's sandbox, or a path that a drop-in names is missing; in an LXC \
             container allow nesting and restart the container (docs/install.md)"
        }
        228 => "SECCOMP: this host does not allow the unit's filter of system calls",
        233 => "RUNTIME_DIRECTORY: its directory in /run cannot be made",
        238 => "STATE_DIRECTORY: its directory in /var/lib cannot be made",
        243 => "CREDENTIALS: the file of a credential (LoadCredential=) is missing or cannot be read",
        _ => "systemd did not begin the program; systemd.exec(5), \"Process Exit Codes\", says why",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemds_own_exit_statuses_are_explained() {
        assert!(meaning(216, SERVICE).contains("SupplementaryGroups="), "{}", meaning(216, SERVICE));
        assert!(meaning(217, SERVICE).contains("systemd-sysusers"), "{}", meaning(217, SERVICE));
        assert!(meaning(226, SERVICE).contains("nesting"), "{}", meaning(226, SERVICE));
        assert!(meaning(243, SERVICE).contains("LoadCredential="), "{}", meaning(243, SERVICE));
        assert!(meaning(255, SERVICE).contains("systemd.exec(5)"), "{}", meaning(255, SERVICE));
        assert!(
            meaning(78, SERVICE).contains("bothends check --to-run")
                && meaning(70, SERVICE).contains("journalctl")
        );
    }

    #[test]
    fn a_service_that_is_started_again_and_again_is_told_with_how_it_ends() {
        let waits = |state: &str, more: &str| {
            describe_state(&format!("LoadState=loaded\nActiveState=activating\nSubState={state}\n{more}"))
        };
        let exec = "Result=exit-code\nExecMainCode=1\nExecMainStatus=203\nRestartUSec=2s\n";
        let text = waits("auto-restart", &format!("{exec}NRestarts=417\n")).unwrap();
        assert!(text.starts_with("bothends.service has failed with status 203, EXEC: "), "{text}");
        assert!(
            text.ends_with("; systemd starts it again after 2s, as it has done 417 times before"),
            "{text}"
        );
        let first = waits("auto-restart-queued", &format!("{exec}NRestarts=0\n")).unwrap();
        assert!(first.ends_with("; systemd starts it again after 2s"), "{first}");
        let stuck = waits("auto-restart", "Result=watchdog\nExecMainCode=2\nExecMainStatus=6\nNRestarts=1\n")
            .unwrap();
        assert!(
            stuck.contains("has failed (watchdog): ") && stuck.ends_with("again, as it has done once before"),
            "{stuck}"
        );
        assert_eq!(waits("start", exec), None, "it starts");
    }

    #[test]
    fn a_service_that_does_not_run_is_reported_with_the_first_step() {
        let show = |active: &str, more: &str| {
            describe_state(&format!("LoadState=loaded\nActiveState={active}\n{more}"))
        };
        let failed = show("failed", "Result=exit-code\nExecMainCode=1\nExecMainStatus=243\n").unwrap();
        assert!(failed.starts_with("bothends.service has failed with status 243, CREDENTIALS: "), "{failed}");
        let killed = show("failed", "Result=watchdog\nExecMainCode=2\nExecMainStatus=6\n").unwrap();
        assert!(killed.contains("(watchdog)"), "{killed}");
        let empty = show("inactive", "ConditionResult=no\nConditionTimestampMonotonic=7\n").unwrap();
        assert!(empty.contains("no configuration"), "{empty}");
        for looked_at in ["yes\nConditionTimestampMonotonic=7", "no\nConditionTimestampMonotonic=0"] {
            let stopped = show("inactive", &format!("ConditionResult={looked_at}\n")).unwrap();
            assert!(stopped.contains("systemctl start bothends"), "{stopped}");
        }
        assert_eq!(show("active", ""), None);
        assert_eq!(describe_state("LoadState=not-found\nActiveState=inactive\n"), None);
        assert_eq!(describe_state(""), None);
    }
}
