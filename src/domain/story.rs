//! An incident as it grows.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::board::{
    Incident, IncidentId, IncidentState, TIMELINE_MAX, TimelineChange, TimelineEntry, TunnelSnapshot,
};
use super::names::{Kind, SinkId, TunnelId, VpnId};
use super::time::{Now, Stamp};
use super::verdict::Assessment;

/// From this many entries on, a change that was told before is folded into the entry that told it.
const FOLD_FROM: usize = TIMELINE_MAX / 2;

/// What an incident that opens is about.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The site's name.
    pub site: Arc<str>,
    /// The connection's name.
    pub vpn_name: Arc<str>,
    /// The tunnels as they are.
    pub tunnels: Vec<TunnelSnapshot>,
    /// An open incident of another kind that this one follows.
    pub related: Option<IncidentId>,
}

/// An open incident.
#[derive(Debug)]
pub struct Story {
    incident: Arc<Incident>,
    /// Tunnels that have been Down in this incident, and whether they have been Healthy since.
    was_down: BTreeMap<TunnelId, bool>,
    next_seq: u32,
}

impl Story {
    /// An incident opens.
    pub fn open(vpn: VpnId, kind: Kind, scene: Scene, began: Now, now: Now) -> Self {
        Self::begin(IncidentId { vpn, kind, opened: now.wall }, scene, began.wall, None, now.wall)
    }

    /// An incident whose record was found open at `sink` is taken up. The record's creation names it, so that it is the
    /// same incident whenever, and by whomever, it is taken up.
    pub fn take_up(vpn: VpnId, kind: Kind, scene: Scene, sink: SinkId, created: Stamp, now: Stamp) -> Self {
        Self::begin(IncidentId { vpn, kind, opened: created }, scene, created, Some(sink), now)
    }

    fn begin(id: IncidentId, scene: Scene, began: Stamp, found_at: Option<SinkId>, now: Stamp) -> Self {
        let Scene { site, vpn_name, tunnels, related } = scene;
        let first = match &found_at {
            None => TimelineChange::Opened,
            Some(sink) => TimelineChange::TakenUp { sink: sink.clone() },
        };
        let incident = Incident {
            id,
            site,
            vpn_name,
            state: IncidentState::Open,
            began,
            found_at,
            tunnels,
            timeline: vec![TimelineEntry { seq: 0, at: now, what: first, repeats: 0 }],
            related,
            worsened: 0,
            revision: 1,
        };
        Self::resume(Arc::new(incident))
    }

    /// An incident of an earlier run goes on.
    pub fn resume(incident: Arc<Incident>) -> Self {
        let mut was_down = down_at_first(&incident);
        for entry in &incident.timeline {
            if let TimelineChange::Assessment { tunnel, assessment, .. } = &entry.what {
                note_assessment(&mut was_down, tunnel, *assessment);
            }
        }
        let next_seq = incident.timeline.last().map_or(0, |entry| entry.seq + 1);
        Self { incident, was_down, next_seq }
    }

    /// As it stands.
    pub const fn incident(&self) -> &Arc<Incident> {
        &self.incident
    }

    /// The story goes on.
    pub fn add(&mut self, what: TimelineChange, at: Stamp) {
        let worsens = match &what {
            TimelineChange::Assessment { tunnel, assessment, .. } => {
                note_assessment(&mut self.was_down, tunnel, *assessment)
            }
            TimelineChange::Opened
            | TimelineChange::TakenUp { .. }
            | TimelineChange::Witnessed
            | TimelineChange::View { .. }
            | TimelineChange::Clearing
            | TimelineChange::Reopened
            | TimelineChange::Resolved
            | TimelineChange::Unwatched
            | TimelineChange::HandedOver => false,
        };
        let incident = Arc::make_mut(&mut self.incident);
        incident.worsened += u32::from(worsens);
        incident.revision += 1;
        if incident.timeline.len() >= FOLD_FROM
            && let Some(told) =
                incident.timeline.iter_mut().rev().find(|entry| says_the_same(&entry.what, &what))
        {
            told.repeats += 1;
            return;
        }
        if incident.timeline.len() == TIMELINE_MAX {
            // The first entry is the opening, which the rest hangs on.
            incident.timeline.remove(1);
        }
        incident.timeline.push(TimelineEntry { seq: self.next_seq, at, what, repeats: 0 });
        self.next_seq += 1;
    }

    /// It was taken up, and this site sees it too.
    pub fn witness(&mut self, at: Stamp) {
        Arc::make_mut(&mut self.incident).found_at = None;
        self.add(TimelineChange::Witnessed, at);
    }

    /// It is over.
    pub fn set_state(&mut self, state: IncidentState) {
        Arc::make_mut(&mut self.incident).state = state;
    }
}

