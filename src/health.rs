//! The problems that prevent the daemon from doing its job, stated by the part that meets them. `/readyz`, `/status`,
//! systemd's line, the journal and the metrics read them. The problems and their texts are in [`crate::catalogue`].

pub mod overview;
pub mod readiness;
pub mod silenced;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

pub use crate::catalogue::{Code, CodeEntry, Component, Problem, Severity};

/// The open problems, by component.
pub type Problems = BTreeMap<Component, Problem>;

/// A handle with which components state and clear their problems.
#[derive(Debug, Clone)]
pub struct Health {
    problems: Arc<watch::Sender<Problems>>,
}

impl Default for Health {
    fn default() -> Self {
        Self { problems: Arc::new(watch::Sender::new(Problems::new())) }
    }
}

impl Health {
    /// States a component's problem, replacing an earlier one. Returns whether it has changed.
    pub fn set(&self, component: Component, problem: Problem) -> bool {
        self.problems.send_if_modified(|problems| {
            problems.insert(component, problem.clone()).as_ref() != Some(&problem)
        })
    }

    /// Clears a component's problem. Returns whether there was one.
    pub fn clear(&self, component: &Component) -> bool {
        self.problems.send_if_modified(|problems| problems.remove(component).is_some())
    }

    /// The open problems, as they change.
    pub fn watch(&self) -> watch::Receiver<Problems> {
        self.problems.subscribe()
    }
}
