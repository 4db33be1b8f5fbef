//! A connection and its tunnels.

use serde::Serialize;

use super::super::address::may_be_followed;
use super::super::chart::{Chart, charts};
use super::super::input::{Input, VpnLinks};
use super::super::past::period;
use super::super::prose::{Part, parts, with_times};
use super::super::strip::Strips;
use super::super::when::When;
use super::badge::Badge;
use crate::catalogue::cause;
use crate::catalogue::phrases::{degradation, milliseconds, percent, view_evidence};
use crate::catalogue::traffic::{Replacement, carrying_words, replacement_words, traffic_words};
use crate::domain::carrying::{CannotTell, Carrying};
use crate::domain::maintenance::MaintenanceState;
use crate::domain::names::Role;
use crate::domain::quality::{Measured, Quality};
use crate::domain::sensor::Finding;
use crate::domain::status::{Phase, SensorStatus, TunnelStatus, VpnStatus};
use crate::domain::time::Stamp;
use crate::domain::verdict::{Evidence, Verdict, View};
use crate::health::silenced::Silenced;
use crate::history::Spans;
use crate::http::summary::Level;
use crate::incident::wording::{both_words, capitalized};

/// What every connection of a page is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Details<'a> {
    pub(super) input: Input<'a>,
    /// `None`: the store did not answer in time.
    pub(super) spans: Option<&'a Spans>,
    pub(super) silenced: &'a Silenced<'a>,
    /// Whether charts are wanted.
    pub(super) charts: bool,
}

/// A connection in full.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::page) struct ConnectionView {
    id: String,
    name: String,
    badge: Badge,
    /// What is wrong, if anything.
    reason: Option<String>,
    traffic: &'static str,
    routing: &'static str,
    /// `outage pending`, for each kind that is not clear.
    phases: Vec<String>,
    silenced: Option<u32>,
    console: Option<String>,
    runbook: Option<Runbook>,
    tunnels: Vec<TunnelView>,
}

/// The operator's runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Runbook {
    text: String,
    /// Whether the text is an address that a browser may follow.
    is_link: bool,
}

/// One of many connections.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::page) struct RowView {
    id: String,
    name: String,
    badge: Badge,
    says: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct TunnelView {
    /// Its id on the page.
    key: String,
    name: String,
    outside_ip: String,
    role: &'static str,
    uplink: Option<String>,
    /// Both ends together.
    badge: Badge,
    both: &'static str,
    since: When,
    /// `Carries no traffic`.
    carrying: String,
    not_passing_since: Option<When>,
    ends: [EndView; 2],
    /// Loss and round trips now.
    measured: Option<String>,
    degraded: Option<String>,
    cause: Option<CauseView>,
    evidence: Vec<SensorView>,
    maintenance: Option<MaintenanceView>,
    silenced: Option<u32>,
    strips: Option<Strips>,
    charts: Vec<Chart>,
}

