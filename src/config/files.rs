//! Which files make up the configuration, and their text.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::problem::{Notes, Place};
use super::reach;
use crate::access::{self, Obstacle};

/// One file of the configuration.
#[derive(Debug)]
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// No configuration is longer; a device or a log given by mistake is not read to its end.
const SIZE_MAX: u64 = 4 * 1024 * 1024;

/// `path`, then `conf.d/*.toml` beside it, in lexical order; hidden files are left out, as editors leave them behind.
pub(super) fn read(path: &Path, notes: &mut Notes) -> Vec<SourceFile> {
    let paths = paths(path).unwrap_or_else(|error| {
        let drop_ins = drop_ins(path);
        // A directory that keeps us from `path` as well is told with that.
        let told = match access::obstacle_to_us(&drop_ins) {
            Obstacle::Directory(shut) => std::path::absolute(path).is_ok_and(|path| path.starts_with(shut)),
            Obstacle::Itself => false,
        };
        if !told {
            notes.file_lost(Place::file(&drop_ins), unreadable(&drop_ins, &error));
        }
        vec![path.to_owned()]
    });
    paths.into_iter().filter_map(|path| read_one(path, notes)).collect()
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
pub(super) fn host_name() -> Option<String> {
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

fn read_one(path: PathBuf, notes: &mut Notes) -> Option<SourceFile> {
    let mut bytes = Vec::new();
    if let Err(error) = File::open(&path).and_then(|file| file.take(SIZE_MAX + 1).read_to_end(&mut bytes)) {
        notes.file_lost(Place::file(&path), unreadable(&path, &error));
        return None;
    }
    if bytes.len() as u64 > SIZE_MAX {
        notes.file_lost(Place::file(&path), "is longer than 4 MiB: not a configuration");
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(SourceFile { path, text }),
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            notes.file_lost(Place::line(&path, line), "is not UTF-8 text: save the file as UTF-8");
            None
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    let is = |kind| error.kind() == kind;
    let advice = if is(ErrorKind::PermissionDenied) {
        format!("; run as root, or {}", reach::mend(path, &access::obstacle_to_us(path)))
    } else if is(ErrorKind::NotFound) {
        // Of all files only the first is opened without having been seen.
        "; name the file with --config, or begin one: `bothends discover vpn-… > /etc/bothends/bothends.toml`; \
         /usr/share/bothends/bothends.toml shows every key"
            .to_owned()
    } else if is(ErrorKind::IsADirectory) {
        "; name a file, not a directory".to_owned()
    } else {
        String::new()
    };
    format!("cannot be read: {error}{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_may_not_be_read_is_told_with_what_would_help() {
        let told = unreadable(Path::new("/dev/null"), &io::Error::from(ErrorKind::PermissionDenied));
        assert!(
            told.ends_with("; run as root, or let the user bothends read it: chgrp bothends /dev/null && chmod 640 /dev/null"),
            "{told}"
        );
    }

    #[test]
    fn what_is_longer_than_a_configuration_is_not_read_to_its_end() {
        let mut notes = Notes::default();
        assert!(read_one(PathBuf::from("/dev/zero"), &mut notes).is_none());
        assert!(!notes.files_complete());
    }

    #[test]
    fn this_host_has_a_name() {
        assert!(host_name().is_some_and(|name| !name.contains(char::is_whitespace)));
    }
}
