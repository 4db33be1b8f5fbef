//! The check under a made-up line: a function says what becomes of each echo, and virtual time runs from timeout to
//! timeout.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::domain::names::{CheckKind, TunnelId, VpnId};
use crate::domain::plan::{OwnEnd, RouteKey};
use crate::domain::request::EchoRequest;

mod exercise;
mod recovery;

/// What becomes of an echo.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Reply(Duration),
    Lost,
    Fails(AskFailure),
    /// The adapter never says what became of it.
    Vanishes,
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const SECOND: Duration = Duration::from_secs(1);

fn rules() -> ProbeRules {
    ProbeRules {
        interval: SECOND,
        suspect_interval: millis(200),
        timeout: SECOND,
        down_after: NonZeroU32::new(10).unwrap(),
        up_after: NonZeroU32::new(5).unwrap(),
    }
}

/// A check, its line, and the time.
struct Rig {
    check: Check,
    fx: Effects,
    now: Now,
    replies: BTreeMap<(Moment, EchoId), Duration>,
    asked: u64,
    verdicts: Vec<(Moment, Verdict)>,
    clients: Vec<ClientId>,
    outcomes: Vec<Outcome>,
}

impl Rig {
    fn new(rules: ProbeRules, seen_up: bool) -> Self {
        Self::after(rules, Before { answered: seen_up, held: false })
    }

    fn after(rules: ProbeRules, before: Before) -> Self {
        let mut fx = Effects::default();
        let now = Now::default();
        let id = CheckId {
            tunnel: TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, 11].into() },
            kind: CheckKind::Inside,
        };
        let route = Arc::new(Route {
            inside_ip: [169, 254, 10, 1].into(),
            source_ip: [169, 254, 10, 2].into(),
            interface: None,
            fwmark: None,
        });
        let check = Check::new(id, route, rules, Moment::ORIGIN, before, now, &mut fx);
        Self {
            check,
            fx,
            now,
            replies: BTreeMap::new(),
            asked: 0,
            verdicts: Vec::new(),
            clients: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    /// A rig whose check is Up and calm at 20 ms.
    fn calm() -> Self {
        let mut rig = Self::new(rules(), false);
        rig.run(40 * SECOND, |_, _| Fate::Reply(millis(20)));
        assert_eq!(rig.check.verdict(), Verdict::Up);
        assert!(!rig.check.is_suspect());
        rig
    }

    /// Lets `duration` pass; `line` says what becomes of each echo, by its number and client.
    fn run(&mut self, duration: Duration, mut line: impl FnMut(u64, ClientId) -> Fate) {
        let end = self.now.mono + duration;
        loop {
            let reply = self.replies.first_key_value().map(|((at, _), _)| *at);
            let timeout = self.check.next_timeout();
            let next = reply.map_or(timeout, |reply| reply.min(timeout)).max(self.now.mono);
            if next > end {
                break;
            }
            self.now = self.now.after(next.since(self.now.mono));
            if reply.is_some_and(|reply| reply <= next) {
                let ((_, echo), rtt) = self.replies.pop_first().unwrap();
                self.check.replied(echo, rtt, self.now, &mut self.fx);
            } else {
                self.check.handle_timeout(self.now, &mut self.fx);
                assert!(self.check.next_timeout() > self.now.mono, "it would be called for ever");
            }
            self.execute(&mut line);
        }
        self.now = self.now.after(end.since(self.now.mono));
    }

    fn execute(&mut self, line: &mut impl FnMut(u64, ClientId) -> Fate) {
        while let Some(request) = self.fx.requests.pop_front() {
            let Request::Echo(EchoRequest { echo, client, .. }) = request else { continue };
            self.asked += 1;
            self.clients.push(client);
            match line(self.asked, client) {
                Fate::Reply(rtt) => {
                    self.check.sent(echo, self.now.mono);
                    self.replies.insert((self.now.mono + rtt, echo), rtt);
                }
                Fate::Lost => self.check.sent(echo, self.now.mono),
                Fate::Fails(failure) => self.check.failed(echo, failure, self.now, &mut self.fx),
                Fate::Vanishes => {}
            }
        }
        self.outcomes.extend(self.fx.ended.drain(..).map(|(_, _, outcome)| outcome));
        self.fx.facts.clear();
        if self.verdicts.last().map(|(_, verdict)| *verdict) != Some(self.check.verdict()) {
            self.verdicts.push((self.now.mono, self.check.verdict()));
        }
    }

    fn was_ever(&self, verdict: Verdict) -> bool {
        self.verdicts.iter().any(|(_, seen)| *seen == verdict)
    }
}

