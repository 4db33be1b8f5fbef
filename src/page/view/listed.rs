//! Lists of bounded length.

use serde::Serialize;

/// A list that may be cut.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::page) struct Listed<T> {
    pub(in crate::page) shown: Vec<T>,
    /// How many more there are.
    pub(in crate::page) more: usize,
}

impl<T> Listed<T> {
    pub(super) fn of(all: impl IntoIterator<Item = T>, max: usize) -> Self {
        let mut all = all.into_iter();
        let shown: Vec<T> = all.by_ref().take(max).collect();
        Self { shown, more: all.count() }
    }
}
