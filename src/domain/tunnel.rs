//! One tunnel: its checks make our view, AWS's evidence makes AWS's view, and both together the assessment.

mod trouble;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::board::TunnelSnapshot;
use super::carrying::assess;
use super::carrying::{self, CannotTell, Carrying, Said};
use super::cause::Diagnosis;
use super::check::{Before, Check};
use super::condition::{Truth, TunnelTruth};
use super::downs::Downs;
use super::event::{Reading, Remembered, SeenUp, TunnelData};
use super::fact::{Effects, Fact, TunnelWas};
use super::loss::LossWindow;
use super::maintenance::MaintenanceState;
use super::names::{CheckId, CheckKind, End, Role, Routing, SourceId, SourceKind};
use super::plan::{ProbeRules, Route, RouteKey, TunnelPlan, Vantage, VpnPlan};
use super::quality::{Quality, QualityWatch};
use super::remote::Remote;
use super::sensing::Sensing;
use super::side::Side;
use super::silence::SilenceId;
use super::status::{CheckStatus, TunnelStatus};
use super::stopped::{dated, not_passing_since};
use super::through::{ThroughState, of_this_tunnel};
use super::time::{Moment, Now, Stamp};
use super::verdict::{Assessment, Evidence, LocalEvidence, Outcome, Verdict, View, Why};

/// A BGP speaker tries an unreachable peer again within this time: the suggested `ConnectRetryTime` of RFC 4271, section 10.
const BGP_SETTLES_WITHIN: Duration = Duration::from_secs(120);

/// What changed in one judgement.
#[derive(Debug, Default, Clone, Copy)]
pub struct Changes {
    /// Our verdict before.
    pub local: Option<Verdict>,
    /// AWS's verdict before.
    pub aws: Option<Verdict>,
    /// The assessment before.
    pub assessment: Option<Assessment>,
    /// Whether it carried traffic before.
    pub carrying: Option<Carrying>,
    /// Its quality before.
    pub quality: Option<Quality>,
}

impl Changes {
    /// Whether the assessment or the traffic changed in a word that `/status` shows.
    pub fn is_judged_anew(&self) -> bool {
        self.assessment.is_some() || self.carrying.is_some()
    }
}

/// A tunnel that is watched.
#[derive(Debug)]
pub struct Tunnel {
    plan: Arc<TunnelPlan>,
    checks: Vec<Check>,
    remote: Remote,
    local: View,
    local_seen_up: bool,
    aws_seen_up: bool,
    aws_said_down: bool,
    /// What is known of the routes of checks that are not under way.
    before: BTreeMap<CheckKind, Before>,
    assessment: Assessment,
    assessed_since: Now,
    carrying: Carrying,
    /// AWS's Down must be later than this to agree with our present verdict.
    answers_from: Moment,
    downs: Downs,
    loss: LossWindow,
    quality: QualityWatch,
    quality_since: Now,
    /// Since when packets have not passed: from the first Down to the next Up.
    stopped: Option<Now>,
    complaints: BTreeMap<SourceKind, Why>,
    sensing: Sensing,
    diagnosis: Option<Diagnosis>,
    diagnosed_since: Now,
    /// Since when the evidence no longer names the cause that is still shown.
    doubted: Option<Moment>,
    /// Since when our probes are lost; kept until the verdict is another one.
    broke: Option<Moment>,
    /// Whether the last word on its quality was degraded; at the start an earlier run's may have been.
    may_be_degraded: bool,
    /// The vote of a required BGP session, as last judged.
    session_vote: Option<Verdict>,
    /// The silence that covers it, as last reported.
    silenced: Option<SilenceId>,
    maintenance: MaintenanceState,
    /// The routes that AWS accepted by BGP, by EC2's last answer.
    accepted_routes: Option<u32>,
    data: TunnelData,
    /// When the bytes were asked for, and the answer's Date.
    data_as_of: Option<(Moment, Stamp)>,
}

