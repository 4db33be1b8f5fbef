use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::verdict::{Fault, Loss, Why};
use super::*;

const DAY: u64 = 24 * 3600;

fn probe(interval: Duration) -> ProbeRules {
    let one = std::num::NonZeroU32::MIN;
    let timeout = Duration::from_secs(1);
    ProbeRules { interval, suspect_interval: interval / 5, timeout, down_after: one, up_after: one }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(seconds: u64) -> Moment {
    Moment::ORIGIN + Duration::from_secs(seconds)
}

/// Probes a tunnel that is Up, as the core does: replies are known after their round trip, losses later.
struct Line {
    watch: QualityWatch,
    probe: ProbeRules,
    rules: QualityRules,
    next: Moment,
    ending: BTreeMap<(Moment, Moment), Outcome>,
    /// When the word changed, in whole seconds, and to what.
    changes: Vec<(u64, Quality)>,
}

impl Line {
    fn new(interval: Duration, rules: QualityRules) -> Self {
        let mut watch = QualityWatch::new(at(0));
        assert_eq!(watch.verdict_is(Verdict::Up, at(0)), None);
        let probe = probe(interval);
        Self { watch, probe, rules, next: at(0) + interval, ending: BTreeMap::new(), changes: Vec::new() }
    }

    /// `rtt`: of the echo of so many seconds; `None` is lost.
    fn run(&mut self, until: u64, mut rtt: impl FnMut(f64) -> Option<Duration>) -> &mut Self {
        while self.next < at(until) {
            let asked = self.next;
            self.next = asked + self.probe.interval;
            let lost = (asked + self.probe.timeout + LATE_WINDOW, Outcome::Lost(Loss::Timeout));
            let (ends, outcome) = rtt(asked.since(at(0)).as_secs_f64())
                .map_or(lost, |rtt| (asked + rtt, Outcome::Reply { rtt }));
            self.ending.insert((ends, asked), outcome);
            while let Some(first) = self.ending.first_entry().filter(|first| first.key().0 <= self.next) {
                let ((now, asked), outcome) = first.remove_entry();
                self.end(outcome, asked, now);
            }
        }
        self
    }

    fn end(&mut self, outcome: Outcome, asked: Moment, now: Moment) {
        if self.watch.echo_ended(outcome, asked, &self.probe, &self.rules, now).is_some() {
            self.changes.push((now.since(at(0)).as_secs(), self.watch.quality()));
        }
    }

    fn reasons(&self) -> Vec<&'static str> {
        self.changes.iter().filter_map(|(_, quality)| quality.reason()).collect()
    }
}

