//! The `MESSAGE_ID` of every kind of journal record. The journal's catalog is keyed by them: one never changes its
//! meaning, and none is used again.

use super::topic::Folding;
use super::topic::Folding::{Never, Of};
use super::topic::Topic::{
    Address, Check, Condition, End, Evidence, Happening, Problem, Timeline, Tunnel, Words,
};
use crate::health::{Code, CodeEntry};

/// What kind of record it is, for filters and for the journal's catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// Its name in this crate and in the catalog's source.
    pub name: &'static str,
    /// What the record says, in a few words.
    pub meaning: &'static str,
    /// 128 random bits, in hexadecimal, as `journalctl MESSAGE_ID=` takes them.
    pub id: &'static str,
    /// Whether such records may be folded, and how.
    pub folding: Folding,
}

/// Declares every id once, and lists them all.
macro_rules! message_ids {
    ($($name:ident = $id:literal, $folding:expr, $meaning:literal;)*) => {
        impl MessageId {
            $(#[doc = concat!("Record: ", $meaning, ".")]
            pub const $name: Self =
                Self { name: stringify!($name), meaning: $meaning, id: $id, folding: $folding };)*

            /// Every kind of record but those of problems.
            const PLAIN: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

impl MessageId {
    /// The record by which a problem is reported: each has its own, and so its own entry in the catalog.
    pub const fn of(code: Code) -> Self {
        let CodeEntry { record, message_id, title, .. } = code.entry();
        Self { name: record, meaning: title, id: message_id, folding: Of(Problem) }
    }

    /// Every kind of record.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::PLAIN.iter().copied().chain(Code::ALL.iter().map(|code| Self::of(*code)))
    }

    /// The kind with this id.
    pub fn with_id(id: &str) -> Option<Self> {
        Self::all().find(|kind| kind.id == id)
    }
}

message_ids! {
    SUSPICION = "d2afdb990af94abc866432545efee2c7", Of(Check), "a check became suspect, or no longer is";
    TICKS_SKIPPED = "bc2dd89216494ae3b68a85140b2f0310", Of(Happening), "a check skipped probes";
    END_UP = "2ada33f39d8b4fbab288a74c86a1ff71", Of(End), "an end says that a tunnel is up";
    END_DOWN = "9877ce4498c54335afbec816e67121c6", Of(End), "an end says that a tunnel is down";
    END_UNKNOWN = "58c16d807a484815951f90ffcae7a710", Of(End), "an end cannot tell whether a tunnel is up";
    NEVER_ANSWERED = "597e91fcbd5746afbb7d29bb2ad2e737", Of(End), "an inside address has never answered, so the local end has no vote";
    CANNOT_ASK = "12ecaca17e9844f9a4c922468f40532f", Of(End), "the local end cannot send probes";
    HEALTHY = "4bc4a505a7b44d05878b1ab67fc17857", Of(Tunnel), "both ends say that a tunnel is up";
    BOTH_ENDS_DOWN = "547eece8bbae45e8a6a3a373efc98976", Of(Tunnel), "both ends agree that a tunnel is down";
    DISPUTED = "9ea247f5978342e3ac209a0638986ad7", Of(Tunnel), "the ends contradict each other";
    UNCONFIRMED = "479de7bd597b46818d10aee973ddf2af", Of(Tunnel), "one end says that a tunnel is down, the other cannot tell";
    BLIND = "e3450bb756e84d57954d90650e7b4166", Of(Tunnel), "neither end says down, and at least one cannot tell: an outage could not be confirmed";
    FIRST_SEEN_UP = "414d4231034d42a7800ad0d3da7234e5", Of(Happening), "an end has seen a tunnel up for the first time";
    EVIDENCE_UNUSABLE = "f60d22004c4c478da0c895d4cc85476e", Of(Evidence), "an answer from AWS contained unusable evidence";
    RESUMED = "2913bc97e18043edb256c8bbc68ca22d", Of(Happening), "monitoring paused: the host slept or the process was stalled";
    INCIDENT_PENDING = "2c4db85a219e4b67afbde24e1f1a129b", Of(Condition), "the condition for an incident is met; it opens if this lasts";
    INCIDENT_AVERTED = "dddec6133d6c4280bb807a939f06a8e8", Of(Condition), "the condition ended before an incident opened";
    INCIDENT_OPENED = "a162f22482324803b21ce10ec509918c", Never, "an incident opened";
    INCIDENT_TAKEN_UP = "82ce1b78a78441d8aa1838dbaa989528", Never, "an open record was found at a sink and adopted";
    INCIDENT_WITNESSED = "03597d1ad6784e0da9671264d585c049", Never, "this site's own evidence confirms an adopted incident";
    INCIDENT_UPDATED = "13f58fd38b7146c78aca88e0784ac14b", Of(Timeline), "an incident's timeline has a new entry";
    INCIDENT_WORSENED = "74e381e33bd64640b74c2913db6fd973", Never, "an incident became worse";
    INCIDENT_CLEARING = "d5d4f4440f3b4130b5465a040f54b9e6", Of(Condition), "an incident is clearing: it is resolved if this lasts";
    INCIDENT_REOPENED = "61bddc01f5a14fa4ab599369f6ddfc18", Of(Condition), "an incident that was clearing is not over";
    INCIDENT_RESOLVED = "85cc0d8fd3da437a800cf7c4e8293f60", Never, "an incident is resolved";
    INCIDENT_UNWATCHED = "a4c2c9183f6446d798342661fa54dcf2", Never, "the connection of an open incident was removed from the configuration";
    INCIDENT_HANDED_OVER = "c9a60eeed52349c3a826e4b091dd9bcb", Never, "an open incident was handed over to the host that now holds the address";
    INCIDENT_MISSED = "25897a07c499454699d6252d32b4477f", Never, "an incident began and ended while AWS was unreachable; nobody was paged";
    INCIDENT_SETTLED = "b8e9d7778f344e4d80fb298cb9d1d7fc", Never, "every sink has been informed that an incident is over";
    RECORD_LEFT_OPEN = "459a1e2d512946b395c399f9fccdd637", Never, "a configuration change removed the sink of an open incident; its record stays open there";
    RECORD_STAYS_OPEN = "59c2e3b6d805eaf68580a40a5a172277", Never, "the daemon stops while a sink has an open record";
    ADDRESS_TAKEN = "77f192e510e04bfa8a3fd55354f25081", Of(Address), "this host holds the address of votes_if_address: it probes and votes";
    ADDRESS_LEFT = "9b10664c53ac466d9254addcff902803", Of(Address), "this host does not hold the address of votes_if_address: it does not probe or vote";
    PROBLEM_ENDED = "7b06607bb1f84637bdf52c0b4121cf24", Of(Problem), "a problem is over";
    STARTED = "bcb47757f9e4418a80a6f6e546f92784", Never, "the daemon started";
    STOPPING = "de9301e615ec4e16abec51af39f4054f", Never, "the daemon is stopping";
    CONFIGURATION_RELOADED = "8f93d266ec1d45d199e7dad2f119d0c1", Never, "a new configuration is in force";
    CONFIGURATION_REFUSED = "ad2f4e2e141849c39cea127f85d545da", Never, "a reload was refused; the previous configuration stays in force";
    CONFIGURATION_WARNING = "7220615a8e086befcc884bedf36833fb", Never, "the configuration was loaded with warnings";
    CANNOT_START = "9927b5fba811b4cf51fcb1ff1e38ea7b", Never, "the daemon cannot start";
    UNFINISHED = "75b11a5828c80dc02cfb88998e0c5305", Never, "shutdown timed out with work unfinished";
    FACTS_DROPPED = "7e8689be2181439295851f34d7e189c5", Of(Happening), "events were dropped because a queue was full";
    RECORDS_DROPPED = "f1789da6056f488892b6c220702c5d38", Never, "journal records were dropped because journald did not take them";
    DAEMON_NOTICE = "8f83527c14e3900dd1d3d754054d0a13", Of(Words), "another message of the daemon";
    AWS_NOTICE = "9e45e7d514b5288ae249918499d616d1", Of(Words), "AWS is queried in a non-default way: other CloudWatch dimensions, or another TLS key exchange";
    PROBE_NOTICE = "fafd03a87f8b8f6c17402105e14845fc", Of(Words), "another message about probing";
    SINK_NOTICE = "5581e1c6740c67dffe2cb0741100e363", Of(Words), "delivery to a sink: records created, adopted, closed, or not as expected";
    METRICS_NOTICE = "fb0948a2e6b5a02c8e5b7576e60a449c", Of(Words), "some metrics will not reach CloudWatch";
    STORE_NOTICE = "5c992fa576105e1522c57c1d89f66401", Of(Words), "something in the store was lost, repaired or is unreadable";
    LIBRARY_NOTICE = "e67f4d22c5ea15e8a601445895c286e3", Of(Words), "a warning from a library";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_id_and_no_name_is_used_twice() {
        let kinds = MessageId::all().count();
        let ids: BTreeSet<_> = MessageId::all().map(|kind| kind.id).collect();
        let names: BTreeSet<_> = MessageId::all().map(|kind| kind.name).collect();
        assert_eq!((ids.len(), names.len()), (kinds, kinds));
    }

    #[test]
    fn what_people_are_paged_for_or_have_asked_for_is_never_folded() {
        let never = [
            MessageId::INCIDENT_OPENED,
            MessageId::INCIDENT_TAKEN_UP,
            MessageId::INCIDENT_WITNESSED,
            MessageId::INCIDENT_WORSENED,
            MessageId::INCIDENT_RESOLVED,
            MessageId::INCIDENT_UNWATCHED,
            MessageId::INCIDENT_HANDED_OVER,
            MessageId::INCIDENT_MISSED,
            MessageId::INCIDENT_SETTLED,
            MessageId::RECORD_LEFT_OPEN,
            MessageId::RECORD_STAYS_OPEN,
            MessageId::STARTED,
            MessageId::STOPPING,
            MessageId::CONFIGURATION_RELOADED,
            MessageId::CONFIGURATION_REFUSED,
            MessageId::CANNOT_START,
            MessageId::RECORDS_DROPPED,
        ];
        for kind in never {
            assert_eq!(kind.folding, Never, "{}", kind.name);
        }
    }

    #[test]
    fn every_id_has_the_form_that_the_journal_takes() {
        for kind in MessageId::all() {
            assert!(
                kind.id.len() == 32
                    && kind.id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
                "{} has {:?}",
                kind.name,
                kind.id
            );
        }
    }
}