impl Tunnel {
    /// Starts to watch a tunnel, with what earlier runs have stored; see [`Self::set_here`].
    pub fn new(
        plan: Arc<TunnelPlan>,
        rules: ProbeRules,
        anchor: Moment,
        remembered: &Remembered,
        here: bool,
        now: Now,
        fx: &mut Effects,
    ) -> Self {
        let seen_up = &remembered.seen_up;
        let aws_seen_up = seen_up.contains(&SeenUp::Aws(plan.id.clone()));
        let why = match plan.role {
            Role::Active | Role::Standby if here => Why::Starting,
            role @ (Role::Active | Role::Standby | Role::Unused) => Self::why_unasked(role),
        };
        let stopped = remembered.stopped_at(&plan.id, now);
        let downs = Downs::resume(remembered.said_of(&plan.id, now), now.mono);
        let sensing = Sensing::new(plan.sensors.clone(), now.mono);
        let before: BTreeMap<CheckKind, Before> = plan
            .checks()
            .map(|(kind, route)| {
                let id = CheckId { tunnel: plan.id.clone(), kind };
                (kind, before(seen_up, &id, &route.key()))
            })
            .collect();
        let answered = |(kind, before): (&CheckKind, &Before)| plan.votes(*kind) && before.answered;
        let local_seen_up = before.iter().any(answered);
        let mut tunnel = Self {
            plan,
            checks: Vec::new(),
            remote: Remote::new(now),
            local: View {
                verdict: Verdict::Unknown(why),
                since: now,
                evidence: Evidence::Local(LocalEvidence::default()),
            },
            local_seen_up,
            aws_seen_up,
            aws_said_down: false,
            before,
            assessment: Assessment::Blind,
            assessed_since: now,
            carrying: Carrying::CannotTell(CannotTell::LocalUnknown),
            answers_from: now.mono,
            downs,
            loss: LossWindow::since(now.mono),
            quality: QualityWatch::new(now.mono),
            quality_since: now,
            stopped,
            complaints: BTreeMap::new(),
            sensing,
            diagnosis: None,
            diagnosed_since: now,
            doubted: None,
            broke: None,
            may_be_degraded: true,
            session_vote: None,
            silenced: None,
            maintenance: MaintenanceState::NotAsked,
            accepted_routes: None,
            data: TunnelData::default(),
            data_as_of: None,
        };
        tunnel.set_here(here, rules, anchor, now, fx);
        tunnel
    }

    /// Its plan.
    pub const fn plan(&self) -> &Arc<TunnelPlan> {
        &self.plan
    }

    /// Its checks.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// A check, to pass it an event.
    pub fn check_mut(&mut self, kind: CheckKind) -> Option<&mut Check> {
        self.checks.iter_mut().find(|check| check.id().kind == kind)
    }

    /// Our view.
    pub const fn local(&self) -> &View {
        &self.local
    }

    /// AWS's view.
    pub const fn aws(&self) -> &View {
        self.remote.view()
    }

    /// Both together.
    pub const fn assessment(&self) -> Assessment {
        self.assessment
    }

    /// Whether the assessment is about to change, because an end has not reported since the start, or because both ends say
    /// Down but possibly about different times. Until then it does not overrule an earlier run's assessment.
    pub fn is_settling(&self) -> bool {
        match (self.local.verdict, self.aws().verdict) {
            (Verdict::Unknown(Why::Starting), _) => true,
            (Verdict::Down | Verdict::Unknown(_), Verdict::Unknown(Why::NotAsked)) => true,
            (Verdict::Down, Verdict::Down) => self.assessment != Assessment::Down,
            (Verdict::Up | Verdict::Down | Verdict::Unknown(_), _) => false,
        }
    }

    /// Whether it carries traffic.
    pub const fn carrying(&self) -> Carrying {
        self.carrying
    }

    /// How good it is while it is Up.
    pub const fn quality(&self) -> Quality {
        self.quality.quality()
    }

