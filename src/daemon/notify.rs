//! Notifies systemd: `READY=1` once, `STATUS=` when it changes, and reloads.
//!
//! The watchdog is fed while nothing is stuck, and triggered as soon as something has been stuck for too long, so that the daemon is
//! killed within one interval. If it only stopped feeding, a whole interval would pass after that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::catalogue::notice::{Notice, Stuck};
use crate::clock;
use crate::config::Rejection;
use crate::domain::status::Status;
use crate::domain::time::Moment;
use crate::driver::Watchdog;
use crate::health::overview::{OpenProblem, ShownProblems};
use crate::health::{Code, Component};
use crate::systemd;

/// Notifies systemd; shared by the housekeeping and the reloads.
#[derive(Debug, Clone)]
pub(super) struct Notifier {
    status: watch::Receiver<Arc<Status>>,
    problems: watch::Receiver<ShownProblems>,
    announced: Arc<Mutex<Announced>>,
}

/// What systemd was last notified of.
#[derive(Debug, Default)]
struct Announced {
    ready: bool,
    line: String,
    /// Why the last reload was refused, until one succeeds.
    refused: Option<String>,
    /// The open problems in short; `None` if there are none.
    problems: Option<String>,
}

/// A message to systemd.
#[derive(Debug, PartialEq, Eq)]
enum Notification {
    Ready,
    Reloading,
    Status(String),
}

impl Notifier {
    pub(super) fn new(
        status: watch::Receiver<Arc<Status>>,
        problems: watch::Receiver<ShownProblems>,
    ) -> Self {
        Self { status, problems, announced: Arc::default() }
    }

    /// Sends what has changed.
    pub(super) fn update(&self) {
        self.notify(Announced::update);
    }

    /// A reload begins.
    pub(super) fn reloading(&self) {
        self.notify(|announced, _| announced.reloading());
    }

    /// A reload succeeded.
    pub(super) fn reloaded(&self) {
        self.notify(|announced, status| announced.reloaded(None, status));
    }

    /// A reload was refused.
    pub(super) fn refused(&self, rejection: &Rejection) {
        self.notify(|announced, status| announced.reloaded(Some(in_short(rejection)), status));
    }

    fn notify(&self, what: impl FnOnce(&mut Announced, &Status) -> Vec<Notification>) {
        let status = Arc::clone(&self.status.borrow());
        let problems = problems_in_short(&self.problems.borrow());
        // The state is valid after every statement, so a poisoned lock is harmless.
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        announced.problems = problems;
        for message in what(&mut announced, &status) {
            match message {
                Notification::Ready => systemd::ready(),
                Notification::Reloading => systemd::reloading(),
                Notification::Status(line) => systemd::status(&line),
            }
        }
    }
}

impl Announced {
    fn update(&mut self, status: &Status) -> Vec<Notification> {
        let mut messages = Vec::new();
        if !self.ready && !status.vpns.is_empty() && status.every_tunnel_asked() {
            self.ready = true;
            messages.push(Notification::Ready);
        }
        messages.extend(self.line(status));
        messages
    }

    /// Before the daemon is ready, systemd is not notified of a reload: the `READY=1` at its end would end the start too early.
    fn reloading(&self) -> Vec<Notification> {
        if self.ready { vec![Notification::Reloading] } else { Vec::new() }
    }

    /// The reason comes before `READY=1`, so that a command that waits for the reload sees it.
    fn reloaded(&mut self, refused: Option<String>, status: &Status) -> Vec<Notification> {
        self.refused = refused;
        let mut messages = Vec::from_iter(self.line(status));
        if self.ready {
            messages.push(Notification::Ready);
        }
        messages
    }

    fn line(&mut self, status: &Status) -> Option<Notification> {
        let mut line = if self.ready { systemd::status_line(status) } else { systemd::starting_line(status) };
        if let Some(refused) = &self.refused {
            line.push_str(&format!("; reload refused: {refused}"));
        }
        if let Some(problems) = &self.problems {
            line.push_str(&format!("; {problems}"));
        }
        let news = line != self.line;
        self.line.clone_from(&line);
        news.then_some(Notification::Status(line))
    }
}

