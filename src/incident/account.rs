//! The text for a person who is paged: one model, rendered for each medium.
//!
//! The order is the reader's: what is down and since when, whether traffic still flows, what each end says, which side is
//! likely at fault, the first things to do, runbook and notes, who sent this, and where to look. [`advice`] has the advice in
//! one closed table.
//!
//! Each medium has its own form and length. A text that does not fit loses the least helpful parts first: the graphs, all
//! links, most connections of a parent, the end of the notes, and only then the last lines.

mod advice;

use std::fmt::Write as _;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use self::advice::{Advice, Flow, why_words};
use super::family::{self, Family};
use super::wording::{
    self, AwsSince, Course, CurrentTunnel, DownAlone, WORDS_MAX, alone, as_they_stand, capitalized,
    clearing_since, clip, concerned, kind_in_capitals, list, lost, span, when,
};
use crate::catalogue::cause;
use crate::domain::board::{Incident, IncidentState, TunnelSnapshot};
use crate::domain::carrying::{Carrying, NotCarrying};
use crate::domain::cause::{Cause, Diagnosis};
use crate::domain::names::{End, Kind, Role, VpnId};
use crate::domain::quality::Quality;
use crate::domain::stopped::{Basis, basis};
use crate::domain::time::Stamp;
use crate::domain::verdict::{Assessment, Loss, Verdict, Why};
use crate::incident::settings::{Metrics, SinkRules, VpnSettings};

/// The end of the part that the daemon keeps current, in a text that people may edit too.
pub const KEPT_CURRENT: &str = "_Kept current by bothends. Anything written below this line stays._";

/// The length in characters to which notes are cut where space is short.
const NOTES_SHORT: usize = 200;

/// What is left out where space is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Without {
    Nothing,
    Graphs,
    Links,
    MostConnections,
    LongNotes,
}

/// The connections of a parent that are named where space is short.
const CONNECTIONS_SHORT: usize = 5;
/// A parent's incident has the links of this many connections.
const LINKS_MAX: usize = 3;

/// A runbook's address is cut to this many characters.
pub(super) const URL_MAX: usize = 1000;
/// The operator's notes are cut to this many characters.
pub(super) const NOTES_MAX: usize = 2000;
/// Further tunnels are only counted: a connection has two, and nobody reads more at night.
const TUNNELS_MAX: usize = 6;

/// An incident, described for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// One line, at most 200 characters.
    pub title: String,
    /// One line for a text message on a telephone: plain ASCII, at most 160 characters.
    pub short: String,
    /// A warning to read first; usually `None`.
    #[serde(serialize_with = "text_or_none")]
    pub caution: Option<&'static str>,
    /// Why, as far as it is known: a line for each cause, with its evidence, and with the tunnels where not all have the same.
    pub causes: Vec<String>,
    /// Since when it lasts, and whether it is over.
    pub since: String,
    /// Whether traffic flows, in one word: see [`Traffic`](crate::domain::carrying::Traffic).
    pub flow: &'static str,
    /// The same in a sentence.
    pub traffic: String,
    /// What each end says of each tunnel.
    pub ends: Vec<Ends>,
    /// Which side is likely at fault; `None` when it is over, and where the named causes say it.
    #[serde(serialize_with = "text_or_none")]
    pub likely: Option<String>,
    /// The first things to do, in order.
    pub steps: Vec<String>,
    /// What is not sent because of a parent's incident, or until when a connection's was not sent; usually `None`.
    #[serde(serialize_with = "text_or_none")]
    pub withheld: Option<String>,
    /// How many of a parent's connections are affected; `None` for a connection.
    #[serde(skip)]
    pub affected: Option<String>,
    /// A line for each affected connection of a parent, the first of them …
    #[serde(skip)]
    pub connections: Vec<String>,
    /// … of so many.
    #[serde(skip)]
    pub connections_in_all: usize,
    /// The runbook.
    #[serde(skip)]
    pub runbook_url: Option<String>,
    /// The operator's notes.
    #[serde(skip)]
    pub notes: Option<String>,
    /// The sender.
    pub sender: String,
    /// Pages to look at.
    pub links: Vec<Link>,
}