/// The same numbers each time, without a pattern.
fn noise(n: f64) -> f64 {
    let mixed = ((n * 10.0) as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / f64::from(1 << 24)
}

fn lab() -> QualityRules {
    QualityRules { after: Duration::from_secs(3), ..QualityRules::default() }
}

#[test]
fn it_is_unknown_until_ten_echoes_are_known_and_then_good() {
    let mut line = Line::new(Duration::from_secs(1), QualityRules::default());
    line.run(600, |_| Some(millis(12)));
    assert_eq!(line.changes, [(14, Quality::Good)]);
    let usual = Some(millis(12));
    let measured = line.watch.measured();
    assert_eq!((measured.rtt, measured.usual_rtt, measured.jitter), (usual, usual, Some(Duration::ZERO)));
    assert_eq!(measured.loss_percent, Some(0.0));
}

#[test]
fn loss_of_30_percent_degrades_and_is_over_once_none_is_lost() {
    let mut line = Line::new(Duration::from_secs(1), QualityRules::default());
    line.run(600, |_| Some(millis(12)));
    line.run(900, |t| (noise(t) > 0.3).then_some(millis(12)));
    line.run(1500, |_| Some(millis(12)));
    let [_, (began, degraded), (ended, good)] = line.changes[..] else { panic!("{:?}", line.changes) };
    assert_eq!((degraded.reason(), good), (Some("loss"), Quality::Good));
    assert!((660..690).contains(&began) && (960..1050).contains(&ended), "{began} {ended}");
}

#[test]
fn in_a_laboratory_loss_and_delay_are_found_within_seconds() {
    for (rtt, reason) in [(millis(1), "loss"), (millis(201), "latency")] {
        let mut line = Line::new(millis(200), lab());
        line.run(60, |_| Some(millis(1)));
        line.run(90, |t| (reason != "loss" || noise(t) > 0.3).then_some(rtt));
        line.run(200, |_| Some(millis(1)));
        assert_eq!(line.reasons(), [reason], "{:?}", line.changes);
        let (began, ended) = (line.changes[1].0, line.changes[2].0);
        assert!(began <= 75 && ended <= 120, "{:?}", line.changes);
    }
}

#[test]
fn a_failover_and_a_short_slowness_are_not_degraded() {
    let mut line = Line::new(Duration::from_secs(1), QualityRules::default());
    line.run(600, |_| Some(millis(12)));
    line.run(609, |_| None);
    line.run(1200, |_| Some(millis(12)));
    line.run(1224, |_| Some(millis(300)));
    line.run(2000, |_| Some(millis(12)));
    assert_eq!(line.changes.len(), 1, "{:?}", line.changes);
}

#[test]
fn one_echo_in_eleven_is_no_jitter_and_one_in_three_is() {
    for (every, reasons) in [(11, &[][..]), (3, &["jitter"])] {
        let mut line = Line::new(Duration::from_secs(1), QualityRules::default());
        line.run(600, |_| Some(millis(12)));
        line.run(1200, |t| Some(millis(if (t as u64).is_multiple_of(every) { 90 } else { 12 })));
        assert_eq!(line.reasons(), reasons, "one in {every}");
    }
}

#[test]
fn a_limit_counts_from_the_start_and_whatever_is_usual() {
    let rules = QualityRules { max_rtt: Some(millis(150)), ..QualityRules::default() };
    let mut line = Line::new(Duration::from_secs(1), rules);
    line.run(600, |_| Some(millis(151)));
    let degradation = Degradation::Latency { rtt: millis(151), bound: Bound::Limit(millis(150)) };
    assert_eq!(line.watch.quality(), Quality::Degraded(degradation));
    let [(began, _)] = line.changes[..] else { panic!("{:?}", line.changes) };
    assert!((60..80).contains(&began), "{began}");
    assert_eq!(line.watch.measured().usual_rtt, None, "what is degraded is not learnt");
}

#[test]
fn the_reason_changes_where_another_stays() {
    let mut line = Line::new(Duration::from_secs(1), QualityRules::default());
    line.run(600, |_| Some(millis(12)));
    line.run(900, |t| (noise(t) > 0.3).then_some(millis(12)));
    line.run(1500, |_| Some(millis(212)));
    assert_eq!(line.reasons(), ["loss", "latency"], "{:?}", line.changes);
}

#[test]
fn what_is_slow_for_a_day_is_the_new_usual_and_not_before() {
    let mut line = Line::new(Duration::from_secs(6), QualityRules::default());
    line.run(DAY, |_| Some(millis(12)));
    line.run(2 * DAY - 600, |_| Some(millis(95)));
    assert!(line.watch.quality().is_degraded());
    assert_eq!(line.watch.measured().usual_rtt, Some(millis(12)));
    line.run(2 * DAY + 1200, |_| Some(millis(95)));
    assert_eq!(line.watch.quality(), Quality::Good);
    line.run(4 * DAY, |_| Some(millis(95)));
    assert_eq!(line.reasons(), ["latency"]);
    assert_eq!(line.watch.measured().usual_rtt, Some(millis(95)));
}

#[test]
fn what_is_slow_for_half_a_day_is_not_learnt() {
    let mut line = Line::new(Duration::from_secs(6), QualityRules::default());
    line.run(3600, |_| Some(millis(12)));
    line.run(3600 + DAY / 2, |_| Some(millis(95)));
    line.run(3600 + DAY / 2 + 600, |_| Some(millis(12)));
    line.run(DAY, |_| Some(millis(95)));
    assert_eq!(line.watch.measured().usual_rtt, Some(millis(12)));
    assert_eq!(line.reasons(), ["latency", "latency"]);
}

#[test]
fn nothing_is_left_of_it_when_the_tunnel_goes_down_but_what_is_usual() {
    let mut line = Line::new(Duration::from_secs(1), QualityRules::default());
    line.run(600, |_| Some(millis(12)));
    line.run(900, |t| (noise(t) > 0.3).then_some(millis(12)));
    let degraded = line.watch.quality();
    assert!(degraded.is_degraded());
    for verdict in [Verdict::Down, Verdict::Unknown(Why::Silent)] {
        let before = line.watch.verdict_is(verdict, at(900));
        assert_eq!(before.is_some(), verdict == Verdict::Down);
    }
    assert_eq!(line.watch.quality(), Quality::Unknown);
    let usual_rtt = Some(millis(12));
    let usual_jitter = Some(Duration::ZERO);
    assert_eq!(line.watch.measured(), Measured { usual_rtt, usual_jitter, ..Measured::default() });
    // Echoes from before it came up say nothing about it.
    line.changes.clear();
    assert_eq!(line.watch.verdict_is(Verdict::Up, at(950)), None);
    line.run(951, |_| None);
    line.run(1200, |_| Some(millis(12)));
    assert_eq!(line.changes, [(964, Quality::Good)]);
}

#[test]
fn a_pause_and_send_errors_count_as_nothing() {
    let mut line = Line::new(Duration::from_secs(1), QualityRules::default());
    line.run(600, |_| Some(millis(12)));
    line.run(640, |_| Some(millis(500)));
    for second in 640..700 {
        line.end(Outcome::Fault(Fault::HeldUp), at(second), at(second));
    }
    line.next = at(680);
    line.run(681, |_| Some(millis(500)));
    line.run(1000, |_| Some(millis(12)));
    assert!(line.reasons().is_empty(), "{:?}", line.changes);
}

#[test]
fn a_suspect_check_that_probes_faster_adds_no_weight_to_its_losses() {
    let mut line = Line::new(Duration::from_secs(1), QualityRules::default());
    line.run(600, |_| Some(millis(12)));
    // A second of loss each half a minute: 3 %, whatever is probed in that second.
    for second in 600..1200 {
        let asked = at(second) + millis(500);
        let lost = second % 30 == 0;
        for n in 0..if lost { 5 } else { 1 } {
            let asked = asked + millis(100) * n;
            let (outcome, now) = if lost {
                (Outcome::Lost(Loss::NoPath), asked)
            } else {
                (Outcome::Reply { rtt: millis(12) }, asked + millis(12))
            };
            line.end(outcome, asked, now);
        }
    }
    let percent = line.watch.measured().loss_percent.expect("known");
    assert!((percent - 100.0 / 30.0).abs() < 0.1, "{percent}");
    assert!(line.reasons().is_empty());
}

proptest! {
    #[test]
    fn a_constant_round_trip_is_never_degraded(
        rtt in 1_u64..900_000,
        interval in 100_u64..10_000,
        after in 1_u64..600,
    ) {
        let rules = QualityRules { after: Duration::from_secs(after), ..QualityRules::default() };
        let mut line = Line::new(millis(interval), rules);
        line.run(interval / 2, |_| Some(Duration::from_micros(rtt)));
        prop_assert!(line.reasons().is_empty(), "{:?}", line.changes);
    }

    #[test]
    fn loss_is_the_lost_share_of_the_echoes_of_its_window(lost in proptest::collection::vec(any::<bool>(), 200)) {
        let mut line = Line::new(Duration::from_secs(1), QualityRules::default());
        line.run(201, |t| (!lost[t as usize - 1]).then_some(millis(12)));
        let settled = line.watch.judged - (line.probe.timeout + LATE_WINDOW);
        let sent = |second: usize| at(second as u64 + 1);
        let within = |second: &usize| sent(*second) <= settled && sent(*second) > settled - Duration::from_secs(60);
        let window: Vec<bool> = (0..200).filter(within).map(|second| lost[second]).collect();
        let share = window.iter().filter(|lost| **lost).count() as f64 * 100.0 / window.len() as f64;
        let percent = line.watch.measured().loss_percent.expect("known");
        prop_assert!((percent - share).abs() < 1e-9, "{percent} {share}");
    }

    #[test]
    fn memory_and_the_numbers_are_bounded_whatever_ends_when(
        echoes in proptest::collection::vec((0_u64..20_000, 0_u64..6000, any::<Option<u32>>()), 1..1000),
        interval in 100_u64..2000,
        after in 1_u64..120,
        limit in 0.5_f64..50.0,
    ) {
        let after = Duration::from_secs(after);
        let rules = QualityRules { max_loss_percent: limit, after, ..QualityRules::default() };
        let mut line = Line::new(millis(interval), rules);
        let mut now = at(0);
        for (passed, age, rtt) in echoes {
            now = now + millis(passed);
            let outcome = rtt.map_or(Outcome::Lost(Loss::Timeout), |rtt| Outcome::Reply {
                rtt: Duration::from_nanos(rtt.into()),
            });
            line.end(outcome, now - millis(age), now);
            prop_assert!(line.watch.samples.len() <= 800);
            prop_assert!(line.watch.samples.iter().is_sorted_by_key(|sample| sample.asked));
            let loss = line.watch.measured().loss_percent;
            prop_assert!(loss.is_none_or(|loss| (0.0..=100.0).contains(&loss)));
        }
    }

    #[test]
    fn what_is_usual_is_kept_in_bounded_memory_and_lies_among_what_was_learnt(
        rtts in proptest::collection::vec(0_u64..100_000, 5..2000),
    ) {
        let mut usual = Usual::default();
        rtts.iter().for_each(|rtt| usual.learn(Duration::from_micros(*rtt), Duration::from_micros(*rtt)));
        prop_assert!(usual.recent.len() < IN_A_QUARTER && usual.quarters.len() <= QUARTERS);
        let rtt = usual.rtt().expect("enough");
        prop_assert!(rtts.iter().any(|learnt| Duration::from_micros(*learnt) == rtt));
    }
}

#[test]
fn the_usual_round_trip_of_a_noisy_day_is_its_median() {
    let mut usual = Usual::default();
    for minute in 0..DAY / 60 {
        let busy = (minute / 60).is_multiple_of(6);
        usual.learn(millis(if busy { 40 } else { 12 }), millis(if busy { 9 } else { 2 }));
    }
    assert_eq!((usual.rtt(), usual.jitter()), (Some(millis(12)), Some(millis(2))));
}
