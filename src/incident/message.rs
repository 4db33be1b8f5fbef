//! What is sent to a sink that only accepts messages: text for people, and the whole incident for programs.

use std::future::Future;

use serde::Serialize;
use serde_json::Value;

use crate::clock::rfc3339;
use crate::domain::board::{Incident, TimelineChange, TimelineEntry};
use crate::domain::names::{Destination, Kind};
use crate::domain::scope::Scope;
use crate::domain::time::Stamp;

use super::account::Account;
use super::raw_data::RawData;
use super::settings::SinkRules;
use super::sink::SinkError;
use super::{token, wording};

/// A sink that accepts messages and cannot be queried.
pub trait Messenger: Send + Sync + 'static {
    /// Delivers a message. `now` is the time of this attempt, which may be a retry.
    fn deliver(&self, message: &Message, now: Stamp) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// What a message reports of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It opened.
    Opened,
    /// It has worsened.
    Worsened,
    /// It has changed otherwise.
    Updated,
    /// It is open and unchanged; for a vendor that treats silence as its end.
    Repeated,
    /// It is over.
    Resolved,
    /// This site no longer watches it, so it does not know when the incident ends.
    Unwatched,
}

impl Change {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Opened, Self::Worsened, Self::Updated, Self::Repeated, Self::Resolved, Self::Unwatched];

    /// The word used in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Worsened => "worsened",
            Self::Updated => "updated",
            Self::Repeated => "repeated",
            Self::Resolved => "resolved",
            Self::Unwatched => "unwatched",
        }
    }
}

/// One message. A retry sends it unchanged.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Identifies this message: the same in every retry, so that a receiver can drop a repetition.
    pub id: String,
    /// Identifies scope and kind. Later incidents of the same scope and kind share it, and so do the messages of
    /// the other gateway of a pair.
    pub key: String,
    /// What it reports.
    pub change: Change,
    /// What it is about.
    pub scope: Scope,
    /// The kind.
    pub kind: Kind,
    /// The site.
    pub site: String,
    /// The severity: [`severity`].
    pub severity: &'static str,
    /// Whether it is only a test; see [`super::drill`].
    pub drill: bool,
    /// One line, at most 200 characters.
    pub title: String,
    /// One line for a text message on a telephone, at most 160 plain characters.
    pub short: String,
    /// The whole text.
    pub text: String,
    /// The data, for programs.
    pub data: Value,
    /// The timeline is sent up to and excluding this `seq` …
    pub(super) upto: u32,
    /// … and this many worsenings.
    pub(super) worsened: u32,
}

/// The severity of an impact, in PagerDuty's words.
pub const fn severity(impact: u8) -> &'static str {
    match impact {
        0 | 1 => "critical",
        2 => "error",
        3 => "warning",
        _ => "info",
    }
}

/// What a message is composed for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion<'a> {
    pub(super) sink: &'a Destination,
    pub(super) change: Change,
    /// The generation of the incident's messages.
    pub(super) generation: u32,
    /// The timeline has been sent up to and excluding this `seq`.
    pub(super) sent_upto: u32,
    /// When it happened.
    pub(super) at: Stamp,
}

/// Composes the message.
pub(super) fn compose(incident: &Incident, settings: &SinkRules, occasion: Occasion<'_>) -> Message {
    let Occasion { sink, change, generation, sent_upto, at } = occasion;
    let id = &incident.id;
    let impact = settings.impact(id.kind);
    let upto = incident.timeline.last().map_or(0, |entry| entry.seq + 1);
    let key = format!("bothends/{}/{}", id.scope, id.kind.as_str());
    // The id of a change that happens once does not depend on the rest of the message, so that it is the same whenever the
    // message is composed.
    let state = match change {
        Change::Opened | Change::Resolved | Change::Unwatched => String::new(),
        Change::Worsened | Change::Updated => format!("{upto}/{}", incident.worsened),
        Change::Repeated => at.as_millis().to_string(),
    };
    let message = token::message(sink, &settings.site, id, generation, change.as_str(), &state);
    let account = Account::new(incident, settings);
    let title = title(&account.title, change);
    let timeline: Vec<(&TimelineEntry, String)> =
        incident.timeline.iter().map(|entry| (entry, wording::line(incident, entry))).collect();
    let told_anew = |(entry, line): &(&TimelineEntry, String)| match change {
        Change::Repeated => None,
        Change::Opened => {
            (entry.what != TimelineChange::Opened).then(|| format!("{}: {line}", wording::when(entry.at)))
        }
        Change::Worsened | Change::Updated | Change::Resolved | Change::Unwatched => {
            (entry.seq >= sent_upto).then(|| format!("{}: {line}", wording::when(entry.at)))
        }
    };
    let news: Vec<String> = timeline.iter().filter_map(told_anew).collect();

    let tunnels = wording::as_they_stand(incident);
    let timeline =
        timeline.into_iter().map(|(entry, text)| TimelineLine { at: rfc3339(entry.at), text }).collect();
    let story = MessageContent {
        evidence: RawData::that_fits(incident, settings, generation).with_standing(&tunnels),
        account: Account { title, ..account },
        news,
        timeline,
        upto,
        worsened: incident.worsened,
    };
    let heading = Heading {
        id: message,
        key,
        change,
        at,
        incident: id.to_string(),
        scope: &id.scope,
        kind: id.kind,
        site: &settings.site,
        impact,
        drill: false,
    };
    assemble(heading, story)
}

