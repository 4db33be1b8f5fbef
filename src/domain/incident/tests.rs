//! The phase machine under made-up conditions.

use super::*;
use crate::domain::names::VpnId;
use crate::domain::time::Stamp;

const RULES: IncidentRules = IncidentRules {
    open_after_outage: Duration::from_secs(30),
    open_after_redundancy_lost: Duration::from_secs(120),
    one_sided_after: None,
    degraded_after: Some(Duration::from_secs(300)),
    resolve_after: Duration::from_secs(300),
    start_grace: Duration::from_secs(120),
};

use Truth::{False, True, Unknown};

/// A machine and the time; conditions hold from call to call.
struct Rig {
    watch: KindWatch,
    now: Now,
    grace_until: Moment,
    fx: Effects,
}

impl Rig {
    fn new(kind: Kind) -> Self {
        let watch = KindWatch::new(VpnId::new("vpn-1").into(), kind, None, VecDeque::new());
        Self { watch, now: Now::default(), grace_until: Moment::ORIGIN, fx: Effects::default() }
    }

    /// The conditions are so for `secs` seconds; the machine is called at the start, at each of its deadlines, and at
    /// the end.
    fn hold(&mut self, opens: Truth, closes: Truth, secs: u64) -> Option<Arc<Incident>> {
        let end = self.now.after(Duration::from_secs(secs));
        let mut over = self.step(opens, closes);
        while let Some(at) =
            self.watch.deadline(&RULES, self.grace_until, Moment::ORIGIN).filter(|at| *at <= end.mono)
        {
            self.now = self.now.after(at.since(self.now.mono));
            over = over.or(self.step(opens, closes));
        }
        self.now = end;
        over.or(self.step(opens, closes))
    }

    fn step(&mut self, opens: Truth, closes: Truth) -> Option<Arc<Incident>> {
        let step = KindEvidence {
            opens,
            closes,
            rules: RULES,
            grace_until: self.grace_until,
            withheld: None,
            lasts: false,
        };
        let scene = || Scene {
            site: "site".into(),
            name: "vpn".into(),
            tunnels: Vec::new(),
            children: Vec::new(),
            related: None,
        };
        self.watch.step(step, scene, self.now, &mut self.fx)
    }

    fn phase(&self) -> Phase {
        self.watch.phase()
    }
}

#[test]
fn it_opens_when_the_condition_has_held_for_open_after_and_not_before() {
    let mut rig = Rig::new(Kind::Outage);
    rig.hold(True, False, 29);
    assert_eq!(rig.phase(), Phase::Pending);
    rig.hold(True, False, 1);
    assert_eq!(rig.phase(), Phase::Open);
    let incident = rig.watch.incident().unwrap();
    assert_eq!(incident.id.opened, Stamp::from_secs(30));
}

#[test]
fn a_condition_that_ceases_is_pending_until_its_held_time_has_run_back() {
    let mut rig = Rig::new(Kind::Outage);
    rig.hold(True, False, 29);
    rig.hold(False, False, 28);
    assert_eq!(rig.phase(), Phase::Pending);
    rig.hold(False, False, 1);
    assert_eq!(rig.phase(), Phase::Clear);
    let averted = |fact: &Fact| matches!(fact, Fact::IncidentAverted { .. });
    assert_eq!(rig.fx.facts.iter().filter(|fact| averted(fact)).count(), 1);
    rig.hold(True, False, 29);
    assert_eq!(rig.phase(), Phase::Pending);
}

#[test]
fn a_line_that_is_down_for_most_of_the_time_opens_one_incident_and_a_short_break_does_not_resolve_it() {
    let mut rig = Rig::new(Kind::RedundancyLost);
    for _ in 0..180 {
        assert!(rig.hold(True, False, 110).is_none());
        assert!(rig.hold(False, True, 10).is_none());
    }
    let opened = |fact: &Fact| matches!(fact, Fact::IncidentChanged { change: IncidentChange::Opened, .. });
    assert_eq!(rig.fx.facts.iter().filter(|fact| opened(fact)).count(), 1);
    assert_eq!(rig.watch.incident().unwrap().id.opened, Stamp::from_secs(140));
    assert!(rig.hold(False, True, 300).is_some(), "and then it is well");
}

#[test]
fn it_is_resolved_only_after_a_time_without_a_break() {
    let mut rig = Rig::new(Kind::Outage);
    rig.hold(True, False, 30);
    for _ in 0..100 {
        assert!(rig.hold(False, True, 290).is_none());
        assert!(rig.hold(False, False, 1).is_none());
    }
}

#[test]
fn not_knowing_pauses_pending_and_clearing_and_resets_neither() {
    let mut rig = Rig::new(Kind::Outage);
    rig.hold(True, False, 20);
    rig.hold(Unknown, Unknown, 1000);
    assert_eq!(rig.phase(), Phase::Pending);
    rig.hold(True, False, 10);
    assert_eq!(rig.phase(), Phase::Open);
    rig.hold(False, True, 200);
    assert_eq!(rig.phase(), Phase::Clearing);
    assert!(rig.hold(Unknown, Unknown, 10_000).is_none());
    assert_eq!(rig.phase(), Phase::Clearing);
    assert!(rig.hold(False, True, 100).is_some());
    assert_eq!(rig.phase(), Phase::Clear);
}

