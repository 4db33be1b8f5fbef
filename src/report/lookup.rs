//! Finds an incident by its id, or the beginning of it.

use std::fmt;
use std::sync::Arc;

use super::calendar::Calendar;
use crate::history::{Entry, Recalled};

/// So many incidents are named where none or several fit.
const NAMED: usize = 8;

/// Why there is not one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    key: String,
    /// How many fit.
    fit: usize,
    /// Some of those that fit, or else the newest, each with the time at which it opened.
    some: Vec<(String, String)>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, fit, some } = self;
        match (fit, some.is_empty()) {
            (0, true) => {
                return write!(
                    f,
                    "--incident {key}: the history has no incident in this period; give --since to look further back"
                );
            }
            (0, false) => {
                write!(f, "--incident {key}: no incident has an id that begins so; the newest are:")?
            }
            (fit, _) => {
                write!(f, "--incident {key}: {fit} incidents have ids that begin so; give more of one:")?
            }
        }
        for (id, opened) in some {
            write!(f, "\n  {id}  opened {opened}")?;
        }
        Ok(())
    }
}

/// The incident with this id, or the only one whose id begins so.
///
/// # Errors
/// There is none, or more than one.
pub fn find(entries: &[Entry], key: &str, calendar: &Calendar) -> Result<Arc<Recalled>, NotFound> {
    let mut all: Vec<(String, &Arc<Recalled>)> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Incident(incident) => Some((incident.id.to_string(), incident)),
            Entry::Watched(_) | Entry::Change { .. } | Entry::Paged { .. } | Entry::Minute(_) => None,
        })
        .collect();
    all.sort_by(|(a_id, a), (b_id, b)| (b.id.opened, a_id).cmp(&(a.id.opened, b_id)));
    all.dedup_by(|(a, _), (b, _)| a == b);
    let fits: Vec<_> = all.iter().filter(|(id, _)| id.starts_with(key)).collect();
    if let Some((_, incident)) =
        fits.iter().find(|(id, _)| id == key).or(fits.first().filter(|_| fits.len() == 1))
    {
        return Ok(Arc::clone(incident));
    }
    let shown = |(id, incident): &(String, &Arc<Recalled>)| (id.clone(), calendar.second(incident.id.opened));
    let some = match fits.as_slice() {
        [] => all.iter().take(NAMED).map(shown).collect(),
        fits => fits.iter().take(NAMED).map(|fit| shown(fit)).collect(),
    };
    Err(NotFound { key: key.to_owned(), fit: fits.len(), some })
}
