//! What systemd is told of how things are, and when: `READY=1` once, `STATUS=` when it changes, reloads in between.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::config::Rejection;
use crate::domain::status::Status;
use crate::health::{Component, Problems};
use crate::systemd;

/// Tells systemd; both the housekeeping and the reloads have it.
#[derive(Debug, Clone)]
pub(super) struct Notifier {
    status: watch::Receiver<Arc<Status>>,
    problems: watch::Receiver<Problems>,
    told: Arc<Mutex<Told>>,
}

/// What was told last.
#[derive(Debug, Default)]
struct Told {
    ready: bool,
    line: String,
    /// Why the last reload was refused, until one succeeds.
    refused: Option<String>,
    /// Why nobody can ask the listener, which says everything else.
    deaf: Option<String>,
}

/// A message to systemd.
#[derive(Debug, PartialEq, Eq)]
enum Message {
    Ready,
    Reloading,
    Status(String),
}

impl Notifier {
    pub(super) fn new(status: watch::Receiver<Arc<Status>>, problems: watch::Receiver<Problems>) -> Self {
        Self { status, problems, told: Arc::default() }
    }

    /// Tells what there is to tell.
    pub(super) fn look(&self) {
        self.tell(Told::look);
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

    fn tell(&self, what: impl FnOnce(&mut Told, &Status) -> Vec<Message>) {
        let status = Arc::clone(&self.status.borrow());
        let deaf = self.problems.borrow().get(&Component::Listener).map(|problem| problem.text.clone());
        // What was told is valid after every statement, so a panic elsewhere spoils nothing.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.deaf = deaf;
        for message in what(&mut told, &status) {
            match message {
                Message::Ready => systemd::ready(),
                Message::Reloading => systemd::reloading(),
                Message::Status(line) => systemd::status(&line),
            }
        }
    }
}

impl Told {
    fn look(&mut self, status: &Status) -> Vec<Message> {
        let mut messages = Vec::new();
        if !self.ready && !status.vpns.is_empty() && status.every_tunnel_asked() {
            self.ready = true;
            messages.push(Message::Ready);
        }
        messages.extend(self.line(status));
        messages
    }

    /// A daemon that is not ready yet cannot be reloading in systemd's eyes: `READY=1` would end its start too early.
    fn reloading(&self) -> Vec<Message> {
        if self.ready { vec![Message::Reloading] } else { Vec::new() }
    }

    /// The reason comes before the end, so that whoever waits for the reload sees it.
    fn reloaded(&mut self, refused: Option<String>, status: &Status) -> Vec<Message> {
        self.refused = refused;
        let mut messages = Vec::from_iter(self.line(status));
        if self.ready {
            messages.push(Message::Ready);
        }
        messages
    }

    fn line(&mut self, status: &Status) -> Option<Message> {
        let mut line = if self.ready { systemd::status_line(status) } else { systemd::starting_line(status) };
        if let Some(refused) = &self.refused {
            line.push_str(&format!("; reload refused: {refused}"));
        }
        if let Some(deaf) = &self.deaf {
            line.push_str(&format!("; listener: {deaf}"));
        }
        let news = line != self.line;
        self.line.clone_from(&line);
        news.then_some(Message::Status(line))
    }
}

/// The first problem, and how many more there are.
fn in_short(rejection: &Rejection) -> String {
    let first = rejection.problems.first().map(ToString::to_string).unwrap_or_default();
    match rejection.problems.len() {
        0 | 1 => first,
        all => format!("{first} (and {} more)", all - 1),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Place, Problem, What};
    use crate::fixture;

    const UP: &str = "1/2 tunnels up, 1 without AWS's word, 1 incident";

    fn status(line: &str) -> Message {
        Message::Status(line.to_owned())
    }

    fn rejection(problems: usize) -> Rejection {
        let problem = Problem {
            place: Place::line(Path::new("/etc/bothends/bothends.toml"), 12),
            key: "vpn[0].id".to_owned(),
            what: What::Other("is wrong".to_owned()),
        };
        Rejection { problems: vec![problem; problems] }
    }

    #[test]
    fn it_is_ready_once_when_every_tunnel_has_been_asked_whatever_came_of_it() {
        let mut told = Told::default();
        assert_eq!(told.look(&Status::default()), [status("starting")]);
        let mut now = fixture::status();
        now.vpns[0].tunnels[1].checks[0].asked = false;
        assert_eq!(told.look(&now), [status("starting: 1/2 tunnels asked")]);
        assert_eq!(told.look(&now), []);
        assert_eq!(told.look(&fixture::status()), [Message::Ready, status(UP)]);
        assert_eq!(told.look(&fixture::status()), []);
        assert_eq!(told.look(&now), [], "a tunnel that a reload added does not take it back");
    }

    #[test]
    fn a_refused_reload_is_told_before_its_end_and_until_one_succeeds() {
        let mut told = Told::default();
        told.look(&fixture::status());
        assert_eq!(told.reloading(), [Message::Reloading]);
        let refused = format!("{UP}; reload refused: {}", in_short(&rejection(4)));
        assert!(refused.ends_with("/etc/bothends/bothends.toml:12: vpn[0].id: is wrong (and 3 more)"));
        let messages = told.reloaded(Some(in_short(&rejection(4))), &fixture::status());
        assert_eq!(messages, [status(&refused), Message::Ready]);
        assert_eq!(told.look(&fixture::status()), []);
        assert_eq!(told.reloaded(None, &fixture::status()), [status(UP), Message::Ready]);
    }

    #[test]
    fn a_reload_before_it_is_ready_does_not_make_it_so() {
        let mut told = Told::default();
        told.look(&Status::default());
        assert_eq!(told.reloading(), []);
        assert_eq!(told.reloaded(None, &Status::default()), []);
        assert_eq!(
            told.reloaded(Some("x".into()), &Status::default()),
            [status("starting; reload refused: x")]
        );
    }

    #[test]
    fn what_keeps_the_listener_from_being_asked_is_told_until_it_is_over() {
        let mut told = Told { deaf: Some("cannot listen there".into()), ..Told::default() };
        let line = status(&format!("{UP}; listener: cannot listen there"));
        assert_eq!(told.look(&fixture::status()), [Message::Ready, line]);
        told.deaf = None;
        assert_eq!(told.look(&fixture::status()), [status(UP)]);
    }

    #[test]
    fn one_problem_is_told_alone() {
        assert_eq!(in_short(&rejection(1)), "/etc/bothends/bothends.toml:12: vpn[0].id: is wrong");
    }
}
