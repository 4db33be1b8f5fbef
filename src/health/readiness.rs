//! Ready means: the daemon can decide, and can page, for every connection. The text of `/readyz`, and the metric
//! `bothends_ready`.

use std::time::Duration;

use super::Severity;
use super::overview::OpenProblem;
use crate::domain::status::Status;
use crate::domain::time::Now;
use crate::domain::votes;

/// A status older than this means that the core is stuck: it updates the status about every second.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// The maximum number of lines of one kind; the rest is counted.
const LINES_MAX: usize = 100;

/// Whether the daemon can do its job, and the problems that prevent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Whether it can.
    pub ready: bool,
    /// A line each, without line breaks.
    pub lines: Vec<String>,
}

impl Readiness {
    /// As of this moment.
    pub fn of(status: &Status, problems: &[OpenProblem], now: Now) -> Self {
        let mut against = Vec::new();
        against.extend(stuck(status, now));
        if status.vpns.is_empty() || !status.every_tunnel_asked() {
            against.push("starting: not every tunnel has been probed yet".to_owned());
        } else {
            let waiting = votes::starting(status).map(|vpn| {
                let limit = vpn.stale_after.as_secs();
                format!(
                    "starting: {}: waiting for the first verdict of both ends (a problem after {limit} s)",
                    vpn.name
                )
            });
            against.extend(bounded(waiting.collect(), "connections"));
        }
        let failed = problems.iter().any(|open| open.problem.severity == Severity::Failed);
        let ready = against.is_empty() && !failed;
        let problems = problems.iter().map(line).collect();
        against.extend(bounded(problems, "problems"));
        Self { ready, lines: against }
    }
}

fn line(OpenProblem { component, problem }: &OpenProblem) -> String {
    let entry = problem.code.entry();
    let what = problem.text.replace('\n', "; ");
    let stop = if what.ends_with(['.', '?', '!', '`']) { "" } else { "." };
    format!(
        "{}: {}: {component}: {what}{stop} First: {}",
        problem.severity.as_str(),
        entry.word,
        entry.first_step
    )
}

fn bounded(mut lines: Vec<String>, of: &str) -> Vec<String> {
    if let Some(more) = lines.len().checked_sub(LINES_MAX).filter(|more| *more > 0) {
        lines.truncate(LINES_MAX);
        lines.push(format!("and {more} more {of}; /status has them all"));
    }
    lines
}

/// Adds a line if the core has not updated the status for too long.
pub fn stuck(status: &Status, now: Now) -> Option<String> {
    let age = now.mono.since(status.at.mono);
    (age > STUCK_AFTER).then(|| format!("stuck: no status from the core for {} s", age.as_secs()))
}