fn text_or_none<T: AsRef<str>, S: Serializer>(text: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text.as_ref().map(AsRef::as_ref).unwrap_or_default())
}

/// What both ends say of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ends {
    /// The tunnel, by name and address.
    pub tunnel: String,
    /// Both ends together.
    pub both: &'static str,
    /// Our end.
    pub site: String,
    /// AWS's end.
    pub aws: String,
}

impl Account {
    /// Describes an incident as it is now.
    pub(super) fn new(incident: &Incident, settings: &SinkRules) -> Self {
        if let Some(family) = Family::of(incident) {
            return Self::of_parent(incident, &family, settings);
        }
        let tunnels = as_they_stand(incident);
        let vpn = settings.vpn(&incident.id.scope);
        let flow = Flow::of(&tunnels);
        let course = Course::of(incident, &tunnels);
        let advice = Advice::new(incident, &tunnels, course, &flow, vpn);
        let (likely, steps) = advice.map_or((None, Vec::new()), |it| (it.likely, it.steps));
        let causes = causes(incident, &tunnels, course);
        let OperatorWords { runbook_url, notes } = OperatorWords::of(incident, settings);
        let left_open = match incident.state {
            IncidentState::Unwatched { .. } => {
                vec!["Look whether the tunnels work, and close this record by hand.".to_owned()]
            }
            IncidentState::Open | IncidentState::Resolved { .. } => steps,
        };
        Self {
            title: wording::title(incident),
            short: short(incident, &tunnels, course, &flow),
            caution: caution(incident, &tunnels),
            causes,
            since: since(incident, course),
            flow: incident.traffic().as_str(),
            traffic: flow.sentence(incident),
            ends: tunnels.iter().take(TUNNELS_MAX).map(|it| Ends::of(it, incident.id.opened)).collect(),
            likely,
            steps: left_open,
            withheld: family::sent_late(incident, &settings.sink),
            affected: None,
            connections: Vec::new(),
            connections_in_all: 0,
            runbook_url,
            notes,
            sender: sender(&settings.site),
            links: links(incident, vpn),
        }
    }

    /// Describes a parent's incident as it is now. Runbook and notes are those that all its connections have in common.
    fn of_parent(incident: &Incident, family: &Family<'_>, settings: &SinkRules) -> Self {
        let (connections, connections_in_all) = family.connections();
        let OperatorWords { runbook_url, notes } = OperatorWords::of(incident, settings);
        let links = family.shown().take(LINKS_MAX).filter_map(|(child, _)| {
            let vpn = settings.vpns.get(&child.vpn).filter(|vpn| !vpn.region.is_empty())?;
            let title = clip(&format!("{} in the AWS console", child.name), WORDS_MAX);
            Some(Link { title, ..console(&child.vpn, &vpn.region) })
        });
        Self {
            title: family.title(),
            short: family.short(),
            caution: None,
            causes: family.causes(),
            since: family.since(),
            flow: family.flow().as_str(),
            traffic: family.traffic(),
            ends: Vec::new(),
            likely: None,
            steps: family.steps(),
            withheld: family.withheld(),
            affected: (!connections.is_empty()).then(|| family.affected()),
            connections,
            connections_in_all,
            runbook_url,
            notes,
            sender: sender(&settings.site),
            links: links.collect(),
        }
    }

    /// The affected connections, `most` of them, a line each; empty for a connection.
    fn named_connections(&self, most: usize) -> Vec<String> {
        let Some(affected) = &self.affected else { return Vec::new() };
        let mut lines = vec![format!("{affected}:")];
        lines.extend(self.connections.iter().take(most).map(|line| format!("- {line}")));
        let more = self.connections_in_all - self.connections.len().min(most);
        if more > 0 {
            lines.push(format!("- and {more} more"));
        }
        lines
    }

