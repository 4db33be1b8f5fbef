//! What systemd is told of how things are, and when: `READY=1` once, `STATUS=` when it changes, reloads in between.
//!
//! Its watchdog is fed while nothing is stuck, and told at once of what has been stuck for too long, so that the daemon is killed
//! within one interval whatever is stuck. Not to be fed and no more would let a whole interval pass after that.

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

/// Tells systemd; both the housekeeping and the reloads have it.
#[derive(Debug, Clone)]
pub(super) struct Notifier {
    status: watch::Receiver<Arc<Status>>,
    problems: watch::Receiver<ShownProblems>,
    told: Arc<Mutex<Announced>>,
}

/// What was told last.
#[derive(Debug, Default)]
struct Announced {
    ready: bool,
    line: String,
    /// Why the last reload was refused, until one succeeds.
    refused: Option<String>,
    /// What stands in the way, in short; `None` if nothing does.
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
        Self { status, problems, told: Arc::default() }
    }

    /// Tells what there is to tell.
    pub(super) fn look(&self) {
        self.tell(Announced::look);
    }

    /// A reload begins.
    pub(super) fn reloading(&self) {
        self.tell(|told, _| told.reloading());
    }

    /// It has ended well.
    pub(super) fn reloaded(&self) {
        self.tell(|told, status| told.reloaded(None, status));
    }

    /// It was refused.
    pub(super) fn refused(&self, rejection: &Rejection) {
        self.tell(|told, status| told.reloaded(Some(in_short(rejection)), status));
    }

    fn tell(&self, what: impl FnOnce(&mut Announced, &Status) -> Vec<Notification>) {
        let status = Arc::clone(&self.status.borrow());
        let problems = in_the_way(&self.problems.borrow());
        // What was told is valid after every statement, so a panic elsewhere spoils nothing.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.problems = problems;
        for message in what(&mut told, &status) {
            match message {
                Notification::Ready => systemd::ready(),
                Notification::Reloading => systemd::reloading(),
                Notification::Status(line) => systemd::status(&line),
            }
        }
    }
}

impl Announced {
    fn look(&mut self, status: &Status) -> Vec<Notification> {
        let mut messages = Vec::new();
        if !self.ready && !status.vpns.is_empty() && status.every_tunnel_asked() {
            self.ready = true;
            messages.push(Notification::Ready);
        }
        messages.extend(self.line(status));
        messages
    }

    /// A daemon that is not ready yet cannot be reloading in systemd's eyes: `READY=1` would end its start too early.
    fn reloading(&self) -> Vec<Notification> {
        if self.ready { vec![Notification::Reloading] } else { Vec::new() }
    }

