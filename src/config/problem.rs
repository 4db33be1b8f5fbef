//! What is wrong with a configuration, where, and what would be right.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use super::settings::Config;
use crate::access::{Secret, secret_in};

/// Why a configuration was not taken: every problem, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The path of the key, such as `vpn[0].tunnel[1].role`, counted from 0 within its file; empty if it is about a
    /// whole file.
    pub key: String,
    /// What.
    pub what: What,
}

/// What is wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Its value.
    Value {
        /// The value as written, cut at [`FOUND_MAX`] characters.
        found: String,
        /// What it may be.
        allowed: String,
    },
    /// It is not there.
    Missing {
        /// What it may be.
        allowed: String,
    },
    /// Anything else, in an operator's words.
    Other(String),
}

/// Where a key was set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a file.
    File {
        /// The file, as it was opened.
        path: PathBuf,
        /// The line, from 1; `None` speaks of the file as a whole.
        line: Option<usize>,
    },
    /// In an environment variable of this name.
    Variable(String),
}

/// Something that is allowed but deserves a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub place: Place,
    /// The path of the key.
    pub key: String,
    /// What, in an operator's words.
    pub what: String,
}

/// Characters of a found value that are repeated in a message: enough to recognise it, too few to flood a terminal.
pub(super) const FOUND_MAX: usize = 80;

/// `text` as a message repeats it: quoted, control characters escaped, cut at [`FOUND_MAX`] characters. A secret is not
/// repeated.
pub(super) fn quoted(text: &str) -> String {
    if let Some((_, secret)) = secret_in(text, &Secret::ALL) {
        return format!("({}, not repeated here)", secret.as_str());
    }
    match text.char_indices().nth(FOUND_MAX) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

impl Place {
    /// A file as a whole.
    pub fn file(path: &Path) -> Self {
        Self::File { path: path.to_owned(), line: None }
    }

    /// A line of a file, counted from 1.
    pub fn line(path: &Path, line: usize) -> Self {
        Self::File { path: path.to_owned(), line: Some(line) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { found, allowed } => write!(f, "found {found}, allowed: {allowed}"),
            Self::Missing { allowed } => write!(f, "missing, allowed: {allowed}"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.place, self.what),
            key => write!(f, "{}: {key}: {}", self.place, self.what),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.key, self.what)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut problems = self.problems.iter();
        if let Some(first) = problems.next() {
            write!(f, "{first}")?;
        }
        problems.try_for_each(|problem| write!(f, "\n{problem}"))
    }
}

impl Error for Rejection {}

impl Warning {
    /// Whether it says the same of the same key of the same file, on whatever line that stands.
    pub fn repeats(&self, other: &Self) -> bool {
        let same_place = match (&self.place, &other.place) {
            (Place::File { path, line: _ }, Place::File { path: other, line: _ }) => path == other,
            (Place::Variable(name), Place::Variable(other)) => name == other,
            (Place::File { .. }, Place::Variable(_)) | (Place::Variable(_), Place::File { .. }) => false,
        };
        same_place && self.key == other.key && self.what == other.what
    }
}

/// What has been noticed so far.
#[derive(Debug, Default)]
pub(super) struct Notes {
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
    files_lost: bool,
}

impl Notes {
    pub(super) fn problem(&mut self, place: Place, key: impl Into<String>, what: What) {
        self.problems.push(Problem { place, key: key.into(), what });
    }

    pub(super) fn warning(&mut self, place: Place, key: impl Into<String>, what: impl Into<String>) {
        self.warnings.push(Warning { place, key: key.into(), what: what.into() });
    }

    /// A problem that keeps a whole file from being understood.
    pub(super) fn file_lost(&mut self, place: Place, what: impl Into<String>) {
        self.files_lost = true;
        self.problem(place, "", What::Other(what.into()));
    }

    /// Whether every file was understood. If not, "there is no such key" is not known.
    pub(super) const fn files_complete(&self) -> bool {
        !self.files_lost
    }

    /// Whether there is a problem with `key` already.
    pub(super) fn has(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }

    /// The configuration, if nothing is wrong with it.
    pub(super) fn finish(self, config: Option<Config>, files: Vec<PathBuf>) -> Result<Config, Rejection> {
        let Self { mut problems, warnings, files_lost: _ } = self;
        match config {
            Some(config) if problems.is_empty() => Ok(Config { warnings, files, ..config }),
            Some(_) | None => {
                problems.sort_by(|a, b| a.place.cmp(&b.place));
                Err(Rejection { problems })
            }
        }
    }
}
