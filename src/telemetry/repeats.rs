//! Folds records that say the same again, so that a garbage answer every 15 s is one record and not a full journal.

use std::collections::BTreeMap;
use std::time::Duration;

use super::message_id::MessageId;
use super::wording::Record;
use crate::domain::time::Moment;

/// The same is told once in this long; an operator who looks today sees it at least once.
const QUIET: Duration = Duration::from_secs(60 * 60);

/// As many different records are remembered; with more, the oldest may be told again.
const REMEMBERED_MAX: usize = 1024;

/// What was told lately.
#[derive(Debug, Default)]
pub struct Repeats {
    told: BTreeMap<Subject, Told>,
}

/// What makes two records the same: kind and fields.
type Subject = (MessageId, Vec<(&'static str, String)>);

#[derive(Debug)]
struct Told {
    at: Moment,
    folded: u64,
}

impl Repeats {
    /// The record as it should be told, or `None` if the same was told within the hour. One that comes after repeats says
    /// how many they were. Only records that may come over and over without a transition are folded.
    pub fn fold(&mut self, record: Record, now: Moment) -> Option<Record> {
        if record.kind != MessageId::EVIDENCE_UNUSABLE {
            return Some(record);
        }
        let subject = (record.kind, record.fields.clone());
        let folded = match self.told.get_mut(&subject) {
            Some(told) if now.since(told.at) < QUIET => {
                told.folded += 1;
                return None;
            }
            Some(told) => told.folded,
            None => 0,
        };
        self.forget_one_if_full();
        self.told.insert(subject, Told { at: now, folded: 0 });
        let mut record = record;
        if folded > 0 {
            record.message = format!("{} ({folded} times more since it was last told)", record.message);
        }
        Some(record)
    }

    fn forget_one_if_full(&mut self) {
        if self.told.len() < REMEMBERED_MAX {
            return;
        }
        let oldest = self.told.iter().min_by_key(|(_, told)| told.at).map(|(subject, _)| subject.clone());
        if let Some(oldest) = oldest {
            self.told.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    fn unusable(tunnel: &str) -> Record {
        Record {
            level: Level::Warn,
            kind: MessageId::EVIDENCE_UNUSABLE,
            message: "garbage".to_owned(),
            fields: vec![("TUNNEL_IP", tunnel.to_owned())],
        }
    }

    fn at(seconds: u64) -> Moment {
        Moment::ORIGIN + Duration::from_secs(seconds)
    }

    #[test]
    fn the_same_unusable_evidence_is_told_once_an_hour_with_a_count() {
        let mut repeats = Repeats::default();
        assert_eq!(repeats.fold(unusable("a"), at(0)), Some(unusable("a")));
        assert_eq!(repeats.fold(unusable("a"), at(15)), None);
        assert_eq!(repeats.fold(unusable("a"), at(30)), None);
        let told = repeats.fold(unusable("a"), at(3600)).map(|record| record.message);
        assert_eq!(told.as_deref(), Some("garbage (2 times more since it was last told)"));
    }

    #[test]
    fn another_tunnel_is_another_subject() {
        let mut repeats = Repeats::default();
        assert!(repeats.fold(unusable("a"), at(0)).is_some());
        assert!(repeats.fold(unusable("b"), at(0)).is_some());
    }

    #[test]
    fn a_transition_is_never_folded() {
        let mut repeats = Repeats::default();
        let down = Record { kind: MessageId::END_DOWN, ..unusable("a") };
        assert!(repeats.fold(down.clone(), at(0)).is_some());
        assert!(repeats.fold(down, at(0)).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let mut repeats = Repeats::default();
        for n in 0..=REMEMBERED_MAX as u64 {
            _ = repeats.fold(unusable(&n.to_string()), at(n));
        }
        assert_eq!(repeats.told.len(), REMEMBERED_MAX);
    }
}