#[test]
fn the_return_of_the_condition_sends_clearing_back_to_open() {
    let mut rig = Rig::new(Kind::Outage);
    rig.hold(True, False, 30);
    rig.hold(False, True, 299);
    assert!(rig.hold(True, False, 10).is_none());
    assert_eq!(rig.phase(), Phase::Open);
    assert!(rig.hold(False, True, 299).is_none());
    assert!(rig.hold(False, True, 1).is_some());
}

#[test]
fn an_open_incident_is_never_resolved_while_its_closing_condition_does_not_hold() {
    let mut rig = Rig::new(Kind::Outage);
    rig.hold(True, False, 30);
    for closes in [False, Unknown] {
        assert!(rig.hold(False, closes, 100_000).is_none());
        assert_eq!(rig.phase(), Phase::Open);
    }
}

#[test]
fn nothing_opens_within_the_grace_and_a_held_condition_opens_at_its_end() {
    let mut rig = Rig::new(Kind::Outage);
    rig.grace_until = Moment::ORIGIN + Duration::from_secs(120);
    rig.hold(True, False, 119);
    assert_eq!(rig.phase(), Phase::Pending);
    rig.hold(True, False, 1);
    assert_eq!(rig.phase(), Phase::Open);
}

#[test]
fn a_kind_that_is_off_never_opens() {
    let mut rig = Rig::new(Kind::OneSided);
    rig.hold(True, False, 100_000);
    assert_eq!(rig.phase(), Phase::Clear);
}

#[test]
fn each_further_incident_within_a_day_doubles_resolve_after_up_to_an_hour() {
    let mut rig = Rig::new(Kind::Outage);
    let mut took = Vec::new();
    for _ in 0..6 {
        rig.hold(True, False, 30);
        let healthy_since = rig.now.mono;
        rig.step(False, True);
        let at = rig.watch.deadline(&RULES, rig.grace_until, Moment::ORIGIN).unwrap();
        took.push(at.since(healthy_since).as_secs());
        assert!(rig.hold(False, True, 3600).is_some());
    }
    assert_eq!(took, [300, 600, 1200, 2400, 3600, 3600]);
    rig.hold(False, True, 22 * 3600);
    rig.hold(True, False, 30);
    rig.step(False, True);
    let at = rig.watch.deadline(&RULES, rig.grace_until, Moment::ORIGIN).unwrap();
    assert!(at.since(rig.now.mono).as_secs() > 300, "the last one was less than a day ago");
    assert!(rig.hold(False, True, 3600).is_some());
    rig.hold(False, True, 24 * 3600 + 1);
    rig.hold(True, False, 30);
    rig.step(False, True);
    let at = rig.watch.deadline(&RULES, rig.grace_until, Moment::ORIGIN).unwrap();
    assert_eq!(at.since(rig.now.mono).as_secs(), 300);
}

#[test]
fn an_incident_of_an_earlier_run_goes_on_and_clears_from_zero() {
    let mut first = Rig::new(Kind::Outage);
    first.hold(True, False, 30);
    first.hold(False, True, 299);
    let incident = Arc::clone(first.watch.incident().unwrap());
    let mut second = Rig::new(Kind::Outage);
    second.watch = KindWatch::new(VpnId::new("vpn-1").into(), Kind::Outage, Some(incident), VecDeque::new());
    assert!(second.hold(False, True, 299).is_none());
    let over = second.hold(False, True, 1).unwrap();
    assert_eq!(over.id.opened, Stamp::from_secs(30));
}

#[test]
fn a_connection_that_is_no_longer_watched_leaves_its_incident_unresolved() {
    let mut rig = Rig::new(Kind::Outage);
    rig.hold(True, False, 30);
    let incident = rig.watch.unwatch(rig.now, &mut rig.fx).unwrap();
    assert_eq!(incident.state, IncidentState::Unwatched { at: Stamp::from_secs(30) });
    assert_eq!(incident.timeline.last().unwrap().what, TimelineChange::Unwatched);
}

#[test]
fn a_returning_condition_reopens_even_if_the_closing_condition_is_unknown() {
    let mut rig = Rig::new(Kind::Outage);
    rig.hold(True, False, 30);
    rig.hold(False, True, 200);
    rig.hold(True, Unknown, 1);
    assert_eq!(rig.phase(), Phase::Open);
    assert!(rig.hold(False, True, 299).is_none());
}

#[test]
fn a_hold_up_counts_neither_for_the_condition_nor_against_it() {
    let mut rig = Rig::new(Kind::Outage);
    let night = Duration::from_secs(8 * 3600);
    rig.hold(True, False, 20);
    rig.now = rig.now.after(night);
    rig.watch.held_up(night);
    rig.step(True, False);
    assert_eq!(rig.phase(), Phase::Pending);
    rig.hold(True, False, 10);
    assert_eq!(rig.phase(), Phase::Open);
    rig.hold(False, True, 200);
    rig.now = rig.now.after(night);
    rig.watch.held_up(night);
    assert!(rig.hold(False, True, 99).is_none());
    assert!(rig.hold(False, True, 1).is_some());
}