/// What one end says.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct EndView {
    who: &'static str,
    badge: Badge,
    /// On what evidence.
    why: String,
    since: When,
    as_of: Option<When>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct CauseView {
    named: String,
    confidence: Option<&'static str>,
    since: When,
    evidence: Vec<String>,
    first_step: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct SensorView {
    source: &'static str,
    found: String,
    as_of: Option<When>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct MaintenanceView {
    /// Whether it is announced; otherwise it is not known.
    announced: bool,
    /// Before the time, if there is one …
    before: &'static str,
    after: Option<When>,
    /// … and behind it.
    behind: &'static str,
}

impl ConnectionView {
    pub(super) fn of(vpn: &VpnStatus, found: Option<(Level, String)>, details: Details<'_>) -> Self {
        let links = details.input.links.vpns.get(&vpn.id);
        let phases = vpn.phases.iter().filter(|(_, phase)| *phase != Phase::Clear);
        let (level, reason) = split(details.input.now.wall, vpn, found);
        Self {
            id: vpn.id.to_string(),
            name: vpn.name.to_string(),
            badge: Badge::of(level),
            reason,
            traffic: traffic_words(vpn.traffic().as_str()),
            routing: vpn.routing.as_str(),
            phases: phases
                .map(|(kind, phase)| format!("{} {}", kind.as_str().replace('_', " "), phase.as_str()))
                .collect(),
            silenced: details.silenced.vpn(vpn).map(|silence| silence.0),
            console: links.and_then(|links| links.console.clone()),
            runbook: links.and_then(|links| links.runbook.as_deref()).map(Runbook::of),
            tunnels: vpn.tunnels.iter().map(|tunnel| TunnelView::of(vpn, tunnel, links, details)).collect(),
        }
    }
}

impl RowView {
    pub(super) fn of(vpn: &VpnStatus, found: Option<(Level, String)>, now: Stamp) -> Self {
        let (level, reason) = split(now, vpn, found);
        Self {
            id: vpn.id.to_string(),
            name: vpn.name.to_string(),
            badge: Badge::of(level),
            says: reason.unwrap_or_else(|| traffic_words(vpn.traffic().as_str()).to_owned()),
        }
    }
}

/// The reason without the name, which stands beside it.
fn split(now: Stamp, vpn: &VpnStatus, found: Option<(Level, String)>) -> (Level, Option<String>) {
    let Some((level, reason)) = found else { return (Level::Healthy, None) };
    let named = [format!("{} ({}): ", vpn.name, vpn.id), format!("{}: ", vpn.id)];
    let short = named.iter().find_map(|name| reason.strip_prefix(name)).unwrap_or(&reason);
    (level, Some(with_times(short, now)))
}

impl Runbook {
    fn of(text: &str) -> Self {
        Self { text: text.to_owned(), is_link: may_be_followed(text) }
    }
}

const fn verdict_badge(verdict: Verdict) -> Badge {
    let (class, sign) = match verdict {
        Verdict::Up => ("good", "✓"),
        Verdict::Down => ("bad", "✕"),
        Verdict::Unknown(_) => ("unclear", "?"),
    };
    Badge { class, sign, word: verdict.as_str() }
}

const fn tunnel_badge(tunnel: &TunnelStatus) -> Badge {
    let (class, sign) = match (tunnel.carrying, tunnel.quality) {
        (Carrying::Carrying, Quality::Degraded(_)) => ("warn", "!"),
        (Carrying::Carrying, Quality::Good | Quality::Unknown) => ("good", "✓"),
        (Carrying::NotCarrying(_), _) => ("bad", "✕"),
        (Carrying::CannotTell(CannotTell::Unused), _) => ("off", "–"),
        (Carrying::CannotTell(_), _) => ("unclear", "?"),
    };
    Badge { class, sign, word: tunnel.assessment.as_str() }
}

impl TunnelView {
    fn of(vpn: &VpnStatus, tunnel: &TunnelStatus, links: Option<&VpnLinks>, details: Details<'_>) -> Self {
        let Details { input, spans, silenced, charts: charted } = details;
        let now = input.now.wall;
        let inside = links.and_then(|links| links.inside.get(&tunnel.id.outside_ip)).copied();
        let end = |who, view: &View, as_of: Option<Stamp>| EndView {
            who,
            badge: verdict_badge(view.verdict),
            why: view_evidence(view, inside, now),
            since: When::of(view.since.wall, now),
            as_of: as_of.map(|at| When::of(at, now)),
        };
        let aws_as_of = match &tunnel.aws.evidence {
            Evidence::Aws(evidence) => evidence.as_of,
            Evidence::Local(_) => None,
        };
        let used = tunnel.role != Role::Unused;
        Self {
            key: format!("{}-{}", vpn.id, tunnel.id.outside_ip),
            name: tunnel.name.to_string(),
            outside_ip: tunnel.id.outside_ip.to_string(),
            role: tunnel.role.as_str(),
            uplink: tunnel.uplink.as_deref().map(str::to_owned),
            badge: tunnel_badge(tunnel),
            both: both_words(tunnel.assessment, tunnel.carrying),
            since: When::of(tunnel.assessed_since.wall, now),
            carrying: capitalized(carrying_words(tunnel.carrying.as_str(), tunnel.carrying.why())),
            not_passing_since: tunnel.not_passing_since().map(|since| When::of(since.wall, now)),
            ends: [
                end("This site", &tunnel.local, used.then_some(input.status.at.wall)),
                end("AWS", &tunnel.aws, aws_as_of),
            ],
            measured: measured(tunnel.measured),
            degraded: match tunnel.quality {
                Quality::Degraded(what) => Some(degradation(what)),
                Quality::Good | Quality::Unknown => None,
            },
            cause: CauseView::of(tunnel, now),
            evidence: tunnel.sensors.iter().filter_map(|sensor| SensorView::of(sensor, now)).collect(),
            maintenance: MaintenanceView::of(&tunnel.maintenance, now),
            silenced: silenced.tunnel(vpn, tunnel).map(|silence| silence.0),
            strips: spans.and_then(|spans| Strips::of(spans.tunnel(&tunnel.id), spans.period())),
            charts: if charted { charts(input.past.minutes(&tunnel.id), period(now)) } else { Vec::new() },
        }
    }
}

fn measured(Measured { loss_percent, rtt, jitter, usual_rtt, usual_jitter: _ }: Measured) -> Option<String> {
    let usual = usual_rtt.map(|usual| format!(" (usually {})", milliseconds(usual))).unwrap_or_default();
    let parts = [
        rtt.map(|rtt| format!("round trip {}{usual}", milliseconds(rtt))),
        jitter.map(|jitter| format!("jitter {}", milliseconds(jitter))),
        loss_percent.map(|loss| format!("loss {}", percent(loss))),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("Now: {}", parts.join(", ")))
}

impl CauseView {
    fn of(tunnel: &TunnelStatus, now: Stamp) -> Option<Self> {
        let diagnosis = tunnel.diagnosis.as_ref()?;
        Some(Self {
            named: cause::named(diagnosis),
            confidence: cause::title(diagnosis.cause).map(|_| diagnosis.confidence.as_str()),
            since: When::of(tunnel.diagnosed_since.wall, now),
            evidence: cause::evidence(&diagnosis.clues),
            first_step: cause::first_step(diagnosis, &tunnel.id).map(|step| parts(&step)).unwrap_or_default(),
        })
    }
}

impl SensorView {
    /// `None` where it has not been asked.
    fn of(SensorStatus { kind, as_of, last }: &SensorStatus, now: Stamp) -> Option<Self> {
        let found = last.as_ref()?;
        let missing = Finding::unavailable(found).is_some();
        Some(Self {
            source: kind.as_str(),
            found: if missing {
                format!("not available: {}", cause::finding(found))
            } else {
                cause::finding(found)
            },
            as_of: as_of.map(|at| When::of(at.wall, now)),
        })
    }
}

impl MaintenanceView {
    fn of(state: &MaintenanceState, now: Stamp) -> Option<Self> {
        let (replacement, after) = match state {
            MaintenanceState::NotAsked => return None,
            MaintenanceState::Denied => (Replacement::Denied, None),
            MaintenanceState::Known { maintenance, as_of: _ } if !maintenance.pending => return None,
            MaintenanceState::Known { maintenance, as_of: _ } => match maintenance.announced() {
                Some(at) => (Replacement::Dated, Some(When::of(at, now))),
                None => (Replacement::Undated, None),
            },
        };
        let announced = match replacement {
            Replacement::Dated | Replacement::Undated => true,
            Replacement::Denied => false,
        };
        let [before, behind] = replacement_words(replacement);
        Some(Self { announced, before, after, behind })
    }
}