    /// Plain text, for mail and for sinks that show text unformatted. `news`: the changes, one a line.
    pub fn plain(&self, news: &[String]) -> String {
        let mut text = format!("{}\n\n", self.title);
        if let Some(caution) = self.caution {
            push(&mut text, caution);
        }
        if !news.is_empty() {
            push(&mut text, &news.join("\n"));
            text.push('\n');
        }
        for cause in &self.causes {
            push(&mut text, &format!("Why: {cause}"));
        }
        push(&mut text, &self.since);
        push(&mut text, &self.traffic);
        if !self.ends.is_empty() {
            text.push('\n');
        }
        for ends in &self.ends {
            push(&mut text, &format!("{}: {}", ends.tunnel, ends.both));
            push(&mut text, &format!("  this site: {}", ends.site));
            push(&mut text, &format!("  AWS: {}", ends.aws));
        }
        if let Some(likely) = &self.likely {
            push(&mut text, &format!("\nLikely: {likely}"));
        }
        if !self.steps.is_empty() {
            push(&mut text, "\nDo first:");
            for (number, step) in (1..).zip(&self.steps) {
                push(&mut text, &format!("{number}. {step}"));
            }
        }
        if self.affected.is_some() {
            text.push('\n');
        }
        for line in self.named_connections(family::CHILDREN_MAX) {
            push(&mut text, &line);
        }
        if let Some(withheld) = &self.withheld {
            push(&mut text, &format!("\n{withheld}"));
        }
        if self.runbook_url.is_some() || self.notes.is_some() {
            text.push('\n');
        }
        if let Some(url) = &self.runbook_url {
            push(&mut text, &format!("Runbook: {url}"));
        }
        if let Some(notes) = &self.notes {
            push(&mut text, &format!("Notes: {notes}"));
        }
        push(&mut text, &format!("\nSent by {}.", self.sender));
        for Link { title, url, metrics: _ } in &self.links {
            push(&mut text, &format!("{title}: {url}"));
        }
        text
    }

    /// Markdown of at most `max` bytes, ending with [`KEPT_CURRENT`].
    pub fn markdown(&self, max: usize) -> String {
        let room = max.saturating_sub(KEPT_CURRENT.len() + 2);
        let all =
            [Without::Nothing, Without::Graphs, Without::Links, Without::MostConnections, Without::LongNotes];
        let mut text = String::new();
        for without in all {
            text = self.in_markdown(without);
            if text.len() <= room {
                break;
            }
        }
        format!("{}\n\n{KEPT_CURRENT}", cut(text.trim_end(), room))
    }

    fn in_markdown(&self, without: Without) -> String {
        let caution = self.caution.map(|caution| format!("**{caution}**\n\n")).unwrap_or_default();
        let why: String = self.causes.iter().map(|cause| format!("**Why:** {cause}\n\n")).collect();
        let (title, since, traffic) = (&self.title, &self.since, &self.traffic);
        let mut text = format!("**{title}**\n\n{caution}{why}{since}\n\n**{traffic}**\n");
        if !self.ends.is_empty() {
            text.push('\n');
        }
        for ends in &self.ends {
            push(&mut text, &format!("- **{}**: {}", ends.tunnel, ends.both));
            push(&mut text, &format!("  - this site: {}", ends.site));
            push(&mut text, &format!("  - AWS: {}", ends.aws));
        }
        if let Some(likely) = &self.likely {
            push(&mut text, &format!("\n**Likely:** {likely}"));
        }
        if !self.steps.is_empty() {
            push(&mut text, "\n**Do first:**\n");
            for (number, step) in (1..).zip(&self.steps) {
                push(&mut text, &format!("{number}. {step}"));
            }
        }
        let most = if without >= Without::MostConnections { CONNECTIONS_SHORT } else { family::CHILDREN_MAX };
        let mut connections = self.named_connections(most).into_iter();
        if let Some(affected) = connections.next() {
            push(&mut text, &format!("\n**{affected}**\n"));
        }
        for line in connections {
            push(&mut text, &line);
        }
        if let Some(withheld) = &self.withheld {
            push(&mut text, &format!("\n{withheld}"));
        }
        if let Some(url) = &self.runbook_url {
            push(&mut text, &format!("\n**Runbook:** {url}"));
        }
        if let Some(notes) = &self.notes {
            let notes = if without >= Without::LongNotes { clip(notes, NOTES_SHORT) } else { notes.clone() };
            push(&mut text, &format!("\n**Notes:** {notes}"));
        }
        push(&mut text, &format!("\nSent by {}.", self.sender));
        let links = self.links.iter().filter(|link| match without {
            Without::Nothing => true,
            Without::Graphs => !link.metrics,
            Without::Links | Without::MostConnections | Without::LongNotes => false,
        });
        for Link { title, url, metrics: _ } in links {
            push(&mut text, &format!("- [{title}]({url})"));
        }
        text
    }
}

