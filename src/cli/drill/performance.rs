//! One drill at one sink, from its start to its end.
//!
//! A drill that was started, or may have been, is resolved whatever happens in between. A start whose answer was lost is repeated
//! under the same token, until it is known what it started.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

use crate::cli::daemon_address::own_socket;
use crate::cli::progress::Progress;
use crate::cli::terminal::Interrupts;
use crate::clock;
use crate::config::HttpSettings;
use crate::daemon::any_sink::AnySink;
use crate::http::client::{Client, ClientError, PATIENCE, Server};
use crate::http::status_json::{PhasesJson, StatusJson};
use crate::incident::drill::{Drill, ShowingSink, Shown};
use crate::incident::message::{Change, Message, Messenger};
use crate::incident::settings::SinkRules;
use crate::incident::sink::{DRILL_SOURCE, IncidentSink, RecordId, SinkError, StartRequest};
use crate::process::environment;

/// The waits between the tries of one call, in seconds: a person waits, and a short failure must not leave a drill open.
const WAITS: [u64; 4] = [1, 2, 4, 8];
/// How often a drill that is held is checked for a reason to end.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a drill needs besides its sink.
pub(super) struct Stage<'s> {
    pub(super) incident: &'s Drill,
    pub(super) settings: &'s SinkRules,
    pub(super) watch: &'s Watch,
    pub(super) hold: Duration,
}

/// The outcome of a drill. Every line is printed as soon as it is known.
#[derive(Default)]
pub(super) struct Outcome {
    errors: Vec<SinkError>,
    incomplete: bool,
}

impl Outcome {
    /// Whether every step succeeded.
    pub(super) fn well(&self) -> bool {
        !self.incomplete && self.errors.is_empty()
    }

    pub(super) fn errors(self) -> Vec<SinkError> {
        self.errors
    }

    fn say(&self, what: &str, text: &str) {
        say!("  {what:<11}  {text}");
    }

    fn problem(&mut self, what: &str, text: &str) {
        self.say(what, text);
        self.incomplete = true;
    }

    fn failed(&mut self, what: &str, text: &str, error: SinkError) {
        self.say(what, &format!("{text}{error}"));
        self.errors.push(error);
    }
}

/// A real incident's open record at the sink.
pub(super) async fn left_open(place: &AnySink, settings: &SinkRules) -> Result<Option<RecordId>, SinkError> {
    let scopes = settings.scopes();
    let open = match place {
        AnySink::IncidentManager(sink) => sink.survey(&scopes).await?,
        AnySink::OpsCenter(sink) => sink.survey(&scopes).await?,
        // They have no records.
        AnySink::Sns(_) | AnySink::Webhook(..) => Vec::new(),
    };
    Ok(open.into_iter().next().map(|(_, record)| record.id))
}

/// A drill at a sink that keeps records.
pub(super) async fn drill_record(sink: &impl ShowingSink, stage: &Stage<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(request) = stage.incident.request(stage.settings) else {
        outcome.problem("not started", "its connection is not configured");
        return outcome;
    };
    resolve_left_over(sink, stage, &request, &mut outcome).await;
    let record = match start(sink, &request).await {
        Started::Yes(record) => record,
        Started::No(error) => {
            outcome.failed("not started", "", error);
            return outcome;
        }
        Started::Unknown(error) => {
            let text = "it is not known whether it was started; look at the sink for a title that begins with \
                        DRILL, and run the drill again, which resolves what it finds: ";
            outcome.failed("NOT KNOWN", text, error);
            return outcome;
        }
    };
    outcome.say("started", &record.0);
    match repeated(async || sink.show(&record).await).await {
        Ok(shown) if shown.source != DRILL_SOURCE => {
            let text = format!(
                "the sink merged the drill into the open record {record} ({}, started by {}): same dedupe \
                 string. The record is left untouched; the drill may appear in its timeline",
                described(&shown),
                shown.source
            );
            outcome.problem("merged", &text);
            return outcome;
        }
        Ok(shown) => outcome.say("comes back", &described(&shown)),
        Err(error) => outcome.failed("comes back", "it cannot be read: ", error),
    }
    if outcome.well() {
        hold(stage, &mut outcome).await;
    }
    end(sink, stage, &record, &mut outcome).await;
    outcome
}

/// A drill at a sink that only takes messages.
pub(super) async fn drill_messages(sink: &impl Messenger, stage: &Stage<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let Stage { incident, settings, .. } = stage;
    let opened = incident.message(settings, Change::Opened, incident.at);
    match delivered(sink, &opened).await {
        Ok(()) => {
            outcome.say("sent", &opened.title);
            outcome
                .say("comes back", "this sink only takes messages and cannot be read: check that it arrived");
            hold(stage, &mut outcome).await;
        }
        Err(error @ (SinkError::Rejected { .. } | SinkError::NotFound | SinkError::TokenKnown)) => {
            outcome.failed("not sent", "", error);
            return outcome;
        }
        // It may have been delivered all the same, so the resolution is sent as well.
        Err(error @ SinkError::Temporary { .. }) => outcome.failed("NOT KNOWN", "", error),
    }
    let resolved = incident.message(settings, Change::Resolved, clock::wall());
    match delivered(sink, &resolved).await {
        Ok(()) => outcome.say("resolved", &resolved.title),
        Err(error) => {
            let text = format!("the resolution was not delivered; close {} there by hand: ", resolved.key);
            outcome.failed("NOT RESOLVED", &text, error);
        }
    }
    outcome
}