#[test]
fn it_is_up_after_up_after_replies_and_calm_from_then_on() {
    let mut rig = Rig::new(rules(), false);
    rig.run(millis(1100), |_, _| Fate::Reply(millis(20)));
    assert_eq!(rig.check.verdict(), Verdict::Up);
    let asked = rig.asked;
    rig.run(10 * SECOND, |_, _| Fate::Reply(millis(20)));
    assert_eq!(rig.asked - asked, 10);
}

#[test]
fn a_dead_line_is_down_within_three_seconds_and_asked_every_interval_from_then_on() {
    let mut rig = Rig::calm();
    let cut = rig.now.mono;
    rig.run(3 * SECOND, |_, _| Fate::Lost);
    assert_eq!(rig.check.verdict(), Verdict::Down);
    let (down, _) = *rig.verdicts.last().unwrap();
    assert!(down.since(cut) >= rules().timeout, "the oldest overdue echo must be past the timeout");
    let asked = rig.asked;
    rig.run(10 * SECOND, |_, _| Fate::Lost);
    assert_eq!(rig.asked - asked, 10);
}

#[test]
fn down_needs_losses_on_both_clients() {
    let mut rig = Rig::calm();
    let first = *rig.clients.last().unwrap();
    rig.run(20 * SECOND, |_, client| if client == first { Fate::Lost } else { Fate::Reply(millis(20)) });
    assert!(!rig.was_ever(Verdict::Down));
    assert!(rig.clients.iter().any(|client| *client != first), "a suspect check asks on a second client");
}

#[test]
fn a_fresh_client_is_opened_at_most_every_thirty_seconds() {
    let mut rig = Rig::calm();
    rig.run(95 * SECOND, |_, _| Fate::Lost);
    let clients: std::collections::BTreeSet<ClientId> = rig.clients.iter().copied().collect();
    assert_eq!(clients.len(), 1 + 4, "one in calm, one at the suspicion, and one more after 30, 60 and 90 s");
}

#[test]
fn a_client_whose_socket_failed_is_replaced_at_once() {
    let mut rig = Rig::calm();
    let mut used = Vec::new();
    rig.run(10 * SECOND, |_, client| {
        used.push(client);
        Fate::Fails(AskFailure::Lost(Loss::NoPath))
    });
    let distinct: std::collections::BTreeSet<ClientId> = used.iter().copied().collect();
    assert_eq!(distinct.len(), used.len(), "no client is used again after an error");
    assert_eq!(rig.check.verdict(), Verdict::Down);
}

#[test]
fn a_check_that_was_never_answered_is_unknown_and_never_down() {
    let mut rig = Rig::new(rules(), false);
    rig.run(120 * SECOND, |_, _| Fate::Lost);
    assert_eq!(rig.check.verdict(), Verdict::Unknown(Why::NeverAnswered));
    assert!(!rig.was_ever(Verdict::Down));
}

#[test]
fn a_check_that_was_answered_in_an_earlier_run_may_be_down() {
    let mut rig = Rig::new(rules(), true);
    rig.run(10 * SECOND, |_, _| Fate::Lost);
    assert_eq!(rig.check.verdict(), Verdict::Down);
}

#[test]
fn the_first_reply_after_down_makes_it_suspect_and_up_after_replies_make_it_up() {
    let mut rig = Rig::calm();
    rig.run(10 * SECOND, |_, _| Fate::Lost);
    assert!(!rig.check.is_suspect());
    let mut answered = 0;
    rig.run(millis(1500), |_, _| {
        answered += 1;
        if answered == 1 { Fate::Reply(millis(20)) } else { Fate::Lost }
    });
    assert!(rig.check.is_suspect());
    assert_eq!(rig.check.verdict(), Verdict::Down);
    rig.run(5 * SECOND, |_, _| Fate::Reply(millis(20)));
    assert_eq!(rig.check.verdict(), Verdict::Up);
}

#[test]
fn a_late_reply_is_a_sign_of_life_and_counts_towards_up() {
    let mut rig = Rig::new(rules(), false);
    rig.run(30 * SECOND, |_, _| Fate::Reply(millis(1500)));
    assert_eq!(rig.check.verdict(), Verdict::Up);
    assert!(rig.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Late { .. })));
    assert_eq!(rig.check.evidence().median_rtt, None, "what is late is not usual");
}

#[test]
fn a_reply_three_seconds_after_the_timeout_comes_too_late() {
    let mut rig = Rig::calm();
    rig.outcomes.clear();
    rig.run(20 * SECOND, |_, _| Fate::Reply(millis(4001)));
    assert_eq!(rig.check.verdict(), Verdict::Down);
    assert!(rig.outcomes.contains(&Outcome::Lost(Loss::Timeout)));
    assert!(!rig.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Late { .. })));
}

