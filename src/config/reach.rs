//! Files that the daemon must read: whether it can, and what to do if it cannot.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use super::problem::Notes;
use super::section::Section;
use crate::access::{self, Obstacle, User};

/// The user that the package's unit runs the daemon as.
pub const SERVICE: &str = "bothends";

/// Where the unit's `ProtectHome=yes` lets it see nothing.
const HIDDEN: [&str; 3] = ["/root", "/home", "/run/user"];

/// Who is to read the files that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReadBy {
    /// This process.
    Us,
    /// The daemon, of whom somebody who may read everything wants to know.
    Other(User),
    /// Somebody else, of whom nothing can be said here.
    Unknown,
}

impl ReadBy {
    /// For whom the user `us` checks a configuration.
    pub(super) fn checked_by(us: u32) -> Self {
        match User::named(SERVICE) {
            Some(service) if service.uid() == us => Self::Us,
            Some(service) if us == 0 => Self::Other(service),
            Some(_) | None => Self::Unknown,
        }
    }
}

/// Whether it is for others to let this user read something: root, whom a mode does not keep out, and the service, which root would
/// not be.
pub(super) fn is_root_or_service(us: u32) -> bool {
    us == 0 || User::named(SERVICE).is_some_and(|service| service.uid() == us)
}

/// Looks whether the reader can read the file that `key` names. Returns whether it is there to be looked at further.
pub(super) fn look(
    section: &Section<'_>,
    key: &str,
    path: &Path,
    reader: &ReadBy,
    notes: &mut Notes,
) -> bool {
    let opened = match path.metadata() {
        // To open a pipe is to wait for its writer.
        Ok(metadata) if metadata.is_file() && *reader == ReadBy::Us => File::open(path).map(drop),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    let shown = path.display();
    match (opened, reader) {
        (Err(error), ReadBy::Unknown) if error.kind() == ErrorKind::PermissionDenied => {
            section.warn(key, format!("{shown} cannot be looked at: {error}"), notes);
            false
        }
        (Err(error), ReadBy::Us | ReadBy::Other(_) | ReadBy::Unknown) => {
            section.wrong(key, unread(path, &error), notes);
            false
        }
        (Ok(()), ReadBy::Other(service)) => {
            if let Some(obstacle) = service.obstacle(path) {
                let what = format!("{shown} cannot be read by the user {SERVICE}; {}", mend(path, &obstacle));
                section.warn(key, what, notes);
            }
            true
        }
        (Ok(()), ReadBy::Us | ReadBy::Unknown) => true,
    }
}

/// That a file which a key names cannot be read, and what to do.
pub(super) fn unread(path: &Path, error: &io::Error) -> String {
    let advice = if error.kind() == ErrorKind::PermissionDenied {
        format!("; {}", mend(path, &access::obstacle_to_us(path)))
    } else {
        String::new()
    };
    format!("{} cannot be read: {error}{advice}", path.display())
}

/// What lets the service read `path`.
pub(super) fn mend(path: &Path, obstacle: &Obstacle) -> String {
    let itself_a_directory = fs::metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let directory = match obstacle {
        Obstacle::Directory(directory) => directory,
        Obstacle::Itself if itself_a_directory => path,
        Obstacle::Itself => {
            let path = path.display();
            return format!("let the user {SERVICE} read it: chgrp {SERVICE} {path} && chmod 640 {path}");
        }
    };
    let shown = directory.display();
    if HIDDEN.iter().any(|hidden| directory.starts_with(hidden)) {
        return format!("the service sees nothing of {shown}: put it elsewhere, such as into /etc/bothends");
    }
    format!("let the user {SERVICE} into {shown}: chgrp {SERVICE} {shown} && chmod 750 {shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_what_the_advice_opens() {
        let file = Path::new("/etc/bothends/keys/pagerduty");
        let directory = |path: &str| Obstacle::Directory(path.into());
        assert_eq!(
            mend(file, &Obstacle::Itself),
            "let the user bothends read it: chgrp bothends /etc/bothends/keys/pagerduty && \
             chmod 640 /etc/bothends/keys/pagerduty"
        );
        assert_eq!(
            mend(file, &directory("/etc/bothends")),
            "let the user bothends into /etc/bothends: chgrp bothends /etc/bothends && chmod 750 /etc/bothends"
        );
        assert!(mend(Path::new("/home/noc/key"), &directory("/home")).contains("put it elsewhere"));
        let listed = tempfile::tempdir().unwrap();
        assert!(mend(listed.path(), &Obstacle::Itself).contains("chmod 750 "), "a directory is to be listed");
    }
}
