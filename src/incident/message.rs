//! What is told to a sink that only takes messages: for people, and the whole incident for programs.

use std::future::Future;

use serde_json::{Value, json};

use crate::domain::board::{Incident, TimelineEntry};
use crate::domain::names::{Destination, Kind, VpnId};
use crate::domain::time::Stamp;

use super::raw_data::raw_data;
use super::settings::Settings;
use super::sink::SinkError;
use super::{token, wording};

/// A place that takes messages and cannot be asked about them.
pub trait Messenger: Send + Sync + 'static {
    /// Gives a message up. `now` is the time of this try, which is not always the first.
    fn deliver(&self, message: &Message, now: Stamp) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// What has become of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It opened.
    Opened,
    /// It has worsened.
    Worsened,
    /// It goes on otherwise.
    Updated,
    /// It goes on as it was told; for a vendor that takes silence for an end.
    Repeated,
    /// It is over.
    Resolved,
    /// This site does not watch it any more: whether it is over is not known here.
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

/// One message. A retry sends the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Names this message: it is the same in every retry, and a receiver that has seen it may drop it.
    pub id: String,
    /// Names what the message is about: connection and kind. A later incident of the same has the same key, and so have the
    /// messages of the other gateway of a pair.
    pub key: String,
    /// What happened.
    pub change: Change,
    /// The connection.
    pub vpn: VpnId,
    /// The kind.
    pub kind: Kind,
    /// The site.
    pub site: String,
    /// How bad it is: [`severity`].
    pub severity: &'static str,
    /// Whether it is only a test, see [`super::drill`].
    pub drill: bool,
    /// One line, at most 200 characters.
    pub title: String,
    /// Some lines.
    pub text: String,
    /// Everything, for programs.
    pub data: Value,
    /// The story is told up to and excluding this `seq` …
    pub(super) upto: u32,
    /// … and up to so many worsenings.
    pub(super) worsened: u32,
}

/// A word for an impact, as PagerDuty has them.
pub const fn severity(impact: u8) -> &'static str {
    match impact {
        0 | 1 => "critical",
        2 => "error",
        3 => "warning",
        _ => "info",
    }
}

/// What a message is made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion<'a> {
    pub(super) sink: &'a Destination,
    pub(super) change: Change,
    /// Which story of the same incident it belongs to.
    pub(super) generation: u32,
    /// What was told before ends before this `seq`.
    pub(super) told: u32,
    /// When it happened.
    pub(super) at: Stamp,
}

/// The message on an occasion.
pub(super) fn compose(incident: &Incident, settings: &Settings, occasion: Occasion<'_>) -> Message {
    let Occasion { sink, change, generation, told, at } = occasion;
    let id = &incident.id;
    let impact = settings.impact(id.kind);
    let vpn = settings.vpns.get(&id.vpn);
    let upto = incident.timeline.last().map_or(0, |entry| entry.seq + 1);
    let key = format!("bothends/{}/{}", id.vpn, id.kind.as_str());
    // What happens once is named without what else the message says, so that it keeps its name whenever it is composed.
    let state = match change {
        Change::Opened | Change::Resolved | Change::Unwatched => String::new(),
        Change::Worsened | Change::Updated => format!("{upto}/{}", incident.worsened),
        Change::Repeated => at.as_millis().to_string(),
    };
    let message = token::message(sink, &settings.site, id, generation, change.as_str(), &state);
    let title = title(incident, change);
    let timeline: Vec<(String, String)> =
        incident.timeline.iter().map(|entry| (wording::time(entry.at), line(incident, entry))).collect();
    let news = incident.timeline.iter().zip(&timeline).filter(|(entry, _)| entry.seq >= told);
    let news: Vec<&(String, String)> = news.map(|(_, told)| told).collect();

    // The evidence is an object.
    let mut data: Value = serde_json::from_str(&raw_data(incident, vpn, generation)).unwrap_or_default();
    let tunnels = wording::as_they_stand(incident);
    if let Some(told) = data["tunnels"].as_array_mut() {
        for (told, tunnel) in told.iter_mut().zip(&tunnels) {
            told["stands"] = json!({ "local": tunnel.local.to_string(), "aws": tunnel.aws.to_string() });
        }
    }
    for (name, value) in [
        ("id", json!(message)),
        ("key", json!(key)),
        ("change", json!(change.as_str())),
        ("at", json!(wording::time(at))),
        ("incident", json!(id.to_string())),
        ("impact", json!(impact)),
        ("severity", json!(severity(impact))),
        ("title", json!(title)),
        ("timeline", timeline.iter().map(|(at, text)| json!({ "at": at, "text": text })).collect()),
    ] {
        data[name] = value;
    }
    if change == Change::Resolved {
        data["resolved"] = json!(wording::time(at));
    }
    let text = text(&title, &news, &wording::standing(incident), &data);
    data["text"] = json!(text);
    Message {
        id: message,
        key,
        change,
        vpn: id.vpn.clone(),
        kind: id.kind,
        site: settings.site.to_string(),
        severity: severity(impact),
        drill: false,
        title,
        text,
        data,
        upto,
        worsened: incident.worsened,
    }
}

fn title(incident: &Incident, change: Change) -> String {
    let title = wording::title(incident);
    let title = match change {
        Change::Opened | Change::Worsened | Change::Updated | Change::Repeated => title,
        Change::Resolved => format!("RESOLVED {title}"),
        Change::Unwatched => format!("NO LONGER WATCHED {title}"),
    };
    wording::clip(&title, wording::TITLE_MAX)
}

/// The line for people of a timeline's note.
fn line(incident: &Incident, entry: &TimelineEntry) -> String {
    let note = wording::note(incident, entry);
    let said: Value = serde_json::from_str(&note).unwrap_or_default();
    said["text"].as_str().map_or(note, str::to_owned)
}

fn text(title: &str, news: &[&(String, String)], standing: &[String], data: &Value) -> String {
    let mut text = format!("{title}\n\nSince {}.\n", data["began"].as_str().unwrap_or_default());
    for (at, line) in news {
        text.push_str(&format!("{at} {line}\n"));
    }
    text.push('\n');
    for line in standing {
        text.push_str(&format!("{line}\n"));
    }
    for (what, name) in [("What to do", "runbook_url"), ("Notes", "notes")] {
        if let Some(said) = data[name].as_str() {
            text.push_str(&format!("\n{what}: {said}\n"));
        }
    }
    text
}

/// A message as the teller composes it.
#[cfg(test)]
pub(crate) fn sample(change: Change) -> Message {
    use super::reconcile::world::{settings, story};
    use crate::domain::time::Now;

    let now = Now::default().after(std::time::Duration::from_secs(1_795_341_600));
    let story = story("milan-1", Kind::Outage, None, now);
    let settings = settings("milan-1");
    let occasion =
        Occasion { sink: &settings.sink.destination, change, generation: 0, told: 0, at: now.wall };
    compose(story.incident(), &settings, occasion)
}
