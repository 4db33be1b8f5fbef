//! The texts of a record: its title, its timeline, its closing text.

use std::sync::Arc;
use std::time::Duration;

use super::family::{self, Family};
pub use super::text::{TITLE_MAX, capitalized};
pub(super) use super::text::{
    WORDS_MAX, clearing_since, clip, fits_telephone, kind_in_capitals, list, span, telephone, when,
};
use crate::catalogue::cause;
use crate::catalogue::phrases::parent_words;
pub(super) use crate::catalogue::phrases::{degradation, kind_words};
use crate::domain::board::{
    Incident, IncidentState, TimelineChange, TimelineEntry, TunnelSnapshot, Withheld,
};
use crate::domain::carrying::{Carrying, NotCarrying};
use crate::domain::cause::Diagnosis;
use crate::domain::names::{End, Kind, Role, SourceKind, TunnelId};
use crate::domain::quality::Quality;
use crate::domain::scope::Scope;
use crate::domain::time::Stamp;
use crate::domain::verdict::{Assessment, AwsEvidence, Evidence, LocalEvidence, Verdict};

/// A record's title, at most [`TITLE_MAX`] characters: the site, the connection, the kind, and the tunnels that are down now; of a
/// parent, what failed and how many connections that affects.
pub fn title(incident: &Incident) -> String {
    if let Some(family) = Family::of(incident) {
        return family.title();
    }
    let tunnels = as_they_stand(incident);
    let down = concerned(incident.id.kind, &tunnels);
    let head = format!("[{}] {}: {}", incident.site, subject(incident), kind_words(incident.id.kind));
    if Course::of(incident, &tunnels) == Course::Recovering {
        return clip(&format!("{head} — recovering"), TITLE_MAX);
    }
    let head = match causes(&down) {
        Some(causes) => format!("{head}: {causes}"),
        None => head,
    };
    let title = match incident.id.kind {
        Kind::Outage | Kind::RedundancyLost | Kind::OneSided | Kind::Degraded if down.is_empty() => head,
        Kind::Outage | Kind::RedundancyLost => {
            format!("{head} — {}", down_words(&down, CurrentTunnel::named))
        }
        Kind::OneSided => match alone(&tunnels) {
            DownAlone::Site => format!("{head} — only this site says that {} down", are(&names(&down))),
            DownAlone::Aws => format!("{head} — only AWS says that {} down", are(&names(&down))),
            DownAlone::Each { site, aws } => format!(
                "{head} — this site says that {} down, AWS says that {} down",
                are(&names(&site)),
                are(&names(&aws))
            ),
        },
        Kind::Degraded => format!("{head} — {}", degraded_words(&down, CurrentTunnel::named)),
    };
    clip(&title, TITLE_MAX)
}

/// The causes of these tunnels' trouble in a few words, each once; `None` where none is known.
pub(super) fn causes(down: &[&CurrentTunnel]) -> Option<String> {
    let mut titles: Vec<&str> = Vec::new();
    for title in down.iter().filter_map(|tunnel| cause::title(tunnel.diagnosis.as_ref()?.cause)) {
        if !titles.contains(&title) {
            titles.push(title);
        }
    }
    (!titles.is_empty()).then(|| titles.join(", "))
}

/// A timeline entry as text.
pub fn line(incident: &Incident, entry: &TimelineEntry) -> String {
    line_of(incident, entry, entry.repeats)
}