impl Account {
    /// Every link, the runbook first.
    pub fn every_link(&self) -> Vec<Link> {
        let runbook = self.runbook_url.as_ref().map(|url| Link {
            title: "Runbook".to_owned(),
            url: url.clone(),
            metrics: false,
        });
        runbook.into_iter().chain(self.links.iter().cloned()).collect()
    }
}

/// Runbook and notes of the configuration; of a parent those that all its connections have in common.
pub(super) struct OperatorWords {
    pub(super) runbook_url: Option<String>,
    pub(super) notes: Option<String>,
}

impl OperatorWords {
    pub(super) fn of(incident: &Incident, settings: &SinkRules) -> Self {
        let said = |of: fn(&VpnSettings) -> Option<&str>| match settings.vpn(&incident.id.scope) {
            Some(vpn) => of(vpn),
            None => common(incident, settings, of),
        };
        Self {
            runbook_url: said(|vpn| vpn.runbook_url.as_deref()).map(|url| clip(url, URL_MAX)),
            notes: said(|vpn| vpn.notes.as_deref()).map(|notes| clip(notes, NOTES_MAX)),
        }
    }
}

/// What all connections of a parent have in common.
fn common<'s>(
    incident: &Incident,
    settings: &'s SinkRules,
    of: fn(&VpnSettings) -> Option<&str>,
) -> Option<&'s str> {
    let mut said = incident.children.iter().map(|child| settings.vpns.get(&child.vpn).and_then(of));
    let first = said.next()??;
    said.all(|other| other == Some(first)).then_some(first)
}

/// The sender.
pub(super) fn sender(site: &str) -> String {
    format!("bothends {} at site {}", env!("CARGO_PKG_VERSION"), clip(site, WORDS_MAX))
}

/// The links of a connection, for any incident.
pub(super) fn links_of(vpn: &crate::domain::names::VpnId, settings: Option<&VpnSettings>) -> Vec<Link> {
    connection_links(vpn, settings)
}

impl Ends {
    fn of(tunnel: &CurrentTunnel, opened: Stamp) -> Self {
        let role = match tunnel.role {
            Role::Active => String::new(),
            Role::Standby | Role::Unused => format!(", {}", tunnel.role.as_str()),
        };
        Self {
            tunnel: clip(&format!("{}{role}", tunnel.named()), WORDS_MAX),
            both: wording::both_words(tunnel.assessment, tunnel.carrying),
            site: site_says(tunnel, opened),
            aws: aws_says(tunnel),
        }
    }
}

fn site_says(tunnel: &CurrentTunnel, opened: Stamp) -> String {
    match tunnel.local {
        Verdict::Up => match tunnel.quality {
            Quality::Degraded(what) => format!("up, but degraded: {}", wording::degradation(what)),
            Quality::Good | Quality::Unknown => "up, probes are answered".to_owned(),
        },
        Verdict::Down => {
            let mut said = "down".to_owned();
            if let Some(evidence) = &tunnel.evidence {
                match evidence.last_loss {
                    Some(Loss::NoPath) => {
                        said.push_str(", nothing can be sent: no route, address or interface")
                    }
                    Some(Loss::Blocked) => {
                        said.push_str(", the kernel refuses to send: IPsec policy or firewall")
                    }
                    // Where the likely side rests on it the number is there.
                    Some(Loss::Timeout) | None if has_lead(tunnel) => {
                        said.push_str(", probes are not answered")
                    }
                    Some(Loss::Timeout) | None => {
                        let lost = lost(evidence, opened).unwrap_or("probes are not answered".to_owned());
                        said.push_str(&format!(", {lost}"));
                    }
                }
                if let Some(reply) = evidence.last_reply {
                    said.push_str(&format!("; last reply {}", when(reply.wall)));
                }
            }
            said
        }
        Verdict::Unknown(why) => format!("cannot tell: {}", why_words(why)),
    }
}