#[test]
fn faults_alone_make_it_unknown_and_replies_make_it_up_again() {
    let mut rig = Rig::calm();
    rig.run(20 * SECOND, |_, _| Fate::Fails(AskFailure::Fault(Fault::NoMemory)));
    assert_eq!(rig.check.verdict(), Verdict::Unknown(Why::Fault(Fault::NoMemory)));
    assert!(!rig.was_ever(Verdict::Down));
    rig.run(5 * SECOND, |_, _| Fate::Reply(millis(20)));
    assert_eq!(rig.check.verdict(), Verdict::Up);
}

#[test]
fn losses_after_a_time_of_faults_are_down_again() {
    let mut rig = Rig::calm();
    rig.run(20 * SECOND, |_, _| Fate::Fails(AskFailure::Fault(Fault::NoMemory)));
    rig.run(20 * SECOND, |_, _| Fate::Lost);
    assert_eq!(rig.check.verdict(), Verdict::Down);
}

#[test]
fn a_dead_line_is_down_even_if_the_second_client_cannot_open() {
    let mut rig = Rig::calm();
    let first = *rig.clients.last().unwrap();
    rig.run(20 * SECOND, |_, client| {
        if client == first { Fate::Lost } else { Fate::Fails(AskFailure::Fault(Fault::TooManyFiles)) }
    });
    assert_eq!(rig.check.verdict(), Verdict::Down);
}

#[test]
fn a_missing_address_is_a_fault_until_a_socket_was_once_bound_and_a_loss_afterwards() {
    let mut rig = Rig::new(rules(), true);
    rig.run(20 * SECOND, |_, _| Fate::Fails(AskFailure::AddressMissing));
    assert_eq!(rig.check.verdict(), Verdict::Unknown(Why::Fault(Fault::AddressMissing)));
    rig.run(10 * SECOND, |_, _| Fate::Reply(millis(20)));
    rig.run(20 * SECOND, |_, _| Fate::Fails(AskFailure::AddressMissing));
    assert_eq!(rig.check.verdict(), Verdict::Down);
}

#[test]
fn a_missing_address_is_a_loss_where_an_earlier_run_was_answered_over_this_very_route() {
    let missing = |before| {
        let mut rig = Rig::after(rules(), before);
        rig.run(20 * SECOND, |_, _| Fate::Fails(AskFailure::AddressMissing));
        rig.check.verdict()
    };
    let fault = Verdict::Unknown(Why::Fault(Fault::AddressMissing));
    assert_eq!(missing(Before { answered: true, held: true }), Verdict::Down);
    assert_eq!(missing(Before { answered: true, held: false }), fault);
    assert_eq!(missing(Before::default()), fault);
}

#[test]
fn three_intervals_without_a_sent_or_ended_echo_are_unknown() {
    let mut rig = Rig::calm();
    rig.run(millis(500), |_, _| Fate::Reply(millis(20)));
    let ended = rig.check.last_activity;
    let rest = (ended + 3 * SECOND).since(rig.now.mono);
    rig.run(rest - millis(1), |_, _| Fate::Vanishes);
    assert_eq!(rig.check.verdict(), Verdict::Up);
    rig.run(millis(1), |_, _| Fate::Vanishes);
    assert_eq!(rig.check.verdict(), Verdict::Unknown(Why::Silent));
}

#[test]
fn echoes_in_flight_while_the_host_sleeps_are_no_evidence() {
    let mut rig = Rig::calm();
    rig.run(SECOND, |_, _| Fate::Lost);
    assert_eq!(rig.check.pending.len(), 1);
    rig.outcomes.clear();
    rig.now = rig.now.after(3600 * SECOND);
    rig.check.held_up(rig.now, &mut rig.fx);
    rig.check.handle_timeout(rig.now, &mut rig.fx);
    rig.execute(&mut |_, _| Fate::Reply(millis(20)));
    assert_eq!(rig.outcomes, [Outcome::Fault(Fault::HeldUp)]);
    assert_eq!(rig.check.verdict(), Verdict::Unknown(Why::Fault(Fault::HeldUp)));
}

#[test]
fn ticks_are_skipped_and_counted_after_a_gap_and_never_made_up_for() {
    let mut rig = Rig::calm();
    rig.now = rig.now.after(100 * SECOND);
    rig.fx.requests.clear();
    rig.check.handle_timeout(rig.now, &mut rig.fx);
    let echoes = rig.fx.requests.iter().filter(|request| matches!(request, Request::Echo(_))).count();
    assert_eq!(echoes, 1);
    assert!(rig.check.ticks_skipped() >= 98, "{}", rig.check.ticks_skipped());
}

