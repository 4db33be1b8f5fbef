//! What stands on a page: texts and numbers, in the order in which they are read.

mod badge;
mod connection;
mod incident;
mod listed;
mod shared;

use serde::Serialize;

use self::badge::Badge;
use self::connection::{ConnectionView, Details, RowView};
use self::incident::IncidentView;
use self::listed::Listed;
use self::shared::{ParentView, ProblemView, SilenceView};
use super::input::Input;
use super::past::Changes;
use super::prose::with_times;
use super::when::When;
use crate::clock::rfc3339;
use crate::domain::board::Incident;
use crate::domain::names::VpnId;
use crate::domain::silence::SilenceScope;
use crate::domain::status::{Status, VpnStatus};
use crate::health::readiness::stuck;
use crate::health::silenced::Silenced;
use crate::history::Spans;
use crate::http::status_json::StatusJson;
use crate::http::summary::{self, Level};

/// So many connections are shown in full at `/`, those with trouble first.
pub(super) const FULL_MAX: usize = 12;

/// So many more have a row each.
pub(super) const ROWS_MAX: usize = 250;

/// Where there are no more connections than this, `/` has their charts, and otherwise only their own pages.
pub(super) const CHARTED_MAX: usize = 3;

/// So many incidents, parents, silences or problems are shown; the rest is counted.
const LISTED_MAX: usize = 20;

/// A page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct PageView {
    /// `DOWN: milan-1`.
    pub(super) title: String,
    pub(super) site: String,
    pub(super) version: String,
    /// Nobody is paged.
    pub(super) observe: bool,
    /// The age of everything is as of this.
    pub(super) now: String,
    pub(super) at: When,
    pub(super) badge: Badge,
    /// Why, in one sentence.
    pub(super) sentence: String,
    /// The core does not answer: nothing on the page is new.
    pub(super) stuck: Option<String>,
    /// Whether the page is about one connection.
    pub(super) single: bool,
    /// Whether the strips are missing because the store did not answer.
    pub(super) history_missing: bool,
    pub(super) problems: Listed<ProblemView>,
    pub(super) incidents: Listed<IncidentView>,
    pub(super) parents: Listed<ParentView>,
    pub(super) silences: Listed<SilenceView>,
    pub(super) connections: Vec<ConnectionView>,
    pub(super) rows: Listed<RowView>,
}

impl PageView {
    /// The whole site.
    pub(super) fn site(input: Input<'_>) -> Self {
        let Input { status, .. } = input;
        let json = json(input);
        let silenced = Silenced::of(status, input.now.wall);
        let charts = status.vpns.len() <= CHARTED_MAX;
        let spans = spans(input);
        let details = Details { input, spans: spans.as_ref(), silenced: &silenced, charts };
        let mut ranked: Vec<_> =
            status.vpns.iter().zip(&json.vpns).map(|(vpn, of)| (summary::of_vpn(of, &json), vpn)).collect();
        // The sort is stable: connections of one level stay in the order of the configuration.
        ranked.sort_by_key(|(found, _)| found.as_ref().map_or(Level::Healthy, |(level, _)| *level));
        let mut ranked = ranked.into_iter();
        let connections = ranked
            .by_ref()
            .take(FULL_MAX)
            .map(|(found, vpn)| ConnectionView::of(vpn, found, details))
            .collect();
        let rows = Listed::of(ranked.map(|(found, vpn)| RowView::of(vpn, found, input.now.wall)), ROWS_MAX);
        let summary = summary::summary(&json);
        let badge = Badge::of(summary.level);
        Self {
            connections,
            rows,
            ..Self::frame(input, &json, badge, summary::sentence(&summary.reasons, &json), None)
        }
    }

