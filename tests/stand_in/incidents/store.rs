//! The incident records, with all their past states: lists may lag.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::clock::Epoch;

#[derive(Default)]
pub(crate) struct Incidents {
    pub(super) records: Vec<Record>,
    /// By operation and client token.
    tokens: BTreeMap<(&'static str, String), Remembered>,
    /// Numbers everything that needs an id.
    numbered: u64,
}

/// The first call with a client token.
#[derive(Clone)]
pub(super) struct Remembered {
    pub(super) at: Epoch,
    pub(super) parameters: Value,
    pub(super) answer: Value,
}

pub(super) struct Record {
    pub(super) arn: String,
    pub(super) plan: String,
    pub(super) dedupe_string: String,
    pub(super) created: Epoch,
    /// `incidentRecordSource`.
    pub(super) source: Value,
    /// The trigger's `rawData`, which no API returns but people see.
    pub(super) raw_data: Option<String>,
    /// Never empty; oldest first.
    states: Vec<RecordState>,
    pub(super) timeline: Vec<Event>,
    pub(super) related: Vec<Value>,
}

/// The part of a record that can change.
#[derive(Clone)]
pub(super) struct RecordState {
    pub(super) title: String,
    pub(super) summary: Option<String>,
    pub(super) status: String,
    pub(super) impact: i64,
    pub(super) resolved: Option<Epoch>,
    pub(super) modified: Epoch,
    pub(super) modified_by: String,
    pub(super) chat_channel: Option<Value>,
    pub(super) notification_targets: Option<Value>,
}

pub(super) struct Event {
    pub(super) id: String,
    pub(super) at: Epoch,
    pub(super) updated: Epoch,
    pub(super) kind: String,
    pub(super) data: String,
    pub(super) references: Value,
}

impl Incidents {
    /// A new id.
    pub(super) fn next_id(&mut self) -> String {
        self.numbered += 1;
        format!("{:08x}-0000-4000-8000-{:012x}", self.numbered, self.numbered)
    }

    pub(super) fn record(&mut self, arn: &str) -> Option<&mut Record> {
        self.records.iter_mut().find(|record| record.arn == arn)
    }

    pub(super) fn remember(&mut self, operation: &'static str, token: &str, first: Remembered) {
        self.tokens.insert((operation, token.to_owned()), first);
    }

    /// The first call with this token, unless it is older than `memory`.
    pub(super) fn remembered(
        &self,
        operation: &'static str,
        token: &str,
        now: Epoch,
        memory: Option<f64>,
    ) -> Option<&Remembered> {
        let first = self.tokens.get(&(operation, token.to_owned()))?;
        memory.is_none_or(|memory| now - first.at <= memory).then_some(first)
    }

    /// A person closes a record by hand; returns whether it exists.
    pub(crate) fn close(&mut self, arn: &str, by: &str, now: Epoch) -> bool {
        let id = self.next_id();
        let Some(record) = self.record(arn) else { return false };
        let mut state = record.state().clone();
        "RESOLVED".clone_into(&mut state.status);
        state.resolved = Some(now);
        record.change(state, by, now, id);
        true
    }

    /// Everything, oldest record first, with timelines and related items.
    pub(crate) fn listed(&self) -> Value {
        let listed = self.records.iter().map(|record| {
            let timeline: Vec<_> = record.timeline.iter().map(|event| event.full(&record.arn)).collect();
            json!({
                "record": record.full(),
                "plan": record.plan,
                "rawData": record.raw_data,
                "timeline": timeline,
                "relatedItems": record.related,
            })
        });
        listed.collect()
    }
}

impl Record {
    pub(super) fn create(
        arn: String,
        plan: String,
        dedupe: String,
        source: Value,
        state: RecordState,
    ) -> Self {
        Self {
            arn,
            plan,
            dedupe_string: dedupe,
            created: state.modified,
            source,
            raw_data: None,
            states: vec![state],
            timeline: vec![],
            related: vec![],
        }
    }

    pub(super) fn state(&self) -> &RecordState {
        &self.states[self.states.len() - 1]
    }

    pub(super) fn is_open(&self) -> bool {
        self.state().status == "OPEN"
    }

    /// Enters a state, and adds it to the timeline under `event_id`.
    pub(super) fn change(&mut self, state: RecordState, by: &str, now: Epoch, event_id: String) {
        let status = state.status.clone();
        self.states.push(RecordState { modified: now, modified_by: by.to_owned(), ..state });
        let data = json!({ "status": status, "modifiedBy": by }).to_string();
        self.add_event(event_id, "SSM Incident Record Update", data, now);
    }

    /// An event that AWS writes itself.
    pub(super) fn add_event(&mut self, id: String, kind: &str, data: String, now: Epoch) {
        let kind = kind.to_owned();
        self.timeline.push(Event { id, at: now, updated: now, kind, data, references: json!([]) });
    }

    /// An `IncidentRecord`.
    pub(super) fn full(&self) -> Value {
        let state = self.state();
        let mut full = self.summary_of(state);
        full["dedupeString"] = self.dedupe_string.as_str().into();
        full["lastModifiedBy"] = state.modified_by.as_str().into();
        full["lastModifiedTime"] = state.modified.into();
        let optional = [
            ("summary", state.summary.as_deref().map(Value::from)),
            ("chatChannel", state.chat_channel.clone()),
            ("notificationTargets", state.notification_targets.clone()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                full[name] = value;
            }
        }
        full
    }

    /// An `IncidentRecordSummary` as it was at `at`; None if the record did not exist.
    pub(super) fn summary(&self, at: Epoch) -> Option<Value> {
        let state = self.states.iter().rev().find(|state| state.modified <= at)?;
        Some(self.summary_of(state))
    }

    fn summary_of(&self, state: &RecordState) -> Value {
        let mut summary = json!({
            "arn": self.arn,
            "creationTime": self.created,
            "impact": state.impact,
            "incidentRecordSource": self.source,
            "status": state.status,
            "title": state.title,
        });
        if let Some(resolved) = state.resolved {
            summary["resolvedTime"] = resolved.into();
        }
        summary
    }
}

impl Event {
    /// An `EventSummary`: without the data.
    pub(super) fn summary(&self, arn: &str) -> Value {
        json!({
            "eventId": self.id,
            "eventTime": self.at,
            "eventUpdatedTime": self.updated,
            "eventType": self.kind,
            "eventReferences": self.references,
            "incidentRecordArn": arn,
        })
    }

    /// A `TimelineEvent`.
    pub(super) fn full(&self, arn: &str) -> Value {
        let mut full = self.summary(arn);
        full["eventData"] = self.data.as_str().into();
        full
    }
}
