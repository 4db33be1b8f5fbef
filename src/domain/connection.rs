//! One VPN connection: its tunnels, and the incidents on it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::board::{
    Incident, IncidentId, IncidentState, TimelineChange, TimelineEntry, TunnelSnapshot, Withheld,
};
use super::carrying::{Carrying, NotCarrying};
use super::cause::{OutsideSign, Sign, UplinkSign};
use super::condition::{Grace, Truth, TunnelTruth, closes, opens};
use super::event::{History, Remembered};
use super::fact::{Effects, Fact, IncidentChange};
use super::incident::{KindEvidence, KindWatch};
use super::names::{CheckKind, Kind, Role, SinkId, SourceId, SourceKind, TunnelId};
use super::plan::VpnPlan;
use super::quality::Quality;
use super::request::HistoryRequest;
use super::retrospect::{self, CutOff, Meanwhile, PastIncident, Span, TunnelPast, down_by_aws};
use super::rollup::Minutes;
use super::scope::Scope;
use super::sensor::Sensed;
use super::status::{Phase, VpnStatus};
use super::story::Scene;
use super::time::{Moment, Now, Stamp};
use super::tunnel::{Changes, Tunnel};
use super::verdict::{Assessment, AwsEvidence, Evidence, LocalEvidence, Outcome, Verdict, View, Why};
use super::votes::deciding;

/// After a verdict changed AWS is polled faster for this long: its view follows within minutes.
const DOUBT_AFTER_CHANGE: Duration = Duration::from_secs(600);

/// A connection that is watched.
#[derive(Debug)]
pub struct Connection {
    plan: Arc<VpnPlan>,
    site: Arc<str>,
    tunnels: Vec<Tunnel>,
    kinds: [KindWatch; 4],
    last_change: Option<Moment>,
    anchor: Moment,
    /// Whether this host votes for it (in an HA pair only one host does).
    here: bool,
    cut_off: CutOff,
    /// What would withhold the record of an outage, as last decided.
    withheld: Option<Withheld>,
}

impl Connection {
    /// Starts to watch a connection, with what earlier runs have stored.
    pub fn new(
        plan: Arc<VpnPlan>,
        site: Arc<str>,
        anchor: Moment,
        remembered: &Remembered,
        here: bool,
        now: Now,
        fx: &mut Effects,
    ) -> Self {
        let tunnels = plan
            .tunnels
            .iter()
            .map(|tunnel| Tunnel::new(Arc::clone(tunnel), plan.probe, anchor, remembered, here, now, fx))
            .collect();
        let kinds = Kind::ALL.map(|kind| {
            let open = remembered
                .incidents
                .iter()
                .find(|incident| {
                    incident.id.scope.vpn() == Some(&plan.id)
                        && incident.id.kind == kind
                        && incident.state == IncidentState::Open
                })
                .cloned();
            KindWatch::new(plan.id.clone().into(), kind, open, openings(remembered, &plan, kind, now))
        });
        let cut_off = CutOff::resumed_from(remembered, &plan, now);
        Self { plan, site, tunnels, kinds, last_change: None, anchor, here, cut_off, withheld: None }
    }

    /// Its plan.
    pub const fn plan(&self) -> &Arc<VpnPlan> {
        &self.plan
    }

    /// Its tunnels.
    pub fn tunnels(&self) -> &[Tunnel] {
        &self.tunnels
    }

    /// A tunnel, to pass it an event.
    pub fn tunnel_mut(&mut self, id: &TunnelId) -> Option<&mut Tunnel> {
        self.tunnels.iter_mut().find(|tunnel| tunnel.plan().id == *id)
    }

    /// Every tunnel, to pass each an event.
    pub fn tunnels_mut(&mut self) -> impl Iterator<Item = &mut Tunnel> {
        self.tunnels.iter_mut()
    }

    /// An echo of `asked` ended; returns whether the quality of the tunnel changed.
    pub fn echo_ended(
        &mut self,
        id: &TunnelId,
        kind: CheckKind,
        outcome: Outcome,
        asked: Moment,
        now: Now,
        fx: &mut Effects,
    ) -> bool {
        let plan = Arc::clone(&self.plan);
        let Some(index) = self.tunnels.iter().position(|tunnel| tunnel.plan().id == *id) else {
            return false;
        };
        let quality = self.tunnels[index].echo_ended(kind, outcome, asked, &plan, now, fx);
        self.notice(index, Changes { quality, ..Changes::default() }, now, fx);
        quality.is_some()
    }