    /// What each group of hosts behind the tunnel says.
    pub fn through(&self) -> Vec<ThroughState> {
        if self.checks.is_empty() {
            return Vec::new();
        }
        let said = |host| {
            let check = self.checks.iter().find(|check| check.id().kind == CheckKind::Through(host))?;
            Some((check.verdict(), check.is_suspect()))
        };
        self.plan.through.groups.iter().map(|group| ThroughState::of(group, said)).collect()
    }

    /// A check of it is in doubt: those that probe seldom ask at once. Returns which, with the moment of their next timeout.
    pub fn hurry(&mut self, now: Now) -> Vec<(CheckId, Moment)> {
        let explaining = self.checks.iter_mut().filter(|check| !self.plan.votes(check.id().kind));
        let hurried = explaining.map(|check| {
            check.hurry(now);
            (check.id().clone(), check.next_timeout())
        });
        hurried.collect()
    }

    /// Takes other names and rules, and other hosts behind it. A tunnel whose route changed, or that comes into use, starts
    /// afresh instead.
    pub fn reconfigure(
        &mut self,
        plan: Arc<TunnelPlan>,
        rules: ProbeRules,
        anchor: Moment,
        now: Now,
        fx: &mut Effects,
    ) {
        self.sensing.set_rules(plan.sensors.clone());
        self.plan = plan;
        for check in &mut self.checks {
            check.set_rules(rules, anchor, now);
        }
        if !self.checks.is_empty() {
            self.align_checks(rules, anchor, now, fx);
        }
    }

    /// Whether another plan probes the same tunnel over the same route, so that no state is lost.
    pub fn is_same(&self, plan: &TunnelPlan) -> bool {
        self.plan.id == plan.id
            && self.plan.is_used() == plan.is_used()
            && self.plan.route == plan.route
            && self.plan.through.vantage == plan.through.vantage
    }

    /// Evidence of sources that are no longer polled is dropped.
    pub fn keep_sources(&mut self, sources: &[SourceId]) {
        let asks = |kind| sources.iter().any(|source| source.kind == kind);
        self.remote.keep_sources(asks);
        if !asks(SourceKind::Ec2) {
            (self.maintenance, self.accepted_routes) = (MaintenanceState::NotAsked, None);
        }
    }

    /// An echo of `asked` ended: counts toward the loss that is shown beside a verdict, and toward the quality. Returns the
    /// quality before, if it changed.
    pub fn echo_ended(
        &mut self,
        kind: CheckKind,
        outcome: Outcome,
        asked: Moment,
        vpn: &VpnPlan,
        now: Now,
        fx: &mut Effects,
    ) -> Option<Quality> {
        self.loss.add(outcome, asked, now.mono);
        // Hosts behind the tunnel have round trips of their own, and some may be down.
        if kind != CheckKind::Inside {
            return None;
        }
        let before = self.quality.echo_ended(outcome, asked, &vpn.probe, &vpn.quality, now.mono);
        self.report_quality(before, now, fx)
    }

    fn report_quality(&mut self, before: Option<Quality>, at: Now, fx: &mut Effects) -> Option<Quality> {
        if before.is_some() {
            self.quality_since = at;
        }
        let (tunnel, to) = (self.plan.id.clone(), self.quality());
        match to {
            Quality::Degraded(_) => self.may_be_degraded = true,
            Quality::Good => self.may_be_degraded = false,
            Quality::Unknown => {}
        }
        fx.facts.extend(before.map(|from| Fact::QualityChanged { tunnel, from, to, at }));
        before
    }

    /// AWS answered.
    pub fn read(&mut self, source: &SourceId, reading: &Reading, asked: Now, date: Stamp, fx: &mut Effects) {
        if let Reading::Telemetry(telemetry) = reading {
            self.accepted_routes = telemetry.accepted_routes;
        }
        let Some(why) = self.remote.read(source.kind, reading, asked, date) else {
            self.complaints.remove(&source.kind);
            return;
        };
        if self.complaints.insert(source.kind, why) != Some(why) {
            fx.facts.push_back(Fact::EvidenceUnusable {
                source: source.clone(),
                tunnel: self.plan.id.clone(),
                verdict: Verdict::Unknown(why),
            });
        }
    }

