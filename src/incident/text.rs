//! Pieces of text that every description of an incident is made of: times, lists, and lengths.

use crate::domain::board::{Incident, TimelineChange};
use crate::domain::names::Kind;
use crate::domain::time::Stamp;

/// The length of one text message (GSM 03.38 has 160 characters in one).
const TELEPHONE_MAX: usize = 160;

/// Incident Manager's limit on a title, in characters.
/// <https://docs.aws.amazon.com/incident-manager/latest/APIReference/API_StartIncident.html>
pub const TITLE_MAX: usize = 200;

/// Text from AWS or the configuration is cut to this many characters in a record.
pub(super) const WORDS_MAX: usize = 200;

/// Since when all is well again, for an incident that is clearing.
pub(super) fn clearing_since(incident: &Incident) -> Option<Stamp> {
    let mut phases = incident
        .timeline
        .iter()
        .rev()
        .filter(|entry| matches!(entry.what, TimelineChange::Clearing | TimelineChange::Reopened));
    phases.next().filter(|entry| entry.what == TimelineChange::Clearing).map(|entry| entry.at)
}

/// A UTC time, to the second.
pub(super) fn when(stamp: Stamp) -> String {
    match jiff::Timestamp::from_millisecond(stamp.as_millis()) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => format!("{} ms since 1970", stamp.as_millis()),
    }
}

/// Whether a line fits one text message.
pub(super) fn fits_telephone(text: &str) -> bool {
    text.chars().count() <= TELEPHONE_MAX
}

/// One line of plain ASCII that fits one text message.
pub(super) fn telephone(text: &str) -> String {
    let plain: String = text
        .replace(['–', '—'], "-")
        .chars()
        .map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' })
        .collect();
    if plain.len() <= TELEPHONE_MAX { plain } else { format!("{}...", &plain[..TELEPHONE_MAX - 3]) }
}

/// At most `max` characters, with a mark where it was cut.
pub(super) fn clip(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// How long something lasted, in the two largest units.
pub(super) fn span(from: Stamp, to: Stamp) -> String {
    let seconds = to.since(from).as_secs();
    let units = [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, size) in units {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            parts.push(format!("{count} {unit}"));
        }
    }
    parts.truncate(2);
    if parts.is_empty() { "less than a second".to_owned() } else { parts.join(" ") }
}

/// As a sentence begins.
pub fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// A kind of incident, as a title or a telephone has it first.
pub(super) const fn kind_in_capitals(kind: Kind) -> &'static str {
    match kind {
        Kind::Outage => "OUTAGE",
        Kind::RedundancyLost => "REDUNDANCY LOST",
        Kind::OneSided => "ONE-SIDED",
        Kind::Degraded => "DEGRADED",
    }
}
