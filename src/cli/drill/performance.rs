//! One drill at one sink, from its start to its end.
//!
//! What was started, or may have been, is resolved whatever happens in between; a start whose answer was lost is asked again under
//! the same token, until it is known what it has started.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;

use crate::cli::terminal::Interrupts;
use crate::clock;
use crate::daemon::any_sink::AnySink;
use crate::http::client::{self, PATIENCE, Server};
use crate::http::status_json::{PhasesJson, StatusJson};
use crate::incident::drill::{Drill, ShowingSink, Shown};
use crate::incident::message::{Change, Message, Messenger};
use crate::incident::settings::SinkRules;
use crate::incident::sink::{DRILL_SOURCE, IncidentSink, RecordId, SinkError, StartRequest};

/// The waits between the tries of one call, in seconds. A person waits, and a drill that is open must not stay so for a short trouble.
const WAITS: [u64; 4] = [1, 2, 4, 8];
/// How often it is looked whether a drill that is held must end.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a drill is performed with.
pub(super) struct Stage<'s> {
    pub(super) incident: &'s Drill,
    pub(super) settings: &'s SinkRules,
    pub(super) watch: &'s Watch,
    pub(super) hold: Duration,
}

/// What has become of it. Every line is printed as it becomes known.
#[derive(Default)]
pub(super) struct Outcome {
    errors: Vec<SinkError>,
    ill: bool,
}

impl Outcome {
    /// Whether it went through from the start to the end.
    pub(super) fn well(&self) -> bool {
        !self.ill && self.errors.is_empty()
    }

    pub(super) fn errors(self) -> Vec<SinkError> {
        self.errors
    }

    fn say(&self, what: &str, told: &str) {
        say!("  {what:<11}  {told}");
    }

    fn ill(&mut self, what: &str, told: &str) {
        self.say(what, told);
        self.ill = true;
    }

    fn failed(&mut self, what: &str, told: &str, error: SinkError) {
        self.say(what, &format!("{told}{error}"));
        self.errors.push(error);
    }
}

/// An open record of the sink's that is a real incident's.
pub(super) async fn left_open(place: &AnySink, settings: &SinkRules) -> Result<Option<RecordId>, SinkError> {
    let scopes = settings.scopes();
    let open = match place {
        AnySink::IncidentManager(sink) => sink.survey(&scopes).await?,
        AnySink::OpsCenter(sink) => sink.survey(&scopes).await?,
        // They keep nothing.
        AnySink::Sns(_) | AnySink::Webhook(..) => Vec::new(),
    };
    Ok(open.into_iter().next().map(|(_, record)| record.id))
}