    /// Records the state of each used tunnel for this minute's rollup.
    pub fn note_states(&self, minutes: &mut Minutes, at: Stamp) {
        for tunnel in &self.tunnels {
            if !tunnel.checks().is_empty() {
                minutes.state(&tunnel.plan().id, at, tunnel.local().verdict, tunnel.assessment());
            }
        }
    }

    /// The open incidents.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Arc<Incident>> {
        self.kinds.iter().filter_map(KindWatch::incident)
    }

    /// Whether a tunnel is locally Down, so that sinks should look up their records in advance.
    pub fn is_locally_down(&self) -> bool {
        self.tunnels.iter().any(|tunnel| tunnel.local().verdict == Verdict::Down)
    }

    /// What may have an incident soon whose record is created: the connection, or the parent that explains its trouble.
    pub fn expected(&self) -> Option<Scope> {
        match &self.withheld {
            None => Some(self.plan.id.clone().into()),
            Some(Withheld::Explained(parent)) => Some(Scope::Parent(parent.clone())),
            Some(Withheld::Silenced(_)) => None,
        }
    }

    /// Judges every tunnel as of `now`; [`Self::decide`] follows. Returns whether a local verdict changed: then AWS must be asked at
    /// once.
    pub fn judge(&mut self, now: Now, fx: &mut Effects) -> bool {
        let mut ask_aws = false;
        for index in 0..self.tunnels.len() {
            let changes = self.tunnels[index].judge(self.plan.routing, self.plan.aws.stale_after, now, fx);
            self.notice(index, changes, now, fx);
            if changes.local.is_some_and(|from| raises_doubt(from, self.tunnels[index].local().verdict)) {
                ask_aws = true;
                self.last_change = Some(now.mono);
            }
            if changes.aws.is_some_and(|from| raises_doubt(from, self.tunnels[index].aws().verdict)) {
                self.last_change = Some(now.mono);
            }
        }
        self.diagnose(now, fx);
        self.note_for_history(now);
        ask_aws
    }

    /// Decides on every kind as of `now`; returns the incidents that are over. `cut_off`: no source reaches AWS. `withheld`: what
    /// withholds the record of an incident of a kind.
    pub fn decide(
        &mut self,
        grace: &Grace,
        cut_off: bool,
        withheld: impl Fn(&Self, Kind) -> Option<Withheld>,
        now: Now,
        fx: &mut Effects,
    ) -> Vec<Arc<Incident>> {
        let mut over = Vec::new();
        let withheld = Kind::ALL.map(|kind| withheld(self, kind));
        self.withheld = withheld.iter().flatten().next().cloned();
        let grace_until = self.grace_until(grace);
        let truths: Vec<TunnelTruth> =
            self.tunnels.iter().filter(|tunnel| tunnel.plan().is_used()).map(Tunnel::truth).collect();
        for (index, withheld) in withheld.into_iter().enumerate() {
            let kind = self.kinds[index].kind();
            let opens = if self.here { opens(kind, &truths, cut_off) } else { Truth::Unknown };
            let closes = if self.here { closes(kind, &truths) } else { Truth::Unknown };
            let step = KindEvidence {
                opens,
                closes,
                lasts: opens != Truth::False && closes == Truth::False && self.carries() == Truth::False,
                rules: self.plan.incident,
                grace_until,
                withheld,
            };
            let related = self.other_open(kind);
            let scene = || scene(&self.site, &self.plan, &self.tunnels, related, now.mono);
            over.extend(self.kinds[index].step(step, scene, now, fx));
        }
        over
    }

    /// Whether a record of an open incident is withheld.
    pub fn withholds(&self) -> bool {
        self.kinds.iter().any(KindWatch::is_withheld)
    }

    /// The tunnels that an incident of this kind is about, or would be.
    pub fn concerned(&self, kind: Kind) -> impl Iterator<Item = &Tunnel> {
        let is_concerned = move |tunnel: &&Tunnel| match kind {
            Kind::Outage => carries(tunnel) == Truth::False,
            Kind::RedundancyLost => {
                tunnel.plan().role == Role::Active && tunnel.assessment() == Assessment::Down
            }
            Kind::OneSided => {
                let says_down = |view: &View| view.verdict == Verdict::Down;
                says_down(tunnel.local()) || says_down(tunnel.aws())
            }
            Kind::Degraded => tunnel.quality().is_degraded(),
        };
        let concerned = move || self.tunnels.iter().filter(|it| it.plan().is_used()).filter(is_concerned);
        // One that no end has ever seen Up explains nothing of what stopped, and needs no explanation.
        let worked = |tunnel: &&Tunnel| tunnel.truth().local_seen_up || tunnel.truth().aws_seen_up;
        let some_worked = concerned().any(|tunnel| worked(&tunnel));
        concerned().filter(move |tunnel| !some_worked || worked(tunnel))
    }

    /// The kinds of its incidents that this withholds and whose condition has held for long enough.
    pub fn held_back_by<'a>(&'a self, by: &'a Withheld) -> impl Iterator<Item = Kind> + 'a {
        let rules = &self.plan.incident;
        self.kinds.iter().filter(move |kind| kind.held_back_by(rules) == Some(by)).map(KindWatch::kind)
    }

    /// What withholds its open incident of this kind, which has never been about to be over.
    pub fn withheld_since_it_opened(&self, kind: Kind) -> Option<&Withheld> {
        let watch = self.kinds.iter().find(|watch| watch.kind() == kind)?;
        let incident = watch.incident()?;
        let recovered = incident.timeline.iter().any(|entry| entry.what == TimelineChange::Clearing);
        incident.withheld.as_ref().filter(|_| !recovered)
    }

    /// Whether a tunnel carries traffic; false if none does.
    pub fn carries(&self) -> Truth {
        let used = self.tunnels.iter().filter(|tunnel| tunnel.plan().is_used());
        used.map(carries).fold(Truth::False, Truth::or)
    }

    /// Whether each of these tunnels carries traffic.
    pub fn each_carries(&self, of: impl Fn(&Tunnel) -> bool) -> Truth {
        self.tunnels.iter().filter(|tunnel| of(tunnel)).map(carries).fold(Truth::True, Truth::and)
    }

    /// Whether our end has ever seen a tunnel Up.
    pub fn has_worked(&self) -> bool {
        self.tunnels.iter().any(|tunnel| tunnel.truth().local_seen_up)
    }

    /// A record of this kind was found open at `sink`; see [`KindWatch::adopt`].
    pub fn adopt(&mut self, kind: Kind, sink: SinkId, created: Stamp, now: Now, fx: &mut Effects) {
        // The host that started the record knows which incident it followed.
        let scene = scene(&self.site, &self.plan, &self.tunnels, None, now.mono);
        if !self.here {
            // The host that votes accounts for it.
            return;
        }
        if let Some(watch) = self.kinds.iter_mut().find(|watch| watch.kind() == kind) {
            watch.adopt(sink, created, scene, now, fx);
        }
    }

    /// When `refresh` must be called again, if nothing happens before.
    pub fn deadline(&self, grace: &Grace, now: Moment) -> Option<Moment> {
        let grace_until = self.grace_until(grace);
        let stale = self.tunnels.iter().flat_map(|tunnel| [tunnel.stale_at(), tunnel.vote_ends()]).flatten();
        let kinds = self.kinds.iter().filter_map(|kind| kind.deadline(&self.plan.incident, grace_until, now));
        stale.chain(kinds).chain(self.history_due()).min()
    }

    fn grace_until(&self, grace: &Grace) -> Moment {
        let active = || self.tunnels.iter().filter(|tunnel| tunnel.plan().role == Role::Active);
        let is = |tunnel: &Tunnel, why| tunnel.carrying() == Carrying::NotCarrying(why);
        let agreed = active().any(|tunnel| is(tunnel, NotCarrying::BothEndsDown))
            && !self.tunnels.iter().any(|tunnel| is(tunnel, NotCarrying::BgpDown));
        grace.until(self.plan.incident.start_grace, agreed, |moment| {
            active().any(|tunnel| tunnel.is_agreed_after(moment))
        })
    }

    /// The host slept or the process was stopped for this long.
    pub fn held_up(&mut self, gap: Duration) {
        self.kinds.iter_mut().for_each(|kind| kind.held_up(gap));
    }

    /// How often AWS is polled: faster in doubt, that is, when a verdict changed lately, an incident is opening or clearing, or
    /// AWS is out of reach (`cut_off`) while our end sees a tunnel Down.
    pub fn poll_interval(&self, cut_off: bool, now: Moment) -> Duration {
        let changed = self.last_change.is_some_and(|at| now.since(at) < DOUBT_AFTER_CHANGE);
        // AWS has no word about quality.
        let of_aws = self.kinds.iter().filter(|kind| kind.kind() != Kind::Degraded);
        let moving = of_aws.into_iter().any(|kind| match kind.phase() {
            Phase::Pending | Phase::Clearing => true,
            Phase::Clear | Phase::Open => false,
        });
        let missing = cut_off && self.is_locally_down();
        if changed || moving || missing {
            self.plan.aws.suspect_poll_interval
        } else {
            self.plan.aws.poll_interval
        }
    }

    /// AWS answered about one tunnel.
    pub fn read(
        &mut self,
        source: &SourceId,
        tunnel: &TunnelId,
        reading: &super::event::Reading,
        asked: Now,
        date: Stamp,
        fx: &mut Effects,
    ) {
        if self.plan.aws.sources.contains(source)
            && let Some(tunnel) = self.tunnel_mut(tunnel)
        {
            tunnel.read(source, reading, asked, date, fx);
        }
    }

    /// Whether AWS is asked about it by this source.
    pub fn is_asked_by(&self, source: &SourceId) -> bool {
        self.plan.aws.sources.contains(source)
    }

    /// Whether a decision is possible: both ends could vote on at least one of the tunnels that decide.
    pub fn could_vote(&self, now: Moment) -> bool {
        deciding(&self.tunnels, |tunnel| tunnel.plan().role)
            .any(|tunnel| tunnel.could_vote(self.plan.aws.stale_after, now))
    }

    /// What must be kept in case the connection or one of its tunnels is removed and added again.
    pub fn remember(&self, remembered: &mut Remembered, now: Now) {
        for seen_up in self.tunnels.iter().flat_map(Tunnel::seen_up) {
            if !remembered.seen_up.contains(&seen_up) {
                remembered.seen_up.push(seen_up);
            }
        }
        remembered.openings.retain(|(scope, _, _)| scope.vpn() != Some(&self.plan.id));
        for kind in &self.kinds {
            let stamp = |at: &Moment| now.wall - now.mono.since(*at);
            let openings =
                kind.openings().iter().map(|at| (self.plan.id.clone().into(), kind.kind(), stamp(at)));
            remembered.openings.extend(openings);
        }
    }

    /// Takes a new plan. A tunnel that did not change keeps its state; one whose route changed or that comes into use starts
    /// afresh, with what is remembered of it.
    pub fn reconfigure(
        &mut self,
        plan: Arc<VpnPlan>,
        site: Arc<str>,
        anchor: Moment,
        remembered: &Remembered,
        now: Now,
        fx: &mut Effects,
    ) {
        let mut before: BTreeMap<TunnelId, Tunnel> = std::mem::take(&mut self.tunnels)
            .into_iter()
            .map(|tunnel| (tunnel.plan().id.clone(), tunnel))
            .collect();
        for tunnel_plan in &plan.tunnels {
            let tunnel = match before.remove(&tunnel_plan.id) {
                Some(mut same) if same.is_same(tunnel_plan) => {
                    same.reconfigure(Arc::clone(tunnel_plan), plan.probe, anchor, now, fx);
                    same.keep_sources(&plan.aws.sources);
                    same
                }
                changed => {
                    changed.inspect(|tunnel| tunnel.leave(tunnel_plan.is_used(), now, fx));
                    Tunnel::new(Arc::clone(tunnel_plan), plan.probe, anchor, remembered, self.here, now, fx)
                }
            };
            self.tunnels.push(tunnel);
        }
        before.values().for_each(|tunnel| tunnel.leave(false, now, fx));
        self.plan = plan;
        self.site = site;
        self.anchor = anchor;
    }

    /// This host votes for the connection, or another one does; returns the incidents that are handed over. Where another host
    /// votes nothing is decided here: AWS's evidence alone would open a `one_sided` that only comes from not probing.
    pub fn set_here(&mut self, here: bool, now: Now, fx: &mut Effects) -> Vec<Arc<Incident>> {
        let left = self.here && !here;
        self.here = here;
        for tunnel in &mut self.tunnels {
            tunnel.set_here(here, self.plan.probe, self.anchor, now, fx);
        }
        if left { self.hand_over(now, fx) } else { Vec::new() }
    }

    /// Another host votes from now on; returns the incidents that were open.
    pub fn hand_over(&mut self, now: Now, fx: &mut Effects) -> Vec<Arc<Incident>> {
        self.kinds.iter_mut().filter_map(|kind| kind.leave(now, fx)).collect()
    }

    /// Stops watching; returns the incidents that were open.
    pub fn unwatch(&mut self, now: Now, fx: &mut Effects) -> Vec<Arc<Incident>> {
        self.tunnels.iter().for_each(|tunnel| tunnel.leave(false, now, fx));
        self.kinds.iter_mut().filter_map(|kind| kind.unwatch(now, fx)).collect()
    }

    /// Its part of `/status`.
    pub fn status(&self, now: Now) -> VpnStatus {
        VpnStatus {
            id: self.plan.id.clone(),
            name: Arc::clone(&self.plan.name),
            routing: self.plan.routing,
            tunnels: self.tunnels.iter().map(|tunnel| tunnel.status(now)).collect(),
            stale_after: self.plan.aws.stale_after,
            sources: self.plan.aws.sources.clone(),
            phases: self.kinds.iter().map(|kind| (kind.kind(), kind.phase())).collect(),
        }
    }

    /// Adds the changes of a tunnel to the timelines of the open incidents.
    fn notice(&mut self, index: usize, changes: Changes, now: Now, fx: &mut Effects) {
        let tunnel = &self.tunnels[index];
        if !tunnel.plan().is_used() {
            return;
        }
        let [local, aws, assessed, quality] = tunnel.snapshot(now.mono).judgements();
        let entries: Vec<TimelineChange> = [
            changes.local.map(|_| local),
            changes.aws.map(|_| aws),
            (changes.is_judged_anew() && !tunnel.is_settling()).then_some(assessed),
            changes.quality.map(|_| quality),
        ]
        .into_iter()
        .flatten()
        .collect();
        self.add_to_timelines(&entries, now, fx);
    }

    fn add_to_timelines(&mut self, entries: &[TimelineChange], now: Now, fx: &mut Effects) {
        if entries.is_empty() {
            return;
        }
        for kind in &mut self.kinds {
            let about = kind.kind();
            let Some(story) = kind.story_mut() else { continue };
            let Incident { worsened, revision, .. } = **story.incident();
            let of_quality = |entry: &TimelineChange| matches!(entry, TimelineChange::Quality { .. });
            let is_about = |entry: &&TimelineChange| about == Kind::Degraded || !of_quality(entry);
            for entry in entries.iter().filter(is_about) {
                if !story.incident().says_already(entry) {
                    story.add(entry.clone(), now.wall);
                }
            }
            if story.incident().revision == revision {
                continue;
            }
            let change = if story.incident().worsened > worsened {
                IncidentChange::Worsened
            } else {
                IncidentChange::Updated
            };
            fx.facts.push_back(Fact::IncidentChanged {
                incident: Arc::clone(story.incident()),
                change,
                at: now,
            });
        }
    }

    /// The open incident of another kind that one of `kind` follows.
    fn other_open(&self, kind: Kind) -> Option<IncidentId> {
        self.kinds
            .iter()
            .filter(|other| other.kind() != kind)
            // Few sinks have a record of it.
            .filter(|other| other.kind() != Kind::Degraded)
            .filter_map(KindWatch::incident)
            .map(|incident| incident.id.clone())
            .next_back()
    }
}

