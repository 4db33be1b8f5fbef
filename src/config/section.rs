//! Files and variables merged, and the result read key by key.
//!
//! The merge is that of the crate `config`: a later file overrides the keys of a single table; lists of tables grow. Every
//! value keeps its place. An invalid value is reported when it is read, and then counts as absent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use ::config::{Config, ConfigError, Map, Source, Value, ValueKind};

use super::document::{Document, ListedTable};
use super::hints;
use super::patterns::Rule;
use super::problem::{self, Notes, ProblemKind, Provenance, quoted};
use super::quantity::{DurationBounds, SizeBounds};
use super::schema::{self, PREFIX, Renamed, SEPARATOR, join, variable};

/// What the environment sets.
#[derive(Debug)]
pub(super) struct Overrides(Map<String, Value>);

/// The variables of `env` that override a key. A name that looks like an override but is none is a problem: one with `__`, and
/// one that differs from a key's variable only in underscores or capitals. Any other may belong to other software, such as
/// `BOTHENDS_PORT` of a container's links. The variable of a former key name overrides the new key, with a warning.
pub(super) fn overrides(env: &BTreeMap<String, String>, renamed: &[Renamed], notes: &mut Notes) -> Overrides {
    let paths = schema::single_scalars();
    let known: Vec<_> = paths.iter().map(|path| variable(path)).collect();
    let mut found = Map::new();
    // The value stays text, so that a name such as "0123" does not become a number.
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
                (None, Some(_)) => "; what stands in lists, [[vpn]], [[uplink]], [[group]] and [[incident.sink]], is set in a file, such as one in conf.d".to_owned(),
                (Some(near), _) => format!("; did you mean {near}?"),
                (None, None) => String::new(),
            };
            let what = format!(
                "unknown override; expected BOTHENDS_SECTION__KEY in capitals, with two underscores; only keys of single tables \
                 can be set by environment variables{hint}"
            );
            notes.problem(Provenance::Variable(name.clone()), "", ProblemKind::Other(what));
        } else if let [near, ..] = homes(name, &known).as_slice() {
            // It may belong to other software.
            notes.warning(
                Provenance::Variable(name.clone()),
                "",
                format!("sets nothing; did you mean {near}?"),
            );
        }
    }
    Overrides(found)
}

/// The prefixes of names that are meant for a list.
const LISTS: [&str; 4] =
    ["BOTHENDS_VPN__", "BOTHENDS_UPLINK__", "BOTHENDS_GROUP__", "BOTHENDS_INCIDENT__SINK__"];

/// The variables with the key that a name ends with, if only `BOTHENDS` and perhaps a table come before it: `BOTHENDS_MODE` and
/// `BOTHENDS_AWS_MODE` both suggest `BOTHENDS_INCIDENT__MODE`. A container's links set `BOTHENDS_NAME`.
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

/// The variable that `name` equals apart from underscores and capitals: `BOTHENDS_AWS_REGION` and `bothends_aws__region` both
/// suggest `BOTHENDS_AWS__REGION`.
fn respelt<'k>(name: &str, known: &'k [String]) -> Option<&'k str> {
    let letters = |name: &str| name.replace('_', "").to_ascii_uppercase();
    let meant = letters(name);
    known.iter().map(String::as_str).find(|known| letters(known) == meant)
}

/// If `name` is the variable of a renamed key: its former path, and the variable that overrides it today.
fn former<'r>(name: &str, renamed: &'r Renamed, known: &[String]) -> Option<(&'r str, String)> {
    let table = renamed.from.rsplit_once('.').map_or("", |(table, _)| table);
    let is = variable(&join(table, renamed.to));
    (variable(renamed.from) == name && known.contains(&is)).then_some((renamed.from, is))
}

/// The whole configuration, still as values.
#[derive(Debug)]
pub(super) struct Merged {
    /// The first file: the place of what is missing.
    pub(super) main: Provenance,
    /// The single tables.
    pub(super) tables: Value,
    /// `[[vpn]]` of all files.
    pub(super) vpns: Vec<ListedTable>,
    /// `[[incident.sink]]` of all files.
    pub(super) sinks: Vec<ListedTable>,
    /// `[[uplink]]` of all files.
    pub(super) uplinks: Vec<ListedTable>,
    /// `[[group]]` of all files.
    pub(super) groups: Vec<ListedTable>,
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
    let (mut vpns, mut sinks, mut uplinks, mut groups) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for document in documents {
        builder = builder.add_source(Layer(document.tables));
        vpns.extend(document.vpns);
        sinks.extend(document.sinks);
        uplinks.extend(document.uplinks);
        groups.extend(document.groups);
    }
    let tables = match builder.add_source(Layer(overrides.0)).build() {
        Ok(merged) => merged.cache,
        Err(error) => {
            notes.problem(main.clone(), "", ProblemKind::Other(format!("cannot be merged: {error}")));
            Value::from(Map::<String, Value>::new())
        }
    };
    Merged { main, tables, vpns, sinks, uplinks, groups }
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

//--- sections

/// A table; a missing one has no keys.
#[derive(Debug)]
pub(super) struct Section<'a> {
    path: String,
    place: Provenance,
    keys: Option<&'a Map<String, Value>>,
}

