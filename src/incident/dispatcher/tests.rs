use crate::incident::action::{SinkAction, SinkEvent};
use crate::incident::outbox::Machine as _;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::Value;

use super::super::action::ActionKind;
use super::super::message::{Change, Message};
use super::super::reconcile::world::{
    Dice, SILENCED, assessed, parent, parent_story, secs, settings, snapshot, story, tunnel, vpn, withheld,
};
use super::super::sink::{LedgerError, SinkError};
use super::*;
use crate::domain::board::{Incident, TimelineChange, Withheld};
use crate::domain::carrying::Carrying;
use crate::domain::names::{End, Kind, SinkId};
use crate::domain::scope::ParentKind;
use crate::domain::story::{Scene, Story};
use crate::domain::verdict::Assessment;
use crate::health::Severity;

/// How the line fails, in percent of the deliveries.
#[derive(Debug, Clone, Copy, Default)]
struct Faults {
    /// The sink does not take it, for now.
    refused: u64,
    /// … until a person acts.
    rejected: u64,
    /// The sink takes it, and its answer is lost.
    lost: u64,
    /// There is no answer at all, and the sink may have taken it.
    silent: u64,
    /// The ledger does not write.
    ledger: u64,
    /// The sink refuses what neither opens, worsens nor ends anything: its template has no case for that, say.
    picky: bool,
}

/// A message as it arrived.
#[derive(Debug, Clone)]
struct Arrived {
    at: Moment,
    message: Arc<Message>,
}

struct World {
    now: Now,
    dispatcher: MessageDispatcher,
    settings: MessageSettings,
    stories: Vec<Story>,
    withheld: Option<Withheld>,
    ledger: BTreeMap<(IncidentId, u32), LedgerRow>,
    arrived: Vec<Arrived>,
    settled: Vec<IncidentId>,
    /// How often a message was tried.
    tried: u32,
    faults: Faults,
    dice: Dice,
    /// It crashes when so many more actions have been executed, before the answer is heard.
    fuse: Option<u32>,
}

impl World {
    fn new(repeat_every: Option<Duration>) -> Self {
        let settings = MessageSettings { rules: settings("milan-1"), repeat_every };
        let now = Now::default().after(secs(1_000_000));
        Self {
            now,
            dispatcher: MessageDispatcher::new(settings.clone(), Vec::new(), now),
            settings,
            stories: Vec::new(),
            withheld: None,
            ledger: BTreeMap::new(),
            arrived: Vec::new(),
            settled: Vec::new(),
            tried: 0,
            faults: Faults::default(),
            dice: Dice(7),
            fuse: None,
        }
    }

    fn show(&mut self) {
        let mut incidents: Vec<Arc<Incident>> =
            self.stories.iter().map(|story| story.incident().clone()).collect();
        incidents.sort_by(|a, b| a.id.cmp(&b.id));
        let board = Arc::new(Board { incidents, ..Board::default() });
        self.dispatcher.handle(SinkEvent::Board(board), self.now);
        self.work();
    }

    fn work(&mut self) {
        while let Some(SinkAction { id, work }) = self.dispatcher.poll_action() {
            let result = self.execute(work);
            if let Some(fuse) = &mut self.fuse {
                *fuse = fuse.saturating_sub(1);
                if *fuse == 0 {
                    return self.crash();
                }
            }
            if let Some(result) = result {
                self.dispatcher.handle(SinkEvent::Ended { id, result }, self.now);
            }
        }
        let settled: Vec<IncidentId> =
            std::iter::from_fn(|| self.dispatcher.poll_settled()).map(|settled| settled.incident).collect();
        if !settled.is_empty() {
            self.stories.retain(|story| !settled.contains(&story.incident().id));
            self.settled.extend(settled);
            self.show();
        }
    }