const fn carries(tunnel: &Tunnel) -> Truth {
    match tunnel.carrying() {
        Carrying::Carrying => Truth::True,
        Carrying::NotCarrying(_) => Truth::False,
        Carrying::CannotTell(_) => Truth::Unknown,
    }
}

fn scene(
    site: &Arc<str>,
    plan: &VpnPlan,
    tunnels: &[Tunnel],
    related: Option<IncidentId>,
    now: Moment,
) -> Scene {
    let used = tunnels.iter().filter(|tunnel| tunnel.plan().is_used());
    Scene {
        site: Arc::clone(site),
        name: Arc::clone(&plan.name),
        tunnels: used.map(|tunnel| tunnel.snapshot(now)).collect(),
        children: Vec::new(),
        related,
    }
}

/// The first verdict after a start is news, but no reason for doubt, unless it is Down.
fn raises_doubt(from: Verdict, to: Verdict) -> bool {
    let first = matches!(from, Verdict::Unknown(Why::Starting | Why::NotAsked));
    !(from.same_word(to) || (first && to == Verdict::Up))
}

/// When incidents of this kind were opened within the last day, on the monotonic clock of this run.
fn openings(remembered: &Remembered, plan: &VpnPlan, kind: Kind, now: Now) -> VecDeque<Moment> {
    let mut openings: VecDeque<Moment> = remembered
        .openings
        .iter()
        .filter(|(scope, of, _)| scope.vpn() == Some(&plan.id) && *of == kind)
        .map(|(_, _, at)| now.mono - now.wall.since(*at))
        .collect();
    openings.make_contiguous().sort_unstable();
    openings
}