    /// AWS answered about the bytes that it passed; they touch no verdict.
    pub fn read_data(&mut self, data: TunnelData, asked: Moment, date: Stamp) {
        (self.data, self.data_as_of) = (data, Some((asked, date)));
    }

    /// AWS answered about the maintenance of the endpoint; it touches no verdict.
    pub fn read_maintenance(&mut self, state: MaintenanceState, at: Now, fx: &mut Effects) {
        let from = std::mem::replace(&mut self.maintenance, state);
        if !state.says_the_same(&from) {
            fx.facts.push_back(Fact::MaintenanceChanged {
                tunnel: self.plan.id.clone(),
                from,
                to: state,
                at,
            });
        }
    }

    /// The silence that covers it, as last reported.
    pub const fn silenced(&self) -> Option<SilenceId> {
        self.silenced
    }

    /// This silence covers it now; it touches no verdict.
    pub fn silence(&mut self, by: Option<SilenceId>, at: Now, fx: &mut Effects) {
        let from = std::mem::replace(&mut self.silenced, by);
        if from != by {
            fx.facts.push_back(Fact::SilencedChanged { tunnel: self.plan.id.clone(), from, to: by, at });
        }
    }

    /// What is known of the maintenance of its endpoint at AWS.
    pub const fn maintenance(&self) -> &MaintenanceState {
        &self.maintenance
    }

    /// The bytes that AWS passed, as last answered: asked only while an end calls the tunnel down.
    pub const fn data(&self) -> &TunnelData {
        &self.data
    }

    /// The routes that AWS accepted by BGP, by EC2's last answer.
    pub const fn accepted_routes(&self) -> Option<u32> {
        self.accepted_routes
    }

    /// Judges all evidence anew.
    pub fn judge(&mut self, routing: Routing, stale_after: Duration, now: Now, fx: &mut Effects) -> Changes {
        let mut changes = Changes { local: self.judge_local(now), ..Changes::default() };
        if let Some(from) = changes.local {
            self.report_view(End::Local, from, now, fx);
        }
        let quality = self.quality.verdict_is(self.local.verdict, now.mono);
        changes.quality = self.report_quality(quality, now, fx);
        changes.aws = self.remote.judge(stale_after, now);
        if let Some(from) = changes.aws {
            self.report_view(End::Aws, from, now, fx);
            self.aws_said_down = match self.aws().verdict {
                Verdict::Down => true,
                Verdict::Up => false,
                Verdict::Unknown(_) => self.aws_said_down,
            };
            if self.aws().verdict == Verdict::Up && !self.aws_seen_up {
                self.aws_seen_up = true;
                fx.facts.push_back(Fact::SeenUp(SeenUp::Aws(self.plan.id.clone())));
            }
        }
        let carrying = self.judge_carrying(routing, stale_after, now.mono);
        if carrying.as_str() != self.carrying.as_str() {
            changes.carrying = Some(self.carrying);
        }
        self.carrying = carrying;
        let assessment = assess(self.local.verdict, self.aws().verdict, carrying);
        if assessment != self.assessment {
            changes.assessment = Some(std::mem::replace(&mut self.assessment, assessment));
            self.assessed_since = now;
        }
        if let Some(from) = changes.assessment {
            // What was named before our end's verdict changed is not about this.
            let named = self.diagnosis.as_ref().filter(|_| changes.local.is_none());
            fx.facts.push_back(Fact::AssessmentChanged {
                tunnel: self.plan.id.clone(),
                from,
                to: assessment,
                local: self.local.clone(),
                aws: self.aws().clone(),
                side: named.map_or(Side::Unknown, Diagnosis::side),
                at: now,
            });
        }
        changes
    }

    /// When AWS's evidence becomes stale.
    pub const fn stale_at(&self) -> Option<Moment> {
        self.remote.stale_at()
    }

