//! The variables `BOTHENDS_SECTION__KEY`: which key each of them overrides.

use std::collections::BTreeMap;

use ::config::Map;

use super::problem::{Notes, Place, What};
use super::schema;

pub(super) const PREFIX: &str = "BOTHENDS";
pub(super) const SEPARATOR: &str = "__";

/// The variables of `env` that override a key. One that looks as if it should, and does not, is a problem; without `__`
/// it is none of ours.
pub(super) fn overrides(env: &BTreeMap<String, String>, notes: &mut Notes) -> Map<String, String> {
    let known: Vec<_> = schema::single_scalars().iter().map(|path| variable(path)).collect();
    let mut found = Map::new();
    for (name, value) in env {
        if known.contains(name) {
            found.insert(name.clone(), value.clone());
        } else if name
            .strip_prefix(PREFIX)
            .is_some_and(|rest| rest.starts_with('_') && rest.contains(SEPARATOR))
        {
            let hint = schema::nearest(name, known.iter().map(String::as_str))
                .map_or(String::new(), |near| format!("; did you mean {near}?"));
            let what = format!(
                "names no key: it must be BOTHENDS_SECTION__KEY in capitals, of a table that there is one of{hint}"
            );
            notes.problem(Place::Variable(name.clone()), "", What::Other(what));
        }
    }
    found
}

/// The variable that overrides the key at `path`.
pub(super) fn variable(path: &str) -> String {
    format!("{PREFIX}_{}", path.to_ascii_uppercase().replace('.', SEPARATOR))
}
