//! What is wrong with a configuration, where, and what is expected; and how much of a value a message may show.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use ::config::Value;

use crate::access::{Secret, is_drawn, is_uuid, is_within, secret_in};

/// The problems for which a configuration is refused, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// At least one, and at most [`PROBLEMS_MAX`].
    pub problems: Vec<ConfigProblem>,
    /// How many more there are.
    pub unlisted: usize,
}

/// Nobody reads more before mending the first. A log or a CSV file named .toml by mistake has a million.
pub const PROBLEMS_MAX: usize = 100;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Its place.
    pub place: Provenance,
    /// The path of the key, such as `vpn[0].tunnel[1].role`, counted from 0 within its file; empty if it is about a
    /// whole file.
    pub key: String,
    /// What is wrong.
    pub what: ProblemKind,
}

/// The kind of a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKind {
    /// The value of the key is invalid.
    Value {
        /// The value as written, cut, and without secrets.
        found: String,
        /// The valid values.
        allowed: String,
    },
    /// The key is missing.
    Missing {
        /// The valid values.
        allowed: String,
    },
    /// Any other message.
    Other(String),
}

/// Something that is allowed but deserves a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Its place.
    pub place: Provenance,
    /// The path of the key.
    pub key: String,
    /// The message.
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

    /// A line per problem, and one with the number of the others.
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

    /// A problem of a configuration as a whole.
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
    /// Whether it reports the same about the same key of the same file, on whatever line.
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

/// The problems and warnings so far.
#[derive(Debug, Default)]
pub(super) struct Notes {
    problems: Vec<ConfigProblem>,
    /// Beyond [`PROBLEMS_MAX`].
    unlisted: usize,
    warnings: Vec<Warning>,
    files_lost: bool,
    /// Numbers as written in the files: a search for 5000 and 1000.0 does not find 5_000 and 1e3.
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

    /// Adds a warning; the first [`PROBLEMS_MAX`] are kept.
    pub(super) fn warning(&mut self, place: Provenance, key: impl Into<String>, what: impl Into<String>) {
        if self.warnings.len() < PROBLEMS_MAX {
            self.warnings.push(Warning { place, key: key.into(), what: what.into() });
        }
    }

    /// Keeps the written form of the number at `path`.
    pub(super) fn keep_written(&mut self, place: &Provenance, path: &str, written: &str) {
        self.written.insert((place.clone(), path.to_owned()), written.to_owned());
    }

    /// The written form of the number at `path`.
    pub(super) fn written(&self, place: &Provenance, path: &str) -> Option<&str> {
        self.written.get(&(place.clone(), path.to_owned())).map(String::as_str)
    }

    /// Adds a problem that makes a whole file unusable.
    pub(super) fn file_lost(&mut self, place: Provenance, what: impl Into<String>) {
        self.files_lost = true;
        self.problem(place, "", ProblemKind::Other(what.into()));
    }

    /// Whether every file was understood. If not, a missing key may be in the file that was not.
    pub(super) const fn files_complete(&self) -> bool {
        !self.files_lost
    }

    /// Whether there is a problem with `key` already.
    pub(super) fn has(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }

    /// The warnings, if there are no problems.
    pub(super) fn finish(self) -> Result<Vec<Warning>, Rejection> {
        let Self { mut problems, unlisted, warnings, files_lost: _, written: _ } = self;
        if problems.is_empty() {
            return Ok(warnings);
        }
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        Err(Rejection { problems, unlisted })
    }
}