//--- why a tunnel does not work

impl Connection {
    /// A sensor answered; true if the connection must be judged anew.
    pub fn sensed(&mut self, sensed: Sensed, now: Now, fx: &mut Effects) -> bool {
        let Sensed { tunnel, asked, finding } = sensed;
        let votes = self.tunnel_mut(&tunnel).is_some_and(|tunnel| tunnel.sensed(asked, finding, now));
        self.diagnose(now, fx) || votes
    }

    /// Names the cause of each tunnel's trouble; true if one changed.
    fn diagnose(&mut self, now: Now, fx: &mut Effects) -> bool {
        let mut changed = false;
        for index in 0..self.tunnels.len() {
            let (routing, others) = (self.plan.routing, self.others(index, now.mono));
            let tunnel = &mut self.tunnels[index];
            if !tunnel.plan().is_used() {
                continue;
            }
            let Some(from) = tunnel.diagnose(routing, others, now) else { continue };
            changed = true;
            let (id, to) = (tunnel.plan().id.clone(), tunnel.diagnosis().cloned());
            // An unknown cause is what everybody assumes until one is named.
            let news = to.iter().filter(|found| from.is_some() || found.tells());
            let entry: Vec<TimelineChange> =
                news.map(|diagnosis| tunnel.snapshot(now.mono).cause(diagnosis)).collect();
            fx.facts.push_back(Fact::CauseChanged { tunnel: id, from, to, at: now });
            self.add_to_timelines(&entry, now, fx);
        }
        changed
    }