fn has_lead(tunnel: &CurrentTunnel) -> bool {
    tunnel.diagnosis.as_ref().is_some_and(|diagnosis| diagnosis.lead.is_some())
}

fn aws_says(tunnel: &CurrentTunnel) -> String {
    let word = match tunnel.aws {
        Verdict::Up => "up".to_owned(),
        Verdict::Down => "down".to_owned(),
        Verdict::Unknown(why) => return format!("cannot tell: {}", why_words(why)),
    };
    let since = tunnel.aws_since.map(|since| match since {
        AwsSince::Changed(at) => format!(" since {}", when(at)),
        AwsSince::AtTheLatest(at) => format!(" since {} or earlier", when(at)),
    });
    let words = tunnel.words.as_ref().map(|(words, as_of)| {
        let later = as_of.filter(|as_of| tunnel.aws_since.is_none_or(|since| since.at() < *as_of));
        let as_of = later.map(|as_of| format!(" at {}", when(as_of))).unwrap_or_default();
        format!(" (\"{}\"{as_of})", clip(words, WORDS_MAX))
    });
    format!("{word}{}{}", since.unwrap_or_default(), words.unwrap_or_default())
}

/// An open incident about which AWS's end has no current data: most likely the path to AWS is down.
fn caution(incident: &Incident, tunnels: &[CurrentTunnel]) -> Option<&'static str> {
    let silent = |tunnel: &CurrentTunnel| matches!(tunnel.aws, Verdict::Unknown(Why::Stale | Why::NotAsked));
    let open = incident.state == IncidentState::Open;
    (open && !tunnels.is_empty() && tunnels.iter().all(silent)).then_some(
        "This site may be cut off: it has no current data from AWS and cannot update records there. Check the uplink first.",
    )
}

/// A line for each known cause of what still lasts. Tunnels with the same diagnosis share one.
fn causes(incident: &Incident, tunnels: &[CurrentTunnel], course: Course) -> Vec<String> {
    match course {
        Course::Lasts | Course::Unsure => {}
        Course::Recovering | Course::Ended => return Vec::new(),
    }
    let mut found: Vec<(Vec<String>, &Diagnosis)> = Vec::new();
    let concerned = concerned(incident.id.kind, tunnels);
    for tunnel in &concerned {
        let Some(diagnosis) = tunnel.diagnosis.as_ref().filter(|it| it.cause != Cause::Unknown) else {
            continue;
        };
        match found.iter_mut().find(|(_, known)| *known == diagnosis) {
            Some((names, _)) => names.push(tunnel.named()),
            None => found.push((vec![tunnel.named()], diagnosis)),
        }
    }
    let line = |(names, diagnosis): &(Vec<String>, &Diagnosis)| {
        let named = cause::named(diagnosis);
        // The title names the tunnels; they matter here only where not all have the same cause.
        let named = match names.len() == concerned.len() {
            true => named,
            false => format!("{}: {named}", clip(&list(names), WORDS_MAX)),
        };
        let evidence = cause::evidence(&diagnosis.clues).join("; ");
        if evidence.is_empty() {
            format!("{named}.")
        } else {
            format!("{named}. {}.", capitalized(&evidence))
        }
    };
    found.iter().map(line).collect()
}