/// Where a key was set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provenance {
    /// In a file.
    File {
        /// The path by which it was opened.
        path: PathBuf,
        /// The line, counted from 1; `None`: the file as a whole.
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

    /// The form in which the crate `config` carries it through the merge, as text.
    pub(super) fn origin(&self) -> String {
        match self {
            Self::File { path, line } => format!("{}:{}", line.unwrap_or(0), path.display()),
            Self::Variable(name) => name.clone(),
        }
    }

    /// Where a value was set; `None` for a table that was merged from several places.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let origin = value.origin()?;
        let in_file =
            origin.split_once(':').and_then(|(line, file)| Some((line.parse::<usize>().ok()?, file)));
        Some(match in_file {
            Some((line, file)) => Self::File { path: PathBuf::from(file), line: (line > 0).then_some(line) },
            None => Self::Variable(origin.to_owned()),
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

//--- how much of a configured value a message may show: never a secret, and no more than is needed to recognise it

/// Characters of a value that are shown: enough to recognise it, too few to flood a terminal.
pub(super) const FOUND_MAX: usize = 80;

/// Keys whose values are secrets when the secret itself is put where its place belongs.
const BESIDE_SECRETS: [&str; 4] = ["url", "url_file", "url_credential", "headers"];
/// A key with one of these in its name, known or not, holds a secret or is treated as if it did.
const SECRET_NAMES: [&str; 11] = [
    "secret",
    "passw",
    "pwd",
    "token",
    "credential",
    "psk",
    "pre_shared",
    "preshared",
    "private",
    "api_key",
    "access_key",
];

/// `text` as a message shows it: quoted, control characters escaped, cut at [`FOUND_MAX`] characters. A secret is not
/// shown.
pub(super) fn quoted(text: &str) -> String {
    if let Some((_, secret)) = secret_in(text, &Secret::ALL) {
        return format!("(not shown: {})", secret.as_str());
    }
    if looks_like_secret(text) {
        return "(not shown: it looks like a key or token)".to_owned();
    }
    match text.char_indices().nth(FOUND_MAX) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// A key of a file as a message shows it. Quoted keys may hold anything, so one that is not a bare key is shown quoted as well.
pub(super) fn key(written: &str) -> String {
    let bare = !written.is_empty()
        && written.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && written.len() <= 64;
    if bare && !looks_like_secret(written) { written.to_owned() } else { quoted(written) }
}

/// The value of the key at `path` as a message shows it; `shown` is the form of a value that is not secret.
pub(super) fn of_key(path: &str, shown: String) -> String {
    if names_secret(path) { "(not shown: this key may hold a secret)".to_owned() } else { shown }
}

/// Whether the value of the key at `path` is never shown.
fn names_secret(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let name = name.split('[').next().unwrap_or_default();
    BESIDE_SECRETS.contains(&name) || SECRET_NAMES.iter().any(|word| name.contains(word))
}

/// Whether a word of `text` looks machine-made: a key, a token, a signature.
pub(super) fn looks_like_secret(text: &str) -> bool {
    text.split(|c| !is_within(c)).any(|word| is_drawn(word) || is_uuid(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_drawn_by_a_machine_is_not_shown() {
        for text in [
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCY3XAMPLEKEY",
            "secret is wJalrXUtnFEMI/K7MDENG/bPxRfiCY3XAMPLEKEY",
            "0123456789abcdef0123456789abcdef",
            "R03ABCD2EFGHI4jklmn5OPQR6STUVwx7",
            "xoxb-123456789012-abcdefghij",
            "ghp_abcdefghijklmnopqrstuvwxyz",
            "eyJhbGciOiJIUzI1NiJ9.e30.x",
            "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f",
            "token=aB3dE5gH7jK9mN1pQ3sT",
            "R03ABCD2EFGHI4jklmn5OPQR6STUVwx7!",
            "AKIAIOSFODNN7EXAMPLE",
            "/K7MDENGwJa1rXUtnFEMIbPxRfiCY3XaMPl9KeYz",
            "FwoGZXIvYXdzEJr//////////wEaDJ2kT0l5Qx9m8sVbRyKxAd3uW4nH7pLcF1eZg6XoJ0tYiUq5MkB8vSaN2rDhGwTzPl9CfO3xEjK4",
        ] {
            assert!(quoted(text).starts_with("(not shown"), "{text}: {}", quoted(text));
        }
    }

    #[test]
    fn ordinary_text_is_shown() {
        for text in [
            "",
            "actve",
            "vpn-0a1b2c3d4e5f60718",
            "VPN-0A1B2C3D4E5F60718",
            "Milan-Datacenter-Primary-1",
            "arn:aws:ssm-incidents::123456789012:response-plan/bothends-{vpn}",
            "/etc/bothends/keys/PagerDuty-2.key",
            "/opt/Company2/SecurityModule/HelperProgr",
            "https://wiki.example.com/runbooks/Milan/VPN/Outage2",
            "2001:db8:85a3::8a2e:370:7334",
            "keine Ahnung, was das ist",
        ] {
            assert_eq!(quoted(text), format!("{text:?}"));
        }
        assert_eq!(quoted(&"x".repeat(81)), format!("\"{}\"…", "x".repeat(80)));
    }

    #[test]
    fn a_key_that_names_a_secret_shows_no_value() {
        for path in [
            "incident.sink[0].secret_file",
            "incident.sink[3].signing_secret_credential",
            "incident.sink[0].headers[1]",
            "incident.sink[0].url_file",
            "aws.secret_access_key",
            "vpn[0].tunnel[0].pre_shared_key",
        ] {
            assert!(!of_key(path, "hunter2".to_owned()).contains("hunter2"), "{path}");
        }
        for path in ["vpn[0].runbook_url", "vpn[0].tunnel[1].role", "incident.sink[0].kinds[1]", "store.keep"]
        {
            assert_eq!(of_key(path, "x".to_owned()), "x", "{path}");
        }
    }
}
