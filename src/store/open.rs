//! Opens the file, or says why it cannot be opened.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, ffi};

use super::schema;
use crate::catalogue::parts::Detail;

/// Another process (`sqlite3`, a backup) may hold the file for a moment when it is opened; later none can.
const BUSY: Duration = Duration::from_secs(1);

/// Why a store cannot be opened, read or written. The text is for an operator.
#[derive(Debug)]
pub enum OpenError {
    /// The path does not name a file that could be ours: the configuration is wrong (exit 78), the file is untouched.
    Unsuitable {
        /// The path.
        path: PathBuf,
        /// What is there instead, and what to do.
        what: String,
    },
    /// The file or its directory could not be used: no permission, no space, an error of the disk.
    Unusable {
        /// The path.
        path: PathBuf,
        /// The operation.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// SQLite could not use the file: no space, an error of the disk.
    Failed {
        /// The path.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The file is damaged.
    Corrupt {
        /// The path.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// Another daemon uses it, and pages from it.
    Held {
        /// The path.
        path: PathBuf,
    },
}

impl OpenError {
    /// Whether the path is wrong, and not the disk: a person must change the configuration.
    pub const fn is_misconfigured(&self) -> bool {
        match self {
            Self::Unsuitable { .. } => true,
            Self::Unusable { .. } | Self::Failed { .. } | Self::Corrupt { .. } | Self::Held { .. } => false,
        }
    }

    /// Converts SQLite's error on the file at `path`.
    pub(super) fn of(path: &Path, source: rusqlite::Error) -> Self {
        if is_damage(&source) {
            Self::Corrupt { path: path.into(), source }
        } else {
            Self::Failed { path: path.into(), source }
        }
    }

    /// The text with its cause.
    pub(super) fn in_full(&self) -> String {
        let cause = std::error::Error::source(self).map_or(String::new(), |source| format!(" ({source})"));
        format!("{self}{cause}")
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsuitable { path, what } => write!(f, "store {}: {what}", path.display()),
            Self::Unusable { path, doing, source: _ } => {
                write!(f, "store {}: cannot {doing}", path.display())
            }
            Self::Failed { path, source } => write!(f, "store {}: {}", path.display(), words(source)),
            Self::Corrupt { path, source: _ } => {
                write!(f, "store {}: the file is damaged", path.display())
            }
            Self::Held { path } => write!(
                f,
                "store {}: locked by another bothends process: `systemctl status bothends`",
                path.display()
            ),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unsuitable { .. } | Self::Held { .. } => None,
            Self::Unusable { source, .. } => Some(source),
            Self::Failed { source, .. } | Self::Corrupt { source, .. } => Some(source),
        }
    }
}

/// Whether the file itself is damaged.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// SQLite's error, for an operator.
fn words(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; free some space",
        Some(ErrorCode::ReadOnly) => "it cannot be written; check the mount and the file's owner",
        Some(ErrorCode::SystemIoFailure) => "the disk reports an error; check it",
        Some(ErrorCode::CannotOpen) => "it cannot be opened; check its directory",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has it open (sqlite3, a backup, another bothends); close it there"
        }
        Some(_) | None => "cannot use it",
    }
}

/// Opens the file, creating it (0600) and its directory (0700) where they are missing, and upgrades it to this release's
/// tables. Rejects any other file, untouched.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    if !is_there(path)? {
        create(path)?;
    }
    let mut connection = take_hold(path)?;
    configure(&mut connection).map_err(|error| OpenError::of(path, error))?;
    Ok(connection)
}

/// Opens the file for reading, if there is one with this release's tables; nothing is written to it before [`configure`], so
/// a disk that takes seconds for a write delays nothing. Rejects any other file, untouched.
pub(super) fn open_before_writing(path: &Path) -> Result<Option<Connection>, OpenError> {
    if !is_there(path)? {
        return Ok(None);
    }
    let mut connection = take_hold(path)?;
    let failed = |error| OpenError::of(path, error);
    match schema::version(&connection).map_err(failed)? {
        0 => Ok(None),
        version if schema::is_older(version) => {
            // Its data is read with this release's tables: this once the start waits for the disk.
            configure(&mut connection).map_err(failed)?;
            Ok(Some(connection))
        }
        _ => Ok(Some(connection)),
    }
}

