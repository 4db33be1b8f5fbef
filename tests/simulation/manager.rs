//! Incident Manager: records, with its undocumented behaviour as switches.

use std::collections::{BTreeMap, BTreeSet};

use bothends::domain::time::Moment;
use bothends::incident::action::{RecordCall, Reply};
use bothends::incident::sink::{
    Record, RecordId, RecordOrigin, RecordScope, RecordStatus, SinkError, StartRequest,
};

use super::schedule::{KnownToken, Switches};
use super::time::aws_clock;

/// Who closed a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closer {
    Gateway(usize),
    Person,
}

#[derive(Debug, Clone)]
pub struct StoredRecord {
    pub id: RecordId,
    pub scope: RecordScope,
    pub created: Moment,
    pub origin: RecordOrigin,
    pub closed: Option<(Moment, Closer)>,
    /// Its timeline: when each entry was added, by which gateway, and its text.
    pub notes: Vec<(Moment, usize, String)>,
}

impl StoredRecord {
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    fn record(&self, at: Moment) -> Option<Record> {
        if self.created > at {
            return None;
        }
        let closed = self.closed.is_some_and(|(closed, _)| closed <= at);
        let status = if closed { RecordStatus::Resolved } else { RecordStatus::Open };
        Some(Record { id: self.id.clone(), status, created: aws_clock(self.created), origin: self.origin })
    }
}

#[derive(Debug)]
pub struct Manager {
    switches: Switches,
    pub records: Vec<StoredRecord>,
    tokens: BTreeMap<String, (StartRequest, RecordId, Moment)>,
    spent: BTreeSet<String>,
}

impl Manager {
    pub fn new(switches: Switches) -> Self {
        Self { switches, records: Vec::new(), tokens: BTreeMap::new(), spent: BTreeSet::new() }
    }

    pub fn open_in(&self, scope: &RecordScope) -> impl Iterator<Item = &StoredRecord> {
        self.records.iter().filter(move |stored| stored.is_open() && stored.scope == *scope)
    }

    /// A person closes every open record.
    pub fn person_closes(&mut self, at: Moment) {
        for stored in self.records.iter_mut().filter(|stored| stored.is_open()) {
            stored.closed = Some((at, Closer::Person));
        }
    }

    /// The alarm creates its record, unless one of its own is open.
    pub fn alarm(&mut self, scope: RecordScope, at: Moment) {
        if self.open_in(&scope).all(|stored| stored.origin != RecordOrigin::Alarm) {
            self.create(scope, RecordOrigin::Alarm, at);
        }
    }

    /// Executes a gateway's call.
    pub fn execute(&mut self, call: &RecordCall, gateway: usize, at: Moment) -> Result<Reply, SinkError> {
        match call {
            RecordCall::Find { search } => {
                let of = |scope: &RecordScope| {
                    let listed = self.list(scope, at).into_iter();
                    listed.map(|record| (scope.clone(), record)).collect::<Vec<_>>()
                };
                Ok(Reply::Found(search.scopes.iter().flat_map(of).collect()))
            }
            RecordCall::Survey { scopes } => {
                let open = |scope: &RecordScope| {
                    let listed = self.list(scope, at).into_iter();
                    let open = listed.filter(|record| record.status == RecordStatus::Open);
                    open.map(|record| (scope.clone(), record)).collect::<Vec<_>>()
                };
                Ok(Reply::Surveyed(scopes.iter().flat_map(open).collect()))
            }
            RecordCall::Start { request } => self.start(request, at).map(Reply::Started),
            RecordCall::Read { record } => {
                self.stored(record)?.record(at).map(Reply::Read).ok_or(SinkError::NotFound)
            }
            RecordCall::Note { record, note } => {
                self.stored(record)?;
                if self.spent.insert(note.client_token.clone()) {
                    let text = note.text.clone();
                    self.stored(record)?.notes.push((at, gateway, text));
                }
                Ok(Reply::Done)
            }
            RecordCall::Relate { record, other: _, title: _ }
            | RecordCall::Describe { record, description: _ } => self.stored(record).map(|_| Reply::Done),
            RecordCall::Resolve { record, summary: _, client_token } => {
                self.stored(record)?;
                if self.spent.insert(client_token.clone()) {
                    self.stored(record)?.closed.get_or_insert((at, Closer::Gateway(gateway)));
                }
                Ok(Reply::Done)
            }
        }
    }

    fn stored(&mut self, id: &RecordId) -> Result<&mut StoredRecord, SinkError> {
        self.records.iter_mut().find(|stored| stored.id == *id).ok_or(SinkError::NotFound)
    }

    /// All open records and the newest closed one, newest first, as they were a while ago.
    fn list(&self, scope: &RecordScope, at: Moment) -> Vec<Record> {
        let seen = at - self.switches.list_lag;
        let mut closed_told = false;
        let ours = self.records.iter().rev().filter(|stored| stored.scope == *scope);
        ours.filter_map(|stored| stored.record(seen))
            .filter(|record| match record.status {
                RecordStatus::Open => true,
                RecordStatus::Resolved => !std::mem::replace(&mut closed_told, true),
            })
            .collect()
    }

    fn start(&mut self, request: &StartRequest, at: Moment) -> Result<RecordId, SinkError> {
        let known = self.tokens.get(&request.client_token);
        if let Some((first, record, _)) =
            known.filter(|(_, _, since)| at.since(*since) < self.switches.token_memory)
        {
            if first == request {
                return Ok(record.clone());
            }
            match self.switches.known_token {
                KnownToken::OldRecord => return Ok(record.clone()),
                KnownToken::Conflict => return Err(SinkError::TokenKnown),
                KnownToken::NewRecord => {}
            }
        }
        let same_plan = |stored: &&StoredRecord| stored.is_open() && stored.scope.plan == request.scope.plan;
        let folded = self
            .records
            .iter()
            .find(same_plan)
            .filter(|_| self.switches.folds)
            .map(|stored| stored.id.clone());
        let id = folded.unwrap_or_else(|| self.create(request.scope.clone(), RecordOrigin::Daemon, at));
        self.tokens.insert(request.client_token.clone(), (request.clone(), id.clone(), at));
        Ok(id)
    }

    fn create(&mut self, scope: RecordScope, origin: RecordOrigin, at: Moment) -> RecordId {
        let id = RecordId(format!("record-{}", self.records.len() + 1));
        let notes = Vec::new();
        self.records.push(StoredRecord { id: id.clone(), scope, created: at, origin, closed: None, notes });
        id
    }
}
