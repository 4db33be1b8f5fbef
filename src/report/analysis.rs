//! The skeleton of a post-incident analysis: what the history knows of one incident, and headings to fill in.

use std::sync::Arc;
use std::time::Duration;

use super::buckets::Buckets;
use super::calendar::Calendar;
use super::cells::{Cell, Column, of_connection, of_tunnel};
use super::overview::{after, shades};
use super::page::{Block, Chart, Page, Table};
use super::paging::Paging;
use super::words::{counted, words};
use crate::catalogue::phrases::{kind_words, parent_words, withheld_by};
use crate::domain::board::IncidentState;
use crate::domain::cause::Cause;
use crate::domain::names::{End, Kind, TunnelId};
use crate::domain::scope::Scope;
use crate::domain::time::Stamp;
use crate::domain::verdict::Assessment;
use crate::history::{
    Carries, Entry, Happened, Period, Present, Recalled, Said, Spans, TunnelThen, Watch, What,
};

/// What is left before the beginning and behind the end: a tenth of it, and at least this.
const MARGIN: Duration = Duration::from_secs(300);

/// The page about one incident.
pub fn analysis(entries: &[Entry], present: &Present, incident: &Recalled, calendar: &Calendar) -> Page {
    let ended = incident.ended();
    let until = ended.unwrap_or(present.at).max(incident.began);
    let lasted = Period { from: incident.began, until };
    let margin = MARGIN.max(lasted.length() / 10);
    let shown = Period { from: lasted.from - margin, until: (until + margin).min(present.at.max(until)) };
    let spans = Spans::of(entries, present, shown);
    let tunnels: Vec<(&TunnelThen, Vec<Cell>)> =
        incident.tunnels.iter().map(|tunnel| (tunnel, of_tunnel(spans.tunnel(&tunnel.id)))).collect();
    let paging = Paging::of(entries);

    let kind = kind_words(incident.id.kind);
    let mut blocks = vec![Block::Paragraph(format!(
        "{}. Times: {}. Intervals count from {}.",
        incident.id,
        calendar.zone(lasted.from),
        calendar.second(lasted.from)
    ))];
    blocks.push(heading("Summary"));
    blocks.push(Block::List(summary(incident, &paging, present.at, calendar)));
    blocks.push(heading("Impact"));
    if tunnels.is_empty() {
        blocks.push(Block::Paragraph(
            "Several connections: a report with --since and --until shows the downtime of each.".to_owned(),
        ));
    } else {
        blocks.push(Block::Table(impact(incident, &tunnels, lasted)));
        blocks.push(heading("Both ends"));
        blocks.push(Block::Chart(chart(&tunnels, shown, calendar)));
    }
    blocks.push(heading("Timeline"));
    blocks.push(Block::Table(timeline(entries, incident, &paging, shown, calendar)));
    for (title, hint) in TO_FILL_IN {
        blocks.push(heading(title));
        blocks.push(Block::Paragraph(hint.to_owned()));
    }
    let opened = calendar.minute(incident.id.opened);
    Page { title: format!("Incident: {kind}, {}, {opened}", scope_name(incident)), blocks }
}

const TO_FILL_IN: [(&str, &str); 4] = [
    ("Contributing factors", "(fill in: what made it possible, what made it longer)"),
    ("What went well", "(fill in)"),
    ("What did not go well", "(fill in)"),
    ("Actions", "(fill in: what, who, by when)"),
];

fn heading(words: &str) -> Block {
    Block::Heading(1, words.to_owned())
}

fn scope_name(incident: &Recalled) -> String {
    match &incident.id.scope {
        Scope::Connection(_) => incident.name.to_string(),
        Scope::Parent(parent) => parent_words(parent),
    }
}

fn summary(incident: &Recalled, paging: &Paging, now: Stamp, calendar: &Calendar) -> Vec<String> {
    let base = incident.began;
    let with = |at: Stamp| format!("{} ({})", calendar.second(at), after(base, at));
    let what = match &incident.id.scope {
        Scope::Connection(vpn) => format!("{} ({vpn})", incident.name),
        Scope::Parent(parent) => parent_words(parent),
    };
    let mut lines = vec![
        format!("What: {} of {what}", kind_words(incident.id.kind)),
        format!("Began: {}", calendar.second(base)),
        format!("Opened: {}", with(incident.id.opened)),
    ];
    lines.push(match incident.state {
        IncidentState::Open => format!("Still open after {}", words(now.since(base))),
        IncidentState::Resolved { at } => format!("Resolved: {}", with(at)),
        IncidentState::Unwatched { at } => format!("No longer watched since {}", with(at)),
    });
    for tunnel in &incident.tunnels {
        let noticed = |end: End| {
            noticed(incident, tunnel, end)
                .map_or_else(|| "did not say down".to_owned(), |at| format!("said down {}", with(at)))
        };
        lines.push(format!(
            "{} ({}, {}): our end {}; AWS {}",
            tunnel.name,
            tunnel.id.outside_ip,
            tunnel.role.as_str(),
            noticed(End::Local),
            noticed(End::Aws)
        ));
    }
    let causes = causes(incident);
    lines.push(if causes.is_empty() {
        "Cause: none was named".to_owned()
    } else {
        format!("Cause: {}", causes.iter().map(|cause| cause.as_str()).collect::<Vec<_>>().join(", then "))
    });
    let pages = paging.pages(&incident.id);
    if pages.is_empty() {
        let why = incident.withheld.as_ref().map(|by| format!(": {}", withheld_by(by))).unwrap_or_default();
        lines.push(format!("Nobody was paged{why}"));
    }
    lines.extend(pages.iter().map(|page| format!("Paged: {} by {}", with(page.at), page.sink)));
    if incident.worsened > 0 {
        lines.push(format!("Worsened: {}", counted(count(incident.worsened), "time")));
    }
    if let Some(related) = &incident.related {
        lines.push(format!("Follows {related}"));
    }
    lines
}