    /// One connection; `None` if it is not watched.
    pub(super) fn vpn(input: Input<'_>, id: &str) -> Option<Self> {
        let Input { status, .. } = input;
        let place = status.vpns.iter().position(|vpn| vpn.id.as_str() == id)?;
        let vpn = status.vpns.get(place)?;
        let json = json(input);
        let silenced = Silenced::of(status, input.now.wall);
        let spans = spans(input);
        let details = Details { input, spans: spans.as_ref(), silenced: &silenced, charts: true };
        let found = summary::of_vpn(json.vpns.get(place)?, &json);
        let (level, sentence) = match &found {
            Some((level, why)) => (*level, why.clone()),
            None => (Level::Healthy, format!("{}: every active tunnel works", vpn.name)),
        };
        let frame = Self::frame(input, &json, Badge::of(level), sentence, Some(vpn));
        Some(Self {
            title: format!("{}: {}", level.word(), vpn.name),
            connections: vec![ConnectionView::of(vpn, found, details)],
            ..frame
        })
    }

    /// Everything but the connections, as far as it concerns this one, or all.
    fn frame(
        input: Input<'_>,
        json: &StatusJson,
        badge: Badge,
        sentence: String,
        of: Option<&VpnStatus>,
    ) -> Self {
        let Input { status, problems, about, past, now, .. } = input;
        let wall = now.wall;
        let entries = if of.is_some() { incident::ENTRIES_ALL } else { incident::ENTRIES_SOME };
        let incidents =
            status.incidents.iter().filter(|incident| of.is_none_or(|vpn| concerns(incident, &vpn.id)));
        let problems = problems.iter().map(ProblemView::of);
        let silences = status.silences.iter().zip(&json.silences);
        let silences = silences.filter(|(silence, _)| of.is_none_or(|vpn| covers(&silence.of, vpn, status)));
        let mut parents: Vec<_> = status
            .parents
            .iter()
            .zip(&json.parents)
            .filter(|(parent, _)| of.is_none_or(|vpn| parent.vpns.iter().any(|(id, _)| *id == vpn.id)))
            .map(|(parent, of)| ParentView::of(parent, of, wall))
            .collect();
        parents.sort_by_key(|parent| !parent.troubled);
        Self {
            title: format!("{}: {}", badge.word, status.site),
            site: status.site.to_string(),
            version: about.version.to_owned(),
            observe: about.mode != "raise",
            now: rfc3339(wall),
            at: When::of(status.at.wall, wall),
            badge,
            sentence: with_times(&sentence, wall),
            stuck: stuck(status, now),
            single: of.is_some(),
            history_missing: past.is_missing(),
            problems: Listed::of(problems, LISTED_MAX),
            incidents: Listed::of(
                incidents.map(|incident| IncidentView::of(incident, input, entries)),
                LISTED_MAX,
            ),
            parents: Listed::of(parents, LISTED_MAX),
            silences: Listed::of(
                silences.map(|(silence, of)| SilenceView::of(silence, of, wall)),
                LISTED_MAX,
            ),
            connections: Vec::new(),
            rows: Listed { shown: Vec::new(), more: 0 },
        }
    }
}

fn json(input: Input<'_>) -> StatusJson {
    let Input { status, problems, records, about, now, .. } = input;
    StatusJson::of(status, problems, records, about.version, about.mode, now)
}

/// Whether an incident is about the connection, or explains what happens to it.
fn concerns(incident: &Incident, vpn: &VpnId) -> bool {
    incident.id.scope.vpn() == Some(vpn) || incident.children.iter().any(|child| child.vpn == *vpn)
}

/// Whether a silence covers the connection, a tunnel of it, or something of which it is a part.
fn covers(of: &SilenceScope, vpn: &VpnStatus, status: &Status) -> bool {
    match of {
        SilenceScope::Site => true,
        SilenceScope::Connection(id) => *id == vpn.id,
        SilenceScope::Tunnel(tunnel) => tunnel.vpn == vpn.id,
        SilenceScope::Parent(parent) => {
            status.parents.iter().any(|one| one.id == *parent && one.vpns.iter().any(|(id, _)| *id == vpn.id))
        }
    }
}

/// What each end said in the last 24 hours.
fn spans(input: Input<'_>) -> Option<Spans> {
    let Changes { period, present, entries } = input.past.changes.as_ref()?;
    Some(Spans::of(entries.iter(), present, *period))
}

#[cfg(test)]
mod tests;
