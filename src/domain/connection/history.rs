//! What happened to a connection while AWS could not be reached, and what is made of it afterwards.

use std::ops::Range;
use std::sync::Arc;

use super::super::board::{
    Incident, IncidentId, IncidentState, TimelineChange, TimelineEntry, TunnelSnapshot,
};
use super::super::carrying::Carrying;
use super::super::cut_off::Meanwhile;
use super::super::effects::Effects;
use super::super::event::History;
use super::super::fact::Fact;
use super::super::incident::KindWatch;
use super::super::names::{SourceId, SourceKind};
use super::super::request::HistoryRequest;
use super::super::retrospect::{self, Past, Seen, down_by_aws};
use super::super::span::Span;
use super::super::time::{Moment, Now, Stamp};
use super::super::tunnel::Tunnel;
use super::super::verdict::{Assessment, AwsEvidence, Evidence, LocalEvidence, Verdict, View};
use super::Connection;

impl Connection {
    /// A source did not answer, or refused to.
    pub fn refused(&mut self, source: &SourceId, now: Moment) {
        if self.plan.aws.sources.contains(source) {
            self.cut_off.refused(now);
        }
    }

    /// A source answered what it was asked at `asked`.
    pub fn answered(&mut self, source: &SourceId, asked: Moment, date: Stamp, now: Moment) {
        if self.plan.aws.sources.contains(source) {
            self.cut_off.answered(asked, date, now);
        }
    }

    /// What AWS is to be asked about the past, and whom, if that is due.
    pub fn ask_history(&mut self, now: Moment) -> Option<HistoryRequest> {
        let source = self.history_source()?.clone();
        let Range { start: from, end: to } = self.cut_off.ask(now)?;
        Some(HistoryRequest { source, vpn: self.plan.id.clone(), from, to })
    }

    /// When AWS is to be asked about the past.
    pub(super) fn history_due(&self) -> Option<Moment> {
        self.history_source().and_then(|_| self.cut_off.due())
    }

    /// EC2 knows only of now.
    fn history_source(&self) -> Option<&SourceId> {
        self.plan.aws.sources.iter().find(|source| match source.kind {
            SourceKind::CloudWatch => true,
            SourceKind::Ec2 => false,
        })
    }

    /// AWS would not tell about the past.
    pub fn history_refused(&mut self, now: Moment) {
        self.cut_off.history_refused(now);
    }

    /// AWS has told about the past. What is over is recorded, and nobody is paged for it; what lasts opens by the ordinary
    /// rules, with its true beginning.
    pub fn history_answered(&mut self, history: &History, now: Now, fx: &mut Effects) {
        let Some(Meanwhile { gaps, down, told }) = self.cut_off.history_answered(now.mono) else { return };
        let points = |tunnel: &Tunnel| {
            let of = history.points.iter().find(|(id, _)| *id == tunnel.plan().id);
            of.map_or(&[][..], |(_, points)| points.as_slice())
        };
        let used = self.tunnels.iter().filter(|tunnel| tunnel.plan().is_used());
        let seen: Vec<Seen> = used
            .map(|tunnel| Seen {
                tunnel: tunnel.plan().id.clone(),
                role: tunnel.plan().role,
                answers: tunnel.truth().local_seen_up,
                local: down.get(&tunnel.plan().id).cloned().unwrap_or_default(),
                aws: down_by_aws(points(tunnel), history.asked, history.date),
            })
            .collect();
        for past in retrospect::incidents(&seen, &gaps, &self.plan.incident) {
            let recent = now.mono.since(past.ended) <= self.plan.aws.stale_after;
            let lasts = |watch: &KindWatch| watch.kind() == past.kind && watch.is_under_way();
            if told.contains(&past.kind) || (recent && self.kinds.iter().any(lasts)) {
                continue;
            }
            let incident = Arc::new(self.missed(&past, history, now));
            fx.facts.push_back(Fact::IncidentMissed { incident, at: now });
        }
    }

    /// Notes how our end sees the tunnels.
    pub(super) fn note_for_history(&mut self, now: Now) {
        let since = |tunnel: &Tunnel| match tunnel.local().verdict {
            Verdict::Down => tunnel.not_passing_since().map(|since| since.mono),
            Verdict::Up | Verdict::Unknown(_) => None,
        };
        let used = self.tunnels.iter().filter(|tunnel| tunnel.plan().is_used());
        let tunnels = used.map(|tunnel| (tunnel.plan().id.clone(), since(tunnel)));
        let open = self.kinds.iter().filter(|watch| watch.incident().is_some()).map(KindWatch::kind);
        self.cut_off.note(tunnels, open, now.mono);
    }

    /// The record of an incident that nobody was told of.
    fn missed(&self, past: &Past, history: &History, now: Now) -> Incident {
        let (began, ended) = (then(past.began, now).wall, then(past.ended, now).wall);
        let mut timeline = Vec::new();
        let mut add = |at, what| {
            timeline.push(TimelineEntry {
                seq: u32::try_from(timeline.len()).unwrap_or(u32::MAX),
                at,
                what,
                repeats: 0,
            });
        };
        let mut tunnels = Vec::new();
        let used = self.tunnels.iter().filter(|tunnel| tunnel.plan().is_used()).map(Tunnel::plan);
        for plan in used {
            let Some((_, span)) = past.tunnels.iter().find(|(id, _)| *id == plan.id) else { continue };
            let (tunnel, name) = (plan.id.clone(), Arc::clone(&plan.name));
            let (assessment, carrying) = (Assessment::Down, Carrying::of(Assessment::Down));
            add(then(span.from, now).wall, TimelineChange::Assessment { tunnel, name, assessment, carrying });
            let (local, aws) = views(*span, history, now);
            let (id, name) = (plan.id.clone(), Arc::clone(&plan.name));
            tunnels.push(TunnelSnapshot { id, name, role: plan.role, local, aws, assessment, carrying });
        }
        add(ended, TimelineChange::Resolved);
        add(now.wall, TimelineChange::Missed);
        Incident {
            id: IncidentId { vpn: self.plan.id.clone(), kind: past.kind, opened: began },
            site: Arc::clone(&self.site),
            vpn_name: Arc::clone(&self.plan.name),
            state: IncidentState::Resolved { at: ended },
            began,
            found_at: None,
            tunnels,
            timeline,
            related: None,
            worsened: 0,
            revision: 1,
        }
    }
}

/// Both ends' views of a tunnel over a span in which both had it Down.
fn views(span: Span, history: &History, now: Now) -> (View, View) {
    let (since, until) = (then(span.from, now), then(span.to, now));
    let as_of = history.date - history.asked.since(span.to) + span.to.since(history.asked);
    let evidence = AwsEvidence {
        source: Some(SourceKind::CloudWatch),
        as_of: Some(as_of),
        as_of_here: Some(until),
        changed: None,
        words: Some("TunnelState 0".into()),
    };
    let view = |evidence| View { verdict: Verdict::Down, since, evidence };
    (view(Evidence::Local(LocalEvidence::default())), view(Evidence::Aws(evidence)))
}

/// A moment of the past on both clocks.
fn then(moment: Moment, now: Now) -> Now {
    Now { mono: moment, wall: now.wall - now.mono.since(moment) }
}
