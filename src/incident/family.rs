//! An incident of a parent in words: what failed, how many connections that affects and which, and what to do first.

use std::collections::BTreeMap;

use super::text::{
    TITLE_MAX, WORDS_MAX, capitalized, clearing_since, clip, fits_telephone, kind_in_capitals, list, span,
    telephone, when,
};
use crate::catalogue::cause;
use crate::catalogue::phrases::{kind_words, parent_words};
use crate::domain::board::{
    Child, Incident, IncidentState, TimelineChange, TimelineEntry, Trouble, Withheld,
};
use crate::domain::carrying::Traffic;
use crate::domain::cause::Cause;
use crate::domain::names::Kind;
use crate::domain::plan::SinkPlan;
use crate::domain::scope::{ParentId, ParentKind, Scope};

/// A text names at most this many connections.
pub(super) const CHILDREN_MAX: usize = 20;
/// A title names at most this many.
const NAMES_IN_TITLE: usize = 3;

/// How far a parent's incident has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A connection has trouble.
    Lasts,
    /// None has, and it is not clearing.
    Unsure,
    /// It works again; the record is resolved if that lasts.
    Recovering,
    /// It is over, or no longer watched.
    Ended,
}

/// A parent and its connections, as they stand in its incident.
#[derive(Debug)]
pub(super) struct Family<'a> {
    incident: &'a Incident,
    parent: &'a ParentId,
    stage: Stage,
    /// The connections with trouble, those first that have had it longest.
    troubled: Vec<(&'a Child, &'a Trouble)>,
}

impl<'a> Family<'a> {
    /// `None` if the incident is a connection's.
    pub(super) fn of(incident: &'a Incident) -> Option<Self> {
        let parent = incident.id.scope.parent()?;
        let troubled = incident.children.iter().filter_map(|child| Some((child, child.trouble.as_ref()?)));
        let mut troubled: Vec<(&Child, &Trouble)> = troubled.collect();
        troubled.sort_by_key(|(child, trouble)| (trouble.since, &child.name, &child.vpn));
        let stage = match incident.state {
            IncidentState::Resolved { .. } | IncidentState::Unwatched { .. } => Stage::Ended,
            // A site that has not seen it cannot say that it is over.
            IncidentState::Open if clearing_since(incident).is_some() && incident.found_at.is_none() => {
                Stage::Recovering
            }
            IncidentState::Open if troubled.is_empty() => Stage::Unsure,
            IncidentState::Open => Stage::Lasts,
        };
        Some(Self { incident, parent, stage, troubled })
    }

    /// One line, the most important first: `OUTAGE milan-1: uplink wan1 is down: 58 of 60 connections affected`.
    pub(super) fn title(&self) -> String {
        let recovering = if self.stage == Stage::Recovering { " — recovering" } else { "" };
        let head = format!("{} {}: ", kind_in_capitals(self.incident.id.kind), self.incident.site);
        let forms = [true, false].map(|names| format!("{head}{}{recovering}", self.what(names)));
        let fits = forms.iter().find(|form| form.chars().count() <= TITLE_MAX);
        clip(fits.unwrap_or(&forms[1]), TITLE_MAX)
    }

    /// One line for a text message on a telephone.
    pub(super) fn short(&self) -> String {
        let kind = kind_in_capitals(self.incident.id.kind);
        let head = match self.incident.state {
            IncidentState::Open => kind.to_owned(),
            IncidentState::Resolved { .. } => format!("OVER: {kind}"),
            IncidentState::Unwatched { .. } => format!("NO LONGER WATCHED: {kind}"),
        };
        let began = when(self.incident.began);
        let said = match (self.incident.state, self.stage) {
            (IncidentState::Resolved { at }, _) => {
                format!("From {} to {}", began.trim_end_matches(" UTC"), when(at))
            }
            (IncidentState::Unwatched { at }, _) => {
                format!("Since {}; not known here since {}", began.trim_end_matches(" UTC"), when(at))
            }
            (IncidentState::Open, Stage::Recovering) => format!("Recovering. Since {began}"),
            (IncidentState::Open, Stage::Lasts | Stage::Unsure | Stage::Ended) => format!("Since {began}"),
        };
        let site = &self.incident.site;
        let forms = [true, false].map(|names| format!("{head} {site}: {}. {said}", self.what(names)));
        telephone(if fits_telephone(&forms[0]) { &forms[0] } else { &forms[1] })
    }