    /// What the outside addresses of the other tunnels say since this one broke.
    fn others(&self, index: usize, now: Moment) -> Sign<UplinkSign> {
        let Some(since) = self.tunnels[index].broken_since(now) else { return Sign::Dark };
        let others = self.tunnels.iter().enumerate().filter(|(other, _)| *other != index);
        let others = others.map(|(_, tunnel)| tunnel).filter(|tunnel| !tunnel.checks().is_empty());
        let mut all = Sign::Dark;
        for tunnel in others {
            all = match (all, tunnel.outside_sign(since)) {
                (Sign::Seen(UplinkSign::Answers), _) | (_, Sign::Seen(OutsideSign::Answers)) => {
                    Sign::Seen(UplinkSign::Answers)
                }
                (Sign::Awaited, _) | (_, Sign::Awaited) => Sign::Awaited,
                (Sign::Seen(UplinkSign::Silent), _) | (_, Sign::Seen(OutsideSign::Silent)) => {
                    Sign::Seen(UplinkSign::Silent)
                }
                (
                    Sign::Dark,
                    Sign::Dark
                    | Sign::Seen(OutsideSign::NeverAnswered | OutsideSign::NoRoute | OutsideSign::Blocked),
                ) => Sign::Dark,
            };
        }
        all
    }