fn line_of(incident: &Incident, entry: &TimelineEntry, repeats: u32) -> String {
    let kind = kind_words(incident.id.kind);
    let line = match &entry.what {
        TimelineChange::Opened => format!("{kind} opened"),
        TimelineChange::Adopted { sink } => {
            format!("{kind}: its record was found open at {sink}; this site follows it from here on")
        }
        TimelineChange::Confirmed => format!("{kind}: this site sees it too"),
        TimelineChange::View { tunnel, name, end, verdict, as_of } => {
            let tunnel = named(name, tunnel);
            match (end, as_of) {
                (End::Local, _) => format!("{tunnel}: this site says {verdict}"),
                (End::Aws, Some(as_of)) => format!("{tunnel}: AWS says {verdict}, as of {}", when(*as_of)),
                (End::Aws, None) => format!("{tunnel}: AWS says {verdict}"),
            }
        }
        TimelineChange::Assessment { tunnel, name, assessment, carrying } => {
            format!("{}: {}", named(name, tunnel), both_words(*assessment, *carrying))
        }
        TimelineChange::Cause { tunnel, name, diagnosis } => {
            let step =
                cause::first_step(diagnosis, tunnel).map(|step| format!(". {step}")).unwrap_or_default();
            format!("{}: {}{step}", named(name, tunnel), cause::sentence(diagnosis))
        }
        TimelineChange::Quality { tunnel, name, quality } => match quality {
            Quality::Degraded(what) => format!("{}: degraded, {}", named(name, tunnel), degradation(*what)),
            Quality::Good => format!("{}: no longer degraded", named(name, tunnel)),
            Quality::Unknown => format!("{}: its quality is not known", named(name, tunnel)),
        },
        TimelineChange::Children { down, back, troubled, of } => children(down, back, *troubled, *of),
        TimelineChange::Withheld { by: Withheld::Explained(parent) } => {
            format!("not sent: the incident of {} explains it", parent_words(parent))
        }
        TimelineChange::Withheld { by: Withheld::Silenced(id) } => format!("not sent: silence {id}"),
        TimelineChange::Released => released(incident, entry),
        TimelineChange::Clearing => "clearing; this record is resolved if that lasts".to_owned(),
        TimelineChange::Reopened => "it is not over after all".to_owned(),
        TimelineChange::Resolved => format!("{kind} over"),
        TimelineChange::Missed => "it became known only when it was over: nobody was paged".to_owned(),
        TimelineChange::HandedOver => {
            "handed over: another gateway of the pair holds the address now, and goes on with this record"
                .to_owned()
        }
        TimelineChange::Unwatched => {
            let what = match &incident.id.scope {
                Scope::Connection(_) => "the connection was",
                Scope::Parent(_) => "it, or all but one of its connections, was",
            };
            format!(
                "no longer watched: {what} removed from this site's configuration. This record stays open: close it by hand"
            )
        }
    };
    let repeats = match repeats {
        0 => String::new(),
        1 => " (and once before)".to_owned(),
        more => format!(" (and {more} times before)"),
    };
    format!("{line}{repeats}")
}

/// Why a record is created now: what held it back, and that it is not over. A silence may go on all the same, where the incident is
/// about more than it covers by now.
fn released(incident: &Incident, entry: &TimelineEntry) -> String {
    let why = match family::withheld_before(incident, entry) {
        Some(Withheld::Silenced(id)) => format!("silence {id} no longer covers it"),
        Some(Withheld::Explained(parent)) => format!("{} no longer explains it", parent_words(parent)),
        None => "nothing holds it back any more".to_owned(),
    };
    let lasts = match (&incident.id.scope, incident.id.kind) {
        (Scope::Connection(_), Kind::Outage) => "the connection is still down".to_owned(),
        (Scope::Connection(_), Kind::RedundancyLost) => "a tunnel is still down".to_owned(),
        (Scope::Connection(_), Kind::OneSided) => "the ends still do not agree".to_owned(),
        (Scope::Connection(_), Kind::Degraded) => "a tunnel is still degraded".to_owned(),
        (Scope::Parent(_), kind) => format!("{} goes on", kind_words(kind)),
    };
    format!("sent now: {why}, and {lasts}")
}

/// The text of a note on one timeline entry, where the timeline is noted up to `noted_upto`: it also covers equal entries in
/// between. Several sites may write in one record, so each names itself.
pub fn note(incident: &Incident, entry: &TimelineEntry, noted_upto: u32) -> String {
    let same = |other: &&TimelineEntry| {
        (noted_upto..entry.seq).contains(&other.seq) && other.what.says_the_same(&entry.what)
    };
    let skipped: u32 = incident.timeline.iter().filter(same).map(|other| 1 + other.repeats).sum();
    format!("{}: {}", incident.site, line_of(incident, entry, skipped + entry.repeats))
}