#[test]
fn at_most_64_echoes_are_in_flight() {
    let fast =
        ProbeRules { interval: millis(100), suspect_interval: millis(50), timeout: 10 * SECOND, ..rules() };
    let mut rig = Rig::new(fast, true);
    let mut most = 0;
    for _ in 0..200 {
        rig.run(millis(50), |_, _| Fate::Lost);
        most = most.max(rig.check.pending.len());
    }
    assert_eq!(most, IN_FLIGHT_MAX);
}

#[test]
fn the_first_up_is_reported_once() {
    let mut rig = Rig::new(rules(), false);
    let mut reported = Vec::new();
    for _ in 0..10 {
        rig.now = rig.now.after(rig.check.next_timeout().since(rig.now.mono));
        rig.check.handle_timeout(rig.now, &mut rig.fx);
        while let Some(request) = rig.fx.requests.pop_front() {
            if let Request::Echo(request) = request {
                rig.check.sent(request.echo, rig.now.mono);
                rig.check.replied(request.echo, millis(1), rig.now, &mut rig.fx);
            }
        }
        reported.extend(rig.fx.facts.drain(..).filter(|fact| matches!(fact, Fact::SeenUp(_))));
    }
    let own = OwnEnd { source_ip: [169, 254, 10, 2].into(), interface: None };
    let key = RouteKey { inside_ip: [169, 254, 10, 1].into(), own: Some(own) };
    assert_eq!(reported, [Fact::SeenUp(SeenUp::Local(rig.check.id().clone(), key))]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn fewer_than_down_after_overdue_echoes_in_a_row_never_give_down(
        runs in prop::collection::vec((1_u64..10, 1_u64..6), 1..40),
        rtt in 1_u64..90,
    ) {
        // Runs of at most nine losses, each ended by at least one reply that arrives before the next loss is overdue.
        let mut fates = Vec::new();
        for (lost, answered) in runs {
            fates.extend(std::iter::repeat_n(Fate::Lost, usize::try_from(lost).unwrap()));
            fates.extend(std::iter::repeat_n(Fate::Reply(millis(rtt)), usize::try_from(answered).unwrap()));
        }
        let mut rig = Rig::calm();
        let mut fates = fates.into_iter();
        rig.run(300 * SECOND, |_, _| fates.next().unwrap_or(Fate::Reply(millis(rtt))));
        prop_assert!(!rig.was_ever(Verdict::Down));
        prop_assert_eq!(rig.check.verdict(), Verdict::Up);
    }

    #[test]
    fn a_slow_line_with_one_lost_packet_is_never_down(
        slow in prop::sample::select(vec![900_u64, 1500]),
        usual in 1_u64..200,
        lost_at in 1_u64..100,
    ) {
        let mut rig = Rig::new(rules(), false);
        rig.run(40 * SECOND, |_, _| Fate::Reply(millis(usual)));
        let asked = rig.asked;
        rig.run(60 * SECOND, |echo, _| if echo == asked + lost_at { Fate::Lost } else { Fate::Reply(millis(slow)) });
        prop_assert!(!rig.was_ever(Verdict::Down));
        prop_assert_eq!(rig.check.verdict(), Verdict::Up);
    }

    #[test]
    fn a_history_of_faults_alone_is_never_down(
        faults in prop::collection::vec(prop::sample::select(vec![
            Fault::NoPermission, Fault::NoMemory, Fault::TooManyFiles, Fault::AddressMissing, Fault::Socket(22),
        ]), 1..60),
        seen_up in any::<bool>(),
    ) {
        let mut rig = Rig::new(rules(), seen_up);
        let mut faults = faults.into_iter().cycle();
        rig.run(120 * SECOND, |_, _| Fate::Fails(AskFailure::Fault(faults.next().unwrap())));
        prop_assert!(!rig.was_ever(Verdict::Down));
        prop_assert!(!rig.was_ever(Verdict::Up));
    }

    #[test]
    fn every_echo_ends_exactly_once_whatever_becomes_of_it(
        fates in prop::collection::vec(0_u8..5, 1..200),
        suspect_millis in 50_u64..1000,
    ) {
        let mut rig = Rig::new(ProbeRules { suspect_interval: millis(suspect_millis), ..rules() }, false);
        let mut fates = fates.into_iter();
        rig.run(60 * SECOND, |_, _| match fates.next() {
            Some(0) => Fate::Lost,
            Some(1) => Fate::Reply(millis(1500)),
            Some(2) => Fate::Fails(AskFailure::Lost(Loss::Blocked)),
            Some(3) => Fate::Fails(AskFailure::Fault(Fault::NoMemory)),
            Some(_) | None => Fate::Reply(millis(20)),
        });
        prop_assert_eq!(rig.outcomes.len() + rig.check.pending.len(), usize::try_from(rig.asked).unwrap());
    }
}