    /// What failed, and how far that shows. A group's connections are named: which of them it is matters.
    fn what(&self, names: bool) -> String {
        let words = parent_words(self.parent);
        if self.incident.found_at.is_some() {
            return format!("{words}: this site follows a record that it found open");
        }
        let of = self.incident.children.len();
        let lasts = self.stage == Stage::Lasts;
        let count = if lasts { self.troubled.len() } else { self.most() };
        let (is, are) = if lasts { ("is", "are") } else { ("was", "were") };
        let connections = match count == of {
            true => format!("all {of} connections"),
            false => format!("{count} of {of} connections"),
        };
        let be = if count == 1 { is } else { are };
        let down = match self.incident.id.kind {
            Kind::Outage => format!("{connections} {be} down"),
            Kind::RedundancyLost if self.parent.kind == ParentKind::Group => {
                format!("{connections} {be} down")
            }
            Kind::RedundancyLost => format!("redundancy {} lost on {connections}", is),
            Kind::OneSided => format!("{connections} {be} down by one end only"),
            Kind::Degraded => format!("{connections} {be} degraded"),
        };
        match self.parent.kind {
            ParentKind::Uplink => format!("{words} {is} down: {connections} affected"),
            ParentKind::Site => down,
            ParentKind::Group if names && !self.troubled.is_empty() => {
                format!("{words}: {down}: {}", self.names(NAMES_IN_TITLE))
            }
            ParentKind::Group => format!("{words}: {down}"),
        }
    }

    /// The most connections that have had trouble at a time, as far as the timeline says.
    fn most(&self) -> usize {
        let said = self.incident.timeline.iter().filter_map(|entry| match &entry.what {
            // The first one is written after the opening, of which nothing else says how many had trouble.
            TimelineChange::Children { down, back, troubled, of: _ } => {
                let troubled = usize::try_from(*troubled).ok()?;
                Some(troubled.max((troubled + back.len()).saturating_sub(down.len())))
            }
            TimelineChange::Opened
            | TimelineChange::Adopted { .. }
            | TimelineChange::Confirmed
            | TimelineChange::View { .. }
            | TimelineChange::Assessment { .. }
            | TimelineChange::Cause { .. }
            | TimelineChange::Quality { .. }
            | TimelineChange::Withheld { .. }
            | TimelineChange::Released
            | TimelineChange::Clearing
            | TimelineChange::Reopened
            | TimelineChange::Resolved
            | TimelineChange::Unwatched
            | TimelineChange::HandedOver
            | TimelineChange::Missed => None,
        });
        said.chain([self.troubled.len()]).max().unwrap_or_default()
    }

    fn names(&self, max: usize) -> String {
        let name = |(child, _): &(&Child, &Trouble)| child.name.to_string();
        let mut names: Vec<String> = self.troubled.iter().take(max).map(name).collect();
        let more = self.troubled.len() - names.len();
        if more > 0 {
            names.push(format!("{more} more"));
        }
        list(&names)
    }

