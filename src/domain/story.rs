//! An incident and its timeline as it grows.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::board::{
    Child, Incident, IncidentId, IncidentState, TIMELINE_MAX, TimelineChange, TimelineEntry, TunnelSnapshot,
    Withheld,
};
use super::names::{Kind, SinkId, TunnelId};
use super::scope::{ParentId, ParentKind, Scope};
use super::stopped::began;
use super::time::{Now, Stamp};
use super::verdict::Assessment;

/// A timeline longer than this drops entries that are repeated later.
const THIN_FROM: usize = TIMELINE_MAX / 2;

/// What an incident is about when it opens.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The site's name.
    pub site: Arc<str>,
    /// The name of what it is about.
    pub name: Arc<str>,
    /// The state of the tunnels, of a connection.
    pub tunnels: Vec<TunnelSnapshot>,
    /// The state of the connections, of a parent.
    pub children: Vec<Child>,
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
    /// Opens an incident.
    pub fn open(scope: Scope, kind: Kind, scene: Scene, now: Now) -> Self {
        let troubles = scene.children.iter().filter_map(|child| child.trouble.as_ref());
        let began = match troubles.map(|trouble| trouble.since).min() {
            Some(first) => first.min(now.wall),
            None => began(kind, &scene.tunnels, now),
        };
        Self::begin(IncidentId { scope, kind, opened: now.wall }, scene, began, None, now.wall)
    }

    /// Adopts an incident whose record was found open at `sink`. The record's creation time identifies it, so that it is the
    /// same incident whenever and by whichever host it is adopted.
    pub fn adopt(scope: Scope, kind: Kind, scene: Scene, sink: SinkId, created: Stamp, now: Stamp) -> Self {
        Self::begin(IncidentId { scope, kind, opened: created }, scene, created, Some(sink), now)
    }

    fn begin(id: IncidentId, scene: Scene, began: Stamp, found_at: Option<SinkId>, now: Stamp) -> Self {
        let Scene { site, name, tunnels, children, related } = scene;
        let first = match &found_at {
            None => TimelineChange::Opened,
            Some(sink) => TimelineChange::Adopted { sink: sink.clone() },
        };
        let incident = Incident {
            id,
            site,
            name,
            state: IncidentState::Open,
            began,
            found_at,
            withheld: None,
            children,
            tunnels,
            timeline: vec![TimelineEntry { seq: 0, at: now, what: first, repeats: 0 }],
            related,
            worsened: 0,
            revision: 1,
        };
        Self::resume(Arc::new(incident))
    }

    /// Continues an incident of an earlier run.
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

    /// The incident as of now.
    pub const fn incident(&self) -> &Arc<Incident> {
        &self.incident
    }

    /// Adds an entry. A long timeline drops the oldest entries that are repeated later: its end stays whole, so that a reader who
    /// goes on from the opening or from the last note arrives at the present state.
    pub fn add(&mut self, what: TimelineChange, at: Stamp) {
        let worsens = match &what {
            TimelineChange::Assessment { tunnel, assessment, .. } => {
                note_assessment(&mut self.was_down, tunnel, *assessment)
            }
            // Its connections fail one by one, each for a cause of its own; those of an uplink or a site share one.
            TimelineChange::Children { down, .. } => {
                let of_group = |parent: &ParentId| parent.kind == ParentKind::Group;
                !down.is_empty() && self.incident.id.scope.parent().is_some_and(of_group)
            }
            TimelineChange::Opened
            | TimelineChange::Adopted { .. }
            | TimelineChange::Confirmed
            | TimelineChange::View { .. }
            | TimelineChange::Cause { .. }
            | TimelineChange::Quality { .. }
            | TimelineChange::Withheld { .. }
            | TimelineChange::Released
            | TimelineChange::Clearing
            | TimelineChange::Reopened
            | TimelineChange::Resolved
            | TimelineChange::Unwatched
            | TimelineChange::HandedOver
            | TimelineChange::Missed => false,
        };
        let incident = Arc::make_mut(&mut self.incident);
        // A tunnel that goes down is another kind's business.
        incident.worsened += u32::from(worsens && incident.id.kind != Kind::Degraded);
        incident.revision += 1;
        incident.timeline.push(TimelineEntry { seq: self.next_seq, at, what, repeats: 0 });
        self.next_seq += 1;
        while incident.timeline.len() > THIN_FROM && thin(&mut incident.timeline) {}
        if incident.timeline.len() > TIMELINE_MAX {
            cut(&mut incident.timeline);
        }
    }

    /// This site sees the condition of an adopted incident itself.
    pub fn confirm(&mut self, at: Stamp) {
        Arc::make_mut(&mut self.incident).found_at = None;
        self.add(TimelineChange::Confirmed, at);
    }

    /// No record of it is created for now.
    pub fn withhold(&mut self, by: Withheld, at: Stamp) {
        Arc::make_mut(&mut self.incident).withheld = Some(by.clone());
        self.add(TimelineChange::Withheld { by }, at);
    }

    /// What withheld its record is over, and it is not.
    pub fn release(&mut self, at: Stamp) {
        Arc::make_mut(&mut self.incident).withheld = None;
        self.add(TimelineChange::Released, at);
    }

    /// The connections of a parent as they stand.
    pub fn set_children(&mut self, children: Vec<Child>) {
        if self.incident.children == children {
            return;
        }
        let incident = Arc::make_mut(&mut self.incident);
        incident.children = children;
        incident.revision += 1;
    }

    /// Sets the new state.
    pub fn set_state(&mut self, state: IncidentState) {
        Arc::make_mut(&mut self.incident).state = state;
    }
}