fn count(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// When an end said Down first.
fn noticed(incident: &Recalled, tunnel: &TunnelThen, end: End) -> Option<Stamp> {
    let (said, since) = match end {
        End::Local => tunnel.local,
        End::Aws => tunnel.aws,
    };
    let later = || {
        incident.timeline.iter().find_map(|entry| match &entry.what {
            What::Verdict { tunnel: (of, _), end: by, to: Said::Down, .. }
                if *of == tunnel.id && *by == end =>
            {
                Some(entry.at)
            }
            What::Verdict { .. }
            | What::Opened
            | What::Adopted { .. }
            | What::Confirmed
            | What::Assessment { .. }
            | What::Cause { .. }
            | What::Quality { .. }
            | What::Children { .. }
            | What::Withheld { .. }
            | What::Released
            | What::Clearing
            | What::Reopened
            | What::Resolved
            | What::Unwatched
            | What::HandedOver
            | What::Missed => None,
        })
    };
    if said == Said::Down { Some(since) } else { later() }
}

/// The causes that were named, each once, in the order of time; `unknown` only where there is no other.
fn causes(incident: &Recalled) -> Vec<Cause> {
    let at_first = incident.tunnels.iter().filter_map(|tunnel| tunnel.cause);
    let later = incident.timeline.iter().filter_map(|entry| match &entry.what {
        What::Cause { to, .. } => Some(*to),
        What::Opened
        | What::Adopted { .. }
        | What::Confirmed
        | What::Verdict { .. }
        | What::Assessment { .. }
        | What::Quality { .. }
        | What::Children { .. }
        | What::Withheld { .. }
        | What::Released
        | What::Clearing
        | What::Reopened
        | What::Resolved
        | What::Unwatched
        | What::HandedOver
        | What::Missed => None,
    });
    let mut named: Vec<Cause> = Vec::new();
    for cause in at_first.chain(later) {
        if !named.contains(&cause) {
            named.push(cause);
        }
    }
    if named.len() > 1 {
        named.retain(|cause| *cause != Cause::Unknown);
    }
    named
}

fn impact(incident: &Recalled, tunnels: &[(&TunnelThen, Vec<Cell>)], lasted: Period) -> Table {
    let mut table = Table::with(&["", "#both ends down", "#our end down", "#AWS down", "#unobserved"]);
    let mut row = |name: String, cells: &[Cell]| {
        let [both, local, aws] = Column::ALL.map(|column| Buckets::of(cells, column, lasted));
        let down = [both, local, aws].map(|buckets| words(buckets.down + buckets.silenced.down));
        table.rows.push([name].into_iter().chain(down).chain([words(both.unobserved)]).collect());
    };
    let all: Vec<Vec<Cell>> = tunnels.iter().map(|(_, cells)| cells.clone()).collect();
    row(incident.name.to_string(), &of_connection(&all));
    for (tunnel, cells) in tunnels {
        row(format!("- {}", tunnel.name), cells);
    }
    table
}

fn chart(tunnels: &[(&TunnelThen, Vec<Cell>)], shown: Period, calendar: &Calendar) -> Chart {
    let ends = [(Column::Local, "our end"), (Column::Aws, "AWS")];
    let strips = tunnels.iter().flat_map(|(tunnel, cells)| {
        ends.map(|(column, end)| (format!("{end}: {}", tunnel.name), shades(cells, column)))
    });
    Chart {
        period: shown,
        ends: [calendar.second(shown.from), calendar.second(shown.until)],
        strips: strips.collect(),
    }
}

/// Everything that happened, of both ends, the sinks and the daemon, in the order of time.
fn timeline(
    entries: &[Entry],
    incident: &Recalled,
    paging: &Paging,
    shown: Period,
    calendar: &Calendar,
) -> Table {
    let mut lines: Vec<(Stamp, &str, String)> =
        vec![(incident.began, "-", began(incident.id.kind).to_owned())];
    for tunnel in &incident.tunnels {
        let TunnelThen { name, local, aws, aws_changed, .. } = tunnel;
        let is_new = |since: Stamp| since >= shown.from && since <= incident.id.opened;
        if let (said @ (Said::Down | Said::Unknown), since) = *local
            && is_new(since)
        {
            lines.push((since, "our end", format!("{name}: {}", said.as_str())));
        }
        if let (said @ (Said::Down | Said::Unknown), since) = *aws
            && is_new(since)
        {
            let changed =
                aws_changed.map(|at| format!(", changed at {} by AWS's clock", calendar.second(at)));
            lines.push((since, "AWS", format!("{name}: {}{}", said.as_str(), changed.unwrap_or_default())));
        }
    }
    lines.extend(
        incident.timeline.iter().map(|entry| (entry.at, source(&entry.what), happened(entry, calendar))),
    );
    for page in paging.pages(&incident.id) {
        lines.push((page.at, "sink", format!("{}: paged", page.sink)));
    }
    let within = |at: Stamp| at > shown.from && at < shown.until;
    for entry in entries {
        if let Entry::Watched(Watch { period: Period { from, until }, .. }) = entry {
            if within(*from) {
                lines.push((*from, "daemon", "began to watch".to_owned()));
            }
            if within(*until) {
                lines.push((*until, "daemon", "stopped watching".to_owned()));
            }
        }
    }
    lines.sort_by_key(|(at, ..)| *at);
    let mut table = Table::with(&["time", "#after", "source", "what"]);
    table.rows.extend(lines.into_iter().map(|(at, source, what)| {
        vec![calendar.second(at), after(incident.began, at), source.to_owned(), what]
    }));
    table
}

/// What began.
const fn began(kind: Kind) -> &'static str {
    match kind {
        Kind::Outage | Kind::RedundancyLost | Kind::OneSided => "packets stopped",
        Kind::Degraded => "packets were lost, late or uneven",
    }
}