/// A value of a list, with its place and path.
#[derive(Debug)]
pub(super) struct Listed<T> {
    pub(super) value: T,
    pub(super) place: Provenance,
    pub(super) path: String,
}

impl<'a> Section<'a> {
    /// The single tables.
    pub(super) fn root(merged: &'a Merged) -> Self {
        Self::of(String::new(), &merged.tables, &merged.main)
    }

    /// A table of a list.
    pub(super) fn item(item: &'a ListedTable, main: &Provenance) -> Self {
        Self::of(item.path.clone(), &item.value, main)
    }

    fn of(path: String, value: &'a Value, fallback: &Provenance) -> Self {
        let place = Provenance::of(value).unwrap_or_else(|| fallback.clone());
        Self { path, place, keys: table(value) }
    }

    /// The table under `key`.
    pub(super) fn section(&self, key: &str) -> Self {
        let path = join(&self.path, key);
        match self.get(key) {
            Some(value) => Self::of(path, value, &self.place),
            None => Self { path, place: self.place.clone(), keys: None },
        }
    }

    /// The list of tables under `key`; `None` if it was found to be something else.
    pub(super) fn sections(&self, key: &str) -> Option<Vec<Self>> {
        let path = join(&self.path, key);
        let Some(value) = self.get(key) else { return Some(Vec::new()) };
        let items = list(value)?.iter().enumerate();
        Some(items.map(|(index, value)| Self::of(format!("{path}[{index}]"), value, &self.place)).collect())
    }

    /// Whether this is a table, and not an invalid value.
    pub(super) const fn is_table(&self) -> bool {
        self.keys.is_some()
    }

    /// The keys that are set, validly or not, sorted.
    pub(super) fn names(&self) -> BTreeSet<&'a str> {
        self.keys.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    /// Whether `key` is set, validly or not.
    pub(super) fn sets(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Whether `key` is a list without values.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        self.get(key).and_then(list).is_some_and(Vec::is_empty)
    }

    /// How many values the list under `key` has, valid or not.
    pub(super) fn length(&self, key: &str) -> usize {
        self.get(key).and_then(list).map_or(0, Vec::len)
    }

