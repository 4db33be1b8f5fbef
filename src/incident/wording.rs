//! What people read in a record: its title, its timeline, its closing words.

use std::sync::Arc;

use serde::Serialize;

use crate::domain::board::{Incident, IncidentState, TimelineChange, TimelineEntry};
use crate::domain::names::{End, Kind, TunnelId};
use crate::domain::time::Stamp;
use crate::domain::verdict::{Assessment, Verdict};

/// Incident Manager's limit on a title, in characters.
/// <https://docs.aws.amazon.com/incident-manager/latest/APIReference/API_StartIncident.html>
pub const TITLE_MAX: usize = 200;
/// Words that are not ours (AWS's, the configuration's) are cut to this many characters in a record.
pub(super) const WORDS_MAX: usize = 200;

/// A record's title, at most [`TITLE_MAX`] characters: the site, the connection, the kind, and the tunnels that are down
/// as the incident stands.
pub fn title(incident: &Incident) -> String {
    let tunnels = as_they_stand(incident);
    let down: Vec<String> =
        tunnels.iter().filter(|tunnel| tunnel.is_down(incident.id.kind)).map(Tunnel::named).collect();
    let head = format!("[{}] {}: {}", incident.site, connection(incident), kind_words(incident.id.kind));
    let title = match (down.as_slice(), incident.id.kind) {
        ([], Kind::Outage | Kind::RedundancyLost | Kind::OneSided) => head,
        ([one], Kind::Outage | Kind::RedundancyLost) => format!("{head} — {one} down"),
        (more, Kind::Outage | Kind::RedundancyLost) => format!("{head} — {} down", list(more)),
        (some, Kind::OneSided) => {
            format!("{head} — {} alone says that {} down", one_sided_end(&tunnels), are(some))
        }
    };
    clip(&title, TITLE_MAX)
}

/// The text of a note on one timeline entry: JSON, with a line for people.
pub fn note(incident: &Incident, entry: &TimelineEntry) -> String {
    let mut note = NoteText::new(incident, entry.at);
    let line = match &entry.what {
        TimelineChange::Opened => format!("{} opened", kind_words(incident.id.kind)),
        TimelineChange::TakenUp { sink } => {
            format!("{} found open at {sink}, and taken up", kind_words(incident.id.kind))
        }
        TimelineChange::Witnessed => format!("{} seen by this site as well", kind_words(incident.id.kind)),
        TimelineChange::View { tunnel, name, end, verdict, as_of } => {
            note.tunnel(tunnel, name);
            note.end = Some(end.as_str());
            note.verdict = Some(verdict.to_string());
            note.as_of = as_of.map(time);
            let tunnel = named(name, tunnel);
            match (end, as_of) {
                (End::Local, _) => format!("{tunnel}: {verdict} as seen from this site"),
                (End::Aws, Some(as_of)) => {
                    format!("{tunnel}: {verdict} as AWS sees it, as of {}", time(*as_of))
                }
                (End::Aws, None) => format!("{tunnel}: {verdict} as AWS sees it"),
            }
        }
        TimelineChange::Assessment { tunnel, name, assessment } => {
            note.tunnel(tunnel, name);
            note.assessment = Some(assessment.as_str());
            format!("{}: {}", named(name, tunnel), assessment_words(*assessment))
        }
        TimelineChange::Clearing => "clearing; it will be resolved if this lasts".to_owned(),
        TimelineChange::Reopened => "no longer clearing".to_owned(),
        TimelineChange::Resolved => format!("{} over", kind_words(incident.id.kind)),
        TimelineChange::Missed => "known only when it was over: nobody was told".to_owned(),
        TimelineChange::HandedOver => {
            "handed over: the address that this site votes for is another host's, which goes on with this record"
                .to_owned()
        }
        TimelineChange::Unwatched => {
            "no longer watched: the connection was removed from this site's configuration; this \
                                      record is left open for a person to close"
                .to_owned()
        }
    };
    let repeats = match entry.repeats {
        0 => String::new(),
        1 => " (and once more)".to_owned(),
        more => format!(" (and {more} more times)"),
    };
    note.finish(&format!("{line}{repeats}"))
}