/// What a message is, and what it is about.
pub(super) struct Heading<'a> {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) change: Change,
    pub(super) at: Stamp,
    pub(super) incident: String,
    pub(super) scope: &'a Scope,
    pub(super) kind: Kind,
    pub(super) site: &'a str,
    pub(super) impact: u8,
    pub(super) drill: bool,
}

/// What a message says.
pub(super) struct MessageContent {
    pub(super) evidence: RawData,
    pub(super) account: Account,
    /// The changes, one a line.
    pub(super) news: Vec<String>,
    pub(super) timeline: Vec<TimelineLine>,
    pub(super) upto: u32,
    pub(super) worsened: u32,
}

/// One entry of the timeline, in words.
#[derive(Serialize)]
pub(super) struct TimelineLine {
    at: String,
    text: String,
}

/// The data for programs, with the same names for incidents and drills.
#[derive(Serialize)]
struct MessageData<'a> {
    id: &'a str,
    key: &'a str,
    change: &'static str,
    at: String,
    incident: &'a str,
    impact: u8,
    severity: &'static str,
    text: &'a str,
    news: &'a [String],
    timeline: &'a [TimelineLine],
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<String>,
    #[serde(flatten)]
    evidence: &'a RawData,
    #[serde(flatten)]
    account: &'a Account,
}

pub(super) fn assemble(heading: Heading<'_>, story: MessageContent) -> Message {
    let Heading { id, key, change, at, incident, scope, kind, site, impact, drill } = heading;
    let MessageContent { evidence, account, news, timeline, upto, worsened } = story;
    let text = account.plain(&news);
    let data = MessageData {
        id: &id,
        key: &key,
        change: change.as_str(),
        at: rfc3339(at),
        incident: &incident,
        impact,
        severity: severity(impact),
        text: &text,
        news: &news,
        timeline: &timeline,
        resolved: (change == Change::Resolved).then(|| rfc3339(at)),
        evidence: &evidence,
        account: &account,
    };
    Message {
        // Structs of texts and numbers always become JSON.
        data: serde_json::to_value(data).unwrap_or_default(),
        id,
        key,
        change,
        scope: scope.clone(),
        kind,
        site: site.to_owned(),
        severity: severity(impact),
        drill,
        title: account.title,
        short: account.short,
        text,
        upto,
        worsened,
    }
}

fn title(title: &str, change: Change) -> String {
    let title = match change {
        Change::Opened | Change::Worsened | Change::Updated | Change::Repeated => title.to_owned(),
        Change::Resolved => format!("RESOLVED {title}"),
        Change::Unwatched => format!("NO LONGER WATCHED {title}"),
    };
    wording::clip(&title, wording::TITLE_MAX)
}

/// A message as the dispatcher composes it.
#[cfg(test)]
pub(crate) fn sample(change: Change) -> Message {
    sample_after(change, Vec::new())
}

/// Whether all is well again, and the incident not resolved yet.
#[cfg(test)]
pub(crate) fn sample_of_recovery(change: Change) -> Message {
    use super::reconcile::world::{assessed, viewed};
    use crate::domain::names::End;
    use crate::domain::verdict::{Assessment, Verdict};

    let back = |last| {
        let views = [End::Local, End::Aws].map(|end| viewed(last, end, Verdict::Up));
        views.into_iter().chain([assessed(last, Assessment::Healthy)])
    };
    sample_after(change, back(11).chain(back(12)).chain([TimelineChange::Clearing]).collect())
}

#[cfg(test)]
fn sample_after(change: Change, story_goes_on: Vec<TimelineChange>) -> Message {
    use super::reconcile::world::{settings, story};
    use crate::domain::time::Now;

    let now = Now::default().after(std::time::Duration::from_secs(1_795_341_600));
    let mut story = story("milan-1", Kind::Outage, None, now);
    let at = now.wall + std::time::Duration::from_secs(600);
    story_goes_on.into_iter().for_each(|what| story.add(what, at));
    let settings = settings("milan-1");
    let occasion =
        Occasion { sink: &settings.sink.destination, change, generation: 0, sent_upto: 1, at: now.wall };
    compose(story.incident(), &settings, occasion)
}