    /// A line for each cause, the most frequent first.
    pub(super) fn causes(&self) -> Vec<String> {
        match self.stage {
            Stage::Lasts | Stage::Unsure => {}
            Stage::Recovering | Stage::Ended => return Vec::new(),
        }
        let mut counts: BTreeMap<Cause, usize> = BTreeMap::new();
        for cause in self.troubled.iter().filter_map(|(_, trouble)| trouble.cause) {
            *counts.entry(cause).or_default() += 1;
        }
        let mut counts: Vec<(Cause, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let line = |(cause, count): (Cause, usize)| {
            let title = cause::title(cause)?;
            Some(format!("{} ({}: {count})", capitalized(title), cause.as_str()))
        };
        counts.into_iter().filter_map(line).collect()
    }

    /// Since when it lasts, and whether it is over.
    pub(super) fn since(&self) -> String {
        let began = when(self.incident.began);
        let from = match self.incident.adopted_from() {
            Some(_) => format!("Its record was opened on {}", when(self.incident.id.opened)),
            None => format!("Since {began}"),
        };
        let since = match (self.incident.state, self.stage) {
            (IncidentState::Resolved { at }, _) => {
                let lasted = span(self.incident.began, at);
                format!("Over. From {began} to {} ({lasted}). Resolved by bothends.", when(at))
            }
            (IncidentState::Unwatched { at }, _) => format!(
                "{from}. This site has not watched it since {}: whether it is over is not known here.",
                when(at)
            ),
            (IncidentState::Open, Stage::Recovering) => match clearing_since(self.incident) {
                Some(at) => format!("{from}. Recovering since {}.", when(at)),
                None => format!("{from}. Recovering."),
            },
            (IncidentState::Open, Stage::Unsure) if self.incident.found_at.is_none() => {
                format!("{from}. Whether it is over is not certain yet.")
            }
            (IncidentState::Open, Stage::Lasts | Stage::Unsure | Stage::Ended) => format!("{from}."),
        };
        match &self.incident.related {
            Some(other) => {
                format!("{since} Follows {}, opened {}.", kind_words(other.kind), when(other.opened))
            }
            None => since,
        }
    }

    fn count(&self, is: impl Fn(Option<Kind>) -> bool) -> usize {
        self.troubled.iter().filter(|(_, trouble)| is(trouble.kind)).count()
    }

    /// Whether traffic flows. That a connection has no trouble of this parent does not say that it works.
    pub(super) fn flow(&self) -> Traffic {
        let outages = self.count(|kind| kind == Some(Kind::Outage));
        let all = outages > 0 && outages == self.incident.children.len();
        if all { Traffic::DoesNotFlow } else { Traffic::CannotTell }
    }

    /// Over how many connections traffic flows.
    pub(super) fn traffic(&self) -> String {
        let of = self.incident.children.len();
        let mut said = Vec::new();
        match self.count(|kind| kind == Some(Kind::Outage)) {
            0 => {}
            all if all == of => said.push(format!("No traffic flows over any of {of} connections")),
            some => said.push(format!("No traffic flows over {some} of {of} connections")),
        }
        let has = |count: usize| if count == 1 { "has" } else { "have" };
        match self.count(|kind| kind == Some(Kind::RedundancyLost)) {
            0 => {}
            some => said.push(format!("{some} {} lost redundancy", has(some))),
        }
        match self.count(|kind| kind == Some(Kind::OneSided)) {
            0 => {}
            some => said.push(format!("{some} {} an incident that one end alone sees", has(some))),
        }
        match self.count(|kind| kind.is_none() || kind == Some(Kind::Degraded)) {
            0 => {}
            some => said.push(format!("{some} {} trouble without an incident so far", has(some))),
        }
        match of - self.troubled.len() {
            0 => {}
            all if all == of => said.push("No connection is affected any more".to_owned()),
            1 => said.push("1 is not affected".to_owned()),
            some => said.push(format!("{some} are not affected")),
        }
        format!("{}.", said.join("; "))
    }

    /// `58 of 60 connections are affected, 2 are not`.
    pub(super) fn affected(&self) -> String {
        let (some, of) = (self.troubled.len(), self.incident.children.len());
        let is = |count: usize| if count == 1 { "is" } else { "are" };
        match of - some {
            0 => format!("All {of} connections are affected"),
            _ if some == 0 => format!("None of {of} connections is affected"),
            rest => format!("{some} of {of} connections {} affected, {rest} {} not", is(some), is(rest)),
        }
    }

    /// A line for each connection with trouble, at most [`CHILDREN_MAX`], and how many there are in all.
    pub(super) fn connections(&self) -> (Vec<String>, usize) {
        (self.shown().map(|(child, trouble)| line(child, trouble)).collect(), self.troubled.len())
    }

    /// The connections with trouble that a text names.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&'a Child, &'a Trouble)> {
        self.troubled.iter().take(CHILDREN_MAX).copied()
    }

    /// What is not sent because of this incident.
    pub(super) fn withheld(&self) -> Option<String> {
        (self.stage == Stage::Lasts && self.incident.found_at.is_none()).then(|| {
            "Not sent because of this: the incidents of these connections that it explains. What is still down when this is \
             over is sent then."
                .to_owned()
        })
    }