    /// The path of `key`.
    pub(super) fn path(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Where `key` is set, or where the table begins.
    pub(super) fn place(&self, key: &str) -> Provenance {
        self.get(key).and_then(Provenance::of).unwrap_or_else(|| self.place.clone())
    }

    /// A text that follows `rule`.
    pub(super) fn text<T>(&self, key: &str, rule: &Rule<T>, notes: &mut Notes) -> Option<T> {
        self.read(key, &Expected::text(rule), notes, |value| text(value).and_then(rule.parse))
    }

    /// A text that must be there.
    pub(super) fn required<T>(&self, key: &str, rule: &Rule<T>, notes: &mut Notes) -> Option<T> {
        if !self.sets(key) {
            self.missing(key, rule.allowed, notes);
        }
        self.text(key, rule, notes)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str, notes: &mut Notes) -> Option<bool> {
        let from_variable = self.is_variable(key);
        let hint = |value: &Value| {
            if let ValueKind::I64(flag) = &value.kind {
                return hints::of_flag(&flag.to_string());
            }
            let quotes = if from_variable { "" } else { " without quotes" };
            text(value).and_then(hints::of_flag).map(|hint| format!("{hint}{quotes}"))
        };
        self.read(key, &Expected { allowed: &"true or false", hint: Hint::Value(&hint) }, notes, |value| {
            if let ValueKind::Boolean(flag) = &value.kind {
                return Some(*flag);
            }
            text(value).filter(|_| from_variable)?.parse().ok()
        })
    }

    /// A whole number within `range`.
    pub(super) fn count(&self, key: &str, range: RangeInclusive<u32>, notes: &mut Notes) -> Option<u32> {
        let from_variable = self.is_variable(key);
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        let written = notes.written(&self.place(key), &self.path(key)).map(str::to_owned);
        let hint = |value: &Value| {
            if let ValueKind::Float(number) = &value.kind {
                Some(hints::of_float(*number, &written.clone().unwrap_or_else(|| format!("{number:?}"))))
            } else if let ValueKind::String(text) = &value.kind
                && text.trim().parse::<u32>().is_ok()
            {
                Some(format!("write {} without quotes", text.trim()))
            } else {
                None
            }
        };
        self.read(key, &Expected { allowed: &allowed, hint: Hint::Value(&hint) }, notes, |value| {
            let number = if let ValueKind::I64(number) = &value.kind {
                u32::try_from(*number).ok()?
            } else {
                text(value).filter(|_| from_variable)?.parse().ok()?
            };
            range.contains(&number).then_some(number)
        })
    }

    /// A duration within `span`.
    pub(super) fn duration(&self, key: &str, span: &DurationBounds, notes: &mut Notes) -> Option<Duration> {
        self.read(key, &Expected::duration(span), notes, |value| {
            text(value).and_then(|text| span.parse(text))
        })
    }

    /// A duration within `span`, or `Some(None)` for "off".
    pub(super) fn duration_or_off(
        &self,
        key: &str,
        span: &DurationBounds,
        notes: &mut Notes,
    ) -> Option<Option<Duration>> {
        self.read(key, &Expected::duration(&format!("{span}, or \"off\"")), notes, |value| {
            match text(value)? {
                "off" => Some(None),
                text => span.parse(text).map(Some),
            }
        })
    }

    /// A size in bytes within `bounds`.
    pub(super) fn size(&self, key: &str, bounds: &SizeBounds, notes: &mut Notes) -> Option<u64> {
        self.read(key, &Expected { allowed: bounds, hint: Hint::Size }, notes, |value| {
            text(value).and_then(|text| bounds.parse(text))
        })
    }

    /// A list of texts that follow `rule`; it must not be empty.
    pub(super) fn texts<T>(&self, key: &str, rule: &Rule<T>, notes: &mut Notes) -> Option<Vec<Listed<T>>> {
        let allowed = format!("a list, not empty, of: {}", rule.allowed);
        let of_list = |value: &Value| text(value).map(|_| "put it in square brackets".to_owned());
        let expected = Expected { allowed: &allowed, hint: Hint::Value(&of_list) };
        let list = self.read(key, &expected, notes, |value| list(value).filter(|list| !list.is_empty()))?;
        let mut found = Vec::new();
        for (index, value) in list.iter().enumerate() {
            let path = format!("{}[{index}]", self.path(key));
            let place = Provenance::of(value).unwrap_or_else(|| self.place(key));
            if let Some(value) = checked(value, (&path, &place), &Expected::text(rule), notes, |value| {
                text(value).and_then(rule.parse)
            }) {
                found.push(Listed { value, place, path });
            }
        }
        Some(found)
    }

    /// A text that follows `rule`, or a list of them.
    pub(super) fn one_or_more<T>(
        &self,
        key: &str,
        rule: &Rule<T>,
        notes: &mut Notes,
    ) -> Option<Vec<Listed<T>>> {
        if self.get(key).is_some_and(|value| list(value).is_some()) {
            return self.texts(key, rule, notes);
        }
        let value = self.text(key, rule, notes)?;
        Some(vec![Listed { value, place: self.place(key), path: self.path(key) }])
    }

    /// Reports that `key` is missing.
    pub(super) fn missing(&self, key: &str, allowed: &str, notes: &mut Notes) {
        notes.problem(
            self.place.clone(),
            self.path(key),
            ProblemKind::Missing { allowed: allowed.to_owned() },
        );
    }

    /// Reports that `key`, valid by itself, conflicts with other keys.
    pub(super) fn wrong(&self, key: &str, what: impl Into<String>, notes: &mut Notes) {
        notes.problem(self.place(key), self.path(key), ProblemKind::Other(what.into()));
    }

    /// Adds a warning.
    pub(super) fn warn(&self, key: &str, what: impl Into<String>, notes: &mut Notes) {
        notes.warning(self.place(key), self.path(key), what);
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.keys.and_then(|keys| keys.get(key))
    }

    fn is_variable(&self, key: &str) -> bool {
        matches!(self.place(key), Provenance::Variable(_))
    }

    fn read<T>(
        &self,
        key: &str,
        expected: &Expected<'_>,
        notes: &mut Notes,
        parse: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        checked(self.get(key)?, (&self.path(key), &self.place(key)), expected, notes, parse)
    }
}

/// Values that must be unique, and where each was first seen.
#[derive(Debug)]
pub(super) struct Once<T>(BTreeMap<T, (Provenance, String)>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord> Once<T> {
    /// Reports `key` of `section` if its value was seen before.
    pub(super) fn claim(&mut self, value: T, section: &Section<'_>, key: &str, notes: &mut Notes) {
        self.claim_at(value, (section.place(key), section.path(key)), notes);
    }

    /// Reports the value at `at` if it was seen before.
    pub(super) fn claim_at(&mut self, value: T, at: (Provenance, String), notes: &mut Notes) {
        match self.0.get(&value) {
            Some((place, path)) => {
                let what = format!("is the same as {path} at {place}");
                notes.problem(at.0, at.1, ProblemKind::Other(what));
            }
            None => {
                self.0.insert(value, at);
            }
        }
    }

    /// The values, in their order.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.keys()
    }

    /// Whether the value was seen.
    pub(super) fn has(&self, value: &T) -> bool {
        self.0.contains_key(value)
    }
}

/// Reports what a list has twice.
pub(super) fn distinct<T: Ord + Clone>(listed: &[Listed<T>], notes: &mut Notes) {
    let mut seen = Once::default();
    for Listed { value, place, path } in listed {
        seen.claim_at(value.clone(), (place.clone(), path.clone()), notes);
    }
}

/// What is expected of a value.
struct Expected<'e> {
    /// For messages.
    allowed: &'e dyn fmt::Display,
    hint: Hint<'e>,
}