/// The worst problem, and how many more there are. A problem of the listener comes first and in full, because `/readyz` cannot show
/// it. A refused reload has its own place in the line.
fn problems_in_short(problems: &[OpenProblem]) -> Option<String> {
    let problems: Vec<_> = problems.iter().filter(|open| open.problem.code != Code::ReloadRefused).collect();
    let listener = problems.iter().find(|open| open.component == Component::Listener);
    let first = match (listener, problems.first()) {
        (Some(OpenProblem { component, problem }), _) => format!("{component}: {}", problem.text),
        (None, Some(OpenProblem { component, problem })) => {
            format!("{}: {component}: {}", problem.severity.as_str(), problem.code.entry().title)
        }
        (None, None) => return None,
    };
    match problems.len() {
        0 | 1 => Some(first),
        all => Some(format!("{first} (and {} more, see /readyz)", all - 1)),
    }
}

/// The first problem, and how many more there are.
fn in_short(rejection: &Rejection) -> String {
    let first = rejection.problems.first().map(ToString::to_string).unwrap_or_default();
    match rejection.count() {
        0 | 1 => first,
        all => format!("{first} (and {} more)", all - 1),
    }
}

/// How long something may be stuck without a watchdog interval: as long as with the shipped unit's.
const PATIENCE: Duration = Duration::from_secs(15);

/// A thread that is busy for some seconds on slow flash or a slow processor is not stuck.
const PATIENCE_MIN: Duration = Duration::from_secs(5);

/// The watchdog of this process.
pub(super) fn watchdog() -> Watchdog {
    let interval = systemd::watchdog_interval();
    let patience = patience(interval);
    let mut feeder = Feeder { interval, fed: None, triggered: false };
    let report = move |stuck: Option<Stuck>| match feeder.next(stuck, clock::now().mono) {
        Some(WatchdogCall::Feed) => systemd::watchdog(),
        Some(WatchdogCall::Trigger(stuck)) => {
            Notice::Stuck { part: stuck, since: patience }.record(None).emit();
            if interval.is_some() {
                systemd::stuck();
            }
        }
        None => {}
    };
    Watchdog { patience, report: Box::new(report) }
}

/// The rest of the interval is for the checks, one a second, and for systemd.
fn patience(interval: Option<Duration>) -> Duration {
    interval.map_or(PATIENCE, |interval| (interval * 3 / 4).max(PATIENCE_MIN))
}

#[derive(Debug, PartialEq, Eq)]
enum WatchdogCall {
    Feed,
    Trigger(Stuck),
}

#[derive(Debug)]
struct Feeder {
    interval: Option<Duration>,
    fed: Option<Moment>,
    triggered: bool,
}

