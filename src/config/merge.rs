//! Files and variables put together: which key each variable `BOTHENDS_SECTION__KEY` overrides, and the merge by the crate `config`. Of
//! a single table the last one who sets a key has it; the lists of tables grow. Every value keeps the place it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ::config::{Config, ConfigError, Map, Source, Value};

use super::document::{Document, ListedTable};
use super::problem::{Notes, ProblemKind, Provenance};
use super::schema::{self, PREFIX, Renamed, SEPARATOR, variable};

/// What the environment sets.
#[derive(Debug)]
pub(super) struct Overrides(Map<String, Value>);

/// The variables of `env` that override a key. One that looks as if it should, and does not, is a problem: one with `__`, and
/// one that is a key's but for its underscores or capitals. Any other is somebody else's, as `BOTHENDS_PORT` of a container's
/// links. One that names a key as it was once called overrides it, with a warning.
pub(super) fn overrides(env: &BTreeMap<String, String>, renamed: &[Renamed], notes: &mut Notes) -> Overrides {
    let paths = schema::single_scalars();
    let known: Vec<_> = paths.iter().map(|path| variable(path)).collect();
    let mut found = Map::new();
    // A value stays a text, so that a name such as "0123" is no number.
    let mut set = |name: &str, value: &str| {
        if let Some(at) = known.iter().position(|known| known == name) {
            let origin = Provenance::Variable(name.to_owned()).origin();
            found.insert(paths[at].clone(), Value::new(Some(&origin), value));
        }
    };
    for (name, value) in env {
        if known.contains(name) {
            set(name, value);
        } else if let Some((was, is)) = renamed.iter().find_map(|renamed| former(name, renamed, &known)) {
            let place = Provenance::Variable(name.clone());
            if env.contains_key(&is) {
                let what = format!("is the former name of {is}, which is set as well; keep that one");
                notes.problem(place.clone(), "", ProblemKind::Other(what));
            } else {
                set(&is, value);
            }
            notes.warning(place, was, format!("is now called {is}; rename it"));
        } else if is_meant_for_us(name) || respelt(name, &known).is_some() {
            let elsewhere = homes(name, &known);
            let near = respelt(name, &known)
                .or_else(|| schema::nearest(name, known.iter().map(String::as_str)))
                .or_else(|| elsewhere.first().copied());
            let hint = match (near, LISTS.iter().find(|list| name.starts_with(*list))) {
                (None, Some(_)) => "; what stands in lists, [[vpn]] and [[incident.sink]], is set in a file, such as one in conf.d".to_owned(),
                (Some(near), _) => format!("; did you mean {near}?"),
                (None, None) => String::new(),
            };
            let what = format!(
                "unknown override; expected BOTHENDS_SECTION__KEY in capitals, with two underscores; only keys of single tables \
                 can be set by environment variables{hint}"
            );
            notes.problem(Provenance::Variable(name.clone()), "", ProblemKind::Other(what));
        } else if let [near, ..] = homes(name, &known).as_slice() {
            // It may be somebody else's, whose names these are not.
            notes.warning(
                Provenance::Variable(name.clone()),
                "",
                format!("sets nothing; did you mean {near}?"),
            );
        }
    }
    Overrides(found)
}

/// How names begin that are meant for a list.
const LISTS: [&str; 2] = ["BOTHENDS_VPN__", "BOTHENDS_INCIDENT__SINK__"];

/// The variables whose key a name ends with, if all that stands before is `BOTHENDS` and perhaps a table: `BOTHENDS_MODE` is
/// `BOTHENDS_INCIDENT__MODE`, and so is `BOTHENDS_AWS_MODE`. A container's links set `BOTHENDS_NAME`.
fn homes<'k>(name: &str, known: &'k [String]) -> Vec<&'k str> {
    let Some(rest) = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('_')) else {
        return Vec::new();
    };
    if rest == "NAME" {
        return Vec::new();
    }
    let tables: BTreeSet<&str> = known
        .iter()
        .filter_map(|known| known.strip_prefix(PREFIX)?.strip_prefix('_')?.split_once(SEPARATOR))
        .map(|(table, _)| table)
        .collect();
    let bare = tables.iter().find_map(|table| rest.strip_prefix(*table)?.strip_prefix('_'));
    let key = bare.unwrap_or(rest).trim_start_matches('_');
    known.iter().map(String::as_str).filter(|known| known.rsplit(SEPARATOR).next() == Some(key)).collect()
}

/// Whether a name has the form of an override.
fn is_meant_for_us(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('_') && rest.contains(SEPARATOR))
}

/// The variable that `name` is but for underscores and capitals: `BOTHENDS_AWS_REGION` and `bothends_aws__region` are
/// `BOTHENDS_AWS__REGION`.
fn respelt<'k>(name: &str, known: &'k [String]) -> Option<&'k str> {
    let letters = |name: &str| name.replace('_', "").to_ascii_uppercase();
    let meant = letters(name);
    known.iter().map(String::as_str).find(|known| letters(known) == meant)
}

/// The former path of the key, and the variable that overrides it today, if `name` is the variable that once did.
fn former<'r>(name: &str, renamed: &'r Renamed, known: &[String]) -> Option<(&'r str, String)> {
    let table = renamed.from.rsplit_once('.').map_or("", |(table, _)| table);
    let is = variable(&schema::join(table, renamed.to));
    (variable(renamed.from) == name && known.contains(&is)).then_some((renamed.from, is))
}

/// The whole configuration, still as values.
#[derive(Debug)]
pub(super) struct Merged {
    /// The first file, which is blamed for what is missing.
    pub(super) main: Provenance,
    /// The single tables.
    pub(super) tables: Value,
    /// `[[vpn]]` of all files.
    pub(super) vpns: Vec<ListedTable>,
    /// `[[incident.sink]]` of all files.
    pub(super) sinks: Vec<ListedTable>,
}

/// Merges the documents, later over earlier, and the variables over all.
pub(super) fn merge(
    main: &Path,
    documents: Vec<Document>,
    overrides: Overrides,
    notes: &mut Notes,
) -> Merged {
    let main = Provenance::file(main);
    let mut builder = Config::builder();
    let (mut vpns, mut sinks) = (Vec::new(), Vec::new());
    for document in documents {
        builder = builder.add_source(Layer(document.tables));
        vpns.extend(document.vpns);
        sinks.extend(document.sinks);
    }
    let tables = match builder.add_source(Layer(overrides.0)).build() {
        Ok(merged) => merged.cache,
        Err(error) => {
            notes.problem(main.clone(), "", ProblemKind::Other(format!("cannot be merged: {error}")));
            Value::from(Map::<String, Value>::new())
        }
    };
    Merged { main, tables, vpns, sinks }
}

/// One file's single tables, or the environment's keys by their paths.
#[derive(Debug, Clone)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}
