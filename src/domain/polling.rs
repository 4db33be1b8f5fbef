//! When to poll AWS.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::names::SourceId;
use super::status::SourceStatus;
use super::time::{Moment, Now};

/// A question that was neither answered nor refused for this long counts as lost.
const QUESTION_LOST_AFTER: Duration = Duration::from_secs(120);

/// So many hurried questions may follow each other at once: a connection's tunnels rarely break in the same second. Five hundred
/// connections that come back one by one must not ask at each of them: of a thousand tunnels a question is five calls.
const HURRIES_AT_ONCE: u32 = 2;
/// Each of those is granted anew after this.
const HURRY_EVERY: Duration = Duration::from_secs(6);

/// The pace of one source.
#[derive(Debug)]
pub struct Polling {
    id: SourceId,
    /// This share of the first interval keeps two sites that start together apart.
    share: f64,
    asked: Option<Moment>,
    asking: bool,
    urgent: bool,
    /// When all of [`HURRIES_AT_ONCE`] are granted again.
    rested_at: Moment,
    asked_often: bool,
    last_answer: Option<Now>,
    /// Whether the last question reached AWS; `None` before the first has ended.
    reached: Option<bool>,
    refusals_in_row: u32,
}

impl Polling {
    /// A source before its first question.
    pub fn new(id: SourceId, site: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (site, &id).hash(&mut hasher);
        let share = f64::from(u32::try_from(hasher.finish() % 1000).unwrap_or(0)) / 1000.0;
        Self {
            id,
            share,
            asked: None,
            asking: false,
            urgent: false,
            rested_at: Moment::ORIGIN,
            asked_often: false,
            last_answer: None,
            reached: None,
            refusals_in_row: 0,
        }
    }

    /// Asks again as soon as the question in flight, if any, has ended, and as this has not been done too often.
    pub const fn hurry(&mut self) {
        self.urgent = true;
    }

    /// When the next question is due, at this interval.
    pub fn due(&self, interval: Duration) -> Option<Moment> {
        let Some(asked) = self.asked else { return Some(Moment::ORIGIN) };
        if self.asking {
            return Some(asked + QUESTION_LOST_AFTER);
        }
        let stretch = if self.asked_often { 1.0 } else { 0.5 + self.share / 2.0 };
        let regular = asked + interval.mul_f64(stretch);
        let granted = asked.max(self.rested_at - HURRY_EVERY * (HURRIES_AT_ONCE - 1));
        Some(if self.urgent { regular.min(granted) } else { regular })
    }

    /// The question is sent.
    pub fn ask(&mut self, now: Moment) {
        if self.urgent {
            self.rested_at = self.rested_at.max(now) + HURRY_EVERY;
        }
        self.asked_often = self.asked.is_some();
        self.asked = Some(now);
        self.asking = true;
        self.urgent = false;
    }

    /// It was answered.
    pub const fn answered(&mut self, now: Now) {
        self.asking = false;
        self.last_answer = Some(now);
        self.reached = Some(true);
        self.refusals_in_row = 0;
    }

    /// It was refused; see [`Event::Refused`](super::event::Event::Refused) for `reached`.
    pub const fn refused(&mut self, reached: bool) {
        self.asking = false;
        self.reached = Some(reached);
        self.refusals_in_row = self.refusals_in_row.saturating_add(1);
    }

    /// Whether the question in flight counts as lost.
    pub fn is_lost(&self, now: Moment) -> bool {
        self.asking && self.asked.is_some_and(|asked| asked + QUESTION_LOST_AFTER <= now)
    }

    /// Whether the last question did not reach AWS; false before the first has ended.
    pub fn is_cut_off(&self) -> bool {
        self.reached == Some(false)
    }