/// How often the incident has worsened from timeline entry `first_unsent` on, that is, with entries that its record does not
/// have yet. Notes go only to open records, so the record was open before that entry.
pub fn worsened_since(incident: &Arc<Incident>, first_unsent: u32) -> u32 {
    let mut before = Incident::clone(incident);
    let first = before.timeline.partition_point(|entry| entry.seq < first_unsent);
    if first_unsent == 0 || first == before.timeline.len() {
        return 0;
    }
    let later = before.timeline.split_off(first);
    let mut story = Story::resume(Arc::new(before));
    let uncertain = later.iter().any(|entry| went_down_again(&later, entry));
    for entry in later {
        story.add(entry.what, entry.at);
    }
    (story.incident().worsened - incident.worsened).max(u32::from(uncertain))
}

/// Whether the entry says Down of a tunnel that another entry calls Healthy, and one of the two stands for earlier repeats:
/// those were dropped, so which came first is unknown. One page too many is better than one too few.
fn went_down_again(later: &[TimelineEntry], entry: &TimelineEntry) -> bool {
    let TimelineChange::Assessment { tunnel, assessment: Assessment::Down, .. } = &entry.what else {
        return false;
    };
    let is_healthy = |other: &&TimelineEntry| matches!(&other.what, TimelineChange::Assessment { tunnel: of, assessment: Assessment::Healthy, .. } if of == tunnel);
    later.iter().filter(is_healthy).any(|other| entry.repeats + other.repeats > 0)
}

/// The tunnels that count as Down from the start, and whether they have been Healthy since. The host that started an adopted
/// record saw tunnels Down; when this site sees one Down a little later that is no worsening, unless the tunnel was Healthy
/// here.
fn down_at_first(incident: &Incident) -> BTreeMap<TunnelId, bool> {
    let adopted = incident.adopted_from().is_some();
    let tunnels = incident.tunnels.iter().filter(|tunnel| adopted || tunnel.assessment == Assessment::Down);
    tunnels.map(|tunnel| (tunnel.id.clone(), tunnel.assessment == Assessment::Healthy)).collect()
}

/// Tracks which tunnels are Down. Returns true if a further one is, or the same one again after it was Healthy.
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

/// Drops the oldest entry that is repeated later, and counts it there; false if there is none. The first entry, the opening,
/// always stays.
fn thin(timeline: &mut Vec<TimelineEntry>) -> bool {
    let again = |index: usize| {
        let what = &timeline[index].what;
        (index + 1..timeline.len()).find(|later| timeline[*later].what.says_the_same(what))
    };
    let Some((index, later)) = (1..timeline.len()).find_map(|index| Some((index, again(index)?))) else {
        return false;
    };
    timeline[later].repeats += 1 + timeline[index].repeats;
    timeline.remove(index);
    true
}

/// Drops the oldest entry that no longer holds.
fn cut(timeline: &mut Vec<TimelineEntry>) {
    let is_past = |index: &usize| {
        timeline[index + 1..].iter().any(|later| later.what.supersedes(&timeline[*index].what))
    };
    let index = (1..timeline.len()).find(is_past).unwrap_or(1);
    timeline.remove(index);
}

#[cfg(test)]
mod tests {
    use super::super::carrying::{Carrying, Traffic};
    use super::super::names::{End, Role, VpnId};
    use super::super::verdict::{AwsEvidence, Evidence, Fault, LocalEvidence, Verdict, View, Why};
    use super::*;

