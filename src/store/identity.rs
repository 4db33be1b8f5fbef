//! Whose file it is, told by its first bytes alone: a look by SQLite could leave files beside it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::schema;

/// The fields of a database's header and their places (<https://www.sqlite.org/fileformat.html>, section 1.3).
const HEADER: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";
const USER_VERSION: usize = 60;
const APPLICATION_ID: usize = 68;

/// What a regular file's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// There is nothing in it: it can be begun.
    Empty,
    /// Ours, of this version.
    Ours { version: i32 },
    /// A database that nobody has marked: one that was just begun, or another program's.
    Unmarked,
    /// Nothing but zeros, which is how a file system leaves a block that it did not get to write before a power cut. No
    /// program's file looks so, and it may well have been ours.
    Zeros,
    /// Another program's database.
    OfAnotherProgram,
    /// No database.
    NoDatabase,
}

/// Reads the first bytes.
pub(super) fn identify(path: &Path) -> io::Result<Identity> {
    let mut header = Vec::with_capacity(HEADER);
    File::open(path)?.take(u64::try_from(HEADER).unwrap_or(u64::MAX)).read_to_end(&mut header)?;
    Ok(judge(&header))
}

fn judge(header: &[u8]) -> Identity {
    if header.is_empty() {
        return Identity::Empty;
    }
    if header.iter().all(|byte| *byte == 0) {
        return Identity::Zeros;
    }
    let (true, Some(version), Some(id)) =
        (header.starts_with(MAGIC), number(header, USER_VERSION), number(header, APPLICATION_ID))
    else {
        return Identity::NoDatabase;
    };
    match i64::from(id) {
        schema::APPLICATION_ID => Identity::Ours { version },
        0 => Identity::Unmarked,
        _other => Identity::OfAnotherProgram,
    }
}

fn number(header: &[u8], at: usize) -> Option<i32> {
    let bytes = header.get(at..at + 4)?;
    Some(i32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(id: i64, version: i32) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        header.resize(HEADER, 7);
        header[USER_VERSION..USER_VERSION + 4].copy_from_slice(&version.to_be_bytes());
        header[APPLICATION_ID..APPLICATION_ID + 4].copy_from_slice(&i32::try_from(id).unwrap().to_be_bytes());
        header
    }

    #[test]
    fn the_first_bytes_tell_whose_file_it_is() {
        assert_eq!(judge(&[]), Identity::Empty);
        assert_eq!(judge(&header(schema::APPLICATION_ID, 3)), Identity::Ours { version: 3 });
        assert_eq!(judge(&header(0, 0)), Identity::Unmarked);
        assert_eq!(judge(&header(42, 0)), Identity::OfAnotherProgram);
        assert_eq!(judge(&[0; 100]), Identity::Zeros);
        assert_eq!(judge(b"#!/bin/sh\n"), Identity::NoDatabase);
        assert_eq!(judge(MAGIC), Identity::NoDatabase, "a header that is cut short is none");
    }
}
