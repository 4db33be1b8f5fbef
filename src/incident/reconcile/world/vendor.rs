//! A sink in memory. What vendors do not document is a switch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::super::action::{RecordCall, Reply};
use super::super::super::sink::{
    Note, Record, RecordId, RecordOrigin, RecordScope, RecordStatus, SinkError, StartRequest,
};
use crate::domain::time::Stamp;

/// What a known token with other parameters gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum KnownToken {
    OldRecord,
    Conflict,
    NewRecord,
}

#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Switches {
    /// How long a change takes to show in a list.
    pub(in super::super) lag: Duration,
    pub(in super::super) known_token: KnownToken,
    /// How long a token is remembered.
    pub(in super::super) memory: Duration,
    /// Whether a start is folded into an open record of the same plan.
    pub(in super::super) folds: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            lag: Duration::from_secs(30),
            known_token: KnownToken::OldRecord,
            memory: Duration::from_secs(3600),
            folds: false,
        }
    }
}

/// A record as the sink keeps it.
#[derive(Debug)]
pub(in super::super) struct Kept {
    pub(in super::super) id: RecordId,
    pub(in super::super) scope: RecordScope,
    pub(in super::super) created: Stamp,
    pub(in super::super) origin: RecordOrigin,
    pub(in super::super) changes: Vec<(Stamp, RecordStatus)>,
    /// When it was closed, and by which site (or person).
    pub(in super::super) closed: Vec<(Stamp, String)>,
    pub(in super::super) notes: Vec<(Stamp, &'static str, Note)>,
    pub(in super::super) related: Vec<RecordId>,
    pub(in super::super) described: Vec<String>,
    pub(in super::super) links: Vec<String>,
    pub(in super::super) request: Option<StartRequest>,
}

#[derive(Debug)]
pub(in super::super) struct Vendor {
    pub(in super::super) switches: Switches,
    pub(in super::super) records: Vec<Kept>,
    /// The most records that were open at a time in one scope.
    pub(in super::super) most_open: usize,
    tokens: BTreeMap<String, (StartRequest, RecordId, Stamp)>,
    spent: BTreeSet<String>,
}

impl Kept {
    fn status_at(&self, at: Stamp) -> Option<RecordStatus> {
        self.changes.iter().rev().find(|(since, _)| *since <= at).map(|(_, status)| *status)
    }

    pub(in super::super) fn is_open(&self) -> bool {
        self.status_now() == RecordStatus::Open
    }

    pub(in super::super) fn status_now(&self) -> RecordStatus {
        self.changes.last().map_or(RecordStatus::Resolved, |(_, status)| *status)
    }

    fn record(&self, at: Stamp) -> Option<Record> {
        let status = self.status_at(at)?;
        Some(Record { id: self.id.clone(), status, created: self.created, origin: self.origin })
    }
}

impl Vendor {
    pub(super) fn new(switches: Switches) -> Self {
        Self { switches, records: Vec::new(), most_open: 0, tokens: BTreeMap::new(), spent: BTreeSet::new() }
    }

    pub(in super::super) fn open(&self) -> Vec<&Kept> {
        self.records.iter().filter(|record| record.is_open()).collect()
    }

    pub(in super::super) fn create(
        &mut self,
        scope: RecordScope,
        origin: RecordOrigin,
        now: Stamp,
    ) -> RecordId {
        let id = RecordId(format!("record-{:03}", self.records.len() + 1));
        self.records.push(Kept {
            id: id.clone(),
            scope,
            created: now,
            origin,
            changes: vec![(now, RecordStatus::Open)],
            closed: Vec::new(),
            notes: Vec::new(),
            related: Vec::new(),
            described: Vec::new(),
            links: Vec::new(),
            request: None,
        });
        let open = self.records.iter().filter(|record| record.is_open());
        let mut scopes: BTreeMap<&RecordScope, usize> = BTreeMap::new();
        for record in open {
            *scopes.entry(&record.scope).or_default() += 1;
        }
        self.most_open = self.most_open.max(scopes.into_values().max().unwrap_or(0));
        id
    }