    /// Whether both ends could vote: a local verdict, and fresh AWS evidence.
    pub fn could_vote(&self, stale_after: Duration, now: Moment) -> bool {
        let local_knows = match self.local.verdict {
            Verdict::Up | Verdict::Down | Verdict::Unknown(Why::Shared) => true,
            Verdict::Unknown(_) => false,
        };
        local_knows && self.remote.is_fresh(stale_after, now)
    }

    /// Whether both ends agree that it is Down, each by evidence later than a moment.
    pub fn is_agreed_after(&self, moment: Moment) -> bool {
        let by_aws = self.remote.as_of_here().is_some_and(|as_of| as_of > moment);
        let mut voting = self.checks.iter().filter(|check| self.plan.votes(check.id().kind));
        let by_us = voting.any(|check| check.evidence_as_of() > moment);
        self.assessment == Assessment::Down && by_aws && by_us
    }

    /// Since when packets have not passed; see [`not_passing_since`].
    pub fn not_passing_since(&self) -> Option<Now> {
        not_passing_since(&self.local, self.aws(), self.assessment)
    }

    /// Its input for the conditions.
    pub fn truth(&self) -> TunnelTruth {
        TunnelTruth {
            role: self.plan.role,
            local: self.local.verdict,
            aws: self.aws().verdict,
            carrying: self.carrying,
            assessment: self.assessment,
            local_seen_up: self.local_seen_up || self.local.verdict == Verdict::Down,
            aws_seen_up: self.aws_seen_up,
            aws_said_down: self.aws_said_down,
            degraded: match self.quality() {
                Quality::Degraded(_) => Truth::True,
                Quality::Good => Truth::False,
                // Where it never answered, or was well to the last, there is nothing to wait for.
                Quality::Unknown if self.local_seen_up && self.may_be_degraded => Truth::Unknown,
                Quality::Unknown => Truth::False,
            },
        }
    }

    /// Its state, for an incident. A Down comes with its numbers of now: how many probes are lost, not how many were at the verdict.
    pub fn snapshot(&self, now: Moment) -> TunnelSnapshot {
        let mut local = self.local.clone();
        if local.verdict == Verdict::Down && !self.checks.is_empty() {
            local.evidence = Evidence::Local(self.local_evidence(now));
        }
        TunnelSnapshot {
            id: self.plan.id.clone(),
            name: Arc::clone(&self.plan.name),
            role: self.plan.role,
            local,
            aws: self.aws().clone(),
            assessment: self.assessment,
            carrying: self.carrying,
            diagnosis: self.diagnosis.clone(),
            quality: self.quality(),
            quality_since: Some(self.quality_since),
        }
    }

    /// Its part of `/status`.
    pub fn status(&self, now: Now) -> TunnelStatus {
        let mut local = self.local.clone();
        let mut evidence = self.local_evidence(now.mono);
        evidence.stopped = evidence.stopped.map(|at| Now { wall: dated(at, now), ..at });
        local.evidence = Evidence::Local(evidence);
        TunnelStatus {
            id: self.plan.id.clone(),
            name: Arc::clone(&self.plan.name),
            role: self.plan.role,
            uplink: self.plan.uplink.clone(),
            local,
            aws: self.aws().clone(),
            assessment: self.assessment,
            assessed_since: self.assessed_since,
            carrying: self.carrying,
            quality: self.quality(),
            measured: self.quality.measured(),
            aws_evidence_age: self.remote.age(now.mono),
            accepted_routes: self.accepted_routes,
            maintenance: self.maintenance,
            checks: self
                .checks
                .iter()
                .map(|check| CheckStatus {
                    kind: check.id().kind,
                    votes: self.plan.votes(check.id().kind),
                    verdict: check.verdict(),
                    suspect: check.is_suspect(),
                    asked: check.was_asked(),
                    ticks_skipped: check.ticks_skipped(),
                    fresh_client: check.fresh_client(),
                })
                .collect(),
            diagnosis: self.diagnosis.clone(),
            diagnosed_since: self.diagnosed_since,
            sensors: self.sensing.status(),
            silenced: self.silenced,
        }
    }

