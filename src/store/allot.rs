//! Which sink the ledger's rows belong to after a change of the configuration.
//!
//! A row is stored under its sink's name, and after a change that name may be another sink's. The destination in the row
//! decides. Rows without a destination are from an older release, which used the name alone, and so do we for them.

use std::collections::BTreeMap;

use crate::domain::board::IncidentId;
use crate::domain::names::SinkId;
use crate::domain::plan::SinkPlan;
use crate::incident::sink::LedgerRow;

/// The rows, by whether a sink continues with them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Allotment {
    /// Under the name of the sink that continues with them.
    pub(super) kept: Vec<LedgerRow>,
    /// Incidents whose destination no sink has any more: the newest row of each.
    pub(super) left: Vec<LedgerRow>,
}

/// The rows under one name for one incident, oldest generation first.
type Story = Vec<LedgerRow>;

pub(super) fn allot<'r>(rows: impl Iterator<Item = &'r LedgerRow>, sinks: &[SinkPlan]) -> Allotment {
    let mut owned: BTreeMap<(SinkId, IncidentId), BTreeMap<SinkId, Story>> = BTreeMap::new();
    let mut left: BTreeMap<(SinkId, IncidentId), LedgerRow> = BTreeMap::new();
    for row in rows {
        let filed = (row.sink.clone(), row.incident.clone());
        let Some(sink) = owner(row, sinks) else {
            if left.get(&filed).is_none_or(|known| known.generation < row.generation) {
                left.insert(filed, row.clone());
            }
            continue;
        };
        let stories = owned.entry((sink.id.clone(), row.incident.clone())).or_default();
        stories.entry(row.sink.clone()).or_default().push(row.clone());
    }
    let kept = owned.into_iter().flat_map(|((id, _), stories)| {
        // There are two only after a downgrade, or where a file was opened late. Prefer the one that names its destination,
        // then the one under this name.
        let rank = |(name, story): &(SinkId, Story)| {
            (story.iter().any(|row| row.destination.is_some()), *name == id)
        };
        let story = stories.into_iter().max_by_key(rank).map(|(_, story)| story).unwrap_or_default();
        let destination = sinks.iter().find(|sink| sink.id == id).map(|sink| sink.destination.clone());
        let own = move |row| LedgerRow { sink: id.clone(), destination: destination.clone(), ..row };
        story.into_iter().map(own).collect::<Vec<_>>()
    });
    Allotment { kept: kept.collect(), left: left.into_values().collect() }
}

fn owner<'s>(row: &LedgerRow, sinks: &'s [SinkPlan]) -> Option<&'s SinkPlan> {
    sinks.iter().find(|sink| {
        let is_it = match &row.destination {
            Some(destination) => *destination == sink.destination,
            None => row.sink == sink.id,
        };
        is_it && sink.takes(&row.incident.scope, row.incident.kind)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::names::{Destination, Kind};
    use crate::store::fixture::{HOUR, incident, row};

    const NOBODYS: Option<&str> = None;

    fn sink(name: &str, destination: &str) -> SinkPlan {
        SinkPlan {
            id: SinkId::new(name),
            destination: Destination::new(destination),
            kinds: BTreeSet::from(Kind::ALL),
            scopes: None,
        }
    }

    fn row_of(name: &str, destination: Option<&str>, generation: u32) -> LedgerRow {
        LedgerRow {
            sink: SinkId::new(name),
            destination: destination.map(Destination::new),
            ..row(&incident(HOUR), generation)
        }
    }

    fn after(rows: &[LedgerRow], sinks: &[SinkPlan]) -> (Vec<LedgerRow>, Vec<LedgerRow>) {
        let Allotment { kept, left } = allot(rows.iter(), sinks);
        (kept, left)
    }

    #[test]
    fn a_renamed_sink_keeps_its_rows_and_gets_no_others() {
        let rows = [row_of("webhook", Some("chat"), 0), row_of("webhook-2", Some("pager"), 0)];
        let (kept, left) = after(&rows, &[sink("webhook", "pager")]);
        assert_eq!(kept, [row_of("webhook", Some("pager"), 0)]);
        assert_eq!(left, [row_of("webhook", Some("chat"), 0)]);
    }

    #[test]
    fn sinks_that_change_places_or_names_change_no_row_but_its_name() {
        let rows = [row_of("webhook", Some("chat"), 0), row_of("webhook-2", Some("pager"), 0)];
        let sinks = [sink("webhook", "new"), sink("pager", "pager"), sink("webhook-2", "chat")];
        let (kept, left) = after(&rows, &sinks);
        assert_eq!(kept, [row_of("pager", Some("pager"), 0), row_of("webhook-2", Some("chat"), 0)]);
        assert_eq!(left, []);
    }

    #[test]
    fn a_row_without_destination_belongs_to_its_name_and_gets_the_destination() {
        let rows = [row_of("webhook", NOBODYS, 0), row_of("webhook", NOBODYS, 1), row_of("sns", NOBODYS, 0)];
        let (kept, left) = after(&rows, &[sink("webhook", "chat"), sink("webhook-2", "pager")]);
        assert_eq!(kept, [row_of("webhook", Some("chat"), 0), row_of("webhook", Some("chat"), 1)]);
        assert_eq!(left, [row_of("sns", NOBODYS, 0)]);
    }

    #[test]
    fn rows_that_the_sink_no_longer_accepts_are_left_and_of_two_sinks_of_one_destination_the_accepting_one_continues()
     {
        let of = |name, kind| SinkPlan { kinds: BTreeSet::from([kind]), ..sink(name, "pager") };
        let rows = [row_of("webhook", Some("pager"), 0), row_of("webhook", Some("pager"), 1)];
        let (kept, left) = after(&rows, &[of("webhook", Kind::OneSided)]);
        assert_eq!((kept, left), (vec![], vec![row_of("webhook", Some("pager"), 1)]));
        let (kept, left) = after(&rows[..1], &[of("webhook", Kind::OneSided), of("webhook-2", Kind::Outage)]);
        assert_eq!((kept, left), (vec![row_of("webhook-2", Some("pager"), 0)], vec![]));
    }

    #[test]
    fn of_two_stories_of_one_incident_the_one_that_says_where_it_was_sent_goes_on() {
        let rows = [row_of("webhook", NOBODYS, 1), row_of("webhook-2", Some("pager"), 0)];
        let (kept, left) = after(&rows, &[sink("webhook", "pager")]);
        assert_eq!((kept, left), (vec![row_of("webhook", Some("pager"), 0)], vec![]));
        let rows = [row_of("webhook", Some("pager"), 0), row_of("webhook-2", Some("pager"), 1)];
        let (kept, _) = after(&rows, &[sink("webhook", "pager")]);
        assert_eq!(kept, [row_of("webhook", Some("pager"), 0)]);
    }
}