    fn execute(&mut self, work: Work<Arc<Message>>) -> Option<Result<Reply, ActionFailure>> {
        let roll = self.dice.roll(100);
        let Faults { refused, rejected, lost, silent, ledger, picky } = self.faults;
        let failed = |what: &str, rejected: bool| {
            let (what, source) = (what.to_owned(), None);
            let error = if rejected {
                SinkError::Rejected { what, source }
            } else {
                SinkError::Temporary { what, retry_after: None, source }
            };
            Some(Err(ActionFailure::Sink(error)))
        };
        match work {
            Work::Call(message) => {
                self.tried += 1;
                let arrived = Arrived { at: self.now.mono, message };
                if roll < refused {
                    return failed("busy", false);
                }
                if roll < refused + rejected || picky && matches!(arrived.message.change, Updated | Repeated)
                {
                    return failed("not so", true);
                }
                if roll < refused + rejected + lost {
                    self.arrived.push(arrived);
                    return failed("reset", false);
                }
                if roll < refused + rejected + lost + silent {
                    if roll.is_multiple_of(2) {
                        self.arrived.push(arrived);
                    }
                    return None;
                }
                self.arrived.push(arrived);
            }
            Work::Commit { .. } | Work::Forget { .. } if roll < ledger => {
                return Some(Err(ActionFailure::Ledger(LedgerError { what: "disk full".into() })));
            }
            Work::Commit { row } => {
                self.ledger.insert((row.incident.clone(), row.generation), *row);
            }
            Work::Forget { incident } => self.ledger.retain(|(id, _), _| *id != incident),
        }
        Some(Ok(Reply::Done))
    }

    fn crash(&mut self) {
        self.fuse = None;
        let rows = self.ledger.values().cloned().collect();
        self.dispatcher = MessageDispatcher::new(self.settings.clone(), rows, self.now);
        self.show();
    }

    fn pass(&mut self, by: Duration) {
        let end = self.now.mono + by;
        while let Some((at, _)) = self.dispatcher.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.after(at.since(self.now.mono));
            self.dispatcher.handle_timeout(self.now);
            self.work();
        }
        self.now = self.now.after(end.since(self.now.mono));
    }

    fn open(&mut self) {
        let now = self.now;
        self.stories.push(story("milan-1", Kind::Outage, None, now));
        self.withhold(self.withheld.clone());
    }

    /// The core withholds what is open and what is to come, or releases what is still down.
    fn withhold(&mut self, by: Option<Withheld>) {
        let at = self.now.wall;
        for story in &mut self.stories {
            let incident = story.incident();
            let is_child = incident.id.scope.vpn().is_some() && incident.state == IncidentState::Open;
            if is_child && incident.withheld != by {
                *story = withheld(story, by.clone(), at);
            }
        }
        self.withheld = by;
        self.show();
    }

    fn add(&mut self, change: TimelineChange) {
        let at = self.now.wall;
        let open = |story: &&mut Story| story.incident().state == IncidentState::Open;
        let Some(story) = self.stories.iter_mut().rfind(open) else { return };
        if change == TimelineChange::Resolved {
            story.set_state(IncidentState::Resolved { at });
        } else if change == TimelineChange::HandedOver {
            story.set_state(IncidentState::Unwatched { at });
        }
        story.add(change, at);
        self.show();
    }

    fn assess(&mut self, last: u8, assessment: Assessment) {
        let (name, carrying) = ("tunnel".into(), Carrying::of(assessment));
        self.add(TimelineChange::Assessment { tunnel: tunnel(last), name, assessment, carrying });
    }

    fn changes(&self) -> Vec<Change> {
        self.arrived.iter().map(|arrived| arrived.message.change).collect()
    }
}

use Change::{Opened, Repeated, Resolved, Unwatched, Updated, Worsened};