    /// The first things to do, in order.
    pub(super) fn steps(&self) -> Vec<String> {
        let name = &self.parent.name;
        let status = "`bothends status` on this gateway: what do both ends say now?".to_owned();
        match (self.stage, self.incident.state) {
            (_, IncidentState::Unwatched { .. }) => {
                return vec!["Look whether the connections work, and close this record by hand.".to_owned()];
            }
            (Stage::Ended, _) => return Vec::new(),
            (Stage::Recovering, _) => {
                return vec![
                    "Wait, and change nothing while it settles. If it goes down again, this record says so."
                        .to_owned(),
                ];
            }
            (Stage::Unsure, _) => return vec![status],
            (Stage::Lasts, _) if self.incident.found_at.is_some() => return vec![status],
            (Stage::Lasts, _) => {}
        }
        match self.parent.kind {
            ParentKind::Uplink => vec![
                format!(
                    "Look at uplink {name}: its interface and its modem. Neither its references nor AWS answer over it. If both are \
                     in order, call its carrier."
                ),
                "`bothends status` on this gateway: what answers over which uplink, and since when?".to_owned(),
                "Leave the connections alone: they come back with the uplink.".to_owned(),
            ],
            ParentKind::Site => vec![
                "Look at this gateway itself: `bothends status`, `ip -br addr`, `journalctl -b -p warning`.".to_owned(),
                "Does it reach the Internet (`ping` a host there)? If not, call the carrier.".to_owned(),
                "If it does: is the IPsec daemon running (`systemctl status strongswan`), and what does its log say?".to_owned(),
            ],
            ParentKind::Group => {
                let which = self.names(NAMES_IN_TITLE);
                let all = self.troubled.len() == self.incident.children.len();
                let first = if all {
                    format!("Nothing backs up group {name} any more: get back whichever of {which} is the quickest.")
                } else {
                    format!("Look at {which}, and leave the other connections of group {name} alone.")
                };
                vec![
                    first,
                    "`bothends status` on this gateway has the cause and the first step of each connection.".to_owned(),
                ]
            }
        }
    }
}

/// A connection with trouble, for people.
pub(super) fn line(child: &Child, trouble: &Trouble) -> String {
    let Trouble { kind, since, cause } = trouble;
    let kind = kind.map_or("trouble", kind_words);
    let why = cause.and_then(cause::title).map(|why| format!(": {why}")).unwrap_or_default();
    clip(&format!("{} ({}): {kind} since {}{why}", child.name, child.vpn, when(*since)), WORDS_MAX)
}

/// `uplink wan1 was down`: why something was not sent until now.
fn was_down(parent: &ParentId) -> String {
    match parent.kind {
        ParentKind::Uplink | ParentKind::Site => format!("{} was down", parent_words(parent)),
        ParentKind::Group => format!("an incident of {} explained it", parent_words(parent)),
    }
}

/// Until when an incident was withheld, and why: a page that is late says so. `None` if it was not, as far as the sink shows.
pub(super) fn sent_late(incident: &Incident, sink: &SinkPlan) -> Option<String> {
    let is_release = |entry: &&TimelineEntry| entry.what == TimelineChange::Released;
    let released = incident.timeline.iter().rev().find(is_release)?;
    let why = withheld_before(incident, released);
    let until = when(released.at);
    match why {
        // This sink was not kept from sending it.
        Some(Withheld::Explained(parent)) if !takes(sink, parent) => None,
        Some(Withheld::Explained(parent)) => Some(format!("Not sent until {until}: {}.", was_down(parent))),
        Some(Withheld::Silenced(id)) => Some(format!("Not sent until {until}: silence {id} was on.")),
        None => Some(format!("Not sent until {until}.")),
    }
}

/// What withheld an incident last before this entry of its timeline.
pub(super) fn withheld_before<'i>(incident: &'i Incident, entry: &TimelineEntry) -> Option<&'i Withheld> {
    incident.timeline.iter().rev().filter(|before| before.seq < entry.seq).find_map(reason)
}

fn reason(entry: &TimelineEntry) -> Option<&Withheld> {
    match &entry.what {
        TimelineChange::Withheld { by } => Some(by),
        TimelineChange::Opened
        | TimelineChange::Adopted { .. }
        | TimelineChange::Confirmed
        | TimelineChange::View { .. }
        | TimelineChange::Assessment { .. }
        | TimelineChange::Cause { .. }
        | TimelineChange::Quality { .. }
        | TimelineChange::Children { .. }
        | TimelineChange::Released
        | TimelineChange::Clearing
        | TimelineChange::Reopened
        | TimelineChange::Resolved
        | TimelineChange::Unwatched
        | TimelineChange::HandedOver
        | TimelineChange::Missed => None,
    }
}

fn takes(sink: &SinkPlan, parent: &ParentId) -> bool {
    let scope = Scope::Parent(parent.clone());
    Kind::ALL.into_iter().any(|kind| sink.takes(&scope, kind))
}