/// Since when it lasts, what that time was taken from when it opened, and whether it is over.
fn since(incident: &Incident, course: Course) -> String {
    let began = when(incident.began);
    let holds = match course {
        Course::Lasts | Course::Ended => true,
        Course::Unsure | Course::Recovering => false,
    };
    let agreed = || incident.tunnels.iter().filter(|tunnel| tunnel.assessment == Assessment::Down);
    let both = agreed().next().is_some();
    let bgp = both && agreed().all(is_bgp_down);
    let by = |end| incident.tunnels.iter().any(|tunnel| tunnel.assessment == Assessment::Disputed(end));
    let split = incident.id.kind == Kind::OneSided && by(End::Local) && by(End::Aws);
    let degraded = incident.id.kind == Kind::Degraded;
    let basis = basis(incident.id.kind, &incident.tunnels);
    let from = match basis {
        _ if incident.found_at.is_some() => format!("Its record was opened on {}", when(incident.id.opened)),
        _ if degraded && holds => format!("Degraded since {began}"),
        _ if degraded && incident.adopted_from().is_none() => format!("Was degraded from {began} on"),
        _ if incident.adopted_from().is_some() && holds => {
            format!("Down since {began} (its record was opened then)")
        }
        _ if incident.adopted_from().is_some() => format!("Its record was opened on {began}"),
        _ if split && holds => format!("No tunnel is up at both ends since {began}"),
        Some(Basis::Aws) if bgp && holds => format!("BGP is down since {began}"),
        Some(Basis::Aws) if bgp => format!("BGP went down at {began}"),
        Some(Basis::Aws) if both && holds => format!("Down since {began} (as AWS reports)"),
        Some(Basis::Aws) if holds => format!("AWS says down since {began}"),
        Some(Basis::Aws) => format!("Went down at {began} (as AWS reports)"),
        Some(Basis::LastReply) if holds => format!("Down since {began} (the last reply)"),
        Some(Basis::LastReply) => format!("Went down at {began} (the last reply)"),
        Some(Basis::FirstLoss) if holds => format!("Down since {began} (the first lost probe)"),
        Some(Basis::FirstLoss) => format!("Went down at {began} (the first lost probe)"),
        Some(Basis::Noticed) | None if holds => format!("Down since {began}"),
        Some(Basis::Noticed) | None => format!("Went down at {began}"),
    };
    let since = match (incident.state, course) {
        (IncidentState::Resolved { at }, _) => {
            let lasted = span(incident.began, at);
            format!("Over. From {began} to {} ({lasted}). Resolved by bothends.", when(at))
        }
        (IncidentState::Unwatched { at }, _) => format!(
            "{from}. This site has not watched it since {}: whether it is over is not known here.",
            when(at)
        ),
        (IncidentState::Open, Course::Recovering) => match clearing_since(incident) {
            Some(at) => format!("{from}. Recovering since {}.", when(at)),
            None => format!("{from}. Recovering."),
        },
        (IncidentState::Open, Course::Unsure) if incident.found_at.is_none() => {
            format!("{from}. Whether it is over is not certain yet.")
        }
        (IncidentState::Open, Course::Lasts | Course::Unsure | Course::Ended) => format!("{from}."),
    };
    match &incident.related {
        Some(other) => {
            format!("{since} Follows {}, opened {}.", wording::kind_words(other.kind), when(other.opened))
        }
        None => since,
    }
}

fn is_bgp_down(tunnel: &TunnelSnapshot) -> bool {
    tunnel.carrying == Carrying::NotCarrying(NotCarrying::BgpDown)
}

