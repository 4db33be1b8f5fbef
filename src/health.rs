//! What stands between the daemon and its job, stated by the part that meets it. `/readyz`, `/status`, systemd's line, the journal
//! and the metrics read it.
//!
//! [`Code`] is the table of what can be wrong.

mod code;
pub mod overview;
pub mod readiness;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

pub use code::{Code, CodeEntry, Severity};

/// The open problems, by component.
pub type Problems = BTreeMap<Component, Problem>;

/// What has the problem; one at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// This site as a whole: it stands before all others.
    Site,
    /// A poller, by its source's words.
    Source(String),
    /// The configured addresses of a connection, by its id: AWS's are others.
    Addresses(String),
    /// The configured id of a connection.
    Identity(String),
    /// The configured addresses of a connection, by its id: they are this host's own.
    HostAddresses(String),
    /// A connection, by its id.
    Connection(String),
    /// The AWS credentials, by their identity's words.
    Credentials(String),
    /// A sink, by its id.
    Sink(String),
    /// What a sink will need when there is something to send, by its id.
    Preparation(String),
    /// The sockets that a connection's checks need in doubt, by its id.
    FreshSocket(String),
    /// What is done with incidents.
    Mode,
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

impl Component {
    /// Credentials, by the role that they are of, if they are not the daemon's own.
    pub fn credentials(role_arn: Option<&str>) -> Self {
        Self::Credentials(role_arn.unwrap_or("default").to_owned())
    }
}

impl fmt::Display for Component {
    /// One or two words, for people, filters and labels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site => f.write_str("site"),
            Self::Source(source) => write!(f, "source {source}"),
            Self::Addresses(vpn) => write!(f, "addresses {vpn}"),
            Self::Identity(vpn) => write!(f, "id {vpn}"),
            Self::HostAddresses(vpn) => write!(f, "host addresses {vpn}"),
            Self::Connection(vpn) => write!(f, "connection {vpn}"),
            Self::Credentials(identity) => write!(f, "credentials {identity}"),
            Self::Sink(sink) => write!(f, "sink {sink}"),
            Self::Preparation(sink) => write!(f, "preparation {sink}"),
            Self::FreshSocket(vpn) => write!(f, "fresh socket {vpn}"),
            Self::Mode => f.write_str("mode"),
            Self::Publisher => f.write_str("publisher"),
            Self::Store => f.write_str("store"),
            Self::Configuration => f.write_str("configuration"),
            Self::Probe => f.write_str("probe"),
            Self::Clock => f.write_str("clock"),
            Self::Listener => f.write_str("listener"),
        }
    }
}

/// What is wrong, and what would mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which problem of the table.
    pub code: Code,
    /// Whether the daemon cannot do its job because of it (`/readyz` answers 503), or only less well.
    pub severity: Severity,
    /// What, where, and what to do, in an operator's words; never a secret.
    pub text: String,
}

impl Problem {
    /// A problem as bad as the table says. A text that is too long is cut.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, severity: code.entry().severity, text: bounded(text.into()) }
    }

    /// The same, with another severity than the table's.
    #[must_use]
    pub fn with(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }
}

/// `/readyz` and the journal show every text.
const TEXT_MAX: usize = 2000;

fn bounded(text: String) -> String {
    let Some((end, _)) = text.char_indices().nth(TEXT_MAX) else { return text };
    let more = text[end..].chars().count();
    format!("{}… ({more} more characters)", &text[..end])
}

/// A handle by which components state and clear their problems.
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

    /// Clears a component's problem. Returns whether there was one.
    pub fn clear(&self, component: &Component) -> bool {
        self.problems.send_if_modified(|problems| problems.remove(component).is_some())
    }

    /// The open problems, as they change.
    pub fn watch(&self) -> watch::Receiver<Problems> {
        self.problems.subscribe()
    }
}