    /// A person (or a daemon) closes a record.
    pub(in super::super) fn close(&mut self, record: &RecordId, now: Stamp, by: &str) {
        if let Some(kept) = self.records.iter_mut().find(|kept| kept.id == *record && kept.is_open()) {
            kept.changes.push((now, RecordStatus::Resolved));
            kept.closed.push((now, by.to_owned()));
        }
    }

    pub(in super::super) fn reopen(&mut self, record: &RecordId, now: Stamp) {
        if let Some(kept) = self.records.iter_mut().find(|kept| kept.id == *record) {
            kept.changes.push((now, RecordStatus::Open));
        }
    }

    pub(super) fn execute(
        &mut self,
        call: RecordCall,
        now: Stamp,
        site: &'static str,
    ) -> Result<Reply, SinkError> {
        match call {
            RecordCall::Find { search } => {
                let of = |scope: &RecordScope| {
                    let records = self.list(scope, now).into_iter();
                    records.map(|record| (scope.clone(), record)).collect::<Vec<_>>()
                };
                Ok(Reply::Found(search.scopes.iter().flat_map(of).collect()))
            }
            RecordCall::Survey { scopes } => {
                let open = |scope: &RecordScope| {
                    let records = self.list(scope, now).into_iter();
                    let open = records.filter(|record| record.status == RecordStatus::Open);
                    open.map(|record| (scope.clone(), record)).collect::<Vec<_>>()
                };
                Ok(Reply::Surveyed(scopes.iter().flat_map(open).collect()))
            }
            RecordCall::Start { request } => self.start(request, now).map(Reply::Started),
            RecordCall::Read { record } => {
                let kept = self.records.iter().find(|kept| kept.id == record).ok_or(SinkError::NotFound)?;
                kept.record(now).map(Reply::Read).ok_or(SinkError::NotFound)
            }
            RecordCall::Note { record, note } => {
                if self.spent.insert(note.client_token.clone()) {
                    self.kept(&record)?.notes.push((now, site, note));
                }
                Ok(Reply::Done)
            }
            RecordCall::Relate { record, other, title: _ } => {
                self.kept(&record)?.related.push(other);
                Ok(Reply::Done)
            }
            RecordCall::Describe { record, description } => {
                let kept = self.kept(&record)?;
                kept.described.push(description.account.markdown(8000));
                kept.links.extend(description.links.into_iter().map(|link| link.url));
                Ok(Reply::Done)
            }
            RecordCall::Resolve { record, summary: _, client_token } => {
                self.kept(&record)?;
                if self.spent.insert(client_token) {
                    self.close(&record, now, site);
                }
                Ok(Reply::Done)
            }
        }
    }

    fn kept(&mut self, record: &RecordId) -> Result<&mut Kept, SinkError> {
        self.records.iter_mut().find(|kept| kept.id == *record).ok_or(SinkError::NotFound)
    }

    fn list(&self, scope: &RecordScope, now: Stamp) -> Vec<Record> {
        let at = now - self.switches.lag;
        let ours = self.records.iter().rev().filter(|kept| kept.scope == *scope);
        let mut closed_told = false;
        ours.filter_map(|kept| kept.record(at))
            .filter(|record| match record.status {
                RecordStatus::Open => true,
                RecordStatus::Resolved => !std::mem::replace(&mut closed_told, true),
            })
            .collect()
    }

    fn start(&mut self, request: StartRequest, now: Stamp) -> Result<RecordId, SinkError> {
        let known = self.tokens.get(&request.client_token);
        if let Some((first, record, at)) = known.filter(|(_, _, at)| now.since(*at) < self.switches.memory) {
            let _ = at;
            if *first == request {
                return Ok(record.clone());
            }
            match self.switches.known_token {
                KnownToken::OldRecord => return Ok(record.clone()),
                KnownToken::Conflict => return Err(SinkError::TokenKnown),
                KnownToken::NewRecord => {}
            }
        }
        let open = self.records.iter().find(|kept| kept.is_open() && kept.scope.plan == request.scope.plan);
        let record = match open.filter(|_| self.switches.folds) {
            Some(open) => open.id.clone(),
            None => {
                let record = self.create(request.scope.clone(), RecordOrigin::Daemon, now);
                self.kept(&record)?.request = Some(request.clone());
                record
            }
        };
        self.tokens.insert(request.client_token.clone(), (request, record.clone(), now));
        Ok(record)
    }
}