    /// It is no longer watched, or watched `afresh`: closes its checks, and reports what was so until now.
    pub fn leave(&self, afresh: bool, at: Now, fx: &mut Effects) {
        self.retire_checks(fx);
        let was = TunnelWas {
            local: self.local.verdict,
            aws: self.aws().verdict,
            assessment: self.assessment,
            cause: self.diagnosis.as_ref().map(|diagnosis| diagnosis.cause),
            silenced: self.silenced,
        };
        fx.facts.push_back(Fact::TunnelLeft { tunnel: self.plan.id.clone(), was, afresh, at });
    }

    fn retire_checks(&self, fx: &mut Effects) {
        self.checks.iter().for_each(|check| check.retire(fx));
    }

    /// Down if a required check is Down, Up if all are Up, else Unknown; see [`through`](super::through). Returns the previous
    /// verdict if it changed.
    fn judge_local(&mut self, now: Now) -> Option<Verdict> {
        let unasked = Verdict::Unknown(Self::why_unasked(self.plan.role));
        let checks = self.votes().into_iter().map(|(verdict, _)| verdict).reduce(worst);
        self.broke = match self.checks.first() {
            Some(check) if check.verdict() == Verdict::Down => self.broke.or(fell_silent(check)),
            Some(_) | None => None,
        };
        let session = self.sensing.bgp_vote(now.mono);
        self.session_vote = session;
        let said = checks.map_or(unasked, |checks| session.map_or(checks, |session| worst(checks, session)));
        let verdict = of_this_tunnel(self.plan.through.vantage, said);
        let before = self.local.verdict;
        if before == verdict {
            return None;
        }
        let works = |verdict| verdict == Verdict::Unknown(Why::Shared);
        if !before.same_word(verdict) || works(before) != works(verdict) {
            self.local.since = now;
            self.downs.changed(verdict, now.mono);
            self.answers_from = match verdict {
                Verdict::Down => self.downs.first().unwrap_or(now.mono),
                Verdict::Up | Verdict::Unknown(_) => now.mono + settling(before, verdict),
            };
            self.restart_evidence(verdict, now);
        }
        self.local.verdict = verdict;
        self.local.evidence = Evidence::Local(self.local_evidence(now.mono));
        if said == Verdict::Up {
            self.local_seen_up = true;
        }
        Some(before)
    }

    /// The numbers beside a verdict count from its start.
    fn restart_evidence(&mut self, verdict: Verdict, now: Now) {
        match verdict {
            Verdict::Up | Verdict::Unknown(Why::Shared) => self.stopped = None,
            Verdict::Down => {
                let evidence = self.deciding(verdict).map(Check::evidence).unwrap_or_default();
                let known = evidence.last_reply.or(self.stopped).or(evidence.first_loss);
                self.stopped = self.stopped.or(known);
            }
            Verdict::Unknown(_) => {}
        }
        let from = match (verdict, self.stopped) {
            (Verdict::Down, Some(stopped)) => stopped,
            (Verdict::Down, None) | (Verdict::Up | Verdict::Unknown(_), _) => now,
        };
        self.loss = LossWindow::since(from.mono);
    }

    fn local_evidence(&self, now: Moment) -> LocalEvidence {
        let deciding = self.deciding(self.local.verdict);
        let mut evidence = deciding.map(Check::evidence).unwrap_or_default();
        if deciding.is_some_and(|check| self.plan.is_measured_by(check.id().kind)) {
            let measured = self.checks.iter().filter(|check| self.plan.is_measured_by(check.id().kind));
            let overdue = measured.map(|check| check.overdue_in_flight(self.loss.from())).sum();
            evidence.loss_percent = self.loss.percent(now, overdue);
        }
        evidence.stopped = match self.local.verdict {
            Verdict::Down => self.stopped,
            Verdict::Up | Verdict::Unknown(_) => None,
        };
        evidence
    }