#[test]
fn an_incident_is_sent_when_it_opens_changes_and_ends_and_never_after() {
    let mut world = World::new(None);
    world.open();
    assert_eq!(world.changes(), [Opened]);
    world.pass(secs(600));
    world.add(TimelineChange::Clearing);
    world.pass(secs(600));
    world.add(TimelineChange::Resolved);
    world.pass(secs(86_400));
    assert_eq!(world.changes(), [Opened, Updated, Resolved]);
    assert_eq!(world.settled.len(), 1);
    assert!(world.ledger.is_empty(), "what is over is forgotten: {:?}", world.ledger);

    let [opened, updated, resolved] = [0, 1, 2].map(|index| &world.arrived[index].message);
    assert_eq!(opened.key, format!("bothends/{}/outage", vpn()));
    assert!(opened.key == updated.key && updated.key == resolved.key);
    assert!(
        opened.title.contains("Milan DC, primary") && opened.title.contains("outage"),
        "{}",
        opened.title
    );
    assert!(resolved.title.starts_with("RESOLVED "), "{}", resolved.title);
    for expected in ["No traffic flows", "https://wiki.example/vpn", "Ring the carrier first."] {
        assert!(opened.text.contains(expected), "{expected:?} is missing in {}", opened.text);
    }
    assert!(updated.text.contains("clearing") && !opened.text.contains("clearing"), "{}", updated.text);
    assert_eq!(opened.data["severity"], "critical");
    assert_eq!(opened.data["tunnels"][1]["stands"]["local"], "down");
    assert_eq!(resolved.data["timeline"].as_array().unwrap().len(), 3);
    assert!(resolved.data["resolved"].is_string() && opened.data["resolved"] == Value::Null);
}

#[test]
fn a_worsening_is_sent_at_once_and_flapping_is_combined() {
    let mut world = World::new(None);
    world.open();
    for _ in 0..10 {
        world.add(TimelineChange::Clearing);
        world.pass(secs(1));
        world.add(TimelineChange::Reopened);
        world.pass(secs(1));
    }
    // The first change after the opening is sent at once, and the rest of the minute is gathered.
    assert_eq!(world.changes(), [Opened, Updated]);
    world.assess(12, Assessment::Healthy);
    world.assess(12, Assessment::Down);
    assert_eq!(world.changes(), [Opened, Updated, Worsened]);
    world.add(TimelineChange::Clearing);
    world.pass(secs(59));
    assert_eq!(world.changes(), [Opened, Updated, Worsened]);
    world.pass(secs(1));
    assert_eq!(world.changes(), [Opened, Updated, Worsened, Updated]);
}

#[test]
fn a_verdict_of_one_end_alone_is_no_message() {
    let mut world = World::new(None);
    world.open();
    let (end, verdict) = (crate::domain::names::End::Local, crate::domain::verdict::Verdict::Up);
    let view = TimelineChange::View { tunnel: tunnel(12), name: "tunnel".into(), end, verdict, as_of: None };
    world.add(view);
    world.pass(secs(600));
    assert_eq!(world.changes(), [Opened]);
}

#[test]
fn what_is_open_is_repeated_for_whom_silence_is_an_end() {
    let mut world = World::new(Some(secs(60)));
    world.open();
    world.pass(secs(180));
    assert_eq!(world.changes(), [Opened, Repeated, Repeated, Repeated]);
    world.crash();
    assert_eq!(world.changes().len(), 5, "at once after a start");
    world.add(TimelineChange::Resolved);
    world.pass(secs(600));
    assert_eq!(world.changes()[5..], [Resolved]);
}

#[test]
fn one_refusal_of_a_repetition_costs_one_repetition() {
    let mut world = World::new(Some(secs(60)));
    world.open();
    world.faults.rejected = 100;
    world.pass(secs(61));
    world.faults.rejected = 0;
    world.pass(secs(240));
    let told: Vec<_> = world.arrived.iter().map(|arrived| arrived.at).collect();
    // Five repetitions after the last word a vendor takes it for over.
    assert!(world.changes().len() >= 4, "{:?}", world.changes());
    assert!(told.windows(2).all(|pair| pair[1].since(pair[0]) <= secs(2 * 60)), "{told:?}");
}