    /// Puts the questions to the sensors that are due.
    pub fn sense(&mut self, now: Moment, fx: &mut Effects) {
        let broken: Vec<Option<Moment>> =
            self.tunnels.iter().map(|tunnel| tunnel.broken_since(now)).collect();
        for (index, tunnel) in self.tunnels.iter_mut().enumerate() {
            let others = broken.iter().enumerate().filter(|(other, _)| *other != index);
            tunnel.sense(others.filter_map(|(_, since)| *since).min(), now, fx);
        }
    }

    /// When [`Self::sense`] must be called again, if nothing happens before.
    pub fn sense_due(&self) -> Option<Moment> {
        self.tunnels.iter().filter_map(Tunnel::sense_due).min()
    }
}

//--- what happened while AWS could not be reached, and what follows from it

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

    /// The question to ask about the past, and the source to ask, if that is due.
    pub fn ask_history(&mut self, now: Moment) -> Option<HistoryRequest> {
        let source = self.history_source()?.clone();
        let Range { start: from, end: to } = self.cut_off.ask(now)?;
        Some(HistoryRequest { source, vpn: self.plan.id.clone(), from, to })
    }

    /// When the question about the past is due.
    fn history_due(&self) -> Option<Moment> {
        self.history_source().and_then(|_| self.cut_off.due())
    }

    /// Only CloudWatch has a history; EC2 knows the present alone.
    fn history_source(&self) -> Option<&SourceId> {
        self.plan.aws.sources.iter().find(|source| match source.kind {
            SourceKind::CloudWatch => true,
            SourceKind::Ec2 => false,
        })
    }

    /// AWS refused the question about the past.
    pub fn history_refused(&mut self, now: Moment) {
        self.cut_off.history_refused(now);
    }

    /// AWS answered about the past. An incident that is over is recorded and pages nobody; one that goes on opens by the
    /// ordinary rules, with its true start.
    pub fn history_answered(&mut self, history: &History, now: Now, fx: &mut Effects) {
        let Some(Meanwhile { gaps, down, already_open }) = self.cut_off.history_answered(now.mono) else {
            return;
        };
        let points = |tunnel: &Tunnel| {
            let of = history.points.iter().find(|(id, _)| *id == tunnel.plan().id);
            of.map_or(&[][..], |(_, points)| points.as_slice())
        };
        let used = self.tunnels.iter().filter(|tunnel| tunnel.plan().is_used());
        let seen: Vec<TunnelPast> = used
            .map(|tunnel| TunnelPast {
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
            if already_open.contains(&past.kind) || (recent && self.kinds.iter().any(lasts)) {
                continue;
            }
            let incident = Arc::new(self.missed(&past, history, now));
            fx.facts.push_back(Fact::IncidentMissed { incident, at: now });
        }
    }

    /// Notes our end's view of the tunnels.
    fn note_for_history(&mut self, now: Now) {
        let since = |tunnel: &Tunnel| match tunnel.local().verdict {
            Verdict::Down => tunnel.not_passing_since().map(|since| since.mono),
            Verdict::Up | Verdict::Unknown(_) => None,
        };
        let used = self.tunnels.iter().filter(|tunnel| tunnel.plan().is_used());
        let tunnels = used.map(|tunnel| (tunnel.plan().id.clone(), since(tunnel)));
        let open = self.kinds.iter().filter(|watch| watch.incident().is_some()).map(KindWatch::kind);
        self.cut_off.note(tunnels, open, now.mono);
    }

    /// The record of an incident that became known too late for a page.
    fn missed(&self, past: &PastIncident, history: &History, now: Now) -> Incident {
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
            tunnels.push(TunnelSnapshot {
                id,
                name,
                role: plan.role,
                local,
                aws,
                assessment,
                carrying,
                diagnosis: None,
                quality: Quality::Unknown,
                quality_since: None,
            });
        }
        add(ended, TimelineChange::Resolved);
        add(now.wall, TimelineChange::Missed);
        Incident {
            id: IncidentId { scope: self.plan.id.clone().into(), kind: past.kind, opened: began },
            site: Arc::clone(&self.site),
            name: Arc::clone(&self.plan.name),
            state: IncidentState::Resolved { at: ended },
            began,
            found_at: None,
            withheld: None,
            children: Vec::new(),
            tunnels,
            timeline,
            related: None,
            worsened: 0,
            revision: 1,
        }
    }
}

/// Both ends' views of a tunnel during a span in which both had it Down.
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