fn take_hold(path: &Path) -> Result<Connection, OpenError> {
    let connection = connect(path).map_err(|error| match error {
        Refusal::Unsuitable(what) => unsuitable(path, what),
        Refusal::Sqlite(source) => OpenError::of(path, source),
    })?;
    // Until now it was not known whose an unmarked file is.
    make_private(path)?;
    Ok(connection)
}

/// Opens our file for reading alone, while it cannot be written.
pub(super) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    // Without locks: on a read-only disk there are none, and a file that another process has open is read as well. Data that
    // is inconsistent because that process is writing is skipped.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags_and_vfs(path, flags, c"unix-none")?;
    keep_log(&connection, true)?;
    keep_to_itself(&connection)?;
    if schema::version(&connection).is_ok() {
        return Ok(connection);
    }
    // A missing log cannot be created there, and without one the file is complete.
    let escaped: String = path
        .to_string_lossy()
        .chars()
        .map(|c| if matches!(c, '%' | '?' | '#') { format!("%{:02x}", u32::from(c)) } else { c.into() })
        .collect();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)
}

/// Opens a file that no daemon has open, for reading.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, OpenError> {
    let unusable = |doing| move |source| OpenError::Unusable { path: path.into(), doing, source };
    match identify(path).map_err(unusable("read the file"))? {
        Identity::Ours { version } => usable(version.into()).map_err(|what| unsuitable(path, what))?,
        Identity::OfAnotherProgram => return Err(unsuitable(path, OF_ANOTHER_PROGRAM)),
        Identity::Zeros => return Err(no_database(path, "the file begins with zeros")),
        Identity::Empty | Identity::Unmarked | Identity::NoDatabase => {
            return Err(unsuitable(path, "this is no store of bothends"));
        }
    }
    if StoreLock::is_held(path) {
        return Err(OpenError::Held { path: path.into() });
    }
    open_to_read(path).map_err(|error| OpenError::of(path, error))
}

/// The database file's log, and the shared memory that another program may have left.
pub(super) fn companions(path: &Path) -> [PathBuf; 2] {
    ["-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

/// Keeps the log when the connection is closed, so that the file can be examined later.
pub(super) fn keep_log(connection: &Connection, keep: bool) -> rusqlite::Result<bool> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)
}

/// Locks every other process out, so that the log's index is in this process's memory. Otherwise it would be in a mapped file
/// (`-shm`), and a process dies (SIGBUS) when somebody truncates a file that it has mapped. Call it before the first access
/// (<https://www.sqlite.org/wal.html>, section 8).
fn keep_to_itself(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_row| Ok(()))
}

enum Refusal {
    Unsuitable(String),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn unsuitable(path: &Path, what: impl Into<String>) -> OpenError {
    OpenError::Unsuitable { path: path.into(), what: what.into() }
}

/// Whether there is a file that may be ours; it is made private then.
fn is_there(path: &Path) -> Result<bool, OpenError> {
    let unusable = |doing| move |source| OpenError::Unusable { path: path.into(), doing, source };
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(unusable("look at the file")(error)),
    };
    if found.is_symlink() {
        return Err(unsuitable(path, "this is a symbolic link; give the path of the file itself"));
    } else if found.is_dir() {
        return Err(unsuitable(path, "this is a directory; give the path of a file"));
    } else if !found.is_file() {
        return Err(unsuitable(path, "this is not a regular file"));
    }
    match identify(path).map_err(unusable("read the file"))? {
        Identity::Empty if has_log(path) => {
            return Err(no_database(path, "the file is empty, and its log is not"));
        }
        Identity::Zeros => return Err(no_database(path, "the file begins with zeros")),
        Identity::NoDatabase => {
            return Err(unsuitable(path, "this is no database; give a path of its own"));
        }
        Identity::OfAnotherProgram => return Err(unsuitable(path, OF_ANOTHER_PROGRAM)),
        Identity::Ours { version } => usable(version.into()).map_err(|what| unsuitable(path, what))?,
        Identity::Empty | Identity::Unmarked => return Ok(true),
    }
    // Before SQLite opens it: its log gets these permissions.
    make_private(path)?;
    Ok(true)
}