/// The text of the note by which a site joins a record that it did not start: its own evidence as it stands.
pub fn witness(incident: &Incident) -> String {
    let kind = kind_words(incident.id.kind);
    let line = match incident.state {
        IncidentState::Open if incident.found_at.is_some() => {
            format!("{kind} taken up by this site, which closes this record when it is over")
        }
        IncidentState::Open => format!("{kind} also seen by this site since {}", time(incident.began)),
        IncidentState::Resolved { at } if incident.found_at.is_some() => {
            format!(
                "{kind} taken up by this site, which has not seen it for itself, and over at {}",
                time(at)
            )
        }
        IncidentState::Resolved { at } => format!(
            "{kind} also seen by this site from {} to {}, and not told in its time",
            time(incident.began),
            time(at)
        ),
        IncidentState::Unwatched { .. } => {
            format!("{kind} also seen by this site since {}, until it ceased to watch", time(incident.began))
        }
    };
    let mut note = NoteText::new(incident, incident.id.opened);
    note.tunnels = standing(incident);
    note.finish(&line)
}

/// A line for each tunnel: what both ends say of it as the incident stands.
pub(super) fn standing(incident: &Incident) -> Vec<String> {
    let line = |tunnel: &Tunnel| {
        let (name, local, aws) = (tunnel.named(), tunnel.local, tunnel.aws);
        clip(&format!("{name}: {local} as seen from this site, {aws} as AWS sees it"), WORDS_MAX)
    };
    as_they_stand(incident).iter().map(line).collect()
}

/// What a record says when it is closed.
pub fn summary(incident: &Incident, over: Stamp) -> String {
    let tunnels: Vec<String> = as_they_stand(incident)
        .iter()
        .map(|tunnel| format!("{} {}", tunnel.named(), assessment_words(tunnel.assessment)))
        .collect();
    format!(
        "[{}] {}: {} from {} to {}, closed by bothends. At the end: {}.",
        incident.site,
        connection(incident),
        kind_words(incident.id.kind),
        time(incident.began),
        time(over),
        tunnels.join(", ")
    )
}

/// What a duplicate says when it is closed in favour of an older record.
pub fn duplicate_summary(incident: &Incident, older: &str) -> String {
    format!("[{}] {}: a duplicate of {older}, which goes on.", incident.site, connection(incident))
}

/// The beginning of every line that is about an incident: the site and the connection by name.
pub(super) fn about(incident: &Incident) -> String {
    format!("{}: {}: {}", incident.site, connection(incident), kind_words(incident.id.kind))
}

/// A tunnel as an incident leaves it: as it was at the opening, with every later change of the timeline.
pub(super) struct Tunnel {
    pub(super) id: TunnelId,
    pub(super) name: Arc<str>,
    pub(super) local: Verdict,
    pub(super) aws: Verdict,
    pub(super) assessment: Assessment,
}

/// The tunnels of an incident as they stand.
pub(super) fn as_they_stand(incident: &Incident) -> Vec<Tunnel> {
    let mut tunnels: Vec<Tunnel> = incident
        .tunnels
        .iter()
        .map(|tunnel| Tunnel {
            id: tunnel.id.clone(),
            name: tunnel.name.clone(),
            local: tunnel.local.verdict,
            aws: tunnel.aws.verdict,
            assessment: tunnel.assessment,
        })
        .collect();
    let opened = opened_seq(incident);
    for entry in incident.timeline.iter().filter(|entry| opened.is_none_or(|opened| entry.seq > opened)) {
        match &entry.what {
            TimelineChange::View { tunnel, name: _, end, verdict, as_of: _ } => {
                if let Some(tunnel) = tunnels.iter_mut().find(|known| known.id == *tunnel) {
                    match end {
                        End::Local => tunnel.local = *verdict,
                        End::Aws => tunnel.aws = *verdict,
                    }
                }
            }
            TimelineChange::Assessment { tunnel, name: _, assessment } => {
                if let Some(tunnel) = tunnels.iter_mut().find(|known| known.id == *tunnel) {
                    tunnel.assessment = *assessment;
                }
            }
            TimelineChange::Opened
            | TimelineChange::TakenUp { .. }
            | TimelineChange::Witnessed
            | TimelineChange::Clearing
            | TimelineChange::Reopened
            | TimelineChange::Resolved
            | TimelineChange::Unwatched
            | TimelineChange::HandedOver
            | TimelineChange::Missed => {}
        }
    }
    tunnels
}