/// The text of the note by which a site joins a record that it did not create: its own evidence as it is now.
pub fn joining_note(incident: &Incident) -> String {
    let kind = kind_words(incident.id.kind);
    let line = match incident.state {
        IncidentState::Open if incident.found_at.is_some() => {
            format!("{kind}: this site follows this record from here on, and resolves it when it is over")
        }
        IncidentState::Open => format!("{kind} also seen by this site, since {}", when(incident.began)),
        IncidentState::Resolved { at } if incident.found_at.is_some() => {
            format!(
                "{kind}: this site followed this record without seeing the fault itself; over at {}",
                when(at)
            )
        }
        IncidentState::Resolved { at } => format!(
            "{kind} also seen by this site, from {} to {}; reported late",
            when(incident.began),
            when(at)
        ),
        IncidentState::Unwatched { at } => format!(
            "{kind} also seen by this site, since {}; no longer watched since {}",
            when(incident.began),
            when(at)
        ),
    };
    let mut text = format!("{}: {line}", incident.site);
    let connections = Family::of(incident).map(|family| family.affected());
    for line in standing(incident).into_iter().chain(connections) {
        text.push('\n');
        text.push_str(&line);
    }
    text
}

/// A line for each tunnel: what both ends say of it now.
fn standing(incident: &Incident) -> Vec<String> {
    let line = |tunnel: &CurrentTunnel| {
        let (name, local, aws) = (tunnel.named(), tunnel.local, tunnel.aws);
        clip(&format!("{name}: this site says {local}, AWS says {aws}"), WORDS_MAX)
    };
    as_they_stand(incident).iter().map(line).collect()
}

/// The closing text of a duplicate.
pub fn duplicate_summary(incident: &Incident, older: &str) -> String {
    format!("[{}] {}: a duplicate of {older}, which stays open.", incident.site, subject(incident))
}

/// A tunnel as it is now: as it was at the opening, with every later change of the timeline applied.
pub(super) struct CurrentTunnel {
    pub(super) id: TunnelId,
    pub(super) name: Arc<str>,
    pub(super) role: Role,
    pub(super) local: Verdict,
    /// The evidence of the down of the opening, until our end says up.
    pub(super) evidence: Option<LocalEvidence>,
    pub(super) aws: Verdict,
    /// Since when, by this end's clock.
    pub(super) aws_since: Option<AwsSince>,
    /// AWS's own text at the opening and its time, until AWS's verdict changes.
    pub(super) words: Option<(Arc<str>, Option<Stamp>)>,
    pub(super) assessment: Assessment,
    pub(super) carrying: Carrying,
    /// Why it does not work, as far as that is known.
    pub(super) diagnosis: Option<Diagnosis>,
    pub(super) quality: Quality,
}

/// Since when AWS's verdict has been the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AwsSince {
    /// The time that AWS states.
    Changed(Stamp),
    /// The time of the earliest evidence for it.
    AtTheLatest(Stamp),
}

impl AwsSince {
    pub(super) const fn at(self) -> Stamp {
        match self {
            Self::Changed(at) | Self::AtTheLatest(at) => at,
        }
    }
}

/// How far an incident has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// Its condition holds.
    Lasts,
    /// Its condition no longer holds, but not every tunnel is known to be well.
    Unsure,
    /// All is well again; it is resolved if that lasts.
    Recovering,
    /// It is over, or no longer watched.
    Ended,
}

