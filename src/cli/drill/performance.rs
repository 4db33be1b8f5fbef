//! One drill at one sink, from its start to its end.
//!
//! What was started, or may have been, is resolved whatever happens in between; a start whose answer was lost is asked again under
//! the same token, until it is known what it has started.

use std::time::Duration;

use super::watch::Watch;
use crate::clock;
use crate::daemon::any_sink::AnySink;
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
        // It may have been taken all the same, so that its end is told as well.
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