impl Feeder {
    fn next(&mut self, stuck: Option<Stuck>, now: Moment) -> Option<WatchdogCall> {
        let triggered = std::mem::replace(&mut self.triggered, stuck.is_some());
        if let Some(stuck) = stuck {
            return (!triggered).then_some(WatchdogCall::Trigger(stuck));
        }
        let due = self.fed.is_none_or(|fed| self.interval.is_some_and(|it| now.since(fed) >= it / 4));
        (self.interval.is_some() && due).then(|| {
            self.fed = Some(now);
            WatchdogCall::Feed
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, ProblemKind, Provenance};
    use crate::fixture;
    use crate::health::Problem;

    const UP: &str = "1/2 tunnels up, 1 without AWS's verdict, 1 incident";

    fn status(line: &str) -> Notification {
        Notification::Status(line.to_owned())
    }

    fn rejection(problems: usize) -> Rejection {
        let problem = config::ConfigProblem {
            place: Provenance::line(Path::new("/etc/bothends/bothends.toml"), 12),
            key: "vpn[0].id".to_owned(),
            what: ProblemKind::Other("is wrong".to_owned()),
        };
        Rejection { problems: vec![problem; problems], unlisted: 0 }
    }

    #[test]
    fn it_is_ready_once_when_every_tunnel_has_been_probed_with_any_result() {
        let mut announced = Announced::default();
        assert_eq!(announced.update(&Status::default()), [status("starting")]);
        let mut now = fixture::status();
        now.vpns[0].tunnels[1].checks[0].asked = false;
        assert_eq!(announced.update(&now), [status("starting: 1/2 tunnels probed")]);
        assert_eq!(announced.update(&now), []);
        assert_eq!(announced.update(&fixture::status()), [Notification::Ready, status(UP)]);
        assert_eq!(announced.update(&fixture::status()), []);
        assert_eq!(announced.update(&now), [], "a tunnel that a reload added does not take it back");
    }

    #[test]
    fn a_refused_reload_is_in_the_line_before_its_end_and_until_one_succeeds() {
        let mut announced = Announced::default();
        announced.update(&fixture::status());
        assert_eq!(announced.reloading(), [Notification::Reloading]);
        let refused = format!("{UP}; reload refused: {}", in_short(&rejection(4)));
        assert!(refused.ends_with("/etc/bothends/bothends.toml:12: vpn[0].id: is wrong (and 3 more)"));
        let messages = announced.reloaded(Some(in_short(&rejection(4))), &fixture::status());
        assert_eq!(messages, [status(&refused), Notification::Ready]);
        assert_eq!(announced.update(&fixture::status()), []);
        assert_eq!(announced.reloaded(None, &fixture::status()), [status(UP), Notification::Ready]);
    }

    #[test]
    fn a_reload_before_it_is_ready_does_not_make_it_so() {
        let mut announced = Announced::default();
        announced.update(&Status::default());
        assert_eq!(announced.reloading(), []);
        assert_eq!(announced.reloaded(None, &Status::default()), []);
        assert_eq!(
            announced.reloaded(Some("x".into()), &Status::default()),
            [status("starting; reload refused: x")]
        );
    }

    #[test]
    fn a_problem_is_in_the_line_until_it_ends() {
        let mut announced =
            Announced { problems: Some("failed: store: full".into()), ..Announced::default() };
        let line = status(&format!("{UP}; failed: store: full"));
        assert_eq!(announced.update(&fixture::status()), [Notification::Ready, line]);
        announced.problems = None;
        assert_eq!(announced.update(&fixture::status()), [status(UP)]);
    }

    #[test]
    fn the_worst_problem_is_in_the_line_and_the_listeners_comes_first() {
        let open = |component, code, text: &str| OpenProblem { component, problem: Problem::of(code, text) };
        let store = open(Component::Store, Code::StoreFailing, "the disk is full");
        let refused = open(Component::Configuration, Code::ReloadRefused, "wrong");
        let listener = open(Component::Listener, Code::ListenerFailing, "cannot listen there");
        assert_eq!(problems_in_short(std::slice::from_ref(&refused)), None);
        let line = problems_in_short(&[store.clone(), refused]).unwrap();
        assert_eq!(line, "failed: store: The store cannot be written to");
        let line = problems_in_short(&[store, listener]).unwrap();
        assert_eq!(line, "listener: cannot listen there (and 1 more, see /readyz)");
    }

    #[test]
    fn a_single_problem_has_no_count() {
        assert_eq!(in_short(&rejection(1)), "/etc/bothends/bothends.toml:12: vpn[0].id: is wrong");
    }

    const SHIPPED: Duration = Duration::from_secs(20);

    fn at(seconds: u64) -> Moment {
        Moment::ORIGIN + Duration::from_secs(seconds)
    }

    #[test]
    fn it_is_fed_four_times_an_interval_and_not_at_all_where_there_is_none() {
        let mut feeder = Feeder { interval: Some(SHIPPED), fed: None, triggered: false };
        let fed: Vec<_> =
            (0..20).filter(|second| feeder.next(None, at(*second)) == Some(WatchdogCall::Feed)).collect();
        assert_eq!(fed, [0, 5, 10, 15]);
        let mut none = Feeder { interval: None, fed: None, triggered: false };
        assert!((0..20).all(|second| none.next(None, at(second)).is_none()));
    }

    #[test]
    fn a_stuck_part_triggers_the_watchdog_once_and_stops_the_feeding() {
        let mut feeder = Feeder { interval: Some(SHIPPED), fed: None, triggered: false };
        assert_eq!(feeder.next(Some(Stuck::IoThread), at(0)), Some(WatchdogCall::Trigger(Stuck::IoThread)));
        assert_eq!(feeder.next(Some(Stuck::IoThread), at(9)), None);
        assert_eq!(feeder.next(None, at(10)), Some(WatchdogCall::Feed));
        assert_eq!(feeder.next(Some(Stuck::Core), at(11)), Some(WatchdogCall::Trigger(Stuck::Core)));
    }

    #[test]
    fn the_watchdog_triggers_within_the_interval_unless_that_is_too_short() {
        for seconds in [10, 20, 30, 300].map(Duration::from_secs) {
            // One check may pass before the silence counts, and one after it is long enough.
            assert!(patience(Some(seconds)) + Duration::from_secs(2) <= seconds, "{seconds:?}");
        }
        assert_eq!(patience(Some(Duration::from_secs(2))), PATIENCE_MIN);
        assert_eq!(patience(None), patience(Some(SHIPPED)));
    }
}