#[test]
fn a_restart_that_comes_to_the_same_verdicts_sends_no_message() {
    let mut world = World::new(None);
    world.open();
    world.add(assessed(11, Assessment::Disputed(End::Aws)));
    world.pass(secs(90));
    assert_eq!(world.changes(), [Opened, Updated]);
    for _ in 0..3 {
        world.crash();
        world.add(assessed(11, Assessment::Blind));
        world.pass(secs(20));
        world.add(assessed(11, Assessment::Unconfirmed(End::Aws)));
        world.pass(secs(20));
        world.add(assessed(11, Assessment::Disputed(End::Aws)));
        world.pass(secs(300));
        assert_eq!(world.changes(), [Opened, Updated]);
    }
    world.crash();
    world.add(assessed(11, Assessment::Unconfirmed(End::Aws)));
    world.pass(secs(90));
    assert_eq!(world.changes(), [Opened, Updated, Updated], "another verdict than before is a change");
    world.add(TimelineChange::Clearing);
    world.pass(secs(90));
    assert_eq!(world.changes(), [Opened, Updated, Updated, Updated]);
    world.add(TimelineChange::Reopened);
    world.pass(secs(90));
    assert_eq!(world.changes().len(), 5);
}

#[test]
fn a_rejected_end_is_retried_within_30_seconds_and_not_continuously() {
    let mut world = World::new(Some(secs(60)));
    world.open();
    world.faults.rejected = 100;
    world.add(TimelineChange::Resolved);
    world.pass(secs(600));
    let before = world.tried;
    world.pass(secs(300));
    let tries = world.tried - before;
    assert!((10..=20).contains(&tries), "{tries} tries in five minutes");
    world.faults.rejected = 0;
    world.pass(secs(31));
    assert_eq!(world.changes(), [Opened, Resolved]);
}

#[test]
fn a_lost_answer_is_followed_by_the_same_message_under_the_same_name() {
    let mut world = World::new(None);
    world.faults.lost = 100;
    world.open();
    world.add(TimelineChange::Clearing);
    world.faults.lost = 0;
    world.pass(secs(10));
    assert_eq!(world.changes(), [Opened, Opened, Updated]);
    assert_eq!(world.arrived[0].message, world.arrived[1].message);
}

#[test]
fn a_restart_sends_nothing_twice() {
    let mut world = World::new(None);
    world.open();
    world.crash();
    world.pass(secs(600));
    world.add(TimelineChange::Clearing);
    world.pass(secs(600));
    world.crash();
    world.pass(secs(600));
    assert_eq!(world.changes(), [Opened, Updated]);
}

#[test]
fn a_worsening_while_the_opening_may_have_been_sent_is_sent_after_the_restart() {
    let mut world = World::new(None);
    world.faults.lost = 100;
    world.open();
    world.assess(12, Assessment::Healthy);
    world.assess(12, Assessment::Down);
    world.faults.lost = 0;
    world.crash();
    assert_eq!(world.changes(), [Opened, Opened, Worsened]);
    assert_eq!(world.arrived[0].message.id, world.arrived[1].message.id);
}

#[test]
fn a_rejection_is_a_problem_and_does_not_delay_the_end() {
    let mut world = World::new(None);
    world.open();
    world.pass(secs(60));
    world.faults.rejected = 100;
    world.add(TimelineChange::Clearing);
    world.pass(secs(3600));
    let problem = world.dispatcher.problem().unwrap();
    assert_eq!((problem.severity, problem.text.as_str()), (Severity::Failed, "sending: not so"));
    world.faults.rejected = 0;
    world.add(TimelineChange::Resolved);
    world.pass(secs(300));
    assert_eq!(world.changes(), [Opened, Resolved]);
    assert!(world.arrived[1].message.text.contains("clearing"), "the end tells what was missed");
    assert_eq!(world.dispatcher.problem(), None);
}

