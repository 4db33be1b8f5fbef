//! What stands between the daemon and its job, said by whoever meets it and read by `/readyz`.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// The open problems, by component.
pub type Problems = BTreeMap<Component, Problem>;

/// Who has the problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// A poller, by its source's words.
    Source(String),
    /// The configured addresses of a connection, by its id: AWS's are others.
    Addresses(String),
    /// A sink, by its id.
    Sink(String),
    /// The CloudWatch publisher.
    Publisher,
    /// The store.
    Store,
    /// The configuration in force, after a reload that was refused.
    Configuration,
    /// The ICMP sockets.
    Probe,
    /// This host's clock.
    Clock,
    /// The HTTP listener.
    Listener,
}

/// What is wrong, and what would mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the daemon cannot do its job because of it (`/readyz` answers 503), or only less well.
    pub severity: Severity,
    /// What, where, and what to do, in an operator's words; never a secret.
    pub text: String,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something works less well.
    Degraded,
    /// The daemon cannot vote, page or keep what it must.
    Failed,
}

/// A handle by which components say and take back their problems.
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
    /// States a component's problem, in place of an earlier one. Returns whether it is another than before.
    pub fn set(&self, component: Component, problem: Problem) -> bool {
        self.problems.send_if_modified(|problems| {
            problems.insert(component, problem.clone()).as_ref() != Some(&problem)
        })
    }

    /// Takes a component's problem back. Returns whether there was one.
    pub fn clear(&self, component: &Component) -> bool {
        self.problems.send_if_modified(|problems| problems.remove(component).is_some())
    }

    /// The open problems, as they change.
    pub fn watch(&self) -> watch::Receiver<Problems> {
        self.problems.subscribe()
    }
}