/// The place of the entry that says that the incident opened, or was taken up.
pub(super) fn opened_seq(incident: &Incident) -> Option<u32> {
    let begins = |entry: &&TimelineEntry| match entry.what {
        TimelineChange::Opened | TimelineChange::TakenUp { .. } => true,
        TimelineChange::Witnessed
        | TimelineChange::View { .. }
        | TimelineChange::Assessment { .. }
        | TimelineChange::Clearing
        | TimelineChange::Reopened
        | TimelineChange::Resolved
        | TimelineChange::Unwatched
        | TimelineChange::HandedOver
        | TimelineChange::Missed => false,
    };
    incident.timeline.iter().find(begins).map(|entry| entry.seq)
}

/// RFC 3339, in UTC.
pub(super) fn time(stamp: Stamp) -> String {
    match jiff::Timestamp::from_millisecond(stamp.as_millis()) {
        Ok(time) => time.to_string(),
        Err(_) => format!("{} ms since 1970", stamp.as_millis()),
    }
}

/// At most `max` characters; what is cut is marked.
pub(super) fn clip(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

impl Tunnel {
    fn named(&self) -> String {
        named(&self.name, &self.id)
    }

    fn is_down(&self, kind: Kind) -> bool {
        match kind {
            // Every other tunnel of an outage is at least locally Down.
            Kind::Outage => self.local == Verdict::Down || self.assessment == Assessment::Down,
            Kind::RedundancyLost => self.assessment == Assessment::Down,
            Kind::OneSided => self.local == Verdict::Down || self.aws == Verdict::Down,
        }
    }
}

/// A note's text: the line for people first, then the same for programs.
#[derive(Serialize)]
struct NoteText {
    text: String,
    site: String,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assessment: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tunnels: Vec<String>,
}

impl NoteText {
    fn new(incident: &Incident, at: Stamp) -> Self {
        Self {
            text: String::new(),
            site: incident.site.to_string(),
            at: time(at),
            tunnel: None,
            tunnel_ip: None,
            end: None,
            verdict: None,
            as_of: None,
            assessment: None,
            tunnels: Vec::new(),
        }
    }

    fn tunnel(&mut self, id: &TunnelId, name: &Arc<str>) {
        self.tunnel = Some(name.to_string());
        self.tunnel_ip = Some(id.outside_ip.to_string());
    }

    fn finish(mut self, line: &str) -> String {
        self.text = format!("{}: {line}", self.site);
        // A struct of strings always becomes JSON; the line alone would do as well.
        serde_json::to_string(&self).unwrap_or(self.text)
    }
}

fn connection(incident: &Incident) -> String {
    format!("{} ({})", incident.vpn_name, incident.id.vpn)
}

fn named(name: &str, id: &TunnelId) -> String {
    format!("{name} ({})", id.outside_ip)
}

pub(super) const fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Outage => "outage",
        Kind::RedundancyLost => "redundancy lost",
        Kind::OneSided => "one-sided",
    }
}

const fn assessment_words(assessment: Assessment) -> &'static str {
    match assessment {
        Assessment::Healthy => "up at both ends",
        Assessment::Down => "down at both ends",
        Assessment::Disputed(End::Local) => "down as seen from this site, up as AWS sees it",
        Assessment::Disputed(End::Aws) => "up as seen from this site, down as AWS sees it",
        Assessment::Unconfirmed(End::Local) => "down as seen from this site, AWS does not know",
        Assessment::Unconfirmed(End::Aws) => "down as AWS sees it, this site does not know",
        Assessment::Blind => "not known",
    }
}

fn one_sided_end(tunnels: &[Tunnel]) -> &'static str {
    if tunnels.iter().any(|tunnel| tunnel.local == Verdict::Down) { "this site" } else { "AWS" }
}

fn are(tunnels: &[String]) -> String {
    format!("{} {}", list(tunnels), if tunnels.len() == 1 { "is" } else { "are" })
}

fn list(tunnels: &[String]) -> String {
    match tunnels {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests;