#[test]
fn a_rejected_change_does_not_delay_a_worsening() {
    let mut world = World::new(None);
    world.open();
    world.pass(secs(60));
    world.faults.picky = true;
    world.add(TimelineChange::Clearing);
    world.pass(secs(10));
    assert_eq!(world.dispatcher.problem().unwrap().severity, Severity::Failed);
    world.assess(12, Assessment::Healthy);
    world.assess(12, Assessment::Down);
    assert_eq!(world.changes(), [Opened, Worsened], "at once");
    assert!(world.arrived[1].message.text.contains("clearing"), "it tells what was missed");
    assert_eq!(world.dispatcher.problem(), None);
}

#[test]
fn a_rejected_worsening_does_not_delay_the_next_and_stays_a_problem_until_one_is_delivered() {
    let mut world = World::new(None);
    world.open();
    world.faults.rejected = 100;
    for _ in 0..2 {
        world.assess(12, Assessment::Healthy);
        world.assess(12, Assessment::Down);
        world.pass(secs(10));
        assert_eq!(world.dispatcher.problem().unwrap().severity, Severity::Failed);
    }
    assert_eq!(world.changes(), [Opened]);
    world.faults.rejected = 0;
    world.assess(12, Assessment::Healthy);
    world.assess(12, Assessment::Down);
    assert_eq!(world.changes(), [Opened, Worsened]);
    assert_eq!(world.arrived[1].message.worsened, 3, "one message tells all of it");
    assert_eq!(world.dispatcher.problem(), None);
}

#[test]
fn what_worsens_waits_as_long_as_a_busy_sink_asks() {
    let mut world = World::new(None);
    world.open();
    world.pass(secs(60));
    world.faults.refused = 100;
    world.add(TimelineChange::Clearing);
    world.faults.refused = 0;
    world.assess(12, Assessment::Healthy);
    world.assess(12, Assessment::Down);
    assert_eq!(world.changes(), [Opened], "it has been told to wait, and that holds for every message");
    world.pass(secs(2));
    assert_eq!(world.changes(), [Opened, Worsened], "and the change goes with it");
}

#[test]
fn a_later_incident_waits_for_the_end_of_the_one_before() {
    let mut world = World::new(None);
    world.open();
    world.faults.refused = 100;
    world.pass(secs(60));
    world.add(TimelineChange::Resolved);
    world.pass(secs(600));
    world.faults.refused = 0;
    world.open();
    assert_eq!(world.changes(), [Opened], "the sink works again, and the end is to be tried first");
    world.pass(secs(120));
    assert_eq!(world.changes(), [Opened, Resolved, Opened]);
}

#[test]
fn an_end_that_is_rejected_or_whose_opening_was_never_sent_gives_way() {
    for told in [true, false] {
        let mut world = World::new(None);
        world.faults.refused = if told { 0 } else { 100 };
        world.open();
        world.faults = Faults { rejected: 100, ..Faults::default() };
        world.pass(secs(60));
        world.add(TimelineChange::Resolved);
        world.pass(secs(400));
        world.faults.rejected = 0;
        world.open();
        world.pass(secs(1));
        assert_eq!(world.changes(), if told { vec![Opened, Opened] } else { vec![Opened] }, "told: {told}");
        assert_eq!(world.dispatcher.poll_notices().len(), if told { 3 } else { 1 });
        assert_eq!(world.settled.len(), 1);
    }
}

#[test]
fn what_was_only_found_elsewhere_is_not_sent_until_it_is_seen() {
    let mut world = World::new(Some(secs(60)));
    let tunnels = vec![snapshot(11, world.now), snapshot(12, world.now)];
    let scene =
        Scene { site: "milan-1".into(), name: "Milan".into(), tunnels, children: Vec::new(), related: None };
    let (at, other) = (world.now.wall, SinkId::new("ops_center"));
    world.stories.push(Story::adopt(vpn().into(), Kind::Outage, scene, other, at - secs(600), at));
    world.show();
    world.pass(secs(600));
    assert_eq!(world.changes(), []);
    let now = world.now.wall;
    world.stories[0].confirm(now);
    world.show();
    world.add(TimelineChange::Resolved);
    world.pass(secs(1));
    assert_eq!(world.changes(), [Opened, Resolved]);
}