/// Resolves drills that an earlier run left open.
async fn resolve_left_over(
    sink: &impl ShowingSink,
    stage: &Stage<'_>,
    request: &StartRequest,
    outcome: &mut Outcome,
) {
    // If listing fails, the start still meets an open drill, where the sink merges it into the open record.
    let open = sink.survey(std::slice::from_ref(&request.scope)).await.unwrap_or_default();
    for (_, record) in open {
        outcome.say("left over", &format!("{} of an earlier drill", record.id));
        end(sink, stage, &record.id, outcome).await;
    }
}

enum Started {
    Yes(RecordId),
    No(SinkError),
    Unknown(SinkError),
}

async fn start(sink: &impl IncidentSink, request: &StartRequest) -> Started {
    let mut waits = WAITS.into_iter();
    let mut first = true;
    let error = loop {
        let error = match sink.start(request).await {
            Ok(record) => return Started::Yes(record),
            Err(error) => error,
        };
        match &error {
            SinkError::Temporary { .. } => {}
            SinkError::Rejected { .. } | SinkError::NotFound if first => return Started::No(error),
            SinkError::Rejected { .. } | SinkError::NotFound | SinkError::TokenKnown => break error,
        }
        first = false;
        let Some(wait) = waits.next() else { break error };
        tokio::time::sleep(Duration::from_secs(wait)).await;
    };
    match sink.survey(std::slice::from_ref(&request.scope)).await {
        Ok(open) => match open.into_iter().next() {
            Some((_, record)) => Started::Yes(record.id),
            None => Started::Unknown(error),
        },
        Err(_) => Started::Unknown(error),
    }
}