    /// The reason comes before the end, so that it is seen by a command that waits for the reload.
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

/// The worst problem, and how many more there are. What keeps the listener from being asked comes first and in full, because
/// nothing else can say it. A refused reload has its own place in the line.
fn in_the_way(problems: &[OpenProblem]) -> Option<String> {
    let problems: Vec<_> = problems.iter().filter(|open| open.problem.code != Code::ReloadRefused).collect();
    let deaf = problems.iter().find(|open| open.component == Component::Listener);
    let first = match (deaf, problems.first()) {
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

/// How long something may be stuck where no watchdog says for how long: as much as in the unit that we ship.
const PATIENCE: Duration = Duration::from_secs(15);

/// A thread that is busy for some seconds, because flash or processor are slow, is not stuck.
const PATIENCE_MIN: Duration = Duration::from_secs(5);

/// The watchdog of this process.
pub(super) fn watchdog() -> Watchdog {
    let interval = systemd::watchdog_interval();
    let patience = patience(interval);
    let mut feeder = Feeder { interval, fed: None, told: false };
    let tell = move |stuck: Option<Stuck>| match feeder.hear(stuck, clock::now().mono) {
        Some(WatchdogCall::Feed) => systemd::watchdog(),
        Some(WatchdogCall::Trigger(stuck)) => {
            Notice::Stuck { part: stuck, since: patience }.record(None).emit();
            if interval.is_some() {
                systemd::stuck();
            }
        }
        None => {}
    };
    Watchdog { patience, tell: Box::new(tell) }
}

/// The rest of the interval is for the looks, one a second, and for systemd.
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
    told: bool,
}

impl Feeder {
    fn hear(&mut self, stuck: Option<Stuck>, now: Moment) -> Option<WatchdogCall> {
        let told = std::mem::replace(&mut self.told, stuck.is_some());
        if let Some(stuck) = stuck {
            return (!told).then_some(WatchdogCall::Trigger(stuck));
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
    fn it_is_ready_once_when_every_tunnel_has_been_asked_whatever_came_of_it() {
        let mut told = Announced::default();
        assert_eq!(told.look(&Status::default()), [status("starting")]);
        let mut now = fixture::status();
        now.vpns[0].tunnels[1].checks[0].asked = false;
        assert_eq!(told.look(&now), [status("starting: 1/2 tunnels probed")]);
        assert_eq!(told.look(&now), []);
        assert_eq!(told.look(&fixture::status()), [Notification::Ready, status(UP)]);
        assert_eq!(told.look(&fixture::status()), []);
        assert_eq!(told.look(&now), [], "a tunnel that a reload added does not take it back");
    }

    #[test]
    fn a_refused_reload_is_told_before_its_end_and_until_one_succeeds() {
        let mut told = Announced::default();
        told.look(&fixture::status());
        assert_eq!(told.reloading(), [Notification::Reloading]);
        let refused = format!("{UP}; reload refused: {}", in_short(&rejection(4)));
        assert!(refused.ends_with("/etc/bothends/bothends.toml:12: vpn[0].id: is wrong (and 3 more)"));
        let messages = told.reloaded(Some(in_short(&rejection(4))), &fixture::status());
        assert_eq!(messages, [status(&refused), Notification::Ready]);
        assert_eq!(told.look(&fixture::status()), []);
        assert_eq!(told.reloaded(None, &fixture::status()), [status(UP), Notification::Ready]);
    }

    #[test]
    fn a_reload_before_it_is_ready_does_not_make_it_so() {
        let mut told = Announced::default();
        told.look(&Status::default());
        assert_eq!(told.reloading(), []);
        assert_eq!(told.reloaded(None, &Status::default()), []);
        assert_eq!(
            told.reloaded(Some("x".into()), &Status::default()),
            [status("starting; reload refused: x")]
        );
    }

    #[test]
    fn what_stands_in_the_way_is_told_until_it_is_over() {
        let mut told = Announced { problems: Some("failed: store: full".into()), ..Announced::default() };
        let line = status(&format!("{UP}; failed: store: full"));
        assert_eq!(told.look(&fixture::status()), [Notification::Ready, line]);
        told.problems = None;
        assert_eq!(told.look(&fixture::status()), [status(UP)]);
    }

    #[test]
    fn the_worst_problem_is_in_the_line_and_the_listeners_before_all() {
        let open = |component, code, text: &str| OpenProblem { component, problem: Problem::of(code, text) };
        let store = open(Component::Store, Code::StoreFailing, "the disk is full");
        let refused = open(Component::Configuration, Code::ReloadRefused, "wrong");
        let listener = open(Component::Listener, Code::ListenerFailing, "cannot listen there");
        assert_eq!(in_the_way(std::slice::from_ref(&refused)), None);
        let line = in_the_way(&[store.clone(), refused]).unwrap();
        assert_eq!(line, "failed: store: The store cannot be written to");
        let line = in_the_way(&[store, listener]).unwrap();
        assert_eq!(line, "listener: cannot listen there (and 1 more, see /readyz)");
    }

    #[test]
    fn one_problem_is_told_alone() {
        assert_eq!(in_short(&rejection(1)), "/etc/bothends/bothends.toml:12: vpn[0].id: is wrong");
    }

    const SHIPPED: Duration = Duration::from_secs(20);

    fn at(seconds: u64) -> Moment {
        Moment::ORIGIN + Duration::from_secs(seconds)
    }

    #[test]
    fn it_is_fed_four_times_an_interval_and_not_at_all_where_there_is_none() {
        let mut feeder = Feeder { interval: Some(SHIPPED), fed: None, told: false };
        let fed: Vec<_> =
            (0..20).filter(|second| feeder.hear(None, at(*second)) == Some(WatchdogCall::Feed)).collect();
        assert_eq!(fed, [0, 5, 10, 15]);
        let mut none = Feeder { interval: None, fed: None, told: false };
        assert!((0..20).all(|second| none.hear(None, at(second)).is_none()));
    }

    #[test]
    fn what_is_stuck_is_told_once_and_not_fed() {
        let mut feeder = Feeder { interval: Some(SHIPPED), fed: None, told: false };
        assert_eq!(feeder.hear(Some(Stuck::IoThread), at(0)), Some(WatchdogCall::Trigger(Stuck::IoThread)));
        assert_eq!(feeder.hear(Some(Stuck::IoThread), at(9)), None);
        assert_eq!(feeder.hear(None, at(10)), Some(WatchdogCall::Feed));
        assert_eq!(feeder.hear(Some(Stuck::Core), at(11)), Some(WatchdogCall::Trigger(Stuck::Core)));
    }

    #[test]
    fn whatever_is_stuck_is_told_within_the_interval_unless_that_is_too_short_to_tell() {
        for seconds in [10, 20, 30, 300].map(Duration::from_secs) {
            // Two looks may pass before the silence counts, and after it is long enough.
            assert!(patience(Some(seconds)) + Duration::from_secs(2) <= seconds, "{seconds:?}");
        }
        assert_eq!(patience(Some(Duration::from_secs(2))), PATIENCE_MIN);
        assert_eq!(patience(None), patience(Some(SHIPPED)));
    }
}