#[test]
fn an_unwatched_incident_is_reported_as_such_and_one_adopted_again_is_sent_again() {
    let mut world = World::new(Some(secs(60)));
    world.open();
    let again = world.stories[0].incident().clone();
    world.add(TimelineChange::HandedOver);
    world.pass(secs(3600));
    assert_eq!(world.changes(), [Opened, Unwatched], "and not repeated");
    world.stories.push(Story::resume(again));
    world.show();
    assert_eq!(world.changes(), [Opened, Unwatched, Opened]);
    assert_eq!(world.arrived[2].message.change, Opened);
}

#[test]
fn a_ledger_that_cannot_be_written_holds_up_no_page() {
    let mut world = World::new(None);
    world.faults.ledger = 100;
    world.open();
    assert_eq!(world.changes(), [Opened]);
    world.pass(secs(3600));
    assert_eq!(world.changes(), [Opened]);
    let problem = world.dispatcher.problem().unwrap();
    assert_eq!(problem.severity, Severity::Degraded, "{problem:?}");
    assert!(problem.text.contains(ActionKind::Commit.doing()), "{problem:?}");
}

#[test]
fn what_is_withheld_is_sent_at_its_release_and_says_since_when_and_until_when() {
    let mut world = World::new(Some(secs(60)));
    world.withhold(Some(SILENCED));
    world.open();
    world.pass(secs(7200));
    assert_eq!((world.changes(), world.dispatcher.pending(), world.ledger.len()), (vec![], 0, 0));
    world.crash();
    let released = world.now.mono;
    world.withhold(None);
    let [opened] = world.arrived.as_slice() else { panic!("{:?}", world.arrived) };
    assert_eq!((opened.message.change, opened.at), (Opened, released));
    assert!(opened.message.text.contains("Not sent until "), "{}", opened.message.text);
    world.add(TimelineChange::Resolved);
    assert_eq!(world.changes(), [Opened, Resolved]);
}

#[test]
fn what_ends_withheld_is_settled_without_a_message_or_a_row() {
    let mut world = World::new(None);
    world.withhold(Some(SILENCED));
    world.open();
    world.pass(secs(600));
    world.add(TimelineChange::Resolved);
    world.pass(secs(600));
    assert_eq!((world.changes(), world.settled.len(), world.stories.len()), (vec![], 1, 0));
    assert_eq!((world.ledger.len(), world.tried), (0, 0));
}

#[test]
fn what_was_sent_before_it_was_withheld_goes_on() {
    let mut world = World::new(None);
    world.open();
    world.withhold(Some(SILENCED));
    world.crash();
    world.assess(12, Assessment::Healthy);
    world.assess(12, Assessment::Down);
    world.pass(secs(600));
    world.add(TimelineChange::Resolved);
    assert_eq!(
        world.changes().iter().filter(|change| **change != Updated).collect::<Vec<_>>(),
        [&Opened, &Worsened, &Resolved]
    );
}

#[test]
fn a_parent_is_sent_with_its_connections_as_they_come_and_go_and_they_are_not() {
    let mut world = World::new(None);
    world.withhold(Some(Withheld::Explained(parent(ParentKind::Uplink))));
    world.stories.push(parent_story(ParentKind::Uplink, Kind::Outage, world.now));
    world.open();
    assert_eq!(world.changes(), [Opened]);
    assert_eq!(world.arrived[0].message.key, "bothends/uplink/milan-1/wan1/outage");
    let (down, back) = (Vec::new(), vec!["Milan DC, secondary".into()]);
    world.stories[0].add(TimelineChange::Children { down, back, troubled: 1, of: 2 }, world.now.wall);
    world.show();
    world.pass(secs(61));
    assert_eq!(world.changes(), [Opened, Updated]);
    // The parent's incident ends in the same moment as the connection is released.
    let at = world.now.wall;
    world.stories[0].set_state(IncidentState::Resolved { at });
    world.stories[0].add(TimelineChange::Resolved, at);
    world.withhold(None);
    let keys: Vec<_> =
        world.arrived.iter().map(|arrived| (arrived.message.change, &*arrived.message.key)).collect();
    let (uplink, connection) = ("bothends/uplink/milan-1/wan1/outage", format!("bothends/{}/outage", vpn()));
    assert!(keys.contains(&(Resolved, uplink)) && keys.contains(&(Opened, &connection)), "{keys:?}");
    assert_eq!(keys.len(), 4);
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Open,
    Clearing,
    Reopened,
    Worsen,
    Resolve,
    Crash,
    CrashSoon(u32),
    Withhold,
    Release,
}