/// The hint on the most likely intention behind an invalid value.
#[derive(Clone, Copy)]
enum Hint<'h> {
    /// By the text; where a text is expected.
    Text(fn(&str) -> Option<String>),
    /// Where a duration is expected.
    Duration,
    /// Where a size is expected.
    Size,
    /// By the value.
    Value(&'h dyn Fn(&Value) -> Option<String>),
}

impl Hint<'_> {
    fn on(self, value: &Value) -> Option<String> {
        match (self, text(value)) {
            (Self::Text(hint), Some(text)) => hint(text),
            (Self::Text(_), None) => {
                let is_plain = table(value).is_none() && list(value).is_none();
                is_plain.then(|| "put it in quotes".to_owned())
            }
            (Self::Duration, Some(text)) => hints::of_duration(text),
            (Self::Duration, None) => {
                if let ValueKind::I64(number) = value.kind {
                    Some(hints::of_bare_duration(number))
                } else {
                    None
                }
            }
            (Self::Size, text) => text.and_then(hints::of_text),
            (Self::Value(hint), _) => hint(value),
        }
    }
}

impl<'e> Expected<'e> {
    fn text<T>(rule: &'e Rule<T>) -> Self {
        Self { allowed: &rule.allowed, hint: Hint::Text(rule.hint) }
    }

    fn duration(allowed: &'e dyn fmt::Display) -> Self {
        Self { allowed, hint: Hint::Duration }
    }
}

fn checked<'a, T>(
    value: &'a Value,
    (path, place): (&str, &Provenance),
    expected: &Expected<'_>,
    notes: &mut Notes,
    parse: impl FnOnce(&'a Value) -> Option<T>,
) -> Option<T> {
    if matches!(value.kind, ValueKind::Nil) {
        return None;
    }
    let parsed = parse(value);
    if parsed.is_none() {
        let found = problem::of_key(path, found(value, notes.written(place, path)));
        let hint = expected.hint.on(value).map(|hint| format!("; {hint}")).unwrap_or_default();
        let allowed = format!("{}{hint}", expected.allowed);
        notes.problem(place.clone(), path, ProblemKind::Value { found, allowed });
    }
    parsed
}

const fn table(value: &Value) -> Option<&Map<String, Value>> {
    if let ValueKind::Table(keys) = &value.kind { Some(keys) } else { None }
}

const fn list(value: &Value) -> Option<&Vec<Value>> {
    if let ValueKind::Array(list) = &value.kind { Some(list) } else { None }
}

fn text(value: &Value) -> Option<&str> {
    if let ValueKind::String(text) = &value.kind { Some(text) } else { None }
}

/// A value as a message shows it; `written` is the form of a number in its file.
fn found(value: &Value, written: Option<&str>) -> String {
    if let Some(written) = written {
        return written.to_owned();
    }
    match &value.kind {
        ValueKind::Nil => "nothing".to_owned(),
        ValueKind::Boolean(flag) => flag.to_string(),
        ValueKind::I64(number) => number.to_string(),
        ValueKind::I128(number) => number.to_string(),
        ValueKind::U64(number) => number.to_string(),
        ValueKind::U128(number) => number.to_string(),
        ValueKind::Float(number) => format!("{number:?}"),
        ValueKind::String(text) => quoted(text),
        ValueKind::Table(_) => "a table".to_owned(),
        ValueKind::Array(list) if list.is_empty() => "an empty list".to_owned(),
        ValueKind::Array(_) => "a list".to_owned(),
    }
}
