//! What is wrong with a configuration, where, and what would be right.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::Path;

use super::provenance::Provenance;

/// Why a configuration is refused: its problems, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// At least one, and at most [`PROBLEMS_MAX`].
    pub problems: Vec<ConfigProblem>,
    /// How many more there are.
    pub unlisted: usize,
}

/// A person mends the first of them before reading on. A log or a CSV file named .toml by mistake has a million.
pub const PROBLEMS_MAX: usize = 100;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Where.
    pub place: Provenance,
    /// The path of the key, such as `vpn[0].tunnel[1].role`, counted from 0 within its file; empty if it is about a
    /// whole file.
    pub key: String,
    /// What.
    pub what: ProblemKind,
}

/// What is wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKind {
    /// Its value.
    Value {
        /// The value as written, cut, and without secrets.
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

/// Something that is allowed but deserves a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub place: Provenance,
    /// The path of the key.
    pub key: String,
    /// What, in an operator's words.
    pub what: String,
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { found, allowed } => write!(f, "invalid value {found}; expected {allowed}"),
            Self::Missing { allowed } => write!(f, "required key missing; expected {allowed}"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.place, self.what),
            key => write!(f, "{}: {key}: {}", self.place, self.what),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.place, self.what),
            key => write!(f, "{}: {key}: {}", self.place, self.what),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl Error for Rejection {}

impl Rejection {
    /// These problems, cut at [`PROBLEMS_MAX`].
    pub(super) fn of(mut problems: Vec<ConfigProblem>, unlisted: usize) -> Self {
        let over = problems.len().saturating_sub(PROBLEMS_MAX);
        problems.truncate(PROBLEMS_MAX);
        Self { problems, unlisted: unlisted + over }
    }

    /// A line per problem, and one that says how many more there are.
    pub fn lines(&self) -> Vec<String> {
        let more = match self.unlisted {
            0 => None,
            1 => Some("and 1 more problem: fix these first".to_owned()),
            more => Some(format!("and {more} more problems: fix these first")),
        };
        self.problems.iter().map(ToString::to_string).chain(more).collect()
    }

    /// How many problems there are, listed or not.
    pub const fn count(&self) -> usize {
        self.problems.len() + self.unlisted
    }

    /// One that speaks of a configuration as a whole.
    pub fn of_file(path: &Path, what: Vec<String>) -> Self {
        let problem = |what| ConfigProblem {
            place: Provenance::file(path),
            key: String::new(),
            what: ProblemKind::Other(what),
        };
        Self::of(what.into_iter().map(problem).collect(), 0)
    }
}

impl Warning {
    /// Whether it says the same of the same key of the same file, on whatever line that stands.
    pub fn repeats(&self, other: &Self) -> bool {
        let same_place = match (&self.place, &other.place) {
            (Provenance::File { path, line: _ }, Provenance::File { path: other, line: _ }) => path == other,
            (Provenance::Variable(name), Provenance::Variable(other)) => name == other,
            (Provenance::File { .. }, Provenance::Variable(_))
            | (Provenance::Variable(_), Provenance::File { .. }) => false,
        };
        same_place && self.key == other.key && self.what == other.what
    }
}

/// What has been noticed so far.
#[derive(Debug, Default)]
pub(super) struct Notes {
    problems: Vec<ConfigProblem>,
    /// Beyond [`PROBLEMS_MAX`].
    unlisted: usize,
    warnings: Vec<Warning>,
    files_lost: bool,
    /// Numbers as they stand in the files: 5_000 and 1e3 are not what a person finds when looking for 5000 and 1000.0.
    written: BTreeMap<(Provenance, String), String>,
}

impl Notes {
    pub(super) fn problem(&mut self, place: Provenance, key: impl Into<String>, what: ProblemKind) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(ConfigProblem { place, key: key.into(), what });
        } else {
            self.unlisted += 1;
        }
    }

    /// A warning; of more than [`PROBLEMS_MAX`] the first are kept.
    pub(super) fn warning(&mut self, place: Provenance, key: impl Into<String>, what: impl Into<String>) {
        if self.warnings.len() < PROBLEMS_MAX {
            self.warnings.push(Warning { place, key: key.into(), what: what.into() });
        }
    }

    /// Keeps how the number of the key at `path` is written.
    pub(super) fn keep_written(&mut self, place: &Provenance, path: &str, written: &str) {
        self.written.insert((place.clone(), path.to_owned()), written.to_owned());
    }

    /// How the number of the key at `path` is written.
    pub(super) fn written(&self, place: &Provenance, path: &str) -> Option<&str> {
        self.written.get(&(place.clone(), path.to_owned())).map(String::as_str)
    }

    /// A problem that keeps a whole file from being understood.
    pub(super) fn file_lost(&mut self, place: Provenance, what: impl Into<String>) {
        self.files_lost = true;
        self.problem(place, "", ProblemKind::Other(what.into()));
    }

    /// Whether every file was understood. If not, "there is no such key" is not known.
    pub(super) const fn files_complete(&self) -> bool {
        !self.files_lost
    }

    /// Whether there is a problem with `key` already.
    pub(super) fn has(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }

    /// The warnings, if nothing is wrong.
    pub(super) fn finish(self) -> Result<Vec<Warning>, Rejection> {
        let Self { mut problems, unlisted, warnings, files_lost: _, written: _ } = self;
        if problems.is_empty() {
            return Ok(warnings);
        }
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        Err(Rejection { problems, unlisted })
    }
}