/// Waits until the hold time is over, or the drill must end.
async fn hold(stage: &Stage<'_>, outcome: &mut Outcome) {
    let until = clock::now().mono + stage.hold;
    let why = {
        let _progress = Progress::start(format!("the drill stays open for {} s", stage.hold.as_secs()));
        loop {
            if let Some(why) = stage.watch.why_stop() {
                break Some(why);
            }
            if clock::now().mono >= until {
                break None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    if let Some(why) = why {
        outcome.problem("cut short", &why);
    }
}

/// Resolves a record if it is a drill's, and prints its state as the sink reports it.
async fn end(sink: &impl ShowingSink, stage: &Stage<'_>, record: &RecordId, outcome: &mut Outcome) {
    let (summary, token) = (stage.incident.summary(), stage.incident.resolve_token(record));
    let ended = repeated(async || {
        let shown = sink.show(record).await?;
        if shown.source != DRILL_SOURCE {
            return Ok(shown);
        }
        sink.resolve(record, &summary, &token).await?;
        sink.show(record).await
    });
    match ended.await {
        Ok(shown) if shown.source != DRILL_SOURCE => {
            outcome.problem("left as is", &format!("{record} is not a drill"))
        }
        Ok(shown) => outcome.say("resolved", &described(&shown)),
        Err(error) => {
            let text = format!(
                "{record} IS OPEN and must be resolved: by hand, or by another drill at this sink, which begins with \
                 that: "
            );
            outcome.failed("NOT RESOLVED", &text, error);
        }
    }
}

async fn delivered(sink: &impl Messenger, message: &Message) -> Result<(), SinkError> {
    repeated(async || sink.deliver(message, clock::wall()).await).await
}

/// Makes a call, and repeats it after temporary failures.
async fn repeated<T>(call: impl AsyncFn() -> Result<T, SinkError>) -> Result<T, SinkError> {
    for wait in WAITS {
        match call().await {
            Err(SinkError::Temporary { .. }) => tokio::time::sleep(Duration::from_secs(wait)).await,
            done => return done,
        }
    }
    call().await
}

fn described(shown: &Shown) -> String {
    let Shown { source: _, title, impact, status } = shown;
    format!("{status}, {impact}, \"{title}\"")
}

/// What this host's daemon reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Daemon {
    /// No incident is open or pending.
    Quiet,
    /// An incident is open, pending or not yet settled.
    Busy(String),
    /// It does not answer, or not in a form that is understood.
    Absent(String),
}

/// Watches for a reason to end the drill: an interrupt, or a real incident at the daemon.
pub(super) struct Watch {
    /// The daemon at its control socket, if that may be ours to use, and at its listener.
    daemon: Vec<Client>,
    interrupted: watch::Receiver<bool>,
}

impl Watch {
    /// From here on SIGINT, SIGTERM and SIGHUP end the drill instead of the process.
    pub(super) fn new(config: &Path, http: &HttpSettings) -> io::Result<Self> {
        let mut interrupts = Interrupts::new()?;
        let (sender, interrupted) = watch::channel(false);
        tokio::spawn(async move {
            interrupts.next().await;
            sender.send_replace(true);
            // A dropped sender would end the waits of the receivers.
            sender.closed().await;
        });
        let socket = own_socket(config, &environment()).map(|path| Client::new(Server::Socket(path)));
        let listener = Client::new(Server::listening_at(http.listen, http.protection.tls.is_some()));
        // Without a token that can be read it is asked all the same, and its refusal says why.
        let with_token =
            http.protection.token.as_ref().and_then(|path| listener.clone().with_token_file(path).ok());
        let daemon = socket.into_iter().chain([with_token.unwrap_or(listener)]).collect();
        Ok(Self { daemon, interrupted })
    }

    /// Waits for an interrupt.
    pub(super) async fn interrupted(&self) {
        // The sender lives as long as this does.
        let _ = self.interrupted.clone().wait_for(|interrupted| *interrupted).await;
    }

    pub(super) fn daemon(&self) -> Daemon {
        let out_of_reach = |error: &ClientError| match error {
            ClientError::Unreachable { .. } => true,
            ClientError::Broken { .. }
            | ClientError::Silent { .. }
            | ClientError::NotUnderstood { .. }
            | ClientError::NotTrusted { .. }
            | ClientError::NoTls { .. } => false,
        };
        let mut answers = self.daemon.iter().map(|client| client.ask("GET /status", PATIENCE)).peekable();
        let answer = loop {
            match answers.next() {
                Some(Err(error)) if out_of_reach(&error) && answers.peek().is_some() => {}
                Some(answer) => break answer,
                None => return Daemon::Absent("nobody was asked".to_owned()),
            }
        };
        match answer {
            Ok(answer) if answer.code == 200 => match serde_json::from_str(&answer.body) {
                Ok(status) => state_of(&status),
                Err(error) => Daemon::Absent(format!("its status cannot be parsed: {error}")),
            },
            Ok(answer) => Daemon::Absent(format!("it answers {}", answer.code)),
            Err(error) => Daemon::Absent(error.to_string()),
        }
    }

    /// Why a drill must end; `None` while it may stay open.
    pub(super) fn why_stop(&self) -> Option<String> {
        if *self.interrupted.borrow() {
            return Some("interrupted".to_owned());
        }
        match self.daemon() {
            Daemon::Busy(what) => Some(what),
            Daemon::Quiet | Daemon::Absent(_) => None,
        }
    }
}

fn state_of(status: &StatusJson) -> Daemon {
    // A resolved incident may still have an open record at a sink.
    if let Some(incident) = status.incidents.first() {
        return Daemon::Busy(format!("the daemon has a real incident, {} ({})", incident.id, incident.state));
    }
    for vpn in &status.vpns {
        let PhasesJson { outage, redundancy_lost, one_sided, degraded } = &vpn.phases;
        for (kind, phase) in [
            ("outage", outage),
            ("redundancy_lost", redundancy_lost),
            ("one_sided", one_sided),
            ("degraded", degraded),
        ] {
            if phase != "clear" {
                return Daemon::Busy(format!(
                    "the daemon says that {kind} of {} ({}) is {phase}",
                    vpn.name, vpn.id
                ));
            }
        }
    }
    Daemon::Quiet
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn daemon_with(phase: &str, incidents: &Value) -> Daemon {
        let status = json!({
            "site": "milan-1", "version": "1", "mode": "raise", "at": "2026-11-22T10:00:00Z", "ready": true,
            "vpns": [{
                "id": "vpn-0a", "name": "Milan DC", "tunnels": [],
                "routing": "unknown", "traffic": "cannot_tell",
                "phases": { "outage": "clear", "redundancy_lost": "clear", "one_sided": phase },
            }],
            "incidents": incidents, "sources": [], "problems": [],
        });
        state_of(&serde_json::from_value(status).unwrap())
    }

    #[test]
    fn a_pending_incident_prevents_a_drill() {
        assert_eq!(daemon_with("clear", &json!([])), Daemon::Quiet);
        for phase in ["pending", "open", "clearing"] {
            let Daemon::Busy(what) = daemon_with(phase, &json!([])) else {
                panic!("{phase} is not in the way")
            };
            assert!(what.contains("one_sided of Milan DC (vpn-0a)") && what.contains(phase), "{what}");
        }
    }

    #[test]
    fn an_incident_that_is_over_and_not_settled_prevents_a_drill() {
        let incident = json!({
            "id": "vpn-0a/outage/1", "vpn": "vpn-0a", "kind": "outage", "state": "resolved", "worsened": 0,
            "began": "2026-11-22T09:00:00Z", "opened": "2026-11-22T09:00:00Z", "timeline": [],
        });
        let Daemon::Busy(what) = daemon_with("clear", &json!([incident])) else {
            panic!("it is not in the way")
        };
        assert!(what.contains("vpn-0a/outage/1 (resolved)"), "{what}");
    }
}
