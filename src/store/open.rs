//! Taking hold of the file, or saying why not.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema;

/// Another process (`sqlite3`, a backup) may hold the file for a moment.
const BUSY: Duration = Duration::from_secs(5);

/// Why a store could not be opened. Its text is for an operator.
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
}

impl OpenError {
    /// Whether the path is wrong, and not the disk: a person must change the configuration.
    pub const fn is_misconfigured(&self) -> bool {
        match self {
            Self::Unsuitable { .. } => true,
            Self::Unusable { .. } | Self::Failed { .. } | Self::Corrupt { .. } => false,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsuitable { path, what } => write!(f, "store {}: {what}", path.display()),
            Self::Unusable { path, doing, source: _ } => {
                write!(f, "store {}: cannot {doing}", path.display())
            }
            Self::Failed { path, source: _ } => write!(f, "store {}: cannot use it", path.display()),
            Self::Corrupt { path, source: _ } => {
                write!(
                    f,
                    "store {}: the file is damaged; move it away, and a fresh one is begun",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unsuitable { .. } => None,
            Self::Unusable { source, .. } => Some(source),
            Self::Failed { source, .. } | Self::Corrupt { source, .. } => Some(source),
        }
    }
}

/// Opens the file, creating it (0600) and its directory (0700) where they are missing, and brings it up to this release's
/// tables. Refuses, untouched, what is not our file.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    prepare(path)?;
    connect(path).map_err(|error| match error {
        Refusal::Unsuitable(what) => OpenError::Unsuitable { path: path.into(), what },
        Refusal::Sqlite(source) => OpenError::of(path, source),
    })
}

impl OpenError {
    /// What SQLite's error says of the file at `path`.
    pub(super) fn of(path: &Path, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { path: path.into(), source }
            }
            Some(_) | None => Self::Failed { path: path.into(), source },
        }
    }
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

fn prepare(path: &Path) -> Result<(), OpenError> {
    let unsuitable = |what: &str| OpenError::Unsuitable { path: path.into(), what: what.into() };
    let unusable = |doing| move |source| OpenError::Unusable { path: path.into(), doing, source };
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            Err(unsuitable("this is a symbolic link; give the path of the file itself"))
        }
        Ok(found) if found.is_dir() => Err(unsuitable("this is a directory; give the path of a file")),
        Ok(found) if !found.is_file() => Err(unsuitable("this is not a regular file")),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            fs::set_permissions(path, Permissions::from_mode(0o600))
                .map_err(unusable("make the file private"))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                let created = DirBuilder::new().recursive(true).mode(0o700).create(parent);
                created.map_err(unusable("create its directory"))?;
            }
            // SQLite would create it with the umask's permissions; its -wal and -shm files follow these.
            let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            created.map(drop).map_err(unusable("create the file"))
        }
        Err(error) => Err(unusable("look at the file")(error)),
    }
}

fn connect(path: &Path) -> Result<Connection, Refusal> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    let id: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && id != schema::APPLICATION_ID {
        return Err(Refusal::Unsuitable("this is another program's database; give a path of its own".into()));
    }
    let (found, known) = (schema::version(&connection)?, i64::try_from(schema::VERSION).unwrap_or(i64::MAX));
    // Steps only add, so that the release before the one that wrote the file can use it.
    if found > known + 1 {
        return Err(Refusal::Unsuitable(format!(
            "its version is {found}, and this release knows up to {known}; install the newer release, or give another path"
        )));
    }
    configure(&mut connection)?;
    Ok(connection)
}

/// What holds for every connection that writes.
pub(super) fn configure(connection: &mut Connection) -> rusqlite::Result<()> {
    // WAL: one sync per commit, and readers do not block the writer. The database in memory that tests use has none.
    connection.query_row("PRAGMA journal_mode = WAL", [], |_row| Ok(()))?;
    // The ledger's promise rests on this: what a commit has returned for survives a power cut.
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY")?;
    schema::migrate(connection)
}