const OF_ANOTHER_PROGRAM: &str = "this is another program's database; give a path of its own";

/// Whether a file of this version can be used. Upgrades only add, so that the previous release can use the file too.
fn usable(version: i64) -> Result<(), String> {
    let known = i64::try_from(schema::VERSION).unwrap_or(i64::MAX);
    if (0..=known + 1).contains(&version) {
        return Ok(());
    }
    Err(format!(
        "its version is {version}, and this release knows up to {known}; install the newer release, or give another path"
    ))
}

/// Creates the file's directory (0700), if it is missing.
fn create_directory(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => DirBuilder::new().recursive(true).mode(0o700).create(parent),
        None => Ok(()),
    }
}

fn create(path: &Path) -> Result<(), OpenError> {
    let unusable = |doing| move |source| OpenError::Unusable { path: path.into(), doing, source };
    create_directory(path).map_err(unusable("create its directory"))?;
    // SQLite would create it with the umask's permissions; its log gets these.
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    created.map(drop).map_err(unusable("create the file"))
}

/// Makes our own file private, with its companions; other files are left alone.
fn make_private(path: &Path) -> Result<(), OpenError> {
    let [log, shared_memory] = companions(path);
    for file in [path, &log, &shared_memory] {
        let made = match fs::symlink_metadata(file) {
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                fs::set_permissions(file, Permissions::from_mode(0o600))
            }
            Ok(_private) => Ok(()),
            Err(error) => Err(error),
        };
        let unusable =
            |source| OpenError::Unusable { path: file.into(), doing: "make the file private", source };
        match made {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            made => made.map_err(unusable)?,
        }
    }
    Ok(())
}

fn has_log(path: &Path) -> bool {
    let [log, _shared_memory] = companions(path);
    fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// The error of a file that has no header any more.
fn no_database(path: &Path, what: &str) -> OpenError {
    let source = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOTADB), Some(what.into()));
    OpenError::of(path, source)
}

/// Opens the file and checks that it is ours, without writing anything.
fn connect(path: &Path) -> Result<Connection, Refusal> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    if connection.is_readonly(MAIN_DB)? {
        // SQLite falls back to read-only, and such a connection never writes again.
        let error = ffi::Error::new(ffi::SQLITE_READONLY);
        return Err(rusqlite::Error::SqliteFailure(error, None).into());
    }
    connection.busy_timeout(BUSY)?;
    keep_log(&connection, true)?;
    keep_to_itself(&connection)?;
    // Nothing has yet read what a log adds to the header.
    let id: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && id != schema::APPLICATION_ID {
        return Err(Refusal::Unsuitable(OF_ANOTHER_PROGRAM.into()));
    }
    usable(schema::version(&connection)?).map_err(Refusal::Unsuitable)?;
    Ok(connection)
}

/// Makes it writable. Idempotent.
pub(super) fn configure(connection: &mut Connection) -> rusqlite::Result<()> {
    // The ledger's promise depends on this: a commit that has returned survives a power cut.
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY")?;
    let was_older = schema::migrate(connection)?;
    // WAL: one sync per commit. The log is emptied by size, not by SQLite's count.
    connection.query_row("PRAGMA journal_mode = WAL", [], |_row| Ok(()))?;
    connection.execute_batch("PRAGMA wal_autocheckpoint = 0")?;
    if was_older {
        // So that the header itself, and not the log, says whose file it is and of which version.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))?;
    }
    keep_log(connection, false)?;
    Ok(())
}

/// The fields of a database's header and their places (<https://www.sqlite.org/fileformat.html>, section 1.3).
const HEADER: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";
const USER_VERSION: usize = 60;
const APPLICATION_ID: usize = 68;