impl Course {
    pub(super) fn of(incident: &Incident, tunnels: &[CurrentTunnel]) -> Self {
        match incident.state {
            IncidentState::Open => {}
            IncidentState::Resolved { .. } | IncidentState::Unwatched { .. } => return Self::Ended,
        }
        let kind = incident.id.kind;
        let carries = |tunnel: &CurrentTunnel| tunnel.carrying == Carrying::Carrying;
        let active = || tunnels.iter().filter(|tunnel| tunnel.role == Role::Active);
        // The same rule as the core's closing conditions.
        let recovering = match kind {
            Kind::Outage | Kind::OneSided => tunnels.iter().any(carries),
            Kind::RedundancyLost if active().next().is_some() => active().all(carries),
            Kind::RedundancyLost => !tunnels.is_empty() && tunnels.iter().all(carries),
            Kind::Degraded => {
                let is_good = |tunnel: &CurrentTunnel| tunnel.quality == Quality::Good;
                tunnels.iter().any(is_good) && concerned(kind, tunnels).is_empty()
            }
        };
        let agreed = tunnels.iter().any(|tunnel| tunnel.assessment == Assessment::Down);
        if recovering {
            // A site that has not seen the condition hold cannot say that it is over.
            if incident.found_at.is_some() { Self::Unsure } else { Self::Recovering }
        } else if concerned(kind, tunnels).is_empty() && !agreed {
            Self::Unsure
        } else {
            Self::Lasts
        }
    }
}

/// The tunnels that an incident is about: those that are down, or down at one end only, or degraded.
pub(super) fn concerned(kind: Kind, tunnels: &[CurrentTunnel]) -> Vec<&CurrentTunnel> {
    let alone = alone(tunnels);
    let is_concerned = |tunnel: &&CurrentTunnel| match kind {
        Kind::Outage => match tunnel.carrying {
            Carrying::NotCarrying(_) => true,
            Carrying::Carrying | Carrying::CannotTell(_) => false,
        },
        Kind::RedundancyLost => tunnel.assessment == Assessment::Down,
        Kind::OneSided => match tunnel.assessment {
            Assessment::Disputed(by) | Assessment::Unconfirmed(by) => match alone {
                DownAlone::Site => by == End::Local,
                DownAlone::Aws => by == End::Aws,
                DownAlone::Each { .. } => true,
            },
            Assessment::Healthy | Assessment::Down | Assessment::Blind => false,
        },
        Kind::Degraded => tunnel.quality.is_degraded(),
    };
    tunnels.iter().filter(is_concerned).collect()
}

