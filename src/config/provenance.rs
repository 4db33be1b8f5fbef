//! Where a key was set, for messages, and how that goes through the merge.

use std::fmt;
use std::path::{Path, PathBuf};

use ::config::Value;

use super::schema::variable;

/// Where a key was set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provenance {
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

impl Provenance {
    /// A file as a whole.
    pub fn file(path: &Path) -> Self {
        Self::File { path: path.to_owned(), line: None }
    }

    /// A line of a file, counted from 1.
    pub fn line(path: &Path, line: usize) -> Self {
        Self::File { path: path.to_owned(), line: Some(line) }
    }

    /// As the crate `config` carries it through the merge.
    pub(super) fn origin(&self) -> String {
        match self {
            Self::File { path, line } => format!("{}:{}", line.unwrap_or(0), path.display()),
            Self::Variable(name) => name.clone(),
        }
    }

    /// Where a value at `path` was set; `None` for a table that was merged from several places.
    pub(super) fn of(value: &Value, path: &str) -> Option<Self> {
        let origin = value.origin()?;
        let in_file =
            origin.split_once(':').and_then(|(line, file)| Some((line.parse::<usize>().ok()?, file)));
        Some(match in_file {
            Some((line, file)) => Self::File { path: PathBuf::from(file), line: (line > 0).then_some(line) },
            // `config` says "the environment" of each variable.
            None => Self::Variable(variable(path)),
        })
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}