    /// What each that votes says, and by which checks: AWS's inside address, and every required group of hosts.
    fn votes(&self) -> Vec<(Verdict, Vec<&Check>)> {
        let of = |kind| self.checks.iter().find(move |check| check.id().kind == kind);
        let inside = of(CheckKind::Inside).map(|check| (check.verdict(), vec![check]));
        let groups = self.through().into_iter().filter(|group| group.required).map(|group| {
            let checks = group.hosts.iter().filter_map(|(host, _)| of(CheckKind::Through(*host)));
            (group.verdict(), checks.collect())
        });
        inside.into_iter().chain(groups).collect()
    }

    /// The check behind a verdict. Of several that are Down in a group the one that was answered last: until then packets passed.
    fn deciding(&self, verdict: Verdict) -> Option<&Check> {
        let votes = self.votes();
        let said = match verdict {
            Verdict::Unknown(Why::Shared) => Verdict::Up,
            Verdict::Up | Verdict::Down | Verdict::Unknown(_) => verdict,
        };
        let (_, checks) = votes.iter().find(|(vote, _)| *vote == said).or(votes.first())?;
        let agree = checks.iter().filter(|check| check.verdict() == said);
        let last = agree.max_by_key(|check| check.evidence().last_reply.map(|at| at.mono));
        last.or(checks.first()).copied()
    }

    fn judge_carrying(&self, routing: Routing, stale_after: Duration, now: Moment) -> Carrying {
        let routing = match self.plan.through.vantage {
            Vantage::Gateway => routing,
            // A reply from a host behind the tunnel had a route: that BGP is down does not explain it.
            Vantage::Behind { .. } => Routing::Static,
        };
        match self.plan.role {
            Role::Unused => Carrying::CannotTell(CannotTell::Unused),
            Role::Active | Role::Standby => carrying::judge(Said {
                local: self.local.verdict,
                aws: self.aws().verdict,
                aws_is_later: self.remote.as_of_here().is_some_and(|as_of| as_of > self.answers_from),
                bgp: self.remote.bgp_word(self.answers_from, stale_after, now),
                routing,
            }),
        }
    }

    fn report_view(&self, end: End, from: Verdict, at: Now, fx: &mut Effects) {
        let view = match end {
            End::Local => self.local.clone(),
            End::Aws => self.aws().clone(),
        };
        fx.facts.push_back(Fact::ViewChanged { tunnel: self.plan.id.clone(), end, from, view, at });
    }

    /// The tunnel ends at this host, or at the other one of an HA pair. Where it ends elsewhere our end does not probe: no
    /// view, no echoes, no minutes. When the check returns it starts afresh: what it saw before says nothing about the present.
    pub fn set_here(&mut self, here: bool, rules: ProbeRules, anchor: Moment, now: Now, fx: &mut Effects) {
        match (self.plan.role, here, self.checks.is_empty()) {
            (Role::Unused, _, _)
            | (Role::Active | Role::Standby, true, false)
            | (Role::Active | Role::Standby, false, true) => {}
            (Role::Active | Role::Standby, true, true) => {
                self.align_checks(rules, anchor, now, fx);
            }
            (Role::Active | Role::Standby, false, false) => {
                self.before.extend(self.checks.iter().map(|check| (check.id().kind, check.before())));
                self.retire_checks(fx);
                self.checks.clear();
                self.loss = LossWindow::since(now.mono);
                self.stopped = None;
                self.downs = Downs::new(now.mono);
            }
        }
    }

    /// Has the plan's checks under way: what is probed already goes on.
    fn align_checks(&mut self, rules: ProbeRules, anchor: Moment, now: Now, fx: &mut Effects) {
        let mut under_way = std::mem::take(&mut self.checks);
        for (kind, route) in self.plan.checks() {
            let votes = self.plan.votes(kind);
            let same = under_way.iter().position(|check| check.id().kind == kind && check.route() == route);
            let check = match same {
                Some(same) => under_way.swap_remove(same),
                None => {
                    let (id, route) = (self.check(kind), Arc::clone(route));
                    let before = self.before.get(&kind).copied().unwrap_or_default();
                    Check::new(id, route, rules, anchor, before, now, fx)
                }
            };
            self.checks.push(check.voting(votes, now));
        }
        for check in under_way {
            check.retire(fx);
            // Should the host be probed again over another route, that has to prove itself.
            self.before.insert(check.id().kind, Before { held: false, ..check.before() });
        }
    }