/// What does not fit is dropped in this order: the incident that it follows, then the connection's id, since the name
/// identifies it.
fn short(incident: &Incident, tunnels: &[CurrentTunnel], course: Course, flow: &Flow) -> String {
    let kind = kind_in_capitals(incident.id.kind);
    let head = match incident.state {
        IncidentState::Open => kind.to_owned(),
        IncidentState::Resolved { .. } => format!("OVER: {kind}"),
        IncidentState::Unwatched { .. } => format!("NO LONGER WATCHED: {kind}"),
    };
    let began = when(incident.began);
    let (lasts, went) = match incident.id.kind {
        Kind::Outage | Kind::RedundancyLost | Kind::OneSided => ("Down since", "Went down"),
        Kind::Degraded => ("Degraded since", "Degraded since"),
    };
    let said = match (incident.state, course) {
        (IncidentState::Resolved { at }, _) => {
            format!("From {} to {}", began.trim_end_matches(" UTC"), when(at))
        }
        (IncidentState::Unwatched { at }, _) => {
            format!("{lasts} {}; not known here since {}", began.trim_end_matches(" UTC"), when(at))
        }
        (IncidentState::Open, Course::Recovering) => {
            match incident.id.kind {
                Kind::Outage | Kind::RedundancyLost | Kind::OneSided => {
                    format!("Recovering: traffic {}. {went} {began}", Flow::again(incident))
                }
                // Whether it carries takes AWS's word too.
                Kind::Degraded => format!("Recovering. {} {went} {began}", flow.in_short(incident)),
            }
        }
        (IncidentState::Open, Course::Unsure) if incident.found_at.is_some() => {
            format!("{} Its record was opened {began}", flow.in_short(incident))
        }
        (IncidentState::Open, Course::Unsure) => format!("{} {went} {began}", flow.in_short(incident)),
        (IncidentState::Open, Course::Lasts | Course::Ended) => {
            format!("{}{} Since {began}", down_in_short(incident, tunnels), flow.in_short(incident))
        }
    };
    let follows =
        incident.related.as_ref().map(|other| format!(". Follows {}", wording::kind_words(other.kind)));
    let (site, name, id) = (&incident.site, &incident.name, &incident.id.scope);
    let causes = (course == Course::Lasts).then(|| wording::causes(&concerned(incident.id.kind, tunnels)));
    let why = causes.flatten().map(|causes| format!("{head} {site}, {name}: {causes}. {said}"));
    let whole = format!("{head} {site}, {name} ({id}). {said}");
    let follows = follows.map(|follows| format!("{whole}{follows}"));
    let forms = [why, follows, Some(whole), Some(format!("{head} {site}, {name}. {said}"))];
    let mut forms = forms.into_iter().flatten().peekable();
    while let Some(form) = forms.next() {
        if wording::fits_telephone(&form) || forms.peek().is_none() {
            return wording::telephone(&form);
        }
    }
    String::new()
}

/// What is down, for a telephone, with a space after it.
fn down_in_short(incident: &Incident, tunnels: &[CurrentTunnel]) -> String {
    let down = concerned(incident.id.kind, tunnels);
    match incident.id.kind {
        Kind::Outage | Kind::RedundancyLost | Kind::OneSided | Kind::Degraded if down.is_empty() => {
            String::new()
        }
        Kind::Degraded => {
            format!("{}. ", wording::degraded_words(&down, |tunnel| tunnel.name.to_string()))
        }
        Kind::Outage | Kind::RedundancyLost => {
            format!("{}. ", wording::down_words(&down, |tunnel| tunnel.name.to_string()))
        }
        Kind::OneSided => {
            let names =
                |of: &[&CurrentTunnel]| list(&of.iter().map(|it| it.name.to_string()).collect::<Vec<_>>());
            match alone(tunnels) {
                DownAlone::Site => format!("Only this site says {} down. ", names(&down)),
                DownAlone::Aws => format!("Only AWS says {} down. ", names(&down)),
                DownAlone::Each { site, aws } => {
                    format!("This site says {} down, AWS {}. ", names(&site), names(&aws))
                }
            }
        }
    }
}

/// A text that the daemon keeps current, followed by what people wrote below it; `None` if nothing has to change. Text that
/// was there before the daemon's is moved below it.
pub fn merged(there: &str, ours: &str) -> Option<String> {
    let theirs = there.split_once(KEPT_CURRENT).map_or(there, |(_, below)| below).trim();
    let merged = if theirs.is_empty() { ours.to_owned() } else { format!("{ours}\n\n{theirs}") };
    (merged.trim() != there.trim()).then_some(merged)
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// At most `max` bytes of a text, with a mark where it was cut.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let room = max.saturating_sub('…'.len_utf8());
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// The namespace of AWS's tunnel metrics.
const NAMESPACE_AWS: &str = "AWS/VPN";

/// A page on the web.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// What is there.
    pub title: String,
    /// Its address.
    pub url: String,
    /// Whether it shows metrics.
    #[serde(skip)]
    pub metrics: bool,
}