fn ops() -> impl Strategy<Value = Vec<(u64, Op)>> {
    let op = prop_oneof![
        4 => Just(Op::Open),
        2 => Just(Op::Clearing),
        2 => Just(Op::Reopened),
        2 => Just(Op::Worsen),
        3 => Just(Op::Resolve),
        1 => Just(Op::Crash),
        3 => (1..8_u32).prop_map(Op::CrashSoon),
        2 => Just(Op::Withhold),
        2 => Just(Op::Release),
    ];
    let gap = prop_oneof![3 => 0..20_u64, 2 => 20..400_u64, 1 => 400..5000_u64];
    proptest::collection::vec((gap, op), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn whatever_fails_each_incident_is_sent_completely_in_order_under_stable_ids(
        ops in ops(),
        seed in any::<u64>(),
        trouble in any::<bool>(),
        rejects in any::<bool>(),
        repeats in any::<bool>(),
    ) {
        play(&ops, seed, trouble, rejects, repeats)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn where_every_lesser_change_is_rejected_a_worsening_is_sent_in_the_same_instant(
        ops in ops(),
        repeats in any::<bool>(),
    ) {
        let mut world = World::new(repeats.then_some(secs(60)));
        world.faults.picky = true;
        for (gap, op) in ops {
            world.pass(secs(gap));
            let open = world.stories.iter().any(|story| story.incident().state == IncidentState::Open);
            match op {
                Op::Open if !open => {
                    world.pass(secs(1));
                    world.open();
                }
                Op::Open => {}
                Op::Clearing => world.add(TimelineChange::Clearing),
                Op::Reopened => world.add(TimelineChange::Reopened),
                Op::Worsen if open => {
                    world.assess(12, Assessment::Healthy);
                    world.assess(12, Assessment::Down);
                    let (last, now) = (world.arrived.last().unwrap(), world.now.mono);
                    prop_assert_eq!((last.message.change, last.at), (Worsened, now));
                }
                Op::Worsen => {}
                Op::Resolve if open => {
                    world.add(TimelineChange::Resolved);
                    let (last, now) = (world.arrived.last().unwrap(), world.now.mono);
                    prop_assert_eq!((last.message.change, last.at), (Resolved, now));
                }
                Op::Resolve => {}
                Op::Crash | Op::CrashSoon(_) => world.crash(),
                Op::Withhold | Op::Release => {}
            }
        }
    }
}

/// Plays it, and holds what arrived to the promises.
fn play(
    ops: &[(u64, Op)],
    seed: u64,
    trouble: bool,
    rejects: bool,
    repeats: bool,
) -> Result<(), TestCaseError> {
    let mut world = World::new(repeats.then_some(secs(60)));
    world.dice = Dice(seed);
    if trouble {
        world.faults = Faults {
            refused: 20,
            rejected: if rejects { 10 } else { 0 },
            lost: 15,
            silent: 5,
            ledger: 10,
            picky: false,
        };
    }
    let mut crashed = false;
    let mut all: BTreeMap<IncidentId, Arc<Incident>> = BTreeMap::new();
    for (gap, op) in ops {
        world.pass(secs(*gap));
        let open = world.stories.iter().any(|story| story.incident().state == IncidentState::Open);
        match op {
            Op::Open if !open => {
                // Two incidents of one kind do not begin in the same instant.
                world.pass(secs(1));
                world.open();
            }
            Op::Clearing => world.add(TimelineChange::Clearing),
            Op::Reopened => world.add(TimelineChange::Reopened),
            Op::Worsen => {
                world.assess(12, Assessment::Healthy);
                world.assess(12, Assessment::Down);
            }
            Op::Resolve => world.add(TimelineChange::Resolved),
            Op::Crash => {
                crashed = true;
                world.crash();
            }
            Op::CrashSoon(actions) => {
                crashed = true;
                world.fuse = Some(*actions);
            }
            Op::Open => {}
            Op::Withhold => world.withhold(Some(SILENCED)),
            Op::Release => world.withhold(None),
        }
        for story in &world.stories {
            all.insert(story.incident().id.clone(), story.incident().clone());
        }
    }
    world.faults = Faults::default();
    world.fuse = None;
    world.withhold(None);
    world.pass(secs(400));
    world.add(TimelineChange::Resolved);
    for story in &world.stories {
        all.insert(story.incident().id.clone(), story.incident().clone());
    }
    world.pass(secs(1200));

    prop_assert!(world.stories.is_empty(), "everything is settled");
    let newest = all.keys().map(|id| id.opened).max();
    for (id, incident) in &all {
        let of = |arrived: &&Arrived| arrived.message.data["incident"] == id.to_string();
        let told: Vec<&Arrived> = world.arrived.iter().filter(of).collect();
        let names = |change: Change| {
            let names = told.iter().filter(|arrived| arrived.message.change == change);
            names.map(|arrived| &arrived.message.id).collect::<std::collections::BTreeSet<_>>().len()
        };
        let last = Some(id.opened) == newest;
        // Before what withheld it was over it was over itself; or its opening had been written down before.
        let withheld = incident.withheld.is_some() && told.is_empty();
        if withheld {
            continue;
        }
        prop_assert!(names(Opened) == 1 || (trouble && !last && names(Opened) == 0), "{told:?}");
        prop_assert!(names(Resolved) == 1 || (trouble && !last && names(Resolved) == 0), "{told:?}");
        if names(Resolved) == 0 {
            continue;
        }
        // In order: openings, then changes, then the end.
        let rank = |change: Change| match change {
            Opened => 0,
            Worsened | Updated | Repeated => 1,
            Resolved | Unwatched => 2,
        };
        // As a receiver has it that drops what it has seen: what a crash makes come again is told by the id that it had.
        let mut seen = std::collections::BTreeSet::new();
        let first: Vec<_> = told.iter().filter(|arrived| seen.insert(&arrived.message.id)).collect();
        prop_assert!(first.is_sorted_by_key(|arrived| rank(arrived.message.change)), "{told:?}");
        // Wholly: whatever happened is in a message's words.
        let words: String = told.iter().map(|arrived| arrived.message.text.as_str()).collect();
        for entry in incident.timeline.iter().filter(|entry| is_news(&entry.what)) {
            let at = super::super::wording::when(entry.at);
            prop_assert!(words.contains(&at), "{entry:?} is not told in {words}");
        }
        if !trouble && !crashed {
            let mut ids: Vec<_> = told.iter().map(|arrived| (arrived.at, &arrived.message.id)).collect();
            let before = ids.len();
            ids.dedup_by_key(|(_, id)| *id);
            prop_assert_eq!(before, ids.len(), "nothing is told twice");
        }
    }
    Ok(())
}

#[test]
fn an_opening_that_was_not_written_down_before_a_crash_comes_again_by_its_id_after_what_worsened() {
    use Op::{Clearing, Crash, CrashSoon, Open, Resolve, Worsen};
    let ops = [
        (0, Open),
        (0, Clearing),
        (0, Crash),
        (60, Resolve),
        (0, Crash),
        (0, CrashSoon(6)),
        (0, Open),
        (0, Worsen),
        (300, Open),
    ];
    play(&ops, 5_823_893_813_887_749_246, true, false, false).unwrap();
}