    /// The ends that have seen it Up.
    pub fn seen_up(&self) -> impl Iterator<Item = SeenUp> {
        let absent = |route: &Route, kind| {
            let before = self.before.get(&kind).filter(|before| before.answered)?;
            let mut key = route.key();
            key.own = key.own.filter(|_| before.held);
            Some(SeenUp::Local(self.check(kind), key))
        };
        let plan = self.plan.checks().filter(|_| self.checks.is_empty());
        let local = plan.filter_map(move |(kind, route)| absent(route, kind));
        let local = local.chain(self.checks.iter().filter_map(Check::seen_up));
        local.chain(self.aws_seen_up.then(|| SeenUp::Aws(self.plan.id.clone())))
    }

    /// Why there is no check.
    pub(super) const fn why_unasked(role: Role) -> Why {
        match role {
            Role::Unused => Why::Unused,
            Role::Active | Role::Standby => Why::NotHere,
        }
    }

    fn check(&self, kind: CheckKind) -> CheckId {
        CheckId { tunnel: self.plan.id.clone(), kind }
    }
}

/// The first lost echo after the last reply: what came before it is of before the break.
fn fell_silent(check: &Check) -> Option<Moment> {
    let evidence = check.evidence();
    [evidence.first_loss, evidence.last_reply].into_iter().flatten().map(|at| at.mono).max()
}

/// What is remembered of a route: that its inside address has answered, and whether over this very route.
fn before(seen_up: &[SeenUp], check: &CheckId, route: &RouteKey) -> Before {
    let of_check = seen_up.iter().filter_map(|seen| match seen {
        SeenUp::Local(of, key) if of == check => Some(key),
        SeenUp::Local(..) | SeenUp::Aws(_) => None,
    });
    let same = of_check.filter(|key| key.inside_ip == route.inside_ip);
    same.fold(Before::default(), |known, key| Before { answered: true, held: known.held || key == route })
}

/// This soon after our end came up AWS's BGP state is older than any session that could have been established.
fn settling(before: Verdict, verdict: Verdict) -> Duration {
    match (verdict, before) {
        // It was up before this process probed it: when it came up is unknown.
        (Verdict::Up, Verdict::Unknown(Why::Starting)) | (Verdict::Down | Verdict::Unknown(_), _) => {
            Duration::ZERO
        }
        (Verdict::Up, Verdict::Up | Verdict::Down | Verdict::Unknown(_)) => BGP_SETTLES_WITHIN,
    }
}

const fn worst(a: Verdict, b: Verdict) -> Verdict {
    match (a, b) {
        (Verdict::Down, _) | (_, Verdict::Down) => Verdict::Down,
        (Verdict::Unknown(why), _) | (Verdict::Up, Verdict::Unknown(why)) => Verdict::Unknown(why),
        (Verdict::Up, Verdict::Up) => Verdict::Up,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_is_down_if_any_check_is_and_up_only_if_all_are() {
        const UNKNOWN: Verdict = Verdict::Unknown(Why::Silent);
        let table = [
            (Verdict::Up, Verdict::Up, Verdict::Up),
            (Verdict::Up, Verdict::Down, Verdict::Down),
            (Verdict::Down, Verdict::Down, Verdict::Down),
            (Verdict::Up, UNKNOWN, UNKNOWN),
            (Verdict::Down, UNKNOWN, Verdict::Down),
            (UNKNOWN, UNKNOWN, UNKNOWN),
        ];
        for (a, b, expected) in table {
            assert_eq!((worst(a, b), worst(b, a)), (expected, expected), "{a} and {b}");
        }
    }
}