/// The tunnels of an incident as they are now.
pub(super) fn as_they_stand(incident: &Incident) -> Vec<CurrentTunnel> {
    let mut tunnels: Vec<CurrentTunnel> = incident.tunnels.iter().map(CurrentTunnel::at_opening).collect();
    let opened = opened_seq(incident);
    for entry in incident.timeline.iter().filter(|entry| opened.is_none_or(|opened| entry.seq > opened)) {
        match &entry.what {
            TimelineChange::View { tunnel, name: _, end, verdict, as_of } => {
                if let Some(tunnel) = tunnels.iter_mut().find(|known| known.id == *tunnel) {
                    match end {
                        End::Local => {
                            tunnel.local = *verdict;
                            tunnel.evidence.take_if(|_| *verdict == Verdict::Up);
                        }
                        // A restart adds the same verdict again.
                        End::Aws if tunnel.aws.same_word(*verdict) => tunnel.aws = *verdict,
                        End::Aws => {
                            tunnel.aws = *verdict;
                            tunnel.aws_since = as_of.map(AwsSince::AtTheLatest);
                            tunnel.words = None;
                        }
                    }
                }
            }
            TimelineChange::Assessment { tunnel, name: _, assessment, carrying } => {
                if let Some(tunnel) = tunnels.iter_mut().find(|known| known.id == *tunnel) {
                    tunnel.assessment = *assessment;
                    tunnel.carrying = *carrying;
                    tunnel.diagnosis.take_if(|_| *assessment == Assessment::Healthy);
                }
            }
            TimelineChange::Cause { tunnel, name: _, diagnosis } => {
                if let Some(tunnel) = tunnels.iter_mut().find(|known| known.id == *tunnel) {
                    tunnel.diagnosis = Some(diagnosis.clone());
                }
            }
            TimelineChange::Quality { tunnel, name: _, quality } => {
                if let Some(tunnel) = tunnels.iter_mut().find(|known| known.id == *tunnel) {
                    tunnel.quality = *quality;
                }
            }
            TimelineChange::Opened
            | TimelineChange::Adopted { .. }
            | TimelineChange::Confirmed
            | TimelineChange::Children { .. }
            | TimelineChange::Withheld { .. }
            | TimelineChange::Released
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

/// The index of the entry that says that the incident opened, or was adopted.
pub(super) fn opened_seq(incident: &Incident) -> Option<u32> {
    let begins = |entry: &&TimelineEntry| match entry.what {
        TimelineChange::Opened | TimelineChange::Adopted { .. } => true,
        TimelineChange::Confirmed
        | TimelineChange::View { .. }
        | TimelineChange::Assessment { .. }
        | TimelineChange::Cause { .. }
        | TimelineChange::Quality { .. }
        | TimelineChange::Children { .. }
        | TimelineChange::Withheld { .. }
        | TimelineChange::Released
        | TimelineChange::Clearing
        | TimelineChange::Reopened
        | TimelineChange::Resolved
        | TimelineChange::Unwatched
        | TimelineChange::HandedOver
        | TimelineChange::Missed => false,
    };
    incident.timeline.iter().find(begins).map(|entry| entry.seq)
}

impl CurrentTunnel {
    fn at_opening(snapshot: &TunnelSnapshot) -> Self {
        let evidence = match (&snapshot.local.evidence, snapshot.local.verdict) {
            (Evidence::Local(local), Verdict::Down) => Some(local.clone()),
            (Evidence::Local(_), Verdict::Up | Verdict::Unknown(_)) | (Evidence::Aws(_), _) => None,
        };
        let (aws_since, words) = match &snapshot.aws.evidence {
            Evidence::Local(_) => (None, None),
            Evidence::Aws(AwsEvidence { source, as_of, changed, words, .. }) => {
                let since = match (source, changed) {
                    (Some(SourceKind::Ec2), Some(changed)) => Some(AwsSince::Changed(*changed)),
                    (_, changed) => changed.or(*as_of).map(AwsSince::AtTheLatest),
                };
                (since, words.clone().map(|words| (words, *as_of)))
            }
        };
        Self {
            id: snapshot.id.clone(),
            name: snapshot.name.clone(),
            role: snapshot.role,
            local: snapshot.local.verdict,
            evidence,
            aws: snapshot.aws.verdict,
            aws_since,
            words,
            assessment: snapshot.assessment,
            carrying: snapshot.carrying,
            diagnosis: snapshot.diagnosis.clone(),
            quality: snapshot.quality,
        }
    }

    pub(super) fn named(&self) -> String {
        named(&self.name, &self.id)
    }

    /// Whether IPsec works and BGP does not: probes pass, but both ends together count as down.
    pub(super) fn is_bgp_down(&self) -> bool {
        self.carrying == Carrying::NotCarrying(NotCarrying::BgpDown)
    }
}

/// The connections of a parent that went down or came back.
fn children(down: &[Arc<str>], back: &[Arc<str>], troubled: u32, of: u32) -> String {
    let names =
        |what: &str, names: &[Arc<str>]| (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")));
    let parts = [names("went down", down), names("came back", back)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{troubled} of {of} connections are affected; {}", parts.join("; "))
}

fn subject(incident: &Incident) -> String {
    match &incident.id.scope {
        Scope::Connection(vpn) => format!("{} ({vpn})", incident.name),
        Scope::Parent(parent) => parent_words(parent),
    }
}

fn named(name: &str, id: &TunnelId) -> String {
    format!("{name} ({})", id.outside_ip)
}

/// Both ends together, in words.
pub const fn both_words(assessment: Assessment, carrying: Carrying) -> &'static str {
    match assessment {
        Assessment::Down if matches!(carrying, Carrying::NotCarrying(NotCarrying::BgpDown)) => {
            "BGP is down, although IPsec works: nothing flows over it"
        }
        Assessment::Healthy => "up at both ends",
        Assessment::Down => "down at both ends",
        Assessment::Disputed(End::Local) => "this site says down, AWS says up",
        Assessment::Disputed(End::Aws) => "AWS says down, this site says up",
        Assessment::Unconfirmed(End::Local) => "this site says down, AWS does not confirm it",
        Assessment::Unconfirmed(End::Aws) => "AWS says down, this site cannot tell",
        Assessment::Blind => "not known",
    }
}

/// Which end alone says down.
pub(super) enum DownAlone<'a> {
    Site,
    Aws,
    /// Both, each of other tunnels.
    Each {
        site: Vec<&'a CurrentTunnel>,
        aws: Vec<&'a CurrentTunnel>,
    },
}

/// For a tunnel on which both ends agree, neither says it alone.
pub(super) fn alone(tunnels: &[CurrentTunnel]) -> DownAlone<'_> {
    let not_agreed = || tunnels.iter().filter(|tunnel| tunnel.assessment != Assessment::Down);
    let site: Vec<&CurrentTunnel> = not_agreed().filter(|tunnel| tunnel.local == Verdict::Down).collect();
    let by_aws = |tunnel: &&CurrentTunnel| tunnel.local == Verdict::Up && tunnel.aws == Verdict::Down;
    let aws: Vec<&CurrentTunnel> = not_agreed().filter(by_aws).collect();
    match (site.is_empty(), aws.is_empty()) {
        (false, true) => DownAlone::Site,
        (true, _) => DownAlone::Aws,
        (false, false) => DownAlone::Each { site, aws },
    }
}

fn names(tunnels: &[&CurrentTunnel]) -> Vec<String> {
    tunnels.iter().map(|tunnel| tunnel.named()).collect()
}

/// What is down, with BGP apart.
pub(super) fn down_words(down: &[&CurrentTunnel], name: impl Fn(&CurrentTunnel) -> String) -> String {
    let (bgp, dead): (Vec<&CurrentTunnel>, Vec<&CurrentTunnel>) =
        down.iter().copied().partition(|tunnel| tunnel.is_bgp_down());
    let names = |tunnels: Vec<&CurrentTunnel>| list(&tunnels.into_iter().map(&name).collect::<Vec<_>>());
    let dead = (!dead.is_empty()).then(|| format!("{} down", names(dead)));
    let bgp = (!bgp.is_empty()).then(|| format!("BGP down on {}", names(bgp)));
    dead.into_iter().chain(bgp).collect::<Vec<_>>().join(", ")
}

/// What is degraded, and how.
pub(super) fn degraded_words(degraded: &[&CurrentTunnel], name: impl Fn(&CurrentTunnel) -> String) -> String {
    let how = |tunnel: &&CurrentTunnel| match tunnel.quality {
        Quality::Degraded(what) => Some(format!("{}: {}", name(tunnel), degradation(what))),
        Quality::Good | Quality::Unknown => None,
    };
    degraded.iter().filter_map(how).collect::<Vec<_>>().join("; ")
}

fn are(tunnels: &[String]) -> String {
    format!("{} {}", list(tunnels), if tunnels.len() == 1 { "is" } else { "are" })
}

/// How many probes had been lost when the incident opened; `None` where it had lasted for less than a minute.
pub(super) fn lost(evidence: &LocalEvidence, opened: Stamp) -> Option<String> {
    let stopped = evidence.stopped.filter(|_| evidence.losses_in_row > 0)?;
    let lasted = Duration::from_secs(opened.since(stopped.wall).as_secs() / 60 * 60);
    (!lasted.is_zero()).then(|| {
        format!(
            "0 of {} probes answered in {}",
            evidence.losses_in_row,
            span(Stamp::default(), Stamp::default() + lasted)
        )
    })
}

#[cfg(test)]
mod tests;
