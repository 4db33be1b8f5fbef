//! The files of the configuration and their text; whether the daemon can read the files that they name, and what to do if not;
//! and what else the configuration depends on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::problem::{ConfigProblem, Notes, ProblemKind, Provenance};
use super::schema::Renamed;
use super::section::Section;
use crate::access::{self, Obstacle, Unread, User};
use crate::process;
use crate::settings::WebhookSettings;

/// One file of the configuration.
#[derive(Debug)]
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// A thousand connections take half of it; a log given by mistake is not read to its end.
const SIZE_MAX: u64 = 1024 * 1024;
/// The same for all files together.
const SUM_MAX: usize = 4 * 1024 * 1024;
/// One file for each of a thousand connections, and some more.
const FILES_MAX: usize = 2000;

/// `path`, then `conf.d/*.toml` beside it, in lexical order. Hidden files are left out: editors leave them behind.
pub(super) fn read(path: &Path, notes: &mut Notes) -> Vec<SourceFile> {
    let paths = paths(path).unwrap_or_else(|error| {
        let drop_ins = drop_ins(path);
        // A directory that also keeps us from `path` is reported with that.
        let reported = match access::obstacle_to_us(&drop_ins) {
            Obstacle::Directory(shut) => std::path::absolute(path).is_ok_and(|path| path.starts_with(shut)),
            Obstacle::Itself => false,
        };
        if !reported {
            notes.file_lost(Provenance::file(&drop_ins), unreadable(&drop_ins, &error));
        }
        vec![path.to_owned()]
    });
    let (mut files, mut sum) = (Vec::new(), 0);
    for (index, path) in paths.into_iter().enumerate() {
        let Some(file) = read_one(path, notes) else { continue };
        sum += file.text.len();
        if index >= FILES_MAX || sum > SUM_MAX {
            let what = format!("one file too many: {FILES_MAX} files, or 4 MiB together, are the most");
            notes.file_lost(Provenance::file(&file.path), what);
            break;
        }
        files.push(file);
    }
    files
}