const fn source(what: &What) -> &'static str {
    match what {
        What::Verdict { end: End::Local, .. } => "our end",
        What::Verdict { end: End::Aws, .. } => "AWS",
        What::Assessment { .. } => "both ends",
        What::Cause { .. } => "cause",
        What::Quality { .. } => "our end",
        What::Opened
        | What::Adopted { .. }
        | What::Confirmed
        | What::Children { .. }
        | What::Withheld { .. }
        | What::Released
        | What::Clearing
        | What::Reopened
        | What::Resolved
        | What::Unwatched
        | What::HandedOver
        | What::Missed => "incident",
    }
}

fn happened(entry: &Happened, calendar: &Calendar) -> String {
    let named = |(id, name): &(TunnelId, Arc<str>)| {
        if name.is_empty() { id.outside_ip.to_string() } else { name.to_string() }
    };
    let list = |names: &[Arc<str>]| names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
    let line = match &entry.what {
        What::Opened => "opened".to_owned(),
        What::Adopted { sink } => format!("its record was found open at {sink}, and adopted"),
        What::Confirmed => "this site sees it, too".to_owned(),
        What::Verdict { tunnel, end: _, to, why, as_of } => {
            let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            let as_of = as_of.map(|at| format!(", as of {}", calendar.clock(at))).unwrap_or_default();
            format!("{}: {}{why}{as_of}", named(tunnel), to.as_str())
        }
        What::Assessment { tunnel, to, carrying } => {
            let together = match to {
                Assessment::Healthy => "both ends say up",
                Assessment::Down => "both ends say down",
                Assessment::Disputed(End::Local) => "only our end says down",
                Assessment::Disputed(End::Aws) => "only AWS says down",
                Assessment::Unconfirmed(End::Local) => "our end says down, AWS does not know",
                Assessment::Unconfirmed(End::Aws) => "AWS says down, our end does not know",
                Assessment::Blind => "the ends do not know",
            };
            let traffic = match carrying {
                Carries::Yes => "carries traffic",
                Carries::No => "carries no traffic",
                Carries::CannotTell => "may carry traffic",
            };
            format!("{}: {together}; it {traffic}", named(tunnel))
        }
        What::Cause { tunnel, to, confidence } => {
            format!("{}: {} ({})", named(tunnel), to.as_str(), confidence.as_str())
        }
        What::Quality { tunnel, to } => format!("{}: quality {to}", named(tunnel)),
        What::Children { down, back, troubled, of } => {
            let down = if down.is_empty() { String::new() } else { format!("down: {}; ", list(down)) };
            let back = if back.is_empty() { String::new() } else { format!("back: {}; ", list(back)) };
            format!("{down}{back}{troubled} of {of} connections have trouble")
        }
        What::Withheld { by } => format!("not sent: {}", withheld_by(by)),
        What::Released => "sent now: what held it back is over".to_owned(),
        What::Clearing => "clearing".to_owned(),
        What::Reopened => "not over after all".to_owned(),
        What::Resolved => "resolved".to_owned(),
        What::Unwatched => "no longer in the configuration".to_owned(),
        What::HandedOver => "handed over to the other host of the pair".to_owned(),
        What::Missed => "it was over when it became known: nobody was paged".to_owned(),
    };
    match entry.repeats {
        0 => line,
        repeats => format!("{line} (and {} before)", counted(count(repeats), "time")),
    }
}