/// What a regular file's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// It is empty: it can be used.
    Empty,
    /// Ours, of this version.
    Ours { version: i32 },
    /// A database without our mark: a new one, or another program's.
    Unmarked,
    /// Only zeros, which is how a file system leaves a block that it could not write before a power cut. No program's file
    /// looks like that, and it may have been ours.
    Zeros,
    /// Another program's database.
    OfAnotherProgram,
    /// Not a database.
    NoDatabase,
}

/// Identifies the file by its first bytes alone: opening it with SQLite could leave files beside it.
fn identify(path: &Path) -> io::Result<Identity> {
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

/// Only one daemon may use a store: two would overwrite each other's incidents and ledger, and both would page. The lock ends
/// with the process, however it ends. It is on a file beside the store: SQLite would lose its own locks on the store with a
/// second descriptor of it (sqlite.org/howtocorrupt.html, 2.2).
#[derive(Debug)]
pub(super) struct StoreLock {
    _file: File,
}

impl StoreLock {
    /// Locks the store at `path`, if it was used before: nothing is created beside a file that may not be ours. Call it
    /// before the store is opened, which fails while another daemon uses it.
    ///
    /// # Errors
    /// Another process holds the lock.
    pub(super) fn take_again(path: &Path) -> Result<Option<Self>, OpenError> {
        Self::lock(path, OpenOptions::new().write(true))
    }

    /// Locks the store at `path`. `None` if the disk supports no locks: monitoring goes on without.
    ///
    /// # Errors
    /// Another process holds the lock.
    pub(super) fn take(path: &Path) -> Result<Option<Self>, OpenError> {
        // Missing on a first start. The first write reports it if the directory cannot be created.
        let _made = create_directory(path);
        Self::lock(path, OpenOptions::new().write(true).create(true).truncate(false).mode(0o600))
    }

    /// Whether a daemon uses the store at `path`, as far as its lock can be read.
    fn is_held(path: &Path) -> bool {
        let Ok(file) = File::open(Self::beside(path)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    fn beside(path: &Path) -> OsString {
        let mut beside = OsString::from(path);
        beside.push("-lock");
        beside
    }

    fn lock(path: &Path, options: &OpenOptions) -> Result<Option<Self>, OpenError> {
        let file = match options.open(Self::beside(path)) {
            Ok(file) => file,
            Err(error) => {
                Detail::NoStoreLock(path, &error).record().emit();
                return Ok(None);
            }
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Err(OpenError::Held { path: path.into() }),
            Err(TryLockError::Error(error)) => {
                Detail::StoreNotLocked(path, &error).record().emit();
                Ok(None)
            }
        }
    }
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
    fn the_first_bytes_show_whose_file_it_is() {
        assert_eq!(judge(&[]), Identity::Empty);
        assert_eq!(judge(&header(schema::APPLICATION_ID, 3)), Identity::Ours { version: 3 });
        assert_eq!(judge(&header(0, 0)), Identity::Unmarked);
        assert_eq!(judge(&header(42, 0)), Identity::OfAnotherProgram);
        assert_eq!(judge(&[0; 100]), Identity::Zeros);
        assert_eq!(judge(b"#!/bin/sh\n"), Identity::NoDatabase);
        assert_eq!(judge(MAGIC), Identity::NoDatabase, "a header that is cut short is none");
    }

    #[test]
    fn a_store_has_one_user_until_its_lock_is_released() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bothends.db");
        assert!(StoreLock::take_again(&path).unwrap().is_none());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is made");
        let held = StoreLock::take(&path).unwrap();
        assert!(held.is_some());
        assert!(matches!(StoreLock::take_again(&path), Err(OpenError::Held { .. })));
        let refused = StoreLock::take(&path).unwrap_err();
        assert!(!refused.is_misconfigured(), "it may end by itself");
        let text = refused.to_string();
        assert!(
            text.contains("locked by another bothends process") && text.contains("systemctl status bothends"),
            "{text}"
        );
        drop(held);
        assert!(StoreLock::take_again(&path).unwrap().is_some());
    }

    #[test]
    fn without_locks_on_the_disk_monitoring_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "in the way").unwrap();
        assert!(StoreLock::take(&file.join("bothends.db")).unwrap().is_none());
    }
}