    /// Its part of `/status`.
    pub fn status(&self) -> SourceStatus {
        SourceStatus {
            id: self.id.clone(),
            last_answer: self.last_answer,
            refusals_in_row: self.refusals_in_row,
            cut_off: self.is_cut_off(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::{AwsPlace, SourceKind};
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn polling() -> Polling {
        Polling::new(SourceId { kind: SourceKind::CloudWatch, place: AwsPlace::default() }, "site")
    }

    #[test]
    fn the_first_question_is_due_at_once_and_the_second_within_an_interval() {
        let mut polling = polling();
        assert_eq!(polling.due(MINUTE), Some(Moment::ORIGIN));
        polling.ask(Moment::ORIGIN);
        polling.answered(Now::default());
        let second = polling.due(MINUTE).unwrap();
        assert!(second >= Moment::ORIGIN + MINUTE / 2 && second <= Moment::ORIGIN + MINUTE);
        polling.ask(second);
        polling.answered(Now::default());
        assert_eq!(polling.due(MINUTE), Some(second + MINUTE));
    }

    #[test]
    fn a_hurry_during_a_question_is_one_more_question_after_it() {
        let mut polling = polling();
        polling.ask(Moment::ORIGIN);
        polling.hurry();
        assert_eq!(polling.due(MINUTE), Some(Moment::ORIGIN + QUESTION_LOST_AFTER));
        polling.refused(true);
        assert_eq!(polling.due(MINUTE), Some(Moment::ORIGIN));
        polling.ask(Moment::ORIGIN);
        polling.answered(Now::default());
        assert!(polling.due(MINUTE) > Some(Moment::ORIGIN));
    }

    #[test]
    fn two_hurries_are_granted_at_once_and_then_one_every_six_seconds() {
        let mut polling = polling();
        let begun = Moment::ORIGIN + 100 * MINUTE;
        polling.ask(begun);
        polling.answered(Now::default());
        let mut asked = Vec::new();
        let mut now = begun + Duration::from_secs(1);
        while now < begun + Duration::from_secs(31) {
            polling.hurry();
            if polling.due(MINUTE).unwrap() <= now {
                polling.ask(now);
                polling.answered(Now::default());
                asked.push(now.since(begun).as_millis());
            }
            now = now + Duration::from_millis(100);
        }
        assert_eq!(asked, [1000, 1100, 7000, 13_000, 19_000, 25_000]);
        now = now + MINUTE;
        polling.hurry();
        assert!(polling.due(MINUTE).unwrap() <= now);
    }

    #[test]
    fn a_hurry_that_has_to_wait_does_not_delay_the_regular_question() {
        let mut polling = polling();
        let interval = Duration::from_secs(4);
        for _ in 0..4 {
            polling.hurry();
            polling.ask(Moment::ORIGIN + MINUTE);
            polling.answered(Now::default());
        }
        polling.hurry();
        assert_eq!(polling.due(interval), Some(Moment::ORIGIN + MINUTE + interval));
    }

    #[test]
    fn a_source_is_cut_off_when_its_last_question_did_not_reach_aws() {
        let mut polling = polling();
        assert!(!polling.is_cut_off());
        polling.ask(Moment::ORIGIN);
        assert!(!polling.is_cut_off());
        polling.refused(false);
        polling.ask(Moment::ORIGIN + MINUTE);
        assert!(polling.is_cut_off());
        polling.refused(true);
        assert!(!polling.is_cut_off());
        polling.refused(false);
        polling.answered(Now::default());
        assert!(!polling.is_cut_off());
    }

    #[test]
    fn a_question_without_an_answer_for_too_long_is_lost() {
        let mut polling = polling();
        let lost = Moment::ORIGIN + QUESTION_LOST_AFTER;
        assert!(!polling.is_lost(lost));
        polling.ask(Moment::ORIGIN);
        assert!(!polling.is_lost(Moment::ORIGIN + QUESTION_LOST_AFTER / 2));
        assert!(polling.is_lost(lost));
        polling.refused(true);
        assert!(!polling.is_lost(lost));
    }
}