/// Links to the connection's page, and to the metrics of both ends.
fn links(incident: &Incident, vpn: Option<&VpnSettings>) -> Vec<Link> {
    let Some(vpn) = vpn.filter(|vpn| !vpn.region.is_empty()) else { return Vec::new() };
    let tunnels: Vec<IpAddr> = incident.tunnels.iter().map(|tunnel| tunnel.id.outside_ip).collect();
    let Some(id) = incident.id.scope.vpn() else { return Vec::new() };
    let mut links = vec![console(id, &vpn.region)];
    if !tunnels.is_empty() {
        let url = graph(&vpn.region, NAMESPACE_AWS, "TunnelState", id, &tunnels);
        links.push(Link { title: "AWS's view: TunnelState in CloudWatch".to_owned(), url, metrics: true });
        if let Some(Metrics { namespace, region }) = &vpn.metrics {
            let url = graph(region, namespace, "TunnelUp", id, &tunnels);
            links.push(Link {
                title: "This site's view: TunnelUp in CloudWatch".to_owned(),
                url,
                metrics: true,
            });
        }
    }
    links
}

fn connection_links(id: &VpnId, vpn: Option<&VpnSettings>) -> Vec<Link> {
    vpn.filter(|vpn| !vpn.region.is_empty()).map(|vpn| console(id, &vpn.region)).into_iter().collect()
}

/// The connection's page in the AWS console.
pub fn console(vpn: &VpnId, region: &str) -> Link {
    Link {
        title: "VPN connection in the AWS console".to_owned(),
        url: format!("{}/vpc/home?region={region}#VpnConnectionDetails:VpnConnectionId={vpn}", host(region)),
        metrics: false,
    }
}

/// Where the AWS console shows a record of a sink in this Region: an OpsItem on its own page, a record of Incident Manager in the list
/// of incidents, because AWS documents no address of a single one. `None` of a record that is not at AWS.
pub fn record_console(record: &str, region: &str) -> Option<String> {
    let mut arn = record.split(':');
    let is_incident = arn.next() == Some("arn") && arn.nth(1) == Some("ssm-incidents");
    let id = record.strip_prefix("oi-").filter(|id| !id.is_empty());
    let is_ops_item = id.is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let page = match (is_incident, is_ops_item) {
        _ if region.is_empty() => return None,
        (true, _) => "incidents/home".to_owned(),
        (false, true) => format!("opsitems/{record}"),
        (false, false) => return None,
    };
    Some(format!("{}/systems-manager/{page}?region={region}", host(region)))
}

/// The console's host, which depends on the AWS partition.
fn host(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "https://console.amazonaws.cn"
    } else if region.starts_with("us-gov-") {
        "https://console.amazonaws-us-gov.com"
    } else {
        "https://console.aws.amazon.com"
    }
}

/// A graph of one metric of each tunnel over the last three hours, in the console's own notation: `~(` opens a list, `~'` a
/// text, and `*` with two hexadecimal digits stands for a character.
fn graph(region: &str, namespace: &str, metric: &str, vpn: &VpnId, tunnels: &[IpAddr]) -> String {
    let mut metrics = String::new();
    for tunnel in tunnels {
        _ = write!(
            metrics,
            "~(~'{}~'{metric}~'VpnId~'{}~'TunnelIpAddress~'{})",
            escaped(namespace),
            escaped(vpn.as_str()),
            escaped(&tunnel.to_string())
        );
    }
    format!(
        "{}/cloudwatch/home?region={region}#metricsV2:graph=~(metrics~({metrics})~view~'timeSeries~region~'{region}\
         ~stat~'Minimum~period~60~start~'-PT3H~end~'P0D)",
        host(region)
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => escaped.push(char::from(byte)),
            _ => _ = write!(escaped, "*{byte:02x}"),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
