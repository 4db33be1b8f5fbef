//! Reading a file that a person named, who may have named the wrong one: a log, a pipe, a terminal, a disk.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Why a file was not read.
#[derive(Debug)]
pub enum Unread {
    /// The system's error.
    Failed(io::Error),
    /// It is something else than a regular file.
    NotRegular(&'static str),
    /// It is longer than what was asked for can be.
    TooLong,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "{error}"),
            Self::NotRegular(what) => write!(f, "it is {what}, not a regular file"),
            Self::TooLong => f.write_str("it is too long"),
        }
    }
}

impl From<Unread> for io::Error {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Failed(error) => error,
            Unread::NotRegular("a directory") => ErrorKind::IsADirectory.into(),
            Unread::NotRegular(_) => Self::new(ErrorKind::InvalidInput, unread.to_string()),
            Unread::TooLong => Self::new(ErrorKind::FileTooLarge, unread.to_string()),
        }
    }
}

/// The bytes of a regular file that is no longer than `longest`. Opening waits for nobody: without `O_NONBLOCK` a pipe would
/// be waited for until somebody writes to it, and without `O_NOCTTY` a terminal could become ours (open(2)).
///
/// # Errors
/// See [`Unread`].
pub fn read_regular(path: &Path, longest: u64) -> Result<Vec<u8>, Unread> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(Unread::Failed)?;
    let metadata = file.metadata().map_err(Unread::Failed)?;
    let kind = metadata.file_type();
    if !kind.is_file() {
        return Err(Unread::NotRegular(if kind.is_dir() {
            "a directory"
        } else if kind.is_fifo() {
            "a pipe"
        } else {
            "a device"
        }));
    }
    if metadata.len() > longest {
        return Err(Unread::TooLong);
    }
    let mut bytes = Vec::new();
    // It may grow meanwhile; files of /proc have no length.
    file.take(longest + 1).read_to_end(&mut bytes).map_err(Unread::Failed)?;
    if bytes.len() as u64 > longest { Err(Unread::TooLong) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_regular_file_is_read_up_to_the_length_that_is_asked_for() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "12345").unwrap();
        assert_eq!(read_regular(file.path(), 5).unwrap(), b"12345");
        assert!(matches!(read_regular(file.path(), 4), Err(Unread::TooLong)));
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting_for_anybody() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        for (path, what) in [
            (pipe.as_path(), "a pipe"),
            (Path::new("/dev/zero"), "a device"),
            (Path::new("/dev/null"), "a device"),
            (directory.path(), "a directory"),
        ] {
            assert!(matches!(read_regular(path, 10), Err(Unread::NotRegular(is)) if is == what), "{what}");
        }
        // A socket cannot be opened at all.
        let socket = directory.path().join("socket");
        let _bound = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(matches!(read_regular(&socket, 10), Err(Unread::Failed(_))));
    }
}