    fn tunnel(last: u8) -> TunnelId {
        TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, last].into() }
    }

    fn assessed(last: u8, assessment: Assessment) -> TimelineChange {
        let (name, carrying) = ("tunnel".into(), Carrying::of(assessment));
        TimelineChange::Assessment { tunnel: tunnel(last), name, assessment, carrying }
    }

    fn story() -> Story {
        let scene = Scene {
            site: "site".into(),
            name: "vpn".into(),
            tunnels: Vec::new(),
            children: Vec::new(),
            related: None,
        };
        Story::open(VpnId::new("vpn-1").into(), Kind::Outage, scene, Now::default())
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
    fn a_resumed_story_knows_which_tunnels_were_down() {
        let mut first = story();
        first.add(assessed(1, Assessment::Down), Stamp::default());
        let mut second = Story::resume(Arc::clone(first.incident()));
        second.add(assessed(1, Assessment::Down), Stamp::default());
        assert_eq!(second.incident().worsened, first.incident().worsened);
        let seqs: Vec<u32> = second.incident().timeline.iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, [0, 1, 2]);
    }

    /// Two tunnels go down and come back, one after the other, `times` times; then the first is down and the second is not.
    fn flaps(story: &mut Story, times: u32) {
        let mut add = |change| story.add(change, Stamp::default());
        for _ in 0..times {
            for last in [1, 2] {
                let view = |end, verdict| TimelineChange::View {
                    tunnel: tunnel(last),
                    name: "tunnel".into(),
                    end,
                    verdict,
                    as_of: None,
                };
                for (verdict, assessment) in
                    [(Verdict::Down, Assessment::Down), (Verdict::Up, Assessment::Healthy)]
                {
                    add(view(End::Local, verdict));
                    add(view(End::Aws, verdict));
                    add(assessed(last, assessment));
                }
            }
            add(TimelineChange::Clearing);
            add(TimelineChange::Reopened);
        }
        add(assessed(1, Assessment::Down));
    }

    fn of_two_tunnels() -> Story {
        let now = Now::default();
        let snapshot = |last| {
            let view = |evidence| View { verdict: Verdict::Down, since: now, evidence };
            TunnelSnapshot {
                id: tunnel(last),
                name: "tunnel".into(),
                role: Role::Active,
                local: view(Evidence::Local(LocalEvidence::default())),
                aws: view(Evidence::Aws(AwsEvidence::default())),
                assessment: Assessment::Down,
                carrying: Carrying::of(Assessment::Down),
                diagnosis: None,
                quality: Default::default(),
                quality_since: None,
            }
        };
        let tunnels = vec![snapshot(1), snapshot(2)];
        let scene =
            Scene { site: "site".into(), name: "vpn".into(), tunnels, children: Vec::new(), related: None };
        Story::open(VpnId::new("vpn-1").into(), Kind::Outage, scene, now)
    }

    #[test]
    fn however_long_a_story_is_it_ends_in_the_present() {
        let (mut short, mut long) = (of_two_tunnels(), of_two_tunnels());
        flaps(&mut short, 1);
        for times in 1..=200 {
            let before = long.incident().worsened;
            flaps(&mut long, 1);
            assert!(long.incident().timeline.len() <= THIN_FROM);
            assert_eq!(long.incident().traffic(), Traffic::Flows, "after {times}");
            // The second time on the first tunnel has been Down since the last time, and so it is not the first to worsen.
            assert_eq!(long.incident().worsened - before, if times == 1 { 1 } else { 2 }, "after {times}");
        }
        let resumed = |story: &Story| {
            let mut story = Story::resume(Arc::clone(story.incident()));
            let before = story.incident().worsened;
            let worsened: Vec<u32> = [
                (1, Assessment::Down),
                (2, Assessment::Down),
                (1, Assessment::Healthy),
                (1, Assessment::Down),
            ]
            .map(|(last, assessment)| {
                story.add(assessed(last, assessment), Stamp::default());
                story.incident().worsened - before
            })
            .into();
            (worsened, story.incident().traffic())
        };
        assert_eq!(resumed(&long), resumed(&short));
        assert_eq!(resumed(&long), (vec![0, 1, 1, 2], Traffic::DoesNotFlow));
    }

    #[test]
    fn a_story_without_repetition_drops_what_no_longer_holds() {
        let mut story = story();
        story.add(assessed(1, Assessment::Down), Stamp::default());
        let view = |errno| TimelineChange::View {
            tunnel: tunnel(2),
            name: "tunnel".into(),
            end: End::Local,
            verdict: Verdict::Unknown(Why::Fault(Fault::Socket(errno))),
            as_of: None,
        };
        (0..1000).for_each(|errno| story.add(view(errno), Stamp::default()));
        let timeline = &story.incident().timeline;
        assert_eq!(timeline.len(), TIMELINE_MAX);
        assert_eq!(timeline[1].what, assessed(1, Assessment::Down));
    }

    #[test]
    fn a_long_story_drops_repetitions_and_stays_within_its_bound() {
        let mut story = story();
        for round in 0..1000 {
            let assessment = if round % 2 == 0 { Assessment::Healthy } else { Assessment::Blind };
            story.add(assessed(1, assessment), Stamp::default());
        }
        let timeline = &story.incident().timeline;
        assert_eq!(timeline.len(), THIN_FROM);
        let entries_in_all: u32 = timeline.iter().map(|entry| 1 + entry.repeats).sum();
        assert_eq!(entries_in_all, 1001);
        for last in 0..250 {
            story.add(assessed(last, Assessment::Unconfirmed(End::Local)), Stamp::default());
        }
        assert_eq!(story.incident().timeline.len(), TIMELINE_MAX);
        assert_eq!(story.incident().timeline[0].what, TimelineChange::Opened);
    }
}
