//! What happened, one line each: printed by a replay with `BOTHENDS_HISTORY=1`.

use bothends::domain::fact::Fact;
use bothends::incident::action::{RecordCall, Reply};
use bothends::incident::sink::{Record, SinkError};

pub fn call(call: &RecordCall) -> String {
    match call {
        RecordCall::Find { search } => {
            let kinds: Vec<&str> = search.scopes.iter().map(|scope| scope.kind.as_str()).collect();
            format!("find {}", kinds.join(" "))
        }
        RecordCall::Survey { scopes: _ } => "survey".into(),
        RecordCall::Start { request } => {
            format!("start {} {:.6}: {}", request.scope.kind.as_str(), request.client_token, request.title)
        }
        RecordCall::Read { record } => format!("read {record}"),
        RecordCall::Note { record, note } => format!("note {record}: {:.90}", note.text),
        RecordCall::Relate { record, other, title: _ } => format!("relate {record} to {other}"),
        RecordCall::Describe { record, description: _ } => format!("describe {record}"),
        RecordCall::Resolve { record, summary, client_token: _ } => {
            format!("resolve {record}: {summary:.60}")
        }
    }
}

/// The result, if it is worth a line.
pub fn reply(result: &Result<Reply, SinkError>) -> String {
    let record = |record: &Record| format!("{} {:?}", record.id, record.status);
    match result {
        Ok(Reply::Found(found) | Reply::Surveyed(found)) => {
            found.iter().map(|(_, found)| record(found)).collect::<Vec<_>>().join(", ")
        }
        Ok(Reply::Read(found)) => record(found),
        Ok(Reply::Started(id)) => id.to_string(),
        Ok(Reply::Done) => "done".into(),
        Err(error) => error.to_string(),
    }
}

/// A fact, if it is worth a line.
pub fn fact(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::ViewChanged { tunnel, end, from, view, at: _ } => {
            format!("{} {}: {from:?} -> {:?}", tunnel.outside_ip, end.as_str(), view.verdict)
        }
        Fact::AssessmentChanged { tunnel, from, to, .. } => {
            format!("{} both: {from:?} -> {to:?}", tunnel.outside_ip)
        }
        Fact::IncidentChanged { incident, change, at: _ } => {
            format!("{change:?} {} worsened {}", incident.id, incident.worsened)
        }
        Fact::IncidentMissed { incident, at: _ } => format!("missed {}", incident.id),
        Fact::IncidentSettled { incident, at: _ } => format!("settled {}", incident.id),
        Fact::IncidentPending { kind, .. } => format!("pending {}", kind.as_str()),
        Fact::IncidentAverted { kind, .. } => format!("averted {}", kind.as_str()),
        Fact::Resumed { gap, at: _ } => format!("resumed after {gap:?}"),
        _ => return None,
    })
}
