//! Taking hold of the file, or saying why not.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, ffi};

use super::identity::{Identity, identify};
use super::schema;

/// Another process (`sqlite3`, a backup) may have the file for a moment when it is opened; later none can.
const BUSY: Duration = Duration::from_secs(1);

/// Why a store cannot be opened, read or written. Its text is for an operator.
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
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite could not use the file: no space, an error of the disk.
    Failed {
        /// The path.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file is damaged.
    Corrupt {
        /// The path.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Another daemon has it, and pages from it.
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

    /// What SQLite's error says of the file at `path`.
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

/// What SQLite's error means to an operator.
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

/// Opens the file, creating it (0600) and its directory (0700) where they are missing, and brings it up to this release's
/// tables. Refuses, untouched, what is not our file.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    if !is_there(path)? {
        create(path)?;
    }
    let mut connection = take_hold(path)?;
    configure(&mut connection).map_err(|error| OpenError::of(path, error))?;
    Ok(connection)
}

/// Opens the file, if there is one with tables of this release in it, so that it can be read; nothing is written to it before
/// [`configure`]. A disk that takes seconds for a write holds nothing up so. Refuses, untouched, what is not our file.
pub(super) fn open_before_writing(path: &Path) -> Result<Option<Connection>, OpenError> {
    if !is_there(path)? {
        return Ok(None);
    }
    let mut connection = take_hold(path)?;
    let failed = |error| OpenError::of(path, error);
    match schema::version(&connection).map_err(failed)? {
        0 => Ok(None),
        version if schema::is_older(version) => {
            // What it holds is read by this release's tables: this once the start waits for the disk.
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
    // Whose an unmarked file is was not known before.
    make_private(path)?;
    Ok(connection)
}

/// Opens our file for reading alone, for what can be known of it while it cannot be written.
pub(super) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    // Without locks: where nothing can be written none can be had, and a file that another process has open is read as well.
    // What is torn because that process writes to it is passed over.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags_and_vfs(path, flags, c"unix-none")?;
    keep_log(&connection, true)?;
    keep_to_itself(&connection)?;
    if schema::version(&connection).is_ok() {
        return Ok(connection);
    }
    // A log that is missing cannot be made there, and without one the file is complete in itself.
    let escaped: String = path
        .to_string_lossy()
        .chars()
        .map(|c| if matches!(c, '%' | '?' | '#') { format!("%{:02x}", u32::from(c)) } else { c.into() })
        .collect();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)
}

/// The log of a database's file, and the shared memory that another program than this one may have left.
pub(super) fn companions(path: &Path) -> [PathBuf; 2] {
    ["-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

/// Leaves the log as it is when the connection is closed: whoever looks at the file later finds what there was.
pub(super) fn keep_log(connection: &Connection, keep: bool) -> rusqlite::Result<bool> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)
}

/// Keeps every other process out, so that the log's index lies in this one's own memory. It would lie in a file (`-shm`) that is
/// mapped, and a process dies (SIGBUS) when somebody truncates what it has mapped. To be called before the first access
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

/// Whether there is a file that may be ours, which is private then.
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
    // Before SQLite comes: its log follows these permissions.
    make_private(path)?;
    Ok(true)
}

const OF_ANOTHER_PROGRAM: &str = "this is another program's database; give a path of its own";

/// Whether a file of this version can be used. Steps only add, so that the release before the one that wrote the file can
/// use it.
fn usable(version: i64) -> Result<(), String> {
    let known = i64::try_from(schema::VERSION).unwrap_or(i64::MAX);
    if (0..=known + 1).contains(&version) {
        return Ok(());
    }
    Err(format!(
        "its version is {version}, and this release knows up to {known}; install the newer release, or give another path"
    ))
}

/// Creates the directory that the file lies in (0700), if it is missing.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => DirBuilder::new().recursive(true).mode(0o700).create(parent),
        None => Ok(()),
    }
}

fn create(path: &Path) -> Result<(), OpenError> {
    let unusable = |doing| move |source| OpenError::Unusable { path: path.into(), doing, source };
    create_directory(path).map_err(unusable("create its directory"))?;
    // SQLite would create it with the umask's permissions; its log follows these.
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    created.map(drop).map_err(unusable("create the file"))
}

/// Makes our own file private, with what belongs to it; another's is not to be touched.
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

/// The damage of a file that has no header any more.
fn no_database(path: &Path, what: &str) -> OpenError {
    let source = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOTADB), Some(what.into()));
    OpenError::of(path, source)
}

/// Opens the file and looks whether it is ours, without writing anything.
fn connect(path: &Path) -> Result<Connection, Refusal> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    if connection.is_readonly(MAIN_DB)? {
        // SQLite makes do with that; a connection that began so never writes again.
        let error = ffi::Error::new(ffi::SQLITE_READONLY);
        return Err(rusqlite::Error::SqliteFailure(error, None).into());
    }
    connection.busy_timeout(BUSY)?;
    keep_log(&connection, true)?;
    keep_to_itself(&connection)?;
    // What a log adds to the header has been seen by nobody yet.
    let id: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && id != schema::APPLICATION_ID {
        return Err(Refusal::Unsuitable(OF_ANOTHER_PROGRAM.into()));
    }
    usable(schema::version(&connection)?).map_err(Refusal::Unsuitable)?;
    Ok(connection)
}

/// Makes it ready to be written to. To be done again does no harm.
pub(super) fn configure(connection: &mut Connection) -> rusqlite::Result<()> {
    // The ledger's promise rests on this: what a commit has returned for survives a power cut.
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY")?;
    let was_older = schema::migrate(connection)?;
    // WAL: one sync per commit. The log is emptied by size, not by SQLite's count.
    connection.query_row("PRAGMA journal_mode = WAL", [], |_row| Ok(()))?;
    connection.execute_batch("PRAGMA wal_autocheckpoint = 0")?;
    if was_older {
        // So that the header itself says whose file it is and of which version, and need not be looked for in the log.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))?;
    }
    keep_log(connection, false)?;
    Ok(())
}
