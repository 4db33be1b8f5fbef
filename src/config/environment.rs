//! The variables `BOTHENDS_SECTION__KEY`: which key each of them overrides.

use std::collections::BTreeMap;

use ::config::Map;

use super::problem::{Notes, Place, What};
use super::schema::{self, Renamed};

pub(super) const PREFIX: &str = "BOTHENDS";
pub(super) const SEPARATOR: &str = "__";

/// The variables of `env` that override a key. One that looks as if it should, and does not, is a problem; without `__`
/// it is none of ours. One that names a key as it was once called overrides it, with a warning.
pub(super) fn overrides(
    env: &BTreeMap<String, String>,
    renamed: &[Renamed],
    notes: &mut Notes,
) -> Map<String, String> {
    let known: Vec<_> = schema::single_scalars().iter().map(|path| variable(path)).collect();
    let mut found = Map::new();
    for (name, value) in env {
        if known.contains(name) {
            found.insert(name.clone(), value.clone());
        } else if let Some((was, is)) = renamed.iter().find_map(|renamed| former(name, renamed, &known)) {
            let place = Place::Variable(name.clone());
            if env.contains_key(&is) {
                let what = format!("is the former name of {is}, which is set as well; keep that one");
                notes.problem(place.clone(), "", What::Other(what));
            } else {
                found.insert(is.clone(), value.clone());
            }
            notes.warning(place, was, format!("is called {is} today; rename it"));
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

/// The former path of the key, and the variable that overrides it today, if `name` is the variable that once did.
fn former<'r>(name: &str, renamed: &'r Renamed, known: &[String]) -> Option<(&'r str, String)> {
    let table = renamed.from.rsplit_once('.').map_or("", |(table, _)| table);
    let is = variable(&schema::join(table, renamed.to));
    (variable(renamed.from) == name && known.contains(&is)).then_some((renamed.from, is))
}

/// The variable that overrides the key at `path`.
pub(super) fn variable(path: &str) -> String {
    format!("{PREFIX}_{}", path.to_ascii_uppercase().replace('.', SEPARATOR))
}