/// A drill at a sink that keeps records.
pub(super) async fn keep(sink: &impl ShowingSink, stage: &Stage<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(request) = stage.incident.request(stage.settings) else {
        outcome.ill("not started", "its connection is not configured");
        return outcome;
    };
    clear_away(sink, stage, &request, &mut outcome).await;
    let record = match start(sink, &request).await {
        Started::Yes(record) => record,
        Started::No(error) => {
            outcome.failed("not started", "", error);
            return outcome;
        }
        Started::Unknown(error) => {
            let told = "it is not known whether it was started; look at the sink for a title that begins with \
                        DRILL, and run the drill again, which resolves what it finds: ";
            outcome.failed("NOT KNOWN", told, error);
            return outcome;
        }
    };
    outcome.say("started", &record.0);
    match repeated(async || sink.show(&record).await).await {
        Ok(shown) if shown.source != DRILL_SOURCE => {
            let told = format!(
                "the sink merged the drill into the open record {record} ({}, started by {}): same dedupe \
                 string. The record is left untouched; the drill may appear in its timeline",
                described(&shown),
                shown.source
            );
            outcome.ill("merged", &told);
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
pub(super) async fn tell(sink: &impl Messenger, stage: &Stage<'_>) -> Outcome {
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
        // It may have been taken all the same, so that its end is sent as well.
        Err(error @ SinkError::Temporary { .. }) => outcome.failed("NOT KNOWN", "", error),
    }
    let resolved = incident.message(settings, Change::Resolved, clock::wall());
    match delivered(sink, &resolved).await {
        Ok(()) => outcome.say("resolved", &resolved.title),
        Err(error) => {
            let told = format!("the resolution was not delivered; close {} there by hand: ", resolved.key);
            outcome.failed("NOT RESOLVED", &told, error);
        }
    }
    outcome
}

/// Resolves drills that an earlier run could not.
async fn clear_away(
    sink: &impl ShowingSink,
    stage: &Stage<'_>,
    request: &StartRequest,
    outcome: &mut Outcome,
) {
    // What cannot be listed here is met again by the start, which comes to the same record where the sink folds.
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

/// Waits until the time is over, or the drill must end.
async fn hold(stage: &Stage<'_>, outcome: &mut Outcome) {
    let until = clock::now().mono + stage.hold;
    loop {
        if let Some(why) = stage.watch.why_stop() {
            outcome.ill("cut short", &why);
            return;
        }
        if clock::now().mono >= until {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Resolves a record, if it is a drill's; what is said of it then is the sink's own word.
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
            outcome.ill("left as is", &format!("{record} is not a drill"))
        }
        Ok(shown) => outcome.say("resolved", &described(&shown)),
        Err(error) => {
            let told = format!(
                "{record} IS OPEN and must be resolved: by hand, or by another drill at this sink, which begins with \
                 that: "
            );
            outcome.failed("NOT RESOLVED", &told, error);
        }
    }
}

async fn delivered(sink: &impl Messenger, message: &Message) -> Result<(), SinkError> {
    repeated(async || sink.deliver(message, clock::wall()).await).await
}

/// A call, again while it is worth it.
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

/// What the daemon beside it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Daemon {
    /// No incident, and none is coming.
    Quiet,
    /// An incident, or one that may come.
    Busy(String),
    /// Nothing that could be understood.
    Absent(String),
}

/// Looks out.
pub(super) struct Watch {
    daemon: Server,
    interrupted: watch::Receiver<bool>,
}

impl Watch {
    /// From here on SIGINT, SIGTERM and SIGHUP end no process, but the drill.
    pub(super) fn new(listen: SocketAddr) -> io::Result<Self> {
        let mut interrupts = Interrupts::new()?;
        let (tell, interrupted) = watch::channel(false);
        tokio::spawn(async move {
            interrupts.next().await;
            // It is kept, so that who waits goes on waiting.
            tell.send_replace(true);
            tell.closed().await;
        });
        Ok(Self { daemon: Server::listening_at(listen), interrupted })
    }

    /// Waits until somebody interrupts it.
    pub(super) async fn interrupted(&self) {
        // The sender lives as long as this does.
        let _ = self.interrupted.clone().wait_for(|interrupted| *interrupted).await;
    }

    pub(super) fn daemon(&self) -> Daemon {
        match client::ask(&self.daemon, "GET /status", PATIENCE) {
            Ok(answer) if answer.code == 200 => match serde_json::from_str(&answer.body) {
                Ok(status) => said(&status),
                Err(error) => Daemon::Absent(format!("its status cannot be parsed: {error}")),
            },
            Ok(answer) => Daemon::Absent(format!("it answers {}", answer.code)),
            Err(error) => Daemon::Absent(error.to_string()),
        }
    }

    /// Why no drill may be open any longer; `None` while one may.
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

fn said(status: &StatusJson) -> Daemon {
    // One that is over may still have to be resolved at a sink, and would be found there as open.
    if let Some(incident) = status.incidents.first() {
        return Daemon::Busy(format!("the daemon has a real incident, {} ({})", incident.id, incident.state));
    }
    for vpn in &status.vpns {
        let PhasesJson { outage, redundancy_lost, one_sided } = &vpn.phases;
        for (kind, phase) in
            [("outage", outage), ("redundancy_lost", redundancy_lost), ("one_sided", one_sided)]
        {
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

    fn told(phase: &str, incidents: &Value) -> Daemon {
        let status = json!({
            "site": "milan-1", "version": "1", "mode": "raise", "at": "2026-11-22T10:00:00Z", "ready": true,
            "vpns": [{
                "id": "vpn-0a", "name": "Milan DC", "tunnels": [],
                "routing": "unknown", "traffic": "cannot_tell",
                "phases": { "outage": "clear", "redundancy_lost": "clear", "one_sided": phase },
            }],
            "incidents": incidents, "sources": [], "problems": [],
        });
        said(&serde_json::from_value(status).unwrap())
    }

    #[test]
    fn whatever_is_not_clear_is_in_the_way_before_it_is_an_incident() {
        assert_eq!(told("clear", &json!([])), Daemon::Quiet);
        for phase in ["pending", "open", "clearing"] {
            let Daemon::Busy(what) = told(phase, &json!([])) else { panic!("{phase} is not in the way") };
            assert!(what.contains("one_sided of Milan DC (vpn-0a)") && what.contains(phase), "{what}");
        }
    }

    #[test]
    fn an_incident_that_is_over_and_not_settled_is_in_the_way() {
        let incident = json!({
            "id": "vpn-0a/outage/1", "vpn": "vpn-0a", "kind": "outage", "state": "resolved", "worsened": 0,
            "began": "2026-11-22T09:00:00Z", "opened": "2026-11-22T09:00:00Z", "timeline": [],
        });
        let Daemon::Busy(what) = told("clear", &json!([incident])) else { panic!("it is not in the way") };
        assert!(what.contains("vpn-0a/outage/1 (resolved)"), "{what}");
    }
}