/// The paths alone.
pub(super) fn paths(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = vec![path.to_owned()];
    match list(&drop_ins(path)) {
        Ok(found) => paths.extend(found),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(paths)
}

/// `conf.d` beside `path`.
pub(super) fn drop_ins(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join("conf.d")
}

/// The kernel's name for this host.
pub fn host_name() -> Option<String> {
    // Not from /proc/sys, which the unit's ProcSubset=pid hides.
    let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
    Some(name).filter(|name| !name.is_empty())
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Why the file at `path` cannot be read, if so.
pub fn unread(path: &Path) -> Option<Unread> {
    access::read_regular(path, SIZE_MAX).err()
}

fn read_one(path: PathBuf, notes: &mut Notes) -> Option<SourceFile> {
    let bytes = match access::read_regular(&path, SIZE_MAX) {
        Ok(bytes) => bytes,
        Err(Unread::TooLong) => {
            let what = "is longer than 1 MiB; is it another kind of file? A long configuration can be split into conf.d";
            notes.file_lost(Provenance::file(&path), what);
            return None;
        }
        Err(unread @ (Unread::Failed(_) | Unread::NotRegular(_))) => {
            notes.file_lost(Provenance::file(&path), unreadable(&path, &unread.into()));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some(SourceFile { path, text }),
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            notes.file_lost(Provenance::line(&path, line), "is not UTF-8 text: save the file as UTF-8");
            None
        }
    }
}

/// The files of the configuration at `path`, and `conf.d`, that the service's user cannot read; where one directory is the
/// cause, only the first.
pub fn closed_to(service: &User, path: &Path) -> Vec<ConfigProblem> {
    let files = paths(path).unwrap_or_else(|_| vec![path.to_owned()]);
    let mut looked_at: Vec<PathBuf> = files.into_iter().chain([drop_ins(path)]).collect();
    looked_at.sort();
    let mut shut = BTreeSet::new();
    looked_at
        .into_iter()
        .filter_map(|path| {
            let obstacle = service.obstacle(&path)?;
            let is_news = shut.insert(match &obstacle {
                Obstacle::Directory(directory) => directory.clone(),
                Obstacle::Itself => path.clone(),
            });
            if !is_news {
                return None;
            }
            let what = format!("cannot be read by the user {SERVICE}; {}", mend(&path, &obstacle));
            Some(ConfigProblem {
                place: Provenance::file(&path),
                key: String::new(),
                what: ProblemKind::Other(what),
            })
        })
        .collect()
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    let is = |kind| error.kind() == kind;
    let advice = if is(ErrorKind::PermissionDenied) {
        let root = if is_root_or_service(process::user()) { "" } else { "run as root, or " };
        format!("; {root}{}", mend(path, &access::obstacle_to_us(path)))
    } else if is(ErrorKind::NotFound) {
        // Only the first file is opened without having been listed.
        "; name the file with --config, or begin one: `bothends discover vpn-… --region REGION --write /etc/bothends/bothends.toml`; \
         /usr/share/bothends/bothends.toml shows every key"
            .to_owned()
    } else if is(ErrorKind::IsADirectory) {
        "; name a file, not a directory".to_owned()
    } else if is(ErrorKind::InvalidInput) {
        "; name the file itself".to_owned()
    } else {
        String::new()
    };
    format!("cannot be read: {error}{advice}")
}

//--- files that the daemon must read

/// The user that the package's unit runs the daemon as.
pub const SERVICE: &str = "bothends";

/// Directories that the unit's `ProtectHome=yes` hides.
const HIDDEN: [&str; 3] = ["/root", "/home", "/run/user"];

/// Who has to read the files that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReadBy {
    /// This process.
    Us,
    /// The daemon's user; checked on its behalf by a user who can read everything.
    Other(User),
    /// A user of whom nothing is known here.
    Unknown,
}

impl ReadBy {
    /// The reader when the user `us` checks a configuration.
    pub(super) fn checked_by(us: u32) -> Self {
        match User::named(SERVICE) {
            Some(service) if service.uid() == us => Self::Us,
            Some(service) if us == 0 => Self::Other(service),
            Some(_) | None => Self::Unknown,
        }
    }
}

/// Whether a permission problem of this user is not its own to solve: root, which modes do not stop, and the service's user.
fn is_root_or_service(us: u32) -> bool {
    us == 0 || User::named(SERVICE).is_some_and(|service| service.uid() == us)
}

/// Checks that the reader can read the file that `key` names. Returns whether the file can be examined further.
pub(super) fn look(
    section: &Section<'_>,
    key: &str,
    path: &Path,
    reader: &ReadBy,
    notes: &mut Notes,
) -> bool {
    let opened = match path.metadata() {
        // Opening a pipe would wait for its writer.
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
            section.wrong(key, cannot_be_read(path, &error), notes);
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

/// The message for a file that a key names and that cannot be read, with what to do.
pub(super) fn cannot_be_read(path: &Path, error: &io::Error) -> String {
    let advice = if error.kind() == ErrorKind::PermissionDenied {
        format!("; {}", mend(path, &access::obstacle_to_us(path)))
    } else {
        String::new()
    };
    format!("{} cannot be read: {error}{advice}", path.display())
}

/// The command that lets the service read `path`.
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

/// The trial of a webhook: its problems, by the key concerned (`url`, `secret` and `signing_secret` stand for the key that
/// names their file).
pub type WebhookTrial<'a> = &'a dyn Fn(&WebhookSettings) -> Vec<(&'static str, String)>;

/// What a configuration depends on apart from its files.
pub(super) struct Surroundings<'a> {
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) host_name: Option<String>,
    pub(super) renamed: &'a [Renamed],
    pub(super) reader: &'a ReadBy,
    /// The trial of webhooks.
    pub(super) trial: WebhookTrial<'a>,
}

/// Reports problems of a secret's file.
pub(super) fn look_at_secret(
    section: &Section<'_>,
    key: &str,
    path: &Path,
    reader: &ReadBy,
    notes: &mut Notes,
) {
    if !look(section, key, path, reader, notes) {
        return;
    }
    let shown = path.display();
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => section.wrong(key, format!("{shown} is a directory"), notes),
        Ok(meta) if access::is_open_to_all(path, &meta) => {
            section.wrong(key, format!("{shown} can be read by everybody; chmod o-rwx {shown}"), notes);
        }
        Ok(_) | Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_unreadable_file_is_reported_with_its_remedy() {
        let message = unreadable(Path::new("/dev/null"), &io::Error::from(ErrorKind::PermissionDenied));
        assert!(
            message
                .ends_with("let the user bothends read it: chgrp bothends /dev/null && chmod 640 /dev/null"),
            "{message}"
        );
        assert_eq!(message.contains("run as root"), !is_root_or_service(process::user()), "{message}");
    }

    #[test]
    fn what_is_no_file_or_longer_than_a_configuration_is_refused() {
        let message = |path: &Path| {
            let mut notes = Notes::default();
            assert!(read_one(path.to_owned(), &mut notes).is_none());
            assert!(!notes.files_complete());
            notes.finish().unwrap_err().to_string()
        };
        let device = message(Path::new("/dev/zero"));
        assert!(
            device.ends_with("cannot be read: it is a device, not a regular file; name the file itself"),
            "{device}"
        );
        let log = tempfile::NamedTempFile::new().unwrap();
        fs::write(log.path(), "x".repeat(1024 * 1024 + 1)).unwrap();
        assert!(message(log.path()).contains("longer than 1 MiB"));
    }

    #[test]
    fn files_that_are_too_long_together_are_not_all_read() {
        let directory = tempfile::tempdir().unwrap();
        let main = directory.path().join("bothends.toml");
        fs::create_dir(drop_ins(&main)).unwrap();
        for name in ["a", "b", "c", "d"] {
            fs::write(drop_ins(&main).join(format!("{name}.toml")), "#".repeat(1024 * 1024)).unwrap();
        }
        fs::write(&main, "#").unwrap();
        let mut notes = Notes::default();
        assert_eq!(read(&main, &mut notes).len(), 4);
        let message = notes.finish().unwrap_err().to_string();
        assert!(message.contains("conf.d/d.toml: one file too many"), "{message}");
    }

    #[test]
    fn this_host_has_a_name() {
        assert!(host_name().is_some_and(|name| !name.contains(char::is_whitespace)));
    }

    #[test]
    fn a_configuration_that_the_service_cannot_read_is_reported_by_file() {
        let home = tempfile::tempdir().unwrap();
        let set_mode = |file: &str, mode| {
            fs::set_permissions(home.path().join(file), fs::Permissions::from_mode(mode)).unwrap();
        };
        set_mode("", 0o755);
        let main = home.path().join("bothends.toml");
        fs::write(&main, "").unwrap();
        fs::create_dir(home.path().join("conf.d")).unwrap();
        fs::write(home.path().join("conf.d/rome.toml"), "").unwrap();
        for (file, mode) in [("bothends.toml", 0o644), ("conf.d", 0o755), ("conf.d/rome.toml", 0o644)] {
            set_mode(file, mode);
        }
        // Nobody is in none of the groups that these files have.
        let nobody = User::named("nobody").unwrap();
        let message = || {
            let lines: Vec<_> = closed_to(&nobody, &main).iter().map(ToString::to_string).collect();
            lines.join("\n").replace(home.path().to_str().unwrap(), "HOME")
        };
        assert_eq!(message(), "");
        set_mode("bothends.toml", 0o600);
        set_mode("conf.d", 0o700);
        insta::assert_snapshot!(message(), @r"
        HOME/bothends.toml: cannot be read by the user bothends; let the user bothends read it: chgrp bothends HOME/bothends.toml && chmod 640 HOME/bothends.toml
        HOME/conf.d: cannot be read by the user bothends; let the user bothends into HOME/conf.d: chgrp bothends HOME/conf.d && chmod 750 HOME/conf.d
        ");
    }

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
