//! Units of commands that were killed before they could remove them. The next command does.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::unit::{SYSTEMD, systemctl};

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