/// The tunnels that count as Down from the first, and whether they have been Healthy since. Whoever started a record that was
/// taken up saw tunnels Down; that this site sees one Down a little later makes nothing worse, unless it was Healthy here.
fn down_at_first(incident: &Incident) -> BTreeMap<TunnelId, bool> {
    let taken_up = match incident.timeline.first().map(|entry| &entry.what) {
        Some(TimelineChange::TakenUp { .. }) => true,
        Some(
            TimelineChange::Opened
            | TimelineChange::Witnessed
            | TimelineChange::View { .. }
            | TimelineChange::Assessment { .. }
            | TimelineChange::Clearing
            | TimelineChange::Reopened
            | TimelineChange::Resolved
            | TimelineChange::Unwatched
            | TimelineChange::HandedOver,
        )
        | None => false,
    };
    let tunnels = incident.tunnels.iter().filter(|tunnel| taken_up || tunnel.assessment == Assessment::Down);
    tunnels.map(|tunnel| (tunnel.id.clone(), tunnel.assessment == Assessment::Healthy)).collect()
}

/// Keeps count of which tunnels are Down; true if a further one is, or the same again after it was Healthy.
fn note_assessment(
    was_down: &mut BTreeMap<TunnelId, bool>,
    tunnel: &TunnelId,
    assessment: Assessment,
) -> bool {
    match assessment {
        Assessment::Down => was_down.insert(tunnel.clone(), false) != Some(false),
        Assessment::Healthy => {
            if let Some(healthy_since) = was_down.get_mut(tunnel) {
                *healthy_since = true;
            }
            false
        }
        Assessment::Disputed(_) | Assessment::Unconfirmed(_) | Assessment::Blind => false,
    }
}

/// Whether two entries tell the same, whatever the time of the evidence.
fn says_the_same(a: &TimelineChange, b: &TimelineChange) -> bool {
    match (a, b) {
        (
            TimelineChange::View { tunnel: t1, end: e1, verdict: v1, .. },
            TimelineChange::View { tunnel: t2, end: e2, verdict: v2, .. },
        ) => (t1, e1, v1) == (t2, e2, v2),
        (TimelineChange::View { .. }, _) | (_, TimelineChange::View { .. }) => false,
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel(last: u8) -> TunnelId {
        TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, last].into() }
    }

    fn assessed(last: u8, assessment: Assessment) -> TimelineChange {
        TimelineChange::Assessment { tunnel: tunnel(last), name: "tunnel".into(), assessment }
    }

    fn story() -> Story {
        let scene = Scene { site: "site".into(), vpn_name: "vpn".into(), tunnels: Vec::new(), related: None };
        Story::open(VpnId::new("vpn-1"), Kind::Outage, scene, Now::default(), Now::default())
    }

    #[test]
    fn it_worsens_when_a_further_tunnel_goes_down_or_the_same_again_after_healthy() {
        let mut story = story();
        let mut worsened_by = |change| {
            let before = story.incident().worsened;
            story.add(change, Stamp::default());
            story.incident().worsened - before
        };
        assert_eq!(worsened_by(assessed(1, Assessment::Down)), 1);
        assert_eq!(worsened_by(assessed(1, Assessment::Blind)), 0);
        assert_eq!(worsened_by(assessed(1, Assessment::Down)), 0);
        assert_eq!(worsened_by(assessed(2, Assessment::Down)), 1);
        assert_eq!(worsened_by(assessed(1, Assessment::Healthy)), 0);
        assert_eq!(worsened_by(assessed(1, Assessment::Down)), 1);
    }

    #[test]
    fn a_story_that_is_taken_up_again_knows_which_tunnels_were_down() {
        let mut first = story();
        first.add(assessed(1, Assessment::Down), Stamp::default());
        let mut second = Story::resume(Arc::clone(first.incident()));
        second.add(assessed(1, Assessment::Down), Stamp::default());
        assert_eq!(second.incident().worsened, first.incident().worsened);
        let seqs: Vec<u32> = second.incident().timeline.iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, [0, 1, 2]);
    }

    #[test]
    fn a_long_story_folds_what_repeats_and_stays_within_its_bound() {
        let mut story = story();
        for round in 0..1000 {
            let assessment = if round % 2 == 0 { Assessment::Healthy } else { Assessment::Blind };
            story.add(assessed(1, assessment), Stamp::default());
        }
        let timeline = &story.incident().timeline;
        assert_eq!(timeline.len(), FOLD_FROM);
        let told: u32 = timeline.iter().map(|entry| 1 + entry.repeats).sum();
        assert_eq!(told, 1001);
        for last in 0..250 {
            story.add(
                assessed(last, Assessment::Unconfirmed(crate::domain::names::End::Local)),
                Stamp::default(),
            );
        }
        assert_eq!(story.incident().timeline.len(), TIMELINE_MAX);
        assert_eq!(story.incident().timeline[0].what, TimelineChange::Opened);
    }
}
